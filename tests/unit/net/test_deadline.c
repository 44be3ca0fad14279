/* test_deadline.c: deadlines of every kind of connection, and of accept: never early, never missed, set by some while used by others.
 * That one is met at all is what a wait with the tests' own deadline shows; how late is bench's affair.
 */
#include "net.h"

static int done;

enum { TCP, UNIX, PIPE, UDP, KINDS };

static void pair_of(int kind, struct net_pair *p) {
    if (kind == PIPE) {
        CHECK_EQ(cyg_conn_pipe(&p->a, &p->b), 0);
    } else if (kind == UDP) {
        cyg_addr a, b;
        char text[CYG_ADDR_STRLEN];
        CHECK_EQ(cyg_listen_packet("udp", "127.0.0.1:0", NULL, &p->b), 0);
        CHECK_EQ(cyg_conn_local_addr(p->b, &b), 0);
        cyg_addr_format(&b, text, sizeof text);
        CHECK_EQ(cyg_dial("udp", text, NULL, &p->a), 0);
        CHECK_EQ(cyg_conn_local_addr(p->a, &a), 0);
    } else {
        net_pair_of(kind == UNIX, p);
    }
}

/* ---- never early --------------------------------------------------------------------------------------------------------- */

/* How often: a nanosecond is nearly always past before the read looks, 20 ms never. */
static const cyg_duration durations[] = {1,      100,    1000,    10000,   50000,    200000,
                                         500000, 750000, 1000000, 5000000, 20000000, 2 * CYG_SECOND / 100};

RT_TEST(test_various_deadlines_are_never_early) {
    for (int kind = 0; kind < KINDS; kind++) {
        struct net_pair p;
        char b[64];
        pair_of(kind, &p);
        for (size_t i = 0; i < sizeof durations / sizeof *durations; i++)
            for (int k = 0; k < 3; k++) {
                cyg_time t = cyg_now() + durations[i];
                CHECK_EQ(cyg_set_read_deadline(p.a, t), 0);
                ssize_t r = k == 1 ? cyg_conn_wait_readable(p.a) : cyg_read(p.a, b, sizeof b);
                CHECK_EQ(r, CYG_ETIMEDOUT);
                CHECK(cyg_now() >= t);
            }
        net_close_pair(&p);
    }
}

static void talks(void *arg) {
    static const char b[512];
    while (cyg_write(arg, b, sizeof b) > 0) cyg_yield();
    cyg_conn_release(arg);
    ADD(done, 1);
}

/* The peer never stops sending: reads go on until the deadline, and end then all the same. */
RT_TEST(test_deadline_ends_reads_that_never_have_to_wait) {
    for (int kind = 0; kind < UDP; kind++) {
        struct net_pair p;
        char b[64];
        pair_of(kind, &p);
        STORE(done, 0);
        GO(talks, cyg_conn_acquire(p.b));
        for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
            cyg_time t = cyg_now() + durations[i];
            ssize_t r;
            CHECK_EQ(cyg_set_read_deadline(p.a, t), 0);
            cyg_time watchdog = cyg_now() + RT_DEADLINE;
            while ((r = cyg_read(p.a, b, sizeof b)) > 0) CHECK(cyg_now() < watchdog);
            CHECK_EQ(r, CYG_ETIMEDOUT);
            CHECK(cyg_now() >= t);
        }
        CHECK_EQ(cyg_close(p.b), 0);
        CHECK_EQ(cyg_close(p.a), 0);
        WAIT_FOR(LOAD(done) == 1);
    }
}

/* Nor does the reader have to leave its thread for it: looking at a byte that stays, it never parks. */
RT_TEST(test_deadline_ends_a_reader_that_never_parks) {
    for (int kind = 0; kind < KINDS; kind++) {
        struct net_pair p;
        char b;
        ssize_t r;
        pair_of(kind, &p);
        CHECK_EQ(cyg_write(p.a, "x", 1), 1);
        CHECK_EQ(cyg_conn_wait_readable(p.b), 0);
        cyg_time t = cyg_now() + 3 * CYG_MILLISECOND, watchdog = cyg_now() + RT_DEADLINE;
        CHECK_EQ(cyg_set_read_deadline(p.b, t), 0);
        while ((r = p.b->ops->peek(p.b, &b, 1)) == 1) CHECK(cyg_now() < watchdog);
        CHECK_EQ(r, CYG_ETIMEDOUT);
        CHECK(cyg_now() >= t);
        CHECK_EQ(cyg_read(p.b, &b, 1), CYG_ETIMEDOUT); /* though the byte is still there */
        CHECK_EQ(cyg_set_read_deadline(p.b, 0), 0);
        CHECK_EQ(cyg_read(p.b, &b, 1), 1);
        net_close_pair(&p);
    }
}

