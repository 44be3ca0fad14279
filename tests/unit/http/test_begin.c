/* What stands before HTTP on a connection, and whose it is: cyg_http_server_opts.on_begin. */
#include "harness.h"

/* Two bytes, a letter and a digit: "r" refuses; else the digit is the last number of the client's address. */
static int begin(void *calls, cyg_conn *c, cyg_addr *peer) {
    char b[2];
    __atomic_add_fetch((int *)calls, 1, __ATOMIC_RELAXED);
    if (peer->family != CYG_AF_IPV4 || cyg_read_full(c, b, sizeof b) != sizeof b || b[0] == 'r') return CYG_EPROTO;
    *peer = (cyg_addr){.family = CYG_AF_IPV4, .port = 7, .ip = {192, 0, 2, (uint8_t)(b[1] - '0')}};
    return 0;
}

static void who(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    char text[CYG_ADDR_STRLEN];
    cyg_addr_format(cyg_http_req_peer(req), text, sizeof text);
    cyg_http_printf(res, 200, "text/plain", "<%s>", text);
}

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define LAST "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

TEST(test_the_address_told_counts_for_every_request) {
    struct server sv;
    int calls = 0;
    CHECK(server_up(&sv, who, NULL, &(cyg_http_server_opts){.on_begin = begin, .on_begin_arg = &calls}) == 0);
    struct text *t = ask(&sv.addr, "p4" GET GET LAST);
    CHECK(count(t, "<192.0.2.4:7>") == 3);
    CHECK(calls == 1);
    t = ask(&sv.addr, "p5" LAST);
    CHECK(count(t, "<192.0.2.5:7>") == 1);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_what_comes_before_and_the_request_may_come_apart) {
    struct server sv;
    int calls = 0;
    CHECK(server_up(&sv, who, NULL, &(cyg_http_server_opts){.on_begin = begin, .on_begin_arg = &calls}) == 0);
    cyg_conn *c = dial(&sv.addr);
    CHECK(put(c, "p") == 0);
    CHECK(EVENTUALLY(__atomic_load_n(&calls, __ATOMIC_RELAXED) == 1));
    CHECK(put(c, "6") == 0);
    struct text t = {.n = 0};
    for (int i = 1; i <= 3; i++) { /* idle in between */
        CHECK(put(c, GET) == 0);
        get_until(c, &t, ":7>");
        CHECK(has(&t, "<192.0.2.6:7>"));
        t = (struct text){.n = 0};
    }
    cyg_close(c);
    CHECK(calls == 1);
    CHECK(server_down(&sv) == 0);
    return 0;
}

static void refused(void *arg, int status, const char *reason, const cyg_addr *peer, const cyg_http_req *req) {
    (void)reason, (void)req;
    __atomic_store_n((int *)arg, peer->port == 7 ? status : -1, __ATOMIC_RELAXED);
}

TEST(test_the_address_told_counts_for_what_is_refused) {
    struct server sv;
    int calls = 0, status = 0;
    cyg_http_server_opts opts = {.on_begin = begin, .on_begin_arg = &calls, .on_refused = refused, .on_refused_arg = &status};
    CHECK(server_up(&sv, who, NULL, &opts) == 0);
    CHECK(has(ask(&sv.addr, "p4nonsense\r\n\r\n"), " 400 "));
    CHECK(EVENTUALLY(__atomic_load_n(&status, __ATOMIC_RELAXED) == 400));
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_a_refused_connection_is_reset_without_an_answer) {
    struct server sv;
    int calls = 0;
    CHECK(server_up(&sv, who, NULL, &(cyg_http_server_opts){.on_begin = begin, .on_begin_arg = &calls}) == 0);
    struct text *t = ask(&sv.addr, "r1" LAST);
    CHECK(t->n == 0 && t->end == -ECONNRESET);
    cyg_http_server_stats st;
    CHECK(EVENTUALLY((cyg_http_server_get_stats(sv.s, &st), st.conns == 0)));
    CHECK(st.requests_total == 0);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_a_connection_that_says_nothing_has_the_time_of_a_head) {
    struct server sv;
    int calls = 0;
    cyg_http_server_opts opts = {
        .on_begin = begin, .on_begin_arg = &calls, .head_timeout = 30 * CYG_MILLISECOND, .idle_timeout = CYG_HOUR};
    CHECK(server_up(&sv, who, NULL, &opts) == 0);
    cyg_conn *c = dial(&sv.addr);
    struct text t = {.n = 0};
    get_all(c, &t);
    CHECK(t.n == 0 && calls == 0);
    cyg_close(c);
    CHECK(server_down(&sv) == 0);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_address_told_counts_for_every_request),
        cmocka_unit_test(test_what_comes_before_and_the_request_may_come_apart),
        cmocka_unit_test(test_the_address_told_counts_for_what_is_refused),
        cmocka_unit_test(test_a_refused_connection_is_reset_without_an_answer),
        cmocka_unit_test(test_a_connection_that_says_nothing_has_the_time_of_a_head),
    };
    return RUN(tests);
}
