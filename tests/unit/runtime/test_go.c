/* test_go.c: starting goroutines: arguments, limits, numbers, options; starting and stopping the runtime, forks, how many Ps
 * there are, and how failures are printed.
 */
#include "runtime/sched.h"
#include "../rt.h"

#include <errno.h>

/* ---- starting -------------------------------------------------------------------------------------------------------- */

static int ran;

struct wide {
    char bytes[128];
};
static void take_copy(void *arg) {
    const struct wide *w = arg;
    cyg_yield(); /* the caller has overwritten its own by now */
    for (size_t i = 0; i < sizeof w->bytes; i++) CHECK_EQ(w->bytes[i], w->bytes[0] + (char)(i % 3));
    ADD(ran, w->bytes[0]);
}
static void count(void *arg) {
    (void)arg;
    ADD(ran, 1);
}

RT_TEST(test_go_copy_copies) {
    STORE(ran, 0);
    struct wide w;
    for (char k = 1; k <= 20; k++) {
        for (size_t i = 0; i < sizeof w.bytes; i++) w.bytes[i] = (char)(k + (char)(i % 3));
        CHECK_EQ(cyg_go_copy(take_copy, &w), 0);
    }
    memset(&w, 0xff, sizeof w);
    WAIT_FOR(LOAD(ran) == 210);
}

RT_TEST(test_go_copy_refuses_what_is_too_large) {
    char big[129] = {0};
    CHECK_EQ(cyg_go_copy(count, &big), CYG_EINVAL);
    CHECK(strstr(cyg_err_detail(), "128") && strstr(cyg_err_detail(), "129"));
    CHECK_EQ(cyg_go_with(&(cyg_go_opts){.stack_size = (64u << 20) + 1}, count, NULL), CYG_EINVAL);
}

static int hold;
static void stay(void *arg) {
    (void)arg;
    while (LOAD(hold)) cyg_yield();
}

static void at_the_limit(void) {
    STORE(hold, 1);
    for (int i = 0; i < 9; i++) GO(stay, NULL);
    CHECK_EQ(cyg_go(stay, NULL), CYG_ELIMIT);
    CHECK(strstr(cyg_err_detail(), "max_goroutines"));
    STORE(hold, 0);
    WAIT_FOR(rt_stats().goroutines == 1);
    STORE(ran, 0);
    GO(count, NULL);
    WAIT_FOR(LOAD(ran) == 1);
}
static void test_max_goroutines_refuses_and_recovers(void **state) {
    (void)state;
    rt_each(&(cyg_runtime_opts){.max_goroutines = 10}, at_the_limit);
}

enum { MANY = 300 };
static uint64_t ids[MANY];
static void note_id(void *arg) {
    intptr_t i = (intptr_t)arg;
    cyg_set_name("numbered");
    ids[i] = cyg_goid();
    cyg_yield();
    CHECK_EQ(cyg_goid(), ids[i]); /* its own for life */
    ADD(ran, 1);
}
static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

RT_TEST(test_numbers_are_unique_and_begin_at_one) {
    STORE(ran, 0);
    for (intptr_t i = 0; i < MANY; i++) GO(note_id, (void *)i);
    WAIT_FOR(LOAD(ran) == MANY);
    qsort(ids, MANY, sizeof *ids, compare);
    CHECK(ids[0] >= 1);
    for (int i = 1; i < MANY; i++) CHECK(ids[i] != ids[i - 1]);
}

static void test_foreign_thread_has_no_number(void **state) {
    (void)state;
    assert_true(cyg_goid() == 0);
    cyg_yield(); /* and may yield */
    assert_int_equal(cyg_procs(), 0);
    assert_int_equal(cyg_proc_hint(), 0);
}

static int steps[12], nsteps;
static void step_twice(void *arg) {
    for (int i = 0; i < 3; i++) {
        steps[nsteps++] = (int)(intptr_t)arg;
        cyg_yield();
    }
}
static void yields_in_turn(void) {
    nsteps = 0;
    for (intptr_t i = 0; i < 4; i++) GO(step_twice, (void *)i);
    WAIT_FOR(nsteps == 12);
    for (int i = 4; i < 12 && !rt_shaken(); i++) CHECK_EQ(steps[i], steps[i - 4]); /* round after round the same */
}
static void test_yield_gives_each_its_turn(void **state) {
    (void)state;
    rt_run(&(cyg_runtime_opts){.maxprocs = 1}, yields_in_turn);
}

