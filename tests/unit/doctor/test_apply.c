/* test_apply.c: writing sysctls and putting them back, on a directory in place of /proc/sys. */
#include "rig.h"

#include <errno.h>

#define REUSE IPV4 "tcp_tw_reuse"
#define RANGE IPV4 "ip_local_port_range"

static char state_file[128];
static char *said;

static int apply(bool dry) {
    struct doc_machine m;
    static struct doc_finding f[64];
    size_t len;
    const char *only[] = {"ip_local_port_range", "tcp_tw_reuse", "somaxconn", "nofile", "tcp_max_tw_buckets"};
    machine_open(&m);
    m.nofile_soft = 1024; /* bad, and nothing that apply could write */
    size_t n = doc_run(&m, only, 5, f);
    free(said);
    FILE *out = open_memstream(&said, &len);
    int r = doc_apply(out, &m, f, n, state_file, dry);
    fclose(out);
    return r;
}

static int undo(bool dry) {
    struct doc_machine m;
    size_t len;
    machine_open(&m);
    free(said);
    FILE *out = open_memstream(&said, &len);
    int r = doc_undo(out, &m, state_file, dry);
    fclose(out);
    return r;
}

static int set_up(void **state) {
    (void)state;
    machine_make();
    snprintf(state_file, sizeof state_file, "%s/state/undo", machine_root);
    return 0;
}
static int tear_down(void **state) {
    (void)state;
    machine_remove();
    free(said);
    said = NULL;
    return 0;
}

static bool noted(void) { return access(state_file, F_OK) == 0; }

static void test_applied_and_put_back(void **state) {
    (void)state;
    assert_int_equal(apply(true), 0);
    assert_string_equal(machine_get(REUSE), "2");
    assert_false(noted());
    assert_non_null(strstr(said, "net.ipv4.tcp_tw_reuse: 2 -> 1: would be written"));
    assert_int_equal(apply(false), 0);
    assert_string_equal(machine_get(REUSE), "1");
    assert_string_equal(machine_get(RANGE), "10240 65535");
    assert_string_equal(machine_get("/proc/sys/net/core/somaxconn"), "4096"); /* was ok */
    assert_non_null(strstr(said, "net.ipv4.ip_local_port_range: 32768 60999 -> 10240 65535: written"));
    assert_non_null(strstr(said, "  net.ipv4.tcp_tw_reuse = 1\n"));
    assert_null(strstr(said, "nofile"));
    assert_true(noted());
    assert_int_equal(apply(false), 0);
    assert_string_equal(said, "Nothing to apply.\n");
    assert_int_equal(undo(true), 0);
    assert_string_equal(machine_get(REUSE), "1");
    assert_non_null(strstr(said, "net.ipv4.tcp_tw_reuse: 1 -> 2: would be put back"));
    assert_int_equal(undo(false), 0);
    assert_string_equal(machine_get(REUSE), "2");
    assert_string_equal(machine_get(RANGE), "32768 60999");
    assert_false(noted());
    assert_int_equal(undo(false), 0);
    assert_non_null(strstr(said, "Nothing to undo"));
}

static void test_the_first_value_is_kept_over_two_applies(void **state) {
    (void)state;
    assert_int_equal(apply(false), 0);
    machine_put("/proc/sys/net/core/somaxconn", "128\n"); /* something more to do: the file is written anew */
    assert_int_equal(apply(false), 0);
    assert_int_equal(undo(false), 0);
    assert_string_equal(machine_get(REUSE), "2");
    assert_string_equal(machine_get("/proc/sys/net/core/somaxconn"), "128");
}

static void test_the_first_value_is_kept_when_more_is_proposed(void **state) {
    (void)state;
    machine_put(NETSTAT, "TcpExt: TW TCPTimeWaitOverflow\nTcpExt: 5 17\n"); /* each time twice as many */
    assert_int_equal(apply(false), 0);
    assert_int_equal(apply(false), 0);
    assert_string_equal(machine_get(IPV4 "tcp_max_tw_buckets"), "524288");
    assert_int_equal(undo(false), 0);
    assert_string_equal(machine_get(IPV4 "tcp_max_tw_buckets"), "131072");
}

