/* test_access_log.c: the access log's line: exact text for known requests, and for hostile ones that it stays one line of
 * JSON, within its bound.
 */
#include "gateway/access_log.h"
#include "gateway/ending.h"
#include "gateway/reason.h"
#include <cygnet/runtime.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a strict reader of the one kind of JSON that a line is ------------------------------------------------------- */

struct reader {
    const unsigned char *p, *end;
};

static bool take(struct reader *r, char c) { return r->p < r->end && *r->p == (unsigned char)c ? r->p++, true : false; }

static bool take_word(struct reader *r, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0) return false;
    r->p += n;
    return true;
}

static bool take_hex4(struct reader *r) {
    for (int i = 0; i < 4; i++, r->p++) {
        if (r->p == r->end || !strchr("0123456789abcdef", *r->p) || *r->p == 0) return false;
    }
    return true;
}

/* A character beyond ASCII, decoded the long way: by its value, which must be the shortest form and no surrogate. */
static bool take_wide(struct reader *r) {
    unsigned char c = *r->p;
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    if (c < 0xc0 || c > 0xf7 || r->end - r->p <= more) return false;
    uint32_t value = c & (0x3f >> more);
    for (int i = 1; i <= more; i++) {
        if ((r->p[i] & 0xc0) != 0x80) return false;
        value = value << 6 | (r->p[i] & 0x3f);
    }
    r->p += more + 1;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    return value >= least[more] && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff) && value >= 0xa0;
}

static bool take_string(struct reader *r) {
    if (!take(r, '"')) return false;
    while (r->p < r->end && *r->p != '"') {
        if (*r->p < 0x20 || *r->p == 0x7f) return false;
        if (*r->p >= 0x80) {
            if (!take_wide(r)) return false;
        } else if (take(r, '\\')) {
            if (!take(r, '"') && !take(r, '\\') && !(take(r, 'u') && take_hex4(r))) return false;
        } else {
            r->p++;
        }
    }
    return take(r, '"');
}

static bool take_value(struct reader *r) {
    if (r->p < r->end && *r->p == '"') return take_string(r);
    if (take_word(r, "null")) return true;
    const unsigned char *begin = r->p;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9') r->p++;
    return r->p == begin + 1 || (r->p > begin && *begin != '0');
}

/* Whether it is one object with so many members, and a newline that ends it. */
static bool is_line(const char *line, size_t n, int members) {
    struct reader r = {(const unsigned char *)line, (const unsigned char *)line + n};
    if (!take(&r, '{')) return false;
    for (int i = 0; i < members; i++) {
        if (i > 0 && !take(&r, ',')) return false;
        if (!take_string(&r) || !take(&r, ':') || !take_value(&r)) return false;
    }
    return take(&r, '}') && take(&r, '\n') && r.p == r.end;
}

enum { MEMBERS = 23 };

/* ---- helpers ------------------------------------------------------------------------------------------------------ */

/* The line, when the wall clock says 2020-11-25T21:26:18.000Z at the monotonic clock's 0. */
static size_t format(const struct cyg_gw_access *a, char *out) {
    struct cyg_gw_second second = {0};
    cyg_gw_second_set(&second, 0, 1606339578 * CYG_SECOND);
    return cyg_gw_access_format(a, &second, out);
}

/* The line, in memory of exactly the promised size, so that a checker of memory sees a byte too many. */
static char *line_of(const struct cyg_gw_access *a) {
    char *out = malloc(CYG_GW_ACCESS_LINE_MAX), *line = malloc(CYG_GW_ACCESS_LINE_MAX + 1);
    assert_non_null(out);
    assert_non_null(line);
    size_t n = format(a, out);
    assert_in_range(n, 2, CYG_GW_ACCESS_LINE_MAX);
    if (!is_line(out, n, MEMBERS)) fail_msg("not a line of JSON: %.*s", (int)n, out);
    memcpy(line, out, n);
    line[n] = 0;
    free(out);
    return line;
}

static void assert_line(const struct cyg_gw_access *a, const char *expected) {
    char *line = line_of(a);
    assert_string_equal(line, expected);
    free(line);
}

