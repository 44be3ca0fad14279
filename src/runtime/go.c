/* go.c: starting goroutines, their first function and their end. */
#include "base/fatal.h"
#include "base/spin.h"
#include "runtime/stack_census.h"
#include "runtime/fiber.h"
#include "runtime/local.h"
#include "runtime/sched.h"

#include <stdlib.h>
#include <string.h>

#define CACHE 512 /* free Gs kept by a P; half of them move to the global list when there are more */
#define GOIDS 64  /* goroutine numbers taken at once */

static CYG_COLD void take_goids(struct p *p) {
    p->next_goid = 1 + atomic_fetch_add_explicit(&cygrt_sched.goid_block, GOIDS, memory_order_relaxed);
    p->end_goid = p->next_goid + GOIDS;
}

static CYG_COLD uint64_t goid_without_p(void) {
    return 1 + atomic_fetch_add_explicit(&cygrt_sched.goid_block, 1, memory_order_relaxed);
}

static inline uint64_t next_goid(struct p *p) {
    if (CYG_UNLIKELY(p->next_goid == p->end_goid)) take_goids(p);
    return p->next_goid++;
}

/* Of p's free ones, which have default stacks; NULL: none. */
static inline struct g *get_free(struct p *p) {
    struct g *g = p->gfree;
    if (CYG_UNLIKELY(!g)) return NULL;
    p->gfree = (struct g *)g->task.next;
    p->ngfree--;
    p->ndirty -= g->used;
    return g;
}

/* A G with a stack of that size (0: the default); p may be NULL. */
static struct g *get(struct p *p, size_t stack_size, int *err) {
    struct cygrt_sched *s = &cygrt_sched;
    unsigned cls = stack_size ? cygrt_size_class(stack_size) : s->stack_class;
    struct g *g = p && cls == s->stack_class ? get_free(p) : NULL;
    return CYG_LIKELY(g != NULL) ? g : cygrt_stack_new(cls, err);
}

static CYG_COLD void free_half(struct p *p) {
    while (p->ngfree > CACHE / 2) cygrt_stack_free(get_free(p));
}

static inline void put(struct p *p, struct g *g) {
    atomic_store_explicit(&g->status, G_FREE, memory_order_relaxed);
    if (CYG_UNLIKELY(!p) || CYG_UNLIKELY(g->size_class != cygrt_sched.stack_class)) {
        cygrt_stack_free(g);
        return;
    }
    g->task.next = (struct cygrt_task *)p->gfree;
    p->gfree = g;
    p->ndirty += g->used;
    if (CYG_UNLIKELY(++p->ngfree > CACHE)) free_half(p);
}

void cygrt_g_put(struct p *p, struct g *g) {
    g->used = true;
    put(p, g);
}

static void from_record(struct p *p, struct g *g, struct cygrt_task *t) {
    struct cygrt_record r = cygrt_record_of(t);
    g->fn = NULL;
    g->file = NULL;
    atomic_store_explicit(&g->name, NULL, memory_order_relaxed);
    g->parent = 0;
    g->id = next_goid(p);
    g->arg = r.arg;
    g->ready_fn = r.fn;
    g->why = r.why;
    g->line = 0;
    g->pin_wanted = false;
    CYGRT_COUNT(p->n_started);
}

/* Makes g, whose goroutine has ended, the one that was to begin in x. */
static void from_new(struct p *p, struct g *g, struct g *x) {
    g->fn = x->fn;
    g->arg = x->arg;
    g->line = x->line;
    g->file = x->file;
    atomic_store_explicit(&g->name, x->name, memory_order_relaxed);
    g->pin_wanted = false;
    g->parent = x->parent;
    g->id = x->id;
    g->waits_left = x->waits_left;
    if (x->ctx) cygrt_ctx_pass(x, g);
    put(p, x);
}

struct g *cygrt_g_begin(struct p *p, struct cygrt_task *t) {
    struct g *g = (struct g *)t;
    int err;
    if (t->kind != CYGRT_TASK_NEW) {
        if (CYG_UNLIKELY(!(g = get_free(p))) && !(g = cygrt_stack_new(cygrt_sched.stack_class, &err))) return NULL;
        from_record(p, g, t);
    }
    g->task.kind = CYGRT_TASK_G;
    fiber_created(g);
    cygrt_stack_reset(g);
    return g;
}

static CYG_COLD void drop_detail(struct g *g) {
    free(g->detail);
    g->detail = NULL;
}

static CYG_COLD void count_end_without_p(void) {
    atomic_fetch_add_explicit(&cygrt_sched.n_ended, 1, memory_order_relaxed);
}

static inline void end(struct p *p, struct g *g) {
    if (g->ctx) cygrt_ctx_leave(g);
    if (CYG_UNLIKELY(g->detail != NULL)) drop_detail(g);
    if (CYG_LIKELY(p != NULL))
        CYGRT_COUNT(p->n_ended);
    else
        count_end_without_p();
}

/* Not inline: what it needs of a frame, every goroutine would keep below its own. */
static __attribute__((noinline)) void take_over(struct p *p, struct g *g, struct cygrt_task *t) {
    if (t->kind == CYGRT_TASK_NEW)
        from_new(p, g, (struct g *)t);
    else
        from_record(p, g, t);
    CYGRT_COUNT(p->n_switch);
}

