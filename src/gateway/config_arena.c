/* config_arena.c: a list of chunks, the newest first; a piece larger than a chunk gets one of its own. */
#include "gateway/config_arena.h"

#include <stdlib.h>

#define CHUNK_BYTES ((size_t)16 * 1024)

struct chunk {
    struct chunk *next;
    size_t used, cap;
    _Alignas(max_align_t) char bytes[];
};

struct cyg_gw_arena {
    struct chunk *chunks;
};

struct cyg_gw_arena *cyg_gw_arena_new(void) {
    return calloc(1, sizeof(struct cyg_gw_arena));
}

void cyg_gw_arena_free(struct cyg_gw_arena *a) {
    if (!a) return;
    for (struct chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(a);
}

void *cyg_gw_arena_alloc(struct cyg_gw_arena *a, size_t n) {
    size_t align = _Alignof(max_align_t);
    if (n > SIZE_MAX / 2) return NULL;
    n = (n + align - 1) & ~(align - 1);
    struct chunk *c = a->chunks;
    if (!c || c->cap - c->used < n) {
        size_t cap = n > CHUNK_BYTES ? n : CHUNK_BYTES;
        c = calloc(1, sizeof *c + cap);
        if (!c) return NULL;
        c->cap = cap;
        c->next = a->chunks;
        a->chunks = c;
    }
    void *p = c->bytes + c->used;
    c->used += n;
    return p;
}

char *cyg_gw_arena_text(struct cyg_gw_arena *a, cyg_str s) {
    char *p = cyg_gw_arena_alloc(a, s.n + 1);
    if (p && s.n) memcpy(p, s.p, s.n);
    return p;
}
