/* test_rules.c: the scheduler's rules, each in a test that fails without it: the bounded queue and its thieves, slices that pairs share,
 * Ps that run at once, thieves that visit everybody, goroutines that keep a P after a system call. The time sysmon takes is not
 * looked at. Runtimes with as many threads as Ps cannot retake: what happens there is the rule's doing alone.
 */
#include "runtime/queue.h"
#include "runtime/sched.h"
#include "../rt.h"

static int stop, done;

/* ---- the queue itself, without a runtime --------------------------------------------------------------------------------------- */

enum { TASKS = 4 * CYGRT_QUEUE };
static struct cygrt_task tasks[TASKS];
static struct p owner, thieves[3];
static uint8_t seen[TASKS];

static void clean(void) {
    memset(tasks, 0, sizeof tasks);
    memset(seen, 0, sizeof seen);
    memset(&owner, 0, sizeof owner);
    memset(thieves, 0, sizeof thieves);
    for (int i = 0; i < TASKS; i++) tasks[i].kind = CYGRT_TASK_RECORD;
    cygrt_sched.nprocs = 4; /* the owner and its thieves */
    cygrt_global_drop();
}

/* What has spilled, in order; thieves[2] is empty. */
static struct cygrt_task *spilled(void) {
    struct cygrt_task *t = cygrt_queue_get(&thieves[2]);
    return t ? t : cygrt_global_get(&thieves[2]);
}

static void see(const struct cygrt_task *t) { CHECK_EQ(__atomic_add_fetch(&seen[t - tasks], 1, __ATOMIC_RELAXED), 1); }

static void test_full_queue_spills_its_older_half_in_order(void **state) {
    (void)state;
    clean();
    for (int i = 0; i < CYGRT_QUEUE; i++) cygrt_queue_put(&owner, &tasks[i]);
    CHECK_EQ(cygrt_queue_len(&owner), CYGRT_QUEUE);
    CHECK_EQ(atomic_load(&cygrt_sched.glen), 0);
    cygrt_queue_put(&owner, &tasks[CYGRT_QUEUE]);
    CHECK_EQ(cygrt_queue_len(&owner), CYGRT_QUEUE / 2);
    CHECK_EQ(atomic_load(&cygrt_sched.glen), CYGRT_QUEUE / 2 + 1);
    int i = 0;
    for (struct cygrt_task *t; (t = spilled()); i++) CHECK(t == &tasks[i < CYGRT_QUEUE / 2 ? i : CYGRT_QUEUE]);
    CHECK_EQ(i, CYGRT_QUEUE / 2 + 1);
    for (i = CYGRT_QUEUE / 2; i < CYGRT_QUEUE; i++) CHECK(cygrt_queue_get(&owner) == &tasks[i]);
    CHECK(!cygrt_queue_get(&owner));
    clean();
}

static void test_thief_takes_half_and_the_next_slot_only_on_request(void **state) {
    (void)state;
    struct cygrt_task *first;
    clean();
    for (int i = 0; i < 11; i++) cygrt_queue_put(&owner, &tasks[i]);
    cygrt_queue_put_next(&owner, &tasks[11]);
    CHECK_EQ(cygrt_queue_steal(&thieves[0], &owner, true, &first), 6);
    CHECK(first == &tasks[0]);
    for (int i = 1; i < 6; i++) CHECK(cygrt_queue_get(&thieves[0]) == &tasks[i]);
    while (cygrt_queue_get(&owner)) continue;
    CHECK_EQ(cygrt_queue_steal(&thieves[0], &owner, false, &first), 0);
    CHECK_EQ(cygrt_queue_steal(&thieves[0], &owner, true, &first), 1);
    CHECK(first == &tasks[11]);
    CHECK_EQ(cygrt_queue_steal(&thieves[0], &owner, true, &first), 0);
    clean();
}

static void *steal_on(void *arg) {
    struct p *me = arg;
    struct cygrt_task *t;
    while (!LOAD(stop))
        if (cygrt_queue_steal(me, &owner, me == &thieves[0], &t))
            for (; t; t = cygrt_queue_get(me)) see(t);
    return NULL;
}

