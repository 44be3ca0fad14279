/* context.c: the tree of contexts: how they are made, ended and freed. See context.h for the counts and the lock order. */
#include "sync/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/spin.h"

#define TEXT_MAX 256

struct cyg_ctx cygrt_background;
#define background cygrt_background

cyg_ctx *cyg_ctx_background(void) { return &background; }

cyg_ctx *cyg_ctx_current(void) {
    struct g *g = cygrt_g();
    return g && g->ctx ? (cyg_ctx *)g->ctx : &background;
}

/* ---- memory ------------------------------------------------------------------------------------------------------------ */

void cygrt_ctx_keep(struct cyg_ctx *c) { atomic_fetch_add_explicit(&c->memory, 1, memory_order_relaxed); }

void cygrt_ctx_drop(struct cyg_ctx *c) {
    while (c && atomic_fetch_sub_explicit(&c->memory, 1, memory_order_acq_rel) == 1) {
        struct cyg_ctx *parent = c->parent;
        if (c->destroy_value) c->destroy_value(c->value);
        free(c->text);
        free(c);
        c = parent;
    }
}

/* ---- ends --------------------------------------------------------------------------------------------------------------- */

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

static void stop_timer(struct cyg_ctx *c) {
    cyg_spin_lock(&c->core.lock);
    cyg_timer *t = c->timer;
    c->timer = NULL;
    cyg_spin_unlock(&c->core.lock);
    if (!t) return;
    bool stopped = cyg_timer_stop(t);
    cyg_timer_release(t);
    if (stopped) cygrt_ctx_drop(c); /* what the timer's goroutine would have dropped */
}

/* Marks c as ended; false if it was. Whoever marks it does the rest. text: given to c if it wins. */
static bool mark(struct cyg_ctx *c, int err, const char *cause, char *text) {
    cyg_spin_lock(&c->core.lock);
    bool mine = atomic_load_explicit(&c->core.err, memory_order_relaxed) == 0; /* changes under the lock only */
    if (mine) {
        c->text = text;
        c->cause = text ? text : cause;
        atomic_store(&c->core.err, err);
    }
    cyg_spin_unlock(&c->core.lock);
    return mine;
}

/* Takes the children out of c, marks them and puts those that it has marked in front of todo. */
static struct cyg_ctx *end_children(struct cyg_ctx *c, int err, struct cyg_ctx *todo) {
    cyg_spin_lock(&c->core.lock);
    struct cyg_ctx *kid = c->children;
    c->children = NULL;
    for (struct cyg_ctx *k = kid; k; k = k->sibling) {
        k->linked = false; /* from now on nobody else touches k->sibling */
        cygrt_ctx_keep(k);
    }
    cyg_spin_unlock(&c->core.lock);
    for (struct cyg_ctx *next; kid; kid = next) {
        next = kid->sibling;
        if (mark(kid, err, c->cause, NULL)) {
            kid->ended_next = todo;
            todo = kid;
        } else {
            cygrt_ctx_drop(kid);
        }
    }
    return todo;
}

/* A worklist rather than recursion: a chain of contexts may be longer than a stack is deep. */
static bool cancel(struct cyg_ctx *c, int err, char *text) {
    if (c == &background || !mark(c, err, NULL, text)) return false;
    cygrt_ctx_keep(c);
    unlink_child(c);
    c->ended_next = NULL;
    for (struct cyg_ctx *todo = c; (c = todo);) {
        todo = c->ended_next;
        cygrt_ctx_wake(&c->core);
        todo = end_children(c, err, todo);
        cyg_spin_lock(&c->core.lock);
        struct cyg_ctx_after *afters = cygrt_ctx_take_afters(c);
        cyg_spin_unlock(&c->core.lock);
        cygrt_ctx_start_afters(afters);
        stop_timer(c);
        cygrt_ctx_drop(c);
    }
    return true;
}

void cyg_ctx_cancel(cyg_ctx *c, int cause) { cancel(c, cause < 0 ? cause : CYG_ECANCELED, NULL); }

void cyg_ctx_cancel_because(cyg_ctx *c, int cause, const char *fmt, ...) {
    char *text = cyg_xmalloc(TEXT_MAX);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, TEXT_MAX, fmt, ap);
    va_end(ap);
    if (!cancel(c, cause < 0 ? cause : CYG_ECANCELED, text)) free(text);
}

/* Its name is what reports of pending timers show. */
static void context_deadline(void *arg) {
    struct cyg_ctx *c = arg;
    cancel(c, CYG_ETIMEDOUT, NULL);
    cygrt_ctx_drop(c);
}

/* The last user has gone: nobody can cancel it any more, so it ends now. That may be the last user of its parent. */
static void unreferenced(struct cygrt_ctx_core *core) {
    struct cyg_ctx *c = (struct cyg_ctx *)core;
    for (;;) {
        struct cyg_ctx *parent = c->attached ? c->parent : NULL;
        cancel(c, CYG_ECANCELED, NULL);
        bool last = parent && atomic_fetch_sub_explicit(&parent->core.refs, 1, memory_order_acq_rel) == 1;
        cygrt_ctx_drop(c); /* after that parent may be gone, unless its users' share of the memory is ours */
        if (!last) return;
        c = parent;
    }
}

