/* test_dump.c: what a person sees of the goroutines: cyg_dump, and the dump on SIGQUIT.
 */
#include "../net/net.h"

#include <sys/mman.h>

#include "runtime/symbol.h"

static char text[1 << 20];
static size_t dump(void) {
    int fd = memfd_create("dump", MFD_CLOEXEC);
    CHECK_EQ(cyg_dump(fd), 0);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    CHECK(n > 0);
    text[n] = 0;
    close(fd);
    return (size_t)n;
}

static struct {
    struct net_pair p;
    cyg_mutex m;
    cyg_cond c;
    int stop, line, woke;
} at;

static void in_read(void *arg) {
    char b;
    (void)arg;
    cyg_set_name("reader");
    CHECK_EQ(cyg_read(at.p.a, &b, 1), 1);
    ADD(at.woke, 1);
}
static void in_cond(void *arg) {
    (void)arg;
    cyg_mutex_lock(&at.m);
    while (!at.stop) cyg_cond_wait(&at.c, &at.m);
    cyg_mutex_unlock(&at.m);
    ADD(at.woke, 1);
}
static void in_sleep(void *arg) {
    CHECK_EQ(cyg_sleep(CYG_HOUR), CYG_ECANCELED);
    (void)arg;
    ADD(at.woke, 1);
}
static void not_called(void *arg, int why) { (void)arg, (void)why; }

RT_TEST(test_dump_names_goroutines_states_and_start_sites) {
    memset(&at, 0, sizeof at);
    struct net_pair idle;
    char want[100], b[4];
    net_unix_pair(&at.p);
    net_unix_pair(&idle);
    CHECK_EQ(cyg_write(idle.b, "x", 1), 1);
    CHECK_EQ(cyg_read(idle.a, b, sizeof b), 1);
    CHECK_EQ(cyg_conn_on_readable(idle.a, not_called, NULL, 0), 0);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    cyg_ctx_scope s = cyg_ctx_enter(ctx);
    at.line = __LINE__ + 1;
    CHECK_EQ(cyg_go_with(&(cyg_go_opts){.name = "dreamer"}, in_sleep, NULL), 0);
    cyg_ctx_leave(&s);
    GO(in_read, NULL);
    GO(in_cond, NULL);
    char fd[32];
    const char *reader = NULL;
    snprintf(fd, sizeof fd, "] fd %d:", net_fd(at.p.a));
    WAIT_FOR((dump(), strstr(text, "\"dreamer\" [sleep, ") && (reader = strstr(text, "\"reader\" [read, ")) &&
                          strstr(reader, fd) && strstr(text, " [cond, ") &&
                          strstr(text, "cygnet: 4 goroutines, 1 idle connections"))); /* "x" may still wake it in vain */
    snprintf(want, sizeof want, "test_dump.c:%d by goroutine %llu", at.line, (unsigned long long)cyg_goid());
    CHECK(strstr(text, want));
    CHECK(strstr(text, "\"cyg_call\" [running]"));
    cyg_ctx_cancel(ctx, 0);
    cyg_mutex_lock(&at.m);
    at.stop = 1;
    cyg_cond_broadcast(&at.c);
    cyg_mutex_unlock(&at.m);
    CHECK_EQ(cyg_write(at.p.b, "x", 1), 1);
    WAIT_FOR(LOAD(at.woke) == 3);
    CHECK(cyg_conn_cancel_readable(idle.a));
    net_close_pair(&at.p);
    net_close_pair(&idle);
}

static void busy(void *arg) {
    cyg_mutex *m = arg;
    while (!LOAD(at.stop)) {
        cyg_mutex_lock(m);
        cyg_yield();
        cyg_mutex_unlock(m);
        if (cyg_now() % 3 == 0) CHECK_EQ(cyg_sleep(50 * CYG_MICROSECOND), 0);
    }
    ADD(at.woke, 1);
}
/* They come, go and change their minds while they are described. */
RT_TEST(test_dump_while_all_run) {
    memset(&at, 0, sizeof at);
    for (int i = 0; i < 20; i++) GO(busy, &at.m);
    for (int i = 0; i < 20; i++) {
        CHECK(dump() > 100);
        cyg_yield();
    }
    STORE(at.stop, 1);
    WAIT_FOR(LOAD(at.woke) == 20);
}

static struct {
    cyg_mutex held;
    int parked, done;
} many;
#define MANY (10000 / RT_LESS)

__attribute__((noinline)) static void static_and_deep(int n) {
    if (n) {
        static_and_deep(n - 1);
        __asm__ volatile("" ::: "memory"); /* no tail call */
        return;
    }
    cyg_mutex_lock(&many.held);
    cyg_mutex_unlock(&many.held);
    __asm__ volatile("" ::: "memory");
}
static void same_place(void *arg) {
    (void)arg;
    ADD(many.parked, 1);
    static_and_deep(3);
    ADD(many.done, 1);
}
static unsigned count_of(const char *what) {
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++) n++;
    return n;
}

