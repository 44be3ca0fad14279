/* test_checked.c: what checked builds catch: parking with a pthread mutex held, deep stacks. Built in them alone.
 */
#include "../rt.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER, other = PTHREAD_MUTEX_INITIALIZER;

/* ---- pthread mutexes ------------------------------------------------------------------------------------------------------ */

RT_TEST(test_mutexes_that_are_let_go_in_time_are_no_matter) {
    for (int i = 0; i < 100; i++) {
        pthread_mutex_lock(&lock);
        CHECK_EQ(pthread_mutex_trylock(&other), 0);
        CHECK_EQ(pthread_mutex_trylock(&other), EBUSY); /* not ours twice */
        pthread_mutex_unlock(&lock);                    /* in any order */
        pthread_mutex_unlock(&other);
        cyg_yield();
        CHECK_EQ(cyg_sleep(1), 0);
    }
}

/* A thread of the program's own may hold what it likes; no goroutine parks there. */
static void *foreign(void *arg) {
    pthread_mutex_lock(&lock);
    pthread_mutex_lock(&other);
    pthread_mutex_unlock(&other);
    pthread_mutex_unlock(&lock);
    return arg;
}
RT_TEST(test_foreign_threads_are_not_looked_at) {
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, foreign, NULL), 0);
    pthread_join(t, NULL);
    cyg_yield();
}

static void hold_and(void *arg) {
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_sec += 10;
    switch (*(const char *)arg) {
    case 's':
        pthread_mutex_lock(&lock);
        (void)cyg_sleep(1);
        break;
    case 'y':
        CHECK_EQ(pthread_mutex_trylock(&lock), 0);
        cyg_yield();
        break;
    case 't':
        CHECK_EQ(pthread_mutex_timedlock(&lock, &soon), 0);
        cyg_yield();
        break;
    case 'e': pthread_mutex_lock(&lock); break;
    }
}
static int hold(void *arg) {
    GO(hold_and, arg);
    return cyg_sleep(CYG_MINUTE);
}
static int hold_child(int argc, char **argv) {
    return argc != 1 || cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 1}) != 0 ? 99 : cyg_call(hold, argv[0]);
}
static void test_leaving_the_thread_with_a_mutex_held_aborts(void **state) {
    (void)state;
    static struct rt_result r;
    static const char *const cases[][2] = {{"s", "parks"}, {"y", "yields"}, {"t", "yields"}, {"e", "ends"}};
    for (size_t i = 0; i < 4; i++) {
        char text[100];
        snprintf(text, sizeof text, "the goroutine that was started here %s while it holds the pthread mutex at",
                 cases[i][1]);
        rt_spawn("hold", cases[i][0], NULL, &r);
        CHECK_SIGNAL(&r, SIGABRT);
        CHECK_SAYS(&r, text);
        CHECK_SAYS(&r, "test_checked.c:"); /* the start site */
        CHECK_SAYS(&r, "locked in ");
        CHECK_SAYS(&r, "goroutine 1 \"cyg_call\""); /* the dump */
    }
}

/* ---- stack census -------------------------------------------------------------------------------------------------------------- */

static int deep_line, shallow_line, ended;
__attribute__((noinline)) static void use(size_t n) {
    volatile char buf[40000];
    for (size_t i = 0; i < n; i++) buf[sizeof buf - 1 - i] = (char)i;
}
static void goes_deep(void *arg) {
    use(arg ? 40000 : 100);
    ADD(ended, 1);
}
static void stays_shallow(void *arg) {
    (void)arg;
    ADD(ended, 1);
}
static int census(void *arg) {
    (void)arg;
    for (int i = 1; i <= 20; i++) { /* one after the other, on the same stack */
        deep_line = __LINE__ + 1;
        GO(goes_deep, &ended);
        WAIT_FOR(LOAD(ended) == 2 * i - 1);
        shallow_line = __LINE__ + 1;
        GO(stays_shallow, NULL);
        WAIT_FOR(LOAD(ended) == 2 * i);
    }
    fprintf(stderr, "lines %d %d\n", deep_line, shallow_line);
    return cyg_stack_census(2);
}
static int census_child(int argc, char **argv) {
    (void)argc, (void)argv;
    if (cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 1}) != 0) return 99;
    int r = cyg_call(census, NULL);
    return cyg_runtime_stop() != 0 ? 98 : r == CYG_ENOTSUP ? 3 : r;
}
static size_t depth_at(const struct rt_result *r, int line, unsigned long long *n) {
    char want[64];
    snprintf(want, sizeof want, "test_checked.c:%d\n", line);
    const char *at = strstr(r->err, want);
    CHECK(at && strstr(at + 1, want)); /* when asked, and when the runtime stopped */
    while (at > r->err && at[-1] != '\n') at--;
    size_t depth = 0, size = 0;
    CHECK_EQ(sscanf(at, "stack census: %zu of %zu bytes used, %llu goroutines", &depth, &size, n), 3);
    return depth;
}
static void test_census_tells_the_deepest_use_by_start_site(void **state) {
    (void)state;
    static struct rt_result r;
    rt_spawn("census", "", "CYGNET_DEBUG=census", &r);
    CHECK_EXIT(&r, 0);
    int deep, shallow;
    CHECK_EQ(sscanf(r.err, "lines %d %d", &deep, &shallow), 2);
    unsigned long long n = 0;
    size_t depth = depth_at(&r, deep, &n);
    CHECK(depth > 40000 && depth < 60000);
    CHECK_EQ(n, 20);
    CHECK(depth_at(&r, shallow, &n) < 8000); /* although the stack had been used deeply before */
    CHECK_EQ(n, 20);
    rt_spawn("census", "", NULL, &r);
    CHECK_EXIT(&r, 3); /* nothing without being asked */
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"hold", hold_child}, {"census", census_child}, {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mutexes_that_are_let_go_in_time_are_no_matter),
        cmocka_unit_test(test_foreign_threads_are_not_looked_at),
        cmocka_unit_test(test_leaving_the_thread_with_a_mutex_held_aborts),
        cmocka_unit_test(test_census_tells_the_deepest_use_by_start_site),
    };
    int code = rt_child_main(argc, argv, kids);
    return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
