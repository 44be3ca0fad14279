/* test_pipe.c: the pipe in memory: bytes go from the writer's memory to the reader's, closing tells the other end why,
 * deadlines and contexts end waits, writes do not mix. */
#include "../rt.h"

struct pair {
    cyg_stream *r, *w;
};

static void pair_new(struct pair *p) { CHECK_EQ(cyg_pipe_new(&p->r, &p->w), 0); }
static void pair_close(struct pair *p) {
    CHECK_EQ(cyg_close(p->r), 0);
    CHECK_EQ(cyg_close(p->w), 0);
}

/* A call on a goroutine, and what it returned. */
struct doing {
    cyg_stream *s;
    bool write;
    size_t n;
    ssize_t result;
    int state; /* 1: about to, 2: done */
    char b[64];
    cyg_ctx *ctx;
};
static void do_it(void *arg) {
    struct doing *d = arg;
    cyg_ctx_scope scope = cyg_ctx_enter(d->ctx ? d->ctx : cyg_ctx_current());
    STORE(d->state, 1);
    d->result = d->write ? cyg_write(d->s, d->b, d->n) : cyg_read(d->s, d->b, d->n);
    cyg_ctx_leave(&scope);
    STORE(d->state, 2);
}
static void start(struct doing *d) {
    GO(do_it, d);
    WAIT_FOR(LOAD(d->state) >= 1);
    rt_settle();
}
#define DONE(d, r)                      \
    do {                                \
        WAIT_FOR(LOAD((d).state) == 2); \
        CHECK_EQ((d).result, (r));      \
    } while (0)
#define STILL_WAITS(d) CHECK_EQ(LOAD((d).state), 1)

RT_TEST(test_a_write_ends_when_all_of_it_has_been_read) {
    struct pair p;
    char b[8];
    pair_new(&p);
    struct doing w = {.s = p.w, .write = true, .n = 5, .b = "hello"};
    start(&w);
    STILL_WAITS(w);
    CHECK_EQ(cyg_read(p.r, b, 0), 0);
    CHECK_EQ(cyg_read(p.r, b, 3), 3);
    rt_settle();
    STILL_WAITS(w);
    CHECK_EQ(cyg_read(p.r, b + 3, 5), 2);
    CHECK(memcmp(b, "hello", 5) == 0);
    DONE(w, 5);
    CHECK_EQ(cyg_write(p.w, "", 0), 0); /* of nothing: nobody need read it */
    struct doing r = {.s = p.r, .n = 64};
    start(&r);
    STILL_WAITS(r);
    CHECK_EQ(cyg_write(p.w, "later", 5), 5);
    DONE(r, 5);
    pair_close(&p);
}

/* ---- closing
 * ---------------------------------------------------------------------------------------------------------------- */

static const struct closing {
    bool reader; /* which end is closed */
    int err;     /* with what */
    int other;   /* what the other end's calls return then */
} closings[] = {
    {false, 0, CYG_EOF}, {false, -EIO, -EIO}, {false, CYG_EPROTO, CYG_EPROTO},
    {true, 0, -EPIPE},   {true, -EIO, -EIO},  {true, CYG_EOF, CYG_EOF},
};

RT_TEST(test_closing_an_end_tells_the_other_why_and_wakes_it) {
    for (size_t i = 0; i < sizeof closings / sizeof *closings; i++)
        for (int parked = 0; parked < 2; parked++) {
            struct pair p;
            const struct closing *c = &closings[i];
            pair_new(&p);
            struct doing d = {.s = c->reader ? p.w : p.r, .write = c->reader, .n = 3};
            if (parked) start(&d);
            CHECK_EQ(cyg_pipe_close(c->reader ? p.r : p.w, c->err), 0);
            if (!parked) start(&d);
            DONE(d, c->other);
            d.state = 0;
            start(&d); /* and from then on */
            DONE(d, c->other);
            CHECK_EQ(cyg_close(d.s), 0);
        }
}

