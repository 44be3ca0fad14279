/* resolver_cache.c: entries: what is known of a name and type, and who waits to know it. An entry rests in lru when nobody is asking
 * for it; only then can it go. All under the resolver's lock. */
#include <stdlib.h>

#include "base/fatal.h"
#include "net/resolver_internal.h"

/* ---- answers ------------------------------------------------------------------------------------------------------ */

static struct res_answer no_memory = {.refs = 1, .err = CYG_ENOMEM};

struct res_answer *res_answer_new(size_t n) {
    struct res_answer *a = calloc(1, sizeof *a + n * sizeof a->items[0]);
    if (!a) return NULL;
    a->refs = 1;
    a->n = n;
    return a;
}

struct res_answer *res_answer_of_error(int err, const char *why, cyg_duration life) {
    struct res_answer *a = res_answer_new(0);
    if (!a) return res_answer_acquire(&no_memory);
    a->err = err;
    a->why = why;
    a->life = life > 0 ? life : 0;
    return a;
}

struct res_answer *res_answer_acquire(struct res_answer *a) {
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    return a;
}

void res_answer_release(struct res_answer *a) {
    if (a && atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) == 1) free(a);
}

/* ---- lists and table ------------------------------------------------------------------------------------------------ */

static void list_push(struct res_list *l, struct res_entry *e) {
    e->next = NULL;
    e->prev = l->tail;
    if (l->tail)
        l->tail->next = e;
    else
        l->head = e;
    l->tail = e;
}

static void list_remove(struct res_list *l, struct res_entry *e) {
    if (e->prev)
        e->prev->next = e->next;
    else
        l->head = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else
        l->tail = e->prev;
}

static uint64_t hash_of(struct cyg_resolver *r, const char *name, size_t n, enum res_type type) {
    return map_hash_bytes(&r->secret, name, n) + (uint64_t)type * 0x9e3779b97f4a7c15u;
}

static struct res_entry **bucket_of(struct cyg_resolver *r, uint64_t hash) {
    return &r->buckets[hash & (r->nbuckets - 1)];
}

static struct res_entry *find(struct cyg_resolver *r, const char *name, enum res_type type, uint64_t hash) {
    struct res_entry *e = *bucket_of(r, hash);
    while (e && (e->hash != hash || e->type != type || strcmp(e->name, name) != 0)) e = e->hash_next;
    return e;
}

/* Takes out and frees an entry that stands in no list. */
static void drop(struct cyg_resolver *r, struct res_entry *e) {
    struct res_entry **at = bucket_of(r, e->hash);
    while (*at != e) at = &(*at)->hash_next;
    *at = e->hash_next;
    r->stats.entries--;
    res_answer_release(e->answer);
    free(e);
}

static struct res_entry *make(struct cyg_resolver *r, const char *name, size_t n, enum res_type type, uint64_t hash) {
    while (r->stats.entries >= r->o.max_entries && r->lru.head) { /* those being asked for stay, so it may be more for a while */
        struct res_entry *oldest = r->lru.head;
        list_remove(&r->lru, oldest);
        drop(r, oldest);
        r->stats.evictions_total++;
    }
    struct res_entry *e = calloc(1, sizeof *e + n + 1);
    if (!e) return NULL;
    e->resolver = r;
    e->hash = hash;
    e->type = type;
    memcpy(e->name, name, n + 1);
    struct res_entry **b = bucket_of(r, hash);
    e->hash_next = *b;
    *b = e;
    r->stats.entries++;
    list_push(&r->lru, e);
    return e;
}

void res_forget_all(struct cyg_resolver *r) {
    for (struct res_entry *e; (e = r->lru.head);) {
        list_remove(&r->lru, e);
        drop(r, e);
    }
}

/* ---- wants ---------------------------------------------------------------------------------------------------------- */

static void settle(struct res_want *w, struct res_answer *a, cyg_time expires, bool cached, bool stale) {
    w->entry = NULL;
    w->answer = res_answer_acquire(a);
    w->expires = expires;
    w->cached = cached;
    w->stale = stale;
}

static bool good(const struct res_entry *e) { return e->answer && !e->answer->err; }

static void unlink_want(struct res_want *w) {
    struct res_entry *e = w->entry;
    if (w->prev)
        w->prev->next = w->next;
    else
        e->wants = w->next;
    if (w->next) w->next->prev = w->prev;
    w->next = w->prev = NULL;
}

