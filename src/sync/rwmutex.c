/* rwmutex.c: state is WRITER, WAITERS and the number of readers. While WAITERS is set nobody takes the lock past the queues: only
 * holders leave, and who leaves last comes here and admits. WAITERS is set and cleared under qlock.
 *
 * Phases: a writer that leaves admits all readers that wait, and the last reader that leaves admits one writer. So a writer
 * waits for one generation of readers at most, and a reader for one writer. Who is admitted has the lock when it wakes. */
#include "base/spin.h"
#include "runtime/misuse.h"
#include "sync/waiter.h"

#define WRITER 1u
#define WAITERS 2u
#define READER 4u

static uint32_t load(cyg_rwmutex *rw) { return __atomic_load_n(&rw->state, __ATOMIC_RELAXED); }

/* Admits whom the state allows, lets qlock go and wakes them. prefer_readers: a writer has just left. */
static void admit(cyg_rwmutex *rw, bool prefer_readers) {
    struct cyg_claimed in = {NULL, NULL};
    uint32_t s = load(rw); /* WAITERS is set, so it changes by readers that leave alone; a writer that has it stays the writer */
    if (!(s & WRITER) && rw->rwait.head && (prefer_readers || !rw->wwait.head)) {
        uint32_t n = 0;
        for (; rw->rwait.head; n++) waitq_claim(&rw->rwait, &in);
        __atomic_fetch_add(&rw->state, n * READER, __ATOMIC_ACQUIRE);
    } else if (rw->wwait.head) {
        uint32_t alone = WAITERS; /* readers are left: the last of them is on its way here */
        if (__atomic_compare_exchange_n(&rw->state, &alone, WAITERS | WRITER, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            waitq_claim(&rw->wwait, &in);
    }
    if (!rw->rwait.head && !rw->wwait.head) __atomic_fetch_and(&rw->state, ~WAITERS, __ATOMIC_RELAXED);
    cyg_spin_unlock(&rw->qlock);
    cyg_claimed_wake(&in);
}

/* Adds `unit` to the state if no bit of `against` is set; otherwise sets WAITERS. Under qlock. Returns whether it was added. */
static bool take_or_mark(cyg_rwmutex *rw, uint32_t against, uint32_t unit) {
    uint32_t s = load(rw);
    for (;;) {
        bool can = !(s & against);
        uint32_t to = can ? s + unit : s | WAITERS;
        if (__atomic_compare_exchange_n(&rw->state, &s, to, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return can;
    }
}

static int wait_for(cyg_rwmutex *rw, cyg_waitq *q, struct cyg_waiter *w, bool cancellable) {
    waitq_push(q, w);
    int err = cyg_waitq_wait(q, &rw->qlock, w, CYGRT_R_RWMUTEX, rw, 0, cancellable);
    if (err) { /* it may have been what kept others out */
        cyg_spin_lock(&rw->qlock);
        if (load(rw) & WAITERS)
            admit(rw, false);
        else
            cyg_spin_unlock(&rw->qlock);
    }
    return err;
}

int cyg_rwmutex_rlock_slow(cyg_rwmutex *rw, bool cancellable) {
    struct cyg_waiter w = {.g = cyg_need_goroutine("cyg_rwmutex_rlock")};
    cyg_spin_lock(&rw->qlock);
    /* While WAITERS is set somebody stands in a queue; it is cleared with the last of them. */
    if (take_or_mark(rw, WRITER | WAITERS, READER)) {
        cyg_spin_unlock(&rw->qlock);
        return 0;
    }
    return wait_for(rw, &rw->rwait, &w, cancellable);
}

int cyg_rwmutex_lock_slow(cyg_rwmutex *rw, bool cancellable) {
    struct cyg_waiter w = {.g = cyg_need_goroutine("cyg_rwmutex_lock")};
    cyg_spin_lock(&rw->qlock);
    if (take_or_mark(rw, ~0u, WRITER)) {
        cyg_spin_unlock(&rw->qlock);
        return 0;
    }
    return wait_for(rw, &rw->wwait, &w, cancellable);
}

void cyg_rwmutex_runlock_slow(cyg_rwmutex *rw, uint32_t was, const char *file, int line) {
    if (was < READER) cygrt_misuse(file, line, "runlock of an rwmutex at %p that has no reader", (void *)rw);
    cyg_spin_lock(&rw->qlock); /* the last reader, and somebody waits */
    if (load(rw) & WAITERS)
        admit(rw, false);
    else
        cyg_spin_unlock(&rw->qlock);
}

void cyg_rwmutex_unlock_slow(cyg_rwmutex *rw, const char *file, int line) {
    cyg_spin_lock(&rw->qlock);
    uint32_t s = load(rw);
    if (!(s & WRITER)) {
        cyg_spin_unlock(&rw->qlock);
        cygrt_misuse(file, line, "unlock of an rwmutex at %p that has no writer", (void *)rw);
    }
    __atomic_fetch_and(&rw->state, ~WRITER, __ATOMIC_RELEASE);
    admit(rw, true);
}
