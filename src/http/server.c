/* server.c: options, accept loops, statistics and the drain. What a connection does once it is accepted is conn.c's.
 *
 * A conn is on its shard's list from accept to its end. Whoever closes an idle one first takes its start record back
 * (cyg_conn_cancel_readable): exactly one of that and the record's function gets the conn. Lock order: server, shard.
 */
#include "http/internal.h"

#include <stdlib.h>

#include "runtime/sched.h" /* cygrt_fail */

#define MAX_SHARDS 64
#define SWEEP (20 * CYG_MILLISECOND) /* a conn that went idle just behind the drain's back is found at the next */
#define NO_MEMORY_PAUSE (10 * CYG_MILLISECOND)
#define CUT_WAIT CYG_SECOND /* how long those that were cut may take to notice */

/* One row an option: 0 becomes the default, what is out of bounds is refused by name. */
static int check_opts(cyg_http_server_opts *o) {
    struct {
        const char *name;
        int64_t value, dflt, min, max;
    } rows[] = {
        {"max_head_bytes", (int64_t)o->max_head_bytes, 65536, 1024, 1 << 20},
        {"max_target_bytes", (int64_t)o->max_target_bytes, 8192, 1, 1 << 20},
        {"max_fields", (int64_t)o->max_fields, 100, 1, 256},
        {"max_body_bytes", o->max_body_bytes, INT64_MAX, 0, INT64_MAX},
        {"max_conns", (int64_t)o->max_conns, 0, 0, INT64_MAX},
        {"head_timeout", o->head_timeout, 10 * CYG_SECOND, 1, INT64_MAX / 4},
        {"idle_timeout", o->idle_timeout, 75 * CYG_SECOND, 1, INT64_MAX / 4},
        {"body_timeout", o->body_timeout, 30 * CYG_SECOND, 1, INT64_MAX / 4},
        {"write_timeout", o->write_timeout, 30 * CYG_SECOND, 1, INT64_MAX / 4},
        {"linger", o->linger, 2 * CYG_SECOND, 1, INT64_MAX / 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].value == 0)
            rows[i].value = rows[i].dflt;
        else if (rows[i].value < rows[i].min || rows[i].value > rows[i].max)
            return cygrt_fail(CYG_EINVAL, "http server: %s is out of bounds", rows[i].name);
    }
    o->max_head_bytes = (size_t)rows[0].value;
    o->max_target_bytes = (size_t)rows[1].value;
    o->max_fields = (unsigned)rows[2].value;
    o->max_body_bytes = rows[3].value;
    o->head_timeout = rows[5].value;
    o->idle_timeout = rows[6].value;
    o->body_timeout = rows[7].value;
    o->write_timeout = rows[8].value;
    o->linger = rows[9].value;
    return 0;
}

int cyg_http_server_new(cyg_http_handler *handler, void *arg, const cyg_http_server_opts *opts, cyg_http_server **out) {
    cyg_http_server_opts o = opts ? *opts : (cyg_http_server_opts){0};
    int err = handler ? check_opts(&o) : CYG_EINVAL;
    if (err < 0) return err;
    unsigned n = 1;
    while (n < cyg_procs() && n < MAX_SHARDS) n *= 2;
    cyg_http_server *s = aligned_alloc(HTTP_CACHE_LINE, sizeof *s);
    struct http_shard *shards = aligned_alloc(HTTP_CACHE_LINE, n * sizeof *shards);
    if (!s || !shards) abort();
    memset(s, 0, sizeof *s);
    memset(shards, 0, n * sizeof *shards);
    s->handler = handler;
    s->arg = arg;
    s->opts = o;
    s->limits = (struct cyg_h1_limits){o.max_head_bytes, o.max_target_bytes, o.max_fields};
    s->shards = shards;
    s->nshards = n;
    s->refs = 1;
    *out = s;
    return 0;
}

