/* test_message.c: Unix seqpacket sockets, dialled and accepted; and descriptors passed over Unix sockets of all kinds.
 */
#include "net.h"

#include <sys/stat.h>

/* ---- seqpacket ------------------------------------------------------------------------------------------------------------ */

static void seqpacket_pair(struct net_pair *p) {
    cyg_auto_listener cyg_listener *l = NULL;
    CHECK_EQ(cyg_listen("unixpacket", net_name("seqpacket"), NULL, &l), 0);
    CHECK_EQ(cyg_dial("unixpacket", net_name("seqpacket"), NULL, &p->a), 0);
    CHECK_EQ(cyg_accept(l, &p->b), 0);
    CHECK_EQ(cyg_set_deadline(p->a, cyg_now() + RT_DEADLINE), 0);
    CHECK_EQ(cyg_set_deadline(p->b, cyg_now() + RT_DEADLINE), 0);
}

/* Messages stay messages, empty ones are none the less, and the end is told from an empty one. */
RT_TEST(test_seqpacket_keeps_messages_and_tells_empty_from_end) {
    for (int settled = 0; settled < 2; settled++) {
        struct net_pair p;
        char b[16];
        seqpacket_pair(&p);
        CHECK_EQ(cyg_write(p.a, "one", 3), 3);
        CHECK_EQ(cyg_write(p.a, "", 0), 0);
        CHECK_EQ(cyg_write(p.a, "three", 5), 5);
        CHECK_EQ(cyg_write(p.a, "", 0), 0);
        CHECK_EQ(cyg_close_write(p.a), 0);
        if (settled) net_settle();
        CHECK_EQ(p.b->ops->peek(p.b, b, 2), 2);
        CHECK_EQ(cyg_read(p.b, b, sizeof b), 3);
        CHECK_EQ(cyg_conn_wait_readable(p.b), 0);
        CHECK_EQ(p.b->ops->peek(p.b, b, 2), 0);
        CHECK_EQ(cyg_read(p.b, b, sizeof b), 0);
        CHECK_EQ(cyg_read(p.b, b, 4), -EMSGSIZE);
        CHECK(memcmp(b, "thre", 4) == 0);
        CHECK_EQ(cyg_read(p.b, b, sizeof b), 0);
        CHECK_EQ(cyg_read(p.b, b, sizeof b), CYG_EOF);
        CHECK_EQ(cyg_read(p.b, b, sizeof b), CYG_EOF);
        CHECK_EQ(p.b->ops->peek(p.b, b, 2), CYG_EOF);
        struct iovec iov[2] = {{"ba", 2}, {"ck", 2}};
        CHECK_EQ(cyg_writev(p.b, iov, 2), 4); /* the other direction goes on */
        CHECK_EQ(cyg_read(p.a, b, sizeof b), 4);
        net_close_pair(&p);
    }
}

static int done;
static void reads_messages(void *arg) {
    char b[16];
    for (int i = 0; i < 300; i++) CHECK_EQ(cyg_read(arg, b, sizeof b), i % 4);
    CHECK_EQ(cyg_read(arg, b, sizeof b), CYG_EOF);
    ADD(done, 1);
}
/* Two messages may make one event: a reader that parks between them would wait for ever. */
RT_TEST(test_every_message_is_read_however_events_come) {
    struct net_pair p;
    seqpacket_pair(&p);
    STORE(done, 0);
    GO(reads_messages, p.b);
    for (int i = 0; i < 300; i++) {
        CHECK_EQ(cyg_write(p.a, "abc", (size_t)(i % 4)), i % 4);
        if (i % 11 == 0) cyg_yield();
    }
    CHECK_EQ(cyg_close(p.a), 0);
    WAIT_FOR(LOAD(done) == 1);
    CHECK_EQ(cyg_close(p.b), 0);
}

