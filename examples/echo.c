/* echo: sends back what it is sent, a goroutine for each connection.  usage: echo 127.0.0.1:7000 */
#include <cygnet/cygnet.h>
#include <stdio.h>

static void echo(void *arg) {
    cyg_auto_conn cyg_conn *c = arg;
    cyg_copy(c, c, NULL);
}

static int serve(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s ADDRESS:PORT\n", argv[0]);
        return 2;
    }
    cyg_auto_listener cyg_listener *l = NULL;
    int err = cyg_listen("tcp", argv[1], NULL, &l);
    if (err < 0) return cyg_fail("listen", err);
    for (cyg_conn *c; (err = cyg_accept(l, &c)) == 0;)
        if (cyg_go(echo, c) < 0) cyg_close(c); /* no memory for another goroutine: this client is turned away */
    return cyg_fail("accept", err);
}

int main(int argc, char **argv) { return cyg_main(serve, argc, argv); }
