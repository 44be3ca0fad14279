/* test_options.c: options of connections and listeners, read back from the kernel; bounds; TCP_INFO.
 */
#include "net.h"

#include <linux/tcp.h>
#include <netinet/in.h>

static int value_of(cyg_conn *c, int level, int name) {
    int v = -1;
    socklen_t n = sizeof v;
    CHECK_EQ(getsockopt(net_fd(c), level, name, &v, &n), 0);
    return v;
}

static const cyg_conn_opts all = {
    .no_delay = CYG_OFF,
    .keepalive = CYG_OFF,
    .keepalive_idle = 90 * CYG_SECOND + 1, /* rounded up */
    .keepalive_interval = 7 * CYG_SECOND,
    .keepalive_count = 3,
    .user_timeout = 1500 * CYG_MILLISECOND + 1,
    .notsent_lowat_bytes = 16384,
    .recv_buffer_bytes = 70000,
    .send_buffer_bytes = 90000,
    .congestion = "reno",
};

static void check_all(cyg_conn *c) {
    char name[16] = "";
    socklen_t n = sizeof name;
    CHECK_EQ(value_of(c, IPPROTO_TCP, TCP_NODELAY), 0);
    CHECK_EQ(value_of(c, SOL_SOCKET, SO_KEEPALIVE), 0);
    CHECK_EQ(value_of(c, IPPROTO_TCP, TCP_KEEPIDLE), 91);
    CHECK_EQ(value_of(c, IPPROTO_TCP, TCP_KEEPINTVL), 7);
    CHECK_EQ(value_of(c, IPPROTO_TCP, TCP_KEEPCNT), 3);
    CHECK_EQ(value_of(c, IPPROTO_TCP, TCP_USER_TIMEOUT), 1501);
    CHECK_EQ(value_of(c, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 16384);
    CHECK_EQ(value_of(c, SOL_SOCKET, SO_RCVBUF), 140000); /* the kernel doubles it for its own needs */
    CHECK_EQ(value_of(c, SOL_SOCKET, SO_SNDBUF), 180000);
    CHECK_EQ(getsockopt(net_fd(c), IPPROTO_TCP, TCP_CONGESTION, name, &n), 0);
    CHECK(strcmp(name, "reno") == 0);
}

RT_TEST(test_options_reach_the_socket_and_zero_leaves_it_alone) {
    struct net_pair p;
    net_tcp_pair(&p);
    CHECK_EQ(value_of(p.a, IPPROTO_TCP, TCP_NODELAY), 1); /* ours */
    CHECK_EQ(value_of(p.b, IPPROTO_TCP, TCP_NODELAY), 1);
    CHECK_EQ(value_of(p.b, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_EQ(cyg_conn_set_opts(p.a, &all), 0);
    check_all(p.a);
    CHECK_EQ(cyg_conn_set_opts(p.a, &(cyg_conn_opts){0}), 0);
    check_all(p.a);
    CHECK_EQ(cyg_conn_set_opts(p.a, &(cyg_conn_opts){.no_delay = CYG_ON, .keepalive = CYG_ON}), 0);
    CHECK(value_of(p.a, IPPROTO_TCP, TCP_NODELAY) && value_of(p.a, SOL_SOCKET, SO_KEEPALIVE));
    cyg_conn_acquire(p.a);
    net_close_pair(&p);
    CHECK_EQ(cyg_conn_set_opts(p.a, &all), CYG_ECLOSED);
    cyg_conn_release(p.a);
}

RT_TEST(test_accepted_connections_inherit_the_listeners) {
    cyg_listener *l;
    cyg_conn *c, *a;
    cyg_addr addr;
    char text[CYG_ADDR_STRLEN];
    cyg_listen_opts o = {.conn = &all, .reuse_port = true};
    CHECK_EQ(cyg_listen("tcp", "127.0.0.1:0", &o, &l), 0);
    cyg_listener_addr(l, &addr);
    cyg_addr_format(&addr, text, sizeof text);
    CHECK_EQ(cyg_dial("tcp", text, NULL, &c), 0);
    CHECK_EQ(cyg_accept(l, &a), 0);
    check_all(a);
    CHECK_EQ(value_of(a, SOL_SOCKET, SO_REUSEPORT), 1);
    cyg_listener *second;
    CHECK_EQ(cyg_listen("tcp", text, &o, &second), 0); /* the port is shared */
    CHECK_EQ(cyg_listener_close(second), 0);
    CHECK_EQ(cyg_listen("tcp", text, NULL, &second), -EADDRINUSE);
    CHECK_EQ(cyg_close(a), 0);
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_listener_close(l), 0);
}

RT_TEST(test_values_out_of_bounds_set_nothing) {
    static const struct {
        cyg_conn_opts o;
        const char *says;
    } cases[] = {
        {{.no_delay = (cyg_switch)3}, "no_delay"},
        {{.keepalive = (cyg_switch)7}, "keepalive"},
        {{.keepalive_idle = 32768 * CYG_SECOND}, "keepalive_idle"},
        {{.keepalive_idle = -1}, "keepalive_idle"},
        {{.keepalive_interval = 32768 * CYG_SECOND}, "keepalive_interval"},
        {{.keepalive_count = 128}, "keepalive_count"},
        {{.keepalive_count = -1}, "keepalive_count"},
        {{.user_timeout = ((cyg_duration)INT32_MAX + 1) * CYG_MILLISECOND}, "user_timeout"},
        {{.notsent_lowat_bytes = 1u << 31}, "notsent_lowat_bytes"},
        {{.recv_buffer_bytes = 2047}, "recv_buffer_bytes"},
        {{.send_buffer_bytes = 1u << 30}, "send_buffer_bytes"},
        {{.congestion = ""}, "congestion"},
        {{.congestion = "a-name-of-16-byt"}, "congestion"},
    };
    struct net_pair p;
    cyg_listener *l;
    net_tcp_pair(&p);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cyg_conn_opts o = cases[i].o;
        if (!o.keepalive_count) o.keepalive_count = 55; /* good, but not to be set with the rest */
        CHECK_EQ(cyg_conn_set_opts(p.a, &o), CYG_EINVAL);
        CHECK(strstr(cyg_err_detail(), cases[i].says) != NULL);
        CHECK(value_of(p.a, IPPROTO_TCP, TCP_KEEPCNT) != 55);
        CHECK_EQ(cyg_listen("tcp", "127.0.0.1:0", &(cyg_listen_opts){.conn = &o}, &l), CYG_EINVAL);
    }
    CHECK_EQ(cyg_conn_set_opts(p.a, &(cyg_conn_opts){.congestion = "nosuch", .keepalive_count = 55}), -ENOENT);
    CHECK(strstr(cyg_err_detail(), "nosuch") != NULL);
    CHECK(value_of(p.a, IPPROTO_TCP, TCP_KEEPCNT) != 55);
    net_close_pair(&p);
    net_unix_pair(&p);
    CHECK_EQ(cyg_conn_set_opts(p.a, &(cyg_conn_opts){.no_delay = CYG_ON}), CYG_ENOTSUP);
    CHECK_EQ(cyg_conn_set_opts(p.a, &(cyg_conn_opts){.send_buffer_bytes = 5000}), 0);
    CHECK_EQ(value_of(p.a, SOL_SOCKET, SO_SNDBUF), 10000);
    net_close_pair(&p);
    CHECK_EQ(cyg_listen("tcp", "127.0.0.1:0", &(cyg_listen_opts){.fast_open = -1}, &l), CYG_EINVAL);
    CHECK_EQ(cyg_listen("tcp", "127.0.0.1:0", &(cyg_listen_opts){.defer_accept = 2 * CYG_HOUR}, &l), CYG_EINVAL);
    CHECK_EQ(cyg_listen("unix", "@x", &(cyg_listen_opts){.defer_accept = CYG_SECOND}, &l), CYG_EINVAL);
    CHECK_EQ(cyg_listen("unix", "@x", &(cyg_listen_opts){.conn = &all}, &l), CYG_EINVAL);
}

static int accepted;
static void accepts(void *arg) {
    cyg_conn *c;
    CHECK_EQ(cyg_accept(arg, &c), 0);
    CHECK_EQ(cyg_close(c), 0);
    ADD(accepted, 1);
}

/* Its handshake is complete, but nobody is told before the first bytes. */
RT_TEST(test_deferred_accept_waits_for_bytes) {
    cyg_listener *l;
    cyg_conn *c;
    cyg_addr addr;
    char text[CYG_ADDR_STRLEN];
    CHECK_EQ(cyg_listen("tcp", "127.0.0.1:0", &(cyg_listen_opts){.defer_accept = 30 * CYG_SECOND}, &l), 0);
    cyg_listener_addr(l, &addr);
    cyg_addr_format(&addr, text, sizeof text);
    CHECK_EQ(cyg_dial("tcp", text, NULL, &c), 0);
    CHECK_EQ(cyg_listener_set_deadline(l, cyg_now() + 20 * CYG_MILLISECOND), 0);
    cyg_conn *none;
    CHECK_EQ(cyg_accept(l, &none), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_listener_set_deadline(l, 0), 0);
    STORE(accepted, 0);
    GO(accepts, l);
    CHECK_EQ(cyg_write(c, "x", 1), 1);
    WAIT_FOR(LOAD(accepted) == 1);
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_listener_close(l), 0);
}

