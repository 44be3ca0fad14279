/* test_arm_clock.c: the time at which a timer is armed, beside clock_gettime: never early, late by no more than is promised, by threads
 * that take turns at one clock and move from CPU to CPU. On a machine whose counter is not used all of it is read, and holds as well. */
#include "runtime/arm_clock.h"
#include "base/spin.h"

#include "../rt.h"

enum { THREADS = 4, LOOKS = 2000000 / RT_LESS, MOVE_EVERY = 1000, CHAIN = 1 << 16 };
#define ORDER (10 * CYG_MICROSECOND) /* a thread may be held up between the counter and the clock */

/* As in a P: whoever has the lock uses the clock. */
static struct cygrt_arm_clock shared;
static uint32_t lock;
static cyg_time latest; /* guarded by lock */

static cyg_time true_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * CYG_SECOND + t.tv_nsec;
}

/* Loads that wait for one another and for memory, so that what comes after them could run before them. */
static uint32_t chain[CHAIN];
static void link_chain(void) {
    for (uint32_t i = 0; i < CHAIN; i++) chain[i] = (i + CHAIN / 2 + 4097) % CHAIN;
}

static void move(unsigned to, const cpu_set_t *allowed) {
    for (unsigned i = 0; i < CPU_SETSIZE; i++) {
        unsigned cpu = (to + i) % CPU_SETSIZE;
        if (!CPU_ISSET(cpu, allowed)) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        (void)sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

static void *look(void *arg) {
    cpu_set_t allowed;
    CHECK_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    uint32_t at = (uint32_t)(intptr_t)arg;
    for (unsigned i = 0; i < LOOKS; i++) {
        if (i % MOVE_EVERY == 0) move(i / MOVE_EVERY + at, &allowed);
        for (unsigned k = 0; k < i % 8; k++) at = __atomic_load_n(&chain[at % CHAIN], __ATOMIC_RELAXED);
        cyg_spin_lock(&lock);
        cyg_time before = true_now();
        cyg_time t = cygrt_arm_at(&shared, CYGRT_ARM_LONG) - CYGRT_ARM_LONG;
        cyg_time after = true_now();
        cyg_time last = latest;
        latest = t;
        cyg_spin_unlock(&lock);
        if (t < before) rt_fail(__FILE__, __LINE__, "%lld ns early", (long long)(before - t));
        CHECK(t <= after + CYGRT_ARM_AHEAD);
        CHECK(t + ORDER >= last);
    }
    return NULL;
}

static void look_from_all_cpus(void) {
    pthread_t t[THREADS];
    link_chain();
    shared = (struct cygrt_arm_clock){0};
    latest = 0;
    for (intptr_t i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&t[i], NULL, look, (void *)i), 0);
    for (int i = 0; i < THREADS; i++) CHECK_EQ(pthread_join(t[i], NULL), 0);
}

static void test_never_early_and_late_within_its_bound(void **state) {
    (void)state;
    cygrt_arm_clock_init(false);
    if (!cygrt_arm_clock_used()) print_message("the counter is not used here\n");
    look_from_all_cpus();
}

static void exact(struct cygrt_arm_clock *c, cyg_duration d) {
    for (int i = 0; i < 10000; i++) {
        cyg_time before = true_now(), t = cygrt_arm_at(c, d) - d;
        CHECK(before <= t && t <= true_now());
    }
}

static void test_short_durations_are_exact(void **state) {
    (void)state;
    cygrt_arm_clock_init(false);
    struct cygrt_arm_clock c = {0};
    exact(&c, CYGRT_ARM_LONG - 1);
    exact(&c, 0);
}

static void test_without_the_counter_all_are_exact(void **state) {
    (void)state;
    cygrt_arm_clock_init(true);
    CHECK(!cygrt_arm_clock_used());
    struct cygrt_arm_clock c = {0};
    exact(&c, CYGRT_ARM_LONG);
    look_from_all_cpus();
}

/* A counter that was set back, by whoever restored the machine, makes no old reading good. */
static void test_a_counter_set_back_means_reading(void **state) {
    (void)state;
    cygrt_arm_clock_init(false);
    struct cygrt_arm_clock c = {.reading = 1, .cycles = UINT64_MAX - 1000000};
    CHECK(cygrt_arm_at(&c, CYGRT_ARM_LONG) - CYGRT_ARM_LONG <= true_now() + CYGRT_ARM_AHEAD);
    c = (struct cygrt_arm_clock){.reading = 1, .cycles = UINT64_MAX / 2};
    cyg_time before = true_now();
    CHECK(cygrt_arm_at(&c, CYGRT_ARM_LONG) - CYGRT_ARM_LONG >= before);
}

static void test_the_ends_of_time(void **state) {
    (void)state;
    cygrt_arm_clock_init(false);
    struct cygrt_arm_clock c = {0};
    CHECK_EQ(cygrt_arm_at(&c, INT64_MAX), INT64_MAX);
    cyg_time t = cygrt_arm_at(&c, -1);
    CHECK(t > 0 && t <= true_now());
}

static void nothing(void *arg) { (void)arg; }

static void arm_one(void) {
    cyg_timer *t;
    CHECK_EQ(cyg_after_func(CYG_HOUR, nothing, NULL, &t), 0);
    CHECK(cyg_timer_stop(t));
    cyg_timer_release(t);
}

static int off_child(int argc, char **argv) {
    (void)argc, (void)argv;
    rt_run(NULL, arm_one);
    return cygrt_arm_clock_used() ? 1 : 7;
}

static void test_the_environment_turns_it_off(void **state) {
    (void)state;
    static struct rt_result r;
    rt_spawn("off", "", "CYGNET_DEBUG=noarmclock", &r);
    CHECK_EXIT(&r, 7);
}

static const struct rt_child kids[] = {{"off", off_child}, {NULL, NULL}};
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_never_early_and_late_within_its_bound),
    cmocka_unit_test(test_short_durations_are_exact),
    cmocka_unit_test(test_without_the_counter_all_are_exact),
    cmocka_unit_test(test_a_counter_set_back_means_reading),
    cmocka_unit_test(test_the_ends_of_time),
    cmocka_unit_test(test_the_environment_turns_it_off),
};
RT_MAIN(tests, kids)
