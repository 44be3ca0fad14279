/* test_linelog.c: that lines leave whole and in time, and that a file that takes nothing costs lines, never time of those who
 * write them.
 */
#include "linelog.h"

/* "12:345:xxxx…\n": who, which, and so many letters that follow from both. */
static size_t make_line(char *out, unsigned who, unsigned which) {
    size_t n = (size_t)sprintf(out, "%u:%u:", who, which), letters = (who * 31 + which * 17) % 300;
    memset(out + n, 'a' + (char)(which % 26), letters);
    out[n + letters] = '\n';
    return n + letters + 1;
}

/* Whether a text is whole lines of make_line's, those of each writer in order; *found is how many. */
static bool whole_lines(const char *p, size_t n, unsigned writers, unsigned each, size_t *found) {
    unsigned char *seen = calloc(writers, each);
    bool ok = true;
    for (*found = 0; ok && n > 0; ++*found) {
        unsigned who = 0, which = 0;
        char expected[400];
        ok = sscanf(p, "%u:%u:", &who, &which) == 2 && who < writers && which < each && !seen[who * each + which];
        size_t length = ok ? make_line(expected, who, which) : 0;
        ok = ok && length <= n && memcmp(p, expected, length) == 0;
        if (!ok) {
            fprintf(stderr, "torn, twice or strange: %.100s\n", p);
            break;
        }
        seen[who * each + which] = 1;
        p += length;
        n -= length;
    }
    free(seen);
    return ok;
}

/* ---- many writers ------------------------------------------------------------------------------------------------- */

enum { WRITERS = 40, THREADS = 4, EACH = 300 };

struct crowd {
    cyg_linelog *l;
    cyg_waitgroup wg;
    unsigned next;      /* atomic */
    unsigned long lost; /* atomic: what was not taken at the first attempt */
};

static void write_lines(struct crowd *c, bool goroutine) {
    unsigned who = __atomic_fetch_add(&c->next, 1, __ATOMIC_RELAXED);
    char line[400];
    for (unsigned i = 0; i < EACH; i++) {
        size_t n = make_line(line, who, i);
        while (!cyg_linelog_write(c->l, line, n)) {
            __atomic_fetch_add(&c->lost, 1, __ATOMIC_RELAXED);
            if (goroutine)
                cyg_yield();
            else
                sched_yield();
        }
        if (goroutine && i % 16 == 0) cyg_yield();
    }
}

static void writing_goroutine(void *arg) {
    struct crowd *c = arg;
    write_lines(c, true);
    cyg_waitgroup_done(&c->wg);
}

static void *writing_thread(void *arg) {
    write_lines(arg, false);
    return NULL;
}

static int start_crowd(void *arg) {
    struct crowd *c = arg;
    TRY(cyg_linelog_open(path, &(cyg_linelog_opts){.buffer_bytes = 16384}, &c->l) == 0);
    cyg_waitgroup_add(&c->wg, WRITERS);
    for (int i = 0; i < WRITERS; i++) TRY(cyg_go(writing_goroutine, c) == 0);
    return 0;
}

static int end_crowd(void *arg) {
    struct crowd *c = arg;
    TRY(cyg_waitgroup_wait_until(&c->wg, cyg_now() + PATIENCE) == 0);
    TRY(cyg_linelog_flush(c->l, cyg_now() + PATIENCE) == 0);
    cyg_linelog_stats s = stats_of(c->l);
    TRY(s.lines_total == (WRITERS + THREADS) * EACH);
    TRY(s.bytes_total == size_of(path));
    TRY(s.dropped_total == c->lost);
    TRY(s.errors_total == 0);
    TRY(s.writes_total > 0 && s.writes_total < s.lines_total / 4); /* not one for each line */
    cyg_linelog_close(c->l);
    return 0;
}

