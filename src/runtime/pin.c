/* pin.c: goroutines that stay on one thread, for libraries that keep state in thread-locals. The M is kept for its goroutine: while
 * that one is parked or queued, the M has no P and waits; whoever takes the goroutine from a queue hands its own P over to it.
 * m->parked is set before the goroutine's stack is left, so that a hand-over that comes at once is not lost. */
#include "base/fatal.h"
#include "runtime/sched.h"

void cygrt_pin(struct m *m, struct g *g) {
    if (g->pins == UINT16_MAX) cyg_fatal("cyg_lock_thread was nested %u deep", UINT16_MAX);
    if (g->pins++ > 0) return;
    g->pinned_m = m;
    g->task.kind = CYGRT_TASK_PINNED;
    m->pinned_g = g;
}

void cygrt_unpin(struct m *m, struct g *g) {
    if (--g->pins > 0) return;
    m->pinned_g = NULL;
    g->task.kind = CYGRT_TASK_G;
    g->pinned_m = NULL;
}

void cyg_lock_thread(void) {
    struct m *m = cygrt_m();
    if (!m || !m->curg) cyg_fatal("cyg_lock_thread outside a goroutine");
    cygrt_pin(m, m->curg);
}

void cyg_unlock_thread(void) {
    struct m *m = cygrt_m();
    if (!m || !m->curg || m->curg->pins == 0) cyg_fatal("cyg_unlock_thread without cyg_lock_thread");
    cygrt_unpin(m, m->curg);
}

static struct p *give_up_p(struct m *m) {
    struct p *p = m->p;
    atomic_store(&m->p, NULL);
    atomic_store(&p->m, NULL);
    return p;
}

void cygrt_pinned_run(struct m *m, struct g *g) {
    struct m *other = g->pinned_m;
    other->next_p = give_up_p(m);
    atomic_store_explicit(&other->parked, 0, memory_order_release);
    cygrt_futex_wake(&other->parked, 1);
}

bool cygrt_pinned_wait(struct m *m) {
    if (m->p) cygrt_handoff(give_up_p(m));
    while (atomic_load_explicit(&m->parked, memory_order_acquire)) cygrt_futex_wait(&m->parked, 1, -1);
    atomic_store(&m->p, m->next_p);
    m->next_p = NULL;
    return m->p != NULL;
}
