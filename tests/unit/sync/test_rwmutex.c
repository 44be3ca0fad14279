/* test_rwmutex.c: rwmutex: exclusion, readers in parallel, neither side starves, ends by context, misuse. Row 38.
 */
#include "../rt.h"

static cyg_rwmutex rw;
static int readers, writers, done, err, order[8], norder;

static void check_reader(void) {
    ADD(readers, 1);
    CHECK_EQ(LOAD(writers), 0);
    cyg_yield();
    CHECK_EQ(LOAD(writers), 0);
    ADD(readers, -1);
}
static void check_writer(void) {
    CHECK_EQ(ADD(writers, 1), 1);
    CHECK_EQ(LOAD(readers), 0);
    cyg_yield();
    CHECK_EQ(LOAD(readers), 0);
    ADD(writers, -1);
}

static void reads(void *arg) {
    for (int i = 0; i < 500 / RT_LESS; i++) {
        if (i % 5 == 0) {
            if (!cyg_rwmutex_tryrlock(&rw)) continue;
        } else {
            cyg_rwmutex_rlock(&rw);
        }
        check_reader();
        cyg_rwmutex_runlock(&rw);
        if (arg && i % 3 == 0) cyg_yield();
    }
    ADD(done, 1);
}
static void writes(void *arg) {
    for (int i = 0; i < 500 / RT_LESS; i++) {
        if (i % 5 == 0) {
            if (!cyg_rwmutex_trylock(&rw)) continue;
        } else {
            cyg_rwmutex_lock(&rw);
        }
        check_writer();
        cyg_rwmutex_unlock(&rw);
        if (arg && i % 3 == 0) cyg_yield();
    }
    ADD(done, 1);
}
static void gives_up(void *arg) {
    (void)arg;
    for (int i = 0; i < 200 / RT_LESS; i++) {
        cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_timeout(NULL, i % 20 * CYG_MICROSECOND + 1);
        cyg_ctx_scope s = cyg_ctx_enter(ctx);
        if (i % 2) {
            if (cyg_rwmutex_lock_ctx(&rw) == 0) {
                check_writer();
                cyg_rwmutex_unlock(&rw);
            }
        } else if (cyg_rwmutex_rlock_ctx(&rw) == 0) {
            check_reader();
            cyg_rwmutex_runlock(&rw);
        }
        cyg_ctx_leave(&s);
    }
    ADD(done, 1);
}

RT_TEST(test_writers_exclude_all_readers_only_writers) {
    STORE(done, 0);
    for (int i = 0; i < 10; i++) GO(reads, i % 2 ? &done : NULL);
    GO(writes, NULL);
    GO(writes, &done);
    GO(gives_up, NULL);
    GO(gives_up, NULL);
    WAIT_FOR(LOAD(done) == 14);
    CHECK(cyg_rwmutex_trylock(&rw)); /* and nothing is left behind */
    cyg_rwmutex_unlock(&rw);
    CHECK_EQ(LOAD(rw.state), 0);
}

static int inside, leave;
static void read_together(void *arg) {
    (void)arg;
    cyg_rwmutex_rlock(&rw);
    ADD(inside, 1);
    WAIT_FOR(LOAD(leave));
    cyg_rwmutex_runlock(&rw);
    ADD(done, 1);
}
RT_TEST(test_readers_hold_it_in_parallel) {
    STORE(done, 0);
    STORE(inside, 0);
    STORE(leave, 0);
    for (int i = 0; i < 20; i++) GO(read_together, NULL);
    WAIT_FOR(LOAD(inside) == 20);
    CHECK(!cyg_rwmutex_trylock(&rw));
    CHECK(cyg_rwmutex_tryrlock(&rw));
    cyg_rwmutex_runlock(&rw);
    STORE(leave, 1);
    WAIT_FOR(LOAD(done) == 20);
}

static void write_once(void *arg) {
    cyg_rwmutex_lock(&rw);
    order[norder++] = (int)(intptr_t)arg;
    cyg_rwmutex_unlock(&rw);
    ADD(done, 1);
}
static int nreads;
static void read_once(void *arg) {
    cyg_rwmutex_rlock(&rw);
    if (arg) ADD(nreads, 1);
    cyg_rwmutex_runlock(&rw);
    ADD(done, 1);
}
static int waiting(void) { /* how many goroutines stand in the queues */
    int n = 0;
    while (__atomic_exchange_n(&rw.qlock, 1, __ATOMIC_ACQUIRE)) cyg_yield();
    /* The links of a waiter are the first of it. */
    for (void **w = (void **)rw.rwait.head; w; w = *w) n++;
    for (void **w = (void **)rw.wwait.head; w; w = *w) n++;
    __atomic_store_n(&rw.qlock, 0, __ATOMIC_RELEASE);
    return n;
}

