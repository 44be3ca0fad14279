/* test_deadlock.c: "all goroutines are asleep" is reported when nothing can wake them, and only then. Each case is a child; one that
 * must go on is woken, long after a report would have come, by the very thing that speaks against a deadlock.
 */
#include "../net/net.h"

#define LATER_US 400000 /* a report comes about 100 ms after the last goroutine has parked */

static cyg_mutex held;
static int woken;

static void lock_it(void *arg) {
    (void)arg;
    cyg_mutex_lock(&held);
    STORE(woken, 1);
}
/* Parks for good, unless somebody unlocks. */
static int wait_for_lock(void) {
    cyg_mutex_lock(&held);
    cyg_mutex_lock(&held);
    return 7;
}

/* ---- deadlocks --------------------------------------------------------------------------------------------------------- */

static int alone_main(int argc, char **argv) {
    (void)argc, (void)argv;
    return wait_for_lock();
}
static int others_main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (int i = 0; i < 100; i++) GO(lock_it, NULL);
    CHECK_EQ(cyg_sleep(CYG_MILLISECOND), 0); /* a timer that is over is none */
    return wait_for_lock();
}
static int sockets_main(int argc, char **argv) { /* connections that nobody waits for */
    struct net_pair p;
    char b[2];
    (void)argc, (void)argv;
    net_tcp_pair(&p);
    CHECK_EQ(cyg_write(p.a, "x", 1), 1);
    CHECK_EQ(cyg_read(p.b, b, sizeof b), 1);
    return wait_for_lock();
}
static int nothing(void *arg) {
    (void)arg;
    return 0;
}
static int blocked_main(int argc, char **argv) { /* a blocking call that is over */
    (void)argc, (void)argv;
    CHECK_EQ(cyg_blocking(nothing, NULL), 0);
    return wait_for_lock();
}

/* ---- no deadlocks ------------------------------------------------------------------------------------------------------- */

static int timer_main(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_mutex_lock(&held);
    GO(lock_it, NULL);
    CHECK_EQ(cyg_sleep(LATER_US * CYG_MICROSECOND), 0);
    cyg_mutex_unlock(&held);
    WAIT_FOR(LOAD(woken));
    return 7;
}
static int deadline_main(int argc, char **argv) {
    static cyg_waitgroup wg;
    (void)argc, (void)argv;
    cyg_waitgroup_add(&wg, 1);
    return cyg_waitgroup_wait_until(&wg, cyg_now() + LATER_US * CYG_MICROSECOND) == CYG_ETIMEDOUT ? 7 : 8;
}

/* Another process, made before there are threads, that writes a byte to later_fd and ends this one's wait for a signal, later. */
static int later_fd[2];
static void start_another(void) {
    signal(SIGTERM, SIG_IGN); /* until it is waited for */
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, later_fd), 0);
    pid_t parent = getpid(), pid = fork();
    CHECK(pid >= 0);
    if (pid) return;
    usleep(LATER_US);
    (void)!write(later_fd[1], "x", 1);
    kill(parent, SIGTERM);
    _exit(0);
}

