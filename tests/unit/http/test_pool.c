/* The client's pool: reuse, staleness, limits, waiting in order, ages, and exchanges by hand. */
#include "harness.h"

static void echo_body(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    cyg_str piece;
    cyg_http_res_begin(res, 200, NULL, 0, cyg_http_req_content_length(req));
    while (cyg_http_req_next(req, &piece) > 0) cyg_http_res_write(res, piece.p, piece.n);
}

static const cyg_http_field host = {CYG_STR("Host"), CYG_STR("a"), CYG_HTTP_HOST};

/* One GET whose answer is read to the end. Returns its status or an error. */
static int get(cyg_http_client_conn *cc) {
    cyg_http_call call = {.method = CYG_STR("GET"), .target = CYG_STR("/"), .fields = &host, .nfields = 1};
    cyg_http_answer a;
    cyg_str piece;
    cyg_time d = cyg_now() + PATIENCE;
    int err = cyg_http_client_send(cc, &call, d);
    if (err < 0 || (err = cyg_http_client_recv(cc, &a, d)) < 0) return err;
    ssize_t n;
    while ((n = cyg_http_client_next(cc, &piece, d)) > 0) {}
    return n == CYG_EOF ? a.status : (int)n;
}

static cyg_connpool_stats stats(cyg_http_pool *p) {
    cyg_connpool_stats st;
    cyg_connpool_get_stats(cyg_http_pool_conns(p), &st);
    return st;
}

TEST(test_connection_is_used_again) {
    struct server sv;
    cyg_http_pool *p;
    CHECK(server_up(&sv, echo_body, NULL, NULL) == 0);
    CHECK(cyg_http_pool_new(&sv.addr, NULL, &p) == 0);
    for (int i = 0; i < 20; i++) {
        cyg_http_client_conn *cc;
        bool reused;
        CHECK(cyg_http_pool_get(p, 0, &cc, &reused) == 0);
        CHECK(get(cc) == 200);
        cyg_http_pool_put(cc);
        if (i == 0) CHECK(!reused);
    }
    cyg_connpool_stats st = stats(p);
    CHECK(st.opens_total + st.reuses_total == 20 && st.opens_total <= 2 && st.idle == st.open);
    cyg_http_pool_close(p);
    cyg_http_server_stats ss;
    CHECK(EVENTUALLY((cyg_http_server_get_stats(sv.s, &ss), ss.conns == 0)));
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_bodies_both_ways_by_length_and_chunked) {
    struct server sv;
    cyg_http_pool *p;
    cyg_http_client_conn *cc;
    CHECK(server_up(&sv, echo_body, NULL, NULL) == 0);
    CHECK(cyg_http_pool_new(&sv.addr, NULL, &p) == 0);
    CHECK(cyg_http_pool_get(p, 0, &cc, NULL) == 0);
    cyg_time d = cyg_now() + PATIENCE;
    for (int chunked = 0; chunked < 2; chunked++) {
        cyg_http_call call = {
            .method = CYG_STR("POST"), .target = CYG_STR("/x"), .fields = &host, .nfields = 1, .body = "abc", .body_bytes = 3};
        call.content_length = chunked ? CYG_HTTP_BODY_CHUNKED : 6;
        CHECK(cyg_http_client_send(cc, &call, d) == 0);
        CHECK(cyg_http_client_send(cc, &call, d) == CYG_ESTATE);
        CHECK(chunked || cyg_http_client_send_body(cc, "toolong", 7, d) == CYG_EINVAL);
        CHECK(cyg_http_client_send_body(cc, "def", 3, d) == 0);
        CHECK(cyg_http_client_send_end(cc, d) == 0);
        cyg_http_answer a;
        CHECK(cyg_http_client_recv(cc, &a, d) == 0);
        CHECK(a.status == 200 && a.version == 11 && a.content_length == (chunked ? CYG_HTTP_BODY_CHUNKED : 6));
        char got[16] = "";
        cyg_str piece;
        while (cyg_http_client_next(cc, &piece, d) > 0) strncat(got, piece.p, piece.n);
        CHECK(strcmp(got, "abcdef") == 0);
    }
    cyg_http_pool_put(cc);
    CHECK(stats(p).idle == 1);
    cyg_http_pool_close(p);
    CHECK(server_down(&sv) == 0);
    return 0;
}