RT_TEST(test_closing_ones_own_end_wakes_those_who_use_it) {
    for (int reader = 0; reader < 2; reader++) {
        struct pair p;
        pair_new(&p);
        struct doing d = {.s = cyg_pipe_acquire(reader ? p.r : p.w), .write = !reader, .n = 3};
        start(&d);
        CHECK_EQ(cyg_close(d.s), 0);
        DONE(d, CYG_ECLOSED);
        d.state = 0;
        start(&d); /* the second reference still stands */
        DONE(d, CYG_ECLOSED);
        CHECK_EQ(cyg_set_deadline(d.s, 1), CYG_ECLOSED);
        CHECK_EQ(cyg_pipe_close(cyg_pipe_acquire(d.s), -EIO), CYG_ECLOSED); /* the first close counts */
        cyg_pipe_release(d.s);
        struct doing other = {.s = reader ? p.w : p.r, .write = reader, .n = 3};
        start(&other);
        DONE(other, reader ? -EPIPE : CYG_EOF);
        CHECK_EQ(cyg_close(other.s), 0);
    }
}

RT_TEST(test_bytes_not_taken_go_with_the_writer) {
    struct pair p;
    char b[4];
    pair_new(&p);
    struct doing w = {.s = cyg_pipe_acquire(p.w), .write = true, .n = 5, .b = "hello"};
    start(&w);
    CHECK_EQ(cyg_read(p.r, b, 2), 2);
    CHECK_EQ(cyg_pipe_close(p.w, -EIO), 0);
    DONE(w, CYG_ECLOSED);
    CHECK_EQ(cyg_read(p.r, b, 4), -EIO);
    cyg_pipe_release(w.s);
    CHECK_EQ(cyg_close(p.r), 0);
}

RT_TEST(test_the_last_reference_closes) {
    struct pair p;
    char b;
    pair_new(&p);
    CHECK_EQ(cyg_pipe_close(p.w, 5), CYG_EINVAL); /* an error is negative */
    cyg_pipe_acquire(p.w);
    cyg_pipe_release(p.w);
    struct doing r = {.s = p.r, .n = 1};
    start(&r);
    STILL_WAITS(r);
    cyg_pipe_release(p.w);
    DONE(r, CYG_EOF);
    CHECK_EQ(cyg_read(p.r, &b, 1), CYG_EOF);
    CHECK_EQ(cyg_close(p.r), 0);
}

RT_TEST(test_half_close_and_abort) {
    struct pair p;
    char b;
    pair_new(&p);
    CHECK_EQ(cyg_close_write(p.r), CYG_ENOTSUP);
    CHECK_EQ(cyg_close_write(p.w), 0);
    CHECK_EQ(cyg_read(p.r, &b, 1), CYG_EOF);
    CHECK_EQ(cyg_write(p.w, "x", 1), CYG_ECLOSED);
    CHECK_EQ(cyg_close(p.w), CYG_ECLOSED); /* closed already; the reference is gone now */
    CHECK_EQ(cyg_close(p.r), 0);
    pair_new(&p);
    CHECK_EQ(cyg_abort(p.w), 0);
    CHECK_EQ(cyg_read(p.r, &b, 1), -ECONNRESET);
    CHECK_EQ(cyg_close(p.w), CYG_ECLOSED);
    CHECK_EQ(cyg_close(p.r), 0);
}

/* ---- deadlines, contexts
 * ------------------------------------------------------------------------------------------------------- */

