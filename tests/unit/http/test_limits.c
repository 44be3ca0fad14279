/* What the server refuses by itself, each limit and timeout with its status and reason word. */
#include "harness.h"

static void hello(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    char p[64];
    ssize_t n;
    while ((n = cyg_http_req_read(req, p, sizeof p)) > 0) {}
    if (n == CYG_EOF) cyg_http_send(res, 200, "text/plain", "hello", 5);
}

struct refused {
    int status, count;
    char reason[32];
};

static void on_refused(void *arg, int status, const char *reason, const cyg_addr *peer, const cyg_http_req *req) {
    (void)req;
    struct refused *r = arg;
    r->status = status;
    snprintf(r->reason, sizeof r->reason, "%s", reason);
    __atomic_add_fetch(&r->count, peer->family == CYG_AF_IPV4, __ATOMIC_RELEASE);
}

/* Whether this request is answered with this status and reason, in body, field and callback alike. */
static int refuses(const cyg_http_server_opts *opts, const char *request, int status, const char *reason) {
    struct refused r = {0};
    cyg_http_server_opts o = *opts;
    o.on_refused = on_refused;
    o.on_refused_arg = &r;
    struct server sv;
    char line[64], field[96], body[64];
    CHECK(server_up(&sv, hello, NULL, &o) == 0);
    struct text *t = ask(&sv.addr, request);
    snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
    snprintf(field, sizeof field, "X-Cygnet-Reason: %s\r\n", reason);
    snprintf(body, sizeof body, "\r\n\r\n%s\n", reason);
    if (!has(t, line)) fprintf(stderr, "want %s, got: %s\n", reason, t->p);
    CHECK(has(t, line) && has(t, field) && has(t, body) && has(t, "Connection: close\r\n"));
    CHECK(t->end == CYG_EOF);
    CHECK(EVENTUALLY(__atomic_load_n(&r.count, __ATOMIC_ACQUIRE) == 1));
    CHECK(r.status == status && strcmp(r.reason, reason) == 0);
    cyg_http_server_stats st;
    cyg_http_server_get_stats(sv.s, &st);
    CHECK(st.refused_total == 1);
    CHECK(server_down(&sv) == 0);
    return 0;
}

static const cyg_http_server_opts defaults;

TEST(test_malformed_head_is_refused_with_the_parsers_word) {
    int line = refuses(&defaults, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400, "bad_content_length");
    if (line) return line;
    return refuses(&defaults, "GET / HTTP/2.7\r\nHost: a\r\n\r\n", 505, "unsupported_version");
}

static char *long_request(size_t target, size_t field) {
    char *p = malloc(target + field + 128);
    size_t n = (size_t)sprintf(p, "GET /");
    memset(p + n, 'a', target);
    n += target;
    n += (size_t)sprintf(p + n, " HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Long: ");
    memset(p + n, 'b', field);
    n += field;
    sprintf(p + n, "\r\n\r\n");
    return p;
}

TEST(test_long_target_is_414_and_long_head_431) {
    char *p = long_request(9000, 0);
    int line = refuses(&defaults, p, 414, "long_target");
    free(p);
    if (line) return line;
    p = long_request(10, 70000);
    line = refuses(&defaults, p, 431, "head_too_large");
    free(p);
    return line;
}

TEST(test_head_longer_than_the_buffer_is_served) {
    struct server sv;
    CHECK(server_up(&sv, hello, NULL, NULL) == 0);
    char *p = long_request(8000, 50000);
    struct text *t = ask(&sv.addr, p);
    free(p);
    CHECK(has(t, "200 OK") && has(t, "hello"));
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_too_many_fields_are_431) {
    char p[512] = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (int i = 0; i < 10; i++) strcat(p, "X: y\r\n");
    strcat(p, "\r\n");
    return refuses(&(cyg_http_server_opts){.max_fields = 10}, p, 431, "too_many_fields");
}

