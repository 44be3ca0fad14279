/* test_stack.c: stacks: overflow is told and fatal, with and without guard pages; a stack that ran deep gives its pages back;
 * unwinding ends at a goroutine's entry; what a call preserves survives a switch; the fallbacks for older kernels.
 */
#include "runtime/sched.h"
#include "../rt.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <unwind.h>

static struct rt_result res;

/* ---- overflow -------------------------------------------------------------------------------------------------------- */

__attribute__((noinline)) static int dig(volatile char *above, int depth) {
    volatile char block[512];
    block[0] = above ? above[0] : 1;
    if (depth == 0) return block[0];
    return dig(block, depth - 1) + block[0];
}
static int sink;
static void overflow(void *arg) {
    (void)arg;
    cyg_set_name("digger");
    STORE(sink, dig(NULL, 1 << 30));
}
static int overflow_main(int argc, char **argv) {
    (void)argc;
    size_t size = strtoul(argv[0], NULL, 10);
    if (cyg_go_with(&(cyg_go_opts){.stack_size = size}, overflow, NULL) != 0) return 99;
    return cyg_sleep(CYG_HOUR);
}
static int overflow_child(int argc, char **argv) { return cyg_main(overflow_main, argc, argv); }

static void test_overflow_is_told_and_fatal(void **state) {
    (void)state;
    static const char *const sizes[][2] = {
        {"0", "its 256 KiB"}, {"16384", "its 16 KiB"}, {"40000", "its 64 KiB"}, {"4194304", "its 4096 KiB"}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int fallback = 0; fallback < 2; fallback++) {
            rt_spawn("overflow", sizes[i][0], fallback ? "CYGNET_DEBUG=noguard" : NULL, &res);
            CHECK_SIGNAL(&res, SIGSEGV);
            CHECK_SAYS(&res, "overflowed");
            CHECK_SAYS(&res, "digger");
            CHECK_SAYS(&res, "test_stack.c:");
            CHECK_SAYS(&res, sizes[i][1]);
        }
}

/* A crash that is no overflow is not called one, and tells who it was and where. */
__attribute__((noinline)) static void store_at(int *p) {
    cyg_yield(); /* who calls nothing has no frame, and his caller would be missing */
    *(volatile int *)p = 1;
}
static uintptr_t offset_of(const void *code) {
    Dl_info info;
    CHECK(dladdr(code, &info) != 0);
    return (uintptr_t)code - (uintptr_t)info.dli_fbase;
}
static void crash(void *arg) {
    cyg_set_name("crasher");
    store_at(arg);
    cyg_yield(); /* not reached; without it the call would be a jump */
}
static int crash_main(int argc, char **argv) {
    (void)argc, (void)argv;
    GO(crash, (void *)(uintptr_t)4096);
    return cyg_sleep(CYG_HOUR);
}
static int crash_child(int argc, char **argv) { return cyg_main(crash_main, argc, argv); }
static void test_other_faults_tell_who_and_where(void **state) {
    (void)state;
    rt_spawn("crash", NULL, NULL, &res);
    CHECK_SIGNAL(&res, SIGSEGV);
    CHECK(!strstr(res.err, "overflow"));
    CHECK_SAYS(&res, "(crasher, started at");
    CHECK_SAYS(&res, "test_stack.c:");
    CHECK_SAYS(&res, "(segmentation fault) at address 0x1000:\n");
    void (*const chain[])(void) = {(void (*)(void))store_at, (void (*)(void))crash};
    const char *line = strstr(res.err, "0x1000:\n");
    for (size_t i = 0; i < sizeof chain / sizeof *chain; i++) {
        void *code;
        memcpy(&code, &chain[i], sizeof code);
        CHECK((line = strstr(line, "+0x")) != NULL);
        uintptr_t at = strtoul(line + 1, NULL, 16), begins = offset_of(code);
        CHECK(at >= begins && at < begins + 512);
        line++;
    }
}

/* ---- without guard pages --------------------------------------------------------------------------------------------------- */

