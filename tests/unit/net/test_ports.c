/* test_ports.c: which sockets take a port of which destination, the busiest, trends and the end they lead to: fed with sockets and
 * times; and lines of /proc/net/tcp. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/netstat.h"
#include "net/trend.h"

#define LOW 40000 /* in every sensible ephemeral range */

static struct sockdiag_sock sock(const char *from, unsigned local_port, const char *to, unsigned port, int state) {
    struct sockdiag_sock s = {.family = CYG_AF_IPV4,
                              .state = (uint8_t)state,
                              .local_port = (uint16_t)local_port,
                              .peer_port = (uint16_t)port,
                              .inode = 1};
    assert_int_equal(inet_pton(AF_INET, from, s.local_ip), 1);
    assert_int_equal(inet_pton(AF_INET, to, s.peer_ip), 1);
    return s;
}

static void see(struct ports_look *l, const char *to, unsigned port, unsigned first, unsigned n, int state) {
    for (unsigned i = 0; i < n; i++) {
        struct sockdiag_sock s = sock("10.0.0.1", first + i, to, port, state);
        ports_look_see(l, &s, to[strlen(to) - 1] != '8'); /* 10.0.0.8 is another process's */
    }
}

static void test_ports_are_counted_by_destination(void **state) {
    (void)state;
    cyg_ports p[8];
    struct ports_look *l = ports_look_new();
    assert_non_null(l);
    struct sockdiag_sock inbound = sock("0.0.0.0", LOW + 999, "0.0.0.0", 0, CYG_TCP_LISTEN);
    ports_look_listener(l, &inbound);
    see(l, "10.0.0.2", 3306, LOW, 5, CYG_TCP_ESTABLISHED);
    see(l, "10.0.0.2", 3306, LOW + 10, 4, CYG_TCP_TIME_WAIT);
    see(l, "10.0.0.2", 3307, LOW, 3, CYG_TCP_ESTABLISHED); /* another destination, the same ports */
    see(l, "10.0.0.8", 3307, LOW, 30, CYG_TCP_ESTABLISHED);
    see(l, "10.0.0.9", 50000, LOW + 999, 1, CYG_TCP_ESTABLISHED); /* inbound: a listener's port */
    see(l, "10.0.0.9", 50001, 80, 1, CYG_TCP_ESTABLISHED);        /* no ephemeral port */
    ports_look_publish(l, CYG_SECOND);
    assert_int_equal(cyg_ports_busiest(p, 8), 2);
    assert_int_equal(p[0].to.port, 3306);
    assert_int_equal(p[0].used, 9);
    assert_int_equal(p[0].time_wait, 4);
    assert_int_equal(p[1].to.port, 3307);
    assert_int_equal(p[1].used, 3);
    assert_int_equal(p[1].left, p[1].range - 3);
    assert_true(p[0].left == p[0].range - 9 || p[0].left == p[0].range - 5); /* by tcp_tw_reuse of this machine */
    assert_int_equal(cyg_ports_busiest(p, 1), 1);
    ports_look_free(l);
}

static void test_the_end_is_seen_coming(void **state) {
    (void)state;
    cyg_ports p;
    for (int i = 1; i <= 5; i++) { /* 100 more every 10 s */
        struct ports_look *l = ports_look_new();
        see(l, "10.0.0.3", 80, LOW, 100u * (unsigned)i, CYG_TCP_ESTABLISHED);
        ports_look_publish(l, i * 10 * CYG_SECOND);
        ports_look_free(l);
        assert_int_equal(cyg_ports_busiest(&p, 1), 1);
        if (i < 3) assert_true(p.used_per_second == 0 && p.exhausted_in == 0);
    }
    assert_float_equal(p.used_per_second, 10, 0.001);
    assert_float_equal((double)p.exhausted_in / 1e9, (double)p.left / 10, 0.1);
    struct ports_look *l = ports_look_new(); /* all closed, and what is left no process's: no end in sight */
    struct sockdiag_sock waits = sock("10.0.0.1", LOW, "10.0.0.3", 80, CYG_TCP_TIME_WAIT);
    ports_look_see(l, &waits, false);
    ports_look_publish(l, 60 * CYG_SECOND);
    ports_look_publish(l, 70 * CYG_SECOND);
    ports_look_publish(l, 80 * CYG_SECOND);
    ports_look_free(l);
    assert_int_equal(cyg_ports_busiest(&p, 1), 1);
    assert_true(p.used_per_second < 0);
    assert_int_equal(p.exhausted_in, 0);
}

