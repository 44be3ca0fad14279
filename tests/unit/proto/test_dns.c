/* test_dns.c: how long a DNS answer may be kept: messages by hand, whole, and ended at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <cygnet/err.h>

#include "proto/dns.h"

#define NAME "\3www\4test\0"
#define QUESTION NAME "\0\1\0\1"

/* Two answers, an alias with 40 s and an address with 60 s. */
static const char answer[] = "\x12\x34\x81\x80\0\1\0\2\0\0\0\0" QUESTION "\xc0\x0c\0\5\0\1\0\0\0\x28\0\2\xc0\x0c"
                             "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0\1";
/* No answer; an NS record, then an SOA with 300 s and a minimum of 30 s. */
static const char negative[] = "\x12\x34\x81\x83\0\1\0\0\0\2\0\0" QUESTION "\xc0\x10\0\2\0\1\0\0\0\5\0\2\xc0\x10"
                               "\xc0\x10\0\6\0\1\0\0\1\x2c\0\x1a\1n\0\1m\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\x1e";

static int life(const char *p, size_t n, struct cyg_dns_life *out) { return cyg_dns_life((const uint8_t *)p, n, out); }

static void test_life_of_an_answer(void **state) {
    (void)state;
    struct cyg_dns_life l;
    assert_int_equal(life(answer, sizeof answer - 1, &l), 0);
    assert_true(l.has_answer && !l.has_soa);
    assert_int_equal(l.answer, 40);
    char huge[sizeof answer];
    memcpy(huge, answer, sizeof answer);
    huge[sizeof answer - 1 - 10] = (char)0x80; /* the second TTL's highest bit */
    assert_int_equal(life(huge, sizeof answer - 1, &l), 0);
    assert_int_equal(l.answer, 0);
}

static void test_life_of_no_such_name(void **state) {
    (void)state;
    struct cyg_dns_life l;
    char soa[sizeof negative];
    memcpy(soa, negative, sizeof negative);
    assert_int_equal(life(soa, sizeof negative - 1, &l), 0);
    assert_true(!l.has_answer && l.has_soa);
    assert_int_equal(l.negative, 30);
    soa[sizeof negative - 2 - 1] = 2; /* a minimum of 542 s: then the SOA's own TTL counts */
    assert_int_equal(life(soa, sizeof negative - 1, &l), 0);
    assert_int_equal(l.negative, 300);
}

static void test_messages_that_end_early(void **state) {
    (void)state;
    struct cyg_dns_life l = {.answer = 7};
    for (size_t n = 0; n < sizeof answer - 1; n++) assert_int_equal(life(answer, n, &l), CYG_EPROTO);
    for (size_t n = 0; n < sizeof negative - 1; n++) assert_int_equal(life(negative, n, &l), CYG_EPROTO);
    char label[sizeof answer];
    memcpy(label, answer, sizeof answer);
    label[12] = 0x40; /* a kind of label that nobody uses */
    assert_int_equal(life(label, sizeof answer - 1, &l), CYG_EPROTO);
    assert_int_equal(l.answer, 7); /* written on success alone */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_of_an_answer),
        cmocka_unit_test(test_life_of_no_such_name),
        cmocka_unit_test(test_messages_that_end_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
