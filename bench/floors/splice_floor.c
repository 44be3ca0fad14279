/* splice_floor: the least a TCP relay can do: for each client connection one of its own to the upstream, and in each direction
 * a pipe of 1 MiB that the kernel moves bytes through (splice), on edge-triggered epoll. What a relay in relay.py costs above
 * this is what it does besides: scheduling, deadlines, locks, limits.
 *
 * One thread. A descriptor's record stands in a table indexed by the descriptor. The upstream is connected to with a blocking
 * connect: right for a loopback yardstick, wrong for a relay.
 * usage: splice_floor PORT UPSTREAM_PORT      (listens on 127.0.0.1, connects to 127.0.0.1) */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 1 << 20, TABLE = 4096, EVENTS = 256 };

/* A direction is named after the descriptor it reads. */
struct way {
    int to;       /* the other descriptor; 0: not open */
    int pipe[2];  /* read end, write end */
    size_t under; /* bytes in the pipe */
    bool ended;   /* nothing more will be read */
};
static struct way ways[TABLE];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(const char *port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Empties the pipe. Returns false when that would block, or *broken. */
static bool empty(struct way *w, bool *broken) {
    while (w->under) {
        ssize_t n = splice(w->pipe[0], NULL, w->to, NULL, w->under, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n <= 0) {
            *broken = n == 0 || errno != EAGAIN;
            return false;
        }
        w->under -= (size_t)n;
    }
    return true;
}

/* Moves from fd until either side would block. Returns false when the pair is broken. */
static bool carry(int fd) {
    struct way *w = &ways[fd];
    bool broken = false;
    while (empty(w, &broken)) {
        if (w->ended) return true;
        ssize_t n = splice(fd, NULL, w->pipe[1], NULL, MOST, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n < 0) return errno == EAGAIN;
        w->under = (size_t)n;
        w->ended = n == 0;
        if (w->ended) shutdown(w->to, SHUT_WR);
    }
    return !broken;
}

static void add(int epfd, int fd, int to) {
    int one = 1;
    if (fd >= TABLE) die("too many descriptors");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ways[fd] = (struct way){.to = to};
    if (pipe2(ways[fd].pipe, O_NONBLOCK) < 0 || fcntl(ways[fd].pipe[1], F_SETPIPE_SZ, MOST) < 0) die("pipe");
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};
    if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) < 0) die("epoll_ctl");
}

static void end(int fd) {
    close(ways[fd].pipe[0]);
    close(ways[fd].pipe[1]);
    ways[fd].to = 0;
    close(fd);
}

static void on_ready(int fd) {
    int to = ways[fd].to;
    if (!to) return; /* closed with its peer earlier in this batch */
    bool whole = carry(fd) && carry(to);
    if (whole && !(ways[fd].ended && ways[to].ended && !ways[fd].under && !ways[to].under)) return;
    end(fd);
    end(to);
}

static void accept_all(int epfd, int listener, const struct sockaddr_in *upstream) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        int to = socket(AF_INET, SOCK_STREAM, 0);
        if (to < 0 || connect(to, (const struct sockaddr *)upstream, sizeof *upstream) < 0) die("connect");
        fcntl(to, F_SETFL, O_NONBLOCK);
        add(epfd, fd, to);
        add(epfd, to, fd);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: splice_floor PORT UPSTREAM_PORT\n"), 2;
    struct sockaddr_in here = loopback(argv[1]), upstream = loopback(argv[2]);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1, epfd = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) < 0 || listen(listener, 4096) < 0) die("listen");
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener}, evs[EVENTS];
    if (epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &ev) < 0) die("epoll_ctl");
    for (;;) {
        int n = epoll_wait(epfd, evs, EVENTS, -1);
        if (n < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < n; i++) {
            if (evs[i].data.fd == listener)
                accept_all(epfd, listener, &upstream);
            else
                on_ready(evs[i].data.fd);
        }
    }
}