RT_TEST(test_dialling_a_full_seqpacket_listener_waits_for_room_or_the_deadline) {
    cyg_listener *l;
    cyg_conn *c[8], *a;
    int n = 0, err;
    CHECK_EQ(cyg_listen("unixpacket", net_name("full"), &(cyg_listen_opts){.backlog = 1}, &l), 0);
    cyg_dial_opts o = {.timeout = 3 * CYG_MILLISECOND};
    while ((err = cyg_dial("unixpacket", net_name("full"), &o, &c[n])) == 0) CHECK(++n < 8);
    CHECK_EQ(err, CYG_ETIMEDOUT);
    CHECK(strstr(cyg_err_detail(), "unixpacket @cygnet-test-") != NULL);
    for (int i = 0; i < n; i++) {
        CHECK_EQ(cyg_accept(l, &a), 0);
        CHECK_EQ(cyg_close(a), 0);
        CHECK_EQ(cyg_close(c[i]), 0);
    }
    CHECK_EQ(cyg_listener_close(l), 0);
    CHECK_EQ(cyg_dial("unixpacket", net_name("full"), NULL, &a), -ECONNREFUSED);
}

/* ---- passing descriptors ----------------------------------------------------------------------------------------------------- */

static void pair_of_type(int type, struct net_pair *p) {
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_EQ(cyg_conn_from_fd(fds[0], &p->a), 0);
    CHECK_EQ(cyg_conn_from_fd(fds[1], &p->b), 0);
    CHECK_EQ(cyg_set_deadline(p->b, cyg_now() + RT_DEADLINE), 0);
}
static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};

