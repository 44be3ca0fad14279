/* test_gateway.c: what the metrics of a running gateway lead to, and reading Prometheus' text. */
#include "rig.h"

#include <math.h>

static struct doc_machine machine;

static struct doc_finding judge(const char *check, const char *before, const char *metrics, const char *sockets) {
    struct doc_gateway g = {.base = "http://127.0.0.1:9901", .sockets = (char *)(uintptr_t)sockets};
    machine = (struct doc_machine){.root = "/nowhere", .gateway = &g};
    if (before) {
        g.metrics = (char *)(uintptr_t)before;
        g.nmetrics = strlen(before);
        (void)ask(&machine, check);
        doc_machine_again(&machine, 2);
    }
    g.metrics = (char *)(uintptr_t)metrics;
    g.nmetrics = strlen(metrics);
    struct doc_finding f = ask(&machine, check);
    assert_true(f.value[0] && f.cost[0]);
    if (f.verdict >= DOC_NOTE) assert_true(f.fix[0] != 0);
    return f;
}

static const char page[] =
    "this process: 1 established, 1500 close_wait\n\nended by one side:\n"
    "  close_wait for 700.000 s or longer, fd 9, a to b: goroutine 7 waits on it, started at relay@relay.c:3\n"
    "  close_wait for 1.000 s or longer, fd 10, a to c: nobody waits\n";

