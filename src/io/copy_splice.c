/* copy_splice.c: bytes that the kernel moves. A socket's go through a pipe (splice), a file's to a socket directly (sendfile).
 *
 * A pipe is held only while it has bytes: it is given back before a wait for input, and a goroutine whose receiver is slow
 * keeps one. While bytes are in it the source is not read, so its sender is held back by its own window, as in any other copy.
 * Each side is held for one step, as by a read or a write, so deadlines, closing and cancelling act as on those.
 *
 * Linux: a pipe's room counts pages, and what a socket gives may fill a page's slot with up to 32 KiB; so a step asks for more
 * than the room says, and SPLICE_F_NONBLOCK ends it when the slots are full. */
#include <cygnet/runtime.h> /* errno, yield */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "io/copy_internal.h"
#include "io/copy_sendfile.h"
#include "io/sigpipe.h"
#include "runtime/sched.h"

#define STEP ((int64_t)1 << 20)
#define STEPS_BEFORE_YIELD 4 /* without a wait: others have their turn */

static bool will_not(int e) {
    return e == EINVAL || e == ENOSYS || e == EOPNOTSUPP || e == EPERM || e == EACCES || e == ESPIPE || e == EOVERFLOW;
}

/* ---- socket to socket or file ------------------------------------------------------------------------------------------- */

struct flow {
    cyg_stream *dst, *src;
    struct copy_pipe *pipe; /* NULL while no bytes are under way */
    cyg_copy_result *res;
    cyg_copy_reason why;
    int busy;  /* steps since the last wait */
    bool slow; /* dst had to be waited for in the last step */
    bool sigpipe;
};

/* Waits for src without a pipe. */
static int wait_for_input(struct flow *f) {
    if (f->pipe) copy_pipe_put(f->pipe, true);
    f->pipe = NULL;
    f->busy = 0;
    return f->src->ops->wait(f->src, CYG_SIDE_READ);
}

/* Fills the pipe from src, which is held. Returns the count, CYG_EOF, NOT_THIS_WAY, or an error. */
static ssize_t fill(struct flow *f, int fd, int64_t max) {
    for (;;) {
        if (!f->pipe && !(f->pipe = copy_pipe_get())) {
            f->why = CYG_COPY_PIPES;
            return NOT_THIS_WAY;
        }
        ssize_t n =
            splice(fd, NULL, f->pipe->in, NULL, (size_t)(max < STEP ? max : STEP), SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n > 0) return n;
        if (n == 0) return CYG_EOF;
        int e = errno, err;
        if (e == EINTR) continue;
        if (e != EAGAIN) {
            if (!will_not(e)) return -e;
            f->why = CYG_COPY_REFUSED;
            return NOT_THIS_WAY;
        }
        if ((err = wait_for_input(f))) return err;
    }
}

/* Behind a dst that is slow more input is of no use before the copy waits for it. src is told while it is held: at other times
 * somebody may have closed it, and its memory gone. */
static ssize_t fill_step(struct flow *f, int64_t max) {
    cyg_fd in;
    int err = f->src->ops->hold(f->src, CYG_SIDE_READ, &in);
    if (err) return err;
    ssize_t n = fill(f, in.fd, max);
    if (n > 0 && f->slow && f->src->ops->unwatch) f->src->ops->unwatch(f->src);
    f->slow = false;
    f->src->ops->unhold(f->src, CYG_SIDE_READ);
    return n;
}

