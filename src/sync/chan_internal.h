/* chan_internal.h: what chan.c, select.c and chan_timer.c share: the channel, its waiters, and the operations under its lock.
 *
 * A waiter stands on the stack of the goroutine that waits (for a select: one per case, in the caller's frame). Whoever
 * serves it takes it out of its queue under the channel's lock, copies the element to or from that stack, reads g, grants, lets
 * the lock go and wakes g. After the grant the waiter's memory may be gone.
 *
 * A select stands in several queues, so taking it out of one is not enough: it is claimed by moving its `state` from OPEN, and
 * whoever fails to claim it passes it over. Only goroutines that stand in no queue themselves claim, so that no two selects
 * wait for each other's claim.
 *
 * Lock order: channels by address; nothing below them (wakes happen after unlocking). */
#ifndef CYG_SYNC_CHAN_INTERNAL_H
#define CYG_SYNC_CHAN_INTERNAL_H

#include <cygnet/chan.h>

#include "base/spin.h"
#include "runtime/sched.h"

#define CHAN_VALUES 0x4368616eu /* upper half of the tag: an ordinary channel, */
#define CHAN_TIMER 0x54696d65u  /* a timer or ticker, */
#define CHAN_DEAD 0x64656164u   /* one whose last reference is gone */
#define CHAN_TAG(kind, n) ((uint64_t)(kind) << 32 | (n))

struct chan_select;

struct chan_waiter {
    struct chan_waiter *next, *prev; /* guarded by the channel's lock; prev of the first is the last */
    struct g *g;
    void *p;                 /* the element, read or written by the peer; NULL: thrown away */
    struct chan_select *sel; /* NULL: waits here alone */
    _Atomic uint32_t state; /* alone: ALONE_*, set by the peer under the channel's lock; by then it has left the queue */
    _Atomic uint32_t queued; /* of a select: stands in its queue; cleared under the lock by whoever takes it out unserved */
    uint32_t index;          /* of a select: which case */
    uint32_t order;          /* of a select: entry number k is the case that is locked as k-th */
};
enum { ALONE_WAITS = 0, ALONE_DONE, ALONE_CLOSED };
_Static_assert(sizeof(struct chan_waiter) == sizeof(struct cyg_select_room), "public room");

/* state of a select; a multiple of 4 is SELECT_DONE(index), with 1 added if the channel was closed */
enum { SELECT_OPEN = 0, SELECT_BUSY = 2, SELECT_ENDED = 3 };
#define SELECT_DONE(index) (((uint32_t)(index) + 1) << 2)
struct chan_select {
    _Atomic uint32_t state;
};

typedef _Atomic(struct chan_waiter *) chan_queue;

struct cyg_chan {
    /* One cache line holds what an operation touches. Guarded by lock; what is atomic may be looked at without. */
    _Alignas(CYGRT_CACHELINE) uint32_t lock;
    _Atomic uint32_t count; /* elements in the buffer */
    uint32_t cap;
    uint32_t head; /* the oldest element */
    uint64_t tag;  /* CHAN_TAG(what it is, size of an element): one comparison checks both. Constant until death */
    uint64_t sent; /* values sent; those received are count fewer */
    chan_queue recvq, sendq;
    uint32_t nrecv, nsend;
    _Atomic uint32_t closed;

    _Alignas(CYGRT_CACHELINE) _Atomic uint32_t refs;
    int line; /* where it was made */
    const char *file;
    _Atomic(const char *) name;
    _Atomic uint64_t drops;
    _Atomic int64_t when;     /* of a timer: when it is due; 0: stopped or taken */
    cyg_duration period;      /* of a ticker; 0: fires once */
    struct chan_watch *watch; /* of one with a name; guarded by chan_watch.c's lock */
    _Alignas(16) char buf[];
};

/* ---- small things ------------------------------------------------------------------------------------------------ */

#define chan_load(x) atomic_load_explicit(&(x), memory_order_relaxed)           /* under the lock */
#define chan_store(x, v) atomic_store_explicit(&(x), (v), memory_order_relaxed) /* published by the unlock */

