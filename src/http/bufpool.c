/* bufpool.c: buffers that requests borrow. A stack of free ones for each P, last in first out so that the hottest is used
 * next; a shard is taken by try-lock only, so nobody ever waits here: who finds it busy goes to the allocator.
 * The shards are the layer's only static state: buffers belong to no server or pool in particular.
 */
#include "http/internal.h"

#include <stdlib.h>

#define SHARDS 64     /* a power of two; Ps beyond share */
#define KEEP_BUFS 128 /* 2 MiB a shard */
#define KEEP_BULKS 16 /* 1 MiB a shard */

struct free_buf {
    struct free_buf *next;
};

struct shard {
    _Alignas(HTTP_CACHE_LINE) uint32_t busy; /* atomic: try-lock of the rest */
    uint32_t n, nbulk;
    struct free_buf *bufs, *bulks;
};

static struct shard shards[SHARDS];

static inline struct shard *shard_try(void) {
    struct shard *s = &shards[cyg_proc_hint() & (SHARDS - 1)];
    return HTTP_LIKELY(__atomic_exchange_n(&s->busy, 1, __ATOMIC_ACQUIRE) == 0) ? s : NULL;
}
static inline void shard_leave(struct shard *s) { __atomic_store_n(&s->busy, 0, __ATOMIC_RELEASE); }

void *http_buf_get(void) {
    struct free_buf *b = NULL;
    struct shard *s = shard_try();
    if (s) {
        if ((b = s->bufs) != NULL) {
            s->bufs = b->next;
            s->n--;
        }
        shard_leave(s);
    }
    return HTTP_LIKELY(b != NULL) ? (void *)b : aligned_alloc(HTTP_CACHE_LINE, HTTP_BUF_BYTES);
}

void http_buf_put(void *p) {
    struct free_buf *b = p;
    struct shard *s = shard_try();
    if (s) {
        if (s->n < KEEP_BUFS) {
            b->next = s->bufs;
            s->bufs = b;
            s->n++;
            b = NULL;
        }
        shard_leave(s);
    }
    if (HTTP_UNLIKELY(b != NULL)) free(b);
}

void *http_bulk_get(void) {
    struct free_buf *b = NULL;
    struct shard *s = shard_try();
    if (s) {
        if ((b = s->bulks) != NULL) {
            s->bulks = b->next;
            s->nbulk--;
        }
        shard_leave(s);
    }
    return b ? (void *)b : aligned_alloc(HTTP_CACHE_LINE, HTTP_BULK_BYTES);
}

void http_bulk_put(void *p) {
    struct free_buf *b = p;
    struct shard *s = shard_try();
    if (s) {
        if (s->nbulk < KEEP_BULKS) {
            b->next = s->bulks;
            s->bulks = b;
            s->nbulk++;
            b = NULL;
        }
        shard_leave(s);
    }
    free(b);
}
