/* test_context_ends.c: what contexts carry and what happens at their end: causes, values, detached contexts, functions at the end,
 * deep trees, cancels that meet. Rows 48 to 50 of the table of behaviours.
 */
#include "../rt.h"

static int done, ran, destroyed;
static const char key_a, key_b;

/* ---- causes ---------------------------------------------------------------------------------------------------------- */

RT_TEST(test_cause_is_the_text_of_whoever_ended_it_first) {
    cyg_auto_ctx cyg_ctx *a = cyg_ctx_with_cancel(NULL), *b = cyg_ctx_with_cancel(a), *own = cyg_ctx_with_cancel(a);
    CHECK(strcmp(cyg_ctx_cause(a), "") == 0);
    cyg_ctx_cancel_because(own, -EPIPE, "%s broke", "pipe");
    cyg_ctx_cancel_because(a, 0, "shutdown %d", 7);
    cyg_ctx_cancel_because(a, -EIO, "too late");
    cyg_ctx_cancel_because(b, -EIO, "too late");
    CHECK(strcmp(cyg_ctx_cause(a), "shutdown 7") == 0);
    CHECK_EQ(cyg_ctx_err(b), CYG_ECANCELED);
    CHECK(strcmp(cyg_ctx_cause(b), "shutdown 7") == 0);
    CHECK(strcmp(cyg_ctx_cause(own), "pipe broke") == 0);
    cyg_auto_ctx cyg_ctx *born_ended = cyg_ctx_with_cancel(b);
    CHECK(strcmp(cyg_ctx_cause(born_ended), "shutdown 7") == 0);
    cyg_auto_ctx cyg_ctx *plain = cyg_ctx_with_deadline(NULL, 1);
    CHECK(strcmp(cyg_ctx_cause(plain), cyg_strerror(CYG_ETIMEDOUT)) == 0);
    CHECK(strcmp(cyg_ctx_cause(cyg_ctx_background()), "") == 0);
}

/* A child may be the last that knows the ancestor whose words it repeats. */
RT_TEST(test_cause_outlives_its_ancestor) {
    cyg_ctx *a = cyg_ctx_with_cancel(NULL), *b = cyg_ctx_with_cancel(a), *c = cyg_ctx_with_cancel(b);
    cyg_ctx_cancel_because(a, 0, "a's words");
    cyg_ctx_release(a);
    cyg_ctx_release(b);
    CHECK(strcmp(cyg_ctx_cause(c), "a's words") == 0);
    cyg_ctx_release(c);
}

/* ---- values ----------------------------------------------------------------------------------------------------------- */

static void destroy(void *value) { ADD(*(int *)value, 1); }

RT_TEST(test_values_are_found_up_the_tree) {
    int one = 1, two = 2, three = 3;
    cyg_auto_ctx cyg_ctx *a = cyg_ctx_with_value(NULL, &key_a, &one), *b = cyg_ctx_with_timeout(a, CYG_HOUR);
    cyg_auto_ctx cyg_ctx *c = cyg_ctx_with_value(b, &key_b, &two), *d = cyg_ctx_with_value(c, &key_a, &three);
    CHECK(cyg_ctx_value(d, &key_a) == &three); /* the nearest */
    CHECK(cyg_ctx_value(c, &key_a) == &one);
    CHECK(cyg_ctx_value(d, &key_b) == &two);
    CHECK(cyg_ctx_value(b, &key_b) == NULL);
    CHECK(cyg_ctx_value(cyg_ctx_background(), &key_a) == NULL);
    CHECK(cyg_ctx_value(NULL, &key_a) == NULL);
    cyg_ctx_scope s = cyg_ctx_enter(c);
    CHECK(cyg_ctx_value(NULL, &key_a) == &one); /* NULL: the current one */
    cyg_ctx_leave(&s);
    CHECK_EQ(cyg_ctx_deadline(d), cyg_ctx_deadline(b));
    cyg_ctx_cancel(b, -EPIPE);
    CHECK_EQ(cyg_ctx_err(d), -EPIPE);
    CHECK(cyg_ctx_value(d, &key_b) == &two); /* also when it has ended */
}

