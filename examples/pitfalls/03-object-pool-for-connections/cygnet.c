/* Rounds of 64 requests at once to a server that ends each connection after 50 answers, as servers do. The connections come from a
 * cyg_connpool of 16. One that has been lent before may just have been closed by the server: then the request is sent again, on a new one.
 *
 * usage: cygnet ROUNDS */
#include <cygnet/cygnet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define AT_ONCE 64
#define ANSWERS 50
#define OPEN 16

static cyg_connpool *pool;
static _Atomic long failed, again, open_now, open_most;
static cyg_waitgroup round_ends;

/* ---- the server ---------------------------------------------------------------------------------------------------- */

static void serve(void *arg) {
    cyg_auto_conn cyg_conn *c = arg;
    char byte;
    for (int i = 0; i < ANSWERS && cyg_read(c, &byte, 1) == 1; i++) (void)cyg_write(c, &byte, 1);
}

static void accept_all(void *arg) {
    for (cyg_conn *c; cyg_accept(arg, &c) == 0;)
        if (cyg_go(serve, c) < 0) (void)cyg_close(c);
}

/* ---- the clients --------------------------------------------------------------------------------------------------- */

static int opened(void *arg, cyg_pooled_conn *pc, cyg_time deadline) {
    (void)arg, (void)pc, (void)deadline;
    long n = atomic_fetch_add(&open_now, 1) + 1, most = atomic_load(&open_most);
    while (n > most && !atomic_compare_exchange_weak(&open_most, &most, n)) {}
    return 0;
}
static void closed(void *arg, cyg_pooled_conn *pc, cyg_connpool_why why) {
    (void)arg, (void)pc, (void)why;
    atomic_fetch_sub(&open_now, 1);
}

static int ask(bool fresh, uint64_t *uses) {
    cyg_connpool_ask wish = {.fresh = fresh};
    cyg_pooled_conn *pc;
    int err = cyg_connpool_get_as(pool, &wish, &pc);
    if (err < 0) return err;
    *uses = pc->uses;
    char byte = '?';
    ssize_t n = cyg_write(pc->conn, &byte, 1);
    if (n == 1) n = cyg_read(pc->conn, &byte, 1);
    if (n == 1)
        cyg_connpool_put(pc);
    else
        cyg_connpool_discard(pc, CYG_CONNPOOL_BROKEN);
    return n == 1 ? 0 : (int)n;
}

static void request(void *arg) {
    (void)arg;
    uint64_t uses = 0;
    int err = ask(false, &uses);
    if (err < 0 && uses > 1) {
        atomic_fetch_add(&again, 1);
        err = ask(true, &uses);
    }
    if (err < 0) atomic_fetch_add(&failed, 1);
    cyg_waitgroup_done(&round_ends);
}

static int run(int argc, char **argv) {
    if (argc != 2) return fprintf(stderr, "usage: %s ROUNDS\n", argv[0]), 2;
    long rounds = atol(argv[1]);
    cyg_listener *l;
    int err = cyg_listen("tcp", "127.0.0.1:0", NULL, &l);
    if (err < 0 || (err = cyg_go(accept_all, l)) < 0) return cyg_fail("listen", err);
    cyg_addr at;
    char address[CYG_ADDR_STRLEN];
    cyg_listener_addr(l, &at);
    cyg_addr_format(&at, address, sizeof address);
    err = cyg_connpool_new("tcp", address, &(cyg_connpool_opts){.max_open = OPEN, .open = opened, .close = closed}, &pool);
    if (err < 0) return cyg_fail("pool", err);
    for (long r = 0; r < rounds; r++) {
        cyg_waitgroup_add(&round_ends, AT_ONCE);
        for (int i = 0; i < AT_ONCE; i++)
            if ((err = cyg_go(request, NULL)) < 0) return cyg_fail("cyg_go", err);
        (void)cyg_waitgroup_wait(&round_ends);
    }
    cyg_connpool_stats s;
    cyg_connpool_get_stats(pool, &s);
    printf("requests: %ld\n", rounds * AT_ONCE);
    printf("failed requests: %ld\n", atomic_load(&failed));
    printf("sent again: %ld\n", atomic_load(&again));
    printf("connections opened: %llu\n", (unsigned long long)s.opens_total);
    printf("open at most: %ld\n", atomic_load(&open_most));
    printf("reuse in percent: %d\n", (int)(cyg_connpool_reuse_ratio(&s) * 100));
    (void)cyg_connpool_drain(pool, 0);
    printf("left open: %ld\n", atomic_load(&open_now));
    cyg_connpool_close(pool);
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
