/* test_objpool.c: object pools: nothing lost or doubled however goroutines move, the bound, statistics, misuse. Row 42.
 */
#include "../rt.h"

struct obj {
    int owner; /* atomic: how many have it */
    uint64_t id;
    char rest[100];
};
static cyg_objpool *pool;
static int done, resets;

static void reset(void *p) {
    struct obj *o = p;
    o->id = 0;
    ADD(resets, 1);
}

static cyg_objpool_stats stats(void) {
    cyg_objpool_stats st;
    cyg_objpool_get_stats(pool, &st);
    return st;
}

/* Holds several at once, parks in between, so it puts most back on another P than it got them on. */
static void churn(void *arg) {
    struct obj *mine[8];
    uint64_t seed = (uint64_t)(intptr_t)arg;
    for (int i = 0; i < 300 / RT_LESS; i++) {
        int n = 1 + (int)(seed + (uint64_t)i) % 8;
        for (int k = 0; k < n; k++) {
            mine[k] = cyg_objpool_get(pool);
            CHECK(mine[k]);
            CHECK_EQ(ADD(mine[k]->owner, 1), 1); /* nobody else has it */
            CHECK_EQ(mine[k]->id, 0);
            mine[k]->id = cyg_goid();
        }
        cyg_yield();
        if (i % 50 == 0) CHECK_EQ(cyg_sleep(10 * CYG_MICROSECOND), 0);
        for (int k = 0; k < n; k++) {
            CHECK_EQ(mine[k]->id, cyg_goid());
            CHECK_EQ(ADD(mine[k]->owner, -1), 0);
            cyg_objpool_put(pool, mine[k]);
        }
        if (i % 97 == 0) (void)cyg_objpool_trim(pool);
    }
    ADD(done, 1);
}
RT_TEST(test_nothing_is_lost_or_doubled) {
    STORE(done, 0);
    STORE(resets, 0);
    pool = cyg_objpool_new(sizeof(struct obj), &(cyg_objpool_opts){.max_idle = 40, .reset = reset});
    for (intptr_t i = 0; i < 16; i++) GO(churn, (void *)i);
    WAIT_FOR(LOAD(done) == 16);
    cyg_objpool_stats st = stats();
    CHECK_EQ(st.used, 0);
    CHECK(st.idle <= 40);
    CHECK_EQ(st.gets_total, (uint64_t)LOAD(resets)); /* each came back once */
    CHECK_EQ(cyg_objpool_trim(pool), st.idle);       /* what is said to be there is there */
    CHECK_EQ(stats().idle, 0);
    cyg_objpool_free(pool);
}

static void *hammer(void *arg) {
    for (int i = 0; i < 200000 / RT_LESS; i++) {
        struct obj *a = cyg_objpool_get(pool), *b = cyg_objpool_get(pool);
        CHECK_EQ(ADD(a->owner, 1), 1);
        CHECK_EQ(ADD(b->owner, 1), 1);
        ADD(a->owner, -1);
        cyg_objpool_put(pool, a);
        ADD(b->owner, -1);
        cyg_objpool_put(pool, b);
    }
    return arg;
}
/* Foreign threads all have the hint 0: the same slots at the same time, as a P's when it was taken from a goroutine in between. */
RT_TEST(test_nothing_is_doubled_when_several_use_one_line) {
    pool = cyg_objpool_new(sizeof(struct obj), NULL);
    pthread_t t[3];
    for (int i = 0; i < 3; i++) CHECK_EQ(pthread_create(&t[i], NULL, hammer, NULL), 0);
    (void)hammer(NULL);
    for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
    CHECK_EQ(stats().used, 0);
    cyg_objpool_free(pool);
}

