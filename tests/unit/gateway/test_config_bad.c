/* test_config_bad.c: what the configuration refuses, and that it says so in its place, all at once, and bounded. */
#include "bad.h"
#include "gateway/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* The problems of a document, one a line; "" if it was taken. The caller frees them. */
static char *problems_of(const char *text, size_t n, size_t *dropped) {
    struct cyg_gw_config *c = NULL;
    struct cyg_gw_problems p = {0};
    char *out = NULL;
    size_t size = 0;
    int err = cyg_gw_config_parse("t.yaml", text, n, &c, &p);
    FILE *f = open_memstream(&out, &size);
    for (size_t i = 0; i < p.n; i++) fprintf(f, "%s%s", i ? "\n" : "", p.items[i].text);
    fclose(f);
    if (dropped) *dropped = p.dropped;
    assert_int_equal(err, p.n + p.dropped ? CYG_EPARSE : 0);
    assert_true((c != NULL) == (err == 0)); /* written only on success */
    cyg_gw_problems_free(&p);
    cyg_gw_config_free(c);
    return out;
}

static int check_table(const struct bad_document *docs, size_t n) {
    int failed = 0;
    for (size_t i = 0; i < n; i++) {
        char *exact = malloc(docs[i].n ? docs[i].n : 1); /* no NUL behind it: a sanitizer sees a read too far */
        memcpy(exact, docs[i].text, docs[i].n);
        char *got = problems_of(exact, docs[i].n, NULL);
        if (strcmp(got, docs[i].problems) != 0) {
            print_error("%s: got\n%s\nexpected\n%s\n\n", docs[i].title, got, docs[i].problems);
            failed++;
        }
        free(got);
        free(exact);
    }
    return failed;
}

static void test_bad_documents_and_keys_are_told_in_their_place(void **state) {
    (void)state;
    assert_true(nbad_documents >= 60);
    assert_int_equal(check_table(bad_documents, nbad_documents), 0);
}

static void test_bad_values_are_told_in_their_place(void **state) {
    (void)state;
    assert_true(nbad_values >= 60);
    assert_int_equal(check_table(bad_values, nbad_values), 0);
}

/* ---- bounds ----------------------------------------------------------------------------------------------------- */

/* begin, n times item, end. The caller frees it. */
static char *repeat(const char *begin, size_t n, const char *item, const char *end, size_t *size) {
    char *out = NULL;
    FILE *f = open_memstream(&out, size);
    fputs(begin, f);
    for (size_t i = 0; i < n; i++) fprintf(f, "%s", item);
    fputs(end, f);
    fclose(f);
    return out;
}

static void expect(char *text, size_t n, const char *problems) {
    char *got = problems_of(text, n, NULL);
    assert_string_equal(got, problems);
    free(got);
    free(text);
}

static void test_problems_beyond_fifty_are_counted(void **state) {
    (void)state;
    size_t n = 0, dropped = 0, lines = 0;
    char *text = repeat(V L "clusters:\n  - name: c\n    endpoints:\n", 70, "      - x\n", "", &n);
    char *got = problems_of(text, n, &dropped);
    for (const char *p = got; p; p = strchr(p + 1, '\n')) lines++;
    assert_int_equal(lines, CYG_GW_MAX_PROBLEMS);
    assert_int_equal(dropped, 70 - CYG_GW_MAX_PROBLEMS);
    free(got);
    free(text);
}

static void test_a_document_of_more_than_a_mebibyte_is_refused(void **state) {
    (void)state;
    size_t n = 0;
    char *text = repeat(V L C "# ", (1 << 20) - sizeof(V L C "# ") + 1, "x", "", &n);
    assert_int_equal(n, 1 << 20);
    expect(text, n, "");
    text = repeat(V L C "# ", (1 << 20) - sizeof(V L C "# ") + 2, "x", "", &n);
    expect(text, n, "t.yaml: found more than the 1MiB that a document may have");
}

static void test_a_document_of_too_many_values_is_refused(void **state) {
    (void)state;
    size_t n = 0;
    char *text = repeat("[", 120000, "1,", "]", &n);
    expect(text, n, "t.yaml:1:200000: found more than 100000 values in one document");
}

static void test_long_lists_are_refused(void **state) {
    (void)state;
    size_t n = 0;
    char *text = repeat(V L "clusters: [{name: c, endpoints: [", 1025, "x,", "]}]\n", &n);
    expect(text, n, "t.yaml:3:33: clusters[0].endpoints: found a list of 1025, expected at most 1024");
    text = repeat(V "listeners: [{name: web, address: ':80', routes: [", 4097, "{},", "]}]\n" C, &n);
    expect(text, n, "t.yaml:2:49: listeners[0].routes: found a list of 4097, expected at most 4096");
}

static void test_a_map_of_too_many_keys_is_refused_once(void **state) {
    (void)state;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    fputs(V L C "drain:\n", f);
    for (int i = 0; i < 70; i++) fprintf(f, "  key%d: 1\n", i);
    fclose(f);
    expect(text, n, "t.yaml:69:3: found one key more than the 64 that a map may have");
}

static void test_deep_documents_are_refused_without_recursion(void **state) {
    (void)state;
    size_t n = 0;
    char *text = repeat("", 500000, "[", "", &n);
    expect(text, n, "t.yaml:1:17: found lists and maps more than 16 deep");
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

static void expect_file(const char *path, const char *problem) {
    struct cyg_gw_config *c = NULL;
    struct cyg_gw_problems p = {0};
    assert_int_equal(cyg_gw_config_load(path, &c, &p), CYG_EPARSE);
    assert_null(c);
    assert_int_equal(p.n, 1);
    assert_int_equal(p.items[0].line, 0);
    assert_string_equal(p.items[0].text, problem);
    cyg_gw_problems_free(&p);
}

static void test_a_file_that_cannot_be_read_is_a_problem(void **state) {
    (void)state;
    char want[128];
    snprintf(want, sizeof want, "no/such/file.yaml: cannot be read: %s", cyg_strerror(-ENOENT));
    expect_file("no/such/file.yaml", want);
    snprintf(want, sizeof want, ".: cannot be read: %s", cyg_strerror(-EISDIR));
    expect_file(".", want);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_documents_and_keys_are_told_in_their_place),
        cmocka_unit_test(test_bad_values_are_told_in_their_place),
        cmocka_unit_test(test_problems_beyond_fifty_are_counted),
        cmocka_unit_test(test_a_document_of_more_than_a_mebibyte_is_refused),
        cmocka_unit_test(test_a_document_of_too_many_values_is_refused),
        cmocka_unit_test(test_long_lists_are_refused),
        cmocka_unit_test(test_a_map_of_too_many_keys_is_refused_once),
        cmocka_unit_test(test_deep_documents_are_refused_without_recursion),
        cmocka_unit_test(test_a_file_that_cannot_be_read_is_a_problem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
