/* objpool.c: for each P a cache line with a few slots, behind them one list that all share. A slot is emptied by an exchange and
 * filled by a compare-and-swap: cyg_proc_hint() may be out of date when it is used, so a P's line belongs to nobody, and a
 * goroutine on another P that comes to the same slot gets another object or none. Nothing else is needed to lose or
 * double nothing: an object is in one slot, in the list, or out.
 *
 * In front of each object stands a head that says whose it is and whether it is out. */
#include <cygnet/objpool.h>
#include <cygnet/runtime.h>
#include <stdalign.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/spin.h"
#include "runtime/misuse.h"
#include "runtime/sched.h"

#define SLOTS 6
#define IDLE_EACH 64

enum { OUT = 0x6f757421, IN = 0x696e2121 };

struct head {
    _Alignas(max_align_t) cyg_objpool *pool;
    struct head *next;      /* in the list; guarded by lock */
    _Atomic uint32_t state; /* OUT, IN */
};

struct line {
    _Alignas(CYGRT_CACHELINE) _Atomic(struct head *) slots[SLOTS];
    _Atomic uint64_t gets;
    _Atomic uint64_t news;
    _Alignas(CYGRT_CACHELINE) _Atomic uint64_t steals, drops, freed; /* rare; freed: by trim */
};

struct cyg_objpool {
    size_t size;
    void (*reset)(void *);
    unsigned nlines, nslots; /* lines, and how many slots of each are used */
    size_t max_list;
    _Alignas(CYGRT_CACHELINE) uint32_t lock;
    struct head *list; /* guarded by lock, as is nlist */
    size_t nlist;
    struct line lines[];
};

static size_t round_up(size_t n) { return (n + CYGRT_CACHELINE - 1) / CYGRT_CACHELINE * CYGRT_CACHELINE; }

cyg_objpool *cyg_objpool_new(size_t size, const cyg_objpool_opts *opts) {
    cyg_objpool_opts o = opts ? *opts : (cyg_objpool_opts){0};
    unsigned lines = cyg_procs() ? cyg_procs() : cygrt_cpu_count();
    if (!o.max_idle) o.max_idle = (size_t)IDLE_EACH * lines;
    if (lines > o.max_idle) lines = (unsigned)o.max_idle; /* a small bound is kept too */
    size_t bytes = round_up(sizeof(cyg_objpool) + lines * sizeof(struct line));
    cyg_objpool *p = aligned_alloc(CYGRT_CACHELINE, bytes);
    if (!p) cyg_fatal("out of memory: %zu bytes", bytes);
    memset(p, 0, bytes);
    p->size = size;
    p->reset = o.reset;
    p->nlines = lines;
    p->nslots = o.max_idle / lines < SLOTS ? (unsigned)(o.max_idle / lines) : SLOTS;
    p->max_list = o.max_idle - (size_t)lines * p->nslots;
    return p;
}

static struct line *my_line(cyg_objpool *p) { return &p->lines[cygrt_proc_hint() % p->nlines]; }

/* What is in the slots of a line; NULL: nothing. */
static struct head *take_from(struct line *l) {
    for (int i = 0; i < SLOTS; i++)
        if (atomic_load_explicit(&l->slots[i], memory_order_relaxed)) {
            struct head *h = atomic_exchange_explicit(&l->slots[i], NULL, memory_order_acquire);
            if (h) return h; /* else somebody else has emptied it */
        }
    return NULL;
}

static struct head *take_from_list(cyg_objpool *p) {
    if (__atomic_load_n(&p->nlist, __ATOMIC_RELAXED) == 0) return NULL;
    cyg_spin_lock(&p->lock);
    struct head *h = p->list;
    if (h) {
        p->list = h->next;
        __atomic_store_n(&p->nlist, p->nlist - 1, __ATOMIC_RELAXED);
    }
    cyg_spin_unlock(&p->lock);
    return h;
}

static struct head *take_from_others(cyg_objpool *p, struct line *mine) {
    for (unsigned i = 0; i < p->nlines; i++) {
        struct head *h = &p->lines[i] == mine ? NULL : take_from(&p->lines[i]);
        if (!h) continue;
        atomic_fetch_add_explicit(&mine->steals, 1, memory_order_relaxed);
        return h;
    }
    return NULL;
}

