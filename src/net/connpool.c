/* connpool.c: a pool's life, and lending its connections. See net/connpool.h for how the files share it. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/connpool.h"
#include "runtime/misuse.h"

/* ---- making ------------------------------------------------------------------------------------------------------ */

static int bad(const char *option) { return cygrt_fail(CYG_EINVAL, "connection pool: %s is out of bounds", option); }

static int check_opts(cyg_connpool_opts *o) {
    if (o->max_open == 0) o->max_open = 1024;
    if (o->max_open > 1000000) return bad("max_open");
    if (o->max_idle == 0 || o->max_idle > o->max_open) o->max_idle = o->max_open;
    if (o->min_idle > o->max_idle) return bad("min_idle");
    if (o->max_waiters == 0) o->max_waiters = 1024;
    if (o->wait_timeout < 0) return bad("wait_timeout");
    if (o->idle_timeout < 0) return bad("idle_timeout");
    if (o->idle_timeout == 0) o->idle_timeout = 60 * CYG_SECOND;
    if (o->max_life < 0) return bad("max_life");
    if (o->jitter > 90) return bad("jitter");
    if (o->jitter == 0) o->jitter = 10;
    if (o->no_jitter) o->jitter = 0;
    if (o->dial_timeout < 0) return bad("dial_timeout");
    if (o->dial_timeout == 0) o->dial_timeout = 5 * CYG_SECOND;
    return o->user_bytes > (1u << 20) ? bad("user_bytes") : 0;
}

static int name_it(cyg_connpool *p, const char *network, const char *address) {
    if (network && !(p->network = strdup(network))) return CYG_ENOMEM;
    if (address && !(p->address = strdup(address))) return CYG_ENOMEM;
    char both[CYG_ADDR_STRLEN + 16];
    snprintf(both, sizeof both, "%s %s", network ? network : "", address ? address : "");
    p->name = pool_name_keep(p->opts.name ? p->opts.name : both);
    return p->name ? 0 : CYG_ENOMEM;
}

static void pool_free(cyg_connpool *p) {
    if (p->shards) free(p->shards[0].slots); /* one array for all */
    free(p->shards);
    free(p->network);
    free(p->address);
    free(p);
}

int cyg_connpool_new(const char *network, const char *address, const cyg_connpool_opts *opts, cyg_connpool **out) {
    cyg_connpool_opts o = opts ? *opts : (cyg_connpool_opts){0};
    cyg_addr a;
    int err = check_opts(&o);
    if (err < 0) return err;
    if (!o.dial && (!network || !address)) return bad("address");
    if (!o.dial && (err = cyg_addr_parse(network, address, &a)) < 0) return err;
    cyg_connpool *p = aligned_alloc(POOL_LINE, sizeof *p);
    if (!p) return CYG_ENOMEM;
    memset(p, 0, sizeof *p);
    p->opts = o;
    p->count_idle = o.max_idle < o.max_open || o.min_idle > 0;
    p->memory = p->users = 1;
    p->random = (uint64_t)cyg_now() ^ (uintptr_t)p;
    if ((err = name_it(p, network, address)) == 0) err = pool_slots_init(p);
    if (err < 0) {
        pool_free(p);
        return err;
    }
    pool_warm_check(p);
    *out = p;
    return 0;
}

void pool_unref(cyg_connpool *p) {
    if (__atomic_sub_fetch(&p->memory, 1, __ATOMIC_ACQ_REL) > 0) return;
    for (unsigned i = 0; i < p->nshards; i++) /* whoever put the last connection leaves within nanoseconds: no park there */
        while (__atomic_load_n(&p->shards[i].putting, __ATOMIC_ACQUIRE) > 0) sched_yield();
    if (p->opts.freed) p->opts.freed(p->opts.arg);
    pool_free(p);
}

/* ---- lending ----------------------------------------------------------------------------------------------------- */

/* A place for a new connection; an idle one makes room for it at the limit. */
static bool place_for_fresh(cyg_connpool *p) {
    while (!pool_place_take(p)) {
        struct pooled *idle = pool_slots_take(p);
        if (!idle) return false;
        pool_close_conn(idle, CYG_CONNPOOL_REPLACED);
    }
    return true;
}

static cyg_time wait_until(const cyg_connpool *p, cyg_time deadline) {
    if (p->opts.wait_timeout == 0) return deadline;
    cyg_time limit = cyg_now() + p->opts.wait_timeout;
    return deadline == 0 || limit < deadline ? limit : deadline;
}

/* An idle one, or what may be dialled now or after a turn in the queue. */
static int find(cyg_connpool *p, cyg_connpool_ask *ask, struct pooled **out) {
    /* Also where top, a hint, is wrong, or another P's: a dial would be dearer than a look. */
    if (!ask->fresh && !pool_has_waiters(p) && (*out = pool_slots_take(p))) return 0;
    bool place = ask->fresh && place_for_fresh(p); /* without one it queues, and what it gets has just been in use */
    if (!place) place = !pool_has_waiters(p) && pool_place_take(p);
    *out = place || pool_has_waiters(p) ? NULL : pool_slots_take(p);
    if (!place && !*out) {
        int err = pool_turn_wait(p, wait_until(p, ask->deadline), out);
        ask->queued = err < 0;
        if (err < 0) return err;
    }
    return *out ? 0 : pool_open(p, ask->deadline, out);
}

static inline cyg_pooled_conn *lend(cyg_connpool *p, struct pooled *pc, struct pool_shard *here) {
    pc->state = POOLED_LENT;
    pool_count(CYG_LIKELY(pc->pub.uses++ > 0) ? &here->reuses : &p->lent_new);
    return &pc->pub;
}

