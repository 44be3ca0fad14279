/* conn.c: connections. Reading tries, then waits; after a short read on a byte stream the socket is known to be empty until
 * the poller sees another event, so the next read waits at once and saves the try that would say EAGAIN. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/sys.h"
#include "net/internal.h"
#include "runtime/cohort.h"

#define IOV_MAX_ 1024
#define SHORT_MESSAGE 4096

static inline struct conn *own(cyg_stream *s) {
    struct conn *c = (struct conn *)s;
    if (CYG_UNLIKELY(c->magic != CONN_MAGIC)) cyg_fatal("use of a connection that has been freed, at %p", (void *)c);
    return c;
}
struct conn *conn_own(cyg_stream *s) {
    return own(s);
}

/* All of ours close in the same way. */
static inline struct conn *ours(cyg_conn *s) { return s->ops->close == conn_close ? own(s) : NULL; }
struct conn *conn_ours(cyg_stream *s) {
    return ours(s);
}

static struct conn *conn_init(int fd, enum conn_kind kind) {
    static const cyg_stream_ops *const ops[CONN_KINDS] = {
        [CONN_TCP] = &cyg_tcp_ops, [CONN_UNIX] = &cyg_unix_ops,         [CONN_UNIXPACKET] = &cyg_unixpacket_ops,
        [CONN_UDP] = &cyg_udp_ops, [CONN_UNIXGRAM] = &cyg_unixgram_ops, [CONN_PIPE] = &cyg_pipe_ops,
    };
    struct conn *c = conn_alloc();
    if (!c) return NULL;
    c->stream.ops = ops[kind];
    atomic_store_explicit(&c->refs, 1, memory_order_relaxed);
    c->fd = fd;
    c->kind = (uint8_t)kind;
    c->peer_family = CYG_AF_NONE;
    c->drained = true; /* what is there already makes an event when the descriptor is registered */
    c->drained_at = atomic_load_explicit(&c->pd.read_events, memory_order_relaxed);
    memset(&c->lock, 0, sizeof c->lock);
    c->user = (struct conn_user){0};
    c->pd.record.fn = NULL; /* of a former life: reports tell what it started last */
    __atomic_store_n(&c->magic, CONN_MAGIC, __ATOMIC_RELAXED);
    return c;
}

struct conn *conn_new_bare(enum conn_kind kind) {
    struct conn *c = conn_init(-1, kind);
    if (c) cygrt_pd_open(&c->pd, -1);
    return c;
}

void conn_discard(struct conn *c) {
    cygrt_pd_unregister(&c->pd, false);
    conn_free(c);
}

int conn_new(int fd, enum conn_kind kind, struct conn **out) {
    struct conn *c = conn_init(fd, kind);
    bool packets = kind == CONN_UDP || kind == CONN_UNIXGRAM;
    int err = c ? 0 : CYG_ENOMEM, on = 1;
    if (!err && packets) err = packet_state_new(fd, kind, &c->packet);
    if (err) {
        close(fd);
        if (c) conn_free(c);
        return err;
    }
    if (kind == CONN_UNIXPACKET) (void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on); /* see message.c */
    if ((err = cygrt_pd_register(&c->pd, fd, false)) < 0) {
        if (packets) packet_state_free(c->packet);
        close(fd);
        conn_free(c);
        return err == -ENOMEM || err == -ENOSPC ? cygrt_fail(CYG_ENOMEM, "epoll: %s", cyg_strerror(err)) : err;
    }
    *out = c;
    return 0;
}

void conn_set_peer(struct conn *c, const cyg_addr *a) {
    c->peer_family = a->family;
    c->peer_port = a->port;
    c->peer_scope = a->scope;
    memcpy(c->peer_ip, a->ip, sizeof c->peer_ip);
}

void conn_note_user(struct conn *c) {
    const struct g *g = cygrt_g();
    if (!g) return;
    __atomic_store_n(&c->user.file, g->file, __ATOMIC_RELAXED);
    __atomic_store_n(&c->user.fn, g->fn ? (const void *)g->fn : (const void *)g->ready_fn, __ATOMIC_RELAXED);
    __atomic_store_n(&c->user.line, (uint32_t)g->line, __ATOMIC_RELAXED);
    __atomic_store_n(&c->user.id, (uint32_t)g->id, __ATOMIC_RELAXED);
}

