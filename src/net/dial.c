/* dial.c: connecting to one address, with a deadline; a name goes on to dial_race.c. */
#include "net/dial.h"

#include <cygnet/netstat.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "base/spin.h"
#include "net/internal.h"
#include "net/resolver_internal.h"

#define SELF_TRIES 3 /* connections to oneself that are given up before the port counts as closed */

cyg_time dial_deadline(const cyg_dial_opts *o) {
    return dial_earlier(o->deadline, o->timeout > 0 ? cyg_now() + o->timeout : 0);
}

/* ---- errors --------------------------------------------------------------------------------------------------------- */

/* The last count of ports: when they have run out every dial fails, and each may not read the list of all sockets anew. */
static struct {
    uint32_t lock; /* spin lock */
    cyg_time taken;
    cyg_addr to;
    cyg_ports ports;
} counted;

struct count {
    const cyg_addr *to;
    cyg_ports ports;
};

static int count_blocking(void *arg) {
    struct count *c = arg;
    return cyg_ports_to(c->to, &c->ports);
}

static int count_ports(const cyg_addr *to, cyg_ports *out) {
    cyg_time now = cyg_now();
    cyg_spin_lock(&counted.lock);
    bool recent = counted.taken && now - counted.taken < CYG_SECOND && cyg_addr_eq(&counted.to, to);
    *out = counted.ports;
    cyg_spin_unlock(&counted.lock);
    if (recent) return 0;
    struct count c = {.to = to};
    int err = cyg_blocking(count_blocking, &c);
    if (err < 0) return err;
    cyg_spin_lock(&counted.lock);
    counted.taken = now;
    counted.to = *to;
    *out = counted.ports = c.ports;
    cyg_spin_unlock(&counted.lock);
    return 0;
}

/* The kernel says EADDRNOTAVAIL for two things: it has no source address that could be used, or no port for it. */
static int fail_without_source(const cyg_addr *to, const char *text) {
    cyg_ports p;
    int err = -EADDRNOTAVAIL;
    if (count_ports(to, &p) < 0)
        return cygrt_fail(err, "dial %s %s: no source address or port left", addr_network(to), text);
    if (p.used < p.range / 2)
        return cygrt_fail(err, "dial %s %s: no source address for it on this machine (%llu of %llu ports in use)",
                          addr_network(to), text, (unsigned long long)p.used, (unsigned long long)p.range);
    return cygrt_fail(
        err, "dial %s %s: no ephemeral port left: %llu of %llu in use for this destination, %llu in TIME_WAIT",
        addr_network(to), text, (unsigned long long)p.used, (unsigned long long)p.range, (unsigned long long)p.time_wait);
}

static int fail(int err, const cyg_addr *to) {
    char text[CYG_ADDR_STRLEN];
    cyg_addr_format(to, text, sizeof text);
    if (err == -EADDRNOTAVAIL && to->family != CYG_AF_UNIX) return fail_without_source(to, text);
    return cygrt_fail(err, "dial %s %s: %s", addr_network(to), text, cyg_strerror(err));
}

static int fail_local(int err, const cyg_addr *to, const char *local) {
    char text[CYG_ADDR_STRLEN];
    cyg_addr_format(to, text, sizeof text);
    return cygrt_fail(err, "dial %s %s from %s: %s", addr_network(to), text, local, cyg_strerror(err));
}

/* ---- one connection ------------------------------------------------------------------------------------------------- */

