/* sync.h: locks and joins for goroutines. All are zero-initialisable and need no destructor; they park goroutines, never
 * threads. Misuse (unlock of an unlocked mutex, a negative waitgroup) aborts with the site.
 *
 *     static cyg_mutex lock;
 *     cyg_mutex_lock(&lock);
 *     balance += amount;
 *     cyg_mutex_unlock(&lock);
 */
#ifndef CYGNET_SYNC_H
#define CYGNET_SYNC_H

#include <cygnet/base.h>
#include <cygnet/err.h>
#include <cygnet/time.h>

CYG_BEGIN_DECLS

/* Waiters in order of arrival; guarded by the lock word beside it. */
typedef struct cyg_waitq {
    struct cyg_waiter *head, *tail;
} cyg_waitq;

/* ---- mutex ------------------------------------------------------------------------------------------------------ */

/* One holder at a time. Newcomers may overtake, until a waiter has waited 1 ms: then the lock is handed to it directly. */
typedef struct cyg_mutex {
    uint32_t state;  /* bit 0 locked, bit 1 somebody waits, bit 2 a waiter is on its way; atomic */
    uint32_t qlock;  /* spin lock of queue */
    cyg_waitq queue; /* guarded by qlock */
} cyg_mutex;

CYG_API void cyg_mutex_lock_slow(cyg_mutex *m);
CYG_API void cyg_mutex_unlock_slow(cyg_mutex *m);

/* Takes the lock; never cancelled. Blocks: parks while another holds it. From: goroutine. */
static inline void cyg_mutex_lock(cyg_mutex *m) {
    uint32_t free_ = 0;
    if (__builtin_expect(!__atomic_compare_exchange_n(&m->state, &free_, 1u, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED), 0))
        cyg_mutex_lock_slow(m);
}

/* Takes the lock if it is free. Blocks: never. From: anywhere but a signal handler. Returns: whether it was taken. */
CYG_NODISCARD static inline bool cyg_mutex_trylock(cyg_mutex *m) {
    uint32_t s = __atomic_load_n(&m->state, __ATOMIC_RELAXED);
    return !(s & 1u) && __atomic_compare_exchange_n(&m->state, &s, s | 1u, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Gives the lock back; any goroutine may, not only the one that took it. Aborts if it is not held.
 * Blocks: never. From: anywhere but a signal handler. */
static inline void cyg_mutex_unlock(cyg_mutex *m) {
    uint32_t held = 1;
    if (__builtin_expect(!__atomic_compare_exchange_n(&m->state, &held, 0u, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED), 0))
        cyg_mutex_unlock_slow(m);
}

/* As cyg_mutex_lock, but ends when the goroutine's context ends. Returns: 0 with the lock held, or the context's error
 * without it. */
CYG_API CYG_NODISCARD int cyg_mutex_lock_ctx(cyg_mutex *m);

/* ---- condition -------------------------------------------------------------------------------------------------- */

/* Waits for something that a mutex guards. Always in a loop that tests it. */
typedef struct cyg_cond {
    uint32_t qlock; /* spin lock of queue */
    uint32_t nwait; /* length of queue; atomic, so that a signal with no waiter is one load */
    cyg_waitq queue;
} cyg_cond;

/* Unlocks m, parks until signalled, locks m again. Blocks: parks. From: goroutine that holds m.
 * Returns: 0, or the context's error; m is held either way. */
CYG_API int cyg_cond_wait(cyg_cond *c, cyg_mutex *m);

/* The same with a deadline (0: none). Returns also CYG_ETIMEDOUT. */
CYG_API int cyg_cond_wait_until(cyg_cond *c, cyg_mutex *m, cyg_time deadline);

/* Wakes the goroutine that has waited longest, if any. Blocks: never. From: any thread. */
CYG_API void cyg_cond_signal(cyg_cond *c);

/* Wakes all that wait. Blocks: never. From: any thread. */
CYG_API void cyg_cond_broadcast(cyg_cond *c);

/* ---- waitgroup -------------------------------------------------------------------------------------------------- */

/* Counts work and waits for the count to fall to zero. */
typedef struct cyg_waitgroup {
    int64_t count;  /* atomic */
    uint32_t qlock; /* spin lock of queue */
    cyg_waitq queue;
} cyg_waitgroup;

/* Adds n (may be negative) to the count; aborts if it becomes negative. Add before the goroutine is started, not in it.
 * Blocks: never. From: any thread. */
CYG_API void cyg_waitgroup_add(cyg_waitgroup *wg, int64_t n);

/* cyg_waitgroup_add(wg, -1). */
CYG_API void cyg_waitgroup_done(cyg_waitgroup *wg);

/* Parks until the count is zero. Blocks: parks. From: goroutine. Returns: 0, or the context's error. */
CYG_API int cyg_waitgroup_wait(cyg_waitgroup *wg);

/* The same with a deadline (0: none). Returns also CYG_ETIMEDOUT. */
CYG_API int cyg_waitgroup_wait_until(cyg_waitgroup *wg, cyg_time deadline);

CYG_END_DECLS
#endif
