/* queue.h: the owner's side of a P's run queue, inline: it is on the path of every switch. See queue.c. */
#ifndef CYG_RUNTIME_QUEUE_H
#define CYG_RUNTIME_QUEUE_H

#include "runtime/sched.h"

#define CYGRT_QUEUE_MASK (CYGRT_QUEUE - 1)

/* One P has no thieves: what others might take needs no locked instruction. sysmon only looks. */
static inline bool cygrt_alone(void) { return cygrt_sched.nprocs == 1; }

/* Moves half of a full ring, and t, to the global queue. False if thieves made room meanwhile. */
bool cygrt_queue_spill(struct p *p, struct cygrt_task *t, uint32_t head);

static inline unsigned cygrt_queue_len(struct p *p) {
    uint32_t h = atomic_load_explicit(&p->head, memory_order_acquire);
    uint32_t t = atomic_load_explicit(&p->tail, memory_order_acquire);
    return t - h > CYGRT_QUEUE ? 0 : t - h; /* read apart: a head that moved on in between counts as empty */
}

/* Tail; spills half when full. */
static inline void cygrt_queue_put(struct p *p, struct cygrt_task *t) {
    for (;;) {
        uint32_t h = atomic_load_explicit(&p->head, memory_order_acquire);
        uint32_t tail = atomic_load_explicit(&p->tail, memory_order_relaxed);
        if (tail - h < CYGRT_QUEUE) {
            atomic_store_explicit(&p->ring[tail & CYGRT_QUEUE_MASK], t, memory_order_relaxed);
            atomic_store_explicit(&p->tail, tail + 1, memory_order_release);
            return;
        }
        if (cygrt_queue_spill(p, t, h)) return;
    }
}

/* Next slot; its old occupant goes to the tail. */
static inline void cygrt_queue_put_next(struct p *p, struct cygrt_task *t) {
    struct cygrt_task *old = cygrt_alone() ? atomic_load_explicit(&p->next_slot, memory_order_relaxed)
                                           : atomic_exchange_explicit(&p->next_slot, t, memory_order_acq_rel);
    if (cygrt_alone()) atomic_store_explicit(&p->next_slot, t, memory_order_relaxed);
    if (old) cygrt_queue_put(p, old);
}

static inline struct cygrt_task *cygrt_queue_get_next(struct p *p) {
    if (!atomic_load_explicit(&p->next_slot, memory_order_relaxed)) return NULL;
    if (!cygrt_alone()) return atomic_exchange_explicit(&p->next_slot, NULL, memory_order_acq_rel);
    struct cygrt_task *t = atomic_load_explicit(&p->next_slot, memory_order_relaxed);
    atomic_store_explicit(&p->next_slot, NULL, memory_order_relaxed);
    return t;
}

/* Head. */
static inline struct cygrt_task *cygrt_queue_get(struct p *p) {
    uint32_t h = atomic_load_explicit(&p->head, memory_order_acquire);
    for (;;) {
        if (h == atomic_load_explicit(&p->tail, memory_order_relaxed)) return NULL;
        struct cygrt_task *t = atomic_load_explicit(&p->ring[h & CYGRT_QUEUE_MASK], memory_order_relaxed);
        if (cygrt_alone()) {
            atomic_store_explicit(&p->head, h + 1, memory_order_release);
            return t;
        }
        if (atomic_compare_exchange_weak_explicit(&p->head, &h, h + 1, memory_order_acq_rel, memory_order_acquire))
            return t;
    }
}

#endif
