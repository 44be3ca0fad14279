/* test_group.c: groups: the limit, the first error, cancelling, that nothing outlives the wait.
 */
#include "../rt.h"

static int running, most, ran, ended, joined;

static int work(void *arg) {
    (void)arg;
    int now = ADD(running, 1);
    for (int m = LOAD(most);
         now > m && !__atomic_compare_exchange_n(&most, &m, now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);)
        continue;
    for (int i = 0; i < 3; i++) cyg_yield();
    ADD(running, -1);
    ADD(ran, 1);
    return 5; /* not negative: no error */
}

RT_TEST(test_limit_holds_and_all_are_joined) {
    STORE(ran, 0);
    STORE(most, 0);
    cyg_group *g = cyg_group_new(NULL, &(cyg_group_opts){.limit = 3, .name = "worker"});
    for (int i = 0; i < 200; i++) CHECK_EQ(cyg_group_go(g, work, NULL), 0);
    CHECK_EQ(cyg_group_wait(g), 0);
    CHECK_EQ(LOAD(ran), 200);
    CHECK_EQ(LOAD(running), 0);
    CHECK(LOAD(most) <= 3);
    CHECK_EQ(cyg_group_wait(cyg_group_new(NULL, NULL)), 0); /* an empty one */
}

static int until_cancelled(void *arg) {
    int err = cyg_sleep(CYG_HOUR);
    CHECK_EQ(err, *(int *)arg);
    CHECK(cyg_ctx_err(cyg_ctx_current()) == err);
    ADD(ended, 1);
    return err;
}
static int end_with(void *arg) { return *(int *)arg; }

RT_TEST(test_first_error_cancels_the_others_and_is_returned) {
    int why = CYG_EPROTO, late = -EIO;
    STORE(ended, 0);
    cyg_group *g = cyg_group_new(NULL, NULL);
    for (int i = 0; i < 20; i++) CHECK_EQ(cyg_group_go(g, until_cancelled, &why), 0);
    CHECK_EQ(cyg_group_go(g, end_with, &why), 0);
    WAIT_FOR(cyg_ctx_err(cyg_group_ctx(g)));
    CHECK_EQ(cyg_group_go(g, end_with, &late), CYG_EPROTO); /* starts nothing more */
    CHECK_EQ(cyg_group_try_go(g, end_with, &late), CYG_EPROTO);
    CHECK_EQ(cyg_group_wait(g), CYG_EPROTO);
    CHECK_EQ(LOAD(ended), 20);
}

RT_TEST(test_keep_going_cancels_nobody) {
    int why = -EIO;
    STORE(ran, 0);
    cyg_group *g = cyg_group_new(NULL, &(cyg_group_opts){.keep_going = true, .limit = 1});
    CHECK_EQ(cyg_group_go(g, end_with, &why), 0);
    for (int i = 0; i < 20; i++) CHECK_EQ(cyg_group_go(g, work, NULL), 0);
    CHECK_EQ(cyg_group_wait(g), -EIO);
    CHECK_EQ(LOAD(ran), 20);
}

static int gate;
static int at_the_gate(void *arg) {
    (void)arg;
    WAIT_FOR(LOAD(gate));
    return 0;
}
static cyg_group *at_limit;
static int result;
static void go_one_more(void *arg) {
    STORE(result, cyg_group_go(at_limit, end_with, arg));
    ADD(ended, 1);
}

RT_TEST(test_at_the_limit_try_refuses_and_go_waits) {
    int why = 0;
    STORE(gate, 0);
    STORE(ended, 0);
    at_limit = cyg_group_new(NULL, &(cyg_group_opts){.limit = 2});
    CHECK_EQ(cyg_group_go(at_limit, at_the_gate, NULL), 0);
    CHECK_EQ(cyg_group_try_go(at_limit, at_the_gate, NULL), 0);
    CHECK_EQ(cyg_group_try_go(at_limit, at_the_gate, NULL), CYG_ELIMIT);
    GO(go_one_more, &why);
    for (int i = 0; i < 50; i++) cyg_yield();
    CHECK_EQ(LOAD(ended), 0);
    STORE(gate, 1);
    WAIT_FOR(LOAD(ended) == 1);
    CHECK_EQ(result, 0);
    CHECK_EQ(cyg_group_wait(at_limit), 0); /* being refused is no error of the group */
}

/* Who waits at the limit is let go by the end of the group's context or of its own, whichever way they are related. */
RT_TEST(test_waiting_at_the_limit_ends_with_either_context) {
    for (int kind = 0; kind < 4; kind++) {
        int why = 0, stop = -EPIPE;
        STORE(ended, 0);
        STORE(result, 1);
        cyg_auto_ctx cyg_ctx *top = cyg_ctx_with_cancel(NULL), *other = cyg_ctx_with_cancel(NULL);
        at_limit = cyg_group_new(top, &(cyg_group_opts){.limit = 1, .keep_going = true});
        CHECK_EQ(cyg_group_go(at_limit, until_cancelled, &stop), 0);
        cyg_ctx *inside = cyg_ctx_with_cancel(cyg_group_ctx(at_limit));
        cyg_ctx *caller = kind == 0 ? top : kind == 1 ? inside : other; /* above it, below it, a stranger */
        cyg_ctx_scope s = cyg_ctx_enter(caller);
        GO(go_one_more, &why);
        cyg_ctx_leave(&s);
        rt_settle(); /* it waits */
        CHECK_EQ(LOAD(ended), 0);
        if (kind == 3)
            cyg_ctx_cancel(other, -EINTR);
        else
            cyg_ctx_cancel(kind == 1 ? inside : top, kind == 1 ? -EINTR : -EPIPE);
        WAIT_FOR(LOAD(result) != 1);
        cyg_ctx_cancel(top, -EPIPE);
        int first = cyg_group_wait(at_limit);
        CHECK_EQ(result, kind & 1 ? -EINTR : -EPIPE);
        CHECK(first == result || first == -EPIPE);
        cyg_ctx_release(inside);
    }
}

