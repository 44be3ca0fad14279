/* sync.h: locks and joins for goroutines. All are zero-initialisable and need no destructor; they park goroutines, never
 * threads. Misuse (unlock of an unlocked mutex, a negative waitgroup) ends the program: the site, every goroutine on standard
 * error, abort().
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
    uint32_t state;  /* bit 0 somebody waits, bit 1 a waiter is on its way; the bits above: 0 if it is free; atomic */
    uint32_t qlock;  /* spin lock of queue */
    cyg_waitq queue; /* guarded by qlock */
} cyg_mutex;

CYG_API void cyg_mutex_lock_slow(cyg_mutex *m);
CYG_API void cyg_mutex_unlock_slow(cyg_mutex *m, const char *file, int line);

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CYG_MUTEX_BUILTIN 1 /* a sanitizer sees no assembler */
#endif
#endif
#if defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define CYG_MUTEX_BUILTIN 1
#endif

/* For the functions below: takes the lock if it is free, by a subtraction that borrows and leaves the upper bits all ones. False:
 * it is held, and has a mark of the attempt, which cyg_mutex_lock_slow takes away. (The builtin does not use the borrow.) */
CYG_NODISCARD static inline bool cyg_mutex_enter(cyg_mutex *m) {
#ifndef CYG_MUTEX_BUILTIN
    bool was_free;
    __asm__ volatile("lock subl $4, %1" : "=@ccc"(was_free), "+m"(m->state) : : "memory");
    return was_free;
#else
    return __atomic_fetch_sub(&m->state, 4u, __ATOMIC_ACQUIRE) < 4u;
#endif
}

/* Takes the lock; never cancelled. Blocks: parks while another holds it. From: goroutine. */
static inline void cyg_mutex_lock(cyg_mutex *m) {
    if (CYG_UNLIKELY(!cyg_mutex_enter(m))) cyg_mutex_lock_slow(m);
}

