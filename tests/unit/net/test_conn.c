/* test_conn.c: bytes through connections: echo, ends and half-ends, resets, readers and writers side by side, gathering
 * writes, short reads. Each over TCP and a Unix pair.
 */
#include "net.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

static int done;

/* ---- both ways at once -------------------------------------------------------------------------------------------------- */

enum { MIB = 1 << 20 };

struct half {
    cyg_conn *c;
    uint32_t seed;
};
static uint8_t byte_of(uint32_t seed, uint32_t i) { return (uint8_t)((i * 2654435761u + seed) >> 13); }

static void send_mib(void *arg) {
    struct half *h = arg;
    uint8_t *p = malloc(MIB);
    for (uint32_t i = 0; i < MIB; i++) p[i] = byte_of(h->seed, i);
    for (size_t at = 0, n = 1; at < MIB; at += n, n = n * 3 % 70001 + 1) { /* pieces of all sizes */
        if (n > MIB - at) n = MIB - at;
        CHECK_EQ(cyg_write(h->c, p + at, n), n);
    }
    free(p);
    CHECK_EQ(cyg_close_write(h->c), 0);
    ADD(done, 1);
}
static void receive_mib(void *arg) {
    struct half *h = arg;
    uint8_t *p = malloc(70000);
    uint32_t at = 0;
    for (ssize_t n, want = 1; (n = cyg_read(h->c, p, (size_t)want)) != CYG_EOF; want = want * 5 % 69997 + 1) {
        CHECK(n > 0);
        for (ssize_t i = 0; i < n; i++) CHECK_EQ(p[i], byte_of(h->seed, at++));
    }
    CHECK_EQ(at, MIB);
    free(p);
    ADD(done, 1);
}

RT_TEST(test_a_mebibyte_both_ways_at_once) {
    for (int kind = 0; kind < 2; kind++) {
        struct net_pair p;
        net_pair_of(kind, &p);
        STORE(done, 0);
        struct half ab = {p.a, 1}, ba = {p.b, 2}, at_b = {p.b, 1}, at_a = {p.a, 2};
        GO(send_mib, &ab);
        GO(send_mib, &ba);
        GO(receive_mib, &at_b);
        GO(receive_mib, &at_a);
        WAIT_FOR(LOAD(done) == 4);
        net_close_pair(&p);
    }
}

/* ---- ends --------------------------------------------------------------------------------------------------------------- */

RT_TEST(test_half_close_ends_one_direction) {
    for (int kind = 0; kind < 2; kind++) {
        struct net_pair p;
        char b[8];
        net_pair_of(kind, &p);
        CHECK_EQ(cyg_write(p.a, "last", 4), 4);
        CHECK_EQ(cyg_close_write(p.a), 0);
        CHECK_EQ(cyg_write(p.a, "more", 4), -EPIPE);
        CHECK_EQ(cyg_read_full(p.b, b, 4), 4);
        CHECK_EQ(cyg_read(p.b, b, 1), CYG_EOF);
        CHECK_EQ(cyg_read(p.b, b, 1), CYG_EOF); /* and again */
        CHECK_EQ(cyg_write(p.b, "back", 4), 4);
        CHECK_EQ(cyg_read_full(p.a, b, 4), 4);
        CHECK(memcmp(b, "back", 4) == 0);
        CHECK_EQ(cyg_close_write(p.b), 0);
        CHECK_EQ(cyg_read(p.a, b, 1), CYG_EOF);
        net_close_pair(&p);
    }
}

static cyg_conn *reading;
static ssize_t result;
static void read_one(void *arg) {
    (void)arg;
    char b[64];
    result = cyg_read(reading, b, sizeof b);
    ADD(done, 1);
}