/* The path's value as it stands in the line, without quotes. */
static void assert_path(cyg_str path, const char *expected) {
    char *line = line_of(&(struct cyg_gw_access){.path = path});
    char *begin = strstr(line, "\"path\":\""), *end = strstr(line, "\",\"protocol\"");
    assert_non_null(begin);
    assert_non_null(end);
    *end = 0;
    assert_string_equal(begin + strlen("\"path\":\""), expected);
    free(line);
}

/* ---- tests -------------------------------------------------------------------------------------------------------- */

static void test_a_proxied_request(void **state) {
    (void)state;
    struct cyg_gw_access_run upstream, local, configured;
    assert_line(
        &(struct cyg_gw_access){
            .start = 409999999,
            .method = CYG_STR("GET"),
            .path = CYG_STR("/a?b=c"),
            .protocol = CYG_GW_ACCESS_PROTOCOL("HTTP/1.1"),
            .response_code = 200,
            .outcome = CYG_GW_ACCESS_OUTCOME("-", "via_upstream"),
            .bytes_received = 7,
            .bytes_sent = 18446744073709551615u,
            .duration_ns = 1999999,
            .upstream_service_ns = 100000000,
            .x_forwarded_for = CYG_STR("203.0.113.9, 198.51.100.17"),
            .user_agent = CYG_STR("curl/7.88.1"),
            .request_id = CYG_STR("3f2b8c1d-9e7a-4f60-8bcd-0123456789ab"),
            .authority = CYG_STR("shop.example.com"),
            .upstream = cyg_gw_access_upstream(&upstream, CYG_STR("10.0.0.1:80"), CYG_STR("shop")),
            .local = cyg_gw_access_local(&local, CYG_STR("10.0.0.9:8080")),
            .downstream_remote_address = CYG_STR("[2001:db8::1]:40312"),
            .configured = cyg_gw_access_configured(&configured, CYG_STR("everything"), CYG_STR("web"), CYG_STR("v1")),
            .upstream_request_attempt_count = 1,
        },
        "{\"start_time\":\"2020-11-25T21:26:18.409Z\",\"method\":\"GET\",\"path\":\"/a?b=c\",\"protocol\":\"HTTP/1.1\","
        "\"response_code\":200,\"response_flags\":\"-\",\"response_code_details\":\"via_upstream\",\"bytes_received\":"
        "7,"
        "\"bytes_sent\":18446744073709551615,\"duration\":1,\"upstream_service_time\":\"100\","
        "\"x_forwarded_for\":\"203.0.113.9, 198.51.100.17\",\"user_agent\":\"curl/7.88.1\","
        "\"request_id\":\"3f2b8c1d-9e7a-4f60-8bcd-0123456789ab\",\"authority\":\"shop.example.com\","
        "\"upstream_host\":\"10.0.0.1:80\",\"upstream_cluster\":\"shop\",\"downstream_local_address\":\"10.0.0.9:"
        "8080\","
        "\"downstream_remote_address\":\"[2001:db8::1]:40312\",\"route_name\":\"everything\",\"listener\":\"web\","
        "\"config_version\":\"v1\",\"upstream_request_attempt_count\":1}\n");
}

static void test_what_is_not_known_is_null(void **state) {
    (void)state;
    const char *nothing =
        "{\"start_time\":\"2020-11-25T21:26:18.000Z\",\"method\":null,\"path\":null,\"protocol\":null,"
        "\"response_code\":0,\"response_flags\":\"-\",\"response_code_details\":null,\"bytes_received\":0,"
        "\"bytes_sent\":0,\"duration\":0,\"upstream_service_time\":null,\"x_forwarded_for\":null,"
        "\"user_agent\":null,\"request_id\":null,\"authority\":null,\"upstream_host\":null,"
        "\"upstream_cluster\":null,\"downstream_local_address\":null,\"downstream_remote_address\":null,"
        "\"route_name\":null,\"listener\":null,\"config_version\":null,\"upstream_request_attempt_count\":0}\n";
    assert_line(&(struct cyg_gw_access){.duration_ns = -1}, nothing);
    struct cyg_gw_access_run outcome, upstream, local, configured;
    cyg_str none = {0};
    assert_line(&(struct cyg_gw_access){.outcome = cyg_gw_access_outcome(&outcome, none, none),
                                        .upstream = cyg_gw_access_upstream(&upstream, none, none),
                                        .local = cyg_gw_access_local(&local, none),
                                        .configured = cyg_gw_access_configured(&configured, none, none, none)},
                nothing);
    char *line = line_of(&(struct cyg_gw_access){.upstream_service_ns = -1, .upstream_request_attempt_count = 2});
    assert_non_null(strstr(line, "\"upstream_service_time\":null"));
    free(line);
}

