/* test_pipe.c: the connection within the process is one like any other.
 */
#include "net.h"

static int done;
static ssize_t result;

static void net_pipe(struct net_pair *p) { CHECK_EQ(cyg_conn_pipe(&p->a, &p->b), 0); }

static unsigned char byte_of(size_t i) { return (unsigned char)(i * 31 % 253); }

#define TOTAL (200u << 10)

static void sends_all(void *arg) {
    unsigned char b[9000];
    for (size_t at = 0, n; at < TOTAL; at += n) {
        n = at * 13 % sizeof b + 1;
        if (n > TOTAL - at) n = TOTAL - at;
        for (size_t i = 0; i < n; i++) b[i] = byte_of(at + i);
        struct iovec iov[3] = {{b, n / 3}, {b + n / 3, 0}, {b + n / 3, n - n / 3}};
        CHECK_EQ(cyg_writev(arg, iov, 3), n);
    }
    CHECK_EQ(cyg_close_write(arg), 0);
    ADD(done, 1);
}

/* Both ways at once, in pieces larger and smaller than what a way holds; the end comes behind the last byte. */
RT_TEST(test_bytes_arrive_in_order_both_ways) {
    struct net_pair p;
    net_pipe(&p);
    STORE(done, 0);
    GO(sends_all, p.a);
    GO(sends_all, p.b);
    for (int side = 0; side < 2; side++) {
        cyg_conn *c = side ? p.a : p.b;
        unsigned char b[5000];
        size_t at = 0;
        for (ssize_t n, want = 1; (n = cyg_read(c, b, (size_t)want)) != CYG_EOF; want = want * 7 % 4999 + 1) {
            CHECK(n > 0 && n <= want);
            for (ssize_t i = 0; i < n; i++) CHECK_EQ(b[i], byte_of(at + (size_t)i));
            at += (size_t)n;
        }
        CHECK_EQ(at, TOTAL);
    }
    WAIT_FOR(LOAD(done) == 2);
    net_close_pair(&p);
}

RT_TEST(test_holds_so_much_and_not_more) {
    struct net_pair p;
    char b[CYG_CONN_PIPE_BYTES + 1] = {0};
    net_pipe(&p);
    CHECK_EQ(cyg_write(p.a, b, CYG_CONN_PIPE_BYTES), CYG_CONN_PIPE_BYTES);
    cyg_time t = cyg_now() + CYG_MILLISECOND;
    CHECK_EQ(cyg_set_write_deadline(p.a, t), 0);
    CHECK_EQ(cyg_write(p.a, b, 1), CYG_ETIMEDOUT);
    CHECK(cyg_now() >= t);
    CHECK_EQ(cyg_read(p.b, b, sizeof b), CYG_CONN_PIPE_BYTES);
    CHECK_EQ(cyg_set_write_deadline(p.a, 0), 0);
    CHECK_EQ(cyg_write(p.a, b, 1), 1);
    net_close_pair(&p);
}

static void reads(void *arg) {
    char b[8];
    STORE(result, cyg_read(arg, b, sizeof b));
    cyg_conn_release(arg);
    ADD(done, 1);
}
static void writes(void *arg) {
    static const char b[CYG_CONN_PIPE_BYTES + 1];
    STORE(result, cyg_write(arg, b, sizeof b));
    cyg_conn_release(arg);
    ADD(done, 1);
}

