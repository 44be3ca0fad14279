/* limit.c: at most so many bytes of a stream. */
#include <cygnet/streams.h>

#include "io/over.h"

static cyg_limit *own(cyg_stream *s) { return (cyg_limit *)s; }

static ssize_t op_read(cyg_stream *s, void *p, size_t n) {
    cyg_limit *l = own(s);
    if (n == 0) return 0;
    if (l->left <= 0) return CYG_EOF;
    if ((uint64_t)n > (uint64_t)l->left) n = (size_t)l->left;
    ssize_t r = cyg_read(l->under, p, n);
    if (r > 0) l->left -= r;
    return r;
}

static ssize_t op_peek(cyg_stream *s, void *p, size_t n) {
    cyg_limit *l = own(s);
    if (n == 0) return 0;
    if (l->left <= 0) return CYG_EOF;
    return cyg_peek(l->under, p, (uint64_t)n > (uint64_t)l->left ? (size_t)l->left : n);
}

static int op_unwrap(cyg_stream *s, cyg_under *out) {
    cyg_limit *l = own(s);
    if (l->left <= 0) return CYG_EOF;
    out->stream = l->under;
    out->limit = l->left;
    return 0;
}

static int op_advance(cyg_stream *s, int64_t n, bool ended) {
    cyg_limit *l = own(s);
    l->left -= n;
    return ended || l->left <= 0 ? CYG_EOF : 0;
}

static const cyg_stream_ops ops = {
    .kind = "limit", .read = op_read, .peek = op_peek, .unwrap = op_unwrap, .advance = op_advance, IO_OVER_ALL_BUT_READING};

void cyg_limit_init(cyg_limit *l, cyg_stream *under, int64_t n) {
    *l = (cyg_limit){.stream = {&ops}, .under = under, .left = n > 0 ? n : 0};
}
