/* test_wrap.c: the small streams: limit, tee, several as one, memory, nothing. How copies go through them: test_through.c. */
#include "script.h"

static char out[1000];

/* ---- limit ---------------------------------------------------------------------------------------------------------------- */

static void test_a_limit_ends_where_it_says_and_leaves_the_rest(void **state) {
    (void)state;
    struct script src = script_of((struct piece[]){{"abcdefgh", 0}, {0}});
    cyg_limit l;
    char b[10];
    cyg_limit_init(&l, &src.s, 5);
    assert_int_equal(cyg_read(&l.stream, b, 3), 3);
    assert_int_equal(l.left, 2);
    assert_int_equal(cyg_read(&l.stream, b, sizeof b), 2);
    assert_memory_equal(b, "de", 2);
    assert_int_equal(cyg_read(&l.stream, b, sizeof b), CYG_EOF);
    assert_int_equal(src.reads, 2); /* nothing below is asked any more */
    assert_int_equal(cyg_read(&l.stream, b, 0), 0);
    assert_int_equal(cyg_read(&src.s, b, sizeof b), 3);
}

static void test_limits_of_nothing_and_beyond_the_end(void **state) {
    (void)state;
    struct script src = script_of((struct piece[]){{"abc", 0}, {0}});
    cyg_limit l;
    char b[10];
    cyg_limit_init(&l, &src.s, 0);
    assert_int_equal(cyg_read(&l.stream, b, 1), CYG_EOF);
    cyg_limit_init(&l, &src.s, -7);
    assert_int_equal(cyg_read(&l.stream, b, 1), CYG_EOF);
    assert_int_equal(cyg_copy(cyg_discard(), &l.stream, NULL), 0);
    cyg_limit_init(&l, &src.s, INT64_MAX);
    assert_int_equal(cyg_read(&l.stream, b, sizeof b), 3);
    assert_int_equal(cyg_read(&l.stream, b, sizeof b), CYG_EOF);
    assert_int_equal(l.left, INT64_MAX - 3);
}

static void test_a_limit_peeks_no_further_than_it_reads(void **state) {
    (void)state;
    cyg_membuf m;
    cyg_limit l;
    char b[10];
    cyg_membuf_init_read(&m, "abcdef", 6);
    cyg_limit_init(&l, &m.stream, 4);
    assert_int_equal(cyg_peek(&l.stream, b, sizeof b), 4);
    assert_int_equal(cyg_read(&l.stream, b, sizeof b), 4);
    assert_int_equal(cyg_peek(&l.stream, b, sizeof b), CYG_EOF);
}

static void test_all_but_reading_goes_below(void **state) {
    (void)state;
    struct script below = script_sink(out, sizeof out), copy = script_sink(out, sizeof out);
    cyg_limit l;
    cyg_tee t;
    cyg_limit_init(&l, &below.s, 1);
    cyg_tee_init(&t, &l.stream, &copy.s);
    assert_int_equal(cyg_write(&t.stream, "abc", 3), 3);
    assert_int_equal(below.writes, 1);
    assert_int_equal(copy.writes, 0);
    assert_int_equal(cyg_close_write(&t.stream), 0);
    assert_int_equal(cyg_close(&t.stream), 0);
    assert_int_equal(below.half_closed, 1);
    assert_int_equal(below.closed, 1);
    assert_int_equal(copy.closed, 0);
}

/* ---- tee ------------------------------------------------------------------------------------------------------------------ */

static void test_a_tee_writes_what_is_read(void **state) {
    (void)state;
    struct script src = script_of((struct piece[]){{"abc", 0}, {0, -EIO}, {"def", 0}, {0}}),
                  copy = script_sink(out, sizeof out);
    cyg_tee t;
    char b[10];
    cyg_tee_init(&t, &src.s, &copy.s);
    assert_int_equal(cyg_read(&t.stream, b, 2), 2);
    assert_int_equal(cyg_read(&t.stream, b, 9), 1);
    assert_int_equal(cyg_read(&t.stream, b, 9), -EIO);
    assert_int_equal(copy.nout, 3);
    copy.refuse_at = 3;
    copy.refusal = -ENOSPC;
    assert_int_equal(cyg_read(&t.stream, b, 9), -ENOSPC);
    assert_int_equal(cyg_read(&t.stream, b, 9), CYG_EOF);
    src = script_of((struct piece[]){{"xyz", 0}, {0}});
    copy.refuse_at = 4;
    copy.refusal = 1;
    assert_int_equal(cyg_read(&t.stream, b, 9), CYG_EPROTO);
}

/* ---- several as one --------------------------------------------------------------------------------------------------------- */