/* What a parked reader and a parked writer see of a close, a half-close and a reset, of theirs and of the other end. */
RT_TEST(test_ends_reach_whoever_is_parked) {
    static const struct {
        void (*fn)(void *);
        bool far, half, reset;
        ssize_t want;
    } cases[] = {
        {reads, false, false, false, CYG_ECLOSED},  {reads, true, false, false, CYG_EOF},
        {reads, true, true, false, CYG_EOF},        {reads, true, false, true, -ECONNRESET},
        {writes, false, false, false, CYG_ECLOSED}, {writes, true, false, false, -EPIPE},
        {writes, true, false, true, -ECONNRESET},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct net_pair p;
        net_pipe(&p);
        STORE(done, 0);
        GO(cases[i].fn, cyg_conn_acquire(p.a));
        net_settle();
        CHECK_EQ(LOAD(done), 0);
        cyg_conn *ends = cases[i].far ? p.b : p.a;
        if (cases[i].reset) CHECK_EQ(cyg_conn_reset_on_close(ends), 0);
        if (cases[i].half)
            CHECK_EQ(cyg_close_write(ends), 0);
        else
            CHECK_EQ(cyg_close(ends), 0);
        WAIT_FOR(LOAD(done) == 1);
        CHECK_EQ(LOAD(result), cases[i].want);
        if (cases[i].half || !cases[i].far) CHECK_EQ(cyg_close(p.b), 0);
        if (cases[i].half || cases[i].far) CHECK_EQ(cyg_close(p.a), 0);
    }
}

RT_TEST(test_what_was_written_is_read_before_the_end) {
    struct net_pair p;
    char b[8];
    net_pipe(&p);
    CHECK_EQ(cyg_write(p.a, "last", 4), 4);
    CHECK_EQ(cyg_close(p.a), 0);
    CHECK_EQ(cyg_write(p.b, "x", 1), -EPIPE);
    CHECK_EQ(p.b->ops->peek(p.b, b, 2), 2);
    CHECK_EQ(cyg_conn_wait_readable(p.b), 0);
    CHECK_EQ(cyg_read(p.b, b, 3), 3);
    CHECK_EQ(cyg_read(p.b, b, 3), 1);
    CHECK(b[0] == 't');
    CHECK_EQ(cyg_read(p.b, b, 3), CYG_EOF);
    CHECK_EQ(cyg_read(p.b, b, 3), CYG_EOF);
    CHECK_EQ(cyg_close(p.b), 0);
}

RT_TEST(test_reset_drops_what_was_written) {
    struct net_pair p;
    char b[8];
    net_pipe(&p);
    CHECK_EQ(cyg_write(p.a, "lost", 4), 4);
    CHECK_EQ(cyg_conn_reset_on_close(p.a), 0);
    CHECK_EQ(cyg_close(p.a), 0);
    CHECK_EQ(cyg_read(p.b, b, sizeof b), -ECONNRESET);
    CHECK_EQ(cyg_write(p.b, "x", 1), -ECONNRESET);
    CHECK_EQ(cyg_close(p.b), 0);
}

/* Writers queue: the bytes of one stay together, though they take several turns. */
static void writes_blocks(void *arg) {
    char block[CYG_CONN_PIPE_BYTES + 700];
    for (int i = 0; i < 10; i++) {
        memset(block, 'a' + (int)(cyg_goid() % 26), sizeof block);
        CHECK_EQ(cyg_write(arg, block, sizeof block), sizeof block);
    }
    ADD(done, 1);
}
RT_TEST(test_writes_of_several_do_not_mix_in_a_pipe) {
    struct net_pair p;
    char block[CYG_CONN_PIPE_BYTES + 700];
    net_pipe(&p);
    STORE(done, 0);
    for (int i = 0; i < 4; i++) GO(writes_blocks, p.a);
    for (int i = 0; i < 40; i++) {
        CHECK_EQ(cyg_read_full(p.b, block, sizeof block), sizeof block);
        for (size_t k = 1; k < sizeof block; k++) CHECK_EQ(block[k], block[0]);
    }
    WAIT_FOR(LOAD(done) == 4);
    net_close_pair(&p);
}

