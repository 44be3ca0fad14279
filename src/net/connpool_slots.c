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

static CYG_COLD void count_one_less(cyg_connpool *p) {
    __atomic_sub_fetch(&p->idle, 1, __ATOMIC_SEQ_CST);
    pool_warm_check(p);
}
static inline void uncount_idle(cyg_connpool *p) {
    if (CYG_UNLIKELY(p->count_idle)) count_one_less(p);
}

/* r: what conn_quiet or conn_watch said. */
static CYG_COLD bool not_quiet(struct pooled *pc, int r) {
    pc->why = r > 0 ? CYG_CONNPOOL_UNASKED_BYTES : r == CYG_ECLOSED ? CYG_CONNPOOL_BROKEN : CYG_CONNPOOL_PEER_CLOSED;
    return false;
}
static inline bool is_quiet(struct pooled *pc, int r) { return CYG_LIKELY(r == 0) ? true : not_quiet(pc, r); }

bool pool_quiet(struct pooled *pc) { return is_quiet(pc, conn_quiet(pc->pub.socket)); }

/* The second of taker and watcher closes. */
static CYG_COLD void let_go(struct pooled *pc) {
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

/* False: that slot is not free. */
static inline bool reserve_slot(struct pool_shard *sh, unsigned i, struct pooled *pc) {
    if (CYG_UNLIKELY(__atomic_load_n(&sh->slots[i], __ATOMIC_RELAXED) != 0)) return false;
    pc->slot = (uint16_t)i; /* before it can be seen */
    if (CYG_UNLIKELY(!slot_change(&sh->slots[i], 0, (uintptr_t)pc | PUTTING))) return false;
    __atomic_store_n(&sh->top, i + 1, __ATOMIC_RELAXED);
    return true;
}

static inline unsigned top_of(const cyg_connpool *p, const struct pool_shard *sh) {
    uint32_t top = __atomic_load_n(&sh->top, __ATOMIC_RELAXED);
    return top < p->nslots ? top : 0;
}

/* In each shard from the top of its stack on. */
static CYG_COLD bool reserve_anywhere(cyg_connpool *p, struct pooled *pc) {
    for (unsigned k = 0; k < p->nshards; k++) {
        pc->shard = (uint16_t)((pc->home + k) & (p->nshards - 1));
        struct pool_shard *sh = &p->shards[pc->shard];
        unsigned top = top_of(p, sh);
        for (unsigned n = 0; n < p->nslots; n++) {
            if (reserve_slot(sh, top + n < p->nslots ? top + n : top + n - p->nslots, pc)) return true;
        }
    }
    return false;
}

/* Finds a free slot, nearly always on top of the stack of its P's shard. */
static inline bool reserve(cyg_connpool *p, struct pooled *pc) {
    struct pool_shard *sh = &p->shards[pc->home];
    pc->shard = pc->home;
    return CYG_LIKELY(reserve_slot(sh, top_of(p, sh), pc)) || reserve_anywhere(p, pc);
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

static CYG_COLD enum put put_struck(struct pooled *pc) {
    return pc->why == CYG_CONNPOOL_UNASKED_BYTES && pool_quiet(pc) ? AGAIN : DOWN;
}

static inline enum put put_once(struct pooled *pc, cyg_time until) {
    cyg_connpool *p = pc->pool;
    pc->why = CYG_CONNPOOL_MAX_IDLE;
    if (CYG_UNLIKELY(!reserve(p, pc))) return DOWN;
    uintptr_t *slot = &p->shards[pc->shard].slots[pc->slot], me = (uintptr_t)pc;
    if (CYG_UNLIKELY(!is_quiet(pc, conn_watch(pc->pub.socket, struck, pc, until)))) {
        __atomic_store_n(slot, 0, __ATOMIC_RELEASE);
        return DOWN;
    }
    return CYG_LIKELY(slot_change(slot, me | PUTTING, me)) ? UP : put_struck(pc); /* struck before it was up */
}

static inline bool count_idle(cyg_connpool *p) {
    return CYG_LIKELY(!p->count_idle) || __atomic_add_fetch(&p->idle, 1, __ATOMIC_SEQ_CST) <= p->opts.max_idle;
}

bool pool_slots_put(struct pooled *pc) {
    cyg_connpool *p = pc->pool;
    cyg_time now = cygrt_now_cached(), until = idle_until(pc, now);
    pc->why = pc->until_why;
    if (CYG_UNLIKELY(until <= now)) return false;
    pc->why = CYG_CONNPOOL_MAX_IDLE;
    if (CYG_LIKELY(count_idle(p))) {
        enum put r;
        do r = put_once(pc, until);
        while (CYG_UNLIKELY(r == AGAIN));
        if (CYG_LIKELY(r == UP)) return true;
    }
    uncount_idle(p);
    return false;
}

/* Takes what lies in a slot if it is quiet. */
static inline struct pooled *take_slot(cyg_connpool *p, uintptr_t *slot) {
    uintptr_t v = __atomic_load_n(slot, __ATOMIC_RELAXED);
    if (v == 0 || (v & PUTTING) || CYG_UNLIKELY(!slot_change(slot, v, 0))) return NULL;
    struct pooled *pc = (struct pooled *)v;
    uncount_idle(p);
    if (CYG_LIKELY(cyg_conn_cancel_readable(pc->pub.socket))) return pc;
    let_go(pc);
    return NULL;
}

/* Looks at the slots below `from`. */
static struct pooled *take_below(cyg_connpool *p, struct pool_shard *sh, unsigned from) {
    for (unsigned i = from; i-- > 0;) {
        struct pooled *pc = take_slot(p, &sh->slots[i]);
        if (CYG_UNLIKELY(!pc)) continue;
        __atomic_store_n(&sh->top, i, __ATOMIC_RELAXED);
        return pc;
    }
    if (from > 0) __atomic_store_n(&sh->top, 0, __ATOMIC_RELAXED);
    return NULL;
}

struct pooled *pool_slots_glance(cyg_connpool *p, struct pool_shard *sh) {
    uint32_t top = __atomic_load_n(&sh->top, __ATOMIC_RELAXED);
    return take_below(p, sh, top <= p->nslots ? top : p->nslots);
}

struct pooled *pool_slots_take(cyg_connpool *p) {
    unsigned home = pool_home(p);
    for (unsigned k = 0; k < p->nshards; k++) {
        struct pooled *pc = take_below(p, &p->shards[(home + k) & (p->nshards - 1)], p->nslots);
        if (pc) return pc;
    }
    return NULL;
}
