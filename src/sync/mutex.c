/* mutex.c: state bit 0: the queue is not empty; bit 1: a waiter has been woken and has not tried yet; the bits above: 0 if the lock is
 * free. Normally an unlock frees the lock and wakes the first waiter, which competes with newcomers and goes back to the front
 * if it loses; while one is on its way no other is woken, or each turn of a goroutine that locks again and again would wake
 * one for nothing. A waiter that has waited STARVING gets the lock handed over, still locked.
 *
 * Whoever takes the lock subtracts 1 from the upper bits, which makes them all ones, and the borrow says that it was free. Who fails
 * has subtracted 1 from a lock that is held: it stays held, but its holder's unlock goes the slow way. Every one who fails comes by
 * take or must_wait before it does anything else, and those set all the bits again, so there are never more marks than threads. */
#include "base/fatal.h"
#include "base/spin.h"
#include "runtime/misuse.h"
#include "runtime/profile.h"
#include "runtime/queue.h"
#include "sync/waiter.h"

#define WAITERS 1u
#define WOKEN 2u
#define LOCKED (~3u) /* held, and nobody has failed since; any other value of these bits but 0: held */
#define STARVING (1 * CYG_MILLISECOND)
#define SPINS 30 /* looks at a lock held by another P before parking */

/* Takes the lock if it is free; woken: WOKEN if the caller is the one it stands for, else 0. */
static bool take(cyg_mutex *m, uint32_t woken) {
    uint32_t s = __atomic_load_n(&m->state, __ATOMIC_RELAXED);
    while (!(s & LOCKED))
        if (__atomic_compare_exchange_n(&m->state, &s, (s | LOCKED) & ~woken, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return true;
    return false;
}

/* Sets WAITERS while the lock is held by somebody, and clears the marks of those who failed; false: it became free and is ours now.
 * Either way woken is cleared. */
static bool must_wait(cyg_mutex *m, uint32_t woken) {
    uint32_t s = __atomic_load_n(&m->state, __ATOMIC_RELAXED);
    for (;;) {
        uint32_t to = (s | LOCKED | (s & LOCKED ? WAITERS : 0)) & ~woken;
        if (__atomic_compare_exchange_n(&m->state, &s, to, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return s & LOCKED;
    }
}

/* Whether to look at the lock for a while before parking: its holder may run beside us, and nobody waits for this P: least of all
 * the holder itself, to whom the lock was handed over a moment ago. */
static bool worth_spinning(void) {
    if (cyg_procs() == 1) return false;
    struct m *m = cygrt_m();
    struct p *p = m ? m->p : NULL;
    return !p || (cygrt_queue_len(p) == 0 && !atomic_load_explicit(&p->next_slot, memory_order_relaxed));
}

static int lock_slow(cyg_mutex *m, bool cancellable) {
    if (take(m, 0)) return 0; /* free again */
    if (worth_spinning())
        for (int i = 0; i < SPINS; i++) {
            cyg_cpu_relax();
            if (take(m, 0)) return 0;
        }
    struct g *g = cyg_need_goroutine("cyg_mutex_lock");
    struct cyg_waiter w = {.g = g, .since = cyg_now()};
    for (uint32_t woken = 0;; woken = WOKEN) {
        if (take(m, woken)) {
            if (woken) cygrt_contended(w.since, CYGRT_R_MUTEX);
            return 0;
        }
        cyg_spin_lock(&m->qlock);
        if (!must_wait(m, woken)) {
            cyg_spin_unlock(&m->qlock);
            if (woken) cygrt_contended(w.since, CYGRT_R_MUTEX);
            return 0;
        }
        atomic_store_explicit(&w.granted, WAITER_NO, memory_order_relaxed);
        if (woken)
            waitq_push_front(&m->queue, &w);
        else
            waitq_push(&m->queue, &w);
        int err = cyg_waitq_wait(&m->queue, &m->qlock, &w, CYGRT_R_MUTEX, m, 0, cancellable);
        if (err) return err; /* WAITERS may be left set: an unlock finds an empty queue and clears it */
        if (atomic_load_explicit(&w.granted, memory_order_relaxed) == WAITER_HANDED) {
            cygrt_contended(w.since, CYGRT_R_MUTEX);
            return 0;
        }
    }
}

void cyg_mutex_lock_slow(cyg_mutex *m) { (void)lock_slow(m, false); }

int cyg_mutex_lock_ctx(cyg_mutex *m) { return cyg_mutex_enter(m) ? 0 : lock_slow(m, true); }

/* Without the queue's lock: nobody waits, or one is on its way, who will see the lock free or has yet to clear WOKEN. */
static bool let_go(cyg_mutex *m) {
    uint32_t s = __atomic_load_n(&m->state, __ATOMIC_RELAXED);
    while ((s & LOCKED) && (s & (WAITERS | WOKEN)) != WAITERS)
        if (__atomic_compare_exchange_n(&m->state, &s, s & ~LOCKED, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            return true;
    return false;
}

/* Frees the lock for the first waiter, which is woken, or hands it over. False: those who waited have given up, and WAITERS is
 * cleared; the lock is held still, because whoever takes it next may free the mutex, qlock and all. */
static bool pass_on(cyg_mutex *m, const char *file, int line) {
    cyg_spin_lock(&m->qlock);
    if (!(__atomic_load_n(&m->state, __ATOMIC_RELAXED) & LOCKED)) {
        cyg_spin_unlock(&m->qlock);
        cygrt_misuse(file, line, "unlock of an unlocked mutex at %p", (void *)m);
    }
    struct cyg_waiter *w = m->queue.head;
    struct g *g = w ? w->g : NULL;
    bool hand_over = w && cyg_now() - w->since >= STARVING;
    if (w) waitq_remove(&m->queue, w);
    uint32_t rest = m->queue.head ? WAITERS : 0;
    /* Nobody but us clears LOCKED or sets WOKEN, and while it is locked WAITERS changes only under qlock. */
    __atomic_store_n(&m->state, (hand_over || !w ? LOCKED : WOKEN) | rest, __ATOMIC_RELEASE);
    if (w) atomic_store_explicit(&w->granted, hand_over ? WAITER_HANDED : WAITER_GRANTED, memory_order_release);
    cyg_spin_unlock(&m->qlock);
    if (g) cygrt_unpark(g);
    return w;
}

void cyg_mutex_unlock_slow(cyg_mutex *m, const char *file, int line) {
    while (!let_go(m) && !pass_on(m, file, line)) continue;
}
