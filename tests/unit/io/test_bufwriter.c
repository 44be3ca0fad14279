/* test_bufwriter.c: the buffered writer: what goes out when, together with what, and what an error leaves. */
#include "../net/net.h"
#include "script.h"

static char out[3 << 20];

static uint64_t buffers_out(void) {
    cyg_bufio_totals t;
    cyg_bufio_get_totals(&t);
    return t.buffers;
}

/* ---- what goes out
 * -------------------------------------------------------------------------------------------------------- */

static void test_small_writes_leave_with_a_flush(void **state) {
    (void)state;
    struct script sink = script_sink(out, sizeof out);
    cyg_bufwriter w;
    uint64_t before = buffers_out();
    cyg_bufwriter_init(&w, &sink.s, NULL);
    assert_int_equal(cyg_bufwriter_flush(&w), 0); /* of nothing: no write */
    assert_int_equal(cyg_bufwriter_write(&w, "", 0), 0);
    assert_int_equal(buffers_out(), before);
    assert_int_equal(cyg_bufwriter_write(&w, "abc", 3), 3);
    assert_int_equal(cyg_bufwriter_str(&w, CYG_STR("de")), 2);
    assert_int_equal(cyg_bufwriter_byte(&w, 'f'), 1);
    assert_int_equal(cyg_bufwriter_printf(&w, "%d-%s", 42, "x"), 4);
    assert_int_equal(sink.writes, 0);
    assert_int_equal(buffers_out(), before + 1);
    assert_int_equal(cyg_bufwriter_flush(&w), 0);
    assert_int_equal(sink.writes, 1);
    assert_int_equal(sink.nout, 10);
    assert_memory_equal(out, "abcdef42-x", 10);
    assert_int_equal(buffers_out(), before); /* empty: none is held */
    cyg_bufwriter_free(&w);
}

static void test_what_does_not_fit_leaves_with_the_rest_in_one_gathering_write(void **state) {
    (void)state;
    static char large[5000];
    struct script sink = script_sink(out, sizeof out);
    cyg_bufwriter w;
    memset(large, 'L', sizeof large);
    cyg_bufwriter_init(&w, &sink.s, NULL);
    assert_int_equal(cyg_bufwriter_write(&w, "head", 4), 4);
    assert_int_equal(cyg_bufwriter_write(&w, large, sizeof large), sizeof large);
    assert_int_equal(sink.writes, 1);
    assert_int_equal(sink.gathered, 1);
    assert_ptr_equal(sink.wrote_p, large); /* itself, no copy */
    assert_int_equal(sink.nout, 5004);
    assert_memory_equal(out, "headLLLL", 8);
    assert_int_equal(w.stats.copied_bytes_total, 4);
    assert_int_equal(w.stats.bytes_total, 5004);
    assert_int_equal(cyg_bufwriter_write(&w, large, sizeof large), sizeof large); /* nothing before it: alone */
    assert_int_equal(sink.writes, 2);
    assert_int_equal(sink.gathered, 1);
    assert_ptr_equal(sink.wrote_p, large);
    cyg_bufwriter_free(&w);
}

static void test_a_mebibyte_in_writes_of_128_bytes(void **state) {
    (void)state;
    struct script sink = script_sink(out, sizeof out);
    cyg_bufwriter w;
    cyg_bufwriter_init(&w, &sink.s, NULL);
    for (int i = 0; i < 8192; i++) {
        char piece[128];
        memset(piece, i, sizeof piece);
        assert_int_equal(cyg_bufwriter_write(&w, piece, sizeof piece), sizeof piece);
    }
    assert_int_equal(cyg_bufwriter_flush(&w), 0);
    assert_int_equal(sink.nout, 1 << 20);
    for (int i = 0; i < 8192; i++) assert_true(out[i * 128] == (char)i && out[i * 128 + 127] == (char)i);
    print_message("%d writes\n", sink.writes);
    assert_in_range(sink.writes, 16, 32);
    assert_int_equal(w.stats.calls_total, sink.writes);
    assert_int_equal(w.want, CYG_BUF_MAX_BYTES);
    cyg_bufwriter_free(&w);
}

