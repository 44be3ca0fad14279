/* dial.h: a connection to one of a cluster's endpoints that is used by one client alone: what tcp and udp listeners need. HTTP has the
 * pools instead.
 */
#ifndef CYG_GATEWAY_DIAL_H
#define CYG_GATEWAY_DIAL_H

#include "gateway/cluster.h"
#include "gateway/ending.h"

struct cyg_gw_dialled {
    cyg_conn *conn;                   /* NULL: there is none */
    struct cyg_gw_upstream *upstream; /* the endpoint tried last: one reference; NULL: none was */
    unsigned attempts;
};

/* Tries the cluster's endpoints, beginning with the one whose turn it is, each at most once, until one takes a connection; for datagrams
 * the first does. A cancelled context ends it. Blocks: parks, for up to the cluster's connect timeout an endpoint. From: goroutine.
 * Owns: the caller ends *out with cyg_gw_hang_up, also after an error. Returns: 0, or the last endpoint's error. */
int cyg_gw_dial(struct cyg_gw_upstreams *registry, struct cyg_gw_members *m, bool udp, struct cyg_gw_dialled *out);

/* What an error of cyg_gw_dial means for who wanted the connection. Blocks: never. */
enum cyg_gw_ending cyg_gw_dial_ending(int err);

/* Closes the connection and lets the endpoint go. Blocks: parks for a short lock. From: goroutine. */
void cyg_gw_hang_up(struct cyg_gw_upstreams *registry, struct cyg_gw_dialled *d);

#endif
