/* after_pool.c: chunks of 2 MiB, shared by the runtime's Ps; each P has a stack of timers that were stopped and released and have
 * entries in its heap yet, one of free timers and a run of fresh ones, guarded by its tlock, which whoever adds a timer holds anyway.
 * Timers freed by a heap go to that heap's P. What a P lacks it takes from the pool's stack, from a P that has many, or from a new
 * run. Nothing is given back while the runtime runs.
 *
 * A stack holds numbers, in blocks: linked through the timers, each of a million that have just been stopped would be a cache miss
 * when it is put there and another one when it is taken; of numbers the next few are known, and fetched early.
 *
 * A goroutine that moves releases its timers on another P than that whose heap has their entries. They go there in parcels; left to a
 * sweep, they would leave the P that they were added on without any, and fresh memory is what costs most. */
#include "runtime/after_pool.h"
#include "base/spin.h"

#include <stdlib.h>
#include <sys/mman.h>

#define RUN 64            /* fresh timers for a P at a time: whole cache lines of words and of bodies */
#define WORTH_TAKING 1024 /* free timers of another P */
#define HUGE_FROM 4 /* chunks after which huge pages are asked for: a small program's memory is not to grow by them */
#define FETCH_AHEAD 8
#define BLOCK 1021     /* numbers: a block is a page */
#define UNDER_WAY 2048 /* numbers in all parcels of a P, about, as long as a parcel holds PARCEL_MIN */
#define PARCEL_MIN 16
#define PARCEL_MAX 253 /* a kibibyte */

struct cygrt_timer_block {
    struct cygrt_timer_block *below;
    uint32_t n;
    uint32_t numbers[BLOCK];
};

struct cygrt_timer_parcel {
    struct cygrt_timer_parcel *next;
    uint32_t n, size;
    uint32_t numbers[];
};

static struct {
    uint32_t lock; /* taken under a tlock */
    uint32_t nchunks;
    struct after_chunk *chunks[POOL_CHUNKS]; /* read without the lock by who has one of its timers */
    struct cygrt_timer_stack free;           /* left by threads without a P, and by the runtime before */
    struct cygrt_timer_block *spare;
} pool;

/* A timer's number: of its chunk, and in it. */
#define NUMBER_BITS 16
_Static_assert(POOL_TIMERS <= 1 << NUMBER_BITS && POOL_CHUNKS <= 1 << (32 - NUMBER_BITS), "numbers are too short");

static uint32_t number_of(const struct cyg_timer *t) {
    const struct after_chunk *c = after_chunk(t);
    return c->number << NUMBER_BITS | (uint32_t)(t - c->timers);
}

static struct cyg_timer *numbered(uint32_t n) {
    return &pool.chunks[n >> NUMBER_BITS]->timers[n & ((1u << NUMBER_BITS) - 1)];
}

static void set_free(struct cyg_timer *t, uint16_t entries) {
    atomic_store_explicit(&t->state, POOL_FREE | entries, memory_order_release);
}

/* ---- stacks ------------------------------------------------------------------------------------------------------------ */

static bool push_number(struct cygrt_timer_stack *s, struct cygrt_timer_block **spare, uint32_t number) {
    struct cygrt_timer_block *b = s->top;
    if (CYG_UNLIKELY(!b || b->n == BLOCK)) {
        if ((b = *spare))
            *spare = b->below;
        else if (!(b = malloc(sizeof *b)))
            return false;
        b->below = s->top;
        b->n = 0;
        s->top = b;
    }
    b->numbers[b->n++] = number;
    return true;
}

static bool push(struct cygrt_timer_stack *s, struct cygrt_timer_block **spare, const struct cyg_timer *t) {
    return push_number(s, spare, number_of(t));
}

static void fetch(uint32_t number) {
    __asm__ volatile(""); /* else gcc 12 takes a function that only prefetches for one without effect, and leaves its call out */
    struct cyg_timer *t = numbered(number);
    const char *body = (const char *)after_body(t);
    __builtin_prefetch(t, 1);
    __builtin_prefetch(body, 1);
    __builtin_prefetch(body + sizeof(struct after_body) - 1, 1);
}

