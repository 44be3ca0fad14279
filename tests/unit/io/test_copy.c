/* test_copy.c: which way a copy goes and what it tells, on streams in memory and files: who is asked first, wrappers looked
 * beneath, limits, errors of either side, and the buffers of what must go through one.
 */
#include "streams.h"

#include <errno.h>

/* Copies ask malloc for memory; its definition here takes the place of libc's. A sanitizer brings one that it would hide. */
#if !defined(RT_ASAN) && !defined(RT_TSAN) && defined(__GLIBC__)
#define COUNTS_ALLOCATIONS 1
static int allocations;
void *__libc_malloc(size_t n);
__attribute__((visibility("default"))) void *malloc(size_t n) {
    __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return __libc_malloc(n);
}
#endif

/* ---- who is asked ------------------------------------------------------------------------------------------------------ */

enum asked { NOBODY, SOURCE, SINK };
static enum asked asked;
static int sink_asked;
static int write_to(cyg_stream *s, cyg_stream *dst, int64_t max, cyg_copy_result *res) {
    (void)dst, (void)max;
    struct memory *m = (struct memory *)s;
    if (m->last != CYG_EOF) return m->last;
    asked = SOURCE;
    cyg_copy_moved(res, m->end - m->at);
    m->at = m->end;
    return 0;
}
static int read_from(cyg_stream *s, cyg_stream *src, int64_t max, cyg_copy_result *res) {
    struct memory *m = (struct memory *)s;
    sink_asked++;
    if (m->full != -ENOSPC) return m->full;
    asked = SINK;
    struct memory inner = memory_of(0);
    int err = cyg_transfer(&inner.s, src, max, res); /* as a buffered writer does */
    m->taken += inner.taken;
    return err;
}

static void test_source_is_asked_before_sink(void **state) {
    (void)state;
    cyg_stream_ops source = memory_ops, sink = memory_ops;
    source.write_to = write_to;
    sink.read_from = read_from;
    cyg_copy_result res;
    struct memory src = memory_of(1000), dst = memory_of(0);
    src.s.ops = &source;
    dst.s.ops = &sink;
    assert_int_equal(cyg_copy(&dst.s, &src.s, &res), 1000);
    assert_int_equal(asked, SOURCE);
    assert_int_equal(sink_asked, 0);
    assert_int_equal(res.by[CYG_COPY_STREAM], 1000);
    assert_int_equal(res.reason, CYG_COPY_FAST);

    src = memory_of(1000);
    src.s.ops = &source;
    src.last = CYG_ENOTSUP; /* not with this partner */
    dst.s.ops = &memory_ops;
    src.piece = 100;
    assert_int_equal(cyg_copy_n(&dst.s, &src.s, 1000, &res), 1000);
    assert_int_equal(res.by[CYG_COPY_BUFFER], 1000);

    src = memory_of(1000);
    dst = memory_of(0);
    dst.s.ops = &sink;
    assert_int_equal(cyg_copy(&dst.s, &src.s, &res), 1000);
    assert_int_equal(asked, SINK);
    assert_int_equal(dst.taken, 1000);
    assert_int_equal(res.by[CYG_COPY_BUFFER], 1000);

    src = memory_of(1000);
    src.s.ops = &source;
    src.last = -EIO; /* not asked elsewhere: an error is an error */
    assert_int_equal(cyg_copy(&dst.s, &src.s, &res), -EIO);
}

static void test_sink_is_asked_with_what_wraps_the_source(void **state) {
    (void)state;
    cyg_stream_ops sink = memory_ops;
    sink.read_from = read_from;
    struct memory src = memory_of(1000), dst = memory_of(0);
    dst.s.ops = &sink;
    struct wrapper w = wrapper_of(&src.s);
    w.limit = 600;
    asked = NOBODY;
    assert_int_equal(cyg_copy(&dst.s, &w.s, NULL), 600);
    assert_int_equal(asked, SINK);
    assert_int_equal(dst.taken, 600);
    assert_int_equal(src.at, 600);
    assert_int_equal(w.reads, 0);
}

/* ---- errors and ends ----------------------------------------------------------------------------------------------------- */

