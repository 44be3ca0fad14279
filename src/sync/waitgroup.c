/* waitgroup.c: count changes are atomic; whoever makes zero does so under qlock, and claims all waiters there. They are let go when
 * the waitgroup has been touched for the last time: then it may be gone. Those before need no lock: they do not look at the
 * waitgroup after their change. */
#include "base/spin.h"
#include "runtime/misuse.h"
#include "sync/waiter.h"

void cyg_waitgroup_add_at(cyg_waitgroup *wg, int64_t n, const char *file, int line) {
    if (n >= 0) {
        __atomic_fetch_add(&wg->count, n, __ATOMIC_RELAXED);
        return;
    }
    int64_t was = __atomic_load_n(&wg->count, __ATOMIC_RELAXED);
    while (was + n > 0) /* release: who finds zero has seen what was done before each change */
        if (__atomic_compare_exchange_n(&wg->count, &was, was + n, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) return;
    struct cyg_claimed all = {NULL, NULL};
    cyg_spin_lock(&wg->qlock);
    int64_t now = __atomic_add_fetch(&wg->count, n, __ATOMIC_ACQ_REL);
    while (now == 0 && wg->queue.head) waitq_claim(&wg->queue, &all);
    cyg_spin_unlock(&wg->qlock);
    if (now < 0) cygrt_misuse(file, line, "waitgroup at %p: negative count", (void *)wg);
    cyg_claimed_wake(&all);
}

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
    return cyg_waitq_wait(&wg->queue, &wg->qlock, &w, CYGRT_R_WAITGROUP, wg, deadline, true);
}

int cyg_waitgroup_wait(cyg_waitgroup *wg) { return cyg_waitgroup_wait_until(wg, 0); }
