/* io.h: streams. A stream is anything bytes come out of or go into; a connection is one. The table of operations is public,
 * so a program can wrap a stream (count, limit, decode) and pass it wherever a stream is wanted.
 *
 *     char line[512];
 *     ssize_t n = cyg_read(conn, line, sizeof line);      // > 0 bytes, CYG_EOF, or another negative error
 *     if (n > 0) n = cyg_write(conn, line, (size_t)n);    // all of it, or an error
 */
#ifndef CYGNET_IO_H
#define CYGNET_IO_H

#include <cygnet/base.h>
#include <cygnet/err.h>
#include <cygnet/time.h>
#include <sys/uio.h>

CYG_BEGIN_DECLS

typedef struct cyg_stream cyg_stream;

typedef struct cyg_copy_result cyg_copy_result;

typedef enum cyg_side { CYG_SIDE_READ = 0, CYG_SIDE_WRITE = 1 } cyg_side;

/* What kind of descriptor lies under a stream, for those who let the kernel move the bytes. */
typedef enum cyg_fd_kind {
    CYG_FD_NONE = 0, /* none, or one of which nothing is known: datagrams, records, terminals */
    CYG_FD_SOCKET,   /* a non-blocking stream socket whose bytes are the stream's bytes */
    CYG_FD_FILE,     /* a regular file; calls on it may block the thread */
} cyg_fd_kind;

typedef struct cyg_fd {
    int fd;
    int64_t *position; /* of a file whose place the stream keeps itself: there to be used and moved on while it is held;
                        * NULL: the descriptor's own place */
} cyg_fd;

/* What lies beneath a wrapper whose bytes are those of another stream: "first these bytes, then what `stream` reads, and of
 * both together no more than `limit`". unwrap finds it filled in as the comments say and sets what differs. */
typedef struct cyg_under {
    cyg_stream *stream;   /* NULL. Must be set */
    const void *buffered; /* NULL. Bytes that were taken from `stream` and not yet read; they stay until the next call */
    size_t nbuffered;     /* 0 */
    int64_t limit;        /* INT64_MAX. As many bytes come at most, the buffered ones included */
    int64_t offset;       /* -1: where `stream` stands. Else this place of the file under it, whose own place stays */
} cyg_under;

/* What a stream can do. A NULL entry means the operation is not there: callers get CYG_ENOTSUP, or a fallback. Who makes a
 * stream fills in what it has and leaves the rest zero. The functions below say what read to peek do; the others are for
 * cyg_copy, so that it can let bytes pass by the wrapper, or by the process:
 *
 * fd_kind, hold, wait, unhold: the descriptor, for who moves bytes through it himself. hold takes one side as a read or a write does:
 *   it queues behind others, heeds the deadline (CYG_ETIMEDOUT) and a close (CYG_ECLOSED); then the number stays valid until
 *   unhold. wait parks until that side is ready: 0 (perhaps for no reason), CYG_ETIMEDOUT, CYG_ECLOSED, CYG_ECANCELED. The
 *   descriptor is tried to EAGAIN before each wait. A regular file has no wait.
 * unwatch, of a stream whose read side is held: until somebody waits for reading, input need wake nobody. May be NULL.
 * unwrap, advance: a wrapper that passes bytes on unchanged (limit, section, multi, buffered reader) tells what lies beneath
 *   it; one that changes or watches them (tee, decoder) has no unwrap. unwrap: 0, CYG_EOF (nothing more will come),
 *   CYG_ENOTSUP (not now: read me instead), or an error that a read would have given; it does not park.
 *   advance says that n of the bytes it told of have been taken in the wrapper's name, the buffered ones first; ended: the
 *   stream beneath came to its end. Then unwrap is asked anew. advance: 0, CYG_EOF (nothing more will come, so unwrap
 *   needn't be asked), or an error. Both: by the one who reads the wrapper, as read.
 * read_from, write_to: moves up to max bytes (1 to INT64_MAX) from src into s, or from s into dst, better than a loop of
 *   reads and writes would: a stream in memory writes its bytes as they lie, a buffered writer writes out what it holds and
 *   goes on with cyg_transfer to what lies beneath. Tells what it moved by cyg_copy_moved (cyg_transfer does it itself).
 *   Returns: 0 at the end of the source or after max bytes; CYG_ENOTSUP, nothing moved: not with this partner; an error.
 * abort: ends both directions at once for everybody: whoever is parked comes back with CYG_ECLOSED, and the peer is told
 *   that it is no orderly end (TCP: a reset). The caller keeps his reference and closes as ever. */
typedef struct cyg_stream_ops {
    const char *kind;    /* for messages: "tcp", "unix", "limit" */
    cyg_fd_kind fd_kind; /* of what hold lends */
    ssize_t (*read)(cyg_stream *s, void *p, size_t n);
    ssize_t (*write)(cyg_stream *s, const void *p, size_t n);
    ssize_t (*writev)(cyg_stream *s, const struct iovec *iov, int n);
    int (*close)(cyg_stream *s);
    int (*close_write)(cyg_stream *s);
    int (*set_deadline)(cyg_stream *s, int what, cyg_time deadline);
    int (*descriptor)(cyg_stream *s);
    ssize_t (*peek)(cyg_stream *s, void *p, size_t n);
    int (*read_from)(cyg_stream *s, cyg_stream *src, int64_t max, cyg_copy_result *res);
    int (*write_to)(cyg_stream *s, cyg_stream *dst, int64_t max, cyg_copy_result *res);
    int (*unwrap)(cyg_stream *s, cyg_under *out);
    int (*advance)(cyg_stream *s, int64_t n, bool ended);
    int (*hold)(cyg_stream *s, cyg_side side, cyg_fd *out);
    int (*wait)(cyg_stream *s, cyg_side side);
    void (*unhold)(cyg_stream *s, cyg_side side);
    int (*abort)(cyg_stream *s);
    void (*unwatch)(cyg_stream *s);
    void *reserve[3]; /* NULL */
} cyg_stream_ops;

