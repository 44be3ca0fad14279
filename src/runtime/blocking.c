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
    struct p *p = cygrt_enter(m);
    if (p && !cygrt_room_for_m()) {
        atomic_fetch_add_explicit(&s->n_blocking_limit, 1, memory_order_relaxed);
        p = NULL;
    }
    g->wait_since = cyg_now();
    if (p) {
        g->reason = CYGRT_R_BLOCKING;
        g->wait_obj = (const void *)fn;     /* for dumps: what is called, */
        g->sp = __builtin_frame_address(0); /* and from where */
        atomic_store(&m->p, NULL);
        atomic_store(&p->m, NULL);
        cygrt_handoff(p);
    }
    cygrt_exit(m);
    int r = fn(arg);
    if (m->p) return r;
    (void)cygrt_enter(m);
    atomic_store_explicit(&g->status, G_RUNNABLE, memory_order_relaxed);
    g->after = AFTER_GLOBAL;
    m = cygrt_leave(m, g);
    g->reason = CYGRT_R_NONE;
    cygrt_exit(m);
    return r;
}
