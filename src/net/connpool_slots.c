/* connpool_slots.c: where idle connections lie: an array of atomic slots for each P, so that taking and giving back take no
 * lock. A connection goes back to the P that opened it, whose poller wakes those who wait for it. Put where the exchange
 * happens to end, connections would gather on one P while another finds none and dials.
 *
 * A slot holds 0, a struct pooled (pc), or pc|1 while it is being put. While it lies there, the poller watches the connection:
 *
 *     put:     0 -> pc|1, leave the watch with the poller, pc|1 -> pc. The last step fails if the watch struck already.
 *     take:    pc -> 0, then take the watch back: true, it is quiet and ours; false, the watcher runs or will.
 *     watcher: pc|1 -> 0: the putter closes it. pc -> 0: it is the watcher's. Neither: a taker has it; whoever of the two
 *              lets go last (gone) closes it.
 * The tag in pc|1 is the connection's own, so a watcher never mistakes another's put for its own.
 */
#include <stdlib.h>
#include <string.h>

#include "net/connpool.h"

#define MAX_SHARDS 64
#define MIN_SLOTS 64
#define PUTTING ((uintptr_t)1)

int pool_slots_init(cyg_connpool *p) {
    unsigned n = 1;
    while (n < cyg_procs() && n < MAX_SHARDS) n *= 2;
    size_t share = (p->opts.max_idle + n - 1) / n;
    size_t slots = share < MIN_SLOTS ? (p->opts.max_idle < MIN_SLOTS ? p->opts.max_idle : MIN_SLOTS) : share;
    slots = (slots + 7) & ~(size_t)7;
    if (slots > UINT16_MAX) slots = UINT16_MAX & ~7u;
    p->shards = aligned_alloc(POOL_LINE, n * sizeof *p->shards);
    uintptr_t *all = aligned_alloc(POOL_LINE, n * slots * sizeof *all);
    if (!p->shards || !all) {
        free(p->shards);
        free(all);
        p->shards = NULL;
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
    return __atomic_compare_exchange_n(slot, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
}

static void uncount_idle(cyg_connpool *p) {
    if (CYG_LIKELY(!p->count_idle)) return;
    __atomic_sub_fetch(&p->idle, 1, __ATOMIC_SEQ_CST);
    pool_warm_check(p);
}

/* r: what conn_quiet or conn_watch said. */
static bool is_quiet(struct pooled *pc, int r) {
    if (CYG_LIKELY(r == 0)) return true;
    pc->why = r > 0 ? CYG_CONNPOOL_UNASKED_BYTES : r == CYG_ECLOSED ? CYG_CONNPOOL_BROKEN : CYG_CONNPOOL_PEER_CLOSED;
    return false;
}

bool pool_quiet(struct pooled *pc) { return is_quiet(pc, conn_quiet(pc->pub.socket)); }

/* The second of taker and watcher closes. */
static void let_go(struct pooled *pc) {
    if (__atomic_exchange_n(&pc->gone, 1, __ATOMIC_ACQ_REL) == 1) pool_close_conn(pc, (cyg_connpool_why)pc->why);
}

/* The watch: the peer closed or sent something nobody asked for, a time is over, or somebody closed the connection. An event
 * for bytes that another thread has read meanwhile comes late and means nothing. */
static void struck(void *arg, int why) {
    struct pooled *pc = arg;
    cyg_connpool *p = pc->pool;
    uintptr_t *slot = &p->shards[pc->shard].slots[pc->slot], me = (uintptr_t)pc;
    if (why == CYG_ETIMEDOUT)
        pc->why = pc->until_why;
    else
        pc->why = why < 0 ? CYG_CONNPOOL_BROKEN : CYG_CONNPOOL_UNASKED_BYTES; /* or its end: whoever owns it looks */
    if (slot_change(slot, me | PUTTING, 0)) return;                           /* the putter sees it */
    if (!slot_change(slot, me, 0)) {
        let_go(pc);
        return;
    }
    uncount_idle(p);
    if (why == 0 && pool_quiet(pc))
        pool_keep(pc);
    else
        pool_close_conn(pc, (cyg_connpool_why)pc->why);
}

/* Finds a free slot, near the top of the shard's stack first. */
static bool reserve(struct pool_shard *sh, unsigned nslots, struct pooled *pc) {
    uint32_t top = __atomic_load_n(&sh->top, __ATOMIC_RELAXED);
    if (top >= nslots) top = 0;
    for (unsigned k = 0; k < nslots; k++) {
        unsigned i = top + k < nslots ? top + k : top + k - nslots;
        if (__atomic_load_n(&sh->slots[i], __ATOMIC_RELAXED) != 0) continue;
        pc->slot = (uint16_t)i; /* before it can be seen */
        if (!slot_change(&sh->slots[i], 0, (uintptr_t)pc | PUTTING)) continue;
        __atomic_store_n(&sh->top, i + 1, __ATOMIC_RELAXED);
        return true;
    }
    return false;
}

static bool reserve_anywhere(cyg_connpool *p, struct pooled *pc) {
    for (unsigned k = 0; k < p->nshards; k++) {
        pc->shard = (uint16_t)((pc->home + k) & (p->nshards - 1));
        if (reserve(&p->shards[pc->shard], p->nslots, pc)) return true;
    }
    return false;
}

/* Until when it may lie idle, and which limit that is; <= now: not at all. */
static cyg_time idle_until(struct pooled *pc, cyg_time now) {
    cyg_time t = now + pc->idle_for;
    pc->until_why = CYG_CONNPOOL_IDLE_TIMEOUT;
    if (pc->life_until < t) {
        t = pc->life_until;
        pc->until_why = CYG_CONNPOOL_MAX_LIFE;
    }
    if (pc->pub.keep_until > 0 && pc->pub.keep_until < t) {
        t = pc->pub.keep_until;
        pc->until_why = CYG_CONNPOOL_PEER_LIMIT;
    }
    return t;
}

enum put { UP, DOWN, AGAIN };

static enum put put_once(struct pooled *pc, cyg_time until) {
    cyg_connpool *p = pc->pool;
    pc->why = CYG_CONNPOOL_MAX_IDLE;
    if (CYG_UNLIKELY(!reserve_anywhere(p, pc))) return DOWN;
    uintptr_t *slot = &p->shards[pc->shard].slots[pc->slot], me = (uintptr_t)pc;
    if (CYG_UNLIKELY(!is_quiet(pc, conn_watch(pc->pub.socket, struck, pc, until)))) {
        __atomic_store_n(slot, 0, __ATOMIC_RELEASE);
        return DOWN;
    }
    if (CYG_LIKELY(slot_change(slot, me | PUTTING, me))) return UP;
    return pc->why == CYG_CONNPOOL_UNASKED_BYTES && pool_quiet(pc) ? AGAIN : DOWN; /* struck before it was up */
}

bool pool_slots_put(struct pooled *pc) {
    cyg_connpool *p = pc->pool;
    cyg_time now = cygrt_now_cached(), until = idle_until(pc, now);
    pc->why = pc->until_why;
    if (CYG_UNLIKELY(until <= now)) return false;
    pc->why = CYG_CONNPOOL_MAX_IDLE;
    if (!p->count_idle || __atomic_add_fetch(&p->idle, 1, __ATOMIC_SEQ_CST) <= p->opts.max_idle) {
        enum put r;
        do r = put_once(pc, until);
        while (CYG_UNLIKELY(r == AGAIN));
        if (CYG_LIKELY(r == UP)) return true;
    }
    uncount_idle(p);
    return false;
}

/* Takes slot i if a connection lies there and is quiet. */
static struct pooled *take_slot(cyg_connpool *p, struct pool_shard *sh, unsigned i) {
    uintptr_t v = __atomic_load_n(&sh->slots[i], __ATOMIC_RELAXED);
    if (v == 0 || (v & PUTTING) || !slot_change(&sh->slots[i], v, 0)) return NULL;
    struct pooled *pc = (struct pooled *)v;
    uncount_idle(p);
    if (CYG_LIKELY(cyg_conn_cancel_readable(pc->pub.socket))) return pc;
    let_go(pc);
    return NULL;
}

static struct pooled *take_shard(cyg_connpool *p, struct pool_shard *sh, unsigned from) {
    for (unsigned i = from; i-- > 0;) {
        struct pooled *pc = take_slot(p, sh, i);
        if (!pc) continue;
        __atomic_store_n(&sh->top, i, __ATOMIC_RELAXED);
        return pc;
    }
    if (from > 0) __atomic_store_n(&sh->top, 0, __ATOMIC_RELAXED);
    return NULL;
}

struct pooled *pool_slots_take(cyg_connpool *p, bool thorough) {
    unsigned home = pool_home(p);
    if (!thorough) {
        struct pool_shard *sh = &p->shards[home];
        uint32_t top = __atomic_load_n(&sh->top, __ATOMIC_RELAXED);
        struct pooled *pc = take_shard(p, sh, top <= p->nslots ? top : p->nslots);
        return CYG_LIKELY(pc != NULL) ? pc : take_shard(p, sh, p->nslots); /* top is a hint; a dial is dearer than a look */
    }
    for (unsigned k = 0; k < p->nshards; k++) {
        struct pooled *pc = take_shard(p, &p->shards[(home + k) & (p->nshards - 1)], p->nslots);
        if (pc) return pc;
    }
    return NULL;
}
