/* Sends over a loopback connection through a buffered writer: one mebibyte in pieces, or messages of a head and a body
 * with a flush after each.
 *
 * usage: cygnet pieces PIECE | messages COUNT */
#include <cygnet/cygnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOTAL = 1 << 20, HEAD = 100, BODY = 6000 };

struct receiver {
    cyg_listener *listener;
    cyg_waitgroup done;
    int64_t bytes;
};

static void receive(void *arg) {
    struct receiver *r = arg;
    cyg_auto_conn cyg_conn *c = NULL;
    if (cyg_accept(r->listener, &c) == 0) r->bytes = cyg_copy(cyg_discard(), c, NULL);
    cyg_waitgroup_done(&r->done);
}

static void send_pieces(cyg_bufwriter *w, size_t piece) {
    static const char zeroes[TOTAL];
    for (size_t sent = 0; sent < TOTAL; sent += piece) cyg_bufwriter_write(w, zeroes, piece);
}

static void send_messages(cyg_bufwriter *w, int n) {
    static const char head[HEAD], body[BODY];
    for (int i = 0; i < n; i++) {
        cyg_bufwriter_write(w, head, sizeof head); /* small: into the buffer */
        cyg_bufwriter_write(w, body, sizeof body); /* does not fit: both leave together, the body from where it lies */
        cyg_bufwriter_flush(w);
    }
}

static int run(int argc, char **argv) {
    int n = argc == 3 ? atoi(argv[2]) : 0;
    if (n < 1) return fprintf(stderr, "usage: %s pieces PIECE | messages COUNT\n", argv[0]), 2;
    struct receiver to = {0};
    cyg_conn *c;
    cyg_addr at;
    int err = cyg_listen("tcp", "127.0.0.1:0", NULL, &to.listener);
    if (err < 0) return cyg_fail("listen", err);
    cyg_listener_addr(to.listener, &at);
    cyg_waitgroup_add(&to.done, 1);
    if ((err = cyg_go(receive, &to)) < 0) return cyg_fail("cyg_go", err);
    if ((err = cyg_dial_addr(&at, NULL, &c)) < 0) return cyg_fail("dial", err);

    cyg_auto_bufwriter cyg_bufwriter w;
    cyg_bufwriter_init(&w, c, NULL);
    if (strcmp(argv[1], "pieces") == 0)
        send_pieces(&w, (size_t)n);
    else
        send_messages(&w, n);
    if ((err = cyg_bufwriter_flush(&w)) < 0) return cyg_fail("write", err); /* the first error of them all */
    cyg_close(c);
    if ((err = cyg_waitgroup_wait(&to.done)) < 0) return cyg_fail("wait", err);

    cyg_bufio_totals all;
    cyg_bufio_get_totals(&all);
    printf("bytes received: %lld\n", (long long)to.bytes);
    printf("writes handed down: %llu\n", (unsigned long long)w.stats.calls_total);
    printf("bytes a write: %llu\n", (unsigned long long)(w.stats.bytes_total / w.stats.calls_total));
    printf("bytes copied: %llu\n", (unsigned long long)w.stats.copied_bytes_total);
    printf("times it grew: %llu\n", (unsigned long long)w.stats.grows_total);
    printf("buffers held when idle: %llu\n", (unsigned long long)all.buffers);
    cyg_listener_close(to.listener);
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
