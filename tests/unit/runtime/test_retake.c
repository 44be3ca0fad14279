/* test_retake.c: a goroutine that keeps its thread, blocked or computing, holds up nobody: its P goes on without it. */
#include "../rt.h"

#include <string.h>
#include <sys/mman.h>
#include <time.h>

/* ---- one that blocks, others that must go on -------------------------------------------------------------------------- */

static int pipe_fds[2];
static int blocked, came_back;

/* Until somebody has lost a P: as many block as there are Ps, and this goroutine wants to run. */
static void wait_lost(void) { WAIT_FOR(rt_stats().threads_without_p > 0); }

static void release(int n) {
    for (int i = 0; i < n; i++) CHECK_EQ(write(pipe_fds[1], "x", 1), 1);
}

static void block_in_read(void *arg) {
    (void)arg;
    char byte;
    ADD(blocked, 1);
    CHECK_EQ(read(pipe_fds[0], &byte, 1), 1);
    ADD(came_back, 1);
}

/* Blocks every P; the body, which has lost its own to them, must go on being scheduled. */
RT_TEST(test_a_blocked_read_holds_up_nobody) {
    int n = (int)cyg_procs() + 2;
    STORE(blocked, 0);
    STORE(came_back, 0);
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    uint64_t before = rt_stats().retakes_blocked_total;
    for (int i = 0; i < n; i++) GO(block_in_read, NULL);
    WAIT_FOR(LOAD(blocked) == n);
    CHECK(rt_stats().retakes_blocked_total > before);
    for (int i = 0; i < 100; i++) CHECK_EQ(cyg_sleep(CYG_MICROSECOND), 0); /* timers, too */
    CHECK_EQ(LOAD(came_back), 0);
    release(n);
    WAIT_FOR(LOAD(came_back) == n);
    WAIT_FOR(rt_stats().threads_without_p == 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void sleep_in_kernel(void *arg) {
    (void)arg;
    CHECK_EQ(poll(NULL, 0, 30), 0);
    ADD(came_back, 1);
}

/* Connections go on while every P's first goroutine sits in the kernel. */
static void echo_once(void *arg) {
    cyg_auto_conn cyg_conn *c = arg;
    char buf[16];
    ssize_t n = cyg_read(c, buf, sizeof buf);
    CHECK(n > 0);
    CHECK_EQ(cyg_write(c, buf, (size_t)n), n);
}

RT_TEST(test_connections_are_answered_beside_blocked_threads) {
    int n = (int)cyg_procs();
    STORE(came_back, 0);
    for (int i = 0; i < n; i++) GO(sleep_in_kernel, NULL);
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    cyg_conn *a, *b;
    CHECK_EQ(cyg_conn_from_fd(fds[0], &a), 0);
    CHECK_EQ(cyg_conn_from_fd(fds[1], &b), 0);
    GO(echo_once, b);
    char buf[8];
    CHECK_EQ(cyg_write(a, "hello", 5), 5);
    CHECK_EQ(cyg_read(a, buf, sizeof buf), 5);
    cyg_close(a);
    WAIT_FOR(LOAD(came_back) == n);
}

/* ---- one that computes ------------------------------------------------------------------------------------------------ */

static int stop;
static cyg_mutex lock;
static cyg_waitgroup all;
static int ran;
static bool may_raise_priority;

static void small(void *arg) {
    (void)arg;
    ADD(ran, 1);
    cyg_waitgroup_done(&all);
}

static void spin(void *arg) {
    (void)arg;
    ADD(blocked, 1);
    while (!LOAD(stop)) {}
    ADD(came_back, 1);
}

RT_TEST(test_an_endless_loop_does_not_stop_others) {
    int n = (int)cyg_procs();
    STORE(stop, 0);
    STORE(blocked, 0);
    STORE(came_back, 0);
    for (int i = 0; i < n; i++) GO(spin, NULL);
    WAIT_FOR(LOAD(blocked) == n); /* this goroutine yields its P to them, and gets one back */
    for (int i = 0; i < 20; i++) CHECK_EQ(cyg_sleep(CYG_MICROSECOND), 0);
    CHECK_EQ(LOAD(came_back), 0);
    CHECK(rt_stats().retakes_hog_total > 0);
    STORE(stop, 1);
    WAIT_FOR(LOAD(came_back) == n);
    WAIT_FOR(rt_stats().threads_without_p == 0);
}

/* A thread that computes for long without a P gets the lowest priority, and its own back when it comes back; or it ends. */
static void spin_until_low(void *arg) {
    int before = *(int *)arg;
    while (!LOAD(stop)) {
        if (getpriority(PRIO_PROCESS, 0) != 19) continue;
        STORE(stop, 1);
        pid_t tid = gettid();
        CHECK_EQ(cyg_go(small, NULL), 0); /* enters the runtime */
        CHECK_EQ(gettid(), tid);
        if (may_raise_priority) CHECK_EQ(getpriority(PRIO_PROCESS, 0), before);
    }
    ADD(came_back, 1);
}

static void *try_to_raise(void *arg) {
    int nice = getpriority(PRIO_PROCESS, 0);
    bool *may = arg;
    *may = setpriority(PRIO_PROCESS, 0, nice + 1) == 0 && setpriority(PRIO_PROCESS, 0, nice) == 0;
    return NULL;
}

/* Whether a thread may take its lower priority back. */
static bool prepare_hogs(int nice) {
    if (nice >= 18) return false; /* nothing lower to be told from it */
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, try_to_raise, &may_raise_priority), 0);
    CHECK_EQ(pthread_join(t, NULL), 0);
    memset(&all, 0, sizeof all);
    cyg_waitgroup_add(&all, 1);
    STORE(stop, 0);
    STORE(blocked, 0);
    STORE(came_back, 0);
    return true;
}

