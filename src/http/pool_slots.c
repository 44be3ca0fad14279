/* pool_slots.c: where idle upstream connections lie: an array of atomic slots for each P, so that taking and giving back
 * take no lock. A connection goes back to the P that dialled it, whose poller wakes those who wait for it. Put where the
 * exchange happens to end, connections would gather on one P while another finds none and dials.
 *
 * A slot holds 0, a client_conn (cc), or cc|1 while it is being put. While it lies there, the poller watches the connection:
 *
 *     put:     0 -> cc|1, leave the watch with the poller, cc|1 -> cc. The last step fails if the watch struck already.
 *     take:    cc -> 0, then take the watch back: true, it is quiet and ours; false, the watcher runs or will.
 *     watcher: cc|1 -> 0: the putter closes it. cc -> 0: the watcher closes it. Neither: a taker has it; whoever of the
 *              two lets go last (gone) closes it.
 * The tag in cc|1 is the connection's own, so a watcher never mistakes another's put for its own.
 */
#include "http/internal.h"

#include <stdlib.h>

#define MAX_SHARDS 64
#define MIN_SLOTS 64
#define PUTTING ((uintptr_t)1)

int http_pool_slots_init(cyg_http_pool *p) {
    unsigned n = 1;
    while (n < cyg_procs() && n < MAX_SHARDS) n *= 2;
    size_t share = (p->opts.max_idle + n - 1) / n;
    size_t slots = share < MIN_SLOTS ? (p->opts.max_idle < MIN_SLOTS ? p->opts.max_idle : MIN_SLOTS) : share;
    slots = (slots + 7) & ~(size_t)7;
    if (slots > UINT16_MAX) slots = UINT16_MAX & ~7u;
    p->shards = aligned_alloc(HTTP_CACHE_LINE, n * sizeof *p->shards);
    uintptr_t *all = aligned_alloc(HTTP_CACHE_LINE, n * slots * sizeof *all);
    if (!p->shards || !all) {
        free(p->shards);
        free(all);
        return CYG_ENOMEM;
    }
    memset(p->shards, 0, n * sizeof *p->shards);
    memset(all, 0, n * slots * sizeof *all);
    for (unsigned i = 0; i < n; i++) p->shards[i].slots = all + i * slots;
    p->nshards = n;
    p->nslots = (unsigned)slots;
    return 0;
}

