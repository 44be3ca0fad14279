/* test_bufreader.c: the buffered reader. Most of it is a table: what the stream gives, read by read, and what each call
 * returns and shows. */
#include "../net/net.h"
#include "script.h"

enum what { END, READ, PEEK, UNTIL, LINE, BYTE, UNREAD, DISCARD, HELD, WAIT };
struct step {
    enum what what;
    int arg;
    int result;       /* of BYTE, READ, DISCARD the value; of the others 0 or the error */
    const char *text; /* what was read or shown; HELD: what is buffered */
};
#define OK(what, arg, text) \
    { what, arg, 0, text }

static const struct reading {
    const char *name;
    size_t max_bytes, piece; /* 0: the usual; no bound */
    const struct piece *pieces;
    struct step steps[12];
} table[] = {
    {"a read gives what is buffered, not more",
     0,
     0,
     (struct piece[]){{"abcdef", 0}, {"ghi", 0}, {0}},
     {{READ, 4, 4, "abcd"}, {READ, 4, 2, "ef"}, {READ, 4, 3, "ghi"}, {READ, 4, CYG_EOF, 0}, {READ, 4, CYG_EOF, 0}}},
    {"a read of nothing", 0, 0, (struct piece[]){{"a", 0}, {0}}, {{READ, 0, 0, ""}, {READ, 9, 1, "a"}, {READ, 0, 0, ""}}},
    {"peek takes nothing",
     0,
     1,
     (struct piece[]){{"abcdef", 0}, {0}},
     {OK(PEEK, 1, "a"),
      OK(PEEK, 4, "abcd"),
      OK(PEEK, 0, ""),
      {READ, 2, 2, "ab"},
      OK(PEEK, 4, "cdef"),
      {PEEK, 5, CYG_EOF, 0},
      OK(HELD, 0, "cdef"),
      {READ, 9, 4, "cdef"},
      {PEEK, 1, CYG_EOF, 0}}},
    {"partial read with the end: what is there stays and can be had",
     0,
     0,
     (struct piece[]){{"some text", 0}, {0}},
     {{UNTIL, ';', CYG_EOF, 0},
      OK(HELD, 0, "some text"),
      {UNTIL, ';', CYG_EOF, 0},
      {READ, 99, 9, "some text"},
      {UNTIL, ';', CYG_EOF, 0}}},
    {"full buffer: peek and until at the bound, beyond it, and what stays",
     16,
     0,
     (struct piece[]){{"0123456789abcdefXY;", 0}, {0}},
     {OK(PEEK, 16, "0123456789abcdef"),
      {PEEK, 17, CYG_ELIMIT, 0},
      {UNTIL, ';', CYG_ELIMIT, 0},
      OK(HELD, 0, "0123456789abcdef"),
      {DISCARD, 3, 3, 0},
      {UNTIL, ';', 0, "3456789abcdefXY;"},
      {READ, 1, CYG_EOF, 0}}},
    {"a line that is just not too long, and one that is",
     16,
     5,
     (struct piece[]){{"0123456789abcde\n0123456789abcdef\nrest\n", 0}, {0}},
     {OK(LINE, 0, "0123456789abcde"),
      {LINE, 0, CYG_ELIMIT, 0},
      OK(HELD, 0, "0123456789abcdef"),
      {DISCARD, 17, 17, 0},
      OK(LINE, 0, "rest"),
      {LINE, 0, CYG_EOF, 0}}},
    {"lines: of two kinds, empty, over reads, the last without an end",
     0,
     3,
     (struct piece[]){{"one\r\n\n\r\ntwo\rthree\nlast", 0}, {0}},
     {OK(LINE, 0, "one"), OK(LINE, 0, ""), OK(LINE, 0, ""), OK(LINE, 0, "two\rthree"), OK(LINE, 0, "last"), {LINE, 0, CYG_EOF, 0}}},
    {"no line at all", 0, 0, (struct piece[]){{0}}, {{LINE, 0, CYG_EOF, 0}, {LINE, 0, CYG_EOF, 0}}},
    {"an error is told once, then reading goes on",
     0,
     0,
     (struct piece[]){{"ab", 0}, {0, -EIO}, {"cd\n", 0}, {0, CYG_ETIMEDOUT}, {"ef", 0}, {0}},
     {{LINE, 0, -EIO, 0},
      OK(HELD, 0, "ab"),
      OK(LINE, 0, "abcd"),
      {BYTE, 0, CYG_ETIMEDOUT, 0},
      {BYTE, 0, 'e', 0},
      {PEEK, 2, CYG_EOF, 0},
      {READ, 9, 1, "f"}}},
    {"an error behind bytes waits until they have been read",
     0,
     0,
     (struct piece[]){{"ab", 0}, {0, -EIO}, {0}},
     {{READ, 1, 1, "a"}, {READ, 9, 1, "b"}, {READ, 9, -EIO, 0}, {READ, 9, CYG_EOF, 0}}},
    {"bytes, and one put back",
     0,
     1,
     (struct piece[]){{"xyz", 0}, {0}},
     {{UNREAD, 0, CYG_ESTATE, 0},
      {BYTE, 0, 'x', 0},
      {UNREAD, 0, 0, 0},
      {UNREAD, 0, CYG_ESTATE, 0},
      {BYTE, 0, 'x', 0},
      {BYTE, 0, 'y', 0},
      OK(PEEK, 1, "z"),
      {UNREAD, 0, CYG_ESTATE, 0},
      {BYTE, 0, 'z', 0},
      {UNREAD, 0, 0, 0},
      {READ, 5, 1, "z"},
      {BYTE, 0, CYG_EOF, 0}}},
    {"a failed read of a byte leaves none to put back",
     0,
     0,
     (struct piece[]){{"x", 0}, {0}},
     {{BYTE, 0, 'x', 0}, {BYTE, 0, CYG_EOF, 0}, {UNREAD, 0, CYG_ESTATE, 0}}},
    {"discard goes over buffers, and ends where the stream does",
     16,
     0,
     (struct piece[]){{"0123456789abcdefghijklmnop", 0}, {0}},
     {{DISCARD, 0, 0, 0},
      {DISCARD, 20, 20, 0},
      {READ, 2, 2, "kl"},
      {DISCARD, -1, CYG_EINVAL, 0},
      {DISCARD, 9, CYG_EOF, 0},
      {READ, 1, CYG_EOF, 0}}},
    {"waiting reads what is to come",
     0,
     0,
     (struct piece[]){{"ab", 0}, {0, -EIO}, {0}},
     {OK(WAIT, 0, 0), OK(HELD, 0, "ab"), OK(WAIT, 0, 0), {READ, 9, 2, "ab"}, {WAIT, 0, -EIO, 0}, OK(WAIT, 0, 0), {READ, 9, CYG_EOF, 0}}},
};