/* ---- past, cleared --------------------------------------------------------------------------------------------------------- */

struct user {
    cyg_conn *c;
    bool writes;
    ssize_t result;
};
static void uses(void *arg) {
    struct user *u = arg;
    static char b[1 << 20];
    char in[8];
    u->result = u->writes ? cyg_write(u->c, b, sizeof b) : cyg_read(u->c, in, sizeof in);
    ADD(done, 1);
}

RT_TEST(test_past_deadline_ends_a_parked_read_and_write) {
    for (int kind = 0; kind < UDP; kind++)
        for (int w = 0; w < 2; w++) {
            struct net_pair p;
            pair_of(kind, &p);
            struct user u = {p.a, w, 0};
            if (kind != PIPE) net_fill(p.a);
            STORE(done, 0);
            GO(uses, &u);
            net_settle();
            CHECK_EQ(LOAD(done), 0);
            CHECK_EQ(cyg_set_deadline(p.a, kind % 2 ? 1 : cyg_now()), 0);
            WAIT_FOR(LOAD(done) == 1);
            CHECK_EQ(u.result, CYG_ETIMEDOUT);
            net_close_pair(&p);
        }
}

/* With none set, or one that has been taken back, nothing ends a read but bytes. */
RT_TEST(test_read_without_a_deadline_must_not_return) {
    for (int kind = 0; kind < UDP; kind++)
        for (int taken_back = 0; taken_back < 3; taken_back++) {
            struct net_pair p;
            pair_of(kind, &p);
            struct user u = {p.a, false, 0};
            STORE(done, 0);
            if (taken_back) CHECK_EQ(cyg_set_read_deadline(p.a, cyg_now() + CYG_HOUR), 0);
            if (taken_back == 1) CHECK_EQ(cyg_set_read_deadline(p.a, 0), 0);
            CHECK_EQ(cyg_set_write_deadline(p.a, 1), 0); /* the other direction's is no concern */
            GO(uses, &u);
            net_settle();
            if (taken_back == 2) CHECK_EQ(cyg_set_read_deadline(p.a, 0), 0);
            CHECK_EQ(cyg_sleep(2 * CYG_MILLISECOND), 0); /* time goes by, which is what must not matter */
            CHECK_EQ(LOAD(done), 0);
            CHECK_EQ(cyg_write(p.b, "x", 1), 1);
            WAIT_FOR(LOAD(done) == 1);
            CHECK_EQ(u.result, 1);
            net_close_pair(&p);
        }
}

/* ---- races ----------------------------------------------------------------------------------------------------------------- */

static int stop, setters;
static void sets(void *arg) {
    cyg_conn *c = arg;
    for (int i = 0; !LOAD(stop); i++) {
        cyg_time t = i % 3 == 0 ? 0 : cyg_now() + (i % 7 - 2) * 20 * CYG_MICROSECOND;
        CHECK_EQ(i % 2 ? cyg_set_read_deadline(c, t) : cyg_set_deadline(c, t), 0);
        if (i % 4 == 0) cyg_yield();
    }
    ADD(setters, -1);
}
static void reads_on(void *arg) {
    char b[64];
    ssize_t n;
    while ((n = cyg_read(arg, b, sizeof b)) > 0 || n == CYG_ETIMEDOUT)
        if (n == CYG_ETIMEDOUT) cyg_yield();
    CHECK_EQ(n, CYG_EOF);
    ADD(done, 1);
}
static void writes_on(void *arg) {
    while (!LOAD(stop)) {
        ssize_t n = cyg_write(arg, "0123456789", 10);
        CHECK(n == 10 || n == CYG_ETIMEDOUT);
        cyg_yield();
    }
    ADD(done, 1);
}