static void park_deep(void *arg) {
    (void)arg;
    struct g *g = cygrt_g();
    *(volatile uint64_t *)(void *)g->lo = 1; /* as an overflow would, without what lies below */
    cyg_yield();
}
static void yields(void *arg) {
    (void)arg;
    cyg_yield();
}
static int unguarded_child(int argc, char **argv) {
    (void)argv;
    if (cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 2}) != 0) return 99;
    if (argc) CHECK_EQ(cyg_go(park_deep, NULL), 0);
    for (int i = 0; i < 20; i++) CHECK_EQ(cyg_go(yields, NULL), 0);
    WAIT_FOR(rt_stats().goroutines == 0);
    CHECK(rt_stats().stacks > 0);
    CHECK_EQ(rt_stats().stacks_unguarded, rt_stats().stacks);
    return 0;
}
static int count_in(const char *text, const char *word) {
    int n = 0;
    for (; (text = strstr(text, word)); text++) n++;
    return n;
}
static void test_unguarded_stacks_are_counted_told_once_and_checked(void **state) {
    (void)state;
    rt_spawn("unguarded", NULL, "CYGNET_DEBUG=nomprotect", &res);
    CHECK_EXIT(&res, 0);
    CHECK_EQ(count_in(res.err, "warning"), 1);
    rt_spawn("unguarded", "overflow", "CYGNET_DEBUG=nopwait2,nomprotect", &res);
    CHECK_SIGNAL(&res, SIGABRT);
    CHECK_SAYS(&res, "overflowed");
    CHECK_SAYS(&res, "test_stack.c:");
}

RT_TEST(test_stacks_are_guarded_as_a_rule) {
    CHECK(rt_stats().stacks > 0);
    CHECK_EQ(rt_stats().stacks_unguarded, 0);
    bool in_guard = false;
    struct g *g = cygrt_g();
    CHECK(cygrt_stack_owner(g->lo, &in_guard) == g && !in_guard);
    CHECK(cygrt_stack_owner(g->lo - 1, &in_guard) == g && in_guard);
    CHECK(cygrt_stack_owner(&res, &in_guard) == NULL);
}

/* ---- the fallbacks, all at once, with some of everything ---------------------------------------------------------------------- */

static int woke;
static void naps(void *arg) {
    (void)arg;
    for (int i = 0; i < 5; i++) CHECK_EQ(cyg_sleep(300 * CYG_MICROSECOND), 0);
    ADD(woke, 1);
}
static void echo_one(void *arg) {
    cyg_auto_conn cyg_conn *c = NULL;
    char b[4];
    CHECK_EQ(cyg_accept(arg, &c), 0);
    CHECK_EQ(cyg_read_full(c, b, 4), 4);
    CHECK_EQ(cyg_write(c, b, 4), 4);
}
static int some_of_everything(void *arg) {
    (void)arg;
    cyg_auto_listener cyg_listener *l = NULL;
    cyg_addr a;
    char text[CYG_ADDR_STRLEN], b[4];
    CHECK_EQ(cyg_listen("tcp", "127.0.0.1:0", NULL, &l), 0);
    cyg_listener_addr(l, &a);
    cyg_addr_format(&a, text, sizeof text);
    for (int i = 0; i < 20; i++) {
        GO(naps, NULL);
        GO(echo_one, l);
        cyg_auto_conn cyg_conn *c = NULL;
        CHECK_EQ(cyg_dial("tcp", text, NULL, &c), 0);
        CHECK_EQ(cyg_write(c, "ping", 4), 4);
        CHECK_EQ(cyg_read_full(c, b, 4), 4);
    }
    WAIT_FOR(LOAD(woke) == 20);
    return 0;
}
static int fallback_child(int argc, char **argv) {
    (void)argc, (void)argv;
    for (unsigned procs = 1; procs <= 4; procs *= 2) {
        STORE(woke, 0);
        CHECK_EQ(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = procs}), 0);
        CHECK_EQ(cyg_call(some_of_everything, NULL), 0);
        CHECK_EQ(cyg_runtime_stop(), 0);
    }
    return 0;
}
static void test_fallbacks_for_older_kernels(void **state) {
    (void)state;
    static const char *const debug[] = {"CYGNET_DEBUG=noguard", "CYGNET_DEBUG=nopwait2", "CYGNET_DEBUG=noexclusive",
                                        "CYGNET_DEBUG=noguard,nopwait2,noexclusive", "CYGNET_DEBUG=nomprotect"};
    for (size_t i = 0; i < sizeof debug / sizeof *debug; i++) {
        rt_spawn("fallback", NULL, debug[i], &res);
        CHECK_EXIT(&res, 0);
    }
}

