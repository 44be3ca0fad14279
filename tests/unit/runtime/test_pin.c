/* test_pin.c: cyg_lock_thread: a goroutine that stays on its thread, and has it to itself. */
#include "../rt.h"

static int done, on_my_thread;
static pid_t pinned_tid;

static void count_if_here(void *arg) {
    (void)arg;
    for (int i = 0; i < 20; i++) {
        if (gettid() == LOAD(pinned_tid)) ADD(on_my_thread, 1);
        cyg_yield();
    }
    ADD(done, 1);
}

static void stay(void) {
    pid_t tid = gettid();
    STORE(pinned_tid, tid);
    for (int i = 0; i < 10; i++) GO(count_if_here, NULL);
    for (int i = 0; i < 50; i++) {
        cyg_yield();
        CHECK_EQ(gettid(), tid);
        if (i % 10 == 0) CHECK_EQ(cyg_sleep(CYG_MICROSECOND), 0);
        CHECK_EQ(gettid(), tid);
    }
    WAIT_FOR(LOAD(done) == 10);
    CHECK_EQ(gettid(), tid);
}

static void pinned(void *arg) {
    (void)arg;
    cyg_lock_thread();
    cyg_lock_thread();
    stay();
    cyg_unlock_thread(); /* nested: still pinned */
    pid_t tid = gettid();
    for (int i = 0; i < 10; i++) {
        cyg_yield();
        CHECK_EQ(gettid(), tid);
    }
    CHECK_EQ(LOAD(on_my_thread), 0);
    STORE(pinned_tid, 0);
    cyg_unlock_thread();
    ADD(done, 1);
}

RT_TEST(test_a_pinned_goroutine_keeps_its_thread_to_itself) {
    STORE(done, 0);
    STORE(on_my_thread, 0);
    GO(pinned, NULL);
    WAIT_FOR(LOAD(done) == 11);
}

static void pinned_from_the_start(void *arg) {
    (void)arg;
    stay();
    CHECK_EQ(LOAD(on_my_thread), 0);
    ADD(done, 1); /* and ends without unlocking */
}

RT_TEST(test_a_thread_ends_with_the_goroutine_that_kept_it) {
    STORE(done, 0);
    STORE(on_my_thread, 0);
    CHECK_EQ(cyg_go_with(&(cyg_go_opts){.pinned = true}, pinned_from_the_start, NULL), 0);
    WAIT_FOR(LOAD(done) == 11);
    pid_t tid = LOAD(pinned_tid);
    STORE(pinned_tid, 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d", tid);
    WAIT_FOR(access(path, F_OK) != 0);
}

static int turns;

static void ping(void *arg) {
    int me = (int)(intptr_t)arg;
    cyg_lock_thread();
    pid_t tid = gettid();
    for (int i = 0; i < 100; i++) {
        while (LOAD(turns) % 3 != me) cyg_yield();
        ADD(turns, 1);
        CHECK_EQ(gettid(), tid);
    }
    cyg_unlock_thread();
    ADD(done, 1);
}

RT_TEST(test_pinned_goroutines_take_turns) {
    STORE(done, 0);
    STORE(turns, 0);
    for (int i = 0; i < 3; i++) GO(ping, (void *)(intptr_t)i);
    WAIT_FOR(LOAD(done) == 3);
    CHECK_EQ(LOAD(turns), 300);
}

static int sleep_a_little(void *arg) {
    (void)arg;
    return poll(NULL, 0, 2);
}

static void pinned_and_blocking(void *arg) {
    (void)arg;
    pid_t tid = gettid();
    CHECK_EQ(cyg_blocking(sleep_a_little, NULL), 0);
    CHECK_EQ(gettid(), tid);
    poll(NULL, 0, 15); /* loses its P */
    cyg_yield();
    CHECK_EQ(gettid(), tid);
    cyg_unlock_thread();
    ADD(done, 1);
}

RT_TEST(test_a_pinned_goroutine_blocks_and_comes_back_to_its_thread) {
    STORE(done, 0);
    for (int i = 0; i < 3; i++) CHECK_EQ(cyg_go_with(&(cyg_go_opts){.pinned = true}, pinned_and_blocking, NULL), 0);
    WAIT_FOR(LOAD(done) == 3);
}

static int unlock_main(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_unlock_thread();
    return 0;
}
static int child_unlock(int argc, char **argv) { return cyg_main(unlock_main, argc, argv); }

static void test_unlocking_what_is_not_locked_aborts(void **state) {
    (void)state;
    struct rt_result r;
    rt_spawn("unlock", "", NULL, &r);
    CHECK_SIGNAL(&r, SIGABRT);
    CHECK_SAYS(&r, "cyg_unlock_thread without cyg_lock_thread");
}

static const struct rt_child kids[] = {{"unlock", child_unlock}, {NULL, NULL}};
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_pinned_goroutine_keeps_its_thread_to_itself),
    cmocka_unit_test(test_a_thread_ends_with_the_goroutine_that_kept_it),
    cmocka_unit_test(test_pinned_goroutines_take_turns),
    cmocka_unit_test(test_a_pinned_goroutine_blocks_and_comes_back_to_its_thread),
    cmocka_unit_test(test_unlocking_what_is_not_locked_aborts),
};
RT_MAIN(tests, kids)
