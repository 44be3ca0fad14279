/* after_pool.h: the memory of cyg_timers. A timer is a word of state, which is what the program holds, and a body that only firing
 * and moving read. Words of neighbours stand together, so that stopping one of a million, or sweeping the heap, finds them in
 * the cache. A word is a timer's for the runtime's life: it stays readable when the timer is gone. */
#ifndef CYG_RUNTIME_AFTER_POOL_H
#define CYG_RUNTIME_AFTER_POOL_H

#include "runtime/sched.h"

#define POOL_CHUNK ((size_t)2 << 20)
#define POOL_TIMERS 30784
#define POOL_CHUNKS 16384
#define POOL_FREE 1u /* the word of a timer that is not in use: the rest is the number of the next free one */

struct cyg_timer {
    _Atomic uint32_t state; /* after.c says what it means */
};

struct after_body {
    void (*fn)(void *);
    void *arg;
    cyg_time when;
    union {
        cyg_time entry_when;     /* after.c */
        struct cygrt_record rec; /* while it is queued */
    };
};

struct after_chunk {
    uint32_t number;
    uint32_t used; /* words handed out so far, in runs; guarded by the pool's lock */
    _Alignas(CYGRT_CACHELINE) struct cyg_timer timers[POOL_TIMERS];
    _Alignas(CYGRT_CACHELINE) struct after_body bodies[POOL_TIMERS];
};
_Static_assert(sizeof(struct after_chunk) <= POOL_CHUNK, "POOL_TIMERS does not fit");
_Static_assert(sizeof(struct after_body) == CYGRT_CACHELINE || sizeof(void *) != 8, "a body is a cache line");

static inline struct after_chunk *after_chunk(const struct cyg_timer *t) {
    return (struct after_chunk *)((uintptr_t)t & ~(uintptr_t)(POOL_CHUNK - 1));
}

static inline struct after_body *after_body(const struct cyg_timer *t) {
    struct after_chunk *c = after_chunk(t);
    return &c->bodies[t - c->timers];
}

/* From p's free ones, whose tlock is held, as for after_free. NULL: no memory. */
struct cyg_timer *after_alloc(struct p *p);
void after_free(struct p *p, struct cyg_timer *t);

/* Without any lock; also when the runtime has stopped. */
void after_free_unlocked(struct cyg_timer *t);

/* The Ps are gone: frees all timers but those whose state has the bit `keep`, which is then all of it; the memory goes if there
 * are none. */
void after_drop_all(uint32_t keep);

#endif