static void shows(cyg_str s, const char *text) {
    assert_int_equal(s.n, strlen(text));
    if (s.n) assert_memory_equal(s.p, text, s.n);
}

static void take_step(cyg_bufreader *r, const struct step *s) {
    char b[128];
    cyg_str got = {"", 0};
    int result = 0;
    switch (s->what) {
    case READ:
        result = (int)cyg_bufreader_read(r, b, (size_t)s->arg);
        if (result > 0) got = (cyg_str){b, (size_t)result};
        break;
    case PEEK: result = cyg_bufreader_peek(r, (size_t)s->arg, &got); break;
    case UNTIL: result = cyg_bufreader_until(r, (char)s->arg, &got); break;
    case LINE: result = cyg_bufreader_line(r, &got); break;
    case BYTE: result = cyg_bufreader_byte(r); break;
    case UNREAD: result = cyg_bufreader_unread(r); break;
    case DISCARD: result = (int)cyg_bufreader_discard(r, s->arg); break;
    case HELD: got = cyg_bufreader_data(r); break;
    case WAIT: result = cyg_bufreader_wait(r); break;
    case END: break;
    }
    assert_int_equal(result, s->result);
    shows(got, s->text ? s->text : "");
}

static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct script src = script_of(table[i].pieces);
        src.piece = table[i].piece;
        cyg_bufreader r;
        cyg_bufreader_init(&r, &src.s, &(cyg_buf_opts){.max_bytes = table[i].max_bytes});
        print_message("%s\n", table[i].name);
        for (const struct step *s = table[i].steps; s < table[i].steps + 12 && s->what != END; s++) take_step(&r, s);
        cyg_bufreader_free(&r);
    }
}

