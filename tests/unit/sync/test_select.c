/* test_select.c: select: what each case does in each state, exactly one case, no lost waiters, fairness, default, deadlines,
 * contexts, many cases. Rows of the table of behaviours (Go's names) stand beside the tests.
 */
#include "../rt.h"

static cyg_chan *c[4];
static int done, got;

static cyg_chan_stats stats_of(cyg_chan *ch) {
    cyg_chan_stats st;
    cyg_chan_get_stats(ch, &st);
    return st;
}
static void open_all(const size_t caps[4]) {
    for (int i = 0; i < 4; i++) CHECK(c[i] = cyg_chan_new(sizeof(int), caps[i]));
    STORE(done, 0);
}
static void drop_all(void) {
    for (int i = 0; i < 4; i++) cyg_chan_release(c[i]);
}
static const size_t unbuffered[4];

/* ---- one case in each state ------------------------------------------------------------------------------------------- */

enum { NIL, CLOSED, EMPTY, FULL, PARTLY };
static cyg_chan *in_state(int state) {
    if (state == NIL) return NULL;
    cyg_chan *ch = cyg_chan_new(sizeof(int), 2);
    for (int i = 0; i < (state == FULL ? 2 : state == PARTLY); i++) CHECK_EQ(cyg_chan_send(ch, &i), 0);
    if (state == CLOSED) cyg_chan_close(ch);
    return ch;
}
/* 4: select3.go. WAITS: a lone case waits (until the deadline), with CYG_DEFAULT it is not taken. */
enum { WAITS = 100 };
RT_TEST(test_table_of_states) {
    static const struct {
        int state, send, send_ok, recv, recv_ok; /* ok: -1 not written */
    } rows[] = {
        {NIL, WAITS, -1, WAITS, -1}, {CLOSED, 0, 0, 0, 0}, {EMPTY, 0, 1, WAITS, -1},
        {FULL, WAITS, -1, 0, 1},     {PARTLY, 0, 1, 0, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int with_default = 0; with_default < 2; with_default++) {
            int in = 5, out = 6, want = rows[i].send == WAITS;
            bool ok = false, untouched = true;
            bool *flag = rows[i].send_ok < 0 ? &untouched : &ok;
            ok = !rows[i].send_ok;
            cyg_chan *ch = in_state(rows[i].state);
            int which = with_default ? cyg_select(NULL, CYG_SEND(ch, &in, flag), CYG_DEFAULT)
                                     : cyg_select(NULL, CYG_SEND(ch, &in, flag), CYG_UNTIL(cyg_now() + CYG_MILLISECOND));
            CHECK_EQ(which, want);
            CHECK(flag == &untouched ? untouched : ok == (bool)rows[i].send_ok);
            cyg_chan_release(ch);

            ch = in_state(rows[i].state);
            want = rows[i].recv == WAITS;
            flag = rows[i].recv_ok < 0 ? &untouched : &ok;
            ok = !rows[i].recv_ok;
            which = with_default ? cyg_select(NULL, CYG_RECV(ch, &out, flag), CYG_DEFAULT)
                                 : cyg_select(NULL, CYG_RECV(ch, &out, flag), CYG_UNTIL(cyg_now() + CYG_MILLISECOND));
            CHECK_EQ(which, want);
            CHECK(flag == &untouched ? untouched : ok == (bool)rows[i].recv_ok);
            CHECK_EQ(out, want ? 6 : 0); /* the first element is 0, and so is what a closed channel gives */
            cyg_chan_release(ch);
        }
}

RT_TEST(test_send_on_a_closed_channel_without_ok) {
    open_all(unbuffered);
    int v = 1;
    cyg_chan_close(c[0]);
    CHECK_EQ(cyg_select(NULL, CYG_SEND(c[0], &v), CYG_DEFAULT), CYG_ECLOSED);
    CHECK_EQ(cyg_select(NULL, CYG_SEND(c[0], &v)), CYG_ECLOSED);
    drop_all();
}

/* 5: select4.go; 7: select7.go */
RT_TEST(test_ready_case_needs_no_wait_and_may_be_thrown_away) {
    open_all((const size_t[4]){1, 1, 1, 1});
    int v = 8, out = 0;
    bool ok = false;
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(cyg_chan_send(c[2], &v), 0);
        uint64_t before = rt_stats().switches_total;
        CHECK_EQ(cyg_select(NULL, CYG_RECV(c[0], &out), CYG_RECV(c[1], &out, &ok), CYG_RECV(c[2], &out, &ok)), 2);
        if (cyg_procs() == 1) CHECK_EQ(rt_stats().switches_total, before); /* did not park */
        CHECK(ok && out == 8);
        out = 0, ok = false;
    }
    CHECK_EQ(cyg_chan_send(c[2], &v), 0);
    CHECK_EQ(cyg_select(NULL, CYG_RECV(c[0], CYG_NOTHING), CYG_RECV(c[2], CYG_NOTHING, &ok)), 1);
    CHECK(ok);
    CHECK_EQ(cyg_chan_send(c[2], &v), 0);
    CHECK_EQ(cyg_select(NULL, CYG_RECV(c[2], (int *)NULL)), 0);
    drop_all();
}