static int add_five(void *arg) { return *(int *)arg + 5; }
RT_TEST(test_call_on_a_goroutine_just_calls) {
    int three = 3;
    uint64_t before = rt_stats().goroutines_total;
    CHECK_EQ(cyg_call(add_five, &three), 8);
    CHECK_EQ(rt_stats().goroutines_total, before);
}

/* ---- those that begin on the stack of one that has ended --------------------------------------------------------------------- */

static uintptr_t frames[MANY];
static void note_frame(void *arg) {
    frames[(intptr_t)arg] = (uintptr_t)__builtin_frame_address(0);
    ADD(ran, 1);
}
static int compare_frames(const void *a, const void *b) {
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return x < y ? -1 : x > y;
}

static void short_ones_share(void) {
    STORE(ran, 0);
    for (intptr_t i = 0; i < MANY; i++) GO(note_frame, (void *)i);
    WAIT_FOR(LOAD(ran) == MANY);
    qsort(frames, MANY, sizeof *frames, compare_frames);
    int stacks = 1;
    for (int i = 1; i < MANY; i++) stacks += frames[i] != frames[i - 1];
    CHECK(stacks <= MANY / 2);        /* one, but for dispatches that go through the scheduler */
    CHECK(rt_stats().stacks >= MANY); /* there was memory for each when it was started */
}
static void test_short_goroutines_share_a_stack(void **state) {
    (void)state;
    rt_run(&(cyg_runtime_opts){.maxprocs = 1}, short_ones_share);
}

/* Leaves behind all that a goroutine can have of its own. */
static void have_everything(void *arg) {
    (void)arg;
    cyg_set_name("predecessor");
    CHECK_EQ(cyg_go_with(&(cyg_go_opts){.stack_size = (64u << 20) + 1}, count, NULL), CYG_EINVAL);
    CHECK(*cyg_err_detail());
    cyg_unlock_thread();
    ADD(ran, 1);
}

static cyg_ctx *theirs;
static int ended_by[MANY];
static void have_nothing(void *arg) {
    intptr_t i = (intptr_t)arg;
    ids[i] = cyg_goid();
    CHECK(!*cyg_err_detail());
    CHECK(!cygrt_g()->name && !cygrt_g()->pins && !cygrt_g()->pin_wanted && cygrt_g()->parent == ids[0]);
    CHECK(cyg_ctx_current() == (i % 2 ? theirs : cyg_ctx_background()));
    ADD(ran, 1);
    if (i % 2) ended_by[i] = cyg_sleep(CYG_HOUR);
    ADD(ran, 1);
}

/* In turns with and without a context, so that each begins where one of the other kind has ended. */
RT_TEST(test_who_begins_on_anothers_stack_has_its_own_identity) {
    STORE(ran, 0);
    ids[0] = cyg_goid();
    theirs = cyg_ctx_with_cancel(NULL);
    for (int i = 0; i < 5; i++) CHECK_EQ(cyg_go_with(&(cyg_go_opts){.pinned = true}, have_everything, NULL), 0);
    for (intptr_t i = 1; i <= 20; i++) {
        cyg_ctx_scope scope = cyg_ctx_enter(i % 2 ? theirs : cyg_ctx_background());
        GO(have_nothing, (void *)i);
        cyg_ctx_leave(&scope);
    }
    WAIT_FOR(LOAD(ran) == 5 + 30);
    cyg_ctx_cancel(theirs, -EPIPE);
    cyg_ctx_scope scope = cyg_ctx_enter(theirs); /* and those that have not begun when it ends */
    for (intptr_t i = 21; i <= 40; i += 2) GO(have_nothing, (void *)i);
    cyg_ctx_leave(&scope);
    WAIT_FOR(LOAD(ran) == 5 + 60);
    qsort(ids, 21, sizeof *ids, compare);
    for (int i = 1; i <= 20; i++) CHECK(ids[i] != ids[i - 1]);
    for (int i = 1; i <= 39; i += 2) CHECK_EQ(ended_by[i], -EPIPE);
    cyg_ctx_release(theirs);
}

