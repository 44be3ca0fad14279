/* bufio.h: buffers between small reads and writes and the stream below them. Reader and writer are streams themselves
 * (&r.stream), laid out by the caller, used by one goroutine at a time. A buffer starts small, doubles while what goes
 * through it fills it, up to a bound, shrinks when it is hardly used, and lies in a pool, not here, while it is empty.
 *
 *     cyg_bufreader r;
 *     cyg_bufreader_init(&r, conn, NULL);
 *     cyg_str line;
 *     int err;
 *     while ((err = cyg_bufreader_line(&r, &line)) == 0) handle(line);   // CYG_EOF at the end
 *     cyg_bufreader_free(&r);
 */
#ifndef CYGNET_BUFIO_H
#define CYGNET_BUFIO_H

#include <cygnet/base.h>
#include <cygnet/err.h>
#include <cygnet/io.h>
#include <stdarg.h>

CYG_BEGIN_DECLS

#define CYG_BUF_MIN_BYTES ((size_t)1 << 10)    /* what a buffer starts with, unless told otherwise */
#define CYG_BUF_MAX_BYTES ((size_t)64 << 10)   /* what it grows to, unless told otherwise */
#define CYG_BUF_LIMIT_BYTES ((size_t)16 << 20) /* what it may be told to grow to at most */
#define CYG_BUF_IDLE_BYTES ((size_t)1 << 20)   /* kept in the pool of each size, 512 bytes to 256 KiB, at most */
#define CYG_BUF_NO_PROGRESS 100 /* empty reads, or tokens that take nothing, in a row before it is an error */

typedef struct cyg_buf_opts {
    size_t min_bytes; /* first size of the buffer, rounded up to a power of two, 512 or more; 0: CYG_BUF_MIN_BYTES; if max_bytes is
                          * less: that */
    size_t max_bytes;    /* bound of the buffer, thereby of a line, a peek, a reservation; 0: CYG_BUF_MAX_BYTES; 16 to
                          * CYG_BUF_LIMIT_BYTES, what lies outside counts as the nearer end */
    uint64_t reserve[4]; /* zero */
} cyg_buf_opts;

/* What one reader or writer has done since it was initialised, or all of them since the process began. */
typedef struct cyg_buf_stats {
    uint64_t bytes_total; /* read by, or written by, the user */
    uint64_t copied_bytes_total; /* of these, copied by way of a buffer; the others went straight, or lay in it to be looked at */
    uint64_t calls_total; /* reads or writes of the stream below; a connection makes one system call of each, if it need not wait */
    uint64_t grows_total;   /* times the buffer became larger */
    uint64_t shrinks_total; /* times it became smaller */
    uint64_t limits_total;  /* calls that failed with CYG_ELIMIT */
    uint64_t reserve[2];
} cyg_buf_stats;

/* ---- reader ------------------------------------------------------------------------------------------------------ */

/* The fields are the library's; read `stats` if you like. */
typedef struct cyg_bufreader {
    cyg_stream stream; /* reads come by way of the buffer; all other operations go to the stream below */
    cyg_stream *under;
    char *buf;         /* NULL while there is none */
    size_t start, end; /* of the bytes in it that have not been taken */
    size_t size;       /* of buf */
    size_t want;       /* size of the next one */
    size_t min, max;
    unsigned small; /* fills in a row that would have fitted into a quarter */
    int last;       /* the last byte taken by cyg_bufreader_byte, -1: cannot be put back */
    cyg_buf_stats stats;
    cyg_buf_stats told; /* of these, in the totals already */
    uint64_t reserve[4];
} cyg_bufreader;

/* Makes r an empty reader of under. Blocks: never. From: anywhere. Owns: borrows under until cyg_bufreader_free; opts is
 * read during the call (NULL: defaults). */
CYG_API void cyg_bufreader_init(cyg_bufreader *r, cyg_stream *under, const cyg_buf_opts *opts);

/* Gives the buffer back; bytes still in it are lost. r may be initialised again. The stream below is not closed.
 * Blocks: never. From: the user. */
