/* hello_floor: the least a program can do to answer HTTP/1.1 keep-alive requests on Linux: edge-triggered epoll, one recv
 * and one send a request, a canned answer for every complete head. It looks at nothing but the blank line that ends a head,
 * so what it costs is what the kernel asks; every server in hello.py is compared with it, and it is proxy.py's upstream.
 *
 * Each worker thread owns a listening socket (SO_REUSEPORT), an epoll instance and one receive buffer; workers share nothing
 * that is written except ends_seen, of which each entry belongs to the worker that accepted that descriptor. Requests with a
 * body are not understood. usage: hello_floor PORT [THREADS]      (listens on 127.0.0.1) */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!"
#define ANSWER_BYTES (sizeof ANSWER - 1)

enum { MAX_AT_ONCE = 64, RECV_BYTES = 16384, EVENTS = 256, END_BYTES = 4 };

static const char head_end[] = "\r\n\r\n";
static char answers[MAX_AT_ONCE * ANSWER_BYTES]; /* for pipelined requests; written before the workers start */
static uint8_t *ends_seen;                       /* by descriptor: bytes of head_end that the last recv ended with */
static uint16_t port;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int open_listener(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) die("bind");
    if (listen(fd, SOMAXCONN) < 0) die("listen");
    return fd;
}

/* Counts the heads that end in p[0..n) and remembers in *seen how far into the next terminator the bytes reach. Nothing of
 * the request itself is kept. */
static size_t count_heads(uint8_t *seen, const char *p, size_t n) {
    const char *stop = p + n, *hit;
    size_t heads = 0;
    while (*seen && p < stop) { /* a terminator that the last recv cut in two */
        if (*p != head_end[*seen]) {
            *seen = 0;
        } else if (p++, ++*seen == END_BYTES) {
            *seen = 0;
            heads++;
        }
    }
    while ((hit = memmem(p, (size_t)(stop - p), head_end, END_BYTES))) {
        p = hit + END_BYTES;
        heads++;
    }
    for (size_t k = END_BYTES - 1; k > 0 && *seen == 0; k--)
        if ((size_t)(stop - p) >= k && memcmp(stop - k, head_end, k) == 0) *seen = (uint8_t)k;
    return heads;
}

/* Answers what has arrived. A recv that does not fill the buffer has emptied the socket, so the usual request costs no
 * second recv; last_bytes says that the peer has closed and EOF must be read too. Returns false when fd should be closed. */
static int answer(int fd, char *buf, int last_bytes) {
    for (;;) {
        ssize_t n = recv(fd, buf, RECV_BYTES, 0);
        if (n <= 0) return n < 0 && errno == EAGAIN;
        for (size_t left = count_heads(&ends_seen[fd], buf, (size_t)n); left > 0;) {
            size_t now = left < MAX_AT_ONCE ? left : MAX_AT_ONCE;
            if (send(fd, answers, now * ANSWER_BYTES, MSG_NOSIGNAL) != (ssize_t)(now * ANSWER_BYTES)) return 0;
            left -= now;
        }
        if (n < RECV_BYTES && !last_bytes) return 1;
    }
}

static void accept_all(int listener, int epoll) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        ends_seen[fd] = 0;
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) < 0) die("epoll_ctl");
    }
}

static void *worker(void *unused) {
    static __thread char buf[RECV_BYTES];
    int listener = open_listener(), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ready[EVENTS], ev = {.events = EPOLLIN, .data.fd = listener};
    (void)unused;
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev) < 0) die("epoll");
    for (;;) {
        int n = epoll_wait(epoll, ready, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener)
                accept_all(listener, epoll);
            else if (!answer(fd, buf, ready[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
                close(fd); /* a descriptor stands once in a batch: its number can be used again at once */
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct rlimit limit;
    pthread_t thread;
    if (argc < 2) return fprintf(stderr, "usage: hello_floor PORT [THREADS]\n"), 2;
    port = (uint16_t)atoi(argv[1]);
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) die("getrlimit");
    ends_seen = calloc(limit.rlim_cur, 1);
    if (!ends_seen) die("calloc");
    for (size_t i = 0; i < MAX_AT_ONCE; i++) memcpy(answers + i * ANSWER_BYTES, ANSWER, ANSWER_BYTES);
    for (int more = argc > 2 ? atoi(argv[2]) : 1; more > 1; more--)
        if (pthread_create(&thread, NULL, worker, NULL) != 0) die("pthread_create");
    worker(NULL);
    return 0;
}