/* What is kept answers; false: it has to be asked. */
static bool from_cache(struct cyg_resolver *r, struct res_entry *e, struct res_want *w, cyg_time now) {
    if (!e || !e->answer) return false;
    bool fresh = now < e->expires, old = good(e) && now < e->stale_until;
    if (!fresh && !(old && now < e->retry_at)) {
        if (old) w->stale_at = cyg_now() + RES_STALE_WAIT;
        return false;
    }
    if (!e->asking) { /* used last */
        list_remove(&r->lru, e);
        list_push(&r->lru, e);
    }
    if (fresh) {
        r->stats.hits_total++;
        if (e->answer->err) r->stats.negative_total++;
    } else {
        r->stats.stale_total++;
    }
    settle(w, e->answer, e->expires, true, !fresh);
    return true;
}

struct res_entry *res_ask(struct cyg_resolver *r, struct res_want *w, const char *name, enum res_type type) {
    size_t n = strlen(name);
    uint64_t hash = hash_of(r, name, n, type);
    struct res_entry *e = find(r, name, type, hash);
    r->stats.lookups_total++;
    w->stale_at = 0;
    if (from_cache(r, e, w, res_now(r))) return NULL;
    r->stats.misses_total++;
    if (!e && !(e = make(r, name, n, type, hash))) {
        settle(w, &no_memory, 0, false, false);
        return NULL;
    }
    w->entry = e;
    w->prev = NULL;
    if ((w->next = e->wants)) w->next->prev = w;
    e->wants = w;
    if (e->asking) {
        r->stats.shared_total++;
        return NULL;
    }
    list_remove(&r->lru, e);
    e->asking = e->queued = true;
    list_push(&r->queue, e);
    struct res_entry *first = res_next_queued(r);
    if (first != e) r->stats.queued_total++;
    return first;
}

struct res_entry *res_next_queued(struct cyg_resolver *r) {
    struct res_entry *e = r->queue.head;
    if (!e || r->stats.in_flight >= r->o.max_queries) return NULL;
    list_remove(&r->queue, e);
    e->queued = false;
    e->asked = cyg_now();
    r->stats.in_flight++;
    r->stats.queries_total++;
    return e;
}

/* Nobody is asking for it any more. */
static void rest(struct cyg_resolver *r, struct res_entry *e) {
    e->asking = e->queued = false;
    list_push(&r->lru, e);
}

void res_leave(struct cyg_resolver *r, struct res_want *w, bool allow_stale) {
    struct res_entry *e = w->entry;
    if (!e) return;
    unlink_want(w);
    w->entry = NULL;
    if (allow_stale && good(e) && res_now(r) < e->stale_until) {
        r->stats.stale_total++;
        settle(w, e->answer, e->expires, true, true);
        return;
    }
    r->stats.abandoned_total++;
    if (!e->queued || e->wants) return; /* what has been asked will be answered */
    list_remove(&r->queue, e);
    rest(r, e);
}

static void count_answer(struct cyg_resolver *r, struct res_entry *e, enum res_outcome outcome) {
    cyg_resolver_stats *st = &r->stats;
    uint64_t ns = (uint64_t)(cyg_now() - e->asked);
    unsigned i = 0;
    while (i < 15 && ns >= (uint64_t)CYG_MILLISECOND << i) i++;
    st->query_time[i]++;
    st->query_ns_total += ns;
    st->in_flight--;
    switch (outcome) {
    case RES_GOT: st->answers_total++; break;
    case RES_NO_NAME: st->no_name_total++; break;
    case RES_FAILED: st->failures_total++; break;
    case RES_TIMEOUT: st->timeouts_total++; break;
    }
}

void res_answered(struct cyg_resolver *r, struct res_entry *e, struct res_answer *a, enum res_outcome outcome) {
    cyg_time now = res_now(r);
    CYG_ASSERT(e->asking && !e->queued);
    count_answer(r, e, outcome);
    bool stale = outcome >= RES_FAILED && good(e) && now < e->stale_until;
    if (stale) {
        e->retry_at = now + RES_STALE_RETRY;
        res_answer_release(a);
    } else {
        res_answer_release(e->answer);
        e->answer = a;
        e->expires = now + a->life;
        e->stale_until = a->err || r->o.stale < 0 ? 0 : e->expires + r->o.stale;
    }
    rest(r, e);
    for (struct res_want *w; (w = e->wants);) {
        unlink_want(w);
        settle(w, e->answer, e->expires, false, stale);
        if (stale) r->stats.stale_total++;
        w->notify(w);
    }
}
