/* select.c: waits for the first of several channels.
 *
 * First every channel is looked at without its lock; if some look ready, one of them is chosen at random and tried. That is all
 * in the common case: one lock. Otherwise all channels are locked, in the order of their addresses, and looked at again: so
 * CYG_DEFAULT is only taken if there was one moment at which no case was ready, and nobody is let in between the look and the
 * queues. A select that stands in queues takes part in nothing else until it has been claimed or has claimed itself
 * (state, chan_internal.h), so that two selects cannot wait for each other.
 *
 * The memory of a waiting select is its own frame and its caller's. It unlocks the channels itself, before it parks, and
 * returns only when it stands in no queue: nobody can touch that memory afterwards. */
#include "base/fatal.h"
#include "sync/chan_internal.h"

#include <stdlib.h>

#define NONE SIZE_MAX
#define FEW 8 /* cases of cyg_select_n that need no memory */

struct sel {
    struct chan_select core; /* first */
    struct g *g;
    const struct cyg_select_case *cases;
    struct chan_waiter *w; /* one a case */
    size_t n;
    size_t nlocks; /* cases with a channel; w[0..nlocks].order */
    size_t idefault, iuntil;
    cyg_time until; /* of case iuntil; 0: none */
    bool timers;    /* some channel is a timer */
};

static uint32_t random_below(uint32_t n) {
    static _Atomic uint32_t foreign = 1; /* threads that are no goroutines; a lost update does no harm */
    struct g *g = cygrt_g();
    uint32_t x = g ? g->rnd : chan_load(foreign);
    if (!x) x = (uint32_t)g->id * 0x9e3779b9u | 1;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    if (g)
        g->rnd = x;
    else
        chan_store(foreign, x);
    return (uint32_t)(((uint64_t)x * n) >> 32);
}

/* ---- one case -------------------------------------------------------------------------------------------------------- */

static inline bool looks_ready(const struct cyg_select_case *c) {
    if (c->kind == CYG_CASE_SEND) return chan_may_send(c->ch);
    if (CYG_UNLIKELY(chan_is_timer(c->ch)))
        return chan_timer_due(c->ch) || atomic_load_explicit(&c->ch->closed, memory_order_acquire);
    return chan_may_recv(c->ch);
}

/* Carries a case out if it is ready; the channel's lock is held. 0, CYG_ECLOSED, CYG_EOF, CYG_EAGAIN. */
static inline int carry_out(const struct cyg_select_case *c, struct g **wake) {
    if (c->kind == CYG_CASE_SEND) return chan_send_locked(c->ch, c->send, chan_size(c->ch), wake);
    if (CYG_UNLIKELY(chan_is_timer(c->ch)) && chan_timer_take_locked(c->ch, c->recv)) return 0;
    return chan_recv_locked(c->ch, c->recv, chan_size(c->ch), wake);
}

/* What cyg_select returns when case i ended so. */
static inline int outcome(const struct cyg_select_case *c, size_t i, bool closed) {
    if (c->ok) *c->ok = !closed;
    if (!closed) return (int)i;
    if (c->kind == CYG_CASE_SEND) return c->ok ? (int)i : CYG_ECLOSED;
    if (c->recv) memset(c->recv, 0, chan_size(c->ch));
    return (int)i;
}

/* ---- all cases ------------------------------------------------------------------------------------------------------- */

static void sort_by_address(struct sel *s) { /* Shell's; nearly always there are two or three */
    size_t gap = 1;
    while (gap < s->nlocks / 3) gap = gap * 3 + 1;
    for (; gap; gap /= 3)
        for (size_t i = gap; i < s->nlocks; i++) {
            uint32_t x = s->w[i].order;
            uintptr_t key = (uintptr_t)s->cases[x].ch;
            size_t j = i;
            for (; j >= gap && (uintptr_t)s->cases[s->w[j - gap].order].ch > key; j -= gap)
                s->w[j].order = s->w[j - gap].order;
            s->w[j].order = x;
        }
}

static void read_cases(struct sel *s) {
    for (size_t i = 0; i < s->n; i++) {
        const struct cyg_select_case *c = &s->cases[i];
        if (c->kind == CYG_CASE_UNTIL && c->n && (!s->until || c->n < s->until)) {
            s->until = c->n;
            s->iuntil = i;
        }
        if (!c->ch) continue;
        s->w[s->nlocks++].order = (uint32_t)i;
        s->timers |= chan_is_timer(c->ch);
    }
    sort_by_address(s);
}

static inline cyg_chan *locked_as(const struct sel *s, size_t k) { return s->cases[s->w[k].order].ch; }

static void lock_all(const struct sel *s) {
    for (size_t k = 0; k < s->nlocks; k++)
        if (k == 0 || locked_as(s, k) != locked_as(s, k - 1)) chan_lock(locked_as(s, k));
}

