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

/* What a stream can do. A NULL entry means the operation is not there: callers get CYG_ENOTSUP, or a fallback. */
typedef struct cyg_stream_ops {
    const char *kind; /* for messages: "tcp", "unix", "limit" */
    ssize_t (*read)(cyg_stream *s, void *p, size_t n);
    ssize_t (*write)(cyg_stream *s, const void *p, size_t n);
    ssize_t (*writev)(cyg_stream *s, const struct iovec *iov, int n);
    int (*close)(cyg_stream *s);
    int (*close_write)(cyg_stream *s);
    int (*set_deadline)(cyg_stream *s, int what, cyg_time deadline);
    int (*descriptor)(cyg_stream *s);
    ssize_t (*peek)(cyg_stream *s, void *p, size_t n);
    int64_t (*read_from)(cyg_stream *s, cyg_stream *src, int64_t max);
    int64_t (*write_to)(cyg_stream *s, cyg_stream *dst, int64_t max);
    void *reserve[4]; /* NULL */
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

/* Writes all n bytes. Blocks: parks while the peer takes none. From: goroutine; one writer at a time, others queue.
 * Returns: n, or an error; after an error some bytes may have gone. */
static inline ssize_t cyg_write(cyg_stream *s, const void *p, size_t n) {
    return s->ops->write ? s->ops->write(s, p, n) : (ssize_t)CYG_ENOTSUP;
}

/* Writes all bytes of n buffers (1 to 1024), in one system call where it can. As cyg_write; the array is not changed.
 * Returns: the count of bytes, or an error. */
CYG_API ssize_t cyg_writev(cyg_stream *s, const struct iovec *iov, int n);

/* Ends the stream for everybody: whoever is parked in it comes back with CYG_ECLOSED. Drops the caller's reference.
 * Blocks: never. From: anywhere but a signal handler. Returns: 0, or CYG_ECLOSED if it was closed already. */
static inline int cyg_close(cyg_stream *s) { return s->ops->close ? s->ops->close(s) : (int)CYG_ENOTSUP; }

/* Ends our direction: the peer reads end of stream after what was written. Blocks: never. Returns: 0, CYG_ENOTSUP, -errno. */
static inline int cyg_close_write(cyg_stream *s) {
    return s->ops->close_write ? s->ops->close_write(s) : (int)CYG_ENOTSUP;
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

typedef struct cyg_copy_result {
    int64_t bytes;    /* moved in all, also when an error ended the copy */
    int64_t copied;   /* of these, through a buffer in user space */
    const char *path; /* how the last bytes went: "copy", or the operation of a stream that did it itself */
    uint64_t reserve[4];
} cyg_copy_result;

/* Moves bytes from src to dst until src ends. Allocates nothing per call: the buffer is pooled. dst is not closed.
 * Blocks: parks. From: goroutine. Owns: borrows both; res may be NULL. Returns: the bytes moved (end of src is success), or
 * the first error. */
CYG_API int64_t cyg_copy(cyg_stream *dst, cyg_stream *src, cyg_copy_result *res);

CYG_END_DECLS
#endif
