/* waiter.h: a goroutine in the queue of a lock or condition. It stands on that goroutine's stack and is gone as soon as it has
 * seen `granted`, so a waker reads g before it grants, and wakes after it has let the queue's lock go.
 *
 * Who wakes several claims them: takes them out of the queue into a chain of its own, under the lock, and lets them go one by one
 * without it. A claimed waiter does not return before it is let go, whatever its deadline and context say, so the chain is
 * good; and since the object is not touched once the lock has been let go, it may be freed when its waiters have returned. */
#ifndef CYG_SYNC_WAITER_H
#define CYG_SYNC_WAITER_H

#include <cygnet/sync.h>

#include "runtime/sched.h"

struct cyg_waiter {
    struct cyg_waiter *next, *prev;
    struct g *g;
    _Atomic uint32_t granted; /* WAITER_*; set by the waker; by then it has left the queue */
    uint64_t units;           /* what it wants of a semaphore */
    cyg_time since;           /* when it began to wait */
};
enum { WAITER_NO = 0, WAITER_GRANTED = 1, WAITER_HANDED = 2, WAITER_CLAIMED = 3 };

static inline void waitq_push(cyg_waitq *q, struct cyg_waiter *w) {
    w->next = NULL;
    w->prev = q->tail;
    if (q->tail)
        q->tail->next = w;
    else
        q->head = w;
    q->tail = w;
}

static inline void waitq_push_front(cyg_waitq *q, struct cyg_waiter *w) {
    w->prev = NULL;
    w->next = q->head;
    if (q->head)
        q->head->prev = w;
    else
        q->tail = w;
    q->head = w;
}

static inline void waitq_remove(cyg_waitq *q, struct cyg_waiter *w) {
    if (w->prev)
        w->prev->next = w->next;
    else
        q->head = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        q->tail = w->prev;
}

/* Takes the first out and grants it; the caller wakes what is returned after letting the queue's lock go. */
static inline struct g *waitq_grant(cyg_waitq *q) {
    struct cyg_waiter *w = q->head;
    if (!w) return NULL;
    waitq_remove(q, w);
    struct g *g = w->g;
    atomic_store_explicit(&w->granted, 1, memory_order_release);
    return g;
}

/* Waiters that have been claimed; {NULL, NULL} to begin with. */
struct cyg_claimed {
    struct cyg_waiter *first, *last;
};

/* Claims the first of the queue, which is not empty. Under the queue's lock. */
static inline void waitq_claim(cyg_waitq *q, struct cyg_claimed *c) {
    struct cyg_waiter *w = q->head;
    waitq_remove(q, w);
    w->next = NULL;
    if (c->last)
        c->last->next = w;
    else
        c->first = w;
    c->last = w;
    atomic_store_explicit(&w->granted, WAITER_CLAIMED, memory_order_relaxed); /* read under the lock */
}

/* Lets them go and wakes them, in order. Without the lock. */
void cyg_claimed_wake(struct cyg_claimed *c);

/* Parks until w is granted, the deadline passes (0: none) or, if cancellable, the context ends. w stands in q, whose lock is
 * held on entry and released on return. Returns 0 if granted; otherwise w has left the queue. */
int cyg_waitq_wait(cyg_waitq *q, uint32_t *lock, struct cyg_waiter *w, enum cygrt_reason reason, const void *obj,
                   cyg_time deadline, bool cancellable);

/* The calling goroutine; aborts on a foreign thread, with the name of the call. */
struct g *cyg_need_goroutine(const char *call);

#endif
