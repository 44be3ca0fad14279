/* test_file.c: files: places, sizes, ends, errors; that what waits in the kernel holds no P, and what is in memory does
 * not go there; closing under a call. */
#include <sys/mman.h>
#include <sys/uio.h>

#include "../rt.h"

static cyg_file *scratch(void) {
    cyg_file *f;
    CHECK_EQ(cyg_file_open("/tmp", O_RDWR | O_TMPFILE, 0600, &f), 0);
    return f;
}

static cyg_file_stats stats_now(void) {
    cyg_file_stats s;
    cyg_file_get_stats(&s);
    return s;
}

/* ---- bytes and places
 * ------------------------------------------------------------------------------------------------------- */

RT_TEST(test_reads_and_writes_share_the_position_and_places_do_not_move_it) {
    cyg_file *f = scratch();
    char b[16];
    cyg_file_stats before = stats_now();
    CHECK_EQ(cyg_read(f, b, 1), CYG_EOF);
    CHECK_EQ(cyg_write(f, "0123456789", 10), 10);
    CHECK_EQ(cyg_write(f, "", 0), 0);
    CHECK_EQ(cyg_file_pwrite(f, "XY", 2, 4), 2);
    CHECK_EQ(cyg_read(f, b, 16), CYG_EOF);
    CHECK_EQ(cyg_file_seek(f, 2, SEEK_SET), 2);
    CHECK_EQ(cyg_read(f, b, 0), 0);
    CHECK_EQ(cyg_read(f, b, 5), 5);
    CHECK(memcmp(b, "23XY6", 5) == 0);
    CHECK_EQ(cyg_file_pread(f, b, 16, 8), 2); /* the end comes with the next */
    CHECK_EQ(cyg_file_pread(f, b, 16, 10), CYG_EOF);
    CHECK_EQ(cyg_file_pread(f, b, 16, 1 << 30), CYG_EOF);
    CHECK_EQ(cyg_file_pread(f, b, 0, 1 << 30), 0);
    CHECK_EQ(cyg_file_pread(f, b, 1, -1), CYG_EINVAL);
    CHECK_EQ(cyg_file_pwrite(f, b, 1, -1), CYG_EINVAL);
    CHECK_EQ(cyg_read(f, b, 16), 3);
    CHECK_EQ(cyg_file_pwrite(f, "end", 3, 100), 3); /* a hole before it */
    CHECK_EQ(cyg_file_size(f), 103);
    CHECK_EQ(cyg_file_pread(f, b, 4, 98), 4);
    CHECK(memcmp(b, "\0\0en", 4) == 0);
    cyg_file_stats after = stats_now();
    CHECK_EQ(after.written_bytes_total - before.written_bytes_total, 15);
    CHECK_EQ(after.read_bytes_total - before.read_bytes_total, 14);
    CHECK_EQ(cyg_close(f), 0);
}

RT_TEST(test_gathering_writes_of_many_pieces) {
    cyg_file *f = scratch();
    struct iovec v[300];
    char digits[300], b[1000];
    size_t n = 0;
    for (int i = 0; i < 300; i++) {
        digits[i] = (char)('0' + i % 10);
        v[i] = (struct iovec){digits + i, i % 3 ? 1 : 0};
        n += v[i].iov_len;
    }
    CHECK_EQ(cyg_writev(f, v, 300), n);
    CHECK_EQ(cyg_writev(f, v, 1), 0);
    CHECK_EQ(cyg_file_pread(f, b, sizeof b, 0), n);
    for (size_t i = 0, k = 0; i < 300; i++)
        if (i % 3) CHECK(b[k++] == digits[i]);
    CHECK_EQ(cyg_close(f), 0);
}

/* One call into Linux moves 2 GiB less a page at most; the rest is for the next one. */
RT_TEST(test_what_the_kernel_leaves_is_written_next) {
#if !defined(RT_ASAN) && !defined(RT_TSAN) /* which would look at all of it */
    size_t n = (size_t)5 << 30;
    cyg_file *f;
    char *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(p != MAP_FAILED);
    CHECK_EQ(cyg_file_open("/dev/null", O_WRONLY, 0, &f), 0);
    CHECK_EQ(cyg_write(f, p, n), n);
    CHECK_EQ(cyg_file_pwrite(f, p, n, 1), n);
    CHECK_EQ(cyg_writev(f, (struct iovec[]){{p, 10}, {p, n - 20}, {p, 10}}, 3), n);
    CHECK_EQ(cyg_close(f), 0);
    CHECK_EQ(munmap(p, n), 0);
#endif
}

