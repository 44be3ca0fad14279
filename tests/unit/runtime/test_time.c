/* test_time.c: sleeping, timers that start a goroutine, and the cached clock.
 */
#include "../rt.h"

/* ---- sleep --------------------------------------------------------------------------------------------------------- */

enum { SLEEPERS = 40 };
static cyg_time woke_at[SLEEPERS];
static int woke;

static void sleep_some(void *arg) {
    intptr_t i = (intptr_t)arg;
    cyg_time until = cyg_now() + (i + 1) * CYG_MILLISECOND / 2;
    CHECK_EQ(cyg_sleep((i + 1) * CYG_MILLISECOND / 2), 0);
    CHECK(cyg_now() >= until); /* never early */
    woke_at[i] = cyg_now();
    ADD(woke, 1);
}

RT_TEST(test_sleep_never_ends_early) {
    STORE(woke, 0);
    for (int i = SLEEPERS - 1; i >= 0; i--) GO(sleep_some, (void *)(intptr_t)i);
    WAIT_FOR(LOAD(woke) == SLEEPERS);
}

static int wake_order[SLEEPERS];
static cyg_time base;
static void sleep_in_turn(void *arg) {
    intptr_t i = (intptr_t)arg;
    cyg_time t = base + (i + 1) * CYG_MICROSECOND * 20; /* not a duration: time goes by before cyg_sleep adds it to the clock */
    CHECK_EQ(cyg_chan_recv_until(NULL, CYG_NOTHING, t), CYG_ETIMEDOUT);
    wake_order[woke++] = (int)i;
}

/* One P; all become due while it computes: they come back in the order of their times, not of their sleeps. */
static void in_order(void) {
    cyg_time end = cyg_now() + RT_DEADLINE;
    bool late;
    do { /* once more if the machine stood still before all slept */
        CHECK(cyg_now() < end);
        woke = 0;
        base = cyg_now() + 50 * CYG_MILLISECOND;
        for (int i = 0; i < SLEEPERS; i++) GO(sleep_in_turn, (void *)(intptr_t)(i * 7 % SLEEPERS));
        WAIT_FOR(rt_stats().timers == SLEEPERS || cyg_now() >= base);
        late = cyg_now() >= base;
        WAIT_FOR(cyg_now() > base - 2 * CYG_MILLISECOND);    /* within this goroutine's slice */
        while (cyg_now() < base + CYG_MILLISECOND) continue; /* all are due when the scheduler looks again */
        WAIT_FOR(woke == SLEEPERS);
    } while (late);
    for (int i = 0; i < SLEEPERS && !rt_shaken(); i++) CHECK_EQ(wake_order[i], i);
}
static void test_sleepers_wake_in_order(void **state) {
    (void)state;
    rt_run(&(cyg_runtime_opts){.maxprocs = 1, .max_threads = 1}, in_order);
}

static int slept_zero;
static void sleep_zero(void *arg) {
    (void)arg;
    CHECK_EQ(cyg_sleep(0), 0);
    CHECK_EQ(cyg_sleep(-5), 0);
    STORE(slept_zero, 1);
}

static void sleep_for_ever(void *arg) {
    cyg_ctx_scope s = cyg_ctx_enter(arg);
    CHECK_EQ(cyg_sleep(INT64_MAX), CYG_ECANCELED); /* no overflow makes it short */
    cyg_ctx_leave(&s);
    ADD(woke, 1);
}

RT_TEST(test_sleep_bounds) {
    STORE(slept_zero, 0);
    STORE(woke, 0);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    GO(sleep_zero, NULL);
    GO(sleep_for_ever, ctx);
    WAIT_FOR(LOAD(slept_zero));
    WAIT_FOR(rt_stats().timers == 1);
    CHECK_EQ(LOAD(woke), 0);
    cyg_ctx_cancel(ctx, 0);
    WAIT_FOR(LOAD(woke) == 1);
}

/* ---- after_func ------------------------------------------------------------------------------------------------------- */

static int fired;
static void fire(void *arg) {
    (void)arg;
    CHECK(cyg_goid() != 0); /* on a goroutine: it may park */
    cyg_yield();
    ADD(fired, 1);
}

RT_TEST(test_after_func_fires_once) {
    STORE(fired, 0);
    cyg_timer *t, *now;
    CHECK_EQ(cyg_after_func(CYG_MILLISECOND, fire, NULL, &t), 0);
    CHECK_EQ(cyg_after_func(-1, fire, NULL, &now), 0);
    WAIT_FOR(LOAD(fired) == 2);
    WAIT_FOR(rt_stats().goroutines == 1);
    CHECK(!cyg_timer_stop(t));
    CHECK_EQ(cyg_sleep(3 * CYG_MILLISECOND), 0);
    CHECK_EQ(LOAD(fired), 2);
    cyg_timer_release(t);
    cyg_timer_release(now);
}

RT_TEST(test_stopped_timer_never_fires) {
    STORE(fired, 0);
    cyg_timer *t, *later;
    cyg_time due = cyg_now() + 2 * CYG_MILLISECOND;
    CHECK_EQ(cyg_after_func(2 * CYG_MILLISECOND, fire, NULL, &t), 0);
    CHECK_EQ(cyg_after_func(CYG_HOUR, fire, NULL, &later), 0);
    uint64_t timers = rt_stats().timers;
    CHECK(timers == 2 || (timers == 1 && cyg_now() >= due)); /* it may have fired by now, on another P */
    bool stopped = cyg_timer_stop(t);
    CHECK(cyg_timer_stop(later));
    CHECK(!cyg_timer_stop(later));
    cyg_timer_release(t);
    cyg_timer_release(later);
    if (!stopped) WAIT_FOR(LOAD(fired) == 1);
    CHECK_EQ(cyg_sleep(5 * CYG_MILLISECOND), 0);
    CHECK_EQ(LOAD(fired), !stopped);
}