/* ---- pages --------------------------------------------------------------------------------------------------------------------- */

static char *deep_lo;
static size_t resident(void) {
    unsigned char pages[64];
    size_t n = 0, len = 40 * 4096;
    if (mincore(deep_lo, len, pages) != 0) return 0;
    for (size_t i = 0; i < len / 4096; i++) n += pages[i] & 1;
    return n;
}
static void run_deep(void *arg) {
    (void)arg;
    deep_lo = cygrt_g()->lo + 4096;
    STORE(sink, dig(NULL, 300)); /* some 170 KiB of 256 */
    CHECK(resident() > 15);
    ADD(woke, 1);
}
RT_TEST(test_stack_that_ran_deep_gives_its_pages_back_when_idle) {
    STORE(woke, 0);
    GO(run_deep, NULL);
    WAIT_FOR(LOAD(woke) == 1);
    cyg_time end = cyg_now() + RT_DEADLINE;
    while (resident() > 0) {
        CHECK(cyg_now() < end);
        CHECK_EQ(cyg_sleep(5 * CYG_MILLISECOND), 0); /* the Ps go to sleep, which is when they tidy up */
    }
}

/* ---- unwinding --------------------------------------------------------------------------------------------------------------- */

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *uc, void *arg) {
    (void)uc;
    ++*(int *)arg;
    return *(int *)arg > 100000 ? _URC_END_OF_STACK : _URC_NO_REASON;
}
static int frames_by_unwinder(void) {
    int n = 0;
    _Unwind_Reason_Code code = _Unwind_Backtrace(count_frame, &n);
    CHECK(code == _URC_END_OF_STACK);
    return n;
}
static int frames_by_pointer(void) {
    int n = 0;
    struct g *g = cygrt_g();
    for (void **fp = __builtin_frame_address(0); fp; fp = *fp, n++)
        CHECK((char *)fp >= g->lo && (char *)fp < g->hi); /* the chain ends before it leaves the stack */
    return n;
}

static int by_unwinder, by_pointer;
__attribute__((noinline)) static int deep_frames(int depth) {
    if (depth == 0) {
        by_unwinder = frames_by_unwinder();
        by_pointer = frames_by_pointer();
        return 1;
    }
    int r = deep_frames(depth - 1);
    __asm__ volatile("" : "+r"(r)); /* no tail call */
    return r + 1;
}
static void unwind(void *arg) {
    STORE(sink, deep_frames((int)(intptr_t)arg));
    ADD(woke, 1);
}
RT_TEST(test_unwinding_ends_at_the_goroutines_entry) {
    int shallow[2];
    for (intptr_t depth = 0; depth <= 500; depth += 500) {
        STORE(woke, 0);
        GO(unwind, (void *)depth);
        WAIT_FOR(LOAD(woke) == 1);
        CHECK(by_unwinder > 0 && by_unwinder < 1000);
        if (depth == 0) {
            shallow[0] = by_unwinder;
            shallow[1] = by_pointer;
            continue;
        }
        CHECK_EQ(by_unwinder - shallow[0], 500);
        CHECK_EQ(by_pointer - shallow[1], 500);
    }
}

/* ---- registers ------------------------------------------------------------------------------------------------------------------ */

