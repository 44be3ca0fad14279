/* packet_batch.c: many datagrams in one system call (recvmmsg, sendmmsg), and many in one buffer (UDP GSO and GRO).
 * The arrays of a call are big, so they live in functions that return before the goroutine parks. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "net/internal.h"

#define BATCH CYG_PACKET_BATCH
#define SEGMENTED_MAX 65535

/* What one message of a batch needs: an address that the kernel writes or reads, and control data: an address and a size. */
struct slot {
    struct iovec iov;
    union sockaddr_any sa;
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
    } control;
};

struct batch {
    struct mmsghdr msgs[BATCH];
    struct slot slots[BATCH];
};

/* ---- receiving ----------------------------------------------------------------------------------------------------------- */

struct receiving {
    cyg_packet *v;
    unsigned n;
};

static void read_control(struct msghdr *m, cyg_packet *p) {
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        const unsigned char *data = CMSG_DATA(h);
        if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo i;
            memcpy(&i, data, sizeof i);
            p->local.family = CYG_AF_IPV4;
            memcpy(p->local.ip, &i.ipi_addr, 4);
            p->ifindex = (uint32_t)i.ipi_ifindex;
        } else if (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo i;
            memcpy(&i, data, sizeof i);
            p->local.family = CYG_AF_IPV6;
            memcpy(p->local.ip, &i.ipi6_addr, 16);
            p->ifindex = i.ipi6_ifindex;
        } else if (h->cmsg_level == SOL_UDP && h->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, data, sizeof size);
            p->segment_bytes = (size_t)size;
        }
    }
}

static void deliver(struct packet_state *st, struct mmsghdr *m, union sockaddr_any *sa, cyg_packet *p) {
    struct msghdr *h = &m->msg_hdr;
    if (!h->msg_namelen) sa->sa.sa_family = (sa_family_t)st->domain; /* an unnamed Unix socket */
    addr_from_sockaddr(sa, h->msg_namelen, &p->peer);
    p->local = (cyg_addr){.family = CYG_AF_NONE};
    p->ifindex = 0;
    p->segment_bytes = 0;
    p->truncated = h->msg_flags & MSG_TRUNC;
    p->n = m->msg_len < p->size ? m->msg_len : p->size;
    read_control(h, p);
    if (p->segment_bytes >= m->msg_len) p->segment_bytes = 0; /* one alone */
    size_t segments = cyg_packet_segments(p, m->msg_len);
    packet_count(&st->received, segments);
    if (segments > 1) packet_count(&st->joined, segments);
    if (p->truncated) packet_count(&st->truncated, 1);
}

static __attribute__((noinline)) ssize_t try_receive(struct conn *c, void *arg) {
    struct receiving *x = arg;
    struct packet_state *st = c->packet;
    struct batch b;
    bool control = atomic_load_explicit(&st->pktinfo, memory_order_relaxed) ||
                   atomic_load_explicit(&st->gro, memory_order_relaxed);
    unsigned n = x->n < BATCH ? x->n : BATCH;
    for (unsigned i = 0; i < n; i++) {
        struct slot *s = &b.slots[i];
        s->iov = (struct iovec){x->v[i].data, x->v[i].size};
        b.msgs[i].msg_hdr = (struct msghdr){.msg_name = &s->sa,
                                            .msg_namelen = sizeof s->sa,
                                            .msg_iov = &s->iov,
                                            .msg_iovlen = 1,
                                            .msg_control = control ? &s->control : NULL,
                                            .msg_controllen = control ? sizeof s->control : 0};
    }
    int got = recvmmsg(c->fd, b.msgs, n, MSG_TRUNC | MSG_CMSG_CLOEXEC, NULL);
    if (got < 0) return -errno;
    packet_count(&st->receive_calls, 1);
    for (int i = 0; i < got; i++) deliver(st, &b.msgs[i], &b.slots[i].sa, &x->v[i]);
    return got;
}

