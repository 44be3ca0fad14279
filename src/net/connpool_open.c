/* connpool_open.c: opening and closing a pool's connections, and the warmer: a goroutine that opens new ones while too few
 * are idle, and ends when enough are, or no place is left. */
#include <stdlib.h>

#include "net/connpool.h"

#define RETRY_MIN (100 * CYG_MILLISECOND)
#define RETRY_MAX (10 * CYG_SECOND)

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* d less a random share, up to opts.jitter percent. */
static cyg_duration jittered(cyg_connpool *p, cyg_duration d) {
    uint64_t x = __atomic_add_fetch(&p->random, 0x9e3779b97f4a7c15ull, __ATOMIC_RELAXED); /* splitmix64 */
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    x ^= x >> 31;
    double share = (double)(x >> 11) / (double)(1ull << 53); /* 0 to 1 */
    return d - (cyg_duration)((double)d * share * p->opts.jitter / 100);
}

static int dial(cyg_connpool *p, cyg_time deadline, cyg_conn **out) {
    if (!p->opts.dial) return cyg_dial(p->network, p->address, &(cyg_dial_opts){.deadline = deadline}, out);
    cyg_conn *c = NULL;
    int err = p->opts.dial(p->opts.arg, deadline, &c);
    if (err < 0) return err;
    if (!c || !conn_is_socket(c)) {
        if (c) (void)cyg_close(c);
        return cygrt_fail(CYG_ENOTSUP, "pool \"%s\": dial gave something that is no socket", p->name);
    }
    *out = c;
    return 0;
}

static int fill_in(struct pooled *pc, cyg_time deadline) {
    cyg_connpool *p = pc->pool;
    pc->pub.conn = pc->pub.socket;
    pc->pub.user = p->opts.user_bytes ? pc->user : NULL;
    pc->pub.born = cygrt_now_cached();
    pc->life_until = p->opts.max_life > 0 ? pc->pub.born + jittered(p, p->opts.max_life) : INT64_MAX;
    pc->idle_for = jittered(p, p->opts.idle_timeout);
    pc->home = (uint16_t)pool_home(p);
    pc->state = POOLED_KEPT;
    return p->opts.open ? p->opts.open(p->opts.arg, &pc->pub, deadline) : 0;
}

int pool_open(cyg_connpool *p, cyg_time deadline, struct pooled **out) {
    if (pool_closed(p)) {
        pool_place_free(p);
        return CYG_ECLOSED;
    }
    cyg_time limit = cyg_now() + p->opts.dial_timeout;
    if (deadline == 0 || limit < deadline) deadline = limit;
    struct pooled *pc = calloc(1, sizeof *pc + p->opts.user_bytes);
    int err = pc ? 0 : CYG_ENOMEM;
    pool_count(&p->opens);
    __atomic_add_fetch(&p->opening, 1, __ATOMIC_RELAXED);
    if (err == 0 && (err = dial(p, deadline, &pc->pub.socket)) == 0) {
        pc->pool = p;
        err = fill_in(pc, deadline);
        if (err < 0) (void)cyg_close(pc->pub.conn);
    }
    __atomic_sub_fetch(&p->opening, 1, __ATOMIC_RELAXED);
    if (err < 0) {
        pool_count(&p->open_errors);
        free(pc);
        pool_place_free(p);
        return err;
    }
    __atomic_add_fetch(&p->memory, 1, __ATOMIC_RELAXED);
    *out = pc;
    return 0;
}

/* ---- closing ----------------------------------------------------------------------------------------------------- */

void pool_close_conn(struct pooled *pc, cyg_connpool_why why) {
    cyg_connpool *p = pc->pool;
    if (p->opts.close) p->opts.close(p->opts.arg, &pc->pub, why);
    bool in_flight = why == CYG_CONNPOOL_BROKEN || why == CYG_CONNPOOL_PEER_CLOSED || why == CYG_CONNPOOL_UNASKED_BYTES;
    if (p->opts.reset_idle && !in_flight) (void)cyg_conn_reset_on_close(pc->pub.socket);
    (void)cyg_close(pc->pub.conn);
    pool_count(&p->closes[why]);
    pc->state = 0;
    free(pc);
    pool_place_free(p);
    pool_unref(p);
}

/* ---- the warmer -------------------------------------------------------------------------------------------------- */

static bool too_few(const cyg_connpool *p) {
    return __atomic_load_n(&p->idle, __ATOMIC_SEQ_CST) < p->opts.min_idle &&
           __atomic_load_n(&p->open, __ATOMIC_SEQ_CST) < p->opts.max_open && !pool_closed(p);
}

/* Opens until enough are idle, all places are taken, or the pool is closed. Callers go first: while some wait, nothing is
 * opened, since a free place is theirs. */
static void fill(cyg_connpool *p) {
    cyg_duration pause = RETRY_MIN;
    while (too_few(p) && !pool_has_waiters(p) && pool_place_take(p)) {
        struct pooled *pc;
        if (pool_open(p, 0, &pc) == 0) {
            pool_keep(pc);
            pause = RETRY_MIN;
            continue;
        }
        (void)pool_end_wait(p, pool_closed, cyg_now() + pause, false);
        pause = pause * 2 < RETRY_MAX ? pause * 2 : RETRY_MAX;
    }
}

static void warmer(void *arg) {
    cyg_connpool *p = arg;
    do {
        fill(p);
        __atomic_store_n(&p->warming, 0, __ATOMIC_SEQ_CST);
        /* What became too few before that has seen a warmer at work, and left it to us. */
    } while (too_few(p) && !pool_has_waiters(p) && !__atomic_exchange_n(&p->warming, 1, __ATOMIC_SEQ_CST));
    pool_unref(p);
}

void pool_warm(cyg_connpool *p) {
    if (!too_few(p) || __atomic_exchange_n(&p->warming, 1, __ATOMIC_SEQ_CST)) return;
    __atomic_add_fetch(&p->memory, 1, __ATOMIC_RELAXED);
    cyg_ctx_scope scope = cyg_ctx_enter(cyg_ctx_background()); /* it outlives the request that happens to start it */
    int err = cyg_go_with(&(cyg_go_opts){.name = "connection pool's warmer"}, warmer, p);
    cyg_ctx_leave(&scope);
    if (err == 0) return;
    __atomic_store_n(&p->warming, 0, __ATOMIC_SEQ_CST); /* the next taken or closed one tries again */
    pool_unref(p);
}
