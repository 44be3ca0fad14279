/* paced: an open-loop echo client. A message leaves every 1/RATE s, on the next of CONNS connections, whether or not the answers to
 * those before have come; its latency counts from the moment it was due. So a server that stands still for 10 ms delays every
 * message due in them, as it would delay independent users (a closed loop would see one slow answer: coordinated omission).
 *
 * It asks for real-time priority (SCHED_FIFO), so that what is measured is not its own wait for a CPU, and sleeps between messages.
 * With -b it never sleeps: then it needs a CPU to itself.
 * Latencies stand in a histogram with 64 steps for each power of two (1.6 % resolution).
 * usage: paced [-b] [-c CONNS] [-r RATE] [-d SECONDS] [-w SECONDS] PORT       -w: what comes first and is not counted
 * prints one JSON object: requests, p50_us, p90_us, p99_us, p999_us, max_us, late_us (p99 of how late messages left), lost,
 * real_time (whether it was granted) */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BYTES = 64, STEP_BITS = 6, STEPS = 1 << STEP_BITS, HISTOGRAM = (64 - STEP_BITS + 1) * STEPS, MAX_CONNS = 1024 };
#define SECOND 1000000000ull
#define GIVE_UP (3 * SECOND) /* what has not been answered so long after the end is lost */

struct histogram {
    uint64_t count[HISTOGRAM], n, slowest;
};
/* A message is numbered; it leaves on connection number % conns and its due time follows from the number. */
struct client {
    int fd;
    uint64_t next; /* number of the message whose echo comes next */
    size_t part;   /* bytes of it that are here */
};

static struct client clients[MAX_CONNS];
static struct histogram latency, lateness;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void record(struct histogram *h, uint64_t ns) {
    unsigned shift = ns < STEPS ? 0 : 63u - STEP_BITS - (unsigned)__builtin_clzll(ns);
    h->count[shift * STEPS + (ns >> shift)]++;
    h->n++;
    if (ns > h->slowest) h->slowest = ns;
}

/* What `share` of the recorded did not exceed, in microseconds (the middle of its step). */
static double quantile_us(const struct histogram *h, double share) {
    uint64_t want = (uint64_t)((double)h->n * share), seen = 0;
    for (unsigned i = 0; i < HISTOGRAM; i++) {
        unsigned shift = i < 2 * STEPS ? 0 : i / STEPS - 1;
        seen += h->count[i];
        if (seen > want) return ((double)(i - shift * STEPS) + 0.5) * (double)(1ull << shift) / 1000;
    }
    return (double)h->slowest / 1000;
}

static void connect_all(unsigned conns, const char *port, int ep) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (unsigned i = 0; i < conns; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        clients[i] = (struct client){.fd = fd, .next = i};
        if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = &clients[i]}) < 0)
            die("epoll_ctl");
    }
}

static unsigned conns = 16;
static uint64_t start, warm, interval, received;

static void take(struct client *c) {
    char buf[64 * BYTES];
    ssize_t n = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN)) die("the server hung up");
    uint64_t now = now_ns();
    for (c->part += n > 0 ? (size_t)n : 0; c->part >= BYTES; c->part -= BYTES) {
        uint64_t due = start + c->next * interval;
        if (due >= start + warm) record(&latency, now - due);
        c->next += conns;
        received++;
    }
}

int main(int argc, char **argv) {
    double rate = 4000, seconds = 3, warm_up = 1.5;
    bool busy = false;
    for (int o; (o = getopt(argc, argv, "bc:r:d:w:")) != -1;) {
        if (o == 'b')
            busy = true;
        else if (o == 'c')
            conns = (unsigned)atoi(optarg);
        else if (o == 'r')
            rate = atof(optarg);
        else if (o == 'd')
            seconds = atof(optarg);
        else if (o == 'w')
            warm_up = atof(optarg);
        else
            return 2;
    }
    if (optind + 1 != argc || conns < 1 || conns > MAX_CONNS || rate <= 0)
        return fprintf(stderr, "usage: see the top of paced.c\n"), 2;
    prctl(PR_SET_TIMERSLACK, 1);
    bool real_time = !busy && sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}) == 0;
    int ep = epoll_create1(EPOLL_CLOEXEC);
    if (ep < 0) die("epoll_create1");
    connect_all(conns, argv[optind], ep);
    char message[BYTES] = "paced";
    interval = (uint64_t)(1e9 / rate);
    warm = (uint64_t)(warm_up * 1e9);
    uint64_t messages = (uint64_t)((warm_up + seconds) * rate), sent = 0;
    start = now_ns() + SECOND / 100;
    for (uint64_t now; received < messages && (now = now_ns()) < start + messages * interval + GIVE_UP;) {
        uint64_t due = sent < messages ? start + sent * interval : now + SECOND / 10;
        if (now >= due) {
            if (due >= start + warm) record(&lateness, now - due);
            if (send(clients[sent % conns].fd, message, BYTES, MSG_NOSIGNAL) != BYTES) die("send");
            sent++;
        }
        struct epoll_event ev[64];
        struct timespec wait = {.tv_nsec = !busy && now < due ? (long)(due - now) : 0};
        int n = epoll_pwait2(ep, ev, 64, &wait, NULL);
        for (int i = 0; i < n; i++) take(ev[i].data.ptr);
    }
    printf("{\"requests\": %llu, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": "
           "%.1f, \"late_us\": %.1f, \"lost\": %llu, \"real_time\": %s}\n",
           (unsigned long long)latency.n, quantile_us(&latency, 0.5), quantile_us(&latency, 0.9),
           quantile_us(&latency, 0.99), quantile_us(&latency, 0.999), (double)latency.slowest / 1000,
           quantile_us(&lateness, 0.99), (unsigned long long)(sent - received), real_time ? "true" : "false");
    return 0;
}
