/* hold: opens COUNT keep-alive HTTP connections, asks once on each, and holds them idle.
 *
 * Connections come from several source addresses of 127.NET.0.0/16, 8,000 from each, so that no address runs out of ports. What it
 * is told on standard input, a line each: "ask" asks once more on every connection, in the order in which they were opened; the end
 * of input ends it. After opening and after each "ask" it prints one JSON object: open (connections that stand), ok (answers with
 * status 200), seconds, p50_us, p99_us, max_us. WINDOW requests are under way at a time.
 *
 * Latency is from a request's send to its answer's recv, which are called in the order of the connections: an answer that is there
 * early waits for those before it, so a large window shows more than the server is to blame for.
 * usage: hold [-c COUNT] [-w WINDOW] [-n NET] PORT */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { PER_SOURCE = 8000, WINDOW_MAX = 1024, PATIENCE_S = 20 };

static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: hold/1\r\nAccept: */*\r\n\r\n";
static int *fds, count = 1000, window = 64, net = 64, port, standing;
static uint32_t *took_us;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A connection of number i, or -1 with a message. */
static int open_one(int i) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(127u << 24 | (unsigned)net << 16 | (unsigned)(1 + i / PER_SOURCE));
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        perror("socket");
        return -1;
    }
    setsockopt(fd, IPPROTO_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience); /* nothing waits for ever */
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) == 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    perror("connect");
    close(fd);
    return -1;
}

/* Whether the answer on fd is a 200; all of it is read, for it comes in one piece. */
static bool answered(int fd) {
    char buf[4096];
    ssize_t n = recv(fd, buf, sizeof buf, 0);
    return n > 12 && memcmp(buf + 9, "200", 3) == 0;
}

/* One request on each of connections from..to-1, all under way at once. Returns how many were answered. */
static int ask(int from, int to) {
    static uint64_t sent[WINDOW_MAX];
    int ok = 0;
    for (int i = from; i < to; i++) {
        sent[i - from] = now_ns();
        if (send(fds[i], request, sizeof request - 1, MSG_NOSIGNAL) < 0) continue;
    }
    for (int i = from; i < to; i++) {
        ok += answered(fds[i]);
        took_us[i] = (uint32_t)((now_ns() - sent[i - from]) / 1000);
    }
    return ok;
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void report(int ok, uint64_t since) {
    double seconds = (double)(now_ns() - since) / 1e9;
    qsort(took_us, (size_t)standing, sizeof *took_us, by_size);
    unsigned p50 = standing ? took_us[standing / 2] : 0, p99 = standing ? took_us[(size_t)standing * 99 / 100] : 0;
    unsigned max = standing ? took_us[standing - 1] : 0;
    printf("{\"open\": %d, \"ok\": %d, \"seconds\": %.3f, \"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u}\n", standing,
           ok, seconds, p50, p99, max);
    fflush(stdout);
}

/* Opens and asks in step with the server: a window of connections at a time, so that its queue never runs over. */
static void open_all(void) {
    uint64_t since = now_ns();
    int ok = 0;
    while (standing < count) {
        int from = standing;
        while (standing < count && standing - from < window && (fds[standing] = open_one(standing)) >= 0) standing++;
        ok += ask(from, standing);
        if (standing < count && standing - from < window) break; /* one could not be opened */
    }
    report(ok, since);
}

static void ask_all(void) {
    uint64_t since = now_ns();
    int ok = 0;
    for (int i = 0; i < standing; i += window) ok += ask(i, i + window < standing ? i + window : standing);
    report(ok, since);
}

int main(int argc, char **argv) {
    for (int c; (c = getopt(argc, argv, "c:w:n:")) != -1;) {
        if (c == 'c') count = atoi(optarg);
        if (c == 'w') window = atoi(optarg);
        if (c == 'n') net = atoi(optarg);
        if (c == '?') return 2;
    }
    if (optind != argc - 1 || count < 1 || window < 1 || window > WINDOW_MAX || net < 1 || net > 255)
        return fprintf(stderr, "usage: hold [-c COUNT] [-w WINDOW of 1 to %d] [-n NET of 1 to 255] PORT\n", WINDOW_MAX), 2;
    port = atoi(argv[optind]);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    fds = calloc((size_t)count, sizeof *fds);
    took_us = calloc((size_t)count, sizeof *took_us);
    if (!fds || !took_us) return perror("calloc"), 1;
    open_all();
    for (char line[64]; fgets(line, sizeof line, stdin);)
        if (strcmp(line, "ask\n") == 0) ask_all();
    return 0;
}
