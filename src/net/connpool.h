/* connpool.h: what the files of the connection pool share.
 *
 * Vocabulary: a place is the right to have a connection: open counts them, it is taken before a dial and freed when the
 * connection is closed. A turn is what a caller at the limit waits for: an idle connection, or a place.
 * Files: connpool.c lends and takes back; connpool_slots.c keeps idle ones; connpool_turn.c has the queue; connpool_open.c opens,
 * closes and keeps min_idle ready; connpool_stats.c counts and names.
 *
 * No turn is lost: a waiter first stands in the queue, then looks at slots and places; who puts up a connection or frees a
 * place first does that, then looks at nwaiters. Both are sequentially consistent.
 * References: users are the program's; memory counts one for all users, one for each connection and one for the warmer.
 * The lock is never held across a call that can park.
 */
#ifndef CYG_NET_CONNPOOL_H
#define CYG_NET_CONNPOOL_H

#include <cygnet/connpool.h>
#include <stdalign.h>

#include <cygnet/context.h>
#include <cygnet/runtime.h>

#include "net/internal.h"

#define POOL_LINE 64

enum pooled_state { POOLED_LENT = 0x6c656e74, POOLED_KEPT = 0x6b657074 };

struct pooled {
    cyg_pooled_conn pub; /* first: what the program sees */
    cyg_connpool *pool;
    uint32_t state;        /* pooled_state; the owner's: borrower, or whoever holds it while it is put or taken */
    uint32_t gone;         /* atomic: the first of taker and watcher to let go sets it, the second closes */
    cyg_time life_until;   /* INT64_MAX: no limit; fixed */
    cyg_duration idle_for; /* idle_timeout with its jitter; fixed */
    uint16_t home;         /* the shard of the P that opened it, whose poller watches it; fixed */
    uint16_t shard, slot;  /* where it lies while idle */
    uint8_t until_why;     /* cyg_connpool_why if the watch runs out; written before it is left */
    uint8_t why;           /* cyg_connpool_why that the owner or the watcher found; the latter before it lets go */
    alignas(max_align_t) char user[];
};

struct pool_shard {
    alignas(POOL_LINE) uint32_t top; /* racy: one above the highest slot that may be taken */
    uint32_t putting;                /* atomic: puts under way; the pool is not freed meanwhile */
    uint64_t reuses;                 /* atomic */
    uintptr_t *slots;                /* atomic: 0, a struct pooled, or one | 1 while it is being put */
};

struct cyg_connpool {
    struct pool_shard *shards; /* fixed, as all up to closed */
    unsigned nshards, nslots;  /* shards: a power of two; slots a shard */
    bool count_idle;           /* idle is counted: max_idle below max_open, or min_idle */
    cyg_connpool_opts opts;    /* with the defaults filled in */
    const char *name;          /* lives as long as the program */
    char *network, *address;
    uint32_t closed;                       /* atomic */
    alignas(POOL_LINE) uint64_t memory;    /* atomic */
    uint64_t users;                        /* atomic */
    uint64_t open, idle, opening;          /* atomic; idle only with count_idle */
    uint64_t opens, open_errors, lent_new; /* atomic */
    uint64_t closes[CYG_CONNPOOL_WHYS];    /* atomic */
    uint64_t random;                       /* atomic: state of the jitter's generator */
    uint32_t warming;                      /* atomic: the warmer runs */
    alignas(POOL_LINE) uint32_t nwaiters;  /* atomic: not below the length of turns */
    uint32_t lock;                         /* spin lock of what follows */
    cyg_waitq turns;                       /* struct pool_turn */
    cyg_waitq ends; /* who waits for the last connection's close, and the warmer for the pool's */
    uint64_t waits, timeouts, cancels, refused, wait_ns; /* atomic */
    uint64_t buckets[CYG_CONNPOOL_WAIT_BUCKETS];         /* atomic */
};

static inline bool pool_closed(const cyg_connpool *p) { return __atomic_load_n(&p->closed, __ATOMIC_SEQ_CST) != 0; }
static inline bool pool_has_waiters(const cyg_connpool *p) {
    return __atomic_load_n(&p->nwaiters, __ATOMIC_SEQ_CST) > 0;
}
static inline unsigned pool_home(const cyg_connpool *p) { return cygrt_proc_hint() & (p->nshards - 1); }
static inline struct pool_shard *pool_shard_here(const cyg_connpool *p) { return &p->shards[pool_home(p)]; }
static inline void pool_count(uint64_t *counter) { __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED); }

/* ---- connpool_slots.c ------------------------------------------------------------------------------------------- */

int pool_slots_init(cyg_connpool *p); /* 0 or CYG_ENOMEM */

/* Puts a quiet connection up for reuse. Returns: true; or false with the reason in pc->why: the caller closes it. */
bool pool_slots_put(struct pooled *pc);
/* Looks whether something has come in on a connection that is ours, in a system call if the last read has not told.
 * Returns: false with the reason in pc->why. */
bool pool_quiet(struct pooled *pc);

/* Takes a quiet one: by a glance at a shard, the caller's own, or by a look at every slot. NULL: none. */
struct pooled *pool_slots_glance(cyg_connpool *p, struct pool_shard *sh);
struct pooled *pool_slots_take(cyg_connpool *p);

/* ---- connpool_turn.c: places, and the queue for them ------------------------------------------------------------- */

bool pool_place_take(cyg_connpool *p);
void pool_place_free(cyg_connpool *p); /* and gives it to the first who waits */

/* Queues. Returns: 0 with a connection, or with NULL and a place taken; CYG_ELIMIT, CYG_ETIMEDOUT, CYG_ECLOSED, the context's. */
int pool_turn_wait(cyg_connpool *p, cyg_time deadline, struct pooled **out);
/* Hands a connection (NULL: a place) to the first who waits. Returns: false if nobody does. */
bool pool_turn_give(cyg_connpool *p, struct pooled *pc);
/* Gives those who wait what there is: idle connections, then free places. */
void pool_feed(cyg_connpool *p);
/* Wakes everybody: those who wait their turn with CYG_ECLOSED, the others to look again. */
void pool_wake_all(cyg_connpool *p);
/* Parks until something ends or the deadline (0: none) passes. done(p) is asked under the lock. Returns: 0, CYG_ETIMEDOUT, the
 * context's error if cancellable. */
int pool_end_wait(cyg_connpool *p, bool (*done)(const cyg_connpool *p), cyg_time deadline, bool cancellable);

/* ---- connpool_open.c --------------------------------------------------------------------------------------------- */

/* Opens a connection on a place that was taken; gives the place up if it fails. Returns: 0, or the error. */
int pool_open(cyg_connpool *p, cyg_time deadline, struct pooled **out);
/* Closes one that nobody else has, and frees its place. */
void pool_close_conn(struct pooled *pc, cyg_connpool_why why);
/* Starts the warmer if too few are idle. */
void pool_warm(cyg_connpool *p);
static inline void pool_warm_check(cyg_connpool *p) {
    if (CYG_UNLIKELY(p->opts.min_idle > 0)) pool_warm(p);
}

/* ---- connpool.c -------------------------------------------------------------------------------------------------- */

/* Gives one that is nobody's to who waits, else puts it up, else closes it. */
void pool_keep(struct pooled *pc);
void pool_unref(cyg_connpool *p);

/* ---- connpool_stats.c -------------------------------------------------------------------------------------------- */

/* The one copy of a name, for dumps, which may read it when the pool has gone. Returns: NULL without memory. */
const char *pool_name_keep(const char *name);
void pool_count_wait(cyg_connpool *p, cyg_duration ns, int err);

#endif
