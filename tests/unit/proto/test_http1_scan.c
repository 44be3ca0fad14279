/* test_http1_scan.c: the fast scanning loops stop where the table says, on inputs of every length and alignment that end where
 * their memory ends.
 */
#include "proto/http1_scan.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t seed = 20240229;

static uint64_t next_random(void) { /* xorshift64 */
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void check(const char *p, const char *end) {
    static const enum cyg_h1_char_class classes[] = {CYG_H1_TOKEN, CYG_H1_VALUE, CYG_H1_TARGET};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        const char *stop = cyg_h1_scan_table(p, end, classes[i]);
        assert_ptr_equal(cyg_h1_scan_plain(p, end, classes[i]), stop);
        assert_ptr_equal(cyg_h1_scan(p, end, classes[i]), stop);
    }
}

static void test_each_byte_at_each_place(void **state) {
    (void)state;
    for (size_t n = 1; n <= 40; n++) {
        char *p = malloc(n);
        for (size_t at = 0; at < n; at++) {
            for (int byte = 0; byte < 256; byte++) {
                memset(p, 'a', n);
                p[at] = (char)byte;
                check(p, p + n);
            }
        }
        free(p);
    }
}

static void test_random_bytes(void **state) {
    (void)state;
    static const char usual[] = "abcXYZ019-._~/%?=&;:, \t\xc3\xa9";
    for (int round = 0; round < 100000; round++) {
        size_t n = next_random() % 100, skip = n ? next_random() % n : 0;
        unsigned odd_one_in = 1 + (unsigned)(next_random() % 64);
        char *p = malloc(n ? n : 1);
        for (size_t i = 0; i < n; i++) {
            uint64_t r = next_random();
            p[i] = r % odd_one_in == 0 ? (char)(r >> 32) : usual[(r >> 32) % (sizeof usual - 1)];
        }
        check(p + skip, p + n);
        free(p);
    }
}

/* The table against the grammar spelled out a second time. */
static void test_table_is_the_grammar(void **state) {
    (void)state;
    static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for (int i = 0; i < 256; i++) {
        char c = (char)i;
        bool alpha = i && strchr(alnum, c);
        assert_int_equal(cyg_h1_is(c, CYG_H1_TOKEN), alpha || (i && strchr("!#$%&'*+-.^_`|~", c)));
        assert_int_equal(cyg_h1_is(c, CYG_H1_REGNAME), alpha || (i && strchr("-._~!$&'()*+,;=", c)));
        assert_int_equal(cyg_h1_is(c, CYG_H1_HEX), i && strchr("0123456789abcdefABCDEF", c));
        assert_int_equal(cyg_h1_is(c, CYG_H1_DIGIT), i >= '0' && i <= '9');
        assert_int_equal(cyg_h1_is(c, CYG_H1_VALUE), i == 9 || (i >= 32 && i != 127));
        assert_int_equal(cyg_h1_is(c, CYG_H1_TARGET), i > 32 && i < 127 && i != '#');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_byte_at_each_place),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_table_is_the_grammar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