RT_TEST(test_owned_value_goes_with_the_last_that_sees_it) {
    int gone = 0;
    cyg_ctx *a = cyg_ctx_with_owned_value(NULL, &key_a, &gone, destroy), *kid = cyg_ctx_with_cancel(a);
    cyg_ctx *detached = cyg_ctx_detached(kid);
    cyg_ctx_release(a);
    cyg_ctx_cancel(kid, 0);
    cyg_ctx_release(kid);
    CHECK_EQ(LOAD(gone), 0);
    CHECK(cyg_ctx_value(detached, &key_a) == &gone);
    cyg_ctx_release(detached);
    CHECK_EQ(LOAD(gone), 1);
}

RT_TEST(test_detached_keeps_values_and_neither_end_nor_deadline) {
    int one = 1;
    cyg_ctx *a = cyg_ctx_with_timeout(NULL, CYG_HOUR), *v = cyg_ctx_with_value(a, &key_a, &one);
    cyg_auto_ctx cyg_ctx *d = cyg_ctx_detached(v), *kid = cyg_ctx_with_cancel(d);
    CHECK_EQ(cyg_ctx_deadline(d), 0);
    cyg_ctx_release(v);
    cyg_ctx_release(a); /* the last: a ends, and its timer with it, whatever the detached one still sees */
    CHECK_EQ(rt_stats().timers, 0);
    CHECK_EQ(cyg_ctx_err(d), 0);
    CHECK(cyg_ctx_value(kid, &key_a) == &one);
    cyg_ctx_cancel(d, -EPIPE); /* its own end is its own */
    CHECK_EQ(cyg_ctx_err(kid), -EPIPE);
    cyg_auto_ctx cyg_ctx *of_ended = cyg_ctx_detached(kid);
    CHECK_EQ(cyg_ctx_err(of_ended), 0);
}

/* ---- functions at the end ----------------------------------------------------------------------------------------------- */

static uint64_t ran_on;
static cyg_ctx *ran_under;
static void note(void *arg) {
    STORE(ran_on, cyg_goid());
    STORE(ran_under, cyg_ctx_current());
    CHECK_EQ(cyg_sleep(1), 0); /* it may park */
    ADD(*(int *)arg, 1);
}

RT_TEST(test_after_func_runs_once_on_a_goroutine_of_its_own) {
    STORE(ran, 0);
    cyg_auto_ctx cyg_ctx *a = cyg_ctx_with_cancel(NULL), *kid = cyg_ctx_with_cancel(a);
    cyg_ctx_after *x, *y;
    CHECK_EQ(cyg_ctx_after_func(kid, note, &ran, &x), 0);
    CHECK_EQ(cyg_ctx_after_func(kid, note, &ran, NULL), 0); /* nobody will stop it */
    for (int i = 0; i < 20; i++) cyg_yield();
    CHECK_EQ(LOAD(ran), 0);
    cyg_ctx_scope s = cyg_ctx_enter(kid);
    cyg_ctx_cancel(a, 0);
    cyg_ctx_leave(&s);
    WAIT_FOR(LOAD(ran) == 2);
    CHECK(LOAD(ran_on) != cyg_goid());
    CHECK(LOAD(ran_under) == cyg_ctx_background());
    CHECK(!cyg_ctx_after_stop(x)); /* too late */
    cyg_ctx_after_release(x);
    CHECK_EQ(cyg_ctx_after_func(kid, note, &ran, &y), 0); /* has ended: at once */
    WAIT_FOR(LOAD(ran) == 3);
    CHECK(!cyg_ctx_after_stop(y));
    cyg_ctx_after_release(y);
    cyg_ctx_cancel(kid, 0);
    for (int i = 0; i < 20; i++) cyg_yield();
    CHECK_EQ(LOAD(ran), 3);
}

RT_TEST(test_after_func_that_was_stopped_never_runs) {
    STORE(ran, 0);
    cyg_auto_ctx cyg_ctx *a = cyg_ctx_with_cancel(NULL);
    cyg_ctx_after *x[3], *never;
    for (int i = 0; i < 3; i++) CHECK_EQ(cyg_ctx_after_func(a, note, &ran, &x[i]), 0);
    CHECK(cyg_ctx_after_stop(x[1]));
    CHECK(!cyg_ctx_after_stop(x[1])); /* only once */
    cyg_ctx_cancel(a, 0);
    WAIT_FOR(LOAD(ran) == 2);
    for (int i = 0; i < 3; i++) cyg_ctx_after_release(x[i]);
    CHECK_EQ(cyg_ctx_after_func(cyg_ctx_background(), note, &ran, &never), 0);
    CHECK_EQ(cyg_ctx_after_func(cyg_ctx_background(), note, &ran, NULL), 0);
    CHECK(cyg_ctx_after_stop(never));
    CHECK(!cyg_ctx_after_stop(never));
    cyg_ctx_after_release(never);
    CHECK_EQ(LOAD(ran), 2);
}

