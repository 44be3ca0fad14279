/* copy_internal.h: what the parts of a copy share: which way the bytes go (copy.c), the kernel's ways (copy_splice.c), what they
 * go through (copy_buffers.c, copy_pipes.c), limits and counts (copy_stats.c).
 *
 * Errors inside: negative cyg_err as everywhere; NOT_THIS_WAY is CYG_ENOTSUP and means that nothing was lost and the rest may
 * go another way. */
#ifndef CYG_IO_COPY_INTERNAL_H
#define CYG_IO_COPY_INTERNAL_H

#include <cygnet/copy.h>

#define NOT_THIS_WAY CYG_ENOTSUP
#define SMALL_BUFFER ((size_t)16 << 10)
#define SMALLEST_PIPE ((size_t)64 << 10)

/* ---- limits and counts: copy_stats.c --------------------------------------------------------------------------------- */

enum copy_count {
    COUNT_BYTES = 0, /* by path */
    COUNT_FALLBACK = COUNT_BYTES + CYG_COPY_PATHS,
    COUNT_RELAY = COUNT_FALLBACK + CYG_COPY_REASONS,
    COUNT_RELAYS = COUNT_RELAY + CYG_RELAY_ENDS, /* running: up and down */
    COUNTS
};
void copy_count(enum copy_count what, uint64_t n);

cyg_copy_limits copy_limits(void); /* with the defaults filled in */

/* A copy begins, perhaps under the eyes of who asks for its progress: of that nothing but `bytes` is read. */
_Static_assert(offsetof(cyg_copy_result, bytes) == 0, "what follows bytes is cleared");
static inline void copy_begins(cyg_copy_result *res) {
    __atomic_store_n(&res->bytes, 0, __ATOMIC_RELAXED);
    memset((char *)res + sizeof res->bytes, 0, sizeof *res - sizeof res->bytes);
}

/* n bytes have been written to the destination. */
void copy_went(cyg_copy_result *res, cyg_copy_path path, int64_t n);

/* The rest goes through a buffer. */
static inline void copy_falls_back(cyg_copy_result *res, cyg_copy_reason why) {
    res->reason = why;
    copy_count(COUNT_FALLBACK + (unsigned)why, 1);
}

/* ---- buffers: copy_buffers.c ------------------------------------------------------------------------------------------ */

struct copy_buffer {
    struct copy_buffer *next;
    size_t size;
    bool large;
    char bytes[];
};
struct copy_buffer *copy_buffer_get(bool large); /* NULL: no memory */
void copy_buffer_put(struct copy_buffer *b);
void copy_buffers_trim(int keep); /* of each size */
void copy_buffers_stats(cyg_copy_stats *out);

/* ---- pipes: copy_pipes.c ---------------------------------------------------------------------------------------------- */

/* Empty whenever nobody holds it. */
struct copy_pipe {
    struct copy_pipe *next;
    int in, out; /* written to, read from */
    size_t room;
};
struct copy_pipe *copy_pipe_get(void); /* NULL: none to be had, which is counted */
void copy_pipe_put(struct copy_pipe *p, bool empty);
void copy_pipes_trim(int keep);
void copy_pipes_stats(cyg_copy_stats *out);

/* ---- the kernel's ways: copy_splice.c ---------------------------------------------------------------------------------- */

/* Up to max bytes from src, or from `offset` of the file under it (-1: from where it stands). Returns 0 after
 * max bytes, CYG_EOF at the end of src, an error, or NOT_THIS_WAY: the rest is for a buffer, and *why says why. */
int copy_in_kernel(cyg_stream *dst, cyg_stream *src, int64_t offset, int64_t max, cyg_copy_result *res,
                   cyg_copy_reason *why);

#endif
