/* test_connpool_ends.c: how connections end that lie idle: the peer, the clock with its jitter, drain and close; what a reset leaves
 * behind; and the warmer that keeps some ready.
 */
#include "net/connpool.h"
#include "pool_peer.h"

/* ---- stale ones ------------------------------------------------------------------------------------------------------- */

RT_TEST(test_one_that_the_peer_closed_is_not_lent) {
    peer_up();
    cyg_connpool *p = pool_of(NULL);
    for (int i = 0; i < 3; i++) {
        cyg_pooled_conn *pc = pool_get(p);
        CHECK_EQ(pc->uses, 1);
        cyg_connpool_put(pc);
        CHECK_EQ(pool_stats(p).idle, 1);
        peer_close(i);
        WAIT_FOR(pool_stats(p).open == 0);
    }
    CHECK_EQ(pool_stats(p).closed_total[CYG_CONNPOOL_PEER_CLOSED], 3);
    pool_adds_up(p);
    cyg_connpool_close(p);
    peer_down();
}

RT_TEST(test_one_with_bytes_nobody_asked_for_is_not_lent) {
    peer_up();
    cyg_connpool *p = pool_of(NULL);
    cyg_connpool_put(pool_get(p));
    peer_say(0, "hello?"); /* while it lies idle */
    WAIT_FOR(pool_stats(p).open == 0);
    cyg_pooled_conn *pc = pool_get(p);
    peer_say(1, "12");
    char b;
    CHECK_EQ(cyg_read(pc->conn, &b, 1), 1); /* one is left when it is put back */
    cyg_connpool_put(pc);
    CHECK(pool_stats(p).open == 0 && pool_stats(p).closed_total[CYG_CONNPOOL_UNASKED_BYTES] == 2);
    pc = pool_get(p);
    peer_close(2);
    CHECK_EQ(cyg_read(pc->conn, &b, 1), CYG_EOF);
    cyg_connpool_put(pc); /* the peer's end has been read already */
    CHECK(pool_stats(p).open == 0 && pool_stats(p).closed_total[CYG_CONNPOOL_PEER_CLOSED] == 1);
    pool_adds_up(p);
    cyg_connpool_close(p);
    peer_down();
}

/* A read that filled its buffer does not tell whether there is more: the pool looks, and keeps it. */
RT_TEST(test_one_whose_last_read_was_exact_is_kept) {
    peer_up();
    cyg_connpool *p = pool_of(NULL);
    for (int i = 0; i < 10; i++) {
        char b[4];
        cyg_pooled_conn *pc = pool_get(p);
        peer_say(0, "four");
        CHECK_EQ(cyg_read_full(pc->conn, b, 4), 4);
        cyg_connpool_put(pc);
        net_settle();
        CHECK_EQ(pool_stats(p).idle, 1);
    }
    CHECK(pool_stats(p).opens_total == 1 && pool_stats(p).reuses_total == 9);
    cyg_connpool_close(p);
    peer_down();
}

/* Handed from one to the next, it has not lain with the poller: it is looked at all the same. */
struct taker {
    cyg_connpool *p;
    cyg_pooled_conn *got; /* atomic */
};
static void take_one(void *arg) {
    struct taker *t = arg;
    STORE(t->got, pool_get(t->p));
}
RT_TEST(test_a_dead_one_is_not_handed_to_who_waits) {
    peer_up();
    struct taker a = {.p = pool_of(&(cyg_connpool_opts){.max_open = 1})};
    cyg_pooled_conn *pc = pool_get(a.p);
    GO(take_one, &a);
    WAIT_FOR(pool_stats(a.p).waiters == 1);
    peer_close(0);
    CHECK_EQ(cyg_conn_wait_readable(pc->conn), 0); /* its end is there */
    cyg_connpool_put(pc);
    WAIT_FOR(LOAD(a.got));
    CHECK(a.got->uses == 1 && pool_stats(a.p).closed_total[CYG_CONNPOOL_PEER_CLOSED] == 1);
    cyg_connpool_put(a.got);
    cyg_connpool_close(a.p);
    peer_down();
}

/* ---- the clock -------------------------------------------------------------------------------------------------------- */