/* The last user has left a closed descriptor. */
static void conn_finish(struct conn *c) {
    bool packets = c->kind == CONN_UDP || c->kind == CONN_UNIXGRAM;
    cygrt_pd_unregister(&c->pd, packets); /* those have an address: see listen.c */
    if (c->kind == CONN_PIPE)
        conn_pipe_finish(c);
    else
        close(c->fd);
    if (packets) packet_state_free(c->packet);
    cyg_conn_release(&c->stream); /* the descriptor's own reference, taken by close */
}

void conn_unuse(struct conn *c) {
    if (fdlock_unuse(&c->lock)) conn_finish(c);
}

/* Not inline: a request leaves four times. */
__attribute__((noinline)) void conn_leave(struct conn *c, enum fd_side side) {
    if (CYG_UNLIKELY(fdlock_release(&c->lock, side))) conn_finish(c);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

struct received {
    ssize_t n; /* as recv(2), but a negative one is -errno */
    bool cut;  /* a Unix read that ended at a message with descriptors, behind which there may be more */
};

/* The kernel closes descriptors that nobody asked for. */
static __attribute__((noinline)) struct received receive_unix(struct conn *c, void *p, size_t n, int flags) {
    struct iovec iov = {p, n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t r = recvmsg(c->fd, &msg, flags);
    return (struct received){r < 0 ? -errno : r, r > 0 && (msg.msg_flags & MSG_CTRUNC)};
}

static inline struct received receive(struct conn *c, void *p, size_t n, int flags) {
    if (CYG_LIKELY(c->stream.ops == &cyg_tcp_ops)) return (struct received){cyg_sys_recv(c->fd, p, n, flags), false};
    return receive_unix(c, p, n, flags);
}

/* r <= 0: what a read brought. False: it is to be tried again, or waits. */
static CYG_COLD bool read_nothing(struct conn *c, ssize_t r, uint32_t events) {
    if (r == 0) conn_note_user(c);
    if (r == -EAGAIN) {
        c->drained = true;
        c->drained_at = events;
    }
    return r != -EAGAIN && r != -EINTR;
}

static inline ssize_t read_some(struct conn *c, void *p, size_t n, int flags) {
    struct cygrt_pd *pd = &c->pd;
    int err;
    if (atomic_load_explicit(&pd->deadline[CYGRT_READ], memory_order_relaxed) &&
        CYG_UNLIKELY((err = cygrt_pd_check(pd, CYGRT_READ))))
        return err;
    for (;;) {
        uint32_t events = atomic_load_explicit(&pd->read_events, memory_order_acquire);
        if (c->drained && c->drained_at == events) {
            conn_note_user(c);
            if (CYG_UNLIKELY((err = cygrt_pd_wait(pd, CYGRT_READ)))) return err;
            continue;
        }
        struct received r = receive(c, p, n, flags);
        if (CYG_LIKELY(r.n > 0)) {
            /* Not after the peer's end was seen: then no further event would come. */
            bool whole = (size_t)r.n < n && !r.cut && !flags;
            c->drained = whole && !atomic_load_explicit(&pd->ended, memory_order_acquire);
            c->drained_at = events;
            return r.n;
        }
        if (read_nothing(c, r.n, events)) return r.n == 0 ? CYG_EOF : r.n;
    }
}

/* Two copies: a plain read asks for no flags. */
static inline __attribute__((always_inline)) ssize_t read_with(cyg_stream *s, void *p, size_t n, int flags) {
    struct conn *c = own(s);
    int err = fdlock_acquire(&c->lock, FD_READ);
    if (CYG_UNLIKELY(err)) return err;
    ssize_t r = CYG_LIKELY(n) ? read_some(c, p, n, flags) : 0;
    conn_leave(c, FD_READ);
    return r;
}

/* What is short will be worked on soon, and others have read by then; what is long would leave the cache. */
static ssize_t conn_read(cyg_stream *s, void *p, size_t n) {
    ssize_t r = read_with(s, p, n, 0);
    if (r > 0 && r <= SHORT_MESSAGE) cygrt_take_turn();
    return r;
}
static ssize_t conn_peek(cyg_stream *s, void *p, size_t n) { return read_with(s, p, n, MSG_PEEK); }

/* By poll(2): peeking would take the peer's error, so that the read behind it could not tell a reset from an end. */
static ssize_t try_look(struct conn *c, void *arg) {
    (void)arg;
    if (c->kind == CONN_PIPE) return conn_pipe_empty(c) ? -EAGAIN : 0;
    struct pollfd f = {.fd = c->fd, .events = POLLIN | POLLRDHUP};
    int n = poll(&f, 1, 0);
    return n > 0 ? 0 : n == 0 ? -EAGAIN : -errno;
}

/* Without a buffer, and without a stack page more than parking takes. */
int cyg_conn_wait_readable(cyg_conn *s) {
    struct conn *c = ours(s);
    if (c) return (int)conn_retry(c, FD_READ, try_look, NULL, false);
    char byte;
    ssize_t r = s->ops->peek ? s->ops->peek(s, &byte, 1) : (ssize_t)CYG_ENOTSUP;
    struct g *g = cygrt_g();
    if (r < 0 && g && r == cygrt_ctx_err(g)) return (int)r;  /* a context's cause may look like a socket's error */
    return r >= 0 || r == CYG_EOF || r > -1000 ? 0 : (int)r; /* the peer's error is something to be read, too */
}

/* ---- writing -------------------------------------------------------------------------------------------------------------- */

/* Parks until the socket takes more. A read of this connection must not rely on an earlier short read afterwards. */
static int wait_writable(struct conn *c) {
    conn_note_user(c);
    return cygrt_pd_wait(&c->pd, CYGRT_WRITE);
}

/* A write took nothing: r says why. 0: to be tried again. */
static CYG_COLD ssize_t write_nothing(struct conn *c, ssize_t r) {
    if (r == -EINTR) return 0;
    return r == -EAGAIN ? wait_writable(c) : r;
}

static inline ssize_t write_all(struct conn *c, const char *p, size_t n) {
    for (size_t left = n; left > 0;) {
        ssize_t w = cyg_sys_send(c->fd, p, left, MSG_NOSIGNAL);
        if (CYG_LIKELY(w >= 0)) {
            p += w;
            left -= (size_t)w;
        } else if ((w = write_nothing(c, w))) {
            return w;
        }
    }
    return (ssize_t)n;
}

static ssize_t conn_write(cyg_stream *s, const void *p, size_t n) {
    struct conn *c = own(s);
    int err = fdlock_acquire(&c->lock, FD_WRITE);
    if (CYG_UNLIKELY(err)) return err;
    ssize_t r = 0;
    if (atomic_load_explicit(&c->pd.deadline[CYGRT_WRITE], memory_order_relaxed))
        r = cygrt_pd_check(&c->pd, CYGRT_WRITE);
    if (CYG_LIKELY(!r)) r = write_all(c, p, n);
    conn_leave(c, FD_WRITE);
    return r;
}

static ssize_t writev_all(struct conn *c, const struct iovec *iov, int n) {
    struct iovec part[64]; /* what is left of the next buffers, in windows of 64 */
    size_t skip = 0, total = 0;
    int at = 0, err;
    while (at < n) {
        int k = n - at < 64 ? n - at : 64;
        memcpy(part, iov + at, sizeof *part * (size_t)k);
        part[0].iov_base = (char *)part[0].iov_base + skip;
        part[0].iov_len -= skip;
        struct msghdr msg = {.msg_iov = part, .msg_iovlen = (size_t)k};
        ssize_t w = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
        if (w < 0) {
            int e = errno;
            if (e == EINTR) continue;
            if (e != EAGAIN) return -e;
            if ((err = wait_writable(c))) return err;
            continue;
        }
        total += (size_t)w;
        size_t gone = skip + (size_t)w;
        while (at < n && gone >= iov[at].iov_len) gone -= iov[at++].iov_len;
        skip = gone;
    }
    return (ssize_t)total;
}

static ssize_t conn_writev(cyg_stream *s, const struct iovec *iov, int n) {
    struct conn *c = own(s);
    int err = fdlock_acquire(&c->lock, FD_WRITE);
    if (err) return err;
    ssize_t r = 0;
    if (atomic_load_explicit(&c->pd.deadline[CYGRT_WRITE], memory_order_relaxed))
        r = cygrt_pd_check(&c->pd, CYGRT_WRITE);
    if (!r) r = writev_all(c, iov, n);
    conn_leave(c, FD_WRITE);
    return r;
}

/* ---- ending, deadlines, the rest -------------------------------------------------------------------------------------------- */

int conn_close(cyg_stream *s) {
    struct conn *c = own(s);
    int err = fdlock_close(&c->lock);
    if (err == 0) {
        cyg_conn_acquire(s); /* for the descriptor, until its last user has left */
        cygrt_pd_evict(&c->pd);
        if (fdlock_unuse(&c->lock)) conn_finish(c);
    }
    cyg_conn_release(s);
    return err;
}

int conn_close_write(cyg_stream *s) {
    struct conn *c = own(s);
    int err = fdlock_use(&c->lock);
    if (err) return err;
    conn_note_user(c);
    if (c->kind == CONN_PIPE)
        err = conn_pipe_close_write(c);
    else if (shutdown(c->fd, SHUT_WR) < 0)
        err = -errno;
    conn_unuse(c);
    return err;
}

int conn_set_deadline(cyg_stream *s, int what, cyg_time t) {
    struct conn *c = own(s);
    int err = fdlock_use(&c->lock);
    if (err) return err;
    if (what & CYG_DEADLINE_READ) cygrt_pd_set_deadline(&c->pd, CYGRT_READ, t);
    if (what & CYG_DEADLINE_WRITE) cygrt_pd_set_deadline(&c->pd, CYGRT_WRITE, t);
    conn_unuse(c);
    return 0;
}

int conn_descriptor(cyg_stream *s) { return own(s)->fd; }

/* ---- for those who move the bytes themselves --------------------------------------------------------------------------------- */

static int conn_hold(cyg_stream *s, cyg_side side, cyg_fd *out) {
    struct conn *c = own(s);
    enum fd_side fs = side == CYG_SIDE_READ ? FD_READ : FD_WRITE;
    enum cygrt_mode mode = side == CYG_SIDE_READ ? CYGRT_READ : CYGRT_WRITE;
    int err = fdlock_acquire(&c->lock, fs);
    if (err) return err;
    conn_note_user(c); /* it sees the end by itself, and tells nobody */
    if (atomic_load_explicit(&c->pd.deadline[mode], memory_order_relaxed)) err = cygrt_pd_check(&c->pd, mode);
    if (err) {
        if (fdlock_release(&c->lock, fs)) conn_finish(c);
        return err;
    }
    *out = (cyg_fd){.fd = c->fd};
    return 0;
}

static void conn_unhold(cyg_stream *s, cyg_side side) {
    struct conn *c = own(s);
    if (fdlock_release(&c->lock, side == CYG_SIDE_READ ? FD_READ : FD_WRITE)) conn_finish(c);
}

static int conn_wait(cyg_stream *s, cyg_side side) {
    return cygrt_pd_wait(&own(s)->pd, side == CYG_SIDE_READ ? CYGRT_READ : CYGRT_WRITE);
}

static void conn_unwatch(cyg_stream *s) { cygrt_pd_unwatch(&own(s)->pd); }

/* As close, but the caller's reference stays and the peer gets a reset. */
static int conn_abort(cyg_stream *s) {
    struct conn *c = own(s);
    (void)cyg_conn_reset_on_close(s);
    int err = fdlock_close(&c->lock);
    if (err) return err;
    cyg_conn_acquire(s); /* for the descriptor, until its last user has left */
    cygrt_pd_evict(&c->pd);
    if (fdlock_unuse(&c->lock)) conn_finish(c);
    return 0;
}

#define CONN_OPS(name)                                                                                                 \
    {                                                                                                                  \
        .kind = name, .fd_kind = CYG_FD_SOCKET, .read = conn_read, .write = conn_write, .writev = conn_writev,         \
        .close = conn_close, .close_write = conn_close_write, .set_deadline = conn_set_deadline,                       \
        .descriptor = conn_descriptor, .peek = conn_peek, .hold = conn_hold, .wait = conn_wait, .unhold = conn_unhold, \
        .abort = conn_abort, .unwatch = conn_unwatch                                                                   \
    }
const cyg_stream_ops cyg_tcp_ops = CONN_OPS("tcp");
const cyg_stream_ops cyg_unix_ops = CONN_OPS("unix");

cyg_conn *cyg_conn_acquire(cyg_conn *s) {
    struct conn *c = ours(s);
    if (c) atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return s;
}

void cyg_conn_release(cyg_conn *s) {
    struct conn *c = ours(s);
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1) return;
    if (fdlock_close(&c->lock) == 0) { /* nobody holds it any more and nobody closed it */
        atomic_store_explicit(&c->refs, 1, memory_order_relaxed);
        cygrt_pd_evict(&c->pd);
        if (fdlock_unuse(&c->lock)) conn_finish(c);
        return;
    }
    conn_free(c);
}

/* CONN_KINDS: none of ours. */
static enum conn_kind kind_of(int domain, int type) {
    bool ip = domain == AF_INET || domain == AF_INET6;
    if (ip && type == SOCK_STREAM) return CONN_TCP;
    if (ip && type == SOCK_DGRAM) return CONN_UDP;
    if (domain != AF_UNIX) return CONN_KINDS;
    return type == SOCK_STREAM ? CONN_UNIX : type == SOCK_DGRAM ? CONN_UNIXGRAM : CONN_UNIXPACKET;
}

int cyg_conn_from_fd(int fd, cyg_conn **out) {
    int domain = 0, type = 0, fl = fcntl(fd, F_GETFL), err = 0;
    socklen_t n = sizeof domain, m = sizeof type;
    if (fl < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK) < 0 || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &m) < 0)
        err = -errno;
    enum conn_kind kind = kind_of(domain, type);
    if (!err && kind == CONN_KINDS) err = CYG_ENOTSUP;
    if (err) {
        close(fd);
        return err;
    }
    struct conn *c;
    if ((err = conn_new(fd, kind, &c)) < 0) return err;
    *out = &c->stream;
    return 0;
}

