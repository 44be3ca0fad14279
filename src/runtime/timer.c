/* timer.c: one 4-ary heap per P (timer_heap.h), the tracked timers in it, and firing. A tracked timer's `heap` is set and cleared
 * under that P's tlock; fire runs under it, so that stop means "not running any more". */
#include "runtime/timer_heap.h"
#include "base/fatal.h"
#include "base/spin.h"

#include <stdlib.h>

void heap_grow(struct p *p) {
    uint32_t cap = p->cap_timers ? p->cap_timers * 2 : 64;
    struct cygrt_heap_entry *bigger = realloc(p->timers, cap * sizeof *bigger);
    if (!bigger) cyg_fatal("out of memory for %u timers", cap);
    p->timers = bigger;
    p->cap_timers = cap;
}

/* Locks the heap that t is in; NULL: in none. */
static struct p *lock_heap_of(struct cygrt_timer *t) {
    for (;;) {
        struct p *p = atomic_load_explicit(&t->heap, memory_order_acquire);
        if (!p) return NULL;
        cyg_spin_lock(&p->tlock);
        if (atomic_load_explicit(&t->heap, memory_order_relaxed) == p) return p;
        cyg_spin_unlock(&p->tlock);
    }
}

static void insert(struct p *p, struct cygrt_timer *t, cyg_time when) {
    t->when = when;
    heap_push(p, (struct cygrt_heap_entry){when, (uintptr_t)t | HEAP_TRACKED});
    heap_pending(p, 1);
}

static void move(struct p *p, struct cygrt_timer *t, cyg_time when) {
    t->when = p->timers[t->pos].when = when;
    heap_down(p, t->pos);
    heap_up(p, t->pos);
}

void cygrt_timer_arm(struct cygrt_timer *t, cyg_time when) {
    if (when <= 0) when = 1;
    struct p *p = lock_heap_of(t);
    if (p) move(p, t, when);
    for (struct p *none = NULL; !p; none = NULL) {
        struct p *mine = heap_near();
        cyg_spin_lock(&mine->tlock);
        if (atomic_compare_exchange_strong(&t->heap, &none, mine)) {
            insert(p = mine, t, when);
        } else { /* somebody else has armed it meanwhile, perhaps on another P: move it there */
            cyg_spin_unlock(&mine->tlock);
            p = lock_heap_of(t);
            if (p) move(p, t, when);
        }
    }
    bool first = heap_set_min(p);
    cyg_spin_unlock(&p->tlock);
    if (first) heap_tell_sleeper(p, when);
}

bool cygrt_timer_stop(struct cygrt_timer *t) {
    struct p *p = lock_heap_of(t);
    if (!p) return false;
    heap_remove(p, t->pos);
    heap_pending(p, -1);
    atomic_store_explicit(&t->heap, NULL, memory_order_release);
    (void)heap_set_min(p);
    cyg_spin_unlock(&p->tlock);
    return true;
}

static void fire(struct p *p, struct cygrt_timer *t, cyg_time now) {
    cyg_time again = t->fire(t, now);
    if (again) {
        t->when = p->timers[0].when = again;
        heap_down(p, 0);
    } else {
        heap_remove(p, 0);
        heap_pending(p, -1);
        atomic_store_explicit(&t->heap, NULL, memory_order_release);
    }
}

void cygrt_timers_run(struct p *p, cyg_time now) {
    for (;;) {
        cyg_spin_lock(&p->tlock);
        if (p->ntimers == 0 || p->timers[0].when > now) {
            cyg_spin_unlock(&p->tlock);
            return;
        }
        struct cygrt_timer *t = heap_tracked(p->timers[0].ref);
        if (t)
            fire(p, t, now);
        else
            after_due(p, now);
        (void)heap_set_min(p);
        cyg_spin_unlock(&p->tlock);
    }
}