void *cyg_objpool_get(cyg_objpool *p) {
    struct line *l = my_line(p);
    struct head *h = take_from(l);
    if (!h) h = take_from_list(p);
    if (!h) h = take_from_others(p, l);
    if (!h) {
        if (!(h = calloc(1, sizeof *h + p->size))) return NULL;
        h->pool = p;
        atomic_fetch_add_explicit(&l->news, 1, memory_order_relaxed);
    }
    atomic_store_explicit(&h->state, OUT, memory_order_relaxed);
    atomic_fetch_add_explicit(&l->gets, 1, memory_order_relaxed);
    return h + 1;
}

static bool put_into(struct line *l, unsigned nslots, struct head *h) {
    for (unsigned i = 0; i < nslots; i++) {
        struct head *none = NULL;
        if (!atomic_load_explicit(&l->slots[i], memory_order_relaxed) &&
            atomic_compare_exchange_strong_explicit(&l->slots[i], &none, h, memory_order_release, memory_order_relaxed))
            return true;
    }
    return false;
}

static bool put_into_list(cyg_objpool *p, struct head *h) {
    cyg_spin_lock(&p->lock);
    bool room = p->nlist < p->max_list;
    if (room) {
        h->next = p->list;
        p->list = h;
        __atomic_store_n(&p->nlist, p->nlist + 1, __ATOMIC_RELAXED);
    }
    cyg_spin_unlock(&p->lock);
    return room;
}

void cyg_objpool_put_at(cyg_objpool *p, void *obj, const char *file, int line) {
    if (!obj) return;
    struct head *h = (struct head *)obj - 1;
    /* A plain exchange in effect: of two puts at once, which would be a race of the program's, one may go unseen. */
    uint32_t was = atomic_load_explicit(&h->state, memory_order_relaxed);
    if (was != OUT || h->pool != p)
        cygrt_misuse(file, line, "object pool at %p: %p %s", (void *)p, obj,
                     was == IN ? "was put back already" : "is not an object of this pool");
    if (p->reset) p->reset(obj);
    atomic_store_explicit(&h->state, IN, memory_order_relaxed);
    struct line *l = my_line(p);
    if (put_into(l, p->nslots, h) || put_into_list(p, h)) return;
    atomic_fetch_add_explicit(&l->drops, 1, memory_order_relaxed);
    atomic_store_explicit(&h->state, 0, memory_order_relaxed);
    free(h);
}

/* Takes everything idle out and frees it. */
size_t cyg_objpool_trim(cyg_objpool *p) {
    size_t n = 0;
    struct head *h;
    for (unsigned i = 0; i < p->nlines; i++)
        for (; (h = take_from(&p->lines[i])); n++) free(h);
    for (; (h = take_from_list(p)); n++) free(h);
    atomic_fetch_add_explicit(&p->lines[0].freed, n, memory_order_relaxed);
    return n;
}

void cyg_objpool_get_stats(const cyg_objpool *p, cyg_objpool_stats *out) {
    cyg_objpool_stats st = {0};
    uint64_t freed = 0;
    for (unsigned i = 0; i < p->nlines; i++) {
        const struct line *l = &p->lines[i];
        st.gets_total += atomic_load_explicit(&l->gets, memory_order_relaxed);
        st.news_total += atomic_load_explicit(&l->news, memory_order_relaxed);
        st.steals_total += atomic_load_explicit(&l->steals, memory_order_relaxed);
        st.drops_total += atomic_load_explicit(&l->drops, memory_order_relaxed);
        freed += atomic_load_explicit(&l->freed, memory_order_relaxed);
        for (int k = 0; k < SLOTS; k++) st.idle += atomic_load_explicit(&l->slots[k], memory_order_relaxed) != NULL;
    }
    st.idle += __atomic_load_n(&p->nlist, __ATOMIC_RELAXED);
    uint64_t gone = st.drops_total + freed + st.idle; /* read while others change it: never below nothing */
    st.used = st.news_total > gone ? st.news_total - gone : 0;
    *out = st;
}

void cyg_objpool_free_at(cyg_objpool *p, const char *file, int line) {
    if (!p) return;
    (void)cyg_objpool_trim(p);
    cyg_objpool_stats st;
    cyg_objpool_get_stats(p, &st);
    if (st.used)
        cygrt_misuse(file, line, "object pool at %p: freed with %llu objects out", (void *)p, (unsigned long long)st.used);
    free(p);
}
