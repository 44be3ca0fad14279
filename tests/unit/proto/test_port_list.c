/* test_port_list.c: sets of ports as the kernel writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "proto/port_list.h"

static void test_lists_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool good;
        unsigned in, out; /* a port in it, one that is not; 0: not asked */
        unsigned free;    /* of 1000 to 1999 */
    } rows[] = {
        {"", true, 0, 1000, 1000},          {"\n", true, 0, 1000, 1000},
        {"1000\n", true, 1000, 1001, 999},  {"8080,1990-2010", true, 2010, 2011, 990},
        {"0-65535", true, 65535, 0, 0},     {"1,2,1500-1500", true, 1500, 3, 999},
        {"1000-", false, 0, 0, 1000},       {"1010-1000", false, 0, 0, 1000},
        {"1000,", false, 0, 0, 999},        {"65536", false, 0, 0, 1000},
        {"1000 1001", false, 0, 0, 999},    {"-5", false, 0, 0, 1000},
        {"99999999999", false, 0, 0, 1000}, {"x", false, 0, 0, 1000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct port_set s = {0};
        assert_int_equal(port_set_add(&s, rows[i].text, strlen(rows[i].text)), rows[i].good);
        if (rows[i].in) assert_true(port_set_has(&s, rows[i].in));
        if (rows[i].out) assert_false(port_set_has(&s, rows[i].out));
        assert_int_equal(port_set_free_between(&s, 1000, 1999), rows[i].free);
    }
}

static void test_a_range_upside_down_has_no_port(void **state) {
    (void)state;
    struct port_set s = {0};
    assert_int_equal(port_set_free_between(&s, 2000, 1000), 0);
    assert_int_equal(port_set_free_between(&s, 65535, 65535), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_are_read),
        cmocka_unit_test(test_a_range_upside_down_has_no_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