static void test_the_buffer_shrinks_when_flushes_are_small(void **state) {
    (void)state;
    struct script sink = script_sink(out, sizeof out);
    cyg_bufwriter w;
    cyg_bufwriter_init(&w, &sink.s, &(cyg_buf_opts){.max_bytes = 8192});
    for (int i = 0; i < 200; i++)
        cyg_bufwriter_write(&w, "0123456789012345678901234567890123456789012345678901234567890123", 64);
    assert_int_equal(w.want, 8192);
    assert_int_equal(w.stats.grows_total, 3);
    for (int i = 0; i < 60; i++) {
        cyg_bufwriter_write(&w, "little", 6);
        assert_int_equal(cyg_bufwriter_flush(&w), 0);
    }
    assert_int_equal(w.want, 1024);
    assert_int_equal(w.stats.shrinks_total, 3);
    cyg_bufwriter_free(&w);
}

/* Head, body, flush, over and over: the body is large for the buffer each time, and goes uncopied each time. */
static void test_messages_with_a_large_body_do_not_make_the_buffer_grow(void **state) {
    (void)state;
    static char body[10000];
    struct script sink = script_sink(out, sizeof out);
    cyg_bufwriter w;
    cyg_bufwriter_init(&w, &sink.s, NULL);
    for (int i = 0; i < 20; i++) {
        cyg_bufwriter_write(&w, "head", 4);
        cyg_bufwriter_write(&w, body, sizeof body);
        assert_int_equal(cyg_bufwriter_flush(&w), 0);
    }
    assert_int_equal(sink.writes, 20);
    assert_int_equal(w.want, 1024);
    assert_int_equal(w.stats.copied_bytes_total, 80);
    /* A torrent of middling writes does. */
    for (int i = 0; i < 100; i++) cyg_bufwriter_write(&w, body, 1500);
    assert_int_equal(cyg_bufwriter_flush(&w), 0);
    assert_in_range(sink.writes, 22, 35);
    cyg_bufwriter_free(&w);
}

/* A message of small writes that is a little too large for the buffer shall not be torn each time. */
static void test_messages_of_small_writes_soon_leave_whole(void **state) {
    (void)state;
    struct script sink = script_sink(out, sizeof out);
    cyg_bufwriter w;
    cyg_bufwriter_init(&w, &sink.s, NULL);
    for (int i = 0; i < 20; i++) {
        for (int k = 0; k < 16; k++)
            cyg_bufwriter_write(&w, "0123456789012345678901234567890123456789012345678901234567890123456789", 70);
        assert_int_equal(cyg_bufwriter_flush(&w), 0);
    }
    assert_int_equal(sink.nout, 20 * 16 * 70);
    assert_int_equal(sink.writes, 21); /* the first in two */
    cyg_bufwriter_free(&w);
}

/* ---- room
 * ------------------------------------------------------------------------------------------------------------------ */

static void test_reserve_and_commit(void **state) {
    (void)state;
    struct script sink = script_sink(out, sizeof out);
    cyg_bufwriter w;
    char *p;
    cyg_bufwriter_init(&w, &sink.s, &(cyg_buf_opts){.max_bytes = 2048});
    assert_int_equal(cyg_bufwriter_reserve(&w, 0, &p), 1024);
    memcpy(p, "abc", 3);
    cyg_bufwriter_commit(&w, 3);
    assert_int_equal(cyg_bufwriter_reserve(&w, 1021, &p), 1021);
    memset(p, 'r', 1021);
    cyg_bufwriter_commit(&w, 1000);
    assert_int_equal(sink.writes, 0);
    assert_int_equal(cyg_bufwriter_reserve(&w, 2048, &p), 2048); /* what is there goes first */
    assert_int_equal(sink.nout, 1003);
    cyg_bufwriter_commit(&w, 0);
    assert_int_equal(cyg_bufwriter_reserve(&w, 2049, &p), CYG_ELIMIT);
    assert_int_equal(w.stats.limits_total, 1);
    assert_int_equal(cyg_bufwriter_write(&w, "x", 1), 1); /* the limit is not kept as an error */
    assert_int_equal(cyg_bufwriter_flush(&w), 0);
    assert_int_equal(sink.nout, 1004);
    assert_int_equal(w.stats.copied_bytes_total, 1); /* what is made in the buffer is not copied */
    assert_int_equal(w.stats.bytes_total, 1004);
    cyg_bufwriter_free(&w);
}