RT_TEST(test_deadline_context_and_idle_are_as_on_a_socket) {
    struct net_pair p;
    char b[8];
    net_pipe(&p);
    cyg_time t = cyg_now() + CYG_MILLISECOND;
    CHECK_EQ(cyg_set_read_deadline(p.a, t), 0);
    CHECK_EQ(cyg_read(p.a, b, 1), CYG_ETIMEDOUT);
    CHECK(cyg_now() >= t);
    CHECK_EQ(cyg_conn_wait_readable(p.a), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_set_read_deadline(p.a, 0), 0);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    cyg_ctx_scope scope = cyg_ctx_enter(ctx);
    STORE(done, 0);
    GO(reads, cyg_conn_acquire(p.a));
    cyg_ctx_leave(&scope);
    net_settle();
    cyg_ctx_cancel(ctx, -ESHUTDOWN);
    WAIT_FOR(LOAD(done) == 1);
    CHECK_EQ(LOAD(result), -ESHUTDOWN);
    cyg_addr a;
    CHECK_EQ(cyg_conn_local_addr(p.a, &a), CYG_ENOTSUP);
    CHECK_EQ(cyg_conn_peer_addr(p.a, &a), CYG_ENOTSUP);
    CHECK_EQ(cyg_conn_set_opts(p.a, &(cyg_conn_opts){0}), CYG_ENOTSUP);
    CHECK(p.a->ops->descriptor == NULL);
    net_close_pair(&p);
}

static int starts, why_last;
static void started(void *arg, int why) {
    (void)arg;
    why_last = why;
    ADD(starts, 1);
}
RT_TEST(test_idle_pipe_starts_a_goroutine_when_there_is_something) {
    struct net_pair p;
    char b[8];
    net_pipe(&p);
    for (int i = 0; i < 50; i++) {
        STORE(starts, 0);
        CHECK_EQ(cyg_conn_on_readable(p.b, started, NULL, 0), 0);
        net_settle();
        CHECK_EQ(LOAD(starts), 0);
        CHECK_EQ(cyg_write(p.a, "ab", 2), 2);
        WAIT_FOR(LOAD(starts) == 1);
        CHECK_EQ(why_last, 0);
        CHECK_EQ(cyg_read(p.b, b, i % 2 ? 2 : 8), 2); /* the last read was short or not */
    }
    STORE(starts, 0);
    CHECK_EQ(cyg_conn_on_readable(p.b, started, NULL, cyg_now() + CYG_MILLISECOND), 0);
    WAIT_FOR(LOAD(starts) == 1);
    CHECK_EQ(why_last, CYG_ETIMEDOUT);
    CHECK_EQ(cyg_conn_on_readable(p.b, started, NULL, 0), 0);
    CHECK(cyg_conn_cancel_readable(p.b));
    CHECK_EQ(cyg_conn_on_readable(p.b, started, NULL, 0), 0);
    CHECK_EQ(cyg_close(p.a), 0); /* the end is something */
    WAIT_FOR(LOAD(starts) == 2);
    CHECK_EQ(why_last, 0);
    CHECK_EQ(cyg_close(p.b), 0);
}

/* Both ends close at once, each under a reader of the other, many times over: their memory is used again each time. */
static void closes(void *arg) {
    CHECK_EQ(cyg_close(arg), 0);
    ADD(done, 1);
}
RT_TEST(test_ends_that_close_at_once) {
    for (int i = 0; i < 500 / RT_LESS; i++) {
        struct net_pair p;
        net_pipe(&p);
        STORE(done, 0);
        GO(reads, cyg_conn_acquire(p.a));
        GO(writes, cyg_conn_acquire(p.b));
        if (i % 3 == 0) net_settle();
        GO(closes, p.a);
        GO(closes, p.b);
        WAIT_FOR(LOAD(done) == 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_arrive_in_order_both_ways),
        cmocka_unit_test(test_holds_so_much_and_not_more),
        cmocka_unit_test(test_ends_reach_whoever_is_parked),
        cmocka_unit_test(test_what_was_written_is_read_before_the_end),
        cmocka_unit_test(test_reset_drops_what_was_written),
        cmocka_unit_test(test_writes_of_several_do_not_mix_in_a_pipe),
        cmocka_unit_test(test_deadline_context_and_idle_are_as_on_a_socket),
        cmocka_unit_test(test_idle_pipe_starts_a_goroutine_when_there_is_something),
        cmocka_unit_test(test_ends_that_close_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
