/* test_chan.c: channels: order, hand-over, sizes, try and until forms, close, NULL channels, contexts, references,
 * statistics. Rows of the table of behaviours (Go's names) stand beside the tests.
 */
#include "../rt.h"

static cyg_chan *ch, *back;
static int done, err, got;

static cyg_chan_stats stats_of(cyg_chan *c) {
    cyg_chan_stats st;
    cyg_chan_get_stats(c, &st);
    return st;
}
#define WAIT_SENDERS(c, n) WAIT_FOR(stats_of(c).senders == (n))
#define WAIT_RECEIVERS(c, n) WAIT_FOR(stats_of(c).receivers == (n))

/* ---- order ---------------------------------------------------------------------------------------------------------- */

enum { ROUNDS = 10000 / RT_LESS };

static void count_up(void *arg) {
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) CHECK_EQ(cyg_chan_send(ch, &i), 0);
    cyg_chan_close(ch);
}
/* 1: fifo.go, one sender and one receiver */
RT_TEST(test_values_come_out_in_order) {
    static const size_t caps[] = {0, 1, 7, 100};
    for (size_t c = 0; c < 4; c++) {
        ch = cyg_chan_new(sizeof(int), caps[c]);
        GO(count_up, NULL);
        int v, n = 0;
        while (cyg_chan_recv(ch, &v) == 0) CHECK_EQ(v, n++);
        CHECK_EQ(n, ROUNDS);
        CHECK_EQ(v, 0); /* zero at the end */
        cyg_chan_release(ch);
    }
}

static void send_mine(void *arg) {
    int v = (int)(intptr_t)arg;
    CHECK_EQ(cyg_chan_send(ch, &v), 0);
    ADD(done, 1);
}
static int order[64];
static void recv_mine(void *arg) {
    int v;
    CHECK_EQ(cyg_chan_recv(ch, &v), 0);
    order[v] = (int)(intptr_t)arg;
    ADD(done, 1);
}
/* 1: waiting senders and waiting receivers are served in the order in which they came */
RT_TEST(test_waiters_are_served_in_order) {
    for (int cap = 0; cap < 3; cap++) {
        STORE(done, 0);
        ch = cyg_chan_new(sizeof(int), (size_t)cap);
        for (intptr_t i = 0; i < 20; i++) {
            GO(send_mine, (void *)i);
            WAIT_FOR(stats_of(ch).senders + stats_of(ch).depth == (size_t)i + 1);
        }
        for (int i = 0, v; i < 20; i++) {
            CHECK_EQ(cyg_chan_recv(ch, &v), 0);
            CHECK_EQ(v, i);
        }
        for (intptr_t i = 0; i < 20; i++) {
            GO(recv_mine, (void *)i);
            WAIT_RECEIVERS(ch, (size_t)i + 1);
        }
        for (int i = 0; i < 20; i++) CHECK_EQ(cyg_chan_send(ch, &i), 0);
        WAIT_FOR(LOAD(done) == 40);
        for (int i = 0; i < 20; i++) CHECK_EQ(order[i], i);
        cyg_chan_release(ch);
    }
}

static int fds[2];
static void wait_readable(void *arg) {
    (void)arg;
    CHECK_EQ(cyg_fd_wait(fds[0], CYG_READABLE, 0), CYG_READABLE);
    ADD(done, 1);
}
static void echo(void *arg) {
    (void)arg;
    for (int v; cyg_chan_recv(ch, &v) == 0;) CHECK_EQ(cyg_chan_send(back, &v), 0);
    ADD(done, 1);
}
/* A woken goroutine runs next, so these two could keep their P for themselves: descriptors and timers have their turn too. */
RT_TEST(test_a_pair_that_hands_over_starves_no_one) {
    STORE(done, 0);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    ch = cyg_chan_new(sizeof(int), 0);
    back = cyg_chan_new(sizeof(int), 0);
    GO(wait_readable, NULL);
    GO(echo, NULL);
    CHECK_EQ(cyg_sleep(CYG_MILLISECOND), 0); /* the first of them waits in the poller */
    CHECK_EQ(write(fds[1], "x", 1), 1);
    cyg_time end = cyg_now() + RT_DEADLINE;
    for (int i = 0; !LOAD(done); i++) {
        CHECK(cyg_now() < end);
        CHECK_EQ(cyg_chan_send(ch, &i), 0);
        CHECK_EQ(cyg_chan_recv(back, &i), 0);
    }
    cyg_chan_close(ch);
    WAIT_FOR(LOAD(done) == 2);
    cyg_chan_release(back);
    cyg_chan_release(ch);
    close(fds[0]);
    close(fds[1]);
}