/* No idle one is at hand, or a new one is wanted, or others wait, or the pool is closed. */
static CYG_COLD int get_slowly(cyg_connpool *p, cyg_connpool_ask *ask, cyg_pooled_conn **out) {
    struct pooled *pc;
    if (pool_closed(p)) return cygrt_fail(CYG_ECLOSED, "pool \"%s\" is closed", p->name);
    int err = find(p, ask, &pc);
    if (err == 0) *out = lend(p, pc, pool_shard_here(p));
    return err;
}

int cyg_connpool_get_as(cyg_connpool *p, cyg_connpool_ask *ask, cyg_pooled_conn **out) {
    struct pool_shard *here = pool_shard_here(p);
    struct pooled *pc = NULL;
    ask->queued = false;
    if (CYG_LIKELY(!pool_closed(p)) && CYG_LIKELY(!ask->fresh) && CYG_LIKELY(!pool_has_waiters(p)))
        pc = pool_slots_glance(p, here);
    if (CYG_UNLIKELY(!pc)) return get_slowly(p, ask, out);
    *out = lend(p, pc, here);
    return 0;
}

int cyg_connpool_get(cyg_connpool *p, cyg_time deadline, cyg_pooled_conn **out) {
    cyg_connpool_ask ask = {.deadline = deadline};
    return cyg_connpool_get_as(p, &ask, out);
}

/* ---- giving back ------------------------------------------------------------------------------------------------- */

static CYG_COLD bool memory_unless_gone(cyg_connpool *p) {
    uint64_t n = __atomic_load_n(&p->memory, __ATOMIC_RELAXED);
    while (n > 0)
        if (__atomic_compare_exchange_n(&p->memory, &n, n + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) return true;
    return false;
}

static void close_idle(cyg_connpool *p) {
    for (struct pooled *pc; (pc = pool_slots_take(p)) != NULL;) pool_close_conn(pc, CYG_CONNPOOL_POOL_CLOSED);
}

/* To the first who waits, untouched by the slots, if it may be used again at all. */
static CYG_COLD bool hand_over(struct pooled *pc) {
    cyg_time now = cygrt_now_cached();
    if (pc->life_until <= now || (pc->pub.keep_until > 0 && pc->pub.keep_until <= now)) return false; /* closed below */
    return pool_quiet(pc) && pool_turn_give(pc->pool, pc);
}

/* It is up, and somebody waits or the pool is closed. The memory is ours. */
static CYG_COLD void kept_for_others(cyg_connpool *p) {
    if (pool_closed(p))
        close_idle(p);
    else
        pool_feed(p);
    pool_unref(p);
}

void pool_keep(struct pooled *pc) {
    cyg_connpool *p = pc->pool;
    pc->state = POOLED_KEPT;
    if (CYG_UNLIKELY(pool_closed(p))) {
        pool_close_conn(pc, CYG_CONNPOOL_POOL_CLOSED);
        return;
    }
    if (CYG_UNLIKELY(pool_has_waiters(p)) && hand_over(pc)) return;
    struct pool_shard *sh = pool_shard_here(p);
    __atomic_add_fetch(&sh->putting, 1, __ATOMIC_SEQ_CST); /* once it is up, others may close it, and with it the pool */
    bool up = pool_slots_put(pc);
    bool wanted = up && (CYG_UNLIKELY(pool_has_waiters(p)) || CYG_UNLIKELY(pool_closed(p)));
    bool more = CYG_UNLIKELY(wanted) && memory_unless_gone(p);
    __atomic_sub_fetch(&sh->putting, 1, __ATOMIC_RELEASE);
    if (CYG_UNLIKELY(!up)) pool_close_conn(pc, (cyg_connpool_why)pc->why);
    if (CYG_UNLIKELY(more)) kept_for_others(p);
}

static struct pooled *lent(cyg_pooled_conn *pub, const char *file, int line) {
    struct pooled *pc = (struct pooled *)pub;
    if (CYG_UNLIKELY(pc->state != POOLED_LENT))
        cygrt_misuse(file, line, "the pooled connection at %p is given back, but it is not on loan", (void *)pub);
    return pc;
}

void cyg_connpool_put_at(cyg_pooled_conn *pc, const char *file, int line) { pool_keep(lent(pc, file, line)); }

void cyg_connpool_discard_at(cyg_pooled_conn *pc, cyg_connpool_why why, const char *file, int line) {
    pool_close_conn(lent(pc, file, line), why == CYG_CONNPOOL_FINISHED ? why : CYG_CONNPOOL_BROKEN);
}

/* ---- ending ------------------------------------------------------------------------------------------------------ */

static void end(cyg_connpool *p) {
    __atomic_store_n(&p->closed, 1, __ATOMIC_SEQ_CST);
    pool_wake_all(p);
    close_idle(p);
}

static bool all_closed(const cyg_connpool *p) { return __atomic_load_n(&p->open, __ATOMIC_SEQ_CST) == 0; }

int cyg_connpool_drain(cyg_connpool *p, cyg_time deadline) {
    end(p);
    return pool_end_wait(p, all_closed, deadline, true);
}

void cyg_connpool_close(cyg_connpool *p) {
    end(p);
    cyg_connpool_release(p);
}

cyg_connpool *cyg_connpool_acquire(cyg_connpool *p) {
    __atomic_add_fetch(&p->users, 1, __ATOMIC_RELAXED);
    return p;
}

void cyg_connpool_release(cyg_connpool *p) {
    if (__atomic_sub_fetch(&p->users, 1, __ATOMIC_ACQ_REL) > 0) return;
    end(p);
    pool_unref(p);
}
