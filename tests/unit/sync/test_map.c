/* test_map.c: the concurrent map: against a plain array, under many goroutines, values that are counted, the bound, range.
 */
#include "../rt.h"

#include "sync/map_hash.h"

static int done;
static cyg_map *map;

static cyg_map_stats stats(void) {
    cyg_map_stats st;
    cyg_map_get_stats(map, &st);
    return st;
}
static cyg_str name(char *buf, int i) {
    int n = sprintf(buf, "key number %d", i);
    return (cyg_str){buf, (size_t)n};
}
#define V(x) ((void *)(intptr_t)(x))

/* ---- hash -------------------------------------------------------------------------------------------------------------- */

/* Different in one bit, or one byte longer: different by half the bits, about. */
static void test_hash_spreads(void **state) {
    (void)state;
    struct map_secret s = {0x0123456789abcdefu, 0xfedcba9876543210u}, t = {1, 2};
    char text[32] = "the quick brown fox jumps over";
    for (size_t n = 0; n < 30; n++) {
        uint64_t h = map_hash_bytes(&s, text, n);
        int d = __builtin_popcountll(h ^ map_hash_bytes(&s, text, n + 1));
        CHECK(d > 10 && d < 54);
        CHECK(h != map_hash_bytes(&t, text, n)); /* another secret, other collisions */
        if (!n) continue;
        text[n - 1] ^= 1;
        d = __builtin_popcountll(h ^ map_hash_bytes(&s, text, n));
        CHECK(d > 10 && d < 54);
        text[n - 1] ^= 1;
    }
    for (int bit = 0; bit < 64; bit++) {
        int d = __builtin_popcountll(map_hash_number(&s, 42) ^ map_hash_number(&s, 42 ^ (1ull << bit)));
        CHECK(d > 10 && d < 54);
    }
}

/* ---- one goroutine ------------------------------------------------------------------------------------------------------- */

enum { KEYS = 3000 };
static bool sum_up(const cyg_map_entry *e, void *arg) {
    intptr_t *model = arg, i = 0;
    if (e->key.n) {
        char text[40] = "";
        memcpy(text, e->key.p, e->key.n);
        CHECK_EQ(sscanf(text, "key number %zd", &i), 1);
    } else {
        i = (intptr_t)e->number;
    }
    CHECK(model[i] && e->value == V(model[i]));
    model[i] = 0; /* seen */
    return true;
}
/* Random operations, the same on an array: both kinds of keys, growing and shrinking. */
static void same_as_an_array(bool numbers) {
    intptr_t *model = calloc(KEYS, sizeof *model);
    map = cyg_map_new(&(cyg_map_opts){.numbers = numbers});
    uint32_t x = 12345;
    char buf[40];
    for (int step = 0; step < 60000 / RT_LESS; step++) {
        x = x * 1664525u + 1013904223u;
        int i = (int)(x >> 8) % KEYS, op = (int)(x >> 28) % 4;
        intptr_t v = step + 1;
        void *old = V(-1), *now = V(-1);
        cyg_str k = name(buf, i);
        if (op == 0) {
            CHECK(V(model[i]) == (numbers ? cyg_map_get_u64(map, (uint64_t)i) : cyg_map_get(map, k)));
        } else if (op == 1 || (step < 30000 / RT_LESS && op == 2)) {
            CHECK_EQ(numbers ? cyg_map_set_u64(map, (uint64_t)i, V(v), &old) : cyg_map_set(map, k, V(v), &old), 0);
            CHECK(old == V(model[i]));
            model[i] = v;
        } else if (op == 2) {
            bool was = numbers ? cyg_map_delete_u64(map, (uint64_t)i, &old) : cyg_map_delete(map, k, &old);
            CHECK_EQ(was, model[i] != 0);
            CHECK(old == (was ? V(model[i]) : V(-1)));
            model[i] = 0;
        } else {
            int r = numbers ? cyg_map_get_or_set_u64(map, (uint64_t)i, V(v), &now) : cyg_map_get_or_set(map, k, V(v), &now);
            CHECK_EQ(r, model[i] != 0);
            if (!model[i]) model[i] = v;
            CHECK(now == V(model[i]));
        }
    }
    uint64_t n = 0;
    for (int i = 0; i < KEYS; i++) n += model[i] != 0;
    CHECK_EQ(stats().entries, n);
    CHECK_EQ(cyg_map_range(map, sum_up, model), 0);
    for (int i = 0; i < KEYS; i++) CHECK_EQ(model[i], 0); /* all seen */
    cyg_map_free(map);
    free(model);
}
RT_TEST(test_does_what_an_array_does) {
    same_as_an_array(false);
    same_as_an_array(true);
}