/* The owner puts and takes, three steal: each task comes out once, and none stays behind. */
static void test_queue_against_thieves_loses_and_doubles_nothing(void **state) {
    (void)state;
    for (int round = 0; round < 300 / RT_LESS; round++) {
        pthread_t t[3];
        clean();
        STORE(stop, 0);
        for (int i = 0; i < 3; i++) CHECK_EQ(pthread_create(&t[i], NULL, steal_on, &thieves[i]), 0);
        for (int i = 0; i < TASKS; i++) {
            struct cygrt_task *own = NULL;
            if (i % 3)
                cygrt_queue_put(&owner, &tasks[i]);
            else
                cygrt_queue_put_next(&owner, &tasks[i]);
            if (i % 2 && (own = i % 5 ? cygrt_queue_get(&owner) : cygrt_queue_get_next(&owner))) see(own);
        }
        for (struct cygrt_task *own; (own = cygrt_queue_get(&owner)) || (own = cygrt_queue_get_next(&owner));) see(own);
        STORE(stop, 1);
        for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
        for (struct cygrt_task *left; (left = spilled());) see(left);
        for (int i = 0; i < TASKS; i++) CHECK_EQ(seen[i], 1);
    }
    clean();
}

/* ---- yielding --------------------------------------------------------------------------------------------------------------------- */

static void raise_flag(void *arg) {
    cyg_yield();
    STORE(*(int *)arg, 1);
}

static void yields_until(void *arg) {
    int flag = 0;
    if (arg) cyg_lock_thread();
    GO(raise_flag, &flag);
    while (!LOAD(flag)) cyg_yield();
    if (arg) cyg_unlock_thread();
    ADD(done, 1);
}

static void no_retake(void (*body)(void)) {
    static const unsigned all[] = {1, 2, 4, 8};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        rt_run(&(cyg_runtime_opts){.maxprocs = all[i], .max_threads = all[i]}, body);
}

static void yield_progress(void) {
    STORE(done, 0);
    GO(yields_until, NULL);
    WAIT_FOR(LOAD(done) == 1);
}
static void test_yield_lets_others_make_progress(void **state) {
    (void)state;
    no_retake(yield_progress);
}

RT_TEST(test_yield_of_a_pinned_goroutine_lets_others_make_progress) {
    STORE(done, 0);
    GO(yields_until, &done);
    WAIT_FOR(LOAD(done) == 1);
}

/* ---- slices ------------------------------------------------------------------------------------------------------------------------ */

static struct {
    cyg_chan *c[2];
    uint64_t work[2];   /* of a step */
    int last, turns[2]; /* whose step it was; turns of each */
    int steps, longest; /* of this turn; of the light pair's longest one */
} hog;

static void knock(void *arg) {
    int pair = (int)(intptr_t)arg;
    for (;;) {
        char token;
        if (cyg_chan_recv(hog.c[pair], &token) < 0) break;
        for (volatile uint64_t i = 0; i < hog.work[pair]; i++) continue;
        if (hog.last != pair) {
            STORE(hog.turns[pair], hog.turns[pair] + 1);
            hog.steps = 0;
        }
        hog.last = pair;
        if (++hog.steps > hog.longest && pair == 1) STORE(hog.longest, hog.steps);
        if (cyg_chan_send(hog.c[pair], &token) < 0) break;
    }
    ADD(done, 1);
}

/* Two pairs that wake each other, one with a thousand times the work of the other. A pair shares one slice: the light one makes many steps
 * before it is the other's turn, and that comes. Without a next slot they would step in turn. How the time is shared is not looked at: a
 * slice goes on while the machine is at something else. */
static void hogs_and_lights(void) {
    STORE(done, 0);
    memset(&hog, 0, sizeof hog);
    hog.work[0] = 1000 * 1000 / RT_LESS;
    hog.work[1] = 1000 / RT_LESS;
    for (intptr_t i = 0; i < 2; i++) {
        CHECK(hog.c[i] = cyg_chan_new(1, 0));
        GO(knock, (void *)i);
        GO(knock, (void *)i);
    }
    for (int i = 0; i < 2; i++) CHECK(cyg_chan_send(hog.c[i], &(char){0}) >= 0);
    for (cyg_time end = cyg_now() + RT_DEADLINE;;) {
        int heavy = LOAD(hog.turns[0]), light = LOAD(hog.turns[1]), longest = LOAD(hog.longest);
        if (heavy >= 10 && light >= 10 && (longest >= 20 || rt_shaken())) break;
        if (cyg_now() > end)
            rt_fail(__FILE__, __LINE__, "the pairs' turns are %d and %d, the light one's longest %d", heavy, light, longest);
        CHECK_EQ(cyg_sleep(20 * CYG_MILLISECOND), 0);
    }
    for (int i = 0; i < 2; i++) cyg_chan_close(hog.c[i]);
    WAIT_FOR(LOAD(done) == 4);
    for (int i = 0; i < 2; i++) cyg_chan_release(hog.c[i]);
}
static void test_pairs_share_a_slice_and_hogs_do_not_win(void **state) {
    (void)state;
    rt_run(&(cyg_runtime_opts){.maxprocs = 1, .max_threads = 1}, hogs_and_lights);
}

