/* test_relay.c: both directions between two connections: bytes and ends passed on, each kind of failure, timeouts, who was first.
 * client <-> a, relayed to b <-> server.
 */
#include "../io/streams.h"
#include "net/internal.h"

#include <errno.h>

struct relayed {
    struct net_pair client, server; /* a: the peer's end, b: the relay's */
    cyg_relay_opts opts;
    cyg_relay_result res;
    int err;
    int over;
    uint64_t dropped; /* pipes, before it began */
};
static void run_relay(void *arg) {
    struct relayed *r = arg;
    r->err = cyg_relay(r->client.b, r->server.b, &r->opts, &r->res);
    STORE(r->over, 1);
}
static void relay_start(struct relayed *r, int kind, const cyg_relay_opts *opts) {
    *r = (struct relayed){.opts = opts ? *opts : (cyg_relay_opts){0}, .dropped = copy_stats().pipes_dropped_total};
    net_pair_of(kind, &r->client);
    net_pair_of(kind, &r->server);
    GO(run_relay, r);
}
/* Nothing is left running, and pipes are back. */
static void relay_join(struct relayed *r) {
    WAIT_FOR(LOAD(r->over));
    CHECK_EQ(r->res.err, r->err);
    CHECK_EQ(copy_stats().pipes_in_use, 0);
    CHECK_EQ(copy_stats().relays, 0);
}
/* The relay's ends may have been aborted. */
static void relay_close(struct relayed *r) {
    (void)cyg_close(r->client.b);
    (void)cyg_close(r->server.b);
}
static void say(cyg_conn *c, const char *text) { CHECK_EQ(cyg_write(c, text, strlen(text)), strlen(text)); }
static void hear(cyg_conn *c, const char *text) {
    char b[64];
    CHECK_EQ(cyg_read_full(c, b, strlen(text)), strlen(text));
    CHECK(memcmp(b, text, strlen(text)) == 0);
}
static void hear_end(cyg_conn *c, ssize_t how) {
    char b;
    CHECK_EQ(cyg_read(c, &b, 1), how);
}
/* Reads until it fails: how. */
static ssize_t hear_out(cyg_conn *c) {
    static char b[65536];
    ssize_t n;
    while ((n = cyg_read(c, b, sizeof b)) > 0) continue;
    return n;
}

/* ---- ends in order ------------------------------------------------------------------------------------------------------------- */

RT_TEST(test_each_half_close_is_passed_on_while_the_other_half_goes_on) {
    for (int round = 0; round < 4; round++) {
        struct relayed r;
        relay_start(&r, round % 2, NULL);
        cyg_conn *early = round / 2 ? r.server.a : r.client.a, *late = round / 2 ? r.client.a : r.server.a;
        say(early, "question");
        hear(late, "question");
        CHECK_EQ(cyg_close_write(early), 0);
        hear_end(late, CYG_EOF);
        say(late, "long answer, ");
        hear(early, "long answer, ");
        say(late, "and more");
        hear(early, "and more");
        CHECK(!LOAD(r.over));
        CHECK_EQ(cyg_close_write(late), 0);
        hear_end(early, CYG_EOF);
        relay_join(&r);
        CHECK_EQ(r.err, 0);
        CHECK_EQ(r.res.end, CYG_RELAY_EOF);
        CHECK_EQ(r.res.first, round / 2 ? 'b' : 'a');
        CHECK_EQ(r.res.a_to_b.bytes, round / 2 ? 21 : 8);
        CHECK_EQ(r.res.b_to_a.bytes, round / 2 ? 8 : 21);
        relay_close(&r);
        CHECK_EQ(cyg_close(early), 0);
        CHECK_EQ(cyg_close(late), 0);
    }
}

/* ---- many, both ways ------------------------------------------------------------------------------------------------------------ */