static void test_numbers_of_every_length(void **state) {
    (void)state;
    uint64_t all[64], n = 0;
    for (uint64_t v = 1; n < 57; v *= 10) {
        all[n++] = v - 1;
        all[n++] = v;
        all[n++] = v + v / 10 * 2 + v / 100 * 3; /* its digits differ */
        if (v == 10000000000000000000u) break;
    }
    all[n++] = UINT64_MAX;
    for (size_t i = 0; i < n + 1000; i++) {
        uint64_t v = i < n ? all[i] : i - n;
        char expected[64], *line = line_of(&(struct cyg_gw_access){.bytes_received = v});
        snprintf(expected, sizeof expected, "\"bytes_received\":%llu,", (unsigned long long)v);
        if (!strstr(line, expected)) fail_msg("%s is not in %s", expected, line);
        free(line);
    }
}

/* A run made of literals is what the function makes of the same texts. */
static void test_runs_of_literals_are_the_same(void **state) {
    (void)state;
    struct cyg_gw_access_run run;
    assert_true(cyg_str_eq(cyg_gw_access_outcome(&run, CYG_STR("UF,UH"), CYG_STR("no_healthy_upstream")),
                           cyg_gw_reason_info(CYG_GW_NO_HEALTHY_UPSTREAM)->logged));
    assert_true(cyg_str_eq(cyg_gw_access_outcome(&run, CYG_STR("DPE"), CYG_STR("proxy_timeout")),
                           cyg_gw_ending_info(CYG_GW_END_PROXY_TIMEOUT)->logged));
}

static void assert_word_is_logged(cyg_str logged, const char *word) {
    char *line = line_of(&(struct cyg_gw_access){.outcome = logged}), expected[128];
    snprintf(expected, sizeof expected, "\"response_code_details\":\"%s\",", word);
    assert_non_null(strstr(line, expected));
    free(line);
}

static void test_every_reason_and_ending_is_logged(void **state) {
    (void)state;
    for (int r = 0; r < CYG_GW_REASONS; r++) {
        const struct cyg_gw_reason_info *info = cyg_gw_reason_info((enum cyg_gw_reason)r);
        assert_word_is_logged(info->logged, info->word);
    }
    for (int e = 0; e < CYG_GW_ENDINGS; e++) {
        const struct cyg_gw_ending_info *info = cyg_gw_ending_info((enum cyg_gw_ending)e);
        assert_word_is_logged(info->logged, info->word);
    }
}

static void test_special_bytes_are_escaped(void **state) {
    (void)state;
    assert_path(CYG_STR("/\"q\"\\"), "/\\\"q\\\"\\\\");
    assert_path(CYG_STR("a\r\nb\tc\x1b[31m\x7f"), "a\\u000d\\u000ab\\u0009c\\u001b[31m\\u007f");
    assert_path(((cyg_str){"\0", 1}), "\\u0000");
    assert_path(CYG_STR("a long path of plain letters and then \x01"), "a long path of plain letters and then \\u0001");
    assert_path(CYG_STR("/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80/"), "/\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80/");
    assert_path(CYG_STR("\xc2\x9b"
                        "31m\xc2\xa0"),
                "\\u009b31m\xc2\xa0");
}

