/* relay: passes TCP connections on to another address, both ways, until both ends have closed. The kernel moves the bytes
 * (splice); they do not pass through this process.  usage: relay 127.0.0.1:7001 127.0.0.1:7000 */
#include <cygnet/cygnet.h>
#include <stdio.h>

static const char *upstream;

static void relay(void *arg) {
    cyg_auto_conn cyg_conn *client = arg;
    cyg_auto_conn cyg_conn *server = NULL;
    int err = cyg_dial("tcp", upstream, &(cyg_dial_opts){.timeout = 5 * CYG_SECOND}, &server);
    if (err < 0) {
        fprintf(stderr, "%s: %s\n", upstream, cyg_strerror(err));
        return;
    }
    cyg_relay(client, server, &(cyg_relay_opts){.idle_timeout = 5 * CYG_MINUTE}, NULL);
}

static int serve(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s ADDRESS:PORT UPSTREAM:PORT\n", argv[0]);
        return 2;
    }
    upstream = argv[2];
    cyg_auto_listener cyg_listener *l = NULL;
    int err = cyg_listen("tcp", argv[1], NULL, &l);
    if (err < 0) return cyg_fail("listen", err);
    for (cyg_conn *c; (err = cyg_accept(l, &c)) == 0;)
        if (cyg_go(relay, c) < 0) cyg_close(c); /* no memory for another goroutine: this client is turned away */
    return cyg_fail("accept", err);
}

int main(int argc, char **argv) { return cyg_main(serve, argc, argv); }