/* A reader that is parked, and one that comes later, both see how the peer ended: in order or by a reset. */
RT_TEST(test_end_and_reset_are_told_apart) {
    for (int reset = 0; reset < 2; reset++)
        for (int parked = 0; parked < 2; parked++) {
            struct net_pair p;
            net_tcp_pair(&p);
            STORE(done, 0);
            reading = p.b;
            if (parked) {
                GO(read_one, NULL);
                net_settle();
            }
            if (reset) CHECK_EQ(cyg_conn_reset_on_close(p.a), 0);
            CHECK_EQ(cyg_close(p.a), 0);
            if (!parked) GO(read_one, NULL);
            WAIT_FOR(LOAD(done) == 1);
            CHECK_EQ(result, reset ? -ECONNRESET : CYG_EOF);
            CHECK_EQ(cyg_close(p.b), 0);
        }
}

/* Bytes and the end come with one event; the read for the bytes is short. The end must follow without another event. */
RT_TEST(test_end_follows_a_short_read) {
    for (int round = 0; round < 200; round++) {
        struct net_pair p;
        char b[64];
        net_pair_of(round % 2, &p);
        STORE(done, 0);
        reading = p.b;
        if (round % 3 == 0) {
            GO(read_one, NULL); /* already parked when both come */
            net_settle();
        }
        CHECK_EQ(cyg_write(p.a, "x", 1), 1);
        CHECK_EQ(cyg_close(p.a), 0);
        if (round % 5 == 0) net_settle(); /* the event has been seen before the read */
        if (round % 3 == 0)
            WAIT_FOR(LOAD(done) == 1);
        else
            result = cyg_read(p.b, b, sizeof b);
        CHECK_EQ(result, 1);
        CHECK_EQ(cyg_set_read_deadline(p.b, cyg_now() + RT_DEADLINE), 0);
        CHECK_EQ(cyg_read(p.b, b, sizeof b), CYG_EOF);
        CHECK_EQ(cyg_close(p.b), 0);
    }
}

RT_TEST(test_read_sees_bytes_that_were_there_before_it_was_a_connection) {
    int fds[2];
    char b[8];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_EQ(write(fds[0], "early", 5), 5);
    close(fds[0]);
    cyg_conn *c;
    CHECK_EQ(cyg_conn_from_fd(fds[1], &c), 0);
    CHECK_EQ(cyg_read(c, b, sizeof b), 5);
    CHECK_EQ(cyg_read(c, b, sizeof b), CYG_EOF);
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_conn_from_fd(open("/dev/null", O_RDWR | O_CLOEXEC), &c), -ENOTSOCK); /* and the descriptor is closed */
}

/* ---- short reads and pieces ----------------------------------------------------------------------------------------------- */

static void write_pieces(void *arg) {
    for (int i = 0; i < 500; i++) {
        CHECK_EQ(cyg_write(arg, "0123456789", (size_t)(i % 10 + 1)), i % 10 + 1);
        if (i % 7 == 0) cyg_yield();
    }
    CHECK_EQ(cyg_close_write(arg), 0);
    ADD(done, 1);
}

RT_TEST(test_pipelined_small_pieces_with_large_and_small_reads) {
    for (int kind = 0; kind < 2; kind++) {
        struct net_pair p;
        net_pair_of(kind, &p);
        STORE(done, 0);
        GO(write_pieces, p.a);
        char b[4000];
        size_t got = 0;
        for (size_t want = 1;; want = want * 7 % sizeof b + 1) {
            ssize_t n = cyg_read(p.b, b, want);
            if (n == CYG_EOF) break;
            CHECK(n > 0 && (size_t)n <= want);
            got += (size_t)n;
        }
        CHECK_EQ(got, 50 * 55);
        WAIT_FOR(LOAD(done) == 1);
        net_close_pair(&p);
    }
}

