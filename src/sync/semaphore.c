/* semaphore.c: units under a spin lock, waiters in order of arrival. Whoever gives units back grants from the head of the queue
 * as far as they reach; a waiter that gives up may have been what the ones behind it waited for. */
#include "base/spin.h"
#include "runtime/misuse.h"
#include "sync/waiter.h"

void cyg_semaphore_init(cyg_semaphore *s, uint64_t n) { *s = (cyg_semaphore)CYG_SEMAPHORE(n); }

/* Lets those go who can have their units. The lock is held on entry and released on return. */
static void grant(cyg_semaphore *s) {
    struct cyg_claimed served = {NULL, NULL};
    for (struct cyg_waiter *w; (w = s->queue.head) && w->units <= s->free;) {
        s->free -= w->units;
        waitq_claim(&s->queue, &served);
    }
    cyg_spin_unlock(&s->qlock);
    cyg_claimed_wake(&served);
}

static bool take(cyg_semaphore *s, uint64_t n) {
    if (s->queue.head || s->free < n) return false;
    s->free -= n;
    return true;
}

int cyg_semaphore_acquire_until(cyg_semaphore *s, uint64_t n, cyg_time deadline) {
    struct cyg_waiter w = {.g = cyg_need_goroutine("cyg_semaphore_acquire"), .units = n};
    if (n > s->size)
        return cygrt_fail(CYG_EINVAL, "semaphore of %llu units, %llu wanted", (unsigned long long)s->size,
                          (unsigned long long)n);
    int err = cygrt_ctx_err(w.g);
    if (err) return err;
    cyg_spin_lock(&s->qlock);
    if (take(s, n)) {
        cyg_spin_unlock(&s->qlock);
        return 0;
    }
    waitq_push(&s->queue, &w);
    err = cyg_waitq_wait(&s->queue, &s->qlock, &w, CYGRT_R_SEMAPHORE, s, deadline, true);
    if (err) {
        cyg_spin_lock(&s->qlock);
        grant(s);
    }
    return err;
}

int cyg_semaphore_acquire(cyg_semaphore *s, uint64_t n) { return cyg_semaphore_acquire_until(s, n, 0); }

bool cyg_semaphore_tryacquire(cyg_semaphore *s, uint64_t n) {
    cyg_spin_lock(&s->qlock);
    bool took = take(s, n);
    cyg_spin_unlock(&s->qlock);
    return took;
}

void cyg_semaphore_release_at(cyg_semaphore *s, uint64_t n, const char *file, int line) {
    cyg_spin_lock(&s->qlock);
    if (n > s->size - s->free) {
        cyg_spin_unlock(&s->qlock);
        cygrt_misuse(file, line, "semaphore at %p: more units given back than were taken", (void *)s);
    }
    s->free += n;
    grant(s);
}

uint64_t cyg_semaphore_available(cyg_semaphore *s) {
    cyg_spin_lock(&s->qlock);
    uint64_t n = s->free;
    cyg_spin_unlock(&s->qlock);
    return n;
}
