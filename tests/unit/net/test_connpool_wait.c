/* test_connpool_wait.c: waiting for a turn: in order, bounded, ended by deadline, context and close; and no turn is lost, whoever
 * gives up at whatever moment.
 */
#include "net/connpool.h"
#include "pool_peer.h"

struct waiter {
    cyg_connpool *p;
    cyg_time deadline;
    cyg_ctx *ctx;
    int err, order, done; /* done: atomic */
};
static int served; /* atomic */

static void wait_for_one(void *arg) {
    struct waiter *w = arg;
    cyg_pooled_conn *pc;
    cyg_ctx_scope scope = cyg_ctx_enter(w->ctx ? w->ctx : cyg_ctx_background());
    w->err = cyg_connpool_get(w->p, w->deadline, &pc);
    if (w->err == 0) {
        w->order = ADD(served, 1);
        cyg_connpool_put(pc);
    }
    cyg_ctx_leave(&scope);
    STORE(w->done, 1);
}

/* Starts one and waits until it stands in the queue. */
static void queue_up(cyg_connpool *p, struct waiter *w, cyg_ctx *ctx, cyg_time deadline) {
    uint64_t before = pool_stats(p).waiters;
    *w = (struct waiter){.p = p, .ctx = ctx, .deadline = deadline, .order = -1};
    GO(wait_for_one, w);
    WAIT_FOR(pool_stats(p).waiters == before + 1);
}

RT_TEST(test_who_came_first_is_served_first) {
    peer_up();
    STORE(served, 0);
    cyg_connpool *p = pool_of(&(cyg_connpool_opts){.max_open = 1, .max_waiters = 20});
    cyg_pooled_conn *pc = pool_get(p), *none;
    struct waiter w[20];
    for (int i = 0; i < 20; i++) queue_up(p, &w[i], NULL, 0);
    cyg_connpool_ask ask = {.deadline = 0};
    CHECK_EQ(cyg_connpool_get_as(p, &ask, &none), CYG_ELIMIT); /* the queue is full: at once */
    CHECK(ask.queued && strstr(cyg_err_detail(), "max_waiters"));
    cyg_connpool_put(pc);
    for (int i = 0; i < 20; i++) {
        WAIT_FOR(LOAD(w[i].done));
        CHECK(w[i].err == 0);
        CHECK_EQ(w[i].order, i + 1);
    }
    cyg_connpool_stats s = pool_stats(p);
    CHECK(s.opens_total == 1 && s.waits_total == 20 && s.wait_refused_total == 1 && s.open == 1 && s.wait_ns_total > 0);
    CHECK(cyg_connpool_wait_quantile(&s, 0.5) >= CYG_MICROSECOND && cyg_connpool_wait_quantile(&s, 1) < INT64_MAX);
    pool_adds_up(p);
    cyg_connpool_close(p);
    peer_down();
}

RT_TEST(test_the_freed_place_of_a_broken_one_is_the_next_ones_turn) {
    peer_up();
    cyg_connpool *p = pool_of(&(cyg_connpool_opts){.max_open = 1});
    cyg_pooled_conn *pc = pool_get(p);
    struct waiter w;
    queue_up(p, &w, NULL, 0);
    cyg_connpool_discard(pc, CYG_CONNPOOL_BROKEN);
    WAIT_FOR(LOAD(w.done));
    CHECK(w.err == 0 && pool_stats(p).opens_total == 2);
    pool_adds_up(p);
    cyg_connpool_close(p);
    peer_down();
}