CYG_API void cyg_bufreader_free(cyg_bufreader *r);

/* Throws away what is buffered and goes on with another stream; learned sizes and stats stay. Blocks: never. From: the
 * user. */
CYG_API void cyg_bufreader_reset(cyg_bufreader *r, cyg_stream *under);

/* As cyg_read. What is buffered comes first, alone; an empty buffer is filled by one read, or passed by if n is no
 * smaller than it. Blocks: parks. From: goroutine. Returns: as cyg_read; CYG_ENOMEM; CYG_EPROTO if the stream below read
 * nothing CYG_BUF_NO_PROGRESS times. An error is told once and not kept: the next call reads again. */
CYG_API ssize_t cyg_bufreader_read(cyg_bufreader *r, void *p, size_t n);

/* Shows the next n bytes without taking them. Blocks: parks until they are there. From: goroutine. Owns: *out lies in the
 * buffer and is good until the next call with r. Returns: 0; CYG_EOF or another error of the stream if it ends before:
 * what is there can still be seen (cyg_bufreader_data) and read; CYG_ELIMIT if n is more than max_bytes; CYG_ENOMEM. */
CYG_API CYG_NODISCARD int cyg_bufreader_peek(cyg_bufreader *r, size_t n, cyg_str *out);

/* Takes n bytes and drops them. Blocks: parks. From: goroutine. Returns: n; or an error as cyg_bufreader_read's, when
 * those before it have gone. */
CYG_API int64_t cyg_bufreader_discard(cyg_bufreader *r, int64_t n);

/* Takes everything up to and with the next byte `end`. Blocks: parks. From: goroutine. Owns: as cyg_bufreader_peek.
 * Returns: 0; CYG_EOF if the stream ends first: what is there stays to be read; CYG_ELIMIT if max_bytes bytes have no
 * such byte: they stay, too; the stream's error; CYG_ENOMEM. */
CYG_API CYG_NODISCARD int cyg_bufreader_until(cyg_bufreader *r, char end, cyg_str *out);

/* Takes a line, which *out is without its "\n" or "\r\n"; the last one need not have one. As cyg_bufreader_until, but
 * CYG_EOF only if there is no byte left. */
CYG_API CYG_NODISCARD int cyg_bufreader_line(cyg_bufreader *r, cyg_str *out);

CYG_API int cyg_bufreader_byte_slow(cyg_bufreader *r);

/* Takes one byte. Blocks: parks. From: goroutine. Returns: 0 to 255, or an error as cyg_bufreader_read's. */
static inline int cyg_bufreader_byte(cyg_bufreader *r) {
    if (CYG_UNLIKELY(r->start == r->end)) return cyg_bufreader_byte_slow(r);
    r->stats.bytes_total++;
    r->stats.copied_bytes_total++;
    return r->last = (unsigned char)r->buf[r->start++];
}

/* Puts back the byte that the call before took by cyg_bufreader_byte. Blocks: never. From: the user.
 * Returns: 0, or CYG_ESTATE if the call before was another one or failed. */
CYG_API int cyg_bufreader_unread(cyg_bufreader *r);

/* What is buffered. Blocks: never. From: the user. Owns: as cyg_bufreader_peek. */
static inline cyg_str cyg_bufreader_data(const cyg_bufreader *r) {
    cyg_str s = {r->buf ? r->buf + r->start : NULL, r->end - r->start};
    return s;
}

/* Parks until there is something to read (bytes, the end, or an error), without a buffer meanwhile if the stream below
 * can peek. Blocks: parks. From: goroutine. Returns: 0, or what ended the wait: CYG_ETIMEDOUT, CYG_ECANCELED,
 * CYG_ECLOSED. */
CYG_API int cyg_bufreader_wait(cyg_bufreader *r);

/* ---- writer ------------------------------------------------------------------------------------------------------ */

