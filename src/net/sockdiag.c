/* sockdiag.c: see sockdiag.h; here the netlink half. A dump is a request and a series of datagrams, each with many answers. */
#include "base/sys.h"
#include "net/sockdiag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "runtime/sched.h"

#define PIECE 32768     /* of a dump; the kernel fills no more at once */
#define ANSWER_WITHIN 5 /* s; an answer of the kernel's that does not come is an error, not a hang */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

void sockdiag_unmap(struct sockdiag_sock *s) {
    if (s->family != CYG_AF_IPV6 || memcmp(s->local_ip, mapped, 12) != 0) return;
    s->family = CYG_AF_IPV4;
    memmove(s->local_ip, s->local_ip + 12, 4);
    memmove(s->peer_ip, s->peer_ip + 12, 4);
    memset(s->local_ip + 4, 0, 12);
    memset(s->peer_ip + 4, 0, 12);
}

bool sockdiag_matches(const struct sockdiag_query *q, const struct sockdiag_sock *s) {
    if (s->state >= CYG_TCP_STATES || !(q->states >> s->state & 1)) return false;
    if (!q->to) return true;
    return s->peer_port == q->to->port && s->family == (cyg_family)q->to->family &&
           memcmp(s->peer_ip, q->to->ip, s->family == CYG_AF_IPV4 ? 4 : 16) == 0;
}

/* ---- the request ------------------------------------------------------------------------------------------------------- */

/* With a filter of one instruction that compares the peer's address: the kernel then answers with what matches alone. */
struct request {
    struct nlmsghdr head;
    struct inet_diag_req_v2 req;
    uint8_t filter[sizeof(struct nlattr) + sizeof(struct inet_diag_bc_op) + sizeof(struct inet_diag_hostcond) + 16];
};

static void append(struct request *r, size_t *at, const void *p, size_t n) {
    memcpy(r->filter + *at, p, n);
    *at += n;
}

static void add_filter(struct request *r, const cyg_addr *to) {
    size_t ip = to->family == CYG_AF_IPV4 ? 4 : 16, at = 0;
    struct inet_diag_hostcond cond = {
        .family = to->family == CYG_AF_IPV4 ? AF_INET : AF_INET6, .prefix_len = (uint8_t)(ip * 8), .port = to->port};
    /* yes: the end, where a socket is taken; no: behind the end, where it is not. */
    size_t n = sizeof(struct inet_diag_bc_op) + sizeof cond + ip;
    struct inet_diag_bc_op op = {INET_DIAG_BC_D_COND, (uint8_t)n, (uint16_t)(n + 4)};
    struct nlattr attr = {(uint16_t)(sizeof attr + n), INET_DIAG_REQ_BYTECODE};
    append(r, &at, &attr, sizeof attr);
    append(r, &at, &op, sizeof op);
    append(r, &at, &cond, sizeof cond);
    append(r, &at, to->ip, ip);
    r->head.nlmsg_len += (uint32_t)at;
}

static int send_request(int fd, int family, const struct sockdiag_query *q) {
    struct request r = {.head = {.nlmsg_len = offsetof(struct request, filter),
                                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
                        .req = {.sdiag_family = (uint8_t)family, .sdiag_protocol = IPPROTO_TCP}};
    r.req.idiag_states = q->states;
    if (q->to) add_filter(&r, q->to);
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t n = sendto(fd, &r, r.head.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof kernel);
    return n < 0 ? -errno : 0;
}

/* ---- the answer -------------------------------------------------------------------------------------------------------- */

struct dump {
    const struct sockdiag_query *q;
    sockdiag_fn *fn;
    void *arg;
    bool enough, began; /* began: fn has been called */
};

static void see(struct dump *d, const struct nlmsghdr *h) {
    const struct inet_diag_msg *m = NLMSG_DATA(h);
    if (h->nlmsg_len < NLMSG_LENGTH(sizeof *m)) return;
    struct sockdiag_sock s = {.family = m->idiag_family == AF_INET ? CYG_AF_IPV4 : CYG_AF_IPV6,
                              .state = m->idiag_state == 12 ? CYG_TCP_SYN_RECV : m->idiag_state, /* a half of it in the kernel */
                              .local_port = ntohs(m->id.idiag_sport),
                              .peer_port = ntohs(m->id.idiag_dport),
                              .inode = m->idiag_inode};
    size_t n = s.family == CYG_AF_IPV4 ? 4 : 16;
    memcpy(s.local_ip, m->id.idiag_src, n);
    memcpy(s.peer_ip, m->id.idiag_dst, n);
    sockdiag_unmap(&s);
    if (!sockdiag_matches(d->q, &s)) return;
    d->began = true;
    d->enough = !d->fn(&s, d->arg);
}

/* One datagram. 1: more will come; 0: that was the end; or -errno. */
static int take_piece(struct dump *d, void *buf, ssize_t n) {
    unsigned left = (unsigned)n;
    for (struct nlmsghdr *h = buf; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
        if (h->nlmsg_type == NLMSG_DONE) return 0;
        if (h->nlmsg_type == NLMSG_ERROR) {
            const struct nlmsgerr *e = NLMSG_DATA(h);
            return h->nlmsg_len >= NLMSG_LENGTH(sizeof *e) && e->error ? e->error : -EIO;
        }
        if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY) see(d, h);
        if (d->enough) return 0;
    }
    return 1;
}

static int dump_family(struct dump *d, int family, void *buf) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) return -errno;
    struct timeval within = {.tv_sec = ANSWER_WITHIN};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within);
    int err = send_request(fd, family, d->q);
    while (err >= 0) {
        ssize_t n = cyg_sys_recv(fd, buf, PIECE, 0);
        if (n == -EINTR) continue;
        err = n < 0 ? (int)n : n == 0 ? -EIO : take_piece(d, buf, n);
        if (err == 0) break;
    }
    close(fd);
    return err;
}

int sockdiag_each(const struct sockdiag_query *q, sockdiag_fn *fn, void *arg) {
    if (cygrt_debug("nosockdiag")) return sockdiag_each_in_proc(q, fn, arg);
    struct dump d = {q, fn, arg, false, false};
    void *buf = malloc(PIECE);
    if (!buf) return CYG_ENOMEM;
    int err = dump_family(&d, AF_INET, buf);
    if (err == 0 && !d.enough) {
        err = dump_family(&d, AF_INET6, buf);
        if (err == -ENOENT) err = 0; /* a kernel without IPv6 */
    }
    free(buf);
    if (err == 0) return CYG_NETSTAT_NETLINK;
    return d.began ? err : sockdiag_each_in_proc(q, fn, arg);
}