/* By the caller's deadline, by the pool's wait_timeout, by its context, by close: each with its own error and count. */
RT_TEST(test_waiting_ends) {
    peer_up();
    for (int how = 0; how < 4; how++) {
        cyg_connpool *p = pool_of(&(cyg_connpool_opts){.max_open = 1, .wait_timeout = how == 1 ? 2 * CYG_MILLISECOND : 0});
        cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
        cyg_pooled_conn *pc = pool_get(p);
        struct waiter w = {.p = p, .ctx = ctx, .deadline = how == 0 ? cyg_now() + 2 * CYG_MILLISECOND : 0};
        GO(wait_for_one, &w);
        if (how >= 2) WAIT_FOR(pool_stats(p).waiters == 1);
        if (how == 2) cyg_ctx_cancel(ctx, -EPERM);
        if (how == 3) CHECK_EQ(cyg_connpool_drain(cyg_connpool_acquire(p), 1), CYG_ETIMEDOUT);
        WAIT_FOR(LOAD(w.done));
        CHECK_EQ(w.err, how < 2 ? CYG_ETIMEDOUT : how == 2 ? -EPERM : CYG_ECLOSED);
        cyg_connpool_stats s = pool_stats(p);
        CHECK(s.waiters == 0 && s.waits_total == 1 && s.wait_timeouts_total == (how < 2) &&
              s.wait_cancels_total == (how >= 2));
        cyg_connpool_put(pc);
        pool_adds_up(p);
        if (how == 3) cyg_connpool_release(p);
        cyg_connpool_close(p);
    }
    peer_down();
}

/* ---- no turn is lost -------------------------------------------------------------------------------------------------- */

static void cancel(void *ctx) {
    cyg_ctx_cancel(ctx, 0);
    cyg_ctx_release(ctx);
}

/* Somebody gives up while what he waits for is put, or its place freed: then it is his, or the next one's. */
RT_TEST(test_a_turn_given_to_one_who_gives_up_is_not_lost) {
    peer_up();
    for (int i = 0; i < 600 / RT_LESS; i++) {
        cyg_connpool *p = pool_of(&(cyg_connpool_opts){.max_open = 1});
        cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
        cyg_pooled_conn *pc = pool_get(p);
        struct waiter first, second;
        queue_up(p, &first, ctx, 0);
        queue_up(p, &second, NULL, 0);
        GO(cancel, cyg_ctx_acquire(ctx));
        if (i % 4 > 1) cyg_yield();
        if (i % 2)
            cyg_connpool_put(pc);
        else
            cyg_connpool_discard(pc, CYG_CONNPOOL_BROKEN);
        WAIT_FOR(LOAD(first.done) && LOAD(second.done));
        CHECK(first.err == 0 || first.err == CYG_ECANCELED);
        CHECK_EQ(second.err, 0);
        CHECK_EQ(pool_stats(p).open, 1);
        pool_adds_up(p);
        cyg_ctx_release(ctx);
        cyg_connpool_close(p);
        if (LOAD(peer.n) > PEERS - 8) {
            peer_down();
            peer_up();
        }
    }
    peer_down();
}

/* What comes free after a caller has looked and before he stands in the queue: nobody else comes by to give it to him. */
RT_TEST(test_what_comes_free_on_the_way_to_the_queue_is_seen) {
    peer_up();
    cyg_connpool *p = pool_of(&(cyg_connpool_opts){.max_open = 2});
    cyg_connpool_put(pool_get(p));
    struct pooled *idle = NULL, *none = NULL;
    CHECK_EQ(pool_turn_wait(p, cyg_now() + RT_DEADLINE, &idle), 0);
    CHECK(idle && pool_stats(p).idle == 0);
    CHECK_EQ(pool_turn_wait(p, cyg_now() + RT_DEADLINE, &none), 0);
    CHECK(!none && pool_stats(p).open == 2); /* a place */
    pool_place_free(p);
    pool_keep(idle);
    CHECK(pool_stats(p).idle == 1 && pool_stats(p).open == 1);
    cyg_connpool_close(p);
    peer_down();
}

static struct { int calls, fail_first, go_on; /* atomic */ } slow;

/* Waits to be told, then the first ones fail. */
static int slow_dial(void *arg, cyg_time deadline, cyg_conn **out) {
    (void)arg;
    int nth = ADD(slow.calls, 1);
    while (LOAD(slow.go_on) < nth) {
        int err = cyg_sleep(CYG_MILLISECOND);
        if (err < 0) return err;
    }
    if (nth <= slow.fail_first) return -ECONNREFUSED;
    return cyg_dial("tcp", peer.address, &(cyg_dial_opts){.deadline = deadline}, out);
}

