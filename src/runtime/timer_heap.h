/* timer_heap.h: the 4-ary heap of a P's timers, as far as timer.c and after.c share it; all of it under the P's tlock.
 *
 * An entry is {when, ref}. A *tracked* timer (ref: struct cygrt_timer, tagged) notes where in the heap it stands, so that it can be
 * taken out at once: its memory may go as soon as cygrt_timer_stop returned. Each step of a sift then writes to the timer it
 * moves, a cache miss when there are many. A *lazy* one (ref: cyg_timer, after.c) is never touched by a sift; its entry stays when
 * it is stopped and is dropped when it comes to the top, or by a sweep. */
#ifndef CYG_RUNTIME_TIMER_HEAP_H
#define CYG_RUNTIME_TIMER_HEAP_H

#include "runtime/sched.h"

#define HEAP_TRACKED ((uintptr_t)1)

static inline struct cygrt_timer *heap_tracked(uintptr_t ref) {
    return ref & HEAP_TRACKED ? (struct cygrt_timer *)(ref & ~HEAP_TRACKED) : NULL;
}

static inline void heap_place(struct p *p, uint32_t i, struct cygrt_heap_entry e) {
    p->timers[i] = e;
    struct cygrt_timer *t = heap_tracked(e.ref);
    if (t) t->pos = i;
}

/* Returns where the entry at i ends up. */
static inline uint32_t heap_up(struct p *p, uint32_t i) {
    struct cygrt_heap_entry e = p->timers[i];
    while (i > 0) {
        uint32_t up = (i - 1) / 4;
        if (p->timers[up].when <= e.when) break;
        heap_place(p, i, p->timers[up]);
        i = up;
    }
    heap_place(p, i, e);
    return i;
}

static inline void heap_down(struct p *p, uint32_t i) {
    struct cygrt_heap_entry e = p->timers[i];
    for (;;) {
        uint32_t kid = i * 4 + 1, best = kid;
        if (kid >= p->ntimers) break;
        for (uint32_t k = kid + 1; k < kid + 4 && k < p->ntimers; k++)
            if (p->timers[k].when < p->timers[best].when) best = k;
        if (p->timers[best].when >= e.when) break;
        heap_place(p, i, p->timers[best]);
        i = best;
    }
    heap_place(p, i, e);
}

/* Others read the counts without the lock. */
static inline void heap_set_len(struct p *p, uint32_t n) { __atomic_store_n(&p->ntimers, n, __ATOMIC_RELAXED); }
static inline void heap_pending(struct p *p, int64_t n) {
    __atomic_store_n(&p->pending, p->pending + n, __ATOMIC_RELAXED);
}

/* seq_cst: a P that goes to sleep stores how long, then looks here once more. Returns whether the earliest time has changed. */
static inline bool heap_set_min(struct p *p) {
    cyg_time min = p->ntimers ? p->timers[0].when : INT64_MAX;
    if (atomic_load_explicit(&p->timer_min, memory_order_relaxed) == min) return false;
    atomic_store(&p->timer_min, min);
    return true;
}

void heap_grow(struct p *p);

/* Does not set timer_min. */
static inline void heap_push(struct p *p, struct cygrt_heap_entry e) {
    if (CYG_UNLIKELY(p->ntimers == p->cap_timers)) heap_grow(p);
    p->timers[p->ntimers] = e;
    heap_set_len(p, p->ntimers + 1);
    heap_up(p, p->ntimers - 1);
}

static inline void heap_remove(struct p *p, uint32_t i) {
    heap_set_len(p, p->ntimers - 1);
    if (i == p->ntimers) return;
    p->timers[i] = p->timers[p->ntimers];
    heap_down(p, i);
    heap_up(p, i); /* what stands there now; a no-op unless the entry has stayed */
}

/* A P that sleeps must hear of a timer earlier than the one it sleeps for. */
static inline void heap_tell_sleeper(struct p *p, cyg_time when) {
    if (atomic_load(&p->sleep) == P_ASLEEP && when < atomic_load(&p->sleep_until)) cygrt_wake_p(p);
}

/* Whose heap takes a timer that is armed here. Only its lock is needed, so it may cease to be ours meanwhile. */
static inline struct p *heap_near(void) {
    struct m *m = cygrt_m();
    struct p *p = m ? atomic_load_explicit(&m->p, memory_order_relaxed) : NULL;
    return p ? p : &cygrt_sched.ps[0];
}

/* ---- lazy timers (after.c) ---- */

void after_due(struct p *p, cyg_time now); /* the earliest entry is a lazy timer's and due: fires, moves or drops it */

#endif
