/* bufpool.c: buffers that requests borrow. A stack of free ones for each P, last in first out so that the hottest is used
 * next. A shard is taken by try-lock, for a few instructions: who finds it busy for longer than a moment goes to the next.
 *
 * A buffer may be taken on one P and given back on another, always in the same direction if that is how the work moves. So
 * who finds its own shard empty takes some from another one, and the allocator comes last. There are never many more buffers
 * than were in use at once: one more for each time that a thread lost its CPU while it held a shard or had buffers between
 * two. Nobody holds two shards, so that such a thread leaves the others theirs.
 * How many are kept follows the load: what a shard has not needed for SWEEP_EVERY goes back by halves. (A fixed small number
 * was tried: with more requests in flight than that, every one of them went through the allocator, which gave pages back to
 * the kernel and faulted them in again.)
 * The shards are the layer's only static state: buffers belong to no server or pool in particular.
 */
#include "http/internal.h"

#include <stdlib.h>

#include "base/spin.h"

#define SHARDS 64 /* a power of two; Ps beyond share */
#define BATCH 8   /* taken from another shard at once */
#define SWEEP_EVERY CYG_SECOND
#define SWEEP_PUTS 256 /* puts between looks at the clock */
#define SWEEP_BATCH 64 /* freed in one sweep at most */
#define TRIES 100      /* far longer than anybody holds a shard, unless its thread has lost the CPU */

enum kind { BUF, BULK, KINDS };
static const struct {
    size_t bytes;
    uint32_t keep; /* free ones in a shard at most */
} kinds[KINDS] = {
    [BUF] = {HTTP_BUF_BYTES, 4096},  /* 64 MiB */
    [BULK] = {HTTP_BULK_BYTES, 256}, /* 16 MiB */
};

struct free_buf {
    struct free_buf *next;
};

struct shard {
    _Alignas(HTTP_CACHE_LINE) uint32_t lock; /* spin lock of the rest; only ever tried */
    uint32_t n[KINDS];
    struct free_buf *first[KINDS];
    uint32_t low[KINDS]; /* the fewest that were free since the last sweep: so many were not needed */
    uint32_t puts;
    cyg_time sweep_due;
};

static struct shard shards[SHARDS];

static inline struct shard *own_shard(void) { return &shards[cyg_proc_hint() & (SHARDS - 1)]; }
static inline unsigned shards_used(void) { return cyg_procs() < SHARDS ? cyg_procs() : SHARDS; }

static bool shard_try(struct shard *s) {
    for (int n = 0; n < TRIES; n++) {
        if (cyg_spin_trylock(&s->lock)) return true;
        cyg_cpu_relax();
    }
    return false;
}
static inline void shard_leave(struct shard *s) { cyg_spin_unlock(&s->lock); }

static inline struct free_buf *pop(struct shard *s, enum kind k) {
    struct free_buf *b = s->first[k];
    if (CYG_LIKELY(b != NULL)) {
        uint32_t n = --s->n[k];
        s->first[k] = b->next;
        s->low[k] = n < s->low[k] ? n : s->low[k];
    }
    return b;
}

static inline bool push(struct shard *s, enum kind k, struct free_buf *b) {
    if (CYG_UNLIKELY(s->n[k] >= kinds[k].keep)) return false;
    b->next = s->first[k];
    s->first[k] = b;
    s->n[k]++;
    return true;
}

/* Another shard than own: the i-th behind it. */
static struct shard *neighbour(const struct shard *own, unsigned i) {
    return &shards[((unsigned)(own - shards) + i) % shards_used()];
}

static bool put_elsewhere(const struct shard *own, enum kind k, struct free_buf *b) {
    bool kept = false;
    for (unsigned i = 1, n = shards_used(); i < n && !kept; i++) {
        struct shard *s = neighbour(own, i);
        if (!shard_try(s)) continue;
        kept = push(s, k, b);
        shard_leave(s);
    }
    return kept;
}

/* Takes half of what was not needed lately off the shard's lists. */
static struct free_buf *sweep(struct shard *s) {
    struct free_buf *gone = NULL;
    cyg_time now = cygrt_now_cached();
    s->puts = 0;
    if (now < s->sweep_due) return NULL;
    s->sweep_due = now + SWEEP_EVERY;
    for (int k = 0; k < KINDS; k++) {
        uint32_t n = (s->low[k] + 1) / 2;
        if (n > SWEEP_BATCH) n = SWEEP_BATCH;
        for (struct free_buf *b; n > 0 && (b = pop(s, (enum kind)k)) != NULL; n--) {
            b->next = gone;
            gone = b;
        }
        s->low[k] = s->n[k];
    }
    return gone;
}

/* The shard is busy, full or to be swept. */
static __attribute__((noinline)) void put_slowly(struct shard *own, enum kind k, struct free_buf *b) {
    struct free_buf *gone = NULL;
    bool kept = false;
    if (shard_try(own)) {
        kept = push(own, k, b);
        if (own->puts >= SWEEP_PUTS) gone = sweep(own);
        shard_leave(own);
    }
    for (struct free_buf *next; gone != NULL; gone = next) {
        next = gone->next;
        free(gone);
    }
    if (!kept && !put_elsewhere(own, k, b)) free(b);
}

static inline void put(enum kind k, struct free_buf *b) {
    struct shard *own = own_shard();
    if (CYG_LIKELY(cyg_spin_trylock(&own->lock))) {
        bool kept = CYG_LIKELY(++own->puts < SWEEP_PUTS) && push(own, k, b);
        shard_leave(own);
        if (CYG_LIKELY(kept)) return;
    }
    put_slowly(own, k, b);
}

/* One from another shard; own gets some more of there, so as not to come back each time. */
static struct free_buf *take_elsewhere(struct shard *own, enum kind k) {
    struct free_buf *some[BATCH];
    unsigned got = 0;
    for (unsigned i = 1, n = shards_used(); i < n && got == 0; i++) {
        struct shard *s = neighbour(own, i);
        if (!shard_try(s)) continue;
        for (unsigned want = s->n[k] / 2 + 1; got < BATCH && got < want && (some[got] = pop(s, k)) != NULL; got++) {}
        shard_leave(s);
    }
    for (unsigned i = 1; i < got; i++) put_slowly(own, k, some[i]);
    return got > 0 ? some[0] : NULL;
}

/* The shard is busy or empty. */
static __attribute__((noinline)) void *get_slowly(struct shard *own, enum kind k) {
    struct free_buf *b = NULL;
    if (shard_try(own)) {
        b = pop(own, k);
        shard_leave(own);
    }
    if (!b) b = take_elsewhere(own, k);
    return b ? (void *)b : aligned_alloc(HTTP_CACHE_LINE, kinds[k].bytes);
}

static inline void *get(enum kind k) {
    struct shard *own = own_shard();
    if (CYG_LIKELY(cyg_spin_trylock(&own->lock))) {
        struct free_buf *b = pop(own, k);
        shard_leave(own);
        if (CYG_LIKELY(b != NULL)) return b;
    }
    return get_slowly(own, k);
}

void *http_buf_get(void) { return get(BUF); }
void http_buf_put(void *p) { put(BUF, p); }
void *http_bulk_get(void) { return get(BULK); }

void http_bulk_put(void *p) {
    if (p) put(BULK, p);
}
