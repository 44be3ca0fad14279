/* histogram.c: histograms with fixed bounds. An observation is a look into a table, seldom more than two comparisons, and two
 * atomic additions that nearly always fall on one cache line: the sum, and the count of one bucket. Buckets become cumulative
 * when they are exposed.
 */
#include "base/fatal.h"
#include "metrics_internal.h"
#include <math.h>

/* Seconds: what Prometheus' clients use, and 0.2, a limit that people like to set. */
static const double default_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2.5, 5, 10};

enum { CACHE_LINE_WORDS = CYG_METRICS_CACHE_LINE / sizeof(uint64_t) };

static int64_t to_ns(double seconds) {
    double ns = seconds * 1e9;
    if (ns >= 9223372036854775807.0) return INT64_MAX;
    return ns <= -9223372036854775808.0 ? INT64_MIN : (int64_t)llround(ns);
}

/* How many bits v has: 1 for 0, 63 for INT64_MAX. */
static inline unsigned bits_of(uint64_t v) { return 64 - (unsigned)__builtin_clzll(v | 1); }

static void check_bounds(const char *name, const double *bounds, size_t n) {
    if (n > CYG_METRICS_MAX_BOUNDS) cyg_fatal("metric \"%s\": more than %d bounds", name, CYG_METRICS_MAX_BOUNDS);
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(bounds[i]) || (i > 0 && bounds[i] <= bounds[i - 1]))
            cyg_fatal("metric \"%s\": bounds are finite and ascend", name);
    }
}

cyg_histogram *cyg_histogram_make(unsigned ncells, const char *name, const double *bounds, size_t nbounds) {
    if (!bounds) {
        bounds = default_bounds;
        nbounds = sizeof default_bounds / sizeof default_bounds[0];
    }
    check_bounds(name, bounds, nbounds);
    cyg_histogram *h = cyg_metric_alloc(sizeof *h);
    size_t words = CYG_HISTOGRAM_BUCKET + nbounds + 1;
    h->nbounds = nbounds;
    h->cell_words = (words + CACHE_LINE_WORDS - 1) / CACHE_LINE_WORDS * CACHE_LINE_WORDS;
    h->cells = cyg_metric_alloc(ncells * h->cell_words * sizeof(uint64_t));
    memcpy(h->bounds, bounds, nbounds * sizeof *bounds);
    for (size_t i = 0; i < nbounds; i++) h->bounds_ns[i] = to_ns(bounds[i]);
    h->bounds_ns[nbounds] = INT64_MAX;
    for (unsigned bits = 1; bits <= 64; bits++) {
        /* the smallest duration of that length; a bound below it is not its bucket */
        int64_t least = bits == 1 ? 0 : bits == 64 ? INT64_MAX : (int64_t)1 << (bits - 1);
        while (h->bounds_ns[h->first[bits]] < least) h->first[bits]++;
    }
    return h;
}

static inline uint64_t *cell_of(const cyg_histogram *h) {
    return h->cells + cyg_metric_cell_now(&h->m) * h->cell_words;
}

/* A duration below 0, which a clock that was set back can yield, counts as 0. */
void cyg_histogram_observe_ns(cyg_histogram *h, int64_t ns) {
    if (ns < 0) ns = 0;
    size_t bucket = h->first[bits_of((uint64_t)ns)];
    while (ns > h->bounds_ns[bucket]) bucket++;
    uint64_t *cell = cell_of(h);
    __atomic_fetch_add(&cell[CYG_HISTOGRAM_BUCKET + bucket], 1, __ATOMIC_RELAXED);
    uint64_t before = __atomic_fetch_add(&cell[CYG_HISTOGRAM_SUM_NS], (uint64_t)ns, __ATOMIC_RELAXED);
    if (CYG_UNLIKELY(before + (uint64_t)ns < before))
        __atomic_fetch_add(&cell[CYG_HISTOGRAM_SUM_HIGH], 1, __ATOMIC_RELAXED);
}

/* What is not a number has no bucket and would spoil the sum for ever: it is not counted. */
void cyg_histogram_observe(cyg_histogram *h, double v) {
    if (isnan(v)) return;
    size_t bucket = 0, n = h->nbounds;
    while (n > 0) { /* the first bound that is not below v */
        size_t half = n / 2;
        bool right = h->bounds[bucket + half] < v;
        bucket = right ? bucket + half + 1 : bucket;
        n = right ? n - half - 1 : half;
    }
    uint64_t *cell = cell_of(h), old = __atomic_load_n(&cell[CYG_HISTOGRAM_SUM], __ATOMIC_RELAXED), new;
    __atomic_fetch_add(&cell[CYG_HISTOGRAM_BUCKET + bucket], 1, __ATOMIC_RELAXED);
    do {
        double sum;
        memcpy(&sum, &old, sizeof sum);
        sum += v;
        memcpy(&new, &sum, sizeof sum);
    } while (!__atomic_compare_exchange_n(&cell[CYG_HISTOGRAM_SUM], &old, new, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

void cyg_histogram_read(const cyg_histogram *h, uint64_t *buckets, double *sum) {
    memset(buckets, 0, (h->nbounds + 1) * sizeof *buckets);
    *sum = 0;
    for (unsigned i = 0; i < h->m.ncells; i++) {
        const uint64_t *cell = h->cells + i * h->cell_words;
        for (size_t b = 0; b <= h->nbounds; b++)
            buckets[b] += __atomic_load_n(&cell[CYG_HISTOGRAM_BUCKET + b], __ATOMIC_RELAXED);
        uint64_t bits = __atomic_load_n(&cell[CYG_HISTOGRAM_SUM], __ATOMIC_RELAXED);
        double values;
        memcpy(&values, &bits, sizeof values);
        *sum += values + (double)__atomic_load_n(&cell[CYG_HISTOGRAM_SUM_NS], __ATOMIC_RELAXED) / 1e9 +
                (double)__atomic_load_n(&cell[CYG_HISTOGRAM_SUM_HIGH], __ATOMIC_RELAXED) * (18446744073709551616.0 / 1e9);
    }
}