static void test_no_line_is_torn_lost_or_doubled_when_many_write(void **state) {
    (void)state;
    struct crowd c = {0};
    pthread_t threads[THREADS];
    in_goroutine(start_crowd, &c);
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, writing_thread, &c);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    in_goroutine(end_crowd, &c);
    size_t n, found;
    char *p = contents(path, &n);
    assert_true(whole_lines(p, n, WRITERS + THREADS, EACH, &found));
    assert_int_equal(found, (WRITERS + THREADS) * EACH);
    free(p);
}

/* ---- a reader that does not read ---------------------------------------------------------------------------------- */

static uint64_t blocking_calls(void) {
    cyg_runtime_stats s;
    cyg_stats(&s);
    return s.blocking_total;
}

struct stuck {
    cyg_linelog *l;
    size_t filled; /* bytes that were in it before */
    unsigned taken, attempts;
};

/* The pipe is full, so nothing leaves; more lines than the buffers of every P hold. That the loop ends is the proof that nobody
 * waited. */
static int write_into_full_pipe(void *arg) {
    struct stuck *k = arg;
    uint64_t calls = blocking_calls();
    TRY(cyg_linelog_open(path, &(cyg_linelog_opts){.buffer_bytes = 4096}, &k->l) == 0);
    char line[400];
    for (; k->attempts < 2000; k->attempts++) {
        k->taken += cyg_linelog_write(k->l, line, make_line(line, 0, k->attempts));
        if (k->attempts % 16 == 0) cyg_yield();
    }
    cyg_linelog_stats s = stats_of(k->l);
    TRY(s.lines_total == 0 && s.bytes_total == 0);
    TRY(s.dropped_total == k->attempts - k->taken);
    TRY(k->taken > 0 && s.dropped_total > 1000);
    TRY(cyg_linelog_flush(k->l, cyg_now() + CYG_MILLISECOND) == CYG_ETIMEDOUT);
    TRY(blocking_calls() == calls + 2); /* open, and the write that waits: with no P */
    return 0;
}

static int close_log(void *arg) {
    struct stuck *k = arg;
    TRY(cyg_linelog_flush(k->l, cyg_now() + PATIENCE) == 0);
    cyg_linelog_stats s = stats_of(k->l);
    TRY(s.lines_total == k->taken);
    TRY(s.dropped_total == k->attempts - k->taken);
    cyg_linelog_close(k->l);
    return 0;
}

struct drained {
    int fd;
    char *p;
    size_t n;
};

static void *read_all(void *arg) {
    struct drained *d = arg;
    d->p = malloc(1 << 20);
    for (ssize_t k; (k = read(d->fd, d->p + d->n, (1 << 20) - d->n)) > 0;) d->n += (size_t)k;
    return NULL;
}

/* A pipe at path that is full, and the descriptor to read it by. */
static int full_pipe(size_t *filled) {
    assert_int_equal(mkfifo(path, 0600), 0);
    int reader = open(path, O_RDONLY | O_NONBLOCK), filler = open(path, O_WRONLY | O_NONBLOCK);
    assert_true(reader >= 0 && filler >= 0);
    for (*filled = 0; write(filler, "x", 1) == 1;) ++*filled;
    close(filler);
    assert_int_equal(fcntl(reader, F_SETFL, 0), 0);
    return reader;
}

static void test_a_stuck_reader_costs_lines_not_time(void **state) {
    (void)state;
    struct stuck k = {0};
    struct drained d = {.fd = full_pipe(&k.filled)};
    in_goroutine(write_into_full_pipe, &k);
    pthread_t reader;
    pthread_create(&reader, NULL, read_all, &d);
    in_goroutine(close_log, &k); /* what was taken arrives when the reader reads again */
    pthread_join(reader, NULL);
    close(d.fd);
    size_t found;
    assert_true(d.n > k.filled);
    assert_true(whole_lines(d.p + k.filled, d.n - k.filled, 1, k.attempts, &found));
    assert_int_equal(found, k.taken);
    free(d.p);
}

