/* test_sched.c: who runs when: time slices, bounded queues, the global queue, the poller and timers of a busy P, wake-ups from
 * foreign threads, help for a P whose goroutine computes, and silence when nothing is to be done.
 */
#include "runtime/sched.h"
#include "../rt.h"

/* ---- a pair that wakes each other -------------------------------------------------------------------------------- */

static struct {
    cyg_mutex m;
    cyg_cond c;
    cyg_waitgroup all;
    int turn, rounds, stop;
} pp;

static void ping_pong(void *arg) {
    int me = (int)(intptr_t)arg;
    cyg_time end = cyg_now() + RT_DEADLINE;
    cyg_mutex_lock(&pp.m);
    while (!LOAD(pp.stop)) {
        CHECK(cyg_now() < end); /* the third never came */
        if (pp.turn != me) {
            cyg_cond_wait(&pp.c, &pp.m);
            continue;
        }
        pp.turn = !me;
        ADD(pp.rounds, 1);
        cyg_cond_signal(&pp.c);
    }
    cyg_cond_broadcast(&pp.c);
    cyg_mutex_unlock(&pp.m);
    cyg_waitgroup_done(&pp.all);
}

static void third(void *arg) {
    (void)arg;
    while (LOAD(pp.rounds) < 100) cyg_yield(); /* to the queue's tail, behind a pair that wakes each other */
    STORE(pp.stop, 1);
    cyg_waitgroup_done(&pp.all);
}

/* The woken goroutine runs next, within the waker's slice: a pair cannot keep the rest of the queue waiting for ever. Nobody
 * sleeps or waits with a deadline here: a timer that fires would disturb the pair. */
RT_TEST(test_ping_pong_pair_does_not_starve_a_third) {
    memset(&pp, 0, sizeof pp);
    cyg_waitgroup_add(&pp.all, 3);
    GO(third, NULL);
    GO(ping_pong, (void *)0);
    GO(ping_pong, (void *)1);
    CHECK_EQ(cyg_waitgroup_wait(&pp.all), 0);
}

static int order[8], norder;
static void note(void *arg) { order[norder++] = (int)(intptr_t)arg; }

static void wakes_one(void *arg) {
    cyg_cond_signal(arg);
    norder++; /* its own step: still before the one it woke, which runs next */
    cyg_yield();
}
static void woken(void *arg) {
    cyg_mutex m = {0};
    cyg_mutex_lock(&m);
    cyg_cond_wait(arg, &m);
    order[norder++] = 100;
}

/* Wakes one while two have waited in the queue. Returns whether all of it lay within one slice. */
static bool wake_before_a_queue(void) {
    cyg_cond c = {0};
    memset(order, 0, sizeof order);
    GO(woken, &c);
    WAIT_FOR(LOAD(c.nwait) == 1);
    cyg_time began = cyg_now();
    for (int i = 0; i < 40; i++)
        cyg_yield(); /* the P reads its clock meanwhile: the slice that follows begins after this */
    norder = 0;
    GO(note, (void *)1);
    GO(note, (void *)2);
    GO(wakes_one, &c); /* next: it wakes `woken`, which comes before 1 and 2 */
    WAIT_FOR(norder == 4);
    return cyg_now() - began < CYGRT_SLICE;
}

/* One P, which is not taken: what is woken last runs before what has waited in the queue, within the waker's slice. On a machine
 * that is busy elsewhere a slice may pass without a step. */
static void runs_next(void) {
    cyg_time end = cyg_now() + RT_DEADLINE;
    while (!wake_before_a_queue()) CHECK(cyg_now() < end);
    if (!rt_shaken()) CHECK_EQ(order[1], 100);
}
static void test_woken_goroutine_runs_next(void **state) {
    (void)state;
    rt_run(&(cyg_runtime_opts){.maxprocs = 1, .max_threads = 1}, runs_next);
}

/* ---- queues -------------------------------------------------------------------------------------------------------- */