static bool slot_change(uintptr_t *slot, uintptr_t from, uintptr_t to) {
    return __atomic_compare_exchange_n(slot, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* The second of taker and watcher closes. */
static void let_go(cyg_http_client_conn *cc) {
    if (__atomic_exchange_n(&cc->gone, 1, __ATOMIC_ACQ_REL) == 1) http_pool_discard(cc);
}

/* The watch: the peer closed or sent something nobody asked for, the idle time is over, or we closed it. */
static void struck(void *arg, int why) {
    cyg_http_client_conn *cc = arg;
    struct http_pool_shard *sh = &cc->pool->shards[cc->shard];
    uintptr_t *slot = &sh->slots[cc->slot], me = (uintptr_t)cc;
    if (slot_change(slot, me | PUTTING, 0)) return; /* the putter sees it and closes */
    bool ours = slot_change(slot, me, 0);
    __atomic_add_fetch(why == CYG_ETIMEDOUT ? &sh->closed_idle : &sh->stale, 1, __ATOMIC_RELAXED);
    if (!ours) {
        let_go(cc);
        return;
    }
    if (cc->pool->count_idle) __atomic_sub_fetch(&cc->pool->idle, 1, __ATOMIC_RELAXED);
    http_pool_discard(cc);
}

/* Finds a free slot, near the top of the shard's stack first. */
static bool reserve(struct http_pool_shard *sh, unsigned nslots, cyg_http_client_conn *cc) {
    uint32_t top = __atomic_load_n(&sh->top, __ATOMIC_RELAXED);
    if (top >= nslots) top = 0;
    for (unsigned k = 0; k < nslots; k++) {
        unsigned i = top + k < nslots ? top + k : top + k - nslots;
        if (__atomic_load_n(&sh->slots[i], __ATOMIC_RELAXED) != 0) continue;
        cc->slot = (uint16_t)i; /* before it can be seen */
        if (!slot_change(&sh->slots[i], 0, (uintptr_t)cc | PUTTING)) continue;
        __atomic_store_n(&sh->top, i + 1, __ATOMIC_RELAXED);
        return true;
    }
    return false;
}

static bool reserve_anywhere(cyg_http_pool *p, cyg_http_client_conn *cc) {
    for (unsigned k = 0; k < p->nshards; k++) {
        cc->shard = (uint16_t)((cc->home + k) & (p->nshards - 1));
        if (reserve(&p->shards[cc->shard], p->nslots, cc)) return true;
    }
    return false;
}

/* Until when it may lie idle; 0 <= now: not at all. */
static cyg_time idle_until(const cyg_http_client_conn *cc, cyg_time now) {
    const cyg_http_pool_opts *o = &cc->pool->opts;
    cyg_time t = now + o->idle_timeout;
    if (o->max_life > 0 && cc->born + o->max_life < t) t = cc->born + o->max_life;
    if (cc->keep_until > 0 && cc->keep_until < t) t = cc->keep_until;
    return t;
}

bool http_pool_slots_put(cyg_http_pool *p, cyg_http_client_conn *cc) {
    cyg_time now = cyg_now_cached(), until = idle_until(cc, now);
    if (until <= now) return false;
    if (p->count_idle && __atomic_add_fetch(&p->idle, 1, __ATOMIC_RELAXED) > p->opts.max_idle) goto full;
    if (!reserve_anywhere(p, cc)) goto full;
    uintptr_t *slot = &p->shards[cc->shard].slots[cc->slot], me = (uintptr_t)cc;
    if (cyg_conn_on_readable(cc->c, struck, cc, until) < 0) {
        __atomic_store_n(slot, 0, __ATOMIC_RELEASE);
        goto uncount;
    }
    if (HTTP_LIKELY(slot_change(slot, me | PUTTING, me))) return true;
    __atomic_add_fetch(&p->shards[cc->shard].stale, 1, __ATOMIC_RELAXED); /* struck before it was up */
    goto uncount;
full:
    __atomic_add_fetch(&p->shards[0].closed_idle, 1, __ATOMIC_RELAXED);
uncount:
    if (p->count_idle) __atomic_sub_fetch(&p->idle, 1, __ATOMIC_RELAXED);
    return false;
}

/* Takes slot i if a connection lies there and is quiet. */
static cyg_http_client_conn *take_slot(cyg_http_pool *p, struct http_pool_shard *sh, unsigned i) {
    uintptr_t v = __atomic_load_n(&sh->slots[i], __ATOMIC_RELAXED);
    if (v == 0 || (v & PUTTING) || !slot_change(&sh->slots[i], v, 0)) return NULL;
    cyg_http_client_conn *cc = (cyg_http_client_conn *)v;
    if (p->count_idle) __atomic_sub_fetch(&p->idle, 1, __ATOMIC_RELAXED);
    if (HTTP_LIKELY(cyg_conn_cancel_readable(cc->c))) return cc;
    let_go(cc); /* the watcher counts it as stale */
    return NULL;
}

static cyg_http_client_conn *take_shard(cyg_http_pool *p, struct http_pool_shard *sh, unsigned from) {
    for (unsigned i = from; i-- > 0;) {
        cyg_http_client_conn *cc = take_slot(p, sh, i);
        if (!cc) continue;
        __atomic_store_n(&sh->top, i, __ATOMIC_RELAXED);
        return cc;
    }
    if (from > 0) __atomic_store_n(&sh->top, 0, __ATOMIC_RELAXED);
    return NULL;
}

cyg_http_client_conn *http_pool_slots_take(cyg_http_pool *p, bool thorough) {
    unsigned home = cyg_proc_hint() & (p->nshards - 1);
    if (!thorough) {
        struct http_pool_shard *sh = &p->shards[home];
        uint32_t top = __atomic_load_n(&sh->top, __ATOMIC_RELAXED);
        cyg_http_client_conn *cc = take_shard(p, sh, top <= p->nslots ? top : p->nslots);
        return HTTP_LIKELY(cc != NULL) ? cc : take_shard(p, sh, p->nslots); /* top is a hint; a dial is dearer than a look */
    }
    for (unsigned k = 0; k < p->nshards; k++) {
        cyg_http_client_conn *cc = take_shard(p, &p->shards[(home + k) & (p->nshards - 1)], p->nslots);
        if (cc) return cc;
    }
    return NULL;
}
