/* ctxlink.c: which goroutines run under a context, so that cancelling it finds them. Only explicit contexts pay. */
#include "base/spin.h"
#include "runtime/sched.h"

#define WAKE_BATCH 16

void cygrt_ctx_join(struct g *g, struct cygrt_ctx_core *c) {
    g->ctx = c;
    if (!c) return;
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    cyg_spin_lock(&c->lock);
    g->ctx_prev = NULL;
    g->ctx_next = c->gs;
    if (c->gs) c->gs->ctx_prev = g;
    c->gs = g;
    cyg_spin_unlock(&c->lock);
}

void cygrt_ctx_leave(struct g *g) {
    struct cygrt_ctx_core *c = g->ctx;
    if (!c) return;
    cyg_spin_lock(&c->lock);
    if (g->ctx_prev)
        g->ctx_prev->ctx_next = g->ctx_next;
    else if (c->gs == g)
        c->gs = g->ctx_next;
    else
        c->waking = g->ctx_next;
    if (g->ctx_next) g->ctx_next->ctx_prev = g->ctx_prev;
    cyg_spin_unlock(&c->lock);
    g->ctx = NULL;
    cygrt_ctx_unref(c);
}

void cygrt_ctx_pass(struct g *from, struct g *to) {
    struct cygrt_ctx_core *c = from->ctx;
    cyg_spin_lock(&c->lock);
    to->ctx = c;
    to->ctx_next = from->ctx_next;
    to->ctx_prev = from->ctx_prev;
    if (to->ctx_prev)
        to->ctx_prev->ctx_next = to;
    else if (c->gs == from)
        c->gs = to;
    else
        c->waking = to;
    if (to->ctx_next) to->ctx_next->ctx_prev = to;
    from->ctx = NULL;
    cyg_spin_unlock(&c->lock);
}

void cygrt_ctx_unref(struct cygrt_ctx_core *c) {
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) c->unreferenced(c);
}

/* Those that join from now on see err by themselves. Woken outside the lock, so in rounds: who has been woken goes back to gs. */
void cygrt_ctx_wake(struct cygrt_ctx_core *c) {
    struct g *batch[WAKE_BATCH];
    cyg_spin_lock(&c->lock);
    c->waking = c->gs;
    c->gs = NULL;
    while (c->waking) {
        unsigned n = 0;
        for (struct g *g; n < WAKE_BATCH && (g = c->waking); batch[n++] = g) {
            c->waking = g->ctx_next;
            if (c->waking) c->waking->ctx_prev = NULL;
            g->ctx_next = c->gs;
            if (c->gs) c->gs->ctx_prev = g;
            c->gs = g;
        }
        cyg_spin_unlock(&c->lock);
        for (unsigned i = 0; i < n; i++) cygrt_unpark_tail(batch[i]); /* each looks at err and ends its wait */
        cyg_spin_lock(&c->lock);
    }
    cyg_spin_unlock(&c->lock);
}
