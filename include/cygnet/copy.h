/* copy.h: moving bytes between streams. Where both ends are descriptors the kernel moves them (sendfile, splice) and they do
 * not pass through the process, also through wrappers that change nothing (limit, section, multi, buffered readers). Else
 * they go through a pooled buffer; no path allocates anything in the steady state. How it went is told, and why.
 *
 *     cyg_copy_result how;
 *     int64_t n = cyg_copy(out, in, &how);                // until in ends
 *     if (how.reason) printf("copied: %s\n", cyg_copy_reason_name(how.reason));
 */
#ifndef CYGNET_COPY_H
#define CYGNET_COPY_H

#include <cygnet/io.h>

CYG_BEGIN_DECLS

/* ---- how bytes went ---------------------------------------------------------------------------------------------- */

typedef enum cyg_copy_path {
    CYG_COPY_BUFFER = 0, /* read into a buffer and written from it: "buffer" */
    CYG_COPY_HELD,       /* written from the buffer of the wrapper that held them: "held" */
    CYG_COPY_SPLICE,     /* by the kernel through a pipe: "splice" */
    CYG_COPY_SENDFILE,   /* by the kernel from a file: "sendfile" */
    CYG_COPY_STREAM,     /* by a stream's own read_from or write_to: "stream" */
    CYG_COPY_PATHS
} cyg_copy_path;

/* Why bytes went through a buffer although the kernel could have been asked. */
typedef enum cyg_copy_reason {
    CYG_COPY_FAST = 0, /* they did not: "none" */
    CYG_COPY_SOURCE, /* there is no descriptor under the source: it changes its bytes, or they are in memory: "source" */
    CYG_COPY_SINK,   /* there is none under the destination: "sink" */
    CYG_COPY_PAIR,   /* nothing is known to move bytes between descriptors of these kinds: "pair" */
    CYG_COPY_PIPES,  /* no pipe was to be had, or only one too small to be worth it: "pipes" */
    CYG_COPY_REFUSED, /* the kernel would not do it with these two: "refused" */
    CYG_COPY_OFF,     /* switched off, by limits or CYGNET_DEBUG=nosplice: "off" */
    CYG_COPY_REASONS
} cyg_copy_reason;

/* The words above. Blocks: never. From: anywhere. Owns: static. */
CYG_API const char *cyg_copy_path_name(cyg_copy_path path);
CYG_API const char *cyg_copy_reason_name(cyg_copy_reason reason);

struct cyg_copy_result {
    int64_t bytes;              /* written to the destination in all, also when an error ended the copy */
    int64_t by[CYG_COPY_PATHS]; /* of these, by each path */
    cyg_copy_path path;         /* how the last bytes went */
    cyg_copy_reason reason;     /* why some of them went through a buffer; the last reason if there were several */
    bool write_failed;          /* of an error: writing to the destination failed, not reading from the source */
    uint64_t reserve[4];
};

/* How many bytes have been written so far by a copy that may still be running; of a relay, ask each direction's. It reads what the
 * copy notes anyway. Blocks: never. From: any thread, while the result and the copy's call last. Owns: borrows. */
CYG_API int64_t cyg_copy_progress(const cyg_copy_result *res);

/* ---- copying ----------------------------------------------------------------------------------------------------- */

/* Moves bytes from src to dst until src ends. dst is neither flushed nor closed. Bytes that were read and could not be
 * written are lost. Deadlines, cancelling and closing end it as they end a read of src or a write to dst.
 * Blocks: parks. From: goroutine; it is src's one reader all the while, and writes to dst of other goroutines go between.
 * Owns: borrows both; res may be NULL, else it is zeroed at the start and kept up to date (cyg_copy_progress). Returns: the
 * bytes moved (the end of src is success), or the first error, also CYG_ENOMEM if there was no buffer; res tells the count and
 * the side then. */
CYG_API int64_t cyg_copy(cyg_stream *dst, cyg_stream *src, cyg_copy_result *res);

/* The same for exactly n bytes; of src no more than these are taken. Returns: n (0 if n is negative); CYG_EOF if src ended
 * before the first byte; CYG_EPROTO if it ended in between; or the error. */
CYG_API int64_t cyg_copy_n(cyg_stream *dst, cyg_stream *src, int64_t n, cyg_copy_result *res);

/* For makers of streams, within read_from and write_to: the same for up to max bytes, added to what res says already.
 * Returns: 0 at the end of src or after max bytes, or the error. Never CYG_ENOTSUP before reading or writing said so. */
CYG_API int cyg_transfer(cyg_stream *dst, cyg_stream *src, int64_t max, cyg_copy_result *res);

/* For the same: n bytes have gone by a stream's own doing. Blocks: never. */
CYG_API void cyg_copy_moved(cyg_copy_result *res, int64_t n);

/* ---- both directions --------------------------------------------------------------------------------------------- */

