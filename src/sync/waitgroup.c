/* waitgroup.c: state is twice the count, and 1 while somebody may wait. Changes are atomic. Who makes the count zero while nobody waits
 * has not touched the waitgroup since: it may be gone. While somebody waits that is done under qlock, and all waiters are claimed
 * there; they are let go when the waitgroup has been touched for the last time. WAITERS is set and cleared under qlock. */
#include "base/spin.h"
#include "runtime/misuse.h"
#include "sync/waiter.h"

#define WAITERS 1
#define ONE 2

/* Release, and acquire even if it fails: who finds zero has seen what was done before each change. */
static bool change(cyg_waitgroup *wg, int64_t *was, int64_t to) {
    return __atomic_compare_exchange_n(&wg->state, was, to, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static CYG_COLD void negative(cyg_waitgroup *wg, const char *file, int line) {
    cygrt_misuse(file, line, "waitgroup at %p: negative count", (void *)wg);
}

void cyg_waitgroup_add_at(cyg_waitgroup *wg, int64_t n, const char *file, int line) {
    if (n >= 0) {
        __atomic_fetch_add(&wg->state, n * ONE, __ATOMIC_RELAXED);
        return;
    }
    int64_t was = __atomic_load_n(&wg->state, __ATOMIC_RELAXED), to;
    while ((to = was + n * ONE) == 0 || to > WAITERS)
        if (change(wg, &was, to)) return;
    struct cyg_claimed all = {NULL, NULL};
    cyg_spin_lock(&wg->qlock);
    do {
        was = __atomic_load_n(&wg->state, __ATOMIC_RELAXED);
        to = was + n * ONE;
        if (to < 0) negative(wg, file, line);
    } while (!change(wg, &was, to == WAITERS ? 0 : to));
    while (to == WAITERS && wg->queue.head) waitq_claim(&wg->queue, &all);
    cyg_spin_unlock(&wg->qlock);
    cyg_claimed_wake(&all);
}

/* Under qlock. False: the count is zero. */
static bool must_wait(cyg_waitgroup *wg) {
    int64_t was = __atomic_load_n(&wg->state, __ATOMIC_ACQUIRE);
    while (was >= ONE)
        if (change(wg, &was, was | WAITERS)) return true;
    return false;
}

static int wait_slow(cyg_waitgroup *wg, struct g *g, cyg_time deadline) {
    struct cyg_waiter w = {.g = g};
    cyg_spin_lock(&wg->qlock);
    if (!must_wait(wg)) {
        cyg_spin_unlock(&wg->qlock);
        return 0;
    }
    waitq_push(&wg->queue, &w);
    return cyg_waitq_wait(&wg->queue, &wg->qlock, &w, CYGRT_R_WAITGROUP, wg, deadline, true);
}

int cyg_waitgroup_wait_until(cyg_waitgroup *wg, cyg_time deadline) {
    struct g *g = cyg_need_goroutine("cyg_waitgroup_wait");
    /* Zero, and the lock free afterwards: whoever made it zero has left. */
    bool over = __atomic_load_n(&wg->state, __ATOMIC_ACQUIRE) < ONE && __atomic_load_n(&wg->qlock, __ATOMIC_ACQUIRE) == 0;
    return over ? 0 : wait_slow(wg, g, deadline);
}

int cyg_waitgroup_wait(cyg_waitgroup *wg) { return cyg_waitgroup_wait_until(wg, 0); }
