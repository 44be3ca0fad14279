/* test_http1.c: what the table of cases cannot say about the HTTP/1 core: cost of drip-fed input, sticky ends, bounds of chunked
 * bodies, the list of reasons.
 */
#include "proto/http1.h"
#include "proto/http1_reason.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MAX_FIELDS = 8 };
static const struct cyg_h1_limits lim = {.max_head = 128 * 1024, .max_target = 64 * 1024, .max_fields = MAX_FIELDS};

/* A head with a long target, name and value: after each byte nothing but the short fixed parts is left to look at again. */
static void test_drip_fed_head_is_looked_at_once(void **state) {
    (void)state;
    enum { LONG = 16000 };
    static char head[4 * LONG];
    size_t n = 0;
    n += (size_t)sprintf(head + n, "GET /");
    n += (size_t)sprintf(head + n, "%0*d HTTP/1.1\r\nHost: a\r\n", LONG, 0);
    n += (size_t)sprintf(head + n, "%0*d: ", LONG, 0);
    n += (size_t)sprintf(head + n, "%*d\r\n\r\n", LONG, 0); /* whitespace, then 0 */

    cyg_http_field fields[MAX_FIELDS];
    struct cyg_h1_head h;
    cyg_h1_head_init(&h, fields);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(cyg_h1_parse_request(&h, head, i, &lim), CYG_H1_MORE);
        assert_true(i - h.pos < 10);
    }
    assert_int_equal(cyg_h1_parse_request(&h, head, n, &lim), CYG_H1_DONE);
    assert_int_equal(h.head_bytes, n);
    assert_int_equal(h.target.n, LONG + 1);
    assert_int_equal(fields[1].value.n, 1);
}

