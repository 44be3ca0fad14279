/* test_splice_ends.c: a copy in the kernel that is ended: by a deadline, a close, a cancelled context or a peer, at each place
 * where it waits. What it says, what becomes of the bytes in its pipe, and that nothing is left behind.
 */
#include "../io/streams.h"

#include <errno.h>

/* Where the copy waits. */
enum stage { FOR_INPUT, FOR_OUTPUT, FOR_ANOTHER_READER, FOR_ANOTHER_WRITER, STAGES };
/* What ends it. */
enum blow {
    READ_DEADLINE,
    WRITE_DEADLINE,
    CLOSE_SOURCE,
    CLOSE_SINK,
    CANCEL,
    RESET_BY_SENDER,
    RESET_BY_RECEIVER,
    BLOWS
};

struct run {
    struct net_pair in, out; /* in.a -> in.b = copy => out.a -> out.b */
    cyg_ctx *ctx;
    struct file file; /* instead of in, if its fd is not -1 */
    int64_t copied;
    cyg_copy_result how;
    int over, others;
};
static void run_copy(void *arg) {
    struct run *r = arg;
    cyg_ctx_scope scope = cyg_ctx_enter(r->ctx);
    r->copied = cyg_copy(r->out.a, r->file.fd >= 0 ? &r->file.s : r->in.b, &r->how);
    cyg_ctx_leave(&scope);
    ADD(r->over, 1);
}
static void another_reader(void *arg) {
    struct run *r = arg;
    char b;
    CHECK(cyg_read(r->in.b, &b, 1) != 1);
    ADD(r->others, 1);
}
static void another_writer(void *arg) {
    struct run *r = arg;
    CHECK(cyg_write(r->out.a, "y", 1) != 1);
    ADD(r->others, 1);
}

/* Brings a copy to a stage. */
static void start_at(struct run *r, enum stage stage, int kind) {
    *r = (struct run){.ctx = cyg_ctx_with_cancel(NULL), .file = {.fd = -1}};
    net_pair_of(kind, &r->in);
    net_pair_of(kind, &r->out);
    cyg_conn_acquire(r->in.b);
    cyg_conn_acquire(r->out.a);
    if (stage == FOR_ANOTHER_READER) GO(another_reader, r);
    if (stage >= FOR_OUTPUT && stage != FOR_ANOTHER_READER) net_fill_for_good(r->out.a);
    if (stage == FOR_ANOTHER_WRITER) GO(another_writer, r);
    net_settle();
    GO(run_copy, r);
    if (stage == FOR_OUTPUT || stage == FOR_ANOTHER_WRITER) {
        CHECK_EQ(cyg_write(r->in.a, "0123456789", 10), 10);
        WAIT_FOR(copy_stats().pipes_in_use == 1);
    }
    net_settle();
}

static void strike(struct run *r, enum blow blow) {
    switch (blow) {
    case READ_DEADLINE: CHECK_EQ(cyg_set_read_deadline(r->in.b, 1), 0); break;
    case WRITE_DEADLINE: CHECK_EQ(cyg_set_write_deadline(r->out.a, 1), 0); break;
    case CLOSE_SOURCE: CHECK_EQ(cyg_close(r->in.b), 0); break;
    case CLOSE_SINK: CHECK_EQ(cyg_close(r->out.a), 0); break;
    case CANCEL: cyg_ctx_cancel(r->ctx, 0); break;
    case RESET_BY_SENDER:
        CHECK_EQ(cyg_conn_reset_on_close(r->in.a), 0);
        CHECK_EQ(cyg_close(r->in.a), 0);
        break;
    case RESET_BY_RECEIVER: CHECK_EQ(cyg_close(r->out.b), 0); break; /* with unread bytes, if any */
    case BLOWS: break;
    }
}

static void finish(struct run *r, enum blow blow) {
    WAIT_FOR(LOAD(r->over) == 1);
    cyg_copy_trim();
    CHECK_EQ(copy_stats().pipes_open, 0);
    if (blow != CLOSE_SOURCE) CHECK_EQ(cyg_close(r->in.b), 0);
    if (blow != CLOSE_SINK) CHECK_EQ(cyg_close(r->out.a), 0);
    cyg_conn_release(r->in.b);
    cyg_conn_release(r->out.a);
    if (blow != RESET_BY_SENDER) CHECK_EQ(cyg_close(r->in.a), 0);
    if (blow != RESET_BY_RECEIVER) CHECK_EQ(cyg_close(r->out.b), 0);
    cyg_ctx_release(r->ctx);
}

