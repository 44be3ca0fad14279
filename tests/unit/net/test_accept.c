/* test_accept.c: many acceptors, peers that are gone before they are accepted, and descriptors whose numbers come back at once.
 */
#include "net.h"

#include <netinet/in.h>

static int done, accepted, bytes;
static cyg_listener *listener;
static cyg_addr address;

static void open_listener(const char *network, const char *text) {
    STORE(done, 0);
    STORE(accepted, 0);
    STORE(bytes, 0);
    CHECK_EQ(cyg_listen(network, text, NULL, &listener), 0);
    cyg_listener_addr(listener, &address);
}

/* ---- many at once ------------------------------------------------------------------------------------------------------------ */

static void acceptor(void *arg) {
    (void)arg;
    cyg_conn *c;
    int err;
    while ((err = cyg_accept(listener, &c)) == 0) {
        char b[8];
        ssize_t n;
        ADD(accepted, 1);
        while ((n = cyg_read(c, b, sizeof b)) > 0) ADD(bytes, n);
        CHECK_EQ(n, CYG_EOF);
        CHECK_EQ(cyg_close(c), 0);
    }
    CHECK_EQ(err, CYG_ECLOSED);
    cyg_listener_release(listener);
    ADD(done, 1);
}
static void dialler(void *arg) {
    (void)arg;
    for (int i = 0; i < 20; i++) {
        cyg_conn *c;
        CHECK_EQ(cyg_dial_addr(&address, NULL, &c), 0);
        CHECK_EQ(cyg_write(c, "abc", 3), 3);
        CHECK_EQ(cyg_close(c), 0);
        if (i % 3 == 0) cyg_yield();
    }
    ADD(done, 1);
}

RT_TEST(test_many_acceptors_take_every_connection_once) {
    for (int is_unix = 0; is_unix < 2; is_unix++) {
        open_listener(is_unix ? "unix" : "tcp", is_unix ? net_name("many") : "127.0.0.1:0");
        for (int i = 0; i < 10; i++) {
            cyg_listener_acquire(listener);
            GO(acceptor, NULL);
        }
        for (int i = 0; i < 10; i++) GO(dialler, NULL);
        WAIT_FOR(LOAD(done) == 10 && LOAD(bytes) == 600);
        cyg_listener_stats st;
        cyg_listener_get_stats(listener, &st);
        CHECK_EQ(LOAD(accepted), 200);
        CHECK_EQ(st.accepted_total, 200);
        CHECK_EQ(cyg_listener_close(listener), 0);
        WAIT_FOR(LOAD(done) == 20);
    }
}

/* ---- aborted peers ------------------------------------------------------------------------------------------------------------ */

/* A peer that resets its connection before it is accepted is no error of accept: those behind it come through. */
RT_TEST(test_accept_goes_on_behind_peers_that_have_gone) {
    open_listener("tcp", "127.0.0.1:0");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(address.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    enum { GONE = 20 };
    for (int i = 0; i < GONE; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
        struct linger reset = {.l_onoff = 1};
        CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        close(fd);
    }
    cyg_conn *c, *in;
    char b[4];
    int gone = 0;
    CHECK_EQ(cyg_dial_addr(&address, NULL, &c), 0);
    CHECK_EQ(cyg_write(c, "live", 4), 4);
    CHECK_EQ(cyg_listener_set_deadline(listener, cyg_now() + RT_DEADLINE), 0);
    for (;;) { /* Linux hands the dead ones out: their first read tells */
        CHECK_EQ(cyg_accept(listener, &in), 0);
        ssize_t n = cyg_read_full(in, b, 4);
        CHECK_EQ(cyg_close(in), 0);
        if (n == 4) break;
        CHECK_EQ(n, -ECONNRESET);
        gone++;
    }
    CHECK(gone <= GONE && memcmp(b, "live", 4) == 0);
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_listener_close(listener), 0);
}

/* ---- numbers come back ---------------------------------------------------------------------------------------------------------- */

static int starts;
static void started(void *arg, int why) {
    (void)arg, (void)why;
    ADD(starts, 1);
}

/* A connection is closed with bytes unread, so that an event of it may be on its way; the next one gets its number and its memory, is left
 * idle, and must hear nothing. */
RT_TEST(test_no_event_for_a_descriptor_that_was_another) {
    int same = 0;
    for (int i = 0; i < 400 / RT_LESS; i++) {
        struct net_pair p, q;
        char b[8];
        net_unix_pair(&p);
        int number = net_fd(p.a);
        CHECK_EQ(cyg_write(p.b, "stale", 5), 5);
        if (i % 2) cyg_yield();
        CHECK_EQ(cyg_close(p.a), 0);
        net_unix_pair(&q);
        same += net_fd(q.a) == number;
        CHECK_EQ(cyg_write(q.b, "x", 1), 1);
        CHECK_EQ(cyg_read(q.a, b, sizeof b), 1); /* short: known to be empty */
        STORE(starts, 0);
        CHECK_EQ(cyg_conn_on_readable(q.a, started, NULL, 0), 0);
        cyg_yield();
        CHECK_EQ(LOAD(starts), 0);
        CHECK(cyg_conn_cancel_readable(q.a));
        CHECK_EQ(cyg_close(p.b), 0);
        net_close_pair(&q);
    }
    CHECK(same > 0);
}

static void uses_until_closed(void *arg) {
    cyg_conn *c = arg;
    char b[8];
    for (int err = 0; err != CYG_ECLOSED;) {
        ssize_t n = cyg_write(c, "mine", 4);
        CHECK(n == 4 || n == CYG_ECLOSED);
        n = cyg_read(c, b, 4);
        CHECK(n == CYG_ECLOSED || (n == 4 && memcmp(b, "mine", 4) == 0)); /* never another's bytes */
        err = (int)n;
    }
    cyg_conn_release(c);
    ADD(done, 1);
}
static void echoes(void *arg) {
    char b[8];
    for (ssize_t n; (n = cyg_read(arg, b, sizeof b)) > 0;)
        if (cyg_write(arg, b, (size_t)n) < 0) break;
    CHECK_EQ(cyg_close(arg), 0);
    ADD(done, 1);
}
static void opens_others(void *arg) {
    (void)arg;
    for (int i = 0; i < 200 / RT_LESS; i++) {
        struct net_pair p;
        char b[8];
        net_unix_pair(&p);
        CHECK_EQ(cyg_write(p.a, "else", 4), 4);
        CHECK_EQ(cyg_read(p.b, b, sizeof b), 4);
        net_close_pair(&p);
    }
    ADD(done, 1);
}

/* Closing races with use while others open descriptors as fast as they can: who was inside sees its own or the close, and no other's. */
RT_TEST(test_close_races_with_use_and_with_new_descriptors) {
    STORE(done, 0);
    GO(opens_others, NULL);
    for (int i = 0; i < 100 / RT_LESS; i++) {
        struct net_pair p;
        net_unix_pair(&p);
        int before = LOAD(done);
        GO(echoes, p.b);
        GO(uses_until_closed, cyg_conn_acquire(p.a));
        for (int k = 0; k < i % 7; k++) cyg_yield();
        CHECK_EQ(cyg_close(p.a), 0);
        WAIT_FOR(LOAD(done) >= before + 2);
    }
    WAIT_FOR(LOAD(done) == 2 * (100 / RT_LESS) + 1);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_acceptors_take_every_connection_once),
        cmocka_unit_test(test_accept_goes_on_behind_peers_that_have_gone),
        cmocka_unit_test(test_no_event_for_a_descriptor_that_was_another),
        cmocka_unit_test(test_close_races_with_use_and_with_new_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