/* ---- exactly one, nothing lost -------------------------------------------------------------------------------------------- */

enum { ROUNDS = 100000 / RT_LESS / RT_LESS };

static void send_once_each(void *arg) {
    (void)arg;
    for (int i = 1; i <= ROUNDS; i++)
        CHECK(cyg_select(NULL, CYG_SEND(c[0], &i), CYG_SEND(c[1], &i), CYG_SEND(c[2], &i), CYG_SEND(c[3], &i)) >= 0);
    for (int i = 0; i < 4; i++) cyg_chan_close(c[i]);
    ADD(done, 1);
}
static uint8_t *seen;
static void note_each(void *arg) {
    for (int v; cyg_chan_recv((cyg_chan *)arg, &v) == 0;) CHECK_EQ(ADD(seen[v], 1), 1);
    ADD(done, 1);
}
/* 3: doubleselect.go */
RT_TEST(test_select_does_exactly_one_case) {
    open_all((const size_t[4]){0, 0, 1, 3});
    seen = calloc(ROUNDS + 1, 1);
    for (int i = 0; i < 8; i++) GO(note_each, c[i % 4]);
    GO(send_once_each, NULL);
    WAIT_FOR(LOAD(done) == 9);
    for (int i = 1; i <= ROUNDS; i++) CHECK_EQ(seen[i], 1);
    free(seen);
    drop_all();
}

static void recv_plain(void *arg) {
    int v;
    CHECK_EQ(cyg_chan_recv(c[0], &v), 0);
    ADD(got, v);
    (void)arg;
    ADD(done, 1);
}
static void recv_either(void *arg) {
    int v, which = cyg_select(NULL, CYG_RECV(c[0], &v), CYG_RECV(c[1], &v), CYG_RECV(c[0], &v));
    CHECK_EQ(which, 1);
    CHECK_EQ(v, 100);
    (void)arg;
    ADD(done, 1);
}
/* 6: select6.go; 18: TestSelectDuplicateChannel. The select leaves c[0]'s queue from its front, middle and end. */
RT_TEST(test_losing_cases_leave_their_queues_intact) {
    for (int before = 0; before < 3; before++)
        for (int after = 0; after < 3; after++) {
            open_all(unbuffered);
            STORE(got, 0);
            for (int i = 0; i < before; i++) GO(recv_plain, NULL);
            WAIT_FOR(stats_of(c[0]).receivers == (size_t)before);
            GO(recv_either, NULL);
            WAIT_FOR(stats_of(c[0]).receivers == (size_t)before + 2);
            for (int i = 0; i < after; i++) GO(recv_plain, NULL);
            WAIT_FOR(stats_of(c[0]).receivers == (size_t)(before + after) + 2);
            int v = 100;
            CHECK_EQ(cyg_chan_send(c[1], &v), 0);
            WAIT_FOR(LOAD(done) == 1);
            CHECK_EQ(stats_of(c[0]).receivers, before + after);
            for (v = 1; v <= before + after; v++) CHECK_EQ(cyg_chan_send(c[0], &v), 0);
            WAIT_FOR(LOAD(done) == 1 + before + after);
            CHECK_EQ(got, (before + after) * (before + after + 1) / 2);
            CHECK_EQ(cyg_chan_try_send(c[0], &v), CYG_EAGAIN);
            drop_all();
        }
}

