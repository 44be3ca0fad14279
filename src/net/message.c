/* message.c: reading and writing on connections of messages: one read takes one, one write sends one. */
#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "net/internal.h"

struct message {
    void *p;
    size_t n;
    int flags;
};

/* An empty seqpacket message and the end both read as 0. The kernel stamps messages with the time (conn_new asked for it), the end not. */
static ssize_t receive_in_order(struct conn *c, const struct message *m) {
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(struct timeval))];
    } control;
    struct iovec iov = {m->p, m->n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t r = recvmsg(c->fd, &msg, m->flags | MSG_CMSG_CLOEXEC);
    if (r < 0) return -errno;
    return r == 0 && !CMSG_FIRSTHDR(&msg) ? (ssize_t)CYG_EOF : r;
}

static ssize_t try_receive(struct conn *c, void *arg) {
    const struct message *m = arg;
    if (c->kind == CONN_UNIXPACKET) {
        ssize_t r = receive_in_order(c, m);
        return r > 0 && (m->flags & MSG_TRUNC) && (size_t)r > m->n ? -EMSGSIZE : r;
    }
    if (atomic_load_explicit(&c->packet->gro, memory_order_relaxed)) return packet_joined();
    ssize_t r = cyg_sys_recv(c->fd, m->p, m->n, m->flags);
    return r < 0 || (m->flags & MSG_PEEK) ? r : packet_received(c->packet, r, m->n);
}

static ssize_t message_read(cyg_stream *s, void *p, size_t n) {
    struct message m = {p, n, MSG_TRUNC}; /* the result is the message's own size */
    return n ? conn_retry(conn_own(s), FD_READ, try_receive, &m, false) : 0;
}

static ssize_t message_peek(cyg_stream *s, void *p, size_t n) {
    struct message m = {p, n, MSG_PEEK};
    return n ? conn_retry(conn_own(s), FD_READ, try_receive, &m, false) : 0;
}

static ssize_t try_send(struct conn *c, void *arg) {
    struct msghdr *msg = arg;
    ssize_t w = sendmsg(c->fd, msg, MSG_NOSIGNAL);
    if (w < 0) return errno == ENOTCONN ? -EDESTADDRREQ : -errno; /* what Unix sockets call it */
    if (c->kind != CONN_UNIXPACKET) {
        packet_count(&c->packet->sent, 1);
        packet_count(&c->packet->send_calls, 1);
    }
    return w;
}

static ssize_t message_writev(cyg_stream *s, const struct iovec *iov, int n) {
    struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
    return conn_retry(conn_own(s), FD_WRITE, try_send, &msg, false);
}

static ssize_t message_write(cyg_stream *s, const void *p, size_t n) {
    struct iovec iov = {(void *)p, n};
    return message_writev(s, &iov, 1);
}

#define MESSAGE_OPS(name, end)                                                                                     \
    {                                                                                                              \
        .kind = name, .read = message_read, .write = message_write, .writev = message_writev, .close = conn_close, \
        .close_write = end, .set_deadline = conn_set_deadline, .descriptor = conn_descriptor, .peek = message_peek \
    }
const cyg_stream_ops cyg_unixpacket_ops = MESSAGE_OPS("unixpacket", conn_close_write);
const cyg_stream_ops cyg_udp_ops = MESSAGE_OPS("udp", NULL); /* datagrams have no end */
const cyg_stream_ops cyg_unixgram_ops = MESSAGE_OPS("unixgram", NULL);