/* Several set both deadlines of one connection while it is read and written; afterwards what was set last holds, and no old timer. */
RT_TEST(test_setting_races_with_use_and_with_setting) {
    for (int kind = 0; kind < UDP; kind++) {
        struct net_pair p;
        pair_of(kind, &p);
        STORE(done, 0);
        STORE(stop, 0);
        STORE(setters, 3);
        for (int i = 0; i < 3; i++) GO(sets, p.a);
        GO(reads_on, p.a);
        GO(writes_on, p.a);
        GO(reads_on, p.b);
        GO(writes_on, p.b);
        CHECK_EQ(cyg_sleep(30 * CYG_MILLISECOND), 0); /* how long they race */
        STORE(stop, 1);
        WAIT_FOR(LOAD(setters) == 0);
        CHECK_EQ(cyg_set_deadline(p.a, 0), 0);
        WAIT_FOR(LOAD(done) == 2); /* the writers */
        CHECK_EQ(cyg_close_write(p.a), 0);
        CHECK_EQ(cyg_close_write(p.b), 0);
        WAIT_FOR(LOAD(done) == 4); /* both readers saw the end, none a timeout */
        net_close_pair(&p);
    }
}

/* ---- accept ------------------------------------------------------------------------------------------------------------------ */

static cyg_listener *listener;
static int outcomes[4];
static void accepts(void *arg) {
    cyg_conn *c;
    int r = cyg_accept(listener, &c);
    if (r == 0) CHECK_EQ(cyg_close(c), 0);
    STORE(outcomes[(intptr_t)arg], r ? r : 1);
    cyg_listener_release(listener);
    ADD(done, 1);
}

/* Set before and while acceptors are parked and queued; taken back; and none has an effect on those accepted. */
RT_TEST(test_accept_deadline_must_return) {
    static const char *const networks[] = {"tcp", "unix", "unixpacket"};
    for (int k = 0; k < 3; k++) {
        cyg_addr a;
        char text[CYG_ADDR_STRLEN];
        cyg_conn *c, *in;
        CHECK_EQ(cyg_listen(networks[k], k ? net_name("deadline") : "127.0.0.1:0", NULL, &listener), 0);
        cyg_listener_addr(listener, &a);
        cyg_addr_format(&a, text, sizeof text);
        CHECK_EQ(cyg_listener_set_deadline(listener, 1), 0);
        CHECK_EQ(cyg_accept(listener, &c), CYG_ETIMEDOUT);
        CHECK_EQ(cyg_accept(listener, &c), CYG_ETIMEDOUT); /* holds for later calls */
        cyg_time t = cyg_now() + 2 * CYG_MILLISECOND;
        CHECK_EQ(cyg_listener_set_deadline(listener, t), 0);
        CHECK_EQ(cyg_accept(listener, &c), CYG_ETIMEDOUT);
        CHECK(cyg_now() >= t);
        CHECK_EQ(cyg_listener_set_deadline(listener, 0), 0);
        STORE(done, 0);
        for (intptr_t i = 0; i < 4; i++) {
            cyg_listener_acquire(listener);
            GO(accepts, (void *)i);
        }
        net_settle();
        CHECK_EQ(LOAD(done), 0);
        CHECK_EQ(cyg_listener_set_deadline(listener, cyg_now() + CYG_MILLISECOND), 0);
        WAIT_FOR(LOAD(done) == 4);
        for (int i = 0; i < 4; i++) CHECK_EQ(LOAD(outcomes[i]), CYG_ETIMEDOUT);
        CHECK_EQ(cyg_listener_set_deadline(listener, 0), 0);
        CHECK_EQ(cyg_dial(networks[k], text, NULL, &c), 0);
        CHECK_EQ(cyg_accept(listener, &in), 0);
        CHECK_EQ(cyg_listener_set_deadline(listener, 1), 0);
        CHECK_EQ(cyg_write(c, "x", 1), 1);
        char b;
        CHECK_EQ(cyg_read(in, &b, 1), 1);
        CHECK_EQ(cyg_close(c), 0);
        CHECK_EQ(cyg_close(in), 0);
        cyg_listener_acquire(listener);
        CHECK_EQ(cyg_listener_close(listener), 0);
        CHECK_EQ(cyg_listener_set_deadline(listener, 0), CYG_ECLOSED);
        cyg_listener_release(listener);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_various_deadlines_are_never_early),
        cmocka_unit_test(test_deadline_ends_reads_that_never_have_to_wait),
        cmocka_unit_test(test_deadline_ends_a_reader_that_never_parks),
        cmocka_unit_test(test_past_deadline_ends_a_parked_read_and_write),
        cmocka_unit_test(test_read_without_a_deadline_must_not_return),
        cmocka_unit_test(test_setting_races_with_use_and_with_setting),
        cmocka_unit_test(test_accept_deadline_must_return),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