void http_server_unref(cyg_http_server *s) {
    if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0) return;
    free(s->shards);
    free(s);
}

void cyg_http_server_release(cyg_http_server *s) { http_server_unref(s); }

/* ---- accepting -------------------------------------------------------------------------------------------------- */

/* At max_conns: waits until a conn has gone. Returns false when draining began. */
static bool wait_for_place(cyg_http_server *s) {
    if (s->opts.max_conns == 0 || __atomic_load_n(&s->nconns, __ATOMIC_RELAXED) < s->opts.max_conns) return true;
    cyg_mutex_lock(&s->lock);
    __atomic_add_fetch(&s->gone_wanted, 1, __ATOMIC_SEQ_CST);
    int err = 0;
    while (err == 0 && !__atomic_load_n(&s->draining, __ATOMIC_RELAXED) &&
           __atomic_load_n(&s->nconns, __ATOMIC_SEQ_CST) >= s->opts.max_conns)
        err = cyg_cond_wait(&s->gone, &s->lock);
    __atomic_sub_fetch(&s->gone_wanted, 1, __ATOMIC_RELAXED);
    cyg_mutex_unlock(&s->lock);
    return !__atomic_load_n(&s->draining, __ATOMIC_RELAXED);
}

static bool listening_add(cyg_http_server *s, struct http_listening *me) {
    cyg_mutex_lock(&s->lock);
    bool ok = !__atomic_load_n(&s->draining, __ATOMIC_RELAXED);
    if (ok) {
        me->next = s->listening;
        s->listening = me;
    }
    cyg_mutex_unlock(&s->lock);
    return ok;
}

static void listening_remove(cyg_http_server *s, struct http_listening *me) {
    cyg_mutex_lock(&s->lock);
    for (struct http_listening **p = &s->listening; *p; p = &(*p)->next)
        if (*p == me) {
            *p = me->next;
            break;
        }
    cyg_mutex_unlock(&s->lock);
}

int cyg_http_server_serve(cyg_http_server *s, cyg_listener *l) {
    struct http_listening me = {.l = l};
    if (!listening_add(s, &me)) return CYG_ECLOSED;
    __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    int err = CYG_ECLOSED;
    while (wait_for_place(s)) {
        cyg_conn *c;
        err = cyg_accept(l, &c);
        if (err == CYG_ENOMEM && cyg_sleep(NO_MEMORY_PAUSE) == 0) continue; /* that one is lost; the next may not be */
        if (err < 0) break;
        http_conn_start(s, c);
        err = CYG_ECLOSED;
    }
    listening_remove(s, &me);
    http_server_unref(s);
    return err;
}

int cyg_http_listen_and_serve(const char *address, cyg_http_handler *handler, void *arg, const cyg_http_server_opts *opts) {
    cyg_http_server *s;
    int err = cyg_http_server_new(handler, arg, opts, &s);
    if (err < 0) return err;
    cyg_auto_listener cyg_listener *l = NULL;
    err = cyg_listen(address[0] == '/' || address[0] == '@' ? "unix" : "tcp", address, NULL, &l);
    if (err == 0) err = cyg_http_server_serve(s, l);
    cyg_http_server_release(s);
    return err;
}

/* ---- draining --------------------------------------------------------------------------------------------------- */

static void close_listeners(cyg_http_server *s) {
    cyg_mutex_lock(&s->lock);
    __atomic_store_n(&s->draining, 1, __ATOMIC_SEQ_CST);
    for (struct http_listening *p = s->listening; p; p = p->next) cyg_listener_close(cyg_listener_acquire(p->l));
    cyg_cond_broadcast(&s->gone);
    cyg_mutex_unlock(&s->lock);
}

static void unlink_conn(struct http_shard *sh, struct http_conn *hc) {
    if (hc->next) hc->next->prev = hc->prev;
    if (hc->prev)
        hc->prev->next = hc->next;
    else
        sh->conns = hc->next;
}

