/* test_metrics.c: that nothing is lost or counted twice, however many count; where an observation falls; and that the
 * registry finds again what it has and refuses what Prometheus would.
 */
#include "observe/metrics_internal.h"
#include <cygnet/sync.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- counting ----------------------------------------------------------------------------------------------------- */

enum { GOROUTINES = 40, THREADS = 3, ADDS = 5000 };

struct work {
    cyg_counter *c;
    cyg_gauge *g;
    cyg_histogram *h;
    cyg_waitgroup wg;
};

static void count(struct work *w, bool yields) {
    for (int i = 0; i < ADDS; i++) {
        cyg_counter_add(w->c, 3);
        cyg_gauge_add(w->g, i % 2 ? 5 : -7);
        cyg_histogram_observe_ns(w->h, i % 4 * 10000000);
        cyg_histogram_observe(w->h, 0.5);
        if (yields && i % 64 == 0) cyg_yield(); /* perhaps to another P */
    }
}

static void counting_goroutine(void *arg) {
    struct work *w = arg;
    count(w, true);
    cyg_waitgroup_done(&w->wg);
}

static void *counting_thread(void *arg) {
    count(arg, false);
    return NULL;
}

static int count_on_goroutines(void *arg) {
    struct work *w = arg;
    cyg_waitgroup_add(&w->wg, GOROUTINES);
    for (int i = 0; i < GOROUTINES; i++) {
        if (cyg_go(counting_goroutine, w) < 0) abort();
    }
    return cyg_waitgroup_wait(&w->wg);
}

/* The registry is made before the runtime starts (one cell) or while it runs (one for each P): right both ways. */
static void count_at_once(cyg_metrics *m, int late) {
    struct work w = {0};
    for (int round = 0; round < 2; round++) {
        if (round == late) {
            w.c = cyg_counter_new(m, "c_total", "", NULL, 0);
            w.g = cyg_gauge_new(m, "g", "", NULL, 0);
            w.h = cyg_histogram_new(m, "h", "", NULL, 0, NULL, 0);
        }
        if (round == 0) assert_int_equal(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 4}), 0);
    }
    assert_int_equal(w.c->m.ncells, late ? 4 : 1);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, counting_thread, &w);
    assert_int_equal(cyg_call(count_on_goroutines, &w), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(cyg_runtime_stop(), 0);

    uint64_t n = (uint64_t)(GOROUTINES + THREADS) * ADDS, buckets[CYG_METRICS_MAX_BOUNDS + 1];
    double sum;
    assert_int_equal(cyg_counter_get(w.c), 3 * n);
    assert_int_equal(cyg_gauge_get(w.g), -(int64_t)n);
    cyg_histogram_read(w.h, buckets, &sum);
    assert_int_equal(buckets[0], n / 4); /* 0 ms */
    assert_int_equal(buckets[1], n / 4); /* 10 ms */
    assert_int_equal(buckets[2], n / 4); /* 20 ms */
    assert_int_equal(buckets[3], n / 4); /* 30 ms */
    assert_int_equal(buckets[7], n);     /* 0.5 s */
    assert_true(fabs(sum - (double)n * 0.515) < 1e-3);
}

static void test_nothing_is_lost_when_many_count(void **state) {
    (void)state;
    for (int late = 0; late < 2; late++) {
        cyg_metrics *m = cyg_metrics_new();
        count_at_once(m, late);
        cyg_metrics_free(m);
    }
}

static void test_a_counter_set_from_outside_never_falls(void **state) {
    (void)state;
    cyg_metrics *m = cyg_metrics_new();
    cyg_counter *c = cyg_counter_new(m, "c_total", "", NULL, 0);
    cyg_counter_set(c, 7);
    assert_int_equal(cyg_counter_get(c), 7);
    cyg_counter_set(c, 5);
    assert_int_equal(cyg_counter_get(c), 7);
    cyg_counter_add(c, 2);
    cyg_counter_set(c, 8);
    assert_int_equal(cyg_counter_get(c), 9);
    cyg_counter_set(c, UINT64_MAX);
    assert_true(cyg_counter_get(c) == UINT64_MAX);
    cyg_metrics_free(m);
}