static int bind_local(int fd, const char *local) {
    cyg_addr a;
    int err = cyg_addr_parse("tcp", local, &a), on = 1;
    if (err < 0) return err;
    /* Without it the kernel takes a port that no other socket of ours has, whatever the destination; so it can be used for several. */
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

static int connect_once(const cyg_addr *to, const cyg_dial_opts *o, cyg_time deadline, struct conn **out) {
    int fd = addr_socket(to), err = 0;
    if (fd < 0) return fail(fd, to);
    if (o->local && to->family != CYG_AF_UNIX && (err = bind_local(fd, o->local)) < 0) {
        close(fd);
        return fail_local(err, to, o->local);
    }
    if ((err = start(fd, to, deadline)) < 0) {
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
    *out = c;
    return 0;
}

/* A closed port of this machine, in the ephemeral range, may be the very one that the kernel chose for our side: then TCP connects the
 * socket to itself, and whatever is sent comes back. Source: simultaneous open, RFC 9293, 3.5. */
static bool is_to_itself(const struct conn *c) {
    union sockaddr_any here, there;
    socklen_t n = sizeof here, m = sizeof there;
    if (getsockname(c->fd, &here.sa, &n) < 0 || getpeername(c->fd, &there.sa, &m) < 0) return false;
    cyg_addr a, b;
    addr_from_sockaddr(&here, n, &a);
    addr_from_sockaddr(&there, m, &b);
    return cyg_addr_eq(&a, &b);
}

static int dial_one(const cyg_addr *to, const cyg_dial_opts *o, cyg_time deadline, cyg_conn **out) {
    for (int i = 0; i < SELF_TRIES; i++) {
        struct conn *c = NULL;
        int err = connect_once(to, o, deadline, &c);
        if (err < 0) return err;
        if (to->family == CYG_AF_UNIX || !is_to_itself(c)) {
            *out = &c->stream;
            return 0;
        }
        (void)cyg_conn_reset_on_close(&c->stream); /* or it would lie in TIME_WAIT, on that port */
        (void)cyg_close(&c->stream);
    }
    return fail(-ECONNREFUSED, to);
}

int cyg_dial_addr(const cyg_addr *to, const cyg_dial_opts *opts, cyg_conn **out) {
    cyg_dial_opts o = opts ? *opts : (cyg_dial_opts){0};
    cyg_need_goroutine("cyg_dial");
    cyg_time deadline = dial_deadline(&o);
    if (o.attempt_timeout > 0) deadline = dial_earlier(deadline, cyg_now() + o.attempt_timeout);
    return dial_one(to, &o, deadline, out);
}

/* ---- names ---------------------------------------------------------------------------------------------------------- */

cyg_family dial_family(const struct network *nw, const cyg_dial_opts *o) {
    cyg_addr local;
    if (!nw->v6) return CYG_AF_IPV4;
    if (!nw->v4) return CYG_AF_IPV6;
    return o->local && cyg_addr_parse(nw->name, o->local, &local) == 0 ? (cyg_family)local.family : CYG_AF_NONE;
}

/* "name:port". false: not of that form; what cyg_addr_parse says of it stands. */
static bool split_name(const char *address, char host[RES_NAME], uint16_t *port) {
    const char *colon = strrchr(address, ':');
    size_t n = colon ? (size_t)(colon - address) : 0;
    if (n == 0 || n >= RES_NAME || memchr(address, ':', n) || memchr(address, '[', n)) return false;
    unsigned v = 0;
    const char *p = colon + 1;
    if (!*p || strlen(p) > 5) return false;
    for (; *p; p++) {
        if (*p < '0' || *p > '9') return false;
        v = v * 10 + (unsigned)(*p - '0');
    }
    if (v > 65535) return false;
    bool number = strspn(address, "0123456789.") >= n; /* an IP address, written wrongly or of the other family */
    memcpy(host, address, n);
    host[n] = 0;
    *port = (uint16_t)v;
    return !number;
}

/* Connecting a datagram socket waits for nothing, so the first address that the kernel knows a way to is the one. */
static int dial_datagrams(const struct network *nw, const char *host, uint16_t port, const cyg_dial_opts *o, cyg_conn **out) {
    cyg_addr to[8];
    cyg_lookup_opts how = {.family = dial_family(nw, o), .port = port, .deadline = dial_deadline(o)};
    int n = cyg_lookup(o->resolver, host, &how, to, sizeof to / sizeof *to), err = n < 0 ? n : -EHOSTUNREACH;
    for (int i = 0; i < n && err < 0; i++) err = dial_messages(nw, &to[i], o, out);
    return err;
}

int cyg_dial(const char *network, const char *address, const cyg_dial_opts *opts, cyg_conn **out) {
    cyg_dial_opts o = opts ? *opts : (cyg_dial_opts){0};
    cyg_addr to;
    char host[RES_NAME];
    uint16_t port;
    cyg_need_goroutine("cyg_dial");
    int err = cyg_addr_parse(network, address, &to);
    const struct network *nw = network_find(network);
    bool name = nw && (nw->v4 || nw->v6) && split_name(address, host, &port);
    if (name && nw->kind == CONN_TCP)
        return dial_name(nw, address, host, port, &o, out); /* also localhost: it may be [::1], too */
    if (name && err < 0) return dial_datagrams(nw, host, port, &o, out);
    if (err < 0) return err;
    return nw->kind == CONN_TCP || nw->kind == CONN_UNIX ? cyg_dial_addr(&to, &o, out) : dial_messages(nw, &to, &o, out);
}
