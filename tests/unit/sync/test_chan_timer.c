/* test_chan_timer.c: timers and tickers as channels: never early, nothing stale after stop or reset, results of stop and
 * reset, moves to earlier, storms. Rows of the table of behaviours (Go's names) stand beside the tests.
 */
#include "../rt.h"

static int done, got;
static cyg_chan *timer;

static cyg_chan_stats stats_of(cyg_chan *ch) {
    cyg_chan_stats st;
    cyg_chan_get_stats(ch, &st);
    return st;
}

/* Lets time pass a point, without the timer's help. */
static void pass(cyg_time t) { WAIT_FOR(cyg_now() > t); }

RT_TEST(test_after_is_ready_once_and_not_early) {
    cyg_time start = cyg_now(), due = 0;
    cyg_auto_chan cyg_chan *t = cyg_after(2 * CYG_MILLISECOND);
    int early = cyg_chan_try_recv(t, &due);
    CHECK(early == CYG_EAGAIN || (early == 0 && cyg_now() >= start + 2 * CYG_MILLISECOND)); /* the machine may have stood still */
    if (early) CHECK_EQ(cyg_chan_recv(t, &due), 0);
    CHECK(due >= start + 2 * CYG_MILLISECOND);
    CHECK(cyg_now() >= due);
    CHECK_EQ(cyg_chan_try_recv(t, &due), CYG_EAGAIN);
    CHECK_EQ(cyg_chan_recv_until(t, &due, cyg_now() + CYG_MILLISECOND), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_chan_len(t) + cyg_chan_cap(t), 0);
    cyg_auto_chan cyg_chan *at_once = cyg_after(-5);
    CHECK_EQ(cyg_chan_try_recv(at_once, CYG_NOTHING), 0);
    cyg_auto_chan cyg_chan *never = cyg_after(INT64_MAX);
    CHECK_EQ(cyg_chan_try_recv(never, CYG_NOTHING), CYG_EAGAIN);
}

RT_TEST(test_ticker_keeps_its_beat_and_leaves_out_what_nobody_took) {
    cyg_duration period = CYG_MILLISECOND;
    cyg_time start = cyg_now(), due, last = 0;
    cyg_auto_chan cyg_chan *t = cyg_tick(period);
    cyg_time first = 0;
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(cyg_chan_recv(t, &due), 0);
        if (!first) first = due;
        CHECK(due > last && cyg_now() >= due);
        CHECK_EQ((due - first) % period, 0);
        last = due;
    }
    CHECK(first >= start + period);
    cyg_time taken = cyg_now(); /* long after it was due, maybe: then beats are left out here already */
    pass(taken + 10 * period);
    CHECK_EQ(cyg_chan_recv(t, &due), 0); /* the oldest of those missed since */
    CHECK(due >= last + period && due <= taken + period);
    CHECK_EQ(cyg_chan_recv(t, &due), 0); /* the next is in the future again, or just past */
    CHECK(due > taken + 10 * period);
    CHECK_EQ((due - first) % period, 0);
    CHECK_EQ(stats_of(t).receives_total, 7);
}

/* 45: TestAfterStop, TestStopResult */
RT_TEST(test_nothing_is_received_after_stop) {
    cyg_auto_chan cyg_chan *t = cyg_after(CYG_HOUR);
    CHECK(cyg_chan_timer_stop(t)); /* before it was due */
    CHECK(!cyg_chan_timer_stop(t));
    CHECK_EQ(cyg_chan_try_recv(t, CYG_NOTHING), CYG_EAGAIN);
    cyg_chan_timer_reset(t, 0);
    pass(cyg_now());
    CHECK(cyg_chan_timer_stop(t)); /* due, but not taken */
    CHECK_EQ(cyg_chan_try_recv(t, CYG_NOTHING), CYG_EAGAIN);
    cyg_chan_timer_reset(t, 0);
    CHECK_EQ(cyg_chan_recv(t, CYG_NOTHING), 0);
    CHECK(!cyg_chan_timer_stop(t)); /* taken */
    cyg_auto_chan cyg_chan *tick = cyg_tick(CYG_MICROSECOND);
    pass(cyg_now() + 10 * CYG_MICROSECOND);
    CHECK(cyg_chan_timer_stop(tick));
    CHECK_EQ(cyg_chan_recv_until(tick, CYG_NOTHING, cyg_now() + CYG_MILLISECOND), CYG_ETIMEDOUT);
}

