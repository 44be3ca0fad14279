/* dial_message.c: connecting sockets of messages. A datagram socket is connected at once: the kernel notes the peer. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "net/internal.h"

static int bind_local(int fd, const struct network *nw, const char *local) {
    cyg_addr a;
    int err = cyg_addr_parse(nw->name, local, &a);
    if (err < 0) return err;
    union sockaddr_any sa;
    socklen_t n = addr_to_sockaddr(&a, &sa);
    return bind(fd, &sa.sa, n) < 0 ? -errno : 0;
}

/* A seqpacket listener with a full queue says EAGAIN, and there is nothing to wait on. */
static int connect_to(int fd, const cyg_addr *to, cyg_time deadline) {
    union sockaddr_any sa;
    socklen_t n = addr_to_sockaddr(to, &sa);
    while (connect(fd, &sa.sa, n) < 0) {
        int err = errno;
        if (err == EINTR) continue;
        if (err != EAGAIN) return -err;
        if ((err = cyg_sleep(CYG_MILLISECOND))) return err;
        if (deadline && cyg_now() >= deadline) return CYG_ETIMEDOUT;
    }
    return 0;
}

int dial_messages(const struct network *nw, const cyg_addr *to, const cyg_dial_opts *opts, cyg_conn **out) {
    cyg_dial_opts o = opts ? *opts : (cyg_dial_opts){0};
    cyg_need_goroutine("cyg_dial");
    cyg_time deadline = o.deadline;
    if (o.timeout > 0) {
        cyg_time t = cyg_now() + o.timeout;
        if (!deadline || t < deadline) deadline = t;
    }
    int fd = addr_socket_of(to, nw->kind), err = fd < 0 ? fd : 0;
    if (!err && o.local) err = bind_local(fd, nw, o.local);
    if (!err) err = connect_to(fd, to, deadline);
    struct conn *c;
    if (!err)
        err = conn_new(fd, nw->kind, &c);
    else if (fd >= 0)
        close(fd);
    if (err) {
        char text[CYG_ADDR_STRLEN];
        cyg_addr_format(to, text, sizeof text);
        return err == CYG_EPARSE ? err : cygrt_fail(err, "dial %s %s: %s", nw->name, text, cyg_strerror(err));
    }
    if (nw->kind == CONN_UNIXGRAM && o.local && o.local[0] != '@' && !(c->packet->path = strdup(o.local))) {
        (void)cyg_close(&c->stream);
        return CYG_ENOMEM;
    }
    *out = &c->stream;
    return 0;
}
