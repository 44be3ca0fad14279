/* shared.h: values that many read and one replaces as a whole, such as configuration snapshots. Reading costs two additions on
 * a cache line of the reader's own P; the last reader of a replaced value has it destroyed.
 *
 * Vocabulary: a slot holds one value; its memory is never given back while the set lives (type-stable), so that a late
 * reader may touch its counts. A place is a pointer to a slot that readers start from; each place that points to a slot owns
 * it. A retired slot has no owner left.
 *
 * Why it is safe. A reader adds 1 to a count of the slot that it found in the place, then looks whether the place still
 * points there; if not it takes the 1 back and starts over. Whoever replaces a value first changes the place, then drops
 * the ownership, then looks at the counts. All of these are sequentially consistent. So a reader that saw the place
 * unchanged has its count in before the look; and no reader can begin after the slot is retired. Once retired, each
 * count, but for readers that are about to back out and never touch the value, only falls; so a slot whose counts were all
 * seen at 0 after it was retired has no reader. Whoever sees that and wins the change of state destroys the value;
 * the state carries a generation, so that a late winner of an earlier life of the slot loses.
 */
#ifndef CYG_GATEWAY_SHARED_H
#define CYG_GATEWAY_SHARED_H

#include <cygnet/base.h>

struct cyg_gw_slots;
struct cyg_gw_slot;

/* A reader's hold on a value. It may be dropped on another P than it was taken on: it remembers the count. */
struct cyg_gw_hold {
    struct cyg_gw_slot *slot;
    int64_t *count;
};

/* A set of slots. shards: how many counts each has (the number of Ps). destroy is called by whoever leaves last. */
struct cyg_gw_slots *cyg_gw_slots_new(unsigned shards, void (*destroy)(void *value));

/* Frees the set; every slot must be destroyed already. */
void cyg_gw_slots_free(struct cyg_gw_slots *s);

/* Puts a value into a slot, with one owner: the place it is about to be stored in. Returns: NULL without memory.
 * From: one thread at a time. */
struct cyg_gw_slot *cyg_gw_slot_new(struct cyg_gw_slots *s, void *value);

/* One more place is going to point to the slot; one has ceased to. */
void cyg_gw_slot_own(struct cyg_gw_slot *slot);
void cyg_gw_slot_disown(struct cyg_gw_slot *slot);

/* Takes a hold on the value that place points to now. shard: cyg_proc_hint(). Blocks: never. From: any thread.
 * Returns: the value, valid until the hold is dropped; NULL if place is NULL. */
void *cyg_gw_hold(struct cyg_gw_slot *const *place, unsigned shard, struct cyg_gw_hold *hold);
void cyg_gw_drop(struct cyg_gw_hold *hold);

/* How many values live: current ones and those with readers left. Blocks: never. From: any thread. */
size_t cyg_gw_slots_live(const struct cyg_gw_slots *s);

#endif
