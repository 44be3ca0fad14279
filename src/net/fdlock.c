/* fdlock.c: what fdlocks do when somebody else is there; see internal.h. */
#include "net/internal.h"

#include "base/fatal.h"
#include "base/spin.h"

static __attribute__((noreturn)) void too_many(void) { cyg_fatal("more than a million goroutines use one connection"); }

/* A waiter that leaves: one fewer is to be woken. If all have been counted out already, a wake-up is on its way that nobody needs: it
 * stays as a pass, and the next to wait looks once more than it must. */
static void forget_waiter(struct fdlock *l, enum fd_side side) {
    uint64_t old = atomic_load_explicit(&l->word, memory_order_relaxed);
    while ((old & FDLOCK_WAITERS(side)) &&
           !atomic_compare_exchange_weak_explicit(&l->word, &old, old - FDLOCK_WAITER(side), memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

/* 0, or the error of the goroutine's context. */
static int sleep_for_side(struct fdlock *l, enum fd_side side) {
    struct cyg_waiter w = {.g = cyg_need_goroutine("a call on a connection")};
    cyg_spin_lock(&l->qlock);
    if (l->passes[side]) {
        l->passes[side]--;
        cyg_spin_unlock(&l->qlock);
        return 0;
    }
    waitq_push(&l->queue[side], &w);
    int err = cyg_waitq_wait(&l->queue[side], &l->qlock, &w, CYGRT_R_FDMUTEX, l, 0, true);
    if (err) forget_waiter(l, side);
    return err;
}

static void wake_side(struct fdlock *l, enum fd_side side) {
    cyg_spin_lock(&l->qlock);
    struct g *g = waitq_grant(&l->queue[side]);
    if (!g) l->passes[side]++;
    cyg_spin_unlock(&l->qlock);
    if (g) cygrt_unpark(g);
}

int fdlock_acquire_slow(struct fdlock *l, enum fd_side side) {
    uint64_t old = atomic_load_explicit(&l->word, memory_order_relaxed);
    for (;;) {
        if (old & FDLOCK_CLOSED) return CYG_ECLOSED;
        bool take = !(old & FDLOCK_LOCKED(side));
        uint64_t now = take ? (old | FDLOCK_LOCKED(side)) + FDLOCK_USER : old + FDLOCK_WAITER(side);
        if ((take && (old & FDLOCK_USERS) == FDLOCK_USERS) ||
            (!take && (old & FDLOCK_WAITERS(side)) == FDLOCK_WAITERS(side)))
            too_many();
        if (!atomic_compare_exchange_weak_explicit(&l->word, &old, now, memory_order_acquire, memory_order_relaxed))
            continue;
        if (take) return 0;
        int err = sleep_for_side(l, side);
        if (err) return err;
        old = atomic_load_explicit(&l->word, memory_order_relaxed);
    }
}

bool fdlock_release_slow(struct fdlock *l, enum fd_side side) {
    uint64_t old = atomic_load_explicit(&l->word, memory_order_relaxed);
    for (;;) {
        CYG_ASSERT((old & FDLOCK_LOCKED(side)) && (old & FDLOCK_USERS));
        uint64_t now = (old & ~FDLOCK_LOCKED(side)) - FDLOCK_USER;
        bool wake = (old & FDLOCK_WAITERS(side)) != 0;
        if (wake) now -= FDLOCK_WAITER(side);
        if (!atomic_compare_exchange_weak_explicit(&l->word, &old, now, memory_order_acq_rel, memory_order_relaxed))
            continue;
        if (wake) wake_side(l, side);
        return (now & (FDLOCK_CLOSED | FDLOCK_USERS)) == FDLOCK_CLOSED;
    }
}

int fdlock_use(struct fdlock *l) {
    uint64_t old = atomic_load_explicit(&l->word, memory_order_relaxed);
    for (;;) {
        if (old & FDLOCK_CLOSED) return CYG_ECLOSED;
        if ((old & FDLOCK_USERS) == FDLOCK_USERS) too_many();
        if (atomic_compare_exchange_weak_explicit(&l->word, &old, old + FDLOCK_USER, memory_order_acquire,
                                                  memory_order_relaxed))
            return 0;
    }
}

bool fdlock_unuse(struct fdlock *l) {
    uint64_t now = atomic_fetch_sub_explicit(&l->word, FDLOCK_USER, memory_order_acq_rel) - FDLOCK_USER;
    return (now & (FDLOCK_CLOSED | FDLOCK_USERS)) == FDLOCK_CLOSED;
}

int fdlock_close(struct fdlock *l) {
    uint64_t old = atomic_load_explicit(&l->word, memory_order_relaxed), now;
    do {
        if (old & FDLOCK_CLOSED) return CYG_ECLOSED;
        if ((old & FDLOCK_USERS) == FDLOCK_USERS) too_many();
        now = ((old | FDLOCK_CLOSED) + FDLOCK_USER) & ~(FDLOCK_WAITERS(FD_READ) | FDLOCK_WAITERS(FD_WRITE));
    } while (!atomic_compare_exchange_weak_explicit(&l->word, &old, now, memory_order_acq_rel, memory_order_relaxed));
    for (int side = 0; side < 2; side++)
        for (uint64_t n = (old & FDLOCK_WAITERS(side)) >> (23 + 20 * side); n > 0; n--)
            wake_side(l, (enum fd_side)side);
    return 0;
}
