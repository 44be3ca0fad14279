/* file.c: files. A read first asks the kernel for what needs no wait (preadv2 with RWF_NOWAIT): what is in memory comes
 * for the price of a system call. Everything else, and every write, goes by cyg_blocking. docs/internals/io.md has the
 * measurements behind that.
 *
 * `state` counts calls under way and has a bit for closed; the descriptor is closed by whoever makes it "closed, and
 * nobody in it": the close or the last call. A closed descriptor keeps a reference until then. Files are type-stable, so
 * the magic word catches late use. */
#include <cygnet/file.h>
#include <cygnet/runtime.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "base/fatal.h"
#include "base/spin.h"
#include "io/file_counts.h"
#include "runtime/sched.h"

#define MAGIC 0x66696c65u
#define CLOSED 0x80000000u
#define PIECES 64 /* of a gathering write, at once */

struct file {
    cyg_stream stream;
    _Atomic uint32_t magic; /* while there are references */
    _Atomic uint32_t refs;
    _Atomic uint32_t state; /* calls under way, CLOSED */
    _Atomic bool no_nowait; /* this file system does not know RWF_NOWAIT */
    int fd;
    struct file *next_free; /* guarded by free_lock */
};

static uint32_t free_lock;
static struct file *free_files; /* guarded by free_lock */

static const cyg_stream_ops regular_ops, other_ops; /* below */

/* ---- references, calls under way
 * ------------------------------------------------------------------------------------------ */

static struct file *ours(cyg_file *s) {
    if (s->ops != &regular_ops && s->ops != &other_ops) return NULL;
    struct file *f = (struct file *)s;
    if (atomic_load_explicit(&f->magic, memory_order_relaxed) != MAGIC)
        cyg_fatal("use of a file that has been freed, at %p", (void *)f);
    return f;
}

static int use(struct file *f) {
    uint32_t s = atomic_load_explicit(&f->state, memory_order_relaxed);
    do {
        if (s & CLOSED) return CYG_ECLOSED;
    } while (!atomic_compare_exchange_weak_explicit(&f->state, &s, s + 1, memory_order_acquire, memory_order_relaxed));
    return 0;
}

static void drop(struct file *f) {
    if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1) return;
    atomic_store_explicit(&f->magic, 0, memory_order_relaxed);
    cyg_spin_lock(&free_lock);
    f->next_free = free_files;
    free_files = f;
    cyg_spin_unlock(&free_lock);
}

static int close_call(void *arg) { return close(((struct file *)arg)->fd) < 0 && errno != EINTR ? -errno : 0; }

/* Nobody is in it and nobody comes any more. close(2) may write, or free much. */
static int finish(struct file *f) {
    int err = cyg_blocking(close_call, f);
    file_count(FILE_CLOSED, 1);
    drop(f);
    return err;
}

static void unuse(struct file *f) {
    if (atomic_fetch_sub_explicit(&f->state, 1, memory_order_acq_rel) == (CLOSED | 1)) (void)finish(f);
}

static int end_it(struct file *f) {
    uint32_t was = atomic_fetch_or_explicit(&f->state, CLOSED, memory_order_acq_rel);
    if (was & CLOSED) return CYG_ECLOSED;
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed); /* the descriptor's */
    return was == 0 ? finish(f) : 0;
}

/* ---- calls
 * ---------------------------------------------------------------------------------------------------------------- */

/* One call into the kernel; at < 0: at the file's own position. */
struct call {
    struct file *f;
    int (*fn)(void *); /* on the thread */
    void *p;
    size_t n;
    int64_t at;
    const struct iovec *iov;
    int niov;
    int64_t result; /* >= 0, or -errno */
};

/* Enters the file, and the kernel without a P. Returns: c->result, or why there was no call. */
static int64_t blocking(struct call *c) {
    struct g *g = cygrt_g();
    int err = g ? cygrt_ctx_err(g) : 0;
    if (err) return err;
    file_count(FILE_BLOCKING, 1);
    cyg_blocking(c->fn, c);
    return c->result;
}

static int64_t call(cyg_file *s, struct call *c) {
    c->f = ours(s);
    if (!c->f) return CYG_ENOTSUP;
    int err = use(c->f);
    if (err) return err;
    int64_t r = blocking(c);
    unuse(c->f);
    return r;
}

/* ---- reading
 * -------------------------------------------------------------------------------------------------------------- */

static int read_call(void *arg) {
    struct call *c = arg;
    ssize_t r;
    do {
        r = c->at < 0 ? read(c->f->fd, c->p, c->n) : pread(c->f->fd, c->p, c->n, c->at);
    } while (r < 0 && errno == EINTR);
    c->result = r < 0 ? -errno : r;
    return 0;
}

