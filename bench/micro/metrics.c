/* metrics.c: nanoseconds to count: a counter, a gauge, a histogram by duration and by value, on one goroutine; and an exposition
 * of 2,000 series.
 *
 *     cc -O2 -std=gnu17 -D_GNU_SOURCE -Iinclude -o metrics bench/micro/metrics.c -lcygnet -lpthread && ./metrics
 */
#include <cygnet/metrics.h>
#include <cygnet/runtime.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCHES = 21, ROUNDS = 100000, DURATIONS = 1024 };

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *what, double *ns) {
    qsort(ns, BATCHES, sizeof *ns, by_value);
    printf("%-28s median %7.2f ns  least %7.2f ns\n", what, ns[BATCHES / 2], ns[0]);
}

#define MEASURE(what, statement)                          \
    do {                                                  \
        double ns[BATCHES];                               \
        for (int b = 0; b < BATCHES; b++) {               \
            cyg_time begin = cyg_now();                   \
            for (int i = 0; i < ROUNDS; i++) {            \
                statement;                                \
            }                                             \
            ns[b] = (double)(cyg_now() - begin) / ROUNDS; \
        }                                                 \
        report((what), ns);                               \
    } while (0)

static void measure_text(cyg_metrics *m) {
    for (int i = 0; i < 2000; i++) {
        char value[16];
        snprintf(value, sizeof value, "route-%d", i);
        cyg_counter_new(m, "bench_requests_total", "Requests.", (cyg_label[]){{"route", value}, {"code", "200"}}, 2);
    }
    double ns[BATCHES];
    for (int b = 0; b < BATCHES; b++) {
        char *text;
        cyg_time begin = cyg_now();
        if (cyg_metrics_text(m, &text) < 0) exit(1);
        ns[b] = (double)(cyg_now() - begin);
        free(text);
    }
    report("text of 2,000 series", ns);
}

static int run(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_metrics *m = cyg_metrics_new();
    cyg_counter *c = cyg_counter_new(m, "bench_things_total", "Things.", NULL, 0);
    cyg_gauge *g = cyg_gauge_new(m, "bench_level", "Level.", NULL, 0);
    cyg_histogram *h = cyg_histogram_new(m, "bench_seconds", "Durations.", NULL, 0, NULL, 0);
    int64_t durations[DURATIONS]; /* from 1 microsecond to 17 seconds, each power of two as often */
    uint64_t seed = 1;
    for (int i = 0; i < DURATIONS; i++) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        durations[i] = (int64_t)((1000 + (seed >> 33) % 1000) << (seed >> 50) % 24);
    }
    MEASURE("an empty loop", __asm__ volatile("" ::"r"(i)));
    MEASURE("counter add", cyg_counter_add(c, 1));
    MEASURE("gauge add", cyg_gauge_add(g, 1));
    MEASURE("histogram, always 300 us", cyg_histogram_observe_ns(h, 300000));
    MEASURE("histogram, 1 us to 17 s", cyg_histogram_observe_ns(h, durations[i % DURATIONS]));
    MEASURE("histogram of values", cyg_histogram_observe(h, (double)i * 1e-4));
    measure_text(m);
    cyg_metrics_free(m);
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