RT_TEST(test_reset_moves_revives_and_fires_again) {
    STORE(fired, 0);
    cyg_timer *t;
    CHECK_EQ(cyg_after_func(CYG_HOUR, fire, NULL, &t), 0);
    CHECK(cyg_timer_reset(t, 2 * CYG_HOUR)); /* pending */
    CHECK(cyg_timer_reset(t, CYG_MILLISECOND));
    WAIT_FOR(LOAD(fired) == 1);
    CHECK(!cyg_timer_reset(t, CYG_MILLISECOND)); /* fired */
    WAIT_FOR(LOAD(fired) == 2);
    CHECK(!cyg_timer_reset(t, CYG_HOUR));
    CHECK(cyg_timer_stop(t));
    CHECK(!cyg_timer_reset(t, 0)); /* stopped */
    WAIT_FOR(LOAD(fired) == 3);
    cyg_timer_release(t);
}

static struct {
    cyg_timer *t;
    int n;
} self;
static void again(void *arg) {
    (void)arg;
    if (ADD(self.n, 1) < 5) CHECK(!cyg_timer_reset(self.t, self.n % 2 ? 0 : 100 * CYG_MICROSECOND));
}

RT_TEST(test_timer_reset_by_its_own_goroutine) {
    STORE(self.n, 0);
    CHECK_EQ(cyg_after_func(0, again, NULL, &self.t), 0);
    WAIT_FOR(LOAD(self.n) == 5);
    WAIT_FOR(rt_stats().goroutines == 1);
    cyg_timer_release(self.t);
}

/* Nobody holds it any more: it fires all the same, and its memory goes (the leak checker sees). */
RT_TEST(test_released_timer_still_fires) {
    STORE(fired, 0);
    cyg_timer *t;
    CHECK_EQ(cyg_after_func(CYG_MILLISECOND, fire, NULL, &t), 0);
    cyg_timer_release(t);
    WAIT_FOR(LOAD(fired) == 1);
}

/* Stop and reset against firing, many times: as many firings as were not stopped. */
RT_TEST(test_stop_races_with_firing) {
    STORE(fired, 0);
    int expect = 0;
    for (int i = 0; i < 2000; i++) {
        cyg_timer *t;
        CHECK_EQ(cyg_after_func(i % 60 * CYG_MICROSECOND, fire, NULL, &t), 0);
        if (i % 3) cyg_yield();
        if (i % 5 == 0) expect += !cyg_timer_reset(t, i % 50 * CYG_MICROSECOND);
        expect += !cyg_timer_stop(t);
        cyg_timer_release(t);
    }
    WAIT_FOR(LOAD(fired) == expect);
    WAIT_FOR(rt_stats().goroutines == 1);
    CHECK_EQ(LOAD(fired), expect);
}

static void test_after_func_without_a_runtime(void **state) {
    (void)state;
    cyg_timer *t;
    assert_int_equal(cyg_after_func(0, fire, NULL, &t), CYG_ESTATE);
}

/* From a foreign thread to a P that sleeps without a timer, or for a later one. */
static void test_foreign_timer_wakes_a_sleeping_p(void **state) {
    (void)state;
    for (unsigned procs = 1; procs <= 4; procs *= 2) {
        CHECK_EQ(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = procs}), 0);
        STORE(fired, 0);
        cyg_timer *far, *t;
        CHECK_EQ(cyg_after_func(CYG_HOUR, fire, NULL, &far), 0);
        for (int i = 0; i < 200; i++) {
            CHECK_EQ(cyg_after_func(i % 3 * 100 * CYG_MICROSECOND, fire, NULL, &t), 0);
            WAIT_FOR(LOAD(fired) == i + 1);
            cyg_timer_release(t);
        }
        CHECK(cyg_timer_stop(far));
        cyg_timer_release(far);
        CHECK_EQ(cyg_runtime_stop(), 0);
    }
}

/* ---- the cached clock ---------------------------------------------------------------------------------------------------- */

static void watch_clock(void *arg) {
    (void)arg;
    cyg_time last = 0;
    for (int i = 0; i < 20000 / RT_LESS; i++) {
        cyg_time t = cyg_now_cached();
        CHECK(t >= last);
        CHECK(t <= cyg_now());
        last = t;
        if (i % 500 == 0)
            CHECK_EQ(cyg_sleep(10 * CYG_MICROSECOND), 0);
        else
            cyg_yield();
    }
    ADD(woke, 1);
}

RT_TEST(test_cached_clock_never_goes_back_for_a_goroutine) {
    STORE(woke, 0);
    for (int i = 0; i < 12; i++) GO(watch_clock, NULL);
    WAIT_FOR(LOAD(woke) == 12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sleep_never_ends_early),
        cmocka_unit_test(test_sleepers_wake_in_order),
        cmocka_unit_test(test_sleep_bounds),
        cmocka_unit_test(test_after_func_fires_once),
        cmocka_unit_test(test_stopped_timer_never_fires),
        cmocka_unit_test(test_reset_moves_revives_and_fires_again),
        cmocka_unit_test(test_timer_reset_by_its_own_goroutine),
        cmocka_unit_test(test_released_timer_still_fires),
        cmocka_unit_test(test_stop_races_with_firing),
        cmocka_unit_test(test_after_func_without_a_runtime),
        cmocka_unit_test(test_foreign_timer_wakes_a_sleeping_p),
        cmocka_unit_test(test_cached_clock_never_goes_back_for_a_goroutine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