static void test_printf_beyond_the_room_and_the_bound(void **state) {
    (void)state;
    struct script sink = script_sink(out, sizeof out);
    cyg_bufwriter w;
    cyg_bufwriter_init(&w, &sink.s, &(cyg_buf_opts){.max_bytes = 2000});
    assert_int_equal(cyg_bufwriter_printf(&w, "%1000d", 7), 1000);
    assert_int_equal(cyg_bufwriter_printf(&w, "%100d", 8), 100); /* does not fit behind it */
    assert_int_equal(cyg_bufwriter_printf(&w, "%1999d", 9), 1999);
    assert_int_equal(cyg_bufwriter_printf(&w, "%2000d", 9), CYG_ELIMIT);
    assert_int_equal(cyg_bufwriter_flush(&w), 0);
    assert_int_equal(sink.nout, 3099);
    cyg_bufwriter_reset(&w, &sink.s);
    assert_int_equal(cyg_bufwriter_printf(&w, "%1024d", 5), 1024); /* just the room, so none for a NUL */
    assert_int_equal(cyg_bufwriter_flush(&w), 0);
    assert_true(out[3099 + 1023] == '5');
    assert_true(out[999] == '7' && out[1099] == '8' && out[3098] == '9' && out[1100] == ' ');
    cyg_bufwriter_free(&w);
}

static void test_gathering_writes_into_the_buffer_and_past_it(void **state) {
    (void)state;
    static char large[3000];
    struct iovec many[200];
    struct script sink = script_sink(out, sizeof out);
    cyg_bufwriter w;
    memset(large, 'v', sizeof large);
    cyg_bufwriter_init(&w, &sink.s, NULL);
    assert_int_equal(cyg_writev(&w.stream, (struct iovec[]){{"ab", 2}, {"", 0}, {"c", 1}}, 3), 3);
    assert_int_equal(sink.writes, 0);
    assert_int_equal(cyg_writev(&w.stream, (struct iovec[]){{"d", 1}, {large, sizeof large}}, 2), 3001);
    assert_int_equal(sink.writes, 1); /* all three together */
    assert_int_equal(sink.gathered, 1);
    assert_memory_equal(out, "abcdvvv", 7);
    for (int i = 0; i < 200; i++) many[i] = (struct iovec){large, 10};
    assert_int_equal(cyg_bufwriter_write(&w, "xy", 2), 2);
    assert_int_equal(cyg_writev(&w.stream, many, 200), 2000); /* too many pieces to go in one list with what is there */
    assert_int_equal(sink.nout, 3004 + 2002);
    assert_memory_equal(out + 3004, "xyvvvv", 6);
    assert_int_equal(cyg_writev(&w.stream, (struct iovec[]){{large, SIZE_MAX}, {large, 2}}, 2), CYG_EINVAL);
    cyg_bufwriter_free(&w);
}

/* ---- errors
 * ----------------------------------------------------------------------------------------------------------------- */

static const struct refusal {
    int refusal, error;
    const char *detail;
} refusals[] = {
    {-EPIPE, -EPIPE, NULL},
    {CYG_ETIMEDOUT, CYG_ETIMEDOUT, NULL},
    {0, CYG_EPROTO, "script stream wrote 0 of 6 bytes and gave no error"},
    {5, CYG_EPROTO, "script stream wrote 5 of 6 bytes and gave no error"},
};