/* NULL: it is empty. */
static struct cyg_timer *pop(struct cygrt_timer_stack *s, struct cygrt_timer_block **spare) {
    struct cygrt_timer_block *b = s->top;
    if (!b) return NULL;
    struct cyg_timer *t = numbered(b->numbers[--b->n]);
    if (b->n >= FETCH_AHEAD) fetch(b->numbers[b->n - FETCH_AHEAD]);
    if (b->n == 0) {
        s->top = b->below;
        b->below = *spare;
        *spare = b;
    }
    return t;
}

static void free_blocks(struct cygrt_timer_block **list) {
    for (struct cygrt_timer_block *b; (b = *list);) {
        *list = b->below;
        free(b);
    }
}

/* ---- chunks ------------------------------------------------------------------------------------------------------------ */

static bool new_chunk(void) {
    struct after_chunk *c = pool.nchunks < POOL_CHUNKS ? aligned_alloc(POOL_CHUNK, POOL_CHUNK) : NULL;
    if (!c) return false;
    if (pool.nchunks >= HUGE_FROM) (void)madvise(c, POOL_CHUNK, MADV_HUGEPAGE);
    c->used = 0;
    c->number = pool.nchunks;
    pool.chunks[pool.nchunks++] = c;
    return true;
}

/* All of another P's free ones, if it has many. */
static bool take_from_others(struct p *p) {
    struct cygrt_sched *s = &cygrt_sched;
    for (unsigned i = 0; i < s->nprocs && !p->tfree.top; i++) {
        struct p *v = &s->ps[i];
        if (v == p || __atomic_load_n(&v->ntfree, __ATOMIC_RELAXED) < WORTH_TAKING || !cyg_spin_trylock(&v->tlock))
            continue;
        p->tfree = v->tfree;
        __atomic_store_n(&p->ntfree, v->ntfree, __ATOMIC_RELAXED);
        v->tfree.top = NULL;
        __atomic_store_n(&v->ntfree, 0, __ATOMIC_RELAXED);
        cyg_spin_unlock(&v->tlock);
    }
    return p->tfree.top != NULL;
}

static bool refill(struct p *p) {
    cyg_spin_lock(&pool.lock);
    uint32_t n = 0;
    for (struct cyg_timer *t; n < RUN && (t = pop(&pool.free, &pool.spare)) && push(&p->tfree, &p->tspare, t);) n++;
    __atomic_store_n(&p->ntfree, n, __ATOMIC_RELAXED);
    bool have = n || take_from_others(p);
    struct after_chunk *c = pool.nchunks ? pool.chunks[pool.nchunks - 1] : NULL;
    if (!have && ((c && c->used < POOL_TIMERS) || new_chunk())) {
        c = pool.chunks[pool.nchunks - 1];
        p->tfresh = &c->timers[c->used];
        p->tfresh_end = p->tfresh + RUN;
        c->used += RUN;
        for (struct cyg_timer *t = p->tfresh; t != p->tfresh_end; t++) set_free(t, 0);
        have = true;
    }
    cyg_spin_unlock(&pool.lock);
    return have;
}
_Static_assert(POOL_TIMERS % RUN == 0, "runs do not end with the chunk");

/* ---- for after.c ------------------------------------------------------------------------------------------------------- */

struct cyg_timer *after_alloc(struct p *p) {
    struct cyg_timer *t = pop(&p->tstopped, &p->tspare);
    if (!t) {
        after_unpack(p);
        t = pop(&p->tstopped, &p->tspare);
    }
    while (!t) {
        if ((t = pop(&p->tfree, &p->tspare)))
            __atomic_store_n(&p->ntfree, p->ntfree - 1, __ATOMIC_RELAXED);
        else if (p->tfresh != p->tfresh_end)
            t = p->tfresh++;
        else if (!refill(p))
            return NULL;
    }
    return t;
}

/* One that no memory can be had for to remember it is of no use until the runtime stops; so in after_unpack. */
void after_free(struct p *p, struct cyg_timer *t) {
    set_free(t, 0);
    if (push(&p->tfree, &p->tspare, t)) __atomic_store_n(&p->ntfree, p->ntfree + 1, __ATOMIC_RELAXED);
}

bool after_keep(struct p *p, struct cyg_timer *t, uint16_t entries) {
    if (!push(&p->tstopped, &p->tspare, t)) return false;
    set_free(t, entries);
    return true;
}

