/* streams.h: small streams that stand on others, or on memory. The caller lays them out (pipes aside), hands &x.stream to
 * whoever wants a stream, and keeps what lies below alive. None of them allocates unless it says so. What does not change
 * bytes passes cyg_copy's fast paths through: a limited file to a connection still goes by sendfile.
 *
 *     cyg_limit body;
 *     cyg_limit_init(&body, conn, length);          // no more than length bytes of conn
 *     int64_t n = cyg_copy(file, &body.stream, NULL);
 *
 * Closing, half-closing, writing and deadlines of a wrapper of one stream go to that stream, so a wrapper can stand for
 * it; closing one of several, or of memory, closes nothing. A wrapper is used by one goroutine at a time.
 */
#ifndef CYGNET_STREAMS_H
#define CYGNET_STREAMS_H

#include <cygnet/base.h>
#include <cygnet/err.h>
#include <cygnet/io.h>

CYG_BEGIN_DECLS

/* ---- wrappers ---------------------------------------------------------------------------------------------------- */

/* At most so many bytes of a stream: reading ends with CYG_EOF behind them. The fields are the library's; read `left` if
 * you like. */
typedef struct cyg_limit {
    cyg_stream stream;
    cyg_stream *under;
    int64_t left; /* bytes that may still be read */
    uint64_t reserve[2];
} cyg_limit;

/* Blocks: never. From: anywhere. Owns: borrows under. n < 0 counts as 0. */
CYG_API void cyg_limit_init(cyg_limit *l, cyg_stream *under, int64_t n);

/* A stream whose every byte read is also written to `copy`, before the read returns. A read fails with the write's error
 * if that fails; the bytes it had are lost then. */
typedef struct cyg_tee {
    cyg_stream stream;
    cyg_stream *under, *copy;
    uint64_t reserve[2];
} cyg_tee;

/* Blocks: never. From: anywhere. Owns: borrows both. */
CYG_API void cyg_tee_init(cyg_tee *t, cyg_stream *under, cyg_stream *copy);

/* Streams one behind the other, read as one. */
typedef struct cyg_multi_reader {
    cyg_stream stream;
    cyg_stream *const *parts;
    size_t n, at; /* how many; which is being read */
    uint64_t reserve[2];
} cyg_multi_reader;

/* Blocks: never. From: anywhere. Owns: borrows the array and the n streams. */
CYG_API void cyg_multi_reader_init(cyg_multi_reader *m, cyg_stream *const *parts, size_t n);

/* A stream that writes the same bytes to several, in order; the first error ends the write, and those behind did not get
 * them. */
typedef struct cyg_multi_writer {
    cyg_stream stream;
    cyg_stream *const *parts;
    size_t n;
    uint64_t reserve[2];
} cyg_multi_writer;

/* Blocks: never. From: anywhere. Owns: borrows the array and the n streams. */
CYG_API void cyg_multi_writer_init(cyg_multi_writer *m, cyg_stream *const *parts, size_t n);

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* The stream that is empty: reads end with CYG_EOF, writes vanish, closing does nothing. Blocks: never. From: anywhere. */
CYG_API cyg_stream *cyg_discard(void);

/* Bytes in memory: writes append, reads take from the front. */
typedef struct cyg_membuf {
    cyg_stream stream;
    char *p;           /* NULL: nothing yet */
    size_t start, end; /* of the bytes that have not been read */
    size_t size;       /* of p */
    size_t max;        /* bound of what it holds; 0: it is somebody else's memory, only to be read */
    uint64_t reserve[2];
} cyg_membuf;

/* An empty buffer that grows as it is written to, up to max bytes. Blocks: never. From: anywhere. Owns: cyg_membuf_free
 * frees what it allocates. */
CYG_API void cyg_membuf_init(cyg_membuf *b, size_t max);

/* A buffer that reads the n bytes at p and takes no writes (CYG_ENOTSUP). Blocks: never. From: anywhere. Owns: borrows p. */
CYG_API void cyg_membuf_init_read(cyg_membuf *b, const void *p, size_t n);

/* Frees the memory; empty again. Blocks: never. From: the user. */
CYG_API void cyg_membuf_free(cyg_membuf *b);

/* What has not been read. Blocks: never. From: the user. Owns: good until the next write or free. */
static inline cyg_str cyg_membuf_data(const cyg_membuf *b) {
    cyg_str s = {b->p ? b->p + b->start : NULL, b->end - b->start};
    return s;
}

/* Writing to one returns n; CYG_ELIMIT if it would hold more than max, CYG_ENOMEM: nothing was written then. */

/* ---- pipe -------------------------------------------------------------------------------------------------------- */

/* Two streams without a buffer between them: what is written to *writer parks until reads of *reader have taken all of
 * it, straight from the writer's memory. Any number of goroutines may use either end; writes do not mix. Both have
 * deadlines.
 *
 * Reading returns what a write has, CYG_EOF once the writing end is closed (or the error it was closed with), CYG_ECLOSED
 * once the reading end is, CYG_ETIMEDOUT, CYG_ECANCELED. Writing returns n, -EPIPE once the reading end is closed (or the
 * error it was closed with), CYG_ECLOSED once the writing end is, CYG_ETIMEDOUT, CYG_ECANCELED: some bytes may have been
 * taken then. Blocks: never. From: goroutine or any thread. Owns: the caller closes both. Returns: 0, CYG_ENOMEM. */
CYG_API int cyg_pipe_new(cyg_stream **reader, cyg_stream **writer);

/* Closes one end, like cyg_close, and tells the other why: err < 0 is what its calls return from then on; 0: as
 * cyg_close. Whoever is parked at either end wakes. The first close counts. Blocks: never. From: anywhere but a signal
 * handler. Owns: drops the caller's reference. Returns: 0, CYG_ECLOSED if it was closed already, CYG_EINVAL for err > 0. */
CYG_API int cyg_pipe_close(cyg_stream *end, int err);

/* A reference more, and one less; the last closes the end. Blocks: never. From: anywhere but a signal handler. */
CYG_API cyg_stream *cyg_pipe_acquire(cyg_stream *end);
CYG_API void cyg_pipe_release(cyg_stream *end);

CYG_END_DECLS
#endif