static void test_the_first_error_stays_until_reset(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct script sink = script_sink(out, sizeof out);
        cyg_bufwriter w;
        char *p;
        uint64_t before = buffers_out();
        sink.refuse_at = 1;
        sink.refusal = refusals[i].refusal;
        cyg_bufwriter_init(&w, &sink.s, NULL);
        int error = refusals[i].error;
        assert_int_equal(cyg_bufwriter_write(&w, "abcdef", 6), 6);
        assert_int_equal(cyg_bufwriter_flush(&w), error);
        if (refusals[i].detail) assert_string_equal(cyg_err_detail(), refusals[i].detail);
        assert_int_equal(cyg_bufwriter_write(&w, "x", 1), error);
        assert_int_equal(cyg_bufwriter_write(&w, "", 0), error);
        assert_int_equal(cyg_bufwriter_printf(&w, "x"), error);
        assert_int_equal(cyg_bufwriter_reserve(&w, 1, &p), error);
        assert_int_equal(cyg_writev(&w.stream, (struct iovec[]){{"x", 1}, {"y", 1}}, 2), error);
        assert_int_equal(cyg_bufwriter_flush(&w), error);
        assert_int_equal(cyg_close_write(&w.stream), error);
        assert_int_equal(sink.half_closed, 0); /* the peer must not take it for complete */
        assert_int_equal(cyg_copy(&w.stream, cyg_discard(), NULL), error);
        assert_int_equal(sink.writes, 1);
        assert_int_equal(buffers_out(), before);
        cyg_bufwriter_reset(&w, &sink.s);
        sink.nout = 0;
        assert_int_equal(cyg_bufwriter_write(&w, "again", 5), 5);
        assert_int_equal(cyg_bufwriter_flush(&w), 0);
        assert_memory_equal(out, "again", 5);
        cyg_bufwriter_free(&w);
    }
}

static void test_an_error_of_a_large_write_is_told_at_once(void **state) {
    (void)state;
    static char large[5000];
    struct script sink = script_sink(out, sizeof out);
    cyg_bufwriter w;
    cyg_bufwriter_init(&w, &sink.s, NULL);
    sink.refuse_at = 1;
    sink.refusal = 4500;
    assert_int_equal(cyg_bufwriter_write(&w, "head", 4), 4);
    assert_int_equal(cyg_bufwriter_write(&w, large, sizeof large), CYG_EPROTO);
    assert_string_equal(cyg_err_detail(), "script stream wrote 4500 of 5004 bytes and gave no error");
    assert_int_equal(w.err, CYG_EPROTO);
    cyg_bufwriter_free(&w);
}

static void test_close_flushes_first_and_closes_in_any_case(void **state) {
    (void)state;
    struct script sink = script_sink(out, sizeof out);
    cyg_bufwriter w;
    cyg_bufwriter_init(&w, &sink.s, NULL);
    cyg_bufwriter_write(&w, "bye", 3);
    assert_int_equal(cyg_close_write(&w.stream), 0);
    assert_int_equal(sink.nout, 3);
    assert_int_equal(sink.half_closed, 1);
    cyg_bufwriter_write(&w, "no", 2);
    sink.refuse_at = 2;
    sink.refusal = -EPIPE;
    assert_int_equal(cyg_close(&w.stream), -EPIPE);
    assert_int_equal(sink.closed, 1);
    cyg_bufwriter_free(&w);
}

/* ---- copies into a writer
 * ---------------------------------------------------------------------------------------------------- */