static void test_a_stream_that_reads_nothing_is_an_error(void **state) {
    (void)state;
    struct script src = script_of(NULL);
    cyg_bufreader r;
    char b[4], large[4096];
    src.stuck = true;
    cyg_bufreader_init(&r, &src.s, NULL);
    assert_int_equal(cyg_bufreader_read(&r, b, sizeof b), CYG_EPROTO);
    assert_int_equal(src.reads, CYG_BUF_NO_PROGRESS);
    assert_string_equal(cyg_err_detail(), "script stream read nothing 100 times in a row");
    assert_int_equal(cyg_bufreader_read(&r, large, sizeof large), CYG_EPROTO);
    cyg_str line;
    assert_int_equal(cyg_bufreader_line(&r, &line), CYG_EPROTO);
    assert_int_equal(cyg_bufreader_byte(&r), CYG_EPROTO);
    cyg_bufreader_free(&r);
}

static void test_a_stream_that_says_it_read_too_much_is_an_error(void **state) {
    (void)state;
    struct script src = script_of(NULL);
    cyg_bufreader r;
    src.boasts = true;
    cyg_bufreader_init(&r, &src.s, NULL);
    assert_int_equal(cyg_bufreader_byte(&r), CYG_EPROTO);
    assert_string_equal(cyg_err_detail(), "script stream read 1025 bytes where there was room for 1024");
    assert_int_equal(cyg_bufreader_data(&r).n, 0);
    cyg_bufreader_free(&r);
}

/* ---- sizes
 * --------------------------------------------------------------------------------------------------------------- */

static uint64_t buffers_out(void) {
    cyg_bufio_totals t;
    cyg_bufio_get_totals(&t);
    return t.buffers;
}

static char *much(size_t n) {
    char *p = malloc(n + 1);
    assert_non_null(p);
    memset(p, 'm', n);
    p[n] = 0;
    return p;
}

static void test_the_buffer_grows_with_use_to_its_bound_and_shrinks_again(void **state) {
    (void)state;
    char *text = much(300000), b[100];
    struct script src = script_of((struct piece[]){{text, 0}, {0}});
    cyg_bufreader r;
    cyg_bufreader_init(&r, &src.s, &(cyg_buf_opts){.min_bytes = 1000, .max_bytes = 20000});
    assert_int_equal(r.want, 1024);
    size_t n = 0;
    for (ssize_t got; (got = cyg_bufreader_read(&r, b, sizeof b)) > 0;) n += (size_t)got;
    assert_int_equal(n, 300000);
    assert_int_equal(src.largest_read, 20000);
    assert_int_equal(r.stats.grows_total, 5); /* 2048 4096 8192 16384 20000 */
    assert_in_range(src.reads, 17, 22);
    assert_int_equal(r.stats.calls_total, src.reads);
    assert_int_equal(r.stats.bytes_total, 300000);
    assert_int_equal(r.stats.copied_bytes_total, 300000);
    /* Now little at a time. */
    src = script_of((struct piece[]){{text, 0}, {0}});
    src.piece = 50;
    for (int i = 0; i < 100; i++) assert_int_equal(cyg_bufreader_read(&r, b, sizeof b), 50);
    assert_int_equal(r.want, 1024);
    assert_int_equal(r.stats.shrinks_total, 5);
    cyg_bufreader_free(&r);
    free(text);
}

