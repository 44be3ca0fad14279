/* walk.c: see walk.h. Code that was compiled without frame pointers is passed over, or ends the chain.
 *
 * A running goroutine is asked by SIGURG, which programs rarely use and which does nothing by default: its handler finds the
 * request, copies the chain and says so. One request at a time; a request that was not answered in time is taken back, so a
 * late signal finds none. */
#include "runtime/walk.h"
#include "base/spin.h"
#include "runtime/fiber.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

#define SIGNAL SIGURG
#define PATIENCE (20 * CYG_MILLISECOND) /* for a thread that has to be given a CPU first */

/* Word i of the switch frame that a waiting goroutine's sp points to. */
#if defined(__x86_64__)
#define FRAME_FP 5
#define FRAME_PC 6
#else
#define FRAME_FP 18
#define FRAME_PC 19
#endif

CYGRT_IN_HANDLER static void push(struct cygrt_trace *t, const void *pc) {
    if (t->n < CYGRT_FRAMES) t->pc[t->n++] = pc;
}

/* Follows the chain upwards from fp, within (above, hi). */
CYGRT_RACY CYGRT_IN_HANDLER static void follow(uintptr_t fp, uintptr_t above, uintptr_t hi, struct cygrt_trace *t) {
    while (t->n < CYGRT_FRAMES && fp > above && fp <= hi - 2 * sizeof(void *) && fp % sizeof(void *) == 0) {
        void **f = (void **)fp;
        if (!f[1]) break;
        push(t, f[1]);
        above = fp;
        fp = (uintptr_t)f[0];
    }
}

CYGRT_RACY void cygrt_walk_of(struct g *g, struct cygrt_trace *t) {
    t->n = 0;
    uintptr_t lo = (uintptr_t)g->lo, hi = (uintptr_t)g->hi, sp = (uintptr_t)__atomic_load_n(&g->sp, __ATOMIC_RELAXED);
    bool runs = atomic_load_explicit(&g->status, memory_order_relaxed) == G_RUNNING;
    if (g->reason == CYGRT_R_BLOCKING && runs) { /* sp is the frame of cyg_blocking */
        if (sp > lo && sp < hi) follow(sp, lo, hi, t);
        return;
    }
    if (sp < lo || sp > hi - (FRAME_PC + 1) * sizeof(void *) || sp % sizeof(void *)) return;
    void **frame = (void **)sp;
    if (frame[FRAME_PC] == (void *)cygrt_entry) return; /* has not begun */
    push(t, frame[FRAME_PC]);
    follow((uintptr_t)frame[FRAME_FP], sp, hi, t);
}

__attribute__((noinline)) void cygrt_walk_here(struct cygrt_trace *t) {
    t->n = 0;
    struct g *g = cygrt_g();
    uintptr_t fp = (uintptr_t)__builtin_frame_address(0);
    if (g && fp > (uintptr_t)g->lo && fp < (uintptr_t)g->hi) follow(*(uintptr_t *)fp, fp, (uintptr_t)g->hi, t);
}

/* ---- those that run, and those that were interrupted ------------------------------------------------------------------ */

enum { NOBODY, ASKED, ANSWERING, ANSWERED };
static uint32_t asking; /* spin lock: who asks */
static _Atomic bool installed;
static _Atomic uint32_t answer = NOBODY; /* futex; the handler owns what follows from ANSWERING to ANSWERED, else who asks */
static struct g *wanted;
static struct cygrt_trace found;

CYGRT_IN_HANDLER void cygrt_walk_context(struct g *g, const void *context, struct cygrt_trace *t) {
    const ucontext_t *uc = context;
#if defined(__x86_64__)
    uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP], fp = (uintptr_t)uc->uc_mcontext.gregs[REG_RBP],
              sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
#else
    uintptr_t pc = uc->uc_mcontext.pc, fp = uc->uc_mcontext.regs[29], sp = uc->uc_mcontext.sp;
#endif
    t->n = 0;
    bool on_stack = g && sp > (uintptr_t)g->lo && sp < (uintptr_t)g->hi;
    if (on_stack || !g) push(t, (const void *)(pc + 1)); /* as a return address is: behind where it stands */
    if (on_stack) follow(fp, sp - 1, (uintptr_t)g->hi, t);
}

/* The handler, on the alternate stack of the thread it interrupted. */
CYGRT_RACY CYGRT_IN_HANDLER static void on_ask(int sig, siginfo_t *info, void *context) {
    (void)sig, (void)info;
    int *e = cyg_errno_location(), saved = *e;
    uint32_t asked = ASKED;
    struct g *g = cygrt_g();
    if (g && g == __atomic_load_n(&wanted, __ATOMIC_RELAXED) && atomic_compare_exchange_strong(&answer, &asked, ANSWERING)) {
        cygrt_walk_context(g, context, &found);
        atomic_store(&answer, ANSWERED);
        cygrt_futex_wake(&answer, 1);
    }
    *e = saved;
}

void cygrt_walk_install(void) {
    struct sigaction sa = {.sa_flags = SA_ONSTACK | SA_RESTART | SA_SIGINFO, .sa_sigaction = on_ask}, old;
    if (sigaction(SIGNAL, NULL, &old) != 0 || (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN)) return;
    atomic_store(&installed, cygrt_sigaction(SIGNAL, &sa) == 0);
}

/* Sends the signal to the thread that runs g, if there is one. Threads end only with the runtime, under the same lock. */
CYGRT_RACY static bool ask_thread_of(struct g *g) {
    struct cygrt_sched *s = &cygrt_sched;
    bool sent = false;
    cyg_spin_lock(&s->lock);
    for (struct m *m = s->all_ms; m && !sent; m = m->all_next)
        if (CYGRT_PEEK(m->curg) == g) sent = pthread_kill(m->thread, SIGNAL) == 0;
    cyg_spin_unlock(&s->lock);
    return sent;
}

bool cygrt_walk_running(struct g *g, struct cygrt_trace *t) {
    t->n = 0;
    if (!atomic_load(&installed) || g == cygrt_g() || !cyg_spin_trylock(&asking)) return false;
    __atomic_store_n(&wanted, g, __ATOMIC_RELAXED);
    atomic_store(&answer, ASKED);
    cyg_time until = cyg_now() + PATIENCE;
    bool got = ask_thread_of(g);
    while (got) {
        uint32_t now = atomic_load(&answer);
        cyg_duration left = until - cyg_now();
        if (now == ANSWERED) break;
        if (now == ASKED && left <= 0) {
            got = !atomic_compare_exchange_strong(&answer, &now, NOBODY);
            continue;
        }
        cygrt_futex_wait(&answer, now, left > 0 ? left : CYG_MILLISECOND);
    }
    if (got) *t = found;
    atomic_store(&answer, NOBODY);
    cyg_spin_unlock(&asking);
    return got && t->n > 0;
}