static int self_cap;
static void self_select(void *arg) {
    int me = (int)(intptr_t)arg, v = -1;
    for (int i = 0; i < 1000; i++) {
        bool send_first = me == 0 || i % 2 == 0;
        int which = send_first ? cyg_select(NULL, CYG_SEND(c[0], &me), CYG_RECV(c[0], &v))
                               : cyg_select(NULL, CYG_RECV(c[0], &v), CYG_SEND(c[0], &me));
        CHECK(which >= 0);
        if (which == send_first && self_cap == 0) CHECK_EQ(v, !me); /* received: not from itself */
    }
    ADD(done, 1);
}
/* 13: TestSelfSelect */
RT_TEST(test_select_does_not_meet_itself) {
    for (self_cap = 0; self_cap <= 10; self_cap += 10) {
        open_all((const size_t[4]){(size_t)self_cap});
        GO(self_select, (void *)0);
        GO(self_select, (void *)1);
        WAIT_FOR(LOAD(done) == 2);
        drop_all();
    }
}

enum { STRESS = 20000 / RT_LESS / RT_LESS };
static void stress_send(void *arg) {
    for (int i = 0; i < STRESS; i++) CHECK_EQ(cyg_chan_send((cyg_chan *)arg, &i), 0);
    ADD(done, 1);
}
static void stress_recv(void *arg) {
    for (int i = 0, v; i < STRESS; i++) CHECK_EQ(cyg_chan_recv((cyg_chan *)arg, &v), 0);
    ADD(done, 1);
}
static void stress_select(void *arg) {
    bool send = arg != NULL;
    cyg_chan *mine[4] = {c[0], c[1], c[2], c[3]};
    int n[4] = {0}, v = 0;
    for (int i = 0; i < 4 * STRESS; i++) {
        int which = send ? cyg_select(NULL, CYG_SEND(mine[3], &v), CYG_SEND(mine[2], &v), CYG_SEND(mine[0], &v),
                                      CYG_SEND(mine[1], &v))
                         : cyg_select(NULL, CYG_RECV(mine[0], &v), CYG_RECV(mine[1], &v), CYG_RECV(mine[2], &v),
                                      CYG_RECV(mine[3], &v));
        CHECK(which >= 0 && which < 4);
        int k = send ? (int[]){3, 2, 0, 1}[which] : which;
        if (++n[k] == STRESS) mine[k] = NULL;
    }
    ADD(done, 1);
}
/* 14: TestSelectStress */
RT_TEST(test_stress_over_four_channels) {
    open_all((const size_t[4]){0, 0, 2, 3});
    for (int i = 0; i < 4; i++) {
        GO(stress_send, c[i]);
        GO(stress_recv, c[i]);
    }
    GO(stress_select, c);
    GO(stress_select, NULL);
    WAIT_FOR(LOAD(done) == 10);
    for (int i = 0; i < 4; i++) CHECK_EQ(stats_of(c[i]).receives_total, 2 * STRESS);
    drop_all();
}

/* ---- fairness ----------------------------------------------------------------------------------------------------------------- */

