/* test_packet.c: datagrams over UDP and Unix sockets, one at a time and in batches.
 */
#include "packet.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>

#define N 100

static int done;

/* ---- one at a time -------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *network, *address;
} kinds[] = {{"udp", "127.0.0.1:0"}, {"udp6", "[::1]:0"}, {"unixgram", NULL /* a name of ours */}};

RT_TEST(test_boundaries_are_kept_and_answers_find_their_way) {
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char text[CYG_ADDR_STRLEN], b[64];
        cyg_addr from;
        cyg_conn *s = server(kinds[k].network, kinds[k].address, NULL, text);
        cyg_conn *c;
        cyg_dial_opts named = {.local = net_name("asker")}; /* a Unix socket without a name cannot be answered */
        CHECK_EQ(cyg_dial(kinds[k].network, text, k == 2 ? &named : NULL, &c), 0);
        CHECK_EQ(cyg_set_deadline(c, cyg_now() + RT_DEADLINE), 0);
        CHECK_EQ(cyg_write(c, "one", 3), 3);
        CHECK_EQ(cyg_write(c, "", 0), 0); /* empty ones go, too */
        struct iovec iov[2] = {{"th", 2}, {"ree", 3}};
        CHECK_EQ(cyg_writev(c, iov, 2), 5); /* one datagram */
        CHECK_EQ(cyg_packet_recv(s, b, sizeof b, &from), 3);
        CHECK_EQ(cyg_packet_recv(s, b, sizeof b, &from), 0);
        CHECK_EQ(cyg_packet_recv(s, b, sizeof b, &from), 5);
        CHECK(memcmp(b, "three", 5) == 0);
        cyg_addr local;
        CHECK_EQ(cyg_conn_local_addr(c, &local), 0);
        CHECK(cyg_addr_eq(&from, &local));
        CHECK_EQ(cyg_packet_send(s, "back", 4, &from), 4);
        CHECK_EQ(cyg_read(c, b, sizeof b), 4);
        CHECK_EQ(cyg_packet_send(s, "x", 1, NULL), -EDESTADDRREQ);
        CHECK_EQ(cyg_write(s, "x", 1), -EDESTADDRREQ);
        CHECK_EQ(stats_of(s).received_total, 3);
        CHECK_EQ(stats_of(s).sent_total, 1);
        CHECK_EQ(stats_of(c).sent_total, 3);
        CHECK_EQ(cyg_close(c), 0);
        CHECK_EQ(cyg_close(s), 0);
    }
}

RT_TEST(test_truncation_is_told) {
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char text[CYG_ADDR_STRLEN], b[4];
        cyg_addr from = {0};
        cyg_conn *s = server(kinds[k].network, kinds[k].address, NULL, text), *c = client(kinds[k].network, text);
        for (int i = 0; i < 4; i++) CHECK_EQ(cyg_write(c, "abcdefgh", (size_t)(i < 3 ? 8 : 4)), i < 3 ? 8 : 4);
        memset(b, 0, sizeof b);
        CHECK_EQ(cyg_packet_recv(s, b, 4, &from), -EMSGSIZE);
        CHECK(memcmp(b, "abcd", 4) == 0 && from.family != CYG_AF_NONE);
        memset(b, 0, sizeof b);
        CHECK_EQ(cyg_read(s, b, 3), -EMSGSIZE);
        CHECK(memcmp(b, "abc", 3) == 0 && b[3] == 0);
        cyg_packet p = {.data = b, .size = 2};
        CHECK_EQ(cyg_packet_recv_batch(s, &p, 1), 1);
        CHECK(p.truncated && p.n == 2);
        CHECK_EQ(cyg_packet_recv_batch(s, &(cyg_packet){.data = b, .size = 4}, 1), 1); /* the next is whole again */
        CHECK_EQ(stats_of(s).truncated_total, 3);
        CHECK_EQ(cyg_close(c), 0);
        CHECK_EQ(cyg_close(s), 0);
    }
}

