/* test_stream.c: what works on any stream: copying, exact reads, gathering writes over streams that cannot gather.
 */
#include "../net/net.h"

/* A stream of a fixed text, read in pieces, that can end with an error; what is written to it is counted and kept. */
struct text_stream {
    cyg_stream s;
    const char *text;
    size_t at, piece;
    int end; /* what a read returns behind the text */
    char out[300];
    size_t nout, room;
    int writes;
};
static ssize_t text_read(cyg_stream *s, void *p, size_t n) {
    struct text_stream *t = (struct text_stream *)s;
    size_t left = strlen(t->text) - t->at;
    if (!left) return t->end;
    if (n > t->piece) n = t->piece;
    if (n > left) n = left;
    memcpy(p, t->text + t->at, n);
    t->at += n;
    return (ssize_t)n;
}
static ssize_t text_write(cyg_stream *s, const void *p, size_t n) {
    struct text_stream *t = (struct text_stream *)s;
    t->writes++;
    if (t->nout + n > t->room) return -ENOSPC;
    memcpy(t->out + t->nout, p, n);
    t->nout += n;
    return (ssize_t)n;
}
static const cyg_stream_ops text_ops = {.kind = "text", .read = text_read, .write = text_write};
static const cyg_stream_ops no_ops = {.kind = "none"};
static struct text_stream text_of(const char *text) {
    return (struct text_stream){.s = {&text_ops}, .text = text, .piece = 3, .end = CYG_EOF, .room = 300};
}

static void test_copy_moves_all_and_counts(void **state) {
    (void)state;
    struct text_stream src = text_of("ten bytes!"), dst = text_of("");
    cyg_copy_result res;
    assert_int_equal(cyg_copy(&dst.s, &src.s, &res), 10);
    assert_int_equal(res.bytes, 10);
    assert_int_equal(res.by[CYG_COPY_BUFFER], 10);
    assert_string_equal(cyg_copy_path_name(res.path), "buffer");
    assert_string_equal(cyg_copy_reason_name(res.reason), "source");
    assert_memory_equal(dst.out, "ten bytes!", 10);
    assert_int_equal(cyg_copy(&dst.s, &src.s, NULL), 0); /* at its end: nothing, and no error */
}

static void test_copy_tells_the_first_error_and_how_far_it_came(void **state) {
    (void)state;
    cyg_copy_result res;
    struct text_stream src = text_of("ten bytes!"), dst = text_of("");
    src.end = -EIO;
    assert_int_equal(cyg_copy(&dst.s, &src.s, &res), -EIO);
    assert_int_equal(res.bytes, 10);
    src = text_of("ten bytes!");
    dst = text_of("");
    dst.room = 7;
    assert_int_equal(cyg_copy(&dst.s, &src.s, &res), -ENOSPC);
    assert_int_equal(res.bytes, 6);
}

static int says(struct text_stream *t, int64_t max, cyg_copy_result *res, int64_t n) {
    if (t->end != CYG_EOF) return t->end;
    cyg_copy_moved(res, n < max ? n : max);
    return 0;
}
static int write_to_says(cyg_stream *s, cyg_stream *dst, int64_t max, cyg_copy_result *res) {
    (void)dst;
    return says((struct text_stream *)s, max, res, 77);
}
static int read_from_says(cyg_stream *s, cyg_stream *src, int64_t max, cyg_copy_result *res) {
    (void)src;
    return says((struct text_stream *)s, max, res, 88);
}

static void test_copy_asks_the_streams_first(void **state) {
    (void)state;
    cyg_stream_ops can_write_to = text_ops, can_read_from = text_ops;
    can_write_to.write_to = write_to_says;
    can_read_from.read_from = read_from_says;
    cyg_copy_result res;
    struct text_stream src = text_of("abcdef"), dst = text_of("");
    src.s.ops = &can_write_to;
    dst.s.ops = &can_read_from;
    assert_int_equal(cyg_copy(&dst.s, &src.s, &res), 77);
    assert_int_equal(res.path, CYG_COPY_STREAM);
    assert_int_equal(res.by[CYG_COPY_STREAM], 77);
    assert_int_equal(res.by[CYG_COPY_BUFFER], 0);
    assert_int_equal(cyg_copy_n(&dst.s, &src.s, 70, &res), 70);
    assert_int_equal(cyg_copy_n(&dst.s, &src.s, 80, &res), CYG_EPROTO); /* it ended before */
    src.end = CYG_ENOTSUP;                                              /* not for this partner */
    assert_int_equal(cyg_copy(&dst.s, &src.s, &res), 88);
    dst.end = -EIO;
    assert_int_equal(cyg_copy(&dst.s, &src.s, &res), -EIO);
    src = text_of("abcdef");
    dst = text_of("");
    dst.s.ops = &can_read_from;
    dst.end = CYG_ENOTSUP;
    assert_int_equal(cyg_copy(&dst.s, &src.s, &res), 6);
    assert_int_equal(res.path, CYG_COPY_BUFFER);
}