/* 45: TestReset, TestResetResult */
RT_TEST(test_reset_forgets_what_was_due) {
    cyg_auto_chan cyg_chan *t = cyg_after(0);
    pass(cyg_now());
    CHECK(cyg_chan_timer_reset(t, CYG_HOUR)); /* due, not taken */
    CHECK_EQ(cyg_chan_try_recv(t, CYG_NOTHING), CYG_EAGAIN);
    CHECK(cyg_chan_timer_reset(t, CYG_MILLISECOND));
    cyg_time before = cyg_now(), due;
    CHECK_EQ(cyg_chan_recv(t, &due), 0);
    CHECK(cyg_now() >= due && due >= before);
    CHECK(!cyg_chan_timer_reset(t, CYG_HOUR)); /* taken */
    CHECK(cyg_chan_timer_stop(t));
    CHECK(!cyg_chan_timer_reset(t, CYG_HOUR)); /* stopped */
    cyg_auto_chan cyg_chan *tick = cyg_tick(CYG_HOUR);
    before = cyg_now();
    CHECK(cyg_chan_timer_reset(tick, CYG_MILLISECOND)); /* the period too */
    for (int i = 1; i <= 3; i++) CHECK_EQ(cyg_chan_recv(tick, &due), 0);
    CHECK(due >= before + 3 * CYG_MILLISECOND);
}

static void take_one(void *arg) {
    cyg_time due;
    if (arg)
        CHECK_EQ(cyg_select(NULL, CYG_RECV(NULL, &due), CYG_RECV(timer, &due)), 1);
    else
        CHECK_EQ(cyg_chan_recv(timer, &due), 0);
    CHECK(cyg_now() >= due);
    ADD(done, 1);
}
/* 46: TestTimerModifiedEarlier. Those who wait until the old time hear of the new one, also on other Ps. */
RT_TEST(test_move_to_earlier_reaches_those_who_wait) {
    for (int how = 0; how < 2; how++)
        for (int from = 0; from < 2; from++) {
            STORE(done, 0);
            timer = cyg_after(CYG_HOUR);
            if (from) CHECK(cyg_chan_timer_stop(timer));
            enum { N = 100 }; /* more than one batch */
            for (int i = 0; i < N; i++) GO(take_one, how ? &timer : NULL);
            WAIT_FOR(stats_of(timer).receivers == N);
            for (int i = 1; i <= N; i++) {
                CHECK_EQ(cyg_chan_timer_reset(timer, i % 3 * 20 * CYG_MICROSECOND), i == 1 && !from);
                WAIT_FOR(LOAD(done) == i);
            }
            cyg_chan_release(timer);
        }
}

/* 46: TestAdjustTimers, TestLongAdjustTimers */
RT_TEST(test_many_timers_moved_about) {
    enum { N = 200 };
    cyg_chan *t[N];
    struct cyg_select_case cases[N];
    cyg_time due;
    for (int i = 0; i < N; i++) {
        t[i] = cyg_after(i % 2 ? CYG_HOUR : CYG_MILLISECOND);
        cases[i] = (struct cyg_select_case)CYG_RECV(t[i], &due);
    }
    for (int i = 0; i < N; i++) CHECK(cyg_chan_timer_reset(t[i], i % 3 ? 2 * CYG_MILLISECOND : 10 * CYG_HOUR));
    for (int n = 0; n < N - (N + 2) / 3; n++) {
        int i = cyg_select_n(NULL, cases, N);
        CHECK(i >= 0 && i % 3);
        CHECK(cyg_now() >= due);
        cases[i].ch = NULL; /* each once */
    }
    for (int i = 0; i < N; i++) {
        CHECK_EQ(cyg_chan_timer_stop(t[i]), i % 3 == 0);
        cyg_chan_release(t[i]);
    }
}

RT_TEST(test_a_timer_nobody_waits_for_costs_none) {
    uint64_t before = rt_stats().timers;
    cyg_chan *t[100];
    for (int i = 0; i < 100; i++) t[i] = i % 2 ? cyg_after(CYG_HOUR) : cyg_tick(CYG_MICROSECOND);
    CHECK_EQ(rt_stats().timers, before);
    for (int i = 0; i < 100; i++) cyg_chan_release(t[i]);
}

