/* test_once.c: once: it runs once, the others wait for its end, and it may not come back to itself. Row 41.
 */
#include "../rt.h"

static cyg_once once;
static int runs, finished, done;

static void make(void *arg) {
    CHECK_EQ(ADD(runs, 1), 1);
    for (int i = 0; i < 20; i++) cyg_yield(); /* it may park */
    CHECK(arg == &once);
    STORE(finished, 1);
}
static void ask(void *arg) {
    (void)arg;
    cyg_once_do(&once, make, &once);
    CHECK_EQ(LOAD(finished), 1); /* also for those that came second */
    ADD(done, 1);
}
RT_TEST(test_runs_once_and_the_others_wait_for_its_end) {
    for (int i = 0; i < 50; i++) {
        once = (cyg_once){0};
        STORE(runs, 0);
        STORE(finished, 0);
        STORE(done, 0);
        for (int k = 0; k < 10; k++) GO(ask, NULL);
        WAIT_FOR(LOAD(done) == 10);
        CHECK_EQ(LOAD(runs), 1);
    }
}

static cyg_once outer, inner;
static void in_inner(void *arg) { ADD(*(int *)arg, 1); }
static void in_outer(void *arg) { cyg_once_do(&inner, in_inner, arg); }
RT_TEST(test_one_may_be_done_within_another) {
    int n = 0;
    outer = inner = (cyg_once){0};
    cyg_once_do(&outer, in_outer, &n);
    cyg_once_do(&inner, in_inner, &n);
    CHECK_EQ(n, 1);
}

static void again(void *arg) { cyg_once_do((cyg_once *)arg, again, arg); }
static int come_back(void *arg) {
    cyg_once o = {0};
    (void)arg;
    cyg_once_do(&o, again, &o);
    return 0;
}
static int come_back_child(int argc, char **argv) {
    (void)argc, (void)argv;
    return cyg_runtime_start(NULL) != 0 ? 99 : cyg_call(come_back, NULL);
}
static void test_coming_back_to_itself_aborts(void **state) {
    (void)state;
    static struct rt_result r;
    rt_spawn("come_back", "", NULL, &r);
    CHECK_SIGNAL(&r, SIGABRT);
    CHECK_SAYS(&r, "came back to it");
    CHECK_SAYS(&r, "test_once.c:");
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"come_back", come_back_child}, {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_once_and_the_others_wait_for_its_end),
        cmocka_unit_test(test_one_may_be_done_within_another),
        cmocka_unit_test(test_coming_back_to_itself_aborts),
    };
    int code = rt_child_main(argc, argv, kids);
    return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
