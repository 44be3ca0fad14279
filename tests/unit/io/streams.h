/* streams.h: streams for the tests of copying: a source whose bytes follow from their place, a sink that checks them, and
 * wrappers as programs write them, those that can be looked beneath (held bytes, a limit, a section, several in a row) and one
 * that changes its bytes.
 */
#ifndef TESTS_UNIT_IO_STREAMS_H
#define TESTS_UNIT_IO_STREAMS_H

#include "../net/net.h"

/* Whether copies are told not to take the kernel's way. */
static inline bool no_splice(void) {
    const char *debug = getenv("CYGNET_DEBUG");
    return debug && strstr(debug, "nosplice");
}

static inline uint8_t byte_at(uint32_t seed, int64_t i) { return (uint8_t)(((uint64_t)i * 2654435761u + seed) >> 13); }
static inline void fill_bytes(uint32_t seed, int64_t from, void *p, size_t n) {
    for (size_t i = 0; i < n; i++) ((uint8_t *)p)[i] = byte_at(seed, from + (int64_t)i);
}
static inline void check_bytes(uint32_t seed, int64_t from, const void *p, size_t n) {
    for (size_t i = 0; i < n; i++) CHECK_EQ(((const uint8_t *)p)[i], byte_at(seed, from + (int64_t)i));
}

/* xorshift; never 0 for a state that is not 0. */
static inline uint32_t next_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* ---- in memory ---------------------------------------------------------------------------------------------------------- */

/* Gives the bytes of `seed` from `at` to `end`, at most `piece` a read, then `last`; takes as many as fit into `room`. */
struct memory {
    cyg_stream s;
    uint32_t seed;
    int64_t at, end;
    size_t piece;
    int last;
    int64_t taken, room; /* written to it, which must be the bytes of seed from 0, unless that is UINT32_MAX */
    int full;            /* what a write gives that does not fit */
    int reads, writes;
};
static inline ssize_t memory_read(cyg_stream *s, void *p, size_t n) {
    struct memory *m = (struct memory *)s;
    m->reads++;
    if (m->at >= m->end) return m->last;
    if (n > (size_t)(m->end - m->at)) n = (size_t)(m->end - m->at);
    if (n > m->piece) n = m->piece;
    fill_bytes(m->seed, m->at, p, n);
    m->at += (int64_t)n;
    return (ssize_t)n;
}
static inline ssize_t memory_write(cyg_stream *s, const void *p, size_t n) {
    struct memory *m = (struct memory *)s;
    m->writes++;
    if (m->taken + (int64_t)n > m->room) return m->full;
    if (m->seed != UINT32_MAX) check_bytes(m->seed, m->taken, p, n);
    m->taken += (int64_t)n;
    return (ssize_t)n;
}
static const cyg_stream_ops memory_ops = {.kind = "memory", .read = memory_read, .write = memory_write};
static inline struct memory memory_of(int64_t n) {
    return (struct memory){
        .s = {&memory_ops}, .seed = 1, .end = n, .piece = SIZE_MAX, .last = CYG_EOF, .room = INT64_MAX, .full = -ENOSPC};
}

/* ---- wrappers that can be looked beneath --------------------------------------------------------------------------------- */

/* First some bytes of its own (as a buffered reader that has read ahead), then the stream beneath, no more than `limit` in all;
 * with parts: then the next part. */
struct wrapper {
    cyg_stream s;
    cyg_stream *under;
    const uint8_t *held;
    size_t nheld;
    int64_t limit, offset; /* offset: -1, or a place in the file beneath */
    cyg_stream *const *more;
    int nmore;
    bool opaque; /* does not tell what lies beneath */
    int reads, unwraps;
};
static inline bool wrapper_next(struct wrapper *w) {
    if (!w->nmore) return false;
    w->under = *w->more++;
    w->nmore--;
    return true;
}
static inline int wrapper_unwrap(cyg_stream *s, cyg_under *out) {
    struct wrapper *w = (struct wrapper *)s;
    w->unwraps++;
    if (w->opaque) return CYG_ENOTSUP;
    if (w->limit == 0) return CYG_EOF;
    out->stream = w->under;
    out->buffered = w->held;
    out->nbuffered = w->nheld;
    out->limit = w->limit;
    out->offset = w->offset;
    return 0;
}
static inline int wrapper_advance(cyg_stream *s, int64_t n, bool ended) {
    struct wrapper *w = (struct wrapper *)s;
    size_t of_held = (size_t)n < w->nheld ? (size_t)n : w->nheld;
    w->held += of_held;
    w->nheld -= of_held;
    CHECK(n <= w->limit);
    if (w->limit != INT64_MAX) w->limit -= n;
    if (w->offset >= 0) w->offset += n;
    if (ended && !wrapper_next(w)) return CYG_EOF;
    return w->limit == 0 ? CYG_EOF : 0;
}
static inline ssize_t wrapper_read(cyg_stream *s, void *p, size_t n) {
    struct wrapper *w = (struct wrapper *)s;
    w->reads++;
    if (w->limit == 0) return CYG_EOF;
    if ((int64_t)n > w->limit) n = (size_t)w->limit;
    ssize_t r;
    if (w->nheld) {
        r = (ssize_t)(n < w->nheld ? n : w->nheld);
        memcpy(p, w->held, (size_t)r);
    } else if (w->offset >= 0) {
        r = pread(cyg_descriptor(w->under), p, n, w->offset);
        if (r <= 0) return r < 0 ? -errno : CYG_EOF;
    } else {
        do {
            r = cyg_read(w->under, p, n);
        } while (r == CYG_EOF && wrapper_next(w));
        if (r < 0) return r;
    }
    (void)wrapper_advance(s, r, false);
    return r;
}
static const cyg_stream_ops wrapper_ops = {
    .kind = "wrapper", .read = wrapper_read, .unwrap = wrapper_unwrap, .advance = wrapper_advance};