RT_TEST(test_size_stat_truncate_sync) {
    cyg_file *f = scratch();
    struct stat st;
    CHECK_EQ(cyg_file_size(f), 0);
    CHECK_EQ(cyg_file_truncate(f, 1000), 0);
    CHECK_EQ(cyg_file_stat(f, &st), 0);
    CHECK(st.st_size == 1000 && S_ISREG(st.st_mode));
    CHECK_EQ(cyg_file_truncate(f, -1), CYG_EINVAL);
    CHECK_EQ(cyg_file_sync(f), 0);
    CHECK_EQ(cyg_file_seek(f, -10, SEEK_END), 990);
    CHECK_EQ(cyg_file_seek(f, -1, SEEK_SET), -EINVAL);
    CHECK_EQ(cyg_set_deadline(f, 1), CYG_ENOTSUP);
    CHECK(cyg_descriptor(f) >= 0);
    CHECK_EQ(cyg_close(f), 0);
}

/* ---- errors
 * ----------------------------------------------------------------------------------------------------------------- */

RT_TEST(test_errors_say_what_and_change_nothing) {
    static const struct {
        const char *path;
        int flags, error;
        const char *detail;
    } bad[] = {
        {"/nowhere/at/all", O_RDONLY, -ENOENT, "open /nowhere/at/all: no such file or directory"},
        {"/tmp", O_WRONLY, -EISDIR, "open /tmp: is a directory"},
        {"/dev/null/x", O_RDONLY, -ENOTDIR, "open /dev/null/x: not a directory"},
    };
    cyg_file *f = NULL, *full;
    char b[4];
    struct stat st = {.st_size = 77};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_EQ(cyg_file_open(bad[i].path, bad[i].flags, 0, &f), bad[i].error);
        CHECK(!f);
        CHECK(strcasecmp(cyg_err_detail(), bad[i].detail) == 0);
    }
    CHECK_EQ(cyg_file_open("/dev/zero", O_WRONLY, 0, &f), 0);
    CHECK_EQ(cyg_read(f, b, 4), -EBADF);
    CHECK_EQ(cyg_close(f), 0);
    CHECK_EQ(cyg_file_open("/dev/full", O_RDWR, 0, &full), 0);
    CHECK_EQ(cyg_write(full, "x", 1), -ENOSPC);
    CHECK_EQ(cyg_writev(full, (struct iovec[]){{"x", 1}, {"y", 1}}, 2), -ENOSPC);
    CHECK_EQ(cyg_file_pwrite(full, "x", 1, 0), -ENOSPC);
    CHECK_EQ(cyg_close(full), 0);
    CHECK_EQ(cyg_file_pread(cyg_discard(), b, 1, 0), CYG_ENOTSUP); /* no file of ours */
    CHECK_EQ(cyg_file_stat(cyg_discard(), &st), CYG_ENOTSUP);
    CHECK_EQ(st.st_size, 77);
    CHECK_EQ(cyg_file_seek(cyg_discard(), 0, SEEK_SET), CYG_ENOTSUP);
}

/* ---- where calls go
 * ----------------------------------------------------------------------------------------------------------- */

static bool knows_nowait(cyg_file *f) {
    char b;
    return preadv2(cyg_descriptor(f), &(struct iovec){&b, 1}, 1, 0, RWF_NOWAIT) == 1;
}