RT_TEST(test_each_limit_of_time_closes_and_is_told_apart) {
    peer_up();
    for (int how = 0; how < 3; how++) {
        cyg_connpool_opts o = {.no_jitter = true};
        if (how == 0) o.idle_timeout = 5 * CYG_MILLISECOND;
        if (how == 1) o.max_life = 5 * CYG_MILLISECOND;
        cyg_connpool *p = pool_of(&o);
        cyg_pooled_conn *pc = pool_get(p);
        if (how == 2) pc->keep_until = cyg_now() + 5 * CYG_MILLISECOND;
        cyg_connpool_put(pc);
        WAIT_FOR(pool_stats(p).open == 0);
        static const cyg_connpool_why why[] = {CYG_CONNPOOL_IDLE_TIMEOUT, CYG_CONNPOOL_MAX_LIFE, CYG_CONNPOOL_PEER_LIMIT};
        CHECK_EQ(pool_stats(p).closed_total[why[how]], 1);
        pool_adds_up(p);
        cyg_connpool_close(p);
    }
    peer_down();
}

RT_TEST(test_one_too_old_is_not_put_back_nor_handed_over) {
    peer_up();
    cyg_connpool *p = pool_of(&(cyg_connpool_opts){.max_open = 1, .max_life = CYG_MILLISECOND, .no_jitter = true});
    cyg_pooled_conn *pc = pool_get(p);
    WAIT_FOR(cyg_now_cached() > pc->born + CYG_MILLISECOND);
    cyg_connpool_put(pc);
    CHECK(pool_stats(p).open == 0 && pool_stats(p).closed_total[CYG_CONNPOOL_MAX_LIFE] == 1);
    struct taker a = {.p = p};
    pc = pool_get(p);
    GO(take_one, &a);
    WAIT_FOR(pool_stats(p).waiters == 1 && cyg_now_cached() > pc->born + CYG_MILLISECOND);
    cyg_connpool_put(pc);
    WAIT_FOR(LOAD(a.got));
    CHECK(a.got->uses == 1 && pool_stats(p).closed_total[CYG_CONNPOOL_MAX_LIFE] == 2);
    cyg_connpool_put(a.got);
    cyg_connpool_close(p);
    peer_down();
}

RT_TEST(test_jitter_shortens_within_its_bounds_and_differs) {
    enum { N = 60 };
    peer_up();
    for (int none = 0; none < 2; none++) {
        cyg_connpool_opts o = {.max_life = CYG_HOUR, .idle_timeout = CYG_MINUTE, .jitter = 40, .no_jitter = none};
        cyg_connpool *p = pool_of(&o);
        cyg_pooled_conn *pc[N];
        cyg_duration least = INT64_MAX, most = 0;
        for (int i = 0; i < N; i++) {
            pc[i] = pool_get(p);
            const struct pooled *in = (const struct pooled *)pc[i];
            cyg_duration life = in->life_until - pc[i]->born;
            CHECK(life <= CYG_HOUR && life >= CYG_HOUR * 6 / 10);
            CHECK(in->idle_for <= CYG_MINUTE && in->idle_for >= CYG_MINUTE * 6 / 10);
            if (none) CHECK(life == CYG_HOUR && in->idle_for == CYG_MINUTE);
            if (life < least) least = life;
            if (life > most) most = life;
        }
        if (!none) CHECK(most - least > CYG_HOUR / 5); /* spread over more than half of what is allowed */
        for (int i = 0; i < N; i++) cyg_connpool_put(pc[i]);
        cyg_connpool_close(p);
    }
    peer_down();
}

/* ---- warm-up ---------------------------------------------------------------------------------------------------------- */

RT_TEST(test_some_are_kept_ready) {
    peer_up();
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    cyg_ctx_scope scope = cyg_ctx_enter(ctx); /* what starts the warmer may end before it */
    cyg_connpool *p = pool_of(&(cyg_connpool_opts){.max_open = 5, .min_idle = 3});
    cyg_ctx_cancel(ctx, 0);
    cyg_ctx_leave(&scope);
    WAIT_FOR(pool_stats(p).idle == 3 && pool_stats(p).opening == 0);
    CHECK_EQ(pool_stats(p).gets_total, 0);
    cyg_pooled_conn *pc[5];
    for (int i = 0; i < 5; i++) {
        pc[i] = pool_get(p);
        uint64_t left = (uint64_t)(5 - i - 1), want = left < 3 ? left : 3; /* max_open is kept */
        WAIT_FOR(pool_stats(p).idle == want && pool_stats(p).opening == 0);
        CHECK_EQ(pool_stats(p).open, (uint64_t)i + 1 + want);
    }
    cyg_connpool_discard(pc[0], CYG_CONNPOOL_BROKEN);
    WAIT_FOR(pool_stats(p).idle == 1);
    for (int i = 1; i < 5; i++) cyg_connpool_put(pc[i]);
    peer_close(0); /* and one that dies is replaced */
    WAIT_FOR(pool_closes(p) >= 2);
    WAIT_FOR(pool_stats(p).idle >= 3);
    CHECK_EQ(cyg_connpool_drain(p, cyg_now() + RT_DEADLINE), 0);
    pool_adds_up(p);
    cyg_connpool_close(p);
    peer_down();
}

