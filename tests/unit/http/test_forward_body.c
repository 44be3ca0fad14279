/* Forwarding bodies: both ways at once, Expect: 100-continue, early answers, clients that break off. */
#include "gateway_rig.h"

#define POST "POST /p HTTP/1.1\r\nHost: shop\r\n"

/* Reads until the mark and answers; then reads on to the end. */
static const char *body_end;
static void answer_after_body(cyg_conn *c, int nth) {
    (void)nth;
    answer_whenever(c, body_end);
}

TEST(test_small_body_goes_up_with_the_head) {
    CHECK(rig_up(answer_after_body, NULL) == 0);
    body_end = "\r\n\r\nhello";
    cyg_conn *c = dial(&rig.gw.addr);
    for (int i = 0; i < 10; i++) {
        struct text t = {.n = 0};
        CHECK(put(c, POST "Content-Length: 5\r\n\r\nhello") == 0);
        get_until(c, &t, "\r\n\r\nok");
        CHECK(has(&t, "\r\n\r\nok") && !has(&t, "Connection") && has(&rig.got, "Content-Length: 5\r\n"));
    }
    cyg_close(c);
    cyg_connpool_stats st;
    cyg_connpool_get_stats(cyg_http_pool_conns(rig.pool), &st);
    CHECK(st.opens_total == 1);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_chunked_body_goes_up_chunked_and_both_connections_stay) {
    CHECK(rig_up(answer_after_body, NULL) == 0);
    body_end = "0\r\n\r\n";
    cyg_conn *c = dial(&rig.gw.addr);
    for (int i = 0; i < 50; i++) {
        struct text t = {.n = 0};
        CHECK(put(c, POST "Transfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n1\r\n!\r\n0\r\nT: 1\r\n\r\n") == 0);
        get_until(c, &t, "\r\n\r\nok");
        CHECK(has(&t, "\r\n\r\nok") && !has(&t, "Connection"));
        CHECK(has(&rig.got, "Transfer-Encoding: chunked\r\n") &&
              has(&rig.got, "\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"));
    }
    cyg_close(c);
    cyg_connpool_stats st;
    cyg_connpool_get_stats(cyg_http_pool_conns(rig.pool), &st);
    CHECK(st.opens_total == 1);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_long_body_streams_up) {
    CHECK(rig_up(answer_after_body, NULL) == 0);
    body_end = "zzz";
    static char data[200000];
    memset(data, 'y', sizeof data);
    memcpy(data + sizeof data - 3, "zzz", 3);
    cyg_conn *c = dial(&rig.gw.addr);
    CHECK(put(c, POST "Content-Length: 200000\r\n\r\n") == 0);
    for (size_t at = 0; at < sizeof data; at += 20000) CHECK(cyg_write(c, data + at, 20000) == 20000);
    struct text t = {.n = 0};
    get_until(c, &t, "\r\n\r\nok");
    CHECK(has(&t, "\r\n\r\nok"));
    const char *body = strstr(rig.got.p, "\r\n\r\n");
    CHECK(body && memcmp(body + 4, data, sizeof data) == 0);
    cyg_close(c);
    CHECK(rig_down() == 0);
    return 0;
}

/* Sends each piece of body back as it comes. */
static void mirror(cyg_conn *c, int nth) {
    (void)nth;
    struct text *t = calloc(1, sizeof *t);
    get_until(c, t, "\r\n\r\n");
    put(c, "HTTP/1.1 200 OK\r\n\r\n");
    put(c, strstr(t->p, "\r\n\r\n") + 4); /* what of the body came with the head */
    char p[256];
    for (ssize_t n; (n = cyg_read(c, p, sizeof p)) > 0;) {
        if (cyg_write(c, p, (size_t)n) < 0) break;
        if (memchr(p, '.', (size_t)n)) break;
    }
    free(t);
}

TEST(test_bodies_stream_both_ways_at_once) {
    CHECK(rig_up(mirror, NULL) == 0);
    cyg_conn *c = dial(&rig.gw.addr);
    struct text t = {.n = 0};
    CHECK(put(c, POST "Content-Length: 12\r\n\r\nabc") == 0);
    get_until(c, &t, "abc");
    CHECK(has(&t, "200 OK") && has(&t, "abc"));
    CHECK(put(c, "defg") == 0);
    get_until(c, &t, "defg");
    CHECK(put(c, "hijk.") == 0);
    get_all(c, &t);
    CHECK(has(&t, "hijk.\r\n0\r\n\r\n"));
    cyg_close(c);
    CHECK(rig_down() == 0);
    return 0;
}

static void says_continue(cyg_conn *c, int nth) {
    (void)nth;
    get_until(c, &rig.got, "\r\n\r\n");
    put(c, "HTTP/1.1 100 Continue\r\n\r\n");
    get_until(c, &rig.got, "hello");
    put(c, rig.answer);
}

