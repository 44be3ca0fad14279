/* after_pool.h: the memory of cyg_timers. A timer is a word of state, which is what the program holds, and a body that only arming,
 * firing and moving touch. Words of neighbours stand together, so that stopping one of a million, or sweeping the heap, finds them
 * in the cache. A word is a timer's for the runtime's life: it stays readable when the timer is gone. */
#ifndef CYG_RUNTIME_AFTER_POOL_H
#define CYG_RUNTIME_AFTER_POOL_H

#include "runtime/sched.h"

#define POOL_CHUNK ((size_t)2 << 20)
#define POOL_TIMERS 49920
#define POOL_CHUNKS 16384
#define POOL_FREE 1u /* in the word: the timer is in no use, and nobody may use it */

struct cyg_timer {
    _Atomic uint16_t state; /* after.c says what it means */
};

struct after_body {
    union {
        cyg_time entry_when;    /* after.c */
        struct cygrt_task task; /* while it is queued; task.own is its number of entries, always */
    };
    void (*fn)(void *);
    void *arg;
    cyg_time when;
};
_Static_assert(offsetof(struct cygrt_task, kind) >= sizeof(cyg_time) && sizeof(struct after_body) == 40,
               "the body's layout");

struct after_chunk {
    uint32_t number;
    uint32_t used; /* words handed out so far, in runs; guarded by the pool's lock */
    _Alignas(CYGRT_CACHELINE) struct cyg_timer timers[POOL_TIMERS];
    _Alignas(CYGRT_CACHELINE) struct after_body bodies[POOL_TIMERS];
};
_Static_assert(sizeof(struct after_chunk) <= POOL_CHUNK, "POOL_TIMERS does not fit");

static inline struct after_chunk *after_chunk(const void *timer_or_body) {
    return (struct after_chunk *)((uintptr_t)timer_or_body & ~(uintptr_t)(POOL_CHUNK - 1));
}

static inline struct after_body *after_body(const struct cyg_timer *t) {
    struct after_chunk *c = after_chunk(t);
    return &c->bodies[t - c->timers];
}

static inline struct cyg_timer *after_timer(const struct after_body *b) {
    struct after_chunk *c = after_chunk(b);
    return &c->timers[b - c->bodies];
}

/* From p's stopped, free or fresh ones, p's tlock being held, as for after_free and after_keep. NULL: no memory. The word is POOL_FREE
 * and, if it was kept, what after_keep was told. */
struct cyg_timer *after_alloc(struct p *p);
void after_free(struct p *p, struct cyg_timer *t);

/* Keeps a timer that nobody uses any more but of which p's heap has entries: `entries` says so, and stays in its word. False: no
 * memory, and nothing has changed. */
bool after_keep(struct p *p, struct cyg_timer *t, uint16_t entries);
void after_swept(struct p *p); /* there are no such entries any more */

/* The same for a timer of whose entries another P's heap has some, by the owner of p, where it was released, without any lock: it goes
 * there in a parcel, when that is full. First it is asked whether there is one; the caller makes the word what after_keep would. */
bool after_may_send(struct p *p, struct p *to);
void after_send(struct p *p, struct p *to, const struct cyg_timer *t);

/* Under p's tlock. What has come in parcels by now is kept like the others; before a sweep, which takes the entries of all of them. */
void after_unpack(struct p *p);

/* Without any lock; also when the runtime has stopped. */
void after_free_unlocked(struct cyg_timer *t);

/* The Ps run no more: frees all timers but those whose state has the bit `keep`, which is then all of it; the memory goes if there
 * are none. */
void after_drop_all(uint16_t keep);

#endif
