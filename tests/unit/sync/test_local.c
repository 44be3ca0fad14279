/* test_local.c: goroutine-local values: each its own, inherited or not, destroyed at the end, also of goroutines that readiness or
 * a timer starts.
 */
#include "../rt.h"

static int done, destroyed, order;

static void count(void *value) {
    CHECK(cyg_goid() != 0);
    cyg_yield(); /* it may park */
    ADD(destroyed, (int)(intptr_t)value);
}
static void *twice(void *value) { return (void *)((intptr_t)value * 2); }
static void *none(void *value) { return (void)value, NULL; }
static cyg_local_key plain, owned = {.destroy = count}, same = {.inherit = cyg_local_same}, doubled = {.inherit = twice},
                            refused = {.inherit = none}, both = {.destroy = count, .inherit = twice};
static cyg_local_key many[50];

#define V(x) ((void *)(intptr_t)(x))

static void child(void *arg) {
    (void)arg;
    CHECK(cyg_local_get(&plain) == NULL);
    CHECK(cyg_local_get(&owned) == NULL);
    CHECK(cyg_local_get(&same) == V(3));
    CHECK(cyg_local_get(&doubled) == V(8));
    CHECK(cyg_local_get(&refused) == NULL);
    CHECK(cyg_local_get(&both) == V(12));
    CHECK_EQ(cyg_local_set(&same, V(77)), 0); /* its own from now on */
    cyg_yield();
    CHECK(cyg_local_get(&same) == V(77));
    ADD(done, 1);
}
static void parent(void *arg) {
    (void)arg;
    CHECK_EQ(cyg_local_set(&plain, V(1)), 0);
    CHECK_EQ(cyg_local_set(&owned, V(2)), 0);
    CHECK_EQ(cyg_local_set(&same, V(3)), 0);
    CHECK_EQ(cyg_local_set(&doubled, V(4)), 0);
    CHECK_EQ(cyg_local_set(&refused, V(5)), 0);
    CHECK_EQ(cyg_local_set(&both, V(6)), 0);
    GO(child, NULL);
    WAIT_FOR(LOAD(done) == 1);
    CHECK(cyg_local_get(&same) == V(3));
    CHECK(cyg_local_get(&plain) == V(1));
    ADD(done, 1);
}
RT_TEST(test_inherited_as_the_key_says_and_destroyed_at_the_end) {
    STORE(done, 0);
    STORE(destroyed, 0);
    GO(parent, NULL);
    WAIT_FOR(LOAD(done) == 2);
    WAIT_FOR(LOAD(destroyed) == 2 + 6 + 12);
    CHECK(cyg_local_get(&same) == NULL);
}

RT_TEST(test_many_keys_and_taking_away) {
    for (int i = 0; i < 50; i++) {
        CHECK(cyg_local_get(&many[i]) == NULL);
        CHECK_EQ(cyg_local_set(&many[i], V(i + 1)), 0);
    }
    for (int i = 0; i < 50; i += 2) CHECK_EQ(cyg_local_set(&many[i], NULL), 0);
    for (int i = 0; i < 50; i++) CHECK(cyg_local_get(&many[i]) == (i % 2 ? V(i + 1) : NULL));
    for (int i = 0; i < 50; i++) CHECK_EQ(cyg_local_set(&many[i], NULL), 0);
    CHECK_EQ(cyg_local_set(&plain, NULL), 0);
    STORE(destroyed, 0);
    CHECK_EQ(cyg_local_set(&owned, V(5)), 0);
    CHECK_EQ(cyg_local_set(&owned, V(6)), 0); /* the one before is the caller's again */
    CHECK_EQ(cyg_local_set(&owned, NULL), 0);
    CHECK_EQ(LOAD(destroyed), 0);
}

static void sets_again(void *value);
static cyg_local_key stubborn = {.destroy = sets_again}, later = {.destroy = count};
static void sets_again(void *value) {
    ADD(order, 1);
    CHECK(cyg_local_get(&stubborn) == NULL);
    CHECK_EQ(cyg_local_set(&stubborn, value), 0);
    CHECK_EQ(cyg_local_set(&later, V(100)), 0);
}
static void stubborn_one(void *arg) {
    (void)arg;
    CHECK_EQ(cyg_local_set(&stubborn, V(1)), 0);
}
RT_TEST(test_a_destructor_may_set_values_four_times) {
    STORE(order, 0);
    STORE(destroyed, 0);
    GO(stubborn_one, NULL);
    WAIT_FOR(LOAD(order) == 4);
    WAIT_FOR(LOAD(destroyed) == 300);
    for (int i = 0; i < 20; i++) cyg_yield();
    CHECK_EQ(LOAD(order), 4);
}

static void from_timer(void *arg) {
    (void)arg;
    CHECK(cyg_local_get(&owned) == NULL); /* nothing of whoever ran on this stack before */
    CHECK(cyg_local_get(&same) == NULL);
    CHECK_EQ(cyg_local_set(&owned, V(1)), 0);
    ADD(done, 1);
}
RT_TEST(test_goroutines_started_by_timers_have_their_own) {
    STORE(done, 0);
    STORE(destroyed, 0);
    cyg_timer *t[50];
    CHECK_EQ(cyg_local_set(&same, V(9)), 0);
    for (int i = 0; i < 50; i++) CHECK_EQ(cyg_after_func(0, from_timer, NULL, &t[i]), 0);
    WAIT_FOR(LOAD(done) == 50 && LOAD(destroyed) == 50);
    for (int i = 0; i < 50; i++) cyg_timer_release(t[i]);
    CHECK(cyg_local_get(&same) == V(9));
}

static void *foreign(void *arg) {
    CHECK(cyg_local_get(&plain) == NULL);
    CHECK_EQ(cyg_local_set(&plain, V(1)), CYG_ESTATE);
    return arg;
}
RT_TEST(test_a_foreign_thread_has_none) {
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, foreign, NULL), 0);
    pthread_join(t, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inherited_as_the_key_says_and_destroyed_at_the_end),
        cmocka_unit_test(test_many_keys_and_taking_away),
        cmocka_unit_test(test_a_destructor_may_set_values_four_times),
        cmocka_unit_test(test_goroutines_started_by_timers_have_their_own),
        cmocka_unit_test(test_a_foreign_thread_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