static inline struct wrapper wrapper_of(cyg_stream *under) {
    return (struct wrapper){.s = {&wrapper_ops}, .under = under, .limit = INT64_MAX, .offset = -1};
}

/* ---- one that changes what it reads ----------------------------------------------------------------------------------------- */

struct changer {
    cyg_stream s;
    cyg_stream *under;
    int reads;
};
static inline ssize_t changer_read(cyg_stream *s, void *p, size_t n) {
    struct changer *c = (struct changer *)s;
    c->reads++;
    ssize_t r = cyg_read(c->under, p, n);
    for (ssize_t i = 0; i < r; i++) ((uint8_t *)p)[i] ^= 0x5a;
    return r;
}
static const cyg_stream_ops changer_ops = {.kind = "changer", .read = changer_read};
static inline struct changer changer_of(cyg_stream *under) {
    return (struct changer){.s = {&changer_ops}, .under = under};
}

/* ---- a file ------------------------------------------------------------------------------------------------------------------ */

/* A regular file of the bytes of seed 1, unlinked. With `own_place` it keeps its place itself. */
struct file {
    cyg_stream s;
    int fd;
    int64_t place;
    bool own_place;
    int holds, reads;
};
static inline ssize_t file_read(cyg_stream *s, void *p, size_t n) {
    struct file *f = (struct file *)s;
    f->reads++;
    ssize_t r = f->own_place ? pread(f->fd, p, n, f->place) : read(f->fd, p, n);
    if (r > 0) f->place += r;
    return r > 0 ? r : r < 0 ? -errno : CYG_EOF;
}
static inline ssize_t file_write(cyg_stream *s, const void *p, size_t n) {
    ssize_t r = write(((struct file *)s)->fd, p, n);
    return r < 0 ? -errno : r;
}
static inline int file_descriptor(cyg_stream *s) { return ((struct file *)s)->fd; }
static inline int file_hold(cyg_stream *s, cyg_side side, cyg_fd *out) {
    (void)side;
    struct file *f = (struct file *)s;
    f->holds++;
    *out = (cyg_fd){.fd = f->fd, .position = f->own_place ? &f->place : NULL};
    return 0;
}
static inline void file_unhold(cyg_stream *s, cyg_side side) {
    (void)side;
    ((struct file *)s)->holds--;
}
static const cyg_stream_ops file_ops = {.kind = "file",
                                        .fd_kind = CYG_FD_FILE,
                                        .read = file_read,
                                        .write = file_write,
                                        .descriptor = file_descriptor,
                                        .hold = file_hold,
                                        .unhold = file_unhold};
static inline struct file file_open(int flags) {
    char path[] = "/tmp/cygnet-test-XXXXXX";
    int fd = mkostemp(path, flags | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(unlink(path), 0);
    return (struct file){.s = {&file_ops}, .fd = fd};
}
static inline struct file file_of(int64_t n, bool own_place) {
    struct file f = file_open(0);
    f.own_place = own_place;
    uint8_t block[4096];
    for (int64_t at = 0; at < n;) {
        size_t k = n - at < (int64_t)sizeof block ? (size_t)(n - at) : sizeof block;
        fill_bytes(1, at, block, k);
        CHECK_EQ(write(f.fd, block, k), (ssize_t)k);
        at += (int64_t)k;
    }
    CHECK_EQ(lseek(f.fd, 0, SEEK_SET), 0);
    return f;
}
static inline void file_close(struct file *f) {
    CHECK_EQ(f->holds, 0);
    CHECK_EQ(close(f->fd), 0);
}

static inline cyg_copy_stats copy_stats(void) {
    cyg_copy_stats st;
    cyg_copy_get_stats(&st);
    return st;
}

#endif
