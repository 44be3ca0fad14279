/* cond.c: a waiter enters the queue before it unlocks the mutex, so no signal sent under the mutex is missed. */
#include "base/spin.h"
#include "sync/waiter.h"

int cyg_cond_wait_until(cyg_cond *c, cyg_mutex *m, cyg_time deadline) {
    struct cyg_waiter w = {.g = cyg_need_goroutine("cyg_cond_wait")};
    cyg_spin_lock(&c->qlock);
    waitq_push(&c->queue, &w);
    __atomic_fetch_add(&c->nwait, 1, __ATOMIC_SEQ_CST);
    cyg_spin_unlock(&c->qlock);
    cyg_mutex_unlock(m);
    cyg_spin_lock(&c->qlock);
    int err = cyg_waitq_wait(&c->queue, &c->qlock, &w, CYGRT_R_COND, c, deadline, true);
    if (err) __atomic_fetch_sub(&c->nwait, 1, __ATOMIC_SEQ_CST);
    cyg_mutex_lock(m);
    return err;
}

int cyg_cond_wait(cyg_cond *c, cyg_mutex *m) { return cyg_cond_wait_until(c, m, 0); }

void cyg_cond_signal(cyg_cond *c) {
    if (__atomic_load_n(&c->nwait, __ATOMIC_SEQ_CST) == 0) return;
    cyg_spin_lock(&c->qlock);
    struct g *g = waitq_grant(&c->queue);
    if (g) __atomic_fetch_sub(&c->nwait, 1, __ATOMIC_SEQ_CST);
    cyg_spin_unlock(&c->qlock);
    if (g) cygrt_unpark(g);
}

void cyg_cond_broadcast(cyg_cond *c) {
    if (__atomic_load_n(&c->nwait, __ATOMIC_SEQ_CST) == 0) return;
    struct cyg_claimed all = {NULL, NULL};
    cyg_spin_lock(&c->qlock);
    uint32_t n = 0;
    for (; c->queue.head; n++) waitq_claim(&c->queue, &all);
    __atomic_fetch_sub(&c->nwait, n, __ATOMIC_SEQ_CST);
    cyg_spin_unlock(&c->qlock);
    cyg_claimed_wake(&all);
}