/* A Unix read ends at a message that carries descriptors, however much comes behind it: short, but not drained. */
RT_TEST(test_short_read_at_passed_descriptors_loses_nothing) {
    struct net_pair p;
    net_unix_pair(&p);
    char b[64], one = '1';
    int pass = 2;
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.h = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.h), &pass, sizeof pass);
    struct iovec iov = {&one, 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    CHECK_EQ(sendmsg(net_fd(p.a), &msg, 0), 1);
    CHECK_EQ(send(net_fd(p.a), "23", 2, 0), 2);
    net_settle(); /* one event for both */
    CHECK_EQ(cyg_set_read_deadline(p.b, cyg_now() + RT_DEADLINE), 0);
    size_t got = 0;
    while (got < 3) {
        ssize_t n = cyg_read(p.b, b + got, sizeof b - got);
        CHECK(n > 0);
        got += (size_t)n;
    }
    CHECK(memcmp(b, "123", 3) == 0);
    net_close_pair(&p);
}

RT_TEST(test_peek_and_wait_readable_take_nothing) {
    struct net_pair p;
    char b[8];
    net_unix_pair(&p);
    CHECK_EQ(cyg_set_read_deadline(p.b, cyg_now() + CYG_MILLISECOND), 0);
    CHECK_EQ(cyg_conn_wait_readable(p.b), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_set_read_deadline(p.b, 0), 0);
    CHECK_EQ(cyg_write(p.a, "abc", 3), 3);
    for (int i = 0; i < 3; i++) CHECK_EQ(cyg_conn_wait_readable(p.b), 0);
    CHECK_EQ(p.b->ops->peek(p.b, b, sizeof b), 3);
    CHECK_EQ(cyg_read(p.b, b, sizeof b), 3);
    CHECK_EQ(cyg_close(p.a), 0);
    CHECK_EQ(cyg_conn_wait_readable(p.b), 0); /* the end is something to be read */
    CHECK_EQ(cyg_read(p.b, b, 0), 0);
    CHECK_EQ(cyg_close(p.b), 0);
}

/* ---- several users ------------------------------------------------------------------------------------------------------- */

static void read_five(void *arg) {
    char b[5];
    CHECK_EQ(cyg_read(arg, b, 5), 5);
    CHECK(memcmp(b, "01234", 5) == 0);
    ADD(done, 1);
}

/* The second waits for the first to have read, not for the socket. */
RT_TEST(test_readers_queue) {
    struct net_pair p;
    net_unix_pair(&p);
    STORE(done, 0);
    for (int i = 0; i < 8; i++) GO(read_five, p.b);
    net_settle();
    for (int i = 1; i <= 8; i++) {
        CHECK_EQ(cyg_write(p.a, "01234", 5), 5);
        WAIT_FOR(LOAD(done) == i);
    }
    net_close_pair(&p);
}

static void write_blocks(void *arg) {
    char block[3000];
    for (int i = 0; i < 30; i++) {
        memset(block, 'a' + (int)(cyg_goid() % 26), sizeof block);
        CHECK_EQ(cyg_write(arg, block, sizeof block), sizeof block);
    }
    ADD(done, 1);
}