static void test_what_somebody_else_changed_is_left(void **state) {
    (void)state;
    assert_int_equal(apply(false), 0);
    machine_put(RANGE, "20000\t60000\n");
    machine_put(REUSE, "2\n");
    assert_int_equal(undo(false), 0);
    assert_string_equal(machine_get(RANGE), "20000\t60000");
    assert_non_null(strstr(
        said,
        "is 20000 60000, neither what was there (32768 60999) nor what was written (10240 65535): left as it is"));
    assert_non_null(strstr(said, "net.ipv4.tcp_tw_reuse: is 2, as it was"));
    assert_false(noted());
}

static void test_after_a_change_by_somebody_else_apply_notes_that_value(void **state) {
    (void)state;
    assert_int_equal(apply(false), 0);
    machine_put(REUSE, "0\n");
    assert_int_equal(apply(false), 0);
    assert_string_equal(machine_get(REUSE), "1");
    assert_int_equal(undo(false), 0);
    assert_string_equal(machine_get(REUSE), "0");
}

static void test_a_write_that_fails_is_told_and_the_rest_is_done(void **state) {
    (void)state;
    char path[256];
    snprintf(path, sizeof path, "%s%s", machine_root, REUSE);
    machine_put(RANGE, "1 2\n");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/full", path), 0); /* reads as zeros without end, takes nothing */
    machine_put("/proc/sys/net/core/somaxconn", "128\n");
    struct doc_machine m;
    static struct doc_finding f[64];
    const char *only[] = {"ip_local_port_range"};
    machine_open(&m);
    size_t n = doc_run(&m, only, 1, f);
    f[1] = f[0];
    doc_fix_sysctl(&m, &f[1], "net.ipv4.tcp_max_orphans", "5");
    snprintf(f[1].sysctl, sizeof f[1].sysctl, "net.ipv4.tcp_tw_reuse"); /* as if it had been readable */
    assert_int_equal(n, 1);
    size_t len;
    FILE *out = open_memstream(&said, &len);
    assert_int_equal(doc_apply(out, &m, f, 2, state_file, false), 1);
    fclose(out);
    assert_non_null(strstr(said, "net.ipv4.tcp_tw_reuse: 131072 -> 5: No space left on device"));
    assert_string_equal(machine_get(RANGE), "10240 65535");
    assert_true(noted());
}

static void test_a_state_file_that_is_not_ours_stops_both(void **state) {
    (void)state;
    static const char *const texts[] = {"hello\n",
                                        "net.ipv4.tcp_tw_reuse\t2\n",
                                        "../../etc/passwd\ta\tb\n",
                                        "net/ipv4/x\t1\t2\n",
                                        "net..ipv4\t1\t2\n",
                                        "dev.x\t1\t2\n",
                                        "net.Ipv4\t1\t2\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        machine_put("/state/undo", texts[i]);
        assert_int_equal(undo(false), -EBADMSG);
        assert_int_equal(apply(false), -EBADMSG);
        assert_string_equal(machine_get(REUSE), "2");
        assert_string_equal(machine_get(RANGE), "32768\t60999");
    }
}

static void test_without_a_place_for_the_note_nothing_is_written(void **state) {
    (void)state;
    snprintf(state_file, sizeof state_file, "/proc/self/no-such-directory/undo");
    assert_true(apply(false) < 0);
    assert_string_equal(machine_get(REUSE), "2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_applied_and_put_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_first_value_is_kept_over_two_applies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_first_value_is_kept_when_more_is_proposed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_somebody_else_changed_is_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_after_a_change_by_somebody_else_apply_notes_that_value, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_write_that_fails_is_told_and_the_rest_is_done, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_state_file_that_is_not_ours_stops_both, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_a_place_for_the_note_nothing_is_written, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
