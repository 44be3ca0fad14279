/* pool.c: connections to one address: how many there are, who may dial, who waits. Idle ones lie in pool_slots.c.
 *
 * Places are counted in open: a place is taken before dialling and freed when the connection is closed. At max_conns callers
 * queue; a connection given back, or a place freed, goes to the first of them. No wake-up is lost: a waiter first counts
 * itself (nwaiters), then looks once more at slots and places; who puts or closes first does that, then looks at nwaiters.
 */
#include "http/internal.h"

#include <sched.h>
#include <stdlib.h>

static int check_opts(cyg_http_pool_opts *o) {
    if (o->idle_timeout < 0 || o->max_life < 0 || o->connect_timeout < 0) return CYG_EINVAL;
    if (o->max_conns == 0) o->max_conns = 1024;
    if (o->max_conns > 1000000) return CYG_EINVAL;
    if (o->max_idle == 0 || o->max_idle > o->max_conns) o->max_idle = o->max_conns;
    if (o->max_waiters == 0) o->max_waiters = 1024;
    if (o->idle_timeout == 0) o->idle_timeout = 60 * CYG_SECOND;
    if (o->connect_timeout == 0) o->connect_timeout = 5 * CYG_SECOND;
    if (o->max_head_bytes == 0) o->max_head_bytes = 65536;
    return o->max_head_bytes < 1024 || o->max_head_bytes > (1 << 20) ? CYG_EINVAL : 0;
}

int cyg_http_pool_new(const cyg_addr *to, const cyg_http_pool_opts *opts, cyg_http_pool **out) {
    cyg_http_pool_opts o = opts ? *opts : (cyg_http_pool_opts){0};
    int err = check_opts(&o);
    if (err < 0 || !to) return CYG_EINVAL;
    cyg_http_pool *p = aligned_alloc(HTTP_CACHE_LINE, sizeof *p);
    if (!p) return CYG_ENOMEM;
    memset(p, 0, sizeof *p);
    p->to = *to;
    p->opts = o;
    p->limits = (struct cyg_h1_limits){o.max_head_bytes, 8192, HTTP_CLIENT_FIELDS};
    p->count_idle = o.max_idle < o.max_conns;
    p->refs = 1;
    p->last = &p->first;
    if ((err = http_pool_slots_init(p)) < 0) {
        free(p);
        return err;
    }
    *out = p;
    return 0;
}

void http_pool_unref(cyg_http_pool *p) {
    if (__atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) > 0) return;
    for (unsigned i = 0; i < p->nshards; i++) /* whoever put the last connection leaves within nanoseconds: no park there */
        while (__atomic_load_n(&p->shards[i].putting, __ATOMIC_ACQUIRE) > 0) sched_yield();
    free(p->shards[0].slots); /* one array for all */
    free(p->shards);
    free(p);
}

/* ---- places and waiters ------------------------------------------------------------------------------------------ */

