/* tcp_pair.h: the state of a tcp listener, and passing bytes between a client and an endpoint. */
#ifndef CYG_GATEWAY_TCP_PAIR_H
#define CYG_GATEWAY_TCP_PAIR_H

#include "gateway/l4.h"

#include <cygnet/context.h>
#include <cygnet/map.h>
#include <cygnet/net.h>
#include <cygnet/sync.h>

struct cyg_gw_tcp_pair; /* a client and its endpoint, while bytes pass between them */

struct cyg_gw_tcp {
    cyg_listener *listener; /* NULL once closed, when the accept loop has ended; scrapes look at it under gw->lock */
    cyg_ctx *accepting;     /* of the accept loop; of the goroutine that runs the gateway */
    cyg_waitgroup accepts;  /* 1 while the accept loop runs */
    cyg_ctx *relaying;      /* of the connections: cancelled to cut them */
    cyg_waitgroup pairs;
    size_t open;        /* connections; atomic */
    size_t half_closed; /* of these, with one side ended and the other not; atomic */
    cyg_mutex addresses_lock;
    cyg_map *addresses;     /* client address: how many of its connections are open; guarded by addresses_lock */
    cyg_mutex passing_lock; /* with gw->lock: that one first */
    struct cyg_gw_tcp_pair *passing; /* pairs that bytes pass between; guarded by passing_lock */
};

/* Passes bytes both ways until both sides have ended, or one of the listener's limits, or the goroutine's context, ends it: then both
 * are as good as reset. *received and *sent count those from and to the client; the metrics have them, too. Neither is closed.
 * Blocks: parks. From: goroutine. Returns: how it ended. */
enum cyg_gw_ending cyg_gw_tcp_relay(struct cyg_gw_tcp *t, const struct cyg_gw_l4 *l4, cyg_conn *client,
                                    cyg_conn *upstream, uint64_t *received, uint64_t *sent);

/* Counts in the metrics what has passed between the pairs of t since they were last looked at. Blocks: parks for a short lock. From:
 * goroutine. */
void cyg_gw_tcp_count(struct cyg_gw_tcp *t);

#endif
