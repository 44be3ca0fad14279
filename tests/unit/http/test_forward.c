/* Forwarding: which fields pass, how answers are framed anew, interim answers, dead connections, cut answers. */
#include "gateway_rig.h"

#define GET "GET /p?q HTTP/1.1\r\nHost: shop\r\n"
#define LAST "Connection: close\r\n\r\n"

TEST(test_hop_by_hop_fields_stop_here_and_ours_are_added) {
    CHECK(rig_up(answer_always, NULL) == 0);
    rig.answer = "HTTP/1.1 200 OK\r\nX-Keep: 1\r\nKeep-Alive: timeout=5\r\nConnection: X-Drop\r\nX-Drop: "
                 "1\r\nProxy-Authenticate: x\r\n"
                 "Upgrade: h2c\r\nTrailer: T\r\nContent-Length: 2\r\n\r\nok";
    struct text *t =
        ask(&rig.gw.addr,
            GET "Accept: */*\r\nTE: trailers\r\nKeep-Alive: 3\r\nProxy-Connection: x\r\nUpgrade: websocket\r\n"
                "Proxy-Authorization: b\r\nX-Secret: 1\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: evil\r\n"
                "X-Forwarded-Proto: https\r\nForwarded: for=1\r\nVia: 1.0 fred\r\nX-Request-Id: theirs\r\n"
                "Connection: close, upgrade, x-secret, host, x-forwarded-for\r\n\r\n");
    CHECK(strstr(rig.got.p, "GET /p?q HTTP/1.1\r\nHost: shop\r\n") == rig.got.p);
    const char *gone[] = {"TE:",     "Keep-Alive", "Proxy-", "Upgrade",        "X-Secret",
                          "6.6.6.6", "evil",       "https",  "Forwarded: for", "Connection:"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) CHECK(!has(&rig.got, gone[i]));
    const char *kept[] = {"\r\nAccept: */*\r\n",
                          "\r\nX-Forwarded-For: 127.0.0.1\r\n",
                          "\r\nX-Forwarded-Proto: http\r\n",
                          "\r\nX-Forwarded-Host: shop\r\n",
                          "\r\nVia: 1.0 fred\r\n",
                          "\r\nVia: 1.1 cygnet\r\n",
                          "\r\nX-Request-Id: theirs\r\n"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) CHECK(has(&rig.got, kept[i]));
    CHECK(has(t, "\r\nX-Keep: 1\r\n") && has(t, "\r\nDate: ") && has(t, "\r\n\r\nok") &&
          has(t, "\r\nConnection: close\r\n"));
    CHECK(!has(t, "X-Drop") && !has(t, "Keep-Alive") && !has(t, "Proxy-") && !has(t, "Upgrade") && !has(t, "Trailer"));
    CHECK(rig.last.status == CYG_FORWARD_OK && rig.last.upstream_status == 200 && rig.last.answered && rig.last.first_byte);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_trusted_clients_forwarded_fields_are_added_to) {
    CHECK(rig_up(answer_always, NULL) == 0);
    cyg_http_field add = {CYG_STR("X-Route"), CYG_STR("r1"), 0};
    rig.opts = (cyg_http_forward_opts){.keep_forwarded = true,
                                       .request_id = CYG_STR("ours"),
                                       .via = CYG_STR("edge"),
                                       .add_response = &add,
                                       .nadd_response = 1};
    struct text *t =
        ask(&rig.gw.addr, GET "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\nX-Forwarded-Proto: https\r\n"
                              "X-Request-Id: theirs\r\n" LAST);
    CHECK(has(&rig.got, "\r\nX-Forwarded-For: 1.2.3.4, 5.6.7.8, 127.0.0.1\r\n"));
    CHECK(has(&rig.got, "\r\nX-Forwarded-Proto: https\r\n") && !has(&rig.got, "Proto: http\r\n"));
    CHECK(has(&rig.got, "\r\nX-Request-Id: ours\r\n") && !has(&rig.got, "theirs") && has(&rig.got, "Via: 1.1 edge\r\n"));
    CHECK(has(t, "\r\nX-Route: r1\r\n"));
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_absolute_target_becomes_origin_form_and_sets_host) {
    CHECK(rig_up(answer_always, NULL) == 0);
    ask(&rig.gw.addr, "GET http://real.example/a?b HTTP/1.1\r\nHost: other\r\n" LAST);
    CHECK(strstr(rig.got.p, "GET /a?b HTTP/1.1\r\nHost: real.example\r\n") == rig.got.p && !has(&rig.got, "other"));
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_upstream_connection_is_reused) {
    CHECK(rig_up(answer_always, NULL) == 0);
    cyg_conn *c = dial(&rig.gw.addr);
    for (int i = 0; i < 20; i++) {
        struct text t = {.n = 0};
        CHECK(put(c, GET "\r\n") == 0);
        get_until(c, &t, "\r\n\r\nok");
        CHECK(has(&t, "\r\n\r\nok") && !has(&t, "Connection"));
    }
    cyg_close(c);
    cyg_connpool_stats st;
    cyg_connpool_get_stats(cyg_http_pool_conns(rig.pool), &st);
    CHECK(st.opens_total == 1 && st.opens_total + st.reuses_total == 20);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_chunked_answer_stays_chunked_for_1_1_and_lasts_until_close_for_1_0) {
    CHECK(rig_up(answer_always, NULL) == 0);
    rig.answer =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Trailer: 1\r\n\r\n";
    struct text *t = ask(&rig.gw.addr, GET LAST);
    CHECK(has(t, "Transfer-Encoding: chunked\r\n") && has(t, "\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n") &&
          !has(t, "X-Trailer"));
    t = ask(&rig.gw.addr, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(!has(t, "Transfer-Encoding") && has(t, "Connection: close\r\n") && has(t, "\r\n\r\nabcdefg") && t->end == CYG_EOF);
    CHECK(rig.up.accepted == 1);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_close_delimited_answer_is_made_chunked) {
    CHECK(rig_up(answer_and_close, NULL) == 0);
    rig.answer = "HTTP/1.0 200 OK\r\n\r\nuntil the end";
    struct text *t = ask(&rig.gw.addr, GET LAST);
    CHECK(has(t, "HTTP/1.1 200 OK\r\n") && has(t, "Transfer-Encoding: chunked\r\n") && has(t, "until the end\r\n0\r\n\r\n"));
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_answers_without_body) {
    CHECK(rig_up(answer_always, NULL) == 0);
    rig.answer = "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n";
    struct text *t = ask(&rig.gw.addr, GET LAST);
    CHECK(has(t, "204 No Content") && !has(t, "Content-Length") && !has(t, "Transfer-Encoding"));
    rig.answer = "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n";
    t = ask(&rig.gw.addr, GET LAST);
    CHECK(has(t, "304 Not Modified") && has(t, "Content-Length: 5\r\n") && !has(t, "Transfer-Encoding"));
    rig.answer = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
    t = ask(&rig.gw.addr, "HEAD / HTTP/1.1\r\nHost: a\r\n" LAST);
    CHECK(has(t, "Content-Length: 7\r\n"));
    rig.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    t = ask(&rig.gw.addr, "HEAD / HTTP/1.1\r\nHost: a\r\n" LAST);
    CHECK(has(t, "200 OK") && !has(t, "Transfer-Encoding"));
    CHECK(rig.up.accepted == 1);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_every_interim_answer_is_passed_on_in_order) {
    CHECK(rig_up(answer_always, NULL) == 0);
    rig.answer = "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: "
                 "x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    struct text *t = ask(&rig.gw.addr, GET LAST);
    CHECK(strstr(t->p,
                 "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n") ==
          t->p);
    t = ask(&rig.gw.addr, "GET / HTTP/1.0\r\n\r\n");
    CHECK(strstr(t->p, "HTTP/1.1 200 OK\r\n") == t->p);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_unasked_101_is_a_protocol_error) {
    CHECK(rig_up(answer_always, NULL) == 0);
    rig.answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n";
    struct text *t = ask(&rig.gw.addr, GET "Upgrade: x\r\nConnection: upgrade, close\r\n\r\n");
    CHECK(has(t, "upstream_protocol_error") && rig.last.status == CYG_FORWARD_PROTOCOL_ERROR);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_extra_bytes_end_the_upstream_connection) {
    CHECK(rig_up(answer_always, NULL) == 0);
    rig.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    struct text *t = ask(&rig.gw.addr, GET "\r\n" GET LAST);
    CHECK(count(t, "ok") == 2 && !has(t, "evil") && rig.up.accepted == 2);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_large_answer_streams_through) {
    CHECK(rig_up(answer_always, NULL) == 0);
    static char big[200128];
    size_t n = (size_t)sprintf(big, "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n");
    for (size_t i = 0; i < 200000; i++) big[n + i] = (char)('a' + i % 23);
    rig.answer = big;
    struct text *t = ask(&rig.gw.addr, GET LAST);
    const char *body = strstr(t->p, "\r\n\r\n");
    CHECK(body && t->n == (size_t)(body + 4 - t->p) + 200000 && memcmp(body + 4, big + n, 200000) == 0);
    CHECK(rig_down() == 0);
    return 0;
}

/* The first connection answers once and closes at the second request; later ones serve on. */
static void dies_at_second(cyg_conn *c, int nth) {
    struct text *t = calloc(1, sizeof *t);
    get_until(c, t, "\r\n\r\n");
    put(c, rig.answer);
    t->n = 0;
    t->p[0] = 0;
    get_until(c, t, "\r\n\r\n"); /* the request is read, then the connection goes */
    if (nth > 0) put(c, rig.answer);
    free(t);
}

TEST(test_dead_reused_connection_is_replaced_for_idempotent_requests) {
    CHECK(rig_up(dies_at_second, NULL) == 0);
    CHECK(has(ask(&rig.gw.addr, GET LAST), "\r\n\r\nok"));
    CHECK(has(ask(&rig.gw.addr, GET LAST), "\r\n\r\nok"));
    CHECK(rig.last.retried && !rig.last.reused && rig.up.accepted == 2);
    CHECK(rig_down() == 0);
    return 0;
}

static void hangs_up(cyg_conn *c, int nth) {
    (void)nth;
    get_until(c, &rig.got, "\r\n\r\n");
}

TEST(test_new_connection_that_dies_is_not_tried_again) {
    CHECK(rig_up(hangs_up, NULL) == 0);
    CHECK(has(ask(&rig.gw.addr, GET LAST), "upstream_reset"));
    CHECK(!rig.last.retried && rig.last.err == CYG_EOF && rig.up.accepted == 1);
    CHECK(rig_down() == 0);
    return 0;
}

/* The same, but with it goes the listener. */
static void dies_for_good(cyg_conn *c, int nth) {
    get_until(c, &rig.got, "\r\n\r\n");
    put(c, rig.answer);
    rig.got.n = 0;
    rig.got.p[0] = 0;
    get_until(c, &rig.got, "\r\n\r\n");
    if (nth == 0) cyg_listener_close(cyg_listener_acquire(rig.up.l));
}

TEST(test_second_try_without_a_connection_is_a_connect_failure) {
    CHECK(rig_up(dies_for_good, NULL) == 0);
    CHECK(has(ask(&rig.gw.addr, GET LAST), "\r\n\r\nok"));
    CHECK(rig.last.connected > 0);
    struct text *t = ask(&rig.gw.addr, GET LAST);
    CHECK(has(t, "upstream_connect_failure") && rig.last.err == -ECONNREFUSED);
    CHECK(rig.last.retried && !rig.last.reused && !rig.last.connected && rig.up.accepted == 1);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_post_is_not_sent_twice) {
    CHECK(rig_up(dies_at_second, NULL) == 0);
    CHECK(has(ask(&rig.gw.addr, GET LAST), "\r\n\r\nok"));
    struct text *t = ask(&rig.gw.addr, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" LAST);
    CHECK(has(t, "upstream_reset") && rig.last.status == CYG_FORWARD_RESET && !rig.last.retried && rig.up.accepted == 1);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_put_with_its_body_is_sent_again) {
    CHECK(rig_up(dies_at_second, NULL) == 0);
    CHECK(has(ask(&rig.gw.addr, GET LAST), "\r\n\r\nok"));
    CHECK(has(ask(&rig.gw.addr, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n" LAST "abc"), "\r\n\r\nok"));
    CHECK(rig.last.retried && rig.up.accepted == 2);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_nobody_there_is_a_connect_failure) {
    CHECK(rig_up(answer_always, NULL) == 0);
    upstream_down(&rig.up);
    struct text *t = ask(&rig.gw.addr, GET LAST);
    CHECK(has(t, "upstream_connect_failure") && rig.last.err == -ECONNREFUSED && !rig.last.connected);
    CHECK(server_down(&rig.gw) == 0);
    cyg_http_pool_close(rig.pool);
    return 0;
}

static void silent(cyg_conn *c, int nth) {
    (void)nth;
    get_all(c, &rig.got);
}

TEST(test_silent_upstream_times_out) {
    CHECK(rig_up(silent, NULL) == 0);
    rig.timeout = 40 * CYG_MILLISECOND;
    struct text *t = ask(&rig.gw.addr, GET LAST);
    CHECK(has(t, "upstream_timeout") && rig.last.status == CYG_FORWARD_TIMEOUT && rig.last.err == CYG_ETIMEDOUT);
    CHECK(rig_down() == 0);
    return 0;
}

/* The second request's deadline lies close behind the one that the connection still has from the first, or far behind it. */
TEST(test_kept_connection_gets_each_requests_own_deadline) {
    for (int far = 0; far < 2; far++) {
        CHECK(rig_up(answer_always, NULL) == 0);
        rig.timeout = far ? 60 * CYG_MILLISECOND : 300 * CYG_MILLISECOND;
        struct text *t = ask(&rig.gw.addr, GET LAST);
        for (; has(t, "upstream_timeout") && rig.timeout < PATIENCE; rig.timeout *= 2) /* the machine stood still: more time */
            t = ask(&rig.gw.addr, GET LAST);
        CHECK(has(t, "\r\n\r\nok"));
        rig.answer = ""; /* from now on it is silent */
        rig.timeout = 300 * CYG_MILLISECOND;
        cyg_sleep(20 * CYG_MILLISECOND);
        cyg_time before = cyg_now();
        CHECK(has(ask(&rig.gw.addr, GET LAST), "upstream_timeout"));
        CHECK(rig.last.reused && cyg_now() - before >= rig.timeout);
        CHECK(rig_down() == 0);
    }
    return 0;
}

TEST(test_nonsense_is_a_protocol_error) {
    CHECK(rig_up(answer_and_close, NULL) == 0);
    rig.answer = "SSH-2.0-OpenSSH\r\n\r\n";
    CHECK(has(ask(&rig.gw.addr, GET LAST), "upstream_protocol_error"));
    rig.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok";
    CHECK(has(ask(&rig.gw.addr, GET LAST), "upstream_protocol_error"));
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_cut_answer_resets_the_client) {
    CHECK(rig_up(answer_and_close, NULL) == 0);
    const char *cut[] = {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf",
                         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"};
    for (int i = 0; i < 2; i++) {
        rig.answer = cut[i];
        struct text *t = ask(&rig.gw.addr, GET LAST);
        CHECK(t->end == -ECONNRESET);
        CHECK(EVENTUALLY(__atomic_load_n(&rig.ended, __ATOMIC_ACQUIRE) == i + 1));
        CHECK(rig.last.status == CYG_FORWARD_ANSWER_CUT && rig.last.answered);
    }
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_half_closed_client_still_gets_its_answer) {
    CHECK(rig_up(answer_always, NULL) == 0);
    cyg_conn *c = dial(&rig.gw.addr);
    CHECK(put(c, GET "\r\n") == 0 && cyg_close_write(c) == 0);
    struct text t = {.n = 0};
    get_all(c, &t);
    CHECK(has(&t, "\r\n\r\nok") && t.end == CYG_EOF);
    cyg_close(c);
    CHECK(rig_down() == 0);
    return 0;
}

TEST(test_connect_is_refused_and_max_forwards_counted) {
    CHECK(rig_up(answer_always, NULL) == 0);
    struct text *t = ask(&rig.gw.addr, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n" LAST);
    CHECK(has(t, "upgrade_not_supported") && rig.last.status == CYG_FORWARD_NOT_ALLOWED);
    t = ask(&rig.gw.addr, "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n" LAST);
    CHECK(has(t, "200 OK") && rig.got.n == 0);
    ask(&rig.gw.addr, "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n" LAST);
    CHECK(strstr(rig.got.p, "OPTIONS * HTTP/1.1\r\n") == rig.got.p && has(&rig.got, "Max-Forwards: 2\r\n"));
    ask(&rig.gw.addr, "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: far\r\nMax-Forwards: 8\r\n" LAST);
    CHECK(has(&rig.got, "Max-Forwards: far\r\n") && has(&rig.got, "Max-Forwards: 7\r\n")); /* each by itself */
    ask(&rig.gw.addr, "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n" LAST);
    CHECK(has(&rig.got, "Max-Forwards: 3\r\n")); /* it counts for OPTIONS and TRACE alone */
    CHECK(rig_down() == 0);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hop_by_hop_fields_stop_here_and_ours_are_added),
        cmocka_unit_test(test_trusted_clients_forwarded_fields_are_added_to),
        cmocka_unit_test(test_absolute_target_becomes_origin_form_and_sets_host),
        cmocka_unit_test(test_upstream_connection_is_reused),
        cmocka_unit_test(test_chunked_answer_stays_chunked_for_1_1_and_lasts_until_close_for_1_0),
        cmocka_unit_test(test_close_delimited_answer_is_made_chunked),
        cmocka_unit_test(test_answers_without_body),
        cmocka_unit_test(test_every_interim_answer_is_passed_on_in_order),
        cmocka_unit_test(test_unasked_101_is_a_protocol_error),
        cmocka_unit_test(test_extra_bytes_end_the_upstream_connection),
        cmocka_unit_test(test_large_answer_streams_through),
        cmocka_unit_test(test_dead_reused_connection_is_replaced_for_idempotent_requests),
        cmocka_unit_test(test_new_connection_that_dies_is_not_tried_again),
        cmocka_unit_test(test_second_try_without_a_connection_is_a_connect_failure),
        cmocka_unit_test(test_post_is_not_sent_twice),
        cmocka_unit_test(test_put_with_its_body_is_sent_again),
        cmocka_unit_test(test_nobody_there_is_a_connect_failure),
        cmocka_unit_test(test_silent_upstream_times_out),
        cmocka_unit_test(test_kept_connection_gets_each_requests_own_deadline),
        cmocka_unit_test(test_nonsense_is_a_protocol_error),
        cmocka_unit_test(test_cut_answer_resets_the_client),
        cmocka_unit_test(test_half_closed_client_still_gets_its_answer),
        cmocka_unit_test(test_connect_is_refused_and_max_forwards_counted),
    };
    return RUN(tests);
}
