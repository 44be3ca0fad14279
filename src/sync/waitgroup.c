/* waitgroup.c: additions are atomic; whoever takes away does it under qlock, and wakes the waiters when that makes zero. */
#include "base/spin.h"
#include "runtime/misuse.h"
#include "sync/waiter.h"

#define BATCH 16

/* Everything under qlock, which each waiter takes once more before it returns: after that the waitgroup may be gone. So who is
 * to be woken is collected first, and after the unlock nothing of the waitgroup is touched; if there are too many for one round,
 * `waking` keeps those who return meanwhile. */
static void take_away(cyg_waitgroup *wg, int64_t n, const char *file, int line) {
    struct g *gs[BATCH];
    cyg_spin_lock(&wg->qlock);
    int64_t now = __atomic_add_fetch(&wg->count, n, __ATOMIC_ACQ_REL);
    if (now < 0) {
        cyg_spin_unlock(&wg->qlock);
        cygrt_misuse(file, line, "waitgroup at %p: negative count", (void *)wg);
    }
    for (bool more = now == 0 && wg->queue.head; more;) {
        unsigned k = 0;
        while (k < BATCH && (gs[k] = waitq_grant(&wg->queue))) k++;
        more = wg->queue.head != NULL;
        wg->waking = more;
        cyg_spin_unlock(&wg->qlock);
        for (unsigned i = 0; i < k; i++) cygrt_unpark(gs[i]);
        if (!more) return;
        cyg_spin_lock(&wg->qlock);
        more = wg->queue.head != NULL;
        wg->waking = more;
    }
    cyg_spin_unlock(&wg->qlock);
}

void cyg_waitgroup_add_at(cyg_waitgroup *wg, int64_t n, const char *file, int line) {
    if (n >= 0)
        __atomic_fetch_add(&wg->count, n, __ATOMIC_RELAXED);
    else
        take_away(wg, n, file, line);
}

/* Whoever granted, or grants others, has left. */
static void until_quiet(cyg_waitgroup *wg) {
    for (;;) {
        cyg_spin_lock(&wg->qlock);
        bool waking = wg->waking;
        cyg_spin_unlock(&wg->qlock);
        if (!waking) return;
        cyg_yield();
    }
}

int cyg_waitgroup_wait_until(cyg_waitgroup *wg, cyg_time deadline) {
    struct cyg_waiter w = {.g = cyg_need_goroutine("cyg_waitgroup_wait")};
    cyg_spin_lock(&wg->qlock);
    if (__atomic_load_n(&wg->count, __ATOMIC_ACQUIRE) == 0) {
        cyg_spin_unlock(&wg->qlock);
        until_quiet(wg);
        return 0;
    }
    waitq_push(&wg->queue, &w);
    int err = cyg_waitq_wait(&wg->queue, &wg->qlock, &w, CYGRT_R_WAITGROUP, wg, deadline, true);
    until_quiet(wg);
    return err;
}

int cyg_waitgroup_wait(cyg_waitgroup *wg) { return cyg_waitgroup_wait_until(wg, 0); }
