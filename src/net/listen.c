/* listen.c: listening sockets. Each is registered with every P's poller, of which the kernel wakes one (EPOLLEXCLUSIVE). */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/spin.h"
#include "net/internal.h"

#define LISTENER_MAGIC 0x4c697374u
#define PAUSE_MIN (10 * CYG_MILLISECOND)
#define PAUSE_MAX (1 * CYG_SECOND)

struct cyg_listener {
    uint32_t magic;
    _Atomic uint32_t refs;
    int fd;
    enum conn_kind kind;
    bool unlink_path;
    cyg_addr addr;
    struct fdlock lock;
    struct cygrt_pd *pd; /* never freed: a late event may name it */
    _Atomic uint64_t accepted, calls, events, pauses;
};

/* Poll descriptors of closed listeners, to be used again. */
static uint32_t pool_lock;
static struct free_pd {
    struct cygrt_pd pd; /* first */
    struct free_pd *next;
} * free_pds;

static struct cygrt_pd *get_pd(void) {
    cyg_spin_lock(&pool_lock);
    struct free_pd *f = free_pds;
    if (f) free_pds = f->next;
    cyg_spin_unlock(&pool_lock);
    return f ? &f->pd : cyg_xcalloc(1, sizeof *f);
}

static void put_pd(struct cygrt_pd *pd) {
    struct free_pd *f = (struct free_pd *)pd;
    cyg_spin_lock(&pool_lock);
    f->next = free_pds;
    free_pds = f;
    cyg_spin_unlock(&pool_lock);
}

static int check_opts(const cyg_listen_opts *o, bool tcp) {
    if (o->fast_open < 0) return cygrt_fail(CYG_EINVAL, "option fast_open: expected a number of connections, or 0");
    if (o->defer_accept < 0 || o->defer_accept > CYG_HOUR)
        return cygrt_fail(CYG_EINVAL, "option defer_accept: expected 1 s to 1 h, or 0");
    if (!tcp && (o->fast_open || o->defer_accept))
        return cygrt_fail(CYG_EINVAL, "fast_open and defer_accept are options of TCP");
    int err = o->conn ? conn_opts_check(o->conn, tcp) : 0;
    return err == CYG_ENOTSUP ? CYG_EINVAL : err;
}

static int set_option(int fd, int level, int name, int value, const char *option) {
    if (setsockopt(fd, level, name, &value, sizeof value) == 0) return 0;
    int err = -errno;
    return cygrt_fail(err, "option %s: %s", option, cyg_strerror(err));
}

/* Those that say so in the detail; accepted sockets inherit what is set here. */
static int set_opts(int fd, bool is_unix, const cyg_listen_opts *o) {
    int err = 0;
    if (!o->no_reuse_address && !is_unix) err = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, "reuse_address");
    if (!err && o->reuse_port) err = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1, "reuse_port");
    if (!err && o->fast_open) err = set_option(fd, IPPROTO_TCP, TCP_FASTOPEN, o->fast_open, "fast_open");
    int seconds = (int)((o->defer_accept + CYG_SECOND - 1) / CYG_SECOND);
    if (!err && seconds) err = set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, seconds, "defer_accept");
    return err || !o->conn ? err : conn_opts_apply(fd, o->conn);
}

static int fail(int err, const struct network *nw, const char *address) {
    return cygrt_fail(err, "listen %s %s: %s", nw->name, address, cyg_strerror(err));
}

static int bind_and_listen(int fd, const cyg_addr *a, const cyg_listen_opts *o) {
    union sockaddr_any sa;
    socklen_t n = addr_to_sockaddr(a, &sa);
    if (bind(fd, &sa.sa, n) < 0) return -errno;
    if (a->family == CYG_AF_UNIX && o->unix_mode && a->path[0] != '@' && chmod(a->path, o->unix_mode) < 0)
        return -errno;
    return listen(fd, o->backlog > 0 ? o->backlog : 4096) < 0 ? -errno : 0;
}

/* A listening socket, or an error with its detail. */
static int open_socket(const struct network *nw, const char *address, cyg_addr *a, const cyg_listen_opts *o) {
    int fd = addr_socket_of(a, nw->kind);
    if (fd == -EAFNOSUPPORT && a->family == CYG_AF_IPV6 && address[0] == ':') { /* ":80" on a machine without IPv6 */
        a->family = CYG_AF_IPV4;
        fd = addr_socket_of(a, nw->kind);
    }
    if (fd < 0) return fail(fd, nw, address);
    int err = set_opts(fd, a->family == CYG_AF_UNIX, o);
    if (!err) {
        if (a->family == CYG_AF_UNIX) addr_remove_stale(a, nw->kind);
        if ((err = bind_and_listen(fd, a, o))) fail(err, nw, address);
    }
    if (!err) return fd;
    close(fd);
    return err;
}

static struct cyg_listener *new_listener(int fd, enum conn_kind kind, const cyg_addr *a) {
    struct cyg_listener *l = cyg_xcalloc(1, sizeof *l);
    l->magic = LISTENER_MAGIC;
    atomic_store(&l->refs, 1);
    l->fd = fd;
    l->kind = kind;
    l->unlink_path = a->family == CYG_AF_UNIX && a->path[0] != '@';
    l->addr = *a;
    l->pd = get_pd();
    return l;
}

