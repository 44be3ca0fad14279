/* cohort.h: goroutines that one look at the network has woken do the same step one after the other.
 *
 * A server's goroutine reads a request, works on it, and writes an answer: three pieces of code, the kernel's and ours, which
 * together are more than a first-level cache holds. Run one goroutine after the other, and each piece is fetched anew for each of
 * them. So who has read lets the others read first, and who is about to write lets the others come to their write: each piece is
 * passed by all of them while it is there. (The idea is Larus's and Parkes's: cohort scheduling, 2002. What it gives stands in
 * docs/internals/performance.md.)
 *
 * A cohort is what stands in a P's ring when all of it came there from one poll or a later one, or has had its turn. As soon as
 * anybody else stands there or in the next slot (a goroutine that was woken by another, a new one, one that yields) there is no
 * cohort, and nobody gives his turn away: who computes for long is waited for once, as ever. Nothing that the poller wakes begins
 * later because of this; only what follows its first step is put off. Thieves take members away, and in their rings there is none.
 *
 * cygrt_take_turn is for after a step that is short by nature: a read. cygrt_take_turn_if_short is for after one that may be long, a
 * handler's work: an answer must not wait for what others compute. It gives the turn away only while the steps since the last poll
 * took no longer than CYGRT_SHORT_STEP on average.
 */
#ifndef CYG_RUNTIME_COHORT_H
#define CYG_RUNTIME_COHORT_H

#include "runtime/sched.h"

#define CYGRT_SHORT_STEP (25 * CYG_MICROSECOND)

static inline bool cygrt_cohort_waits(struct p *p) {
    uint32_t tail = atomic_load_explicit(&p->tail, memory_order_relaxed);
    return tail == atomic_load_explicit(&p->cohort, memory_order_relaxed) &&
           tail != atomic_load_explicit(&p->head, memory_order_relaxed) &&
           !atomic_load_explicit(&p->next_slot, memory_order_relaxed); /* who was started or woken by this one would run first */
}

/* Nobody but the cohort stands in the ring: what a poll adds belongs to it. */
static inline bool cygrt_cohort_only(struct p *p) {
    uint32_t tail = atomic_load_explicit(&p->tail, memory_order_relaxed);
    return tail == atomic_load_explicit(&p->cohort, memory_order_relaxed) ||
           tail == atomic_load_explicit(&p->head, memory_order_relaxed);
}

static inline void cygrt_cohort_set(struct p *p) {
    atomic_store_explicit(&p->cohort, atomic_load_explicit(&p->tail, memory_order_relaxed), memory_order_relaxed);
}

/* park.c: goes to the end of the cohort. What was seen before may have changed: the P may be another M's by now. */
void cygrt_turn(struct m *m, bool if_short);

static inline __attribute__((always_inline)) void cygrt_turn_if_others(bool if_short) {
    struct m *m = cygrt_m();
    struct p *p = CYG_LIKELY(m != NULL) ? atomic_load_explicit(&m->p, memory_order_relaxed) : NULL;
    if (CYG_LIKELY(p != NULL) && cygrt_cohort_waits(p)) cygrt_turn(m, if_short);
}

/* Lets the others of the cohort, if there are any, come to where this goroutine is. Outside goroutines, and while it is pinned: no
 * effect. The caller holds no lock that they may want. */
static inline void cygrt_take_turn(void) { cygrt_turn_if_others(false); }
static inline void cygrt_take_turn_if_short(void) { cygrt_turn_if_others(true); }

#endif
