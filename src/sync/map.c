/* map.c: shards with a spin lock each; a shard is a table with open addressing and linear probing, kept at most three quarters full,
 * from which entries are deleted by shifting back. Memory is allocated without the lock: an insertion that needs some lets the
 * lock go and starts over. The upper half of a key's hash chooses the shard, the lower half the place. */
#include <cygnet/map.h>
#include <cygnet/runtime.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/fatal.h"
#include "base/spin.h"
#include "runtime/sched.h"
#include "sync/map_hash.h"

#define SHARDS_EACH 16 /* for each P */
#define SHARDS_MAX 1024
#define FIRST 8

struct key {
    uint64_t hash;
    const char *p; /* NULL in a map of numbers */
    uint64_t n;    /* length, or the number */
};

struct entry {
    struct key key; /* key.p is owned */
    void *value;    /* NULL: no entry */
    bool asked;     /* since the hand came by */
};

struct shard {
    _Alignas(CYGRT_CACHELINE) uint32_t lock; /* of all that follows */
    uint32_t hand;                           /* where the next eviction looks first */
    struct entry *table;
    uint64_t cap, n;
    uint64_t hits, misses, evictions, refusals;
};

struct cyg_map {
    cyg_map_opts opts;
    struct map_secret secret;
    unsigned nshards;                           /* a power of two */
    _Alignas(CYGRT_CACHELINE) uint64_t entries; /* atomic; kept only with a bound */
    struct shard shards[];
};

cyg_map *cyg_map_new(const cyg_map_opts *opts) {
    unsigned procs = cyg_procs() ? cyg_procs() : cygrt_cpu_count(), shards = 1;
    while (shards < procs * SHARDS_EACH && shards < SHARDS_MAX) shards *= 2;
    cyg_map *m;
    size_t bytes = sizeof *m + shards * sizeof m->shards[0];
    if (posix_memalign((void **)&m, CYGRT_CACHELINE, bytes) != 0) cyg_fatal("out of memory: %zu bytes", bytes);
    memset(m, 0, bytes);
    if (opts) m->opts = *opts;
    m->nshards = shards;
    if (getrandom(&m->secret, sizeof m->secret, 0) != sizeof m->secret) cyg_fatal("no random bytes for a map");
    return m;
}

static struct key string_key(const cyg_map *m, cyg_str s) {
    if (m->opts.numbers) cyg_fatal("map at %p: a string as key of a map of numbers", (const void *)m);
    return (struct key){map_hash_bytes(&m->secret, s.p, s.n), s.n ? s.p : "", s.n};
}
static struct key number_key(const cyg_map *m, uint64_t x) {
    if (!m->opts.numbers) cyg_fatal("map at %p: a number as key of a map of strings", (const void *)m);
    return (struct key){map_hash_number(&m->secret, x), NULL, x};
}

static struct shard *shard_of(cyg_map *m, const struct key *k) { return &m->shards[k->hash >> 32 & (m->nshards - 1)]; }

static void drop_value(const cyg_map *m, void *value) {
    if (m->opts.release && value) m->opts.release(value);
}

/* ---- one shard's table; under its lock ----------------------------------------------------------------------------------------- */

static struct entry *find(const struct shard *s, const struct key *k) {
    if (s->n == 0) return NULL;
    for (uint64_t i = k->hash & (s->cap - 1);; i = (i + 1) & (s->cap - 1)) {
        struct entry *e = &s->table[i];
        if (!e->value) return NULL;
        if (e->key.hash == k->hash && e->key.n == k->n && (!k->p || memcmp(e->key.p, k->p, k->n) == 0)) return e;
    }
}

static void place(struct entry *table, uint64_t cap, const struct entry *e) {
    uint64_t i = e->key.hash & (cap - 1);
    while (table[i].value) i = (i + 1) & (cap - 1);
    table[i] = *e;
}

/* Takes e out and closes the gap: entries behind it that could stand in it move up. */
static void take_out(struct shard *s, struct entry *e) {
    uint64_t mask = s->cap - 1, gap = (uint64_t)(e - s->table);
    for (uint64_t i = (gap + 1) & mask; s->table[i].value; i = (i + 1) & mask) {
        uint64_t home = s->table[i].key.hash & mask;
        if (((i - home) & mask) < ((i - gap) & mask)) continue; /* its home lies behind the gap */
        s->table[gap] = s->table[i];
        gap = i;
    }
    s->table[gap].value = NULL;
    s->n--;
}

/* The entry that has not been asked for since the hand came by last; the table is not empty. */
static struct entry *least_wanted(struct shard *s) {
    for (;; s->hand++) {
        struct entry *e = &s->table[s->hand & (s->cap - 1)];
        if (e->value && !e->asked) return e;
        e->asked = false;
    }
}

/* ---- looking up and deleting --------------------------------------------------------------------------------------------------- */

static void *get(cyg_map *m, struct key k) {
    struct shard *s = shard_of(m, &k);
    cyg_spin_lock(&s->lock);
    struct entry *e = find(s, &k);
    void *value = NULL;
    if (e) {
        s->hits++;
        e->asked = true;
        value = e->value;
        if (m->opts.acquire) m->opts.acquire(value);
    } else {
        s->misses++;
    }
    cyg_spin_unlock(&s->lock);
    return value;
}

