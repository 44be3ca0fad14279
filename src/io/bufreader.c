/* bufreader.c: buffered reading. Bytes that were read and not taken lie in [start, end) of the buffer. Whatever a call
 * hands out as a slice lies there, so a buffer that a slice has emptied is kept until the next call; one that a copy has
 * emptied goes back at once.
 *
 * How large: a read that fills an empty buffer says that there is more where it came from, so the next one is twice the
 * size; many in a row that leave three quarters free, that half would do. */
#include "io/buffers.h"
#include "io/bufreader.h"
#include "io/over.h"
#include "runtime/sched.h"

#define SMALL_FILLS 8 /* in a row, until the buffer shrinks */

static size_t held(const cyg_bufreader *r) { return r->end - r->start; }

static void let_go(cyg_bufreader *r) {
    io_buffer_put(r->buf, r->size);
    r->buf = NULL;
    r->start = r->end = r->size = 0;
}

static int limit(cyg_bufreader *r, const char *what, size_t n) {
    r->stats.limits_total++;
    io_tell(IO_READ, &r->stats, &r->told);
    return cygrt_fail(CYG_ELIMIT, "%s: %zu bytes are more than max_bytes (%zu)", what, n, r->max);
}

/* Moves what is held to the start of a buffer of n bytes or more, which is this one if it is large enough. */
static int resize(cyg_bufreader *r, size_t n) {
    size_t have = held(r), size = r->size;
    char *buf = r->buf;
    if (!buf || r->size < n) {
        buf = io_buffer_get(n < r->max ? n : r->max, &size);
        if (!buf) return CYG_ENOMEM;
        if (size > r->max) size = r->max;
    }
    if (have) memmove(buf, r->buf + r->start, have);
    if (buf != r->buf) io_buffer_put(r->buf, r->size);
    r->buf = buf;
    r->size = size;
    r->start = 0;
    r->end = have;
    return 0;
}

/* What one read says about the size. room: how much it could have been. */
static void learn(cyg_bufreader *r, size_t got, size_t room) {
    if (got == room && r->want < r->max) {
        r->want = r->want < r->max / 2 ? r->want * 2 : r->max;
        r->stats.grows_total++;
    }
    if (got > r->want / 4 || r->want <= r->min) {
        r->small = 0;
    } else if (++r->small >= SMALL_FILLS) {
        r->want = r->want / 2 > r->min ? r->want / 2 : r->min;
        r->small = 0;
        r->stats.shrinks_total++;
    }
}

/* Reads once, behind what is held, which leaves room. Returns: > 0, or the error. */
static ssize_t fill(cyg_bufreader *r) {
    int err;
    bool empty = held(r) == 0;
    if (empty && r->buf && r->size != r->want) let_go(r);
    if (!r->buf || empty || (r->start > 0 && r->size - r->end < r->size / 2)) {
        if ((err = resize(r, empty ? r->want : r->size))) return err;
    }
    size_t room = r->size - r->end;
    ssize_t n = io_read_some(r->under, r->buf + r->end, room, &r->stats.calls_total);
    if (n > 0) {
        if (empty) learn(r, (size_t)n, room);
        r->end += (size_t)n;
    }
    io_tell(IO_READ, &r->stats, &r->told);
    return n;
}

ssize_t io_bufreader_more(cyg_bufreader *r, const char *what) {
    size_t have = held(r);
    if (have >= r->max) return limit(r, what, have + 1);
    if (r->buf && have == r->size) {
        int err = resize(r, r->size * 2);
        if (err) return err;
        if (r->want < r->size) {
            r->want = r->size;
            r->stats.grows_total++;
        }
    }
    return fill(r);
}

void io_bufreader_skip(cyg_bufreader *r, size_t n) {
    r->last = -1;
    r->start += n;
    r->stats.bytes_total += n;
}

/* n bytes leave by copy. */
static void take(cyg_bufreader *r, void *p, size_t n) {
    memcpy(p, r->buf + r->start, n);
    r->start += n;
    r->stats.bytes_total += n;
    r->stats.copied_bytes_total += n;
    if (r->start == r->end) let_go(r);
}

ssize_t cyg_bufreader_read(cyg_bufreader *r, void *p, size_t n) {
    r->last = -1;
    if (n == 0) return 0;
    if (held(r) == 0) {
        ssize_t got;
        if (n >= r->want) { /* no detour */
            let_go(r);
            got = io_read_some(r->under, p, n, &r->stats.calls_total);
            if (got > 0) r->stats.bytes_total += (size_t)got;
            io_tell(IO_READ, &r->stats, &r->told);
            return got;
        }
        if ((got = fill(r)) < 0) return got;
    }
    if (n > held(r)) n = held(r);
    take(r, p, n);
    return (ssize_t)n;
}

int cyg_bufreader_peek(cyg_bufreader *r, size_t n, cyg_str *out) {
    r->last = -1;
    if (n > r->max) return limit(r, "peek", n);
    while (held(r) < n) {
        ssize_t got = held(r) && r->size - r->start < n ? resize(r, n) : 0;
        if (got == 0) got = fill(r);
        if (got < 0) return (int)got;
    }
    out->p = r->buf ? r->buf + r->start : "";
    out->n = n;
    return 0;
}