static int get_addr(cyg_conn *s, int (*get)(int, struct sockaddr *, socklen_t *), cyg_addr *out) {
    struct conn *c = ours(s);
    if (!c || c->kind == CONN_PIPE) return CYG_ENOTSUP;
    int err = fdlock_use(&c->lock);
    if (err) return err;
    union sockaddr_any sa;
    socklen_t n = sizeof sa;
    if (get(c->fd, &sa.sa, &n) < 0)
        err = -errno;
    else
        addr_from_sockaddr(&sa, n, out);
    conn_unuse(c);
    return err;
}

static int sock_name(int fd, struct sockaddr *sa, socklen_t *n) { return getsockname(fd, sa, n); }
static int peer_name(int fd, struct sockaddr *sa, socklen_t *n) { return getpeername(fd, sa, n); }

int cyg_conn_local_addr(cyg_conn *s, cyg_addr *out) { return get_addr(s, sock_name, out); }

int cyg_conn_peer_addr(cyg_conn *s, cyg_addr *out) {
    struct conn *c = ours(s);
    if (!c || c->peer_family == CYG_AF_NONE) return get_addr(s, peer_name, out);
    *out = (cyg_addr){.family = c->peer_family, .port = c->peer_port, .scope = c->peer_scope};
    memcpy(out->ip, c->peer_ip, sizeof out->ip);
    return 0;
}

