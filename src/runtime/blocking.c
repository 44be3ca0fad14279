/* blocking.c: calls that block their thread. The P goes to another M first; coming back, the goroutine queues for a P and this
 * M for another one. */
#include "base/fatal.h"
#include "base/spin.h"
#include "runtime/sched.h"

int cyg_blocking(int (*fn)(void *), void *arg) {
    struct cygrt_sched *s = &cygrt_sched;
    struct m *m = cygrt_m();
    struct g *g = m ? m->curg : NULL;
    if (!g || !m->p) return fn(arg);
    atomic_fetch_add_explicit(&s->n_blocking, 1, memory_order_relaxed);
    cyg_spin_lock(&s->lock);
    bool room = s->idle_ms || s->nms < s->opts.max_threads;
    cyg_spin_unlock(&s->lock);
    if (!room) {
        atomic_fetch_add_explicit(&s->n_blocking_limit, 1, memory_order_relaxed);
        return fn(arg);
    }
    struct p *p = m->p;
    g->reason = CYGRT_R_BLOCKING;
    g->wait_since = cygrt_p_now(p);
    m->p = NULL;
    cygrt_handoff(p);
    int r = fn(arg);
    atomic_store_explicit(&g->status, G_RUNNABLE, memory_order_relaxed);
    g->after = AFTER_GLOBAL;
    cygrt_leave(m, g);
    g->reason = CYGRT_R_NONE;
    return r;
}