static inline uint64_t chan_tag(const cyg_chan *ch) { return __atomic_load_n(&ch->tag, __ATOMIC_RELAXED); }
static inline uint32_t chan_size(const cyg_chan *ch) { return (uint32_t)chan_tag(ch); }
static inline bool chan_is_timer(const cyg_chan *ch) { return chan_tag(ch) >> 32 == CHAN_TIMER; }

/* At once for the exchange: a look before it would fetch the cache line twice when another CPU had it. */
static inline void chan_lock(cyg_chan *ch) {
    if (CYG_UNLIKELY(__atomic_exchange_n(&ch->lock, 1, __ATOMIC_ACQUIRE))) cyg_spin_lock(&ch->lock);
}
static inline void chan_unlock(cyg_chan *ch) { cyg_spin_unlock(&ch->lock); }

static inline void chan_copy(void *to, const void *from, size_t n) {
    switch (n) {
    case 4: memcpy(to, from, 4); break;
    case 8: memcpy(to, from, 8); break;
    case 16: memcpy(to, from, 16); break;
    default:
        if (n) memcpy(to, from, n);
    }
}

/* ---- queues, under the lock ---------------------------------------------------------------------------------------- */

static inline void chan_push(chan_queue *q, uint32_t *n, struct chan_waiter *w) {
    struct chan_waiter *first = chan_load(*q);
    w->next = NULL;
    if (first) {
        w->prev = first->prev;
        w->prev->next = w;
        first->prev = w;
    } else {
        w->prev = w;
        chan_store(*q, w);
    }
    ++*n;
}

static inline void chan_remove(chan_queue *q, uint32_t *n, struct chan_waiter *w) {
    struct chan_waiter *first = chan_load(*q);
    if (w == first) {
        chan_store(*q, w->next);
        if (w->next) w->next->prev = w->prev;
    } else {
        w->prev->next = w->next;
        (w->next ? w->next : first)->prev = w->prev;
    }
    --*n;
}

/* The waiter to be served: taken out, and claimed if it belongs to a select. NULL: none. */
static inline struct chan_waiter *chan_take(chan_queue *q, uint32_t *n) {
    for (struct chan_waiter *w; (w = chan_load(*q));) {
        chan_store(*q, w->next);
        if (w->next) w->next->prev = w->prev;
        --*n;
        if (!w->sel) return w;
        /* seq_cst: against the select's own look at state after it has said that it waits (select.c) */
        uint32_t open = SELECT_OPEN;
        if (atomic_compare_exchange_strong(&w->sel->state, &open, SELECT_BUSY)) return w;
        atomic_store_explicit(&w->queued, 0, memory_order_release); /* from here on the select may return */
    }
    return NULL;
}

/* The last touch of a waiter that was taken. Returns whom to wake after unlocking. */
static inline struct g *chan_grant(struct chan_waiter *w, bool closed) {
    struct g *g = w->g;
    if (w->sel)
        atomic_store_explicit(&w->sel->state, SELECT_DONE(w->index) + closed, memory_order_release);
    else
        atomic_store_explicit(&w->state, closed ? ALONE_CLOSED : ALONE_DONE, memory_order_release);
    return g;
}

/* ---- operations, under the lock: 0, CYG_ECLOSED or CYG_EOF, CYG_EAGAIN; *wake is to be woken after unlocking ------------ */

static inline __attribute__((always_inline)) int chan_send_locked(cyg_chan *ch, const void *p, size_t n, struct g **wake) {
    struct chan_waiter *w;
    if (CYG_UNLIKELY(chan_load(ch->closed))) return CYG_ECLOSED;
    if (chan_load(ch->recvq) && (w = chan_take(&ch->recvq, &ch->nrecv))) {
        ch->sent++;
        if (w->p) chan_copy(w->p, p, n);
        *wake = chan_grant(w, false);
        return 0;
    }
    uint32_t count = chan_load(ch->count);
    if (count == ch->cap) return CYG_EAGAIN;
    uint32_t at = ch->head + count;
    if (at >= ch->cap) at -= ch->cap;
    chan_copy(ch->buf + at * n, p, n);
    ch->sent++;
    chan_store(ch->count, count + 1);
    return 0;
}