RT_TEST(test_what_is_not_a_packet_conn_says_so) {
    struct net_pair p;
    char b[4];
    cyg_packet v = {.data = b, .size = 4};
    cyg_packet_stats st;
    net_tcp_pair(&p);
    CHECK_EQ(cyg_packet_recv(p.a, b, 4, NULL), CYG_ENOTSUP);
    CHECK_EQ(cyg_packet_send(p.a, b, 4, NULL), CYG_ENOTSUP);
    CHECK_EQ(cyg_packet_recv_batch(p.a, &v, 1), CYG_ENOTSUP);
    CHECK_EQ(cyg_packet_send_batch(p.a, &v, 1), CYG_ENOTSUP);
    CHECK_EQ(cyg_packet_get_stats(p.a, &st), CYG_ENOTSUP);
    CHECK_EQ(cyg_packet_set_opts(p.a, &(cyg_packet_opts){0}), CYG_ENOTSUP);
    net_close_pair(&p);
    cyg_conn *c;
    cyg_listener *l;
    CHECK_EQ(cyg_listen_packet("tcp", "127.0.0.1:0", NULL, &c), CYG_EPARSE);
    CHECK_EQ(cyg_listen_packet("sctp", "127.0.0.1:0", NULL, &c), CYG_EPARSE);
    CHECK_EQ(cyg_listen("udp", "127.0.0.1:0", NULL, &l), CYG_EPARSE);
    CHECK(strstr(cyg_err_detail(), "cyg_listen_packet") != NULL);
    CHECK_EQ(cyg_listen_packet("udp", "127.0.0.1:0", &(cyg_packet_opts){.recv_buffer_bytes = 7}, &c), CYG_EINVAL);
    CHECK_EQ(cyg_listen_packet("udp", "192.0.2.1:9", NULL, &c), -EADDRNOTAVAIL);
    CHECK(strstr(cyg_err_detail(), "192.0.2.1:9") != NULL);
    char text[CYG_ADDR_STRLEN];
    cyg_addr unix_addr;
    CHECK_EQ(cyg_addr_parse("unixgram", "@x", &unix_addr), 0);
    c = server("udp", "127.0.0.1:0", NULL, text);
    CHECK_EQ(cyg_packet_send(c, b, 1, &unix_addr), CYG_EINVAL);
    CHECK_EQ(cyg_close_write(c), CYG_ENOTSUP);
    CHECK_EQ(cyg_close(c), 0);
}

/* An IPv6 socket for every address takes IPv4 addresses as they are written. */
RT_TEST(test_a_socket_for_every_address_talks_ipv4) {
    char text[CYG_ADDR_STRLEN], b[16], peer[CYG_ADDR_STRLEN];
    cyg_addr a, to, from;
    cyg_conn *every = server("udp", ":0", NULL, text), *s = server("udp", "127.0.0.1:0", NULL, text);
    CHECK_EQ(cyg_addr_parse("udp", text, &to), 0);
    CHECK_EQ(cyg_packet_send(every, "hi", 2, &to), 2);
    CHECK_EQ(cyg_packet_recv(s, b, sizeof b, &from), 2);
    CHECK_EQ(cyg_packet_send(s, "ho", 2, &from), 2);
    CHECK_EQ(cyg_packet_recv(every, b, sizeof b, &a), 2);
    cyg_addr_format(&a, peer, sizeof peer);
    CHECK(strcmp(peer, text) == 0);
    CHECK_EQ(cyg_close(every), 0);
    CHECK_EQ(cyg_close(s), 0);
}

/* A dialled socket hears that the peer's port is closed; whoever only waits does not take that from who reads. */
RT_TEST(test_closed_port_is_an_error_of_the_dialled_conn) {
    char text[CYG_ADDR_STRLEN], b[4];
    cyg_conn *s = server("udp", "127.0.0.1:0", NULL, text), *c = client("udp", text);
    CHECK_EQ(cyg_close(s), 0);
    CHECK_EQ(cyg_write(c, "x", 1), 1);
    CHECK_EQ(cyg_conn_wait_readable(c), 0);
    CHECK_EQ(cyg_read(c, b, sizeof b), -ECONNREFUSED);
    CHECK_EQ(cyg_close(c), 0);
}

/* ---- waiting, closing -------------------------------------------------------------------------------------------------------- */