static void unlock_all(const struct sel *s) {
    for (size_t k = 0; k < s->nlocks; k++)
        if (k == 0 || locked_as(s, k) != locked_as(s, k - 1)) chan_unlock(locked_as(s, k));
}

/* Carries out one of the ready cases, at random; all are locked. Its index, with the way it ended in *err, or NONE. */
static size_t carry_out_any(const struct sel *s, int *err, struct g **wake) {
    for (;;) {
        size_t pick = NONE;
        uint32_t ready = 0;
        for (size_t k = 0; k < s->nlocks; k++) {
            size_t i = s->w[k].order;
            if (looks_ready(&s->cases[i]) && (++ready == 1 || random_below(ready) == 0)) pick = i;
        }
        if (pick == NONE) return NONE;
        /* CYG_EAGAIN: all who waited there were selects that have ended. They are out of that queue now, so this ends. */
        if ((*err = carry_out(&s->cases[pick], wake)) != CYG_EAGAIN) return pick;
    }
}

static void enter_queues(struct sel *s) {
    for (size_t k = 0; k < s->nlocks; k++) {
        size_t i = s->w[k].order;
        const struct cyg_select_case *c = &s->cases[i];
        struct chan_waiter *w = &s->w[i];
        w->g = s->g;
        w->sel = &s->core;
        w->index = (uint32_t)i;
        chan_store(w->queued, 1);
        if (c->kind == CYG_CASE_SEND) {
            w->p = (void *)(uintptr_t)c->send;
            chan_push(&c->ch->sendq, &c->ch->nsend, w);
        } else {
            w->p = c->recv;
            chan_push(&c->ch->recvq, &c->ch->nrecv, w);
        }
    }
}

/* Takes the select out of all queues but the one in which it was served (NONE: all). */
static void leave_queues(struct sel *s, size_t served) {
    for (size_t i = 0; i < s->n; i++) {
        const struct cyg_select_case *c = &s->cases[i];
        struct chan_waiter *w = &s->w[i];
        /* acquire: who took it out unserved has done with us */
        if (!c->ch || i == served || !atomic_load_explicit(&w->queued, memory_order_acquire)) continue;
        chan_lock(c->ch);
        if (chan_load(w->queued)) {
            if (c->kind == CYG_CASE_SEND)
                chan_remove(&c->ch->sendq, &c->ch->nsend, w);
            else
                chan_remove(&c->ch->recvq, &c->ch->nrecv, w);
        }
        chan_unlock(c->ch);
    }
}

/* ---- waiting --------------------------------------------------------------------------------------------------------- */

/* Ends the select itself, unless a peer has claimed it. */
static bool claim_self(struct sel *s) {
    uint32_t open = SELECT_OPEN;
    return atomic_compare_exchange_strong(&s->core.state, &open, SELECT_ENDED);
}

/* A timer that is due is nobody's hand-over: the select takes it itself. Returns its index, or NONE. */
static size_t take_due_timer(struct sel *s) {
    size_t got = NONE;
    for (size_t i = 0; s->timers && i < s->n && got == NONE; i++) {
        const struct cyg_select_case *c = &s->cases[i];
        if (!c->ch || !chan_is_timer(c->ch) || !chan_timer_due(c->ch)) continue;
        chan_lock(c->ch);
        if (chan_timer_due(c->ch) && claim_self(s)) { /* the lock is held, so it stays due */
            (void)chan_timer_take_locked(c->ch, c->recv);
            got = i;
        }
        chan_unlock(c->ch);
    }
    return got;
}

static cyg_time wake_at(const struct sel *s) {
    cyg_time t = s->until;
    for (size_t i = 0; s->timers && i < s->n; i++)
        if (s->cases[i].ch && chan_is_timer(s->cases[i].ch)) t = chan_timer_when(s->cases[i].ch, t);
    return t;
}

/* Waits until claimed, by a peer or by itself. Returns what cyg_select returns; *served is the case that a peer has taken
 * out of its queue. */
static int wait_in_queues(struct sel *s, size_t *served) {
    struct g *g = s->g;
    const cyg_chan *first = s->nlocks ? s->cases[s->w[0].order].ch : NULL;
    for (;;) {
        int err = g->ctx ? chan_wait_error(g, 0) : 0;
        if (!err && atomic_load_explicit(&s->core.state, memory_order_seq_cst) == SELECT_OPEN)
            chan_park(g, CYGRT_R_SELECT, first, wake_at(s));
        else
            cygrt_cancel_prepare(g);
        uint32_t state = atomic_load_explicit(&s->core.state, memory_order_acquire);
        for (unsigned i = 0; state == SELECT_BUSY; i++) { /* it is being served, under a spin lock */
            if (i < 100)
                cyg_cpu_relax();
            else
                sched_yield();
            state = atomic_load_explicit(&s->core.state, memory_order_acquire);
        }
        if (state != SELECT_OPEN) {
            size_t i = *served = (state >> 2) - 1;
            return outcome(&s->cases[i], i, state & 1);
        }
        if (err && claim_self(s)) return err;
        size_t timer = take_due_timer(s);
        if (timer != NONE) return outcome(&s->cases[timer], timer, false);
        if (s->until && cyg_now() >= s->until && claim_self(s)) return (int)s->iuntil;
        cygrt_prepare(g); /* seq_cst, as the look at state above and the claims of peers: a claim is seen, or g is woken */
    }
}

