/* waitgroup.c: additions are atomic; whoever takes away does it under qlock and, when that makes zero, claims all waiters. They
 * are let go when the waitgroup has been touched for the last time: then it may be gone. */
#include "base/spin.h"
#include "runtime/misuse.h"
#include "sync/waiter.h"

void cyg_waitgroup_add_at(cyg_waitgroup *wg, int64_t n, const char *file, int line) {
    if (n >= 0) {
        __atomic_fetch_add(&wg->count, n, __ATOMIC_RELAXED);
        return;
    }
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
    cyg_spin_lock(&wg->qlock); /* also when the count is 0: whoever made it so has left then */
    if (__atomic_load_n(&wg->count, __ATOMIC_ACQUIRE) == 0) {
        cyg_spin_unlock(&wg->qlock);
        return 0;
    }
    waitq_push(&wg->queue, &w);
    return cyg_waitq_wait(&wg->queue, &wg->qlock, &w, CYGRT_R_WAITGROUP, wg, deadline, true);
}

int cyg_waitgroup_wait(cyg_waitgroup *wg) { return cyg_waitgroup_wait_until(wg, 0); }
