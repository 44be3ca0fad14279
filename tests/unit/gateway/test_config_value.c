/* test_config_value.c: single values as people write them, and what a match or a block of addresses takes. */
#include "gateway/config_problem.h"
#include "gateway/config_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_durations_are_read_exactly(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ns; /* -1: refused */
    } cases[] = {
        {"500ms", 500000000},
        {"2s", 2000000000},
        {"1m30s", 90000000000},
        {"1h", 3600000000000},
        {"1h1m1s1ms1us", 3661001001000},
        {"0s", 0},
        {"1.5s", 1500000000},
        {"0.25ms", 250000},
        {"0.1us", 100},
        {"10us", 10000},
        {"", -1},
        {"s", -1},
        {"5", -1},
        {"5 s", -1},
        {"5S", -1},
        {"-5s", -1},
        {"+5s", -1},
        {".5s", -1},
        {"5.s", -1},
        {"1s1m", -1},
        {"1s1s", -1},
        {"1.0000000001s", -1},
        {"0.0001us", -1},
        {"1d", -1},
        {"1e3s", -1},
        {"9223372036s", 9223372036000000000},
        {"9223372037s", -1},
        {"9999999999999999999s", -1},
        {"2562047h48m", -1},
        {"1s ", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ns = -1;
        bool ok = cyg_gw_read_duration(cyg_str_of(cases[i].text), &ns);
        if (ok != (cases[i].ns >= 0) || ns != cases[i].ns) fail_msg("%s gave %lld", cases[i].text, (long long)ns);
    }
}

static void test_sizes_and_counts_are_read_exactly(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t size, count; /* -1: refused */
    } cases[] = {
        {"0", 0, 0},
        {"8192", 8192, 8192},
        {"64KiB", 65536, -1},
        {"1MB", 1000000, -1},
        {"1MiB", 1048576, -1},
        {"2GB", 2000000000, -1},
        {"1GiB", 1073741824, -1},
        {"5B", 5, -1},
        {"3KB", 3000, -1},
        {"", -1, -1},
        {"KiB", -1, -1},
        {"64 KiB", -1, -1},
        {"64kib", -1, -1},
        {"64K", -1, -1},
        {"-1", -1, -1},
        {"1.5", -1, -1},
        {"010", -1, -1},
        {"0x10", -1, -1},
        {"1_000", -1, -1},
        {"9223372036854775807", INT64_MAX, INT64_MAX},
        {"9223372036854775808", -1, -1},
        {"9223372036854775807KiB", -1, -1},
        {"8589934592GiB", -1, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t size = -1, count = -1;
        (void)cyg_gw_read_size(cyg_str_of(cases[i].text), &size);
        (void)cyg_gw_read_count(cyg_str_of(cases[i].text), &count);
        if (size != cases[i].size || count != cases[i].count)
            fail_msg("%s gave %lld, %lld", cases[i].text, (long long)size, (long long)count);
    }
}

static void test_what_is_formatted_is_read_again(void **state) {
    (void)state;
    static const int64_t values[] = {0, 1000, 1024, 1500, 65536, 3 * 1048576LL, 90000000000, 3661001001000};
    char text[CYG_GW_NUMBER];
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        int64_t v = -1;
        assert_true(cyg_gw_read_size(cyg_str_of(cyg_gw_format_size(text, values[i])), &v));
        assert_int_equal(v, values[i]);
        if (values[i] % 1000) continue;
        assert_true(cyg_gw_read_duration(cyg_str_of(cyg_gw_format_duration(text, values[i])), &v));
        assert_int_equal(v, values[i]);
    }
    assert_string_equal(cyg_gw_format_duration(text, 90 * CYG_SECOND), "1m30s");
    assert_string_equal(cyg_gw_format_size(text, 64 * 1024), "64KiB");
}

/* ---- matches ---------------------------------------------------------------------------------------------------- */

static bool fits(const char *host, const char *path, const char *of_host, const char *of_path) {
    struct cyg_gw_match m = {0};
    assert_true(cyg_gw_read_host(cyg_str_of(host), &m.host_kind, &m.host));
    assert_true(cyg_gw_read_path(cyg_str_of(path), &m.path_kind, &m.path));
    return cyg_gw_match_fits(&m, cyg_str_of(of_host), cyg_str_of(of_path));
}

static void test_hosts_fit_without_port_case_and_last_dot(void **state) {
    (void)state;
    assert_true(fits("shop.example", "/*", "shop.example", "/"));
    assert_true(fits("shop.example", "/*", "SHOP.example:8080", "/"));
    assert_true(fits("shop.example", "/*", "shop.example.", "/"));
    assert_true(fits("shop.example", "/*", "shop.example.:80", "/"));
    assert_false(fits("shop.example", "/*", "ashop.example", "/"));
    assert_false(fits("shop.example", "/*", "shop.example.org", "/"));
    assert_false(fits("shop.example", "/*", "", "/"));
    assert_true(fits("[::1]", "/*", "[::1]", "/"));
    assert_true(fits("[::1]", "/*", "[::1]:80", "/"));
    assert_true(fits("*", "/*", "", "/"));
    assert_true(fits("*.example", "/*", "a.example:1", "/"));
    assert_true(fits("*.example", "/*", "a.b.Example", "/"));
    assert_false(fits("*.example", "/*", "example", "/"));
    assert_false(fits("*.example", "/*", ".example", "/"));
    assert_false(fits("*.example", "/*", "myexample", "/"));
}

