/* An echo server with a thread for each connection, and a client of it that opens so many, uses each once and keeps them.
 *
 * usage: plain CONNECTIONS */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void must(int result, const char *what) {
    if (result >= 0) return;
    fprintf(stderr, "plain: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *serve(void *arg) {
    int fd = (int)(intptr_t)arg;
    char buf[256];
    for (ssize_t n; (n = read(fd, buf, sizeof buf)) > 0;)
        if (write(fd, buf, (size_t)n) != n) break;
    close(fd);
    return NULL;
}

static void *accept_all(void *arg) {
    int listener = (int)(intptr_t)arg;
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        pthread_t t;
        must(-pthread_create(&t, NULL, serve, (void *)(intptr_t)fd), "pthread_create");
        pthread_detach(t);
    }
    return NULL;
}

static long status(const char *key) {
    char line[256];
    long value = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0) value = atol(line + strlen(key));
    if (f) fclose(f);
    return value;
}

int main(int argc, char **argv) {
    int n = argc == 2 ? atoi(argv[1]) : 0;
    struct rlimit files;
    must(getrlimit(RLIMIT_NOFILE, &files), "getrlimit");
    files.rlim_cur = files.rlim_max;
    must(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");

    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(listener, (struct sockaddr *)&at, len), "bind");
    must(listen(listener, 1024), "listen");
    must(getsockname(listener, (struct sockaddr *)&at, &len), "getsockname");
    pthread_t acceptor;
    must(-pthread_create(&acceptor, NULL, accept_all, (void *)(intptr_t)listener), "pthread_create");

    int answered = 0;
    for (int i = 0; i < n; i++) {
        char byte = 'x';
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        must(connect(fd, (struct sockaddr *)&at, len), "connect");
        must((int)write(fd, &byte, 1), "write");
        answered += read(fd, &byte, 1) == 1;
    }
    printf("connections answered: %d\n", answered);
    printf("threads: %ld\n", status("Threads:"));
    printf("memory in KiB: %ld\n", status("VmRSS:"));
    fflush(stdout);
    _exit(0);
}
