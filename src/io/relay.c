/* relay.c: both directions between two streams. The caller's goroutine carries a's bytes to b, a second one b's to a.
 *
 * How a direction ends decides what becomes of the other:
 *   its source ended          the end is passed on, the other direction goes on (and is watched more closely)
 *   its receiver has gone     nobody reads the source any more; what the receiver had sent before is still on its way
 *   anything else             both streams are aborted, which wakes whoever is parked in them
 *
 * A watch looks every eighth of its timeout whether bytes have gone. It is a timer that starts a goroutine; `watches` counts
 * those that may yet run. The relay stands on its caller's stack until there is neither a second direction nor a watch. */
#include <cygnet/context.h>
#include <cygnet/runtime.h>
#include <cygnet/sync.h>
#include <errno.h>
#include <stdatomic.h>

#include "io/copy_internal.h"

#define HALF_CLOSED_DEFAULT (60 * CYG_SECOND)

struct relay;
struct watch {
    struct relay *r;
    cyg_timer *timer;
    cyg_duration timeout;
    cyg_relay_end means;
    int64_t seen;   /* bytes that had gone when it looked last; the watch's own, like the next */
    cyg_time since; /* ... and since when no more have */
};

struct relay {
    cyg_stream *side[2];
    cyg_copy_result *way[2]; /* [i]: from side[i]; each its direction's, its progress is read by watches */
    cyg_waitgroup other;     /* the second direction */
    cyg_waitgroup watches;
    _Atomic int err; /* of the first failure; 0: none */
    _Atomic int end; /* cyg_relay_end of it */
    _Atomic char first;
    _Atomic bool over;       /* nobody needs a watch any more */
    _Atomic uint32_t ended;  /* directions */
    struct watch idle, half; /* half: whoever ends the first direction starts it */
};

static void abort_side(cyg_stream *s) {
    if (cyg_abort(s) == CYG_ENOTSUP) (void)cyg_set_deadline(s, 1); /* long past */
}

static void fail(struct relay *r, cyg_relay_end end, int err, bool abort_both) {
    int none = 0;
    if (atomic_compare_exchange_strong(&r->err, &none, err)) atomic_store(&r->end, (int)end);
    if (!abort_both) return;
    for (int i = 0; i < 2; i++) abort_side(r->side[i]);
}

/* ---- watching ------------------------------------------------------------------------------------------------------------ */

static int64_t gone_so_far(struct relay *r) { return cyg_copy_progress(r->way[0]) + cyg_copy_progress(r->way[1]); }

/* When to look again; 0: the timeout has passed. */
static cyg_duration look(struct watch *w) {
    cyg_time now = cyg_now();
    int64_t bytes = gone_so_far(w->r);
    if (bytes != w->seen) {
        w->seen = bytes;
        w->since = now;
    }
    cyg_duration left = w->timeout - (now - w->since), step = w->timeout / 8;
    if (left <= 0) return 0;
    return left < step ? left : step < CYG_MILLISECOND ? CYG_MILLISECOND : step;
}

static void on_tick(void *arg) {
    struct watch *w = arg;
    struct relay *r = w->r;
    cyg_duration next = atomic_load(&r->over) ? 0 : look(w);
    if (next > 0) {
        (void)cyg_timer_reset(w->timer, next);
        /* Its end may have come in between: then one of us stops the timer, and that one counts it off. */
        if (!atomic_load(&r->over) || !cyg_timer_stop(w->timer)) return;
    } else if (!atomic_load(&r->over)) {
        fail(r, w->means, CYG_ETIMEDOUT, true);
    }
    cyg_waitgroup_done(&r->watches);
}

static void start_watch(struct relay *r, struct watch *w, cyg_duration timeout, cyg_relay_end means) {
    *w = (struct watch){.r = r, .timeout = timeout, .means = means, .seen = gone_so_far(r), .since = cyg_now()};
    cyg_timer *t;
    int err = cyg_after_func(INT64_MAX / 2, on_tick, w, &t);
    if (err) { /* rather no relay than one without its limit */
        fail(r, CYG_RELAY_ERROR, err, true);
        return;
    }
    w->timer = t;
    cyg_waitgroup_add(&r->watches, 1);
    (void)cyg_timer_reset(t, look(w)); /* not before it can be found in w */
}