/* The start of every stream. A wrapper puts it first in a struct of its own. */
struct cyg_stream {
    const cyg_stream_ops *ops;
};

/* Reads at least one byte and at most n. Blocks: parks until there is something. From: goroutine; one reader at a time,
 * others queue. Returns: the count; 0 only for n == 0 or an empty datagram; CYG_EOF; CYG_ETIMEDOUT, CYG_ECANCELED,
 * CYG_ECLOSED, -errno. */
static inline ssize_t cyg_read(cyg_stream *s, void *p, size_t n) {
    return s->ops->read ? s->ops->read(s, p, n) : (ssize_t)CYG_ENOTSUP;
}

/* Reads as cyg_read, but the bytes stay and the next read gives them again. */
static inline ssize_t cyg_peek(cyg_stream *s, void *p, size_t n) {
    return s->ops->peek ? s->ops->peek(s, p, n) : (ssize_t)CYG_ENOTSUP;
}

/* Writes all n bytes. Blocks: parks while the peer takes none. From: goroutine; one writer at a time, others queue.
 * Returns: n, or an error; after an error some bytes may have gone. */
static inline ssize_t cyg_write(cyg_stream *s, const void *p, size_t n) {
    return s->ops->write ? s->ops->write(s, p, n) : (ssize_t)CYG_ENOTSUP;
}

/* Writes all bytes of n buffers (1 to 1024), in one system call where it can. As cyg_write; the array is not changed.
 * Returns: the count of bytes, or an error. */
CYG_API ssize_t cyg_writev(cyg_stream *s, const struct iovec *iov, int n);

/* Ends the stream for everybody: whoever is parked in it comes back with CYG_ECLOSED. Drops the caller's reference.
 * Blocks: never, but for a file (file.h), whose close parks. From: anywhere but a signal handler. Returns: 0, or CYG_ECLOSED if it was
 * closed already. */
static inline int cyg_close(cyg_stream *s) { return s->ops->close ? s->ops->close(s) : (int)CYG_ENOTSUP; }

/* Ends our direction: the peer reads end of stream after what was written. Blocks: never. Returns: 0, CYG_ENOTSUP, -errno. */
static inline int cyg_close_write(cyg_stream *s) {
    return s->ops->close_write ? s->ops->close_write(s) : (int)CYG_ENOTSUP;
}

/* Ends both directions for everybody at once and tells the peer that it is no orderly end; whoever is parked comes back with
 * CYG_ECLOSED. The reference stays: close as ever. Blocks: never. From: any thread. Returns: 0, CYG_ENOTSUP, CYG_ECLOSED. */
static inline int cyg_abort(cyg_stream *s) { return s->ops->abort ? s->ops->abort(s) : (int)CYG_ENOTSUP; }

/* The descriptor beneath, to look at or to set options of: who does not hold the stream open finds it gone or another's.
 * Blocks: never. Returns: the number, or CYG_ENOTSUP. */
static inline int cyg_descriptor(cyg_stream *s) {
    return s->ops->descriptor ? s->ops->descriptor(s) : (int)CYG_ENOTSUP;
}

#define CYG_DEADLINE_READ 1
#define CYG_DEADLINE_WRITE 2

/* When parked reads, writes or both end with CYG_ETIMEDOUT; 0: never; a time gone by: at once. Holds for later calls, too,
 * until it is set again. Blocks: never. From: any thread. Returns: 0, CYG_ENOTSUP, CYG_ECLOSED. */
static inline int cyg_set_deadline(cyg_stream *s, cyg_time t) {
    return s->ops->set_deadline ? s->ops->set_deadline(s, CYG_DEADLINE_READ | CYG_DEADLINE_WRITE, t) : (int)CYG_ENOTSUP;
}
static inline int cyg_set_read_deadline(cyg_stream *s, cyg_time t) {
    return s->ops->set_deadline ? s->ops->set_deadline(s, CYG_DEADLINE_READ, t) : (int)CYG_ENOTSUP;
}
static inline int cyg_set_write_deadline(cyg_stream *s, cyg_time t) {
    return s->ops->set_deadline ? s->ops->set_deadline(s, CYG_DEADLINE_WRITE, t) : (int)CYG_ENOTSUP;
}

/* Reads exactly n bytes. Blocks: parks. From: goroutine. Returns: n; CYG_EOF if the stream ended before the first byte;
 * CYG_EPROTO if it ended in between; or the read's error. */
CYG_API ssize_t cyg_read_full(cyg_stream *s, void *p, size_t n);

CYG_END_DECLS

#include <cygnet/copy.h> /* cyg_copy, cyg_copy_n, cyg_relay */
#endif