/* ---- parallel ------------------------------------------------------------------------------------------------------------------------- */

static int here;

static void meet(void *arg) {
    (void)arg;
    int n = (int)cyg_procs();
    cyg_time end = cyg_now() + RT_DEADLINE;
    ADD(here, 1);
    while (LOAD(here) < n) CHECK(cyg_now() < end); /* without giving up its P */
}

static void all_meet(void) {
    for (int round = 0; round < 20; round++) {
        STORE(here, 0);
        for (unsigned i = 1; i < cyg_procs(); i++) GO(meet, NULL);
        meet(NULL);
        WAIT_FOR(rt_stats().goroutines == 1);
    }
}
static void test_as_many_goroutines_as_ps_run_at_once(void **state) {
    (void)state;
    no_retake(all_meet);
}

static void leave_two_and_spin(void *arg) {
    (void)arg;
    for (int i = 0; i < 2; i++) GO(meet, NULL); /* one in the next slot, one in the ring */
    ADD(done, 1);
    cyg_time end = cyg_now() + RT_DEADLINE;
    while (!LOAD(stop)) CHECK(cyg_now() < end);
}

static void rest_by_theft(void) {
    int spinners = (int)cyg_procs() - 1;
    STORE(stop, 0);
    STORE(done, 0);
    STORE(here, (int)cyg_procs()); /* who comes to meet need not wait */
    for (int i = 0; i < spinners; i++) GO(leave_two_and_spin, NULL);
    WAIT_FOR(LOAD(done) == spinners);
    for (cyg_time end = cyg_now() + RT_DEADLINE; LOAD(here) < (int)cyg_procs() + 2 * spinners;) {
        CHECK(cyg_now() < end);
        CHECK_EQ(cyg_sleep(50 * CYG_MICROSECOND), 0); /* not a yield: a P with work of its own steals nothing */
    }
    STORE(stop, 1);
}
/* All Ps but one compute and have work behind them: the last one takes it from each. */
static void test_thieves_visit_every_p(void **state) {
    (void)state;
    no_retake(rest_by_theft);
}

/* ---- after a system call --------------------------------------------------------------------------------------------------------------- */

static const int naps_us[] = {10, 100, 1000, 15000};

static void spin_after_a_nap(void *arg) {
    struct timespec ts = {.tv_nsec = *(const int *)arg * 1000L};
    for (int i = 0; i < 2; i++) {
        nanosleep(&ts, NULL);
        STORE(here, i + 1);
        cyg_time end = cyg_now() + RT_DEADLINE;
        while (LOAD(stop) <= i) CHECK(cyg_now() < end); /* another goroutine must run to end this */
        if (i == 0) cyg_yield();                        /* with a P again */
    }
    ADD(done, 1);
}

/* Spinners on all Ps, each just out of a system call: the body still gets its turn, twice. */
RT_TEST(test_goroutine_back_from_a_system_call_can_be_preempted) {
    for (size_t k = 0; k < sizeof naps_us / sizeof *naps_us; k++) {
        int n = (int)cyg_procs() > 8 ? 8 : (int)cyg_procs();
        STORE(stop, 0);
        STORE(done, 0);
        STORE(here, 0);
        for (int i = 0; i < n; i++) GO(spin_after_a_nap, (void *)&naps_us[k]);
        WAIT_FOR(LOAD(here) >= 1);
        for (int i = 0; i < 5; i++) cyg_yield();
        STORE(stop, 1);
        WAIT_FOR(LOAD(here) == 2);
        for (int i = 0; i < 5; i++) cyg_yield();
        STORE(stop, 2);
        WAIT_FOR(LOAD(done) == n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_queue_spills_its_older_half_in_order),
        cmocka_unit_test(test_thief_takes_half_and_the_next_slot_only_on_request),
        cmocka_unit_test(test_queue_against_thieves_loses_and_doubles_nothing),
        cmocka_unit_test(test_yield_lets_others_make_progress),
        cmocka_unit_test(test_yield_of_a_pinned_goroutine_lets_others_make_progress),
        cmocka_unit_test(test_pairs_share_a_slice_and_hogs_do_not_win),
        cmocka_unit_test(test_as_many_goroutines_as_ps_run_at_once),
        cmocka_unit_test(test_thieves_visit_every_p),
        cmocka_unit_test(test_goroutine_back_from_a_system_call_can_be_preempted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
