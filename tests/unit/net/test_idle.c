/* test_idle.c: connections left with the poller (cyg_conn_on_readable): what starts the function, that it starts once, taking it
 * back, and that an idle connection holds neither goroutine nor stack.
 */
#include "net.h"

static struct {
    int n, why;
    cyg_conn *c;
} started;

static void ready(void *arg, int why) {
    CHECK(cyg_goid() != 0);
    CHECK(arg == started.c);
    STORE(started.why, why);
    ADD(started.n, 1);
}
static void leave_it(cyg_conn *c, cyg_time deadline) {
    STORE(started.n, 0);
    started.c = c;
    CHECK_EQ(cyg_conn_on_readable(c, ready, c, deadline), 0);
}
static void starts_once(int why) {
    WAIT_FOR(LOAD(started.n) == 1);
    CHECK_EQ(LOAD(started.why), why);
    net_settle();
    CHECK_EQ(LOAD(started.n), 1);
    CHECK(!cyg_conn_cancel_readable(started.c));
}

RT_TEST(test_data_end_deadline_and_close_start_it_once) {
    for (int kind = 0; kind < 2; kind++) {
        struct net_pair p;
        char b[8];
        net_pair_of(kind, &p);
        CHECK_EQ(cyg_write(p.b, "x", 1), 1);
        CHECK_EQ(cyg_read(p.a, b, sizeof b), 1); /* short: known to be empty */
        leave_it(p.a, 0);
        net_settle();
        CHECK_EQ(LOAD(started.n), 0);
        CHECK_EQ(rt_stats().start_records, 1);
        CHECK_EQ(cyg_write(p.b, "12", 2), 2); /* data */
        starts_once(0);
        CHECK_EQ(cyg_read(p.a, b, 1), 1);
        leave_it(p.a, 0); /* a byte is still there: at once */
        starts_once(0);
        CHECK_EQ(cyg_read(p.a, b, sizeof b), 1);
        leave_it(p.a, cyg_now() + CYG_MILLISECOND); /* a deadline */
        starts_once(CYG_ETIMEDOUT);
        leave_it(p.a, 1);
        starts_once(CYG_ETIMEDOUT);
        leave_it(p.a, cyg_now() + CYG_HOUR); /* the peer's end */
        CHECK_EQ(cyg_close(p.b), 0);
        starts_once(0);
        CHECK_EQ(cyg_read(p.a, b, sizeof b), CYG_EOF);
        leave_it(p.a, 0); /* which is something to be read each time */
        starts_once(0);
        CHECK_EQ(cyg_close(p.a), 0);
    }
}

RT_TEST(test_close_starts_it) {
    struct net_pair p;
    net_unix_pair(&p);
    leave_it(p.a, 0);
    net_settle();
    if (LOAD(started.n)) { /* fresh, it may look once */
        CHECK_EQ(LOAD(started.why), 0);
        leave_it(p.a, 0);
    }
    cyg_conn_acquire(p.a); /* the record's */
    CHECK_EQ(cyg_close(p.a), 0);
    starts_once(CYG_ECLOSED);
    CHECK_EQ(cyg_conn_on_readable(p.a, ready, p.a, 0), CYG_ECLOSED);
    CHECK_EQ(LOAD(started.n), 1);
    cyg_conn_release(p.a);
    CHECK_EQ(cyg_close(p.b), 0);
}

/* The reader's own deadline holds again afterwards, and does not fire meanwhile. */
RT_TEST(test_reader_deadline_is_kept_apart) {
    struct net_pair p;
    char b;
    net_unix_pair(&p);
    CHECK_EQ(cyg_set_read_deadline(p.a, 1), 0);
    leave_it(p.a, 0);
    net_settle();
    CHECK_EQ(LOAD(started.n), 0);
    CHECK_EQ(cyg_write(p.b, "x", 1), 1);
    starts_once(0);
    CHECK_EQ(cyg_read(p.a, &b, 1), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_set_read_deadline(p.a, 0), 0);
    CHECK_EQ(cyg_read(p.a, &b, 1), 1);
    net_close_pair(&p);
}

/* The timer of an earlier deadline is left where it was when the deadline moves later; it must not start the function. */
RT_TEST(test_timer_of_an_earlier_deadline_does_not_start_it) {
    struct net_pair p;
    char b[8];
    net_unix_pair(&p);
    CHECK_EQ(cyg_set_read_deadline(p.a, cyg_now() + 5 * CYG_MILLISECOND), 0);
    CHECK_EQ(cyg_read(p.a, b, 1), CYG_ETIMEDOUT);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(cyg_set_read_deadline(p.a, 0), 0);
        leave_it(p.a, cyg_now() + 2 * CYG_MILLISECOND); /* arms it */
        if (!cyg_conn_cancel_readable(p.a)) {           /* a slow machine */
            WAIT_FOR(LOAD(started.n) == 1);
            continue;
        }
        leave_it(p.a, cyg_now() + CYG_HOUR);
        CHECK_EQ(cyg_sleep(4 * CYG_MILLISECOND), 0);
        CHECK_EQ(LOAD(started.n), 0);
        CHECK(cyg_conn_cancel_readable(p.a));
    }
    net_close_pair(&p);
}

