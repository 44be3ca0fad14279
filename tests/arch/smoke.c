/* smoke.c: the runtime on another processor, without a test library: the switch keeps what a call preserves, goroutines yield,
 * sleep and talk over TCP, an overflow is told. `smoke` exits with 0; `smoke overflow` dies of SIGSEGV. Run by
 * test_aarch64.py under user-mode emulation.
 */
#include <cygnet/cygnet.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(cond)                                                                   \
    do {                                                                              \
        if (!(cond)) {                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond); \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

static cyg_waitgroup all;
static int64_t naps, echoes;

/* More live values than there are preserved registers, whole and floating-point, over switches. */
static void registers(void *arg) {
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    for (int turn = 0; turn < 200; turn++, seed += 1000) {
        uint64_t v[12];
        double d[10];
        for (uint64_t i = 0; i < 12; i++) v[i] = seed * (i + 3);
        for (int i = 0; i < 10; i++) d[i] = (double)seed * (i + 1.5);
        uint64_t a = v[0], b = v[1], c = v[2], e = v[3], f = v[4], g = v[5], h = v[6], k = v[7], l = v[8], m = v[9],
                 n = v[10];
        double o = d[0], p = d[1], q = d[2], r = d[3], s = d[4], t = d[5], u = d[6], w = d[7], x = d[8];
        cyg_yield();
        CHECK(a == v[0] && b == v[1] && c == v[2] && e == v[3] && f == v[4] && g == v[5] && h == v[6] && k == v[7]);
        CHECK(l == v[8] && m == v[9] && n == v[10]);
        CHECK(o == d[0] && p == d[1] && q == d[2] && r == d[3] && s == d[4] && t == d[5] && u == d[6] && w == d[7] &&
              x == d[8]);
    }
    cyg_waitgroup_done(&all);
}

#if defined(__aarch64__)
/* Each preserved register by name, set before a switch and stored after it, with no compiler in between. */
void registers_over_call(uint64_t seed, void (*fn)(void), uint64_t out[18]);
__asm__(
    ".text\n.type registers_over_call, %function\nregisters_over_call:\n"
    "stp x29, x30, [sp, #-192]!\nmov x29, sp\n"
    "stp x19, x20, [sp, #16]\nstp x21, x22, [sp, #32]\nstp x23, x24, [sp, #48]\nstp x25, x26, [sp, #64]\n"
    "stp x27, x28, [sp, #80]\nstp d8, d9, [sp, #96]\nstp d10, d11, [sp, #112]\nstp d12, d13, [sp, #128]\n"
    "stp d14, d15, [sp, #144]\nstr x2, [sp, #160]\n"
    "add x19, x0, #0\nadd x20, x0, #1\nadd x21, x0, #2\nadd x22, x0, #3\nadd x23, x0, #4\nadd x24, x0, #5\n"
    "add x25, x0, #6\nadd x26, x0, #7\nadd x27, x0, #8\nadd x28, x0, #9\n"
    "add x9, x0, #10\nfmov d8, x9\nadd x9, x0, #11\nfmov d9, x9\nadd x9, x0, #12\nfmov d10, x9\nadd x9, x0, #13\n"
    "fmov d11, x9\nadd x9, x0, #14\nfmov d12, x9\nadd x9, x0, #15\nfmov d13, x9\nadd x9, x0, #16\nfmov d14, x9\n"
    "add x9, x0, #17\nfmov d15, x9\n"
    "blr x1\nldr x2, [sp, #160]\n"
    "stp x19, x20, [x2]\nstp x21, x22, [x2, #16]\nstp x23, x24, [x2, #32]\nstp x25, x26, [x2, #48]\nstp x27, x28, [x2, "
    "#64]\n"
    "stp d8, d9, [x2, #80]\nstp d10, d11, [x2, #96]\nstp d12, d13, [x2, #112]\nstp d14, d15, [x2, #128]\n"
    "ldp x19, x20, [sp, #16]\nldp x21, x22, [sp, #32]\nldp x23, x24, [sp, #48]\nldp x25, x26, [sp, #64]\n"
    "ldp x27, x28, [sp, #80]\nldp d8, d9, [sp, #96]\nldp d10, d11, [sp, #112]\nldp d12, d13, [sp, #128]\n"
    "ldp d14, d15, [sp, #144]\nldp x29, x30, [sp], #192\nret\n.size registers_over_call, . - registers_over_call\n");
static void names(void *arg) {
    for (uint64_t turn = 0; turn < 200; turn++) {
        uint64_t out[18], seed = turn * 100 + (uint64_t)(uintptr_t)arg * 7;
        registers_over_call(seed, cyg_yield, out);
        for (uint64_t i = 0; i < 18; i++) CHECK(out[i] == seed + i);
    }
    cyg_waitgroup_done(&all);
}
#else
#define names registers
#endif

static void nap(void *arg) {
    (void)arg;
    for (int i = 0; i < 5; i++) CHECK(cyg_sleep(300 * CYG_MICROSECOND) == 0);
    __atomic_add_fetch(&naps, 1, __ATOMIC_SEQ_CST);
    cyg_waitgroup_done(&all);
}

static void echo(void *arg) {
    cyg_auto_conn cyg_conn *c = arg;
    char b[64];
    for (ssize_t n; (n = cyg_read(c, b, sizeof b)) > 0;) CHECK(cyg_write(c, b, (size_t)n) == n);
}
static void serve(void *arg) {
    for (cyg_conn *c; cyg_accept(arg, &c) == 0;) CHECK(cyg_go(echo, c) == 0);
    cyg_listener_release(arg);
}
static void ask(void *arg) {
    cyg_auto_conn cyg_conn *c = NULL;
    char b[8];
    CHECK(cyg_dial("tcp", arg, NULL, &c) == 0);
    for (int i = 0; i < 20; i++) {
        CHECK(cyg_write(c, "hello", 5) == 5);
        CHECK(cyg_read_full(c, b, 5) == 5);
    }
    __atomic_add_fetch(&echoes, 1, __ATOMIC_SEQ_CST);
    cyg_waitgroup_done(&all);
}

static int dig(volatile char *above, int depth) {
    volatile char block[512];
    block[0] = above ? above[0] : 1;
    return depth ? dig(block, depth - 1) + block[0] : block[0];
}
static void overflow(void *arg) {
    (void)arg;
    printf("%d\n", dig(NULL, 1 << 30));
}

static int run(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        CHECK(cyg_go(overflow, NULL) == 0);
        return cyg_sleep(CYG_HOUR);
    }
    cyg_listener *l;
    cyg_addr a;
    char text[CYG_ADDR_STRLEN];
    CHECK(cyg_listen("tcp", "127.0.0.1:0", NULL, &l) == 0);
    cyg_listener_addr(l, &a);
    cyg_addr_format(&a, text, sizeof text);
    CHECK(cyg_go(serve, cyg_listener_acquire(l)) == 0);
    cyg_waitgroup_add(&all, 32);
    for (uintptr_t i = 0; i < 8; i++) {
        CHECK(cyg_go(registers, (void *)(i + 1)) == 0);
        CHECK(cyg_go(names, (void *)(i + 1)) == 0);
        CHECK(cyg_go(nap, NULL) == 0);
        CHECK(cyg_go(ask, text) == 0);
    }
    CHECK(cyg_waitgroup_wait_until(&all, cyg_now() + 60 * CYG_SECOND) == 0);
    CHECK(naps == 8 && echoes == 8);
    CHECK(cyg_listener_close(l) == 0);
    puts("all is well");
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