int cyg_listen(const char *network, const char *address, const cyg_listen_opts *opts, cyg_listener **out) {
    cyg_listen_opts o = opts ? *opts : (cyg_listen_opts){0};
    cyg_addr a;
    int err = cyg_addr_parse(network, address, &a);
    if (err < 0) return err;
    const struct network *nw = network_find(network);
    if (network_is_packet(nw))
        return cygrt_fail(CYG_EPARSE,
                          "network \"%s\": expected tcp, tcp4, tcp6, unix or unixpacket (datagrams: cyg_listen_packet)",
                          network);
    if ((err = check_opts(&o, nw->kind == CONN_TCP))) return err;
    int fd = open_socket(nw, address, &a, &o);
    if (fd < 0) return fd;
    union sockaddr_any sa;
    socklen_t n = sizeof sa;
    if (nw->kind == CONN_TCP && getsockname(fd, &sa.sa, &n) < 0) {
        err = fail(-errno, nw, address);
        close(fd);
        return err;
    }
    if (nw->kind == CONN_TCP) addr_from_sockaddr(&sa, n, &a);
    struct cyg_listener *l = new_listener(fd, nw->kind, &a);
    if ((err = cygrt_pd_register(l->pd, fd, true)) < 0) {
        put_pd(l->pd);
        close(fd);
        free(l);
        return fail(err, nw, address);
    }
    *out = l;
    return 0;
}

static void finish(struct cyg_listener *l) {
    cygrt_pd_unregister(l->pd, true); /* else the address is taken until pollers that look at the socket let go of it */
    close(l->fd);
    put_pd(l->pd);
    cyg_listener_release(l);
}

static int pause_accepting(struct cyg_listener *l, cyg_duration *pause) {
    atomic_fetch_add_explicit(&l->pauses, 1, memory_order_relaxed);
    cyg_duration d = *pause;
    *pause = d * 2 < PAUSE_MAX ? d * 2 : PAUSE_MAX;
    for (; d > 0; d -= PAUSE_MIN) { /* in short pieces: a close must not wait for the pause */
        int err = cyg_sleep(PAUSE_MIN);
        if (err || (err = cygrt_pd_check(l->pd, CYGRT_READ))) return err;
    }
    return 0;
}

static int accept_one(struct cyg_listener *l, union sockaddr_any *sa, socklen_t *n) {
    cyg_duration pause = PAUSE_MIN;
    for (;;) {
        int err = cygrt_pd_check(l->pd, CYGRT_READ);
        if (err) return err;
        *n = sizeof *sa;
        int fd = accept4(l->fd, &sa->sa, n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        int e = fd < 0 ? errno : 0;
        atomic_fetch_add_explicit(&l->calls, 1, memory_order_relaxed);
        if (fd >= 0) return fd;
        switch (e) {
        case EAGAIN:
            if ((err = cygrt_pd_wait(l->pd, CYGRT_READ))) return err;
            atomic_fetch_add_explicit(&l->events, 1, memory_order_relaxed);
            break;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            if ((err = pause_accepting(l, &pause))) return err;
            break;
        case EINTR:
        case ECONNABORTED:
        case EPROTO:
        case EPERM: /* a firewall rule */
        case ENETDOWN:
        case EHOSTDOWN:
        case ENONET:
        case EHOSTUNREACH:
        case ENETUNREACH:
        case ENOPROTOOPT: break; /* that connection died in the queue: accept(2) */
        default: return -e;
        }
    }
}

int cyg_accept(cyg_listener *l, cyg_conn **out) {
    if (l->magic != LISTENER_MAGIC) cyg_fatal("use of a listener that has been freed, at %p", (void *)l);
    int err = fdlock_acquire(&l->lock, FD_READ);
    if (err) return err;
    union sockaddr_any sa;
    socklen_t n;
    int fd = accept_one(l, &sa, &n);
    enum conn_kind kind = l->kind;
    if (fd >= 0) atomic_fetch_add_explicit(&l->accepted, 1, memory_order_relaxed);
    if (fdlock_release(&l->lock, FD_READ)) finish(l); /* from here on l may be gone */
    if (fd < 0) return fd;
    struct conn *c;
    if ((err = conn_new(fd, kind, &c)) < 0) return err;
    if (kind == CONN_TCP) {
        cyg_addr a;
        addr_from_sockaddr(&sa, n, &a);
        conn_set_peer(c, &a);
    }
    *out = &c->stream;
    return 0;
}

int cyg_listener_set_deadline(cyg_listener *l, cyg_time deadline) {
    int err = fdlock_use(&l->lock);
    if (err) return err;
    cygrt_pd_set_deadline(l->pd, CYGRT_READ, deadline);
    if (fdlock_unuse(&l->lock)) finish(l);
    return 0;
}

void cyg_listener_addr(const cyg_listener *l, cyg_addr *out) { *out = l->addr; }

void cyg_listener_get_stats(const cyg_listener *l, cyg_listener_stats *out) {
    *out = (cyg_listener_stats){
        .accepted_total = atomic_load_explicit(&l->accepted, memory_order_relaxed),
        .accept_calls_total = atomic_load_explicit(&l->calls, memory_order_relaxed),
        .accept_events_total = atomic_load_explicit(&l->events, memory_order_relaxed),
        .pauses_total = atomic_load_explicit(&l->pauses, memory_order_relaxed),
    };
}

static void end(struct cyg_listener *l) {
    if (l->unlink_path) unlink(l->addr.path);
    cygrt_pd_evict(l->pd);
    if (fdlock_unuse(&l->lock)) finish(l);
}

int cyg_listener_close(cyg_listener *l) {
    int err = fdlock_close(&l->lock);
    if (err == 0) {
        cyg_listener_acquire(l); /* for the descriptor, until its last user has left */
        end(l);
    }
    cyg_listener_release(l);
    return err;
}

cyg_listener *cyg_listener_acquire(cyg_listener *l) {
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void cyg_listener_release(cyg_listener *l) {
    if (atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1) return;
    if (fdlock_close(&l->lock) == 0) {
        atomic_store_explicit(&l->refs, 1, memory_order_relaxed);
        end(l);
        return;
    }
    l->magic = 0;
    free(l);
}