RT_TEST(test_cancel_is_true_while_quiet_and_false_after_data_or_end) {
    for (int end = 0; end < 2; end++) {
        struct net_pair p;
        char b[8];
        net_tcp_pair(&p);
        CHECK_EQ(cyg_write(p.b, "x", 1), 1);
        CHECK_EQ(cyg_read(p.a, b, sizeof b), 1);
        for (int i = 0; i < 100; i++) {
            leave_it(p.a, i % 2 ? cyg_now() + CYG_HOUR : 0);
            if (i % 3 == 0) net_settle();
            CHECK(cyg_conn_cancel_readable(p.a));
            CHECK(!cyg_conn_cancel_readable(p.a)); /* it is no more */
        }
        net_settle();
        CHECK_EQ(LOAD(started.n), 0);
        CHECK_EQ(rt_stats().start_records, 0);
        leave_it(p.a, 0);
        if (end)
            CHECK_EQ(cyg_close(p.b), 0);
        else
            CHECK_EQ(cyg_write(p.b, "y", 1), 1);
        starts_once(0);
        CHECK_EQ(cyg_close(p.a), 0);
        if (!end) CHECK_EQ(cyg_close(p.b), 0);
    }
}

/* Cancel against data: either taken back, and the byte is there to be read; or started, once. */
RT_TEST(test_cancel_races_with_data) {
    struct net_pair p;
    char b[8];
    int back = 0, run = 0;
    net_unix_pair(&p);
    CHECK_EQ(cyg_set_read_deadline(p.a, cyg_now() + RT_DEADLINE), 0);
    for (int i = 0; i < 1000; i++) {
        leave_it(p.a, 0);
        CHECK_EQ(cyg_write(p.b, "x", 1), 1);
        for (int k = 0; k < i % 4; k++) cyg_yield();
        if (cyg_conn_cancel_readable(p.a)) {
            back++;
        } else {
            WAIT_FOR(LOAD(started.n) == 1);
            run++;
        }
        CHECK_EQ(cyg_read(p.a, b, sizeof b), 1);
        CHECK(LOAD(started.n) <= 1);
    }
    CHECK_EQ(back + run, 1000);
    net_close_pair(&p);
}

/* ---- many ------------------------------------------------------------------------------------------------------------------- */

enum { IDLE = 2000 };
static struct net_pair many[IDLE];
static int answered;

static void answer(void *arg, int why) {
    cyg_conn *c = arg;
    char b[16];
    CHECK_EQ(why, 0);
    CHECK_EQ(cyg_read(c, b, sizeof b), 1);
    CHECK_EQ(cyg_write(c, b, 1), 1);
    ADD(answered, 1);
    CHECK_EQ(cyg_conn_on_readable(c, answer, c, 0), 0);
}

/* With several Ps an event may be told twice, once before and once after it was read: then a goroutine has been started for
 * nothing and waits in its read. A rare one, or it were no use. */
static bool all_idle(void) {
    cyg_runtime_stats st = rt_stats();
    return st.start_records + st.goroutines - 1 == IDLE && st.goroutines - 1 <= (cyg_procs() > 1 ? IDLE / 50 : 0);
}

RT_TEST(test_two_thousand_idle_connections_hold_no_goroutine_and_no_stack) {
    struct rlimit lim;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &lim), 0);
    lim.rlim_cur = lim.rlim_max < 65536 ? lim.rlim_max : 65536;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &lim), 0);
    STORE(answered, 0);
    char b[8];
    for (int i = 0; i < IDLE; i++) {
        net_unix_pair(&many[i]);
        CHECK_EQ(cyg_write(many[i].b, "x", 1), 1);
        CHECK_EQ(cyg_read(many[i].a, b, sizeof b), 1);
        CHECK_EQ(cyg_conn_on_readable(many[i].a, answer, many[i].a, 0), 0);
    }
    CHECK(all_idle());
    uint64_t stacks = rt_stats().stacks;
    for (int i = 0; i < IDLE; i++) { /* each answers, and is idle again */
        CHECK_EQ(cyg_write(many[i].b, "x", 1), 1);
        CHECK_EQ(cyg_read(many[i].b, b, sizeof b), 1);
    }
    WAIT_FOR(LOAD(answered) == IDLE && all_idle());
    CHECK(rt_stats().stacks <= stacks + 300); /* one at a time, or as many as ran at once: not one a connection */
    for (int i = 0; i < IDLE; i++) {
        if (cyg_conn_cancel_readable(many[i].a)) continue;
        CHECK_EQ(cyg_write(many[i].b, "x", 1), 1); /* started for nothing: it waits for a byte */
        CHECK_EQ(cyg_read(many[i].b, b, sizeof b), 1);
        WAIT_FOR(cyg_conn_cancel_readable(many[i].a));
    }
    for (int i = 0; i < IDLE; i++) net_close_pair(&many[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_end_deadline_and_close_start_it_once),
        cmocka_unit_test(test_close_starts_it),
        cmocka_unit_test(test_reader_deadline_is_kept_apart),
        cmocka_unit_test(test_timer_of_an_earlier_deadline_does_not_start_it),
        cmocka_unit_test(test_cancel_is_true_while_quiet_and_false_after_data_or_end),
        cmocka_unit_test(test_cancel_races_with_data),
        cmocka_unit_test(test_two_thousand_idle_connections_hold_no_goroutine_and_no_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