RT_TEST(test_after_func_does_not_keep_its_context) {
    STORE(ran, 0);
    cyg_ctx *a = cyg_ctx_with_timeout(NULL, CYG_HOUR);
    CHECK_EQ(cyg_ctx_after_func(a, note, &ran, NULL), 0);
    cyg_ctx_release(a); /* the last user: it ends */
    WAIT_FOR(LOAD(ran) == 1);
    CHECK_EQ(rt_stats().timers, 0);
}

static void cancel_it(void *arg) {
    cyg_ctx_cancel(arg, 0);
    cyg_ctx_release(arg);
    ADD(done, 1);
}
/* Exactly one of the two happens: fn runs, or stop says that it never will. */
RT_TEST(test_after_stop_races_with_the_end) {
    STORE(ran, 0);
    STORE(done, 0);
    int stopped = 0, n = 2000 / RT_LESS;
    for (int i = 0; i < n; i++) {
        cyg_ctx *a = cyg_ctx_with_cancel(NULL);
        cyg_ctx_after *x;
        CHECK_EQ(cyg_ctx_after_func(a, note, &ran, &x), 0);
        GO(cancel_it, a);
        if (i % 2) cyg_yield();
        stopped += cyg_ctx_after_stop(x);
        cyg_ctx_after_release(x);
    }
    WAIT_FOR(LOAD(done) == n);
    WAIT_FOR(LOAD(ran) + stopped == n);
    for (int i = 0; i < 50; i++) cyg_yield();
    CHECK_EQ(LOAD(ran) + stopped, n);
}

/* ---- trees --------------------------------------------------------------------------------------------------------------- */

static void deep(void *arg) { /* on a stack of 16 KiB */
    enum { N = 100000 };
    cyg_ctx *top = cyg_ctx_with_cancel(NULL), *c = cyg_ctx_acquire(top);
    for (int i = 0; i < N; i++) {
        cyg_ctx *kid = cyg_ctx_with_cancel(c);
        cyg_ctx_release(c); /* the child holds it */
        c = kid;
    }
    CHECK_EQ(cyg_ctx_err(c), 0);
    if (arg) cyg_ctx_cancel(top, -EPIPE);
    CHECK_EQ(cyg_ctx_err(c), arg ? -EPIPE : 0);
    cyg_ctx_release(top);
    cyg_ctx_release(c); /* takes all of them along */
    ADD(done, 1);
}
RT_TEST(test_a_deep_chain_needs_no_deep_stack) {
    STORE(done, 0);
    CHECK_EQ(cyg_go_with(&(cyg_go_opts){.stack_size = 16 << 10}, deep, NULL), 0);
    CHECK_EQ(cyg_go_with(&(cyg_go_opts){.stack_size = 16 << 10}, deep, &done), 0);
    WAIT_FOR(LOAD(done) == 2);
}

/* A child that ends leaves its parent: a long-lived parent does not collect them. The count of goroutines stays, too. */
RT_TEST(test_ended_children_leave_a_living_parent) {
    cyg_auto_ctx cyg_ctx *a = cyg_ctx_with_cancel(NULL);
    int gone = 0;
    for (int i = 0; i < 10000; i++) {
        cyg_ctx *kid = cyg_ctx_with_owned_value(a, &key_a, &gone, destroy);
        cyg_ctx_after *x;
        CHECK_EQ(cyg_ctx_after_func(a, note, &ran, &x), 0);
        CHECK(cyg_ctx_after_stop(x));
        cyg_ctx_after_release(x);
        if (i % 2) cyg_ctx_cancel(kid, 0);
        cyg_ctx_release(kid);
        CHECK_EQ(LOAD(gone), i + 1);
    }
    CHECK_EQ(rt_stats().goroutines, 1); /* no goroutine per child */
}