static void test_first_error_its_side_and_how_far_it_came(void **state) {
    (void)state;
    cyg_copy_result res;
    struct memory src = memory_of(1000), dst = memory_of(0);
    src.last = -ECONNRESET;
    assert_int_equal(cyg_copy(&dst.s, &src.s, &res), -ECONNRESET);
    assert_int_equal(res.bytes, 1000);
    assert_false(res.write_failed);

    src = memory_of(1000);
    src.piece = 100;
    dst = memory_of(0);
    dst.room = 250;
    dst.full = -EPIPE;
    assert_int_equal(cyg_copy(&dst.s, &src.s, &res), -EPIPE);
    assert_int_equal(res.bytes, 200);
    assert_true(res.write_failed);

    /* Both would fail: bytes came first, so writing them did. */
    src = memory_of(10);
    src.last = -EIO;
    dst = memory_of(0);
    dst.room = 5;
    assert_int_equal(cyg_copy(&dst.s, &src.s, &res), -ENOSPC);
    assert_true(res.write_failed);

    /* Held bytes fail, too, and nothing is taken from beneath. */
    uint8_t held[5];
    fill_bytes(1, 0, held, sizeof held);
    src = memory_of(10);
    dst.room = 4;
    struct wrapper w = wrapper_of(&src.s);
    w.held = held;
    w.nheld = sizeof held;
    assert_int_equal(cyg_copy(&dst.s, &w.s, &res), -ENOSPC);
    assert_true(res.write_failed);
    assert_int_equal(src.reads, 0);
    assert_int_equal(w.nheld, 5);
}

static void test_counted_copies(void **state) {
    (void)state;
    cyg_copy_result res = {.bytes = 7};
    struct memory src = memory_of(1000), dst = memory_of(0);
    assert_int_equal(cyg_copy_n(&dst.s, &src.s, -1, &res), 0);
    assert_int_equal(res.bytes, 0);
    assert_int_equal(cyg_copy_n(&dst.s, &src.s, 0, &res), 0);
    assert_int_equal(src.reads, 0);
    assert_int_equal(cyg_copy_n(&dst.s, &src.s, 400, &res), 400);
    assert_int_equal(src.at, 400); /* no more is taken */
    assert_int_equal(cyg_copy_n(&dst.s, &src.s, 601, &res), CYG_EPROTO);
    assert_int_equal(res.bytes, 600);
    assert_int_equal(cyg_copy_n(&dst.s, &src.s, 1, &res), CYG_EOF);
    src = memory_of(1000);
    src.piece = 10;
    src.last = -EIO;
    dst = memory_of(0);
    assert_int_equal(cyg_copy_n(&dst.s, &src.s, 1000, NULL), 1000); /* the error behind it is the next one's */
    assert_int_equal(cyg_copy_n(&dst.s, &src.s, 1, NULL), -EIO);
}

/* ---- wrappers ---------------------------------------------------------------------------------------------------------------- */

static void test_beneath_nested_wrappers(void **state) {
    (void)state;
    for (int depth = 1; depth < 30; depth++) {
        cyg_copy_result res;
        uint8_t held[40];
        struct memory src = memory_of(1000), dst = memory_of(0);
        struct wrapper w[30];
        fill_bytes(1, 0, held, sizeof held);
        src.at = sizeof held;
        cyg_stream *under = &src.s;
        for (int i = 0; i < depth; i++) {
            w[i] = wrapper_of(under);
            w[i].limit = 900 - i;
            under = &w[i].s;
        }
        w[0].held = held;
        w[0].nheld = sizeof held;
        assert_int_equal(cyg_copy(&dst.s, under, &res), 900 - depth + 1);
        assert_int_equal(dst.taken, 900 - depth + 1);
        assert_int_equal(src.at, dst.taken);
        if (depth <= 16) assert_int_equal(w[depth - 1].reads, 0);
        if (depth <= 16) assert_int_equal(res.by[CYG_COPY_HELD], sizeof held);
        for (int i = 0; i < depth; i++) assert_int_equal(w[i].limit, (900 - i) - (900 - depth + 1)); /* each was told */
    }
}

static void test_several_in_a_row(void **state) {
    (void)state;
    struct memory src[4], dst = memory_of(0);
    cyg_stream *parts[4];
    static const int64_t cuts[] = {0, 10, 10, 300000, 300001}; /* the second is empty */
    for (int i = 0; i < 4; i++) {
        src[i] = memory_of(cuts[i + 1]);
        src[i].at = cuts[i];
        parts[i] = &src[i].s;
    }
    struct wrapper w = wrapper_of(parts[0]);
    w.more = parts + 1;
    w.nmore = 3;
    assert_int_equal(cyg_copy(&dst.s, &w.s, NULL), 300001);
    assert_int_equal(dst.taken, 300001);
    assert_int_equal(w.reads, 0);
    assert_int_equal(cyg_copy(&dst.s, &w.s, NULL), 0);
}

