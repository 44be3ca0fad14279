/* bufwriter.c: buffered writing. What does not fit leaves with what is buffered in one gathering write, so no byte is
 * copied twice and none that is part of a large write is copied at all. The first error stays: after it nobody knows what
 * the peer has.
 *
 * How large: when small writes have filled the buffer, or several were too large for it one behind the other, the next
 * one is twice the size; when what is flushed was little, many times in a row, half. */
#include <limits.h>
#include <stdio.h>

#include "base/fatal.h"
#include "io/buffers.h"
#include "io/over.h"
#include "runtime/sched.h"

#define SMALL_FLUSHES 8 /* in a row, until the buffer shrinks */
#define GATHER 63       /* pieces that leave together with what is buffered; their list is on the stack */

static void let_go(cyg_bufwriter *w) {
    io_buffer_put(w->buf, w->size);
    w->buf = NULL;
    w->n = w->size = 0;
}

static int limit(cyg_bufwriter *w, const char *what, size_t n) {
    w->stats.limits_total++;
    io_tell(IO_WRITTEN, &w->stats, &w->told);
    return cygrt_fail(CYG_ELIMIT, "%s: %zu bytes are more than max_bytes (%zu)", what, n, w->max);
}

/* An empty buffer of n bytes or more, of the size that has proved right if that is more. */
static int take(cyg_bufwriter *w, size_t n) {
    if (n < w->want) n = w->want;
    w->buf = io_buffer_get(n, &w->size);
    if (!w->buf) {
        w->size = 0;
        return w->err = CYG_ENOMEM;
    }
    if (w->size > w->max) w->size = w->max;
    return 0;
}

static void grow(cyg_bufwriter *w) {
    if (w->want >= w->max) return;
    w->want = w->want < w->max / 2 ? w->want * 2 : w->max;
    w->small = 0;
    w->stats.grows_total++;
}

/* A write of n bytes had to go out. small: the many before it had filled the buffer. Two such without a flush between are
 * a torrent, too. */
static void went(cyg_bufwriter *w, size_t n, bool small) {
    if (small || (w->torrent && n < w->max / 2)) grow(w);
    w->torrent = true;
}

/* The caller has flushed n bytes, because they were all. */
static void learn(cyg_bufwriter *w, size_t n) {
    if (n > w->want / 4 || w->want <= w->min) {
        w->small = 0;
    } else if (++w->small >= SMALL_FLUSHES) {
        w->want = w->want / 2 > w->min ? w->want / 2 : w->min;
        w->small = 0;
        w->stats.shrinks_total++;
    }
}

/* What a write of `of` bytes returned; the first error stays. */
static int result(cyg_bufwriter *w, ssize_t wrote, size_t of) {
    w->stats.calls_total++;
    if (wrote < 0)
        w->err = (int)wrote;
    else if ((size_t)wrote != of)
        w->err = io_short_write(w->under, wrote, of);
    io_tell(IO_WRITTEN, &w->stats, &w->told);
    return w->err;
}

/* Writes out what is buffered and gives the buffer back. */
static int drain(cyg_bufwriter *w) {
    if (w->err) return w->err;
    int err = w->n ? result(w, cyg_write(w->under, w->buf, w->n), w->n) : 0;
    let_go(w);
    return err;
}

int cyg_bufwriter_flush(cyg_bufwriter *w) {
    if (w->err) return w->err;
    w->torrent = false;
    if (w->n) learn(w, w->n);
    return drain(w);
}

/* What is buffered and these, together. */
static int pass_on(cyg_bufwriter *w, const void *p, size_t n) {
    size_t all = w->n + n;
    struct iovec iov[2] = {{w->buf, w->n}, {(void *)p, n}};
    ssize_t r = w->n ? cyg_writev(w->under, iov, 2) : cyg_write(w->under, p, n);
    w->stats.bytes_total += n;
    int err = result(w, r, all);
    let_go(w);
    return err;
}

ssize_t cyg_bufwriter_write_slow(cyg_bufwriter *w, const void *p, size_t n) {
    if (w->err) return w->err;
    if (n == 0) return 0;
    if (!w->buf && n < w->want) {
        int err = take(w, n);
        return err ? err : cyg_bufwriter_write(w, p, n);
    }
    bool small = n < w->size;
    int err = pass_on(w, p, n);
    went(w, n, small);
    return err ? err : (ssize_t)n;
}

ssize_t cyg_bufwriter_reserve(cyg_bufwriter *w, size_t n, char **p) {
    if (w->err) return w->err;
    if (n > w->max) return limit(w, "reserve", n);
    if (n == 0) n = 1;
    if (w->size - w->n < n) {
        bool small = n < w->size;
        int err = drain(w);
        if (err) return err;
        went(w, n, small);
        if ((err = take(w, n))) return err;
    }
    *p = w->buf + w->n;
    return (ssize_t)(w->size - w->n);
}

void cyg_bufwriter_commit(cyg_bufwriter *w, size_t n) {
    if (n > w->size - w->n) cyg_fatal("commit of %zu bytes to a buffered writer with room for %zu", n, w->size - w->n);
    w->n += n;
    w->stats.bytes_total += n;
}