RT_TEST(test_keys_are_bytes_of_any_kind_and_values_are_not_null) {
    map = cyg_map_new(NULL);
    CHECK_EQ(cyg_map_set(map, CYG_STR(""), V(1), NULL), 0);
    CHECK_EQ(cyg_map_set(map, CYG_STR("a\0b"), V(2), NULL), 0);
    CHECK_EQ(cyg_map_set(map, CYG_STR("a\0c"), V(3), NULL), 0);
    CHECK(cyg_map_get(map, (cyg_str){NULL, 0}) == V(1));
    CHECK(cyg_map_get(map, CYG_STR("a\0b")) == V(2));
    CHECK(cyg_map_get(map, CYG_STR("a")) == NULL);
    CHECK_EQ(cyg_map_set(map, CYG_STR("x"), NULL, NULL), CYG_EINVAL);
    cyg_map_free(map);
    cyg_map_free(NULL);
}

/* ---- counted values ------------------------------------------------------------------------------------------------------ */

struct session {
    int refs; /* atomic */
    int key;
};
static int alive;
static struct session *session_new(int key) {
    struct session *s = malloc(sizeof *s);
    *s = (struct session){1, key};
    ADD(alive, 1);
    return s;
}
static void acquire(void *p) { CHECK(ADD(((struct session *)p)->refs, 1) > 1); }
static void release(void *p) {
    struct session *s = p;
    int left = ADD(s->refs, -1);
    CHECK(left >= 0);
    if (left) return;
    ADD(alive, -1);
    free(s);
}
static bool look(const cyg_map_entry *e, void *arg) {
    struct session *s = e->value;
    CHECK(LOAD(s->refs) >= 1);
    ++*(int *)arg;
    if (*(int *)arg % 16 == 0) cyg_yield(); /* no lock is held */
    return *(int *)arg < 500;
}

enum { SESSIONS = 200 };
static void use_sessions(void *arg) {
    uint32_t x = (uint32_t)(uintptr_t)arg * 7919u + 1;
    char buf[40];
    for (int i = 0; i < 2000 / RT_LESS; i++) {
        x = x * 1664525u + 1013904223u;
        int key = (int)(x >> 8) % SESSIONS, op = (int)(x >> 28) % 8;
        cyg_str k = name(buf, key);
        void *v = NULL;
        if (op < 3) {
            struct session *s = cyg_map_get(map, k);
            if (!s) continue;
            CHECK_EQ(s->key, key); /* and it stays, whoever takes it out */
            cyg_yield();
            CHECK_EQ(s->key, key);
            release(s);
        } else if (op < 5) {
            struct session *mine = session_new(key), *s;
            int r = cyg_map_get_or_set(map, k, mine, &v);
            if (r) release(mine);
            if (r < 0) continue;
            s = v;
            CHECK_EQ(s->key, key);
            release(s);
        } else if (op == 5) {
            struct session *mine = session_new(key);
            if (cyg_map_set(map, k, mine, i % 2 ? &v : NULL) < 0) release(mine);
            if (v) release(v);
        } else if (op == 6) {
            if (cyg_map_delete(map, k, i % 2 ? &v : NULL) && v) release(v);
        } else if (i % 50 == 0) {
            int n = 0;
            CHECK_EQ(cyg_map_range(map, look, &n), 0);
        }
    }
    ADD(done, 1);
}
static void sessions(const cyg_map_opts *o) {
    STORE(done, 0);
    STORE(alive, 0);
    map = cyg_map_new(o);
    for (intptr_t i = 0; i < 12; i++) GO(use_sessions, (void *)i);
    WAIT_FOR(LOAD(done) == 12);
    CHECK_EQ(stats().entries, (uint64_t)LOAD(alive)); /* nothing but what the map has */
    if (o->max_entries) CHECK(stats().entries <= o->max_entries);
    CHECK_EQ(stats().evictions_total > 0, o->evict);
    CHECK_EQ(stats().refusals_total > 0, o->max_entries && !o->evict);
    cyg_map_free(map);
    CHECK_EQ(LOAD(alive), 0);
}
RT_TEST(test_counted_values_under_many_goroutines) {
    sessions(&(cyg_map_opts){.acquire = acquire, .release = release});
    sessions(&(cyg_map_opts){.acquire = acquire, .release = release, .max_entries = 50});
    sessions(&(cyg_map_opts){.acquire = acquire, .release = release, .max_entries = 50, .evict = true});
}

