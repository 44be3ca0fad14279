/* copy.c: which way bytes go from one stream to another. In this order: as the source does it itself (write_to); as the
 * destination does (read_from); what lies beneath a wrapper that changes nothing, with the bytes it holds first; in the kernel
 * (copy_splice.c); through a buffer.
 *
 * Inside, CYG_EOF says that the source has ended, 0 that as many bytes as wanted have gone. */
#include "io/copy_internal.h"
#include "io/over.h"

#define DEEPEST 16                         /* wrappers around wrappers; what lies deeper is read through them */
#define TRY_AGAIN_AFTER ((int64_t)8 << 20) /* bytes through a buffer for want of a pipe */
#define FEW_READS 16                       /* in a row that a small buffer would have done for */

static int transfer(cyg_stream *dst, cyg_stream *src, int64_t max, cyg_copy_result *res, int depth);

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- through a buffer ------------------------------------------------------------------------------------------------- */

/* The buffer for the next read, after one of n bytes. */
static struct copy_buffer *fitting(struct copy_buffer *b, size_t n, int *few) {
    bool fewer = b->large && n < SMALL_BUFFER;
    *few = fewer ? *few + 1 : 0;
    if (b->large ? *few < FEW_READS : n < b->size) return b;
    struct copy_buffer *other = copy_buffer_get(!b->large);
    if (!other) return b;
    *few = 0;
    copy_buffer_put(b);
    return other;
}

/* From src to dst by read and write. why: it could not go in the kernel. */
static int through_buffer(cyg_stream *dst, cyg_stream *src, int64_t max, cyg_copy_result *res, cyg_copy_reason why) {
    struct copy_buffer *b = copy_buffer_get(false);
    if (!b) return CYG_ENOMEM;
    int err = 0, few = 0;
    uint64_t reads = 0;
    while (max > 0) {
        ssize_t n = io_read_some(src, b->bytes, (size_t)least(max, (int64_t)b->size), &reads);
        if (n < 0) {
            err = (int)n;
            break;
        }
        if (res->reason != why) copy_falls_back(res, why);
        ssize_t w = cyg_write(dst, b->bytes, (size_t)n);
        if (w >= 0 && w != n) w = io_short_write(dst, w, (size_t)n);
        if (w < 0) {
            res->write_failed = true;
            err = (int)w;
            break;
        }
        copy_went(res, CYG_COPY_BUFFER, n);
        max -= n;
        b = fitting(b, (size_t)n, &few);
    }
    copy_buffer_put(b);
    return err;
}

/* ---- streams that do it themselves ------------------------------------------------------------------------------------- */

static int by_streams(cyg_stream *dst, cyg_stream *src, int64_t max, cyg_copy_result *res) {
    int64_t before = res->bytes;
    int err = CYG_ENOTSUP;
    if (src->ops->write_to) err = src->ops->write_to(src, dst, max, res);
    if (err == CYG_ENOTSUP && dst->ops->read_from) err = dst->ops->read_from(dst, src, max, res);
    if (err) return err;
    return res->bytes - before < max ? CYG_EOF : 0;
}

/* ---- wrappers ----------------------------------------------------------------------------------------------------------- */

/* Streams beneath which nothing lies, or that are read at `offset` (else -1). NOT_THIS_WAY: at an offset only the kernel reads,
 * and *why says why it does not. */
static int plain(cyg_stream *dst, cyg_stream *src, int64_t offset, int64_t max, cyg_copy_result *res, cyg_copy_reason *why) {
    int64_t until = res->bytes + least(max, INT64_MAX - res->bytes);
    for (;;) {
        int err = copy_in_kernel(dst, src, offset, until - res->bytes, res, why);
        if (err != NOT_THIS_WAY || offset >= 0) return err;
        bool again = *why == CYG_COPY_PIPES;
        int64_t left = until - res->bytes;
        err = through_buffer(dst, src, again ? least(left, TRY_AGAIN_AFTER) : left, res, *why);
        if (err || res->bytes >= until) return err;
    }
}

/* One stretch of what a wrapper has told of itself. */
static int beneath(cyg_stream *dst, const cyg_under *u, int64_t max, cyg_copy_result *res, int depth, cyg_copy_reason *why) {
    int err = 0;
    if (u->nbuffered) {
        int64_t n = least(max, (int64_t)u->nbuffered);
        ssize_t w = cyg_write(dst, u->buffered, (size_t)n);
        if (w < 0) {
            res->write_failed = true;
            err = (int)w;
        } else {
            copy_went(res, CYG_COPY_HELD, n);
        }
    } else if (u->offset >= 0) {
        err = plain(dst, u->stream, u->offset, max, res, why);
    } else {
        err = transfer(dst, u->stream, max, res, depth + 1);
    }
    return err;
}

static int through_wrapper(cyg_stream *dst, cyg_stream *src, int64_t max, cyg_copy_result *res, int depth) {
    while (max > 0) {
        cyg_under u = {.limit = INT64_MAX, .offset = -1};
        int err = src->ops->unwrap(src, &u);
        if (err == CYG_ENOTSUP) return through_buffer(dst, src, max, res, CYG_COPY_SOURCE);
        if (err) return err;
        if (u.limit <= 0) return CYG_EOF;
        int64_t before = res->bytes;
        cyg_copy_reason why = CYG_COPY_SOURCE;
        err = beneath(dst, &u, least(max, u.limit), res, depth, &why);
        int64_t moved = res->bytes - before;
        max -= moved;
        int then = src->ops->advance(src, moved, err == CYG_EOF);
        if (err == NOT_THIS_WAY && u.offset >= 0) return through_buffer(dst, src, max, res, why);
        if (err && err != CYG_EOF) return err;
        if (then) return then;
    }
    return 0;
}

static int transfer(cyg_stream *dst, cyg_stream *src, int64_t max, cyg_copy_result *res, int depth) {
    int err = by_streams(dst, src, max, res);
    if (err != CYG_ENOTSUP) return err;
    cyg_copy_reason why;
    if (!src->ops->unwrap) return plain(dst, src, -1, max, res, &why);
    if (depth >= DEEPEST) return through_buffer(dst, src, max, res, CYG_COPY_SOURCE);
    return through_wrapper(dst, src, max, res, depth);
}

/* ---- what others call ----------------------------------------------------------------------------------------------------- */

int cyg_transfer(cyg_stream *dst, cyg_stream *src, int64_t max, cyg_copy_result *res) {
    int err = max > 0 ? transfer(dst, src, max, res, 0) : 0;
    return err == CYG_EOF ? 0 : err;
}

int64_t cyg_copy(cyg_stream *dst, cyg_stream *src, cyg_copy_result *res) {
    cyg_copy_result local;
    if (!res) res = &local;
    copy_begins(res);
    int err = cyg_transfer(dst, src, INT64_MAX, res);
    return err ? err : res->bytes;
}

int64_t cyg_copy_n(cyg_stream *dst, cyg_stream *src, int64_t n, cyg_copy_result *res) {
    cyg_copy_result local;
    if (!res) res = &local;
    copy_begins(res);
    int err = cyg_transfer(dst, src, n, res);
    if (err || res->bytes >= n) return err ? err : res->bytes;
    return res->bytes ? CYG_EPROTO : CYG_EOF;
}