/* Whether the kernel lets servers do it is a setting of the machine; that the listener asks for it can be read back. */
RT_TEST(test_fast_open_is_asked_for) {
    cyg_listener *l;
    int fds[2] = {0}, n = 0;
    CHECK_EQ(cyg_listen("tcp", "127.0.0.1:0", &(cyg_listen_opts){.fast_open = 16}, &l), 0);
    cyg_addr addr;
    cyg_listener_addr(l, &addr);
    for (int fd = 3; fd < 200 && n < 2; fd++) { /* the listener's descriptor is its own affair: find it */
        int listening = 0, q = 0;
        socklen_t len = sizeof listening, qlen = sizeof q;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening &&
            getsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &q, &qlen) == 0)
            fds[n++] = q;
    }
    CHECK_EQ(n, 1);
    CHECK_EQ(fds[0], 16);
    CHECK_EQ(cyg_listener_close(l), 0);
}

RT_TEST(test_tcp_info_tells_what_went) {
    struct net_pair p;
    cyg_tcp_info a, b;
    char room[1000];
    net_tcp_pair(&p);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(cyg_write(p.a, room, sizeof room), sizeof room);
        CHECK_EQ(cyg_read_full(p.b, room, sizeof room), sizeof room);
    }
    WAIT_FOR(cyg_conn_tcp_info(p.a, &a) == 0 && a.acked_bytes_total >= 10000);
    CHECK_EQ(cyg_conn_tcp_info(p.b, &b), 0);
    CHECK_EQ(a.state, 1);
    CHECK_EQ(a.sent_bytes_total, 10000);
    CHECK_EQ(b.received_bytes_total, 10000);
    CHECK(a.rtt > 0 && a.rtt < CYG_SECOND && a.rto >= a.rtt);
    CHECK(a.send_mss_bytes >= 536 && a.send_mss_bytes <= a.path_mtu_bytes);
    CHECK(a.congestion_window_segments > 0 && a.sent_segments_total >= 10);
    CHECK(a.retransmitted_total == 0 && a.lost_segments == 0);
    CHECK_EQ(cyg_close(p.b), 0);
    WAIT_FOR(cyg_conn_tcp_info(p.a, &a) == 0 && a.state == 8); /* close-wait: we have not closed yet */
    CHECK_EQ(cyg_close(p.a), 0);
    net_unix_pair(&p);
    CHECK_EQ(cyg_conn_tcp_info(p.a, &a), CYG_ENOTSUP);
    net_close_pair(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_reach_the_socket_and_zero_leaves_it_alone),
        cmocka_unit_test(test_accepted_connections_inherit_the_listeners),
        cmocka_unit_test(test_values_out_of_bounds_set_nothing),
        cmocka_unit_test(test_deferred_accept_waits_for_bytes),
        cmocka_unit_test(test_fast_open_is_asked_for),
        cmocka_unit_test(test_tcp_info_tells_what_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