struct numbered {
    int sender, n;
};
enum { SENDERS = 8, EACH = 2000 / RT_LESS };
static void send_numbered(void *arg) {
    struct numbered v = {(int)(intptr_t)arg, 0};
    for (; v.n < EACH; v.n++) CHECK_EQ(cyg_chan_send(ch, &v), 0);
    if (ADD(done, 1) == SENDERS) cyg_chan_close(ch);
}
static int64_t sum, items;
static void consume(void *arg) {
    (void)arg;
    int last[SENDERS];
    memset(last, 0xff, sizeof last);
    for (struct numbered v; cyg_chan_recv(ch, &v) == 0;) {
        CHECK(v.n > last[v.sender]); /* what one sender sent, any one receiver gets in order */
        last[v.sender] = v.n;
        ADD(items, 1);
        ADD(sum, v.n);
        if (v.n % 64 == 0) cyg_yield();
    }
    ADD(done, 1);
}
/* 17: TestMultiConsumer; 1: several of both */
RT_TEST(test_every_item_reaches_one_consumer) {
    for (int cap = 0; cap < 20; cap += 19) {
        STORE(done, 0);
        STORE(sum, 0);
        STORE(items, 0);
        ch = cyg_chan_new(sizeof(struct numbered), (size_t)cap);
        for (intptr_t i = 0; i < SENDERS; i++) GO(send_numbered, (void *)i);
        for (int i = 0; i < 8; i++) GO(consume, NULL);
        WAIT_FOR(LOAD(done) == SENDERS + 8);
        CHECK_EQ(items, SENDERS * EACH);
        CHECK_EQ(sum, (int64_t)SENDERS * EACH * (EACH - 1) / 2);
        CHECK_EQ(stats_of(ch).sends_total, SENDERS * EACH);
        cyg_chan_release(ch);
    }
}

/* 8: goroutines.go */
struct pair {
    cyg_chan *from, *to;
};
static void pass_on(void *arg) {
    struct pair *p = arg;
    int v;
    CHECK_EQ(cyg_chan_recv(p->from, &v), 0);
    v++;
    CHECK_EQ(cyg_chan_send(p->to, &v), 0);
    cyg_chan_release(p->from);
    cyg_chan_release(p->to);
}
RT_TEST(test_ten_thousand_in_a_chain) {
    enum { N = 10000 / RT_LESS };
    cyg_chan *first = cyg_chan_new(sizeof(int), 0), *left = cyg_chan_acquire(first);
    for (int i = 0; i < N; i++) {
        struct pair p = {left, cyg_chan_new(sizeof(int), 0)};
        left = cyg_chan_acquire(p.to);
        CHECK_EQ(cyg_go_copy(pass_on, &p), 0);
    }
    int v = 0;
    CHECK_EQ(cyg_chan_send(first, &v), 0);
    CHECK_EQ(cyg_chan_recv(left, &v), 0);
    CHECK_EQ(v, N);
    cyg_chan_release(first);
    cyg_chan_release(left);
}

/* ---- sizes, try --------------------------------------------------------------------------------------------------------- */