int cyg_ctx_err(const cyg_ctx *c) { return atomic_load(&c->core.err); }
cyg_time cyg_ctx_deadline(const cyg_ctx *c) { return c->deadline; }

const char *cyg_ctx_cause(const cyg_ctx *c) {
    int err = atomic_load(&c->core.err);
    return err == 0 ? "" : c->cause ? c->cause : cyg_strerror(err);
}

/* ---- making ------------------------------------------------------------------------------------------------------------- */

static struct cyg_ctx *new_ctx(struct cyg_ctx *parent) {
    struct cyg_ctx *c = cyg_xcalloc(1, sizeof *c);
    atomic_store_explicit(&c->core.refs, 1, memory_order_relaxed);
    atomic_store_explicit(&c->memory, 1, memory_order_relaxed);
    c->core.unreferenced = unreferenced;
    if (parent == &background) return c;
    c->parent = parent;
    cygrt_ctx_keep(parent);
    return c;
}

/* Puts c into its parent's list; if that has ended, c is born ended: no link, no timer. */
static bool attach(struct cyg_ctx *c) {
    struct cyg_ctx *p = c->parent;
    if (!p) return true;
    c->attached = true;
    atomic_fetch_add_explicit(&p->core.refs, 1, memory_order_relaxed);
    cyg_spin_lock(&p->core.lock);
    int err = atomic_load_explicit(&p->core.err, memory_order_relaxed);
    if (err) {
        c->cause = p->cause;
        atomic_store(&c->core.err, err);
    } else {
        c->sibling = p->children;
        if (c->sibling) c->sibling->sibling_prev = c;
        p->children = c;
        c->linked = true;
    }
    cyg_spin_unlock(&p->core.lock);
    return err == 0;
}

static void arm(struct cyg_ctx *c) {
    cyg_time now = cyg_now();
    if (c->deadline <= now) {
        cancel(c, CYG_ETIMEDOUT, NULL);
        return;
    }
    cygrt_ctx_keep(c);
    cyg_timer *t;
    int err = cyg_after_func(c->deadline - now, context_deadline, c, &t);
    if (err) cyg_fatal("cannot arm a context's deadline: %s", cyg_strerror(err));
    cyg_spin_lock(&c->core.lock);
    c->timer = t;
    bool ended = atomic_load(&c->core.err) != 0;
    cyg_spin_unlock(&c->core.lock);
    if (ended) stop_timer(c); /* its parent ended meanwhile */
}

cyg_ctx *cyg_ctx_with_deadline(cyg_ctx *parent, cyg_time deadline) {
    if (!parent) parent = cyg_ctx_current();
    struct cyg_ctx *c = new_ctx(parent);
    bool own = deadline && (!parent->deadline || deadline < parent->deadline);
    c->deadline = own ? deadline : parent->deadline;
    if (attach(c) && own) arm(c);
    return c;
}

cyg_ctx *cyg_ctx_with_cancel(cyg_ctx *parent) { return cyg_ctx_with_deadline(parent, 0); }
cyg_ctx *cyg_ctx_with_timeout(cyg_ctx *parent, cyg_duration d) {
    return cyg_ctx_with_deadline(parent, cygrt_from_now(d));
}

cyg_ctx *cyg_ctx_detached(cyg_ctx *parent) { return new_ctx(parent ? parent : cyg_ctx_current()); }

/* ---- values --------------------------------------------------------------------------------------------------------------- */

cyg_ctx *cyg_ctx_with_owned_value(cyg_ctx *parent, const void *key, void *value, void (*destroy)(void *)) {
    if (!parent) parent = cyg_ctx_current();
    struct cyg_ctx *c = new_ctx(parent);
    c->deadline = parent->deadline;
    c->key = key;
    c->value = value;
    c->destroy_value = destroy;
    (void)attach(c);
    return c;
}

cyg_ctx *cyg_ctx_with_value(cyg_ctx *parent, const void *key, void *value) {
    return cyg_ctx_with_owned_value(parent, key, value, NULL);
}

void *cyg_ctx_value(const cyg_ctx *c, const void *key) {
    for (c = c ? c : cyg_ctx_current(); c && key; c = c->parent)
        if (c->key == key) return c->value;
    return NULL;
}

/* ---- references and scopes ---------------------------------------------------------------------------------------------- */

cyg_ctx *cyg_ctx_acquire(cyg_ctx *c) {
    if (c != &background) atomic_fetch_add_explicit(&c->core.refs, 1, memory_order_relaxed);
    return c;
}

void cyg_ctx_release(cyg_ctx *c) {
    if (c != &background) cygrt_ctx_unref(&c->core);
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