static cyg_ctx *pair[2];
static int together;
static void cancel_other(void *arg) {
    int i = (int)(intptr_t)arg;
    ADD(together, 1);
    WAIT_FOR(LOAD(together) == 2);
    cyg_ctx_cancel(pair[i], 0);
    ADD(done, 1);
}
static void cancel_partner(void *arg) {
    cyg_ctx_cancel(arg, -EPIPE);
    ADD(ran, 1);
}
RT_TEST(test_mutual_and_simultaneous_cancels_do_not_deadlock) {
    for (int i = 0; i < 300 / RT_LESS; i++) {
        pair[0] = cyg_ctx_with_cancel(NULL);
        pair[1] = i % 3 == 0   ? cyg_ctx_with_cancel(pair[0])
                  : i % 3 == 1 ? cyg_ctx_acquire(pair[0])
                               : cyg_ctx_with_cancel(NULL);
        cyg_ctx *kid = cyg_ctx_with_timeout(pair[1], CYG_HOUR);
        CHECK_EQ(cyg_ctx_after_func(pair[0], cancel_partner, pair[1], NULL), 0); /* each end brings about the other */
        CHECK_EQ(cyg_ctx_after_func(pair[1], cancel_partner, pair[0], NULL), 0);
        STORE(together, 0);
        STORE(done, 0);
        STORE(ran, 0);
        GO(cancel_other, (void *)0);
        GO(cancel_other, (void *)1);
        WAIT_FOR(LOAD(done) == 2);
        WAIT_FOR(cyg_ctx_err(kid) != 0);
        WAIT_FOR(LOAD(ran) == 2); /* before they go */
        cyg_ctx_release(kid);
        cyg_ctx_release(pair[1]);
        cyg_ctx_release(pair[0]);
    }
    CHECK_EQ(rt_stats().timers, 0);
}

static void make_and_drop(void *arg) {
    for (int i = 0; i < 500; i++) {
        cyg_auto_ctx cyg_ctx *a = cyg_ctx_with_timeout(arg, CYG_HOUR),
                             *b = cyg_ctx_with_owned_value(a, &key_a, &destroyed, destroy);
        cyg_ctx_scope s = cyg_ctx_enter(b);
        if (i % 7 == 0) cyg_yield();
        cyg_ctx_leave(&s);
        if (i % 3 == 0) cyg_ctx_cancel(a, 0);
    }
    ADD(done, 1);
}
RT_TEST(test_children_come_and_go_while_the_parent_ends) {
    STORE(done, 0);
    STORE(destroyed, 0);
    cyg_ctx *a = cyg_ctx_with_cancel(NULL);
    for (int i = 0; i < 8; i++) GO(make_and_drop, a);
    for (int i = 0; i < 10; i++) cyg_yield();
    cyg_ctx_cancel(a, 0);
    WAIT_FOR(LOAD(done) == 8);
    cyg_ctx_release(a);
    CHECK_EQ(LOAD(destroyed), 8 * 500);
    CHECK_EQ(rt_stats().timers, 0);
}

static void sleep_long(void *arg) {
    (void)arg;
    CHECK_EQ(cyg_sleep(CYG_HOUR), -EPIPE);
    ADD(done, 1);
}
/* More than one round of wake-ups, while goroutines join and leave. */
RT_TEST(test_cancel_wakes_a_thousand_goroutines) {
    STORE(done, 0);
    cyg_ctx *a = cyg_ctx_with_cancel(NULL);
    cyg_ctx_scope s = cyg_ctx_enter(a);
    for (int i = 0; i < 1000; i++) GO(sleep_long, NULL);
    cyg_ctx_leave(&s);
    for (int i = 0; i < 10; i++) cyg_yield();
    cyg_ctx_cancel(a, -EPIPE);
    cyg_ctx_release(a);
    WAIT_FOR(LOAD(done) == 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cause_is_the_text_of_whoever_ended_it_first),
        cmocka_unit_test(test_cause_outlives_its_ancestor),
        cmocka_unit_test(test_values_are_found_up_the_tree),
        cmocka_unit_test(test_owned_value_goes_with_the_last_that_sees_it),
        cmocka_unit_test(test_detached_keeps_values_and_neither_end_nor_deadline),
        cmocka_unit_test(test_after_func_runs_once_on_a_goroutine_of_its_own),
        cmocka_unit_test(test_after_func_that_was_stopped_never_runs),
        cmocka_unit_test(test_after_func_does_not_keep_its_context),
        cmocka_unit_test(test_after_stop_races_with_the_end),
        cmocka_unit_test(test_a_deep_chain_needs_no_deep_stack),
        cmocka_unit_test(test_ended_children_leave_a_living_parent),
        cmocka_unit_test(test_mutual_and_simultaneous_cancels_do_not_deadlock),
        cmocka_unit_test(test_children_come_and_go_while_the_parent_ends),
        cmocka_unit_test(test_cancel_wakes_a_thousand_goroutines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
