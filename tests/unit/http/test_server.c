/* Requests and answers on one connection: keep-alive, pipelining, versions, HEAD, how answers are framed and ended. */
#include "harness.h"

static void hello(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)req, (void)arg;
    cyg_http_send(res, 200, "text/plain", "hello", 5);
}

TEST(test_answer_has_date_type_length_and_body) {
    struct server sv;
    CHECK(server_up(&sv, hello, NULL, NULL) == 0);
    struct text *t = ask(&sv.addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK(strncmp(t->p, "HTTP/1.1 200 OK\r\nDate: ", 23) == 0);
    CHECK(has(t, " GMT\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"));
    CHECK(t->end == CYG_EOF);
    CHECK(server_down(&sv) == 0);
    CHECK(sv.serve_err == CYG_ECLOSED);
    return 0;
}

TEST(test_keep_alive_serves_many_requests_on_one_connection) {
    struct server sv;
    CHECK(server_up(&sv, hello, NULL, NULL) == 0);
    cyg_conn *c = dial(&sv.addr);
    for (int i = 0; i < 50; i++) {
        struct text t = {.n = 0};
        CHECK(put(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
        get_until(c, &t, "hello");
        CHECK(has(&t, "hello") && !has(&t, "Connection"));
    }
    cyg_http_server_stats st;
    cyg_http_server_get_stats(sv.s, &st);
    CHECK(st.conns == 1 && st.conns_total == 1 && st.requests_total == 50);
    cyg_close(c);
    CHECK(EVENTUALLY((cyg_http_server_get_stats(sv.s, &st), st.conns == 0)));
    CHECK(st.requests_total == 50);
    CHECK(server_down(&sv) == 0);
    return 0;
}

static void path(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    cyg_http_printf(res, 200, "text/plain", "<" CYG_STR_FMT ">", CYG_STR_ARG(cyg_http_req_path(req)));
}

TEST(test_pipelined_requests_are_answered_in_order) {
    struct server sv;
    CHECK(server_up(&sv, path, NULL, NULL) == 0);
    static char many[40000];
    size_t n = 0;
    for (int i = 0; i < 700; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, "GET /%d HTTP/1.1\r\nHost: a\r\n%s\r\n", i,
                              i == 699 ? "Connection: close\r\n" : "");
    struct text *t = ask(&sv.addr, many);
    const char *p = t->p;
    for (int i = 0; i < 700; i++) {
        char want[32];
        snprintf(want, sizeof want, "</%d>", i);
        CHECK((p = strstr(p, want)) != NULL);
    }
    CHECK(count(t, "HTTP/1.1 200 OK") == 700);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_pipelined_answers_leave_together) {
    struct server sv;
    CHECK(server_up(&sv, hello, NULL, NULL) == 0);
    cyg_conn *c = dial(&sv.addr);
    CHECK(put(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: "
                 "a\r\n\r\nGET ") == 0);
    struct text t = {.n = 0};
    ssize_t n = cyg_read(c, t.p, sizeof t.p - 1);
    CHECK(n > 0);
    CHECK(count(&t, "hello") == 3);
    CHECK(put(c, "/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") == 0);
    t.n = (size_t)n;
    get_all(c, &t);
    CHECK(count(&t, "hello") == 4);
    cyg_close(c);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_request_in_single_bytes_is_read) {
    struct server sv;
    CHECK(server_up(&sv, path, NULL, NULL) == 0);
    cyg_conn *c = dial(&sv.addr);
    const char *r = "GET /slow?x=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for (; *r; r++) {
        CHECK(cyg_write(c, r, 1) == 1);
        cyg_yield();
    }
    struct text t = {.n = 0};
    get_all(c, &t);
    CHECK(has(&t, "</slow>"));
    cyg_close(c);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_http_1_0_closes_unless_asked_to_stay) {
    struct server sv;
    CHECK(server_up(&sv, hello, NULL, NULL) == 0);
    struct text *t = ask(&sv.addr, "GET / HTTP/1.0\r\n\r\n");
    CHECK(has(t, "Connection: close\r\n") && has(t, "hello") && t->end == CYG_EOF);
    t = ask(&sv.addr, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n");
    CHECK(count(t, "hello") == 2 && count(t, "Connection: keep-alive\r\n") == 1);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_head_gets_the_head_alone) {
    struct server sv;
    CHECK(server_up(&sv, hello, NULL, NULL) == 0);
    struct text *t =
        ask(&sv.addr, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK(count(t, "Content-Length: 5\r\n") == 2 && count(t, "hello") == 1);
    CHECK(server_down(&sv) == 0);
    return 0;
}

static void stream(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)req;
    cyg_http_field f = {CYG_STR("X-Kind"), CYG_STR("stream"), 0};
    cyg_http_res_begin(res, 200, &f, 1, *(int64_t *)arg);
    cyg_http_res_write(res, "one,", 4);
    cyg_http_res_flush(res);
    cyg_http_res_write(res, "two", 3);
}

TEST(test_streamed_body_is_chunked_or_until_close) {
    struct server sv;
    int64_t length = CYG_HTTP_BODY_CHUNKED;
    CHECK(server_up(&sv, stream, &length, NULL) == 0);
    struct text *t =
        ask(&sv.addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK(count(t, "Transfer-Encoding: chunked\r\n") == 2 && count(t, "4\r\none,\r\n3\r\ntwo\r\n0\r\n\r\n") == 2);
    CHECK(has(t, "X-Kind: stream\r\n"));
    t = ask(&sv.addr, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(!has(t, "Transfer-Encoding") && has(t, "Connection: close\r\n") && has(t, "\r\n\r\none,two") && t->end == CYG_EOF);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_too_short_body_resets_the_connection) {
    struct server sv;
    int64_t length = 10;
    CHECK(server_up(&sv, stream, &length, NULL) == 0);
    struct text *t = ask(&sv.addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(t->end == -ECONNRESET);
    CHECK(server_down(&sv) == 0);
    return 0;
}

static void big(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)req;
    cyg_http_send(res, 200, "text/plain", arg, 200000);
}

TEST(test_large_body_arrives_whole) {
    struct server sv;
    static char data[200000];
    memset(data, 'x', sizeof data);
    CHECK(server_up(&sv, big, data, NULL) == 0);
    struct text *t = ask(&sv.addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const char *body = strstr(t->p, "\r\n\r\n");
    CHECK(body && (size_t)(t->p + t->n - (body + 4)) == sizeof data);
    CHECK(server_down(&sv) == 0);
    return 0;
}

static void with_fields(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)req;
    int *results = arg;
    results[0] = cyg_http_res_add(res, CYG_STR("X-One"), CYG_STR("1"));
    results[1] = cyg_http_res_add(res, CYG_STR("X-Evil"), CYG_STR("1\r\nX-Two: 2"));
    results[2] = cyg_http_res_add(res, CYG_STR("Content-Length"), CYG_STR("7"));
    for (int i = 0; i < 100; i++)
        results[3] = cyg_http_res_add(res, CYG_STR("X-Long"), CYG_STR("0123456789012345678901234567890123456789"));
    cyg_http_send(res, 204, NULL, "gone", 4);
    results[4] = cyg_http_send(res, 200, NULL, "again", 5);
}

TEST(test_added_fields_go_out_and_line_breaks_are_refused) {
    struct server sv;
    int r[5];
    CHECK(server_up(&sv, with_fields, r, NULL) == 0);
    struct text *t = ask(&sv.addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK(r[0] == 0 && r[1] == CYG_EINVAL && r[2] == CYG_EINVAL && r[3] == 0 && r[4] == CYG_ESTATE);
    CHECK(has(t, "HTTP/1.1 204 No Content\r\n") && has(t, "X-One: 1\r\n") && !has(t, "X-Two") && count(t, "X-Long: ") == 100);
    CHECK(!has(t, "Content-Length") && !has(t, "gone") && !has(t, "again"));
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_half_closed_client_gets_its_answer) {
    struct server sv;
    CHECK(server_up(&sv, hello, NULL, NULL) == 0);
    cyg_conn *c = dial(&sv.addr);
    CHECK(put(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 0 && cyg_close_write(c) == 0);
    struct text t = {.n = 0};
    get_all(c, &t);
    CHECK(has(&t, "hello") && t.end == CYG_EOF);
    cyg_close(c);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_clients_that_leave_early_are_forgotten) {
    struct server sv;
    CHECK(server_up(&sv, hello, NULL, NULL) == 0);
    const char *parts[] = {"", "GET", "GET / HTTP/1.1\r\nHost: a\r\n",
                           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"};
    for (size_t i = 0; i < 4; i++) {
        cyg_conn *c = dial(&sv.addr);
        if (*parts[i]) CHECK(put(c, parts[i]) == 0);
        cyg_close(c);
    }
    cyg_http_server_stats st;
    CHECK(EVENTUALLY((cyg_http_server_get_stats(sv.s, &st), st.conns_total == 4 && st.conns == 0)));
    CHECK(server_down(&sv) == 0);
    return 0;
}

static void nothing(cyg_http_req *req, cyg_http_res *res, void *arg) { (void)req, (void)res, (void)arg; }

TEST(test_handler_that_says_nothing_answers_200) {
    struct server sv;
    CHECK(server_up(&sv, nothing, NULL, NULL) == 0);
    struct text *t = ask(&sv.addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK(has(t, "HTTP/1.1 200 OK\r\n") && has(t, "Content-Length: 0\r\n"));
    CHECK(server_down(&sv) == 0);
    return 0;
}

static void accessors(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    size_t n;
    cyg_http_req_fields(req, &n);
    cyg_http_printf(
        res, 200, NULL, CYG_STR_FMT "|" CYG_STR_FMT "|" CYG_STR_FMT "|" CYG_STR_FMT "|" CYG_STR_FMT "|%d|%zu|%d|%lld",
        CYG_STR_ARG(cyg_http_req_method(req)), CYG_STR_ARG(cyg_http_req_path(req)), CYG_STR_ARG(cyg_http_req_query(req)),
        CYG_STR_ARG(cyg_http_req_host(req)), CYG_STR_ARG(cyg_http_req_field(req, "x-a")), cyg_http_req_version(req), n,
        cyg_http_req_peer(req)->family, (long long)cyg_http_req_content_length(req));
}

TEST(test_accessors_tell_what_came) {
    struct server sv;
    CHECK(server_up(&sv, accessors, NULL, NULL) == 0);
    struct text *t =
        ask(&sv.addr, "GET /a%20b/c?q=/x?y HTTP/1.1\r\nHost: ex.org:81\r\nX-A:  v \r\nConnection: close\r\n\r\n");
    CHECK(has(t, "GET|/a%20b/c|q=/x?y|ex.org:81|v|11|3|4|0"));
    t = ask(&sv.addr, "GET http://abs.org?z HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n");
    CHECK(has(t, "GET|/|z|abs.org||11|2|4|0"));
    CHECK(server_down(&sv) == 0);
    return 0;
}

static bool same(cyg_str a, cyg_str b) { return a.p == b.p && a.n == b.n; }

static void infos(cyg_http_req *req, cyg_http_res *res, void *arg) {
    cyg_http_req_info q;
    cyg_http_res_info before, after;
    size_t n;
    cyg_str piece;
    cyg_http_req_get_info(req, &q);
    bool told = same(q.method, cyg_http_req_method(req)) && same(q.target, cyg_http_req_target(req)) &&
                same(q.path, cyg_http_req_path(req)) && same(q.host, cyg_http_req_host(req)) &&
                same(q.peer_text, cyg_http_req_peer_text(req)) && same(q.peer_ip_text, cyg_http_req_peer_ip_text(req)) &&
                q.fields == cyg_http_req_fields(req, &n) && q.nfields == n && q.start == cyg_http_req_start(req) &&
                q.version == cyg_http_req_version(req) && q.version == 10 && q.peer_ip_text.n > 0;
    cyg_http_res_get_info(res, &before);
    told = told && before.status == 0 && before.body_bytes == 0 && before.req_body_bytes == 0 && !before.failed;
    while (cyg_http_req_next(req, &piece) >= 0) {}
    cyg_http_send(res, 201, NULL, "told", 4);
    cyg_http_res_get_info(res, &after);
    told = told && after.status == 201 && after.body_bytes == 4 && after.req_body_bytes == 7 && !after.failed;
    __atomic_store_n((int *)arg, told ? 1 : 2, __ATOMIC_RELEASE);
}

TEST(test_infos_tell_what_the_accessors_do) {
    struct server sv;
    int told = 0;
    CHECK(server_up(&sv, infos, &told, NULL) == 0);
    struct text *t = ask(&sv.addr, "POST /a?b HTTP/1.0\r\nHost: h\r\nX-A: v\r\nContent-Length: 7\r\n\r\n1234567");
    CHECK(has(t, "201 Created"));
    CHECK(__atomic_load_n(&told, __ATOMIC_ACQUIRE) == 1);
    CHECK(server_down(&sv) == 0);
    return 0;
}

static void informs(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)req, (void)arg;
    cyg_http_field f = {CYG_STR("Link"), CYG_STR("</s.css>"), 0};
    cyg_http_res_inform(res, 103, &f, 1);
    cyg_http_send(res, 200, NULL, "final", 5);
}

TEST(test_interim_answers_go_to_1_1_only) {
    struct server sv;
    CHECK(server_up(&sv, informs, NULL, NULL) == 0);
    struct text *t = ask(&sv.addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK(strstr(t->p, "HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\nHTTP/1.1 200 OK\r\n") == t->p);
    t = ask(&sv.addr, "GET / HTTP/1.0\r\n\r\n");
    CHECK(!has(t, "103") && has(t, "final"));
    CHECK(server_down(&sv) == 0);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_has_date_type_length_and_body),
        cmocka_unit_test(test_keep_alive_serves_many_requests_on_one_connection),
        cmocka_unit_test(test_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(test_pipelined_answers_leave_together),
        cmocka_unit_test(test_request_in_single_bytes_is_read),
        cmocka_unit_test(test_http_1_0_closes_unless_asked_to_stay),
        cmocka_unit_test(test_head_gets_the_head_alone),
        cmocka_unit_test(test_streamed_body_is_chunked_or_until_close),
        cmocka_unit_test(test_too_short_body_resets_the_connection),
        cmocka_unit_test(test_large_body_arrives_whole),
        cmocka_unit_test(test_added_fields_go_out_and_line_breaks_are_refused),
        cmocka_unit_test(test_half_closed_client_gets_its_answer),
        cmocka_unit_test(test_clients_that_leave_early_are_forgotten),
        cmocka_unit_test(test_handler_that_says_nothing_answers_200),
        cmocka_unit_test(test_accessors_tell_what_came),
        cmocka_unit_test(test_infos_tell_what_the_accessors_do),
        cmocka_unit_test(test_interim_answers_go_to_1_1_only),
    };
    return RUN(tests);
}
