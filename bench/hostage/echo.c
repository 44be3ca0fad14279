/* echo.c: an echo server with hostages: goroutines that keep their threads for as long as the process lives, READS of them in
 * read(2) on FIFOs that nobody writes to, RESOLVES in getaddrinfo with whatever resolver there is (bench/hostage.py gives one that
 * never answers), SPINS in an endless loop. None of them tells the runtime: that is what is measured.
 *
 * usage: echo PORT READS RESOLVES SPINS DIRECTORY      DIRECTORY: where the FIFOs are made
 * Prints "ready" when it accepts and the hostages have lost their Ps (but for one a P, which nothing may wait for); at SIGTERM a dump of all goroutines, then one JSON object of
 * counters, both to standard error. */
#include <cygnet/cygnet.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTLED_WITHIN (20 * CYG_SECOND)

static char *directory;
static _Atomic unsigned held; /* hostages that have begun */

static void must(int err, const char *what) {
    if (err >= 0) return;
    fprintf(stderr, "echo: %s: %s\n", what, cyg_strerror(err));
    exit(1);
}

static void in_read(void *arg) {
    char path[4096], byte;
    snprintf(path, sizeof path, "%s/fifo%ld", directory, (long)(intptr_t)arg);
    int fd = mkfifo(path, 0600) == 0 ? open(path, O_RDWR | O_CLOEXEC) : -1; /* a writer, too: read never sees an end */
    if (fd < 0) must(-errno, path);
    atomic_fetch_add(&held, 1);
    while (read(fd, &byte, 1) < 0) {}
}

static void in_getaddrinfo(void *arg) {
    char name[64];
    snprintf(name, sizeof name, "host%ld.example.net", (long)(intptr_t)arg);
    atomic_fetch_add(&held, 1);
    for (struct addrinfo *found;;)
        if (getaddrinfo(name, NULL, NULL, &found) == 0) freeaddrinfo(found);
}

static void in_loop(void *arg) {
    (void)arg;
    atomic_fetch_add(&held, 1);
    for (volatile unsigned long n = 0;;) n++;
}

static void echo(void *arg) {
    cyg_auto_conn cyg_conn *c = arg;
    char buf[4096];
    for (ssize_t n; (n = cyg_read(c, buf, sizeof buf)) > 0;)
        if (cyg_write(c, buf, (size_t)n) < 0) break;
}

static const cyg_go_opts reads = {.name = "reads"}, resolves = {.name = "resolves"}, spins = {.name = "spins"};

static void accept_all(void *arg) {
    for (cyg_conn *c; cyg_accept(arg, &c) == 0;) must(cyg_go(echo, c), "cyg_go");
}

/* A hostage loses its P only while something waits for it: here this goroutine, in a timer that moves from P to P with it. */
static void settle(unsigned wanted) {
    cyg_runtime_stats st;
    cyg_time end = cyg_now() + SETTLED_WITHIN;
    do {
        must(cyg_sleep(CYG_MILLISECOND), "cyg_sleep");
        cyg_stats(&st);
    } while ((atomic_load(&held) < wanted || st.threads_without_p + cyg_procs() <= wanted) && cyg_now() < end);
    if (atomic_load(&held) < wanted)
        fprintf(stderr, "echo: only %u of %u hostages have begun\n", atomic_load(&held), wanted);
}

static void counters(void) {
    cyg_runtime_stats st;
    cyg_stats(&st);
    fprintf(stderr,
            "{\"threads\": %llu, \"threads_without_p\": %llu, \"retakes_blocked\": %llu, \"retakes_hog\": %llu, "
            "\"retakes_left\": %llu, "
            "\"retakes_limit\": %llu}\n",
            (unsigned long long)st.threads, (unsigned long long)st.threads_without_p,
            (unsigned long long)st.retakes_blocked_total, (unsigned long long)st.retakes_hog_total,
            (unsigned long long)st.retakes_left_total, (unsigned long long)st.retakes_limit_total);
}

static int serve(int argc, char **argv) {
    if (argc != 6) return fprintf(stderr, "usage: %s PORT READS RESOLVES SPINS DIRECTORY\n", argv[0]), 2;
    int n[3] = {atoi(argv[2]), atoi(argv[3]), atoi(argv[4])};
    directory = argv[5];
    char address[64];
    snprintf(address, sizeof address, "127.0.0.1:%s", argv[1]);
    cyg_listener *l;
    must(cyg_listen("tcp", address, NULL, &l), address);
    for (intptr_t i = 0; i < n[0]; i++) must(cyg_go_with(&reads, in_read, (void *)i), "cyg_go");
    for (intptr_t i = 0; i < n[1]; i++) must(cyg_go_with(&resolves, in_getaddrinfo, (void *)i), "cyg_go");
    for (intptr_t i = 0; i < n[2]; i++) must(cyg_go_with(&spins, in_loop, (void *)i), "cyg_go");
    settle((unsigned)(n[0] + n[1] + n[2]));
    must(cyg_go(accept_all, l), "cyg_go");
    puts("ready");
    fflush(stdout);
    must(cyg_signal_wait(CYG_SIGNAL(SIGTERM), 0), "cyg_signal_wait");
    cyg_dump(2);
    counters();
    _exit(0); /* the hostages don't come back */
}

int main(int argc, char **argv) { return cyg_main(serve, argc, argv); }
