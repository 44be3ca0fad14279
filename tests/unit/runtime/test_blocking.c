/* test_blocking.c: calls that block their thread, descriptors of other libraries, and signals.
 */
#include "../rt.h"

/* ---- cyg_blocking ---------------------------------------------------------------------------------------------------- */

static int pipe_fds[2], done;

static int blocked_read(void *arg) {
    char b = 0;
    ssize_t n;
    do n = read(*(int *)arg, &b, 1);
    while (n < 0 && errno == EINTR);
    return n == 1 ? b : -1;
}
static void write_pipe(void *arg) {
    CHECK_EQ(write(pipe_fds[1], arg, 1), 1);
    ADD(done, 1);
}

/* The reader blocks its thread until another goroutine has written: with one P, that must get the P. */
RT_TEST(test_blocking_call_hands_its_p_over) {
    STORE(done, 0);
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    uint64_t before = rt_stats().blocking_total;
    for (int i = 0; i < 50; i++) {
        static char letters[] = "abcdefghijklmnopqrstuvwxyz";
        GO(write_pipe, &letters[i % 26]);
        CHECK_EQ(cyg_blocking(blocked_read, &pipe_fds[0]), letters[i % 26]);
        CHECK(cyg_goid() != 0);
    }
    WAIT_FOR(LOAD(done) == 50);
    CHECK_EQ(rt_stats().blocking_total - before, 50);
    CHECK_EQ(rt_stats().blocking_limit_total, 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void block_in_goroutine(void *arg) {
    CHECK_EQ(cyg_blocking(blocked_read, arg), 'x');
    ADD(done, 1);
}
RT_TEST(test_many_blocked_at_once) {
    STORE(done, 0);
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    for (int i = 0; i < 20; i++) GO(block_in_goroutine, &pipe_fds[0]);
    WAIT_FOR(rt_stats().blocking_total == 20);
    CHECK(rt_stats().threads >= 20);
    for (int i = 0; i < 20; i++) CHECK_EQ(write(pipe_fds[1], "x", 1), 1);
    WAIT_FOR(LOAD(done) == 20);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static int quick(void *arg) {
    ADD(*(int *)arg, 1);
    return 9;
}
static void at_the_limit(void) {
    STORE(done, 0);
    for (int i = 0; i < 5; i++) CHECK_EQ(cyg_blocking(quick, &done), 9);
    CHECK_EQ(LOAD(done), 5);
    CHECK_EQ(rt_stats().blocking_total, 5);
    CHECK_EQ(rt_stats().blocking_limit_total, 5);
}
static void test_blocking_holds_its_p_at_max_threads(void **state) {
    (void)state;
    rt_each(&(cyg_runtime_opts){.max_threads = 1}, at_the_limit);
}

static void test_blocking_on_a_foreign_thread_just_calls(void **state) {
    (void)state;
    int n = 0;
    assert_int_equal(cyg_blocking(quick, &n), 9);
    assert_int_equal(n, 1);
}

/* ---- cyg_fd_wait ------------------------------------------------------------------------------------------------------- */

static int pair[2];
static void open_pair(void) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    STORE(done, 0);
}
static void close_pair(void) {
    close(pair[0]);
    close(pair[1]);
}
static void fill(int fd) {
    char zero[4096] = {0};
    while (write(fd, zero, sizeof zero) > 0) continue;
}
static void drain(int fd) {
    char b[4096];
    while (read(fd, b, sizeof b) > 0) continue;
}

static void wait_readable(void *arg) {
    CHECK_EQ(cyg_fd_wait(*(int *)arg, CYG_READABLE, 0), CYG_READABLE);
    ADD(done, 1);
}
static void wait_writable(void *arg) {
    CHECK_EQ(cyg_fd_wait(*(int *)arg, CYG_WRITABLE, 0), CYG_WRITABLE);
    ADD(done, 1);
}

RT_TEST(test_fd_wait_readable_and_writable) {
    open_pair();
    CHECK_EQ(cyg_fd_wait(pair[0], CYG_WRITABLE, 0), CYG_WRITABLE); /* at once */
    GO(wait_readable, &pair[0]);
    for (int i = 0; i < 20; i++) cyg_yield();
    CHECK_EQ(LOAD(done), 0);
    CHECK_EQ(write(pair[1], "x", 1), 1);
    WAIT_FOR(LOAD(done) == 1);
    CHECK_EQ(cyg_fd_wait(pair[0], CYG_READABLE, 0), CYG_READABLE); /* still there */
    fill(pair[0]);
    GO(wait_writable, &pair[0]);
    for (int i = 0; i < 20; i++) cyg_yield();
    CHECK_EQ(LOAD(done), 1);
    drain(pair[1]);
    WAIT_FOR(LOAD(done) == 2);
    close_pair();
}

RT_TEST(test_fd_wait_both_tells_which) {
    open_pair();
    int both = CYG_READABLE | CYG_WRITABLE;
    CHECK_EQ(cyg_fd_wait(pair[0], both, 0), CYG_WRITABLE);
    fill(pair[0]);
    CHECK_EQ(cyg_fd_wait(pair[0], both, cyg_now() + CYG_MILLISECOND), CYG_ETIMEDOUT);
    CHECK_EQ(write(pair[1], "x", 1), 1);
    CHECK_EQ(cyg_fd_wait(pair[0], both, 0), CYG_READABLE);
    drain(pair[1]);
    int got = cyg_fd_wait(pair[0], both, 0);
    CHECK(got > 0 && !(got & ~both));
    close_pair();
}

RT_TEST(test_fd_wait_times_out_and_refuses) {
    open_pair();
    CHECK_EQ(cyg_fd_wait(pair[0], CYG_READABLE, cyg_now() + 2 * CYG_MILLISECOND), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_fd_wait(pair[0], CYG_READABLE, 1), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_fd_wait(pair[0], 0, 0), CYG_EINVAL);
    CHECK_EQ(cyg_fd_wait(pair[0], 2, 0), CYG_EINVAL);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0);
    CHECK_EQ(cyg_fd_wait(file, CYG_READABLE, 0), -EPERM);
    close(file);
    CHECK_EQ(cyg_fd_wait(1023, CYG_READABLE, 0), -EBADF);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_timeout(NULL, CYG_MILLISECOND);
    cyg_ctx_scope s = cyg_ctx_enter(ctx);
    CHECK_EQ(cyg_fd_wait(pair[0], CYG_READABLE, 0), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_fd_wait(pair[0], CYG_READABLE | CYG_WRITABLE, 0), CYG_ETIMEDOUT);
    cyg_ctx_leave(&s);
    close_pair();
}

/* One waits long for writing; meanwhile the other direction is waited for again and again, and each time what is there counts. */
RT_TEST(test_fd_wait_two_directions_of_one_descriptor) {
    open_pair();
    fill(pair[0]);
    GO(wait_writable, &pair[0]);
    for (int i = 0; i < 20; i++) cyg_yield();
    CHECK_EQ(write(pair[1], "ab", 2), 2);
    char b;
    for (int i = 0; i < 2; i++) { /* two bytes came with one event */
        CHECK_EQ(cyg_fd_wait(pair[0], CYG_READABLE, cyg_now() + RT_DEADLINE), CYG_READABLE);
        CHECK_EQ(read(pair[0], &b, 1), 1);
    }
    CHECK_EQ(cyg_fd_wait(pair[0], CYG_READABLE, cyg_now() + CYG_MILLISECOND), CYG_ETIMEDOUT); /* and what is gone does not */
    CHECK_EQ(LOAD(done), 0);
    drain(pair[1]);
    WAIT_FOR(LOAD(done) == 1);
    close_pair();
}

/* ---- cyg_signal_wait ---------------------------------------------------------------------------------------------------- */

static void raise_usr(void *arg) { raise((int)(intptr_t)arg); }

/* The first call opens the descriptor by which handlers wake; it stays. */
static void open_signals(void) { CHECK_EQ(cyg_signal_wait(CYG_SIGNAL(SIGUSR1), cyg_now() + 1), CYG_ETIMEDOUT); }
static int open_signals_call(void *arg) {
    (void)arg;
    open_signals();
    return 0;
}

static void signals(void) {
    uint64_t mask = CYG_SIGNAL(SIGUSR1) | CYG_SIGNAL(SIGUSR2);
    CHECK_EQ(cyg_signal_wait(0, 0), CYG_EINVAL);
    CHECK_EQ(cyg_signal_wait(mask, cyg_now() + CYG_MILLISECOND), CYG_ETIMEDOUT);
    GO(raise_usr, (void *)SIGUSR2);
    CHECK_EQ(cyg_signal_wait(mask, 0), SIGUSR2);
    raise(SIGUSR1); /* handled on this thread before the call returns; nobody waits: kept, one of a kind */
    raise(SIGUSR1);
    raise(SIGUSR2);
    int first = cyg_signal_wait(mask, cyg_now() + RT_DEADLINE), second = cyg_signal_wait(mask, cyg_now() + RT_DEADLINE);
    CHECK(first + second == SIGUSR1 + SIGUSR2 && first != second);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_timeout(NULL, CYG_MILLISECOND);
    cyg_ctx_scope s = cyg_ctx_enter(ctx);
    CHECK_EQ(cyg_signal_wait(mask, 0), CYG_ETIMEDOUT);
    cyg_ctx_leave(&s);
}
static void test_signal_wait_takes_signals(void **state) {
    (void)state;
    CHECK_EQ(cyg_runtime_start(NULL), 0);
    CHECK_EQ(cyg_call(open_signals_call, NULL), 0);
    CHECK_EQ(cyg_runtime_stop(), 0);
    rt_each(NULL, signals);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocking_call_hands_its_p_over),
        cmocka_unit_test(test_many_blocked_at_once),
        cmocka_unit_test(test_blocking_holds_its_p_at_max_threads),
        cmocka_unit_test(test_blocking_on_a_foreign_thread_just_calls),
        cmocka_unit_test(test_fd_wait_readable_and_writable),
        cmocka_unit_test(test_fd_wait_both_tells_which),
        cmocka_unit_test(test_fd_wait_times_out_and_refuses),
        cmocka_unit_test(test_fd_wait_two_directions_of_one_descriptor),
        cmocka_unit_test(test_signal_wait_takes_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
