/* map.h: a hash map that many goroutines use at once, from strings or 64-bit numbers to pointers. It is made of shards, each
 * with a lock of its own that is held for a few dozen instructions; no call parks.
 *
 *     cyg_map *sessions = cyg_map_new(&(cyg_map_opts){.max_entries = 100000});
 *     cyg_map_set(sessions, CYG_STR("alice"), session, NULL);
 *     struct session *s = cyg_map_get(sessions, CYG_STR("alice"));
 */
#ifndef CYGNET_MAP_H
#define CYGNET_MAP_H

#include <cygnet/base.h>
#include <cygnet/err.h>

CYG_BEGIN_DECLS

typedef struct cyg_map cyg_map;

typedef struct cyg_map_opts {
    bool numbers;       /* keys are 64-bit numbers (the calls with _u64); otherwise strings, which are copied */
    size_t max_entries; /* 0: no bound. At the bound a new key is refused with CYG_ELIMIT */
    bool evict;         /* at the bound an entry that has not been asked for lately makes room instead */
    /* For values that are counted. acquire is called for a value that the map hands out, under the shard's lock: it adds a
     * reference and does nothing else. release is called, without a lock, for a value that the map itself drops (replaced
     * without asking for it, deleted likewise, evicted, freed with the map). NULL: values are the caller's affair. */
    void (*acquire)(void *value);
    void (*release)(void *value);
    uint64_t reserve[4]; /* zero */
} cyg_map_opts;

/* An empty map. opts NULL: strings, no bound. Blocks: never. From: goroutine or any thread. Owns: the caller. */
CYG_API cyg_map *cyg_map_new(const cyg_map_opts *opts);

/* Releases every value and frees the map; nobody may use it any more. NULL is fine. Blocks: never. From: any thread. */
CYG_API void cyg_map_free(cyg_map *m);

/* The value of key, acquired; NULL if there is none. Blocks: never. From: goroutine or any thread. */
CYG_API void *cyg_map_get(cyg_map *m, cyg_str key);
CYG_API void *cyg_map_get_u64(cyg_map *m, uint64_t key);

/* Sets the value of key (not NULL). Blocks: never. From: goroutine or any thread. Owns: the map gets the caller's reference; the
 * value that it replaced goes to *old (NULL if there was none), or is released if old is NULL.
 * Returns: 0; CYG_ELIMIT at the bound, CYG_ENOMEM: nothing was changed then. */
CYG_API int cyg_map_set(cyg_map *m, cyg_str key, void *value, void **old);
CYG_API int cyg_map_set_u64(cyg_map *m, uint64_t key, void *value, void **old);

/* The value of key; if it has none, sets it to value: of all that do so at once, one sets. Blocks: never. From: goroutine or any
 * thread. Owns: *out, the value that key has now, is acquired for the caller; value is the map's if 0 was returned, else still
 * the caller's. Returns: 0 if value was set, 1 if there was one; CYG_ELIMIT, CYG_ENOMEM as cyg_map_set. */
CYG_API int cyg_map_get_or_set(cyg_map *m, cyg_str key, void *value, void **out);
CYG_API int cyg_map_get_or_set_u64(cyg_map *m, uint64_t key, void *value, void **out);

/* Takes key out. Blocks: never. From: goroutine or any thread. Owns: its value goes to *old, or is released if old is NULL.
 * Returns: whether it was there (if not, *old is untouched). */
CYG_API bool cyg_map_delete(cyg_map *m, cyg_str key, void **old);
CYG_API bool cyg_map_delete_u64(cyg_map *m, uint64_t key, void **old);

/* An entry as cyg_map_range shows it. */
typedef struct cyg_map_entry {
    cyg_str key;     /* lives during the call; empty in a map of numbers */
    uint64_t number; /* the key in a map of numbers */
    void *value;     /* acquired; released after the call */
} cyg_map_entry;

/* Calls fn for every entry until it returns false, without a lock: fn may park and use the map. Each shard is seen as it was at
 * one moment, different shards at different moments; an entry that is there all the time is seen exactly once.
 * Blocks: never by itself. From: goroutine or any thread. Returns: 0, or CYG_ENOMEM (some were not seen). */
CYG_API int cyg_map_range(cyg_map *m, bool (*fn)(const cyg_map_entry *e, void *arg), void *arg);

typedef struct cyg_map_stats {
    uint64_t entries;         /* now */
    uint64_t hits_total;      /* gets and get_or_sets that found the key */
    uint64_t misses_total;    /* and that did not */
    uint64_t evictions_total; /* entries that made room */
    uint64_t refusals_total;  /* new keys refused at the bound */
    uint64_t reserve[4];
} cyg_map_stats;

/* Fills *out; shards are read one after the other. Blocks: never. From: goroutine or any thread. */
CYG_API void cyg_map_get_stats(cyg_map *m, cyg_map_stats *out);

CYG_END_DECLS
#endif
