/* packet.c: datagram sockets: opening them, their options, one datagram at a time. Batches are in packet_batch.c. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/internal.h"

/* Whether the kernel cuts large buffers (Linux 4.18). An older one would ignore the request and send one large datagram. */
static bool can_cut(int fd) {
    int size;
    socklen_t n = sizeof size;
    return !cygrt_debug("nogso") && getsockopt(fd, SOL_UDP, UDP_SEGMENT, &size, &n) == 0;
}

int packet_state_new(int fd, enum conn_kind kind, struct packet_state **out) {
    int domain;
    socklen_t n = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0) return -errno;
    struct packet_state *st = calloc(1, sizeof *st);
    if (!st) return CYG_ENOMEM;
    st->domain = domain;
    atomic_store_explicit(&st->gso, kind == CONN_UDP && can_cut(fd), memory_order_relaxed);
    *out = st;
    return 0;
}

void packet_state_free(struct packet_state *st) {
    if (st->path) unlink(st->path);
    free(st->path);
    free(st);
}

struct conn *packet_conn(cyg_conn *s) {
    struct conn *c = conn_ours(s);
    return c && (c->kind == CONN_UDP || c->kind == CONN_UNIXGRAM) ? c : NULL;
}

/* ---- options ----------------------------------------------------------------------------------------------------------- */

static int set_switch(int fd, int level, int name, bool on, const char *what) {
    int v = on;
    if (setsockopt(fd, level, name, &v, sizeof v) == 0) return 0;
    return cygrt_fail(-errno, "%s: %s", what, cyg_strerror(-errno));
}

static int set_udp_opts(int fd, struct packet_state *st, const cyg_packet_opts *o) {
    bool v6 = st->domain == AF_INET6;
    int err = v6 ? set_switch(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, o->packet_info, "packet_info")
                 : set_switch(fd, IPPROTO_IP, IP_PKTINFO, o->packet_info, "packet_info");
    if (!err) atomic_store_explicit(&st->pktinfo, o->packet_info, memory_order_relaxed);
    if (!err && !v6) err = set_switch(fd, SOL_SOCKET, SO_BROADCAST, o->broadcast, "broadcast");
    if (err) return err;
    /* Joining saves work where there is some to be saved, so a kernel that cannot is no error. */
    bool gro = o->gro && !cygrt_debug("nogro");
    int v = gro;
    bool done = setsockopt(fd, SOL_UDP, UDP_GRO, &v, sizeof v) == 0;
    atomic_store_explicit(&st->gro, gro && done, memory_order_relaxed);
    return 0;
}

int cyg_packet_set_opts(cyg_conn *s, const cyg_packet_opts *o) {
    struct conn *c = packet_conn(s);
    if (!c) return CYG_ENOTSUP;
    int err = fdlock_use(&c->lock);
    if (err) return err;
    err = conn_set_buffers(c->fd, o->recv_buffer_bytes, o->send_buffer_bytes);
    if (!err && c->kind == CONN_UDP) err = set_udp_opts(c->fd, c->packet, o);
    conn_unuse(c);
    return err;
}

int cyg_packet_get_stats(cyg_conn *s, cyg_packet_stats *out) {
    struct conn *c = packet_conn(s);
    if (!c) return CYG_ENOTSUP;
    int err = fdlock_use(&c->lock);
    if (err) return err;
    struct packet_state *st = c->packet;
    uint32_t mem[SK_MEMINFO_VARS] = {0};
    socklen_t n = sizeof mem;
    (void)getsockopt(c->fd, SOL_SOCKET, SO_MEMINFO, mem, &n);
#define VALUE(x) atomic_load_explicit(&st->x, memory_order_relaxed)
    *out = (cyg_packet_stats){
        .received_total = VALUE(received),
        .receive_calls_total = VALUE(receive_calls),
        .truncated_total = VALUE(truncated),
        .joined_total = VALUE(joined),
        .sent_total = VALUE(sent),
        .send_calls_total = VALUE(send_calls),
        .gso_total = VALUE(by_gso),
        .gso_cut_total = VALUE(by_cut),
        .dropped_total = mem[SK_MEMINFO_DROPS],
    };
#undef VALUE
    conn_unuse(c);
    return 0;
}

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

static int bind_packets(int fd, const cyg_addr *a, const cyg_packet_opts *o) {
    int on = 1;
    bool is_unix = a->family == CYG_AF_UNIX, file = is_unix && a->path[0] != '@';
    if (o->reuse_address && !is_unix) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (o->reuse_port && !is_unix) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (is_unix) addr_remove_stale(a, CONN_UNIXGRAM);
    union sockaddr_any sa;
    socklen_t n = addr_to_sockaddr(a, &sa);
    if (bind(fd, &sa.sa, n) < 0) return -errno;
    return file && o->unix_mode && chmod(a->path, o->unix_mode) < 0 ? -errno : 0;
}

static int fail(int err, const char *network, const char *address) {
    return cygrt_fail(err, "listen %s %s: %s", network, address, cyg_strerror(err));
}

static int open_packets(const struct network *nw, const cyg_addr *a, const cyg_packet_opts *o, struct conn **out) {
    int fd = addr_socket_of(a, nw->kind);
    if (fd < 0) return fd;
    int err = bind_packets(fd, a, o);
    if (err) {
        close(fd);
        return err;
    }
    if ((err = conn_new(fd, nw->kind, out))) return err;
    if (a->family == CYG_AF_UNIX && a->path[0] != '@' && !((*out)->packet->path = strdup(a->path))) {
        (void)cyg_close(&(*out)->stream);
        return CYG_ENOMEM;
    }
    return 0;
}

