/* test_second.c: instants as calendar text: every day, every place in a second, and while others make the text anew. */
#include "gateway/second.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

/* As the C library has it. */
static void expect(char out[64], int64_t unix_ns) {
    time_t t = (time_t)(unix_ns / CYG_SECOND);
    struct tm tm;
    size_t n = strftime(out, 64, "%Y-%m-%dT%H:%M:%S", gmtime_r(&t, &tm));
    snprintf(out + n, 64 - n, ".%03dZ", (int)(unix_ns % CYG_SECOND / CYG_MILLISECOND));
}

static void assert_text(struct cyg_gw_second *s, cyg_time t, int64_t unix_ns) {
    char out[CYG_GW_SECOND_TEXT + 1] = {0}, expected[64];
    assert_ptr_equal(cyg_gw_second_put(s, t, out), out + CYG_GW_SECOND_TEXT);
    expect(expected, unix_ns);
    assert_string_equal(out, expected);
}

static void test_every_day(void **state) {
    (void)state;
    struct cyg_gw_second s = {0};
    for (int64_t day = 0; day < 106751; day++) { /* 1970 to 2262 */
        int64_t unix_ns = (day * 86400 + day * 7919 % 86400) * CYG_SECOND + day * 31 % 1000 * CYG_MILLISECOND + 999999;
        cyg_time at = day * 4711;
        cyg_gw_second_set(&s, at, unix_ns);
        assert_text(&s, at, unix_ns);
    }
}

/* From the first instant to the last of the second that was told, wherever in it that was. */
static void test_all_of_a_second(void **state) {
    (void)state;
    int64_t begin = 1606339578 * CYG_SECOND;
    for (int64_t told = 0; told < CYG_SECOND; told += 99999999) {
        struct cyg_gw_second s = {0};
        cyg_gw_second_set(&s, 5 * CYG_SECOND + told, begin + told);
        for (int64_t into = 0; into < CYG_SECOND; into += 1234567) assert_text(&s, 5 * CYG_SECOND + into, begin + into);
        assert_text(&s, 6 * CYG_SECOND - 1, begin + CYG_SECOND - 1);
    }
}

/* Whether it is what the clocks say of t, but for the time between two readings. */
static void assert_by_clocks(const char *text, cyg_time t) {
    char least[64], most[64];
    int64_t unix_ns = cyg_unix_nano() + (t - cyg_now());
    expect(least, unix_ns - CYG_SECOND);
    expect(most, unix_ns + CYG_SECOND);
    if (strcmp(text, least) < 0 || strcmp(text, most) > 0) fail_msg("%s is not from %s to %s", text, least, most);
}

static void test_other_instants_come_from_the_clocks(void **state) {
    (void)state;
    struct cyg_gw_second unknown = {0}, another = {0};
    cyg_gw_second_set(&another, cyg_now() + CYG_HOUR, 0);
    for (int64_t ago = 0; ago < 5 * CYG_SECOND; ago += 7 * CYG_SECOND / 10) {
        char out[CYG_GW_SECOND_TEXT + 1] = {0};
        cyg_time t = cyg_now() - ago;
        cyg_gw_second_put(&unknown, t, out);
        assert_by_clocks(out, t);
        cyg_gw_second_put(&another, t, out);
        assert_by_clocks(out, t);
    }
    assert_true(unknown.end > cyg_now() - CYG_SECOND); /* it knows now */
}

enum { SECONDS = 100000 };

struct telling {
    struct cyg_gw_second second;
    cyg_time begin;
};

/* Tells seconds of the next hours, one after another, each said to be a day later than the one before, so that a mixture of two
 * would be seen. */
static void *tell(void *telling) {
    struct telling *t = telling;
    for (int64_t i = 1; i <= SECONDS; i++)
        cyg_gw_second_set(&t->second, t->begin + i * CYG_SECOND, i * 86401 * CYG_SECOND);
    return NULL;
}

static void test_text_is_of_one_piece_while_it_changes(void **state) {
    (void)state;
    struct telling t = {.begin = cyg_now() + CYG_HOUR};
    pthread_t teller;
    assert_int_equal(pthread_create(&teller, NULL, tell, &t), 0);
    for (int64_t i = 0; i < SECONDS;) {
        cyg_time end = __atomic_load_n(&t.second.end, __ATOMIC_ACQUIRE);
        if (end == 0) continue;
        i = (end - t.begin) / CYG_SECOND - 1;
        char out[CYG_GW_SECOND_TEXT + 1] = {0}, expected[64];
        cyg_gw_second_put(&t.second, end - 1, out);
        expect(expected, i * 86401 * CYG_SECOND + CYG_SECOND - 1);
        if (strcmp(out, expected) != 0) assert_by_clocks(out, end - 1); /* it has gone on meanwhile */
    }
    pthread_join(teller, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_day),
        cmocka_unit_test(test_all_of_a_second),
        cmocka_unit_test(test_other_instants_come_from_the_clocks),
        cmocka_unit_test(test_text_is_of_one_piece_while_it_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