static int nested(void *arg) {
    cyg_group *g = cyg_group_new(NULL, NULL); /* below the group's own */
    for (int i = 0; i < 3; i++) CHECK_EQ(cyg_group_go(g, until_cancelled, arg), 0);
    ADD(ran, 1);
    int err = cyg_group_wait(g);
    ADD(joined, 1);
    return err;
}
RT_TEST(test_cancelling_reaches_nested_groups_and_the_wait_still_joins) {
    int why = -EPIPE;
    STORE(ran, 0);
    STORE(ended, 0);
    STORE(joined, 0);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    cyg_group *g = cyg_group_new(ctx, NULL);
    for (int i = 0; i < 5; i++) CHECK_EQ(cyg_group_go(g, nested, &why), 0);
    WAIT_FOR(LOAD(ran) == 5);
    cyg_ctx_cancel(ctx, -EPIPE);
    CHECK_EQ(cyg_group_wait(g), -EPIPE);
    CHECK_EQ(LOAD(ended), 15); /* at once: none outlives the wait. (Their goroutines may still be about to be counted out.) */
    CHECK_EQ(LOAD(joined), 5);
}

static int slow_to_end(void *arg) {
    CHECK_EQ(cyg_sleep(CYG_HOUR), *(int *)arg);
    cyg_ctx_scope s = cyg_ctx_enter(cyg_ctx_background());
    for (int i = 0; i < 100; i++) cyg_yield();
    cyg_ctx_leave(&s);
    ADD(ended, 1);
    return 0;
}
static void wait_under(void *arg) {
    int why = -EINTR;
    cyg_ctx_scope s = cyg_ctx_enter(arg);
    cyg_group *g = cyg_group_new(cyg_ctx_background(), NULL); /* not below the waiter's context */
    for (int i = 0; i < 5; i++) CHECK_EQ(cyg_group_go(g, slow_to_end, &why), 0);
    CHECK_EQ(cyg_group_wait(g), 0);
    CHECK_EQ(LOAD(ended), 5);
    cyg_ctx_leave(&s);
    ADD(ended, 1);
}
RT_TEST(test_end_of_the_waiters_context_cancels_and_still_joins) {
    STORE(ended, 0);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    GO(wait_under, ctx);
    for (int i = 0; i < 50; i++) cyg_yield();
    cyg_ctx_cancel(ctx, -EINTR);
    WAIT_FOR(LOAD(ended) == 6);
}

static int adds_more(void *arg) {
    if (!arg) return 0;
    ADD(ran, 1);
    cyg_group *g = *(cyg_group **)arg;
    if (LOAD(ran) < 100) {
        (void)cyg_group_go(g, adds_more, arg);
        (void)cyg_group_go(g, adds_more, arg);
    }
    return 0;
}
RT_TEST(test_members_may_start_others) {
    STORE(ran, 0);
    cyg_group *g = cyg_group_new(NULL, NULL);
    CHECK_EQ(cyg_group_go(g, adds_more, &g), 0);
    CHECK_EQ(cyg_group_wait(g), 0);
    CHECK(LOAD(ran) >= 100);
}

static void few_body(void) {
    cyg_group *g = cyg_group_new(NULL, NULL);
    int n = 0, why = CYG_ELIMIT;
    STORE(ended, 0);
    while (cyg_group_go(g, until_cancelled, &why) == 0) n++;
    CHECK(n > 0);
    CHECK_EQ(cyg_group_wait(g), CYG_ELIMIT); /* a caller that looked at no result learns it here */
    CHECK_EQ(LOAD(ended), n);
}
static void test_what_could_not_be_started_is_an_error_of_the_group(void **state) {
    (void)state;
    rt_each(&(cyg_runtime_opts){.max_goroutines = 10}, few_body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_holds_and_all_are_joined),
        cmocka_unit_test(test_first_error_cancels_the_others_and_is_returned),
        cmocka_unit_test(test_keep_going_cancels_nobody),
        cmocka_unit_test(test_at_the_limit_try_refuses_and_go_waits),
        cmocka_unit_test(test_waiting_at_the_limit_ends_with_either_context),
        cmocka_unit_test(test_cancelling_reaches_nested_groups_and_the_wait_still_joins),
        cmocka_unit_test(test_end_of_the_waiters_context_cancels_and_still_joins),
        cmocka_unit_test(test_members_may_start_others),
        cmocka_unit_test(test_what_could_not_be_started_is_an_error_of_the_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
