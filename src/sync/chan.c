/* chan.c: channels: life, send and receive, close. What happens under a channel's lock stands in chan_internal.h; here is who
 * takes it, and how a goroutine waits. */
#include "base/fatal.h"
#include "runtime/misuse.h"
#include "runtime/profile.h"
#include "sync/chan_internal.h"
#include "sync/chan_watch.h"

#include <stdlib.h>

#define CLOSE_BATCH 64 /* waiters woken at once */
#define CLOSED 1       /* no cyg_err: a context may end with any of them */

/* ---- life ---------------------------------------------------------------------------------------------------------- */

cyg_chan *chan_make(uint64_t tag, size_t capacity, const char *file, int line) {
    size_t bytes, size = (uint32_t)tag;
    if (capacity > INT32_MAX || __builtin_mul_overflow(capacity, size, &bytes)) return NULL;
    bytes = (sizeof(cyg_chan) + bytes + CYGRT_CACHELINE - 1) & ~(size_t)(CYGRT_CACHELINE - 1);
    cyg_chan *ch = aligned_alloc(CYGRT_CACHELINE, bytes);
    if (!ch) return NULL;
    memset(ch, 0, sizeof *ch);
    ch->cap = (uint32_t)capacity;
    ch->tag = tag;
    ch->file = file;
    ch->line = line;
    chan_store(ch->refs, 1);
    return ch;
}

cyg_chan *cyg_chan_new_at(size_t n, size_t capacity, const char *file, int line) {
    if (n > CYG_CHAN_ELEM_MAX)
        cygrt_misuse(file, line, "channel of elements of %zu bytes; at most %d are possible", n, CYG_CHAN_ELEM_MAX);
    return chan_make(CHAN_TAG(CHAN_VALUES, n), capacity, file, line);
}

static void need_alive(const cyg_chan *ch, const char *what, const char *file, int line) {
    uint32_t kind = (uint32_t)(chan_tag(ch) >> 32);
    if (kind == CHAN_VALUES || kind == CHAN_TIMER) return;
    cygrt_misuse(file, line, "%s of a channel whose last reference was released", what);
}

void chan_check(const cyg_chan *ch, size_t n, bool receive, const void *p, const char *what, const char *file, int line) {
    need_alive(ch, what, file, line);
    if (receive && n == 0 && !p) return;
    if (chan_is_timer(ch) && !receive) cygrt_misuse(file, line, "%s on a timer's channel", what);
    if (n == chan_size(ch)) return;
    const char *name = chan_load(ch->name);
    cygrt_misuse(file, line, "%s of %zu bytes on channel \"%s\" of %u bytes an element (made at %s:%d)", what, n,
                 name ? name : "", chan_size(ch), ch->file, ch->line);
}

void cyg_chan_set_name(cyg_chan *ch, const char *name) {
    need_alive(ch, "name", __FILE__, __LINE__);
    if (!name) chan_watch_end(ch);
    chan_store(ch->name, name);
    if (name) chan_watch_begin(ch);
}

cyg_chan *cyg_chan_acquire(cyg_chan *ch) {
    if (!ch) return NULL;
    need_alive(ch, "acquire", __FILE__, __LINE__);
    atomic_fetch_add_explicit(&ch->refs, 1, memory_order_relaxed); /* the caller's own keeps it alive */
    return ch;
}

void cyg_chan_release(cyg_chan *ch) {
    if (!ch) return;
    need_alive(ch, "release", __FILE__, __LINE__);
    if (atomic_fetch_sub_explicit(&ch->refs, 1, memory_order_acq_rel) != 1) return;
    if (chan_load(ch->recvq) || chan_load(ch->sendq))
        cygrt_misuse(ch->file, ch->line,
                     "the last reference of the channel made here was released while a goroutine waits for it");
    if (chan_load(ch->name)) chan_watch_end(ch);
    __atomic_store_n(&ch->tag, CHAN_TAG(CHAN_DEAD, 0), __ATOMIC_RELAXED);
    free(ch);
}

void cyg_chan_close_at(cyg_chan *ch, const char *file, int line) {
    if (!ch) cygrt_misuse(file, line, "close of a NULL channel");
    need_alive(ch, "close", file, line);
    struct g *gs[CLOSE_BATCH];
    unsigned n;
    chan_lock(ch);
    if (chan_load(ch->closed)) {
        chan_unlock(ch);
        cygrt_misuse(file, line, "close of a closed channel (made at %s:%d)", ch->file, ch->line);
    }
    /* release: whoever sees it closed sees what was sent before */
    atomic_store_explicit(&ch->closed, 1, memory_order_release);
    chan_store(ch->when, 0);
    do { /* from here on nobody comes to wait */
        struct chan_waiter *w;
        for (n = 0; n < CLOSE_BATCH; __builtin_prefetch(gs[n] = chan_grant(w, true), 1), n++)
            if (!(w = chan_take(&ch->recvq, &ch->nrecv)) && !(w = chan_take(&ch->sendq, &ch->nsend))) break;
        chan_unlock(ch);
        for (unsigned i = 0; i < n; i++) cygrt_unpark_tail(gs[i]); /* in the order in which they came */
        if (n == CLOSE_BATCH) chan_lock(ch);
    } while (n == CLOSE_BATCH);
}