RT_TEST(test_dump_folds_the_same_goroutines) {
    memset(&many, 0, sizeof many);
    cyg_mutex_lock(&many.held);
    for (int i = 0; i < MANY; i++) GO(same_place, NULL);
    WAIT_FOR(LOAD(many.parked) == MANY);
    char want[100];
    snprintf(want, sizeof want, "%d goroutines [mutex, ", MANY);
    WAIT_FOR((dump(), strstr(text, want))); /* the last ones may still be on their way to it, and look it */
    CHECK(strlen(text) < 4096);
#ifdef CYG_HAVE_LIBDW
    CHECK_EQ(count_of("static_and_deep+0x"), 4);
    CHECK(strstr(text, "runtime/test_dump.c:"));
    CHECK(strstr(text, " (many"));                /* the object's name */
    CHECK(!strstr(text, "cygrt_goroutine_main")); /* of no use to a reader */
#endif
    cyg_mutex_unlock(&many.held);
    WAIT_FOR(LOAD(many.done) == MANY);
}

static void ready_here(void *arg, int why) { (void)arg, (void)why; }
static void ready_there(void *arg, int why) { (void)arg, (void)why; }
RT_TEST(test_dump_lists_idle_connections_by_what_they_would_start) {
    struct net_pair p[3];
    for (int i = 0; i < 3; i++) {
        net_tcp_pair(&p[i]);
        CHECK_EQ(cyg_conn_on_readable(p[i].a, i ? ready_here : ready_there, NULL, 0), 0);
    }
    dump();
    char want[200];
    CHECK(strstr(text, "2 idle connections would start "));
    CHECK(strstr(text, "1 idle connection would start "));
    snprintf(want, sizeof want, "fd %d (127.0.0.1:", net_fd(p[0].a));
    CHECK(strstr(text, want));
#ifdef CYG_HAVE_LIBDW
    CHECK(strstr(text, "2 idle connections would start ready_here@readiness"));
    CHECK(strstr(text, "1 idle connection would start ready_there@readiness"));
#endif
    for (int i = 0; i < 3; i++) {
        CHECK(cyg_conn_cancel_readable(p[i].a));
        net_close_pair(&p[i]);
    }
    dump();
    CHECK(!strstr(text, "would start"));
}

static int in_call;
static int block_here(void *arg) {
    STORE(in_call, 1);
    while (!LOAD(*(int *)arg)) poll(NULL, 0, 1);
    return 0;
}
static void in_blocking(void *arg) {
    CHECK_EQ(cyg_blocking(block_here, arg), 0);
    STORE(in_call, 2);
}
RT_TEST(test_dump_says_what_a_blocking_call_calls) {
    int go_on = 0;
    STORE(in_call, 0);
    GO(in_blocking, &go_on);
    WAIT_FOR(LOAD(in_call) == 1);
    dump();
    CHECK(strstr(text, "[blocking call, "));
#ifdef CYG_HAVE_LIBDW
    CHECK(strstr(text, "] of block_here:"));
    CHECK(strstr(text, "in_blocking+0x"));
#endif
    STORE(go_on, 1);
    WAIT_FOR(LOAD(in_call) == 2);
}

static void count_me(void *arg) { ADD(*(int *)arg, 1); }
static void dump_on(void *over) {
    while (LOAD(*(int *)over) == 0) {
        dump();
        cyg_yield();
    }
    STORE(*(int *)over, 2);
}

/* For ThreadSanitizer: a dump meets stacks that begin once more. */
RT_TEST(test_dump_while_goroutines_come_and_go) {
    int over = 0, ran = 0;
    GO(dump_on, &over);
    for (int i = 0; i < 2000; i++) {
        GO(count_me, &ran);
        if (i % 8 == 0) cyg_yield();
    }
    WAIT_FOR(LOAD(ran) == 2000);
    STORE(over, 1);
    WAIT_FOR(LOAD(over) == 2);
}

/* ---- goroutines that run: only with cyg_main's signal handlers ------------------------------------------------------------- */

__attribute__((noinline)) static void spin_here(void) {
    STORE(in_call, 1);
    while (!LOAD(at.stop)) continue;
    __asm__ volatile("" ::: "memory");
}
static void spinner(void *arg) {
    (void)arg;
    spin_here();
    STORE(in_call, 2);
}
static int spin_main(int argc, char **argv) {
    (void)argc, (void)argv;
    GO(spinner, NULL);
    WAIT_FOR(LOAD(in_call) == 1);
    WAIT_FOR((dump(), strstr(text, "spin_here+0x"))); /* its thread may not get a CPU in time for the first */
    CHECK(strstr(text, "spin_main+0x"));              /* and that of the caller */
    STORE(at.stop, 1);
    WAIT_FOR(LOAD(in_call) == 2);
    return 7;
}
static int spin_child(int argc, char **argv) { return cyg_main(spin_main, argc, argv); }
static void test_dump_has_the_stack_of_a_running_goroutine(void **state) {
    (void)state;
    static struct rt_result r;
#ifdef CYG_HAVE_LIBDW
    rt_spawn("spin", NULL, "CYGNET_MAXPROCS=2", &r);
    CHECK_EXIT(&r, 7);
#else
    (void)r;
    skip();
#endif
}

