/* after_pool.c: chunks of 2 MiB, shared by the runtime's Ps; each P has a list of free timers and a run of fresh ones, guarded by
 * its tlock, which whoever adds a timer holds anyway. Timers freed by a heap go to that heap's P. What a P lacks it takes from
 * the pool's list, from a P that has many, or from a new run. Nothing is given back while the runtime runs. */
#include "runtime/after_pool.h"
#include "base/spin.h"

#include <stdlib.h>
#include <sys/mman.h>

#define RUN 64            /* fresh timers for a P at a time: their bodies fill a page */
#define WORTH_TAKING 1024 /* free timers of another P */
#define HUGE_FROM 4 /* chunks after which huge pages are asked for: a small program's memory is not to grow by them */

static struct {
    uint32_t lock; /* taken under a tlock */
    uint32_t nchunks;
    struct after_chunk *chunks[POOL_CHUNKS]; /* read without the lock by who has one of its timers */
    struct cyg_timer *free;                  /* left by threads without a P, and by the runtime before */
} pool;

/* A timer's number: of its chunk, and in it. */
#define NUMBER_BITS 15
#define NO_NUMBER (UINT32_MAX >> 1)
_Static_assert(POOL_TIMERS <= 1 << NUMBER_BITS && POOL_CHUNKS <= NO_NUMBER >> NUMBER_BITS, "numbers are too short");

static void set_next(struct cyg_timer *t, struct cyg_timer *next) {
    uint32_t number = NO_NUMBER;
    if (next) {
        struct after_chunk *c = after_chunk(next);
        number = c->number << NUMBER_BITS | (uint32_t)(next - c->timers);
    }
    atomic_store_explicit(&t->state, number << 1 | POOL_FREE, memory_order_relaxed);
}

static struct cyg_timer *next_of(struct cyg_timer *t) {
    uint32_t number = atomic_load_explicit(&t->state, memory_order_relaxed) >> 1;
    if (number == NO_NUMBER) return NULL;
    return &pool.chunks[number >> NUMBER_BITS]->timers[number & ((1u << NUMBER_BITS) - 1)];
}

static bool new_chunk(void) {
    struct after_chunk *c = pool.nchunks < POOL_CHUNKS ? aligned_alloc(POOL_CHUNK, POOL_CHUNK) : NULL;
    if (!c) return false;
    if (pool.nchunks >= HUGE_FROM) (void)madvise(c, POOL_CHUNK, MADV_HUGEPAGE);
    c->used = 0;
    c->number = pool.nchunks;
    pool.chunks[pool.nchunks++] = c;
    return true;
}

/* All of another P's, if it has many. */
static bool take_from_others(struct p *p) {
    struct cygrt_sched *s = &cygrt_sched;
    for (unsigned i = 0; i < s->nprocs && !p->tfree; i++) {
        struct p *v = &s->ps[i];
        if (v == p || __atomic_load_n(&v->ntfree, __ATOMIC_RELAXED) < WORTH_TAKING || !cyg_spin_trylock(&v->tlock))
            continue;
        p->tfree = v->tfree;
        p->ntfree = v->ntfree;
        v->tfree = NULL;
        __atomic_store_n(&v->ntfree, 0, __ATOMIC_RELAXED);
        cyg_spin_unlock(&v->tlock);
    }
    return p->tfree != NULL;
}

static bool refill(struct p *p) {
    cyg_spin_lock(&pool.lock);
    uint32_t n = 0;
    while (pool.free && n < RUN) {
        struct cyg_timer *t = pool.free;
        pool.free = next_of(t);
        set_next(t, p->tfree);
        p->tfree = t;
        n++;
    }
    __atomic_store_n(&p->ntfree, n, __ATOMIC_RELAXED);
    bool have = n || take_from_others(p);
    struct after_chunk *c = pool.nchunks ? pool.chunks[pool.nchunks - 1] : NULL;
    if (!have && ((c && c->used < POOL_TIMERS) || new_chunk())) {
        c = pool.chunks[pool.nchunks - 1];
        p->tfresh = &c->timers[c->used];
        p->tfresh_end = p->tfresh + RUN;
        c->used += RUN;
        for (struct cyg_timer *t = p->tfresh; t != p->tfresh_end; t++) set_next(t, NULL);
        have = true;
    }
    cyg_spin_unlock(&pool.lock);
    return have;
}
_Static_assert(POOL_TIMERS % RUN == 0, "runs do not end with the chunk");

struct cyg_timer *after_alloc(struct p *p) {
    for (;;) {
        struct cyg_timer *t = p->tfree;
        if (t) {
            p->tfree = next_of(t);
            __atomic_store_n(&p->ntfree, p->ntfree - 1, __ATOMIC_RELAXED);
            if (p->tfree) {
                __builtin_prefetch(p->tfree, 1);
                __builtin_prefetch(after_body(p->tfree), 1);
            }
            return t;
        }
        if (p->tfresh != p->tfresh_end) return p->tfresh++;
        if (!refill(p)) return NULL;
    }
}

void after_free(struct p *p, struct cyg_timer *t) {
    set_next(t, p->tfree);
    p->tfree = t;
    __atomic_store_n(&p->ntfree, p->ntfree + 1, __ATOMIC_RELAXED);
}

void after_free_unlocked(struct cyg_timer *t) {
    struct m *m = cygrt_m();
    struct p *p = m ? atomic_load_explicit(&m->p, memory_order_relaxed) : NULL;
    if (p) {
        cyg_spin_lock(&p->tlock);
        after_free(p, t);
        cyg_spin_unlock(&p->tlock);
    } else {
        cyg_spin_lock(&pool.lock);
        set_next(t, pool.free);
        pool.free = t;
        cyg_spin_unlock(&pool.lock);
    }
}

void after_drop_all(uint32_t keep) {
    bool any = false;
    cyg_spin_lock(&pool.lock);
    pool.free = NULL;
    for (uint32_t k = 0; k < pool.nchunks; k++) {
        struct after_chunk *c = pool.chunks[k];
        for (uint32_t i = 0; i < c->used; i++) {
            struct cyg_timer *t = &c->timers[i];
            uint32_t state = atomic_load_explicit(&t->state, memory_order_relaxed);
            if (!(state & POOL_FREE) && (state & keep)) {
                atomic_store_explicit(&t->state, keep, memory_order_relaxed);
                any = true;
                continue;
            }
            set_next(t, pool.free);
            pool.free = t;
        }
    }
    if (!any) {
        while (pool.nchunks) free(pool.chunks[--pool.nchunks]);
        pool.free = NULL;
    }
    cyg_spin_unlock(&pool.lock);
}