static void test_a_gauge_forgets_what_was_added_before_it_was_set(void **state) {
    (void)state;
    cyg_metrics *m = cyg_metrics_new();
    cyg_gauge *g = cyg_gauge_new(m, "g", "", NULL, 0);
    cyg_gauge_add(g, 100);
    cyg_gauge_set(g, INT64_MIN);
    assert_true(cyg_gauge_get(g) == INT64_MIN);
    cyg_gauge_set(g, -3);
    cyg_gauge_add(g, 1);
    cyg_gauge_add(g, -5);
    assert_int_equal(cyg_gauge_get(g), -7);
    cyg_metrics_free(m);
}

/* ---- buckets ------------------------------------------------------------------------------------------------------ */

/* The bucket that one observation falls in. */
static size_t bucket_of(cyg_histogram *h, bool is_ns, int64_t ns, double value) {
    uint64_t before[CYG_METRICS_MAX_BOUNDS + 1], after[CYG_METRICS_MAX_BOUNDS + 1];
    double sum;
    cyg_histogram_read(h, before, &sum);
    if (is_ns)
        cyg_histogram_observe_ns(h, ns);
    else
        cyg_histogram_observe(h, value);
    cyg_histogram_read(h, after, &sum);
    size_t found = SIZE_MAX;
    for (size_t i = 0; i <= h->nbounds; i++) {
        if (after[i] == before[i]) continue;
        assert_int_equal(after[i], before[i] + 1);
        assert_int_equal(found, SIZE_MAX);
        found = i;
    }
    return found;
}

static void check_bounds(const double *bounds, size_t n) {
    cyg_metrics *m = cyg_metrics_new();
    cyg_histogram *h = cyg_histogram_new(m, "h", "", NULL, 0, bounds, n);
    for (size_t i = 0; i < h->nbounds; i++) {
        double b = h->bounds[i];
        int64_t ns = llround(b * 1e9);
        assert_int_equal(bucket_of(h, false, 0, b), i);
        assert_int_equal(bucket_of(h, false, 0, nextafter(b, INFINITY)), i + 1);
        assert_int_equal(bucket_of(h, false, 0, nextafter(b, -INFINITY)), i);
        assert_int_equal(bucket_of(h, true, ns, 0), i);
        if (i + 1 == h->nbounds || llround(h->bounds[i + 1] * 1e9) > ns)
            assert_int_equal(bucket_of(h, true, ns + 1, 0), i + 1);
    }
    for (unsigned bits = 0; bits < 63; bits++) {
        for (int64_t ns = (INT64_C(1) << bits) - 2; ns <= (INT64_C(1) << bits) + 2; ns++) {
            size_t expected = 0;
            int64_t counted = ns < 0 ? 0 : ns;
            while (expected < h->nbounds && counted > llround(h->bounds[expected] * 1e9)) expected++;
            assert_int_equal(bucket_of(h, true, ns, 0), expected);
        }
    }
    assert_int_equal(bucket_of(h, true, INT64_MAX, 0), h->nbounds);
    assert_int_equal(bucket_of(h, true, INT64_MIN, 0), bucket_of(h, true, 0, 0));
    assert_int_equal(bucket_of(h, false, 0, INFINITY), h->nbounds);
    assert_int_equal(bucket_of(h, false, 0, -INFINITY), 0);
    assert_int_equal(bucket_of(h, false, 0, NAN), SIZE_MAX);
    cyg_metrics_free(m);
}

static void test_an_observation_falls_into_the_first_bucket_that_holds_it(void **state) {
    (void)state;
    double many[CYG_METRICS_MAX_BOUNDS];
    for (int i = 0; i < CYG_METRICS_MAX_BOUNDS; i++) many[i] = ldexp(1e-9, i / 2) * (1 + i % 2 * 0.5) + i * 1e-9;
    check_bounds(NULL, 0);
    check_bounds(many, CYG_METRICS_MAX_BOUNDS);
    check_bounds(many, 0);
    check_bounds((double[]){1}, 1);
    check_bounds((double[]){1, 2, 3, 4, 5, 6, 7, 8, 9}, 9);
}

static void test_default_bounds_have_a_fifth_of_a_second(void **state) {
    (void)state;
    static const double expected[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2.5, 5, 10};
    cyg_metrics *m = cyg_metrics_new();
    cyg_histogram *h = cyg_histogram_new(m, "h", "", NULL, 0, NULL, 0);
    assert_int_equal(h->nbounds, 12);
    assert_memory_equal(h->bounds, expected, sizeof expected);
    assert_int_equal((uintptr_t)h->cells % CYG_METRICS_CACHE_LINE, 0);
    assert_int_equal(h->cell_words * sizeof(uint64_t) % CYG_METRICS_CACHE_LINE, 0);
    cyg_metrics_free(m);
}

