/* A server that answers the first message of each client. A goroutine reads the connection and hands messages to the handler, which
 * takes one and is done. Clients send one or two, and leave.
 *
 * leak: the mistake of the Go form. The reader closes the connection at its end, but stands in a send that nobody receives.
 * scope: reader and handler are one group. The handler closes the connection, ends the group, and waits for it.
 *
 * usage: cygnet leak|scope CLIENTS */
#include <cygnet/cygnet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct feed {
    cyg_conn *conn;
    cyg_chan *messages;
};

static _Atomic int woken_by_close, woken_by_cancel;

/* ---- leak -------------------------------------------------------------------------------------------------------- */

static void read_for_ever(void *arg) {
    struct feed *f = arg;
    char byte;
    while (cyg_read(f->conn, &byte, 1) == 1 && cyg_chan_send(f->messages, &byte) == 0) {}
    cyg_close(f->conn);
    cyg_chan_release(f->messages);
}

static void handle_and_leak(void *arg) {
    struct feed f = {arg, cyg_chan_new(1, 0)};
    char byte;
    cyg_chan_acquire(f.messages); /* the reader's */
    if (cyg_go_copy(read_for_ever, &f) == 0 && cyg_chan_recv(f.messages, &byte) == 0) (void)cyg_write(f.conn, &byte, 1);
    cyg_chan_release(f.messages);
}

/* ---- scope ------------------------------------------------------------------------------------------------------- */

static int read_in_scope(void *arg) {
    struct feed *f = arg;
    char byte;
    int err = 0;
    while (err == 0) {
        ssize_t n = cyg_read(f->conn, &byte, 1);
        err = n < 0 ? (int)n : cyg_chan_send(f->messages, &byte);
    }
    if (err == CYG_ECLOSED) atomic_fetch_add(&woken_by_close, 1);
    if (err == CYG_ECANCELED) atomic_fetch_add(&woken_by_cancel, 1);
    return err;
}

static void handle_in_scope(void *arg) {
    struct feed f = {arg, cyg_chan_new(1, 0)};
    char byte;
    cyg_group *g = cyg_group_new(NULL, NULL);
    if (cyg_group_go(g, read_in_scope, &f) == 0 && cyg_chan_recv(f.messages, &byte) == 0)
        (void)cyg_write(f.conn, &byte, 1);
    cyg_close(f.conn);                   /* wakes a reader in cyg_read */
    cyg_ctx_cancel(cyg_group_ctx(g), 0); /* and one in cyg_chan_send */
    cyg_group_wait(g);                   /* f is on this stack: no reader may outlive it, and none does */
    cyg_chan_release(f.messages);
}

/* ---- both -------------------------------------------------------------------------------------------------------- */

static void (*handle)(void *);

static void accept_all(void *arg) {
    for (cyg_conn *c; cyg_accept(arg, &c) == 0;)
        if (cyg_go(handle, c) < 0) cyg_close(c);
}

static int client(const cyg_addr *at, int messages) {
    cyg_auto_conn cyg_conn *c = NULL;
    char byte;
    int err = cyg_dial_addr(at, NULL, &c);
    if (err < 0) return err;
    ssize_t n = cyg_write(c, "ab", (size_t)messages);
    if (n > 0) n = cyg_read(c, &byte, 1);
    return n < 0 ? (int)n : 0;
}

/* Goroutines but for the first two: main and accept_all. */
static uint64_t goroutines_left(void) {
    cyg_runtime_stats s;
    cyg_stats(&s);
    return s.goroutines - 2;
}

static int run(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: %s leak|scope CLIENTS\n", argv[0]), 2;
    bool leak = strcmp(argv[1], "leak") == 0;
    uint64_t clients = strtoul(argv[2], NULL, 10), left = leak ? clients : 0;
    handle = leak ? handle_and_leak : handle_in_scope;
    cyg_listener *l;
    int err = cyg_listen("tcp", "127.0.0.1:0", NULL, &l);
    if (err < 0) return cyg_fail("listen", err);
    if ((err = cyg_go(accept_all, l)) < 0) return cyg_fail("cyg_go", err);
    cyg_addr at;
    cyg_listener_addr(l, &at);
    for (uint64_t i = 0; i < clients; i++)
        if ((err = client(&at, leak || i % 2 ? 2 : 1)) < 0) return cyg_fail("client", err);

    cyg_leak_stats s = {0};
    cyg_time patience = cyg_now() + 20 * CYG_SECOND;
    while (cyg_now() < patience && (goroutines_left() > left || cyg_leaks(-1, 0, &s) < 0 || s.close_wait != left))
        cyg_yield();
    (void)cyg_leaks(2, 0, &s);
    printf("clients served: %llu\n", (unsigned long long)clients);
    printf("goroutines left: %llu\n", (unsigned long long)goroutines_left());
    printf("connections left: %llu\n", (unsigned long long)s.conns);
    cyg_start_site most;
    if (cyg_start_sites(&most, 1) > 0 && most.goroutines > 1) printf("most come from: %s\n", most.site);
    if (!leak) printf("woken by close or cancel: %d\n", atomic_load(&woken_by_close) + atomic_load(&woken_by_cancel));
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