static int reopen_while_stuck(void *arg) {
    struct stuck *k = arg;
    uint64_t calls = blocking_calls();
    TRY(cyg_linelog_open(path, &(cyg_linelog_opts){.flush_interval = CYG_MILLISECOND}, &k->l) == 0);
    TRY(put(k->l, "old\n"));
    for (cyg_time end = cyg_now() + PATIENCE; blocking_calls() != calls + 2; cyg_sleep(CYG_MILLISECOND))
        TRY(cyg_now() < end);
    TRY(rename(path, other) == 0); /* the writer is writing */
    TRY(cyg_linelog_reopen(k->l) == 0);
    TRY(put(k->l, "new\n"));
    k->taken = k->attempts = 2;
    return 0;
}

static void test_what_is_written_after_a_reopen_goes_to_the_new_file(void **state) {
    (void)state;
    struct stuck k = {0};
    struct drained d = {.fd = full_pipe(&k.filled)};
    in_goroutine(reopen_while_stuck, &k);
    pthread_t reader;
    pthread_create(&reader, NULL, read_all, &d);
    in_goroutine(close_log, &k);
    pthread_join(reader, NULL);
    close(d.fd);
    assert_int_equal(d.n, k.filled + 4);
    assert_memory_equal(d.p + k.filled, "old\n", 4);
    assert_true(holds(path, "new\n"));
    free(d.p);
}

/* ---- when lines leave --------------------------------------------------------------------------------------------- */

static int wait_for_size(const char *name, size_t n) {
    for (cyg_time end = cyg_now() + PATIENCE; size_of(name) != n; cyg_sleep(CYG_MILLISECOND)) TRY(cyg_now() < end);
    return 0;
}

static int lines_in_time(void *arg) {
    (void)arg;
    cyg_linelog *l;
    TRY(cyg_linelog_open(path, &(cyg_linelog_opts){.flush_interval = 10 * CYG_MILLISECOND}, &l) == 0);
    for (size_t i = 1; i <= 3; i++) { /* idle in between, and woken again */
        TRY(put(l, "a line\n"));
        TRY(wait_for_size(path, 7 * i) == 0);
    }
    cyg_linelog_close(l);
    return 0;
}

static void test_a_line_leaves_by_the_interval(void **state) {
    (void)state;
    in_goroutine(lines_in_time, NULL);
}

static int half_a_buffer(void *arg) {
    (void)arg;
    cyg_linelog *l;
    static char line[2049];
    memset(line, 'x', 2048);
    line[2047] = '\n';
    TRY(cyg_linelog_open(path, &(cyg_linelog_opts){.buffer_bytes = 4096, .flush_interval = CYG_HOUR}, &l) == 0);
    for (size_t i = 1; i <= 3; i++) {
        TRY(put(l, line));
        TRY(wait_for_size(path, 2048 * i) == 0);
    }
    cyg_linelog_close(l);
    return 0;
}

static int both_buffers(void *arg) {
    (void)arg;
    cyg_linelog *l;
    static char line[2049];
    memset(line, 'x', 2048);
    line[2047] = '\n';
    TRY(cyg_linelog_open(path, &(cyg_linelog_opts){.buffer_bytes = 4096, .flush_interval = CYG_HOUR}, &l) == 0);
    for (size_t i = 1, taken = 0; i <= 50; i++) {
        for (int k = 0; k < 4; k++) taken += put(l, line);
        TRY(cyg_linelog_flush(l, 0) == 0);
        TRY(size_of(path) == 2048 * taken);
    }
    cyg_linelog_close(l);
    return 0;
}

static void test_a_flush_takes_the_full_buffer_and_the_other(void **state) {
    (void)state;
    in_goroutine(both_buffers, NULL);
}

static void test_half_a_buffer_leaves_before_the_interval(void **state) {
    (void)state;
    in_goroutine(half_a_buffer, NULL);
}