/* 15: TestSelectFairness */
RT_TEST(test_ready_cases_are_chosen_evenly) {
    enum { N = 10000 };
    open_all((const size_t[4]){N + 1, N + 1, 0, 0});
    int v = 0, n[4] = {0};
    for (int i = 0; i <= N; i++) {
        CHECK_EQ(cyg_chan_send(c[0], &v), 0);
        CHECK_EQ(cyg_chan_send(c[1], &v), 0);
    }
    for (int i = 0; i < N; i++) {
        int which = cyg_select(NULL, CYG_RECV(c[2], &v), CYG_RECV(c[3], &v), CYG_RECV(c[0], &v), CYG_RECV(c[1], &v));
        CHECK(which == 2 || which == 3);
        n[which]++;
    }
    CHECK(abs(n[2] - N / 2) < 500); /* ten sigma */
    drop_all();
}

static void send_either(void *arg) {
    int zero = 0, one = 1;
    for (int i = 0; i < 1000; i++) {
        if (arg) WAIT_FOR(stats_of(c[0]).receivers); /* so that both cases are ready */
        CHECK(cyg_select(NULL, CYG_SEND(c[0], &zero), CYG_SEND(c[0], &one)) >= 0);
    }
    ADD(done, 1);
}
/* 16: TestPseudoRandomSend */
RT_TEST(test_equal_sends_are_chosen_at_random) {
    for (size_t cap = 0; cap < 2; cap++) {
        open_all((const size_t[4]){cap});
        GO(send_either, cap ? NULL : c);
        int n[2] = {0}, last = 0, changes = 0;
        for (int i = 0, v; i < 1000; i++) {
            if (cap) WAIT_FOR(stats_of(c[0]).depth);
            CHECK_EQ(cyg_chan_recv(c[0], &v), 0);
            n[v]++;
            changes += v != last;
            last = v;
        }
        WAIT_FOR(LOAD(done) == 1);
        if (!cap) CHECK(n[0] > 100 && n[1] > 100 && changes > 100);
        CHECK_EQ(n[0] + n[1], 1000);
        drop_all();
    }
}

/* ---- default -------------------------------------------------------------------------------------------------------------------- */

static int never_ready, go_round, seen_round;
enum { LOOKS = 20000 / RT_LESS };
/* A thread, so that it looks while the goroutine acts, at any number of Ps. */
static void *look_in_rounds(void *arg) {
    for (int i = 1, v; i <= LOOKS; i++) {
        while (LOAD(go_round) != i) sched_yield();
        for (volatile int spin = i % 64; spin > 0; spin--) continue; /* meets the other at each of its steps */
        if (cyg_select(NULL, CYG_RECV(c[0], &v), CYG_RECV(c[1], &v), CYG_DEFAULT) == 2) ADD(never_ready, 1);
        STORE(seen_round, i);
    }
    return arg;
}
/* 12: TestNonblockSelectRace. c[1] is filled before c[0] is emptied, so at each moment one of them is ready, but not at each
 * look at one of them. (TestNonblockSelectRace2, with a close, is the last round.) */
RT_TEST(test_default_only_if_no_case_was_ready_at_one_moment) {
    STORE(never_ready, 0);
    STORE(go_round, 0);
    STORE(seen_round, 0);
    open_all((const size_t[4]){1, 1, 0, 0});
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, look_in_rounds, NULL), 0);
    for (int i = 1; i <= LOOKS; i++) {
        CHECK_EQ(cyg_chan_send(c[i % 2], &i), 0);
        STORE(go_round, i);
        if (i < LOOKS)
            CHECK_EQ(cyg_chan_send(c[!(i % 2)], &i), 0);
        else
            cyg_chan_close(c[!(i % 2)]);
        (void)cyg_chan_try_recv(c[i % 2], CYG_NOTHING);
        cyg_time end = cyg_now() + RT_DEADLINE;
        while (LOAD(seen_round) != i) {
            CHECK(cyg_now() < end);
            sched_yield();
        }
        for (int k = 0; k < 2; k++) (void)cyg_chan_try_recv(c[k], CYG_NOTHING);
    }
    CHECK_EQ(pthread_join(t, NULL), 0);
    CHECK_EQ(LOAD(never_ready), 0);
    drop_all();
}

