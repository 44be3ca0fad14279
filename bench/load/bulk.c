/* bulk: both ends of a TCP relay. Sources connect to RELAY_PORT and send MIB in all; what the relay passes on comes back in at
 * SINK_PORT, where it is counted and dropped without being copied (MSG_TRUNC). Each source ends its direction and waits for one
 * byte from its sink, so the time is that of the last byte's arrival. A thread for each source and each sink.
 * Prints "SECONDS BYTES", BYTES as the sinks have counted them.  usage: bulk SINK_PORT RELAY_PORT CONNECTIONS MIB */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 256 << 10, MOST = 256 };

static struct sockaddr_in relay;
static int64_t each, received;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(const char *port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *source(void *arg) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char *block = calloc(1, BLOCK), answer;
    if (fd < 0 || !block || connect(fd, (struct sockaddr *)&relay, sizeof relay) < 0) die("source: connect");
    for (int64_t left = each; left > 0;) {
        ssize_t n = send(fd, block, left < BLOCK ? (size_t)left : BLOCK, MSG_NOSIGNAL);
        if (n <= 0) die("source: send");
        left -= n;
    }
    shutdown(fd, SHUT_WR);
    if (recv(fd, &answer, 1, 0) != 1) die("source: no answer");
    close(fd);
    free(block);
    return arg;
}

static void *sink(void *arg) {
    int fd = (int)(intptr_t)arg;
    int64_t got = 0;
    for (ssize_t n; (n = recv(fd, NULL, 1 << 20, MSG_TRUNC)) != 0; got += n)
        if (n < 0) die("sink: recv");
    __atomic_fetch_add(&received, got, __ATOMIC_RELAXED);
    if (send(fd, "x", 1, MSG_NOSIGNAL) != 1) die("sink: send");
    shutdown(fd, SHUT_WR);
    close(fd);
    return NULL;
}

int main(int argc, char **argv) {
    int conns = argc == 5 ? atoi(argv[3]) : 0, one = 1;
    if (conns < 1 || conns > MOST) return fprintf(stderr, "usage: bulk SINK_PORT RELAY_PORT CONNECTIONS MIB\n"), 2;
    struct sockaddr_in here = loopback(argv[1]);
    relay = loopback(argv[2]);
    each = atoll(argv[4]) * (1 << 20) / conns;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) < 0 || listen(listener, MOST) < 0) die("sink: listen");
    pthread_t sources[MOST], sinks[MOST];
    double began = now();
    for (int i = 0; i < conns; i++)
        if (pthread_create(&sources[i], NULL, source, NULL)) die("pthread_create");
    for (int i = 0; i < conns; i++) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0 || pthread_create(&sinks[i], NULL, sink, (void *)(intptr_t)fd)) die("sink: accept");
    }
    for (int i = 0; i < conns; i++) pthread_join(sources[i], NULL);
    double took = now() - began;
    for (int i = 0; i < conns; i++) pthread_join(sinks[i], NULL);
    printf("%.6f %lld\n", took, (long long)received);
    return received == each * conns ? 0 : 1;
}
