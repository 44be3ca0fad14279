/* test_linelog_file.c: that the lines of a log reach the right file, that rotation loses none, and that errors are counted.
 */
#include "linelog.h"

/* ---- files -------------------------------------------------------------------------------------------------------- */

static int rotate(void *arg) {
    (void)arg;
    cyg_linelog *l;
    TRY(cyg_linelog_open(path, &(cyg_linelog_opts){.flush_interval = CYG_HOUR}, &l) == 0);
    TRY(put(l, "old\n"));
    TRY(cyg_linelog_flush(l, 0) == 0);
    TRY(rename(path, other) == 0);
    TRY(put(l, "either\n"));
    TRY(cyg_linelog_reopen(l) == 0);
    TRY(put(l, "new\n"));
    TRY(cyg_linelog_flush(l, 0) == 0);
    TRY(holds_line(other, "old\n") && !holds_line(path, "old\n"));
    TRY(holds_line(path, "new\n") && !holds_line(other, "new\n"));
    TRY(holds_line(path, "either\n") != holds_line(other, "either\n"));
    TRY(rename(path, other) == 0);
    TRY(cyg_linelog_reopen(l) == 0); /* twice, so that one of them perhaps never served */
    TRY(cyg_linelog_reopen(l) == 0);
    cyg_linelog_close(l);
    TRY(holds(path, ""));
    return 0;
}

static void test_reopen_goes_on_in_a_new_file(void **state) {
    (void)state;
    in_goroutine(rotate, NULL);
}

static int lose_the_directory(void *arg) {
    (void)arg;
    char below[112], file[128];
    snprintf(below, sizeof below, "%s.d", path);
    snprintf(file, sizeof file, "%s/log", below);
    cyg_linelog *l = NULL;
    TRY(cyg_linelog_open(file, NULL, &l) == -ENOENT);
    TRY(l == NULL);
    TRY(strncmp(cyg_err_detail(), "open ", 5) == 0 && strstr(cyg_err_detail(), file));
    TRY(mkdir(below, 0700) == 0);
    TRY(cyg_linelog_open(file, NULL, &l) == 0);
    TRY(rename(file, other) == 0);
    TRY(rmdir(below) == 0);
    TRY(cyg_linelog_reopen(l) == -ENOENT);
    TRY(put(l, "still\n"));
    cyg_linelog_close(l);
    TRY(holds(other, "still\n"));
    return 0;
}

static void test_a_failed_reopen_keeps_the_old_file(void **state) {
    (void)state;
    in_goroutine(lose_the_directory, NULL);
}

static int to_stdout(void *arg) {
    (void)arg;
    cyg_linelog *l;
    TRY(cyg_linelog_open("stdout", NULL, &l) == 0);
    TRY(put(l, "to standard output\n"));
    TRY(cyg_linelog_reopen(l) == 0);
    cyg_linelog_close(l);
    return 0;
}

static void test_stdout_is_a_name_and_stays_open(void **state) {
    (void)state;
    fflush(stdout);
    int saved = dup(STDOUT_FILENO), fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDOUT_FILENO);
    int err = cyg_call(to_stdout, NULL);
    bool open_still = write(STDOUT_FILENO, "!\n", 2) == 2;
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(fd);
    assert_int_equal(err, 0);
    assert_true(open_still);
    assert_true(holds(path, "to standard output\n!\n"));
}

/* ---- refusals and errors ------------------------------------------------------------------------------------------ */

static int odd_lines(void *arg) {
    (void)arg;
    cyg_linelog *l = NULL;
    TRY(cyg_linelog_open(NULL, NULL, &l) == CYG_EINVAL);
    TRY(cyg_linelog_open("", NULL, &l) == CYG_EINVAL);
    TRY(cyg_linelog_open(path, &(cyg_linelog_opts){.buffer_bytes = 4095}, &l) == CYG_EINVAL);
    TRY(cyg_linelog_open(path, &(cyg_linelog_opts){.buffer_bytes = (64 << 20) + 1}, &l) == CYG_EINVAL);
    TRY(cyg_linelog_open(path, &(cyg_linelog_opts){.flush_interval = -1}, &l) == CYG_EINVAL);
    TRY(l == NULL && size_of(path) == 0);
    static char line[65537];
    memset(line, 'x', sizeof line);
    line[65535] = '\n';
    TRY(cyg_linelog_open(path, NULL, &l) == 0);
    TRY(!cyg_linelog_write(l, line, 0));
    TRY(!cyg_linelog_write(l, line, 65537));
    TRY(cyg_linelog_write(l, line, 65536));
    TRY(cyg_linelog_flush(l, 0) == 0);
    cyg_linelog_stats s = stats_of(l);
    TRY(s.lines_total == 1 && s.dropped_total == 2 && s.bytes_total == 65536 && s.writes_total == 1);
    cyg_linelog_close(l);
    return 0;
}

static void test_what_is_no_line_is_refused_and_counted(void **state) {
    (void)state;
    in_goroutine(odd_lines, NULL);
}

static int full_device(void *arg) {
    (void)arg;
    cyg_linelog *l;
    TRY(cyg_linelog_open("/dev/full", NULL, &l) == 0);
    for (int i = 0; i < 10; i++) TRY(put(l, "a line\n"));
    TRY(cyg_linelog_flush(l, 0) == 0);
    cyg_linelog_stats s = stats_of(l);
    TRY(s.errors_total >= 1 && s.dropped_total == 10 && s.lines_total == 0 && s.bytes_total == 0);
    cyg_linelog_close(l);
    return 0;
}

static void test_lines_of_a_failed_write_are_counted(void **state) {
    (void)state;
    in_goroutine(full_device, NULL);
}

static int grow_over_the_limit(void *arg) {
    cyg_linelog *l;
    struct rlimit *limit = arg, small = {100, limit->rlim_max};
    TRY(cyg_linelog_open(path, &(cyg_linelog_opts){.flush_interval = CYG_HOUR}, &l) == 0);
    TRY(setrlimit(RLIMIT_FSIZE, &small) == 0);
    for (int i = 0; i < 30; i++) TRY(put(l, "seven b\n"));
    TRY(cyg_linelog_flush(l, 0) == 0); /* 12 lines and a half, then an error */
    TRY(size_of(path) == 100);
    TRY(put(l, "nothing fits\n"));
    TRY(cyg_linelog_flush(l, 0) == 0);
    TRY(setrlimit(RLIMIT_FSIZE, limit) == 0);
    TRY(put(l, "room again\n"));
    TRY(cyg_linelog_flush(l, 0) == 0);
    cyg_linelog_stats s = stats_of(l);
    TRY(s.lines_total == 14 && s.dropped_total == 18 && s.errors_total == 2 && s.bytes_total == 115);
    cyg_linelog_close(l);
    return 0;
}

static void test_a_line_that_an_error_cut_is_completed(void **state) {
    (void)state;
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, SIG_IGN);
    int err = cyg_call(grow_over_the_limit, &limit);
    setrlimit(RLIMIT_FSIZE, &limit);
    assert_int_equal(err, 0);
    char expected[128] = "";
    for (int i = 0; i < 13; i++) strcat(expected, "seven b\n");
    strcat(expected, "room again\n");
    assert_true(holds(path, expected));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_reopen_goes_on_in_a_new_file),        TEST(test_a_failed_reopen_keeps_the_old_file),
        TEST(test_stdout_is_a_name_and_stays_open),     TEST(test_what_is_no_line_is_refused_and_counted),
        TEST(test_lines_of_a_failed_write_are_counted), TEST(test_a_line_that_an_error_cut_is_completed),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