static void test_several_are_read_one_behind_the_other(void **state) {
    (void)state;
    struct script a = script_of((struct piece[]){{"ab", 0}, {0}}), none = script_of(NULL),
                  c = script_of((struct piece[]){{"c", 0}, {0, -EIO}, {"d", 0}, {0}});
    cyg_stream *parts[] = {&a.s, &none.s, &c.s, &none.s};
    cyg_multi_reader m;
    char b[10];
    cyg_multi_reader_init(&m, parts, 4);
    assert_int_equal(cyg_read(&m.stream, b, 0), 0);
    assert_int_equal(cyg_read(&m.stream, b, 10), 2);
    assert_int_equal(cyg_read(&m.stream, b, 10), 1);
    assert_int_equal(b[0], 'c');
    assert_int_equal(cyg_read(&m.stream, b, 10), -EIO); /* it stays where it is */
    assert_int_equal(cyg_read(&m.stream, b, 10), 1);
    assert_int_equal(cyg_read(&m.stream, b, 10), CYG_EOF);
    assert_int_equal(cyg_read(&m.stream, b, 10), CYG_EOF);
    assert_int_equal(cyg_close(&m.stream), 0);
    assert_int_equal(a.closed + c.closed, 0);
    cyg_multi_reader_init(&m, parts, 0);
    assert_int_equal(cyg_read(&m.stream, b, 10), CYG_EOF);
}

static void test_several_are_written_the_same_until_one_fails(void **state) {
    (void)state;
    static char out2[100], out3[100];
    struct script a = script_sink(out, sizeof out), b = script_sink(out2, sizeof out2), c = script_sink(out3, sizeof out3);
    cyg_stream *parts[] = {&a.s, &b.s, &c.s};
    cyg_multi_writer m;
    cyg_multi_writer_init(&m, parts, 3);
    assert_int_equal(cyg_write(&m.stream, "abc", 3), 3);
    assert_int_equal(cyg_writev(&m.stream, (struct iovec[]){{"d", 1}, {"ef", 2}}, 2), 3);
    assert_memory_equal(out, "abcdef", 6);
    assert_memory_equal(out3, "abcdef", 6);
    assert_int_equal(b.gathered, 1);
    b.refuse_at = 3;
    b.refusal = -EPIPE;
    assert_int_equal(cyg_write(&m.stream, "gh", 2), -EPIPE);
    assert_int_equal(a.nout, 8);
    assert_int_equal(c.nout, 6);
    b.refuse_at = 4;
    b.refusal = 1;
    assert_int_equal(cyg_write(&m.stream, "gh", 2), CYG_EPROTO);
    b.refuse_at = 5;
    assert_int_equal(cyg_writev(&m.stream, (struct iovec[]){{"d", 1}, {"ef", 2}}, 2), CYG_EPROTO);
}

/* ---- memory ----------------------------------------------------------------------------------------------------------------- */

static void test_memory_gives_what_it_was_given(void **state) {
    (void)state;
    cyg_membuf m;
    char b[64];
    unsigned wrote = 0, read = 0;
    cyg_membuf_init(&m, 1000);
    assert_int_equal(cyg_read(&m.stream, b, 9), CYG_EOF);
    assert_int_equal(cyg_write(&m.stream, "", 0), 0);
    assert_null(m.p);
    /* Writes and reads of all sizes, in turns, so that it grows, moves and is emptied. */
    for (int i = 0; i < 2000; i++) {
        size_t n = (size_t)(i * 7 % 61), take = (size_t)(i * 11 % 67);
        for (size_t k = 0; k < n; k++) b[k] = (char)(wrote + k);
        ssize_t r = cyg_write(&m.stream, b, n);
        if (r == CYG_ELIMIT)
            assert_true(wrote - read + n > 1000);
        else
            assert_int_equal(r, n);
        if (r > 0) wrote += (unsigned)r;
        if (take > sizeof b) take = sizeof b;
        r = cyg_read(&m.stream, b, take);
        for (ssize_t k = 0; k < r; k++) assert_true(b[k] == (char)(read + (unsigned)k));
        if (r > 0) read += (unsigned)r;
        assert_int_equal(cyg_membuf_data(&m).n, wrote - read);
    }
    cyg_membuf_free(&m);
    assert_int_equal(cyg_read(&m.stream, b, 9), CYG_EOF);
    assert_int_equal(cyg_write(&m.stream, "x", 1), 1);
    cyg_membuf_free(&m);
}

