/* test_http1_write.c: what is written is what a parser reads, and never more than there is room for. */
#include "proto/http1.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static void assert_written(const struct cyg_h1_out *o, const char *wanted) {
    assert_false(o->full);
    assert_int_equal(o->n, strlen(wanted));
    assert_memory_equal(o->p, wanted, o->n);
}

static void test_numbers(void **state) {
    (void)state;
    static const uint64_t numbers[] = {0, 7, 10, 99, 100, 65535, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char buf[32], wanted[32];
        struct cyg_h1_out o = {.p = buf, .cap = sizeof buf};
        snprintf(wanted, sizeof wanted, "%llu", (unsigned long long)numbers[i]);
        cyg_h1_put_uint(&o, numbers[i]);
        assert_written(&o, wanted);
    }
}

static void test_status_lines(void **state) {
    (void)state;
    static const struct {
        int status;
        const char *line;
    } lines[] = {{200, "HTTP/1.1 200 OK\r\n"},
                 {404, "HTTP/1.1 404 Not Found\r\n"},
                 {799, "HTTP/1.1 799 \r\n"},
                 {0, "HTTP/1.1 500 Internal Server Error\r\n"},
                 {103, "HTTP/1.1 103 Early Hints\r\n"},
                 {-1, "HTTP/1.1 500 Internal Server Error\r\n"},
                 {1000, "HTTP/1.1 500 Internal Server Error\r\n"}};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char buf[64];
        struct cyg_h1_out o = {.p = buf, .cap = sizeof buf};
        cyg_h1_put_status_line(&o, lines[i].status);
        assert_written(&o, lines[i].line);
    }
}

static void test_written_request_is_read_back(void **state) {
    (void)state;
    char buf[256];
    struct cyg_h1_out o = {.p = buf, .cap = sizeof buf};
    cyg_h1_put_request_line(&o, CYG_STR("PUT"), CYG_STR("/a?b"));
    cyg_h1_put_field(&o, CYG_STR("Host"), CYG_STR("c:1"));
    cyg_h1_put_lit(&o, "Content-Length: ");
    cyg_h1_put_uint(&o, 12);
    cyg_h1_put_lit(&o, "\r\n\r\n");
    assert_written(&o, "PUT /a?b HTTP/1.1\r\nHost: c:1\r\nContent-Length: 12\r\n\r\n");

    cyg_http_field fields[4];
    struct cyg_h1_head h;
    const struct cyg_h1_limits lim = {.max_head = sizeof buf, .max_target = 64, .max_fields = 4};
    cyg_h1_head_init(&h, fields);
    assert_int_equal(cyg_h1_parse_request(&h, o.p, o.n, &lim), CYG_H1_DONE);
    assert_true(cyg_str_eq(h.method, CYG_STR("PUT")) && cyg_str_eq(h.target, CYG_STR("/a?b")));
    assert_int_equal(h.content_length, 12);
}

/* With each smaller room: full is set, stays set, and nothing is written beyond. */
static void test_no_byte_beyond_the_room(void **state) {
    (void)state;
    const char *line = "HTTP/1.1 404 Not Found\r\n";
    for (size_t room = 0; room <= strlen(line); room++) {
        char *buf = malloc(room ? room : 1);
        struct cyg_h1_out o = {.p = buf, .cap = room};
        cyg_h1_put_status_line(&o, 404);
        assert_int_equal(o.full, room < strlen(line));
        assert_true(o.n <= room);
        bool full = o.full;
        cyg_h1_put_str(&o, CYG_STR(""));
        assert_int_equal(o.full, full);
        free(buf);
    }
}

static void check_date(int64_t seconds) {
    char out[30] = {0}, wanted[64];
    time_t t = (time_t)seconds;
    struct tm tm;
    cyg_h1_date(out, seconds);
    gmtime_r(&t, &tm);
    strftime(wanted, sizeof wanted, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    assert_string_equal(out, wanted);
}

static void test_dates(void **state) {
    (void)state;
    char out[30] = {0};
    cyg_h1_date(out, 784111777);
    assert_string_equal(out, "Sun, 06 Nov 1994 08:49:37 GMT"); /* the RFC's own */
    const int64_t last = 253402300799;
    static const int64_t edges[] = {0,           86399,       86400,        951782399,   951782400,
                                    951868799,   951868800,   978307199,    1709164800,  1709251200,
                                    2147483647,  2147483648,  4107542399,   4107542400,  4294967295,
                                    13574563200, 13574649600, 253402214400, 253402300799};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) check_date(edges[i]);
    for (int64_t day = 0; day < 150 * 366; day++) check_date(day * 86400 + day % 86400); /* each day to 2120 */
    for (int64_t t = 12345; t < last; t += 86400 * 29 + 4321) check_date(t);             /* to 9999 */
    cyg_h1_date(out, -5);
    assert_string_equal(out, "Thu, 01 Jan 1970 00:00:00 GMT");
    cyg_h1_date(out, INT64_MAX);
    assert_string_equal(out, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void test_names_and_values_that_may_be_sent(void **state) {
    (void)state;
    assert_true(cyg_h1_name_ok(CYG_STR("X-Name_1")));
    static const char *const bad_names[] = {"", "a b", "a:", "a\r", "\xc3", "a("};
    for (size_t i = 0; i < sizeof bad_names / sizeof bad_names[0]; i++)
        assert_false(cyg_h1_name_ok(cyg_str_of(bad_names[i])));
    assert_true(cyg_h1_value_ok(CYG_STR("")));
    assert_true(cyg_h1_value_ok((cyg_str){NULL, 0}));
    assert_true(cyg_h1_value_ok(CYG_STR("a \t\xff:\"")));
    assert_false(cyg_h1_value_ok(CYG_STR("a\r\nEvil: b")));
    assert_false(cyg_h1_value_ok(CYG_STR("a\n")));
    assert_false(cyg_h1_value_ok(CYG_STR("a\0b")));
    assert_false(cyg_h1_value_ok(CYG_STR("0123456789abcdef0123456789abcde\x7f")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_status_lines),
        cmocka_unit_test(test_written_request_is_read_back),
        cmocka_unit_test(test_no_byte_beyond_the_room),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_names_and_values_that_may_be_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