static void stop_watch(struct relay *r, struct watch *w) {
    if (!w->timer) return;
    if (cyg_timer_stop(w->timer)) cyg_waitgroup_done(&r->watches);
}

/* ---- a direction ----------------------------------------------------------------------------------------------------------- */

static void note_first(struct relay *r, int side) {
    char none = 0;
    (void)atomic_compare_exchange_strong(&r->first, &none, (char)('a' + side));
}

static bool receiver_has_gone(int err) { return err == -EPIPE || err == -ECONNRESET; }

static void pass_end_on(struct relay *r, int from) {
    note_first(r, from);
    (void)cyg_close_write(r->side[!from]); /* who cannot be told, or has gone, is left to the other direction */
}

static void settle(struct relay *r, int from, int err) {
    if (!err) {
        pass_end_on(r, from);
    } else if (err == cyg_ctx_err(cyg_ctx_current())) {
        fail(r, CYG_RELAY_CANCELED, err, true);
    } else if (r->way[from]->write_failed && receiver_has_gone(err)) {
        note_first(r, !from);
        fail(r, CYG_RELAY_ERROR, err, false);
    } else {
        if (err != CYG_ECLOSED && err != CYG_ETIMEDOUT) note_first(r, r->way[from]->write_failed ? !from : from);
        fail(r, CYG_RELAY_ERROR, err, true);
    }
}

static void run(struct relay *r, int from) {
    settle(r, from, cyg_transfer(r->side[!from], r->side[from], INT64_MAX, r->way[from]));
    bool first = atomic_fetch_add(&r->ended, 1) == 0;
    if (first && r->half.timeout > 0) start_watch(r, &r->half, r->half.timeout, CYG_RELAY_HALF_CLOSED);
}

static void run_second(void *arg) {
    struct relay *r = arg;
    run(r, 1);
    cyg_waitgroup_done(&r->other);
}

/* ---- the whole --------------------------------------------------------------------------------------------------------------- */

static void tell(struct relay *r, cyg_relay_result *res) {
    cyg_relay_end end = (cyg_relay_end)atomic_load(&r->end);
    copy_count(COUNT_RELAY + (unsigned)end, 1);
    res->end = end;
    res->err = atomic_load(&r->err);
    res->first = atomic_load(&r->first);
}

/* Waits for the second direction; a cancelled context ends that one, too. Then for the watches. */
static void join(struct relay *r) {
    int err = cyg_waitgroup_wait(&r->other);
    if (err) fail(r, CYG_RELAY_CANCELED, err, true);
    cyg_ctx_scope scope = cyg_ctx_enter(cyg_ctx_background()); /* what stands on this stack must go first */
    (void)cyg_waitgroup_wait(&r->other);
    atomic_store(&r->over, true);
    stop_watch(r, &r->idle);
    stop_watch(r, &r->half);
    (void)cyg_waitgroup_wait(&r->watches);
    cyg_ctx_leave(&scope);
    if (r->idle.timer) cyg_timer_release(r->idle.timer);
    if (r->half.timer) cyg_timer_release(r->half.timer);
}

int cyg_relay(cyg_stream *a, cyg_stream *b, const cyg_relay_opts *opts, cyg_relay_result *res) {
    cyg_relay_opts o = opts ? *opts : (cyg_relay_opts){0};
    if (o.half_closed_timeout == 0) o.half_closed_timeout = HALF_CLOSED_DEFAULT;
    cyg_relay_result local;
    if (!res) res = &local;
    copy_begins(&res->a_to_b);
    copy_begins(&res->b_to_a);
    memset(&res->end, 0, sizeof *res - offsetof(cyg_relay_result, end));
    struct relay r = {.side = {a, b}, .way = {&res->a_to_b, &res->b_to_a}, .half = {.timeout = o.half_closed_timeout}};
    cyg_waitgroup_add(&r.other, 1);
    int err = cyg_go_with(&(cyg_go_opts){.name = "relay"}, run_second, &r);
    if (err) {
        res->end = CYG_RELAY_ERROR;
        return res->err = err;
    }
    copy_count(COUNT_RELAYS, 1);
    if (o.idle_timeout > 0) start_watch(&r, &r.idle, o.idle_timeout, CYG_RELAY_IDLE);
    run(&r, 0);
    join(&r);
    copy_count(COUNT_RELAYS, (uint64_t)-1);
    tell(&r, res);
    return atomic_load(&r.err);
}