int cyg_packet_recv_batch(cyg_conn *s, cyg_packet *v, unsigned n) {
    struct conn *c = packet_conn(s);
    if (!c) return CYG_ENOTSUP;
    struct receiving x = {v, n};
    return n ? (int)conn_retry(c, FD_READ, try_receive, &x, false) : 0;
}

/* ---- sending ------------------------------------------------------------------------------------------------------------- */

/* How far a batch has come: packet `at`, of which `offset` bytes have gone in pieces that we cut. */
struct sending {
    const cyg_packet *v;
    unsigned n, at;
    size_t offset;
    bool cut; /* the kernel has refused to cut v[at] */
};

static bool is_segmented(const cyg_packet *p) { return p->segment_bytes && p->size > p->segment_bytes; }

static void put_control(struct msghdr *m, struct slot *s, size_t *used, int level, int type, const void *data, size_t n) {
    struct cmsghdr *h = (struct cmsghdr *)(s->control.room + *used);
    memset(h, 0, CMSG_SPACE(n));
    h->cmsg_level = level;
    h->cmsg_type = type;
    h->cmsg_len = CMSG_LEN(n);
    memcpy(CMSG_DATA(h), data, n);
    *used += CMSG_SPACE(n);
    m->msg_control = s->control.room;
    m->msg_controllen = *used;
}

/* The source of a datagram. An IPv6 socket that takes IPv4, too, wants it mapped; of IPv6 it is told so on receipt. */
static int put_source(const struct conn *c, struct msghdr *m, struct slot *s, size_t *used, const cyg_packet *p) {
    if (p->local.family == CYG_AF_NONE && !p->ifindex) return 0;
    union sockaddr_any sa = {0};
    if (p->local.family != CYG_AF_NONE && !packet_sockaddr(c, &p->local, &sa)) return CYG_EINVAL;
    if (c->packet->domain == AF_INET) {
        struct in_pktinfo i = {.ipi_ifindex = (int)p->ifindex};
        memcpy(&i.ipi_spec_dst, p->local.ip, 4);
        put_control(m, s, used, IPPROTO_IP, IP_PKTINFO, &i, sizeof i);
    } else if (c->packet->domain == AF_INET6) {
        struct in6_pktinfo i = {.ipi6_ifindex = p->ifindex};
        struct sockaddr_in6 in6;
        memcpy(&in6, &sa, sizeof in6);
        i.ipi6_addr = in6.sin6_addr;
        put_control(m, s, used, IPPROTO_IPV6, IPV6_PKTINFO, &i, sizeof i);
    } else {
        return CYG_EINVAL;
    }
    return 0;
}

/* One message: what is next of packet p behind offset, all of it unless we cut. Returns 0 or CYG_EINVAL. */
static int put_message(const struct conn *c, struct msghdr *m, struct slot *s, const cyg_packet *p, size_t offset, bool cut) {
    *m = (struct msghdr){.msg_iov = &s->iov, .msg_iovlen = 1};
    s->iov = (struct iovec){(char *)p->data + offset, p->size - offset};
    if (p->peer.family != CYG_AF_NONE) {
        if (!(m->msg_namelen = packet_sockaddr(c, &p->peer, &s->sa))) return CYG_EINVAL;
        m->msg_name = &s->sa;
    }
    size_t used = 0;
    int err = put_source(c, m, s, &used, p);
    if (err || !is_segmented(p)) return err;
    if (c->kind != CONN_UDP || p->size > SEGMENTED_MAX || cyg_packet_segments(p, p->size) > CYG_PACKET_SEGMENTS_MAX)
        return CYG_EINVAL;
    if (cut) {
        if (s->iov.iov_len > p->segment_bytes) s->iov.iov_len = p->segment_bytes;
    } else {
        uint16_t size = (uint16_t)p->segment_bytes;
        put_control(m, s, &used, SOL_UDP, UDP_SEGMENT, &size, sizeof size);
    }
    return 0;
}