static void fill(unsigned char *p, size_t n, int i) {
    for (size_t k = 0; k < n; k++) p[k] = (unsigned char)(i * 7 + (int)k);
}
/* 2: nonblock.go. What a try does is what it says: it succeeds exactly if it is possible. */
RT_TEST(test_try_forms_of_many_sizes) {
    static const size_t sizes[] = {0, 1, 3, 4, 8, 12, 16, 100, 1000, 1024};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t cap = 0; cap < 4; cap++) {
            unsigned char in[1024], out[1024 + 1];
            size_t n = sizes[s];
            cyg_auto_chan cyg_chan *c = cyg_chan_new(n, cap);
            for (int round = 0; round < 3; round++) {
                CHECK_EQ(cyg_chan_try_recv_at(c, out, n, "", 0), CYG_EAGAIN);
                for (size_t i = 0; i < cap; i++) {
                    fill(in, n, (int)i + round);
                    CHECK_EQ(cyg_chan_try_send_at(c, in, n, "", 0), 0);
                    CHECK_EQ(cyg_chan_len(c), i + 1);
                }
                CHECK_EQ(cyg_chan_try_send_at(c, in, n, "", 0), CYG_EAGAIN);
                for (size_t i = 0; i < cap; i++) {
                    out[n] = 0x5a;
                    CHECK_EQ(cyg_chan_try_recv_at(c, out, n, "", 0), 0);
                    fill(in, n, (int)i + round);
                    CHECK(memcmp(in, out, n) == 0);
                    CHECK_EQ(out[n], 0x5a);
                }
            }
            CHECK_EQ(cyg_chan_cap(c), cap);
            CHECK_EQ(stats_of(c).drops_total, 3);
            CHECK_EQ(stats_of(c).receives_total, 3 * cap);
        }
}

static void recv_blob(void *arg) {
    unsigned char v[1000], want[1000];
    (void)arg;
    CHECK_EQ(cyg_chan_recv(ch, &v), 0);
    fill(want, sizeof want, 3);
    CHECK(memcmp(v, want, sizeof v) == 0);
    ADD(done, 1);
}
static void send_blob(void *arg) {
    (void)arg;
    unsigned char v[1000];
    fill(v, sizeof v, 4);
    CHECK_EQ(cyg_chan_send(ch, &v), 0);
    memset(v, 0, sizeof v);
    ADD(done, 1);
}
/* 2: with a peer that waits, a try succeeds on an unbuffered channel */
RT_TEST(test_try_meets_a_waiting_peer) {
    STORE(done, 0);
    ch = cyg_chan_new(1000, 0);
    unsigned char v[1000], want[1000];
    fill(v, sizeof v, 3);
    GO(recv_blob, NULL);
    WAIT_RECEIVERS(ch, 1);
    CHECK_EQ(cyg_chan_try_send(ch, &v), 0);
    CHECK_EQ(cyg_chan_try_send(ch, &v), CYG_EAGAIN);
    WAIT_FOR(LOAD(done) == 1);
    GO(send_blob, NULL);
    WAIT_SENDERS(ch, 1);
    CHECK_EQ(cyg_chan_try_recv(ch, &v), 0);
    fill(want, sizeof want, 4);
    CHECK(memcmp(v, want, sizeof v) == 0);
    CHECK_EQ(cyg_chan_try_recv(ch, &v), CYG_EAGAIN);
    WAIT_FOR(LOAD(done) == 2);
    cyg_chan_release(ch);
}

/* 9: zerosize.go */
static int inside, full;
static void with_permit(void *arg) {
    (void)arg;
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(cyg_chan_send(ch, CYG_NOTHING), 0);
        int n = ADD(inside, 1);
        CHECK(n <= 3);
        if (n == 3) STORE(full, 1);
        WAIT_FOR(LOAD(full)); /* nobody leaves before three were inside */
        cyg_yield();
        ADD(inside, -1);
        CHECK_EQ(cyg_chan_recv(ch, CYG_NOTHING), 0);
    }
    ADD(done, 1);
}
RT_TEST(test_empty_elements_as_a_semaphore) {
    STORE(done, 0);
    STORE(full, 0);
    ch = cyg_chan_new(0, 3);
    for (int i = 0; i < 10; i++) GO(with_permit, NULL);
    WAIT_FOR(LOAD(done) == 10);
    cyg_chan_release(ch);
}

/* 7: select7.go, its receives */
RT_TEST(test_received_and_thrown_away) {
    STORE(done, 0);
    ch = cyg_chan_new(sizeof(int), 1);
    for (intptr_t i = 0; i < 4; i++) GO(send_mine, (void *)i);
    CHECK_EQ(cyg_chan_recv(ch, (int *)NULL), 0);
    CHECK_EQ(cyg_chan_recv(ch, CYG_NOTHING), 0);
    CHECK_EQ(cyg_chan_recv_until(ch, CYG_NOTHING, 0), 0);
    WAIT_FOR(cyg_chan_try_recv(ch, CYG_NOTHING) == 0);
    WAIT_FOR(LOAD(done) == 4);
    cyg_chan_close(ch);
    CHECK_EQ(cyg_chan_recv(ch, CYG_NOTHING), CYG_EOF);
    CHECK_EQ(cyg_chan_recv(ch, (int *)NULL), CYG_EOF);
    cyg_chan_release(ch);
}