static void test_bytes_that_are_no_utf8_are_shown_one_by_one(void **state) {
    (void)state;
    assert_path(CYG_STR("\xff\xfe\x80"), "\\u00ff\\u00fe\\u0080");
    assert_path(CYG_STR("\xc0\xaf"), "\\u00c0\\u00af");                         /* longer than need be */
    assert_path(CYG_STR("\xe0\x80\xaf"), "\\u00e0\\u0080\\u00af");              /* the same */
    assert_path(CYG_STR("\xf0\x8f\xbf\xbf"), "\\u00f0\\u008f\\u00bf\\u00bf");   /* the same */
    assert_path(CYG_STR("\xed\xa0\x80"), "\\u00ed\\u00a0\\u0080");              /* half of a surrogate pair */
    assert_path(CYG_STR("\xf4\x90\x80\x80"), "\\u00f4\\u0090\\u0080\\u0080");   /* beyond U+10FFFF */
    assert_path(CYG_STR("\xe2\x82"), "\\u00e2\\u0082");                         /* ends too early */
    assert_path(CYG_STR("\xe2\x82/\xf0\x9f"), "\\u00e2\\u0082/\\u00f0\\u009f"); /* the same */
}

/* Every byte at every place of short and long texts, so that each width of the fast path is met with each special byte. */
static void test_every_byte_at_every_place(void **state) {
    (void)state;
    char text[40], expected[64];
    for (size_t n = 1; n <= sizeof text; n++) {
        for (size_t at = 0; at < n; at++) {
            for (int c = 0; c < 256; c++) {
                memset(text, 'x', n);
                text[at] = (char)c;
                const char *form = c == '"' || c == '\\' ? "\\%c" : c < 0x20 || c > 0x7e ? "\\u%04x" : "%c";
                memset(expected, 'x', at);
                int w = snprintf(expected + at, sizeof expected - at, form, c);
                memset(expected + at + (size_t)w, 'x', n - at - 1);
                expected[at + (size_t)w + n - at - 1] = 0;
                char out[CYG_GW_ACCESS_LINE_MAX];
                format(&(struct cyg_gw_access){.path = {text, n}}, out);
                const char *path = strstr(out, "\"path\":\"") + strlen("\"path\":\"");
                if (memcmp(path, expected, strlen(expected)) != 0 || path[strlen(expected)] != '"')
                    fail_msg("byte %d at %zu of %zu: %.60s is not %s", c, at, n, path, expected);
            }
        }
    }
}

static void test_long_values_are_cut_and_marked(void **state) {
    (void)state;
    char text[2000], expected[1100];
    memset(text, 'x', sizeof text);
    memset(expected, 'x', sizeof expected);
    strcpy(expected + 1024, "");
    assert_path((cyg_str){text, 1024}, expected);
    strcpy(expected + 1024, "...[+1]");
    assert_path((cyg_str){text, 1025}, expected);
    strcpy(expected + 1024, "...[+976]");
    assert_path((cyg_str){text, 2000}, expected);
    /* What does not fit as a whole is left out as a whole: an escape, a character of several bytes. */
    strcpy(expected + 1023, "...[+977]");
    text[1023] = '"';
    assert_path((cyg_str){text, 2000}, expected);
    text[1023] = '\xc3', text[1024] = '\xa9';
    assert_path((cyg_str){text, 2000}, expected);
}