void after_swept(struct p *p) {
    struct cygrt_timer_block *b = p->tstopped.top, *last = NULL;
    uint32_t n = 0;
    for (; b; b = b->below) {
        n += b->n;
        last = b;
    }
    if (!last) return;
    last->below = p->tfree.top;
    p->tfree.top = p->tstopped.top;
    p->tstopped.top = NULL;
    __atomic_store_n(&p->ntfree, p->ntfree + n, __ATOMIC_RELAXED);
}

static CYG_COLD struct cygrt_timer_parcel *new_parcel(void) {
    uint32_t size = UNDER_WAY / cygrt_sched.nprocs;
    size = size < PARCEL_MIN ? PARCEL_MIN : size > PARCEL_MAX ? PARCEL_MAX : size;
    struct cygrt_timer_parcel *c = malloc(sizeof *c + size * sizeof c->numbers[0]);
    if (c) *c = (struct cygrt_timer_parcel){.size = size};
    return c;
}

bool after_may_send(struct p *p, struct p *to) {
    if (CYG_UNLIKELY(!p->tparcels) && !(p->tparcels = calloc(cygrt_sched.nprocs, sizeof(struct cygrt_timer_parcel *))))
        return false;
    struct cygrt_timer_parcel **c = &p->tparcels[to->id];
    return CYG_LIKELY(*c != NULL) || (*c = new_parcel());
}

void after_send(struct p *p, struct p *to, const struct cyg_timer *t) {
    struct cygrt_timer_parcel *c = p->tparcels[to->id];
    c->numbers[c->n++] = number_of(t);
    if (CYG_LIKELY(c->n < c->size)) return;
    p->tparcels[to->id] = NULL;
    c->next = atomic_load_explicit(&to->tinbox, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&to->tinbox, &c->next, c, memory_order_release, memory_order_relaxed)) {}
}

void after_unpack(struct p *p) {
    if (!atomic_load_explicit(&p->tinbox, memory_order_relaxed)) return;
    struct cygrt_timer_parcel *c = atomic_exchange_explicit(&p->tinbox, NULL, memory_order_acquire), *next;
    for (; c; c = next) {
        next = c->next;
        while (c->n && push_number(&p->tstopped, &p->tspare, c->numbers[c->n - 1])) c->n--;
        free(c);
    }
}

static void free_parcels(struct p *p) {
    for (unsigned i = 0; p->tparcels && i < cygrt_sched.nprocs; i++) free(p->tparcels[i]);
    free(p->tparcels);
    p->tparcels = NULL;
    for (struct cygrt_timer_parcel *c = atomic_exchange(&p->tinbox, NULL), *next; c; c = next) {
        next = c->next;
        free(c);
    }
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
        set_free(t, 0);
        (void)push(&pool.free, &pool.spare, t);
        cyg_spin_unlock(&pool.lock);
    }
}

static bool is_held(struct cyg_timer *t, uint16_t keep) {
    uint32_t s = atomic_load_explicit(&t->state, memory_order_relaxed);
    return !(s & POOL_FREE) && (s & keep);
}

static bool any_held(uint16_t keep) {
    for (uint32_t k = 0; k < pool.nchunks; k++)
        for (uint32_t i = 0; i < pool.chunks[k]->used; i++)
            if (is_held(&pool.chunks[k]->timers[i], keep)) return true;
    return false;
}

void after_drop_all(uint16_t keep) {
    cyg_spin_lock(&pool.lock);
    for (unsigned i = 0; i < cygrt_sched.nprocs; i++) {
        struct p *p = &cygrt_sched.ps[i];
        free_blocks(&p->tstopped.top);
        free_blocks(&p->tfree.top);
        free_blocks(&p->tspare);
        free_parcels(p);
    }
    free_blocks(&pool.free.top);
    if (!any_held(keep)) {
        while (pool.nchunks) free(pool.chunks[--pool.nchunks]);
        free_blocks(&pool.spare);
    }
    for (uint32_t k = 0; k < pool.nchunks; k++) {
        struct after_chunk *c = pool.chunks[k];
        for (uint32_t i = 0; i < c->used; i++) {
            struct cyg_timer *t = &c->timers[i];
            if (is_held(t, keep)) {
                atomic_store_explicit(&t->state, keep, memory_order_relaxed);
            } else {
                set_free(t, 0);
                (void)push(&pool.free, &pool.spare, t);
            }
        }
    }
    cyg_spin_unlock(&pool.lock);
}