/* What is in memory. Returns: > 0, 0 at the end, -EAGAIN if it would have to wait, -errno. */
static ssize_t read_at_once(struct file *f, void *p, size_t n, int64_t at) {
    if (f->stream.ops != &regular_ops || atomic_load_explicit(&f->no_nowait, memory_order_relaxed)) return -EAGAIN;
    struct iovec v = {p, n};
    ssize_t r = preadv2(f->fd, &v, 1, at < 0 ? -1 : at, RWF_NOWAIT);
    if (r >= 0) return r;
    int e = errno;
    if (e != EOPNOTSUPP && e != ENOSYS && e != EINTR) return -e;
    if (e != EINTR) atomic_store_explicit(&f->no_nowait, true, memory_order_relaxed);
    return -EAGAIN;
}

static ssize_t read_some(cyg_file *s, void *p, size_t n, int64_t at) {
    struct call c = {.f = ours(s), .fn = read_call, .p = p, .n = n, .at = at};
    if (!c.f) return CYG_ENOTSUP;
    int err = use(c.f);
    if (err || n == 0) {
        if (!err) unuse(c.f);
        return err;
    }
    int64_t r = read_at_once(c.f, p, n, at);
    if (r != -EAGAIN)
        file_count(FILE_DIRECT, 1);
    else
        r = blocking(&c);
    unuse(c.f);
    if (r > 0) file_count(FILE_READ_BYTES, (uint64_t)r);
    return r == 0 ? (ssize_t)CYG_EOF : (ssize_t)r;
}

static ssize_t op_read(cyg_stream *s, void *p, size_t n) { return read_some(s, p, n, -1); }

ssize_t cyg_file_pread(cyg_file *s, void *p, size_t n, int64_t at) {
    return at < 0 ? CYG_EINVAL : read_some(s, p, n, at);
}

/* ---- writing
 * -------------------------------------------------------------------------------------------------------------- */

static int write_call(void *arg) {
    struct call *c = arg;
    c->result = 0;
    while ((size_t)c->result < c->n) {
        const char *p = (const char *)c->p + c->result;
        size_t left = c->n - (size_t)c->result;
        ssize_t w = c->at < 0 ? write(c->f->fd, p, left) : pwrite(c->f->fd, p, left, c->at + c->result);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) {
            c->result = w < 0 ? -errno : -EIO;
            break;
        }
        c->result += w;
    }
    return 0;
}

static int writev_call(void *arg) {
    struct call *c = arg;
    struct iovec part[PIECES]; /* what is left of the next buffers */
    size_t skip = 0;
    c->result = 0;
    for (int at = 0; at < c->niov;) {
        int k = c->niov - at < PIECES ? c->niov - at : PIECES;
        memcpy(part, c->iov + at, sizeof *part * (size_t)k);
        part[0].iov_base = (char *)part[0].iov_base + skip;
        part[0].iov_len -= skip;
        ssize_t w = writev(c->f->fd, part, k);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) {
            c->result = -errno;
            break;
        }
        c->result += w;
        size_t gone = skip + (size_t)w;
        while (at < c->niov && gone >= c->iov[at].iov_len) gone -= c->iov[at++].iov_len;
        skip = gone;
    }
    return 0;
}

static ssize_t written(int64_t r) {
    if (r > 0) file_count(FILE_WRITTEN_BYTES, (uint64_t)r);
    return (ssize_t)r;
}

static ssize_t op_write(cyg_stream *s, const void *p, size_t n) {
    return written(call(s, &(struct call){.fn = write_call, .p = (void *)p, .n = n, .at = -1}));
}

static ssize_t op_writev(cyg_stream *s, const struct iovec *iov, int n) {
    return written(call(s, &(struct call){.fn = writev_call, .iov = iov, .niov = n}));
}

ssize_t cyg_file_pwrite(cyg_file *s, const void *p, size_t n, int64_t at) {
    if (at < 0) return CYG_EINVAL;
    return written(call(s, &(struct call){.fn = write_call, .p = (void *)p, .n = n, .at = at}));
}

/* ---- the rest
 * --------------------------------------------------------------------------------------------------------------- */

static int stat_call(void *arg) {
    struct call *c = arg;
    c->result = fstat(c->f->fd, c->p) < 0 ? -errno : 0;
    return 0;
}
static int sync_call(void *arg) {
    struct call *c = arg;
    c->result = fsync(c->f->fd) < 0 ? -errno : 0;
    return 0;
}
static int truncate_call(void *arg) {
    struct call *c = arg;
    c->result = ftruncate(c->f->fd, c->at) < 0 ? -errno : 0;
    return 0;
}

