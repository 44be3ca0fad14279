/* metrics_internal.h: what an exporter sees of the registry, and what the instruments share.
 *
 * Vocabulary: a family is what one name stands for; a metric is one instrument of it, told apart by its labels; a cell is the
 * part of an instrument that one P counts in, on cache lines of its own.
 *
 * Invariants: families and metrics live as long as the registry, and nothing but cells changes in them; so a list of them is
 * read without the lock. Cells are only ever touched by relaxed atomic operations: a goroutine may have moved between asking
 * where it runs and counting, and counts right all the same.
 */
#ifndef CYG_OBSERVE_METRICS_INTERNAL_H
#define CYG_OBSERVE_METRICS_INTERNAL_H

#include <cygnet/metrics.h>
#include <cygnet/runtime.h>

#include "runtime/sched.h"

#define CYG_METRICS_CACHE_LINE 64
#define CYG_METRICS_MAX_BOUNDS 64

enum cyg_metric_kind { CYG_METRIC_COUNTER, CYG_METRIC_GAUGE, CYG_METRIC_HISTOGRAM };

struct cyg_metric;

struct cyg_metric_family {
    char *name, *help; /* help: never NULL */
    enum cyg_metric_kind kind;
    struct cyg_metric **metrics; /* sorted by labels; guarded by the registry's lock */
    size_t n, cap;
};

/* The first member of every instrument. */
struct cyg_metric {
    const struct cyg_metric_family *family;
    cyg_label *labels; /* sorted by name; the strings are the metric's own */
    size_t nlabels;
    unsigned ncells; /* at least 1 */
};

/* One count on a cache line. */
struct cyg_metric_cell {
    _Alignas(CYG_METRICS_CACHE_LINE) uint64_t n; /* atomic */
};

struct cyg_counter {
    struct cyg_metric m;
    uint64_t base; /* what cyg_counter_set has set, beyond the cells; atomic */
    struct cyg_metric_cell cells[];
};

struct cyg_gauge {
    struct cyg_metric m;
    int64_t base;                   /* what cyg_gauge_set has set last; atomic */
    struct cyg_metric_cell cells[]; /* what was added since, as two's complement */
};

/* A cell of a histogram: so many words, in one piece of whole cache lines. All atomic. */
enum {
    CYG_HISTOGRAM_SUM_NS,   /* durations in ns, low word: 2^64 of them pass in days when much happens, so there is */
    CYG_HISTOGRAM_SUM_HIGH, /* how often the low word went round */
    CYG_HISTOGRAM_SUM,      /* the bits of a double: the values that did not come as ns */
    CYG_HISTOGRAM_BUCKET,   /* the first of nbounds + 1 counts, none of which contains another */
};

struct cyg_histogram {
    struct cyg_metric m;
    size_t nbounds, cell_words;
    uint64_t *cells;                               /* ncells times cell_words, aligned to a cache line */
    double bounds[CYG_METRICS_MAX_BOUNDS];         /* ascending */
    int64_t bounds_ns[CYG_METRICS_MAX_BOUNDS + 1]; /* the same times 1e9; behind the last: INT64_MAX, which ends a search */
    uint8_t first[65]; /* by a duration's length in bits: the first bucket that one of this length can be in */
};

/* The cell to count in now. */
static inline unsigned cyg_metric_cell_now(const struct cyg_metric *m) {
    unsigned hint = cygrt_proc_hint();
    return CYG_LIKELY(hint < m->ncells) ? hint : hint % m->ncells;
}

/* What the families of instruments fill in: makes one with its cells at 0; the registry sets m. Aborts without memory. */
cyg_histogram *cyg_histogram_make(unsigned ncells, const char *name, const double *bounds, size_t nbounds);
void *cyg_metric_alloc(size_t bytes); /* zeroed, on cache lines; free(3) takes it back */

/* The sums over a histogram's cells: buckets[0..nbounds], not cumulative, and the sum in the unit of its bounds. */
void cyg_histogram_read(const cyg_histogram *h, uint64_t *buckets, double *sum);

/* Calls what cyg_metrics_on_collect has been given, then lists every metric: families by name, in each the metrics by labels.
 * Blocks: a short lock, not held during the calls. Owns: the caller frees *list. Returns: 0 or CYG_ENOMEM. */
int cyg_metrics_collect(cyg_metrics *m, struct cyg_metric ***list, size_t *n);

#endif