enum { SIZE = 700000 / RT_LESS };
static int done;
struct flow {
    cyg_conn *c;
    uint32_t seed;
};
static void pour(void *arg) {
    struct flow *f = arg;
    static const size_t sizes[] = {1, 70, 4096, 33333, 100000};
    uint8_t *block = malloc(100000);
    size_t i = f->seed;
    for (int64_t at = 0; at < SIZE;) {
        size_t n = sizes[i++ % 5];
        if ((int64_t)n > SIZE - at) n = (size_t)(SIZE - at);
        fill_bytes(f->seed, at, block, n);
        CHECK_EQ(cyg_write(f->c, block, n), n);
        at += (int64_t)n;
    }
    free(block);
    CHECK_EQ(cyg_close_write(f->c), 0);
    ADD(done, 1);
}
static void drink(void *arg) {
    struct flow *f = arg;
    uint8_t *block = malloc(50000);
    int64_t at = 0;
    for (ssize_t n; (n = cyg_read(f->c, block, 50000)) != CYG_EOF; at += n) {
        CHECK(n > 0);
        check_bytes(f->seed, at, block, (size_t)n);
    }
    CHECK_EQ(at, SIZE);
    free(block);
    ADD(done, 1);
}
RT_TEST(test_many_relays_both_ways_at_once) {
    enum { RELAYS = 12 };
    static struct relayed r[RELAYS];
    static struct flow f[RELAYS][4];
    STORE(done, 0);
    cyg_relay_opts opts = {.idle_timeout = 10 * CYG_MINUTE};
    for (int i = 0; i < RELAYS; i++) {
        relay_start(&r[i], i % 2, &opts);
        for (int k = 0; k < 4; k++)
            f[i][k] = (struct flow){k == 0 || k == 3 ? r[i].client.a : r[i].server.a, (uint32_t)i * 2 + (k >= 2)};
        GO(pour, &f[i][0]); /* client to server: seed 2i; back: 2i + 1 */
        GO(drink, &f[i][1]);
        GO(pour, &f[i][2]);
        GO(drink, &f[i][3]);
    }
    WAIT_FOR(LOAD(done) == 4 * RELAYS);
    for (int i = 0; i < RELAYS; i++) WAIT_FOR(LOAD(r[i].over));
    for (int i = 0; i < RELAYS; i++) {
        relay_join(&r[i]);
        CHECK_EQ(r[i].err, 0);
        CHECK_EQ(r[i].res.a_to_b.bytes, SIZE);
        CHECK_EQ(r[i].res.b_to_a.bytes, SIZE);
        relay_close(&r[i]);
        CHECK_EQ(cyg_close(r[i].client.a), 0);
        CHECK_EQ(cyg_close(r[i].server.a), 0);
    }
}

/* ---- failures ------------------------------------------------------------------------------------------------------------------- */

/* One peer's reset reaches the other as one, at once. */
RT_TEST(test_a_reset_is_passed_on) {
    for (int side = 0; side < 2; side++) {
        struct relayed r;
        relay_start(&r, 0, NULL);
        cyg_conn *dies = side ? r.server.a : r.client.a, *other = side ? r.client.a : r.server.a;
        say(dies, "half a");
        hear(other, "half a");
        CHECK_EQ(cyg_conn_reset_on_close(dies), 0);
        CHECK_EQ(cyg_close(dies), 0);
        relay_join(&r);
        CHECK_EQ(r.err, -ECONNRESET);
        CHECK_EQ(r.res.end, CYG_RELAY_ERROR);
        CHECK_EQ(r.res.first, side ? 'b' : 'a');
        relay_close(&r);
        hear_end(other, -ECONNRESET);
        CHECK_EQ(cyg_close(other), 0);
    }
}

static bool waits_to_write(cyg_conn *c) {
    return atomic_load(&((struct conn *)c)->pd.slot[CYGRT_WRITE]) > CYGRT_PD_READY;
}

/* A server that says its last words and closes while the client still sends: writing to it fails, and all that it had said still
 * reaches the client, with an end in order behind it. */
RT_TEST(test_last_words_of_who_takes_nothing_more_are_passed_on) {
    if (no_splice()) return; /* a dropped pipe tells that the relay has noticed */
    for (int kind = 0; kind < 2; kind++) {
        struct relayed r;
        relay_start(&r, kind, NULL);
        net_settle();
        size_t said = 0; /* more than the relay can pass on: the client does not read yet */
        for (int full = 0; full < 20; net_settle()) {
            size_t n = net_fill(r.server.a);
            said += n;
            full = n == 0 && waits_to_write(r.client.b) ? full + 1 : 0; /* the relay may only be late */
        }
        CHECK_EQ(cyg_close(r.server.a), 0);
        int write_err = 0;
        for (cyg_time end = cyg_now() + RT_DEADLINE; !write_err && cyg_now() < end;) { /* until the relay has noticed */
            CHECK_EQ(cyg_write(r.client.a, "more", 4), 4);
            net_settle();
            cyg_copy_stats st = copy_stats();
            write_err = st.pipes_dropped_total > r.dropped;
        }
        net_settle();
        if (!kind) CHECK(!LOAD(r.over)); /* not aborted; a Unix socket holds all that was said */
        size_t heard = 0;
        static char b[65536];
        ssize_t n;
        for (; (n = cyg_read(r.client.a, b, sizeof b)) > 0;) heard += (size_t)n;
        CHECK_EQ(n, CYG_EOF);
        relay_join(&r);
        CHECK_EQ(r.res.end, CYG_RELAY_ERROR);
        CHECK(r.err == -EPIPE || r.err == -ECONNRESET);
        CHECK_EQ(r.res.first, 'b');
        CHECK_EQ(r.res.b_to_a.bytes, heard);
        if (kind) CHECK_EQ(heard, said); /* TCP drops what the server's socket had not sent when it was written to */
        relay_close(&r);
        CHECK_EQ(cyg_close(r.client.a), 0);
    }
}