static int ran;
static void count(void *arg) {
    (void)arg;
    ADD(ran, 1);
}

RT_TEST(test_full_local_queue_spills_and_all_run) {
    const int n = 1000;
    STORE(ran, 0);
    for (int i = 0; i < n; i++) GO(count, NULL);
    WAIT_FOR(LOAD(ran) == n);
    CHECK(rt_stats().global_runs_total > 0);
    WAIT_FOR(rt_stats().goroutines == 1);
    CHECK(rt_stats().goroutines_total >= (uint64_t)n);
}

static int stop_yielding, yielders;
static void yield_for_ever(void *arg) {
    (void)arg;
    while (!LOAD(stop_yielding)) cyg_yield();
    ADD(yielders, -1);
}

static void start_yielders(void) {
    STORE(stop_yielding, 0);
    STORE(yielders, 8);
    for (int i = 0; i < 8; i++) GO(yield_for_ever, NULL);
}

static int forty_two(void *arg) {
    (void)arg;
    return 42;
}
static int foreign_result;
static void *call_in(void *arg) {
    (void)arg;
    STORE(foreign_result, cyg_call(forty_two, NULL));
    return NULL;
}

/* Not WAIT_FOR: a waiter that yields is one more yielder, and that is the point. */
RT_TEST(test_global_queue_is_looked_at_while_local_goroutines_yield) {
    start_yielders();
    STORE(foreign_result, 0);
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, call_in, NULL), 0);
    WAIT_FOR(LOAD(foreign_result) == 42);
    pthread_join(t, NULL);
    STORE(stop_yielding, 1);
    WAIT_FOR(LOAD(yielders) == 0);
}

static int slept, echoed;
static void sleeper(void *arg) {
    (void)arg;
    CHECK_EQ(cyg_sleep(2 * CYG_MILLISECOND), 0);
    STORE(slept, 1);
}

static void echo_one(void *arg) {
    cyg_auto_conn cyg_conn *c = NULL;
    CHECK_EQ(cyg_accept(arg, &c), 0);
    char b[16];
    ssize_t n = cyg_read(c, b, sizeof b);
    CHECK_EQ(n, 4);
    CHECK_EQ(cyg_write(c, b, (size_t)n), 4);
}

static void ask_one(void *arg) {
    char text[CYG_ADDR_STRLEN], b[16];
    cyg_addr a;
    cyg_listener_addr(arg, &a);
    cyg_addr_format(&a, text, sizeof text);
    cyg_auto_conn cyg_conn *c = NULL;
    CHECK_EQ(cyg_dial("tcp", text, NULL, &c), 0);
    CHECK_EQ(cyg_write(c, "ping", 4), 4);
    CHECK_EQ(cyg_read_full(c, b, 4), 4);
    STORE(echoed, 1);
}

RT_TEST(test_busy_p_polls_network_and_timers) {
    STORE(slept, 0);
    STORE(echoed, 0);
    cyg_auto_listener cyg_listener *l = NULL;
    CHECK_EQ(cyg_listen("tcp", "127.0.0.1:0", NULL, &l), 0);
    GO(echo_one, l);
    GO(ask_one, l);
    GO(sleeper, NULL);
    start_yielders();
    WAIT_FOR(LOAD(slept) && LOAD(echoed));
    STORE(stop_yielding, 1);
    WAIT_FOR(LOAD(yielders) == 0);
}

/* ---- waking ---------------------------------------------------------------------------------------------------------- */

static int add_one(void *arg) {
    (void)arg;
    return ADD(ran, 1) > 0 ? 7 : 0;
}