static int try_or_wait(struct sel *s) {
    struct g *wake = NULL;
    int err = 0;
    lock_all(s);
    size_t i = carry_out_any(s, &err, &wake);
    if (i == NONE && s->idefault == NONE && !(s->until && cyg_now() >= s->until)) {
        chan_store(s->core.state, SELECT_OPEN);
        chan_store(s->g->wait, W_WAITING); /* before anybody can find it; published by the locks */
        enter_queues(s);
        unlock_all(s);
        size_t served = NONE;
        err = wait_in_queues(s, &served);
        leave_queues(s, served);
        return err;
    }
    unlock_all(s);
    if (wake) cygrt_unpark(wake);
    if (i != NONE) return outcome(&s->cases[i], i, err != 0);
    return (int)(s->idefault != NONE ? s->idefault : s->iuntil);
}

__attribute__((noinline)) static int select_slow(cyg_ctx *ctx, const struct cyg_select_case *cases,
                                                 struct cyg_select_room *room, size_t n, size_t idefault,
                                                 const char *file, int line) {
    struct sel s = {.cases = cases, .w = (struct chan_waiter *)room, .n = n, .idefault = idefault, .iuntil = NONE};
    read_cases(&s);
    if (idefault != NONE) return try_or_wait(&s);
    s.g = chan_need_goroutine("cyg_select", file, line);
    if (!ctx || ctx == cyg_ctx_current()) return try_or_wait(&s);
    cyg_ctx_scope scope = cyg_ctx_enter(ctx);
    int i = try_or_wait(&s);
    cyg_ctx_leave(&scope);
    return i;
}

/* ---- entry ----------------------------------------------------------------------------------------------------------- */

/* Aborts unless the case is right for its channel. */
__attribute__((noinline)) static void check_case(const struct cyg_select_case *c, const char *file, int line) {
    bool receive = c->kind == CYG_CASE_RECV;
    chan_check(c->ch, (size_t)c->n, receive, c->recv, receive ? "select to receive" : "select to send", file, line);
}

int cyg_select_at(cyg_ctx *ctx, const struct cyg_select_case *cases, struct cyg_select_room *room, size_t n,
                  const char *file, int line) {
    size_t pick = NONE, idefault = NONE, channels = 0;
    uint32_t ready = 0;
    for (size_t i = 0; i < n; i++) {
        const struct cyg_select_case *c = &cases[i];
        if (!c->ch) {
            if (c->kind == CYG_CASE_DEFAULT) idefault = i;
            continue;
        }
        if (CYG_UNLIKELY(chan_tag(c->ch) != CHAN_TAG(CHAN_VALUES, (uint64_t)c->n))) check_case(c, file, line);
        channels++;
        if (looks_ready(c) && (++ready == 1 || random_below(ready) == 0)) pick = i;
    }
    if (pick != NONE) {
        const struct cyg_select_case *c = &cases[pick];
        struct g *wake = NULL;
        chan_lock(c->ch);
        int err = carry_out(c, &wake);
        chan_unlock(c->ch);
        if (wake) cygrt_unpark(wake);
        if (err != CYG_EAGAIN) return outcome(c, pick, err != 0);
    } else if (idefault != NONE && channels <= 1) {
        return (int)idefault; /* a look at one channel is a look at one moment */
    }
    return select_slow(ctx, cases, room, n, idefault, file, line);
}

/* Apart, so that its frame is not under every wait. */
__attribute__((noinline)) static int select_few(cyg_ctx *ctx, const struct cyg_select_case *cases, size_t n,
                                                const char *file, int line) {
    struct cyg_select_room room[FEW];
    return cyg_select_at(ctx, cases, room, n, file, line);
}

int cyg_select_n_at(cyg_ctx *ctx, const struct cyg_select_case *cases, size_t n, const char *file, int line) {
    if (n <= FEW) return select_few(ctx, cases, n, file, line);
    struct cyg_select_room *room = n <= INT32_MAX / 4 ? malloc(n * sizeof *room) : NULL;
    if (!room) return CYG_ENOMEM;
    int i = cyg_select_at(ctx, cases, room, n, file, line);
    free(room);
    return i;
}