RT_TEST(test_deadlines_end_waits_of_their_end_and_can_be_moved) {
    for (int write = 0; write < 2; write++) {
        struct pair p;
        char b[8];
        pair_new(&p);
        cyg_stream *s = write ? p.w : p.r;
        CHECK_EQ(cyg_set_deadline(s, 1), 0);
        struct doing d = {.s = s, .write = write, .n = 3, .b = "abc"};
        start(&d);
        DONE(d, CYG_ETIMEDOUT);
        CHECK_EQ(cyg_set_deadline(s, cyg_now() + CYG_HOUR), 0);
        d.state = 0;
        start(&d);
        STILL_WAITS(d);
        CHECK_EQ(cyg_set_deadline(s, cyg_now() + CYG_MILLISECOND), 0); /* under a call that waits */
        DONE(d, CYG_ETIMEDOUT);
        for (;;) {
            cyg_time t = cyg_now() + 10 * CYG_MILLISECOND;
            CHECK_EQ(cyg_set_deadline(s, t), 0);
            d.state = 0;
            start(&d);
            CHECK_EQ(cyg_set_deadline(s, 0), 0);
            if (cyg_now() < t) break;
            CHECK_EQ(cyg_set_deadline(s, 1), 0); /* a slow machine: it may have struck */
            DONE(d, CYG_ETIMEDOUT);
        }
        CHECK_EQ(cyg_sleep(20 * CYG_MILLISECOND), 0); /* the old one has gone by; what it left would have shown */
        STILL_WAITS(d);
        if (write)
            CHECK_EQ(cyg_read(p.r, b, 8), 3);
        else
            CHECK_EQ(cyg_write(p.w, "abc", 3), 3);
        DONE(d, 3);
        pair_close(&p);
    }
}

RT_TEST(test_a_deadline_is_for_its_direction_alone) {
    struct pair p;
    pair_new(&p);
    CHECK_EQ(cyg_set_write_deadline(p.r, 1), 0); /* it never writes */
    CHECK_EQ(cyg_set_read_deadline(p.w, 1), 0);
    struct doing r = {.s = p.r, .n = 3};
    start(&r);
    CHECK_EQ(cyg_write(p.w, "abc", 3), 3);
    DONE(r, 3);
    pair_close(&p);
}

RT_TEST(test_a_cancelled_context_ends_the_wait) {
    for (int write = 0; write < 2; write++) {
        struct pair p;
        pair_new(&p);
        cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
        struct doing d = {.s = write ? p.w : p.r, .write = write, .n = 3, .ctx = ctx};
        start(&d);
        cyg_ctx_cancel(ctx, CYG_ECANCELED);
        DONE(d, CYG_ECANCELED);
        cyg_ctx_release(ctx);
        pair_close(&p);
    }
}

/* ---- many
 * ---------------------------------------------------------------------------------------------------------------------- */

enum { WRITERS = 8, ROUNDS = 200 / (RT_LESS > 1 ? 4 : 1), RECORD = 33 };
static cyg_waitgroup writers;
static void write_records(void *arg) {
    cyg_stream *w = arg;
    char record[RECORD];
    for (int i = 0; i < ROUNDS; i++) {
        memset(record, 'a' + i % 26, sizeof record);
        CHECK_EQ(cyg_write(w, record, sizeof record), RECORD);
    }
    cyg_waitgroup_done(&writers);
}
static void close_behind_them(void *arg) {
    CHECK_EQ(cyg_waitgroup_wait(&writers), 0);
    CHECK_EQ(cyg_close(arg), 0);
}

RT_TEST(test_concurrent_writes_do_not_mix) {
    struct pair p;
    int records = 0;
    pair_new(&p);
    cyg_waitgroup_add(&writers, WRITERS);
    for (int i = 0; i < WRITERS; i++) GO(write_records, p.w);
    GO(close_behind_them, p.w);
    for (;;) {
        char record[RECORD];
        size_t n = 0;
        ssize_t r = 1;
        while (n < RECORD && (r = cyg_read(p.r, record + n, n < 7 ? 7 - n : RECORD - n)) > 0) {
            n += (size_t)r;
            cyg_yield(); /* with a write half read: the others come in between if they can */
        }
        if (r < 0) {
            CHECK_EQ(r, CYG_EOF);
            CHECK_EQ(n, 0);
            break;
        }
        for (int i = 1; i < RECORD; i++) CHECK(record[i] == record[0]);
        records++;
    }
    CHECK_EQ(records, WRITERS * ROUNDS);
    CHECK_EQ(cyg_close(p.r), 0);
}