static void test_an_empty_reader_holds_no_buffer(void **state) {
    (void)state;
    struct script src = script_of((struct piece[]){{"12345678", 0}, {"ab\n", 0}, {0}});
    cyg_bufreader r;
    char b[8];
    uint64_t before = buffers_out();
    cyg_bufreader_init(&r, &src.s, NULL);
    assert_int_equal(buffers_out(), before);
    assert_int_equal(cyg_bufreader_read(&r, b, 4), 4);
    assert_int_equal(buffers_out(), before + 1);
    assert_int_equal(cyg_bufreader_read(&r, b, 4), 4);
    assert_int_equal(buffers_out(), before); /* emptied by a copy: at once */
    cyg_str line;
    assert_int_equal(cyg_bufreader_line(&r, &line), 0);
    assert_int_equal(buffers_out(), before + 1); /* the line is in it */
    shows(line, "ab");
    assert_int_equal(cyg_bufreader_discard(&r, 0), 0);
    assert_int_equal(buffers_out(), before);
    cyg_bufreader_free(&r);
}

static void test_a_large_read_goes_past_the_buffer(void **state) {
    (void)state;
    char *text = much(5000), b[2000];
    struct script src = script_of((struct piece[]){{text, 0}, {0}});
    cyg_bufreader r;
    uint64_t before = buffers_out();
    cyg_bufreader_init(&r, &src.s, NULL);
    assert_int_equal(cyg_bufreader_read(&r, b, sizeof b), 2000);
    assert_int_equal(src.largest_read, 2000);
    assert_int_equal(buffers_out(), before);
    assert_int_equal(r.stats.copied_bytes_total, 0);
    assert_int_equal(r.stats.bytes_total, 2000);
    cyg_bufreader_free(&r);
    free(text);
}

static void test_slices_are_counted_but_not_copied(void **state) {
    (void)state;
    struct script src = script_of((struct piece[]){{"one\ntwo\n", 0}, {0}});
    cyg_bufreader r;
    cyg_str line;
    cyg_bufio_totals before, after;
    cyg_bufio_get_totals(&before);
    cyg_bufreader_init(&r, &src.s, NULL);
    while (cyg_bufreader_line(&r, &line) == 0) {}
    assert_int_equal(r.stats.bytes_total, 8);
    assert_int_equal(r.stats.copied_bytes_total, 0);
    cyg_bufreader_free(&r);
    cyg_bufio_get_totals(&after);
    assert_int_equal(after.read.bytes_total - before.read.bytes_total, 8);
    assert_int_equal(after.read.copied_bytes_total - before.read.copied_bytes_total, 0);
    assert_int_equal(after.read.calls_total - before.read.calls_total, 2);
}

static void test_a_limit_that_is_hit_is_counted(void **state) {
    (void)state;
    struct script src = script_of((struct piece[]){{"0123456789abcdef0123456789", 0}, {0}});
    cyg_bufreader r;
    cyg_str s;
    cyg_bufreader_init(&r, &src.s, &(cyg_buf_opts){.max_bytes = 16});
    assert_int_equal(cyg_bufreader_line(&r, &s), CYG_ELIMIT);
    assert_string_equal(cyg_err_detail(), "read until: 17 bytes are more than max_bytes (16)");
    assert_int_equal(cyg_bufreader_peek(&r, 100, &s), CYG_ELIMIT);
    assert_int_equal(r.stats.limits_total, 2);
    cyg_bufreader_free(&r);
}

static void test_reset_goes_on_with_another_stream(void **state) {
    (void)state;
    struct script one = script_of((struct piece[]){{"one", 0}, {0}}), two = script_of((struct piece[]){{"two", 0}, {0}});
    cyg_bufreader r;
    cyg_bufreader_init(&r, &one.s, NULL);
    assert_int_equal(cyg_bufreader_byte(&r), 'o');
    cyg_bufreader_reset(&r, &two.s);
    assert_int_equal(cyg_bufreader_unread(&r), CYG_ESTATE);
    assert_int_equal(cyg_bufreader_byte(&r), 't');
    assert_int_equal(cyg_bufreader_unread(&r), 0);
    cyg_bufreader_free(&r);
}

