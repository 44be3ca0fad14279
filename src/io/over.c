/* over.c: wrappers of one stream hand on what they do not change; and what is said of streams that break their promises. */
#include "io/over.h"

#include <cygnet/bufio.h>

#include "runtime/sched.h"

static cyg_stream *below(cyg_stream *s) { return ((struct io_over *)s)->under; }

ssize_t io_over_read(cyg_stream *s, void *p, size_t n) { return cyg_read(below(s), p, n); }
ssize_t io_over_write(cyg_stream *s, const void *p, size_t n) { return cyg_write(below(s), p, n); }
ssize_t io_over_writev(cyg_stream *s, const struct iovec *iov, int n) { return cyg_writev(below(s), iov, n); }
ssize_t io_over_peek(cyg_stream *s, void *p, size_t n) { return cyg_peek(below(s), p, n); }
int io_over_close(cyg_stream *s) { return cyg_close(below(s)); }
int io_over_close_write(cyg_stream *s) { return cyg_close_write(below(s)); }
int io_over_descriptor(cyg_stream *s) { return cyg_descriptor(below(s)); }
int io_over_abort(cyg_stream *s) { return cyg_abort(below(s)); }

int io_over_set_deadline(cyg_stream *s, int what, cyg_time deadline) {
    cyg_stream *u = below(s);
    return u->ops->set_deadline ? u->ops->set_deadline(u, what, deadline) : (int)CYG_ENOTSUP;
}

int io_over_read_from(cyg_stream *s, cyg_stream *src, int64_t max, cyg_copy_result *res) {
    return cyg_transfer(below(s), src, max, res);
}

int io_short_write(const cyg_stream *s, ssize_t wrote, size_t of) {
    return cygrt_fail(CYG_EPROTO, "%s stream wrote %zd of %zu bytes and gave no error",
                      s->ops->kind ? s->ops->kind : "?", wrote, of);
}

int io_no_progress(const cyg_stream *s) {
    return cygrt_fail(CYG_EPROTO, "%s stream read nothing %d times in a row", s->ops->kind ? s->ops->kind : "?",
                      CYG_BUF_NO_PROGRESS);
}

ssize_t io_read_some(cyg_stream *s, void *p, size_t n, uint64_t *calls) {
    for (int i = 0; i < CYG_BUF_NO_PROGRESS; i++) {
        ssize_t r = cyg_read(s, p, n);
        ++*calls;
        if (r > 0 && (size_t)r > n)
            return cygrt_fail(CYG_EPROTO, "%s stream read %zd bytes where there was room for %zu",
                              s->ops->kind ? s->ops->kind : "?", r, n);
        if (r != 0) return r;
    }
    return io_no_progress(s);
}