static const struct row {
    const char *check, *before, *now;
    enum doc_verdict verdict;
    const char *value, *cost;
} rows[] = {
    {"gateway_failures", "cygnet_http_requests_total 10\n", "cygnet_http_requests_total 30\n", DOC_OK,
     "0 since the start, now 0.0/s of 10.0 requests/s", "No request has failed"},
    {"gateway_failures", "cygnet_http_requests_total 0\ncygnet_http_failures_total{reason=\"upstream_timeout\"} 1\n",
     "cygnet_http_requests_total 1000\ncygnet_http_failures_total{reason=\"upstream_timeout\"} "
     "41\ncygnet_http_failures_total{reason=\"upstream_reset\"} 0\n",
     DOC_BAD, "now 20.0/s of 500.0", "4.0 % of the requests; most of them upstream_timeout (20.0/s)"},
    {"gateway_failures", "cygnet_http_requests_total 0\n",
     "cygnet_http_requests_total 1000\ncygnet_http_failures_total{reason=\"upstream_reset\"} 2\n", DOC_NOTE, NULL, NULL},
    {"gateway_failures", "cygnet_http_requests_total 0\ncygnet_http_failures_total{reason=\"client_disconnected\"} 0\n",
     "cygnet_http_requests_total 10\ncygnet_http_failures_total{reason=\"client_disconnected\"} 9\n", DOC_OK, "0 since",
     NULL},
    {"gateway_descriptors", NULL, "process_open_fds 100\nprocess_max_fds 1000\n", DOC_OK, "100 of 1,000 open", NULL},
    {"gateway_descriptors", NULL, "process_open_fds 800\nprocess_max_fds 1000\n", DOC_NOTE, NULL, NULL},
    {"gateway_descriptors", NULL, "process_open_fds 950\nprocess_max_fds 1000\n", DOC_BAD, NULL, NULL},
    {"gateway_accept_pauses", NULL, "cygnet_listener_accept_pauses_total{listener=\"a\"} 0\n", DOC_OK, "0 since", NULL},
    {"gateway_accept_pauses", NULL,
     "cygnet_listener_accept_pauses_total{listener=\"a\"} 2\ncygnet_listener_accept_pauses_total{listener=\"b\"} 3\n",
     DOC_NOTE, "5 since", NULL},
    {"gateway_accept_pauses", "cygnet_listener_accept_pauses_total 2\n", "cygnet_listener_accept_pauses_total 4\n",
     DOC_BAD, NULL, "Now: 1.0/s"},
    {"gateway_close_wait", NULL,
     "cygnet_sockets{state=\"close_wait\"} 3\ncygnet_sockets_longest_seconds{state=\"close_wait\"} 2.5\n", DOC_OK,
     "3, the oldest for 2 s", NULL},
    {"gateway_close_wait", NULL,
     "cygnet_sockets{state=\"close_wait\"} 3\ncygnet_sockets_longest_seconds{state=\"close_wait\"} 65\n", DOC_NOTE,
     NULL, "The oldest: close_wait for 700.000 s or longer, fd 9, a to b: goroutine 7 waits on it, started at relay@relay.c:3."},
    {"gateway_close_wait", "cygnet_sockets{state=\"close_wait\"} 1400\n",
     "cygnet_sockets{state=\"close_wait\"} 1500\ncygnet_sockets_longest_seconds{state=\"close_wait\"} 7\n", DOC_BAD,
     NULL, "Now: +50.0/s"},
    {"gateway_fin_wait2", NULL,
     "cygnet_sockets{state=\"fin_wait2\"} 1\ncygnet_sockets_longest_seconds{state=\"fin_wait2\"} 700\n", DOC_BAD, NULL, NULL},
    {"gateway_fin_wait2", NULL, "cygnet_sockets{state=\"fin_wait2\"} 1\ncygnet_sockets{state=\"close_wait\"} 5000\n",
     DOC_OK, "1, the oldest for 0 s", NULL},
    {"gateway_ports", NULL, "x 1\n", DOC_OK, "no outgoing connections", NULL},
    {"gateway_ports",
     NULL, "cygnet_ports_left{source=\"a\",destination=\"b:1\"} 28000\ncygnet_ports_used{source=\"a\",destination=\"b:1\"} 232\n",
     DOC_OK, "28,000 left for b:1, 232 in use", NULL},
    {"gateway_ports", NULL,
     "cygnet_ports_left{source=\"a\",destination=\"b:1\"} 28000\ncygnet_ports_used{source=\"a\",destination=\"b:1\"} "
     "232\n"
     "cygnet_ports_left{source=\"a\",destination=\"c:2\"} 9000\ncygnet_ports_used{source=\"a\",destination=\"c:2\"} "
     "19232\n",
     DOC_NOTE, "9,000 left for c:2", NULL},
    {"gateway_ports", NULL,
     "cygnet_ports_left{destination=\"c:2\"} 900\ncygnet_ports_used{destination=\"c:2\"} 27332\n", DOC_BAD, NULL, NULL},
    {"gateway_ports",
     NULL, "cygnet_ports_left{destination=\"c:2\"} 25000\ncygnet_ports_used{destination=\"c:2\"} 3232\ncygnet_ports_exhausted_in_seconds{destination=\"c:2\"} 420\n",
     DOC_BAD, NULL, "None will be left in 420 s"},
    {"gateway_overflows", NULL, "cygnet_upstream_overflows_total 0\ncygnet_upstream_waiters 0\n", DOC_OK, NULL, NULL},
    {"gateway_overflows", NULL, "cygnet_upstream_overflows_total 0\ncygnet_upstream_waiters 4\n", DOC_NOTE, "4 waiting", NULL},
    {"gateway_overflows", "cygnet_upstream_overflows_total 1\n", "cygnet_upstream_overflows_total 3\n", DOC_BAD, NULL,
     "Now: 1.0/s"},
    {"gateway_dial_errors", NULL, "cygnet_upstream_dial_errors_total 0\n", DOC_OK, NULL, NULL},
    {"gateway_dial_errors", "cygnet_upstream_dial_errors_total 0\n", "cygnet_upstream_dial_errors_total 9\n", DOC_BAD,
     NULL, "Now: 4.5/s"},
    {"gateway_reuse", NULL, "cygnet_upstream_dials_total 10\ncygnet_upstream_reuses_total 0\n", DOC_OK, "0.0 %", NULL},
    {"gateway_reuse", NULL, "cygnet_upstream_dials_total 2000\ncygnet_upstream_reuses_total 8000\n", DOC_NOTE, "80.0 %", NULL},
    {"gateway_reuse", "cygnet_upstream_dials_total 0\ncygnet_upstream_reuses_total 100000\n",
     "cygnet_upstream_dials_total 90\ncygnet_upstream_reuses_total 100010\n", DOC_BAD, "10.0 %", "45.0/s now"},
    {"gateway_stale", NULL,
     "cygnet_upstream_closes_total{reason=\"peer_closed\"} 50\ncygnet_upstream_reuses_total 100000\n", DOC_OK, NULL, NULL},
    {"gateway_stale", NULL, "cygnet_upstream_closes_total{reason=\"peer_closed\"} 500\ncygnet_upstream_reuses_total 1000\n",
     DOC_NOTE, NULL, NULL},
    {"gateway_stale", NULL, "cygnet_upstream_closes_total{reason=\"idle_timeout\"} 500\n", DOC_OK, "0 since", NULL},
    {"gateway_stale", "cygnet_upstream_closes_total{reason=\"peer_closed\"} 1\n",
     "cygnet_upstream_closes_total{reason=\"peer_closed\"} 2\ncygnet_upstream_reuses_total 100000\n", DOC_NOTE, NULL, NULL},
    {"gateway_blocking", "cygnet_runtime_retakes_blocked_total 10\n", "cygnet_runtime_retakes_blocked_total 11\n",
     DOC_OK, "11 blocked, 0 computed", NULL},
    {"gateway_blocking", "cygnet_runtime_retakes_hog_total 10\n", "cygnet_runtime_retakes_hog_total 20\n", DOC_NOTE,
     NULL, NULL},
    {"gateway_threads", NULL, "cygnet_runtime_retakes_limit_total 0\ncygnet_runtime_threads 5\n", DOC_OK, "0 times",
     "5 threads now"},
    {"gateway_threads", NULL, "cygnet_runtime_retakes_limit_total 1\n", DOC_NOTE, NULL, NULL},
    {"gateway_parked_long", NULL, "cygnet_runtime_parked_long 3\ncygnet_runtime_goroutines 12\n", DOC_OK, "3 of 12", NULL},
    {"gateway_parked_long", NULL, "cygnet_runtime_parked_long 300\ncygnet_runtime_goroutines 1200\n", DOC_NOTE,
     "300 of 1,200", NULL},
    {"gateway_parked_long", NULL, "cygnet_runtime_parked_long 30000\n", DOC_BAD, NULL, NULL},
    {"gateway_log_dropped", NULL, "cygnet_access_log_dropped_total 0\n", DOC_OK, NULL, NULL},
    {"gateway_log_dropped", "cygnet_access_log_dropped_total 0\n", "cygnet_access_log_dropped_total 1\n", DOC_BAD, NULL, NULL},
    {"gateway_reloads", NULL,
     "cygnet_config_reloads_total{result=\"ok\"} 9\ncygnet_config_reloads_total{result=\"failed\"} 0\n", DOC_OK,
     "0 failed", NULL},
    {"gateway_reloads", NULL, "cygnet_config_reloads_total{result=\"failed\"} 1\n", DOC_NOTE, "1 failed", NULL},
};