/* What the copy says, 0 if it does not notice: it has no business with that side while it waits for the other. */
static const int says[STAGES][BLOWS] = {
    [FOR_INPUT] =
        {[READ_DEADLINE] = CYG_ETIMEDOUT, [CLOSE_SOURCE] = CYG_ECLOSED, [CANCEL] = CYG_ECANCELED, [RESET_BY_SENDER] = -ECONNRESET},
    [FOR_OUTPUT] =
        {[WRITE_DEADLINE] = CYG_ETIMEDOUT, [CLOSE_SINK] = CYG_ECLOSED, [CANCEL] = CYG_ECANCELED, [RESET_BY_RECEIVER] = -ECONNRESET},
    [FOR_ANOTHER_READER] = {[READ_DEADLINE] = CYG_ETIMEDOUT, [CLOSE_SOURCE] = CYG_ECLOSED, [RESET_BY_SENDER] = -ECONNRESET},
    [FOR_ANOTHER_WRITER] = {[WRITE_DEADLINE] = CYG_ETIMEDOUT, [CLOSE_SINK] = CYG_ECLOSED, [RESET_BY_RECEIVER] = -EPIPE},
};

RT_TEST(test_ended_at_each_place_where_it_waits) {
    if (no_splice()) return;
    for (int stage = 0; stage < STAGES; stage++)
        for (int blow = 0; blow < BLOWS; blow++) {
            if (!says[stage][blow]) continue;
            struct run r;
            bool at_output = stage == FOR_OUTPUT || stage == FOR_ANOTHER_WRITER;
            uint64_t dropped = copy_stats().pipes_dropped_total;
            start_at(&r, (enum stage)stage, 0);
            CHECK(!LOAD(r.over));
            strike(&r, (enum blow)blow);
            WAIT_FOR(LOAD(r.over) == 1);
            bool reset = blow == RESET_BY_SENDER || blow == RESET_BY_RECEIVER;
            if (reset && stage > FOR_OUTPUT) /* whoever comes first gets the reset, the other the end or a broken pipe */
                CHECK(r.copied == -ECONNRESET || r.copied == -EPIPE || r.copied == 0);
            else
                CHECK_EQ(r.copied, says[stage][blow]);
            CHECK_EQ(r.how.bytes, 0);
            if (r.copied) CHECK_EQ(r.how.write_failed, at_output);
            CHECK_EQ(copy_stats().pipes_dropped_total, dropped + at_output); /* bytes were in it: never used again */
            if (stage > FOR_OUTPUT)
                WAIT_FOR(LOAD(r.others) == 1); /* it may only now begin to use what finish() releases */
            finish(&r, (enum blow)blow);
        }
}

/* While it waits for output, what happens to the source comes after the bytes that are under way. */
RT_TEST(test_bytes_under_way_arrive_before_the_sources_end) {
    if (no_splice()) return;
    static const enum blow blows[] = {READ_DEADLINE, CLOSE_SOURCE, RESET_BY_SENDER};
    for (int i = 0; i < 3; i++) {
        struct run r;
        start_at(&r, FOR_OUTPUT, 1);
        strike(&r, blows[i]);
        net_settle();
        static char b[65536];
        ssize_t n;
        char last = 0;
        /* It is over as soon as there is room for the ten bytes: they may come after the read that made it. */
        WAIT_FOR(({
            bool over = LOAD(r.over);
            while ((n = recv(net_fd(r.out.b), b, sizeof b, MSG_DONTWAIT)) > 0) last = b[n - 1];
            last == '9' && over;
        }));
        CHECK_EQ(r.how.bytes, 10);
        CHECK_EQ(r.copied, blows[i] == READ_DEADLINE ? CYG_ETIMEDOUT : blows[i] == CLOSE_SOURCE ? CYG_ECLOSED : 10);
        finish(&r, blows[i]);
    }
}