static void test_more_destinations_than_are_kept(void **state) {
    (void)state;
    static cyg_ports p[100];
    char to[INET_ADDRSTRLEN];
    struct ports_look *l = ports_look_new();
    for (unsigned i = 0; i < 5000; i++) { /* more than are looked at, too */
        snprintf(to, sizeof to, "10.%u.%u.1", 1 + i / 250, i % 250);
        see(l, to, 80, LOW, i < 200 ? i % 100 + 1 : 1, CYG_TCP_ESTABLISHED);
    }
    ports_look_publish(l, CYG_SECOND);
    ports_look_free(l);
    assert_int_equal(cyg_ports_busiest(p, 100), 64);
    for (unsigned i = 0; i < 64; i++) assert_int_equal(p[i].used, 100 - i / 2);
}

static void test_a_trend_is_a_line_through_the_last_samples(void **state) {
    (void)state;
    struct trend t = {0};
    trend_add(&t, 0, 1000);
    trend_add(&t, 10 * CYG_SECOND, 1000);
    assert_float_equal(trend_slope(&t), 0, 0);
    for (int i = 0; i < 40; i++) trend_add(&t, (20 + i) * CYG_SECOND, 1000 - 3 * i);
    assert_int_equal(t.n, TREND_SAMPLES);
    assert_float_equal(trend_slope(&t), -3, 1e-6);
    trend_add(&t, 59 * CYG_SECOND + CYG_MILLISECOND, 7);
    trend_add(&t, 59 * CYG_SECOND + 2 * CYG_MILLISECOND, 0); /* in place of the one just before it */
    assert_int_equal(t.n, TREND_SAMPLES);
    assert_float_equal(t.value[TREND_SAMPLES - 1], 0, 0);
    assert_float_equal(t.value[TREND_SAMPLES - 2], 1000 - 3 * 39, 0);
    trend_add(&t, 59 * CYG_SECOND + 3 * TREND_MEMORY, 5); /* all else is too old */
    assert_int_equal(t.n, 1);
    assert_float_equal(trend_slope(&t), 0, 0);
}

static void test_lines_of_proc_net_tcp(void **state) {
    (void)state;
    struct sockdiag_sock s;
    uint8_t ip[16];
    assert_true(sockdiag_parse_line("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000"
                                    "        0 2471105 1 0000000000000000 100 0 0 10 0",
                                    false, &s));
    assert_int_equal(s.state, CYG_TCP_LISTEN);
    assert_int_equal(s.local_port, 8080);
    assert_int_equal(s.inode, 2471105);
    inet_pton(AF_INET, "127.0.0.1", ip);
    assert_memory_equal(s.local_ip, ip, 4);
    assert_true(sockdiag_parse_line("  12: 0100007F:AD8A 0200007F:1F90 06 00000000:00000000 03:000016A4 00000000     0"
                                    "        0 0 3 0000000000000000",
                                    false, &s));
    assert_int_equal(s.state, CYG_TCP_TIME_WAIT);
    assert_int_equal(s.inode, 0);
    inet_pton(AF_INET, "127.0.0.2", ip);
    assert_memory_equal(s.peer_ip, ip, 4);
    assert_true(
        sockdiag_parse_line("   3: B80D01200000000067452301EFCDAB89:1F90 00000000000000000000000001000000:C001 08"
                            " 00000000:00000001 00:00000000 00000000     0        0 77 1 0000000000000000 20 4",
                            true, &s));
    inet_pton(AF_INET6, "2001:db8::123:4567:89ab:cdef", ip);
    assert_int_equal(s.family, CYG_AF_IPV6);
    assert_memory_equal(s.local_ip, ip, 16);
    /* IPv4 in an IPv6 socket, and the kernel's own name for half a connection */
    assert_true(
        sockdiag_parse_line("   3: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000200007F:C001 0C"
                            " 00000000:00000000 00:00000000 00000000     0        0 0 1 0000000000000000 20 4",
                            true, &s));
    assert_int_equal(s.family, CYG_AF_IPV4);
    assert_int_equal(s.state, CYG_TCP_SYN_RECV);
    inet_pton(AF_INET, "127.0.0.2", ip);
    assert_memory_equal(s.peer_ip, ip, 4);
}

static void test_lines_that_are_none(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",
        "\n",
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
        "   0: 0100007F:1F90",
        "   0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 1000",
        "   0: 0100007G:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1",
        "   0: 0100007F00:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1",
        "   0: 01:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1"};
    struct sockdiag_sock s;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(sockdiag_parse_line(rows[i], false, &s));
        assert_false(sockdiag_parse_line(rows[i], true, &s));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ports_are_counted_by_destination),
        cmocka_unit_test(test_the_end_is_seen_coming),
        cmocka_unit_test(test_more_destinations_than_are_kept),
        cmocka_unit_test(test_a_trend_is_a_line_through_the_last_samples),
        cmocka_unit_test(test_lines_of_proc_net_tcp),
        cmocka_unit_test(test_lines_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