/* ---- the runtime's beginning and end ------------------------------------------------------------------------------------- */

static void test_without_a_runtime(void **state) {
    (void)state;
    int three = 3;
    assert_int_equal(cyg_go(count, NULL), CYG_ESTATE);
    assert_int_equal(cyg_call(add_five, &three), CYG_ESTATE);
    assert_int_equal(cyg_runtime_stop(), CYG_ESTATE);
    assert_true(rt_stats().threads == 0);
}

RT_TEST(test_there_is_one_runtime) {
    CHECK_EQ(cyg_runtime_start(NULL), CYG_ESTATE);
    CHECK_EQ(cyg_runtime_stop(), CYG_ESTATE); /* not from a goroutine */
}

static void park_for_ever(void *arg) {
    (void)arg;
    cyg_mutex m = {0};
    cyg_cond c = {0};
    cyg_mutex_lock(&m);
    ADD(ran, 1);
    cyg_cond_wait(&c, &m);
    CHECK(!"came back");
}

/* With goroutines parked, asleep and on their way: stop ends them where they are. */
static void test_fifty_starts_and_stops_leave_nothing(void **state) {
    (void)state;
    unsigned fds = rt_fds(), threads = rt_threads();
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 1u << i % 3}), 0);
        STORE(ran, 0);
        for (int k = 0; k < 10; k++) CHECK_EQ(cyg_go(park_for_ever, NULL), 0);
        WAIT_FOR(LOAD(ran) == 10);
        for (int k = 0; k < 10; k++) CHECK_EQ(cyg_go(count, NULL), 0);
        CHECK_EQ(cyg_runtime_stop(), 0);
        CHECK_EQ(cyg_procs(), 0);
    }
    CHECK_EQ(rt_fds(), fds);
    WAIT_FOR(rt_threads() == threads);
}

RT_TEST(test_fork_child_has_no_runtime) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        int bad = cyg_go(count, NULL) != CYG_ESTATE;
        bad |= (cyg_call(add_five, &bad) != CYG_ESTATE) << 1;
        bad |= (cyg_runtime_stop() != CYG_ESTATE) << 2;
        bad |= (cyg_procs() != 0) << 3;
        _exit(bad);
    }
    int status;
    WAIT_FOR(waitpid(pid, &status, WNOHANG) == pid);
    CHECK_EQ(status, 0);
    STORE(ran, 0);
    GO(count, NULL); /* the parent's goes on */
    WAIT_FOR(LOAD(ran) == 1);
}

/* ---- how many Ps --------------------------------------------------------------------------------------------------------- */

static int say_procs(int argc, char **argv) {
    if (argc == 1 && strcmp(argv[0], "one") == 0) {
        cpu_set_t set, first;
        sched_getaffinity(0, sizeof set, &set);
        CPU_ZERO(&first);
        for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&first) == 0; i++)
            if (CPU_ISSET(i, &set)) CPU_SET(i, &first);
        if (sched_setaffinity(0, sizeof first, &first) != 0) return 99;
    }
    if (cyg_runtime_start(NULL) != 0) return 98;
    int n = (int)cyg_procs();
    return cyg_runtime_stop() == 0 ? n : 97;
}

static struct rt_result res;
static void test_maxprocs_of_the_environment(void **state) {
    (void)state;
    rt_spawn("procs", NULL, "CYGNET_MAXPROCS=3", &res);
    CHECK_EXIT(&res, 3);
}
static void test_nonsense_in_the_environment_is_named(void **state) {
    (void)state;
    rt_spawn("procs", "one", "CYGNET_MAXPROCS=1x", &res);
    CHECK_EXIT(&res, 1);
    CHECK(strstr(res.err, "cygnet: CYGNET_MAXPROCS=1x: expected a number from 1 to 256; taken: 1\n"));
    rt_spawn("procs", NULL, "CYGNET_MAXPROCS=300", &res);
    CHECK_EXIT(&res, 0); /* of 256 */
    CHECK(strstr(res.err, "expected a number from 1 to 256; taken: 256\n"));
    rt_spawn("procs", "one", "CYGNET_DEBUG=noguard,nogaurd=1,,schedtrace,schedtrace=x,backlogs", &res);
    CHECK(strstr(res.err, "cygnet: CYGNET_DEBUG has \"nogaurd\"; expected one of backlogs, "));
    CHECK(strstr(res.err, "cygnet: CYGNET_DEBUG has \"schedtrace\"; expected schedtrace=N, N a number from 1\n"));
    CHECK(strstr(res.err, "cygnet: CYGNET_DEBUG has \"schedtrace=x\"; expected schedtrace=N, N a number from 1\n"));
    CHECK(!strstr(res.err, "\"noguard\"") && !strstr(res.err, "\"backlogs\"") && !strstr(res.err, "\"\""));
}
static void test_affinity_is_respected(void **state) {
    (void)state;
    rt_spawn("procs", "one", "CYGNET_MAXPROCS=", &res);
    CHECK_EXIT(&res, 1);
}
static void test_options_come_before_the_environment(void **state) {
    (void)state;
    CHECK_EQ(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 5}), 0);
    CHECK_EQ(cyg_procs(), 5);
    CHECK(rt_stats().threads >= 6);
    CHECK_EQ(cyg_runtime_stop(), 0);
}