static int winners;
static void set_first(void *arg) {
    void *now;
    for (uint64_t k = 0; k < 500; k++) {
        int r = cyg_map_get_or_set_u64(map, k, arg, &now);
        CHECK(r == 1 || now == arg);
        if (r == 0) ADD(winners, 1);
        CHECK(cyg_map_get_u64(map, k) == now);
    }
    ADD(done, 1);
}
RT_TEST(test_of_all_that_get_or_set_one_sets) {
    STORE(done, 0);
    STORE(winners, 0);
    map = cyg_map_new(&(cyg_map_opts){.numbers = true});
    for (intptr_t i = 1; i <= 10; i++) GO(set_first, V(i));
    WAIT_FOR(LOAD(done) == 10);
    CHECK_EQ(LOAD(winners), 500);
    CHECK_EQ(stats().entries, 500);
    CHECK_EQ(stats().misses_total, 500);
    CHECK_EQ(stats().hits_total, 10 * 500 + 9 * 500);
    cyg_map_free(map);
}

/* ---- the bound ----------------------------------------------------------------------------------------------------------- */

RT_TEST(test_bound_refuses_new_keys_only) {
    map = cyg_map_new(&(cyg_map_opts){.numbers = true, .max_entries = 10});
    void *now;
    for (uint64_t k = 0; k < 10; k++) CHECK_EQ(cyg_map_set_u64(map, k, V(1), NULL), 0);
    CHECK_EQ(cyg_map_set_u64(map, 10, V(1), NULL), CYG_ELIMIT);
    CHECK_EQ(cyg_map_get_or_set_u64(map, 10, V(1), &now), CYG_ELIMIT);
    CHECK_EQ(cyg_map_set_u64(map, 3, V(2), NULL), 0);
    CHECK(cyg_map_delete_u64(map, 3, NULL));
    CHECK_EQ(cyg_map_set_u64(map, 10, V(1), NULL), 0);
    CHECK_EQ(stats().entries, 10);
    CHECK_EQ(stats().refusals_total, 2);
    cyg_map_free(map);
}

RT_TEST(test_eviction_spares_what_is_asked_for) {
    enum { N = 1000 };
    map = cyg_map_new(&(cyg_map_opts){.numbers = true, .max_entries = N, .evict = true});
    for (uint64_t k = 0; k < N; k++) CHECK_EQ(cyg_map_set_u64(map, k, V(1), NULL), 0);
    for (uint64_t k = 0; k < 20 * N; k++) {
        if (k % 10 == 0)
            for (uint64_t hot = 0; hot < 10; hot++) (void)cyg_map_get_u64(map, hot);
        CHECK_EQ(cyg_map_set_u64(map, N + k, V(1), NULL), 0);
        CHECK_EQ(stats().entries, N);
    }
    for (uint64_t hot = 0; hot < 10; hot++) CHECK(cyg_map_get_u64(map, hot));
    CHECK_EQ(stats().evictions_total, 20 * N);
    cyg_map_free(map);
}

static int wrong_kind_child(int argc, char **argv) {
    (void)argc, (void)argv;
    map = cyg_map_new(&(cyg_map_opts){.numbers = true});
    return cyg_map_get(map, CYG_STR("x")) != NULL;
}
static void test_the_wrong_kind_of_key_aborts(void **state) {
    (void)state;
    static struct rt_result r;
    rt_spawn("wrong_kind", "", NULL, &r);
    CHECK_SIGNAL(&r, SIGABRT);
    CHECK_SAYS(&r, "a string as key of a map of numbers");
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"wrong_kind", wrong_kind_child}, {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_spreads),
        cmocka_unit_test(test_does_what_an_array_does),
        cmocka_unit_test(test_keys_are_bytes_of_any_kind_and_values_are_not_null),
        cmocka_unit_test(test_counted_values_under_many_goroutines),
        cmocka_unit_test(test_of_all_that_get_or_set_one_sets),
        cmocka_unit_test(test_bound_refuses_new_keys_only),
        cmocka_unit_test(test_eviction_spares_what_is_asked_for),
        cmocka_unit_test(test_the_wrong_kind_of_key_aborts),
    };
    int code = rt_child_main(argc, argv, kids);
    return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
