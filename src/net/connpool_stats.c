/* connpool_stats.c: what a pool counts, in numbers and words, and its name. */
#include <stdlib.h>
#include <string.h>

#include "base/spin.h"
#include "net/connpool.h"

_Static_assert(CYG_CONNPOOL_WHYS <= 16, "room in cyg_connpool_stats");

const char *cyg_connpool_reason(cyg_connpool_why why) {
    static const char *const words[CYG_CONNPOOL_WHYS] = {
        [CYG_CONNPOOL_BROKEN] = "broken",
        [CYG_CONNPOOL_FINISHED] = "finished",
        [CYG_CONNPOOL_PEER_CLOSED] = "peer_closed",
        [CYG_CONNPOOL_UNASKED_BYTES] = "unasked_bytes",
        [CYG_CONNPOOL_IDLE_TIMEOUT] = "idle_timeout",
        [CYG_CONNPOOL_MAX_LIFE] = "max_life",
        [CYG_CONNPOOL_PEER_LIMIT] = "peer_limit",
        [CYG_CONNPOOL_MAX_IDLE] = "max_idle",
        [CYG_CONNPOOL_REPLACED] = "replaced",
        [CYG_CONNPOOL_POOL_CLOSED] = "pool_closed",
    };
    return (unsigned)why < CYG_CONNPOOL_WHYS ? words[why] : "unknown";
}

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* A registry: as many as there are different names in configurations; kept until the program ends. */
struct name {
    struct name *next;
    char text[];
};
static uint32_t names_lock;
static struct name *names; /* guarded by names_lock */

const char *pool_name_keep(const char *name) {
    size_t n = strlen(name) + 1;
    struct name *mine = malloc(sizeof *mine + n), *x;
    if (!mine) return NULL;
    memcpy(mine->text, name, n);
    cyg_spin_lock(&names_lock);
    for (x = names; x && strcmp(x->text, name) != 0;) x = x->next;
    if (!x) {
        mine->next = names;
        names = x = mine;
    }
    cyg_spin_unlock(&names_lock);
    if (x != mine) free(mine);
    return x->text;
}

const char *cyg_connpool_name(const cyg_connpool *p) { return p->name; }

/* ---- waits ------------------------------------------------------------------------------------------------------- */

#define BUCKET_0 ((uint64_t)CYG_MICROSECOND)

static unsigned bucket_of(uint64_t ns) {
    for (unsigned i = 0; i < CYG_CONNPOOL_WAIT_BUCKETS - 1; i++)
        if (ns <= BUCKET_0 << i) return i;
    return CYG_CONNPOOL_WAIT_BUCKETS - 1;
}

void pool_count_wait(cyg_connpool *p, cyg_duration ns, int err) {
    pool_count(&p->waits);
    pool_count(&p->buckets[bucket_of((uint64_t)ns)]);
    __atomic_add_fetch(&p->wait_ns, (uint64_t)ns, __ATOMIC_RELAXED);
    if (err < 0) pool_count(err == CYG_ETIMEDOUT ? &p->timeouts : &p->cancels);
}

cyg_duration cyg_connpool_wait_quantile(const cyg_connpool_stats *s, double q) {
    uint64_t all = 0, seen = 0;
    for (int i = 0; i < CYG_CONNPOOL_WAIT_BUCKETS; i++) all += s->wait_buckets[i];
    if (all == 0) return 0;
    for (int i = 0; i < CYG_CONNPOOL_WAIT_BUCKETS - 1; i++)
        if ((double)(seen += s->wait_buckets[i]) >= q * (double)all) return (cyg_duration)(BUCKET_0 << i);
    return INT64_MAX;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static uint64_t read_of(const uint64_t *counter) { return __atomic_load_n(counter, __ATOMIC_RELAXED); }

void cyg_connpool_get_stats(const cyg_connpool *p, cyg_connpool_stats *out) {
    cyg_connpool_stats s = {
        .open = read_of(&p->open),
        .opening = read_of(&p->opening),
        .waiters = __atomic_load_n(&p->nwaiters, __ATOMIC_RELAXED),
        .opens_total = read_of(&p->opens),
        .open_errors_total = read_of(&p->open_errors),
        .waits_total = read_of(&p->waits),
        .wait_timeouts_total = read_of(&p->timeouts),
        .wait_cancels_total = read_of(&p->cancels),
        .wait_refused_total = read_of(&p->refused),
        .wait_ns_total = read_of(&p->wait_ns),
    };
    for (unsigned i = 0; i < p->nshards; i++) {
        const struct pool_shard *sh = &p->shards[i];
        s.reuses_total += read_of(&sh->reuses);
        for (unsigned k = 0; k < p->nslots; k++) s.idle += __atomic_load_n(&sh->slots[k], __ATOMIC_RELAXED) != 0;
    }
    s.gets_total = s.reuses_total + read_of(&p->lent_new);
    for (int i = 0; i < CYG_CONNPOOL_WHYS; i++) s.closed_total[i] = read_of(&p->closes[i]);
    for (int i = 0; i < CYG_CONNPOOL_WAIT_BUCKETS; i++) s.wait_buckets[i] = read_of(&p->buckets[i]);
    uint64_t not_lent = s.idle + s.opening; /* read one by one: for a moment they may be more than are open */
    s.in_use = s.open > not_lent ? s.open - not_lent : 0;
    *out = s;
}