static void answer_once(cyg_conn *c, int nth) {
    (void)nth;
    struct text *t = calloc(1, sizeof *t);
    get_until(c, t, "\r\n\r\n");
    put(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    free(t);
}

TEST(test_connection_the_peer_closed_is_not_handed_out) {
    struct upstream u;
    cyg_http_pool *p;
    CHECK(upstream_up(&u, answer_once) == 0);
    CHECK(cyg_http_pool_new(&u.addr, NULL, &p) == 0);
    for (int i = 0; i < 3; i++) {
        cyg_http_client_conn *cc;
        bool reused;
        CHECK(cyg_http_pool_get(p, 0, &cc, &reused) == 0);
        CHECK(!reused && get(cc) == 200);
        cyg_http_pool_put(cc);
        CHECK(EVENTUALLY(stats(p).open == 0));
    }
    CHECK(stats(p).closed_total[CYG_CONNPOOL_PEER_CLOSED] == 3 && stats(p).idle == 0);
    cyg_http_pool_close(p);
    upstream_down(&u);
    return 0;
}

static void answer_too_much(cyg_conn *c, int nth) {
    (void)nth;
    struct text *t = calloc(1, sizeof *t);
    get_until(c, t, "\r\n\r\n");
    put(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    get_all(c, t);
    free(t);
}

TEST(test_bytes_behind_an_answer_end_the_connection) {
    struct upstream u;
    cyg_http_pool *p;
    cyg_http_client_conn *cc;
    CHECK(upstream_up(&u, answer_too_much) == 0);
    CHECK(cyg_http_pool_new(&u.addr, NULL, &p) == 0);
    CHECK(cyg_http_pool_get(p, 0, &cc, NULL) == 0 && get(cc) == 200);
    cyg_http_pool_put(cc);
    CHECK(EVENTUALLY(stats(p).open == 0));
    cyg_http_pool_close(p);
    upstream_down(&u);
    return 0;
}

TEST(test_unread_answer_ends_the_connection) {
    struct server sv;
    cyg_http_pool *p;
    cyg_http_client_conn *cc;
    CHECK(server_up(&sv, echo_body, NULL, NULL) == 0);
    CHECK(cyg_http_pool_new(&sv.addr, NULL, &p) == 0);
    CHECK(cyg_http_pool_get(p, 0, &cc, NULL) == 0);
    cyg_http_call call = {.method = CYG_STR("GET"), .target = CYG_STR("/"), .fields = &host, .nfields = 1};
    CHECK(cyg_http_client_send(cc, &call, 0) == 0);
    cyg_http_pool_put(cc);
    CHECK(stats(p).open == 0);
    cyg_http_pool_close(p);
    CHECK(server_down(&sv) == 0);
    return 0;
}

struct waiter {
    cyg_http_pool *p;
    int order, err;
    cyg_waitgroup *done;
    int *served; /* atomic */
};

static void wait_for_one(void *arg) {
    struct waiter *w = arg;
    cyg_http_client_conn *cc;
    w->err = cyg_http_pool_get(w->p, cyg_now() + PATIENCE, &cc, NULL);
    if (w->err == 0) {
        w->order = __atomic_fetch_add(w->served, 1, __ATOMIC_ACQ_REL);
        if (get(cc) != 200) w->err = -1;
        cyg_http_pool_put(cc);
    }
    cyg_waitgroup_done(w->done);
}

TEST(test_callers_at_the_limit_wait_in_order) {
    struct server sv;
    cyg_http_pool *p;
    cyg_http_client_conn *cc;
    int served = 0;
    cyg_waitgroup done = {0};
    struct waiter w[5];
    CHECK(server_up(&sv, echo_body, NULL, NULL) == 0);
    CHECK(cyg_http_pool_new(&sv.addr, &(cyg_http_pool_opts){.conns = {.max_open = 1, .max_waiters = 5}}, &p) == 0);
    CHECK(cyg_http_pool_get(p, 0, &cc, NULL) == 0);
    cyg_waitgroup_add(&done, 5);
    for (int i = 0; i < 5; i++) {
        w[i] = (struct waiter){.p = p, .order = -1, .done = &done, .served = &served};
        CHECK(cyg_go(wait_for_one, &w[i]) == 0);
        CHECK(EVENTUALLY(stats(p).waiters == (uint64_t)i + 1));
    }
    cyg_http_client_conn *none;
    CHECK(cyg_http_pool_get(p, 0, &none, NULL) == CYG_ELIMIT);
    CHECK(get(cc) == 200);
    cyg_http_pool_put(cc);
    cyg_waitgroup_wait(&done);
    for (int i = 0; i < 5; i++) CHECK(w[i].err == 0 && w[i].order == i);
    cyg_connpool_stats st = stats(p);
    CHECK(st.opens_total == 1 && st.waits_total == 5 && st.wait_refused_total == 1 && st.waiters == 0 && st.open == 1);
    cyg_http_pool_close(p);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_waiting_ends_at_the_deadline_and_a_freed_place_is_passed_on) {
    struct upstream u;
    cyg_http_pool *p;
    cyg_http_client_conn *cc, *none;
    CHECK(upstream_up(&u, answer_once) == 0);
    CHECK(cyg_http_pool_new(&u.addr, &(cyg_http_pool_opts){.conns = {.max_open = 1}}, &p) == 0);
    CHECK(cyg_http_pool_get(p, 0, &cc, NULL) == 0);
    CHECK(cyg_http_pool_get(p, cyg_now() + 20 * CYG_MILLISECOND, &none, NULL) == CYG_ETIMEDOUT);
    CHECK(stats(p).wait_timeouts_total == 1 && stats(p).waiters == 0);
    int served = 0;
    cyg_waitgroup done = {0};
    struct waiter w = {.p = p, .done = &done, .served = &served};
    cyg_waitgroup_add(&done, 1);
    CHECK(cyg_go(wait_for_one, &w) == 0);
    CHECK(EVENTUALLY(stats(p).waiters == 1));
    cyg_http_call call = {.method = CYG_STR("GET"), .target = CYG_STR("/"), .fields = &host, .nfields = 1};
    CHECK(cyg_http_client_send(cc, &call, 0) == 0);
    cyg_http_pool_put(cc); /* unread: closed, so the waiter dials */
    cyg_waitgroup_wait(&done);
    CHECK(w.err == 0 && stats(p).opens_total == 2);
    cyg_http_pool_close(p);
    upstream_down(&u);
    return 0;
}

TEST(test_closing_the_pool_ends_waiting_and_keeps_what_is_in_use) {
    struct server sv;
    cyg_http_pool *p;
    cyg_http_client_conn *cc;
    int served = 0;
    cyg_waitgroup done = {0};
    CHECK(server_up(&sv, echo_body, NULL, NULL) == 0);
    CHECK(cyg_http_pool_new(&sv.addr, &(cyg_http_pool_opts){.conns = {.max_open = 1}}, &p) == 0);
    CHECK(cyg_http_pool_get(p, 0, &cc, NULL) == 0);
    struct waiter w = {.p = p, .done = &done, .served = &served};
    cyg_waitgroup_add(&done, 1);
    CHECK(cyg_go(wait_for_one, &w) == 0);
    CHECK(EVENTUALLY(stats(p).waiters == 1));
    cyg_http_pool_close(p);
    cyg_waitgroup_wait(&done);
    CHECK(w.err == CYG_ECLOSED && get(cc) == 200);
    cyg_http_pool_put(cc);
    cyg_http_server_stats ss;
    CHECK(EVENTUALLY((cyg_http_server_get_stats(sv.s, &ss), ss.conns == 0)));
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_idle_time_and_life_are_limited) {
    struct server sv;
    CHECK(server_up(&sv, echo_body, NULL, NULL) == 0);
    for (int life = 0; life < 2; life++) {
        cyg_http_pool *p;
        cyg_http_client_conn *cc;
        cyg_http_pool_opts o = {.conns = {.idle_timeout = 30 * CYG_MILLISECOND}};
        if (life) o = (cyg_http_pool_opts){.conns = {.max_life = 30 * CYG_MILLISECOND}};
        CHECK(cyg_http_pool_new(&sv.addr, &o, &p) == 0);
        cyg_time began = cyg_now();
        CHECK(cyg_http_pool_get(p, 0, &cc, NULL) == 0 && get(cc) == 200);
        cyg_http_pool_put(cc);
        CHECK(stats(p).idle == 1 || cyg_now() - began >= 30 * CYG_MILLISECOND);
        CHECK(EVENTUALLY(stats(p).open == 0));
        CHECK(stats(p).closed_total[life ? CYG_CONNPOOL_MAX_LIFE : CYG_CONNPOOL_IDLE_TIMEOUT] == 1);
        cyg_http_pool_close(p);
    }
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_max_idle_closes_the_rest) {
    struct server sv;
    cyg_http_pool *p;
    cyg_http_client_conn *cc[4];
    CHECK(server_up(&sv, echo_body, NULL, NULL) == 0);
    CHECK(cyg_http_pool_new(&sv.addr, &(cyg_http_pool_opts){.conns = {.max_open = 4, .max_idle = 2}}, &p) == 0);
    for (int i = 0; i < 4; i++) CHECK(cyg_http_pool_get(p, 0, &cc[i], NULL) == 0 && get(cc[i]) == 200);
    for (int i = 0; i < 4; i++) cyg_http_pool_put(cc[i]);
    CHECK(stats(p).idle == 2 && stats(p).open == 2 && stats(p).closed_total[CYG_CONNPOOL_MAX_IDLE] == 2);
    cyg_http_pool_close(p);
    CHECK(server_down(&sv) == 0);
    return 0;
}

TEST(test_refused_dial_frees_its_place) {
    struct upstream u;
    cyg_http_pool *p;
    cyg_http_client_conn *cc;
    CHECK(upstream_up(&u, answer_once) == 0);
    cyg_addr a = u.addr;
    upstream_down(&u);
    CHECK(cyg_http_pool_new(&a, &(cyg_http_pool_opts){.conns = {.max_open = 1}}, &p) == 0);
    for (int i = 0; i < 3; i++) CHECK(cyg_http_pool_get(p, 0, &cc, NULL) == -ECONNREFUSED);
    CHECK(stats(p).open == 0 && stats(p).open_errors_total == 3);
    cyg_http_pool_close(p);
    return 0;
}

struct crowd {
    cyg_http_pool *p;
    cyg_waitgroup done;
    int bad, good; /* atomic */
};

static void jostle(void *arg) {
    struct crowd *c = arg;
    for (int i = 0; i < 100; i++) {
        cyg_http_client_conn *cc;
        int err = cyg_http_pool_get(c->p, cyg_now() + PATIENCE, &cc, NULL);
        if (err == 0) {
            err = get(cc);
            cyg_http_pool_put(cc);
        }
        __atomic_add_fetch(err == 200 || err == CYG_EOF || err == -ECONNRESET || err == -EPIPE ? &c->good : &c->bad, 1,
                           __ATOMIC_RELAXED);
    }
    cyg_waitgroup_done(&c->done);
}

/* Closes every connection after a few answers: watches strike while others take and put. */
static void answer_some(cyg_conn *c, int nth) {
    struct text *t = calloc(1, sizeof *t);
    for (int i = 0; i <= nth % 7; i++) {
        t->n = 0;
        t->p[0] = 0;
        get_until(c, t, "\r\n\r\n");
        if (t->n == 0 || put(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") < 0) break;
    }
    free(t);
}

TEST(test_many_takers_and_closing_peers_lose_nothing) {
    struct upstream u;
    struct crowd c = {.bad = 0};
    CHECK(upstream_up(&u, answer_some) == 0);
    CHECK(cyg_http_pool_new(&u.addr, &(cyg_http_pool_opts){.conns = {.max_open = 4}}, &c.p) == 0);
    cyg_waitgroup_add(&c.done, 20);
    for (int i = 0; i < 20; i++) CHECK(cyg_go(jostle, &c) == 0);
    cyg_waitgroup_wait(&c.done);
    CHECK(c.bad == 0 && c.good == 2000);
    CHECK(stats(c.p).waiters == 0 && stats(c.p).open <= 4);
    cyg_http_pool_close(c.p);
    upstream_down(&u);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connection_is_used_again),
        cmocka_unit_test(test_bodies_both_ways_by_length_and_chunked),
        cmocka_unit_test(test_connection_the_peer_closed_is_not_handed_out),
        cmocka_unit_test(test_bytes_behind_an_answer_end_the_connection),
        cmocka_unit_test(test_unread_answer_ends_the_connection),
        cmocka_unit_test(test_callers_at_the_limit_wait_in_order),
        cmocka_unit_test(test_waiting_ends_at_the_deadline_and_a_freed_place_is_passed_on),
        cmocka_unit_test(test_closing_the_pool_ends_waiting_and_keeps_what_is_in_use),
        cmocka_unit_test(test_idle_time_and_life_are_limited),
        cmocka_unit_test(test_max_idle_closes_the_rest),
        cmocka_unit_test(test_refused_dial_frees_its_place),
        cmocka_unit_test(test_many_takers_and_closing_peers_lose_nothing),
    };
    return RUN(tests);
}