static void *foreign(void *arg) {
    int v = 3;
    CHECK_EQ(cyg_select(NULL, CYG_RECV(c[0], &v), CYG_RECV(c[1], &v), CYG_DEFAULT), 2);
    CHECK_EQ(cyg_select(NULL, CYG_SEND(c[2], &v), CYG_SEND(c[3], &v), CYG_DEFAULT) / 2, 0);
    return arg;
}
RT_TEST(test_foreign_thread_with_default) {
    open_all((const size_t[4]){0, 0, 1, 1});
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, foreign, NULL), 0);
    int v = 0;
    CHECK(cyg_select(NULL, CYG_RECV(c[2], &v), CYG_RECV(c[3], &v)) >= 0);
    CHECK_EQ(v, 3);
    CHECK_EQ(pthread_join(t, NULL), 0);
    drop_all();
}

/* ---- ends: deadline, context, close ------------------------------------------------------------------------------------------------- */

RT_TEST(test_earliest_deadline_ends_the_wait) {
    open_all(unbuffered);
    int v = 2;
    cyg_time soon = cyg_now() + 2 * CYG_MILLISECOND;
    CHECK_EQ(cyg_select(NULL, CYG_RECV(c[0], &v), CYG_UNTIL(soon + CYG_HOUR), CYG_UNTIL(0), CYG_UNTIL(soon)), 3);
    CHECK(cyg_now() >= soon);
    CHECK_EQ(cyg_select(NULL, CYG_SEND(c[0], &v), CYG_UNTIL(1)), 1);
    CHECK_EQ(cyg_select(NULL, CYG_UNTIL(cyg_now() + CYG_MICROSECOND)), 0);
    CHECK_EQ(v, 2);
    CHECK_EQ(stats_of(c[0]).receivers + stats_of(c[0]).senders, 0);
    drop_all();
}

static int err;
static void select_under(void *arg) {
    int v = 5;
    err = cyg_select((cyg_ctx *)arg, CYG_RECV(c[0], &v), CYG_SEND(c[1], &v), CYG_RECV(NULL, &v));
    CHECK(cyg_ctx_current() == cyg_ctx_background());
    CHECK_EQ(v, 5);
    ADD(done, 1);
}
static void select_in_scope(void *arg) {
    cyg_ctx_scope s = cyg_ctx_enter((cyg_ctx *)arg);
    int v = 5;
    err = cyg_select(NULL, CYG_RECV(c[0], &v), CYG_SEND(c[1], &v));
    cyg_ctx_leave(&s);
    ADD(done, 1);
}
RT_TEST(test_context_ends_a_select) {
    for (int i = 0; i < 200; i++) {
        open_all(unbuffered);
        cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
        GO(i % 2 ? select_under : select_in_scope, ctx);
        if (i % 3) WAIT_FOR(stats_of(c[1]).senders == 1);
        cyg_ctx_cancel(ctx, 0);
        WAIT_FOR(LOAD(done) == 1);
        CHECK_EQ(err, CYG_ECANCELED);
        CHECK_EQ(stats_of(c[0]).receivers + stats_of(c[1]).senders, 0);
        drop_all();
    }
    cyg_auto_ctx cyg_ctx *soon = cyg_ctx_with_timeout(NULL, CYG_MILLISECOND);
    CHECK_EQ(cyg_select_n(soon, NULL, 0), CYG_ETIMEDOUT); /* no case: waits for the context */
}

