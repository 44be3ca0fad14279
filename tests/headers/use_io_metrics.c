/* io_metrics.h in use: a program's own registry shows what its streams did. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/bufio.h>
#include <cygnet/io_metrics.h>
#include <cygnet/runtime.h>
#include <cygnet/streams.h>
#include <stdlib.h>

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_metrics *reg = cyg_metrics_new();
    cyg_io_export(reg);
    cyg_bufwriter w;
    cyg_bufwriter_init(&w, cyg_discard(), NULL);
    cyg_bufwriter_printf(&w, "%s", "hello");
    int err = cyg_bufwriter_flush(&w);
    cyg_bufwriter_free(&w);
    char *text;
    if (err < 0 || cyg_metrics_text(reg, &text) < 0) return 1;
    bool there = strstr(text, "cygnet_bufio_bytes_total{side=\"written\"} 5\n") != NULL;
    free(text);
    cyg_metrics_free(reg);
    return there ? 0 : 2;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
