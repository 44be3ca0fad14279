/* context.c: a tree of deadlines and "ended" marks. A child holds a reference on its parent; a parent lists its children
 * without holding them, and a child leaves that list before it is freed. Lock order: parent before child. */
#include <cygnet/context.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/spin.h"
#include "runtime/sched.h"

struct cyg_ctx {
    struct cygrt_ctx_core core; /* first; its lock guards children and the links of the children */
    struct cyg_ctx *parent;     /* NULL: background */
    struct cyg_ctx *children, *sibling, *sibling_prev;
    bool linked;       /* stands in parent's list; guarded by parent's lock */
    cyg_time deadline; /* 0: none */
    cyg_timer *timer;
};

static struct cyg_ctx background;

cyg_ctx *cyg_ctx_background(void) { return &background; }

cyg_ctx *cyg_ctx_current(void) {
    struct g *g = cygrt_g();
    return g && g->ctx ? (cyg_ctx *)g->ctx : &background;
}

static void unlink_child(struct cyg_ctx *c) {
    struct cyg_ctx *p = c->parent;
    if (!p) return;
    cyg_spin_lock(&p->core.lock);
    if (c->linked) {
        if (c->sibling_prev)
            c->sibling_prev->sibling = c->sibling;
        else
            p->children = c->sibling;
        if (c->sibling) c->sibling->sibling_prev = c->sibling_prev;
        c->linked = false;
    }
    cyg_spin_unlock(&p->core.lock);
}

static void destroy(struct cygrt_ctx_core *core) {
    struct cyg_ctx *c = (struct cyg_ctx *)core;
    struct cyg_ctx *parent = c->parent;
    unlink_child(c);
    free(c);
    if (parent) cyg_ctx_release(parent);
}

/* Takes one more reference of a context that may be on its way out; false if it is. */
static bool try_acquire(struct cyg_ctx *c) {
    uint32_t n = atomic_load_explicit(&c->core.refs, memory_order_relaxed);
    while (n)
        if (atomic_compare_exchange_weak_explicit(&c->core.refs, &n, n + 1, memory_order_acquire, memory_order_relaxed))
            return true;
    return false;
}

static void stop_timer(struct cyg_ctx *c) {
    cyg_spin_lock(&c->core.lock);
    cyg_timer *t = c->timer;
    c->timer = NULL;
    cyg_spin_unlock(&c->core.lock);
    if (!t) return;
    bool stopped = cyg_timer_stop(t);
    cyg_timer_release(t);
    if (stopped) cygrt_ctx_unref(&c->core); /* the reference that the timer's goroutine would have dropped */
}

void cyg_ctx_cancel(cyg_ctx *c, int cause) {
    int none = 0;
    if (c == &background || !atomic_compare_exchange_strong(&c->core.err, &none, cause < 0 ? cause : CYG_ECANCELED))
        return;
    atomic_fetch_add_explicit(&c->core.refs, 1, memory_order_relaxed); /* stays while we walk */
    cyg_spin_lock(&c->core.lock);
    for (struct g *g = c->core.gs; g; g = g->ctx_next) cygrt_unpark_tail(g); /* each looks at err and ends its wait */
    cyg_spin_unlock(&c->core.lock);
    for (;;) { /* children one by one, each off the list first */
        cyg_spin_lock(&c->core.lock);
        struct cyg_ctx *kid = c->children;
        bool alive = false;
        if (kid) {
            c->children = kid->sibling;
            if (kid->sibling) kid->sibling->sibling_prev = NULL;
            kid->linked = false;
            alive = try_acquire(kid);
        }
        cyg_spin_unlock(&c->core.lock);
        if (!kid) break;
        if (!alive) continue;
        cyg_ctx_cancel(kid, cause);
        cyg_ctx_release(kid);
    }
    stop_timer(c);
    unlink_child(c);
    cygrt_ctx_unref(&c->core);
}

static void deadline_passed(void *arg) {
    struct cyg_ctx *c = arg;
    cyg_ctx_cancel(c, CYG_ETIMEDOUT);
    cygrt_ctx_unref(&c->core);
}