int64_t cyg_bufreader_discard(cyg_bufreader *r, int64_t n) {
    r->last = -1;
    if (n < 0) return CYG_EINVAL;
    for (int64_t left = n; left > 0;) {
        if (held(r) == 0) {
            ssize_t got = fill(r);
            if (got < 0) return got;
        }
        size_t k = (uint64_t)left < held(r) ? (size_t)left : held(r);
        r->start += k;
        r->stats.bytes_total += k;
        left -= (int64_t)k;
    }
    if (held(r) == 0) let_go(r);
    return n;
}

/* The first n bytes as a slice, taken. */
static cyg_str slice(cyg_bufreader *r, size_t n) {
    cyg_str s = {r->buf + r->start, n};
    r->start += n;
    r->stats.bytes_total += n;
    return s;
}

int cyg_bufreader_until(cyg_bufreader *r, char end, cyg_str *out) {
    r->last = -1;
    for (size_t seen = 0;;) {
        size_t have = held(r);
        const char *at = have > seen ? memchr(r->buf + r->start + seen, end, have - seen) : NULL;
        if (at) {
            *out = slice(r, (size_t)(at - (r->buf + r->start)) + 1);
            return 0;
        }
        seen = have;
        ssize_t got = io_bufreader_more(r, "read until");
        if (got < 0) return (int)got;
    }
}

int cyg_bufreader_line(cyg_bufreader *r, cyg_str *out) {
    cyg_str line;
    int err = cyg_bufreader_until(r, '\n', &line);
    if (err == CYG_EOF && held(r) > 0)
        line = slice(r, held(r));
    else if (err)
        return err;
    else
        line.n--;
    if (line.n > 0 && line.p[line.n - 1] == '\r') line.n--;
    *out = line;
    return 0;
}

int cyg_bufreader_byte_slow(cyg_bufreader *r) {
    r->last = -1;
    ssize_t got = fill(r);
    return got < 0 ? (int)got : cyg_bufreader_byte(r);
}

int cyg_bufreader_unread(cyg_bufreader *r) {
    if (r->last < 0) return CYG_ESTATE;
    r->last = -1;
    r->start--;
    r->stats.bytes_total--;
    r->stats.copied_bytes_total--;
    return 0;
}

int cyg_bufreader_wait(cyg_bufreader *r) {
    r->last = -1;
    if (held(r) > 0) return 0;
    ssize_t got;
    if (r->under->ops->peek) {
        char byte;
        let_go(r);
        got = cyg_peek(r->under, &byte, 1);
    } else {
        got = fill(r);
    }
    return got >= 0 || got == CYG_EOF ? 0 : (int)got;
}

/* ---- as a stream ------------------------------------------------------------------------------------------------- */

static cyg_bufreader *own(cyg_stream *s) { return (cyg_bufreader *)s; }

static ssize_t op_read(cyg_stream *s, void *p, size_t n) { return cyg_bufreader_read(own(s), p, n); }

static ssize_t op_peek(cyg_stream *s, void *p, size_t n) {
    cyg_bufreader *r = own(s);
    r->last = -1;
    if (n == 0) return 0;
    ssize_t got = held(r) ? 1 : fill(r);
    if (got < 0) return got;
    if (n > held(r)) n = held(r);
    memcpy(p, r->buf + r->start, n);
    return (ssize_t)n;
}

static int op_unwrap(cyg_stream *s, cyg_under *out) {
    cyg_bufreader *r = own(s);
    out->stream = r->under;
    out->nbuffered = held(r);
    out->buffered = out->nbuffered ? r->buf + r->start : NULL;
    return 0;
}

static int op_advance(cyg_stream *s, int64_t n, bool ended) {
    cyg_bufreader *r = own(s);
    size_t k = (uint64_t)n < held(r) ? (size_t)n : held(r);
    r->last = -1;
    r->start += k;
    r->stats.bytes_total += (uint64_t)n;
    if (held(r) == 0) let_go(r);
    return ended ? CYG_EOF : 0;
}

static const cyg_stream_ops ops = {.kind = "buffered reader",
                                   .read = op_read,
                                   .peek = op_peek,
                                   .unwrap = op_unwrap,
                                   .advance = op_advance,
                                   IO_OVER_ALL_BUT_READING};

void cyg_bufreader_init(cyg_bufreader *r, cyg_stream *under, const cyg_buf_opts *opts) {
    memset(r, 0, sizeof *r);
    r->stream.ops = &ops;
    r->under = under;
    r->last = -1;
    io_buffer_bounds(opts, &r->min, &r->max);
    r->want = r->min;
}

void cyg_bufreader_free(cyg_bufreader *r) {
    let_go(r);
    r->last = -1;
    io_tell(IO_READ, &r->stats, &r->told);
}

void cyg_bufreader_reset(cyg_bufreader *r, cyg_stream *under) {
    cyg_bufreader_free(r);
    r->under = under;
}