static void test_paths_fit_exactly_or_below(void **state) {
    (void)state;
    assert_true(fits("*", "/a", "h", "/a"));
    assert_false(fits("*", "/a", "h", "/a/"));
    assert_false(fits("*", "/a", "h", "/A"));
    assert_true(fits("*", "/a/*", "h", "/a/"));
    assert_true(fits("*", "/a/*", "h", "/a/b/c"));
    assert_false(fits("*", "/a/*", "h", "/a"));
    assert_false(fits("*", "/a/*", "h", "/ab"));
    assert_true(fits("*", "/*", "h", "*"));
    assert_true(fits("*", "/", "h", "/"));
    assert_false(fits("*", "/", "h", "/a"));
}

/* ---- blocks ----------------------------------------------------------------------------------------------------- */

static bool contains(const char *block, const char *address) {
    struct cyg_gw_cidr c;
    cyg_addr a;
    assert_true(cyg_gw_read_cidr(cyg_str_of(block), &c));
    assert_int_equal(cyg_addr_parse("tcp", address, &a), 0);
    return cyg_gw_cidrs_contain(&c, 1, &a);
}

static void test_blocks_contain_their_addresses(void **state) {
    (void)state;
    assert_true(contains("10.0.0.0/8", "10.255.0.1:80"));
    assert_false(contains("10.0.0.0/8", "11.0.0.1:80"));
    assert_true(contains("10.1.2.0/23", "10.1.3.255:80"));
    assert_false(contains("10.1.2.0/23", "10.1.4.0:80"));
    assert_true(contains("10.1.2.3", "10.1.2.3:80"));
    assert_false(contains("10.1.2.3", "10.1.2.2:80"));
    assert_true(contains("0.0.0.0/0", "8.8.8.8:80"));
    assert_false(contains("0.0.0.0/0", "[2001:db8::1]:80"));
    assert_true(contains("fd00::/8", "[fdff::1]:80"));
    assert_false(contains("fd00::/8", "[fe80::1]:80"));
    assert_true(contains("10.0.0.0/8", "[::ffff:10.2.3.4]:80"));
    assert_true(contains("::ffff:10.0.0.0/104", "10.2.3.4:80"));
    assert_false(contains("::/0", "10.2.3.4:80"));
    assert_false(cyg_gw_cidrs_contain(NULL, 0, &(cyg_addr){.family = CYG_AF_IPV4}));
    struct cyg_gw_cidr all;
    assert_true(cyg_gw_read_cidr(CYG_STR("0.0.0.0/0"), &all));
    assert_false(cyg_gw_cidrs_contain(&all, 1, &(cyg_addr){.family = CYG_AF_UNIX}));
}

/* ---- words ------------------------------------------------------------------------------------------------------ */

static void test_slips_of_the_finger_are_near(void **state) {
    (void)state;
    static const struct {
        const char *found, *meant;
        size_t distance;
    } cases[] = {{"address", "address", 0},
                 {"adress", "address", 1},
                 {"adderss", "address", 1},
                 {"addresses", "address", 2},
                 {"xddress", "address", 1},
                 {"", "abc", 3},
                 {"abc", "", 3},
                 {"kitten", "sitting", 3},
                 {"ca", "abc", 3},
                 {"max_conns", "max_connections", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (cyg_gw_word_distance(cyg_str_of(cases[i].found), cyg_str_of(cases[i].meant)) != cases[i].distance)
            fail_msg("%s, %s", cases[i].found, cases[i].meant);
    assert_true(cyg_gw_is_near(CYG_STR("adress"), 1));
    assert_false(cyg_gw_is_near(CYG_STR("ab"), 2));
}

static void test_quoted_texts_cannot_upset_a_terminal(void **state) {
    (void)state;
    char out[CYG_GW_QUOTED], text[600];
    assert_string_equal(cyg_gw_quote(out, CYG_STR("a\"b\\c\n\t\x1b[31m\x7f")), "\"a\\\"b\\\\c\\n\\t\\x1b[31m\\x7f\"");
    assert_string_equal(cyg_gw_quote(out, CYG_STR("\xc2\x9b"
                                                  "31m b\xc3\xbc")),
                        "\"\\x9b31m b\xc3\xbc\"");
    for (size_t i = 0; i < sizeof text; i += 3) memcpy(text + i, "\xe2\x82\xac", 3);
    assert_int_equal(strlen(cyg_gw_quote(out, (cyg_str){text, sizeof text})), 1 + 60 + 3 + 1);
    memset(text, 1, sizeof text);
    assert_true(strlen(cyg_gw_quote(out, (cyg_str){text, sizeof text})) < sizeof out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations_are_read_exactly),
        cmocka_unit_test(test_sizes_and_counts_are_read_exactly),
        cmocka_unit_test(test_what_is_formatted_is_read_again),
        cmocka_unit_test(test_hosts_fit_without_port_case_and_last_dot),
        cmocka_unit_test(test_paths_fit_exactly_or_below),
        cmocka_unit_test(test_blocks_contain_their_addresses),
        cmocka_unit_test(test_slips_of_the_finger_are_near),
        cmocka_unit_test(test_quoted_texts_cannot_upset_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
