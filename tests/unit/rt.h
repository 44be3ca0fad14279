/* rt.h: what the tests of runtime, sync, io and net share: a body that runs as a goroutine at 1, 2 and 4 Ps, waits that have a
 * deadline, and a leak check of goroutines, start records, timers and descriptors behind every body.
 *
 *     static void test_it(void **state) { RT_EACH(body); }       // body: static void body(void), a goroutine
 *
 * With CYGNET_MAXPROCS the body runs at that number of Ps only; with CYGNET_SCHED_FUZZ see rt_shaken().
 *
 * In a goroutine only CHECK() may be used: cmocka's asserts jump to another stack. CHECK ends the process.
 */
#ifndef TESTS_UNIT_RT_H
#define TESTS_UNIT_RT_H

#include <cygnet/cygnet.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RT_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define RT_TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define RT_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define RT_TSAN 1
#endif
/* ThreadSanitizer knows a few thousand goroutines and is slow: counts shrink by this. */
#ifdef RT_TSAN
#define RT_LESS 10
#else
#define RT_LESS 1
#endif

#define RT_DEADLINE (60 * CYG_SECOND)

__attribute__((noreturn, format(printf, 3, 4))) static inline void rt_fail(const char *file, int line, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, " [%u Ps]\n", cyg_procs());
    va_end(ap);
    fflush(stdout);
    if (cyg_procs()) cyg_dump(2);
    abort();
}

