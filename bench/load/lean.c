/* lean: a closed-loop HTTP/1.1 load client that costs less than the servers it drives, so that the server is the bottleneck.
 * Each of CONNS keep-alive connections has one request under way. The size of the first answer is learnt; an answer that
 * comes in one recv of just that size is not looked at beyond its status. Any other goes through a small parser, so answers
 * whose size varies, or that arrive in pieces, cost more but are counted right (they must have a Content-Length).
 *
 * Latency is from before the send to after the recv that completes the answer, in a histogram with 64 steps for each power
 * of two (1.6 % resolution). One clock read a request: an answer's end is the next request's start on that connection.
 * usage: lean [-c CONNS] [-d SECONDS] [-a ADDRESS] [-u PATH] PORT
 * prints one JSON object: requests, seconds, rps, p50_us, p90_us, p99_us, max_us, errors (not 200), reconnects */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES = 8192, RECV_BYTES = 65536, EVENTS = 256, STEP_BITS = 6, STEPS = 1 << STEP_BITS };
enum { HISTOGRAM = (64 - STEP_BITS + 1) * STEPS };

struct client {
    int fd;
    uint64_t asked_at;     /* ns */
    int64_t body_left;     /* bytes of the answer's body to come; -1: its head is not complete */
    size_t head_len;       /* bytes in head */
    char head[HEAD_BYTES]; /* of an answer that came in pieces or in an unexpected size */
};

static struct sockaddr_in target;
static char request[1024], buf[RECV_BYTES];
static size_t request_len, usual_size; /* usual_size 0: not learnt yet */
static uint64_t histogram[HISTOGRAM], requests, errors, reconnects, slowest;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Steps of 1 ns up to 2 * STEPS, then STEPS of them for each power of two; the index is contiguous. */
static void record(uint64_t ns) {
    unsigned shift = ns < STEPS ? 0 : 63u - STEP_BITS - (unsigned)__builtin_clzll(ns);
    histogram[shift * STEPS + (ns >> shift)]++;
    if (ns > slowest) slowest = ns;
}

/* The latency that `share` of the requests did not exceed, in microseconds (the middle of its step). */
static double quantile_us(double share) {
    uint64_t want = (uint64_t)((double)requests * share), seen = 0;
    for (unsigned i = 0; i < HISTOGRAM; i++) {
        unsigned shift = i < 2 * STEPS ? 0 : i / STEPS - 1;
        seen += histogram[i];
        if (seen > want) return ((double)(i - shift * STEPS) + 0.5) * (double)(1ull << shift) / 1000;
    }
    return (double)slowest / 1000;
}

static void ask(struct client *c) {
    c->head_len = 0;
    c->body_left = -1;
    if (send(c->fd, request, request_len, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET) die("send");
}

static void connect_client(struct client *c) {
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&target, sizeof target) < 0) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* The complete head in c->head: its Content-Length, or -1. */
static int64_t content_length(const struct client *c) {
    static const char name[] = "\ncontent-length:";
    for (const char *p = c->head, *stop = c->head + c->head_len; (p = memchr(p, '\n', (size_t)(stop - p))); p++)
        if (strncasecmp(p, name, sizeof name - 1) == 0) return atoll(p + sizeof name - 1);
    return -1;
}

/* Takes n bytes of an answer that is not of the usual size, or not in one piece. True when the answer is complete. */
static bool take_piece(struct client *c, const char *p, size_t n) {
    if (c->body_left < 0) {
        size_t before = c->head_len, keep = n < HEAD_BYTES - 1 - before ? n : HEAD_BYTES - 1 - before;
        memcpy(c->head + before, p, keep);
        c->head[c->head_len = before + keep] = 0;
        char *end = memmem(c->head, c->head_len, "\r\n\r\n", 4);
        if (!end && c->head_len == HEAD_BYTES - 1) exit((fprintf(stderr, "answer head too long\n"), 1));
        if (!end) return false;
        size_t head_size = (size_t)(end + 4 - c->head);
        c->head[c->head_len = head_size] = 0;
        int64_t length = content_length(c);
        if (length < 0) exit((fprintf(stderr, "answer without Content-Length\n"), 1));
        if (!usual_size) usual_size = head_size + (size_t)length;
        if (strncmp(c->head, "HTTP/1.1 200", 12) != 0) errors++;
        c->body_left = length;
        n = before + n - head_size;
    }
    c->body_left -= (int64_t)n;
    if (c->body_left < 0) exit((fprintf(stderr, "more bytes than the answer has\n"), 1));
    return c->body_left == 0;
}

