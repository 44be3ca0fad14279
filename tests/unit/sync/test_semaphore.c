/* test_semaphore.c: semaphores: the bound, order of arrival, hand-over, ends by time and by context, misuse. Row 35.
 */
#include "../rt.h"

static cyg_semaphore sem;
static int64_t taken;
static int done, order[16], norder, err;

static int queue_length(void) {
    int n = 0;
    while (__atomic_exchange_n(&sem.qlock, 1, __ATOMIC_ACQUIRE)) cyg_yield();
    for (void **w = (void **)sem.queue.head; w; w = *w) n++; /* the links of a waiter are the first of it */
    __atomic_store_n(&sem.qlock, 0, __ATOMIC_RELEASE);
    return n;
}

static void take_and_give(void *arg) {
    uint64_t n = (uint64_t)(intptr_t)arg;
    for (int i = 0; i < 300 / RT_LESS; i++) {
        if (i % 7 == 0) {
            if (!cyg_semaphore_tryacquire(&sem, n)) continue;
        } else if (i % 5 == 0) {
            int r = cyg_semaphore_acquire_until(&sem, n, cyg_now() + i % 30 * CYG_MICROSECOND);
            CHECK(r == 0 || r == CYG_ETIMEDOUT);
            if (r) continue;
        } else {
            CHECK_EQ(cyg_semaphore_acquire(&sem, n), 0);
        }
        CHECK(ADD(taken, (int64_t)n) <= 10);
        if (i % 3 == 0) cyg_yield();
        ADD(taken, -(int64_t)n);
        cyg_semaphore_release(&sem, n);
    }
    ADD(done, 1);
}
RT_TEST(test_no_more_units_than_there_are) {
    cyg_semaphore_init(&sem, 10);
    STORE(done, 0);
    for (intptr_t i = 0; i < 20; i++) GO(take_and_give, (void *)(i % 10 + 1));
    WAIT_FOR(LOAD(done) == 20);
    CHECK_EQ(cyg_semaphore_available(&sem), 10);
}

static void take(void *arg) {
    int n = (int)(intptr_t)arg;
    CHECK_EQ(cyg_semaphore_acquire(&sem, (uint64_t)n), 0);
    order[ADD(norder, 1) - 1] = n; /* one release may grant to several, which then run at once */
    ADD(done, 1);
}
/* A large request is not overtaken by small ones that would fit. */
RT_TEST(test_first_come_first_served) {
    cyg_semaphore_init(&sem, 10);
    STORE(done, 0);
    norder = 0;
    CHECK_EQ(cyg_semaphore_acquire(&sem, 8), 0);
    GO(take, (void *)9);
    WAIT_FOR(queue_length() == 1);
    CHECK_EQ(cyg_semaphore_available(&sem), 2);
    CHECK(!cyg_semaphore_tryacquire(&sem, 1));
    GO(take, (void *)1);
    WAIT_FOR(queue_length() == 2);
    for (int i = 0; i < 20; i++) cyg_yield();
    CHECK_EQ(LOAD(done), 0);
    cyg_semaphore_release(&sem, 7);
    WAIT_FOR(LOAD(done) == 1);
    CHECK_EQ(order[0], 9);
    cyg_semaphore_release(&sem, 1);
    WAIT_FOR(LOAD(done) == 2);
    cyg_semaphore_release(&sem, 10);
}

static void take_under(void *arg) {
    cyg_ctx_scope s = cyg_ctx_enter(arg);
    err = cyg_semaphore_acquire(&sem, 5);
    cyg_ctx_leave(&s);
    ADD(done, 1);
}
/* What stood behind one that gave up is served if it can be. */
RT_TEST(test_giving_up_makes_way_for_those_behind) {
    cyg_semaphore_init(&sem, 6);
    STORE(done, 0);
    norder = 0;
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    CHECK_EQ(cyg_semaphore_acquire(&sem, 3), 0);
    GO(take_under, ctx);
    WAIT_FOR(queue_length() == 1);
    GO(take, (void *)2);
    WAIT_FOR(queue_length() == 2);
    GO(take, (void *)1);
    WAIT_FOR(queue_length() == 3);
    CHECK_EQ(cyg_semaphore_acquire_until(&sem, 1, cyg_now() + CYG_MILLISECOND), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_semaphore_acquire_until(&sem, 1, 1), CYG_ETIMEDOUT);
    cyg_ctx_cancel(ctx, -EINTR);
    WAIT_FOR(LOAD(done) == 3);
    CHECK_EQ(err, -EINTR);
    CHECK_EQ(cyg_semaphore_available(&sem), 0);
    STORE(done, 0);
    GO(take_under, ctx); /* an ended context takes nothing */
    WAIT_FOR(LOAD(done) == 1);
    CHECK_EQ(err, -EINTR);
    cyg_semaphore_release(&sem, 6);
    CHECK_EQ(cyg_semaphore_acquire(&sem, 7), CYG_EINVAL);
}

static int stop;
static void hold_it(void *arg) {
    (void)arg;
    CHECK_EQ(cyg_semaphore_acquire(&sem, 1), 0);
    WAIT_FOR(LOAD(stop));
    cyg_semaphore_release(&sem, 1);
    ADD(done, 1);
}
/* A release serves whoever waits, before that one runs: however fast somebody else asks again, he stands behind. */
RT_TEST(test_hand_over_bounds_the_wait) {
    cyg_semaphore_init(&sem, 1);
    for (int i = 0; i < 100; i++) {
        STORE(done, 0);
        STORE(stop, 0);
        CHECK_EQ(cyg_semaphore_acquire(&sem, 1), 0);
        GO(hold_it, NULL);
        WAIT_FOR(queue_length() == 1);
        cyg_semaphore_release(&sem, 1);
        CHECK(!cyg_semaphore_tryacquire(&sem, 1));
        CHECK_EQ(cyg_semaphore_available(&sem), 0);
        STORE(stop, 1);
        CHECK_EQ(cyg_semaphore_acquire(&sem, 1), 0);
        cyg_semaphore_release(&sem, 1);
        WAIT_FOR(LOAD(done) == 1);
    }
}

static int misuse(void *arg) {
    (void)arg;
    cyg_semaphore s = CYG_SEMAPHORE(3);
    CHECK_EQ(cyg_semaphore_acquire(&s, 2), 0);
    cyg_semaphore_release(&s, 3);
    return 0;
}
static int misuse_child(int argc, char **argv) {
    (void)argc, (void)argv;
    return cyg_runtime_start(NULL) != 0 ? 99 : cyg_call(misuse, NULL);
}
static void test_giving_back_too_much_aborts(void **state) {
    (void)state;
    static struct rt_result r;
    rt_spawn("misuse", "", NULL, &r);
    CHECK_SIGNAL(&r, SIGABRT);
    CHECK_SAYS(&r, "more units given back");
    CHECK_SAYS(&r, "test_semaphore.c:");
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"misuse", misuse_child}, {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_more_units_than_there_are),         cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_giving_up_makes_way_for_those_behind), cmocka_unit_test(test_hand_over_bounds_the_wait),
        cmocka_unit_test(test_giving_back_too_much_aborts),
    };
    int code = rt_child_main(argc, argv, kids);
    return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
