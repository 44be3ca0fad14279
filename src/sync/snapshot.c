/* snapshot.c: a snapshot is the number of the current slot and, for each P, a word with the number of a slot and the count of readers
 * that came in by it: a reader adds 1 and has both found its slot and entered it, in one step that never fails.
 *
 * Whoever publishes stores the new number, then exchanges the words one after the other, and with each number that it takes out
 * credits the slot with the readers of that word. So while it is under way words differ. A reader whose word has not got the
 * current number yet exchanges it itself: otherwise one reader could see the new value and a later one the old.
 *
 * Why a reader needs no loop but that exchange, and no more than one reader of each thread makes that fail: a publication begins when
 * the one before has been through all words. So as long as a reader's word has the number it found there, at most one newer
 * publication has begun, and the number it loads is the one that belongs there; and if somebody else has put a number into
 * the word meanwhile, that was the current one when he did, which is during this call. A slot whose number a reader
 * found cannot be used again before that reader has left, so an equal number is the same slot. */
#include <stdlib.h>

#include "base/fatal.h"
#include "base/spin.h"
#include "sync/snapshot_guard.h"

/* What a publication needs: what was set aside, or new. */
struct room {
    struct cyg_snapshot_slot *slot;
    struct value *value;
};

struct cyg_snapshot {
    struct family *family;
    unsigned shards;                         /* a power of two */
    uint32_t current;                        /* number of a slot; atomic; changed under lock */
    _Alignas(CYGRT_CACHELINE) uint32_t lock; /* spin lock: one publication at a time */
    struct room reserved;                    /* guarded by lock */
    struct {
        _Alignas(CYGRT_CACHELINE) uint64_t w; /* atomic */
    } words[];
};

cyg_snapshot *cyg_snapshot_new(const cyg_snapshot_opts *opts) {
    cyg_snapshot_opts o = opts ? *opts : (cyg_snapshot_opts){0};
    unsigned procs = cyg_procs() ? cyg_procs() : cygrt_cpu_count(), shards = 1;
    while (shards < procs && shards < CYGRT_MAX_PROCS) shards *= 2;
    cyg_snapshot *s;
    size_t bytes = sizeof *s + shards * sizeof s->words[0];
    if (posix_memalign((void **)&s, CYGRT_CACHELINE, bytes) != 0) cyg_fatal("out of memory: %zu bytes", bytes);
    memset(s, 0, bytes);
    s->shards = shards;
    s->family = cyg_xcalloc(1, sizeof *s->family);
    *s->family = (struct family){.refs = 1, .destroy = o.destroy, .name = o.name, .guarded = cygrt_guard_wanted()};
    cygrt_slots_init();
    return s;
}

/* Readers have come in to a slot by a word that has its number no more (or, for a moment, may have). */
static void credit(uint32_t number, uint64_t readers) {
    if (number) __atomic_fetch_add(&slot_of(number)->entered, readers, __ATOMIC_SEQ_CST);
}

static void leave(uint32_t number, unsigned shard) {
    if (!number) return;
    struct cyg_snapshot_slot *slot = slot_of(number);
    cygrt_slot_leave(slot, &slot->left[shard & (slot->shards - 1)].n);
}

/* Exchanges a word that has number `from`: puts `to` in, with `readers` that come in by it, and credits `from`. False: somebody
 * else has. Credited first and taken back on failure, so that `entered` is never too low. */
