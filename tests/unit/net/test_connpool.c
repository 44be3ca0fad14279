/* test_connpool.c: lending and taking back: reuse, limits, hooks, what is closed and why, misuse. */
#include "pool_peer.h"

RT_TEST(test_a_connection_put_back_is_lent_again) {
    peer_up();
    cyg_connpool *p = pool_of(NULL);
    cyg_conn *first = NULL;
    for (uint64_t i = 1; i <= 50; i++) {
        cyg_pooled_conn *pc = pool_get(p);
        if (!first) first = pc->conn;
        CHECK(pc->conn == first && pc->socket == first && pc->uses == i && !pc->user && pc->born > 0);
        CHECK_EQ(pool_stats(p).in_use, 1);
        cyg_connpool_put(pc);
    }
    cyg_connpool_stats s = pool_stats(p);
    CHECK(s.open == 1 && s.idle == 1 && s.in_use == 0 && s.opens_total == 1 && s.gets_total == 50 && s.reuses_total == 49);
    CHECK(cyg_connpool_reuse_ratio(&s) > 0.97 && s.waits_total == 0);
    pool_adds_up(p);
    CHECK(strncmp(cyg_connpool_name(p), "tcp 127.0.0.1:", 14) == 0);
    cyg_connpool_close(p);
    peer_down();
}

/* ---- limits ----------------------------------------------------------------------------------------------------------- */

#define OPEN 3
static struct {
    cyg_connpool *p;
    cyg_waitgroup done;
    int lent, open, most_lent, most_open, gone; /* atomic */
} crowd;