static void test_read_full_ends(void **state) {
    (void)state;
    char b[16];
    struct text_stream t = text_of("ten bytes!");
    assert_int_equal(cyg_read_full(&t.s, b, 8), 8);
    assert_memory_equal(b, "ten byte", 8);
    assert_int_equal(cyg_read_full(&t.s, b, 3), CYG_EPROTO); /* in between */
    assert_int_equal(cyg_read_full(&t.s, b, 3), CYG_EOF);    /* before the first byte */
    assert_int_equal(cyg_read_full(&t.s, b, 0), 0);
    t = text_of("abc");
    t.end = -EIO;
    assert_int_equal(cyg_read_full(&t.s, b, 5), -EIO);
}

static void test_writev_without_the_operation(void **state) {
    (void)state;
    struct text_stream t = text_of("");
    struct iovec iov[4] = {{"ab", 2}, {"", 0}, {"cde", 3}, {"", 0}};
    assert_int_equal(cyg_writev(&t.s, iov, 4), 5);
    assert_memory_equal(t.out, "abcde", 5);
    assert_int_equal(t.writes, 2);
    assert_int_equal(cyg_writev(&t.s, iov, 0), CYG_EINVAL);
    t.room = 6;
    assert_int_equal(cyg_writev(&t.s, iov, 4), -ENOSPC);
}

static void test_operations_that_are_not_there(void **state) {
    (void)state;
    cyg_stream s = {&no_ops};
    char b[4];
    struct iovec iov[2] = {{"a", 1}, {"b", 1}};
    assert_int_equal(cyg_read(&s, b, 4), CYG_ENOTSUP);
    assert_int_equal(cyg_write(&s, b, 4), CYG_ENOTSUP);
    assert_int_equal(cyg_writev(&s, iov, 2), CYG_ENOTSUP);
    assert_int_equal(cyg_close(&s), CYG_ENOTSUP);
    assert_int_equal(cyg_close_write(&s), CYG_ENOTSUP);
    assert_int_equal(cyg_set_deadline(&s, 1), CYG_ENOTSUP);
    assert_int_equal(cyg_read_full(&s, b, 4), CYG_ENOTSUP);
    assert_int_equal(cyg_copy(&s, &s, NULL), CYG_ENOTSUP);
}

/* ---- over connections -------------------------------------------------------------------------------------------------- */

static int64_t copied;
static void echo(void *arg) {
    cyg_copy_result res;
    int64_t n = cyg_copy(arg, arg, &res);
    CHECK(n >= 0);
    CHECK_EQ(res.bytes, n);
    CHECK_EQ(cyg_close_write(arg), 0);
    STORE(copied, n);
}
static void send_much(void *arg) {
    char block[10000];
    for (int i = 0; i < 50; i++) {
        memset(block, i, sizeof block);
        CHECK_EQ(cyg_write(arg, block, sizeof block), sizeof block);
    }
    CHECK_EQ(cyg_close_write(arg), 0);
}

RT_TEST(test_copy_echoes_a_connection) {
    for (int kind = 0; kind < 2; kind++) {
        struct net_pair p;
        char block[10000];
        net_pair_of(kind, &p);
        STORE(copied, -1);
        GO(echo, p.b);
        GO(send_much, p.a);
        for (int i = 0; i < 50; i++) {
            CHECK_EQ(cyg_read_full(p.a, block, sizeof block), sizeof block);
            CHECK(block[0] == i && block[9999] == i);
        }
        CHECK_EQ(cyg_read(p.a, block, 1), CYG_EOF);
        WAIT_FOR(LOAD(copied) == 500000);
        net_close_pair(&p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy_moves_all_and_counts),
        cmocka_unit_test(test_copy_tells_the_first_error_and_how_far_it_came),
        cmocka_unit_test(test_copy_asks_the_streams_first),
        cmocka_unit_test(test_read_full_ends),
        cmocka_unit_test(test_writev_without_the_operation),
        cmocka_unit_test(test_operations_that_are_not_there),
        cmocka_unit_test(test_copy_echoes_a_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