/* The fields are the library's; read `stats` and `err` if you like. */
typedef struct cyg_bufwriter {
    cyg_stream stream; /* writes go by way of the buffer; a close or half-close flushes first; all others go to the stream below */
    cyg_stream *under;
    char *buf;   /* NULL while there is none */
    size_t n;    /* bytes in it */
    size_t size; /* of buf */
    size_t want; /* size of the next one */
    size_t min, max;
    unsigned small; /* flushes in a row that would have fitted into a quarter */
    bool torrent;   /* the last write went out and no flush followed */
    int err;        /* the first error; every later call returns it */
    cyg_buf_stats stats;
    cyg_buf_stats told; /* of these, in the totals already */
    uint64_t reserve[4];
} cyg_bufwriter;

/* Makes w an empty writer to under. As cyg_bufreader_init. */
CYG_API void cyg_bufwriter_init(cyg_bufwriter *w, cyg_stream *under, const cyg_buf_opts *opts);

/* Gives the buffer back; bytes that were not flushed are lost. Blocks: never. From: the user. */
CYG_API void cyg_bufwriter_free(cyg_bufwriter *w);

/* Throws away what is buffered, and the error, and goes on with another stream. Blocks: never. From: the user. */
CYG_API void cyg_bufwriter_reset(cyg_bufwriter *w, cyg_stream *under);

CYG_API ssize_t cyg_bufwriter_write_slow(cyg_bufwriter *w, const void *p, size_t n);

/* Writes n bytes: into the buffer if they fit, else together with what is buffered, uncopied, in one call of the stream
 * below. Blocks: parks if they do not fit. From: goroutine. Returns: n, or the first error there was: of the stream,
 * CYG_ENOMEM, CYG_EPROTO if the stream wrote less than it was given. After an error nothing is written until
 * cyg_bufwriter_reset. */
static inline ssize_t cyg_bufwriter_write(cyg_bufwriter *w, const void *p, size_t n) {
    if (CYG_UNLIKELY(n > w->size - w->n || w->err != 0)) return cyg_bufwriter_write_slow(w, p, n);
    if (n) memcpy(w->buf + w->n, p, n);
    w->n += n;
    w->stats.bytes_total += n;
    w->stats.copied_bytes_total += n;
    return (ssize_t)n;
}

/* The same for a text, for one byte, and for text made to a format. Returns also CYG_ELIMIT if formatted text has
 * max_bytes or more; nothing of it is written then, and it is not kept as the error. */
static inline ssize_t cyg_bufwriter_str(cyg_bufwriter *w, cyg_str s) { return cyg_bufwriter_write(w, s.p, s.n); }
static inline ssize_t cyg_bufwriter_byte(cyg_bufwriter *w, char c) { return cyg_bufwriter_write(w, &c, 1); }
CYG_API ssize_t cyg_bufwriter_printf(cyg_bufwriter *w, const char *fmt, ...) CYG_PRINTF(2, 3);
CYG_API ssize_t cyg_bufwriter_vprintf(cyg_bufwriter *w, const char *fmt, va_list ap) CYG_PRINTF(2, 0);

/* Makes room for n bytes or more, to be written into the buffer itself; what is there is written out if it has to be.
 * cyg_bufwriter_commit says how many were. Blocks: parks. From: goroutine. Owns: *p is good until the next call with w.
 * Returns: the room, at least n; the first error there was; CYG_ELIMIT if n is more than max_bytes (not kept). */
CYG_API CYG_NODISCARD ssize_t cyg_bufwriter_reserve(cyg_bufwriter *w, size_t n, char **p);

/* Takes over n bytes of what cyg_bufwriter_reserve made room for, by the call before; aborts if it is more than the room.
 * Blocks: never. From: the user. */
CYG_API void cyg_bufwriter_commit(cyg_bufwriter *w, size_t n);

/* Writes out what is buffered. Blocks: parks. From: goroutine. Returns: 0, or the first error there was. */
CYG_API int cyg_bufwriter_flush(cyg_bufwriter *w);

/* ---- scanner ----------------------------------------------------------------------------------------------------- */