#define CHECK(cond)                                                           \
    do {                                                                      \
        if (!(cond)) rt_fail(__FILE__, __LINE__, "does not hold: %s", #cond); \
    } while (0)

#define CHECK_EQ(a, b)                                                                          \
    do {                                                                                        \
        long long a_ = (long long)(a), b_ = (long long)(b);                                     \
        if (a_ != b_) rt_fail(__FILE__, __LINE__, "%s is %lld, not %s (%lld)", #a, a_, #b, b_); \
    } while (0)

/* Lets others run until cond holds; fails at the deadline. From a goroutine or a thread. */
#define WAIT_FOR(cond)                                                                       \
    do {                                                                                     \
        cyg_time end_ = cyg_now() + RT_DEADLINE;                                             \
        while (!(cond)) {                                                                    \
            if (cyg_now() > end_) rt_fail(__FILE__, __LINE__, "never came true: %s", #cond); \
            rt_breathe();                                                                    \
        }                                                                                    \
    } while (0)

static inline void rt_breathe(void) {
    if (cyg_goid())
        cyg_yield();
    else
        poll(NULL, 0, 1);
}

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_SEQ_CST)
#define ADD(x, n) __atomic_add_fetch(&(x), (n), __ATOMIC_SEQ_CST)

#define GO(fn, arg) CHECK_EQ(cyg_go((fn), (arg)), 0)

static inline cyg_runtime_stats rt_stats(void) {
    cyg_runtime_stats st;
    cyg_stats(&st);
    return st;
}

static inline unsigned rt_count_dir(const char *path) {
    DIR *d = opendir(path);
    CHECK(d);
    unsigned n = 0;
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* Open descriptors; the one that reads the directory counts each time. */
static inline unsigned rt_fds(void) { return rt_count_dir("/proc/self/fd"); }
static inline unsigned rt_threads(void) {
#ifdef RT_TSAN
    return 0; /* it starts one of its own */
#else
    return rt_count_dir("/proc/self/task");
#endif
}

/* Whether schedules are shaken (CYGNET_SCHED_FUZZ): then waits may end for no reason and what was woken last need not run next, so what
 * a test says about the order of goroutines is not to be asserted; all else is. */
static inline bool rt_shaken(void) {
    const char *seed = getenv("CYGNET_SCHED_FUZZ");
    return seed && strtoul(seed, NULL, 0);
}

/* Steps of everybody else, so that what could happen has had its chance. Shaken work may go through the global queue, which a P that
 * always has work looks at every 61 dispatches. */
static inline void rt_settle(void) {
    for (int i = rt_shaken() ? 1000 : 30; i > 0; i--) cyg_yield();
}

struct rt_body {
    void (*fn)(void);
};

static inline int rt_enter(void *arg) {
    unsigned fds = rt_fds();
    ((struct rt_body *)arg)->fn();
    WAIT_FOR(rt_stats().goroutines == 1); /* this one */
    WAIT_FOR(rt_stats().start_records == 0);
    WAIT_FOR(rt_stats().timers == 0);
    cyg_copy_trim(); /* pipes that are kept for the next copy are no leak */
    WAIT_FOR(rt_fds() == fds);
    return 0;
}

/* Body as a goroutine of a runtime with these options, and nothing left behind. */
static inline void rt_run(const cyg_runtime_opts *opts, void (*body)(void)) {
    unsigned fds = rt_fds(), threads = rt_threads();
    CHECK_EQ(cyg_runtime_start(opts), 0);
    struct rt_body b = {body};
    CHECK_EQ(cyg_call(rt_enter, &b), 0);
    CHECK_EQ(cyg_runtime_stop(), 0);
    CHECK_EQ(rt_fds(), fds);
    WAIT_FOR(rt_threads() == threads); /* a joined thread's entry may linger for a moment */
}

/* At 1, 2 and 4 Ps; with CYGNET_MAXPROCS set, at so many. */
static inline void rt_each(const cyg_runtime_opts *opts, void (*body)(void)) {
    static const unsigned all[] = {1, 2, 4};
    cyg_runtime_opts o = opts ? *opts : (cyg_runtime_opts){0};
    if (getenv("CYGNET_MAXPROCS")) {
        rt_run(&o, body);
        return;
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        o.maxprocs = all[i];
        rt_run(&o, body);
    }
}

#define RT_EACH(body) ((void)state, rt_each(NULL, body))
/* A cmocka test that runs a body of the same name with _ behind it. */
#define RT_TEST(name)                                    \
    static void name##_(void);                           \
    static void name(void **state) { RT_EACH(name##_); } \
    static void name##_(void)

/* ---- children: this program again, doing one thing that ends it ---------------------------------------------------- */

struct rt_child {
    const char *name;
    int (*fn)(int argc, char **argv);
};

struct rt_result {
    int status;      /* as wait(2) gives it */
    char err[65536]; /* what it wrote to standard error */
    size_t n;
};

/* Runs `self --child name arg` with "K=V" (or NULL) in its environment. */
static inline void rt_spawn(const char *name, const char *arg, const char *env, struct rt_result *r) {
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fds[1], 2);
        if (env) {
            char *copy = strdup(env), *eq = strchr(copy, '=');
            *eq = 0;
            setenv(copy, eq + 1, 1);
        }
        execl("/proc/self/exe", "test", "--child", name, arg, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    r->n = 0;
    cyg_time end = cyg_now() + RT_DEADLINE;
    for (;;) {
        struct pollfd p = {.fd = fds[0], .events = POLLIN};
        if (poll(&p, 1, 1000) == 0) {
            if (cyg_now() < end) continue;
            kill(pid, SIGKILL);
            r->err[r->n] = 0;
            rt_fail(__FILE__, __LINE__, "child %s never ended; it said: %s", name, r->err);
        }
        ssize_t n = read(fds[0], r->err + r->n, sizeof r->err - 1 - r->n);
        if (n <= 0) break;
        r->n += (size_t)n;
    }
    r->err[r->n] = 0;
    close(fds[0]);
    CHECK_EQ(waitpid(pid, &r->status, 0), pid);
}

#define CHECK_EXIT(r, code)                                                                                           \
    do {                                                                                                              \
        if (!WIFEXITED((r)->status) || WEXITSTATUS((r)->status) != (code))                                            \
            rt_fail(__FILE__, __LINE__, "status %#x, not exit code %d: %s", (unsigned)(r)->status, (code), (r)->err); \
    } while (0)
#define CHECK_SIGNAL(r, sig)                                                                                      \
    do {                                                                                                          \
        if (!WIFSIGNALED((r)->status) || WTERMSIG((r)->status) != (sig))                                          \
            rt_fail(__FILE__, __LINE__, "status %#x, not signal %d: %s", (unsigned)(r)->status, (sig), (r)->err); \
    } while (0)
#define CHECK_SAYS(r, text)                                                                                   \
    do {                                                                                                      \
        if (!strstr((r)->err, (text))) rt_fail(__FILE__, __LINE__, "\"%s\" is not in: %s", (text), (r)->err); \
    } while (0)

/* First thing in main: if this is a child, does its thing and returns its exit code; else -1. */
static inline int rt_child_main(int argc, char **argv, const struct rt_child *kids) {
    if (argc < 3 || strcmp(argv[1], "--child") != 0) return -1;
    for (; kids->name; kids++)
        if (strcmp(kids->name, argv[2]) == 0) return kids->fn(argc - 3, argv + 3);
    return 126;
}

#define RT_MAIN(tests, kids)                              \
    int main(int argc, char **argv) {                     \
        int code = rt_child_main(argc, argv, kids);       \
        if (code >= 0) return code;                       \
        signal(SIGPIPE, SIG_IGN);                         \
        return cmocka_run_group_tests(tests, NULL, NULL); \
    }

#endif