/* Another goroutine closes one of the two, or its deadline passes: both end. */
RT_TEST(test_close_and_deadline_of_one_side_end_both) {
    for (int round = 0; round < 4; round++) {
        struct relayed r;
        relay_start(&r, 0, NULL);
        say(r.client.a, "x");
        hear(r.server.a, "x");
        cyg_conn *mine = round % 2 ? r.server.b : r.client.b;
        cyg_conn_acquire(mine);
        if (round / 2)
            CHECK_EQ(cyg_set_read_deadline(mine, 1), 0);
        else
            CHECK_EQ(cyg_close(mine), 0);
        relay_join(&r);
        CHECK_EQ(r.err, round / 2 ? CYG_ETIMEDOUT : CYG_ECLOSED);
        CHECK_EQ(r.res.end, CYG_RELAY_ERROR);
        cyg_conn_release(mine);
        hear_end(round % 2 ? r.client.a : r.server.a, -ECONNRESET);
        if (round / 2) {
            relay_close(&r);
        } else {
            (void)cyg_close(round % 2 ? r.client.b : r.server.b);
        }
        CHECK_EQ(cyg_close(r.client.a), 0);
        CHECK_EQ(cyg_close(r.server.a), 0);
    }
}

static cyg_ctx *ctx;
static void run_in_ctx(void *arg) {
    cyg_ctx_scope scope = cyg_ctx_enter(ctx);
    run_relay(arg);
    cyg_ctx_leave(&scope);
}
RT_TEST(test_context_ends_it) {
    for (int half = 0; half < 3; half++) { /* with both directions open, with the first one ended, with the second one */
        struct relayed r = {0};
        ctx = cyg_ctx_with_cancel(NULL);
        net_tcp_pair(&r.client);
        net_tcp_pair(&r.server);
        GO(run_in_ctx, &r);
        say(r.client.a, "x");
        hear(r.server.a, "x");
        if (half) CHECK_EQ(cyg_close_write(half == 1 ? r.client.a : r.server.a), 0);
        if (half) hear_end(half == 1 ? r.server.a : r.client.a, CYG_EOF);
        net_settle();
        CHECK(!LOAD(r.over));
        cyg_ctx_cancel(ctx, 0);
        relay_join(&r);
        CHECK_EQ(r.err, CYG_ECANCELED);
        CHECK_EQ(r.res.end, CYG_RELAY_CANCELED);
        CHECK_EQ(r.res.first, half == 0 ? 0 : half == 1 ? 'a' : 'b');
        relay_close(&r);
        CHECK(hear_out(half == 1 ? r.client.a : r.server.a) == -ECONNRESET);
        CHECK_EQ(cyg_close(r.client.a), 0);
        CHECK_EQ(cyg_close(r.server.a), 0);
        cyg_ctx_release(ctx);
    }
}

/* ---- timeouts -------------------------------------------------------------------------------------------------------------------- */

RT_TEST(test_idle_relay_ends_and_a_busy_one_does_not) {
    enum { IDLE = 40 };
    struct relayed r;
    cyg_relay_opts opts = {.idle_timeout = IDLE * CYG_MILLISECOND};
    relay_start(&r, 0, &opts);
    cyg_time began = cyg_now(), last = began;
    while (cyg_now() < began + 3 * IDLE * CYG_MILLISECOND) { /* one direction is enough */
        last = cyg_now();
        if (cyg_write(r.client.a, "x", 1) != 1) break; /* this machine stood still for as long as the timeout */
        CHECK_EQ(cyg_sleep(CYG_MILLISECOND), 0);
    }
    relay_join(&r);
    CHECK(cyg_now() - last >= 0);
    CHECK_EQ(r.err, CYG_ETIMEDOUT);
    CHECK_EQ(r.res.end, CYG_RELAY_IDLE);
    CHECK_EQ(r.res.first, 0);
    relay_close(&r);
    CHECK(hear_out(r.server.a) == -ECONNRESET);
    CHECK_EQ(cyg_close(r.client.a), 0);
    CHECK_EQ(cyg_close(r.server.a), 0);
}

RT_TEST(test_a_half_closed_relay_has_a_limit_of_its_own) {
    for (int side = 0; side < 2; side++) {
        struct relayed r;
        cyg_relay_opts opts = {.idle_timeout = CYG_HOUR, .half_closed_timeout = 20 * CYG_MILLISECOND};
        relay_start(&r, 0, &opts);
        cyg_conn *ends = side ? r.server.a : r.client.a, *stays = side ? r.client.a : r.server.a;
        CHECK_EQ(cyg_close_write(ends), 0);
        hear_end(stays, CYG_EOF);
        relay_join(&r);
        CHECK_EQ(r.err, CYG_ETIMEDOUT);
        CHECK_EQ(r.res.end, CYG_RELAY_HALF_CLOSED);
        CHECK_EQ(r.res.first, side ? 'b' : 'a');
        relay_close(&r);
        hear_end(ends, -ECONNRESET);
        CHECK_EQ(cyg_close(r.client.a), 0);
        CHECK_EQ(cyg_close(r.server.a), 0);
    }
}

