/* metrics.h in use: instruments and their Prometheus text. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/metrics.h>
#include <stdlib.h>

int main(void) {
    cyg_metrics *reg = cyg_metrics_new();
    cyg_label home[] = {{"page", "home"}};
    cyg_counter *hits = cyg_counter_new(reg, "app_hits_total", "Pages served.", home, 1);
    cyg_gauge *open = cyg_gauge_new(reg, "app_open", "Open now.", NULL, 0);
    cyg_histogram *took = cyg_histogram_new(reg, "app_seconds", "Time taken.", NULL, 0, NULL, 0);
    cyg_counter_add(hits, 3);
    cyg_gauge_add(open, 1);
    cyg_histogram_observe_ns(took, 7000000);
    int ok = cyg_counter_new(reg, "app_hits_total", "Pages served.", home, 1) == hits; /* found again */
    char *text = NULL;
    ssize_t n = cyg_metrics_text(reg, &text);
    ok = ok && n > 0 && strstr(text, "app_hits_total{page=\"home\"} 3") && cyg_gauge_get(open) == 1;
    free(text);
    cyg_metrics_free(reg);
    return ok ? 0 : 1;
}