cyg_ctx *cyg_ctx_with_deadline(cyg_ctx *parent, cyg_time deadline) {
    if (!parent) parent = cyg_ctx_current();
    struct cyg_ctx *c = cyg_xcalloc(1, sizeof *c);
    atomic_store(&c->core.refs, 1);
    c->core.destroy = destroy;
    c->deadline = deadline;
    if (parent->deadline && (!deadline || parent->deadline < deadline)) c->deadline = parent->deadline;
    if (parent != &background) {
        c->parent = cyg_ctx_acquire(parent);
        cyg_spin_lock(&parent->core.lock);
        int err = atomic_load(&parent->core.err);
        if (err) {
            atomic_store(&c->core.err, err); /* born ended: no link, no timer */
        } else {
            c->sibling = parent->children;
            if (c->sibling) c->sibling->sibling_prev = c;
            parent->children = c;
            c->linked = true;
        }
        cyg_spin_unlock(&parent->core.lock);
        if (err) return c;
    }
    bool own = deadline && c->deadline == deadline && (!parent->deadline || deadline < parent->deadline);
    if (!own) return c;
    cyg_time now = cyg_now();
    if (deadline <= now) {
        cyg_ctx_cancel(c, CYG_ETIMEDOUT);
        return c;
    }
    atomic_fetch_add_explicit(&c->core.refs, 1, memory_order_relaxed);
    cyg_timer *t;
    int err = cyg_after_func(deadline - now, deadline_passed, c, &t);
    if (err) cyg_fatal("cannot arm a context's deadline: %s", cyg_strerror(err));
    cyg_spin_lock(&c->core.lock);
    bool ended = atomic_load(&c->core.err) != 0;
    c->timer = t;
    cyg_spin_unlock(&c->core.lock);
    if (ended) stop_timer(c); /* its parent ended meanwhile */
    return c;
}

cyg_ctx *cyg_ctx_with_cancel(cyg_ctx *parent) { return cyg_ctx_with_deadline(parent, 0); }
cyg_ctx *cyg_ctx_with_timeout(cyg_ctx *parent, cyg_duration d) {
    return cyg_ctx_with_deadline(parent, cygrt_from_now(d));
}

int cyg_ctx_err(const cyg_ctx *c) { return atomic_load(&c->core.err); }
cyg_time cyg_ctx_deadline(const cyg_ctx *c) { return c->deadline; }

cyg_ctx *cyg_ctx_acquire(cyg_ctx *c) {
    if (c != &background) atomic_fetch_add_explicit(&c->core.refs, 1, memory_order_relaxed);
    return c;
}

void cyg_ctx_release(cyg_ctx *c) {
    if (c == &background) return;
    /* Without a timer the count falls to zero by itself; a timer's reference would keep it until its deadline. */
    uint32_t others = 1;
    cyg_spin_lock(&c->core.lock);
    others += c->timer != NULL;
    cyg_spin_unlock(&c->core.lock);
    if (others == 2 && atomic_load(&c->core.refs) == 2) cyg_ctx_cancel(c, 0);
    cygrt_ctx_unref(&c->core);
}

cyg_ctx_scope cyg_ctx_enter(cyg_ctx *ctx) {
    struct g *g = cygrt_g();
    if (!g) cyg_fatal("cyg_ctx_enter outside a goroutine");
    cyg_ctx_scope s = {(cyg_ctx *)g->ctx};
    if (s.previous) cyg_ctx_acquire(s.previous); /* the scope keeps it while the goroutine is elsewhere */
    cygrt_ctx_leave(g);
    cygrt_ctx_join(g, ctx == &background ? NULL : &ctx->core);
    return s;
}

void cyg_ctx_leave(cyg_ctx_scope *s) {
    struct g *g = cygrt_g();
    cygrt_ctx_leave(g);
    if (!s->previous) return;
    cygrt_ctx_join(g, &s->previous->core);
    cyg_ctx_release(s->previous);
}