/* Each call finds the Ps asleep or about to sleep; a lost wake-up hangs it, and the alarm tells. */
static void test_no_wake_up_is_lost_when_foreign_threads_call(void **state) {
    (void)state;
    for (unsigned procs = 1; procs <= 4; procs *= 2) {
        STORE(ran, 0);
        CHECK_EQ(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = procs}), 0);
        alarm(100);
        int n = 10000 / (RT_LESS * 2 - 1);
        for (int i = 0; i < n; i++) CHECK_EQ(cyg_call(add_one, NULL), 7);
        alarm(0);
        CHECK_EQ(LOAD(ran), n);
        CHECK_EQ(cyg_runtime_stop(), 0);
    }
}

static void *start_many(void *arg) {
    (void)arg;
    for (int i = 0; i < 1000 / RT_LESS; i++) CHECK_EQ(cyg_go(count, NULL), 0);
    return NULL;
}

static void test_goroutines_started_by_many_foreign_threads_all_run(void **state) {
    (void)state;
    for (unsigned procs = 1; procs <= 4; procs *= 2) {
        STORE(ran, 0);
        CHECK_EQ(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = procs}), 0);
        pthread_t t[8];
        for (int i = 0; i < 8; i++) CHECK_EQ(pthread_create(&t[i], NULL, start_many, NULL), 0);
        for (int i = 0; i < 8; i++) pthread_join(t[i], NULL);
        WAIT_FOR(LOAD(ran) == 8 * (1000 / RT_LESS));
        WAIT_FOR(rt_stats().goroutines == 0);
        CHECK_EQ(cyg_runtime_stop(), 0);
    }
}

/* ---- a goroutine that computes ------------------------------------------------------------------------------------------ */

/* Spins, without a park, until everybody whose poller, timers and queue it holds has been served by another P. */
RT_TEST(test_computing_goroutine_holds_up_nobody_while_another_p_idles) {
    if (cyg_procs() < 2) return;
    STORE(slept, 0);
    STORE(echoed, 0);
    STORE(ran, 0);
    cyg_auto_listener cyg_listener *l = NULL;
    CHECK_EQ(cyg_listen("tcp", "127.0.0.1:0", NULL, &l), 0);
    GO(echo_one, l);
    GO(ask_one, l);
    GO(sleeper, NULL);
    for (int i = 0; i < 20; i++) cyg_yield();    /* they are parked, or wait in this P's queue */
    for (int i = 0; i < 2; i++) GO(count, NULL); /* too few to wake another P at once: sysmon's part */
    cyg_time end = cyg_now() + RT_DEADLINE;
    while (!LOAD(slept) || !LOAD(echoed) || LOAD(ran) < 2) CHECK(cyg_now() < end);
    WAIT_FOR(rt_stats().goroutines == 1);
}

/* ---- silence ---------------------------------------------------------------------------------------------------------- */

static uint64_t switches_of_all_threads(void) {
    uint64_t sum = 0;
#ifdef RT_TSAN
    return 0; /* its own thread ticks */
#endif
    DIR *d = opendir("/proc/self/task");
    CHECK(d);
    for (struct dirent *e; (e = readdir(d));) {
        char path[300], line[128];
        if (e->d_name[0] == '.' || atoi(e->d_name) == (int)getpid()) continue; /* not the thread that measures */
        snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
        FILE *f = fopen(path, "re");
        if (!f) continue;
        unsigned long v;
        while (fgets(line, sizeof line, f))
            if (sscanf(line, "voluntary_ctxt_switches: %lu", &v) == 1) sum += v;
        fclose(f);
    }
    closedir(d);
    return sum;
}

static int leave_idle_pair(void *arg) {
    cyg_conn **both = arg;
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_EQ(cyg_conn_from_fd(fds[0], &both[0]), 0);
    CHECK_EQ(cyg_conn_from_fd(fds[1], &both[1]), 0);
    return 0;
}
static int close_pair(void *arg) {
    cyg_conn **both = arg;
    return cyg_close(both[0]) | cyg_close(both[1]);
}