static int plain_main(int argc, char **argv) {
    (void)argc, (void)argv;
    dump();
    return strstr(text, "\"main\" [running]") && !strstr(text, "plain_main") ? 7 : 8;
}
static int plain_child(int argc, char **argv) { return cyg_main(plain_main, argc, argv); }
static void test_dump_without_debug_information(void **state) {
    (void)state;
    static struct rt_result r;
    rt_spawn("plain", NULL, "CYGNET_DEBUG=nosymbols", &r);
    CHECK_EXIT(&r, 7);
}

/* Stacks that change while they are read give anything for a return address. */
static void test_addresses_of_nothing_have_no_name(void **state) {
    (void)state;
    struct cygrt_symbols *s = cygrt_symbols_open();
    static const uintptr_t none[] = {0, 1, 4096, 0xaaaaaaaaaaaaaaab, UINTPTR_MAX, UINTPTR_MAX >> 1};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_null(cygrt_symbol_of_return(s, (void *)none[i])->name);
    const struct cygrt_symbol *known = cygrt_symbol_of(s, (const void *)cyg_dump);
#ifdef CYG_HAVE_LIBDW
    assert_string_equal(known->name, "cyg_dump");
#endif
    assert_non_null(known->module);
    cygrt_symbols_close(s);
}

static void test_dump_tells_that_it_could_not_write(void **state) {
    (void)state;
    CHECK_EQ(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 1}), 0);
    assert_int_equal(cyg_dump(-1), -EBADF);
    CHECK_EQ(cyg_runtime_stop(), 0);
}

/* ---- SIGQUIT ---------------------------------------------------------------------------------------------------------------- */

static int quit_main(int argc, char **argv) {
    (void)argc, (void)argv;
    if (cyg_go_with(&(cyg_go_opts){.name = "sleeping-beauty"}, in_sleep, NULL) != 0) return 90;
    WAIT_FOR(rt_stats().timers == 1);
    for (int i = 0; i < 2; i++) {
        int fds[2], seen = 0; /* standard error, to see when the dump is there */
        char buf[8192];
        int old = dup(2);
        if (pipe2(fds, O_NONBLOCK) != 0 || dup2(fds[1], 2) < 0) return 91;
        raise(SIGQUIT);
        cyg_time end = cyg_now() + RT_DEADLINE;
        for (size_t n = 0; !seen && cyg_now() < end;) {
            ssize_t r = read(fds[0], buf + n, sizeof buf - 1 - n);
            if (r > 0) {
                n += (size_t)r;
                buf[n] = 0;
                seen = strstr(buf, "sleeping-beauty") && strstr(buf, "test_dump.c:") && strstr(buf, "\"main\"");
            }
            if (i) cyg_yield(); /* and, the first time, with its only P busy */
        }
        dup2(old, 2);
        close(old);
        if (!seen) return 92;
    }
    return 7; /* it goes on */
}
static int quit_child(int argc, char **argv) { return cyg_main(quit_main, argc, argv); }
static void test_sigquit_dumps_and_goes_on(void **state) {
    (void)state;
    static struct rt_result r;
    static const char *const procs[] = {"CYGNET_MAXPROCS=1", "CYGNET_MAXPROCS=2", "CYGNET_MAXPROCS=4"};
    for (int i = 0; i < 3; i++) {
        rt_spawn("quit", NULL, procs[i], &r);
        CHECK_EXIT(&r, 7);
    }
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"quit", quit_child}, {"spin", spin_child}, {"plain", plain_child}, {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dump_names_goroutines_states_and_start_sites),
        cmocka_unit_test(test_dump_while_all_run),
        cmocka_unit_test(test_dump_folds_the_same_goroutines),
        cmocka_unit_test(test_dump_lists_idle_connections_by_what_they_would_start),
        cmocka_unit_test(test_dump_says_what_a_blocking_call_calls),
        cmocka_unit_test(test_dump_while_goroutines_come_and_go),
        cmocka_unit_test(test_dump_has_the_stack_of_a_running_goroutine),
        cmocka_unit_test(test_dump_without_debug_information),
        cmocka_unit_test(test_addresses_of_nothing_have_no_name),
        cmocka_unit_test(test_dump_tells_that_it_could_not_write),
        cmocka_unit_test(test_sigquit_dumps_and_goes_on),
    };
    int code = rt_child_main(argc, argv, kids);
    return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
