/* self.c: the one place that touches thread-local storage, beside cygrt_m() in sched.h. Everything here is out of line and behind a
 * barrier, so that a compiler can neither keep an address across a switch nor fold two calls into one. */
#include "runtime/fiber.h"
#include "runtime/sched.h"

__thread struct m *cygrt_tls_m __attribute__((tls_model("initial-exec")));

#ifndef __x86_64__
CYGRT_IN_HANDLER __attribute__((noinline)) struct m *cygrt_m(void) {
    __asm__ volatile("" ::: "memory");
    return cygrt_tls_m;
}
#endif

__attribute__((noinline)) void cygrt_set_m(struct m *m) {
    cygrt_tls_m = m;
    __asm__ volatile("" ::: "memory");
}

#undef errno
extern int *__errno_location(void);

CYGRT_IN_HANDLER __attribute__((noinline)) int *cyg_errno_location(void) {
    __asm__ volatile("" ::: "memory");
    return __errno_location();
}

uint64_t cyg_goid(void) {
    struct g *g = cygrt_g();
    return g ? g->id : 0;
}

void cyg_set_name(const char *name) {
    struct g *g = cygrt_g();
    if (g) atomic_store_explicit(&g->name, name, memory_order_release);
}

unsigned cyg_procs(void) {
    return atomic_load_explicit(&cygrt_sched.state, memory_order_acquire) == S_OFF ? 0 : cygrt_sched.nprocs;
}

unsigned cyg_proc_hint(void) { return cygrt_proc_hint(); }

cyg_time cyg_now_cached(void) { return cygrt_now_cached(); }