static void wait_for_close(void *arg) {
    int v = 5;
    bool ok = true, sent = true;
    int which = cyg_select(NULL, CYG_RECV(c[0], &v, &ok), CYG_SEND(c[1], &v, &sent));
    CHECK_EQ(which, arg != NULL);
    CHECK_EQ(ok, arg != NULL);
    CHECK_EQ(sent, arg == NULL);
    CHECK_EQ(v, arg ? 5 : 0);
    ADD(done, 1);
}
RT_TEST(test_close_wakes_a_select) {
    for (int which = 0; which < 2; which++) {
        open_all(unbuffered);
        for (int i = 0; i < 70; i++) GO(wait_for_close, which ? c : NULL);
        WAIT_FOR(stats_of(c[1]).senders == 70);
        cyg_chan_close(c[which]);
        WAIT_FOR(LOAD(done) == 70);
        CHECK_EQ(stats_of(c[!which]).senders + stats_of(c[!which]).receivers, 0);
        drop_all();
    }
}

/* ---- many cases ------------------------------------------------------------------------------------------------------------------------ */

enum { MANY = 300 };
static cyg_chan *many[MANY];
static void send_on(void *arg) {
    int v = (int)(intptr_t)arg;
    CHECK_EQ(cyg_chan_send(many[v], &v), 0);
}
RT_TEST(test_select_over_an_array_of_cases) {
    for (int i = 0; i < MANY; i++) many[i] = cyg_chan_new(sizeof(int), 0);
    for (int n = 1; n <= MANY; n += n < 12 ? 1 : 72) {
        struct cyg_select_case *cases = calloc((size_t)n, sizeof *cases);
        int v[MANY];
        for (int i = 0; i < n; i++) /* in no order of addresses, some twice */
            cases[i] = (struct cyg_select_case)CYG_RECV(many[i / 2 * 89 % MANY], &v[i]);
        for (int round = 0; round < 20; round++) {
            int from = (round * 7 % n) / 2 * 89 % MANY;
            GO(send_on, (void *)(intptr_t)from);
            int which = cyg_select_n(NULL, cases, (size_t)n);
            CHECK(which >= 0 && which < n && cases[which].ch == many[from]);
            CHECK_EQ(v[which], from);
        }
        free(cases);
    }
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(stats_of(many[i]).receivers, 0);
        cyg_chan_release(many[i]);
    }
}

/* ---- misuse, dump ------------------------------------------------------------------------------------------------------------------------ */

static void wrong_size(void) {
    open_all(unbuffered);
    long v;
    (void)cyg_select(NULL, CYG_RECV(c[0], &v), CYG_DEFAULT);
}
static int child_wrong_size(int argc, char **argv) {
    (void)argc, (void)argv;
    rt_run(&(cyg_runtime_opts){.maxprocs = 1}, wrong_size);
    return 0;
}
static void test_wrong_size_aborts(void **state) {
    (void)state;
    struct rt_result r;
    rt_spawn("wrong_size", NULL, NULL, &r);
    CHECK_SIGNAL(&r, SIGABRT);
    CHECK_SAYS(&r, "select to receive of 8 bytes");
    CHECK_SAYS(&r, "test_select.c:");
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"wrong_size", child_wrong_size}, {NULL, NULL}};
    int code = rt_child_main(argc, argv, kids);
    if (code >= 0) return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_of_states),
        cmocka_unit_test(test_send_on_a_closed_channel_without_ok),
        cmocka_unit_test(test_ready_case_needs_no_wait_and_may_be_thrown_away),
        cmocka_unit_test(test_select_does_exactly_one_case),
        cmocka_unit_test(test_losing_cases_leave_their_queues_intact),
        cmocka_unit_test(test_select_does_not_meet_itself),
        cmocka_unit_test(test_stress_over_four_channels),
        cmocka_unit_test(test_ready_cases_are_chosen_evenly),
        cmocka_unit_test(test_equal_sends_are_chosen_at_random),
        cmocka_unit_test(test_default_only_if_no_case_was_ready_at_one_moment),
        cmocka_unit_test(test_foreign_thread_with_default),
        cmocka_unit_test(test_earliest_deadline_ends_the_wait),
        cmocka_unit_test(test_context_ends_a_select),
        cmocka_unit_test(test_close_wakes_a_select),
        cmocka_unit_test(test_select_over_an_array_of_cases),
        cmocka_unit_test(test_wrong_size_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