static void test_a_copy_into_it_writes_out_what_is_there_first(void **state) {
    (void)state;
    struct script src = script_of((struct piece[]){{"from the ", 0}, {"source", 0}, {0}}),
                  sink = script_sink(out, sizeof out);
    cyg_bufwriter w;
    cyg_copy_result how;
    cyg_bufwriter_init(&w, &sink.s, NULL);
    cyg_bufwriter_write(&w, "head ", 5);
    assert_int_equal(cyg_copy(&w.stream, &src.s, &how), 15);
    assert_int_equal(sink.nout, 20);
    assert_memory_equal(out, "head from the source", 20);
    src = script_of((struct piece[]){{"more", 0}, {0}});
    sink.refuse_at = sink.writes + 1;
    sink.refusal = -EPIPE;
    assert_int_equal(cyg_copy(&w.stream, &src.s, &how), -EPIPE);
    assert_true(how.write_failed);
    assert_int_equal(cyg_bufwriter_flush(&w), -EPIPE); /* it stays */
    cyg_bufwriter_free(&w);
}

static void test_a_copy_from_a_stream_that_reads_nothing_ends(void **state) {
    (void)state;
    struct script src = script_of(NULL), sink = script_sink(out, sizeof out);
    cyg_bufwriter w;
    src.stuck = true;
    cyg_bufwriter_init(&w, &sink.s, NULL);
    assert_int_equal(cyg_copy(&w.stream, &src.s, NULL), CYG_EPROTO);
    assert_int_equal(src.reads, CYG_BUF_NO_PROGRESS);
    assert_int_equal(cyg_bufwriter_flush(&w), 0); /* the source's fault */
    cyg_bufwriter_free(&w);
}

/* ---- over connections
 * -------------------------------------------------------------------------------------------------------- */

static uint64_t received;
static void receive(void *arg) {
    char b[5000];
    uint64_t n = 0;
    ssize_t r;
    while ((r = cyg_read(arg, b, sizeof b)) > 0)
        for (ssize_t i = 0; i < r; i++) CHECK(b[i] == (char)(n++ % 251));
    CHECK_EQ(r, CYG_EOF);
    STORE(received, n);
}

/* Writes of every size up to 3000 bytes: all paths, against a reader that falls behind. */
RT_TEST(test_bytes_arrive_in_order_whatever_the_sizes) {
    struct net_pair p;
    cyg_bufwriter w;
    uint64_t n = 0;
    STORE(received, 0);
    net_tcp_pair(&p);
    GO(receive, p.b);
    cyg_bufwriter_init(&w, p.a, &(cyg_buf_opts){.max_bytes = 2000});
    for (size_t size = 1; size < 3000; size += 7) {
        char b[3000];
        for (size_t i = 0; i < size; i++) b[i] = (char)(n++ % 251);
        CHECK_EQ(cyg_bufwriter_write(&w, b, size), size);
        if (size % 5 == 0) CHECK_EQ(cyg_bufwriter_flush(&w), 0);
    }
    CHECK_EQ(cyg_close_write(&w.stream), 0);
    WAIT_FOR(LOAD(received) == n);
    cyg_bufwriter_free(&w);
    net_close_pair(&p);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_writes_leave_with_a_flush),
        cmocka_unit_test(test_what_does_not_fit_leaves_with_the_rest_in_one_gathering_write),
        cmocka_unit_test(test_a_mebibyte_in_writes_of_128_bytes),
        cmocka_unit_test(test_the_buffer_shrinks_when_flushes_are_small),
        cmocka_unit_test(test_messages_with_a_large_body_do_not_make_the_buffer_grow),
        cmocka_unit_test(test_messages_of_small_writes_soon_leave_whole),
        cmocka_unit_test(test_reserve_and_commit),
        cmocka_unit_test(test_printf_beyond_the_room_and_the_bound),
        cmocka_unit_test(test_gathering_writes_into_the_buffer_and_past_it),
        cmocka_unit_test(test_the_first_error_stays_until_reset),
        cmocka_unit_test(test_an_error_of_a_large_write_is_told_at_once),
        cmocka_unit_test(test_close_flushes_first_and_closes_in_any_case),
        cmocka_unit_test(test_a_copy_into_it_writes_out_what_is_there_first),
        cmocka_unit_test(test_a_copy_from_a_stream_that_reads_nothing_ends),
        cmocka_unit_test(test_bytes_arrive_in_order_whatever_the_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
