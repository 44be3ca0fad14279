/* test_protobuf.c: what the writer writes, byte by byte, as the encoding's description has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "proto/protobuf.h"

static void check(const struct cyg_pb *b, const char *bytes, size_t n) {
    assert_false(b->failed);
    assert_int_equal(b->n, n);
    assert_memory_equal(b->p, bytes, n);
}

static void test_numbers_are_varints(void **state) {
    (void)state;
    static const struct {
        uint64_t v;
        const char *bytes;
        size_t n;
    } rows[] = {
        {0, "\x08\x00", 2},
        {1, "\x08\x01", 2},
        {127, "\x08\x7f", 2},
        {128, "\x08\x80\x01", 3},
        {150, "\x08\x96\x01", 3}, /* the example of the description */
        {UINT64_MAX, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cyg_pb b = {0};
        cyg_pb_uint(&b, 1, rows[i].v);
        check(&b, rows[i].bytes, rows[i].n);
        cyg_pb_free(&b);
    }
    struct cyg_pb b = {0};
    cyg_pb_uint(&b, 16, 1); /* a field whose tag takes two bytes */
    check(&b, "\x80\x01\x01", 3);
    cyg_pb_free(&b);
}

static void test_texts_and_packed_numbers(void **state) {
    (void)state;
    struct cyg_pb b = {0};
    cyg_pb_text(&b, 2, "testing");
    check(&b, "\x12\x07testing", 9);
    b.n = 0;
    cyg_pb_text(&b, 2, "");
    check(&b, "\x12\x00", 2);
    b.n = 0;
    cyg_pb_packed(&b, 6, (const uint64_t[]){3, 270, 86942}, 3);
    check(&b, "\x32\x06\x03\x8e\x02\x9e\xa7\x05", 8);
    b.n = 0;
    cyg_pb_packed(&b, 6, NULL, 0);
    check(&b, "", 0);
    cyg_pb_free(&b);
}

static void test_messages_nest(void **state) {
    (void)state;
    struct cyg_pb b = {0};
    size_t outer = cyg_pb_begin(&b, 3);
    size_t inner = cyg_pb_begin(&b, 1);
    cyg_pb_uint(&b, 1, 150);
    cyg_pb_end(&b, inner);
    cyg_pb_end(&b, cyg_pb_begin(&b, 2)); /* an empty one */
    cyg_pb_end(&b, outer);
    check(&b, "\x1a\x07\x0a\x03\x08\x96\x01\x12\x00", 9);
    cyg_pb_free(&b);
}

/* A length of more than a byte moves what was written. */
static void test_long_message(void **state) {
    (void)state;
    struct cyg_pb b = {0};
    char text[1000];
    memset(text, 'a', sizeof text);
    size_t at = cyg_pb_begin(&b, 1);
    cyg_pb_bytes(&b, 2, text, sizeof text);
    cyg_pb_end(&b, at);
    assert_int_equal(b.n, 3 + 3 + 1000);
    assert_memory_equal(b.p, "\x0a\xeb\x07\x12\xe8\x07", 6);
    assert_memory_equal(b.p + 6, text, sizeof text);
    cyg_pb_free(&b);
}

static void test_out_of_memory_is_remembered(void **state) {
    (void)state;
    struct cyg_pb b = {0};
    cyg_pb_uint(&b, 1, 1);
    cyg_pb_bytes(&b, 2, "", SIZE_MAX / 2); /* nobody has so much */
    assert_true(b.failed);
    size_t n = b.n;
    cyg_pb_uint(&b, 1, 1);
    cyg_pb_end(&b, cyg_pb_begin(&b, 1));
    assert_int_equal(b.n, n);
    cyg_pb_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_varints),
        cmocka_unit_test(test_texts_and_packed_numbers),
        cmocka_unit_test(test_messages_nest),
        cmocka_unit_test(test_long_message),
        cmocka_unit_test(test_out_of_memory_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
