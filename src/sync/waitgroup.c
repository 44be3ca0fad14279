/* waitgroup.c: count changes are atomic; whoever brings it to zero does so, and wakes all waiters, under qlock. Those before him
 * need no lock: they do not look at the waitgroup after their change. */
#include "base/fatal.h"
#include "base/spin.h"
#include "sync/waiter.h"

void cyg_waitgroup_add(cyg_waitgroup *wg, int64_t n) {
    if (n >= 0) {
        __atomic_fetch_add(&wg->count, n, __ATOMIC_RELAXED);
        return;
    }
    int64_t was = __atomic_load_n(&wg->count, __ATOMIC_RELAXED);
    while (was + n > 0) /* release: who finds zero has seen what was done before each change */
        if (__atomic_compare_exchange_n(&wg->count, &was, was + n, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) return;
    /* The last: everything under qlock, which each waiter takes once more before it returns: after that the waitgroup may be gone. */
    cyg_spin_lock(&wg->qlock);
    int64_t now = __atomic_add_fetch(&wg->count, n, __ATOMIC_ACQ_REL);
    if (now < 0) cyg_fatal("waitgroup at %p: negative count", (void *)wg);
    for (struct g *g; now == 0 && (g = waitq_grant(&wg->queue));) cygrt_unpark(g);
    cyg_spin_unlock(&wg->qlock);
}

void cyg_waitgroup_done(cyg_waitgroup *wg) { cyg_waitgroup_add(wg, -1); }

int cyg_waitgroup_wait_until(cyg_waitgroup *wg, cyg_time deadline) {
    struct cyg_waiter w = {.g = cyg_need_goroutine("cyg_waitgroup_wait")};
    /* Zero, and the lock free afterwards: whoever made it zero has left. */
    if (__atomic_load_n(&wg->count, __ATOMIC_ACQUIRE) == 0 && __atomic_load_n(&wg->qlock, __ATOMIC_ACQUIRE) == 0)
        return 0;
    cyg_spin_lock(&wg->qlock);
    if (__atomic_load_n(&wg->count, __ATOMIC_ACQUIRE) == 0) {
        cyg_spin_unlock(&wg->qlock);
        return 0;
    }
    waitq_push(&wg->queue, &w);
    int err = cyg_waitq_wait(&wg->queue, &wg->qlock, &w, CYGRT_R_WAITGROUP, wg, deadline, true);
    if (err == 0) {
        cyg_spin_lock(&wg->qlock); /* whoever granted has left */
        cyg_spin_unlock(&wg->qlock);
    }
    return err;
}

int cyg_waitgroup_wait(cyg_waitgroup *wg) { return cyg_waitgroup_wait_until(wg, 0); }
