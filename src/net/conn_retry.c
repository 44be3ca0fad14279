/* conn_retry.c: an operation on a connection, tried until it need not wait. Streams have their own loops in conn.c, which know from
 * a short read that the next would find nothing; messages and pipes learn it only by trying. */
#include <errno.h>

#include "net/internal.h"

static int nap(struct conn *c, enum cygrt_mode mode) {
    int err = cyg_sleep(CYG_MILLISECOND);
    return err ? err : cygrt_pd_check(&c->pd, mode);
}

static ssize_t try_reading(struct conn *c, conn_try *fn, void *arg) {
    struct cygrt_pd *pd = &c->pd;
    for (;;) {
        uint32_t events = atomic_load_explicit(&pd->read_events, memory_order_acquire);
        if (!c->drained || c->drained_at != events) {
            ssize_t r = fn(c, arg);
            if (r == -EINTR) continue;
            if (r != -EAGAIN) return r;
            c->drained = true;
            c->drained_at = events;
        }
        conn_note_user(c);
        int err = cygrt_pd_wait(pd, CYGRT_READ);
        if (err) return err;
    }
}

static ssize_t try_writing(struct conn *c, conn_try *fn, void *arg, bool naps) {
    for (;;) {
        ssize_t r = fn(c, arg);
        if (r == -EINTR) continue;
        if (r != -EAGAIN) return r;
        conn_note_user(c);
        int err = naps ? nap(c, CYGRT_WRITE) : cygrt_pd_wait(&c->pd, CYGRT_WRITE);
        if (err) return err;
    }
}

ssize_t conn_retry(struct conn *c, enum fd_side side, conn_try *fn, void *arg, bool naps) {
    ssize_t r = fdlock_acquire(&c->lock, side);
    if (r) return r;
    enum cygrt_mode mode = side == FD_READ ? CYGRT_READ : CYGRT_WRITE;
    if (atomic_load_explicit(&c->pd.deadline[mode], memory_order_relaxed)) r = cygrt_pd_check(&c->pd, mode);
    if (!r) r = mode == CYGRT_READ ? try_reading(c, fn, arg) : try_writing(c, fn, arg, naps);
    conn_leave(c, side);
    return r;
}
