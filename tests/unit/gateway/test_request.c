/* test_request.c: the small things on a request's path: turns, request ids, reasons, and text that cannot break its line. */
#include "gateway/cluster.h"
#include "gateway/reason.h"
#include "gateway/request_id.h"
#include "gateway/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_turns_are_even_on_every_shard(void **state) {
    (void)state;
    struct cyg_gw_turns t;
    assert_int_equal(cyg_gw_turns_init(&t, 3, 4), 0);
    for (unsigned shard = 0; shard < 9; shard++) {
        int count[3] = {0};
        for (int i = 0; i < 300; i++) {
            size_t k = cyg_gw_turns_next(&t, shard);
            assert_true(k < 3);
            count[k]++;
        }
        for (int k = 0; k < 3; k++) assert_int_equal(count[k], 100);
    }
    cyg_gw_turns_free(&t);
}

static void test_shards_begin_at_different_endpoints(void **state) {
    (void)state;
    struct cyg_gw_turns t;
    assert_int_equal(cyg_gw_turns_init(&t, 4, 4), 0);
    bool seen[4] = {0};
    for (unsigned shard = 0; shard < 4; shard++) seen[cyg_gw_turns_next(&t, shard)] = true;
    for (int k = 0; k < 4; k++) assert_true(seen[k]);
    cyg_gw_turns_free(&t);
}

static void test_one_endpoint_is_always_its_turn(void **state) {
    (void)state;
    struct cyg_gw_turns t;
    assert_int_equal(cyg_gw_turns_init(&t, 1, 8), 0);
    for (unsigned shard = 0; shard < 8; shard++)
        for (int i = 0; i < 3; i++) assert_int_equal(cyg_gw_turns_next(&t, shard), 0);
    cyg_gw_turns_free(&t);
}

static int compare_ids(const void *a, const void *b) { return memcmp(a, b, CYG_GW_REQUEST_ID_BYTES); }

static void test_request_ids_are_different_uuids(void **state) {
    (void)state;
    enum { N = 20000 };
    struct cyg_gw_ids *ids = cyg_gw_ids_new(4);
    char(*all)[CYG_GW_REQUEST_ID_BYTES] = calloc(N, sizeof *all);
    assert_non_null(ids);
    for (unsigned i = 0; i < N; i++) {
        cyg_gw_ids_next(ids, i % 5, all[i]);
        for (size_t k = 0; k < CYG_GW_REQUEST_ID_BYTES; k++) {
            if (k == 8 || k == 13 || k == 18 || k == 23)
                assert_int_equal(all[i][k], '-');
            else
                assert_non_null(strchr("0123456789abcdef", all[i][k]));
        }
        assert_int_equal(all[i][14], '4');
        assert_non_null(strchr("89ab", all[i][19]));
    }
    qsort(all, N, sizeof *all, compare_ids);
    for (unsigned i = 1; i < N; i++) assert_int_not_equal(compare_ids(all[i - 1], all[i]), 0);
    free(all);
    cyg_gw_ids_free(ids);
}

static void test_only_sane_request_ids_are_taken_over(void **state) {
    (void)state;
    char longest[129];
    memset(longest, 'x', sizeof longest);
    assert_true(cyg_gw_request_id_ok(CYG_STR("a-b/c~1")));
    assert_true(cyg_gw_request_id_ok((cyg_str){longest, 128}));
    assert_false(cyg_gw_request_id_ok((cyg_str){longest, 129}));
    assert_false(cyg_gw_request_id_ok(CYG_STR("")));
    assert_false(cyg_gw_request_id_ok(CYG_STR("a b")));
    assert_false(cyg_gw_request_id_ok(CYG_STR("a\x01")));
    assert_false(cyg_gw_request_id_ok(CYG_STR("\xc3\xa4")));
}

static void test_every_end_of_a_forward_has_a_reason(void **state) {
    (void)state;
    static const struct {
        cyg_http_forward_status forward;
        const char *word;
        int status;
    } cases[] = {
        {CYG_FORWARD_OK, "via_upstream", 0},
        {CYG_FORWARD_CONNECT_FAILURE, "no_healthy_upstream", 503},
        {CYG_FORWARD_OVERFLOW, "upstream_overflow", 503},
        {CYG_FORWARD_RESET, "upstream_reset", 502},
        {CYG_FORWARD_PROTOCOL_ERROR, "upstream_protocol_error", 502},
        {CYG_FORWARD_TIMEOUT, "upstream_timeout", 504},
        {CYG_FORWARD_ANSWER_CUT, "upstream_answer_cut", 502},
        {CYG_FORWARD_CLIENT_GONE, "client_disconnected", 0},
        {CYG_FORWARD_CLIENT_BODY, "client_body_error", 400},
        {CYG_FORWARD_NOT_ALLOWED, "upgrade_not_supported", 501},
    };
    assert_int_equal(sizeof cases / sizeof *cases, CYG_FORWARD_STATUSES);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum cyg_gw_reason r = cyg_gw_reason_of(cases[i].forward);
        assert_string_equal(cyg_gw_reason_info(r)->word, cases[i].word);
        assert_int_equal(cyg_gw_reason_status(r, 0), cases[i].status);
        /* The library's word is ours, but for a failed connection, which the gateway only reports when no endpoint is left. */
        if (cases[i].forward != CYG_FORWARD_CONNECT_FAILURE)
            assert_string_equal(cyg_http_forward_reason(cases[i].forward), cases[i].word);
    }
    assert_int_equal(cyg_gw_reason_status(CYG_GW_CLIENT_BODY_ERROR, CYG_ETIMEDOUT), 408);
    assert_int_equal(cyg_gw_reason_status(CYG_GW_CLIENT_BODY_ERROR, CYG_ELIMIT), 413);
    assert_int_equal(cyg_gw_reason_info(CYG_GW_ROUTE_NOT_FOUND)->status, 404);
}

static void test_text_escapes(void **state) {
    (void)state;
    struct cyg_gw_text t = {0};
    cyg_gw_text_json(&t, CYG_STR("a\"\\\n\x7f\xff\xc3\xa4\xed\xa0\x80"));
    assert_string_equal(t.p, "\"a\\\"\\\\\\u000a\\u007f\\ufffd\xc3\xa4\\ufffd\\ufffd\\ufffd\"");
    cyg_gw_text_free(&t);
    cyg_gw_text_label(&t, "a\"\\\nb");
    assert_string_equal(t.p, "\"a\\\"\\\\\\nb\"");
    cyg_gw_text_free(&t);
}

static void test_text_grows(void **state) {
    (void)state;
    struct cyg_gw_text t = {0};
    for (int i = 0; i < 1000; i++) cyg_gw_text_printf(&t, "%0300d", i);
    assert_int_equal(t.n, 300000);
    assert_false(t.failed);
    assert_memory_equal(t.p + 299700 + 297, "999", 3);
    cyg_gw_text_free(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns_are_even_on_every_shard),
        cmocka_unit_test(test_shards_begin_at_different_endpoints),
        cmocka_unit_test(test_one_endpoint_is_always_its_turn),
        cmocka_unit_test(test_request_ids_are_different_uuids),
        cmocka_unit_test(test_only_sane_request_ids_are_taken_over),
        cmocka_unit_test(test_every_end_of_a_forward_has_a_reason),
        cmocka_unit_test(test_text_escapes),
        cmocka_unit_test(test_text_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