static bool place_take(cyg_http_pool *p) {
    uint64_t n = __atomic_load_n(&p->open, __ATOMIC_SEQ_CST);
    while (n < p->opts.max_conns)
        if (__atomic_compare_exchange_n(&p->open, &n, n + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return true;
    return false;
}

static void waiter_pop(cyg_http_pool *p, struct http_pool_waiter *w) {
    for (struct http_pool_waiter **at = &p->first; *at; at = &(*at)->next) {
        if (*at != w) continue;
        *at = w->next;
        if (!*at) p->last = at;
        w->off = true;
        __atomic_sub_fetch(&p->nwaiters, 1, __ATOMIC_SEQ_CST);
        return;
    }
}

/* Gives waiters what there is: idle connections, then free places. */
static void feed_waiters(cyg_http_pool *p) {
    cyg_mutex_lock(&p->lock);
    for (struct http_pool_waiter *w; (w = p->first) != NULL;) {
        if (!(w->cc = http_pool_slots_take(p, true)) && !(w->permit = place_take(p))) break;
        waiter_pop(p, w);
        cyg_cond_signal(&w->wake);
    }
    cyg_mutex_unlock(&p->lock);
}

static inline bool waiters(cyg_http_pool *p) { return __atomic_load_n(&p->nwaiters, __ATOMIC_SEQ_CST) > 0; }

static void place_free(cyg_http_pool *p) {
    __atomic_sub_fetch(&p->open, 1, __ATOMIC_SEQ_CST);
    if (HTTP_UNLIKELY(waiters(p))) feed_waiters(p);
}

/* Queues until a connection or a place comes. 0 with one of them in *w, CYG_ELIMIT, CYG_ETIMEDOUT, CYG_ECLOSED, … */
static int wait_turn(cyg_http_pool *p, cyg_time deadline, struct http_pool_waiter *w) {
    int err = 0;
    cyg_mutex_lock(&p->lock);
    if (p->nwaiters >= p->opts.max_waiters) {
        __atomic_add_fetch(&p->wait_refused, 1, __ATOMIC_RELAXED);
        cyg_mutex_unlock(&p->lock);
        return CYG_ELIMIT;
    }
    *p->last = w;
    p->last = &w->next;
    __atomic_add_fetch(&p->nwaiters, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&p->waits, 1, __ATOMIC_RELAXED);
    cyg_mutex_unlock(&p->lock);
    feed_waiters(p); /* what came free before we were counted */
    cyg_mutex_lock(&p->lock);
    while (!w->off && err == 0) {
        if (__atomic_load_n(&p->closed, __ATOMIC_SEQ_CST))
            err = CYG_ECLOSED;
        else
            err = cyg_cond_wait_until(&w->wake, &p->lock, deadline);
    }
    if (w->off)
        err = 0; /* served at the last moment */
    else
        waiter_pop(p, w);
    cyg_mutex_unlock(&p->lock);
    if (err == CYG_ETIMEDOUT) __atomic_add_fetch(&p->wait_timeouts, 1, __ATOMIC_RELAXED);
    return err;
}

/* ---- getting ---------------------------------------------------------------------------------------------------- */

static int dial(cyg_http_pool *p, cyg_time deadline, cyg_http_client_conn **out) {
    cyg_dial_opts o = {.timeout = p->opts.connect_timeout, .deadline = deadline};
    cyg_http_client_conn *cc = calloc(1, sizeof *cc);
    int err = cc ? 0 : CYG_ENOMEM;
    __atomic_add_fetch(&p->dials, 1, __ATOMIC_RELAXED);
    if (err == 0) err = cyg_dial_addr(&p->to, &o, &cc->c);
    if (err < 0) {
        __atomic_add_fetch(&p->dial_errors, 1, __ATOMIC_RELAXED);
        free(cc);
        place_free(p);
        return err;
    }
    cc->pool = p;
    cc->born = cyg_now_cached();
    cc->home = (uint16_t)(cyg_proc_hint() & (p->nshards - 1));
    __atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
    *out = cc;
    return 0;
}

static int lend(cyg_http_client_conn *cc, cyg_http_client_conn **out) {
    int err = http_client_borrow(cc);
    if (err < 0)
        http_pool_discard(cc);
    else
        *out = cc;
    return err;
}

/* A place for a new connection; an idle one makes room for it at the limit. */
static bool place_for_fresh(cyg_http_pool *p) {
    while (!place_take(p)) {
        cyg_http_client_conn *idle = http_pool_slots_take(p, true);
        if (!idle) return false;
        http_pool_discard(idle);
    }
    return true;
}

int http_pool_get(cyg_http_pool *p, cyg_time deadline, bool fresh, cyg_http_client_conn **out, bool *reused, bool *waiting) {
    cyg_http_client_conn *cc = NULL;
    int err;
    *waiting = *reused = false;
    if (HTTP_UNLIKELY(__atomic_load_n(&p->closed, __ATOMIC_SEQ_CST))) return CYG_ECLOSED;
    fresh = fresh && place_for_fresh(p); /* else it queues, and what it gets has just been in use */
    if (HTTP_LIKELY(!fresh && !waiters(p))) {
        cc = http_pool_slots_take(p, false);
        if (HTTP_UNLIKELY(!cc)) cc = http_pool_slots_take(p, true); /* another P's: a dial would be dearer */
    }
    if (!cc && !fresh && (waiters(p) || !place_take(p))) {
        struct http_pool_waiter w = {0};
        if (waiters(p) || !(cc = http_pool_slots_take(p, true))) {
            *waiting = true;
            if ((err = wait_turn(p, deadline, &w)) < 0) return err;
            *waiting = false;
            cc = w.cc;
        }
    }
    *reused = cc != NULL;
    if (HTTP_LIKELY(cc != NULL))
        __atomic_add_fetch(&p->shards[cyg_proc_hint() & (p->nshards - 1)].reuses, 1, __ATOMIC_RELAXED);
    else if ((err = dial(p, deadline, &cc)) < 0)
        return err;
    return lend(cc, out);
}

int cyg_http_pool_get(cyg_http_pool *pool, cyg_time deadline, cyg_http_client_conn **out, bool *reused) {
    bool again, waiting;
    int err = http_pool_get(pool, deadline, false, out, &again, &waiting);
    if (reused) *reused = again;
    return err;
}

/* ---- giving back ------------------------------------------------------------------------------------------------ */

void http_pool_discard(cyg_http_client_conn *cc) {
    cyg_http_pool *p = cc->pool;
    (void)cyg_close(cc->c);
    free(cc);
    place_free(p);
    http_pool_unref(p);
}

/* Hands a connection to the first waiter, untouched by the slots. */
static bool hand_over(cyg_http_pool *p, cyg_http_client_conn *cc) {
    cyg_mutex_lock(&p->lock);
    struct http_pool_waiter *w = p->first;
    if (w) {
        w->cc = cc;
        waiter_pop(p, w);
        cyg_cond_signal(&w->wake);
    }
    cyg_mutex_unlock(&p->lock);
    return w != NULL;
}

static bool ref_unless_gone(cyg_http_pool *p) {
    uint64_t n = __atomic_load_n(&p->refs, __ATOMIC_RELAXED);
    while (n > 0)
        if (__atomic_compare_exchange_n(&p->refs, &n, n + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) return true;
    return false;
}

static void close_idle(cyg_http_pool *p) {
    for (cyg_http_client_conn *cc; (cc = http_pool_slots_take(p, true)) != NULL;) http_pool_discard(cc);
}

void cyg_http_pool_put(cyg_http_client_conn *cc) {
    cyg_http_pool *p = cc->pool;
    bool keep = http_client_reusable(cc) && !__atomic_load_n(&p->closed, __ATOMIC_RELAXED);
    http_client_give_back(cc);
    if (HTTP_UNLIKELY(!keep)) {
        http_pool_discard(cc);
        return;
    }
    bool old = p->opts.max_life > 0 && cc->born + p->opts.max_life <= cyg_now_cached();
    if (HTTP_UNLIKELY(waiters(p)) && !old && hand_over(p, cc)) return;
    struct http_pool_shard *sh = &p->shards[cyg_proc_hint() & (p->nshards - 1)];
    __atomic_add_fetch(&sh->putting, 1, __ATOMIC_SEQ_CST); /* once it is up, others may close it, and with it the pool */
    bool up = http_pool_slots_put(p, cc);
    bool more = up && (waiters(p) || __atomic_load_n(&p->closed, __ATOMIC_SEQ_CST)) && ref_unless_gone(p);
    __atomic_sub_fetch(&sh->putting, 1, __ATOMIC_RELEASE);
    if (HTTP_UNLIKELY(!up)) http_pool_discard(cc);
    if (HTTP_LIKELY(!more)) return;
    if (__atomic_load_n(&p->closed, __ATOMIC_SEQ_CST))
        close_idle(p);
    else
        feed_waiters(p);
    http_pool_unref(p);
}

void cyg_http_pool_close(cyg_http_pool *p) {
    __atomic_store_n(&p->closed, 1, __ATOMIC_SEQ_CST);
    cyg_mutex_lock(&p->lock);
    for (struct http_pool_waiter *w = p->first; w; w = w->next) cyg_cond_signal(&w->wake);
    cyg_mutex_unlock(&p->lock);
    close_idle(p);
    http_pool_unref(p);
}

void cyg_http_pool_get_stats(const cyg_http_pool *p, cyg_http_pool_stats *out) {
    *out = (cyg_http_pool_stats){
        .open = __atomic_load_n(&p->open, __ATOMIC_RELAXED),
        .waiters = __atomic_load_n(&p->nwaiters, __ATOMIC_RELAXED),
        .dials_total = __atomic_load_n(&p->dials, __ATOMIC_RELAXED),
        .dial_errors_total = __atomic_load_n(&p->dial_errors, __ATOMIC_RELAXED),
        .waits_total = __atomic_load_n(&p->waits, __ATOMIC_RELAXED),
        .wait_timeouts_total = __atomic_load_n(&p->wait_timeouts, __ATOMIC_RELAXED),
        .wait_refused_total = __atomic_load_n(&p->wait_refused, __ATOMIC_RELAXED),
    };
    for (unsigned i = 0; i < p->nshards; i++) {
        const struct http_pool_shard *sh = &p->shards[i];
        out->reuses_total += __atomic_load_n(&sh->reuses, __ATOMIC_RELAXED);
        out->stale_total += __atomic_load_n(&sh->stale, __ATOMIC_RELAXED);
        out->closed_idle_total += __atomic_load_n(&sh->closed_idle, __ATOMIC_RELAXED);
        for (unsigned k = 0; k < p->nslots; k++) out->idle += __atomic_load_n(&sh->slots[k], __ATOMIC_RELAXED) != 0;
    }
}