static void test_wrapper_that_does_not_tell_is_read(void **state) {
    (void)state;
    cyg_copy_result res;
    struct memory src = memory_of(100000), dst = memory_of(0);
    struct wrapper w = wrapper_of(&src.s);
    w.opaque = true;
    assert_int_equal(cyg_copy(&dst.s, &w.s, &res), 100000);
    assert_true(w.reads > 0);
    assert_int_equal(res.reason, CYG_COPY_SOURCE);
}

static void test_section_of_a_file_that_the_kernel_does_not_send(void **state) {
    (void)state;
    cyg_copy_result res;
    struct file src = file_of(5000, false);
    struct memory dst = memory_of(0);
    struct wrapper w = wrapper_of(&src.s);
    w.offset = 0;
    w.limit = 3000;
    assert_int_equal(cyg_copy(&dst.s, &w.s, &res), 3000);
    assert_int_equal(dst.taken, 3000);
    assert_int_equal(res.reason, CYG_COPY_SINK);
    assert_int_equal(lseek(src.fd, 0, SEEK_CUR), 0); /* its own place stays */
    file_close(&src);
}

static void test_file_to_file_goes_through_a_buffer(void **state) {
    (void)state;
    cyg_copy_result res;
    struct file src = file_of(300000, false), dst = file_open(0);
    assert_int_equal(cyg_copy(&dst.s, &src.s, &res), 300000);
    assert_int_equal(res.reason, CYG_COPY_PAIR);
    assert_int_equal(lseek(dst.fd, 0, SEEK_SET), 0);
    struct memory check = memory_of(0);
    assert_int_equal(cyg_copy(&check.s, &dst.s, NULL), 300000);
    file_close(&src);
    file_close(&dst);
}

/* ---- buffers -------------------------------------------------------------------------------------------------------------- */

static void test_a_mebibyte_through_a_changer_takes_few_reads_and_no_memory(void **state) {
    (void)state;
    struct file src = file_of(1 << 20, false), dst = file_open(0);
    struct changer c = changer_of(&src.s);
    cyg_copy_result res;
    for (int round = 0; round < 2; round++) {
        lseek(src.fd, 0, SEEK_SET);
        c.reads = 0;
#ifdef COUNTS_ALLOCATIONS
        __atomic_store_n(&allocations, 0, __ATOMIC_RELAXED);
#endif
        assert_int_equal(cyg_copy(&dst.s, &c.s, &res), 1 << 20);
        assert_true(c.reads <= 8);
#ifdef COUNTS_ALLOCATIONS
        if (round) assert_int_equal(__atomic_load_n(&allocations, __ATOMIC_RELAXED), 0);
#endif
    }
    assert_int_equal(res.by[CYG_COPY_BUFFER], 1 << 20);
    assert_string_equal(cyg_copy_reason_name(res.reason), "source");
    file_close(&src);
    file_close(&dst);
}

/* What each read had room for. Reads give 16 KiB, then little. */
static size_t room[64];
static int nroom;
static ssize_t noting_read(cyg_stream *s, void *p, size_t n) {
    struct memory *m = (struct memory *)s;
    assert_int_equal(copy_stats().buffers_in_use, 1);
    m->piece = nroom == 0 ? 16384 : 10;
    if (nroom < 64) room[nroom++] = n;
    return memory_read(s, p, n);
}
static void test_buffer_grows_and_shrinks_with_what_comes(void **state) {
    (void)state;
    cyg_stream_ops noting = memory_ops;
    noting.read = noting_read;
    struct memory src = memory_of(16384 + 10 * 20), dst = memory_of(0);
    src.s.ops = &noting;
    assert_int_equal(cyg_copy(&dst.s, &src.s, NULL), 16384 + 10 * 20);
    assert_int_equal(nroom, 22);
    assert_int_equal(room[0], 16384);
    for (int i = 1; i <= 16; i++) assert_int_equal(room[i], 256 << 10);
    for (int i = 17; i < 22; i++) assert_int_equal(room[i], 16384);
    assert_int_equal(copy_stats().buffers_in_use, 0);
}