/* 2^64 ns are 584 years: with 100,000 requests under way at any time, two days. */
static void test_the_sum_of_durations_outlives_64_bits(void **state) {
    (void)state;
    cyg_metrics *m = cyg_metrics_new();
    cyg_histogram *h = cyg_histogram_new(m, "h", "", NULL, 0, NULL, 0);
    for (int i = 0; i < 5; i++) cyg_histogram_observe_ns(h, INT64_MAX);
    uint64_t buckets[CYG_METRICS_MAX_BOUNDS + 1];
    double sum;
    cyg_histogram_read(h, buckets, &sum);
    assert_true(fabs(sum / (5 * 9223372036.854775807) - 1) < 1e-12);
    cyg_metrics_free(m);
}

/* ---- the registry ------------------------------------------------------------------------------------------------- */

static void test_the_same_labels_are_the_same_instrument(void **state) {
    (void)state;
    cyg_metrics *m = cyg_metrics_new();
    char name[] = "c_total", value[] = "x";
    cyg_counter *c = cyg_counter_new(m, name, "", (cyg_label[]){{"a", value}, {"b", "y"}}, 2);
    name[0] = value[0] = '?'; /* strings were copied */
    cyg_counter_add(c, 1);
    assert_ptr_equal(cyg_counter_new(m, "c_total", "", (cyg_label[]){{"a", "x"}, {"b", "y"}}, 2), c);
    assert_ptr_equal(cyg_counter_new(m, "c_total", "other", (cyg_label[]){{"b", "y"}, {"a", "x"}}, 2), c);
    assert_ptr_not_equal(cyg_counter_new(m, "c_total", "", (cyg_label[]){{"a", "x"}, {"b", "z"}}, 2), c);
    assert_ptr_not_equal(cyg_counter_new(m, "c_total", "", (cyg_label[]){{"a", "x"}}, 1), c);
    assert_ptr_not_equal(cyg_counter_new(m, "c_total", "", NULL, 0), c);
    assert_ptr_not_equal(cyg_counter_new(m, "d_total", "", (cyg_label[]){{"a", "x"}, {"b", "y"}}, 2), c);
    assert_int_equal(cyg_counter_get(c), 1);
    cyg_histogram *h = cyg_histogram_new(m, "h", "", NULL, 0, (double[]){1, 2}, 2);
    assert_ptr_equal(cyg_histogram_new(m, "h", "", NULL, 0, NULL, 0), h);
    assert_int_equal(h->nbounds, 2);
    cyg_metrics_free(m);
}

/* Registered in no order, found by a binary search, listed sorted. */
static void test_many_instruments_are_found_again_and_listed_in_order(void **state) {
    (void)state;
    enum { N = 499 };
    static cyg_gauge *all[N];
    cyg_metrics *m = cyg_metrics_new();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++) {
            char name[32], value[32];
            snprintf(name, sizeof name, "g%d", i * 191 % N % 7);
            snprintf(value, sizeof value, "v%d", i * 191 % N);
            cyg_gauge *g = cyg_gauge_new(m, name, "", (cyg_label[]){{"l", value}}, 1);
            if (round == 0) all[i] = g;
            assert_ptr_equal(all[i], g);
        }
    }
    struct cyg_metric **list;
    size_t n;
    assert_int_equal(cyg_metrics_collect(m, &list, &n), 0);
    assert_int_equal(n, N);
    for (size_t i = 1; i < n; i++) {
        int c = strcmp(list[i - 1]->family->name, list[i]->family->name);
        assert_true(c <= 0);
        if (c == 0) assert_true(strcmp(list[i - 1]->labels[0].value, list[i]->labels[0].value) < 0);
    }
    free(list);
    cyg_metrics_free(m);
}

struct collected {
    cyg_metrics *m;
    int calls;
};

static void collect(void *arg) {
    struct collected *c = arg;
    c->calls++;
    cyg_gauge_set(cyg_gauge_new(c->m, "calls", "", NULL, 0), c->calls); /* may register: the lock is not held */
}