/* Closes the idle conns of one shard. Those that linger end by themselves within the linger time: closed earlier, a client that
 * still sends would be reset, and might lose the answer. */
static void sweep_idle(struct http_shard *sh) {
    struct http_conn *idle = NULL, *next;
    cyg_mutex_lock(&sh->lock);
    for (struct http_conn *hc = sh->conns; hc; hc = next) {
        next = hc->next;
        if (__atomic_load_n(&hc->lingering, __ATOMIC_ACQUIRE) || !cyg_conn_cancel_readable(hc->c)) continue;
        unlink_conn(sh, hc);
        sh->closed_requests += hc->requests;
        hc->next = idle;
        idle = hc;
    }
    cyg_mutex_unlock(&sh->lock);
    for (; idle; idle = next) {
        next = idle->next;
        http_conn_finish(idle);
    }
}

/* Closes the conns that are busy; their goroutines come back from the call they are parked in and end them. */
static void cut_busy(struct http_shard *sh) {
    cyg_mutex_lock(&sh->lock);
    for (struct http_conn *hc = sh->conns; hc; hc = hc->next) {
        if (hc->cut) continue;
        hc->cut = true;
        cyg_conn_acquire(hc->c);
        (void)cyg_close(hc->c);
    }
    cyg_mutex_unlock(&sh->lock);
}

/* Waits until no conn is left, or the deadline; sweeps meanwhile. Whether none is left. */
static bool wait_gone(cyg_http_server *s, cyg_time deadline) {
    for (;;) {
        for (unsigned i = 0; i < s->nshards; i++) sweep_idle(&s->shards[i]);
        cyg_time now = cyg_now();
        if (__atomic_load_n(&s->nconns, __ATOMIC_ACQUIRE) == 0) return true;
        if (deadline && now >= deadline) return false;
        cyg_mutex_lock(&s->lock);
        __atomic_add_fetch(&s->gone_wanted, 1, __ATOMIC_SEQ_CST);
        int err = 0;
        if (__atomic_load_n(&s->nconns, __ATOMIC_SEQ_CST) > 0)
            err = cyg_cond_wait_until(&s->gone, &s->lock, http_min_deadline(deadline, now + SWEEP));
        __atomic_sub_fetch(&s->gone_wanted, 1, __ATOMIC_RELAXED);
        cyg_mutex_unlock(&s->lock);
        if (err < 0 && err != CYG_ETIMEDOUT) return false;
    }
}

int cyg_http_server_shutdown(cyg_http_server *s, cyg_time deadline) {
    close_listeners(s);
    if (wait_gone(s, deadline)) return 0;
    for (unsigned i = 0; i < s->nshards; i++) cut_busy(&s->shards[i]);
    (void)wait_gone(s, cyg_now() + CUT_WAIT);
    return CYG_ETIMEDOUT;
}

/* ---- statistics ------------------------------------------------------------------------------------------------- */

void cyg_http_server_get_stats(const cyg_http_server *cs, cyg_http_server_stats *out) {
    cyg_http_server *s = (cyg_http_server *)(uintptr_t)cs; /* for its locks only */
    *out = (cyg_http_server_stats){.refused_total = __atomic_load_n(&s->refused, __ATOMIC_RELAXED)};
    for (unsigned i = 0; i < s->nshards; i++) {
        struct http_shard *sh = &s->shards[i];
        cyg_mutex_lock(&sh->lock);
        out->conns_total += sh->accepted;
        out->requests_total += sh->closed_requests;
        for (struct http_conn *hc = sh->conns; hc; hc = hc->next) {
            out->conns++;
            out->requests_total += __atomic_load_n(&hc->requests, __ATOMIC_RELAXED);
            out->requests += __atomic_load_n(&hc->handling, __ATOMIC_RELAXED);
        }
        cyg_mutex_unlock(&sh->lock);
    }
}