static struct { int calls, fail; /* atomic */ } bad;
static int failing_dial(void *arg, cyg_time deadline, cyg_conn **out) {
    (void)arg;
    if (ADD(bad.calls, 1) <= bad.fail) return -ECONNREFUSED;
    return cyg_dial("tcp", peer.address, &(cyg_dial_opts){.deadline = deadline}, out);
}

RT_TEST(test_the_warmer_tries_again_and_ends_with_the_pool) {
    peer_up();
    for (int for_ever = 0; for_ever < 2; for_ever++) {
        STORE(bad.calls, 0);
        bad.fail = for_ever ? INT32_MAX : 1;
        cyg_connpool *p;
        CHECK_EQ(cyg_connpool_new(NULL, NULL, &(cyg_connpool_opts){.min_idle = 1, .dial = failing_dial, .name = "w"}, &p),
                 0);
        if (for_ever)
            WAIT_FOR(pool_stats(p).open_errors_total == 1);
        else
            WAIT_FOR(pool_stats(p).idle == 1);
        CHECK_EQ(LOAD(bad.calls), for_ever ? 1 : 2);
        cyg_connpool_close(p); /* while it waits to try again: the leak check says that it has gone */
    }
    peer_down();
}

/* ---- the end ---------------------------------------------------------------------------------------------------------- */

static struct {
    cyg_connpool *p;
    int err, done; /* done: atomic */
} drain;
static void drains(void *arg) {
    drain.err = cyg_connpool_drain(drain.p, arg ? cyg_now() + CYG_MILLISECOND : cyg_now() + RT_DEADLINE);
    STORE(drain.done, 1);
}

RT_TEST(test_drain_closes_idle_ones_and_waits_for_those_on_loan) {
    peer_up();
    for (int in_time = 0; in_time < 2; in_time++) {
        memset(&drain, 0, sizeof drain);
        drain.p = pool_of(&(cyg_connpool_opts){.max_open = 4});
        cyg_pooled_conn *a = pool_get(drain.p), *b = pool_get(drain.p), *c = pool_get(drain.p);
        cyg_connpool_put(b);
        GO(drains, in_time ? NULL : &drain);
        WAIT_FOR(pool_stats(drain.p).open == 2); /* the idle one has gone */
        CHECK_EQ(cyg_connpool_get(drain.p, 0, &b), CYG_ECLOSED);
        if (!in_time) WAIT_FOR(LOAD(drain.done));
        cyg_connpool_put(a);
        net_settle();
        CHECK_EQ(LOAD(drain.done), !in_time);
        CHECK_EQ(pool_stats(drain.p).open, 1);
        cyg_connpool_discard(c, CYG_CONNPOOL_BROKEN);
        WAIT_FOR(LOAD(drain.done));
        CHECK_EQ(drain.err, in_time ? 0 : CYG_ETIMEDOUT);
        cyg_connpool_stats s = pool_stats(drain.p);
        CHECK(s.open == 0 && s.closed_total[CYG_CONNPOOL_POOL_CLOSED] == 2 && s.closed_total[CYG_CONNPOOL_BROKEN] == 1);
        pool_adds_up(drain.p);
        cyg_connpool_close(drain.p);
    }
    peer_down();
}

static int freed;
static void note_freed(void *arg) { ADD(*(int *)arg, 1); }

