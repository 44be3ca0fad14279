/* fdwait.c: cyg_fd_wait: any pollable descriptor, registered for the length of one wait. */
#include "runtime/poller/poller.h"

#include <stdlib.h>

#include "base/fatal.h"
#include "base/spin.h"

/* Poll descriptors for waits: type-stable, since an event may still name one after its wait. A descriptor can stand only once in
 * an epoll set, so two goroutines that wait for the two directions of one share its entry. */
struct waiter_pd {
    struct cygrt_pd pd;
    struct waiter_pd *next;
    int fd;
    unsigned users;
};
static uint32_t lock;                        /* held over epoll_ctl, which does not block */
static struct waiter_pd *active, *free_list; /* guarded by lock */

/* Takes the entry of fd, registering it if nobody else waits for it. 0 or a negative error. */
static int take(int fd, struct waiter_pd **out) {
    int err = 0;
    cyg_spin_lock(&lock);
    struct waiter_pd *w = active;
    while (w && w->fd != fd) w = w->next;
    if (!w) {
        if ((w = free_list))
            free_list = w->next;
        else if (!(w = calloc(1, sizeof *w)))
            err = CYG_ENOMEM;
        if (w && (err = cygrt_pd_register(&w->pd, fd, false)) < 0) {
            w->next = free_list;
            free_list = w;
        } else if (w) {
            w->fd = fd;
            w->users = 0;
            w->next = active;
            active = w;
        }
    }
    if (!err && w->users++ > 0) { /* the edge of what is ready now may have gone by: forget what was, and ask again */
        for (int i = 0; i < 2; i++) {
            uintptr_t ready = CYGRT_PD_READY;
            (void)atomic_compare_exchange_strong(&w->pd.slot[i], &ready, CYGRT_PD_NIL);
        }
        cygrt_poller_rearm(w->pd.home, &w->pd);
    }
    cyg_spin_unlock(&lock);
    *out = w;
    return err;
}

static void leave(struct waiter_pd *w) {
    cyg_spin_lock(&lock);
    if (--w->users == 0) {
        cygrt_pd_unregister(&w->pd, true);
        struct waiter_pd **at = &active;
        while (*at != w) at = &(*at)->next;
        *at = w->next;
        w->next = free_list;
        free_list = w;
    }
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
    atomic_store_explicit(&g->wait_fd, pd->fd, memory_order_relaxed);
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
    struct waiter_pd *w;
    int err = take(fd, &w);
    if (err < 0) return err;
    if (events == both) {
        err = wait_both(&w->pd, deadline);
    } else {
        enum cygrt_mode mode = events == CYG_READABLE ? CYGRT_READ : CYGRT_WRITE;
        cygrt_pd_set_deadline(&w->pd, mode, deadline);
        err = cygrt_pd_wait(&w->pd, mode);
        if (err == 0) err = events;
    }
    leave(w);
    return err;
}