/* The longest that every value can become, at once, with the largest numbers. */
static void test_the_longest_line_fits(void **state) {
    (void)state;
    static char bytes[9000];
    for (int fill = 0; fill < 256; fill++) {
        memset(bytes, fill, sizeof bytes);
        cyg_str s = {bytes, sizeof bytes};
        struct cyg_gw_access_run outcome, upstream, local, configured;
        struct cyg_gw_access a = {
            .start = INT64_MAX,
            .method = s,
            .path = s,
            .protocol = CYG_GW_ACCESS_PROTOCOL("HTTP/1.1"),
            .response_code = INT32_MAX,
            .outcome = cyg_gw_access_outcome(&outcome, s, s),
            .bytes_received = UINT64_MAX,
            .bytes_sent = UINT64_MAX,
            .duration_ns = INT64_MAX,
            .upstream_service_ns = INT64_MAX,
            .x_forwarded_for = s,
            .user_agent = s,
            .request_id = s,
            .authority = s,
            .upstream = cyg_gw_access_upstream(&upstream, s, s),
            .local = cyg_gw_access_local(&local, s),
            .downstream_remote_address = s,
            .configured = cyg_gw_access_configured(&configured, s, s, s),
            .upstream_request_attempt_count = UINT32_MAX,
        };
        free(line_of(&a));
        bytes[0] = 'x'; /* odd alignment of escapes against the budgets */
        a.outcome = cyg_gw_access_outcome(&outcome, s, s);
        a.upstream = cyg_gw_access_upstream(&upstream, s, s);
        a.local = cyg_gw_access_local(&local, s);
        a.configured = cyg_gw_access_configured(&configured, s, s, s);
        free(line_of(&a));
    }
}

static void test_random_bytes_stay_one_line(void **state) {
    (void)state;
    static char bytes[4096];
    uint64_t seed = 0x9e3779b97f4a7c15;
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < sizeof bytes; i++) {
            seed = seed * 6364136223846793005 + 1442695040888963407;
            /* few of the 256 values, so that sequences that nearly are UTF-8 come often */
            static const unsigned char likely[] = "ab\"\\\n\xc2\xc3\xe0\xe2\xed\xf0\xf4\x80\x82\x90\xa0\xbf\xff";
            bytes[i] = (char)(round % 2 ? likely[(seed >> 33) % (sizeof likely - 1)] : (unsigned char)(seed >> 40));
        }
        cyg_str s = {bytes + seed % 64, (seed >> 20) % 2000};
        free(line_of(&(struct cyg_gw_access){
            .method = s, .path = s, .user_agent = s, .authority = s, .x_forwarded_for = s, .request_id = s}));
    }
}

static int write_two(void *name) {
    struct cyg_gw_log_file *log;
    int err = cyg_gw_log_file_open(name, &(cyg_linelog_opts){0}, &log);
    if (err < 0) return err;
    cyg_gw_second_set(&log->second, 0, 1606339578 * CYG_SECOND); /* as format() has it */
    bool taken = cyg_gw_access_write(log, &(struct cyg_gw_access){.path = CYG_STR("/one")}) &&
                 cyg_gw_access_write(log, &(struct cyg_gw_access){.path = CYG_STR("/two")});
    cyg_gw_log_file_release(log);
    return taken ? 0 : -1;
}

static void test_lines_arrive_in_the_log(void **state) {
    (void)state;
    char name[] = "/tmp/access-XXXXXX", text[2 * CYG_GW_ACCESS_LINE_MAX], expected[2 * CYG_GW_ACCESS_LINE_MAX];
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(cyg_runtime_start(NULL), 0);
    int err = cyg_call(write_two, name);
    assert_int_equal(cyg_runtime_stop(), 0);
    unlink(name);
    assert_int_equal(err, 0);
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    size_t one = format(&(struct cyg_gw_access){.path = CYG_STR("/one")}, expected);
    size_t both = one + format(&(struct cyg_gw_access){.path = CYG_STR("/two")}, expected + one);
    assert_int_equal(n, both);
    assert_memory_equal(text, expected, both);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_proxied_request),
        cmocka_unit_test(test_what_is_not_known_is_null),
        cmocka_unit_test(test_numbers_of_every_length),
        cmocka_unit_test(test_runs_of_literals_are_the_same),
        cmocka_unit_test(test_every_reason_and_ending_is_logged),
        cmocka_unit_test(test_special_bytes_are_escaped),
        cmocka_unit_test(test_bytes_that_are_no_utf8_are_shown_one_by_one),
        cmocka_unit_test(test_every_byte_at_every_place),
        cmocka_unit_test(test_long_values_are_cut_and_marked),
        cmocka_unit_test(test_the_longest_line_fits),
        cmocka_unit_test(test_random_bytes_stay_one_line),
        cmocka_unit_test(test_lines_arrive_in_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
