/* membuf.c: bytes in memory as a stream, and the stream that is empty. */
#include <cygnet/streams.h>
#include <stdlib.h>

#include "io/over.h"
#include "runtime/sched.h"

#define FIRST 256 /* bytes, when the first is written */

static cyg_membuf *own(cyg_stream *s) { return (cyg_membuf *)s; }

static ssize_t op_peek(cyg_stream *s, void *p, size_t n) {
    cyg_str have = cyg_membuf_data(own(s));
    if (n == 0) return 0;
    if (have.n == 0) return CYG_EOF;
    if (n > have.n) n = have.n;
    memcpy(p, have.p, n);
    return (ssize_t)n;
}

static ssize_t op_read(cyg_stream *s, void *p, size_t n) {
    ssize_t r = op_peek(s, p, n);
    if (r > 0) own(s)->start += (size_t)r;
    return r;
}

/* Room for n more bytes at the end. */
static int make_room(cyg_membuf *b, size_t n) {
    size_t have = b->end - b->start;
    if (n > b->max - have)
        return cygrt_fail(CYG_ELIMIT, "memory buffer: %zu bytes and %zu more are over its bound of %zu", have, n, b->max);
    if (n <= b->size - b->end) return 0;
    if (have + n <= b->size / 2) { /* half of it has been read */
        memmove(b->p, b->p + b->start, have);
    } else {
        size_t size = b->size ? b->size : FIRST;
        while (size < have + n) size = size < b->max / 2 ? size * 2 : b->max;
        char *p = malloc(size);
        if (!p) return CYG_ENOMEM;
        if (have) memcpy(p, b->p + b->start, have);
        free(b->p);
        b->p = p;
        b->size = size;
    }
    b->start = 0;
    b->end = have;
    return 0;
}

static ssize_t op_write(cyg_stream *s, const void *p, size_t n) {
    cyg_membuf *b = own(s);
    if (n == 0) return 0;
    int err = make_room(b, n);
    if (err) return err;
    memcpy(b->p + b->end, p, n);
    b->end += n;
    return (ssize_t)n;
}

/* As they lie, without a detour by a buffer of the copy. */
static int op_write_to(cyg_stream *s, cyg_stream *dst, int64_t max, cyg_copy_result *res) {
    cyg_membuf *b = own(s);
    cyg_str have = cyg_membuf_data(b);
    if ((uint64_t)max < have.n) have.n = (size_t)max;
    if (have.n == 0) return 0;
    ssize_t w = cyg_write(dst, have.p, have.n);
    if (w >= 0 && (size_t)w != have.n) w = io_short_write(dst, w, have.n);
    if (w < 0) {
        res->write_failed = true;
        return (int)w;
    }
    b->start += (size_t)w;
    cyg_copy_moved(res, w);
    return 0;
}

static int op_close(cyg_stream *s) {
    (void)s;
    return 0;
}

static const cyg_stream_ops read_ops = {
    .kind = "memory", .read = op_read, .peek = op_peek, .write_to = op_write_to, .close = op_close, .close_write = op_close};
static const cyg_stream_ops ops = {.kind = "memory",
                                   .read = op_read,
                                   .write = op_write,
                                   .peek = op_peek,
                                   .write_to = op_write_to,
                                   .close = op_close,
                                   .close_write = op_close};

void cyg_membuf_init(cyg_membuf *b, size_t max) { *b = (cyg_membuf){.stream = {&ops}, .max = max}; }

void cyg_membuf_init_read(cyg_membuf *b, const void *p, size_t n) {
    *b = (cyg_membuf){.stream = {&read_ops}, .p = (char *)p, .end = n, .size = n};
}

void cyg_membuf_free(cyg_membuf *b) {
    if (b->stream.ops == &ops) free(b->p);
    b->p = NULL;
    b->start = b->end = b->size = 0;
}

/* ---- nothing ----------------------------------------------------------------------------------------------------- */

static ssize_t nothing_read(cyg_stream *s, void *p, size_t n) {
    (void)s, (void)p;
    return n ? (ssize_t)CYG_EOF : 0;
}
static ssize_t nothing_write(cyg_stream *s, const void *p, size_t n) {
    (void)s, (void)p;
    return (ssize_t)n;
}
static ssize_t nothing_writev(cyg_stream *s, const struct iovec *iov, int n) {
    size_t total = 0;
    (void)s;
    for (int i = 0; i < n; i++) total += iov[i].iov_len;
    return (ssize_t)total;
}

cyg_stream *cyg_discard(void) {
    static const cyg_stream_ops nothing_ops = {.kind = "discard",
                                               .read = nothing_read,
                                               .peek = nothing_read,
                                               .write = nothing_write,
                                               .writev = nothing_writev,
                                               .close = op_close,
                                               .close_write = op_close};
    static cyg_stream nothing = {&nothing_ops};
    return &nothing;
}