static int ready_errors;
static void must_be_ready(void *arg) {
    int v;
    cyg_chan *c = arg;
    if (cyg_chan_try_recv(c, &v) == CYG_EAGAIN) ADD(ready_errors, 1);
    cyg_chan_release(c);
    ADD(done, 1);
}
/* 11: TestNonblockRecvRace. Either the value or the close is seen: there is no moment at which neither is there. */
RT_TEST(test_try_receive_never_misses_a_value_or_a_close) {
    STORE(ready_errors, 0);
    for (int i = 0; i < ROUNDS; i++) {
        STORE(done, 0);
        ch = cyg_chan_new(sizeof(int), 1);
        CHECK_EQ(cyg_chan_send(ch, &i), 0);
        GO(must_be_ready, cyg_chan_acquire(ch));
        cyg_chan_close(ch);
        (void)cyg_chan_recv(ch, CYG_NOTHING);
        cyg_chan_release(ch);
        WAIT_FOR(LOAD(done) == 1);
    }
    CHECK_EQ(LOAD(ready_errors), 0);
}

static void *foreign(void *arg) {
    (void)arg;
    CHECK_EQ(cyg_goid(), 0);
    for (int i = 0, n = 0, v; n < 1000;) {
        if (i < 1000) i += cyg_chan_try_send(ch, &i) == 0;
        if (cyg_chan_try_recv(back, &v) == 0) CHECK_EQ(v, n++);
    }
    cyg_chan_close(ch);
    return NULL;
}
RT_TEST(test_foreign_threads_try_and_close) {
    ch = cyg_chan_new(sizeof(int), 4);
    back = cyg_chan_new(sizeof(int), 4);
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, foreign, NULL), 0);
    for (int i = 0, v; i < 1000; i++) {
        CHECK_EQ(cyg_chan_recv(ch, &v), 0);
        CHECK_EQ(v, i);
        CHECK_EQ(cyg_chan_send(back, &v), 0);
    }
    CHECK_EQ(cyg_chan_recv(ch, CYG_NOTHING), CYG_EOF);
    CHECK_EQ(pthread_join(t, NULL), 0);
    cyg_chan_release(ch);
    cyg_chan_release(back);
}

/* ---- close -------------------------------------------------------------------------------------------------------------- */

/* 10: TestChan: what is buffered comes first */
RT_TEST(test_closed_channel_drains_then_ends) {
    ch = cyg_chan_new(sizeof(int), 3);
    for (int i = 1; i <= 3; i++) CHECK_EQ(cyg_chan_send(ch, &i), 0);
    cyg_chan_close(ch);
    int v = 9;
    CHECK_EQ(cyg_chan_send(ch, &v), CYG_ECLOSED);
    CHECK_EQ(cyg_chan_try_send(ch, &v), CYG_ECLOSED);
    CHECK_EQ(cyg_chan_len(ch), 3);
    for (int i = 1; i <= 3; i++) {
        CHECK_EQ(cyg_chan_recv(ch, &v), 0);
        CHECK_EQ(v, i);
    }
    for (int i = 0; i < 3; i++) {
        v = 9;
        CHECK_EQ(i ? cyg_chan_recv(ch, &v) : cyg_chan_try_recv(ch, &v), CYG_EOF);
        CHECK_EQ(v, 0);
    }
    CHECK_EQ(cyg_chan_send_until(ch, &v, 1), CYG_ECLOSED);
    CHECK(stats_of(ch).closed);
    cyg_chan_release(ch);
}