static void get_and_put(void *arg) { wait_for_one(arg); }

RT_TEST(test_a_failed_dial_is_the_next_ones_turn) {
    peer_up();
    memset(&slow, 0, sizeof slow);
    slow.fail_first = 2;
    cyg_connpool *p;
    CHECK_EQ(cyg_connpool_new(NULL, NULL, &(cyg_connpool_opts){.max_open = 1, .dial = slow_dial, .name = "slow"}, &p), 0);
    struct waiter w[3] = {{.p = p}, {.p = p}, {.p = p}};
    GO(get_and_put, &w[0]);
    WAIT_FOR(LOAD(slow.calls) == 1);
    CHECK(pool_stats(p).opening == 1 && pool_stats(p).in_use == 0);
    queue_up(p, &w[1], NULL, 0);
    queue_up(p, &w[2], NULL, 0);
    for (int i = 0; i < 3; i++) {
        STORE(slow.go_on, i + 1);
        WAIT_FOR(LOAD(w[i].done));
        CHECK_EQ(w[i].err, i < 2 ? -ECONNREFUSED : 0);
    }
    CHECK(pool_stats(p).open_errors_total == 2 && pool_stats(p).open == 1);
    pool_adds_up(p);
    cyg_connpool_close(p);
    peer_down();
}

/* Who got a place and is cancelled while he dials passes it on. */
RT_TEST(test_a_cancelled_dial_is_the_next_ones_turn) {
    peer_up();
    memset(&slow, 0, sizeof slow);
    cyg_connpool *p;
    CHECK_EQ(cyg_connpool_new(NULL, NULL, &(cyg_connpool_opts){.max_open = 1, .dial = slow_dial, .name = "slow"}, &p), 0);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    struct waiter w[2] = {{.p = p, .ctx = ctx}};
    GO(get_and_put, &w[0]);
    WAIT_FOR(LOAD(slow.calls) == 1);
    queue_up(p, &w[1], NULL, 0);
    cyg_ctx_cancel(ctx, 0);
    WAIT_FOR(LOAD(w[0].done));
    CHECK_EQ(w[0].err, CYG_ECANCELED);
    STORE(slow.go_on, 2);
    WAIT_FOR(LOAD(w[1].done));
    CHECK_EQ(w[1].err, 0);
    pool_adds_up(p);
    cyg_connpool_close(p);
    peer_down();
}

/* ---- all at once ------------------------------------------------------------------------------------------------------ */

static struct {
    cyg_connpool *p;
    cyg_waitgroup done;
    int got, timed, cancelled, other; /* atomic */
} storm;

static void rage(void *arg) {
    uint32_t r = (uint32_t)(uintptr_t)arg * 2654435761u + 1;
    for (int i = 0; i < 300 / RT_LESS; i++) {
        r = r * 1664525u + 1013904223u;
        cyg_auto_ctx cyg_ctx *ctx =
            cyg_ctx_with_timeout(cyg_ctx_background(), r >> 24 & 1 ? 40 * CYG_MICROSECOND : CYG_MINUTE);
        cyg_ctx_scope scope = cyg_ctx_enter(ctx);
        cyg_pooled_conn *pc;
        cyg_connpool_ask ask = {.deadline = r >> 20 & 1 ? cyg_now() + 30 * CYG_MICROSECOND : 0,
                                .fresh = (r >> 10 & 63) == 0};
        int err = cyg_connpool_get_as(storm.p, &ask, &pc);
        ADD(*(err == 0               ? &storm.got
              : err == CYG_ETIMEDOUT ? &storm.timed
              : err == CYG_ECANCELED ? &storm.cancelled
                                     : &storm.other),
            1);
        if (err == 0) {
            if (r >> 8 & 1) cyg_yield();
            if ((r >> 12 & 31) == 0)
                cyg_connpool_discard(pc, r >> 17 & 1 ? CYG_CONNPOOL_BROKEN : CYG_CONNPOOL_FINISHED);
            else
                cyg_connpool_put(pc);
        }
        cyg_ctx_leave(&scope);
    }
    cyg_waitgroup_done(&storm.done);
}

