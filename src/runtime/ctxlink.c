/* ctxlink.c: which goroutines run under a context, so that cancelling it finds them. Only explicit contexts pay. */
#include "base/spin.h"
#include "runtime/sched.h"

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
    else
        c->gs = g->ctx_next;
    if (g->ctx_next) g->ctx_next->ctx_prev = g->ctx_prev;
    cyg_spin_unlock(&c->lock);
    g->ctx = NULL;
    cygrt_ctx_unref(c);
}

void cygrt_ctx_unref(struct cygrt_ctx_core *c) {
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) c->destroy(c);
}