/* More live values than there are preserved registers, whole numbers and floating-point, over a switch. */
__attribute__((noinline)) static uint64_t keep_many(uint64_t seed) {
    uint64_t a = seed * 3, b = seed * 5, c = seed * 7, d = seed * 11, e = seed * 13, f = seed * 17, g = seed * 19,
             h = seed * 23;
    uint64_t i = seed * 29, j = seed * 31, k = seed * 37, l = seed * 41;
    double p = (double)seed, q = p * 2, r = p * 3, s = p * 4, t = p * 5, u = p * 6, v = p * 7, w = p * 8, x = p * 9;
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
    for (int turn = 0; turn < 3; turn++) {
        cyg_yield();
        __asm__ volatile("" : "+r"(g), "+r"(h), "+r"(i), "+r"(j), "+r"(k), "+r"(l));
    }
    uint64_t whole = a + b + c + d + e + f + g + h + i + j + k + l;
    return whole + (uint64_t)(p + q + r + s + t + u + v + w + x);
}
static void keeper(void *arg) {
    for (uint64_t i = 0; i < 2000 / RT_LESS; i++) {
        uint64_t seed = i * 1000 + (uint64_t)(uintptr_t)arg;
        CHECK_EQ(keep_many(seed), seed * 236 + seed * 45);
    }
    ADD(woke, 1);
}
RT_TEST(test_preserved_registers_survive_switches) {
    STORE(woke, 0);
    for (uintptr_t i = 1; i <= 8; i++) GO(keeper, (void *)i);
    WAIT_FOR(LOAD(woke) == 8);
}

#if defined(__x86_64__)
/* Sets each preserved register to seed, seed + 1, ..., calls fn, and stores what they hold then: no compiler in between. */
void registers_over_call(uint64_t seed, void (*fn)(void), uint64_t out[6]);
__asm__(
    ".text\n.type registers_over_call, @function\nregisters_over_call:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\npush %rdx\n"
    "mov %rdi, %rbx\nlea 1(%rdi), %rbp\nlea 2(%rdi), %r12\nlea 3(%rdi), %r13\nlea 4(%rdi), %r14\nlea 5(%rdi), %r15\n"
    "call *%rsi\npop %rdx\n"
    "mov %rbx, (%rdx)\nmov %rbp, 8(%rdx)\nmov %r12, 16(%rdx)\nmov %r13, 24(%rdx)\nmov %r14, 32(%rdx)\nmov %r15, "
    "40(%rdx)\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
    ".size registers_over_call, . - registers_over_call\n");
static int registers_by_name(uint64_t seed) {
    uint64_t out[6];
    registers_over_call(seed, cyg_yield, out);
    for (uint64_t i = 0; i < 6; i++)
        if (out[i] != seed + i) return 0;
    return 1;
}
#elif defined(__aarch64__)
__attribute__((noinline)) static int registers_by_name(uint64_t seed) {
    register uint64_t r19 __asm__("x19") = seed, r28 __asm__("x28") = seed + 9;
    register double v8 __asm__("d8") = (double)seed, v15 __asm__("d15") = (double)seed + 7;
    __asm__ volatile("" : "+r"(r19), "+r"(r28), "+w"(v8), "+w"(v15));
    cyg_yield();
    __asm__ volatile("" : "+r"(r19), "+r"(r28), "+w"(v8), "+w"(v15));
    return r19 == seed && r28 == seed + 9 && v8 == (double)seed && v15 == (double)seed + 7;
}
#endif
static void names_keeper(void *arg) {
    for (uint64_t i = 0; i < 500; i++) CHECK(registers_by_name(i * 100 + (uint64_t)(uintptr_t)arg * 7));
    ADD(woke, 1);
}
RT_TEST(test_each_preserved_register_survives) {
    STORE(woke, 0);
    for (uintptr_t i = 1; i <= 6; i++) GO(names_keeper, (void *)i);
    WAIT_FOR(LOAD(woke) == 6);
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"overflow", overflow_child},
                                           {"crash", crash_child},
                                           {"unguarded", unguarded_child},
                                           {"fallback", fallback_child},
                                           {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overflow_is_told_and_fatal),
        cmocka_unit_test(test_other_faults_tell_who_and_where),
        cmocka_unit_test(test_unguarded_stacks_are_counted_told_once_and_checked),
        cmocka_unit_test(test_stacks_are_guarded_as_a_rule),
        cmocka_unit_test(test_fallbacks_for_older_kernels),
        cmocka_unit_test(test_stack_that_ran_deep_gives_its_pages_back_when_idle),
        cmocka_unit_test(test_unwinding_ends_at_the_goroutines_entry),
        cmocka_unit_test(test_preserved_registers_survive_switches),
        cmocka_unit_test(test_each_preserved_register_survives),
    };
    int code = rt_child_main(argc, argv, kids);
    return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
