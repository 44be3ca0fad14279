/* An echo server with a goroutine for each connection, and a client of it that opens so many, uses each once and keeps them; then so
 * many goroutines that wait for a channel.
 *
 * usage: cygnet CONNECTIONS GOROUTINES */
#include <cygnet/cygnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void serve(void *arg) {
    cyg_auto_conn cyg_conn *c = arg;
    char buf[256];
    for (ssize_t n; (n = cyg_read(c, buf, sizeof buf)) > 0;)
        if (cyg_write(c, buf, (size_t)n) < 0) break;
}

static void accept_all(void *arg) {
    for (cyg_conn *c; cyg_accept(arg, &c) == 0;)
        if (cyg_go(serve, c) < 0) cyg_close(c);
}

static void wait_for_end(void *ch) { (void)cyg_chan_recv(ch, CYG_NOTHING); }

static long status(const char *key) {
    char line[256];
    long value = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0) value = atol(line + strlen(key));
    if (f) fclose(f);
    return value;
}

static void raise_descriptor_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

static int run(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: %s CONNECTIONS GOROUTINES\n", argv[0]), 2;
    int n = atoi(argv[1]), more = atoi(argv[2]), answered = 0;
    raise_descriptor_limit();
    cyg_listener *l;
    int err = cyg_listen("tcp", "127.0.0.1:0", NULL, &l);
    if (err < 0) return cyg_fail("listen", err);
    if ((err = cyg_go(accept_all, l)) < 0) return cyg_fail("cyg_go", err);
    cyg_addr at;
    cyg_listener_addr(l, &at);
    for (int i = 0; i < n; i++) {
        char byte = 'x';
        cyg_conn *c; /* kept until the end */
        if ((err = cyg_dial_addr(&at, NULL, &c)) < 0) return cyg_fail("dial", err);
        if (cyg_write(c, &byte, 1) == 1) answered += cyg_read(c, &byte, 1) == 1;
    }
    printf("connections answered: %d\n", answered);
    printf("threads: %ld\n", status("Threads:"));
    printf("memory in KiB: %ld\n", status("VmRSS:"));

    cyg_chan *never = cyg_chan_new(0, 0);
    for (int i = 0; i < more; i++)
        if ((err = cyg_go(wait_for_end, never)) < 0) return cyg_fail("cyg_go", err);
    cyg_chan_stats waiting = {0};
    while (waiting.receivers < (size_t)more) cyg_yield(), cyg_chan_get_stats(never, &waiting);
    cyg_runtime_stats s;
    cyg_stats(&s);
    printf("goroutines in the end: %llu\n", (unsigned long long)s.goroutines);
    printf("threads in the end: %ld\n", status("Threads:"));
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