RT_TEST(test_what_is_in_memory_is_read_at_once) {
    cyg_file *f = scratch();
    char b[4096] = {0};
    CHECK_EQ(cyg_write(f, b, sizeof b), sizeof b);
    if (knows_nowait(f)) { /* else: see the next test */
        cyg_file_stats before = stats_now();
        for (int i = 0; i < 100; i++) CHECK_EQ(cyg_file_pread(f, b, sizeof b, 0), sizeof b);
        CHECK_EQ(cyg_file_pread(f, b, 1, 4096), CYG_EOF);
        cyg_file_stats after = stats_now();
        CHECK_EQ(after.direct_total - before.direct_total, 101);
        CHECK_EQ(after.blocking_total - before.blocking_total, 0);
    }
    CHECK_EQ(cyg_close(f), 0);
}

/* /proc does not know RWF_NOWAIT; its files call themselves regular. */
RT_TEST(test_a_file_system_that_cannot_say_is_read_without_a_p) {
    cyg_file *f;
    char b[4096];
    size_t n = 0;
    cyg_file_stats before = stats_now();
    CHECK_EQ(cyg_file_open("/proc/self/maps", O_RDONLY, 0, &f), 0);
    CHECK(!knows_nowait(f));
    ssize_t r;
    while ((r = cyg_read(f, b, sizeof b)) > 0) n += (size_t)r;
    CHECK_EQ(r, CYG_EOF);
    CHECK(n > 0);
    cyg_file_stats after = stats_now();
    CHECK_EQ(after.direct_total - before.direct_total, 0);
    CHECK(after.blocking_total - before.blocking_total >= 3);
    CHECK_EQ(after.open - before.open, 1);
    CHECK_EQ(cyg_close(f), 0);
    CHECK_EQ(stats_now().open, before.open);
}

/* A read that waits in the kernel: of a pipe, which waits for as long as the test likes. */
struct waiting {
    cyg_file *f;
    int state;
    ssize_t result;
    char b[8];
};
static void wait_in_read(void *arg) {
    struct waiting *w = arg;
    STORE(w->state, 1);
    w->result = cyg_read(w->f, w->b, sizeof w->b);
    STORE(w->state, 2);
}

static void files_of_pipe(struct waiting *w, int *to) {
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    CHECK_EQ(cyg_file_from_fd(fds[0], &w->f), 0);
    *to = fds[1];
    uint64_t before = rt_stats().blocking_total;
    GO(wait_in_read, w);
    WAIT_FOR(rt_stats().blocking_total > before);
}

RT_TEST(test_what_waits_in_the_kernel_holds_no_p) {
    struct waiting w = {0};
    int to;
    uint64_t retakes = rt_stats().retakes_blocked_total;
    files_of_pipe(&w, &to);
    for (int i = 0; i < 1000; i++) cyg_yield(); /* also with one P */
    CHECK_EQ(LOAD(w.state), 1);
    CHECK_EQ(rt_stats().retakes_blocked_total, retakes); /* it was given, not taken */
    CHECK_EQ(write(to, "abc", 3), 3);
    WAIT_FOR(LOAD(w.state) == 2);
    CHECK_EQ(w.result, 3);
    CHECK_EQ(cyg_close(w.f), 0);
    CHECK_EQ(close(to), 0);
}

RT_TEST(test_a_file_closed_under_a_call_closes_when_that_is_done) {
    struct waiting w = {0};
    int to;
    char b;
    files_of_pipe(&w, &to);
    int fd = cyg_descriptor(w.f);
    cyg_file_acquire(w.f);
    CHECK_EQ(cyg_close(w.f), 0);
    CHECK_EQ(cyg_read(w.f, &b, 1), CYG_ECLOSED);
    CHECK_EQ(cyg_file_size(w.f), CYG_ECLOSED);
    CHECK_EQ(cyg_close(cyg_file_acquire(w.f)), CYG_ECLOSED);
    CHECK(fcntl(fd, F_GETFD) >= 0); /* the call has it still: the number cannot become another's */
    CHECK_EQ(write(to, "abc", 3), 3);
    WAIT_FOR(LOAD(w.state) == 2);
    CHECK_EQ(w.result, 3);
    WAIT_FOR(fcntl(fd, F_GETFD) < 0);
    cyg_file_release(w.f);
    CHECK_EQ(close(to), 0);
}