/* Writers queue as well: each write's bytes stay together, however small the socket's buffer. */
RT_TEST(test_writes_of_several_do_not_mix) {
    struct net_pair p;
    net_unix_pair(&p);
    int small = 4608;
    setsockopt(net_fd(p.a), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    STORE(done, 0);
    for (int i = 0; i < 4; i++) GO(write_blocks, p.a);
    char block[3000];
    for (int i = 0; i < 120; i++) {
        CHECK_EQ(cyg_read_full(p.b, block, sizeof block), sizeof block);
        for (size_t k = 1; k < sizeof block; k++) CHECK_EQ(block[k], block[0]);
    }
    WAIT_FOR(LOAD(done) == 4);
    net_close_pair(&p);
}

/* ---- gathering writes ------------------------------------------------------------------------------------------------------ */

enum { PARTS = 1000 };
static void writev_parts(void *arg) {
    static char bytes[PARTS * 100];
    struct iovec iov[PARTS];
    size_t total = 0;
    for (size_t i = 0; i < PARTS; i++) {
        size_t n = i % 3 ? i % 100 : 0; /* many empty ones, at the ends of windows too */
        memset(bytes + total, (int)(i % 251), n);
        iov[i] = (struct iovec){bytes + total, n};
        total += n;
    }
    CHECK_EQ(cyg_writev(arg, iov, PARTS), total);
    CHECK_EQ(cyg_close_write(arg), 0);
    ADD(done, 1);
}

RT_TEST(test_writev_of_many_and_empty_buffers_through_a_tiny_socket) {
    struct net_pair p;
    net_unix_pair(&p);
    int small = 1;
    setsockopt(net_fd(p.a), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    STORE(done, 0);
    GO(writev_parts, p.a);
    for (size_t i = 0; i < PARTS; i++) {
        char b[100];
        size_t n = i % 3 ? i % 100 : 0;
        if (!n) continue;
        CHECK_EQ(cyg_read_full(p.b, b, n), n);
        for (size_t k = 0; k < n; k++) CHECK_EQ((uint8_t)b[k], i % 251);
    }
    char b;
    CHECK_EQ(cyg_read(p.b, &b, 1), CYG_EOF);
    WAIT_FOR(LOAD(done) == 1);
    struct iovec none[3] = {{"", 0}, {"", 0}, {"", 0}};
    CHECK_EQ(cyg_writev(p.b, none, 3), 0);
    CHECK_EQ(cyg_writev(p.b, none, 0), CYG_EINVAL);
    CHECK_EQ(cyg_writev(p.b, none, 1025), CYG_EINVAL);
    net_close_pair(&p);
}

/* ---- what a connection knows of itself ------------------------------------------------------------------------------------- */

RT_TEST(test_addresses_options_and_kind) {
    struct net_pair p;
    cyg_addr la, pb;
    net_tcp_pair(&p);
    CHECK_EQ(cyg_conn_local_addr(p.a, &la), 0);
    CHECK_EQ(cyg_conn_peer_addr(p.b, &pb), 0);
    CHECK(cyg_addr_eq(&la, &pb));
    CHECK(strcmp(p.a->ops->kind, "tcp") == 0);
    for (int i = 0; i < 2; i++) {
        int on = 0;
        socklen_t n = sizeof on;
        CHECK_EQ(getsockopt(net_fd(i ? p.a : p.b), IPPROTO_TCP, TCP_NODELAY, &on, &n), 0);
        CHECK(on);
        CHECK_EQ(getsockopt(net_fd(i ? p.a : p.b), SOL_SOCKET, SO_KEEPALIVE, &on, &n), 0);
        CHECK(on);
    }
    static const cyg_stream_ops foreign_ops = {.kind = "other"};
    cyg_stream foreign = {&foreign_ops};
    CHECK_EQ(cyg_conn_local_addr(&foreign, &la), CYG_ENOTSUP);
    CHECK_EQ(cyg_conn_reset_on_close(&foreign), CYG_ENOTSUP);
    CHECK_EQ(cyg_conn_wait_readable(&foreign), CYG_ENOTSUP);
    CHECK_EQ(cyg_conn_on_readable(&foreign, NULL, NULL, 0), CYG_ENOTSUP);
    net_close_pair(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_mebibyte_both_ways_at_once),
        cmocka_unit_test(test_half_close_ends_one_direction),
        cmocka_unit_test(test_end_and_reset_are_told_apart),
        cmocka_unit_test(test_end_follows_a_short_read),
        cmocka_unit_test(test_read_sees_bytes_that_were_there_before_it_was_a_connection),
        cmocka_unit_test(test_pipelined_small_pieces_with_large_and_small_reads),
        cmocka_unit_test(test_short_read_at_passed_descriptors_loses_nothing),
        cmocka_unit_test(test_peek_and_wait_readable_take_nothing),
        cmocka_unit_test(test_readers_queue),
        cmocka_unit_test(test_writes_of_several_do_not_mix),
        cmocka_unit_test(test_writev_of_many_and_empty_buffers_through_a_tiny_socket),
        cmocka_unit_test(test_addresses_options_and_kind),
    };
    signal(SIGPIPE, SIG_DFL); /* our writes must not raise it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
