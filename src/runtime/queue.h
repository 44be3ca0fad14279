/* queue.h: the owner's side of a P's run queue, inline: it is on the path of every switch. See queue.c. */
#ifndef CYG_RUNTIME_QUEUE_H
#define CYG_RUNTIME_QUEUE_H

#include "runtime/sched.h"

#define CYGRT_QUEUE_MASK (CYGRT_QUEUE - 1)

/* One P has no thieves: what others might take needs no locked instruction. sysmon only looks. */
static inline bool cygrt_alone(void) { return cygrt_sched.nprocs == 1; }

static inline unsigned cygrt_queue_len(struct p *p) {
    uint32_t h = atomic_load_explicit(&p->head, memory_order_acquire);
    uint32_t t = atomic_load_explicit(&p->tail, memory_order_acquire);
    return t - h > CYGRT_QUEUE ? 0 : t - h; /* read apart: a head that moved on in between counts as empty */
}

/* Tail. False: the ring is full. */
static inline bool cygrt_queue_put_if_room(struct p *p, struct cygrt_task *t) {
    uint32_t h = atomic_load_explicit(&p->head, memory_order_acquire);
    uint32_t tail = atomic_load_explicit(&p->tail, memory_order_relaxed);
    if (CYG_UNLIKELY(tail - h >= CYGRT_QUEUE)) return false;
    atomic_store_explicit(&p->ring[tail & CYGRT_QUEUE_MASK], t, memory_order_relaxed);
    atomic_store_explicit(&p->tail, tail + 1, memory_order_release);
    return true;
}

/* Moves half of a full ring, and t, to the global queue. */
CYG_COLD void cygrt_queue_spill(struct p *p, struct cygrt_task *t);

/* Tail; spills half when full. */
static inline void cygrt_queue_put(struct p *p, struct cygrt_task *t) {
    if (CYG_UNLIKELY(!cygrt_queue_put_if_room(p, t))) cygrt_queue_spill(p, t);
}

/* Puts t (or NULL) into the next slot; returns what was there. */
static inline struct cygrt_task *cygrt_next_slot_swap(struct p *p, struct cygrt_task *t) {
    if (!cygrt_alone()) return atomic_exchange_explicit(&p->next_slot, t, memory_order_acq_rel);
    struct cygrt_task *old = atomic_load_explicit(&p->next_slot, memory_order_relaxed);
    atomic_store_explicit(&p->next_slot, t, memory_order_relaxed);
    return old;
}

/* Next slot; its old occupant goes to the tail. */
static inline void cygrt_queue_put_next(struct p *p, struct cygrt_task *t) {
    struct cygrt_task *old = cygrt_next_slot_swap(p, t);
    if (old) cygrt_queue_put(p, old);
}

static inline struct cygrt_task *cygrt_queue_get_next(struct p *p) {
    if (!atomic_load_explicit(&p->next_slot, memory_order_relaxed)) return NULL;
    return cygrt_next_slot_swap(p, NULL);
}

/* Moves head on from *h. False, with *h anew: a thief was first. */
static inline bool cygrt_queue_advance(struct p *p, uint32_t *h) {
    if (!cygrt_alone())
        return atomic_compare_exchange_weak_explicit(&p->head, h, *h + 1, memory_order_acq_rel, memory_order_acquire);
    atomic_store_explicit(&p->head, *h + 1, memory_order_release);
    return true;
}

/* Head. */
static inline struct cygrt_task *cygrt_queue_get(struct p *p) {
    uint32_t h = atomic_load_explicit(&p->head, memory_order_acquire);
    struct cygrt_task *t;
    do {
        if (h == atomic_load_explicit(&p->tail, memory_order_relaxed)) return NULL;
        t = atomic_load_explicit(&p->ring[h & CYGRT_QUEUE_MASK], memory_order_relaxed);
    } while (CYG_UNLIKELY(!cygrt_queue_advance(p, &h)));
    return t;
}

#endif