RT_TEST(test_a_pool_lives_until_the_last_of_it_is_given_back) {
    peer_up();
    STORE(freed, 0);
    cyg_connpool *p = pool_of(&(cyg_connpool_opts){.freed = note_freed, .arg = &freed});
    cyg_pooled_conn *pc = pool_get(p);
    cyg_connpool_release(cyg_connpool_acquire(p));
    CHECK_EQ(pool_stats(p).open, 1);
    cyg_connpool_release(p); /* the last reference: as close */
    CHECK_EQ(LOAD(freed), 0);
    CHECK_EQ(cyg_write(pc->conn, "x", 1), 1);
    cyg_connpool_put(pc);
    CHECK_EQ(LOAD(freed), 1);
    peer_down();
}

/* How many of the n sockets with these local ports, connected to the peer, are in TIME_WAIT. */
static int time_waits(const int *ports, int n) {
    int there = atoi(strrchr(peer.address, ':') + 1), found = 0;
    FILE *f = fopen("/proc/net/tcp", "r");
    CHECK(f);
    for (char line[256]; fgets(line, sizeof line, f);) {
        unsigned local, remote, state;
        if (sscanf(line, " %*d: %*x:%x %*x:%x %x", &local, &remote, &state) != 3) continue;
        for (int i = 0; i < n; i++) found += (int)local == ports[i] && (int)remote == there && state == 6;
    }
    fclose(f);
    return found;
}

/* How many the kernel has left out because it held tcp_max_tw_buckets already: on a busy machine that happens. */
static long left_out(void) {
    FILE *f = fopen("/proc/net/netstat", "r");
    char names[8192], values[8192], *n, *v, *save[2];
    CHECK(f && fgets(names, sizeof names, f) && fgets(values, sizeof values, f)); /* TcpExt */
    fclose(f);
    n = strtok_r(names, " \n", &save[0]);
    v = strtok_r(values, " \n", &save[1]);
    while (n && v && strcmp(n, "TCPTimeWaitOverflow") != 0) {
        n = strtok_r(NULL, " \n", &save[0]);
        v = strtok_r(NULL, " \n", &save[1]);
    }
    return n && v ? atol(v) : 0;
}

RT_TEST(test_a_reset_leaves_no_time_wait_and_an_orderly_end_does) {
    for (int reset = 0; reset < 2; reset++) {
        long before = left_out();
        peer_up();
        cyg_connpool *p = pool_of(&(cyg_connpool_opts){.reset_idle = reset});
        cyg_pooled_conn *pc[8];
        int ports[8];
        for (int i = 0; i < 8; i++) {
            cyg_addr a;
            pc[i] = pool_get(p);
            CHECK_EQ(cyg_conn_local_addr(pc[i]->conn, &a), 0);
            ports[i] = a.port;
        }
        for (int i = 0; i < 4; i++) cyg_connpool_discard(pc[i], CYG_CONNPOOL_FINISHED);
        for (int i = 4; i < 8; i++) cyg_connpool_put(pc[i]);
        cyg_connpool_close(p);
        for (int i = 0; i < 8; i++) {
            char b;
            WAIT_FOR(LOAD(peer.n) > i);
            CHECK_EQ(cyg_read(peer.conns[i], &b, 1), reset ? -ECONNRESET : CYG_EOF);
            peer_close(i);
        }
        if (reset)
            CHECK_EQ(time_waits(ports, 8), 0);
        else
            WAIT_FOR(time_waits(ports, 8) == 8 || left_out() > before);
        peer_down();
    }
}

static const struct rt_child kids[] = {{NULL, NULL}};
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_one_that_the_peer_closed_is_not_lent),
    cmocka_unit_test(test_one_with_bytes_nobody_asked_for_is_not_lent),
    cmocka_unit_test(test_one_whose_last_read_was_exact_is_kept),
    cmocka_unit_test(test_a_dead_one_is_not_handed_to_who_waits),
    cmocka_unit_test(test_each_limit_of_time_closes_and_is_told_apart),
    cmocka_unit_test(test_one_too_old_is_not_put_back_nor_handed_over),
    cmocka_unit_test(test_jitter_shortens_within_its_bounds_and_differs),
    cmocka_unit_test(test_some_are_kept_ready),
    cmocka_unit_test(test_the_warmer_tries_again_and_ends_with_the_pool),
    cmocka_unit_test(test_drain_closes_idle_ones_and_waits_for_those_on_loan),
    cmocka_unit_test(test_a_pool_lives_until_the_last_of_it_is_given_back),
    cmocka_unit_test(test_a_reset_leaves_no_time_wait_and_an_orderly_end_does),
};
RT_MAIN(tests, kids)
