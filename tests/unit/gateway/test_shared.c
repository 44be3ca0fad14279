/* test_shared.c: a shared value lives as long as somebody reads it and not longer; on threads, too. */
#include "gateway/shared.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int destroyed; /* atomic */
static void *destroyed_last;

static void count_destroy(void *value) {
    destroyed_last = value;
    __atomic_fetch_add(&destroyed, 1, __ATOMIC_SEQ_CST);
}

static int reset(void **state) {
    (void)state;
    destroyed = 0;
    destroyed_last = NULL;
    return 0;
}

static void replace(struct cyg_gw_slots *s, struct cyg_gw_slot **place, void *value) {
    struct cyg_gw_slot *old = *place, *new = value ? cyg_gw_slot_new(s, value) : NULL;
    __atomic_store_n(place, new, __ATOMIC_SEQ_CST);
    if (old) cyg_gw_slot_disown(old);
}

static void test_replaced_value_without_readers_dies_at_once(void **state) {
    (void)state;
    struct cyg_gw_slots *s = cyg_gw_slots_new(2, count_destroy);
    struct cyg_gw_slot *place = NULL;
    int a, b;
    replace(s, &place, &a);
    replace(s, &place, &b);
    assert_int_equal(destroyed, 1);
    assert_ptr_equal(destroyed_last, &a);
    assert_int_equal(cyg_gw_slots_live(s), 1);
    replace(s, &place, NULL);
    assert_int_equal(destroyed, 2);
    cyg_gw_slots_free(s);
}

static void test_reader_keeps_a_replaced_value(void **state) {
    (void)state;
    struct cyg_gw_slots *s = cyg_gw_slots_new(2, count_destroy);
    struct cyg_gw_slot *place = NULL;
    int a, b;
    struct cyg_gw_hold one, two, three;
    replace(s, &place, &a);
    assert_ptr_equal(cyg_gw_hold(&place, 0, &one), &a);
    assert_ptr_equal(cyg_gw_hold(&place, 1, &two), &a);
    replace(s, &place, &b);
    assert_int_equal(destroyed, 0);
    assert_ptr_equal(cyg_gw_hold(&place, 0, &three), &b);
    cyg_gw_drop(&one);
    assert_int_equal(destroyed, 0);
    cyg_gw_drop(&two);
    assert_int_equal(destroyed, 1);
    cyg_gw_drop(&three);
    assert_int_equal(destroyed, 1);
    replace(s, &place, NULL);
    assert_null(cyg_gw_hold(&place, 0, &one));
    cyg_gw_slots_free(s);
}

static void test_second_place_keeps_a_value_readable(void **state) {
    (void)state;
    struct cyg_gw_slots *s = cyg_gw_slots_new(1, count_destroy);
    struct cyg_gw_slot *current = NULL, *last = NULL;
    int a, b;
    replace(s, &current, &a);
    cyg_gw_slot_own(current);
    last = current;
    replace(s, &current, &b);
    assert_int_equal(destroyed, 0);
    struct cyg_gw_hold h;
    assert_ptr_equal(cyg_gw_hold(&last, 0, &h), &a);
    struct cyg_gw_slot *slot = last;
    last = NULL;
    cyg_gw_slot_disown(slot);
    assert_int_equal(destroyed, 0);
    cyg_gw_drop(&h);
    assert_int_equal(destroyed, 1);
    replace(s, &current, NULL);
    cyg_gw_slots_free(s);
}

static void test_slots_are_used_again(void **state) {
    (void)state;
    struct cyg_gw_slots *s = cyg_gw_slots_new(1, count_destroy);
    struct cyg_gw_slot *place = NULL, *first;
    int v;
    replace(s, &place, &v);
    first = place;
    replace(s, &place, &v);
    replace(s, &place, &v);
    assert_ptr_equal(place, first);
    replace(s, &place, NULL);
    cyg_gw_slots_free(s);
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

#define READERS 4
#define SWAPS 20000

static struct cyg_gw_slot *shared_place;
static bool stop; /* atomic */

static void poison(void *value) {
    *(uint64_t *)value = 0xdead;
    free(value);
    __atomic_fetch_add(&destroyed, 1, __ATOMIC_SEQ_CST);
}

static void *read_on(void *arg) {
    unsigned shard = (unsigned)(uintptr_t)arg;
    uintptr_t bad = 0;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        struct cyg_gw_hold h;
        uint64_t *v = cyg_gw_hold(&shared_place, shard, &h);
        if (*(volatile uint64_t *)v != 42) bad++;
        if (*(volatile uint64_t *)v != 42) bad++;
        cyg_gw_drop(&h);
    }
    return (void *)bad;
}

static void test_readers_never_see_a_destroyed_value(void **state) {
    (void)state;
    struct cyg_gw_slots *s = cyg_gw_slots_new(3, poison);
    uint64_t *v = malloc(sizeof *v);
    *v = 42;
    replace(s, &shared_place, v);
    pthread_t t[READERS];
    for (uintptr_t i = 0; i < READERS; i++) assert_int_equal(pthread_create(&t[i], NULL, read_on, (void *)i), 0);
    for (int i = 0; i < SWAPS; i++) {
        v = malloc(sizeof *v);
        *v = 42;
        replace(s, &shared_place, v);
        if (i % 64 == 0) sched_yield();
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < READERS; i++) {
        void *bad;
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
    assert_int_equal(destroyed, SWAPS); /* all but the last one, whoever left last */
    replace(s, &shared_place, NULL);
    assert_int_equal(destroyed, SWAPS + 1);
    cyg_gw_slots_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_replaced_value_without_readers_dies_at_once, reset),
        cmocka_unit_test_setup(test_reader_keeps_a_replaced_value, reset),
        cmocka_unit_test_setup(test_second_place_keeps_a_value_readable, reset),
        cmocka_unit_test_setup(test_slots_are_used_again, reset),
        cmocka_unit_test_setup(test_readers_never_see_a_destroyed_value, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
