/* router.h: which route takes a request: the routes of one listener, compiled for finding. No I/O, no clock, and no allocation
 * after it is made.
 *
 * The most specific match wins, as cyg_gw_match_fits defines a match: exact host before the longest suffix before any host;
 * within a host an exact path before the longest prefix before any path. A host whose paths do not fit is passed over for
 * the next less specific one.
 */
#ifndef CYG_GATEWAY_ROUTER_H
#define CYG_GATEWAY_ROUTER_H

#include "gateway/config.h"

struct cyg_gw_router;

/* Compiles n routes, in any order; they must live as long as the router. Returns: NULL without memory. */
struct cyg_gw_router *cyg_gw_router_new(const struct cyg_gw_route *routes, size_t n);
void cyg_gw_router_free(struct cyg_gw_router *r);

/* The route for a request's host (port and case do not matter) and path (without query), or NULL.
 * Blocks: never. From: any thread, many at once. Costs: a binary search by host and one by path, whatever a client sends. */
const struct cyg_gw_route *cyg_gw_router_find(const struct cyg_gw_router *r, cyg_str host, cyg_str path);

#endif
