/* relay_floor: the least a program can do between a client and a server: for each client connection one of its own to the
 * upstream, bytes carried both ways by recv and send on edge-triggered epoll, nothing parsed. What a proxy in proxy.py costs
 * above this is what it does with HTTP: parsing, choosing, pooling, logging.
 *
 * One thread. A descriptor's record stands in a table indexed by the descriptor. All directions read into one buffer; only
 * bytes that the other side would not take at once are copied aside (`held`), and reading from their source stops until they
 * are gone. The upstream is connected to with a blocking connect: right for a loopback yardstick, wrong for a proxy.
 * usage: relay_floor PORT UPSTREAM_PORT      (listens on 127.0.0.1, connects to 127.0.0.1) */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SCRATCH_BYTES = 65536, EVENTS = 256 };

struct side {
    int peer;       /* the other descriptor of the pair; 0: this one is not open */
    bool eof;       /* nothing more will be read from here */
    char *held;     /* bytes on their way to this side that it did not take yet; NULL: none */
    size_t at, end; /* the part of held that is still to be sent */
};

static struct side *sides; /* by descriptor */
static char scratch[SCRATCH_BYTES];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(const char *port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void close_pair(int fd) {
    int peer = sides[fd].peer;
    free(sides[fd].held);
    free(sides[peer].held);
    sides[fd] = sides[peer] = (struct side){0};
    close(fd);
    close(peer);
}

/* Sends p to fd and keeps what it does not take. Returns false when fd is broken. */
static bool give(int fd, const char *p, size_t n) {
    ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
    if (sent == (ssize_t)n) return true;
    if (sent < 0 && errno != EAGAIN) return false;
    struct side *s = &sides[fd];
    s->at = 0;
    s->end = n - (size_t)(sent < 0 ? 0 : sent);
    s->held = malloc(s->end);
    if (!s->held) die("malloc");
    memcpy(s->held, p + n - s->end, s->end);
    return true;
}

/* Carries bytes from fd to its peer until either would block. A recv that did not fill the buffer has emptied the socket;
 * to_the_end reads on nevertheless: after EOF was announced, or when an edge may have passed while the peer was blocked.
 * Returns false when the pair is finished or broken. */
static bool carry(int fd, bool to_the_end) {
    struct side *from = &sides[fd], *to = &sides[from->peer];
    while (!to->held && !from->eof) {
        ssize_t n = recv(fd, scratch, sizeof scratch, 0);
        if (n < 0) return errno == EAGAIN;
        if (n == 0) {
            from->eof = true;
            shutdown(from->peer, SHUT_WR);
            return !to->eof;
        }
        if (!give(from->peer, scratch, (size_t)n)) return false;
        if (n < SCRATCH_BYTES && !to_the_end && !to->held) return true;
    }
    return true;
}

/* fd takes bytes again: sends what it did not take before, then reads on from the other side. */
static bool resume(int fd) {
    struct side *s = &sides[fd];
    while (s->at < s->end) {
        ssize_t n = send(fd, s->held + s->at, s->end - s->at, MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN;
        s->at += (size_t)n;
    }
    free(s->held);
    s->held = NULL;
    return carry(s->peer, true);
}

static void on_ready(int fd, uint32_t events) {
    bool open = true;
    if (!sides[fd].peer) return; /* closed with its peer earlier in this batch */
    if (sides[fd].held && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) open = resume(fd);
    if (open && (events & ~(uint32_t)EPOLLOUT)) open = carry(fd, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
    if (!open) close_pair(fd);
}

static void add(int epoll, int fd, int peer) {
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sides[fd] = (struct side){.peer = peer};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0) die("epoll_ctl");
}

static void accept_all(int listener, int epoll, const struct sockaddr_in *upstream) {
    int client;
    while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (server < 0 || connect(server, (const struct sockaddr *)upstream, sizeof *upstream) < 0)
            die("connect upstream");
        fcntl(server, F_SETFL, O_NONBLOCK);
        add(epoll, client, server);
        add(epoll, server, client);
    }
}

int main(int argc, char **argv) {
    struct epoll_event ready[EVENTS], ev = {.events = EPOLLIN};
    struct rlimit limit;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), epoll = epoll_create1(EPOLL_CLOEXEC),
        on = 1;
    if (argc != 3) return fprintf(stderr, "usage: relay_floor PORT UPSTREAM_PORT\n"), 2;
    struct sockaddr_in here = loopback(argv[1]), upstream = loopback(argv[2]);
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || !(sides = calloc(limit.rlim_cur, sizeof *sides))) die("table");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) < 0 || listen(listener, SOMAXCONN) < 0) die("listen");
    ev.data.fd = listener;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev) < 0) die("epoll_ctl");
    for (;;) {
        int n = epoll_wait(epoll, ready, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd == listener)
                accept_all(listener, epoll, &upstream);
            else
                on_ready(ready[i].data.fd, ready[i].events);
        }
    }
}
