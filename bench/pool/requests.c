/* requests: so many requests a second to 127.0.0.1:PORT for so long, each on a goroutine of its own, which takes a connection from a pool
 * whose connections live for LIFE seconds at most, or dials one and closes it when it has its answer (dial). It gives up when ports have been
 * missing 100 times: each try makes the kernel search all of them, for milliseconds.
 *
 * usage: requests pool|dial PORT RATE SECONDS LIFE
 * prints one JSON object and waits for the end of its input before it ends, so that its sockets can be counted */
#include <cygnet/cygnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
    cyg_connpool *pool; /* NULL: dial */
    char address[32];
    uint64_t answers, refused, no_port, other; /* atomic; no_port: EADDRNOTAVAIL, other: any other error */
    cyg_waitgroup all;
} run;

static int ask(cyg_conn *c) {
    static const char question[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    char answer[512];
    (void)cyg_set_deadline(c, cyg_now() + 5 * CYG_SECOND);
    ssize_t n = cyg_write(c, question, sizeof question - 1);
    if (n > 0) n = cyg_read(c, answer, sizeof answer); /* hello_floor answers in one piece */
    return n > 0 ? 0 : (int)n;
}

static int with_pool(void) {
    cyg_pooled_conn *pc;
    int err = cyg_connpool_get(run.pool, cyg_now() + 5 * CYG_SECOND, &pc);
    if (err < 0) return err;
    if ((err = ask(pc->conn)) < 0)
        cyg_connpool_discard(pc, CYG_CONNPOOL_BROKEN);
    else
        cyg_connpool_put(pc);
    return err;
}

static int without(void) {
    cyg_auto_conn cyg_conn *c = NULL;
    int err = cyg_dial("tcp", run.address, &(cyg_dial_opts){.timeout = 5 * CYG_SECOND}, &c);
    return err < 0 ? err : ask(c);
}

static void request(void *arg) {
    (void)arg;
    int err = run.pool ? with_pool() : without();
    uint64_t *count = err == 0                ? &run.answers
                      : err == -EADDRNOTAVAIL ? &run.no_port
                      : err == -ECONNREFUSED  ? &run.refused
                                              : &run.other;
    __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
    cyg_waitgroup_done(&run.all);
}

static void print(double seconds) {
    cyg_connpool_stats s = {0};
    if (run.pool) cyg_connpool_get_stats(run.pool, &s);
    printf("{\"seconds\": %.1f, \"answers\": %llu, \"no_port\": %llu, \"errors\": %llu, \"reuse\": %.6f, \"opens\": "
           "%llu, \"max_life\": %llu}\n",
           seconds, (unsigned long long)run.answers, (unsigned long long)run.no_port,
           (unsigned long long)(run.refused + run.other), cyg_connpool_reuse_ratio(&s),
           (unsigned long long)s.opens_total, (unsigned long long)s.closed_total[CYG_CONNPOOL_MAX_LIFE]);
    fflush(stdout);
}

static int wait_for_end(void *arg) {
    (void)arg;
    char b;
    while (read(0, &b, 1) > 0) {}
    return 0;
}

static int work(int argc, char **argv) {
    if (argc != 6) return fprintf(stderr, "usage: %s pool|dial PORT RATE SECONDS LIFE\n", argv[0]), 2;
    uint64_t rate = strtoull(argv[3], NULL, 10), n = rate * strtoull(argv[4], NULL, 10);
    snprintf(run.address, sizeof run.address, "127.0.0.1:%s", argv[2]);
    cyg_connpool_opts o = {.reset_idle = true, .max_life = (cyg_duration)atoi(argv[5]) * CYG_SECOND};
    int err = argv[1][0] == 'p' ? cyg_connpool_new("tcp", run.address, &o, &run.pool) : 0;
    if (err < 0) return cyg_fail("pool", err);
    cyg_time begin = cyg_now();
    for (uint64_t i = 0; i < n && __atomic_load_n(&run.no_port, __ATOMIC_RELAXED) < 100; i++) {
        cyg_time due = begin + (cyg_time)(i * 1000000000ull / rate);
        if (cyg_now() < due) (void)cyg_sleep(due - cyg_now());
        cyg_waitgroup_add(&run.all, 1);
        if ((err = cyg_go(request, NULL)) < 0) return cyg_fail("cyg_go", err);
    }
    (void)cyg_waitgroup_wait(&run.all);
    print((double)(cyg_now() - begin) / 1e9);
    (void)cyg_blocking(wait_for_end, NULL);
    if (run.pool) cyg_connpool_close(run.pool);
    return 0;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