static void await_hogs(int n) {
    WAIT_FOR(LOAD(came_back) == n);
    CHECK_EQ(cyg_waitgroup_wait(&all), 0);
    WAIT_FOR(rt_stats().threads_without_p == 0);
}

RT_TEST(test_a_hog_gets_its_priority_back) {
    int n = (int)cyg_procs(), nice = getpriority(PRIO_PROCESS, 0);
    if (!prepare_hogs(nice)) return;
    for (int i = 0; i < n; i++) CHECK_EQ(cyg_go_copy(spin_until_low, &nice), 0);
    await_hogs(n);
}

static void block_then_spin(void *arg) {
    char byte;
    ADD(blocked, 1);
    CHECK_EQ(read(pipe_fds[0], &byte, 1), 1);
    spin_until_low(arg);
}

/* Its P was taken because it was blocked; it computes afterwards, without having been in the runtime. */
RT_TEST(test_one_that_computes_after_it_was_blocked_is_a_hog_too) {
    int n = (int)cyg_procs(), nice = getpriority(PRIO_PROCESS, 0);
    if (!prepare_hogs(nice)) return;
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    for (int i = 0; i < n; i++) CHECK_EQ(cyg_go_copy(block_then_spin, &nice), 0);
    WAIT_FOR(LOAD(blocked) == n);
    wait_lost();
    release(n);
    await_hogs(n);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

/* ---- what an M without a P may do ---------------------------------------------------------------------------------------- */

static void use_everything_without_p(void *arg) {
    int *fd = arg;
    char byte;
    CHECK_EQ(read(*fd, &byte, 1), 1); /* as many read as there are Ps, so one at least has lost its own */
    cyg_time t = cyg_now_cached();
    CHECK(t > 0);
    cyg_waitgroup_add(&all, 3);
    GO(small, NULL);
    CHECK_EQ(cyg_go_copy(small, &byte), 0);
    GO(small, NULL);
    cyg_mutex_lock(&lock);
    cyg_mutex_unlock(&lock);
    cyg_timer *timer;
    CHECK_EQ(cyg_after_func(CYG_HOUR, small, NULL, &timer), 0);
    CHECK(cyg_timer_stop(timer));
    cyg_timer_release(timer);
    ADD(came_back, 1);
    cyg_waitgroup_done(&all);
}

RT_TEST(test_without_a_p_goroutines_are_started_and_woken) {
    memset(&all, 0, sizeof all);
    STORE(ran, 0);
    STORE(came_back, 0);
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    int n = (int)cyg_procs();
    cyg_waitgroup_add(&all, n);
    for (int i = 0; i < n; i++) GO(use_everything_without_p, &pipe_fds[0]);
    wait_lost();
    release(n);
    CHECK_EQ(cyg_waitgroup_wait(&all), 0);
    CHECK_EQ(LOAD(ran), 3 * n);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void same_thread_through_the_call(void *arg) {
    (void)arg;
    char byte;
    pid_t tid = gettid();
    CHECK_EQ(read(pipe_fds[0], &byte, 1), 1);
    CHECK_EQ(gettid(), tid);
    ADD(came_back, 1);
}

RT_TEST(test_the_goroutine_stays_on_its_thread_through_the_call) {
    STORE(came_back, 0);
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    int n = (int)cyg_procs();
    for (int i = 0; i < n; i++) GO(same_thread_through_the_call, NULL);
    wait_lost();
    release(n);
    WAIT_FOR(LOAD(came_back) == n);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

/* ---- many at once -------------------------------------------------------------------------------------------------------- */

enum { STORM = 24, STORM_ROUNDS = 4 };

static void storm(void *arg) {
    (void)arg;
    for (int i = 0; i < STORM_ROUNDS; i++) {
        poll(NULL, 0, 11); /* just long enough */
        cyg_mutex_lock(&lock);
        ran++;
        cyg_mutex_unlock(&lock);
        cyg_yield();
    }
    ADD(came_back, 1);
}

RT_TEST(test_a_storm_of_retakes_loses_nothing) {
    ran = 0;
    STORE(came_back, 0);
    for (int i = 0; i < STORM; i++) GO(storm, NULL);
    WAIT_FOR(LOAD(came_back) == STORM);
    CHECK_EQ(ran, STORM * STORM_ROUNDS);
    WAIT_FOR(rt_stats().threads_without_p == 0);
}

static void touch_pages(void *arg) {
    size_t n = (size_t)64 << 20;
    for (int round = 0; round < 4; round++) {
        char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(p != MAP_FAILED);
        for (size_t i = 0; i < n; i += 4096) p[i] = 1;
        munmap(p, n);
    }
    ADD(*(int *)arg, 1);
}

RT_TEST(test_a_storm_of_page_faults_does_not_stop_others) {
    static int done;
    STORE(done, 0);
    int n = (int)cyg_procs();
    for (int i = 0; i < n; i++) GO(touch_pages, &done);
    cyg_yield();
    for (int i = 0; i < 20; i++) CHECK_EQ(cyg_sleep(CYG_MICROSECOND), 0);
    WAIT_FOR(LOAD(done) == n);
}

/* ---- bounds and reports --------------------------------------------------------------------------------------------------- */

static void limit_body(void) {
    STORE(blocked, 0);
    STORE(came_back, 0);
    for (int i = 0; i < 8; i++) GO(sleep_in_kernel, NULL);
    WAIT_FOR(LOAD(came_back) == 8);
    CHECK(rt_stats().retakes_limit_total > 0);
    CHECK_EQ(rt_stats().threads, 1 + 1); /* and sysmon */
}

/* At the bound of threads the others wait, as they must; nothing breaks, and it is counted. */
static void test_at_the_thread_limit_nothing_is_taken(void **state) {
    (void)state;
    rt_run(&(cyg_runtime_opts){.maxprocs = 1, .max_threads = 1}, limit_body);
}

static int named_main(int argc, char **argv) {
    (void)argc, (void)argv;
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    for (unsigned i = 0; i < cyg_procs(); i++) GO(block_in_read, NULL);
    wait_lost();
    cyg_dump(2);
    release((int)cyg_procs());
    return 7;
}

static int child_named(int argc, char **argv) { return cyg_main(named_main, argc, argv); }

static void test_the_report_names_the_goroutine_and_its_site(void **state) {
    (void)state;
    struct rt_result r;
    rt_spawn("named", "", "CYGNET_MAXPROCS=1", &r);
    CHECK_EXIT(&r, 7);
    CHECK_SAYS(&r, "blocked its thread for");
    CHECK_SAYS(&r, "started at ");
    CHECK_SAYS(&r, "test_retake.c:");
    CHECK_SAYS(&r, "Ps were taken from goroutines"); /* in the dump */
}

/* Of each kind every one, under its own start site; at one P, which main wants back from each of them. */
static int every_main(int argc, char **argv) {
    (void)argc, (void)argv;
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    cyg_go_opts reads = {.name = "reads"}, spins = {.name = "spins"};
    for (int i = 0; i < 8; i++) CHECK_EQ(cyg_go_with(&reads, block_in_read, NULL), 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(cyg_go_with(&spins, spin, NULL), 0);
    WAIT_FOR(rt_stats().threads_without_p == 11);
    cyg_dump(2);
    STORE(stop, 1);
    release(8);
    return 7;
}

static int child_every(int argc, char **argv) { return cyg_main(every_main, argc, argv); }

/* How many running goroutines of a name a dump lists: "3 goroutines "reads" [running]" and "goroutine 5 "reads" [running]", for a
 * stack that could not be had in time keeps a goroutine apart from its like. */
static int named_in(const char *dump, const char *name) {
    char mark[64];
    int n = 0;
    snprintf(mark, sizeof mark, " \"%s\" [running]", name);
    for (const char *at = dump; (at = strstr(at, mark)); at++) {
        const char *line = at;
        while (line > dump && line[-1] != '\n') line--;
        n += line[0] == 'g' ? 1 : atoi(line);
    }
    return n;
}

static void test_the_dump_names_every_hostage_by_its_start_site(void **state) {
    (void)state;
    struct rt_result r;
    rt_spawn("every", "", "CYGNET_MAXPROCS=1", &r);
    CHECK_EXIT(&r, 7);
    CHECK_SAYS(&r, "8 times, 8 of them still away, longest 0.000 s: \"reads\", started at ");
    CHECK_SAYS(&r, "3 times, 3 of them still away, longest 0.000 s: \"spins\", started at ");
    CHECK_EQ(named_in(r.err, "reads"), 8);
    CHECK_EQ(named_in(r.err, "spins"), 3);
}

static int never_main(int argc, char **argv) {
    (void)argc, (void)argv;
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    for (unsigned i = 0; i < cyg_procs(); i++) GO(block_in_read, NULL);
    wait_lost();
    return 7;
}

static int child_never(int argc, char **argv) { return cyg_main(never_main, argc, argv); }

static void test_main_ends_though_a_goroutine_blocks_its_thread_for_ever(void **state) {
    (void)state;
    struct rt_result r;
    rt_spawn("never", "", NULL, &r);
    CHECK_EXIT(&r, 7);
}

/* The M's side without the kernel's help: every entry has a fence of its own. */
static int fence_main(int argc, char **argv) {
    (void)argc, (void)argv;
    rt_each(NULL, test_a_storm_of_retakes_loses_nothing_);
    rt_each(NULL, test_a_blocked_read_holds_up_nobody_);
    return 7;
}

static void test_it_works_without_membarrier(void **state) {
    (void)state;
    struct rt_result r;
    rt_spawn("fence", "", "CYGNET_DEBUG=nomembarrier", &r);
    CHECK_EXIT(&r, 7);
}

static const struct rt_child kids[] = {
    {"named", child_named}, {"every", child_every}, {"never", child_never}, {"fence", fence_main}, {NULL, NULL}};
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_blocked_read_holds_up_nobody),
    cmocka_unit_test(test_connections_are_answered_beside_blocked_threads),
    cmocka_unit_test(test_an_endless_loop_does_not_stop_others),
    cmocka_unit_test(test_without_a_p_goroutines_are_started_and_woken),
    cmocka_unit_test(test_the_goroutine_stays_on_its_thread_through_the_call),
    cmocka_unit_test(test_a_storm_of_retakes_loses_nothing),
    cmocka_unit_test(test_a_storm_of_page_faults_does_not_stop_others),
    cmocka_unit_test(test_at_the_thread_limit_nothing_is_taken),
    cmocka_unit_test(test_the_report_names_the_goroutine_and_its_site),
    cmocka_unit_test(test_the_dump_names_every_hostage_by_its_start_site),
    cmocka_unit_test(test_a_hog_gets_its_priority_back),
    cmocka_unit_test(test_one_that_computes_after_it_was_blocked_is_a_hog_too),
    cmocka_unit_test(test_main_ends_though_a_goroutine_blocks_its_thread_for_ever),
    cmocka_unit_test(test_it_works_without_membarrier),
};
RT_MAIN(tests, kids)
