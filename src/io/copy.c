/* copy.c: moving bytes from one stream to another. A stream that can do it itself (read_from, write_to) is asked first and
 * says CYG_ENOTSUP if it can't for this partner; else the bytes go through a pooled buffer. */
#include <cygnet/io.h>
#include <stdlib.h>

#include "base/spin.h"

#define BUFFER (64u << 10)
#define KEEP 64 /* free buffers kept; a copy in flight holds one */

union buffer {
    union buffer *next;
    char bytes[BUFFER];
};
static uint32_t lock;
static union buffer *free_list; /* guarded by lock */
static unsigned nfree;          /* guarded by lock */

static union buffer *get(void) {
    cyg_spin_lock(&lock);
    union buffer *b = free_list;
    if (b) {
        free_list = b->next;
        nfree--;
    }
    cyg_spin_unlock(&lock);
    return b ? b : malloc(sizeof *b);
}

static void put(union buffer *b) {
    cyg_spin_lock(&lock);
    bool keep = nfree < KEEP;
    if (keep) {
        b->next = free_list;
        free_list = b;
        nfree++;
    }
    cyg_spin_unlock(&lock);
    if (!keep) free(b);
}

static int64_t through_buffer(cyg_stream *dst, cyg_stream *src, cyg_copy_result *res) {
    union buffer *b = get();
    if (!b) return CYG_ENOMEM;
    ssize_t n;
    while ((n = cyg_read(src, b->bytes, sizeof b->bytes)) >= 0) {
        ssize_t w = cyg_write(dst, b->bytes, (size_t)n);
        if (w < 0) {
            n = w;
            break;
        }
        res->bytes += n;
        res->copied += n;
    }
    put(b);
    return n == CYG_EOF ? 0 : n;
}

int64_t cyg_copy(cyg_stream *dst, cyg_stream *src, cyg_copy_result *res) {
    cyg_copy_result local = {.path = "copy"};
    int64_t r = CYG_ENOTSUP;
    if (src->ops->write_to && (r = src->ops->write_to(src, dst, INT64_MAX)) != CYG_ENOTSUP) local.path = "write_to";
    if (r == CYG_ENOTSUP && dst->ops->read_from && (r = dst->ops->read_from(dst, src, INT64_MAX)) != CYG_ENOTSUP)
        local.path = "read_from";
    if (r == CYG_ENOTSUP)
        r = through_buffer(dst, src, &local);
    else if (r >= 0)
        local.bytes = r;
    if (res) *res = local;
    return r < 0 ? r : local.bytes;
}
