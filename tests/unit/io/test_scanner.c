/* test_scanner.c: tokens: what the split functions make of texts, whatever the pieces they come in, bounds, and split
 * functions that misbehave. */
#include "script.h"

static const struct splitting {
    cyg_split_fn *split;
    size_t max_bytes; /* 0: the usual */
    const char *text;
    const char *tokens[8];
    int end;
} table[] = {
    {cyg_split_lines, 0, "", {0}, CYG_EOF},
    {cyg_split_lines, 0, "\n", {""}, CYG_EOF},
    {cyg_split_lines, 0, "a\nb", {"a", "b"}, CYG_EOF},
    {cyg_split_lines, 0, "a\r\n\r\n\nb\rc\r\n", {"a", "", "", "b\rc"}, CYG_EOF},
    {cyg_split_lines, 0, "last\r", {"last"}, CYG_EOF},
    {cyg_split_lines, 16, "0123456789abcde\n0123456789abcdef\n", {"0123456789abcde"}, CYG_ELIMIT},
    {cyg_split_lines, 16, "0123456789abcdef", {"0123456789abcdef"}, CYG_ELIMIT}, /* see below */
    {cyg_split_words, 0, "", {0}, CYG_EOF},
    {cyg_split_words, 0, " \t\n\v\f\r ", {0}, CYG_EOF},
    {cyg_split_words, 0, "one", {"one"}, CYG_EOF},
    {cyg_split_words, 0, "  one\ttwo\n\n three  ", {"one", "two", "three"}, CYG_EOF},
    {cyg_split_words, 16, "                                  far 0123456789abcde end", {"far", "0123456789abcde", "end"}, CYG_EOF},
    {cyg_split_words, 16, "ok 0123456789abcdef", {"ok"}, CYG_ELIMIT},
    {cyg_split_bytes, 0, "", {0}, CYG_EOF},
    {cyg_split_bytes, 0, "a b", {"a", " ", "b"}, CYG_EOF},
};

static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t piece = 0; piece < 6; piece++) {
            const struct splitting *t = &table[i];
            struct script src = script_of((struct piece[]){{t->text[0] ? t->text : NULL, 0}, {0}});
            src.piece = piece;
            cyg_scanner s;
            cyg_str token;
            print_message("case %zu in pieces of %zu\n", i, piece);
            cyg_scanner_init(&s, &src.s, t->split, NULL, &(cyg_buf_opts){.max_bytes = t->max_bytes});
            for (int k = 0; k < 8 && t->tokens[k]; k++) {
                if (t->end == CYG_ELIMIT && strlen(t->tokens[k]) == t->max_bytes)
                    break; /* whether it ends there, no room is left to see */
                assert_int_equal(cyg_scanner_next(&s, &token), 0);
                assert_int_equal(token.n, strlen(t->tokens[k]));
                assert_memory_equal(token.p, t->tokens[k], token.n);
            }
            for (int again = 0; again < 3; again++) assert_int_equal(cyg_scanner_next(&s, &token), t->end);
            cyg_scanner_free(&s);
        }
}

static void test_an_error_of_the_stream_comes_behind_the_tokens_and_stays(void **state) {
    (void)state;
    struct script src = script_of((struct piece[]){{"one\ntwo\nthr", 0}, {0, -EIO}, {"ee\n", 0}, {0}});
    cyg_scanner s;
    cyg_str token;
    cyg_scanner_init(&s, &src.s, cyg_split_lines, NULL, NULL);
    assert_int_equal(cyg_scanner_next(&s, &token), 0);
    assert_int_equal(cyg_scanner_next(&s, &token), 0);
    assert_true(cyg_str_eq(token, CYG_STR("two")));
    assert_int_equal(cyg_scanner_next(&s, &token), -EIO); /* half a line is none */
    assert_int_equal(cyg_scanner_next(&s, &token), -EIO);
    cyg_scanner_free(&s);
}

/* ---- split functions of one's own
 * -------------------------------------------------------------------------------------------- */

