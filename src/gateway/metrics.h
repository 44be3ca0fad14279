/* metrics.h: what the gateway counts while it serves. Instruments are made with the configuration (so that they show 0 before
 * the first event) and found again by a reload; on the path of a request there is one counter and one histogram, and a
 * second counter for a failure. What others count (pools, listeners, runtime, process) is read at a scrape: scrape.h.
 *
 * Label values are names from the configuration, status codes and reason words: clients cannot add any.
 */
#ifndef CYG_GATEWAY_METRICS_H
#define CYG_GATEWAY_METRICS_H

#include "gateway/reason.h"

#include <cygnet/metrics.h>

struct cyg_gw_metrics {
    cyg_metrics *registry;
    cyg_counter *reloads_ok, *reloads_failed;
};

/* Returns: 0 or CYG_ENOMEM. */
int cyg_gw_metrics_init(struct cyg_gw_metrics *m);
void cyg_gw_metrics_free(struct cyg_gw_metrics *m);

/* ---- the requests of one route --------------------------------------------------------------------------------- */

#define CYG_GW_NO_NAME "-" /* the label's value where there is no route or cluster */
#define CYG_GW_CODES 600   /* 0: the client left before an answer; 100 to 599 */

struct cyg_gw_traffic {
    cyg_metrics *registry;
    const char *listener, *route, *cluster; /* live as long as this */
    cyg_histogram *seconds;
    cyg_counter *failures[CYG_GW_REASONS]; /* NULL where it does not count as one */
    cyg_counter *codes[CYG_GW_CODES];      /* atomic; made when first needed */
};

void cyg_gw_traffic_init(struct cyg_gw_traffic *t, cyg_metrics *registry, const char *listener, const char *route,
                         const char *cluster);

/* Counts a request that ended with this code (0: none) after ns. Blocks: never, but for a short lock at a code's first time. */
void cyg_gw_traffic_count(struct cyg_gw_traffic *t, int code, int64_t ns, enum cyg_gw_reason reason);

/* ---- what the HTTP library refuses by itself ------------------------------------------------------------------- */

#define CYG_GW_REFUSAL_WORDS 64

struct cyg_gw_refusals {
    cyg_metrics *registry;
    const char *listener;
    unsigned n; /* slots claimed; atomic, may run past the end */
    struct {
        const char *reason; /* static in the library; atomic, set last */
        cyg_counter *counter;
    } words[CYG_GW_REFUSAL_WORDS];
};

void cyg_gw_refusals_init(struct cyg_gw_refusals *r, cyg_metrics *registry, const char *listener);
void cyg_gw_refusals_count(struct cyg_gw_refusals *r, const char *reason);

#endif
