/* test_prometheus.c: the text of a registry, byte by byte, and what promtool thinks of it.
 */
#include <cygnet/metrics.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_text(cyg_metrics *m, const char *expected) {
    char *text;
    ssize_t n = cyg_metrics_text(m, &text);
    assert_true(n >= 0);
    assert_int_equal(n, strlen(text));
    assert_string_equal(text, expected);
    free(text);
    cyg_metrics_free(m);
}

/* Two of each kind, registered out of order. */
static cyg_metrics *example(void) {
    cyg_metrics *m = cyg_metrics_new();
    static const double bounds[] = {0.005, 0.25, 1, 10};
    cyg_label home = {"page", "home"}, shop = {"page", "shop"};
    cyg_histogram *h = cyg_histogram_new(m, "web_request_seconds", "Time to answer.", &home, 1, bounds, 4);
    cyg_counter *b = cyg_counter_new(m, "web_hits_total", "Pages served.", &shop, 1);
    cyg_gauge *g = cyg_gauge_new(m, "web_connections", "Open now.", NULL, 0);
    cyg_counter *a = cyg_counter_new(m, "web_hits_total", "Pages served.", &home, 1);
    cyg_counter_add(a, 18446744073709551615u);
    cyg_counter_add(b, 2);
    cyg_gauge_set(g, -3);
    cyg_histogram_observe_ns(h, 5000000); /* exactly the bound: inside */
    cyg_histogram_observe_ns(h, 5000001);
    cyg_histogram_observe_ns(h, 500000000);
    cyg_histogram_observe_ns(h, 60000000000);
    return m;
}

static void test_families_are_sorted_and_whole(void **state) {
    (void)state;
    assert_text(example(), "# HELP web_connections Open now.\n"
                           "# TYPE web_connections gauge\n"
                           "web_connections -3\n"
                           "# HELP web_hits_total Pages served.\n"
                           "# TYPE web_hits_total counter\n"
                           "web_hits_total{page=\"home\"} 18446744073709551615\n"
                           "web_hits_total{page=\"shop\"} 2\n"
                           "# HELP web_request_seconds Time to answer.\n"
                           "# TYPE web_request_seconds histogram\n"
                           "web_request_seconds_bucket{page=\"home\",le=\"0.005\"} 1\n"
                           "web_request_seconds_bucket{page=\"home\",le=\"0.25\"} 2\n"
                           "web_request_seconds_bucket{page=\"home\",le=\"1\"} 3\n"
                           "web_request_seconds_bucket{page=\"home\",le=\"10\"} 3\n"
                           "web_request_seconds_bucket{page=\"home\",le=\"+Inf\"} 4\n"
                           "web_request_seconds_sum{page=\"home\"} 60.510000001\n"
                           "web_request_seconds_count{page=\"home\"} 4\n");
}

static void test_an_empty_registry_is_empty_text(void **state) {
    (void)state;
    assert_text(cyg_metrics_new(), "");
}

static void test_help_and_values_are_escaped(void **state) {
    (void)state;
    cyg_metrics *m = cyg_metrics_new();
    cyg_label labels[] = {{"path", "C:\\new \"x\"\n"}, {"empty", ""}};
    cyg_gauge_new(m, "odd", "back\\slash, \"quotes\"\nand a line", labels, 2);
    assert_text(m, "# HELP odd back\\\\slash, \"quotes\"\\nand a line\n"
                   "# TYPE odd gauge\n"
                   "odd{empty=\"\",path=\"C:\\\\new \\\"x\\\"\\n\"} 0\n");
}

static void test_no_help_no_line(void **state) {
    (void)state;
    cyg_metrics *m = cyg_metrics_new();
    cyg_gauge_new(m, "plain", NULL, NULL, 0);
    assert_text(m, "# TYPE plain gauge\nplain 0\n");
}

/* Each bound as Go's strconv.FormatFloat(v, 'g', -1, 64) writes it. */
static void test_bounds_are_written_as_go_does(void **state) {
    (void)state;
    static const struct {
        double bound;
        const char *text;
    } cases[] = {
        {-2.5, "-2.5"},
        {5e-324, "5e-324"},
        {1e-05, "1e-05"},
        {0.0001, "0.0001"},
        {0.00012345, "0.00012345"},
        {0.005, "0.005"},
        {0.1, "0.1"},
        {0.30000000000000004, "0.30000000000000004"},
        {1, "1"},
        {2.5, "2.5"},
        {10, "10"},
        {100000, "100000"},
        {123456, "123456"},
        {999999, "999999"},
        {1e6, "1e+06"},
        {1234567, "1.234567e+06"},
        {12345678.5, "1.23456785e+07"},
        {1e21, "1e+21"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
    };
    enum { N = sizeof cases / sizeof cases[0] };
    double bounds[N];
    char expected[4096];
    size_t n = (size_t)snprintf(expected, sizeof expected, "# TYPE h histogram\n");
    for (size_t i = 0; i < N; i++) {
        bounds[i] = cases[i].bound;
        n += (size_t)snprintf(expected + n, sizeof expected - n, "h_bucket{le=\"%s\"} 0\n", cases[i].text);
    }
    snprintf(expected + n, sizeof expected - n, "h_bucket{le=\"+Inf\"} 0\nh_sum 0\nh_count 0\n");
    cyg_metrics *m = cyg_metrics_new();
    cyg_histogram_new(m, "h", NULL, NULL, 0, bounds, N);
    assert_text(m, expected);
}

static void test_sums_that_are_no_numbers(void **state) {
    (void)state;
    cyg_metrics *m = cyg_metrics_new();
    cyg_histogram *h = cyg_histogram_new(m, "h", NULL, NULL, 0, (double[]){1}, 1);
    cyg_histogram_observe(h, INFINITY);
    cyg_histogram_observe(h, -INFINITY);
    assert_text(m, "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum NaN\nh_count 2\n");
}

/* Without promtool the test is skipped. */
static void test_promtool_finds_nothing_wrong(void **state) {
    (void)state;
    if (system("command -v promtool >/dev/null 2>&1") != 0) skip();
    cyg_metrics *m = example();
    cyg_label labels[] = {{"path", "C:\\new \"x\"\n"}, {"empty", ""}};
    cyg_gauge_new(m, "web_odd", "back\\slash, \"quotes\"\nand a line", labels, 2);
    cyg_histogram_new(m, "web_upstream_seconds", "Defaults.", NULL, 0, NULL, 0);
    char *text;
    ssize_t n = cyg_metrics_text(m, &text);
    assert_true(n > 0);
    FILE *tool = popen("promtool check metrics 2>&1", "w"); /* its complaints go to the test's own output */
    assert_non_null(tool);
    assert_int_equal(fwrite(text, 1, (size_t)n, tool), n);
    int status = pclose(tool);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    free(text);
    cyg_metrics_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families_are_sorted_and_whole), cmocka_unit_test(test_an_empty_registry_is_empty_text),
        cmocka_unit_test(test_help_and_values_are_escaped),   cmocka_unit_test(test_no_help_no_line),
        cmocka_unit_test(test_bounds_are_written_as_go_does), cmocka_unit_test(test_sums_that_are_no_numbers),
        cmocka_unit_test(test_promtool_finds_nothing_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