void *cyg_map_get(cyg_map *m, cyg_str key) { return get(m, string_key(m, key)); }
void *cyg_map_get_u64(cyg_map *m, uint64_t key) { return get(m, number_key(m, key)); }

/* What has been taken out of a shard goes once the lock has been let go. */
static void counted_out(cyg_map *m) {
    if (m->opts.max_entries) __atomic_fetch_sub(&m->entries, 1, __ATOMIC_RELAXED);
}

static bool delete_(cyg_map *m, struct key k, void **old) {
    struct shard *s = shard_of(m, &k);
    cyg_spin_lock(&s->lock);
    struct entry *e = find(s, &k), gone = {.value = NULL};
    if (e) {
        gone = *e;
        take_out(s, e);
        counted_out(m);
    }
    cyg_spin_unlock(&s->lock);
    if (!gone.value) return false;
    free((char *)gone.key.p);
    if (old)
        *old = gone.value;
    else
        drop_value(m, gone.value);
    return true;
}

bool cyg_map_delete(cyg_map *m, cyg_str key, void **old) { return delete_(m, string_key(m, key), old); }
bool cyg_map_delete_u64(cyg_map *m, uint64_t key, void **old) { return delete_(m, number_key(m, key), old); }

/* ---- inserting ------------------------------------------------------------------------------------------------------------------ */

/* Makes room for one entry somewhere, first in `s`. No lock is held. */
static void evict(cyg_map *m, struct shard *s) {
    for (unsigned i = 0; i < m->nshards; i++) {
        struct shard *at = &m->shards[((unsigned)(s - m->shards) + i) & (m->nshards - 1)];
        struct entry gone = {.value = NULL};
        cyg_spin_lock(&at->lock);
        if (at->n) {
            struct entry *e = least_wanted(at);
            gone = *e;
            take_out(at, e);
            at->evictions++;
            counted_out(m);
        }
        cyg_spin_unlock(&at->lock);
        if (!gone.value) continue;
        free((char *)gone.key.p);
        drop_value(m, gone.value);
        return;
    }
}