/* ---- waiting ------------------------------------------------------------------------------------------------------- */

int chan_wait_error(struct g *g, cyg_time deadline) {
    if (g->ctx) {
        /* A cancel marks the context, then looks whether g waits; g has said so, then looks at the mark. */
        atomic_thread_fence(memory_order_seq_cst);
        int err = cygrt_ctx_err(g);
        if (err) return err;
    }
    return deadline && cyg_now() >= deadline ? CYG_ETIMEDOUT : 0;
}

struct g *chan_need_goroutine(const char *call, const char *file, int line) {
    struct g *g = cygrt_g();
    if (!g) cygrt_misuse(file, line, "%s has to wait outside a goroutine", call);
    return g;
}

/* A NULL channel: until the context or the deadline ends it. */
__attribute__((noinline)) static int wait_for_ever(enum cygrt_reason reason, cyg_time deadline, const char *file, int line) {
    struct g *g = chan_need_goroutine("a NULL channel", file, line);
    for (;;) {
        cygrt_prepare(g);
        int err = chan_wait_error(g, deadline);
        if (err) {
            cygrt_cancel_prepare(g);
            return err;
        }
        chan_park(g, reason, NULL, deadline);
    }
}

/* Enters the queue and waits; the lock is held on entry. Says that it waits before anybody can find it, so the order needs no
 * fence but the lock's. Returns 0, CLOSED (meanwhile), or what ended the wait. */
__attribute__((noinline)) static int wait_alone(cyg_chan *ch, enum cygrt_reason reason, void *p, cyg_time deadline,
                                                const char *file, int line) {
    bool send = reason == CYGRT_R_CHAN_SEND;
    chan_queue *q = send ? &ch->sendq : &ch->recvq;
    uint32_t *n = send ? &ch->nsend : &ch->nrecv;
    struct chan_waiter w;
    struct m *m = cygrt_m();
    struct g *g = m ? m->curg : NULL;
    if (!g) g = chan_need_goroutine(send ? "cyg_chan_send" : "cyg_chan_recv", file, line);
    w.g = g;
    w.p = p;
    w.sel = NULL;
    chan_store(w.state, ALONE_WAITS);
    g->wait_name = chan_load(ch->name);
    chan_push(q, n, &w);
    for (;;) {
        chan_store(g->wait, W_WAITING);
        chan_unlock(ch);
        int err = g->ctx || deadline ? chan_wait_error(g, deadline) : 0;
        if (err)
            cygrt_cancel_prepare(g);
        else if (m && !deadline)
            cygrt_park_on(m, g, reason, ch);
        else
            cygrt_park_until(g, reason, ch, deadline);
        uint32_t state = atomic_load_explicit(&w.state, memory_order_acquire);
        if (state == ALONE_WAITS) {
            m = NULL; /* g may be on another thread now */
            chan_lock(ch);
            state = atomic_load_explicit(&w.state, memory_order_acquire);
            if (state == ALONE_WAITS) {
                if (!err) continue;
                chan_remove(q, n, &w);
                chan_unlock(ch);
                return err;
            }
            chan_unlock(ch);
        }
        cygrt_waited(g, reason);
        return state == ALONE_DONE ? 0 : CLOSED;
    }
}

/* ---- send ---------------------------------------------------------------------------------------------------------- */

static inline __attribute__((always_inline)) int send_or_wait(cyg_chan *ch, const void *p, size_t n, cyg_time deadline,
                                                              const char *file, int line) {
    if (CYG_UNLIKELY(!ch)) return wait_for_ever(CYGRT_R_CHAN_SEND, deadline, file, line);
    if (CYG_UNLIKELY(chan_tag(ch) != CHAN_TAG(CHAN_VALUES, n))) chan_check(ch, n, false, p, "send", file, line);
    struct g *wake = NULL;
    chan_lock(ch);
    int err = chan_send_locked(ch, p, n, &wake);
    if (CYG_UNLIKELY(err == CYG_EAGAIN)) {
        err = wait_alone(ch, CYGRT_R_CHAN_SEND, (void *)(uintptr_t)p, deadline, file, line);
        return err == CLOSED ? CYG_ECLOSED : err;
    }
    chan_unlock(ch);
    if (wake) cygrt_unpark(wake);
    return err;
}

