/* multi.c: several streams read one behind the other, or written the same. Neither closes any of them. */
#include <cygnet/streams.h>

#include "io/over.h"

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static ssize_t op_read(cyg_stream *s, void *p, size_t n) {
    cyg_multi_reader *m = (cyg_multi_reader *)s;
    if (n == 0) return 0;
    for (; m->at < m->n; m->at++) {
        ssize_t r = cyg_read(m->parts[m->at], p, n);
        if (r != CYG_EOF) return r;
    }
    return CYG_EOF;
}

static int op_unwrap(cyg_stream *s, cyg_under *out) {
    cyg_multi_reader *m = (cyg_multi_reader *)s;
    if (m->at == m->n) return CYG_EOF;
    out->stream = m->parts[m->at];
    return 0;
}

static int op_advance(cyg_stream *s, int64_t n, bool ended) {
    cyg_multi_reader *m = (cyg_multi_reader *)s;
    (void)n;
    if (ended) m->at++;
    return m->at == m->n ? CYG_EOF : 0;
}

static int op_close(cyg_stream *s) {
    (void)s;
    return 0;
}

static const cyg_stream_ops reader_ops = {
    .kind = "multi reader", .read = op_read, .unwrap = op_unwrap, .advance = op_advance, .close = op_close};

void cyg_multi_reader_init(cyg_multi_reader *m, cyg_stream *const *parts, size_t n) {
    *m = (cyg_multi_reader){.stream = {&reader_ops}, .parts = parts, .n = n};
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static ssize_t op_write(cyg_stream *s, const void *p, size_t n) {
    cyg_multi_writer *m = (cyg_multi_writer *)s;
    for (size_t i = 0; i < m->n; i++) {
        ssize_t w = cyg_write(m->parts[i], p, n);
        if (w < 0) return w;
        if ((size_t)w != n) return io_short_write(m->parts[i], w, n);
    }
    return (ssize_t)n;
}

static ssize_t op_writev(cyg_stream *s, const struct iovec *iov, int n) {
    cyg_multi_writer *m = (cyg_multi_writer *)s;
    size_t total = 0;
    for (int i = 0; i < n; i++) total += iov[i].iov_len;
    for (size_t i = 0; i < m->n; i++) {
        ssize_t w = cyg_writev(m->parts[i], iov, n);
        if (w < 0) return w;
        if ((size_t)w != total) return io_short_write(m->parts[i], w, total);
    }
    return (ssize_t)total;
}

static const cyg_stream_ops writer_ops = {.kind = "multi writer", .write = op_write, .writev = op_writev, .close = op_close};

void cyg_multi_writer_init(cyg_multi_writer *m, cyg_stream *const *parts, size_t n) {
    *m = (cyg_multi_writer){.stream = {&writer_ops}, .parts = parts, .n = n};
}