static int a_few_lines(void *arg) {
    TRY(cyg_linelog_open(path, &(cyg_linelog_opts){.flush_interval = CYG_MILLISECOND}, arg) == 0);
    TRY(put(*(cyg_linelog **)arg, "a line\n"));
    return wait_for_size(path, 7);
}

static int second_line(void *arg) {
    TRY(wait_for_size(path, 14) == 0);
    cyg_linelog_close(arg);
    return 0;
}

static void test_an_idle_log_has_no_timer_and_wakes_for_a_line(void **state) {
    (void)state;
    cyg_linelog *l;
    in_goroutine(a_few_lines, &l);
    cyg_runtime_stats s = {.timers = 1};
    for (int i = 0; i < 30000 && s.timers > 0; i++) { /* the last interval passes, then nothing is pending any more */
        usleep(1000);
        cyg_stats(&s);
    }
    assert_int_equal(s.timers, 0);
    assert_true(put(l, "a line\n")); /* from a thread that is not the runtime's */
    in_goroutine(second_line, l);
}

static int flush_and_close(void *arg) {
    (void)arg;
    cyg_linelog *l;
    TRY(cyg_linelog_open(path, &(cyg_linelog_opts){.flush_interval = CYG_HOUR}, &l) == 0);
    TRY(cyg_linelog_flush(l, 0) == 0); /* nothing to write */
    TRY(put(l, "one\n"));
    TRY(cyg_linelog_flush(l, 0) == 0);
    TRY(holds(path, "one\n"));
    TRY(put(l, "two\n"));
    TRY(put(l, "three\n"));
    cyg_linelog_close(l);
    TRY(holds(path, "one\ntwo\nthree\n"));
    struct stat st;
    TRY(stat(path, &st) == 0 && (st.st_mode & 07777) == 0640);
    TRY(cyg_linelog_open(path, NULL, &l) == 0); /* appends */
    TRY(put(l, "four\n"));
    cyg_linelog_close(l);
    TRY(holds(path, "one\ntwo\nthree\nfour\n"));
    return 0;
}

static void test_flush_and_close_write_everything(void **state) {
    (void)state;
    in_goroutine(flush_and_close, NULL);
}

static int opened_under_a_context(void *arg) {
    (void)arg;
    cyg_linelog *l;
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    cyg_ctx_scope scope = cyg_ctx_enter(ctx);
    int err = cyg_linelog_open(path, &(cyg_linelog_opts){.flush_interval = CYG_HOUR}, &l);
    cyg_ctx_leave(&scope);
    TRY(err == 0);
    cyg_ctx_cancel(ctx, 0);
    TRY(put(l, "a line\n"));
    cyg_sleep(5 * CYG_MILLISECOND);
    TRY(size_of(path) == 0); /* the writer still waits for the interval; it does not run in circles */
    TRY(cyg_linelog_flush(l, 0) == 0);
    TRY(size_of(path) == 7);
    scope = cyg_ctx_enter(ctx);
    bool taken = put(l, "last\n");
    cyg_linelog_close(l);
    cyg_ctx_leave(&scope);
    TRY(taken && holds(path, "a line\nlast\n"));
    return 0;
}

static void test_a_cancelled_context_ends_neither_writer_nor_close(void **state) {
    (void)state;
    in_goroutine(opened_under_a_context, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_no_line_is_torn_lost_or_doubled_when_many_write),
        TEST(test_a_stuck_reader_costs_lines_not_time),
        TEST(test_what_is_written_after_a_reopen_goes_to_the_new_file),
        TEST(test_a_line_leaves_by_the_interval),
        TEST(test_half_a_buffer_leaves_before_the_interval),
        TEST(test_a_flush_takes_the_full_buffer_and_the_other),
        TEST(test_an_idle_log_has_no_timer_and_wakes_for_a_line),
        TEST(test_flush_and_close_write_everything),
        TEST(test_a_cancelled_context_ends_neither_writer_nor_close),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