static void most(int *at, int n) {
    int was = LOAD(*at);
    while (n > was && !__atomic_compare_exchange_n(at, &was, n, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
}

static int crowd_dial(void *arg, cyg_time deadline, cyg_conn **out) {
    (void)arg;
    most(&crowd.most_open, ADD(crowd.open, 1));
    int err = cyg_dial("tcp", peer.address, &(cyg_dial_opts){.deadline = deadline}, out);
    if (err < 0) ADD(crowd.open, -1);
    return err;
}
static void crowd_close(void *arg, cyg_pooled_conn *pc, cyg_connpool_why why) {
    (void)arg, (void)pc, (void)why;
    ADD(crowd.open, -1);
}
static void crowd_freed(void *arg) {
    (void)arg;
    ADD(crowd.gone, 1);
}

static void jostle(void *arg) {
    for (int i = 0; i < 400 / RT_LESS; i++) {
        cyg_pooled_conn *pc = pool_get(crowd.p);
        most(&crowd.most_lent, ADD(crowd.lent, 1));
        if (i % 3 == 0) cyg_yield();
        ADD(crowd.lent, -1);
        if ((i + (int)(intptr_t)arg) % 41 == 0)
            cyg_connpool_discard(pc, CYG_CONNPOOL_BROKEN);
        else
            cyg_connpool_put(pc);
    }
    cyg_waitgroup_done(&crowd.done);
}

RT_TEST(test_never_more_are_open_than_allowed) {
    memset(&crowd, 0, sizeof crowd);
    peer_up();
    cyg_connpool_opts o = {.max_open = OPEN, .dial = crowd_dial, .close = crowd_close, .freed = crowd_freed, .name = "crowd"};
    CHECK_EQ(cyg_connpool_new(NULL, NULL, &o, &crowd.p), 0);
    cyg_waitgroup_add(&crowd.done, 16);
    for (intptr_t i = 0; i < 16; i++) GO(jostle, (void *)i);
    CHECK_EQ(cyg_waitgroup_wait(&crowd.done), 0);
    CHECK(crowd.most_lent <= OPEN && crowd.most_open <= OPEN && crowd.lent == 0);
    CHECK_EQ(crowd.open, pool_stats(crowd.p).open);
    CHECK_EQ(pool_stats(crowd.p).gets_total, 16u * (400 / RT_LESS));
    CHECK(pool_stats(crowd.p).closed_total[CYG_CONNPOOL_BROKEN] > 0);
    pool_adds_up(crowd.p);
    CHECK_EQ(LOAD(crowd.gone), 0);
    cyg_connpool_close(crowd.p);
    CHECK(LOAD(crowd.open) == 0 && LOAD(crowd.gone) == 1);
    peer_down();
}

RT_TEST(test_no_more_lie_idle_than_allowed) {
    peer_up();
    cyg_connpool *p = pool_of(&(cyg_connpool_opts){.max_open = 6, .max_idle = 2});
    cyg_pooled_conn *pc[6];
    for (int i = 0; i < 6; i++) pc[i] = pool_get(p);
    for (int i = 0; i < 6; i++) cyg_connpool_put(pc[i]);
    CHECK(pool_stats(p).idle == 2 && pool_stats(p).open == 2);
    CHECK_EQ(pool_stats(p).closed_total[CYG_CONNPOOL_MAX_IDLE], 4);
    pool_adds_up(p);
    cyg_connpool_close(p);
    peer_down();
}

RT_TEST(test_a_new_one_that_was_asked_for_takes_an_idle_ones_place) {
    peer_up();
    cyg_connpool *p = pool_of(&(cyg_connpool_opts){.max_open = 1});
    cyg_pooled_conn *pc = pool_get(p);
    cyg_connpool_put(pc);
    cyg_connpool_ask ask = {.fresh = true, .deadline = cyg_now() + RT_DEADLINE};
    CHECK_EQ(cyg_connpool_get_as(p, &ask, &pc), 0);
    CHECK(pc->uses == 1 && !ask.queued);
    CHECK(pool_stats(p).opens_total == 2 && pool_stats(p).closed_total[CYG_CONNPOOL_REPLACED] == 1);
    cyg_connpool_discard(pc, CYG_CONNPOOL_FINISHED);
    CHECK_EQ(pool_stats(p).closed_total[CYG_CONNPOOL_FINISHED], 1);
    cyg_connpool_close(p);
    peer_down();
}

static void test_options_out_of_bounds_are_refused(void **state) {
    (void)state;
    static const struct {
        cyg_connpool_opts o;
        const char *word;
    } cases[] = {
        {{.max_open = 1000001}, "max_open"},
        {{.max_open = 5, .min_idle = 6}, "min_idle"},
        {{.max_idle = 2, .min_idle = 3}, "min_idle"},
        {{.wait_timeout = -1}, "wait_timeout"},
        {{.idle_timeout = -1}, "idle_timeout"},
        {{.max_life = -1}, "max_life"},
        {{.jitter = 91}, "jitter"},
        {{.dial_timeout = -1}, "dial_timeout"},
        {{.user_bytes = (1u << 20) + 1}, "user_bytes"},
    };
    CHECK_EQ(cyg_runtime_start(NULL), 0);
    cyg_connpool *p = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_EQ(cyg_connpool_new("tcp", "127.0.0.1:1", &cases[i].o, &p), CYG_EINVAL);
        CHECK(strstr(cyg_err_detail(), cases[i].word));
    }
    CHECK_EQ(cyg_connpool_new("tcp", NULL, NULL, &p), CYG_EINVAL);
    CHECK_EQ(cyg_connpool_new("tcp", "nowhere:x", NULL, &p), CYG_EPARSE);
    CHECK(!p);
    CHECK_EQ(cyg_runtime_stop(), 0);
}

/* ---- hooks ------------------------------------------------------------------------------------------------------------ */

struct session {
    int magic, asked;
};
static struct {
    int opened, fail; /* fail: this open and the ones below */
    int closed[CYG_CONNPOOL_WHYS];
    void *last;
} hooks;

static int open_session(void *arg, cyg_pooled_conn *pc, cyg_time deadline) {
    CHECK(arg == &hooks && pc->user && deadline > cyg_now());
    CHECK_EQ((uintptr_t)pc->user % _Alignof(max_align_t), 0);
    struct session *s = pc->user;
    CHECK(s->magic == 0 && s->asked == 0);
    s->magic = 4711;
    return hooks.opened++ < hooks.fail ? CYG_EPROTO : 0;
}
static void close_session(void *arg, cyg_pooled_conn *pc, cyg_connpool_why why) {
    CHECK(arg == &hooks && ((struct session *)pc->user)->magic == 4711);
    CHECK_EQ(cyg_write(pc->conn, "bye", 3), 3); /* still open */
    hooks.closed[why]++;
}

RT_TEST(test_hooks_see_the_connection_from_open_to_close) {
    memset(&hooks, 0, sizeof hooks);
    hooks.fail = 2;
    peer_up();
    cyg_connpool_opts o = {.max_open = 2, .user_bytes = sizeof(struct session), .open = open_session, .close = close_session};
    o.arg = &hooks;
    cyg_connpool *p = pool_of(&o);
    cyg_pooled_conn *pc;
    for (int i = 0; i < 2; i++) CHECK_EQ(cyg_connpool_get(p, 0, &pc), CYG_EPROTO);
    CHECK(pool_stats(p).open_errors_total == 2 && pool_stats(p).open == 0);
    for (int i = 0; i < 3; i++) {
        pc = pool_get(p);
        CHECK_EQ(((struct session *)pc->user)->asked++, i);
        cyg_connpool_put(pc);
    }
    CHECK_EQ(hooks.opened, 3);
    cyg_connpool_discard(pool_get(p), CYG_CONNPOOL_BROKEN);
    CHECK_EQ(hooks.closed[CYG_CONNPOOL_BROKEN], 1);
    cyg_connpool_put(pool_get(p));
    pool_adds_up(p);
    cyg_connpool_close(p);
    CHECK_EQ(hooks.closed[CYG_CONNPOOL_POOL_CLOSED], 1);
    char got[8];
    WAIT_FOR(LOAD(peer.n) > 2);
    CHECK_EQ(cyg_read(peer.conns[2], got, sizeof got), 3); /* the goodbye of the third that was dialled */
    peer_down();
}

static ssize_t nothing(cyg_stream *s, void *p, size_t n) {
    (void)s, (void)p, (void)n;
    return CYG_EOF;
}
static int closed_strange;
static int close_strange(cyg_stream *s) {
    (void)s;
    closed_strange++;
    return 0;
}
static int dial_strange(void *arg, cyg_time deadline, cyg_conn **out) {
    static const cyg_stream_ops ops = {.kind = "strange", .read = nothing, .close = close_strange};
    static cyg_stream s = {.ops = &ops};
    (void)arg, (void)deadline;
    *out = &s;
    return 0;
}

RT_TEST(test_what_the_poller_cannot_watch_is_not_taken) {
    cyg_connpool *p;
    cyg_pooled_conn *pc;
    closed_strange = 0;
    CHECK_EQ(cyg_connpool_new(NULL, NULL, &(cyg_connpool_opts){.dial = dial_strange, .name = "odd"}, &p), 0);
    CHECK_EQ(cyg_connpool_get(p, 0, &pc), CYG_ENOTSUP);
    CHECK(closed_strange == 1 && strstr(cyg_err_detail(), "odd"));
    pool_adds_up(p);
    cyg_connpool_close(p);
}

/* ---- misuse ----------------------------------------------------------------------------------------------------------- */

static int misuse(void *arg) {
    peer_up();
    cyg_connpool *p = pool_of(NULL);
    cyg_pooled_conn *pc = pool_get(p);
    cyg_connpool_put(pc);
    if (*(const char *)arg == 'p')
        cyg_connpool_put(pc);
    else
        cyg_connpool_discard(pc, CYG_CONNPOOL_BROKEN);
    return 0;
}
static int misuse_child(int argc, char **argv) {
    return argc != 1 || cyg_runtime_start(NULL) != 0 ? 99 : cyg_call(misuse, argv[0]);
}
static void test_giving_back_twice_aborts_and_says_where(void **state) {
    (void)state;
    static struct rt_result r;
    for (int i = 0; i < 2; i++) {
        rt_spawn("misuse", i ? "d" : "p", NULL, &r);
        CHECK_SIGNAL(&r, SIGABRT);
        CHECK_SAYS(&r, "is not on loan");
        CHECK_SAYS(&r, "test_connpool.c:");
    }
}

static const struct rt_child kids[] = {{"misuse", misuse_child}, {NULL, NULL}};
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_connection_put_back_is_lent_again),
    cmocka_unit_test(test_never_more_are_open_than_allowed),
    cmocka_unit_test(test_no_more_lie_idle_than_allowed),
    cmocka_unit_test(test_a_new_one_that_was_asked_for_takes_an_idle_ones_place),
    cmocka_unit_test(test_options_out_of_bounds_are_refused),
    cmocka_unit_test(test_hooks_see_the_connection_from_open_to_close),
    cmocka_unit_test(test_what_the_poller_cannot_watch_is_not_taken),
    cmocka_unit_test(test_giving_back_twice_aborts_and_says_where),
};
RT_MAIN(tests, kids)