/* ---- nobody reads: what comes in? ------------------------------------------------------------------------------------------- */

/* Whether the last read was short and nothing has happened since, and one would have been told. */
static inline bool known_empty(struct conn *c) {
    return c->drained && c->drained_at == atomic_load_explicit(&c->pd.read_events, memory_order_acquire) &&
           !atomic_load_explicit(&c->pd.unwatched, memory_order_relaxed);
}

/* An event that was counted before a short read is stale: drops it, or a record would start for nothing. */
static void drop_stale_event(struct conn *c) {
    uintptr_t ready = CYGRT_PD_READY;
    if (atomic_load(&c->pd.slot[CYGRT_READ]) != ready) return;
    atomic_compare_exchange_strong(&c->pd.slot[CYGRT_READ], &ready, CYGRT_PD_NIL);
    if (c->drained_at != atomic_load_explicit(&c->pd.read_events, memory_order_acquire))
        atomic_store(&c->pd.slot[CYGRT_READ], CYGRT_PD_READY);
}

/* Of messages and pipes no read says whether it was the last, so one looks. Events of before are counted first. */
static void look_for_message(struct conn *c) {
    uint32_t events = atomic_load_explicit(&c->pd.read_events, memory_order_acquire);
    if (conn_is_stream(c) || known_empty(c) || fdlock_use(&c->lock)) return;
    c->drained = try_look(c, NULL) == -EAGAIN;
    c->drained_at = events;
    conn_unuse(c);
}