/* A waiting writer keeps new readers out; when it leaves, all readers that came meanwhile go before the next writer. */
RT_TEST(test_phases_alternate_between_a_writer_and_all_waiting_readers) {
    STORE(done, 0);
    STORE(nreads, 0);
    norder = 0;
    cyg_rwmutex_rlock(&rw);
    GO(write_once, (void *)1);
    WAIT_FOR(waiting() == 1);
    CHECK(!cyg_rwmutex_tryrlock(&rw)); /* it would starve the writer */
    GO(write_once, (void *)2);
    WAIT_FOR(waiting() == 2);
    for (int i = 0; i < 10; i++) GO(read_once, NULL);
    WAIT_FOR(waiting() == 12);
    cyg_rwmutex_runlock(&rw);
    WAIT_FOR(LOAD(done) == 12);
    CHECK_EQ(order[0], 1);
    CHECK_EQ(order[1], 2);
    CHECK_EQ(LOAD(rw.state), 0);

    cyg_rwmutex_lock(&rw); /* both wait for a writer: readers first */
    GO(write_once, (void *)3);
    WAIT_FOR(waiting() == 1);
    STORE(leave, 0);
    STORE(inside, 0);
    for (int i = 0; i < 3; i++) GO(read_together, NULL);
    WAIT_FOR(waiting() == 4);
    cyg_rwmutex_unlock(&rw);
    WAIT_FOR(LOAD(inside) == 3);
    CHECK_EQ(norder, 2); /* the writer waits for them */
    STORE(leave, 1);
    WAIT_FOR(LOAD(done) == 16);
    CHECK_EQ(norder, 3);
}

static int stop;
static void read_always(void *arg) {
    (void)arg;
    cyg_time end = cyg_now() + RT_DEADLINE;
    while (!LOAD(stop)) {
        CHECK(cyg_now() < end); /* the writer starves */
        cyg_rwmutex_rlock(&rw);
        cyg_yield(); /* another reader comes while this one holds it */
        cyg_rwmutex_runlock(&rw);
    }
    ADD(done, 1);
}
static void write_ten(void *arg) {
    (void)arg;
    for (int i = 0; i < 10; i++) {
        cyg_rwmutex_lock(&rw);
        cyg_rwmutex_unlock(&rw);
    }
    STORE(stop, 1);
    ADD(done, 1);
}
RT_TEST(test_readers_do_not_starve_a_writer) {
    STORE(done, 0);
    STORE(stop, 0);
    for (int i = 0; i < 10; i++) GO(read_always, NULL);
    for (int i = 0; i < 20; i++) cyg_yield();
    GO(write_ten, NULL);
    WAIT_FOR(LOAD(done) == 11);
}

static void lock_under(void *arg) {
    cyg_ctx_scope s = cyg_ctx_enter(arg);
    err = cyg_rwmutex_lock_ctx(&rw);
    cyg_ctx_leave(&s);
    ADD(done, 1);
}
/* Readers that wait behind a writer are let in when it gives up. */
RT_TEST(test_a_writer_that_gives_up_lets_the_readers_in) {
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    STORE(done, 0);
    cyg_rwmutex_rlock(&rw);
    GO(lock_under, ctx);
    WAIT_FOR(waiting() == 1);
    for (int i = 0; i < 40; i++) GO(read_once, NULL);
    WAIT_FOR(waiting() == 41);
    cyg_ctx_cancel(ctx, -EINTR);
    WAIT_FOR(LOAD(done) == 41);
    CHECK_EQ(err, -EINTR);
    cyg_rwmutex_runlock(&rw);
    CHECK_EQ(LOAD(rw.state), 0);
}

static int misuse(void *arg) {
    cyg_rwmutex x = {0};
    switch (*(const char *)arg) {
    case 'u': cyg_rwmutex_unlock(&x); break;
    case 'r': cyg_rwmutex_runlock(&x); break;
    case 'w': cyg_rwmutex_rlock(&x), cyg_rwmutex_unlock(&x); break;
    case 'x': cyg_rwmutex_lock(&x), cyg_rwmutex_runlock(&x); break;
    }
    return 0;
}
static int misuse_child(int argc, char **argv) {
    return argc != 1 || cyg_runtime_start(NULL) != 0 ? 99 : cyg_call(misuse, argv[0]);
}
static void test_misuse_aborts_with_site_and_dump(void **state) {
    (void)state;
    static struct rt_result r;
    static const char *const cases[][2] = {
        {"u", "has no writer"}, {"r", "has no reader"}, {"w", "has no writer"}, {"x", "has no reader"}};
    for (size_t i = 0; i < 4; i++) {
        rt_spawn("misuse", cases[i][0], NULL, &r);
        CHECK_SIGNAL(&r, SIGABRT);
        CHECK_SAYS(&r, cases[i][1]);
        CHECK_SAYS(&r, "test_rwmutex.c:");
        CHECK_SAYS(&r, "goroutine 1 \"cyg_call\"");
    }
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"misuse", misuse_child}, {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writers_exclude_all_readers_only_writers),
        cmocka_unit_test(test_readers_hold_it_in_parallel),
        cmocka_unit_test(test_phases_alternate_between_a_writer_and_all_waiting_readers),
        cmocka_unit_test(test_readers_do_not_starve_a_writer),
        cmocka_unit_test(test_a_writer_that_gives_up_lets_the_readers_in),
        cmocka_unit_test(test_misuse_aborts_with_site_and_dump),
    };
    int code = rt_child_main(argc, argv, kids);
    return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
