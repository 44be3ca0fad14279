/* group.c: a context, a count of goroutines, a semaphore for the limit, and the first error. The last that a goroutine of the group
 * does with it is the count, so that the group may be freed when cyg_group_wait has seen zero. */
#include <cygnet/group.h>
#include <cygnet/sync.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "runtime/misuse.h"
#include "sync/context.h"
#include "sync/waiter.h"

#define MAGIC 0x63796772u

struct cyg_group {
    uint32_t magic;
    bool limited, keep_going; /* fixed */
    _Atomic int err;          /* the first */
    const char *name;
    cyg_ctx *ctx;
    cyg_waitgroup running;
    cyg_semaphore slots; /* if limited */
};

/* What a goroutine of the group starts with; copied into it. */
struct member {
    cyg_group *group;
    int (*fn)(void *);
    void *arg;
};

static void check(const cyg_group *g) {
    if (!g || __atomic_load_n(&g->magic, __ATOMIC_RELAXED) != MAGIC)
        cyg_fatal("no group at %p (waited for already?)", (const void *)g);
}

cyg_group *cyg_group_new(cyg_ctx *parent, const cyg_group_opts *opts) {
    cyg_group_opts o = opts ? *opts : (cyg_group_opts){0};
    cyg_group *g = cyg_xcalloc(1, sizeof *g);
    g->magic = MAGIC;
    g->limited = o.limit != 0;
    g->keep_going = o.keep_going;
    g->name = o.name;
    g->ctx = cyg_ctx_with_cancel(parent);
    cyg_semaphore_init(&g->slots, o.limit);
    return g;
}

cyg_ctx *cyg_group_ctx(cyg_group *g) {
    check(g);
    return g->ctx;
}

static int failed(cyg_group *g, int err) {
    int none = 0;
    if (atomic_compare_exchange_strong(&g->err, &none, err) && !g->keep_going) cyg_ctx_cancel(g->ctx, err);
    return err;
}

static void member_main(void *arg) {
    struct member m = *(struct member *)arg;
    cyg_group *g = m.group;
    cyg_ctx_scope scope = cyg_ctx_enter(g->ctx);
    int err = m.fn(m.arg);
    cyg_ctx_leave(&scope);
    if (err < 0) failed(g, err);
    if (g->limited) cyg_semaphore_release(&g->slots, 1);
    cyg_waitgroup_done(&g->running);
}

/* A slot has been taken, if there is a limit. */
static int start(cyg_group *g, int (*fn)(void *), void *arg, const char *file, int line) {
    struct member m = {g, fn, arg};
    cyg_waitgroup_add(&g->running, 1);
    int err = cygrt_go_copy(&(cyg_go_opts){.name = g->name, .file = file, .line = line}, member_main, &m, sizeof m);
    if (err == 0) return 0;
    failed(g, err);
    if (g->limited) cyg_semaphore_release(&g->slots, 1);
    cyg_waitgroup_done(&g->running);
    return err;
}

static bool is_below(const struct cyg_ctx *c, const struct cyg_ctx *ancestor) {
    while (c && c != ancestor) c = c->attached ? c->parent : NULL;
    return c || ancestor == &cygrt_background;
}

struct link {
    cyg_ctx *from, *to;
};
static void pass_on(void *arg) {
    struct link *l = arg;
    cyg_ctx_cancel(l->to, cyg_ctx_err(l->from));
    cyg_ctx_release(l->to);
    cyg_ctx_release(l->from);
    free(l);
}

/* A context that ends with the caller's and with the group's: usually one of them does. */
static cyg_ctx *both(cyg_group *g) {
    cyg_ctx *mine = cyg_ctx_current();
    if (is_below(mine, g->ctx)) return cyg_ctx_acquire(mine);
    if (is_below(g->ctx, mine)) return cyg_ctx_acquire(g->ctx);
    return NULL;
}

static int wait_for_slot(cyg_group *g) {
    cyg_ctx *ctx = both(g);
    struct link *l = NULL;
    cyg_ctx_after *after = NULL;
    if (!ctx) { /* a goroutine of another family: for this wait, a child of its own that the group's end takes along */
        ctx = cyg_ctx_with_cancel(NULL);
        l = cyg_xmalloc(sizeof *l);
        *l = (struct link){cyg_ctx_acquire(g->ctx), cyg_ctx_acquire(ctx)};
        int err = cyg_ctx_after_func(g->ctx, pass_on, l, &after);
        if (err) cyg_fatal("cannot watch a group's context: %s", cyg_strerror(err));
    }
    cyg_ctx_scope scope = cyg_ctx_enter(ctx);
    int err = cyg_semaphore_acquire(&g->slots, 1);
    cyg_ctx_leave(&scope);
    if (after && cyg_ctx_after_stop(after)) {
        cyg_ctx_release(l->to);
        cyg_ctx_release(l->from);
        free(l);
    }
    cyg_ctx_after_release(after);
    cyg_ctx_release(ctx);
    return err;
}

int cyg_group_go_at(cyg_group *g, int (*fn)(void *), void *arg, const char *file, int line) {
    check(g);
    int err = cyg_ctx_err(g->ctx);
    if (err) return failed(g, err);
    if (g->limited && !cyg_semaphore_tryacquire(&g->slots, 1)) {
        if ((err = wait_for_slot(g))) return failed(g, err);
        if ((err = cyg_ctx_err(g->ctx))) {
            cyg_semaphore_release(&g->slots, 1);
            return failed(g, err);
        }
    }
    return start(g, fn, arg, file, line);
}

int cyg_group_try_go_at(cyg_group *g, int (*fn)(void *), void *arg, const char *file, int line) {
    check(g);
    int err = cyg_ctx_err(g->ctx);
    if (err) return failed(g, err);
    if (g->limited && !cyg_semaphore_tryacquire(&g->slots, 1))
        return cygrt_fail(CYG_ELIMIT, "the group runs %llu goroutines, its limit", (unsigned long long)g->slots.size);
    return start(g, fn, arg, file, line);
}

int cyg_group_wait(cyg_group *g) {
    check(g);
    struct g *self = cyg_need_goroutine("cyg_group_wait");
    if (self->ctx == &g->ctx->core) cyg_fatal("cyg_group_wait by a goroutine of the group");
    int err = cyg_waitgroup_wait(&g->running);
    if (err) { /* the caller's context has ended: they are still waited for, without it */
        cyg_ctx_cancel(g->ctx, err);
        cyg_ctx_scope scope = cyg_ctx_enter(cyg_ctx_background());
        (void)cyg_waitgroup_wait(&g->running);
        cyg_ctx_leave(&scope);
    }
    err = atomic_load(&g->err);
    cyg_ctx_cancel(g->ctx, 0);
    cyg_ctx_release(g->ctx);
    __atomic_store_n(&g->magic, 0, __ATOMIC_RELAXED);
    free(g);
    return err;
}