/* Takes the lock if it is free. Blocks: never. From: anywhere but a signal handler. Returns: whether it was taken. */
CYG_NODISCARD static inline bool cyg_mutex_trylock(cyg_mutex *m) {
    uint32_t s = __atomic_load_n(&m->state, __ATOMIC_RELAXED);
    return s < 4u && __atomic_compare_exchange_n(&m->state, &s, s | ~3u, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Gives the lock back; any goroutine may, not only the one that took it. Aborts if it is not held. Who takes the lock next may free
 * the mutex, if nobody else will use it: this call does not touch it any more.
 * Blocks: never. From: anywhere but a signal handler. */
#define cyg_mutex_unlock(m) cyg_mutex_unlock_at((m), __FILE__, __LINE__)
static inline void cyg_mutex_unlock_at(cyg_mutex *m, const char *file, int line) {
    uint32_t held = ~3u;
    if (CYG_UNLIKELY(!__atomic_compare_exchange_n(&m->state, &held, 0u, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)))
        cyg_mutex_unlock_slow(m, file, line);
}

/* As cyg_mutex_lock, but ends when the goroutine's context ends. Returns: 0 with the lock held, or the context's error
 * without it. */
CYG_API CYG_NODISCARD int cyg_mutex_lock_ctx(cyg_mutex *m);

/* ---- rwmutex ---------------------------------------------------------------------------------------------------- */

/* Many readers or one writer. A waiting writer keeps new readers out, and a writer that leaves lets in all readers that wait
 * before the next writer, so neither starves the other. Not recursive: a reader that locks again while a writer waits
 * waits for itself. */
typedef struct cyg_rwmutex {
    uint32_t state;  /* bit 0 a writer holds it, bit 1 somebody waits, above them the number of readers; atomic */
    uint32_t qlock;  /* spin lock of the queues */
    cyg_waitq rwait; /* readers; guarded by qlock */
    cyg_waitq wwait; /* writers; guarded by qlock */
} cyg_rwmutex;

CYG_API int cyg_rwmutex_rlock_slow(cyg_rwmutex *rw, bool cancellable);
CYG_API int cyg_rwmutex_lock_slow(cyg_rwmutex *rw, bool cancellable);
CYG_API void cyg_rwmutex_runlock_slow(cyg_rwmutex *rw, uint32_t was, const char *file, int line);
CYG_API void cyg_rwmutex_unlock_slow(cyg_rwmutex *rw, const char *file, int line);

/* Takes the lock for reading if no writer holds or awaits it. Blocks: never. From: anywhere but a signal handler.
 * Returns: whether it was taken. */
CYG_NODISCARD static inline bool cyg_rwmutex_tryrlock(cyg_rwmutex *rw) {
    uint32_t s = __atomic_load_n(&rw->state, __ATOMIC_RELAXED);
    while (!(s & 3u))
        if (__atomic_compare_exchange_n(&rw->state, &s, s + 4, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return true;
    return false;
}

/* Takes the lock if nobody has it. As cyg_rwmutex_tryrlock. */
CYG_NODISCARD static inline bool cyg_rwmutex_trylock(cyg_rwmutex *rw) {
    uint32_t free_ = 0;
    return __atomic_compare_exchange_n(&rw->state, &free_, 1u, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Takes the lock for reading; never cancelled. Blocks: parks while a writer holds or awaits it. From: goroutine. */
static inline void cyg_rwmutex_rlock(cyg_rwmutex *rw) {
    if (CYG_UNLIKELY(!cyg_rwmutex_tryrlock(rw))) (void)cyg_rwmutex_rlock_slow(rw, false);
}

/* Takes the lock for writing; never cancelled. Blocks: parks while anybody has it. From: goroutine. */
static inline void cyg_rwmutex_lock(cyg_rwmutex *rw) {
    if (CYG_UNLIKELY(!cyg_rwmutex_trylock(rw))) (void)cyg_rwmutex_lock_slow(rw, false);
}

/* The same, but they end when the goroutine's context ends. Returns: 0 with the lock held, or the context's error without. */
CYG_NODISCARD static inline int cyg_rwmutex_rlock_ctx(cyg_rwmutex *rw) {
    return cyg_rwmutex_tryrlock(rw) ? 0 : cyg_rwmutex_rlock_slow(rw, true);
}
CYG_NODISCARD static inline int cyg_rwmutex_lock_ctx(cyg_rwmutex *rw) {
    return cyg_rwmutex_trylock(rw) ? 0 : cyg_rwmutex_lock_slow(rw, true);
}

/* Give the lock back after reading, after writing. Abort if it is not held so.
 * Blocks: never. From: anywhere but a signal handler. */
#define cyg_rwmutex_runlock(rw) cyg_rwmutex_runlock_at((rw), __FILE__, __LINE__)
static inline void cyg_rwmutex_runlock_at(cyg_rwmutex *rw, const char *file, int line) {
    uint32_t was = __atomic_fetch_sub(&rw->state, 4, __ATOMIC_ACQ_REL);
    if (CYG_UNLIKELY(was < 4 || was == 6)) cyg_rwmutex_runlock_slow(rw, was, file, line);
}
#define cyg_rwmutex_unlock(rw) cyg_rwmutex_unlock_at((rw), __FILE__, __LINE__)
static inline void cyg_rwmutex_unlock_at(cyg_rwmutex *rw, const char *file, int line) {
    uint32_t held = 1;
    if (CYG_UNLIKELY(!__atomic_compare_exchange_n(&rw->state, &held, 0u, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)))
        cyg_rwmutex_unlock_slow(rw, file, line);
}

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

/* Counts work, up to 2^62, and waits for the count to fall to zero. */
typedef struct cyg_waitgroup {
    int64_t state;  /* twice the count, and 1 while somebody may wait; atomic */
    uint32_t qlock; /* spin lock of queue */
    cyg_waitq queue;
} cyg_waitgroup;

/* Adds n (may be negative) to the count; aborts if it becomes negative. Add before the goroutine is started, not in it.
 * Blocks: never. From: any thread. */
#define cyg_waitgroup_add(wg, n) cyg_waitgroup_add_at((wg), (n), __FILE__, __LINE__)
CYG_API void cyg_waitgroup_add_at(cyg_waitgroup *wg, int64_t n, const char *file, int line);

/* cyg_waitgroup_add(wg, -1). */
#define cyg_waitgroup_done(wg) cyg_waitgroup_add_at((wg), -1, __FILE__, __LINE__)

/* Parks until the count is zero. Blocks: parks. From: goroutine. Returns: 0, or the context's error. */
CYG_API int cyg_waitgroup_wait(cyg_waitgroup *wg);

/* The same with a deadline (0: none). Returns also CYG_ETIMEDOUT. */
CYG_API int cyg_waitgroup_wait_until(cyg_waitgroup *wg, cyg_time deadline);

/* ---- once ------------------------------------------------------------------------------------------------------- */

/* Something that is done once, by whoever comes first. */
typedef struct cyg_once {
    uint32_t state; /* 2: done; atomic */
    cyg_mutex lock; /* held while it is being done */
    uint64_t doer;  /* the goroutine that does it; guarded by lock, read by itself alone */
} cyg_once;

CYG_API void cyg_once_slow(cyg_once *o, void (*fn)(void *), void *arg, const char *file, int line);

/* Calls fn(arg) unless a call on o has done so; returns when it has been done. fn must not come back to the same o (aborts).
 * Blocks: parks while another does it. From: goroutine. */
#define cyg_once_do(o, fn, arg) cyg_once_do_at((o), (fn), (arg), __FILE__, __LINE__)
static inline void cyg_once_do_at(cyg_once *o, void (*fn)(void *), void *arg, const char *file, int line) {
    if (CYG_UNLIKELY(__atomic_load_n(&o->state, __ATOMIC_ACQUIRE) != 2u)) cyg_once_slow(o, fn, arg, file, line);
}

/* ---- semaphore -------------------------------------------------------------------------------------------------- */

/* A number of units that goroutines take and give back. First come, first served: while a large request waits, smaller ones
 * that come later wait behind it, even if there would be enough for them. */
typedef struct cyg_semaphore {
    uint64_t size;   /* units in all; fixed */
    uint64_t free;   /* of these, not taken; guarded by qlock */
    uint32_t qlock;  /* spin lock */
    cyg_waitq queue; /* guarded by qlock */
} cyg_semaphore;

/* Initialises one: `static cyg_semaphore slots = CYG_SEMAPHORE(10);` */
#define CYG_SEMAPHORE(n)            \
    {                               \
        (n), (n), 0, { NULL, NULL } \
    }

/* Makes s a semaphore of n units; nobody may use it meanwhile. Blocks: never. From: anywhere. */
CYG_API void cyg_semaphore_init(cyg_semaphore *s, uint64_t n);

/* Takes n units. Blocks: parks until they are there and who came before has got his. From: goroutine.
 * Returns: 0, the context's error, or CYG_EINVAL if n is more than the semaphore has in all. */
CYG_API CYG_NODISCARD int cyg_semaphore_acquire(cyg_semaphore *s, uint64_t n);

/* The same with a deadline (0: none). Returns also CYG_ETIMEDOUT. */
CYG_API CYG_NODISCARD int cyg_semaphore_acquire_until(cyg_semaphore *s, uint64_t n, cyg_time deadline);

/* Takes n units if they are there and nobody waits. Blocks: never. From: anywhere but a signal handler.
 * Returns: whether they were taken. */
CYG_API CYG_NODISCARD bool cyg_semaphore_tryacquire(cyg_semaphore *s, uint64_t n);

/* Gives n units back; aborts if more come back than were taken. Blocks: never. From: anywhere but a signal handler. */
#define cyg_semaphore_release(s, n) cyg_semaphore_release_at((s), (n), __FILE__, __LINE__)
CYG_API void cyg_semaphore_release_at(cyg_semaphore *s, uint64_t n, const char *file, int line);

/* Units that are not taken now. Blocks: never. From: anywhere but a signal handler. */
CYG_API uint64_t cyg_semaphore_available(cyg_semaphore *s);

CYG_END_DECLS
#endif