static void test_what_is_not_reading_goes_to_the_stream_below(void **state) {
    (void)state;
    char out[16];
    struct script below = script_sink(out, sizeof out);
    cyg_bufreader r;
    cyg_bufreader_init(&r, &below.s, NULL);
    assert_int_equal(cyg_write(&r.stream, "abc", 3), 3);
    assert_int_equal(cyg_writev(&r.stream, (struct iovec[]){{"d", 1}, {"e", 1}}, 2), 2);
    assert_memory_equal(out, "abcde", 5);
    assert_int_equal(below.gathered, 1);
    assert_int_equal(cyg_close_write(&r.stream), 0);
    assert_int_equal(below.half_closed, 1);
    assert_int_equal(cyg_close(&r.stream), 0);
    assert_int_equal(below.closed, 1);
    assert_int_equal(cyg_set_deadline(&r.stream, 1), CYG_ENOTSUP); /* it has none */
    cyg_bufreader_free(&r);
}

/* ---- over connections
 * ------------------------------------------------------------------------------------------------------ */

static void send_lines(void *arg) {
    cyg_conn *c = arg;
    for (int i = 0; i < 1000; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "line %d\n", i);
        CHECK_EQ(cyg_write(c, text, (size_t)n), n);
        if (i % 10 == 0) cyg_yield();
    }
    CHECK_EQ(cyg_close_write(c), 0);
}

RT_TEST(test_lines_over_a_connection) {
    for (int kind = 0; kind < 2; kind++) {
        struct net_pair p;
        net_pair_of(kind, &p);
        GO(send_lines, p.a);
        cyg_bufreader r;
        cyg_bufreader_init(&r, p.b, NULL);
        cyg_str line;
        for (int i = 0; i < 1000; i++) {
            char text[32];
            snprintf(text, sizeof text, "line %d", i);
            CHECK_EQ(cyg_bufreader_line(&r, &line), 0);
            CHECK(cyg_str_eq(line, cyg_str_of(text)));
        }
        CHECK_EQ(cyg_bufreader_line(&r, &line), CYG_EOF);
        cyg_bufreader_free(&r);
        net_close_pair(&p);
    }
}

static int waiting;
static void wait_then_read(void *arg) {
    cyg_bufreader *r = arg;
    STORE(waiting, 1);
    CHECK_EQ(cyg_bufreader_wait(r), 0);
    CHECK_EQ(cyg_bufreader_byte(r), 'x');
    STORE(waiting, 2);
}

RT_TEST(test_who_waits_holds_no_buffer_and_a_deadline_ends_it) {
    struct net_pair p;
    cyg_bufreader r;
    net_tcp_pair(&p);
    cyg_bufreader_init(&r, p.b, NULL);
    uint64_t before = buffers_out();
    STORE(waiting, 0);
    GO(wait_then_read, &r);
    WAIT_FOR(LOAD(waiting) == 1);
    net_settle();
    CHECK_EQ(buffers_out(), before);
    CHECK_EQ(cyg_write(p.a, "xy", 2), 2);
    WAIT_FOR(LOAD(waiting) == 2);
    CHECK_EQ(cyg_bufreader_byte(&r), 'y');
    CHECK_EQ(cyg_set_read_deadline(&r.stream, 1), 0); /* goes to the connection */
    CHECK_EQ(cyg_bufreader_wait(&r), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_bufreader_byte(&r), CYG_ETIMEDOUT);
    cyg_bufreader_free(&r);
    net_close_pair(&p);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_a_stream_that_reads_nothing_is_an_error),
        cmocka_unit_test(test_a_stream_that_says_it_read_too_much_is_an_error),
        cmocka_unit_test(test_the_buffer_grows_with_use_to_its_bound_and_shrinks_again),
        cmocka_unit_test(test_an_empty_reader_holds_no_buffer),
        cmocka_unit_test(test_a_large_read_goes_past_the_buffer),
        cmocka_unit_test(test_slices_are_counted_but_not_copied),
        cmocka_unit_test(test_a_limit_that_is_hit_is_counted),
        cmocka_unit_test(test_reset_goes_on_with_another_stream),
        cmocka_unit_test(test_what_is_not_reading_goes_to_the_stream_below),
        cmocka_unit_test(test_lines_over_a_connection),
        cmocka_unit_test(test_who_waits_holds_no_buffer_and_a_deadline_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
