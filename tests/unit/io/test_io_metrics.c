/* test_io_metrics.c: what streams of the process did stands in a registry's exposition, up to date each time. */
#include "../rt.h"

static uint64_t value(cyg_metrics *m, const char *series) {
    char *text, *at;
    uint64_t n = UINT64_MAX;
    assert_true(cyg_metrics_text(m, &text) > 0);
    for (at = text; (at = strstr(at, series)); at++)
        if ((at == text || at[-1] == '\n') && at[strlen(series)] == ' ') n = strtoull(at + strlen(series), NULL, 10);
    free(text);
    assert_true(n != UINT64_MAX); /* it is there */
    return n;
}

static void test_counters_follow_what_is_done(void **state) {
    (void)state;
    static const struct {
        const char *series;
        uint64_t more;
    } rows[] = {
        {"cygnet_copy_bytes_total{path=\"buffer\"}", 5},
        {"cygnet_copy_bytes_total{path=\"stream\"}", 3},
        {"cygnet_copy_bytes_total{path=\"sendfile\"}", 0},
        {"cygnet_copy_fallbacks_total{reason=\"source\"}", 1},
        {"cygnet_copy_fallbacks_total{reason=\"pipes\"}", 0},
        {"cygnet_copy_pipes_shrunk_total", 0},
        {"cygnet_copy_pipes_refused_total", 0},
        {"cygnet_bufio_bytes_total{side=\"written\"}", 2002},
        {"cygnet_bufio_copied_bytes_total{side=\"written\"}", 2},
        {"cygnet_bufio_calls_total{side=\"written\"}", 1},
        {"cygnet_bufio_bytes_total{side=\"read\"}", 6},
        {"cygnet_bufio_copied_bytes_total{side=\"read\"}", 0},
        {"cygnet_bufio_calls_total{side=\"read\"}", 2},
        {"cygnet_bufio_limits_total{side=\"read\"}", 1},
        {"cygnet_file_calls_total{how=\"blocking\"}", 2},
        {"cygnet_file_calls_total{how=\"direct\"}", 0},
        {"cygnet_file_bytes_total{side=\"written\"}", 4},
    };
    enum { N = sizeof rows / sizeof *rows };
    static char large[2000];
    uint64_t before[N];
    cyg_metrics *m = cyg_metrics_new();
    cyg_io_export(m);
    for (int i = 0; i < N; i++) before[i] = value(m, rows[i].series);
    uint64_t held = value(m, "cygnet_bufio_buffer_bytes"), open = value(m, "cygnet_file_open");

    cyg_membuf in;
    cyg_tee tee;
    cyg_str line;
    cyg_bufreader r;
    cyg_bufwriter w;
    cyg_file *f;
    cyg_membuf_init_read(&in, "abcde", 5);
    cyg_tee_init(&tee, &in.stream, cyg_discard());
    assert_int_equal(cyg_copy(cyg_discard(), &tee.stream, NULL), 5); /* a tee is read */
    cyg_membuf_init_read(&in, "abc", 3);
    assert_int_equal(cyg_copy(cyg_discard(), &in.stream, NULL), 3); /* memory writes itself */
    cyg_bufwriter_init(&w, cyg_discard(), NULL);
    cyg_bufwriter_write(&w, "ab", 2);
    cyg_bufwriter_write(&w, large, sizeof large);
    cyg_membuf_init_read(&in, "line1\n", 6);
    cyg_bufreader_init(&r, &in.stream, NULL);
    assert_int_equal(cyg_bufreader_line(&r, &line), 0);
    assert_int_equal(value(m, "cygnet_bufio_buffer_bytes") - held, 1024);
    assert_int_equal(cyg_bufreader_line(&r, &line), CYG_EOF);
    assert_int_equal(cyg_bufreader_peek(&r, SIZE_MAX, &line), CYG_ELIMIT);
    assert_int_equal(cyg_file_open("/dev/null", O_RDWR, 0, &f), 0);
    assert_int_equal(cyg_write(f, "null", 4), 4);
    assert_int_equal(value(m, "cygnet_file_open") - open, 1);
    cyg_close(f);
    cyg_bufreader_free(&r);
    cyg_bufwriter_free(&w);

    for (int i = 0; i < N; i++) {
        print_message("%s\n", rows[i].series);
        assert_int_equal(value(m, rows[i].series) - before[i], rows[i].more);
    }
    assert_int_equal(value(m, "cygnet_bufio_buffer_bytes"), held);
    assert_int_equal(value(m, "cygnet_file_open"), open);
    cyg_metrics_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_follow_what_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
