/* dial.c: connecting, with a deadline. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "net/internal.h"

static int fail(int err, const cyg_addr *to) {
    char text[CYG_ADDR_STRLEN];
    cyg_addr_format(to, text, sizeof text);
    if (err == -EADDRNOTAVAIL)
        return cygrt_fail(err, "dial %s %s: no ephemeral port left for this destination", addr_network(to), text);
    return cygrt_fail(err, "dial %s %s: %s", addr_network(to), text, cyg_strerror(err));
}

static int bind_local(int fd, const char *local) {
    cyg_addr a;
    int err = cyg_addr_parse("tcp", local, &a), on = 1;
    if (err < 0) return err;
    if (!a.port) setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    union sockaddr_any sa;
    socklen_t n = addr_to_sockaddr(&a, &sa);
    return bind(fd, &sa.sa, n) < 0 ? -errno : 0;
}

/* 1: connected; 0: in progress; or -errno. A Unix listener with a full queue says EAGAIN, and there is nothing to wait on. */
static int start(int fd, const cyg_addr *to, cyg_time deadline) {
    union sockaddr_any sa;
    socklen_t n = addr_to_sockaddr(to, &sa);
    for (;;) {
        if (connect(fd, &sa.sa, n) == 0) return 1;
        int e = errno;
        if (e == EINPROGRESS) return 0;
        if (e == EINTR) continue;
        if (e != EAGAIN || to->family != CYG_AF_UNIX) return -e;
        int err = cyg_sleep(CYG_MILLISECOND);
        if (err) return err;
        if (deadline && cyg_now() >= deadline) return CYG_ETIMEDOUT;
    }
}

/* Waits for the outcome of a connect in progress. */
static int finish(struct conn *c, cyg_time deadline) {
    cygrt_pd_set_deadline(&c->pd, CYGRT_WRITE, deadline);
    for (;;) {
        int err = cygrt_pd_wait(&c->pd, CYGRT_WRITE), so = 0;
        if (err) return err;
        socklen_t n = sizeof so;
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &so, &n) < 0) return -errno;
        if (so) return -so;
        union sockaddr_any sa;
        n = sizeof sa;
        if (getpeername(c->fd, &sa.sa, &n) == 0) break;
        if (errno != ENOTCONN) return -errno; /* else woken for no reason: not connected yet */
    }
    cygrt_pd_set_deadline(&c->pd, CYGRT_WRITE, 0);
    return 0;
}

int cyg_dial_addr(const cyg_addr *to, const cyg_dial_opts *opts, cyg_conn **out) {
    cyg_dial_opts o = opts ? *opts : (cyg_dial_opts){0};
    cyg_need_goroutine("cyg_dial");
    cyg_time deadline = o.deadline;
    if (o.timeout > 0) {
        cyg_time t = cyg_now() + o.timeout;
        if (!deadline || t < deadline) deadline = t;
    }
    int fd = addr_socket(to), err = 0;
    if (fd < 0) return fail(fd, to);
    if (o.local) err = bind_local(fd, o.local);
    if (err == 0) err = start(fd, to, deadline);
    if (err < 0) {
        close(fd);
        return fail(err, to);
    }
    bool connected = err;
    struct conn *c;
    if ((err = conn_new(fd, to->family == CYG_AF_UNIX, &c)) < 0) return fail(err, to);
    if (!connected && (err = finish(c, deadline))) {
        (void)cyg_close(&c->stream);
        return fail(err, to);
    }
    if (to->family != CYG_AF_UNIX) conn_set_peer(c, to);
    *out = &c->stream;
    return 0;
}

int cyg_dial(const char *network, const char *address, const cyg_dial_opts *opts, cyg_conn **out) {
    cyg_addr to;
    int err = cyg_addr_parse(network, address, &to);
    if (err < 0) return err;
    const struct network *nw = network_find(network);
    return nw->kind == CONN_TCP || nw->kind == CONN_UNIX ? cyg_dial_addr(&to, opts, out)
                                                         : dial_messages(nw, &to, opts, out);
}
