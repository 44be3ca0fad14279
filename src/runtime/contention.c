/* contention.c: waits for locks, by the stack that waited. One of `rate` waits is recorded, chosen at random, and counts for that
 * many. Entries are never removed: the table has a bound, and what does not fit is one entry of its own. */
#include "base/spin.h"
#include "runtime/pprof.h"
#include "runtime/profile.h"

#include <cygnet/debug.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES 4096
#define BUCKETS 1024
#define RATE 100

struct entry {
    struct entry *next;
    uint64_t hash, count, ns;
    uint8_t reason;
    struct cygrt_trace trace;
};

static _Atomic uint32_t rate = RATE;
static _Atomic uint32_t countdown; /* of a rough kind: Ps may lose each other's steps, never get stuck */

static uint32_t lock; /* spin lock of what follows */
static struct entry *buckets[BUCKETS];
static unsigned nentries;
static struct entry rest;

unsigned cyg_profile_contention_rate(unsigned n) { return atomic_exchange(&rate, n); }

static uint64_t hash_of(const struct cygrt_trace *t, unsigned reason) {
    uint64_t h = reason + 1;
    for (unsigned i = 0; i < t->n; i++) h = (h ^ (uintptr_t)t->pc[i]) * 0x9e3779b97f4a7c15u ^ (h >> 31);
    return h;
}

static struct entry *entry_of(const struct cygrt_trace *t, unsigned reason, struct entry **spare) {
    uint64_t h = hash_of(t, reason);
    struct entry **at = &buckets[h % BUCKETS];
    for (struct entry *e = *at; e; e = e->next)
        if (e->hash == h && e->reason == reason && e->trace.n == t->n &&
            memcmp(e->trace.pc, t->pc, t->n * sizeof *t->pc) == 0)
            return e;
    if (nentries == ENTRIES || !*spare) return &rest;
    struct entry *e = *spare;
    *spare = NULL;
    *e = (struct entry){.next = *at, .hash = h, .reason = (uint8_t)reason, .trace = *t};
    *at = e;
    nentries++;
    return e;
}

__attribute__((noinline)) static void record(cyg_time since, enum cygrt_reason reason, uint32_t weight) {
    struct cygrt_trace t;
    cygrt_walk_here(&t);
    cyg_duration waited = cyg_now() - since;
    struct entry *spare = malloc(sizeof *spare); /* not under the lock; most often it is given back */
    cyg_spin_lock(&lock);
    struct entry *e = entry_of(&t, reason, &spare);
    e->count += weight;
    e->ns += (uint64_t)(waited > 0 ? waited : 0) * weight;
    cyg_spin_unlock(&lock);
    free(spare);
}

void cygrt_contended(cyg_time since, enum cygrt_reason reason) {
    uint32_t n = atomic_load_explicit(&rate, memory_order_relaxed);
    if (!n) return;
    uint32_t left = atomic_load_explicit(&countdown, memory_order_relaxed);
    if (left > 0 && left < 2 * n) { /* one writer would be exact; a lost step only moves the sample */
        atomic_store_explicit(&countdown, left - 1, memory_order_relaxed);
        return;
    }
    uint64_t x = (uint64_t)since * 0x9e3779b97f4a7c15u; /* 0 .. 2n-2 to skip: n - 1 on average */
    atomic_store_explicit(&countdown, n > 1 ? (uint32_t)((x >> 33) % (2 * (uint64_t)n - 1)) : 0, memory_order_relaxed);
    record(since, reason, n);
}

void cygrt_waited_record(struct g *g, enum cygrt_reason reason) {
    g->waits_left = CYGRT_WAITS_EVERY - 1;
    if (atomic_load_explicit(&rate, memory_order_relaxed)) record(g->wait_since, reason, CYGRT_WAITS_EVERY);
}

int cygrt_contention_write(int fd, int format) {
    static const struct cygrt_profile_kind kind = {.title = "waits for locks",
                                                   .name = {"delay", "contentions"},
                                                   .unit = {"nanoseconds", "count"},
                                                   .label = "reason",
                                                   .period_name = "contentions",
                                                   .period_unit = "count"};
    struct cygrt_profile_kind k = kind;
    struct entry *copy = calloc(ENTRIES + 1, sizeof *copy);
    struct cygrt_profile_row *rows = calloc(ENTRIES + 1, sizeof *rows);
    size_t n = 0;
    int err = CYG_ENOMEM;
    k.period = atomic_load(&rate);
    if (copy && rows) {
        for (unsigned b = 0; b < BUCKETS; b++) { /* a bucket at a time: whoever records need not wait for all */
            cyg_spin_lock(&lock);
            for (const struct entry *e = buckets[b]; e && n < ENTRIES; e = e->next) copy[n++] = *e;
            cyg_spin_unlock(&lock);
        }
        cyg_spin_lock(&lock);
        if (rest.count) copy[n++] = rest;
        cyg_spin_unlock(&lock);
        for (size_t i = 0; i < n; i++)
            rows[i] = (struct cygrt_profile_row){
                {copy[i].ns, copy[i].count}, &copy[i].trace, NULL, cygrt_reason_text(copy[i].reason)};
        err = cygrt_profile_write(fd, format, &k, rows, n, 0);
    }
    free(copy);
    free(rows);
    return err;
}
