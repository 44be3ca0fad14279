/* packet.h in use: a UDP echo server that answers in batches, and its client on a dialled conn. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/packet.h>
#include <cygnet/runtime.h>

/* Every datagram goes back to its sender, from the address it was sent to. */
static void echo(void *arg) {
    cyg_auto_conn cyg_conn *c = (cyg_conn *)arg;
    static char room[4][1500];
    cyg_packet v[4];
    memset(v, 0, sizeof v);
    for (;;) {
        for (int i = 0; i < 4; i++) {
            v[i].data = room[i];
            v[i].size = sizeof room[i];
        }
        int n = cyg_packet_recv_batch(c, v, 4);
        if (n < 0) return;
        for (int i = 0; i < n; i++) v[i].size = v[i].n;
        if (cyg_packet_send_batch(c, v, (unsigned)n) < n) return;
    }
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_conn *server;
    cyg_auto_conn cyg_conn *c = NULL;
    cyg_packet_opts opts;
    memset(&opts, 0, sizeof opts);
    opts.packet_info = true;
    int err = cyg_listen_packet("udp", "127.0.0.1:0", &opts, &server);
    if (err < 0) return cyg_fail("listen", err);
    cyg_addr addr;
    char text[CYG_ADDR_STRLEN], answer[16];
    cyg_conn_local_addr(server, &addr);
    cyg_addr_format(&addr, text, sizeof text);
    cyg_conn_acquire(server); /* the goroutine below closes its own reference */
    if ((err = cyg_go(echo, server)) < 0) return err;

    if ((err = cyg_dial("udp", text, NULL, &c)) < 0) return cyg_fail("dial", err);
    cyg_set_deadline(c, cyg_now() + 10 * CYG_SECOND);
    if (cyg_write(c, "hello", 5) != 5 || cyg_read(c, answer, sizeof answer) != 5) return 1;
    if (cyg_packet_send(c, "", 0, NULL) != 0 || cyg_packet_recv(c, answer, sizeof answer, NULL) != 0)
        return 2; /* empty ones, too */
    (void)cyg_close(server);
    return 0;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