static bool within_bound(cyg_map *m) {
    if (!m->opts.max_entries) return true;
    uint64_t n = __atomic_load_n(&m->entries, __ATOMIC_RELAXED);
    while (n < m->opts.max_entries)
        if (__atomic_compare_exchange_n(&m->entries, &n, n + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return true;
    return false;
}

/* What an insertion has allocated so far, without the lock. */
struct room {
    char *key;
    struct entry *table;
    uint64_t cap;
};

static bool allocate(struct room *r, const struct key *k, uint64_t want_cap) {
    if (k->p && !r->key) {
        if (!(r->key = malloc(k->n + 1))) return false;
        memcpy(r->key, k->p, k->n);
        r->key[k->n] = 0;
    }
    if (want_cap > r->cap) {
        free(r->table);
        r->cap = want_cap;
        r->table = calloc(want_cap, sizeof *r->table);
    }
    return !want_cap || r->table;
}

/* The table a shard needs for one more entry; 0: the one it has is large enough. */
static uint64_t bigger_cap(const struct shard *s) {
    if ((s->n + 1) * 4 <= s->cap * 3) return 0;
    return s->cap ? s->cap * 2 : FIRST;
}

/* Under the lock, with room for it. r is left with what is to be freed. */
static void insert(struct shard *s, const struct key *k, void *value, struct room *r) {
    if (bigger_cap(s)) {
        for (uint64_t i = 0; i < s->cap; i++)
            if (s->table[i].value) place(r->table, r->cap, &s->table[i]);
        struct entry *old = s->table;
        s->table = r->table;
        s->cap = r->cap;
        r->table = old;
    }
    struct entry e = {.key = *k, .value = value};
    e.key.p = r->key;
    r->key = NULL;
    place(s->table, s->cap, &e);
    s->n++;
}

/* One try: 1 done, key was there and *there its value (replaced unless keep, acquired if keep); 0 inserted; otherwise what is
 * missing: CYG_ENOMEM memory, of *want_cap entries among other things; CYG_ELIMIT room within the bound. */
static int try_put(cyg_map *m, struct shard *s, const struct key *k, void *value, bool keep, struct room *r,
                   void **there, uint64_t *want_cap) {
    int done = 1;
    cyg_spin_lock(&s->lock);
    struct entry *e = find(s, k);
    uint64_t cap = bigger_cap(s);
    if (e) {
        *there = e->value;
        e->asked = true;
        if (keep) {
            s->hits++;
            if (m->opts.acquire) m->opts.acquire(e->value);
        } else {
            e->value = value;
        }
    } else if ((k->p && !r->key) || cap > r->cap) {
        *want_cap = cap;
        done = CYG_ENOMEM;
    } else if (!within_bound(m)) {
        if (!m->opts.evict) s->refusals++;
        done = CYG_ELIMIT;
    } else {
        insert(s, k, value, r);
        if (keep) s->misses++;
        if (keep && m->opts.acquire) m->opts.acquire(value);
        done = 0;
    }
    cyg_spin_unlock(&s->lock);
    return done;
}

static int put(cyg_map *m, struct key k, void *value, bool keep, void **there) {
    if (!value) return cygrt_fail(CYG_EINVAL, "NULL as a value of a map");
    struct shard *s = shard_of(m, &k);
    struct room r = {NULL, NULL, 0};
    uint64_t cap = 0;
    int done;
    for (;;) {
        done = try_put(m, s, &k, value, keep, &r, there, &cap);
        if (done >= 0) break;
        if (done == CYG_ENOMEM && !allocate(&r, &k, cap)) break;
        if (done == CYG_ELIMIT && !m->opts.evict) {
            cygrt_fail(done, "the map has %zu entries, its bound", m->opts.max_entries);
            break;
        }
        if (done == CYG_ELIMIT) evict(m, s);
    }
    free(r.key);
    free(r.table);
    return done;
}

static int set(cyg_map *m, struct key k, void *value, void **old) {
    void *was = NULL;
    int r = put(m, k, value, false, &was);
    if (r < 0) return r;
    if (old)
        *old = was;
    else
        drop_value(m, was);
    return 0;
}

int cyg_map_set(cyg_map *m, cyg_str key, void *value, void **old) { return set(m, string_key(m, key), value, old); }
int cyg_map_set_u64(cyg_map *m, uint64_t key, void *value, void **old) {
    return set(m, number_key(m, key), value, old);
}

static int get_or_set(cyg_map *m, struct key k, void *value, void **out) {
    void *there = NULL;
    int r = put(m, k, value, true, &there);
    if (r >= 0) *out = r ? there : value;
    return r;
}

int cyg_map_get_or_set(cyg_map *m, cyg_str key, void *value, void **out) {
    return get_or_set(m, string_key(m, key), value, out);
}
int cyg_map_get_or_set_u64(cyg_map *m, uint64_t key, void *value, void **out) {
    return get_or_set(m, number_key(m, key), value, out);
}

/* ---- all of it ------------------------------------------------------------------------------------------------------------------- */

/* A shard as it is now: *n entries, with their keys behind them in the same block; NULL: none, or no memory (*n is -1). */
static cyg_map_entry *copy_shard(cyg_map *m, struct shard *s, int64_t *n) {
    cyg_map_entry *copy = NULL;
    uint64_t room = 0;
    for (;;) {
        uint64_t bytes = 0, k = 0;
        cyg_spin_lock(&s->lock);
        for (uint64_t i = 0; i < s->cap; i++)
            if (s->table[i].value) bytes += sizeof *copy + (s->table[i].key.p ? s->table[i].key.n : 0);
        if (bytes > room) {
            cyg_spin_unlock(&s->lock);
            free(copy);
            if (!(copy = malloc(room = bytes * 2))) {
                *n = -1;
                return NULL;
            }
            continue;
        }
        char *keys = (char *)(copy + s->n);
        for (uint64_t i = 0; i < s->cap; i++) {
            const struct entry *e = &s->table[i];
            if (!e->value) continue;
            copy[k] = (cyg_map_entry){.value = e->value};
            if (e->key.p) {
                copy[k].key = (cyg_str){memcpy(keys, e->key.p, e->key.n), e->key.n};
                keys += e->key.n;
            } else {
                copy[k].number = e->key.n;
            }
            k++;
            if (m->opts.acquire) m->opts.acquire(e->value);
        }
        cyg_spin_unlock(&s->lock);
        *n = (int64_t)k;
        return copy;
    }
}

int cyg_map_range(cyg_map *m, bool (*fn)(const cyg_map_entry *, void *), void *arg) {
    bool more = true;
    for (unsigned i = 0; i < m->nshards && more; i++) {
        int64_t n;
        cyg_map_entry *all = copy_shard(m, &m->shards[i], &n);
        if (n < 0) return CYG_ENOMEM;
        for (int64_t k = 0; k < n; k++) {
            more = more && fn(&all[k], arg);
            if (m->opts.acquire) drop_value(m, all[k].value);
        }
        free(all);
    }
    return 0;
}

void cyg_map_free(cyg_map *m) {
    if (!m) return;
    for (unsigned i = 0; i < m->nshards; i++) {
        struct shard *s = &m->shards[i];
        for (uint64_t k = 0; k < s->cap; k++) {
            if (!s->table[k].value) continue;
            free((char *)s->table[k].key.p);
            drop_value(m, s->table[k].value);
        }
        free(s->table);
    }
    free(m);
}

void cyg_map_get_stats(cyg_map *m, cyg_map_stats *out) {
    cyg_map_stats st = {0};
    for (unsigned i = 0; i < m->nshards; i++) {
        struct shard *s = &m->shards[i];
        cyg_spin_lock(&s->lock);
        st.entries += s->n;
        st.hits_total += s->hits;
        st.misses_total += s->misses;
        st.evictions_total += s->evictions;
        st.refusals_total += s->refusals;
        cyg_spin_unlock(&s->lock);
    }
    *out = st;
}