static bool take(struct client *c, const char *p, size_t n) {
    if (n == usual_size && !c->head_len && memcmp(p, "HTTP/1.1 200", 12) == 0) return true;
    return take_piece(c, p, n);
}

static void watch(int epoll, struct client *c) {
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0) die("epoll_ctl");
}

/* The server has closed c between two answers: opens it again, within reason. */
static void reconnect(int epoll, struct client *c) {
    if (++reconnects > 1000 && reconnects > requests)
        exit((fprintf(stderr, "the server closes every connection\n"), 1));
    close(c->fd);
    connect_client(c);
    watch(epoll, c);
    c->asked_at = now_ns();
    ask(c);
}

/* One request on the first connection, so that usual_size is known before the clock starts. */
static void learn(struct client *c) {
    ssize_t n;
    ask(c);
    do {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        if (poll(&p, 1, 5000) != 1) exit((fprintf(stderr, "no answer in 5 s\n"), 1));
        n = recv(c->fd, buf, sizeof buf, 0);
        if (n <= 0) exit((fprintf(stderr, "closed before an answer\n"), 1));
    } while (!take_piece(c, buf, (size_t)n));
}

static void on_ready(int epoll, struct client *c, uint64_t *now) {
    ssize_t n = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) reconnect(epoll, c);
        return;
    }
    if (!take(c, buf, (size_t)n)) {
        if (n == RECV_BYTES) on_ready(epoll, c, now); /* more may be waiting, and no edge will say so */
        return;
    }
    *now = now_ns();
    record(*now - c->asked_at);
    requests++;
    c->asked_at = *now;
    ask(c);
}

static double drive(int epoll, struct client *clients, unsigned conns, double seconds) {
    struct epoll_event ready[EVENTS];
    uint64_t start = now_ns(), now = start, end = start + (uint64_t)(seconds * 1e9);
    for (unsigned i = 0; i < conns; i++) {
        clients[i].asked_at = now_ns();
        ask(&clients[i]);
    }
    while (now < end) {
        int n = epoll_wait(epoll, ready, EVENTS, 50);
        if (n == 0) now = now_ns();
        for (int i = 0; i < n; i++) on_ready(epoll, ready[i].data.ptr, &now);
    }
    return (double)(now - start) / 1e9;
}

int main(int argc, char **argv) {
    const char *address = "127.0.0.1", *path = "/";
    unsigned conns = 64;
    double seconds = 3;
    for (int opt; (opt = getopt(argc, argv, "c:d:a:u:")) != -1;) {
        if (opt == 'c') conns = (unsigned)atoi(optarg);
        if (opt == 'd') seconds = atof(optarg);
        if (opt == 'a') address = optarg;
        if (opt == 'u') path = optarg;
        if (opt == '?') return 2;
    }
    target = (struct sockaddr_in){.sin_family = AF_INET};
    if (optind + 1 != argc || conns == 0 || inet_pton(AF_INET, address, &target.sin_addr) != 1)
        return fprintf(stderr, "usage: lean [-c CONNS] [-d SECONDS] [-a ADDRESS] [-u PATH] PORT\n"), 2;
    target.sin_port = htons((uint16_t)atoi(argv[optind]));
    request_len =
        (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%s\r\n\r\n", path, address, argv[optind]);
    if (request_len >= sizeof request) return fprintf(stderr, "path too long\n"), 2;
    struct client *clients = calloc(conns, sizeof *clients);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!clients || epoll < 0) die("start");
    for (unsigned i = 0; i < conns; i++) connect_client(&clients[i]);
    learn(&clients[0]);
    for (unsigned i = 0; i < conns; i++) watch(epoll, &clients[i]);
    double took = drive(epoll, clients, conns, seconds);
    printf(
        "{\"requests\": %lu, \"seconds\": %.4f, \"rps\": %.0f, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, "
        "\"max_us\": %.1f, \"errors\": %lu, \"reconnects\": %lu}\n",
        requests, took, (double)requests / took, quantile_us(0.5), quantile_us(0.9), quantile_us(0.99),
        (double)slowest / 1000, errors, reconnects);
    return 0;
}
