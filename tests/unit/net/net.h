/* net.h: pairs of connections and little servers for the tests of net and io. */
#ifndef TESTS_UNIT_NET_H
#define TESTS_UNIT_NET_H

#include "../rt.h"

struct net_pair {
    cyg_conn *a, *b;
};

static inline void net_unix_pair(struct net_pair *p) {
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_EQ(cyg_conn_from_fd(fds[0], &p->a), 0);
    CHECK_EQ(cyg_conn_from_fd(fds[1], &p->b), 0);
}

static inline void net_listen(const char *address, cyg_listener **l, char *text) {
    cyg_addr a;
    CHECK_EQ(cyg_listen("tcp", address, NULL, l), 0);
    cyg_listener_addr(*l, &a);
    cyg_addr_format(&a, text, CYG_ADDR_STRLEN);
}

static inline void net_tcp_pair(struct net_pair *p) {
    char text[CYG_ADDR_STRLEN];
    cyg_auto_listener cyg_listener *l = NULL;
    net_listen("127.0.0.1:0", &l, text);
    CHECK_EQ(cyg_dial("tcp", text, NULL, &p->a), 0); /* the kernel completes it without an accept */
    CHECK_EQ(cyg_accept(l, &p->b), 0);
}

static inline void net_pair_of(int kind, struct net_pair *p) {
    if (kind)
        net_unix_pair(p);
    else
        net_tcp_pair(p);
}

static inline void net_close_pair(struct net_pair *p) {
    CHECK_EQ(cyg_close(p->a), 0);
    CHECK_EQ(cyg_close(p->b), 0);
}

/* An abstract Unix address that no other process has: this test may run twice at once. Valid until seven more were asked for. */
static inline const char *net_name(const char *what) {
    static char names[8][64];
    static unsigned next;
    char *name = names[__atomic_fetch_add(&next, 1, __ATOMIC_RELAXED) % 8];
    snprintf(name, sizeof names[0], "@cygnet-test-%d-%s", (int)getpid(), what);
    return name;
}

static inline int net_fd(cyg_conn *c) { return c->ops->descriptor(c); }

/* Until writes would park. Returns how many bytes went. */
static inline size_t net_fill(cyg_conn *c) {
    char zero[4096] = {0};
    size_t total = 0;
    for (ssize_t n; (n = send(net_fd(c), zero, sizeof zero, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0;) total += (size_t)n;
    return total;
}

/* Until writes park, and go on doing so though nobody reads: TCP's receiver takes some more whenever the kernel gets round to it, so
 * what the socket may hold is made much less than what waits in it. */
static inline void net_fill_for_good(cyg_conn *c) {
    int least = 0;
    net_fill(c);
    CHECK_EQ(setsockopt(net_fd(c), SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
}

/* Steps of everybody else, so that what could happen wrongly has had its chance. */
static inline void net_settle(void) { rt_settle(); }

#endif