struct reader {
    cyg_conn *c;
    int sum, n;
    int err;
};
static void reads(void *arg) {
    struct reader *r = arg;
    unsigned char b[16];
    ssize_t n;
    while ((n = cyg_packet_recv(r->c, b, sizeof b, NULL)) >= 0) {
        CHECK_EQ(n, 1);
        r->sum += b[0];
        ADD(r->n, 1);
    }
    r->err = (int)n;
    cyg_conn_release(r->c);
    ADD(done, 1);
}

RT_TEST(test_several_readers_each_get_their_own) {
    char text[CYG_ADDR_STRLEN];
    cyg_conn *s = server("udp", "127.0.0.1:0", NULL, text), *c = client("udp", text);
    struct reader r[4];
    STORE(done, 0);
    for (int i = 0; i < 4; i++) {
        r[i] = (struct reader){.c = cyg_conn_acquire(s)};
        GO(reads, &r[i]);
    }
    int sum = 0;
    for (int i = 0; i < N; i++) {
        unsigned char b = (unsigned char)i;
        sum += i;
        CHECK_EQ(cyg_write(c, &b, 1), 1);
        if (i % 16 == 0) WAIT_FOR(LOAD(r[0].n) + LOAD(r[1].n) + LOAD(r[2].n) + LOAD(r[3].n) > i);
    }
    WAIT_FOR(LOAD(r[0].n) + LOAD(r[1].n) + LOAD(r[2].n) + LOAD(r[3].n) == N);
    CHECK_EQ(cyg_close(s), 0); /* wakes all, the one that waits for the socket and those behind it */
    WAIT_FOR(LOAD(done) == 4);
    int got = 0;
    for (int i = 0; i < 4; i++) {
        got += r[i].sum;
        CHECK_EQ(r[i].err, CYG_ECLOSED);
    }
    CHECK_EQ(got, sum);
    CHECK_EQ(cyg_close(c), 0);
}

RT_TEST(test_deadline_and_cancel_end_a_receive) {
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char text[CYG_ADDR_STRLEN], b[4];
        cyg_packet p = {.data = b, .size = 4};
        cyg_conn *s = server(kinds[k].network, kinds[k].address, NULL, text);
        cyg_time t = cyg_now() + 2 * CYG_MILLISECOND;
        CHECK_EQ(cyg_set_read_deadline(s, t), 0);
        CHECK_EQ(cyg_packet_recv(s, b, 4, NULL), CYG_ETIMEDOUT);
        CHECK(cyg_now() >= t);
        CHECK_EQ(cyg_packet_recv_batch(s, &p, 1), CYG_ETIMEDOUT);
        CHECK_EQ(cyg_read(s, b, 4), CYG_ETIMEDOUT);
        CHECK_EQ(cyg_conn_wait_readable(s), CYG_ETIMEDOUT);
        CHECK_EQ(cyg_set_read_deadline(s, 0), 0);
        struct reader r = {.c = cyg_conn_acquire(s)};
        STORE(done, 0);
        cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
        cyg_ctx_scope scope = cyg_ctx_enter(ctx);
        GO(reads, &r); /* inherits it */
        cyg_ctx_leave(&scope);
        net_settle();
        CHECK_EQ(LOAD(done), 0);
        cyg_ctx_cancel(ctx, CYG_ECANCELED);
        WAIT_FOR(LOAD(done) == 1);
        CHECK_EQ(r.err, CYG_ECANCELED);
        cyg_ctx_release(ctx);
        CHECK_EQ(cyg_close(s), 0);
    }
}

static void started(void *arg, int why) {
    CHECK_EQ(why, 0);
    ADD(*(int *)arg, 1);
}

/* Left with the poller, a datagram socket starts nothing until there is a datagram. */
RT_TEST(test_idle_socket_starts_a_goroutine_per_datagram) {
    char text[CYG_ADDR_STRLEN], b[4];
    cyg_conn *s = server("udp", "127.0.0.1:0", NULL, text), *c = client("udp", text);
    for (int i = 0; i < 20; i++) {
        int starts = 0;
        CHECK_EQ(cyg_conn_on_readable(s, started, &starts, 0), 0);
        net_settle();
        CHECK_EQ(LOAD(starts), 0);
        CHECK_EQ(cyg_write(c, "x", 1), 1);
        WAIT_FOR(LOAD(starts) == 1);
        CHECK_EQ(cyg_packet_recv(s, b, sizeof b, NULL), 1);
    }
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_close(s), 0);
}

