/* tee.c: what is read is written elsewhere, too. It has no unwrap: bytes that pass by the process cannot be seen. Nor a
 * peek: then a byte would be seen before it is written. */
#include <cygnet/streams.h>

#include "io/over.h"

static ssize_t op_read(cyg_stream *s, void *p, size_t n) {
    cyg_tee *t = (cyg_tee *)s;
    ssize_t r = cyg_read(t->under, p, n);
    if (r <= 0) return r;
    ssize_t w = cyg_write(t->copy, p, (size_t)r);
    if (w < 0) return w;
    return w == r ? r : io_short_write(t->copy, w, (size_t)r);
}

static const cyg_stream_ops ops = {.kind = "tee", .read = op_read, IO_OVER_ALL_BUT_READING};

void cyg_tee_init(cyg_tee *t, cyg_stream *under, cyg_stream *copy) {
    *t = (cyg_tee){.stream = {&ops}, .under = under, .copy = copy};
}
