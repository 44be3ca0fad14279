/* conn_fds.c: descriptors over Unix sockets (SCM_RIGHTS). A message that is not whole hands out nothing. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "net/internal.h"

/* Room for the time stamp as well, which conn_new asked for on seqpacket sockets. */
union control {
    struct cmsghdr h;
    char room[CMSG_SPACE(sizeof(struct timeval)) + CMSG_SPACE(CYG_FDS_MAX * sizeof(int))];
};

static struct conn *unix_conn(cyg_conn *s) {
    struct conn *c = conn_ours(s);
    return c && (c->kind == CONN_UNIX || c->kind == CONN_UNIXPACKET || c->kind == CONN_UNIXGRAM) ? c : NULL;
}

/* ---- sending ----------------------------------------------------------------------------------------------------------- */

struct sending {
    const char *p;
    size_t n, at; /* at: bytes that have gone; the first take the descriptors along */
    const int *fds;
    unsigned nfds;
};

static __attribute__((noinline)) ssize_t send_some(struct conn *c, struct sending *x) {
    union control control;
    struct iovec iov = {(char *)x->p + x->at, x->n - x->at};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (x->at == 0 && x->nfds) {
        size_t bytes = x->nfds * sizeof(int);
        memset(&control, 0, CMSG_SPACE(bytes));
        control.h = (struct cmsghdr){.cmsg_len = CMSG_LEN(bytes), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.h), x->fds, bytes);
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(bytes);
    }
    ssize_t w = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
    return w < 0 ? -errno : w;
}

static ssize_t try_send(struct conn *c, void *arg) {
    struct sending *x = arg;
    while (x->at < x->n) {
        ssize_t w = send_some(c, x);
        if (w < 0) return w;
        x->at += (size_t)w;
    }
    return (ssize_t)x->n;
}

ssize_t cyg_conn_send_fds(cyg_conn *s, const void *p, size_t n, const int *fds, unsigned nfds) {
    struct conn *c = unix_conn(s);
    if (!c) return CYG_ENOTSUP;
    if (!n) return cygrt_fail(CYG_EINVAL, "descriptors travel with a byte: n is 0");
    if (nfds > CYG_FDS_MAX)
        return cygrt_fail(CYG_EINVAL, "%u descriptors in one message: at most %d", nfds, CYG_FDS_MAX);
    struct sending x = {.p = p, .n = n, .fds = fds, .nfds = nfds};
    return conn_retry(c, FD_WRITE, try_send, &x, false);
}

/* ---- receiving --------------------------------------------------------------------------------------------------------- */

struct receiving {
    struct iovec iov;
    int *fds;
    unsigned max, n;
};

static void close_all(const int *fds, unsigned n) {
    for (unsigned i = 0; i < n; i++) close(fds[i]);
}

/* What came, at most CYG_FDS_MAX. */
static unsigned collect(struct msghdr *msg, int *fds) {
    unsigned n = 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
        size_t bytes = h->cmsg_len - CMSG_LEN(0);
        memcpy(fds + n, CMSG_DATA(h), bytes);
        n += (unsigned)(bytes / sizeof(int));
    }
    return n;
}

static ssize_t hand_out(struct receiving *x, const int *fds, unsigned n, ssize_t r, bool cut) {
    if (cut || n > x->max) {
        close_all(fds, n);
        if (cut) return cygrt_fail(CYG_ELIMIT, "descriptors came that this process may not have (RLIMIT_NOFILE)");
        return cygrt_fail(CYG_ELIMIT, "%u descriptors came, at most %u are wanted", n, x->max);
    }
    if (r > (ssize_t)x->iov.iov_len) {
        close_all(fds, n);
        return -EMSGSIZE;
    }
    if (n) memcpy(x->fds, fds, n * sizeof *fds);
    x->n = n;
    return r;
}

static __attribute__((noinline)) ssize_t try_receive(struct conn *c, void *arg) {
    struct receiving *x = arg;
    union control control;
    int fds[CYG_FDS_MAX];
    struct msghdr msg = {.msg_iov = &x->iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t r = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC | (c->kind == CONN_UNIX ? 0 : MSG_TRUNC));
    if (r < 0) return -errno;
    bool end = r == 0 && c->kind != CONN_UNIXGRAM && !CMSG_FIRSTHDR(&msg);
    if (end) return CYG_EOF;
    return hand_out(x, fds, collect(&msg, fds), r, msg.msg_flags & MSG_CTRUNC);
}

ssize_t cyg_conn_recv_fds(cyg_conn *s, void *p, size_t n, int *fds, unsigned max, unsigned *nfds) {
    struct conn *c = unix_conn(s);
    if (!c) return CYG_ENOTSUP;
    if (!n) return cygrt_fail(CYG_EINVAL, "descriptors travel with a byte: n is 0");
    if (max > CYG_FDS_MAX) return cygrt_fail(CYG_EINVAL, "%u descriptors of one message: at most %d", max, CYG_FDS_MAX);
    struct receiving x = {.iov = {p, n}, .fds = fds, .max = max};
    ssize_t r = conn_retry(c, FD_READ, try_receive, &x, false);
    if (r >= 0) *nfds = x.n;
    return r;
}