static void peers_close(void *arg) {
    for (int i = 0; !LOAD(*(int *)arg);) {
        if (LOAD(peer.n) > i + 2) peer_close(i++);
        cyg_yield();
    }
    cyg_waitgroup_done(&storm.done);
}

RT_TEST(test_a_storm_of_callers_deadlines_and_closing_peers_adds_up) {
    memset(&storm, 0, sizeof storm);
    int stop = 0;
    peer_up();
    storm.p = pool_of(&(cyg_connpool_opts){.max_open = 4, .max_idle = 3, .min_idle = 1, .reset_idle = true});
    cyg_waitgroup_add(&storm.done, 12);
    for (intptr_t i = 0; i < 12; i++) GO(rage, (void *)i);
    GO(peers_close, &stop);
    CHECK_EQ(cyg_waitgroup_wait(&storm.done), 0);
    cyg_waitgroup_add(&storm.done, 1);
    STORE(stop, 1);
    CHECK_EQ(cyg_waitgroup_wait(&storm.done), 0);
    CHECK_EQ(storm.other, 0);
    CHECK_EQ(storm.got + storm.timed + storm.cancelled, 12 * (300 / RT_LESS));
    CHECK_EQ(storm.got, pool_stats(storm.p).gets_total);
    /* The warmer has settled, and an idle one whose end has come in is no longer on its way out. */
    WAIT_FOR(({
        cyg_connpool_stats st = pool_stats(storm.p);
        st.idle >= 1 && st.opening == 0 && st.in_use == 0;
    }));
    CHECK_EQ(cyg_connpool_drain(storm.p, cyg_now() + RT_DEADLINE), 0);
    pool_adds_up(storm.p);
    CHECK_EQ(pool_stats(storm.p).open, 0);
    cyg_connpool_close(storm.p);
    peer_down();
}

/* ---- seeing who waits ------------------------------------------------------------------------------------------------- */

RT_TEST(test_the_dump_names_the_pool) {
    peer_up();
    cyg_connpool *p = pool_of(&(cyg_connpool_opts){.max_open = 1, .name = "orders 10.0.0.1:80"});
    cyg_pooled_conn *pc = pool_get(p);
    struct waiter w;
    queue_up(p, &w, NULL, 0);
    static char text[1 << 20];
    WAIT_FOR(({ /* it may be on its way into the park */
                FILE *f = tmpfile();
                CHECK(f && cyg_dump(fileno(f)) == 0);
                rewind(f);
                text[fread(text, 1, sizeof text - 1, f)] = 0;
                fclose(f);
                strstr(text, "[connection pool, ") && strstr(text, "\"orders 10.0.0.1:80\"");
    }));
    cyg_connpool_put(pc);
    WAIT_FOR(LOAD(w.done));
    cyg_connpool_close(p);
    peer_down();
}

static const struct rt_child kids[] = {{NULL, NULL}};
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_who_came_first_is_served_first),
    cmocka_unit_test(test_the_freed_place_of_a_broken_one_is_the_next_ones_turn),
    cmocka_unit_test(test_waiting_ends),
    cmocka_unit_test(test_a_turn_given_to_one_who_gives_up_is_not_lost),
    cmocka_unit_test(test_what_comes_free_on_the_way_to_the_queue_is_seen),
    cmocka_unit_test(test_a_failed_dial_is_the_next_ones_turn),
    cmocka_unit_test(test_a_cancelled_dial_is_the_next_ones_turn),
    cmocka_unit_test(test_a_storm_of_callers_deadlines_and_closing_peers_adds_up),
    cmocka_unit_test(test_the_dump_names_the_pool),
};
RT_MAIN(tests, kids)