ssize_t cyg_bufwriter_vprintf(cyg_bufwriter *w, const char *fmt, va_list ap) {
    char *p;
    va_list again;
    va_copy(again, ap);
    ssize_t room = cyg_bufwriter_reserve(w, 1, &p);
    int n = room < 0 ? 0 : vsnprintf(p, (size_t)room, fmt, ap);
    if (room > 0 && n >= room) { /* not all of it, and a NUL behind it */
        room = cyg_bufwriter_reserve(w, (size_t)n + 1, &p);
        if (room > 0) n = vsnprintf(p, (size_t)room, fmt, again);
    }
    va_end(again);
    if (room < 0) return room;
    if (n < 0) return cygrt_fail(CYG_EINVAL, "the C library refuses the format \"%s\"", fmt);
    cyg_bufwriter_commit(w, (size_t)n);
    return n;
}

ssize_t cyg_bufwriter_printf(cyg_bufwriter *w, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    ssize_t n = cyg_bufwriter_vprintf(w, fmt, ap);
    va_end(ap);
    return n;
}

/* ---- as a stream ------------------------------------------------------------------------------------------------- */

static cyg_bufwriter *own(cyg_stream *s) { return (cyg_bufwriter *)s; }

static ssize_t op_write(cyg_stream *s, const void *p, size_t n) { return cyg_bufwriter_write(own(s), p, n); }

/* Pieces that together do not fit leave together with what is there, too. */
static int gather(cyg_bufwriter *w, const struct iovec *iov, int n, size_t total) {
    struct iovec all[1 + GATHER];
    int err = n > GATHER ? drain(w) : 0;
    if (err) return err;
    size_t of = w->n + total;
    if (w->n) {
        all[0] = (struct iovec){w->buf, w->n};
        memcpy(all + 1, iov, sizeof *iov * (size_t)n);
        iov = all;
        n++;
    }
    w->stats.bytes_total += total;
    err = result(w, cyg_writev(w->under, iov, n), of);
    let_go(w);
    return err;
}

static ssize_t op_writev(cyg_stream *s, const struct iovec *iov, int n) {
    cyg_bufwriter *w = own(s);
    size_t total = 0;
    for (int i = 0; i < n; i++)
        if (__builtin_add_overflow(total, iov[i].iov_len, &total) || total > SSIZE_MAX) return CYG_EINVAL;
    if (w->err) return w->err;
    if (total > w->size - w->n && (w->buf || total >= w->want)) {
        bool small = total < w->size;
        int err = gather(w, iov, n, total);
        went(w, total, small);
        return err ? err : (ssize_t)total;
    }
    for (int i = 0; i < n; i++) {
        ssize_t r = cyg_bufwriter_write(w, iov[i].iov_base, iov[i].iov_len);
        if (r < 0) return r;
    }
    return (ssize_t)total;
}

static int op_close(cyg_stream *s) {
    int err = cyg_bufwriter_flush(own(s)), closed = io_over_close(s);
    return err ? err : closed;
}

static int op_close_write(cyg_stream *s) {
    int err = cyg_bufwriter_flush(own(s));
    return err ? err : io_over_close_write(s);
}

/* The source's bytes need not come by the buffer: what is in it goes first, then they go as they can. */
static int op_read_from(cyg_stream *s, cyg_stream *src, int64_t max, cyg_copy_result *res) {
    cyg_bufwriter *w = own(s);
    int err = drain(w);
    if (err) {
        res->write_failed = true;
        return err;
    }
    int64_t before = res->bytes;
    err = cyg_transfer(w->under, src, max, res);
    w->stats.bytes_total += (uint64_t)(res->bytes - before);
    if (err && res->write_failed) w->err = err;
    return err;
}

/* Reads pass by. */
static int op_unwrap(cyg_stream *s, cyg_under *out) {
    out->stream = own(s)->under;
    return 0;
}
static int op_advance(cyg_stream *s, int64_t n, bool ended) {
    (void)s, (void)n;
    return ended ? CYG_EOF : 0;
}

static const cyg_stream_ops ops = {.kind = "buffered writer",
                                   .read = io_over_read,
                                   .write = op_write,
                                   .writev = op_writev,
                                   .close = op_close,
                                   .close_write = op_close_write,
                                   .set_deadline = io_over_set_deadline,
                                   .descriptor = io_over_descriptor,
                                   .peek = io_over_peek,
                                   .read_from = op_read_from,
                                   .unwrap = op_unwrap,
                                   .advance = op_advance,
                                   .abort = io_over_abort};

void cyg_bufwriter_init(cyg_bufwriter *w, cyg_stream *under, const cyg_buf_opts *opts) {
    memset(w, 0, sizeof *w);
    w->stream.ops = &ops;
    w->under = under;
    io_buffer_bounds(opts, &w->min, &w->max);
    w->want = w->min;
}

void cyg_bufwriter_free(cyg_bufwriter *w) {
    let_go(w);
    io_tell(IO_WRITTEN, &w->stats, &w->told);
}

void cyg_bufwriter_reset(cyg_bufwriter *w, cyg_stream *under) {
    cyg_bufwriter_free(w);
    w->under = under;
    w->err = 0;
}