int cyg_listen_packet(const char *network, const char *address, const cyg_packet_opts *opts, cyg_conn **out) {
    cyg_packet_opts o = opts ? *opts : (cyg_packet_opts){0};
    const struct network *nw = network_find(network);
    if (!nw || !network_is_packet(nw))
        return cygrt_fail(CYG_EPARSE, "network \"%.20s\": expected udp, udp4, udp6 or unixgram", network);
    cyg_addr a;
    int err = cyg_addr_parse(network, address, &a);
    if (err) return err;
    struct conn *c;
    err = open_packets(nw, &a, &o, &c);
    if (err == -EAFNOSUPPORT && a.family == CYG_AF_IPV6 && address[0] == ':') { /* ":53" on a machine without IPv6 */
        a.family = CYG_AF_IPV4;
        err = open_packets(nw, &a, &o, &c);
    }
    if (err) return fail(err, network, address);
    if ((err = cyg_packet_set_opts(&c->stream, &o))) {
        (void)cyg_close(&c->stream);
        return err;
    }
    *out = &c->stream;
    return 0;
}

/* ---- one datagram ------------------------------------------------------------------------------------------------------ */

/* An IPv6 socket that takes IPv4, too, wants it mapped. */
socklen_t packet_sockaddr(const struct conn *c, const cyg_addr *a, union sockaddr_any *out) {
    int domain = c->packet->domain;
    if (a->family == CYG_AF_IPV4 && domain == AF_INET6) {
        cyg_addr mapped = {.family = CYG_AF_IPV6, .port = a->port, .ip = {[10] = 0xff, [11] = 0xff}};
        memcpy(mapped.ip + 12, a->ip, 4);
        return addr_to_sockaddr(&mapped, out);
    }
    int family = a->family == CYG_AF_UNIX ? AF_UNIX : a->family == CYG_AF_IPV6 ? AF_INET6 : AF_INET;
    return a->family != CYG_AF_NONE && family == domain ? addr_to_sockaddr(a, out) : 0;
}

/* What is counted or looked up is so by who holds a side: behind that, another goroutine's close may have taken it away. */
struct one {
    struct iovec iov;
    cyg_addr *from;
    const cyg_addr *to;
};

static ssize_t try_receive(struct conn *c, void *arg) {
    struct one *x = arg;
    struct packet_state *st = c->packet;
    if (atomic_load_explicit(&st->gro, memory_order_relaxed)) return packet_joined();
    union sockaddr_any sa;
    struct msghdr msg = {.msg_iov = &x->iov, .msg_iovlen = 1, .msg_name = &sa, .msg_namelen = sizeof sa};
    ssize_t r = recvmsg(c->fd, &msg, MSG_TRUNC);
    if (r < 0) return -errno;
    if (!msg.msg_namelen) sa.sa.sa_family = (sa_family_t)st->domain; /* an unnamed Unix socket */
    if (x->from) addr_from_sockaddr(&sa, msg.msg_namelen, x->from);
    return packet_received(st, r, x->iov.iov_len);
}

ssize_t packet_joined(void) {
    return cygrt_fail(CYG_ESTATE, "a read where GRO joins datagrams: only cyg_packet_recv_batch tells where they end");
}

ssize_t packet_received(struct packet_state *st, ssize_t r, size_t room) {
    bool truncated = (size_t)r > room;
    packet_count(&st->received, 1);
    packet_count(&st->receive_calls, 1);
    if (truncated) packet_count(&st->truncated, 1);
    return truncated ? -EMSGSIZE : r;
}

ssize_t cyg_packet_recv(cyg_conn *s, void *p, size_t n, cyg_addr *from) {
    struct conn *c = packet_conn(s);
    if (!c) return CYG_ENOTSUP;
    struct one x = {.iov = {p, n}, .from = from};
    return conn_retry(c, FD_READ, try_receive, &x, false);
}

static ssize_t try_send(struct conn *c, void *arg) {
    struct one *x = arg;
    union sockaddr_any sa;
    struct msghdr msg = {.msg_iov = &x->iov, .msg_iovlen = 1};
    if (x->to) {
        if (!(msg.msg_namelen = packet_sockaddr(c, x->to, &sa))) return CYG_EINVAL;
        msg.msg_name = &sa;
    }
    ssize_t w = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
    if (w < 0) return errno == ENOTCONN ? -EDESTADDRREQ : -errno; /* what Unix sockets call it */
    packet_count(&c->packet->sent, 1);
    packet_count(&c->packet->send_calls, 1);
    return w;
}

/* A Unix socket that is not dialled counts as writable though the peer's queue is full, and each failed try makes an event: waiting for one
 * would be spinning. */
ssize_t cyg_packet_send(cyg_conn *s, const void *p, size_t n, const cyg_addr *to) {
    struct conn *c = packet_conn(s);
    if (!c) return CYG_ENOTSUP;
    struct one x = {.iov = {(void *)p, n}, .to = to};
    return conn_retry(c, FD_WRITE, try_send, &x, to && c->kind == CONN_UNIXGRAM);
}