static inline __attribute__((always_inline)) int chan_recv_locked(cyg_chan *ch, void *p, size_t n, struct g **wake) {
    struct chan_waiter *w;
    uint32_t count = chan_load(ch->count);
    if (count) {
        char *slot = ch->buf + ch->head * n;
        if (p) chan_copy(p, slot, n);
        if (++ch->head == ch->cap) ch->head = 0;
        if (chan_load(ch->sendq) && (w = chan_take(&ch->sendq, &ch->nsend))) {
            chan_copy(slot, w->p, n); /* it was full, so the slot that became free is where the last one stands */
            ch->sent++;
            *wake = chan_grant(w, false);
        } else {
            /* release: who looks without the lock and finds it empty, finds it closed too if it was before */
            atomic_store_explicit(&ch->count, count - 1, memory_order_release);
        }
        return 0;
    }
    if (chan_load(ch->sendq) && (w = chan_take(&ch->sendq, &ch->nsend))) {
        if (p) chan_copy(p, w->p, n);
        ch->sent++;
        *wake = chan_grant(w, false);
        return 0;
    }
    return chan_load(ch->closed) ? CYG_EOF : CYG_EAGAIN;
}

/* Looks without the lock. False is true of one moment during the call: what was empty (or full) at the first load was open
 * then too, if it is still open at the second. True is a guess. */
static inline bool chan_may_send(cyg_chan *ch) {
    bool room = ch->cap && atomic_load_explicit(&ch->count, memory_order_acquire) < ch->cap;
    if (room || atomic_load_explicit(&ch->recvq, memory_order_acquire)) return true;
    return atomic_load_explicit(&ch->closed, memory_order_acquire);
}
static inline bool chan_may_recv(cyg_chan *ch) {
    if (ch->cap ? atomic_load_explicit(&ch->count, memory_order_acquire) != 0
                : atomic_load_explicit(&ch->sendq, memory_order_acquire) != NULL)
        return true;
    return atomic_load_explicit(&ch->closed, memory_order_acquire);
}

/* ---- the rest ------------------------------------------------------------------------------------------------------ */

cyg_chan *chan_make(uint64_t tag, size_t capacity, const char *file, int line); /* NULL: no memory */

/* Aborts unless an operation with elements of n bytes is right for ch, which is not NULL: it is alive and of that size, or, for
 * a receive, a timer, or there is no place for the value. what: "send", ... for the message. */
void chan_check(const cyg_chan *ch, size_t n, bool receive, const void *p, const char *what, const char *file, int line);

struct g *chan_need_goroutine(const char *call, const char *file, int line);

/* Parks g, which has said that it waits. Returns at a wake-up, at the deadline (0: none), for no reason. */
static inline void chan_park(struct g *g, enum cygrt_reason reason, const cyg_chan *ch, cyg_time deadline) {
    g->wait_name = ch ? chan_load(ch->name) : NULL;
    cygrt_park_until(g, reason, ch, deadline);
}

/* The error that ends g's wait now: its context's, or CYG_ETIMEDOUT; 0. After g->wait was set to W_WAITING. */
int chan_wait_error(struct g *g, cyg_time deadline);

/* timers (chan_timer.c) */
bool chan_timer_due(cyg_chan *ch);                  /* a look without the lock; reads the clock if it is running */
bool chan_timer_take_locked(cyg_chan *ch, void *p); /* true: it was due, *p is the time */
int chan_timer_recv(cyg_chan *ch, void *p, cyg_time deadline, bool may_wait, const char *file, int line);
cyg_time chan_timer_when(cyg_chan *ch, cyg_time deadline); /* the earlier of deadline and when it is due (0: never) */

#endif
