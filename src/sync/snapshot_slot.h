/* snapshot_slot.h: where published values live. A slot holds one value from its publication until it has been read last; then it
 * is used for another. Slots are never freed and are found by a number, so that a word of a snapshot has room for a number and
 * a count.
 *
 * A slot counts the readers that came in (`entered`: added by whoever takes its number out of a word, which carries how many
 * came in by that word) and those that left (`left`, one count a shard, added by each reader). It is retired when no word has its
 * number any more; from then on `entered` is complete, or for a moment too high, never too low, so when both are equal nobody
 * reads it. Counts wrap at SLOT_COUNT_BITS, which does no harm: so many readers at once there cannot be. */
#ifndef CYG_SYNC_SNAPSHOT_SLOT_H
#define CYG_SYNC_SNAPSHOT_SLOT_H

#include <cygnet/snapshot.h>

#include "runtime/sched.h"

#define SLOT_NUMBER_BITS 20
#define SLOT_MAX ((1u << SLOT_NUMBER_BITS) - 1) /* 0: no slot */
#define SLOT_COUNT_BITS (64 - SLOT_NUMBER_BITS)
#define SLOT_ONE ((uint64_t)1 << SLOT_NUMBER_BITS) /* a reader, in a word */
#define SLOT_NUMBER(word) ((uint32_t)(word)&SLOT_MAX)
#define SLOT_COUNT(word) ((word) >> SLOT_NUMBER_BITS)

/* What the values of one snapshot have in common; outlives it as long as they. */
struct family {
    uint64_t refs; /* atomic: the snapshot, and each value */
    uint64_t live; /* atomic: values */
    void (*destroy)(void *);
    const char *name;
    bool guarded; /* readers get copies that cannot be written */
};

/* A value; several slots may hold it (cyg_snapshot_publish_held). */
struct value {
    uint64_t refs;     /* atomic: slots */
    void *original;    /* the caller's */
    void *shown;       /* what readers get: the original, or of a guarded family a copy that cannot be written */
    size_t copy_bytes; /* of the mapping; 0: no copy */
    struct family *family;
    const char *file; /* where it was published */
    int line;
};

struct cyg_snapshot_slot {
    uint32_t number, shards; /* fixed; shards is a power of two */
    struct cyg_snapshot_slot *next_free;
    struct value *value;                      /* while not FREE */
    void *shown;                              /* value->shown */
    _Alignas(CYGRT_CACHELINE) uint64_t state; /* atomic: generation * 4 + FREE, LIVE or RETIRED */
    uint64_t entered;                         /* atomic */
    struct {
        _Alignas(CYGRT_CACHELINE) uint64_t n; /* atomic */
    } left[];
};

extern struct cyg_snapshot_slot **cygrt_slots; /* by number; made before the first slot is */

static inline struct cyg_snapshot_slot *slot_of(uint32_t number) {
    return __atomic_load_n(&cygrt_slots[number], __ATOMIC_RELAXED); /* whoever has the number has seen the slot published */
}

void cygrt_slots_init(void);
struct cyg_snapshot_slot *cygrt_slot_new(unsigned shards);          /* FREE; NULL: no memory */
void cygrt_slot_fill(struct cyg_snapshot_slot *s, struct value *v); /* takes a reference of v over */
void cygrt_slot_put_back(struct cyg_snapshot_slot *s);              /* never filled */
void cygrt_slot_retire(struct cyg_snapshot_slot *s);
void cygrt_slot_leave(struct cyg_snapshot_slot *s, uint64_t *left);

/* The two halves of a publication, with the snapshot's lock held from one to the other; apart, so that a test can look at what readers
 * see in between. begin returns the number before. */
uint32_t cygrt_switch_begin(struct cyg_snapshot *s, uint32_t number);
void cygrt_switch_finish(struct cyg_snapshot *s, uint32_t before, uint32_t number);

/* Makes v, from malloc, a value with one reference. Returns: 0 or CYG_ENOMEM. */
int cygrt_value_init(struct value *v, struct family *f, void *original, size_t size, const char *file, int line);
void cygrt_value_unref(struct value *v);
void cygrt_family_unref(struct family *f);

#endif