/* The same for a file that is sent. */
RT_TEST(test_sending_a_file_is_ended) {
    static const enum blow blows[] = {WRITE_DEADLINE, CLOSE_SINK, CANCEL, RESET_BY_RECEIVER};
    for (int i = 0; i < 4; i++)
        for (int queued = 0; queued < 2; queued++) {
            struct run r = {.ctx = cyg_ctx_with_cancel(NULL), .file = file_of(8 << 20, i % 2)};
            if (queued && blows[i] == CANCEL) { /* waiting for another writer is not cancelled */
                file_close(&r.file);
                cyg_ctx_release(r.ctx);
                continue;
            }
            net_tcp_pair(&r.in);
            net_tcp_pair(&r.out);
            cyg_conn_acquire(r.in.b);
            cyg_conn_acquire(r.out.a);
            if (queued) {
                net_fill_for_good(r.out.a);
                GO(another_writer, &r);
                net_settle();
            }
            GO(run_copy, &r);
            net_settle();
            CHECK(!LOAD(r.over));
            strike(&r, blows[i]);
            WAIT_FOR(LOAD(r.over) == 1);
            if (blows[i] == RESET_BY_RECEIVER)
                CHECK(r.copied == -ECONNRESET || r.copied == -EPIPE);
            else
                CHECK_EQ(r.copied, blows[i] == WRITE_DEADLINE ? CYG_ETIMEDOUT
                                   : blows[i] == CLOSE_SINK   ? CYG_ECLOSED
                                                              : CYG_ECANCELED);
            CHECK(r.how.write_failed);
            CHECK(r.how.bytes < 8 << 20);
            int64_t at = r.file.own_place ? r.file.place : lseek(r.file.fd, 0, SEEK_CUR);
            if (!no_splice()) CHECK_EQ(at, r.how.bytes); /* none is lost */
            file_close(&r.file);
            if (queued) WAIT_FOR(LOAD(r.others) == 1);
            finish(&r, blows[i]);
        }
}

/* Ends that come at any moment, from another P. */
static void close_soon(void *arg) {
    struct run *r = arg;
    for (int i = (int)(cyg_goid() % 13); i > 0; i--) cyg_yield();
    (void)(cyg_goid() % 2 ? cyg_abort(r->in.b) : cyg_abort(r->out.a));
    ADD(r->others, 1);
}
static void feed(void *arg) {
    struct run *r = arg;
    static char b[50000];
    while (cyg_write(r->in.a, b, sizeof b) > 0) continue;
    ADD(r->others, 1);
}
static void eat(void *arg) {
    struct run *r = arg;
    char b[8192];
    while (cyg_read(r->out.b, b, sizeof b) > 0) continue;
    ADD(r->others, 1);
}
RT_TEST(test_aborts_at_any_moment) {
    for (int round = 0; round < 300 / RT_LESS; round++) {
        struct run r = {.ctx = cyg_ctx_acquire(cyg_ctx_background()), .file = {.fd = -1}};
        net_tcp_pair(&r.in);
        net_tcp_pair(&r.out);
        GO(run_copy, &r);
        GO(eat, &r);
        GO(feed, &r);
        GO(close_soon, &r);
        WAIT_FOR(LOAD(r.over) == 1);
        CHECK(r.copied < 0);
        (void)cyg_close(r.in.b);
        (void)cyg_close(r.out.a);
        WAIT_FOR(LOAD(r.others) == 3);
        CHECK_EQ(cyg_close(r.in.a), 0);
        CHECK_EQ(cyg_close(r.out.b), 0);
        CHECK_EQ(copy_stats().pipes_in_use, 0);
        CHECK_EQ(copy_stats().buffers_in_use, 0);
        cyg_ctx_release(r.ctx);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ended_at_each_place_where_it_waits),
        cmocka_unit_test(test_bytes_under_way_arrive_before_the_sources_end),
        cmocka_unit_test(test_sending_a_file_is_ended),
        cmocka_unit_test(test_aborts_at_any_moment),
    };
    signal(SIGPIPE, SIG_DFL); /* as in a program that has the runtime as a guest: writing to a broken connection is no signal */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