/* There is no event to be dropped, and the last read is known to have been the last. */
static inline bool quiet_and_told(struct conn *c) {
    return CYG_LIKELY(known_empty(c)) && CYG_LIKELY(atomic_load(&c->pd.slot[CYGRT_READ]) != CYGRT_PD_READY);
}

static CYG_COLD int on_readable_slowly(struct conn *c, cyg_conn_ready_fn *fn, void *arg, cyg_time deadline) {
    look_for_message(c);
    if (known_empty(c))
        drop_stale_event(c);
    else
        atomic_store(&c->pd.slot[CYGRT_READ], CYGRT_PD_READY); /* the last read was not short: there may be more */
    return cygrt_pd_record(&c->pd, fn, arg, deadline);
}

int cyg_conn_on_readable(cyg_conn *s, cyg_conn_ready_fn *fn, void *arg, cyg_time deadline) {
    struct conn *c = ours(s);
    if (CYG_UNLIKELY(!c)) return CYG_ENOTSUP;
    return quiet_and_told(c) ? cygrt_pd_record(&c->pd, fn, arg, deadline) : on_readable_slowly(c, fn, arg, deadline);
}

static int look(struct conn *c) {
    int err = fdlock_acquire(&c->lock, FD_READ);
    if (err) return err;
    uint32_t events = atomic_load_explicit(&c->pd.read_events, memory_order_acquire);
    char byte;
    ssize_t r;
    do r = receive(c, &byte, 1, MSG_PEEK | MSG_DONTWAIT).n;
    while (r == -EINTR);
    c->drained = r == -EAGAIN;
    c->drained_at = events;
    if (fdlock_release(&c->lock, FD_READ)) conn_finish(c);
    return r > 0 ? 1 : r == 0 ? CYG_EOF : r == -EAGAIN ? 0 : (int)r;
}