typedef struct cyg_relay_opts {
    cyg_duration idle_timeout;        /* ends it when no byte has gone in either direction for so long; 0: never */
    cyg_duration half_closed_timeout; /* the same once one side has ended; 0: 1 minute; negative: as idle_timeout */
    uint64_t reserve[4];              /* zero */
} cyg_relay_opts;

typedef enum cyg_relay_end {
    CYG_RELAY_EOF = 0,     /* both sides ended in order: "eof" */
    CYG_RELAY_ERROR,       /* a read or write failed, or a deadline of the streams passed: "error" */
    CYG_RELAY_IDLE,        /* idle_timeout: "idle" */
    CYG_RELAY_HALF_CLOSED, /* half_closed_timeout: "half-closed" */
    CYG_RELAY_CANCELED,    /* the goroutine's context ended: "canceled" */
    CYG_RELAY_ENDS
} cyg_relay_end;
CYG_API const char *cyg_relay_end_name(cyg_relay_end end);

typedef struct cyg_relay_result {
    cyg_copy_result a_to_b, b_to_a;
    cyg_relay_end end;
    int err;    /* what cyg_relay returned */
    char first; /* 'a' or 'b': whose end or failure came first; 0: neither's */
    uint64_t reserve[4];
} cyg_relay_result;

/* Passes bytes both ways between a and b until both have ended. The end of one direction is passed on (close_write of the
 * other side) while the other direction goes on. When a write fails because its receiver has gone, what that one had sent
 * before is still passed on. Any other failure, a timeout or a cancelled context aborts both streams, so that neither peer
 * takes what it got for complete. Neither is closed: the caller does that. Timeouts are not early and up to an eighth late.
 * Blocks: parks. From: goroutine; a second one is started, and ended before it returns. Owns: borrows both; opts (NULL:
 * defaults) and res (may be NULL, else as cyg_copy's) are used during the call. Returns: 0 (CYG_RELAY_EOF), CYG_ETIMEDOUT,
 * CYG_ECANCELED, CYG_ENOMEM or CYG_ELIMIT (no goroutine for it: nothing moved, nothing aborted), or the error that ended it. */
CYG_API int cyg_relay(cyg_stream *a, cyg_stream *b, const cyg_relay_opts *opts, cyg_relay_result *res);

/* ---- limits and counts ------------------------------------------------------------------------------------------- */

/* Of the process. A pipe holds bytes on their way from a socket; it is taken when there is something to read and given back
 * when it is empty, so one is needed for each copy whose receiver is slow, and none for an idle one. Without
 * CAP_SYS_RESOURCE a user may have fs.pipe-user-pages-soft pages in pipes (64 pipes of 1 MiB); then they are made smaller.
 * Source: pipe(7), F_SETPIPE_SZ in fcntl(2). */
typedef struct cyg_copy_limits {
    int max_pipes;       /* in use at once; 0: 1024; negative: no splice */
    int idle_pipes;      /* kept open for the next; 0: 16; negative: none */
    size_t pipe_bytes;   /* asked for; 0: 1 MiB; at most 1 GiB; smaller than 64 KiB is not used */
    size_t buffer_bytes; /* of a buffer of the other path; 0: 256 KiB; 4 KiB to 16 MiB */
    int idle_buffers;    /* kept for the next; 0: 64; negative: none */
    uint64_t reserve[4]; /* zero */
} cyg_copy_limits;

/* Sets them for copies that begin later. Blocks: never. From: any thread. Returns: 0, or CYG_EINVAL (nothing changed). */
CYG_API int cyg_copy_set_limits(const cyg_copy_limits *limits);
CYG_API void cyg_copy_get_limits(cyg_copy_limits *out);

/* Closes the pipes and frees the buffers that are kept for the next copy. Blocks: never. From: any thread. */
CYG_API void cyg_copy_trim(void);

typedef struct cyg_copy_stats {
    uint64_t bytes_total[CYG_COPY_PATHS];       /* moved by each path */
    uint64_t fallbacks_total[CYG_COPY_REASONS]; /* copies that went through a buffer, by reason */
    uint64_t pipes_open, pipes_in_use;
    uint64_t pipe_bytes; /* the room of those open */
    uint64_t pipes_opened_total;
    uint64_t pipes_shrunk_total;  /* opened with less room than asked for: fs.pipe-user-pages-soft, fs.pipe-max-size */
    uint64_t pipes_refused_total; /* not to be had: max_pipes, descriptors, or too small */
    uint64_t pipes_dropped_total; /* closed with bytes in them, because their copy failed */
    uint64_t buffers_in_use, buffers_idle;
    uint64_t relays;                       /* running now */
    uint64_t relays_total[CYG_RELAY_ENDS]; /* ended, by how */
    uint64_t reserve[8];
} cyg_copy_stats;

/* Blocks: never. From: any thread. */
CYG_API void cyg_copy_get_stats(cyg_copy_stats *out);

CYG_END_DECLS
#endif
