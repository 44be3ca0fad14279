/* fdwait.c: cyg_fd_wait: any pollable descriptor, registered for the length of one wait. */
#include "runtime/poller/poller.h"

#include <stdlib.h>
#include <string.h>

#include "base/fatal.h"
#include "base/spin.h"

/* Poll descriptors for waits: type-stable, since an event may still name one after its wait. */
struct waiter_pd {
    struct cygrt_pd pd;
    struct waiter_pd *next;
};
static uint32_t lock;
static struct waiter_pd *free_list; /* guarded by lock */

static struct waiter_pd *get(void) {
    cyg_spin_lock(&lock);
    struct waiter_pd *w = free_list;
    if (w) free_list = w->next;
    cyg_spin_unlock(&lock);
    return w ? w : calloc(1, sizeof *w);
}

static void put(struct waiter_pd *w) {
    cyg_spin_lock(&lock);
    w->next = free_list;
    free_list = w;
    cyg_spin_unlock(&lock);
}

static cyg_time fire_unpark(struct cygrt_timer *t, cyg_time now);
struct both_timer {
    struct cygrt_timer t;
    struct g *g;
};
static cyg_time fire_unpark(struct cygrt_timer *t, cyg_time now) {
    (void)now;
    cygrt_unpark(((struct both_timer *)t)->g);
    return 0;
}

/* Both directions: parks until either slot is READY. The slots hold this goroutine meanwhile. */
static int wait_both(struct cygrt_pd *pd, cyg_time deadline) {
    struct g *g = cygrt_g();
    struct both_timer bt = {.t = {.fire = fire_unpark}, .g = g};
    if (deadline) cygrt_timer_arm(&bt.t, deadline);
    int got = 0, err = 0;
    while (!got && !(err = cygrt_pd_check(pd, CYGRT_READ))) {
        cygrt_prepare(g);
        bool park = true;
        for (int i = 0; i < 2; i++) {
            uintptr_t nil = CYGRT_PD_NIL;
            if (!atomic_compare_exchange_strong(&pd->slot[i], &nil, (uintptr_t)g)) park = false;
        }
        if (deadline && cyg_now() >= deadline) park = false;
        if (park && !cygrt_ctx_err(g))
            cygrt_park(g, CYGRT_R_READ, pd);
        else
            cygrt_cancel_prepare(g);
        for (int i = 0; i < 2; i++) { /* still ours: nothing happened there */
            uintptr_t me = (uintptr_t)g;
            if (!atomic_compare_exchange_strong(&pd->slot[i], &me, CYGRT_PD_NIL))
                got |= i == CYGRT_READ ? CYG_READABLE : CYG_WRITABLE;
        }
        if (!got && deadline && cyg_now() >= deadline) {
            err = CYG_ETIMEDOUT;
            break;
        }
    }
    cygrt_timer_stop(&bt.t);
    return got ? got : err;
}

int cyg_fd_wait(int fd, int events, cyg_time deadline) {
    int both = CYG_READABLE | CYG_WRITABLE;
    if (!(events & both) || (events & ~both)) return cygrt_fail(CYG_EINVAL, "events is %d", events);
    if (!cygrt_g()) cyg_fatal("cyg_fd_wait outside a goroutine");
    struct waiter_pd *w = get();
    if (!w) return CYG_ENOMEM;
    int err = cygrt_pd_register(&w->pd, fd, false);
    if (err < 0) {
        put(w);
        return err;
    }
    if (events == both) {
        err = wait_both(&w->pd, deadline);
    } else {
        enum cygrt_mode mode = events == CYG_READABLE ? CYGRT_READ : CYGRT_WRITE;
        cygrt_pd_set_deadline(&w->pd, mode, deadline);
        err = cygrt_pd_wait(&w->pd, mode);
        if (err == 0) err = events;
    }
    cygrt_pd_unregister(&w->pd, true);
    put(w);
    return err;
}