static void test_checks(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct doc_finding f = judge(rows[i].check, rows[i].before, rows[i].now, page);
        check_verdict(&f, rows[i].verdict);
        check_says(&f, "value", f.value, rows[i].value);
        check_says(&f, "cost", f.cost, rows[i].cost);
    }
}

static void test_every_check_of_a_gateway_is_in_the_table(void **state) {
    (void)state;
    for (size_t i = 0; i < doc_nchecks; i++) {
        enum doc_verdict worst = DOC_OK;
        if (!doc_checks[i]->of_gateway) continue;
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
            if (strcmp(rows[k].check, doc_checks[i]->name) == 0 && rows[k].verdict > worst) worst = rows[k].verdict;
        if (worst < DOC_NOTE) fail_msg("%s is never more than ok", doc_checks[i]->name);
    }
}

static void test_without_a_gateway_its_checks_are_not_run(void **state) {
    (void)state;
    static struct doc_finding f[64];
    const char *only = "gateway_ports";
    machine = (struct doc_machine){.root = "/nowhere"};
    assert_int_equal(doc_run(&machine, &only, 1, f), 0);
}

/* ---- the text ---------------------------------------------------------------------------------------------------------- */

static void test_samples_are_read(void **state) {
    (void)state;
    cyg_str rest =
        CYG_STR("# HELP a b\n# TYPE a counter\n\na 1\nb_total{x=\"1\",y=\"a \\\"}\\\\ b\\nc\"} 2.5 1700000000\n"
                "no value\nbroken{x=\"1\" 3\nc{} +Inf\nd NaN\n{x=\"1\"} 4\ne{x=\"1\"}5\nf 1e3");
    struct doc_metric m;
    char text[32];
    assert_true(doc_metric_next(&rest, &m) && cyg_str_eq(m.name, CYG_STR("a")) && m.value == 1 && m.labels.n == 0);
    assert_false(doc_metric_label(&m, "x", text, sizeof text));
    assert_true(doc_metric_next(&rest, &m) && cyg_str_eq(m.name, CYG_STR("b_total")) && m.value == 2.5);
    assert_true(doc_metric_label(&m, "x", text, sizeof text));
    assert_string_equal(text, "1");
    assert_true(doc_metric_label(&m, "y", text, sizeof text));
    assert_string_equal(text, "a \"}\\ bnc"); /* an escaped line feed is not needed here, and becomes its letter */
    assert_true(doc_metric_label(&m, "y", text, 4));
    assert_string_equal(text, "a \"");
    assert_true(doc_metric_next(&rest, &m) && cyg_str_eq(m.name, CYG_STR("c")) && isinf(m.value));
    assert_true(doc_metric_next(&rest, &m) && cyg_str_eq(m.name, CYG_STR("f")) && m.value == 1000);
    assert_false(doc_metric_next(&rest, &m));
}

static void test_urls(void **state) {
    (void)state;
    cyg_addr a;
    static const char *const good[] = {"http://127.0.0.1:9901", "http://127.0.0.1:9901/", "127.0.0.1:9901",
                                       "localhost:9901"};
    static const char *const bad[] = {
        "",        "http://",        "http://127.0.0.1:9901/metrics", "https://127.0.0.1:9901", "127.0.0.1",
        "name:80", "127.0.0.1:99999"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(doc_gateway_address(good[i], &a), 0);
        assert_int_equal(a.port, 9901);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_true(doc_gateway_address(bad[i], &a) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_every_check_of_a_gateway_is_in_the_table),
        cmocka_unit_test(test_without_a_gateway_its_checks_are_not_run),
        cmocka_unit_test(test_samples_are_read),
        cmocka_unit_test(test_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