RT_TEST(test_the_last_reference_closes) {
    cyg_file *f = scratch();
    int fd = cyg_descriptor(f);
    cyg_file_acquire(f);
    cyg_file_release(f);
    CHECK(fcntl(fd, F_GETFD) >= 0);
    cyg_file_release(f);
    CHECK(fcntl(fd, F_GETFD) < 0);
}

RT_TEST(test_an_ended_context_keeps_calls_out_of_the_kernel) {
    cyg_file *f = scratch(), *none = NULL;
    cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    cyg_ctx_scope scope = cyg_ctx_enter(ctx);
    CHECK_EQ(cyg_write(f, "x", 1), 1);
    cyg_ctx_cancel(ctx, CYG_ECANCELED);
    CHECK_EQ(cyg_write(f, "x", 1), CYG_ECANCELED);
    CHECK_EQ(cyg_file_sync(f), CYG_ECANCELED);
    CHECK_EQ(cyg_file_open("/dev/null", O_RDONLY, 0, &none), CYG_ECANCELED);
    CHECK(!none);
    cyg_ctx_leave(&scope);
    cyg_ctx_release(ctx);
    CHECK_EQ(cyg_file_size(f), 1);
    CHECK_EQ(cyg_close(f), 0);
}

enum { READERS = 8, ROUNDS = 200 / (RT_LESS > 1 ? 4 : 1), BLOCK = 512 };
static cyg_waitgroup readers;
static cyg_file *shared;
static void read_places(void *arg) {
    char b[BLOCK];
    for (int i = 0; i < ROUNDS; i++) {
        int at = (i * 7 + (int)(uintptr_t)arg) % 64;
        CHECK_EQ(cyg_file_pread(shared, b, sizeof b, at * BLOCK), BLOCK);
        for (int k = 0; k < BLOCK; k++) CHECK(b[k] == (char)at);
        if (i % 16 == 0) CHECK_EQ(cyg_file_pwrite(shared, b, sizeof b, at * BLOCK), BLOCK);
    }
    cyg_waitgroup_done(&readers);
}

RT_TEST(test_many_use_one_file) {
    char b[BLOCK];
    shared = scratch();
    for (int i = 0; i < 64; i++) {
        memset(b, i, sizeof b);
        CHECK_EQ(cyg_write(shared, b, sizeof b), BLOCK);
    }
    cyg_waitgroup_add(&readers, READERS);
    for (uintptr_t i = 0; i < READERS; i++) GO(read_places, (void *)i);
    CHECK_EQ(cyg_waitgroup_wait(&readers), 0);
    CHECK_EQ(cyg_close(shared), 0);
}

static int use_after_close(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_file *f;
    if (cyg_file_open("/dev/null", O_RDONLY, 0, &f) != 0) return 1; /* on a foreign thread: it simply blocks */
    cyg_close(f);
    cyg_close(f);
    return 0;
}

static void test_late_use_is_fatal_and_told(void **state) {
    (void)state;
    struct rt_result r;
    rt_spawn("use_after_close", NULL, NULL, &r);
    CHECK_SIGNAL(&r, SIGABRT);
    CHECK_SAYS(&r, "use of a file that has been freed");
}

static const struct rt_child kids[] = {{"use_after_close", use_after_close}, {0}};

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_reads_and_writes_share_the_position_and_places_do_not_move_it),
    cmocka_unit_test(test_gathering_writes_of_many_pieces),
    cmocka_unit_test(test_what_the_kernel_leaves_is_written_next),
    cmocka_unit_test(test_size_stat_truncate_sync),
    cmocka_unit_test(test_errors_say_what_and_change_nothing),
    cmocka_unit_test(test_what_is_in_memory_is_read_at_once),
    cmocka_unit_test(test_a_file_system_that_cannot_say_is_read_without_a_p),
    cmocka_unit_test(test_what_waits_in_the_kernel_holds_no_p),
    cmocka_unit_test(test_a_file_closed_under_a_call_closes_when_that_is_done),
    cmocka_unit_test(test_the_last_reference_closes),
    cmocka_unit_test(test_an_ended_context_keeps_calls_out_of_the_kernel),
    cmocka_unit_test(test_many_use_one_file),
    cmocka_unit_test(test_late_use_is_fatal_and_told),
};

RT_MAIN(tests, kids)
