/* test_http_field.c: ids of names in any case, of nothing that is only near them; texts of codes. */
#include <cygnet/http_field.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const names[CYG_HTTP_FIELD_IDS] = {
    [CYG_HTTP_HOST] = "Host",
    [CYG_HTTP_CONTENT_LENGTH] = "Content-Length",
    [CYG_HTTP_TRANSFER_ENCODING] = "Transfer-Encoding",
    [CYG_HTTP_CONNECTION] = "Connection",
    [CYG_HTTP_KEEP_ALIVE] = "Keep-Alive",
    [CYG_HTTP_PROXY_CONNECTION] = "Proxy-Connection",
    [CYG_HTTP_TE] = "TE",
    [CYG_HTTP_TRAILER] = "Trailer",
    [CYG_HTTP_UPGRADE] = "Upgrade",
    [CYG_HTTP_EXPECT] = "Expect",
    [CYG_HTTP_PROXY_AUTHENTICATE] = "Proxy-Authenticate",
    [CYG_HTTP_PROXY_AUTHORIZATION] = "Proxy-Authorization",
    [CYG_HTTP_AUTHORIZATION] = "Authorization",
    [CYG_HTTP_COOKIE] = "Cookie",
    [CYG_HTTP_VIA] = "Via",
    [CYG_HTTP_DATE] = "Date",
    [CYG_HTTP_SERVER] = "Server",
    [CYG_HTTP_USER_AGENT] = "User-Agent",
    [CYG_HTTP_CONTENT_TYPE] = "Content-Type",
    [CYG_HTTP_FORWARDED] = "Forwarded",
    [CYG_HTTP_X_FORWARDED_FOR] = "X-Forwarded-For",
    [CYG_HTTP_X_FORWARDED_PROTO] = "X-Forwarded-Proto",
    [CYG_HTTP_X_FORWARDED_HOST] = "X-Forwarded-Host",
    [CYG_HTTP_X_REQUEST_ID] = "X-Request-Id",
    [CYG_HTTP_MAX_FORWARDS] = "Max-Forwards",
    [CYG_HTTP_TRACEPARENT] = "traceparent",
    [CYG_HTTP_TRACESTATE] = "tracestate",
};

/* The id of a copy in memory that is exactly as long. */
static uint32_t id_of(const char *p, size_t n) {
    char *copy = malloc(n ? n : 1);
    memcpy(copy, p, n);
    uint32_t id = cyg_http_field_id_of((cyg_str){copy, n});
    free(copy);
    return id;
}

static void test_each_id_is_found_in_any_case(void **state) {
    (void)state;
    for (uint32_t id = 1; id < CYG_HTTP_FIELD_IDS; id++) {
        char name[32];
        assert_non_null(names[id]);
        size_t n = strlen(names[id]);
        assert_int_equal(id_of(names[id], n), id);
        for (unsigned phase = 0; phase < 4; phase++) { /* all small, all capital, every other one */
            for (size_t i = 0; i < n; i++) {
                char c = names[id][i];
                bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
                bool capital = phase == 1 || (phase == 2 && i % 2) || (phase == 3 && i % 2 == 0);
                name[i] = (char)(!letter ? c : capital ? c & ~0x20 : c | 0x20);
            }
            assert_int_equal(id_of(name, n), id);
        }
    }
}

/* Every byte of every name changed to every other: an id only if that was the letter's case. */
static void test_no_id_for_a_near_name(void **state) {
    (void)state;
    for (uint32_t id = 1; id < CYG_HTTP_FIELD_IDS; id++) {
        char name[32];
        size_t n = strlen(names[id]);
        for (size_t i = 0; i < n; i++) {
            for (int byte = 0; byte < 256; byte++) {
                memcpy(name, names[id], n);
                name[i] = (char)byte;
                bool same = cyg_str_eq_nocase((cyg_str){name, n}, (cyg_str){names[id], n});
                assert_int_equal(id_of(name, n), same ? id : CYG_HTTP_OTHER);
            }
        }
        memcpy(name, names[id], n);
        name[n] = 'x';
        assert_int_equal(id_of(name, n + 1), CYG_HTTP_OTHER);
        assert_int_equal(id_of(name, n - 1), CYG_HTTP_OTHER);
    }
    assert_int_equal(id_of("", 0), CYG_HTTP_OTHER);
    assert_int_equal(cyg_http_field_id_of((cyg_str){NULL, 0}), CYG_HTTP_OTHER);
    assert_int_equal(id_of("a-name-longer-than-any-that-is-known", 36), CYG_HTTP_OTHER);
}

static void test_status_texts(void **state) {
    (void)state;
    assert_string_equal(cyg_http_status_text(100), "Continue");
    assert_string_equal(cyg_http_status_text(200), "OK");
    assert_string_equal(cyg_http_status_text(226), "IM Used");
    assert_string_equal(cyg_http_status_text(308), "Permanent Redirect");
    assert_string_equal(cyg_http_status_text(404), "Not Found");
    assert_string_equal(cyg_http_status_text(431), "Request Header Fields Too Large");
    assert_string_equal(cyg_http_status_text(451), "Unavailable For Legal Reasons");
    assert_string_equal(cyg_http_status_text(511), "Network Authentication Required");
    static const int nobodys[] = {-1, 0, 99, 199, 306, 418, 452, 509, 512, 600, 999, 100000};
    for (size_t i = 0; i < sizeof nobodys / sizeof nobodys[0]; i++)
        assert_string_equal(cyg_http_status_text(nobodys[i]), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_id_is_found_in_any_case),
        cmocka_unit_test(test_no_id_for_a_near_name),
        cmocka_unit_test(test_status_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
