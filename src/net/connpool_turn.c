/* connpool_turn.c: places for connections, and the queue of those who wait for a turn, first come first served. */
#include "base/spin.h"
#include "net/connpool.h"
#include "runtime/profile.h"

/* A caller that waits: on its goroutine's stack. What it got is written before it is granted. */
struct pool_turn {
    struct cyg_waiter w; /* first */
    struct pooled *pc;   /* NULL: a place, or err */
    int err;
};

/* ---- places ------------------------------------------------------------------------------------------------------ */

bool pool_place_take(cyg_connpool *p) {
    uint64_t n = __atomic_load_n(&p->open, __ATOMIC_SEQ_CST);
    while (n < p->opts.max_open)
        if (__atomic_compare_exchange_n(&p->open, &n, n + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return true;
    return false;
}

static void wake_ends(cyg_connpool *p) {
    struct cyg_claimed all = {NULL, NULL};
    cyg_spin_lock(&p->lock);
    while (p->ends.head) waitq_claim(&p->ends, &all);
    cyg_spin_unlock(&p->lock);
    cyg_claimed_wake(&all);
}

static void place_uncount(cyg_connpool *p) {
    if (__atomic_sub_fetch(&p->open, 1, __ATOMIC_SEQ_CST) == 0 && pool_closed(p)) wake_ends(p);
}

void pool_place_free(cyg_connpool *p) {
    place_uncount(p);
    if (CYG_UNLIKELY(pool_has_waiters(p))) pool_feed(p);
    pool_warm_check(p);
}

/* ---- turns ------------------------------------------------------------------------------------------------------- */

bool pool_turn_give(cyg_connpool *p, struct pooled *pc) {
    struct g *g = NULL;
    cyg_spin_lock(&p->lock);
    struct pool_turn *t = (struct pool_turn *)p->turns.head;
    if (t) {
        t->pc = pc;
        g = waitq_grant(&p->turns);
        __atomic_sub_fetch(&p->nwaiters, 1, __ATOMIC_SEQ_CST);
    }
    cyg_spin_unlock(&p->lock);
    if (g) cygrt_unpark(g);
    return g != NULL;
}

static bool queue_empty(cyg_connpool *p) {
    cyg_spin_lock(&p->lock);
    bool empty = !p->turns.head;
    cyg_spin_unlock(&p->lock);
    return empty;
}

/* What is taken for a waiter that has gone meanwhile is given back before the queue is looked at once more: who came to stand
 * in it since has looked for himself after that, or is seen. */
void pool_feed(cyg_connpool *p) {
    while (pool_has_waiters(p)) {
        struct pooled *pc = pool_slots_take(p);
        if (!pc && !pool_place_take(p)) return;
        if (pool_turn_give(p, pc)) continue;
        if (pc)
            pool_keep(pc);
        else
            place_uncount(p);
        if (queue_empty(p)) return;
    }
}

/* 0: it stands in the queue, and the lock is held. */
static int queue_up(cyg_connpool *p, struct pool_turn *t) {
    cyg_spin_lock(&p->lock);
    int err = pool_closed(p) ? CYG_ECLOSED : 0;
    if (err == 0 && __atomic_load_n(&p->nwaiters, __ATOMIC_RELAXED) >= p->opts.max_waiters) {
        pool_count(&p->refused);
        err = CYG_ELIMIT;
    }
    if (err == 0) {
        waitq_push(&p->turns, &t->w);
        __atomic_add_fetch(&p->nwaiters, 1, __ATOMIC_SEQ_CST);
    }
    cyg_spin_unlock(&p->lock);
    if (err == CYG_ELIMIT)
        (void)cygrt_fail(err, "pool \"%s\": %zu callers wait already (max_waiters)", p->name, p->opts.max_waiters);
    return err;
}

int pool_turn_wait(cyg_connpool *p, cyg_time deadline, struct pooled **out) {
    struct pool_turn t = {.w.g = cyg_need_goroutine("cyg_connpool_get")};
    int err = queue_up(p, &t);
    if (err < 0) return err;
    t.w.since = cyg_now();
    pool_feed(p); /* what came free before we stood there */
    t.w.g->wait_name = p->name;
    cyg_spin_lock(&p->lock);
    err = cyg_waitq_wait(&p->turns, &p->lock, &t.w, CYGRT_R_CONNPOOL, p, deadline, true);
    if (err < 0)
        __atomic_sub_fetch(&p->nwaiters, 1, __ATOMIC_SEQ_CST); /* too many for a moment: somebody looks in vain */
    else
        err = t.err;
    cygrt_contended(t.w.since, CYGRT_R_CONNPOOL);
    pool_count_wait(p, cyg_now() - t.w.since, err);
    if (err == CYG_ETIMEDOUT)
        (void)cygrt_fail(err, "pool \"%s\": no turn in time, %zu are open", p->name, p->opts.max_open);
    *out = t.pc;
    return err;
}

void pool_wake_all(cyg_connpool *p) {
    struct cyg_claimed all = {NULL, NULL};
    cyg_spin_lock(&p->lock);
    while (p->turns.head) {
        ((struct pool_turn *)p->turns.head)->err = CYG_ECLOSED;
        waitq_claim(&p->turns, &all);
        __atomic_sub_fetch(&p->nwaiters, 1, __ATOMIC_SEQ_CST);
    }
    cyg_spin_unlock(&p->lock);
    cyg_claimed_wake(&all);
    wake_ends(p);
}

int pool_end_wait(cyg_connpool *p, bool (*done)(const cyg_connpool *p), cyg_time deadline, bool cancellable) {
    for (;;) {
        struct cyg_waiter w = {.g = cyg_need_goroutine("cyg_connpool_drain")};
        w.g->wait_name = p->name;
        cyg_spin_lock(&p->lock);
        if (done(p)) {
            cyg_spin_unlock(&p->lock);
            return 0;
        }
        waitq_push(&p->ends, &w);
        int err = cyg_waitq_wait(&p->ends, &p->lock, &w, CYGRT_R_CONNPOOL, p, deadline, cancellable);
        if (err < 0) return err;
    }
}