static bool cuts(const struct conn *c, const struct sending *x, unsigned at) {
    return (at == x->at && x->cut) || !atomic_load_explicit(&c->packet->gso, memory_order_relaxed);
}

/* Fills b from where x stands. Returns how many messages; 0 with *err if the first cannot be. */
static unsigned fill(const struct conn *c, const struct sending *x, struct batch *b, int *err) {
    unsigned k = 0, at = x->at;
    size_t offset = x->offset;
    while (k < BATCH && at < x->n) {
        const cyg_packet *p = &x->v[at];
        if ((*err = put_message(c, &b->msgs[k].msg_hdr, &b->slots[k], p, offset, cuts(c, x, at)))) break;
        offset += b->slots[k++].iov.iov_len;
        if (offset < p->size) continue;
        at++;
        offset = 0;
    }
    return k;
}

/* The first `sent` messages of b have gone. */
static void advance(struct conn *c, struct sending *x, const struct batch *b, unsigned sent) {
    struct packet_state *st = c->packet;
    packet_count(&st->send_calls, 1);
    for (unsigned i = 0; i < sent; i++) {
        const cyg_packet *p = &x->v[x->at];
        size_t n = b->slots[i].iov.iov_len, segments = 1;
        if (is_segmented(p)) {
            bool whole = x->offset == 0 && n == p->size;
            segments = whole ? cyg_packet_segments(p, n) : 1;
            packet_count(whole ? &st->by_gso : &st->by_cut, segments);
        }
        packet_count(&st->sent, segments);
        x->offset += n;
        if (x->offset < p->size) continue;
        x->at++;
        x->offset = 0;
        x->cut = false;
    }
}

/* Whether an error is the kernel's about cutting: then we do it. A device that cannot checksum (EIO) will not be able to later. */
static bool refuses_to_cut(struct conn *c, struct sending *x, int err) {
    if (x->offset || cuts(c, x, x->at) || !is_segmented(&x->v[x->at])) return false;
    if (err != -EIO && err != -EINVAL && err != -EMSGSIZE && err != -EOPNOTSUPP) return false;
    if (err == -EIO) atomic_store_explicit(&c->packet->gso, false, memory_order_relaxed);
    x->cut = true;
    return true;
}

/* 1: some have gone, or will another way; else the error. */
static __attribute__((noinline)) ssize_t send_some(struct conn *c, struct sending *x) {
    struct batch b;
    int err = 0;
    unsigned k = fill(c, x, &b, &err);
    if (!k) return err;
    int sent = sendmmsg(c->fd, b.msgs, k, MSG_NOSIGNAL);
    if (sent < 0) {
        err = errno == ENOTCONN ? -EDESTADDRREQ : -errno;
        return refuses_to_cut(c, x, err) ? 1 : err;
    }
    advance(c, x, &b, (unsigned)sent);
    return 1;
}

static ssize_t try_send(struct conn *c, void *arg) {
    struct sending *x = arg;
    ssize_t r = 1;
    while (r > 0 && x->at < x->n) r = send_some(c, x);
    return r < 0 ? r : 0;
}

static bool has_peer(const cyg_packet *v, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        if (v[i].peer.family != CYG_AF_NONE) return true;
    return false;
}

int cyg_packet_send_batch(cyg_conn *s, const cyg_packet *v, unsigned n) {
    struct conn *c = packet_conn(s);
    if (!c) return CYG_ENOTSUP;
    if (n > INT32_MAX) return CYG_EINVAL;
    struct sending x = {.v = v, .n = n};
    ssize_t r = n ? conn_retry(c, FD_WRITE, try_send, &x, c->kind == CONN_UNIXGRAM && has_peer(v, n)) : 0;
    return r < 0 && x.at == 0 ? (int)r : (int)x.at;
}