/* Fields between commas; "stop" ends the scan, "last" does after itself, "bad" is an error. */
static int split_fields(void *arg, cyg_str data, bool at_end, size_t *advance, cyg_str *token) {
    ++*(int *)arg;
    const char *comma = memchr(data.p, ',', data.n);
    if (!comma && (!at_end || data.n == 0)) return CYG_SPLIT_MORE;
    cyg_str field = {data.p, comma ? (size_t)(comma - data.p) : data.n};
    *advance = field.n + (comma ? 1 : 0);
    if (cyg_str_eq(field, CYG_STR("bad"))) return CYG_EPARSE;
    if (cyg_str_eq(field, CYG_STR("stop"))) return CYG_SPLIT_LAST;
    *token = field;
    return cyg_str_eq(field, CYG_STR("last")) ? CYG_SPLIT_LAST : CYG_SPLIT_TOKEN;
}

static void scan_fields(const char *text, int tokens, int end) {
    struct script src = script_of((struct piece[]){{text, 0}, {0}});
    cyg_scanner s;
    cyg_str token;
    int calls = 0;
    cyg_scanner_init(&s, &src.s, split_fields, &calls, NULL);
    for (int i = 0; i < tokens; i++) assert_int_equal(cyg_scanner_next(&s, &token), 0);
    assert_int_equal(cyg_scanner_next(&s, &token), end);
    int before = calls;
    assert_int_equal(cyg_scanner_next(&s, &token), end);
    assert_int_equal(calls, before);
    cyg_scanner_free(&s);
}

static void test_a_split_function_of_ones_own_ends_the_scan(void **state) {
    (void)state;
    scan_fields("a,b,,c", 4, CYG_EOF);
    scan_fields("a,stop,b", 1, CYG_EOF);
    scan_fields("a,last,b", 2, CYG_EOF);
    scan_fields("a,bad,b", 1, CYG_EPARSE);
}

static int split_standing(void *arg, cyg_str data, bool at_end, size_t *advance, cyg_str *token) {
    (void)arg, (void)at_end, (void)advance;
    *token = (cyg_str){data.p, 0};
    return CYG_SPLIT_TOKEN;
}
static int split_too_far(void *arg, cyg_str data, bool at_end, size_t *advance, cyg_str *token) {
    (void)arg, (void)at_end;
    *advance = data.n + 1;
    *token = data;
    return CYG_SPLIT_TOKEN;
}

static void test_split_functions_that_misbehave_end_the_scan(void **state) {
    (void)state;
    struct script src = script_of((struct piece[]){{"some text", 0}, {0}});
    cyg_scanner s;
    cyg_str token;
    cyg_scanner_init(&s, &src.s, split_standing, NULL, NULL);
    for (int i = 1; i < CYG_BUF_NO_PROGRESS; i++) assert_int_equal(cyg_scanner_next(&s, &token), 0);
    assert_int_equal(cyg_scanner_next(&s, &token), CYG_EPROTO);
    assert_string_equal(cyg_err_detail(), "split function gave 100 tokens without advancing");
    cyg_scanner_free(&s);
    src = script_of((struct piece[]){{"some text", 0}, {0}});
    cyg_scanner_init(&s, &src.s, split_too_far, NULL, NULL);
    assert_int_equal(cyg_scanner_next(&s, &token), CYG_EPROTO);
    assert_string_equal(cyg_err_detail(), "split function advanced 10 bytes of 9");
    cyg_scanner_free(&s);
}

static void test_tokens_are_slices_of_the_buffer(void **state) {
    (void)state;
    struct script src = script_of((struct piece[]){{"a few words", 0}, {0}});
    cyg_scanner s;
    cyg_str token;
    cyg_scanner_init(&s, &src.s, cyg_split_words, NULL, NULL);
    while (cyg_scanner_next(&s, &token) == 0) {}
    assert_int_equal(s.r.stats.bytes_total, 11);
    assert_int_equal(s.r.stats.copied_bytes_total, 0);
    assert_int_equal(src.reads, 2);
    cyg_scanner_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_an_error_of_the_stream_comes_behind_the_tokens_and_stays),
        cmocka_unit_test(test_a_split_function_of_ones_own_ends_the_scan),
        cmocka_unit_test(test_split_functions_that_misbehave_end_the_scan),
        cmocka_unit_test(test_tokens_are_slices_of_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
