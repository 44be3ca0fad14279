/* objpool.h: memory of one size that is used, put back and used again, kept near the P that used it last. A pool holds memory
 * only: what it hands out opens nothing and cannot fail but for want of memory.
 *
 *     cyg_objpool *pool = cyg_objpool_new(sizeof(struct request), &(cyg_objpool_opts){.max_idle = 256});
 *     struct request *r = cyg_objpool_get(pool);
 *     cyg_objpool_put(pool, r);
 */
#ifndef CYGNET_OBJPOOL_H
#define CYGNET_OBJPOOL_H

#include <cygnet/base.h>
#include <cygnet/err.h>

CYG_BEGIN_DECLS

typedef struct cyg_objpool cyg_objpool;

typedef struct cyg_objpool_opts {
    size_t max_idle;          /* objects kept in all; 0: 64 for each P. What is put beyond it is freed */
    void (*reset)(void *obj); /* called on each put: makes the object as if new, if it may be kept; NULL: left as it is.
                                * Must not park */
    uint64_t reserve[4];      /* zero */
} cyg_objpool_opts;

/* A pool of objects of size bytes, aligned for any type. opts NULL: defaults. Blocks: never. From: goroutine or any thread.
 * Owns: the caller; cyg_objpool_free when every object is back. */
CYG_API cyg_objpool *cyg_objpool_new(size_t size, const cyg_objpool_opts *opts);

/* An object: one that was put back, or a new one, all zero. Blocks: never. From: goroutine or any thread. Owns: the caller,
 * until it is put back. Returns: NULL without memory. */
CYG_API void *cyg_objpool_get(cyg_objpool *pool);

/* Puts an object back, from whatever P; NULL is fine. Aborts if it is in the pool already or is not this pool's.
 * Blocks: never. From: goroutine or any thread. Owns: the pool. */
#define cyg_objpool_put(pool, obj) cyg_objpool_put_at((pool), (obj), __FILE__, __LINE__)
CYG_API void cyg_objpool_put_at(cyg_objpool *pool, void *obj, const char *file, int line);

/* Frees what lies idle. Blocks: never. From: goroutine or any thread. Returns: how many objects. */
CYG_API size_t cyg_objpool_trim(cyg_objpool *pool);

/* Frees the pool; aborts if objects are still out. NULL is fine. Blocks: never. From: goroutine or any thread. */
#define cyg_objpool_free(pool) cyg_objpool_free_at((pool), __FILE__, __LINE__)
CYG_API void cyg_objpool_free_at(cyg_objpool *pool, const char *file, int line);

typedef struct cyg_objpool_stats {
    uint64_t gets_total;   /* objects handed out */
    uint64_t news_total;   /* of these, newly allocated */
    uint64_t steals_total; /* of these, taken from what another P had put back */
    uint64_t drops_total;  /* objects put back beyond max_idle, and freed */
    uint64_t idle;         /* objects in the pool now */
    uint64_t used;         /* objects out now */
    uint64_t reserve[4];
} cyg_objpool_stats;

/* Fills *out with counters read one by one; together they are not one instant. Blocks: never. From: any thread. */
CYG_API void cyg_objpool_get_stats(const cyg_objpool *pool, cyg_objpool_stats *out);

CYG_END_DECLS
#endif