static void test_refused_head_stays_refused(void **state) {
    (void)state;
    static const char bad[] = "GET / HTTP/1.1\r\n\r\n", good[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    cyg_http_field fields[MAX_FIELDS];
    struct cyg_h1_head h;
    cyg_h1_head_init(&h, fields);
    assert_int_equal(cyg_h1_parse_request(&h, bad, sizeof bad - 1, &lim), CYG_H1_ERROR);
    assert_int_equal(cyg_h1_parse_request(&h, good, sizeof good - 1, &lim), CYG_H1_ERROR);
    assert_int_equal(h.error_status, 400);
    assert_string_equal(h.error, "missing_host");
}

static void test_complete_head_follows_its_buffer(void **state) {
    (void)state;
    static const char request[] = "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\nbody";
    char first[sizeof request], second[sizeof request];
    memcpy(first, request, sizeof request);
    cyg_http_field fields[MAX_FIELDS];
    struct cyg_h1_head h;
    cyg_h1_head_init(&h, fields);
    assert_int_equal(cyg_h1_parse_request(&h, first, sizeof first - 1, &lim), CYG_H1_DONE);
    memcpy(second, first, sizeof first);
    assert_int_equal(cyg_h1_parse_request(&h, second, sizeof second - 1, &lim), CYG_H1_DONE);
    assert_ptr_equal(h.method.p, second);
    assert_ptr_equal(h.target.p, second + 4);
    assert_ptr_equal(h.host.p, second + 11);
    assert_ptr_equal(fields[0].name.p, second + 25);
    assert_ptr_equal(fields[0].value.p, second + 31);
}

static void test_seen_has_a_bit_for_each_field(void **state) {
    (void)state;
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nUSER-AGENT: b\r\n\r\n";
    cyg_http_field fields[MAX_FIELDS];
    struct cyg_h1_head h;
    cyg_h1_head_init(&h, fields);
    assert_int_equal(cyg_h1_parse_request(&h, request, sizeof request - 1, &lim), CYG_H1_DONE);
    assert_true(h.seen == (1ULL << CYG_HTTP_HOST | 1ULL << CYG_HTTP_USER_AGENT));
}

static void test_connection_names_only_what_may_be_dropped(void **state) {
    (void)state;
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: x-one, , X-TWO\r\nConnection: x-forwarded-for,"
        "x-forwarded-whatever, cookie, content-length, x-real-ip, traceparent, keep-alive\r\n\r\n";
    cyg_http_field fields[MAX_FIELDS];
    struct cyg_h1_head h;
    cyg_h1_head_init(&h, fields);
    assert_int_equal(cyg_h1_parse_request(&h, request, sizeof request - 1, &lim), CYG_H1_DONE);
    assert_true(h.has_connection_options);
    static const char *const named[] = {"X-One", "x-two", "Keep-Alive"};
    static const char *const kept[] = {
        "x-three", "x-on",   "x-one,",         "",          "X-Forwarded-For", "X-Forwarded-Whatever",
        "Host",    "Cookie", "Content-Length", "X-Real-IP", "Traceparent"};
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        assert_true(cyg_h1_connection_names(&h, cyg_str_of(named[i])));
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        assert_false(cyg_h1_connection_names(&h, cyg_str_of(kept[i])));
}

/* Feeds all of it and returns the last verdict. */
static int feed(struct cyg_h1_chunked *c, const char *in, size_t n) {
    int rc;
    do {
        size_t used;
        cyg_str data;
        rc = cyg_h1_chunked_next(c, in, n, &used, &data);
        in += used;
        n -= used;
    } while (rc == CYG_H1_CHUNK_DATA);
    return rc;
}

static void test_extensions_are_bounded_over_the_whole_body(void **state) {
    (void)state;
    char chunk[1100];
    int n = snprintf(chunk, sizeof chunk, "1;%01000d\r\nx\r\n", 0), rounds = 0, rc;
    struct cyg_h1_chunked c;
    cyg_h1_chunked_init(&c);
    while ((rc = feed(&c, chunk, (size_t)n)) == CYG_H1_CHUNK_MORE && rounds < 100) rounds++;
    assert_int_equal(rc, CYG_H1_CHUNK_ERROR);
    assert_string_equal(c.error, "long_chunk_extension");
    assert_in_range(rounds, 10, 20);
}

static void test_trailers_are_bounded(void **state) {
    (void)state;
    struct cyg_h1_chunked c;
    cyg_h1_chunked_init(&c);
    assert_int_equal(feed(&c, "0\r\n", 3), CYG_H1_CHUNK_MORE);
    int rounds = 0, rc;
    while ((rc = feed(&c, "X: 0123456789\r\n", 15)) == CYG_H1_CHUNK_MORE && rounds < 10000) rounds++;
    assert_int_equal(rc, CYG_H1_CHUNK_ERROR);
    assert_string_equal(c.error, "trailer_too_large");
    assert_in_range(rounds, 100, 1000);
}

static void test_ended_and_refused_bodies_stay_so(void **state) {
    (void)state;
    struct cyg_h1_chunked c;
    size_t used = 99;
    cyg_str data;
    cyg_h1_chunked_init(&c);
    assert_int_equal(feed(&c, "0\r\n\r\n", 5), CYG_H1_CHUNK_END);
    assert_int_equal(cyg_h1_chunked_next(&c, "x", 1, &used, &data), CYG_H1_CHUNK_END);
    assert_int_equal(used, 0);
    cyg_h1_chunked_init(&c);
    assert_int_equal(feed(&c, "x", 1), CYG_H1_CHUNK_ERROR);
    used = 99;
    assert_int_equal(cyg_h1_chunked_next(&c, "0\r\n\r\n", 5, &used, &data), CYG_H1_CHUNK_ERROR);
    assert_int_equal(used, 0);
}

static void test_chunk_header_is_read_back(void **state) {
    (void)state;
    static const uint64_t sizes[] = {1, 9, 10, 15, 16, 255, 256, 65535, 65536, 0xabcdef0123, INT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char out[18], wanted[24];
        size_t n = cyg_h1_chunk_header(out, sizes[i]);
        assert_int_equal(n, snprintf(wanted, sizeof wanted, "%llx\r\n", (unsigned long long)sizes[i]));
        assert_memory_equal(out, wanted, n);
        struct cyg_h1_chunked c;
        cyg_h1_chunked_init(&c);
        assert_int_equal(feed(&c, out, n), CYG_H1_CHUNK_MORE);
        assert_true(c.left == sizes[i]);
    }
    char out[18];
    assert_int_equal(cyg_h1_chunk_header(out, 0), 3);
    assert_memory_equal(out, "0\r\n", 3);
    assert_int_equal(cyg_h1_chunk_header(out, UINT64_MAX), 18);
}

static void test_reasons_are_distinct_snake_case_words(void **state) {
    (void)state;
    for (int i = 0; i < CYG_H1_R_COUNT; i++) {
        const struct cyg_h1_reason_row *r = &cyg_h1_reasons[i];
        assert_int_equal(strspn(r->word, "abcdefghijklmnopqrstuvwxyz_0123456789"), strlen(r->word));
        assert_true(r->status >= 400 && r->status < 600 && *r->text);
        for (int j = 0; j < i; j++) assert_string_not_equal(r->word, cyg_h1_reasons[j].word);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drip_fed_head_is_looked_at_once),
        cmocka_unit_test(test_refused_head_stays_refused),
        cmocka_unit_test(test_complete_head_follows_its_buffer),
        cmocka_unit_test(test_seen_has_a_bit_for_each_field),
        cmocka_unit_test(test_connection_names_only_what_may_be_dropped),
        cmocka_unit_test(test_extensions_are_bounded_over_the_whole_body),
        cmocka_unit_test(test_trailers_are_bounded),
        cmocka_unit_test(test_ended_and_refused_bodies_stay_so),
        cmocka_unit_test(test_chunk_header_is_read_back),
        cmocka_unit_test(test_reasons_are_distinct_snake_case_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