static void ended_recv(void *arg) {
    (void)arg;
    int v = 5;
    CHECK_EQ(cyg_chan_recv(ch, &v), CYG_EOF);
    CHECK_EQ(v, 0);
    ADD(done, 1);
}
static void ended_send(void *arg) {
    (void)arg;
    int v = 5;
    CHECK_EQ(cyg_chan_send(back, &v), CYG_ECLOSED);
    ADD(done, 1);
}
/* 10: close wakes all, more than one batch of them */
RT_TEST(test_close_wakes_all_that_wait) {
    STORE(done, 0);
    ch = cyg_chan_new(sizeof(int), 1);
    back = cyg_chan_new(sizeof(int), 0);
    for (int i = 0; i < 130; i++) {
        GO(ended_recv, NULL);
        GO(ended_send, NULL);
    }
    WAIT_RECEIVERS(ch, 130);
    WAIT_SENDERS(back, 130);
    cyg_chan_close(ch);
    cyg_chan_close(back);
    WAIT_FOR(LOAD(done) == 260);
    CHECK_EQ(stats_of(ch).receivers, 0);
    CHECK_EQ(stats_of(back).senders, 0);
    CHECK_EQ(stats_of(back).sends_total, 0); /* nobody got their values */
    cyg_chan_release(ch);
    cyg_chan_release(back);
}

/* ---- contexts, deadlines, NULL --------------------------------------------------------------------------------------------- */

static void wait_under(void *arg) {
    cyg_ctx_scope s = cyg_ctx_enter(arg);
    int v = 77;
    err = cyg_chan_recv(ch, &v);
    CHECK_EQ(v, 77);
    CHECK_EQ(cyg_chan_send(back, &v), err);
    cyg_ctx_leave(&s);
    ADD(done, 1);
}
RT_TEST(test_context_ends_a_wait_and_leaves_no_trace) {
    ch = cyg_chan_new(sizeof(int), 2);
    back = cyg_chan_new(sizeof(int), 0);
    for (int i = 0; i < 100; i++) {
        cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
        STORE(done, 0);
        GO(wait_under, ctx);
        if (i % 2) WAIT_RECEIVERS(ch, 1);
        cyg_ctx_cancel(ctx, -EPIPE);
        WAIT_FOR(LOAD(done) == 1);
        CHECK_EQ(err, -EPIPE);
        CHECK_EQ(stats_of(ch).receivers, 0);
        CHECK_EQ(stats_of(back).senders, 0);
    }
    int v = 1;
    CHECK_EQ(cyg_chan_send(ch, &v), 0); /* nobody takes it who has gone */
    CHECK_EQ(cyg_chan_len(ch), 1);
    CHECK_EQ(cyg_chan_try_send(back, &v), CYG_EAGAIN);
    cyg_chan_release(ch);
    cyg_chan_release(back);
}

RT_TEST(test_deadlines_end_waits_only) {
    ch = cyg_chan_new(sizeof(int), 1);
    int v = 3;
    cyg_time soon = cyg_now() + 3 * CYG_MILLISECOND;
    CHECK_EQ(cyg_chan_recv_until(ch, &v, soon), CYG_ETIMEDOUT);
    CHECK(cyg_now() >= soon);
    CHECK_EQ(v, 3);
    CHECK_EQ(cyg_chan_send_until(ch, &v, 1), 0); /* long past, but there is room */
    CHECK_EQ(cyg_chan_send_until(ch, &v, 1), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_chan_send_until(ch, &v, cyg_now() + CYG_MILLISECOND), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_chan_recv_until(ch, &v, 1), 0);
    STORE(done, 0);
    GO(send_mine, (void *)(intptr_t)8);
    CHECK_EQ(cyg_chan_recv_until(ch, &v, cyg_now() + CYG_HOUR), 0);
    CHECK_EQ(v, 8);
    WAIT_FOR(LOAD(done) == 1);
    CHECK_EQ(stats_of(ch).senders + stats_of(ch).receivers, 0);
    cyg_chan_release(ch);
}