/* Readers and writers come and go by deadlines; who stays gets his turn, and no byte is lost or doubled. */
static uint64_t sent, got;
static cyg_waitgroup readers;
static void write_impatiently(void *arg) {
    for (int i = 0; i < ROUNDS; i++) {
        ssize_t r = cyg_write(arg, "w", 1);
        CHECK(r == 1 || r == CYG_ETIMEDOUT);
        if (r == 1) ADD(sent, 1);
    }
    cyg_waitgroup_done(&writers);
}
static void read_impatiently(void *arg) {
    char b;
    ssize_t r;
    while ((r = cyg_read(arg, &b, 1)) == 1 || r == CYG_ETIMEDOUT) {
        if (r == 1) ADD(got, 1);
        cyg_yield();
    }
    CHECK_EQ(r, CYG_EOF);
    cyg_waitgroup_done(&readers);
}

RT_TEST(test_deadlines_lose_no_turn) {
    struct pair p;
    STORE(sent, 0);
    STORE(got, 0);
    pair_new(&p);
    cyg_waitgroup_add(&writers, 4);
    cyg_waitgroup_add(&readers, 4);
    for (int i = 0; i < 4; i++) {
        GO(write_impatiently, p.w);
        GO(read_impatiently, p.r);
    }
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(cyg_set_deadline(i % 2 ? p.r : p.w, 1), 0);
        cyg_yield();
        CHECK_EQ(cyg_set_deadline(i % 2 ? p.r : p.w, 0), 0);
        cyg_yield();
    }
    CHECK_EQ(cyg_waitgroup_wait_until(&writers, cyg_now() + RT_DEADLINE), 0);
    CHECK_EQ(cyg_close(p.w), 0);
    CHECK_EQ(cyg_waitgroup_wait_until(&readers, cyg_now() + RT_DEADLINE), 0);
    CHECK_EQ(LOAD(got), LOAD(sent));
    CHECK_EQ(cyg_close(p.r), 0);
}

static void *close_from_outside(void *arg) {
    CHECK_EQ(cyg_pipe_close(arg, -EIO), 0);
    return NULL;
}

RT_TEST(test_a_foreign_thread_may_close) {
    struct pair p;
    pthread_t t;
    pair_new(&p);
    struct doing r = {.s = p.r, .n = 1};
    start(&r);
    CHECK_EQ(pthread_create(&t, NULL, close_from_outside, p.w), 0);
    DONE(r, -EIO);
    CHECK_EQ(pthread_join(t, NULL), 0);
    CHECK_EQ(cyg_close(p.r), 0);
}

static int use_after_close(int argc, char **argv) {
    (void)argc, (void)argv;
    struct pair p;
    CHECK_EQ(cyg_runtime_start(NULL), 0);
    if (cyg_pipe_new(&p.r, &p.w) != 0) return 1;
    cyg_close(p.r);
    cyg_close(p.r);
    return 0;
}

static void test_late_use_is_fatal_and_told(void **state) {
    (void)state;
#ifndef RT_TSAN
    struct rt_result r;
    rt_spawn("use_after_close", NULL, NULL, &r);
    CHECK_SIGNAL(&r, SIGABRT);
    CHECK_SAYS(&r, "use of a pipe that has been freed");
#endif
}

static const struct rt_child kids[] = {{"use_after_close", use_after_close}, {0}};

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_write_ends_when_all_of_it_has_been_read),
    cmocka_unit_test(test_closing_an_end_tells_the_other_why_and_wakes_it),
    cmocka_unit_test(test_closing_ones_own_end_wakes_those_who_use_it),
    cmocka_unit_test(test_bytes_not_taken_go_with_the_writer),
    cmocka_unit_test(test_the_last_reference_closes),
    cmocka_unit_test(test_half_close_and_abort),
    cmocka_unit_test(test_deadlines_end_waits_of_their_end_and_can_be_moved),
    cmocka_unit_test(test_a_deadline_is_for_its_direction_alone),
    cmocka_unit_test(test_a_cancelled_context_ends_the_wait),
    cmocka_unit_test(test_concurrent_writes_do_not_mix),
    cmocka_unit_test(test_deadlines_lose_no_turn),
    cmocka_unit_test(test_a_foreign_thread_may_close),
    cmocka_unit_test(test_late_use_is_fatal_and_told),
};

RT_MAIN(tests, kids)
