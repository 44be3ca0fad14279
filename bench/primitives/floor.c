/* floor.c: what the machine asks and nothing else: no queue, no clock, no fairness. usage: floor MODE
 *
 * Two stacks switch to each other, saving what the ABI says a call preserves. `switch_jump` leaves by pop and indirect jump;
 * `switch_ret` by ret, whose target the return predictor guesses wrong every time.
 *
 * `line`: a cache line goes from CPU 0 to CPU 1 and back. A host may place the two of a guest beside each other or not, and
 * elsewhere a moment later; what two Ps share costs accordingly. */
#define _GNU_SOURCE
#include "sample.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { STACK_BYTES = 65536 };

void switch_jump(void **save, void *to);
void switch_ret(void **save, void *to);

#if defined(__x86_64__)
#define SAVE \
    "push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n mov %rsp, (%rdi)\n mov %rsi, %rsp\n"
#define LOAD "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"
__asm__(".text\n .globl switch_jump, switch_ret\n .p2align 4\n"
        "switch_jump:\n" SAVE LOAD "pop %rcx\n jmp *%rcx\n"
        ".p2align 4\n"
        "switch_ret:\n" SAVE LOAD "ret\n");
enum { SAVED_WORDS = 7, ENTRY_WORD = 6 };
#elif defined(__aarch64__)
#define SAVE                                                                                                \
    "sub sp, sp, #160\n stp x19, x20, [sp]\n stp x21, x22, [sp, #16]\n stp x23, x24, [sp, #32]\n"           \
    "stp x25, x26, [sp, #48]\n stp x27, x28, [sp, #64]\n stp x29, x30, [sp, #80]\n stp d8, d9, [sp, #96]\n" \
    "stp d10, d11, [sp, #112]\n stp d12, d13, [sp, #128]\n stp d14, d15, [sp, #144]\n"                      \
    "mov x9, sp\n str x9, [x0]\n mov sp, x1\n"
#define LOAD                                                                                                 \
    "ldp x19, x20, [sp]\n ldp x21, x22, [sp, #16]\n ldp x23, x24, [sp, #32]\n ldp x25, x26, [sp, #48]\n"     \
    "ldp x27, x28, [sp, #64]\n ldp x29, x30, [sp, #80]\n ldp d8, d9, [sp, #96]\n ldp d10, d11, [sp, #112]\n" \
    "ldp d12, d13, [sp, #128]\n ldp d14, d15, [sp, #144]\n add sp, sp, #160\n"
__asm__(".text\n .globl switch_jump, switch_ret\n .p2align 4\n"
        "switch_jump:\n" SAVE LOAD "br x30\n"
        ".p2align 4\n"
        "switch_ret:\n" SAVE LOAD "ret\n");
enum { SAVED_WORDS = 20, ENTRY_WORD = 11 };
#else
#error "no switch for this processor"
#endif

static void *here, *there;

static void jump_back(void) {
    for (;;) switch_jump(&there, here);
}

static void ret_back(void) {
    for (;;) switch_ret(&there, here);
}

/* A stack whose first switch enters fn. */
static void prepare(void (*fn)(void)) {
    static void *stack[STACK_BYTES / sizeof(void *)] __attribute__((aligned(16)));
    void **sp = stack + STACK_BYTES / sizeof(void *) - 2;
    *--sp = NULL; /* where a return address would be: aligned as after a call */
    sp -= SAVED_WORDS;
    memset(sp, 0, SAVED_WORDS * sizeof *sp);
    sp[ENTRY_WORD] = (void *)fn;
    there = sp;
}

static int64_t by_jump(long n) {
    prepare(jump_back);
    int64_t begin = now_ns();
    for (long i = 0; i < n; i += 2) switch_jump(&here, there);
    return now_ns() - begin;
}

static int64_t by_ret(long n) {
    prepare(ret_back);
    int64_t begin = now_ns();
    for (long i = 0; i < n; i += 2) switch_ret(&here, there);
    return now_ns() - begin;
}

static struct {
    _Alignas(128) _Atomic long turn;
    _Alignas(128) long n;
} ball;

/* Even turns are CPU 0's. */
static void *play(void *arg) {
    long me = (long)(intptr_t)arg;
    cpu_set_t cpu;
    CPU_ZERO(&cpu);
    CPU_SET((size_t)me, &cpu);
    if (pthread_setaffinity_np(pthread_self(), sizeof cpu, &cpu) != 0) exit(1);
    for (long i = me; i < ball.n; i += 2) {
        while (atomic_load_explicit(&ball.turn, memory_order_acquire) != i) {}
        atomic_store_explicit(&ball.turn, i + 1, memory_order_release);
    }
    return NULL;
}

static int64_t line(long n) {
    pthread_t other;
    atomic_store(&ball.turn, 0);
    ball.n = n;
    int64_t begin = now_ns();
    if (pthread_create(&other, NULL, play, (void *)(intptr_t)1) != 0) exit(1);
    (void)play(NULL);
    pthread_join(other, NULL);
    return now_ns() - begin;
}

int main(int argc, char **argv) {
    static const struct sample_mode modes[] = {
        {"switch_jump", by_jump}, {"switch_ret", by_ret}, {"line", line}, {NULL, NULL}};
    const struct sample_mode *mode = find_mode(modes, argc, argv);
    if (!mode) return fprintf(stderr, "usage: floor MODE\n"), 2;
    print_calibrated(mode->name, mode->fn);
    return 0;
}
