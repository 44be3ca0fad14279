/* l4.h: what listeners of tcp and udp share: the part of their configuration that a connection or session keeps, what is counted, and
 * the access log's line at the end.
 */
#ifndef CYG_GATEWAY_L4_H
#define CYG_GATEWAY_L4_H

#include "gateway/access_log.h"
#include "gateway/config.h"
#include "gateway/ending.h"

#include <cygnet/metrics.h>
#include <cygnet/time.h>

struct cyg_gw;
struct cyg_gw_server;

/* A connection may live for days. It keeps this, counted, rather than the snapshot that it began with. Constant but for refs. */
struct cyg_gw_l4 {
    size_t refs; /* atomic */
    enum cyg_gw_protocol protocol;
    const char *listener, *cluster;
    struct cyg_gw_access_run logged; /* listener and configuration's version */
    struct cyg_gw_timeouts timeouts;
    struct cyg_gw_limits limits;
    enum cyg_gw_proxy_version send;
    cyg_counter *ends[CYG_GW_ENDINGS]; /* NULL: not of this protocol */
    cyg_counter *received, *sent;      /* bytes from and to clients, counted as they go */
    cyg_histogram *seconds, *connect_seconds;
    cyg_counter *in_datagrams, *out_datagrams, *dropped_datagrams; /* udp */
};

/* Returns: NULL without memory. */
struct cyg_gw_l4 *cyg_gw_l4_new(const struct cyg_gw_listener *l, cyg_str version, cyg_metrics *registry);
struct cyg_gw_l4 *cyg_gw_l4_acquire(struct cyg_gw_l4 *l4);
void cyg_gw_l4_release(struct cyg_gw_l4 *l4); /* NULL is fine */

/* A connection or session that has ended. */
struct cyg_gw_l4_record {
    enum cyg_gw_ending ending;
    cyg_time started;
    uint64_t received, sent;
    const cyg_addr *client;
    const char *upstream; /* address of the endpoint tried last; NULL: none */
    unsigned attempts;    /* endpoints tried */
};

/* Counts it and writes its line into the log that is in force now. Blocks: parks for short locks. From: goroutine. */
void cyg_gw_l4_finish(struct cyg_gw_server *s, const struct cyg_gw_l4 *l4, const struct cyg_gw_l4_record *r);

#endif