/* One splice out of the pipe to dst, which is held. Returns the count or -errno. */
static ssize_t pour(const struct flow *f, const cyg_fd *out, size_t n) {
    loff_t at = out->position ? *out->position : 0;
    struct sigpipe_guard guard;
    sigpipe_block(&guard, f->sigpipe);
    ssize_t w = splice(f->pipe->out, NULL, out->fd, out->position ? &at : NULL, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    int e = w < 0 ? errno : w == 0 ? EIO : 0;
    sigpipe_restore(&guard, e);
    if (out->position && w > 0) *out->position += w;
    return e ? -e : w;
}

/* Writes *left bytes out of the pipe to dst, which is held. Returns 0, NOT_THIS_WAY (some are still there), or an error. */
static int drain(struct flow *f, const cyg_fd *out, ssize_t *left) {
    while (*left > 0) {
        ssize_t n = pour(f, out, (size_t)*left);
        if (n > 0) {
            *left -= n;
            copy_went(f->res, CYG_COPY_SPLICE, n);
            continue;
        }
        int e = (int)-n, err;
        if (e == EINTR) continue;
        if (e != EAGAIN || !f->dst->ops->wait) return will_not(e) ? NOT_THIS_WAY : -e;
        f->busy = 0;
        f->slow = true;
        if ((err = f->dst->ops->wait(f->dst, CYG_SIDE_WRITE))) return err;
    }
    return 0;
}

/* What dst would not take from a pipe it is given from a buffer. Returns 0 or an error. */
static int drain_by_buffer(struct flow *f, ssize_t *left) {
    struct copy_buffer *b = copy_buffer_get(false);
    if (!b) return CYG_ENOMEM;
    int err = 0;
    while (*left > 0 && !err) {
        size_t want = (size_t)*left < b->size ? (size_t)*left : b->size;
        ssize_t n = read(f->pipe->out, b->bytes, want);
        if (n < 0 && errno == EINTR) continue;
        ssize_t w = n > 0 ? cyg_write(f->dst, b->bytes, (size_t)n) : n < 0 ? -errno : CYG_EPROTO;
        if (w < 0) {
            err = (int)w;
            break;
        }
        *left -= w;
        copy_went(f->res, CYG_COPY_BUFFER, w);
    }
    copy_buffer_put(b);
    return err;
}

static int drain_step(struct flow *f, ssize_t n) {
    cyg_fd out;
    int err = f->dst->ops->hold(f->dst, CYG_SIDE_WRITE, &out);
    if (!err) {
        err = drain(f, &out, &n);
        f->dst->ops->unhold(f->dst, CYG_SIDE_WRITE);
    }
    if (err == NOT_THIS_WAY) {
        f->why = CYG_COPY_REFUSED;
        int wrote = drain_by_buffer(f, &n);
        if (wrote) err = wrote;
    }
    if (err && err != NOT_THIS_WAY) f->res->write_failed = true;
    if (n > 0) {
        copy_pipe_put(f->pipe, false);
        f->pipe = NULL;
    }
    return err;
}

static int splice_all(struct flow *f, int64_t max) {
    int err = 0;
    while (max > 0 && !err) {
        ssize_t n = fill_step(f, max);
        if (n < 0) {
            err = (int)n;
            break;
        }
        err = drain_step(f, n);
        max -= n;
        if (!err && ++f->busy >= STEPS_BEFORE_YIELD) {
            f->busy = 0;
            cyg_yield();
        }
    }
    if (f->pipe) copy_pipe_put(f->pipe, true);
    return err;
}

/* ---- file to socket ------------------------------------------------------------------------------------------------------ */

/* One step; both are held. Returns the count, 0 at the end of the file, or an error. */
static ssize_t send_some(cyg_stream *dst, int to, int from, int64_t *position, int64_t max, cyg_copy_result *res) {
    for (;;) {
        ssize_t n = copy_sendfile(to, from, position, (size_t)(max < STEP ? max : STEP));
        if (n >= 0) {
            if (n) copy_went(res, CYG_COPY_SENDFILE, n);
            return n;
        }
        int e = (int)-n, err;
        if (e == EINTR) continue;
        if (e != EAGAIN) return will_not(e) ? NOT_THIS_WAY : -e;
        if ((err = dst->ops->wait(dst, CYG_SIDE_WRITE))) return err;
    }
}

/* The file is held throughout, since a place in it is kept; the socket for each step. */
static int send_file(cyg_stream *dst, int from, int64_t *position, int64_t max, cyg_copy_result *res) {
    int steps = 0;
    for (ssize_t n; max > 0; max -= n) {
        cyg_fd out;
        int err = dst->ops->hold(dst, CYG_SIDE_WRITE, &out);
        if (err) {
            res->write_failed = true;
            return err;
        }
        n = send_some(dst, out.fd, from, position, max, res);
        dst->ops->unhold(dst, CYG_SIDE_WRITE);
        if (n < 0) {
            res->write_failed = n != NOT_THIS_WAY && n != -EIO; /* a file fails with EIO, a socket does not */
            return (int)n;
        }
        if (n == 0) return CYG_EOF;
        if (++steps % STEPS_BEFORE_YIELD == 0) cyg_yield();
    }
    return 0;
}

static int sendfile_all(cyg_stream *dst, cyg_stream *src, int64_t offset, int64_t max, cyg_copy_result *res) {
    cyg_fd in;
    int err = src->ops->hold(src, CYG_SIDE_READ, &in);
    if (err) return err;
    err = send_file(dst, in.fd, offset >= 0 ? &offset : in.position, max, res);
    src->ops->unhold(src, CYG_SIDE_READ);
    return err;
}

/* ---- which ----------------------------------------------------------------------------------------------------------------- */

/* CYGNET_DEBUG=nosplice: as on a kernel, or under a filter, that refuses. */
static bool switched_off(void) {
    static _Atomic int known; /* 1: no, 2: yes */
    int k = atomic_load_explicit(&known, memory_order_relaxed);
    if (!k) atomic_store_explicit(&known, k = cygrt_debug("nosplice") ? 2 : 1, memory_order_relaxed);
    return k == 2;
}

int copy_in_kernel(cyg_stream *dst, cyg_stream *src, int64_t offset, int64_t max, cyg_copy_result *res,
                   cyg_copy_reason *why) {
    cyg_fd_kind from = src->ops->hold ? src->ops->fd_kind : CYG_FD_NONE;
    cyg_fd_kind to = dst->ops->hold ? dst->ops->fd_kind : CYG_FD_NONE;
    *why = from == CYG_FD_NONE ? CYG_COPY_SOURCE : to == CYG_FD_NONE ? CYG_COPY_SINK : CYG_COPY_PAIR;
    if (from == CYG_FD_NONE || to == CYG_FD_NONE || (from == CYG_FD_FILE && to == CYG_FD_FILE)) return NOT_THIS_WAY;
    if (from == CYG_FD_SOCKET && offset >= 0) return NOT_THIS_WAY; /* there is no place in a socket */
    *why = CYG_COPY_OFF;
    if (switched_off()) return NOT_THIS_WAY;
    if (from == CYG_FD_FILE) {
        *why = CYG_COPY_REFUSED;
        return sendfile_all(dst, src, offset, max, res);
    }
    if (copy_limits().max_pipes < 0) return NOT_THIS_WAY;
    struct flow f = {.dst = dst, .src = src, .res = res, .sigpipe = sigpipe_kills()};
    int err = splice_all(&f, max);
    *why = f.why;
    return err;
}