/* A Unix peer's queue is full, of another's datagrams: the sender waits until there is room, whether it is dialled (then an event
 * comes) or not (then it looks again now and then). */
static void takes_all(void *arg) {
    char b[8];
    for (int i = 0; i < 200; i++) CHECK_EQ(cyg_packet_recv(arg, b, sizeof b, NULL), 4);
    ADD(done, 1);
}
RT_TEST(test_full_unix_peer_holds_the_sender_up) {
    for (int dialled = 0; dialled < 2; dialled++) {
        char text[CYG_ADDR_STRLEN];
        cyg_addr to;
        cyg_conn *s = server("unixgram", net_name("full"), NULL, text), *c;
        CHECK_EQ(cyg_addr_parse("unixgram", text, &to), 0);
        c = dialled ? client("unixgram", text) : server("unixgram", net_name("sender"), NULL, text);
        cyg_conn *other = client("unixgram", net_name("full"));
        int sent = 0;
        while (send(net_fd(other), "full", 4, MSG_DONTWAIT) == 4) sent++;
        CHECK_EQ(errno, EAGAIN);
        CHECK(sent > 0 && sent < 200);
        CHECK_EQ(cyg_set_write_deadline(c, cyg_now() + CYG_MILLISECOND), 0);
        CHECK_EQ(cyg_packet_send(c, "none", 4, dialled ? NULL : &to), CYG_ETIMEDOUT);
        CHECK_EQ(cyg_set_write_deadline(c, cyg_now() + RT_DEADLINE), 0);
        STORE(done, 0);
        GO(takes_all, s);
        for (; sent < 200; sent++) CHECK_EQ(cyg_packet_send(c, "more", 4, dialled ? NULL : &to), 4);
        WAIT_FOR(LOAD(done) == 1);
        CHECK_EQ(cyg_close(other), 0);
        CHECK_EQ(cyg_close(c), 0);
        CHECK_EQ(cyg_close(s), 0);
    }
}

RT_TEST(test_unix_path_comes_and_goes) {
    char path[] = "/tmp/cygnet-packet-XXXXXX", text[CYG_ADDR_STRLEN];
    struct stat st;
    CHECK(mkdtemp(path) != NULL);
    char name[sizeof path + 8];
    snprintf(name, sizeof name, "%s/s", path);
    cyg_conn *s = server("unixgram", name, &(cyg_packet_opts){.unix_mode = 0600}, text), *second;
    CHECK(stat(name, &st) == 0 && (st.st_mode & 0777) == 0600);
    CHECK_EQ(cyg_listen_packet("unixgram", name, NULL, &second), -EADDRINUSE);
    CHECK_EQ(cyg_close(s), 0);
    CHECK(stat(name, &st) != 0);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* one that dies without removing it */
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    strcpy(un.sun_path, name);
    CHECK_EQ(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    close(fd);
    s = server("unixgram", name, NULL, text);
    CHECK_EQ(cyg_close(s), 0);
    CHECK_EQ(rmdir(path), 0);
}

static const struct rt_child kids[] = {{NULL, NULL}};
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_boundaries_are_kept_and_answers_find_their_way),
    cmocka_unit_test(test_truncation_is_told),
    cmocka_unit_test(test_what_is_not_a_packet_conn_says_so),
    cmocka_unit_test(test_a_socket_for_every_address_talks_ipv4),
    cmocka_unit_test(test_closed_port_is_an_error_of_the_dialled_conn),
    cmocka_unit_test(test_several_readers_each_get_their_own),
    cmocka_unit_test(test_deadline_and_cancel_end_a_receive),
    cmocka_unit_test(test_idle_socket_starts_a_goroutine_per_datagram),
    cmocka_unit_test(test_full_unix_peer_holds_the_sender_up),
    cmocka_unit_test(test_unix_path_comes_and_goes),
};
RT_MAIN(tests, kids)