RT_TEST(test_timer_beside_other_cases) {
    cyg_auto_chan cyg_chan *values = cyg_chan_new(sizeof(int), 1), *t = cyg_after(CYG_MILLISECOND);
    int v = 3;
    cyg_time due;
    bool ok = false;
    CHECK_EQ(cyg_select(NULL, CYG_RECV(values, &v), CYG_RECV(t, &due, &ok), CYG_UNTIL(cyg_now() + CYG_HOUR)), 1);
    CHECK(ok && cyg_now() >= due);
    CHECK_EQ(cyg_chan_send(values, &v), 0);
    cyg_chan_timer_reset(t, CYG_HOUR);
    CHECK_EQ(cyg_select(NULL, CYG_RECV(values, &v), CYG_RECV(t, &due)), 0);
    CHECK_EQ(cyg_select(NULL, CYG_RECV(values, &v), CYG_RECV(t, &due), CYG_DEFAULT), 2);
    cyg_chan_timer_reset(t, 0);
    CHECK_EQ(cyg_select(NULL, CYG_RECV(values, &v), CYG_RECV(t, &due), CYG_DEFAULT), 1);
    CHECK_EQ(cyg_select(NULL, CYG_RECV(t, CYG_NOTHING), CYG_UNTIL(cyg_now() + CYG_MILLISECOND)), 1);
}

static void wait_end(void *arg) {
    cyg_time due = 5;
    bool ok = true;
    if (arg)
        CHECK_EQ(cyg_select(NULL, CYG_RECV(timer, &due, &ok)), 0);
    else
        ok = cyg_chan_recv(timer, &due) != CYG_EOF;
    CHECK(!ok && due == 0);
    ADD(done, 1);
}
RT_TEST(test_close_ends_a_ticker) {
    STORE(done, 0);
    timer = cyg_tick(CYG_HOUR);
    GO(wait_end, NULL);
    GO(wait_end, &timer);
    WAIT_FOR(stats_of(timer).receivers == 2);
    cyg_chan_close(timer);
    WAIT_FOR(LOAD(done) == 2);
    CHECK(!cyg_chan_timer_stop(timer));
    CHECK(!cyg_chan_timer_reset(timer, 1));
    CHECK_EQ(cyg_chan_try_recv(timer, CYG_NOTHING), CYG_EOF);
    CHECK_EQ(stats_of(timer).receivers, 0);
    cyg_chan_release(timer);
}

static void cancelled(void *arg) {
    cyg_ctx_scope s = cyg_ctx_enter((cyg_ctx *)arg);
    CHECK_EQ(cyg_chan_recv(timer, CYG_NOTHING), CYG_ECANCELED);
    cyg_ctx_leave(&s);
    ADD(done, 1);
}
RT_TEST(test_context_ends_a_wait_for_a_timer) {
    STORE(done, 0);
    timer = cyg_after(CYG_HOUR);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    GO(cancelled, ctx);
    WAIT_FOR(stats_of(timer).receivers == 1);
    cyg_ctx_cancel(ctx, 0);
    WAIT_FOR(LOAD(done) == 1);
    CHECK_EQ(stats_of(timer).receivers, 0);
    cyg_chan_release(timer);
}

/* ---- storms ----------------------------------------------------------------------------------------------------------- */