RT_TEST(test_null_channel_is_never_ready) {
    int v = 4;
    CHECK_EQ(cyg_chan_try_send(NULL, &v), CYG_EAGAIN);
    CHECK_EQ(cyg_chan_try_recv(NULL, &v), CYG_EAGAIN);
    CHECK_EQ(cyg_chan_send_until(NULL, &v, cyg_now() + CYG_MILLISECOND), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_chan_recv_until(NULL, &v, cyg_now() + CYG_MILLISECOND), CYG_ETIMEDOUT);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_timeout(NULL, CYG_MILLISECOND);
    cyg_ctx_scope s = cyg_ctx_enter(ctx);
    CHECK_EQ(cyg_chan_recv(NULL, &v), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_chan_send(NULL, &v), CYG_ETIMEDOUT);
    cyg_ctx_leave(&s);
    CHECK_EQ(v, 4);
    CHECK_EQ(cyg_chan_len(NULL) + cyg_chan_cap(NULL), 0);
    CHECK(cyg_chan_acquire(NULL) == NULL);
    cyg_chan_release(NULL);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------------ */

RT_TEST(test_no_memory_is_said) { CHECK(cyg_chan_new(CYG_CHAN_ELEM_MAX, SIZE_MAX / CYG_CHAN_ELEM_MAX) == NULL); }

static void deep_then_send(void *arg) {
    (void)arg;
    volatile unsigned char deep[48 << 10]; /* touched, so that there is something to give back */
    for (size_t i = 0; i < sizeof deep; i += 512) deep[i] = (unsigned char)i;
    unsigned char v[1000];
    fill(v, sizeof v, deep[512] + (int)(intptr_t)arg);
    CHECK_EQ(cyg_chan_send(ch, &v), 0);
    ADD(done, 1);
}
static void deep_and_end(void *arg) {
    volatile unsigned char deep[48 << 10];
    for (size_t i = 0; i < sizeof deep; i += 512) deep[i] = (unsigned char)i;
    (void)arg;
    ADD(got, deep[512] == 0);
}
/* 19: TestShrinkStackDuringBlockedSend: stacks are trimmed while a sender's element stands on one */
RT_TEST(test_element_of_a_parked_sender_survives_trimming) {
    enum { N = 16 };
    STORE(done, 0);
    STORE(got, 0);
    ch = cyg_chan_new(1000, 0);
    for (intptr_t i = 0; i < N; i++) GO(deep_then_send, (void *)i);
    WAIT_SENDERS(ch, N);
    for (int round = 0; round < 3; round++) {
        int before = LOAD(got);
        for (int i = 0; i < N; i++) GO(deep_and_end, NULL); /* free stacks that ran deep */
        WAIT_FOR(LOAD(got) == before + N);
        CHECK_EQ(cyg_sleep(15 * CYG_MILLISECOND), 0); /* a P that sleeps trims: every 10 ms */
    }
    bool seen[N] = {false};
    for (int i = 0; i < N; i++) {
        unsigned char v[1000], want[1000];
        CHECK_EQ(cyg_chan_recv(ch, &v), 0);
        int from = 0;
        for (; from < N; from++) {
            fill(want, sizeof want, from);
            if (!seen[from] && memcmp(v, want, sizeof v) == 0) break;
        }
        CHECK(from < N);
        seen[from] = true;
    }
    WAIT_FOR(LOAD(done) == N);
    cyg_chan_release(ch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_come_out_in_order),
        cmocka_unit_test(test_waiters_are_served_in_order),
        cmocka_unit_test(test_a_pair_that_hands_over_starves_no_one),
        cmocka_unit_test(test_every_item_reaches_one_consumer),
        cmocka_unit_test(test_ten_thousand_in_a_chain),
        cmocka_unit_test(test_try_forms_of_many_sizes),
        cmocka_unit_test(test_try_meets_a_waiting_peer),
        cmocka_unit_test(test_empty_elements_as_a_semaphore),
        cmocka_unit_test(test_received_and_thrown_away),
        cmocka_unit_test(test_try_receive_never_misses_a_value_or_a_close),
        cmocka_unit_test(test_foreign_threads_try_and_close),
        cmocka_unit_test(test_closed_channel_drains_then_ends),
        cmocka_unit_test(test_close_wakes_all_that_wait),
        cmocka_unit_test(test_context_ends_a_wait_and_leaves_no_trace),
        cmocka_unit_test(test_deadlines_end_waits_only),
        cmocka_unit_test(test_null_channel_is_never_ready),
        cmocka_unit_test(test_no_memory_is_said),
        cmocka_unit_test(test_element_of_a_parked_sender_survives_trimming),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