int cyg_file_stat(cyg_file *s, struct stat *out) {
    struct stat st = {0}; /* out is written only on success */
    int r = (int)call(s, &(struct call){.fn = stat_call, .p = &st});
    if (r == 0) *out = st;
    return r;
}

int64_t cyg_file_size(cyg_file *s) {
    struct stat st;
    int err = cyg_file_stat(s, &st);
    return err ? err : (int64_t)st.st_size;
}

int cyg_file_sync(cyg_file *s) { return (int)call(s, &(struct call){.fn = sync_call}); }

int cyg_file_truncate(cyg_file *s, int64_t n) {
    return n < 0 ? (int)CYG_EINVAL : (int)call(s, &(struct call){.fn = truncate_call, .at = n});
}

int64_t cyg_file_seek(cyg_file *s, int64_t offset, int whence) {
    struct file *f = ours(s);
    int err = f ? use(f) : (int)CYG_ENOTSUP;
    if (err) return err;
    int64_t r = lseek(f->fd, offset, whence);
    if (r < 0) r = -errno;
    unuse(f);
    return r;
}

static int op_descriptor(cyg_stream *s) { return ((struct file *)s)->fd; }

static int op_hold(cyg_stream *s, cyg_side side, cyg_fd *out) {
    struct file *f = ours(s);
    int err = use(f);
    (void)side;
    if (!err) *out = (cyg_fd){.fd = f->fd};
    return err;
}

static void op_unhold(cyg_stream *s, cyg_side side) {
    (void)side;
    unuse((struct file *)s);
}

static int op_close(cyg_stream *s) {
    struct file *f = ours(s);
    int err = end_it(f);
    drop(f);
    return err;
}

static const cyg_stream_ops regular_ops = {.kind = "file",
                                           .fd_kind = CYG_FD_FILE,
                                           .read = op_read,
                                           .write = op_write,
                                           .writev = op_writev,
                                           .close = op_close,
                                           .descriptor = op_descriptor,
                                           .hold = op_hold,
                                           .unhold = op_unhold};
/* A pipe, a terminal, a device: nothing is known of it. */
static const cyg_stream_ops other_ops = {
    .kind = "file", .read = op_read, .write = op_write, .writev = op_writev, .close = op_close, .descriptor = op_descriptor};

cyg_file *cyg_file_acquire(cyg_file *s) {
    struct file *f = ours(s);
    if (f) atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    return s;
}

void cyg_file_release(cyg_file *s) {
    struct file *f = ours(s);
    if (!f) return;
    if (atomic_load_explicit(&f->refs, memory_order_acquire) == 1)
        (void)end_it(f); /* ours is the last: nobody else can take one */
    drop(f);
}

/* ---- opening
 * ---------------------------------------------------------------------------------------------------------------- */

static int file_new(int fd, bool regular, cyg_file **out) {
    cyg_spin_lock(&free_lock);
    struct file *f = free_files;
    if (f) free_files = f->next_free;
    cyg_spin_unlock(&free_lock);
    if (!f && !(f = calloc(1, sizeof *f))) {
        close(fd);
        return CYG_ENOMEM;
    }
    f->stream.ops = regular ? &regular_ops : &other_ops;
    f->fd = fd;
    atomic_store_explicit(&f->state, 0, memory_order_relaxed);
    atomic_store_explicit(&f->no_nowait, false, memory_order_relaxed);
    atomic_store_explicit(&f->refs, 1, memory_order_relaxed);
    atomic_store_explicit(&f->magic, MAGIC, memory_order_relaxed);
    file_count(FILE_OPENED, 1);
    *out = &f->stream;
    return 0;
}

struct opening {
    const char *path;
    int flags;
    mode_t mode;
    int fd; /* or -errno */
    bool regular;
};

static bool is_regular(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int open_call(void *arg) {
    struct opening *o = arg;
    do {
        o->fd = open(o->path, o->flags | O_CLOEXEC, o->mode);
    } while (o->fd < 0 && errno == EINTR);
    if (o->fd < 0)
        o->fd = -errno;
    else
        o->regular = is_regular(o->fd);
    return 0;
}

int cyg_file_open(const char *path, int flags, mode_t mode, cyg_file **out) {
    struct g *g = cygrt_g();
    int err = g ? cygrt_ctx_err(g) : 0;
    if (err) return err;
    struct opening o = {.path = path, .flags = flags, .mode = mode};
    file_count(FILE_BLOCKING, 1);
    cyg_blocking(open_call, &o);
    if (o.fd < 0) return cygrt_fail(o.fd, "open %s: %s", path, cyg_strerror(o.fd));
    return file_new(o.fd, o.regular, out);
}

int cyg_file_from_fd(int fd, cyg_file **out) { return file_new(fd, is_regular(fd), out); }