RT_TEST(test_new_ones_are_zero_and_old_ones_are_used_again) {
    pool = cyg_objpool_new(sizeof(struct obj), NULL);
    struct obj *a = cyg_objpool_get(pool);
    for (size_t i = 0; i < sizeof *a; i++) CHECK_EQ(((char *)a)[i], 0);
    CHECK_EQ((uintptr_t)a % _Alignof(max_align_t), 0);
    a->id = 7;
    cyg_objpool_put(pool, a);
    cyg_objpool_put(pool, NULL);
    struct obj *b = cyg_objpool_get(pool);
    CHECK(b == a);
    CHECK_EQ(b->id, 7); /* without a reset as it was left */
    cyg_objpool_stats st = stats();
    CHECK_EQ(st.gets_total, 2);
    CHECK_EQ(st.news_total, 1);
    CHECK_EQ(st.used, 1);
    CHECK_EQ(st.idle, 0);
    cyg_objpool_put(pool, b);
    cyg_objpool_free(pool);
}

RT_TEST(test_bound_is_kept_however_small) {
    for (size_t bound = 1; bound < 40; bound += 3) {
        pool = cyg_objpool_new(10, &(cyg_objpool_opts){.max_idle = bound});
        void *all[200];
        for (int i = 0; i < 200; i++) CHECK((all[i] = cyg_objpool_get(pool)));
        for (int i = 0; i < 200; i++) cyg_objpool_put(pool, all[i]);
        CHECK(stats().idle <= bound);
        CHECK_EQ(stats().idle + stats().drops_total, 200);
        cyg_objpool_free(pool);
    }
}

static void put_on_many_ps(void *arg) {
    cyg_objpool_put(pool, arg);
    ADD(done, 1);
}
/* What other Ps have put back is found before anything new is made. */
RT_TEST(test_idle_ones_are_found_on_every_p) {
    STORE(done, 0);
    pool = cyg_objpool_new(10, &(cyg_objpool_opts){.max_idle = 100});
    void *all[50];
    for (int i = 0; i < 50; i++) CHECK((all[i] = cyg_objpool_get(pool)));
    for (int i = 0; i < 50; i++) GO(put_on_many_ps, all[i]);
    WAIT_FOR(LOAD(done) == 50);
    uint64_t idle = stats().idle;
    for (uint64_t i = 0; i < idle; i++) CHECK((all[i] = cyg_objpool_get(pool)));
    CHECK_EQ(stats().news_total, 50);
    for (uint64_t i = 0; i < idle; i++) cyg_objpool_put(pool, all[i]);
    cyg_objpool_free(pool);
}

static int misuse(void *arg) {
    cyg_objpool *p = cyg_objpool_new(10, NULL), *q = cyg_objpool_new(10, NULL);
    void *o = cyg_objpool_get(p);
    switch (*(const char *)arg) {
    case 'd': cyg_objpool_put(p, o), cyg_objpool_put(p, o); break;
    case 'o': cyg_objpool_put(q, o); break;
    case 'f': cyg_objpool_free(p); break;
    }
    return 0;
}
static int misuse_child(int argc, char **argv) {
    return argc != 1 || cyg_runtime_start(NULL) != 0 ? 99 : cyg_call(misuse, argv[0]);
}
static void test_misuse_aborts_and_says_where(void **state) {
    (void)state;
    static struct rt_result r;
    static const char *const cases[][2] = {
        {"d", "was put back already"}, {"o", "is not an object of this pool"}, {"f", "freed with 1 objects out"}};
    for (size_t i = 0; i < 3; i++) {
        rt_spawn("misuse", cases[i][0], NULL, &r);
        CHECK_SIGNAL(&r, SIGABRT);
        CHECK_SAYS(&r, cases[i][1]);
        CHECK_SAYS(&r, "test_objpool.c:");
    }
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"misuse", misuse_child}, {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_lost_or_doubled),
        cmocka_unit_test(test_nothing_is_doubled_when_several_use_one_line),
        cmocka_unit_test(test_new_ones_are_zero_and_old_ones_are_used_again),
        cmocka_unit_test(test_bound_is_kept_however_small),
        cmocka_unit_test(test_idle_ones_are_found_on_every_p),
        cmocka_unit_test(test_misuse_aborts_and_says_where),
    };
    int code = rt_child_main(argc, argv, kids);
    return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
