/* stream.c: what every stream can do with the operations it has: gathering writes, exact reads. */
#include <cygnet/io.h>
#include <stdint.h>

/* For streams without writev of their own: one write a buffer. */
static ssize_t write_each(cyg_stream *s, const struct iovec *iov, int n) {
    ssize_t total = 0;
    for (int i = 0; i < n; i++) {
        if (!iov[i].iov_len) continue;
        ssize_t w = cyg_write(s, iov[i].iov_base, iov[i].iov_len);
        if (w < 0) return w;
        total += w;
    }
    return total;
}

ssize_t cyg_writev(cyg_stream *s, const struct iovec *iov, int n) {
    if (n < 1 || n > 1024) return CYG_EINVAL;
    if (n == 1) return cyg_write(s, iov[0].iov_base, iov[0].iov_len);
    return s->ops->writev ? s->ops->writev(s, iov, n) : write_each(s, iov, n);
}

ssize_t cyg_read_full(cyg_stream *s, void *p, size_t n) {
    size_t at = 0;
    while (at < n) {
        ssize_t r = cyg_read(s, (char *)p + at, n - at);
        if (r == CYG_EOF) return at ? (ssize_t)CYG_EPROTO : (ssize_t)CYG_EOF;
        if (r < 0) return r;
        at += (size_t)r;
    }
    return (ssize_t)n;
}