static int descriptor_main(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_mutex_lock(&held);
    GO(lock_it, NULL);
    return cyg_fd_wait(later_fd[0], CYG_READABLE, 0) == CYG_READABLE ? 7 : 8;
}
static void unlock_it(void *arg, int why) {
    (void)arg, (void)why;
    cyg_mutex_unlock(&held);
}
static int record_main(int argc, char **argv) {
    cyg_conn *c;
    (void)argc, (void)argv;
    CHECK_EQ(cyg_conn_from_fd(later_fd[0], &c), 0);
    CHECK_EQ(cyg_conn_on_readable(c, unlock_it, NULL, 0), 0);
    return wait_for_lock();
}
static int signal_main(int argc, char **argv) {
    (void)argc, (void)argv;
    return cyg_signal_wait(CYG_SIGNAL(SIGTERM), 0) == SIGTERM ? 7 : 8;
}
static int nap(void *arg) {
    (void)arg;
    usleep(LATER_US);
    return 0;
}
static void nap_and_unlock(void *arg) {
    (void)arg;
    CHECK_EQ(cyg_blocking(nap, NULL), 0);
    cyg_mutex_unlock(&held);
}
static int blocking_main(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_mutex_lock(&held);
    GO(nap_and_unlock, NULL);
    cyg_mutex_lock(&held);
    return 7;
}
static void *thread_unlock(void *arg) {
    usleep(LATER_US);
    cyg_mutex_unlock(arg);
    return NULL;
}
static int thread_main(int argc, char **argv) {
    pthread_t t;
    (void)argc, (void)argv;
    cyg_mutex_lock(&held);
    CHECK_EQ(pthread_create(&t, NULL, thread_unlock, &held), 0);
    cyg_mutex_lock(&held);
    CHECK_EQ(pthread_join(t, NULL), 0);
    return 7;
}
static int left_main(int argc, char **argv) { /* the main function returns while others are parked for good */
    (void)argc, (void)argv;
    cyg_mutex_lock(&held);
    for (int i = 0; i < 10; i++) GO(lock_it, NULL);
    cyg_yield();
    return 7;
}

/* ---- the table ----------------------------------------------------------------------------------------------------------- */

static const struct one {
    const char *name;
    int (*fn)(int, char **);
    bool deadlock, another;
} cases[] = {
    {"alone", alone_main, true, false},     {"others", others_main, true, false},
    {"sockets", sockets_main, true, false}, {"blocked", blocked_main, true, false},
    {"timer", timer_main, false, false},    {"deadline", deadline_main, false, false},
    {"record", record_main, false, true},   {"descriptor", descriptor_main, false, true},
    {"signal", signal_main, false, true},   {"blocking", blocking_main, false, false},
    {"thread", thread_main, false, false},  {"left", left_main, false, false},
};
#define CASES (sizeof cases / sizeof *cases)

static int case_child(int argc, char **argv) {
    for (size_t i = 0; argc > 0 && i < CASES; i++) {
        if (strcmp(cases[i].name, argv[0]) != 0) continue;
        if (cases[i].another) start_another();
        return cyg_main(cases[i].fn, argc, argv);
    }
    return 90;
}

static void run(const struct one *c) {
    static struct rt_result r;
    static const char *const procs[] = {"CYGNET_MAXPROCS=1", "CYGNET_MAXPROCS=2", "CYGNET_MAXPROCS=4"};
    for (int i = 0; i < 3; i++) {
        rt_spawn("case", c->name, procs[i], &r);
        CHECK_EXIT(&r, c->deadlock ? 2 : 7);
        if (!c->deadlock) continue;
        CHECK_SAYS(&r, "fatal: all goroutines are asleep - deadlock!");
        CHECK_SAYS(&r, "\"main\" [mutex, ");
    }
}

static void test_deadlock_is_reported(void **state) {
    (void)state;
#ifdef RT_TSAN
    skip(); /* it keeps a thread of its own, of which nobody knows what it may do */
#endif
    for (size_t i = 0; i < CASES; i++)
        if (cases[i].deadlock) run(&cases[i]);
}

static void test_no_deadlock_while_something_can_wake(void **state) {
    (void)state;
    for (size_t i = 0; i < CASES; i++)
        if (!cases[i].deadlock) run(&cases[i]);
}

/* Inside another program, whose threads may do anything. */
static void test_no_report_in_an_embedded_runtime(void **state) {
    (void)state;
    CHECK_EQ(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 2}), 0);
    cyg_mutex_lock(&held);
    STORE(woken, 0);
    GO(lock_it, NULL);
    usleep(LATER_US);
    cyg_mutex_unlock(&held);
    WAIT_FOR(LOAD(woken));
    CHECK_EQ(cyg_runtime_stop(), 0);
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"case", case_child}, {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadlock_is_reported),
        cmocka_unit_test(test_no_deadlock_while_something_can_wake),
        cmocka_unit_test(test_no_report_in_an_embedded_runtime),
    };
    int code = rt_child_main(argc, argv, kids);
    return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
