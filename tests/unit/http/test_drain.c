/* Shutting down: idle connections go at once, requests in flight finish, what is left is cut at the deadline. */
#include "harness.h"

/* A handler that stays in until it is let go. */
struct gate {
    int inside, open; /* atomic */
};

static void wait_at_gate(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)req;
    struct gate *g = arg;
    __atomic_add_fetch(&g->inside, 1, __ATOMIC_ACQ_REL);
    while (!__atomic_load_n(&g->open, __ATOMIC_ACQUIRE)) cyg_sleep(CYG_MILLISECOND);
    cyg_http_send(res, 200, "text/plain", "done", 4);
}

static int inside(struct gate *g) { return __atomic_load_n(&g->inside, __ATOMIC_ACQUIRE); }

struct shutdown {
    struct server *sv;
    cyg_time deadline;
    int result, done; /* done: atomic */
};

static void shut(void *arg) {
    struct shutdown *s = arg;
    s->result = cyg_http_server_shutdown(s->sv->s, s->deadline);
    __atomic_store_n(&s->done, 1, __ATOMIC_RELEASE);
}

static bool refused(const cyg_addr *a) {
    cyg_conn *c = dial(a);
    if (!c) return true;
    cyg_close(c);
    return false;
}

TEST(test_request_in_flight_finishes_and_says_close) {
    struct server sv;
    struct gate g = {0, 0};
    CHECK(server_up(&sv, wait_at_gate, &g, NULL) == 0);
    cyg_conn *busy = dial(&sv.addr), *idle = dial(&sv.addr);
    CHECK(put(busy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
    CHECK(EVENTUALLY(inside(&g) == 1));
    struct shutdown s = {.sv = &sv, .deadline = cyg_now() + PATIENCE};
    CHECK(cyg_go(shut, &s) == 0);
    struct text t = {.n = 0}, u = {.n = 0};
    get_all(idle, &t);
    CHECK(t.n == 0 && t.end == CYG_EOF); /* while the other is still at work */
    CHECK(EVENTUALLY(refused(&sv.addr)));
    CHECK(__atomic_load_n(&s.done, __ATOMIC_ACQUIRE) == 0);
    __atomic_store_n(&g.open, 1, __ATOMIC_RELEASE);
    get_all(busy, &u);
    CHECK(has(&u, "Connection: close\r\n") && has(&u, "done") && u.end == CYG_EOF);
    cyg_close(busy);
    cyg_close(idle);
    CHECK(EVENTUALLY(__atomic_load_n(&s.done, __ATOMIC_ACQUIRE)));
    CHECK(s.result == 0);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_client_that_goes_on_sending_keeps_its_last_answer) {
    struct server sv;
    struct gate g = {0, 0};
    CHECK(server_up(&sv, wait_at_gate, &g, NULL) == 0);
    cyg_conn *c = dial(&sv.addr);
    CHECK(put(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
    CHECK(EVENTUALLY(inside(&g) == 1));
    struct shutdown s = {.sv = &sv, .deadline = cyg_now() + PATIENCE};
    CHECK(cyg_go(shut, &s) == 0);
    CHECK(EVENTUALLY(refused(&sv.addr)));
    for (int i = 0; i < 20; i++) CHECK(put(c, "GET /never HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
    __atomic_store_n(&g.open, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 60; i++) { /* several sweeps pass before it reads */
        CHECK(put(c, "X") == 0);
        cyg_sleep(CYG_MILLISECOND);
    }
    struct text t = {.n = 0};
    get_all(c, &t);
    CHECK(count(&t, "done") == 1 && t.end == CYG_EOF);
    cyg_close(c);
    CHECK(EVENTUALLY(__atomic_load_n(&s.done, __ATOMIC_ACQUIRE)));
    CHECK(s.result == 0);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_accepting_that_waits_for_a_place_ends_at_once) {
    struct server sv;
    struct gate g = {0, 0};
    CHECK(server_up(&sv, wait_at_gate, &g, &(cyg_http_server_opts){.max_conns = 1}) == 0);
    cyg_conn *c = dial(&sv.addr);
    CHECK(put(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 0);
    CHECK(EVENTUALLY(inside(&g) == 1));
    struct shutdown s = {.sv = &sv, .deadline = cyg_now() + PATIENCE};
    CHECK(cyg_go(shut, &s) == 0);
    CHECK(cyg_waitgroup_wait_until(&sv.done, cyg_now() + PATIENCE) == 0);
    CHECK(sv.serve_err == CYG_ECLOSED && __atomic_load_n(&s.done, __ATOMIC_ACQUIRE) == 0);
    __atomic_store_n(&g.open, 1, __ATOMIC_RELEASE);
    CHECK(EVENTUALLY(__atomic_load_n(&s.done, __ATOMIC_ACQUIRE)));
    cyg_close(c);
    CHECK(server_down(&sv) == 0);
    return 0;
}

static void read_body(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)res;
    char p[16];
    ssize_t n;
    struct gate *g = arg;
    __atomic_add_fetch(&g->inside, 1, __ATOMIC_ACQ_REL);
    while ((n = cyg_http_req_read(req, p, sizeof p)) > 0) {}
    __atomic_store_n(&g->open, (int)n, __ATOMIC_RELEASE);
}

TEST(test_what_is_left_at_the_deadline_is_cut) {
    struct server sv;
    struct gate g = {0, 0};
    CHECK(server_up(&sv, read_body, &g, NULL) == 0);
    cyg_conn *c = dial(&sv.addr);
    CHECK(put(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab") == 0);
    CHECK(EVENTUALLY(inside(&g) == 1));
    CHECK(cyg_http_server_shutdown(sv.s, cyg_now() + 30 * CYG_MILLISECOND) == CYG_ETIMEDOUT);
    CHECK(EVENTUALLY(__atomic_load_n(&g.open, __ATOMIC_ACQUIRE) == CYG_ECLOSED));
    struct text t = {.n = 0};
    get_all(c, &t);
    CHECK(t.n == 0 && t.end < 0);
    cyg_close(c);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_serving_after_shutdown_is_refused) {
    struct server sv;
    struct gate g = {0, 1};
    CHECK(server_up(&sv, wait_at_gate, &g, NULL) == 0);
    CHECK(cyg_http_server_shutdown(sv.s, 0) == 0);
    CHECK(cyg_http_server_serve(sv.s, sv.l) == CYG_ECLOSED);
    CHECK(server_down(&sv) == 0);
    return 0;
}

static void knock(void *arg) {
    struct server *sv = arg;
    for (int i = 0; i < 200; i++) {
        struct text *t = calloc(1, sizeof *t);
        cyg_conn *c = dial(&sv->addr);
        for (int k = 0; c && k < 5 && put(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") == 0; k++, t->n = 0)
            get_until(c, t, "done");
        if (c) cyg_close(c);
        free(t);
        if (!c) break;
    }
    cyg_waitgroup_done(&sv->done);
}

TEST(test_shutdown_under_load_leaves_nothing_behind) {
    for (int round = 0; round < 5; round++) {
        struct server sv;
        struct gate g = {0, 1};
        CHECK(server_up(&sv, wait_at_gate, &g, NULL) == 0);
        cyg_waitgroup_add(&sv.done, 8);
        for (int i = 0; i < 8; i++) CHECK(cyg_go(knock, &sv) == 0);
        CHECK(EVENTUALLY(inside(&g) > 20 * round));
        CHECK(cyg_http_server_shutdown(sv.s, cyg_now() + PATIENCE) == 0);
        cyg_http_server_stats st;
        cyg_http_server_get_stats(sv.s, &st);
        CHECK(st.conns == 0 && st.requests == 0 && st.requests_total == (uint64_t)inside(&g));
        CHECK(server_down(&sv) == 0);
    }
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_in_flight_finishes_and_says_close),
        cmocka_unit_test(test_client_that_goes_on_sending_keeps_its_last_answer),
        cmocka_unit_test(test_accepting_that_waits_for_a_place_ends_at_once),
        cmocka_unit_test(test_what_is_left_at_the_deadline_is_cut),
        cmocka_unit_test(test_serving_after_shutdown_is_refused),
        cmocka_unit_test(test_shutdown_under_load_leaves_nothing_behind),
    };
    return RUN(tests);
}
