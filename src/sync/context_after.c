/* context_after.c: functions that run when a context ends. While one waits it stands in its context's list and keeps the
 * context's memory; whoever takes it out of the list, the end or a stop, decides. */
#include "sync/context.h"

#include <stdlib.h>

#include "base/spin.h"

struct cyg_ctx_after {
    struct cygrt_record rec; /* queued when the context ends */
    _Atomic uint32_t refs;   /* the caller's, and one while listed or queued */
    struct cyg_ctx *ctx;     /* NULL: background */
    struct cyg_ctx_after *next, *prev;
    bool listed; /* guarded by the context's lock, as are the neighbours */
    void (*fn)(void *);
    void *arg;
};

static void unref(struct cyg_ctx_after *a) {
    if (atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1) return;
    cygrt_ctx_drop(a->ctx);
    free(a);
}

static void run(void *arg, int why) {
    (void)why;
    struct cyg_ctx_after *a = arg;
    void (*fn)(void *) = a->fn;
    void *fn_arg = a->arg;
    unref(a);
    fn(fn_arg);
}

struct cyg_ctx_after *cygrt_ctx_take_afters(struct cyg_ctx *c) {
    struct cyg_ctx_after *all = c->afters;
    for (struct cyg_ctx_after *a = all; a; a = a->next) a->listed = false;
    c->afters = NULL;
    return all;
}

void cygrt_ctx_start_afters(struct cyg_ctx_after *a) {
    bool running = atomic_load_explicit(&cygrt_sched.state, memory_order_acquire) == S_RUNNING;
    for (struct cyg_ctx_after *next; a; a = next) {
        next = a->next;
        a->rec = (struct cygrt_record){.task = {.kind = CYGRT_TASK_RECORD}, .fn = run, .arg = a};
        if (running)
            cygrt_enqueue(&a->rec.task, false);
        else
            unref(a); /* a context that outlived the runtime */
    }
}

/* Under the context's lock. */
static void link_after(struct cyg_ctx *c, struct cyg_ctx_after *a) {
    a->next = c->afters;
    if (a->next) a->next->prev = a;
    c->afters = a;
    a->listed = true;
}

int cyg_ctx_after_func(cyg_ctx *c, void (*fn)(void *), void *arg, cyg_ctx_after **out) {
    if (atomic_load_explicit(&cygrt_sched.state, memory_order_acquire) != S_RUNNING) return CYG_ESTATE;
    struct cyg_ctx_after *a = calloc(1, sizeof *a);
    if (!a) return CYG_ENOMEM;
    a->fn = fn;
    a->arg = arg;
    bool never = c == &cygrt_background;
    atomic_store_explicit(&a->refs, (out != NULL) + !never, memory_order_relaxed);
    if (out) *out = a; /* before fn can run: it may want to see it */
    if (never) {
        a->listed = true;
        if (!out) free(a);
        return 0;
    }
    a->ctx = c;
    cygrt_ctx_keep(c);
    cyg_spin_lock(&c->core.lock);
    bool ended = atomic_load(&c->core.err) != 0;
    if (!ended) link_after(c, a);
    cyg_spin_unlock(&c->core.lock);
    if (ended) cygrt_ctx_start_afters(a);
    return 0;
}

bool cyg_ctx_after_stop(cyg_ctx_after *a) {
    struct cyg_ctx *c = a->ctx;
    if (!c) return __atomic_exchange_n(&a->listed, false, __ATOMIC_SEQ_CST);
    cyg_spin_lock(&c->core.lock);
    bool mine = a->listed;
    if (mine) {
        if (a->prev)
            a->prev->next = a->next;
        else
            c->afters = a->next;
        if (a->next) a->next->prev = a->prev;
        a->listed = false;
    }
    cyg_spin_unlock(&c->core.lock);
    if (mine) unref(a);
    return mine;
}

void cyg_ctx_after_release(cyg_ctx_after *a) {
    if (a) unref(a);
}