static bool exchange(uint64_t *word, uint32_t from, uint32_t to, uint64_t readers) {
    uint64_t w = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    while (SLOT_NUMBER(w) == from) {
        uint64_t before = SLOT_COUNT(w);
        credit(from, before);
        if (__atomic_compare_exchange_n(word, &w, readers * SLOT_ONE + to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            return true;
        credit(from, -before);
    }
    return false;
}

/* ---- publishing ------------------------------------------------------------------------------------------------------------ */

uint32_t cygrt_switch_begin(struct cyg_snapshot *s, uint32_t number) {
    cyg_spin_lock(&s->lock);
    uint32_t old = s->current;
    __atomic_store_n(&s->current, number, __ATOMIC_SEQ_CST);
    return old;
}

void cygrt_switch_finish(struct cyg_snapshot *s, uint32_t old, uint32_t number) {
    for (unsigned i = 0; i < s->shards; i++) (void)exchange(&s->words[i].w, old, number, 0); /* false: a reader has */
    cyg_spin_unlock(&s->lock);
    if (old) cygrt_slot_retire(slot_of(old));
}

static void switch_to(struct cyg_snapshot *s, uint32_t number) {
    cygrt_switch_finish(s, cygrt_switch_begin(s, number), number);
}

static void free_room(struct room r) {
    if (r.slot) cygrt_slot_put_back(r.slot);
    free(r.value);
}

/* Takes what was set aside and adds what is missing. */
static int take_room(struct cyg_snapshot *s, struct room *r) {
    cyg_spin_lock(&s->lock);
    *r = s->reserved;
    s->reserved = (struct room){NULL, NULL};
    cyg_spin_unlock(&s->lock);
    if (!r->slot) r->slot = cygrt_slot_new(s->shards);
    if (!r->value) r->value = malloc(sizeof *r->value);
    if (r->slot && r->value) return 0;
    free_room(*r);
    return CYG_ENOMEM;
}

int cyg_snapshot_reserve(cyg_snapshot *s) {
    struct room r;
    int err = take_room(s, &r);
    if (err < 0) return err;
    cyg_spin_lock(&s->lock);
    struct room before = s->reserved; /* somebody else has, meanwhile */
    s->reserved = r;
    cyg_spin_unlock(&s->lock);
    free_room(before);
    return 0;
}

int cyg_snapshot_publish_at(cyg_snapshot *s, void *value, size_t size, const char *file, int line) {
    struct room r;
    int err = take_room(s, &r);
    if (err < 0) return err;
    /* Also "nothing" has a slot, so that no number but 0, the one before all, comes back while somebody may remember it. */
    err = cygrt_value_init(r.value, s->family, value, value ? size : 0, file, line);
    if (err < 0) {
        free_room(r);
        return err;
    }
    cygrt_slot_fill(r.slot, r.value);
    switch_to(s, r.slot->number);
    return 0;
}

int cyg_snapshot_publish_held(cyg_snapshot *s, const cyg_snapshot_hold *hold) {
    if (!hold->slot) return cyg_snapshot_publish(s, NULL, 0);
    struct room r;
    int err = take_room(s, &r);
    if (err < 0) return err;
    free(r.value);
    struct value *v = hold->slot->value;
    __atomic_fetch_add(&v->refs, 1, __ATOMIC_RELAXED);
    cygrt_slot_fill(r.slot, v);
    switch_to(s, r.slot->number);
    return 0;
}

void cyg_snapshot_free(cyg_snapshot *s) {
    if (!s) return;
    switch_to(s, 0);
    free_room(s->reserved);
    cygrt_family_unref(s->family);
    free(s);
}

size_t cyg_snapshot_live(const cyg_snapshot *s) { return __atomic_load_n(&s->family->live, __ATOMIC_SEQ_CST); }

/* ---- reading --------------------------------------------------------------------------------------------------------------- */

/* The reader has entered `from`, which is not the current one any more. */
static CYG_COLD uint32_t catch_up(struct cyg_snapshot *s, unsigned shard, uint32_t from) {
    uint64_t *word = &s->words[shard].w;
    uint32_t number = __atomic_load_n(&s->current, __ATOMIC_SEQ_CST);
    bool done = exchange(word, from, number, 1);
    leave(from, shard);
    return done ? number : SLOT_NUMBER(__atomic_fetch_add(word, SLOT_ONE, __ATOMIC_SEQ_CST));
}

/* The reader has entered a slot that shows nothing, or none. */
static CYG_COLD void *leave_nothing(uint32_t number, unsigned shard, cyg_snapshot_hold *hold) {
    leave(number, shard);
    *hold = (cyg_snapshot_hold){NULL, NULL};
    return NULL;
}

void *cyg_snapshot_get(cyg_snapshot *s, cyg_snapshot_hold *hold) {
    unsigned shard = cygrt_proc_hint() & (s->shards - 1);
    uint32_t number = SLOT_NUMBER(__atomic_fetch_add(&s->words[shard].w, SLOT_ONE, __ATOMIC_SEQ_CST));
    if (CYG_UNLIKELY(number != __atomic_load_n(&s->current, __ATOMIC_SEQ_CST))) number = catch_up(s, shard, number);
    struct cyg_snapshot_slot *slot = slot_of(number); /* 0 has none */
    if (CYG_UNLIKELY(!slot || !slot->shown)) return leave_nothing(number, shard, hold);
    *hold = (cyg_snapshot_hold){slot, &slot->left[shard & (slot->shards - 1)].n};
    return slot->shown;
}

void cyg_snapshot_drop(cyg_snapshot_hold *hold) {
    if (!hold->slot) return;
    struct cyg_snapshot_slot *slot = hold->slot;
    hold->slot = NULL;
    cygrt_slot_leave(slot, hold->left);
}