int cyg_chan_send_at(cyg_chan *ch, const void *p, size_t n, const char *file, int line) {
    return send_or_wait(ch, p, n, 0, file, line);
}

int cyg_chan_send_until_at(cyg_chan *ch, const void *p, size_t n, cyg_time deadline, const char *file, int line) {
    return send_or_wait(ch, p, n, deadline, file, line);
}

int cyg_chan_try_send_at(cyg_chan *ch, const void *p, size_t n, const char *file, int line) {
    if (CYG_UNLIKELY(!ch)) return CYG_EAGAIN;
    if (CYG_UNLIKELY(chan_tag(ch) != CHAN_TAG(CHAN_VALUES, n))) chan_check(ch, n, false, p, "send", file, line);
    int err = CYG_EAGAIN;
    if (chan_may_send(ch)) {
        struct g *wake = NULL;
        chan_lock(ch);
        err = chan_send_locked(ch, p, n, &wake);
        chan_unlock(ch);
        if (wake) cygrt_unpark(wake);
    }
    if (err == CYG_EAGAIN) atomic_fetch_add_explicit(&ch->drops, 1, memory_order_relaxed);
    return err;
}

/* ---- receive ------------------------------------------------------------------------------------------------------- */

static inline int ended(void *p, size_t n) {
    if (p) memset(p, 0, n);
    return CYG_EOF;
}

static inline __attribute__((always_inline)) int recv_or_wait(cyg_chan *ch, void *p, size_t n, cyg_time deadline,
                                                              const char *file, int line) {
    if (CYG_UNLIKELY(!ch)) return wait_for_ever(CYGRT_R_CHAN_RECV, deadline, file, line);
    if (CYG_UNLIKELY(chan_tag(ch) != CHAN_TAG(CHAN_VALUES, n))) {
        chan_check(ch, n, true, p, "receive", file, line);
        if (chan_is_timer(ch)) return chan_timer_recv(ch, p, deadline, true, file, line);
        n = chan_size(ch);
    }
    struct g *wake = NULL;
    chan_lock(ch);
    int err = chan_recv_locked(ch, p, n, &wake);
    if (err == CYG_EAGAIN) {
        err = wait_alone(ch, CYGRT_R_CHAN_RECV, p, deadline, file, line);
        return err == CLOSED ? ended(p, n) : err;
    }
    chan_unlock(ch);
    if (wake) cygrt_unpark(wake);
    return err == 0 ? 0 : ended(p, n);
}

int cyg_chan_recv_at(cyg_chan *ch, void *p, size_t n, const char *file, int line) {
    return recv_or_wait(ch, p, n, 0, file, line);
}

int cyg_chan_recv_until_at(cyg_chan *ch, void *p, size_t n, cyg_time deadline, const char *file, int line) {
    return recv_or_wait(ch, p, n, deadline, file, line);
}

int cyg_chan_try_recv_at(cyg_chan *ch, void *p, size_t n, const char *file, int line) {
    if (CYG_UNLIKELY(!ch)) return CYG_EAGAIN;
    if (CYG_UNLIKELY(chan_tag(ch) != CHAN_TAG(CHAN_VALUES, n))) {
        chan_check(ch, n, true, p, "receive", file, line);
        if (chan_is_timer(ch)) return chan_timer_recv(ch, p, 0, false, file, line);
        n = chan_size(ch);
    }
    if (!chan_may_recv(ch)) return CYG_EAGAIN;
    struct g *wake = NULL;
    chan_lock(ch);
    int err = chan_recv_locked(ch, p, n, &wake);
    chan_unlock(ch);
    if (wake) cygrt_unpark(wake);
    return err == CYG_EOF ? ended(p, n) : err;
}

/* ---- seeing in ----------------------------------------------------------------------------------------------------- */

void cyg_chan_get_stats(cyg_chan *ch, cyg_chan_stats *out) {
    need_alive(ch, "statistics", __FILE__, __LINE__);
    cyg_chan_stats st = {.capacity = ch->cap};
    chan_lock(ch);
    st.depth = chan_load(ch->count);
    st.sends_total = ch->sent;
    st.receives_total = ch->sent - st.depth;
    st.senders = ch->nsend;
    st.receivers = ch->nrecv;
    st.closed = chan_load(ch->closed);
    chan_unlock(ch);
    st.drops_total = chan_load(ch->drops);
    *out = st;
}

size_t cyg_chan_len(const cyg_chan *ch) { return ch ? chan_load(ch->count) : 0; }
size_t cyg_chan_cap(const cyg_chan *ch) { return ch ? ch->cap : 0; }
