/* snapshot.h: a value that many read and few replace as a whole, such as a configuration. Readers never wait: a hold is one
 * addition on a cache line of the reader's P, and so is its end; a goroutine may park while it holds a value, and come back
 * on another thread. A value that has been replaced is destroyed when its last reader has left it.
 *
 *     cyg_snapshot_publish(current, config, 0);              // the one before goes when nobody reads it any more
 *
 *     cyg_snapshot_hold hold;
 *     const struct config *c = cyg_snapshot_get(current, &hold);
 *     serve(c);
 *     cyg_snapshot_drop(&hold);
 */
#ifndef CYGNET_SNAPSHOT_H
#define CYGNET_SNAPSHOT_H

#include <cygnet/base.h>
#include <cygnet/err.h>

CYG_BEGIN_DECLS

typedef struct cyg_snapshot cyg_snapshot;

/* A reader's hold on a value. It may be dropped by another goroutine, on another thread. */
typedef struct cyg_snapshot_hold {
    struct cyg_snapshot_slot *slot; /* NULL: of nothing */
    uint64_t *left;
} cyg_snapshot_hold;

typedef struct cyg_snapshot_opts {
    void (*destroy)(void *value); /* called once for a value that was replaced and is read no more, by whoever left last: it
                                   * must not park. NULL: nothing is done */
    const char *name;             /* for reports; must outlive it; NULL: none */
    uint64_t reserve[4];          /* zero */
} cyg_snapshot_opts;

/* A snapshot that points to nothing yet. opts NULL: defaults. Blocks: never. From: goroutine or any thread. Owns: the caller. */
CYG_API cyg_snapshot *cyg_snapshot_new(const cyg_snapshot_opts *opts);

/* Takes the current value out and frees the snapshot; nobody may get or publish on it any more. Holds stay good. NULL is fine.
 * Blocks: never. From: goroutine or any thread. */
CYG_API void cyg_snapshot_free(cyg_snapshot *s);

/* Makes value (NULL: nothing) the current one. When it returns, every get finds it or a later one; nobody may change it from
 * now on. size: how many bytes at value are immutable. 0 claims nothing; otherwise checked builds (-Dchecked=true), and every
 * build with CYGNET_DEBUG=snapshots, hand out a copy of so many bytes that cannot be written, and report who tries, by name and start site.
 * Blocks: never. From: goroutine or any thread. Owns: value is the snapshot's, until destroy. Returns: 0, or CYG_ENOMEM; value
 * is still the caller's then. */
#define cyg_snapshot_publish(s, value, size) cyg_snapshot_publish_at((s), (value), (size), __FILE__, __LINE__)
CYG_API int cyg_snapshot_publish_at(cyg_snapshot *s, void *value, size_t size, const char *file, int line);

/* Sets memory aside for the next publication on s, which then cannot fail (but for the copy where values are guarded): for changes that
 * happen whole or not at all. Blocks: never. From: goroutine or any thread. Returns: 0 or CYG_ENOMEM. */
CYG_API int cyg_snapshot_reserve(cyg_snapshot *s);

/* cyg_snapshot_publish with a value that hold has: it is then current in both, and destroyed (by the destroy of the first) when neither has
 * it and nobody reads it. Owns: hold stays the caller's. */
CYG_API int cyg_snapshot_publish_held(cyg_snapshot *s, const cyg_snapshot_hold *hold);

/* The current value, good until the hold is dropped; NULL if there is none (the hold is then of nothing, and may be dropped).
 * Blocks: never. From: goroutine or any thread. */
CYG_API void *cyg_snapshot_get(cyg_snapshot *s, cyg_snapshot_hold *hold);

/* Ends a hold. Blocks: never. From: goroutine or any thread. */
CYG_API void cyg_snapshot_drop(cyg_snapshot_hold *hold);

/* Values that were published first on this snapshot and are not destroyed: the current one and those with readers left.
 * Blocks: never. From: goroutine or any thread. */
CYG_API size_t cyg_snapshot_live(const cyg_snapshot *s);

CYG_END_DECLS
#endif