int conn_quiet(cyg_conn *s) {
    struct conn *c = own(s);
    return CYG_LIKELY(known_empty(c)) ? 0 : look(c);
}

static CYG_COLD int watch_slowly(struct conn *c, cyg_conn_ready_fn *fn, void *arg, cyg_time deadline) {
    int r = known_empty(c) ? 0 : look(c);
    if (r != 0) return r;
    drop_stale_event(c);
    return cygrt_pd_record(&c->pd, fn, arg, deadline);
}

int conn_watch(cyg_conn *s, cyg_conn_ready_fn *fn, void *arg, cyg_time deadline) {
    struct conn *c = own(s);
    return quiet_and_told(c) ? cygrt_pd_record(&c->pd, fn, arg, deadline) : watch_slowly(c, fn, arg, deadline);
}

bool conn_is_socket(cyg_conn *s) {
    struct conn *c = ours(s);
    return c && conn_is_stream(c);
}

bool cyg_conn_cancel_readable(cyg_conn *s) {
    struct conn *c = ours(s);
    return c && cygrt_pd_cancel_record(&c->pd);
}

int cyg_conn_reset_on_close(cyg_conn *s) {
    struct conn *c = ours(s);
    if (!c) return CYG_ENOTSUP;
    int err = fdlock_use(&c->lock);
    if (err) return err;
    struct linger l = {.l_onoff = 1, .l_linger = 0};
    if (c->kind == CONN_PIPE)
        conn_pipe_reset(c);
    else if (setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l) < 0)
        err = -errno;
    conn_unuse(c);
    return err;
}
