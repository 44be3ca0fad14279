/* snapshot_slot.c: see snapshot_slot.h. */
#include "sync/snapshot_slot.h"

#include <stdlib.h>

#include "base/fatal.h"
#include "base/spin.h"
#include "sync/snapshot_guard.h"

enum { FREE, LIVE, RETIRED };
#define LOG_SHARDS_MAX 8

struct cyg_snapshot_slot **cygrt_slots;

static uint32_t lock;
static uint32_t used = 1;                                        /* numbers given out; guarded by lock */
static struct cyg_snapshot_slot *free_slots[LOG_SHARDS_MAX + 1]; /* by log2 of shards; guarded by lock */

void cygrt_slots_init(void) {
    cyg_spin_lock(&lock);
    /* 8 MiB of address space, committed as it is used. */
    if (!cygrt_slots) __atomic_store_n(&cygrt_slots, cyg_xcalloc(SLOT_MAX + 1, sizeof *cygrt_slots), __ATOMIC_RELEASE);
    cyg_spin_unlock(&lock);
}

static struct cyg_snapshot_slot *carve(unsigned shards) {
    struct cyg_snapshot_slot *s;
    size_t bytes = sizeof *s + shards * sizeof s->left[0];
    if (posix_memalign((void **)&s, CYGRT_CACHELINE, bytes) != 0) return NULL;
    memset(s, 0, bytes);
    s->shards = shards;
    cyg_spin_lock(&lock);
    if (used <= SLOT_MAX) {
        s->number = used++;
        __atomic_store_n(&cygrt_slots[s->number], s, __ATOMIC_RELEASE);
    }
    cyg_spin_unlock(&lock);
    if (s->number) return s;
    free(s);
    return NULL;
}

struct cyg_snapshot_slot *cygrt_slot_new(unsigned shards) {
    struct cyg_snapshot_slot **list = &free_slots[__builtin_ctz(shards)];
    cyg_spin_lock(&lock);
    struct cyg_snapshot_slot *s = *list;
    if (s) *list = s->next_free;
    cyg_spin_unlock(&lock);
    return s ? s : carve(shards);
}

void cygrt_slot_put_back(struct cyg_snapshot_slot *s) {
    struct cyg_snapshot_slot **list = &free_slots[__builtin_ctz(s->shards)];
    cyg_spin_lock(&lock);
    s->next_free = *list;
    *list = s;
    cyg_spin_unlock(&lock);
}

void cygrt_slot_fill(struct cyg_snapshot_slot *s, struct value *v) {
    uint64_t generation = __atomic_load_n(&s->state, __ATOMIC_SEQ_CST) / 4 + 1;
    __atomic_store_n(&s->value, v, __ATOMIC_RELAXED);
    s->shown = v->shown;
    __atomic_store_n(&s->entered, 0, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < s->shards; i++) __atomic_store_n(&s->left[i].n, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&s->state, generation * 4 + LIVE, __ATOMIC_SEQ_CST);
}

/* Gives the slot back if it is retired and everybody has left. The last reader and whoever retires it both come here, each after
 * its own sequentially consistent change, so at least one of them sees both. */
static void try_free(struct cyg_snapshot_slot *s) {
    uint64_t state = __atomic_load_n(&s->state, __ATOMIC_SEQ_CST);
    if ((state & 3) != RETIRED) return;
    uint64_t inside = __atomic_load_n(&s->entered, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < s->shards; i++) inside -= __atomic_load_n(&s->left[i].n, __ATOMIC_SEQ_CST);
    if (inside << (64 - SLOT_COUNT_BITS) != 0) return;
    /* Read before the slot is given away; whoever loses the exchange has read a value that it does not use. The generation in the
     * state makes a late one lose that has looked at an earlier life of the slot. */
    struct value *v = __atomic_load_n(&s->value, __ATOMIC_RELAXED);
    if (!__atomic_compare_exchange_n(&s->state, &state, state - RETIRED + FREE, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return;
    cygrt_slot_put_back(s);
    cygrt_value_unref(v);
}

void cygrt_slot_retire(struct cyg_snapshot_slot *s) {
    __atomic_fetch_add(&s->state, RETIRED - LIVE, __ATOMIC_SEQ_CST);
    try_free(s);
}

void cygrt_slot_leave(struct cyg_snapshot_slot *s, uint64_t *left) {
    __atomic_fetch_add(left, 1, __ATOMIC_SEQ_CST);
    if ((__atomic_load_n(&s->state, __ATOMIC_SEQ_CST) & 3) == RETIRED) try_free(s);
}

/* ---- values ----------------------------------------------------------------------------------------------------------------- */

int cygrt_value_init(struct value *v, struct family *f, void *original, size_t size, const char *file, int line) {
    *v = (struct value){.refs = 1, .original = original, .shown = original, .family = f, .file = file, .line = line};
    int err = f->guarded ? cygrt_guard(v, size) : 0;
    if (err < 0) return err;
    __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
    if (original) __atomic_fetch_add(&f->live, 1, __ATOMIC_RELAXED);
    return 0;
}

void cygrt_value_unref(struct value *v) {
    if (__atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL) != 0) return;
    struct family *f = v->family;
    void (*destroy)(void *) = f->destroy;
    void *original = v->original;
    if (original) __atomic_fetch_sub(&f->live, 1, __ATOMIC_SEQ_CST);
    cygrt_unguard(v);
    free(v);
    cygrt_family_unref(f);
    if (destroy && original) destroy(original);
}

void cygrt_family_unref(struct family *f) {
    if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) == 0) free(f);
}
