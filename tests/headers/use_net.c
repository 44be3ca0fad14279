/* net.h in use: an echo server and its client over loopback. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/net.h>
#include <cygnet/runtime.h>

static void echo(void *arg) {
    cyg_auto_conn cyg_conn *c = (cyg_conn *)arg;
    cyg_copy(c, c, NULL);
}

static void serve(void *arg) {
    cyg_conn *c;
    while (cyg_accept((cyg_listener *)arg, &c) == 0)
        if (cyg_go(echo, c) < 0) (void)cyg_close(c);
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_auto_listener cyg_listener *l = NULL;
    cyg_auto_conn cyg_conn *c = NULL;
    int err = cyg_listen("tcp", "127.0.0.1:0", NULL, &l);
    if (err < 0) return cyg_fail("listen", err);
    if ((err = cyg_go(serve, l)) < 0) return err;

    cyg_addr addr;
    char text[CYG_ADDR_STRLEN], answer[5];
    cyg_listener_addr(l, &addr); /* with the port that the kernel chose */
    cyg_addr_format(&addr, text, sizeof text);
    if ((err = cyg_dial("tcp", text, NULL, &c)) < 0) return cyg_fail("dial", err);
    cyg_set_deadline(c, cyg_now() + 10 * CYG_SECOND);
    if (cyg_write(c, "hello", 5) != 5 || cyg_read_full(c, answer, 5) != 5 || memcmp(answer, "hello", 5) != 0) return 1;
    if (cyg_close_write(c) < 0 || cyg_read(c, answer, 1) != CYG_EOF) return 2; /* half-closed: the echo ends in order */

    cyg_conn_opts opts;
    memset(&opts, 0, sizeof opts); /* what is not named stays as it is */
    opts.user_timeout = 30 * CYG_SECOND;
    cyg_tcp_info info;
    if ((err = cyg_conn_set_opts(c, &opts)) < 0) return cyg_fail("options", err);
    if (cyg_conn_tcp_info(c, &info) < 0 || info.sent_bytes_total != 5) return 3;

    cyg_conn *a, *b; /* both ends in this process */
    if (cyg_conn_pipe(&a, &b) < 0 || cyg_write(a, "x", 1) != 1 || cyg_close(a) < 0) return 4;
    if (cyg_read(b, answer, 1) != 1 || cyg_read(b, answer, 1) != CYG_EOF || cyg_close(b) < 0) return 5;
    return 0;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