static bool same_file(int a, int b) {
    struct stat x, y;
    CHECK(fstat(a, &x) == 0 && fstat(b, &y) == 0);
    return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

RT_TEST(test_descriptors_arrive_with_their_bytes_and_close_on_exec) {
    for (int t = 0; t < 3; t++) {
        struct net_pair p;
        char b[16];
        int pipes[2], got[CYG_FDS_MAX], many[CYG_FDS_MAX];
        unsigned n = 99;
        pair_of_type(types[t], &p);
        CHECK_EQ(pipe2(pipes, 0), 0);
        CHECK_EQ(cyg_conn_send_fds(p.a, "two", 3, pipes, 2), 3);
        CHECK_EQ(cyg_conn_recv_fds(p.b, b, sizeof b, got, 2, &n), 3);
        CHECK_EQ(n, 2);
        for (int i = 0; i < 2; i++) {
            CHECK(got[i] != pipes[i] && same_file(got[i], pipes[i]));
            CHECK_EQ(fcntl(got[i], F_GETFD), FD_CLOEXEC);
            close(got[i]);
        }
        CHECK_EQ(cyg_conn_send_fds(p.a, "none", 4, NULL, 0), 4);
        CHECK_EQ(cyg_conn_recv_fds(p.b, b, sizeof b, got, 2, &n), 4);
        CHECK_EQ(n, 0);
        for (int i = 0; i < CYG_FDS_MAX; i++) many[i] = pipes[i % 2];
        CHECK_EQ(cyg_conn_send_fds(p.a, "all", 3, many, CYG_FDS_MAX), 3);
        CHECK_EQ(cyg_conn_recv_fds(p.b, b, sizeof b, got, CYG_FDS_MAX, &n), 3);
        CHECK_EQ(n, CYG_FDS_MAX);
        for (unsigned i = 0; i < n; i++) close(got[i]);
        CHECK_EQ(cyg_conn_send_fds(p.a, "x", 1, many, CYG_FDS_MAX + 1), CYG_EINVAL);
        CHECK_EQ(cyg_conn_send_fds(p.a, "x", 0, many, 1), CYG_EINVAL);
        CHECK_EQ(cyg_conn_send_fds(p.a, "x", 1, (int[]){-1}, 1), -EBADF);
        CHECK_EQ(cyg_conn_recv_fds(p.b, b, 1, got, CYG_FDS_MAX + 1, &n), CYG_EINVAL);
        close(pipes[0]);
        close(pipes[1]);
        net_close_pair(&p);
    }
}

/* More than were asked for: nothing is handed out, nothing stays open, and the connection goes on. */
RT_TEST(test_more_descriptors_than_wanted_are_closed) {
    for (int t = 0; t < 3; t++) {
        struct net_pair p;
        char b[16];
        int fds[3] = {0, 1, 2}, got[3];
        unsigned n = 99, before;
        pair_of_type(types[t], &p);
        before = rt_fds();
        CHECK_EQ(cyg_conn_send_fds(p.a, "abc", 3, fds, 3), 3);
        CHECK_EQ(cyg_conn_recv_fds(p.b, b, sizeof b, got, 2, &n), CYG_ELIMIT);
        CHECK(strstr(cyg_err_detail(), "3 descriptors") != NULL);
        CHECK_EQ(n, 99);
        WAIT_FOR(rt_fds() == before);
        CHECK_EQ(cyg_conn_send_fds(p.a, "abc", 3, fds, 3), 3);
        CHECK_EQ(cyg_read(p.b, b, sizeof b), 3); /* who does not ask gets none */
        WAIT_FOR(rt_fds() == before);
        if (types[t] != SOCK_STREAM) { /* nor with a message that did not fit */
            CHECK_EQ(cyg_conn_send_fds(p.a, "abcd", 4, fds, 1), 4);
            CHECK_EQ(cyg_conn_recv_fds(p.b, b, 2, got, 3, &n), -EMSGSIZE);
            WAIT_FOR(rt_fds() == before);
        }
        CHECK_EQ(cyg_write(p.a, "next", 4), 4);
        CHECK_EQ(cyg_conn_recv_fds(p.b, b, sizeof b, got, 0, &n), 4);
        CHECK_EQ(n, 0);
        net_close_pair(&p);
    }
}

/* The process may not have so many: the kernel installs some and cuts the rest off; those that came are closed. */
RT_TEST(test_descriptors_beyond_the_process_limit_are_closed) {
    struct net_pair p;
    char b[16];
    int fds[8] = {0, 1, 2, 0, 1, 2, 0, 1}, got[8];
    unsigned n = 99;
    pair_of_type(SOCK_STREAM, &p);
    unsigned before = rt_fds();
    CHECK_EQ(cyg_conn_send_fds(p.a, "abc", 3, fds, 8), 3);
    int spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct rlimit old, low;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = (struct rlimit){(rlim_t)spare + 4, old.rlim_max}; /* 3 more */
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    ssize_t r = cyg_conn_recv_fds(p.b, b, sizeof b, got, 8, &n);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    CHECK_EQ(r, CYG_ELIMIT);
    CHECK(strstr(cyg_err_detail(), "RLIMIT_NOFILE") != NULL);
    close(spare);
    WAIT_FOR(rt_fds() == before); /* the runtime opens one of its own now and then */
    net_close_pair(&p);
}

RT_TEST(test_receiving_descriptors_ends_as_reading_does) {
    for (int t = 0; t < 2; t++) {
        struct net_pair p;
        char b[4];
        int got[1];
        unsigned n;
        pair_of_type(types[t], &p);
        CHECK_EQ(cyg_set_read_deadline(p.b, 1), 0);
        CHECK_EQ(cyg_conn_recv_fds(p.b, b, 4, got, 1, &n), CYG_ETIMEDOUT);
        CHECK_EQ(cyg_set_read_deadline(p.b, 0), 0);
        CHECK_EQ(cyg_close(p.a), 0);
        CHECK_EQ(cyg_conn_recv_fds(p.b, b, 4, got, 1, &n), CYG_EOF);
        CHECK_EQ(cyg_conn_send_fds(p.b, b, 4, got, 0), -EPIPE);
        CHECK_EQ(cyg_close(p.b), 0);
        net_tcp_pair(&p);
        CHECK_EQ(cyg_conn_recv_fds(p.b, b, 4, got, 1, &n), CYG_ENOTSUP);
        CHECK_EQ(cyg_conn_send_fds(p.b, b, 4, got, 0), CYG_ENOTSUP);
        net_close_pair(&p);
    }
}

static const struct rt_child kids[] = {{NULL, NULL}};
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_seqpacket_keeps_messages_and_tells_empty_from_end),
    cmocka_unit_test(test_every_message_is_read_however_events_come),
    cmocka_unit_test(test_dialling_a_full_seqpacket_listener_waits_for_room_or_the_deadline),
    cmocka_unit_test(test_descriptors_arrive_with_their_bytes_and_close_on_exec),
    cmocka_unit_test(test_more_descriptors_than_wanted_are_closed),
    cmocka_unit_test(test_descriptors_beyond_the_process_limit_are_closed),
    cmocka_unit_test(test_receiving_descriptors_ends_as_reading_does),
};
RT_MAIN(tests, kids)