static void test_memory_is_bounded_and_a_write_over_it_leaves_it_as_it_was(void **state) {
    (void)state;
    cyg_membuf m;
    char b[600] = {0};
    cyg_membuf_init(&m, 1000);
    assert_int_equal(cyg_write(&m.stream, b, 600), 600);
    assert_int_equal(cyg_write(&m.stream, b, 401), CYG_ELIMIT);
    assert_string_equal(cyg_err_detail(), "memory buffer: 600 bytes and 401 more are over its bound of 1000");
    assert_int_equal(cyg_write(&m.stream, b, SIZE_MAX), CYG_ELIMIT);
    assert_int_equal(cyg_membuf_data(&m).n, 600);
    assert_int_equal(cyg_write(&m.stream, b, 400), 400);
    assert_int_equal(m.size, 1000);
    cyg_membuf_free(&m);
}

static void test_memory_of_others_is_only_read(void **state) {
    (void)state;
    static const char text[] = "constant";
    cyg_membuf m;
    char b[10];
    cyg_membuf_init_read(&m, text, 8);
    assert_int_equal(cyg_write(&m.stream, "x", 1), CYG_ENOTSUP);
    assert_int_equal(cyg_peek(&m.stream, b, 3), 3);
    assert_int_equal(cyg_read(&m.stream, b, 10), 8);
    assert_memory_equal(b, text, 8);
    assert_int_equal(cyg_read(&m.stream, b, 10), CYG_EOF);
    cyg_membuf_free(&m); /* frees nothing */
    assert_string_equal(text, "constant");
}

static void test_a_copy_takes_memory_as_it_lies(void **state) {
    (void)state;
    cyg_membuf m;
    struct script sink = script_sink(out, sizeof out);
    cyg_copy_result how;
    cyg_membuf_init_read(&m, "abcdef", 6);
    assert_int_equal(cyg_copy_n(&sink.s, &m.stream, 4, &how), 4);
    assert_ptr_equal(sink.wrote_p, m.p);
    assert_int_equal(how.path, CYG_COPY_STREAM);
    assert_int_equal(how.by[CYG_COPY_STREAM], 4);
    sink.refuse_at = 2;
    sink.refusal = -EPIPE;
    assert_int_equal(cyg_copy(&sink.s, &m.stream, &how), -EPIPE);
    assert_true(how.write_failed);
    assert_int_equal(cyg_membuf_data(&m).n, 2); /* they stay */
    sink.refuse_at = 3;
    sink.refusal = 1;
    assert_int_equal(cyg_copy(&sink.s, &m.stream, &how), CYG_EPROTO);
    assert_int_equal(cyg_copy(&sink.s, &m.stream, &how), 2);
    assert_int_equal(cyg_copy(&sink.s, &m.stream, &how), 0);
}

static void test_a_copy_into_a_stream_that_writes_too_little_ends(void **state) {
    (void)state;
    struct script src = script_of((struct piece[]){{"abcdef", 0}, {0}}), sink = script_sink(out, sizeof out);
    cyg_copy_result how;
    sink.refuse_at = 1;
    sink.refusal = 2;
    assert_int_equal(cyg_copy(&sink.s, &src.s, &how), CYG_EPROTO);
    assert_true(how.write_failed);
    assert_string_equal(cyg_err_detail(), "script stream wrote 2 of 6 bytes and gave no error");
}

static void test_nothing_takes_all_and_gives_none(void **state) {
    (void)state;
    struct script src = script_of((struct piece[]){{"gone", 0}, {0}});
    char b[4];
    assert_int_equal(cyg_copy(cyg_discard(), &src.s, NULL), 4);
    assert_int_equal(cyg_writev(cyg_discard(), (struct iovec[]){{"d", 1}, {"ef", 2}}, 2), 3);
    assert_int_equal(cyg_read(cyg_discard(), b, 4), CYG_EOF);
    assert_int_equal(cyg_read(cyg_discard(), b, 0), 0);
    assert_int_equal(cyg_close(cyg_discard()), 0);
    assert_int_equal(cyg_write(cyg_discard(), "x", 1), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_limit_ends_where_it_says_and_leaves_the_rest),
        cmocka_unit_test(test_limits_of_nothing_and_beyond_the_end),
        cmocka_unit_test(test_a_limit_peeks_no_further_than_it_reads),
        cmocka_unit_test(test_all_but_reading_goes_below),
        cmocka_unit_test(test_a_tee_writes_what_is_read),
        cmocka_unit_test(test_several_are_read_one_behind_the_other),
        cmocka_unit_test(test_several_are_written_the_same_until_one_fails),
        cmocka_unit_test(test_memory_gives_what_it_was_given),
        cmocka_unit_test(test_memory_is_bounded_and_a_write_over_it_leaves_it_as_it_was),
        cmocka_unit_test(test_memory_of_others_is_only_read),
        cmocka_unit_test(test_a_copy_takes_memory_as_it_lies),
        cmocka_unit_test(test_a_copy_into_a_stream_that_writes_too_little_ends),
        cmocka_unit_test(test_nothing_takes_all_and_gives_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