/* Relays that end while their watches run. */
RT_TEST(test_short_timeouts_against_ends) {
    enum { ROUNDS = 300 / RT_LESS };
    uint64_t before[CYG_RELAY_ENDS], n = 0;
    cyg_copy_stats st = copy_stats();
    memcpy(before, st.relays_total, sizeof before);
    for (int i = 0; i < ROUNDS; i++) {
        struct relayed r;
        cyg_relay_opts opts = {.idle_timeout = (1 + i % 3) * CYG_MILLISECOND, .half_closed_timeout = CYG_MILLISECOND};
        relay_start(&r, i % 2, &opts);
        if (i % 4) CHECK_EQ(cyg_sleep((i % 7) * CYG_MILLISECOND / 3), 0);
        (void)cyg_close_write(r.client.a);
        (void)cyg_close_write(r.server.a);
        relay_join(&r);
        CHECK_EQ(r.err, r.res.end == CYG_RELAY_EOF ? 0 : CYG_ETIMEDOUT);
        relay_close(&r);
        CHECK_EQ(cyg_close(r.client.a), 0);
        CHECK_EQ(cyg_close(r.server.a), 0);
    }
    st = copy_stats();
    for (int i = 0; i < CYG_RELAY_ENDS; i++) n += st.relays_total[i] - before[i];
    CHECK_EQ(n, ROUNDS);
}

/* ---- progress --------------------------------------------------------------------------------------------------------------- */

RT_TEST(test_progress_is_told_while_it_runs) {
    for (int kind = 0; kind < 2; kind++) {
        struct relayed r;
        relay_start(&r, kind, NULL);
        say(r.client.a, "question");
        hear(r.server.a, "question");
        WAIT_FOR(cyg_copy_progress(&r.res.a_to_b) == 8);
        CHECK_EQ(cyg_copy_progress(&r.res.b_to_a), 0);
        say(r.server.a, "answer");
        hear(r.client.a, "answer");
        WAIT_FOR(cyg_copy_progress(&r.res.b_to_a) == 6);
        CHECK(!LOAD(r.over));
        CHECK_EQ(cyg_close(r.client.a), 0);
        CHECK_EQ(cyg_close(r.server.a), 0);
        relay_join(&r);
        CHECK_EQ(r.res.a_to_b.bytes, 8);
        CHECK_EQ(r.res.b_to_a.bytes, 6);
        relay_close(&r);
    }
}

/* ---- other streams ----------------------------------------------------------------------------------------------------------------- */

/* What has neither a descriptor nor half-close nor abort is relayed as well: in memory both ways. */
RT_TEST(test_streams_in_memory) {
    struct memory a = memory_of(100000), b = memory_of(50000);
    cyg_relay_result res;
    CHECK_EQ(cyg_relay(&a.s, &b.s, NULL, &res), 0);
    CHECK_EQ(res.a_to_b.bytes, 100000);
    CHECK_EQ(res.b_to_a.bytes, 50000);
    CHECK_EQ(b.taken, 100000);
    CHECK_EQ(a.taken, 50000);
    CHECK_EQ(res.a_to_b.reason, CYG_COPY_SOURCE);
    a = memory_of(10);
    b = memory_of(10);
    a.last = -EIO;
    CHECK_EQ(cyg_relay(&a.s, &b.s, NULL, &res), -EIO);
    CHECK_EQ(res.first, res.b_to_a.bytes == 10 ? res.first : 'a');
    CHECK_EQ(res.end, CYG_RELAY_ERROR);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_half_close_is_passed_on_while_the_other_half_goes_on),
        cmocka_unit_test(test_many_relays_both_ways_at_once),
        cmocka_unit_test(test_a_reset_is_passed_on),
        cmocka_unit_test(test_last_words_of_who_takes_nothing_more_are_passed_on),
        cmocka_unit_test(test_close_and_deadline_of_one_side_end_both),
        cmocka_unit_test(test_context_ends_it),
        cmocka_unit_test(test_idle_relay_ends_and_a_busy_one_does_not),
        cmocka_unit_test(test_a_half_closed_relay_has_a_limit_of_its_own),
        cmocka_unit_test(test_short_timeouts_against_ends),
        cmocka_unit_test(test_progress_is_told_while_it_runs),
        cmocka_unit_test(test_streams_in_memory),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