/* Quiet comes within a bounded time (sysmon ticks for a while) and then lasts: counted, not timed. */
static void test_idle_process_makes_next_to_no_system_calls(void **state) {
    (void)state;
    for (unsigned procs = 1; procs <= 4; procs *= 2) {
        cyg_conn *both[2];
        CHECK_EQ(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = procs}), 0);
        CHECK_EQ(cyg_call(leave_idle_pair, both), 0);
        cyg_time end = cyg_now() + RT_DEADLINE;
        for (uint64_t polls = 0, switches = 0;;) {
            CHECK(cyg_now() < end); /* never became quiet */
            poll(NULL, 0, 200);
            uint64_t p = rt_stats().polls_total, s = switches_of_all_threads();
            if (p == polls && s == switches) break;
            polls = p;
            switches = s;
        }
        CHECK_EQ(cyg_call(close_pair, both), 0);
        CHECK_EQ(cyg_runtime_stop(), 0);
    }
}

/* ---- goroutines that are started together -------------------------------------------------------------------------- */

static void note_run(void *arg) { ADD(*(int *)arg, 1); }

/* What ran here before is set to look long. */
static void look_long(struct p *p) { p->start_look = cygrt_p_now(p) - CYG_SECOND; }

/* The clock is read at dispatches: for the P this goroutine has taken no time yet. */
static void be_long(struct p *p) {
    p->start_look = cygrt_p_now(p);
    for (cyg_time end = cyg_now() + CYG_MILLISECOND; cyg_now() < end;) {}
}

/* The wake-up must come from the start itself: between the two counts the starter does not park. */
static int start_two(int *arg, void (*before_that)(struct p *)) {
    WAIT_FOR(atomic_load(&cygrt_sched.nidle) > 0 && atomic_load(&cygrt_sched.nspinning) == 0);
    struct p *p = cygrt_m()->p;
    p->start_tick = atomic_load(&p->tick);
    before_that(p);
    uint64_t before = atomic_load(&cygrt_sched.n_wake);
    GO(note_run, arg);
    GO(note_run, arg);
    uint64_t woken = atomic_load(&cygrt_sched.n_wake) - before;
    WAIT_FOR(LOAD(*arg) == 2);
    return (int)woken;
}
static int start_two_where_it_looks_long(void *arg) { return start_two(arg, look_long); }
static int start_two_after_long(void *arg) { return start_two(arg, be_long); }

/* Another thread may be about to sleep or spin just then: some rounds may not wake, all of them cannot. */
static void check_that_starts_wake(int (*round)(void *)) {
    CHECK_EQ(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 4}), 0);
    int woken = 0;
    for (int i = 0; i < 50 && !woken; i++) {
        int both = 0;
        woken = cyg_call(round, &both);
    }
    CHECK_EQ(cyg_runtime_stop(), 0);
    CHECK(woken > 0);
}

static void test_two_started_where_goroutines_run_long_wake_an_idle_p(void **state) {
    (void)state;
    check_that_starts_wake(start_two_where_it_looks_long);
}

static void test_two_started_by_one_that_has_run_long_wake_an_idle_p(void **state) {
    (void)state;
    check_that_starts_wake(start_two_after_long);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_started_where_goroutines_run_long_wake_an_idle_p),
        cmocka_unit_test(test_two_started_by_one_that_has_run_long_wake_an_idle_p),
        cmocka_unit_test(test_ping_pong_pair_does_not_starve_a_third),
        cmocka_unit_test(test_woken_goroutine_runs_next),
        cmocka_unit_test(test_full_local_queue_spills_and_all_run),
        cmocka_unit_test(test_global_queue_is_looked_at_while_local_goroutines_yield),
        cmocka_unit_test(test_busy_p_polls_network_and_timers),
        cmocka_unit_test(test_no_wake_up_is_lost_when_foreign_threads_call),
        cmocka_unit_test(test_goroutines_started_by_many_foreign_threads_all_run),
        cmocka_unit_test(test_computing_goroutine_holds_up_nobody_while_another_p_idles),
        cmocka_unit_test(test_idle_process_makes_next_to_no_system_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