#define CYG_SPLIT_MORE 0  /* no token yet */
#define CYG_SPLIT_TOKEN 1 /* *token is one */
#define CYG_SPLIT_LAST 2  /* *token is one, and the scan ends with it; token->p NULL: ends without one */

/* Finds the next token in data, which begins where the one before ended. at_end: nothing follows; then CYG_SPLIT_MORE
 * ends the scan. Sets *advance to how many bytes are done with (0 before the call), which CYG_SPLIT_MORE may do as well,
 * and *token, which lies in data. Must not park. Returns: CYG_SPLIT_*, or a negative cyg_err, which ends the scan. */
typedef int cyg_split_fn(void *arg, cyg_str data, bool at_end, size_t *advance, cyg_str *token);

/* Lines without "\n" or "\r\n", empty ones too; words between white space (space, \t \n \v \f \r); single bytes. */
CYG_API int cyg_split_lines(void *arg, cyg_str data, bool at_end, size_t *advance, cyg_str *token);
CYG_API int cyg_split_words(void *arg, cyg_str data, bool at_end, size_t *advance, cyg_str *token);
CYG_API int cyg_split_bytes(void *arg, cyg_str data, bool at_end, size_t *advance, cyg_str *token);

/* The fields are the library's. */
typedef struct cyg_scanner {
    cyg_bufreader r;
    cyg_split_fn *split;
    void *arg;
    int err;        /* what ended the scan */
    bool at_end;    /* the stream has ended */
    unsigned empty; /* tokens in a row that took nothing */
    uint64_t reserve[4];
} cyg_scanner;

/* Makes s a scanner of under. opts->max_bytes bounds what split needs to see for one token. As cyg_bufreader_init; split
 * and arg are kept. */
CYG_API void cyg_scanner_init(cyg_scanner *s, cyg_stream *under, cyg_split_fn *split, void *arg, const cyg_buf_opts *opts);
CYG_API void cyg_scanner_free(cyg_scanner *s);

/* The next token. Blocks: parks. From: goroutine. Owns: *token is good until the next call with s. Returns: 0; CYG_EOF
 * behind the last one; CYG_ELIMIT for a token of more than max_bytes; split's error; the stream's, when all tokens before
 * it have been told; CYG_EPROTO if split returned CYG_BUF_NO_PROGRESS empty tokens in a row without advancing. Whatever
 * ended the scan is returned from then on. */
CYG_API CYG_NODISCARD int cyg_scanner_next(cyg_scanner *s, cyg_str *token);

/* ---- seeing in --------------------------------------------------------------------------------------------------- */

typedef struct cyg_bufio_totals {
    cyg_buf_stats read, written;
    uint64_t buffers;      /* out of the pool now */
    uint64_t buffer_bytes; /* their size */
    uint64_t idle_bytes;   /* size of those in the pool, of readers and writers of the future */
    uint64_t reserve[3];
} cyg_bufio_totals;

/* What all readers and writers of the process did together. Bytes are counted with the call of the stream that follows or
 * precedes them, so those in buffers now may be missing; the counters are read one by one. Few bytes a call mean torn
 * buffers (docs/pitfalls/07-torn-buffers.md). Blocks: never. From: any thread. */
CYG_API void cyg_bufio_get_totals(cyg_bufio_totals *out);

static inline void cyg_bufreader_cleanup_(cyg_bufreader *r) { cyg_bufreader_free(r); }
static inline void cyg_bufwriter_cleanup_(cyg_bufwriter *w) { cyg_bufwriter_free(w); }
static inline void cyg_scanner_cleanup_(cyg_scanner *s) { cyg_scanner_free(s); }
/* Free when the variable, which must have been initialised, leaves its scope. */
#define cyg_auto_bufreader __attribute__((cleanup(cyg_bufreader_cleanup_)))
#define cyg_auto_bufwriter __attribute__((cleanup(cyg_bufwriter_cleanup_)))
#define cyg_auto_scanner __attribute__((cleanup(cyg_scanner_cleanup_)))

CYG_END_DECLS
#endif
