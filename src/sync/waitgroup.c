/* waitgroup.c: count changes are atomic; whoever brings it to zero wakes all waiters under qlock. */
#include "base/fatal.h"
#include "base/spin.h"
#include "sync/waiter.h"

static void wake_all(cyg_waitgroup *wg) {
    for (;;) {
        cyg_spin_lock(&wg->qlock);
        struct g *g = waitq_grant(&wg->queue);
        bool more = wg->queue.head != NULL;
        cyg_spin_unlock(&wg->qlock); /* after the last one the waitgroup may be gone */
        if (g) cygrt_unpark(g);
        if (!more) return;
    }
}

void cyg_waitgroup_add(cyg_waitgroup *wg, int64_t n) {
    if (n < 0) {
        /* The last done must not touch wg after a waiter has seen zero, unless that waiter queues: it takes qlock. */
        cyg_spin_lock(&wg->qlock);
        int64_t now = __atomic_add_fetch(&wg->count, n, __ATOMIC_ACQ_REL);
        if (now < 0) cyg_fatal("waitgroup at %p: negative count", (void *)wg);
        bool wake = now == 0 && wg->queue.head;
        cyg_spin_unlock(&wg->qlock);
        if (wake) wake_all(wg);
        return;
    }
    __atomic_fetch_add(&wg->count, n, __ATOMIC_RELAXED);
}

void cyg_waitgroup_done(cyg_waitgroup *wg) { cyg_waitgroup_add(wg, -1); }

int cyg_waitgroup_wait_until(cyg_waitgroup *wg, cyg_time deadline) {
    struct cyg_waiter w = {.g = cyg_need_goroutine("cyg_waitgroup_wait")};
    cyg_spin_lock(&wg->qlock);
    if (__atomic_load_n(&wg->count, __ATOMIC_ACQUIRE) == 0) {
        cyg_spin_unlock(&wg->qlock);
        return 0;
    }
    waitq_push(&wg->queue, &w);
    return cyg_waitq_wait(&wg->queue, &wg->qlock, &w, CYGRT_R_WAITGROUP, wg, deadline, true);
}

int cyg_waitgroup_wait(cyg_waitgroup *wg) { return cyg_waitgroup_wait_until(wg, 0); }