static void test_limits_are_checked_and_trim_gives_all_back(void **state) {
    (void)state;
    cyg_copy_limits was, l = {.buffer_bytes = 4095};
    cyg_copy_get_limits(&was);
    assert_int_equal(was.buffer_bytes, 256 << 10);
    assert_int_equal(was.pipe_bytes, 1 << 20);
    assert_int_equal(cyg_copy_set_limits(&l), CYG_EINVAL);
    l = (cyg_copy_limits){.buffer_bytes = ((size_t)16 << 20) + 1};
    assert_int_equal(cyg_copy_set_limits(&l), CYG_EINVAL);
    l = (cyg_copy_limits){.pipe_bytes = 65535};
    assert_int_equal(cyg_copy_set_limits(&l), CYG_EINVAL);
    l = (cyg_copy_limits){.pipe_bytes = ((size_t)1 << 30) + 1};
    assert_int_equal(cyg_copy_set_limits(&l), CYG_EINVAL);

    l = (cyg_copy_limits){.buffer_bytes = 8192};
    assert_int_equal(cyg_copy_set_limits(&l), 0);
    struct memory src = memory_of(100000), dst = memory_of(0);
    assert_int_equal(cyg_copy(&dst.s, &src.s, NULL), 100000);
    assert_int_equal(src.reads, 100000 / 8192 + 2);
    assert_true(copy_stats().buffers_idle > 0);
    cyg_copy_trim();
    assert_int_equal(copy_stats().buffers_idle, 0);
    l.idle_buffers = -1;
    assert_int_equal(cyg_copy_set_limits(&l), 0);
    assert_int_equal(cyg_copy(&dst.s, &src.s, NULL), 0);
    assert_int_equal(copy_stats().buffers_idle, 0);
    assert_int_equal(cyg_copy_set_limits(&(cyg_copy_limits){0}), 0);
}

static void test_process_counts_paths_and_reasons(void **state) {
    (void)state;
    cyg_copy_stats before = copy_stats(), after;
    uint8_t held[40];
    fill_bytes(1, 0, held, sizeof held);
    struct memory src = memory_of(1000), dst = memory_of(0);
    src.at = sizeof held;
    struct wrapper w = wrapper_of(&src.s);
    w.held = held;
    w.nheld = sizeof held;
    assert_int_equal(cyg_copy(&dst.s, &w.s, NULL), 1000);
    after = copy_stats();
    assert_int_equal(after.bytes_total[CYG_COPY_HELD] - before.bytes_total[CYG_COPY_HELD], 40);
    assert_int_equal(after.bytes_total[CYG_COPY_BUFFER] - before.bytes_total[CYG_COPY_BUFFER], 960);
    assert_int_equal(after.fallbacks_total[CYG_COPY_SOURCE] - before.fallbacks_total[CYG_COPY_SOURCE], 1);
    for (int i = 0; i < CYG_COPY_PATHS; i++) assert_string_not_equal(cyg_copy_path_name((cyg_copy_path)i), "?");
    for (int i = 0; i < CYG_COPY_REASONS; i++) assert_string_not_equal(cyg_copy_reason_name((cyg_copy_reason)i), "?");
    for (int i = 0; i < CYG_RELAY_ENDS; i++) assert_string_not_equal(cyg_relay_end_name((cyg_relay_end)i), "?");
    assert_string_equal(cyg_copy_path_name(CYG_COPY_PATHS), "?");
    assert_string_equal(cyg_copy_reason_name(CYG_COPY_REASONS), "?");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source_is_asked_before_sink),
        cmocka_unit_test(test_sink_is_asked_with_what_wraps_the_source),
        cmocka_unit_test(test_first_error_its_side_and_how_far_it_came),
        cmocka_unit_test(test_counted_copies),
        cmocka_unit_test(test_beneath_nested_wrappers),
        cmocka_unit_test(test_several_in_a_row),
        cmocka_unit_test(test_wrapper_that_does_not_tell_is_read),
        cmocka_unit_test(test_section_of_a_file_that_the_kernel_does_not_send),
        cmocka_unit_test(test_file_to_file_goes_through_a_buffer),
        cmocka_unit_test(test_a_mebibyte_through_a_changer_takes_few_reads_and_no_memory),
        cmocka_unit_test(test_buffer_grows_and_shrinks_with_what_comes),
        cmocka_unit_test(test_limits_are_checked_and_trim_gives_all_back),
        cmocka_unit_test(test_process_counts_paths_and_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
