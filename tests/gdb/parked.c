/* parked.c: goroutines that wait in known places, for gdb to find: by sleep, read, mutex and waitgroup, in a blocking call, as the
 * record of an idle connection, not begun, and one that runs. With one P nothing depends on time: a goroutine that was started
 * has parked when cyg_yield comes back. all_are_parked is where a debugger stops it; then it prints "ready" and computes, or with an argument overflows its
 * stack. */
#include <cygnet/cygnet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEEP __attribute__((noinline, noclone))
#define NO_TAIL() __asm__ volatile("" ::: "memory")

static cyg_mutex mutex;
static cyg_waitgroup forever;
static int silent[2], blocked_on[2], idle[2];
static _Atomic int in_call;
static volatile int stop;

KEEP static void sleep_inner(int ms) {
    cyg_sleep(ms * CYG_MILLISECOND);
    NO_TAIL();
}
KEEP static void sleep_middle(int ms) {
    sleep_inner(ms);
    NO_TAIL();
}
static void sleeper(void *arg) {
    cyg_set_name("sleepy");
    sleep_middle(*(int *)arg);
    NO_TAIL();
}

KEEP static int read_inner(int fd) {
    int err = cyg_fd_wait(fd, CYG_READABLE, 0);
    NO_TAIL();
    return err;
}
static void reader(void *arg) {
    (void)read_inner(*(int *)arg);
    NO_TAIL();
}

KEEP static void lock_inner(cyg_mutex *m) {
    cyg_mutex_lock(m);
    NO_TAIL();
    cyg_mutex_unlock(m);
}
static void locker(void *arg) {
    lock_inner(arg);
    NO_TAIL();
}

KEEP static int blocking_inner(void *arg) {
    char c;
    atomic_store(&in_call, 1);
    int n = (int)read(*(int *)arg, &c, 1);
    __asm__ volatile("" : : "r"(arg) : "memory"); /* for a debugger to print */
    return n;
}
static void blocker(void *arg) {
    (void)cyg_blocking(blocking_inner, arg);
    NO_TAIL();
}

static void on_idle(void *arg, int why) { (void)arg, (void)why; }

KEEP static int wait_inner(void) {
    int err = cyg_waitgroup_wait(&forever);
    NO_TAIL();
    return err;
}

/* It begins when the P is taken from the one that computes, sooner or later. */
static void not_begun(void *arg) {
    (void)arg;
    (void)wait_inner();
    NO_TAIL();
}

KEEP static void all_are_parked(void) { NO_TAIL(); }

KEEP static void compute(void) {
    printf("ready\n");
    fflush(stdout);
    while (!stop) NO_TAIL();
}

KEEP static int overflow(int n) {
    volatile char big[256];
    big[0] = (char)n;
    return n < 0 ? 0 : overflow(n + 1) + big[0];
}

static void runner(void *arg) {
    if (cyg_go(not_begun, NULL) < 0) _exit(3);
    all_are_parked();
    if (arg) (void)overflow(1);
    compute();
    NO_TAIL();
}

static int start(void (*fn)(void *), void *arg) {
    int err = cyg_go(fn, arg);
    cyg_yield();
    return err;
}

static int work(int argc, char **argv) {
    (void)argv;
    static int ms = 3600 * 1000;
    cyg_conn *conn;
    if (pipe(silent) || pipe(blocked_on) || socketpair(AF_UNIX, SOCK_STREAM, 0, idle)) return 2;
    cyg_waitgroup_add(&forever, 1);
    cyg_mutex_lock(&mutex);
    if (start(sleeper, &ms) < 0 || start(reader, &silent[0]) < 0 || start(locker, &mutex) < 0 || start(sleeper, &ms) < 0)
        return 2;
    if (cyg_conn_from_fd(idle[0], &conn) < 0 || cyg_conn_on_readable(conn, on_idle, conn, 0) < 0) return 2;
    if (start(blocker, &blocked_on[0]) < 0) return 2;
    while (!atomic_load(&in_call)) cyg_yield();
    if (cyg_go(runner, argc > 1 ? &ms : NULL) < 0) return 2;
    return wait_inner();
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