/* Runs g, then on the same stack whatever else is next and has not begun: a connection that wakes up costs no switch, and those of
 * many goroutines that end soon find a stack that is in the cache. */
void cygrt_goroutine_main(struct m *m) {
    struct g *g = m->curg;
    fiber_after(m, g);
    cygrt_finish_prev(m);
    for (struct cygrt_task *t;;) {
        cygrt_exit(m);
        if (CYG_UNLIKELY(g->pin_wanted)) cygrt_pin(cygrt_m(), g);
        if (g->fn)
            g->fn(g->arg);
        else
            g->ready_fn(g->arg, g->why);
        if (CYG_UNLIKELY(g->locals != NULL)) cygrt_locals_end(g);
        cygrt_stack_census_note(g);
        m = cygrt_m();
        struct p *p = cygrt_enter(m);
        end(p, g);
        t = CYG_LIKELY(p != NULL) ? cygrt_next_local(p) : NULL;
        if (!t || g->pins || !cygrt_begins(t) || g->size_class != cygrt_sched.stack_class) {
            g->after = AFTER_EXIT;
            cygrt_leave_to(m, g, t);
            break;
        }
        take_over(p, g, t);
    }
    cyg_fatal("a goroutine that had ended was resumed");
}

static bool at_limit(void) {
    struct cygrt_sched *s = &cygrt_sched;
    if (!s->opts.max_goroutines) return false;
    cyg_runtime_stats st;
    cyg_stats(&st);
    return st.goroutines >= s->opts.max_goroutines;
}

static int start(const cyg_go_opts *o, void (*fn)(void *), void *arg, const void *copy, size_t n) {
    struct cygrt_sched *s = &cygrt_sched;
    if (atomic_load_explicit(&s->state, memory_order_acquire) != S_RUNNING) return CYG_ESTATE;
    if (n > CYGRT_COPY_MAX)
        return cygrt_fail(CYG_EINVAL, "cyg_go_copy takes at most %d bytes, not %zu", CYGRT_COPY_MAX, n);
    if (at_limit()) return cygrt_fail(CYG_ELIMIT, "max_goroutines (%zu) reached", s->opts.max_goroutines);
    struct cygrt_visit v = cygrt_visit_begin();
    struct p *p = v.p;
    struct g *me = v.m ? v.m->curg : NULL;
    int err = CYG_ENOMEM;
    struct g *g = get(p, o->stack_size, &err);
    if (!g) {
        cygrt_visit_end(v);
        return err;
    }
    /* What has memory of its own to begin with stays where that is. */
    bool any_stack = !copy && !o->pinned && g->size_class == s->stack_class && !(me && me->locals);
    g->task.kind = any_stack ? CYGRT_TASK_NEW : CYGRT_TASK_G;
    g->fn = fn;
    g->arg = arg;
    if (copy) {
        g->arg = (char *)g + sizeof *g; /* the area behind the struct, kept for this */
        memcpy(g->arg, copy, n);
    }
    g->file = o->file;
    g->line = o->line;
    atomic_store_explicit(&g->name, o->name, memory_order_relaxed);
    g->pin_wanted = o->pinned;
    g->parent = me ? me->id : 0;
    g->id = CYG_LIKELY(p != NULL) ? next_goid(p) : goid_without_p();
    g->waits_left = (uint8_t)g->id; /* who does not live for long is not always left out */
    if (any_stack) {
        __atomic_store_n(&g->sp, NULL, __ATOMIC_RELAXED);
    } else {
        fiber_created(g);
        cygrt_stack_reset(g);
    }
    if (me && me->ctx) cygrt_ctx_join(g, me->ctx);
    if (CYG_UNLIKELY(me && me->locals != NULL)) { /* the keys' functions are user code */
        cygrt_visit_end(v);
        cygrt_locals_inherit(g, me);
        v = cygrt_visit_begin();
        p = v.p;
    }
    atomic_store_explicit(&g->status, G_RUNNABLE, memory_order_relaxed);
    if (p)
        CYGRT_COUNT(p->n_started);
    else
        atomic_fetch_add_explicit(&s->n_started, 1, memory_order_relaxed);
    cygrt_enqueue_on(p, &g->task, true);
    if (p) cygrt_wake_for_start(p);
    cygrt_visit_end(v);
    return 0;
}

int cyg_go_at(void (*fn)(void *), void *arg, const char *file, int line) {
    return start(&(cyg_go_opts){.file = file, .line = line}, fn, arg, NULL, 0);
}

int cyg_go_copy_at(void (*fn)(void *), const void *p, size_t n, const char *file, int line) {
    return start(&(cyg_go_opts){.file = file, .line = line}, fn, NULL, p, n);
}

int cygrt_go_copy(const cyg_go_opts *opts, void (*fn)(void *), const void *p, size_t n) {
    return start(opts, fn, NULL, p, n);
}

int cyg_go_with_at(const cyg_go_opts *opts, void (*fn)(void *), void *arg, const char *file, int line) {
    cyg_go_opts o = opts ? *opts : (cyg_go_opts){0};
    if (o.stack_size > CYGRT_STACK_MAX)
        return cygrt_fail(CYG_EINVAL, "stack_size is %zu bytes, at most %u are possible", o.stack_size, CYGRT_STACK_MAX);
    if (!o.file) {
        o.file = file;
        o.line = line;
    }
    return start(&o, fn, arg, NULL, 0);
}
