/* out.c: see out.h. */
#include "runtime/out.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LINE 512

int cygrt_write_all(int fd, const void *p, size_t n) {
    const char *at = p;
    while (n) {
        ssize_t r = write(fd, at, n);
        int err = r < 0 ? errno : 0;
        if (err == EINTR) continue;
        if (err == EAGAIN) { /* a descriptor that somebody made non-blocking: standard error can be one */
            struct pollfd pfd = {.fd = fd, .events = POLLOUT};
            (void)poll(&pfd, 1, -1);
            continue;
        }
        if (err) return -err;
        at += r;
        n -= (size_t)r;
    }
    return 0;
}

void cygrt_flush(struct cygrt_out *o) {
    if (!o->err) o->err = cygrt_write_all(o->fd, o->buf, o->n);
    o->n = 0;
}

void cygrt_print(struct cygrt_out *o, const char *fmt, ...) {
    if (sizeof o->buf - o->n < LINE) cygrt_flush(o);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(o->buf + o->n, LINE, fmt, ap);
    va_end(ap);
    if (n > 0) o->n += n < LINE ? (size_t)n : LINE - 1;
}
