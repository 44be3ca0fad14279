/* waiter.c: how a goroutine waits in a queue; see waiter.h. */
#include "sync/waiter.h"

#include "base/fatal.h"
#include "base/spin.h"

struct g *cyg_need_goroutine(const char *call) {
    struct g *g = cygrt_g();
    if (!g) cyg_fatal("%s outside a goroutine", call);
    return g;
}

static bool let_go(const struct cyg_waiter *w) {
    uint32_t v = atomic_load(&w->granted); /* in order behind cygrt_prepare's store: see unpark() */
    return v == WAITER_GRANTED || v == WAITER_HANDED;
}

/* For a moment: whoever has claimed w is on its way. */
static void wait_for_claimer(struct cyg_waiter *w, enum cygrt_reason reason, const void *obj) {
    for (;;) {
        cygrt_prepare(w->g);
        if (let_go(w)) break;
        cygrt_park(w->g, reason, obj);
        if (let_go(w)) return;
    }
    cygrt_cancel_prepare(w->g);
}

static int why_end(const struct g *g, cyg_time deadline, bool cancellable) {
    int err = cancellable ? cygrt_ctx_err(g) : 0;
    return !err && deadline && cygrt_now_cached() >= deadline ? CYG_ETIMEDOUT : err;
}

int cyg_waitq_wait(cyg_waitq *q, uint32_t *lock, struct cyg_waiter *w, enum cygrt_reason reason, const void *obj,
                   cyg_time deadline, bool cancellable) {
    struct g *g = w->g;
    for (;;) {
        cygrt_prepare(g);
        cyg_spin_unlock(lock);
        int err = why_end(g, deadline, cancellable);
        if (err || let_go(w))
            cygrt_cancel_prepare(g);
        else
            cygrt_park_until(g, reason, obj, deadline);
        if (let_go(w)) return 0;
        cyg_spin_lock(lock);
        if (atomic_load_explicit(&w->granted, memory_order_relaxed) != WAITER_NO) {
            cyg_spin_unlock(lock);
            break;
        }
        if (!err) err = why_end(g, deadline, cancellable);
        if (err) {
            waitq_remove(q, w);
            cyg_spin_unlock(lock);
            return err;
        }
    }
    wait_for_claimer(w, reason, obj);
    return 0;
}

void cyg_claimed_wake(struct cyg_claimed *c) {
    for (struct cyg_waiter *w = c->first, *next; w; w = next) {
        next = w->next;
        struct g *g = w->g;
        atomic_store(&w->granted, WAITER_GRANTED);
        cygrt_unpark(g);
    }
}
