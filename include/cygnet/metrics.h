/* metrics.h: counters, gauges and histograms, spread over cache lines so that counting costs a few nanoseconds, and the
 * Prometheus text of them.
 *
 *     static cyg_counter *hits;
 *     hits = cyg_counter_new(reg, "app_hits_total", "Pages served.", (cyg_label[]){{"page", "home"}}, 1);
 *     cyg_counter_add(hits, 1);
 */
#ifndef CYGNET_METRICS_H
#define CYGNET_METRICS_H

#include <cygnet/base.h>
#include <cygnet/err.h>

CYG_BEGIN_DECLS

typedef struct cyg_metrics cyg_metrics; /* a registry */
typedef struct cyg_counter cyg_counter;
typedef struct cyg_gauge cyg_gauge;
typedef struct cyg_histogram cyg_histogram;

typedef struct cyg_label {
    const char *name, *value;
} cyg_label;

CYG_API cyg_metrics *cyg_metrics_new(void);

/* Frees the registry and its instruments; nobody may use them any more. Blocks: never. */
CYG_API void cyg_metrics_free(cyg_metrics *m);

/* An instrument with these labels: the existing one if there is one (so a reload finds its counters again), else a new one
 * at 0. Names as Prometheus wants them (`_total` ends a counter's); label values must be bounded by configuration, never by
 * clients. Aborts on a name that is not legal or was registered as another kind. Strings are copied; the registry owns the
 * instrument until it is freed or dropped.
 * Blocks: a short lock. From: goroutine or any thread. */
CYG_API cyg_counter *cyg_counter_new(cyg_metrics *m, const char *name, const char *help, const cyg_label *labels, size_t n);
CYG_API cyg_gauge *cyg_gauge_new(cyg_metrics *m, const char *name, const char *help, const cyg_label *labels, size_t n);

/* bounds: upper bounds in ascending order, without +Inf, in the unit that the name says; at most 64. NULL: the defaults for
 * seconds, 0.005 to 10 with 0.2 among them. */
CYG_API cyg_histogram *cyg_histogram_new(cyg_metrics *m, const char *name, const char *help, const cyg_label *labels,
                                         size_t n, const double *bounds, size_t nbounds);

/* Counting. Blocks: never. From: anywhere, also a signal handler. */
CYG_API void cyg_counter_add(cyg_counter *c, uint64_t n);
CYG_API void cyg_gauge_set(cyg_gauge *g, int64_t v);
CYG_API void cyg_gauge_add(cyg_gauge *g, int64_t v);
CYG_API void cyg_histogram_observe(cyg_histogram *h, double v);
/* The same for a duration in nanoseconds and a histogram of seconds, without floating point on the way. */
CYG_API void cyg_histogram_observe_ns(cyg_histogram *h, int64_t ns);

/* Sums over the cells. Blocks: never. From: any thread. */
CYG_API uint64_t cyg_counter_get(const cyg_counter *c);
CYG_API int64_t cyg_gauge_get(const cyg_gauge *g);

/* Calls fn(arg) at the start of every exposition, to set gauges and counters that are kept elsewhere; two expositions at once
 * call it at once. */
CYG_API void cyg_metrics_on_collect(cyg_metrics *m, void (*fn)(void *arg), void *arg);

/* Sets a counter that somebody else counts, from an on_collect function; never backwards. */
CYG_API void cyg_counter_set(cyg_counter *c, uint64_t v);

/* The whole registry as Prometheus text 0.0.4. Blocks: a short lock. From: goroutine or any thread. Owns: the caller frees
 * *text with free(3). Returns: its length, or CYG_ENOMEM. Source: Prometheus exposition formats. */
CYG_API ssize_t cyg_metrics_text(cyg_metrics *m, char **text);

CYG_END_DECLS
#endif
