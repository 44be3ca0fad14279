/* script.h: a stream that does what a test says: reads come piece by piece, or fail, or give nothing; writes are kept,
 * counted, cut short, refused. */
#ifndef TESTS_UNIT_IO_SCRIPT_H
#define TESTS_UNIT_IO_SCRIPT_H

#include "../rt.h"

struct piece {
    const char *text; /* one read gives this, or as much as there is room for; NULL: it returns err */
    int err;
};

struct script {
    cyg_stream s;
    const struct piece *pieces; /* the last one has neither text nor err: then CYG_EOF for ever */
    size_t at, in;              /* which piece; of its text, how much has been read */
    size_t piece;               /* bytes of a read at most; 0: no bound */
    bool stuck;                 /* reads give 0 bytes, for ever */
    bool boasts;                /* reads say that they gave more than there was room for */
    int reads;
    size_t largest_read; /* room of a read, at most */
    char *out;           /* what was written, `size` bytes of room */
    size_t nout, size;
    int writes;          /* write and writev alike */
    int gathered;        /* of these, writev */
    int refuse_at;       /* the write with this number fails (1 is the first) ... */
    int refusal;         /* ... with this; >= 0: it takes so many bytes and calls it success */
    const void *wrote_p; /* the last buffer of the last write */
    int closed, half_closed;
};

static inline ssize_t script_read(cyg_stream *s, void *p, size_t n) {
    struct script *x = (struct script *)s;
    x->reads++;
    if (n > x->largest_read) x->largest_read = n;
    if (x->stuck) return 0;
    if (x->boasts) return (ssize_t)n + 1;
    if (!x->pieces) return CYG_EOF;
    const struct piece *piece = &x->pieces[x->at];
    if (!piece->text) {
        if (!piece->err) return CYG_EOF;
        x->at++;
        return piece->err;
    }
    size_t left = strlen(piece->text) - x->in;
    if (x->piece && n > x->piece) n = x->piece;
    if (n > left) n = left;
    memcpy(p, piece->text + x->in, n);
    x->in += n;
    if (n == left) {
        x->at++;
        x->in = 0;
    }
    return (ssize_t)n;
}

static inline ssize_t script_writev(cyg_stream *s, const struct iovec *iov, int n) {
    struct script *x = (struct script *)s;
    size_t total = 0, room;
    if (++x->writes == x->refuse_at && x->refusal < 0) return x->refusal;
    for (int i = 0; i < n; i++) total += iov[i].iov_len;
    room = x->writes == x->refuse_at ? (size_t)x->refusal : total;
    ssize_t r = (ssize_t)room;
    for (int i = 0; i < n && room; i++) {
        size_t k = iov[i].iov_len < room ? iov[i].iov_len : room;
        CHECK(x->nout + k <= x->size);
        memcpy(x->out + x->nout, iov[i].iov_base, k);
        x->nout += k;
        room -= k;
    }
    x->wrote_p = iov[n - 1].iov_base;
    if (n > 1) x->gathered++;
    return r;
}

static inline ssize_t script_write(cyg_stream *s, const void *p, size_t n) {
    return script_writev(s, &(struct iovec){(void *)p, n}, 1);
}
static inline int script_close(cyg_stream *s) { return ((struct script *)s)->closed++ ? CYG_ECLOSED : 0; }
static inline int script_close_write(cyg_stream *s) { return ((struct script *)s)->half_closed++ ? CYG_ECLOSED : 0; }

static const cyg_stream_ops script_ops = {.kind = "script",
                                          .read = script_read,
                                          .write = script_write,
                                          .writev = script_writev,
                                          .close = script_close,
                                          .close_write = script_close_write};

static inline struct script script_of(const struct piece *pieces) {
    return (struct script){.s = {&script_ops}, .pieces = pieces};
}

static inline struct script script_sink(char *out, size_t size) {
    return (struct script){.s = {&script_ops}, .out = out, .size = size};
}

#endif