static cyg_time until; /* a storm lasts so long, and until something was received */
static bool storming(void) { return cyg_now() < LOAD(until) || LOAD(got) == 0; }
static void receive_storm(void *arg) {
    cyg_time due;
    while (storming()) {
        cyg_time end = cyg_now() + CYG_MILLISECOND;
        bool took = arg ? cyg_select(NULL, CYG_RECV(timer, &due), CYG_UNTIL(end)) == 0
                        : cyg_chan_recv_until(timer, &due, end) == 0;
        if (took) ADD(got, 1);
        if (took) CHECK(cyg_now() >= due);
    }
    ADD(done, 1);
}
static int started;
static void move_storm(void *arg) {
    (void)arg;
    for (int i = 0; storming(); i++) {
        if (i % 3 == 0)
            (void)cyg_chan_timer_stop(timer);
        else {
            ADD(started, 1);
            (void)cyg_chan_timer_reset(timer, i % 50 * CYG_MICROSECOND);
        }
        cyg_yield();
    }
    ADD(done, 1);
}
/* 47: TestTimerStopStress, TestTickerConcurrentStress: no double fire: at most one value for each start */
RT_TEST(test_storm_of_stops_and_resets) {
    for (int i = 0; i < 2; i++) {
        STORE(done, 0);
        STORE(got, 0);
        STORE(started, 1);
        STORE(until, cyg_now() + 50 * CYG_MILLISECOND);
        timer = cyg_after(CYG_MICROSECOND);
        for (intptr_t k = 0; k < 6; k++) GO(receive_storm, k % 2 ? &timer : NULL);
        for (int k = 0; k < 3; k++) GO(move_storm, NULL);
        WAIT_FOR(LOAD(done) == 9);
        CHECK(LOAD(got) > 0);
        CHECK(LOAD(got) <= LOAD(started));
        CHECK_EQ(stats_of(timer).receives_total, LOAD(got));
        CHECK_EQ(stats_of(timer).receivers, 0);
        cyg_chan_release(timer);
    }
}

/* 47: TestMultiWakeupTimer: several receivers, one value */
RT_TEST(test_one_value_goes_to_one_receiver) {
    for (int i = 0; i < 20; i++) {
        STORE(done, 0);
        STORE(got, 0);
        STORE(until, cyg_now() + 2 * CYG_MILLISECOND);
        timer = cyg_after(CYG_MILLISECOND);
        for (intptr_t k = 0; k < 8; k++) GO(receive_storm, k % 2 ? &timer : NULL);
        WAIT_FOR(LOAD(done) == 8);
        CHECK_EQ(LOAD(got), 1);
        cyg_chan_release(timer);
    }
}

/* ---- misuse ------------------------------------------------------------------------------------------------------------- */

static int child_misuse(int argc, char **argv) {
    const char *what = argc > 0 ? argv[0] : "";
    cyg_time now = 1;
    cyg_chan *t = cyg_after(0), *plain = cyg_chan_new(sizeof now, 1);
    if (strcmp(what, "send") == 0) (void)cyg_chan_try_send(t, &now);
    if (strcmp(what, "select") == 0) (void)cyg_select(NULL, CYG_SEND(t, &now), CYG_DEFAULT);
    if (strcmp(what, "period") == 0) (void)cyg_tick(0);
    if (strcmp(what, "plain") == 0) (void)cyg_chan_timer_stop(plain);
    return 0;
}
static void test_misuse_aborts(void **state) {
    (void)state;
    static const char *const says[][2] = {{"send", "send on a timer's channel"},
                                          {"select", "select to send on a timer's channel"},
                                          {"period", "a ticker's period of 0 ns"},
                                          {"plain", "stop or reset of a channel that is no timer"}};
    struct rt_result r;
    for (size_t i = 0; i < sizeof says / sizeof *says; i++) {
        rt_spawn("misuse", says[i][0], NULL, &r);
        CHECK_SIGNAL(&r, SIGABRT);
        CHECK_SAYS(&r, says[i][1]);
    }
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"misuse", child_misuse}, {NULL, NULL}};
    int code = rt_child_main(argc, argv, kids);
    if (code >= 0) return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_is_ready_once_and_not_early),
        cmocka_unit_test(test_ticker_keeps_its_beat_and_leaves_out_what_nobody_took),
        cmocka_unit_test(test_nothing_is_received_after_stop),
        cmocka_unit_test(test_reset_forgets_what_was_due),
        cmocka_unit_test(test_move_to_earlier_reaches_those_who_wait),
        cmocka_unit_test(test_many_timers_moved_about),
        cmocka_unit_test(test_a_timer_nobody_waits_for_costs_none),
        cmocka_unit_test(test_timer_beside_other_cases),
        cmocka_unit_test(test_close_ends_a_ticker),
        cmocka_unit_test(test_context_ends_a_wait_for_a_timer),
        cmocka_unit_test(test_storm_of_stops_and_resets),
        cmocka_unit_test(test_one_value_goes_to_one_receiver),
        cmocka_unit_test(test_misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