static int result_of_main(int argc, char **argv) {
    (void)argc;
    CHECK(cyg_goid() != 0);
    return atoi(argv[0]);
}
static int run_main(int argc, char **argv) { return cyg_main(result_of_main, argc, argv); }
static void test_main_maps_results_to_exit_codes(void **state) {
    (void)state;
    static const struct {
        const char *arg;
        int code;
    } cases[] = {{"0", 0}, {"3", 3}, {"125", 125}, {"-1006", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rt_spawn("main", cases[i].arg, NULL, &res);
        CHECK_EXIT(&res, cases[i].code);
    }
}

/* ---- what cyg_fail prints --------------------------------------------------------------------------------------------- */

static int fail_in_turn(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_file *f;
    cyg_addr a;
    (void)cyg_fail("read", CYG_EOF);
    (void)cyg_fail("page", cyg_file_open("/nowhere/page", O_RDONLY, 0, &f));
    (void)cyg_fail("write", -EPIPE);
    (void)cyg_fail("address", cyg_addr_parse("tcp", "here", &a));
    return 0;
}
static int print_failures(int argc, char **argv) { return cyg_main(fail_in_turn, argc, argv); }

/* Not twice what the detail says, and not what an earlier failure had to add. */
static void test_a_failure_is_printed_with_its_own_detail(void **state) {
    (void)state;
    rt_spawn("failures", NULL, NULL, &res);
    CHECK_EXIT(&res, 0);
    const char *head = "read: end of stream\n"
                       "page: open /nowhere/page: No such file or directory\n"
                       "write: Broken pipe\n"
                       "address: text not understood (address \"here\": expected ";
    if (!strstr(res.err, head))
        rt_fail(__FILE__, __LINE__, "%s", res.err); /* behind what a shaken schedule says of itself */
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {
        {"procs", say_procs}, {"main", run_main}, {"failures", print_failures}, {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_go_copy_copies),
        cmocka_unit_test(test_go_copy_refuses_what_is_too_large),
        cmocka_unit_test(test_max_goroutines_refuses_and_recovers),
        cmocka_unit_test(test_numbers_are_unique_and_begin_at_one),
        cmocka_unit_test(test_foreign_thread_has_no_number),
        cmocka_unit_test(test_yield_gives_each_its_turn),
        cmocka_unit_test(test_call_on_a_goroutine_just_calls),
        cmocka_unit_test(test_short_goroutines_share_a_stack),
        cmocka_unit_test(test_who_begins_on_anothers_stack_has_its_own_identity),
        cmocka_unit_test(test_without_a_runtime),
        cmocka_unit_test(test_there_is_one_runtime),
        cmocka_unit_test(test_fifty_starts_and_stops_leave_nothing),
        cmocka_unit_test(test_fork_child_has_no_runtime),
        cmocka_unit_test(test_maxprocs_of_the_environment),
        cmocka_unit_test(test_nonsense_in_the_environment_is_named),
        cmocka_unit_test(test_affinity_is_respected),
        cmocka_unit_test(test_options_come_before_the_environment),
        cmocka_unit_test(test_main_maps_results_to_exit_codes),
        cmocka_unit_test(test_a_failure_is_printed_with_its_own_detail),
    };
    int code = rt_child_main(argc, argv, kids);
    return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