TEST(test_more_fields_than_the_stack_holds_are_served) {
    struct server sv;
    CHECK(server_up(&sv, hello, NULL, &(cyg_http_server_opts){.max_fields = 200}) == 0);
    static char p[4096] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    for (int i = 0; i < 190; i++) strcat(p, "X: y\r\n");
    strcat(p, "\r\n");
    CHECK(has(ask(&sv.addr, p), "hello"));
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_body_beyond_the_limit_is_413) {
    cyg_http_server_opts o = {.max_body_bytes = 8};
    int line = refuses(&o, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123456789", 413, "body_too_large");
    if (line) return line;
    return refuses(&o, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n",
                   413, "body_too_large");
}

TEST(test_unknown_expectation_is_417) {
    return refuses(&defaults, "GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", 417, "unsupported_expectation");
}

TEST(test_slow_head_is_408_however_it_drips) {
    cyg_http_server_opts o = {.head_timeout = 60 * CYG_MILLISECOND, .linger = 50 * CYG_MILLISECOND};
    int line = refuses(&o, "GET / HT", 408, "head_timeout");
    if (line) return line;
    struct server sv;
    CHECK(server_up(&sv, hello, NULL, &o) == 0);
    cyg_conn *c = dial(&sv.addr);
    int err = put(c, "GET / HTTP/1.1\r\nHost: a\r\nX-Long: ");
    for (int i = 0; err == 0 && i < 400; i++) { /* a byte every few milliseconds: each read is in time, the head is not */
        err = put(c, "y");
        cyg_sleep(5 * CYG_MILLISECOND);
    }
    CHECK(err < 0); /* cut long before they were through */
    cyg_http_server_stats st;
    cyg_http_server_get_stats(sv.s, &st);
    CHECK(st.refused_total == 1 && st.requests_total == 0);
    cyg_close(c);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_stalled_body_is_408) {
    return refuses(&(cyg_http_server_opts){.body_timeout = 50 * CYG_MILLISECOND},
                   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe", 408, "body_timeout");
}

TEST(test_idle_connection_is_closed_without_a_word) {
    struct server sv;
    CHECK(server_up(&sv, hello, NULL, &(cyg_http_server_opts){.idle_timeout = 50 * CYG_MILLISECOND}) == 0);
    struct text *t = ask(&sv.addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(count(t, "HTTP/1.1") == 1 && has(t, "hello") && t->end == CYG_EOF);
    cyg_conn *c = dial(&sv.addr);
    struct text u = {.n = 0};
    get_all(c, &u);
    CHECK(u.n == 0 && u.end == CYG_EOF);
    cyg_close(c);
    CHECK(server_down(&sv) == 0);
    return 0;
}

static void flood(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)req;
    static char data[65536];
    cyg_http_res_begin(res, 200, NULL, 0, (int64_t)1 << 40);
    while (cyg_http_res_write(res, data, sizeof data) == 0) {}
    __atomic_store_n((int *)arg, cyg_http_res_failed(res) ? 1 : 2, __ATOMIC_RELEASE);
}

TEST(test_client_that_takes_nothing_is_reset) {
    struct server sv;
    int ended = 0;
    CHECK(server_up(&sv, flood, &ended, &(cyg_http_server_opts){.write_timeout = 100 * CYG_MILLISECOND}) == 0);
    cyg_conn *c = dial(&sv.addr);
    CHECK(put(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
    CHECK(EVENTUALLY(__atomic_load_n(&ended, __ATOMIC_ACQUIRE) == 1));
    cyg_http_server_stats st;
    CHECK(EVENTUALLY((cyg_http_server_get_stats(sv.s, &st), st.conns == 0)));
    cyg_close(c);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_connections_beyond_the_limit_wait_their_turn) {
    struct server sv;
    CHECK(server_up(&sv, hello, NULL, &(cyg_http_server_opts){.max_conns = 2}) == 0);
    cyg_conn *c[3];
    for (int i = 0; i < 3; i++) CHECK((c[i] = dial(&sv.addr)) && put(c[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
    struct text t = {.n = 0};
    get_until(c[0], &t, "hello");
    t.p[t.n = 0] = 0; /* or "hello" would be there already */
    get_until(c[1], &t, "hello");
    cyg_http_server_stats st;
    cyg_http_server_get_stats(sv.s, &st);
    CHECK(st.conns == 2 && st.conns_total == 2);
    cyg_close(c[0]);
    struct text u = {.n = 0};
    get_until(c[2], &u, "hello");
    CHECK(has(&u, "hello"));
    cyg_close(c[1]);
    cyg_close(c[2]);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_options_out_of_bounds_are_refused) {
    const cyg_http_server_opts bad[] = {
        {.max_head_bytes = 1000}, {.max_head_bytes = 2 << 20},   {.max_fields = 257},  {.max_body_bytes = -1},
        {.head_timeout = -1},     {.idle_timeout = -1},          {.body_timeout = -1}, {.write_timeout = -1},
        {.linger = -1},           {.max_target_bytes = 2 << 20},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cyg_http_server *s;
        CHECK(cyg_http_server_new(hello, NULL, &bad[i], &s) == CYG_EINVAL);
    }
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed_head_is_refused_with_the_parsers_word),
        cmocka_unit_test(test_long_target_is_414_and_long_head_431),
        cmocka_unit_test(test_head_longer_than_the_buffer_is_served),
        cmocka_unit_test(test_too_many_fields_are_431),
        cmocka_unit_test(test_more_fields_than_the_stack_holds_are_served),
        cmocka_unit_test(test_body_beyond_the_limit_is_413),
        cmocka_unit_test(test_unknown_expectation_is_417),
        cmocka_unit_test(test_slow_head_is_408_however_it_drips),
        cmocka_unit_test(test_stalled_body_is_408),
        cmocka_unit_test(test_idle_connection_is_closed_without_a_word),
        cmocka_unit_test(test_client_that_takes_nothing_is_reset),
        cmocka_unit_test(test_connections_beyond_the_limit_wait_their_turn),
        cmocka_unit_test(test_options_out_of_bounds_are_refused),
    };
    return RUN(tests);
}