TEST(test_expectation_is_passed_up_and_100_down) {
    CHECK(rig_up(says_continue, NULL) == 0);
    cyg_conn *c = dial(&rig.gw.addr);
    struct text t = {.n = 0};
    CHECK(put(c, POST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n") == 0);
    get_until(c, &t, "\r\n\r\n");
    CHECK(strcmp(t.p, "HTTP/1.1 100 Continue\r\n\r\n") == 0);
    CHECK(put(c, "hello") == 0);
    get_until(c, &t, "\r\n\r\nok");
    CHECK(has(&t, "200 OK") && !has(&t, "Connection: close"));
    cyg_close(c);
    CHECK(rig_down() == 0);
    CHECK(count(&rig.got, "Expect: 100-continue\r\n") == 1); /* the upstream has ended: it is ours to read */
    return 0;
}

TEST(test_client_that_does_not_wait_for_100_is_served) {
    CHECK(rig_up(answer_after_body, NULL) == 0); /* never says 100 */
    body_end = "hello";
    cyg_conn *c = dial(&rig.gw.addr);
    struct text t = {.n = 0};
    CHECK(put(c, POST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n") == 0);
    CHECK(EVENTUALLY(__atomic_load_n(&rig.up.accepted, __ATOMIC_RELAXED) == 1));
    CHECK(put(c, "hello") == 0);
    get_until(c, &t, "\r\n\r\nok");
    CHECK(has(&t, "200 OK"));
    cyg_close(c);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_final_answer_instead_of_100_ends_the_connection) {
    CHECK(rig_up(answer_always, NULL) == 0);
    rig.answer = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno";
    struct text *t = ask(&rig.gw.addr, POST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    CHECK(has(t, "HTTP/1.1 413 ") && has(t, "Connection: close\r\n") && !has(t, "100 Continue") && t->end == CYG_EOF);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_early_answer_reaches_a_client_that_is_still_sending) {
    CHECK(rig_up(answer_and_close, NULL) == 0);
    rig.answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    static char data[100000];
    cyg_conn *c = dial(&rig.gw.addr);
    CHECK(put(c, POST "Content-Length: 100000000\r\n\r\n") == 0);
    CHECK(cyg_write(c, data, sizeof data) == sizeof data);
    struct text t = {.n = 0};
    get_until(c, &t, "\r\n\r\nno");
    /* The upstream closed with our bytes unread, so its answer can be lost to a reset on the way; what must not happen is silence. */
    CHECK(has(&t, "403 Forbidden") || has(&t, "upstream_reset"));
    CHECK(has(&t, "Connection: close\r\n"));
    get_all(c, &t);
    CHECK(t.end == CYG_EOF);
    cyg_close(c);
    CHECK(rig_down() == 0);
    return 0;
}

static void reads_on(cyg_conn *c, int nth) {
    (void)nth;
    get_until(c, &rig.got, "\r\n\r\n");
    put(c, rig.answer);
    get_all(c, &rig.got);
}

TEST(test_early_answer_stops_the_body) {
    CHECK(rig_up(reads_on, NULL) == 0);
    rig.answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    struct text *t = ask(&rig.gw.addr, POST "Content-Length: 1000\r\n\r\nabc"); /* and then sends nothing */
    CHECK(has(t, "403 Forbidden") && has(t, "Connection: close\r\n") && t->end == CYG_EOF);
    CHECK(rig.last.status == CYG_FORWARD_OK);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_bad_and_slow_bodies_are_the_clients_fault) {
    CHECK(rig_up(reads_on, NULL) == 0);
    rig.answer = "";
    struct text *t = ask(&rig.gw.addr, POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX");
    CHECK(has(t, "400 Bad Request") && has(t, "client_body_error") && rig.last.err == CYG_EPROTO);
    CHECK(rig_down() == 0);
    CHECK(rig_up(reads_on, &(cyg_http_server_opts){.body_timeout = 50 * CYG_MILLISECOND}) == 0);
    rig.answer = "";
    t = ask(&rig.gw.addr, POST "Content-Length: 10\r\n\r\nhel");
    CHECK(has(t, "client_body_error") && rig.last.err == CYG_ETIMEDOUT);
    CHECK(rig_down() == 0);
    return 0;
}

/* On a kept connection whose deadline was left as the request before had set it. */
TEST(test_bad_body_ends_the_wait_on_a_kept_connection) {
    CHECK(rig_up(answer_after_body, NULL) == 0);
    body_end = "X-Go: 1\r\n";
    rig.timeout = 2 * PATIENCE;
    CHECK(has(ask(&rig.gw.addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Go: 1\r\n\r\n"), "\r\n\r\nok"));
    struct text *t = ask(&rig.gw.addr, POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX");
    CHECK(has(t, "client_body_error") && rig.last.err == CYG_EPROTO && rig.last.reused);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_client_that_leaves_ends_the_exchange) {
    CHECK(rig_up(reads_on, NULL) == 0);
    rig.answer = "";
    cyg_conn *c = dial(&rig.gw.addr);
    CHECK(put(c, POST "Content-Length: 10\r\n\r\nhel") == 0);
    CHECK(EVENTUALLY(__atomic_load_n(&rig.up.accepted, __ATOMIC_RELAXED) == 1));
    (void)cyg_conn_reset_on_close(c);
    cyg_close(c);
    CHECK(EVENTUALLY(__atomic_load_n(&rig.ended, __ATOMIC_ACQUIRE) == 1));
    CHECK(rig.last.status == CYG_FORWARD_CLIENT_GONE || rig.last.status == CYG_FORWARD_CLIENT_BODY);
    CHECK(rig_down() == 0);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_body_goes_up_with_the_head),
        cmocka_unit_test(test_chunked_body_goes_up_chunked_and_both_connections_stay),
        cmocka_unit_test(test_long_body_streams_up),
        cmocka_unit_test(test_bodies_stream_both_ways_at_once),
        cmocka_unit_test(test_expectation_is_passed_up_and_100_down),
        cmocka_unit_test(test_client_that_does_not_wait_for_100_is_served),
        cmocka_unit_test(test_final_answer_instead_of_100_ends_the_connection),
        cmocka_unit_test(test_early_answer_reaches_a_client_that_is_still_sending),
        cmocka_unit_test(test_early_answer_stops_the_body),
        cmocka_unit_test(test_bad_and_slow_bodies_are_the_clients_fault),
        cmocka_unit_test(test_bad_body_ends_the_wait_on_a_kept_connection),
        cmocka_unit_test(test_client_that_leaves_ends_the_exchange),
    };
    return RUN(tests);
}
