/* Request bodies: by length and chunked, however the bytes come; Expect: 100-continue; what the handler leaves unread. */
#include "harness.h"

/* Answers "count:checksum" of the body, read in pieces of 7 bytes. */
static void sum(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    unsigned total = 0, n = 0;
    char p[7];
    ssize_t r;
    while ((r = cyg_http_req_read(req, p, sizeof p)) > 0)
        for (ssize_t i = 0; i < r; i++, n++) total += (unsigned char)p[i] * (n % 251 + 1);
    if (r == CYG_EOF) cyg_http_printf(res, 200, NULL, "%u:%u:%d;", n, total, (int)cyg_http_req_body_bytes(req));
}

static unsigned checksum(const char *p, size_t n) {
    unsigned total = 0;
    for (size_t i = 0; i < n; i++) total += (unsigned char)p[i] * (unsigned)(i % 251 + 1);
    return total;
}

TEST(test_body_by_length_and_the_next_request_behind_it) {
    struct server sv;
    CHECK(server_up(&sv, sum, NULL, NULL) == 0);
    struct text *t = ask(&sv.addr, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world"
                                   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    char want[64];
    snprintf(want, sizeof want, "11:%u:11;", checksum("hello world", 11));
    CHECK(has(t, want) && has(t, "0:0:0;"));
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_chunked_body_with_extensions_and_trailers) {
    struct server sv;
    CHECK(server_up(&sv, sum, NULL, NULL) == 0);
    struct text *t = ask(&sv.addr, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                   "5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-T: 1\r\n\r\n"
                                   "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    char want[64];
    snprintf(want, sizeof want, "11:%u:11;", checksum("hello world", 11));
    CHECK(has(t, want) && has(t, "0:0:0;"));
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_long_bodies_in_many_writes) {
    struct server sv;
    CHECK(server_up(&sv, sum, NULL, NULL) == 0);
    static char data[150000];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)(i * 7);
    char want[64], line[64];
    snprintf(want, sizeof want, "150000:%u:150000;", checksum(data, sizeof data));
    for (int chunked = 0; chunked < 2; chunked++) {
        cyg_conn *c = dial(&sv.addr);
        CHECK(put(c, chunked ? "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                             : "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 150000\r\n\r\n") == 0);
        for (size_t at = 0, step = 1; at < sizeof data; at += step, step = step * 3 % 9973 + 1) {
            if (step > sizeof data - at) step = sizeof data - at;
            snprintf(line, sizeof line, "%zx\r\n", step);
            if (chunked) CHECK(put(c, line) == 0);
            CHECK(cyg_write(c, data + at, step) == (ssize_t)step);
            if (chunked) CHECK(put(c, "\r\n") == 0);
        }
        CHECK(put(c, chunked ? "0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                             : "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") == 0);
        struct text t = {.n = 0};
        get_all(c, &t);
        CHECK(has(&t, want) && has(&t, "0:0:0;"));
        cyg_close(c);
    }
    CHECK(server_down(&sv) == 0);
    return 0;
}

static void tell_head_last(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    cyg_str piece;
    while (cyg_http_req_next(req, &piece) > 0) {}
    cyg_str f = cyg_http_req_field(req, "X-Last"), h = cyg_http_req_host(req), p = cyg_http_req_path(req);
    cyg_http_printf(res, 200, NULL, "[" CYG_STR_FMT "|" CYG_STR_FMT "|" CYG_STR_FMT "]", CYG_STR_ARG(p), CYG_STR_ARG(h),
                    CYG_STR_ARG(f));
}

TEST(test_head_can_be_read_after_a_long_body) {
    struct server sv;
    CHECK(server_up(&sv, tell_head_last, NULL, NULL) == 0);
    static char data[100000];
    for (int pad = 0; pad < 7000; pad += 3300) { /* little and much room behind the head */
        char head[8000];
        int n = snprintf(head, sizeof head, "POST /some/path HTTP/1.1\r\nHost: the.host\r\nX-Pad: ");
        memset(head + n, 'p', (size_t)pad);
        snprintf(head + n + pad, sizeof head - (size_t)(n + pad),
                 "\r\nX-Last: value\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n");
        cyg_conn *c = dial(&sv.addr);
        CHECK(put(c, head) == 0);
        for (size_t at = 0; at < sizeof data; at += 5000) CHECK(cyg_write(c, data + at, 5000) == 5000);
        struct text t = {.n = 0};
        get_all(c, &t);
        CHECK(has(&t, "[/some/path|the.host|value]"));
        cyg_close(c);
    }
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_expecting_client_gets_100_when_the_body_is_read) {
    struct server sv;
    CHECK(server_up(&sv, sum, NULL, NULL) == 0);
    cyg_conn *c = dial(&sv.addr);
    CHECK(put(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n") == 0);
    struct text t = {.n = 0};
    get_until(c, &t, "\r\n\r\n");
    CHECK(strcmp(t.p, "HTTP/1.1 100 Continue\r\n\r\n") == 0);
    CHECK(put(c, "hello") == 0);
    get_until(c, &t, ";");
    CHECK(has(&t, "HTTP/1.1 200 OK\r\n") && !has(&t, "Connection: close"));
    cyg_close(c);
    CHECK(server_down(&sv) == 0);
    return 0;
}

static void refuse(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)req, (void)arg;
    cyg_http_send(res, 403, NULL, "no", 2);
}

TEST(test_final_answer_instead_of_100_closes) {
    struct server sv;
    CHECK(server_up(&sv, refuse, NULL, NULL) == 0);
    struct text *t = ask(&sv.addr, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    CHECK(!has(t, "100 Continue") && has(t, "403 Forbidden") && has(t, "Connection: close\r\n") && t->end == CYG_EOF);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_small_unread_body_is_skipped_and_the_connection_kept) {
    struct server sv;
    CHECK(server_up(&sv, refuse, NULL, NULL) == 0);
    struct text *t =
        ask(&sv.addr, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
                      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                      "5\r\nhello\r\n0\r\n\r\n");
    CHECK(count(t, "403 Forbidden") == 2);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_large_unread_body_does_not_destroy_the_answer) {
    struct server sv;
    CHECK(server_up(&sv, refuse, NULL, NULL) == 0);
    static char data[600000];
    cyg_conn *c = dial(&sv.addr);
    CHECK(put(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n") == 0);
    CHECK(cyg_write(c, data, sizeof data) == sizeof data);
    struct text t = {.n = 0};
    get_all(c, &t);
    CHECK(has(&t, "403 Forbidden") && t.end == CYG_EOF);
    cyg_close(c);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_bad_chunk_and_cut_body_are_told_to_the_handler) {
    struct server sv;
    CHECK(server_up(&sv, sum, NULL, NULL) == 0);
    struct text *t = ask(&sv.addr, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX");
    CHECK(has(t, "400 Bad Request") && has(t, "X-Cygnet-Reason: bad_chunk_end\r\n") && t->end == CYG_EOF);
    cyg_conn *c = dial(&sv.addr);
    CHECK(put(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello") == 0 && cyg_close_write(c) == 0);
    struct text u = {.n = 0};
    get_all(c, &u);
    CHECK(has(&u, "400 Bad Request"));
    cyg_close(c);
    CHECK(server_down(&sv) == 0);
    return 0;
}

/* Answers while it reads. */
static void mirror(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    cyg_str piece;
    cyg_http_res_begin(res, 200, NULL, 0, CYG_HTTP_BODY_CHUNKED);
    while (cyg_http_req_next(req, &piece) > 0) cyg_http_res_write(res, piece.p, piece.n);
}

TEST(test_answer_flows_while_the_body_is_read) {
    struct server sv;
    CHECK(server_up(&sv, mirror, NULL, NULL) == 0);
    cyg_conn *c = dial(&sv.addr);
    CHECK(put(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc") == 0);
    struct text t = {.n = 0};
    get_until(c, &t, "3\r\nabc\r\n");
    CHECK(has(&t, "abc"));
    CHECK(put(c, "def") == 0);
    get_until(c, &t, "0\r\n\r\n");
    CHECK(has(&t, "3\r\ndef\r\n0\r\n\r\n"));
    cyg_close(c);
    CHECK(server_down(&sv) == 0);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_by_length_and_the_next_request_behind_it),
        cmocka_unit_test(test_chunked_body_with_extensions_and_trailers),
        cmocka_unit_test(test_long_bodies_in_many_writes),
        cmocka_unit_test(test_head_can_be_read_after_a_long_body),
        cmocka_unit_test(test_expecting_client_gets_100_when_the_body_is_read),
        cmocka_unit_test(test_final_answer_instead_of_100_closes),
        cmocka_unit_test(test_small_unread_body_is_skipped_and_the_connection_kept),
        cmocka_unit_test(test_large_unread_body_does_not_destroy_the_answer),
        cmocka_unit_test(test_bad_chunk_and_cut_body_are_told_to_the_handler),
        cmocka_unit_test(test_answer_flows_while_the_body_is_read),
    };
    return RUN(tests);
}
