/* chan_timer.c: timers and tickers as channels. There is no buffer and no timer of the channel: whether it is ready is a
 * comparison of `when` with the clock, made by whoever looks, so that stop and reset leave nothing stale behind. A goroutine
 * that waits parks until `when` and looks again; a reset wakes those that wait, so that they park until the new time. */
#include "base/fatal.h"
#include "sync/chan_internal.h"

#define WAKE_BATCH 64

static cyg_chan *make(cyg_duration d, cyg_duration period) {
    cyg_chan *ch = chan_make(CHAN_TAG(CHAN_TIMER, sizeof(cyg_time)), 0, __FILE__, __LINE__);
    if (!ch) return NULL;
    ch->period = period;
    chan_store(ch->when, cygrt_from_now(d));
    return ch;
}

static void need_period(cyg_duration d) {
    if (d <= 0) cyg_fatal("a ticker's period of %lld ns", (long long)d);
}

cyg_chan *cyg_after(cyg_duration d) { return make(d, 0); }

cyg_chan *cyg_tick(cyg_duration period) {
    need_period(period);
    return make(period, period);
}

bool chan_timer_due(cyg_chan *ch) {
    cyg_time when = atomic_load_explicit(&ch->when, memory_order_acquire);
    return when && cyg_now() >= when;
}

cyg_time chan_timer_when(cyg_chan *ch, cyg_time deadline) {
    cyg_time when = atomic_load_explicit(&ch->when, memory_order_seq_cst);
    return when && (!deadline || when < deadline) ? when : deadline;
}

bool chan_timer_take_locked(cyg_chan *ch, void *p) {
    cyg_time when = chan_load(ch->when), now;
    if (!when || (now = cyg_now()) < when) return false;
    if (p) chan_copy(p, &when, sizeof when);
    cyg_time next = 0;
    if (ch->period && __builtin_add_overflow(when, ch->period * (1 + (now - when) / ch->period), &next))
        next = INT64_MAX;
    chan_store(ch->when, next);
    ch->sent++;
    return true;
}

/* What a receiver finds; the lock is held. */
static int look(cyg_chan *ch, void *p) {
    if (chan_timer_take_locked(ch, p)) return 0;
    if (!chan_load(ch->closed)) return CYG_EAGAIN;
    if (p) memset(p, 0, sizeof(cyg_time));
    return CYG_EOF;
}

/* The lock is held on entry and on return. */
static int wait_for_time(cyg_chan *ch, struct g *g, void *p, cyg_time deadline) {
    struct chan_waiter w = {.g = g, .p = p};
    chan_push(&ch->recvq, &ch->nrecv, &w);
    for (;;) {
        chan_store(g->wait, W_WAITING); /* under the lock: a reset after this one wakes g */
        cyg_time until = chan_timer_when(ch, deadline);
        chan_unlock(ch);
        int ended = chan_wait_error(g, deadline);
        if (ended)
            cygrt_cancel_prepare(g);
        else
            chan_park(g, CYGRT_R_CHAN_RECV, ch, until);
        chan_lock(ch);
        int err = look(ch, p);
        if (err == CYG_EAGAIN && !ended) continue;
        if (chan_load(w.state) == ALONE_WAITS) chan_remove(&ch->recvq, &ch->nrecv, &w); /* else close took it out */
        return err == CYG_EAGAIN ? ended : err;
    }
}

int chan_timer_recv(cyg_chan *ch, void *p, cyg_time deadline, bool may_wait, const char *file, int line) {
    if (!may_wait && !chan_timer_due(ch) && !atomic_load_explicit(&ch->closed, memory_order_acquire)) return CYG_EAGAIN;
    chan_lock(ch);
    int err = look(ch, p);
    if (err == CYG_EAGAIN && may_wait)
        err = wait_for_time(ch, chan_need_goroutine("cyg_chan_recv", file, line), p, deadline);
    chan_unlock(ch);
    return err;
}

/* Wakes all that wait, so that they look again. Each goes once round its queue meanwhile. The lock is held on entry only. */
static void wake_all(cyg_chan *ch) {
    struct g *gs[WAKE_BATCH];
    struct chan_waiter *w;
    for (uint32_t left = ch->nrecv;;) {
        unsigned n = 0;
        for (; n < WAKE_BATCH && left && (w = chan_load(ch->recvq)); left--) {
            chan_remove(&ch->recvq, &ch->nrecv, w);
            chan_push(&ch->recvq, &ch->nrecv, w);
            gs[n++] = w->g;
        }
        chan_unlock(ch);
        /* `when` is stored, then who waits is looked at; a select says that it waits, then looks at `when`. */
        atomic_thread_fence(memory_order_seq_cst);
        for (unsigned i = 0; i < n; i++) cygrt_unpark_tail(gs[i]);
        if (n < WAKE_BATCH) return;
        chan_lock(ch);
    }
}

static bool set(cyg_chan *ch, cyg_time when, cyg_duration period) {
    chan_check(ch, sizeof(cyg_time), true, NULL, "stop or reset", __FILE__, __LINE__);
    if (!chan_is_timer(ch))
        cyg_fatal("stop or reset of a channel that is no timer (made at %s:%d)", ch->file, ch->line);
    chan_lock(ch);
    bool was = chan_load(ch->when) != 0;
    if (chan_load(ch->closed)) {
        chan_unlock(ch);
        return false;
    }
    if (ch->period && when) {
        need_period(period);
        ch->period = period;
    }
    chan_store(ch->when, when);
    if (when)
        wake_all(ch);
    else
        chan_unlock(ch); /* who waits wakes at the old time, finds nothing and waits on */
    return was;
}

bool cyg_chan_timer_stop(cyg_chan *ch) { return set(ch, 0, 0); }
bool cyg_chan_timer_reset(cyg_chan *ch, cyg_duration d) { return set(ch, cygrt_from_now(d), d); }