static void test_collectors_run_once_before_each_exposition(void **state) {
    (void)state;
    struct collected c = {.m = cyg_metrics_new()};
    cyg_metrics_on_collect(c.m, collect, &c);
    for (int i = 1; i <= 3; i++) {
        char *text, expected[64];
        assert_true(cyg_metrics_text(c.m, &text) > 0);
        snprintf(expected, sizeof expected, "# TYPE calls gauge\ncalls %d\n", i);
        assert_string_equal(text, expected);
        assert_int_equal(c.calls, i);
        free(text);
    }
    cyg_metrics_free(c.m);
}

/* ---- what aborts -------------------------------------------------------------------------------------------------- */

static cyg_metrics *registry;

static void bad_name(void) { cyg_gauge_new(registry, "1st", "", NULL, 0); }
static void bad_byte(void) { cyg_gauge_new(registry, "a-b", "", NULL, 0); }
static void no_name(void) { cyg_gauge_new(registry, "", "", NULL, 0); }
static void no_total(void) { cyg_counter_new(registry, "hits", "", NULL, 0); }
static void total_gauge(void) { cyg_gauge_new(registry, "hits_total", "", NULL, 0); }
static void bad_label(void) { cyg_gauge_new(registry, "a", "", (cyg_label[]){{"x:y", ""}}, 1); }
static void reserved_label(void) { cyg_gauge_new(registry, "a", "", (cyg_label[]){{"__x", ""}}, 1); }
static void no_value(void) { cyg_gauge_new(registry, "a", "", (cyg_label[]){{"x", NULL}}, 1); }
static void twice(void) { cyg_gauge_new(registry, "a", "", (cyg_label[]){{"x", "1"}, {"y", ""}, {"x", "2"}}, 3); }
static void le_label(void) { cyg_histogram_new(registry, "a", "", (cyg_label[]){{"le", "1"}}, 1, NULL, 0); }
static void descending(void) { cyg_histogram_new(registry, "a", "", NULL, 0, (double[]){1, 1}, 2); }
static void infinite(void) { cyg_histogram_new(registry, "a", "", NULL, 0, (double[]){1, INFINITY}, 2); }
static void too_many(void) {
    double bounds[CYG_METRICS_MAX_BOUNDS + 1];
    for (int i = 0; i <= CYG_METRICS_MAX_BOUNDS; i++) bounds[i] = i;
    cyg_histogram_new(registry, "a", "", NULL, 0, bounds, CYG_METRICS_MAX_BOUNDS + 1);
}
static void other_kind(void) {
    cyg_gauge_new(registry, "a", "", NULL, 0);
    cyg_histogram_new(registry, "a", "", NULL, 0, NULL, 0);
}
static void clash_before(void) {
    cyg_gauge_new(registry, "a_count", "", NULL, 0);
    cyg_histogram_new(registry, "a", "", NULL, 0, NULL, 0);
}
static void clash_after(void) {
    cyg_histogram_new(registry, "a", "", NULL, 0, NULL, 0);
    cyg_gauge_new(registry, "a_bucket", "", NULL, 0);
}

static void test_what_is_not_legal_aborts(void **state) {
    (void)state;
    static void (*const all[])(void) = {bad_name,       bad_byte,   no_name,      no_total,   total_gauge, bad_label,
                                        reserved_label, no_value,   twice,        le_label,   descending,  infinite,
                                        too_many,       other_kind, clash_before, clash_after};
    registry = cyg_metrics_new();
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            signal(SIGABRT, SIG_DFL);
            if (!freopen("/dev/null", "w", stderr)) _exit(1);
            all[i]();
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) fail_msg("case %zu did not abort", i);
    }
    cyg_metrics_free(registry);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_legal_aborts),
        cmocka_unit_test(test_a_counter_set_from_outside_never_falls),
        cmocka_unit_test(test_a_gauge_forgets_what_was_added_before_it_was_set),
        cmocka_unit_test(test_an_observation_falls_into_the_first_bucket_that_holds_it),
        cmocka_unit_test(test_default_bounds_have_a_fifth_of_a_second),
        cmocka_unit_test(test_the_sum_of_durations_outlives_64_bits),
        cmocka_unit_test(test_the_same_labels_are_the_same_instrument),
        cmocka_unit_test(test_many_instruments_are_found_again_and_listed_in_order),
        cmocka_unit_test(test_collectors_run_once_before_each_exposition),
        cmocka_unit_test(test_nothing_is_lost_when_many_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
