/* snapshot.h: a configuration in force: the document, and everything compiled from it that a request needs. Immutable once
 * built (counters aside); shared as a cyg_snapshot. Requests finish on the snapshot that they began with.
 */
#ifndef CYG_GATEWAY_SNAPSHOT_H
#define CYG_GATEWAY_SNAPSHOT_H

#include "gateway/access_log.h"
#include "gateway/cluster.h"
#include "gateway/config.h"
#include "gateway/l4.h"
#include "gateway/log_file.h"
#include "gateway/metrics.h"
#include "gateway/proxy_accept.h"
#include "gateway/router.h"

/* What a snapshot is built with, and outlived by. */
struct cyg_gw_context {
    unsigned shards; /* cyg_procs() */
    struct cyg_gw_metrics metrics;
    struct cyg_gw_upstreams upstreams;
    cyg_waitgroup workers; /* goroutines that drain what a reload took away, or free a snapshot */
};

/* A route of an HTTP listener, or what has no route, in force. */
struct cyg_gw_route_state {
    const struct cyg_gw_route *route; /* NULL: none; nor members, then */
    struct cyg_gw_members *members;   /* of its cluster */
    struct cyg_gw_access_run logged;
    struct cyg_gw_traffic traffic;
};

/* One listener of the document. */
struct cyg_gw_front {
    const struct cyg_gw_listener *config;
    struct cyg_gw_router *router;      /* http, as routes and refusals */
    struct cyg_gw_route_state *routes; /* in the order of config->routes, and one more for requests without a route */
    struct cyg_gw_refusals refusals;
    struct cyg_gw_l4 *l4;               /* tcp, udp; else NULL */
    struct cyg_gw_proxy_counters proxy; /* with proxy_protocol */
};

struct cyg_gw_snapshot {
    struct cyg_gw_context *context;
    struct cyg_gw_config *config;   /* owned */
    struct cyg_gw_front *fronts;    /* one a listener, in the document's order */
    struct cyg_gw_members *members; /* one a cluster, by its index */
    struct cyg_gw_log_file *log;    /* counted; NULL: off */
    int64_t loaded_ns;              /* since 1970 */
    /* Which front a server's connections use, by the server's id; NULL: that server is not in this document. */
    struct cyg_gw_front **by_server;
    size_t nservers;
};

/* Builds a snapshot. by_server stays empty for the caller. Blocks: parks for short locks. From: goroutine. Owns: takes config
 * over, also when it fails; acquires log. Returns: 0, CYG_ENOMEM, or an error of cyg_http_pool_new. */
int cyg_gw_snapshot_new(struct cyg_gw_context *context, struct cyg_gw_config *config, struct cyg_gw_log_file *log,
                        struct cyg_gw_snapshot **out);
void cyg_gw_snapshot_free(struct cyg_gw_snapshot *s);

/* The same on a goroutine of its own, counted in context->workers: freeing may wait for the log to be written. */
void cyg_gw_snapshot_free_later(void *snapshot);

/* The state of a route, or of NULL: no route. */
static inline struct cyg_gw_route_state *cyg_gw_front_route(const struct cyg_gw_front *f, const struct cyg_gw_route *route) {
    return &f->routes[route ? (size_t)(route - f->config->routes) : f->config->nroutes];
}

#endif
