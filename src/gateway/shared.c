/* shared.c: see shared.h, which also says why it is right. */
#include "gateway/shared.h"

#include <stdlib.h>

/* A slot's state: generation * 4 + one of these. */
enum { FREE, LIVE, RETIRED };

struct count {
    int64_t n; /* readers; atomic */
} __attribute__((aligned(64)));

struct cyg_gw_slot {
    struct cyg_gw_slots *set;
    struct cyg_gw_slot *next; /* all slots of the set; fixed once linked */
    void *value;              /* while not FREE */
    uint64_t state;           /* atomic */
    int64_t owners;           /* atomic; 0 once retired */
    struct count counts[];    /* set->shards of them */
};

struct cyg_gw_slots {
    unsigned shards;
    void (*destroy)(void *);
    struct cyg_gw_slot *all; /* grows at the front, by the thread that makes slots; atomic */
};

struct cyg_gw_slots *cyg_gw_slots_new(unsigned shards, void (*destroy)(void *value)) {
    struct cyg_gw_slots *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->shards = shards ? shards : 1;
    s->destroy = destroy;
    return s;
}

void cyg_gw_slots_free(struct cyg_gw_slots *s) {
    if (!s) return;
    for (struct cyg_gw_slot *slot = s->all, *next; slot; slot = next) {
        next = slot->next;
        free(slot);
    }
    free(s);
}

static struct cyg_gw_slot *unused_slot(struct cyg_gw_slots *s) {
    for (struct cyg_gw_slot *slot = s->all; slot; slot = slot->next)
        if ((__atomic_load_n(&slot->state, __ATOMIC_SEQ_CST) & 3) == FREE) return slot;
    struct cyg_gw_slot *slot;
    size_t size = sizeof *slot + s->shards * sizeof slot->counts[0];
    if (posix_memalign((void **)&slot, 64, size) != 0) return NULL;
    memset(slot, 0, size);
    slot->set = s;
    slot->next = s->all;
    __atomic_store_n(&s->all, slot, __ATOMIC_RELEASE);
    return slot;
}

struct cyg_gw_slot *cyg_gw_slot_new(struct cyg_gw_slots *s, void *value) {
    struct cyg_gw_slot *slot = unused_slot(s);
    if (!slot) return NULL;
    uint64_t generation = __atomic_load_n(&slot->state, __ATOMIC_SEQ_CST) / 4 + 1;
    __atomic_store_n(&slot->value, value, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->owners, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&slot->state, generation * 4 + LIVE, __ATOMIC_SEQ_CST);
    return slot;
}

/* Destroys the value if the slot is retired and nobody reads it. */
static void try_destroy(struct cyg_gw_slot *slot) {
    uint64_t state = __atomic_load_n(&slot->state, __ATOMIC_SEQ_CST);
    if ((state & 3) != RETIRED) return;
    for (unsigned i = 0; i < slot->set->shards; i++)
        if (__atomic_load_n(&slot->counts[i].n, __ATOMIC_SEQ_CST) != 0) return;
    /* Read before the slot is given away; whoever loses the exchange has read a value that it does not use. */
    void *value = __atomic_load_n(&slot->value, __ATOMIC_RELAXED);
    if (__atomic_compare_exchange_n(&slot->state, &state, state - RETIRED + FREE, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        slot->set->destroy(value);
}

void cyg_gw_slot_own(struct cyg_gw_slot *slot) { __atomic_fetch_add(&slot->owners, 1, __ATOMIC_SEQ_CST); }

void cyg_gw_slot_disown(struct cyg_gw_slot *slot) {
    if (__atomic_sub_fetch(&slot->owners, 1, __ATOMIC_SEQ_CST) != 0) return;
    __atomic_fetch_add(&slot->state, RETIRED - LIVE, __ATOMIC_SEQ_CST);
    try_destroy(slot);
}

void *cyg_gw_hold(struct cyg_gw_slot *const *place, unsigned shard, struct cyg_gw_hold *hold) {
    for (;;) {
        struct cyg_gw_slot *slot = __atomic_load_n(place, __ATOMIC_SEQ_CST);
        if (!slot) return NULL;
        *hold = (struct cyg_gw_hold){slot, &slot->counts[shard % slot->set->shards].n};
        __atomic_fetch_add(hold->count, 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(place, __ATOMIC_SEQ_CST) == slot) return __atomic_load_n(&slot->value, __ATOMIC_RELAXED);
        cyg_gw_drop(hold);
    }
}

void cyg_gw_drop(struct cyg_gw_hold *hold) {
    struct cyg_gw_slot *slot = hold->slot;
    __atomic_fetch_sub(hold->count, 1, __ATOMIC_SEQ_CST);
    /* Also by a reader that backed out: its count may have kept the last one from seeing zero. */
    if ((__atomic_load_n(&slot->state, __ATOMIC_SEQ_CST) & 3) == RETIRED) try_destroy(slot);
}

size_t cyg_gw_slots_live(const struct cyg_gw_slots *s) {
    size_t n = 0;
    for (struct cyg_gw_slot *slot = __atomic_load_n(&s->all, __ATOMIC_ACQUIRE); slot; slot = slot->next)
        n += (__atomic_load_n(&slot->state, __ATOMIC_SEQ_CST) & 3) != FREE;
    return n;
}
