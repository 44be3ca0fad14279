/* proxy_accept.h: the PROXY protocol on connections that come in: who may speak it, reading its header, counting how that went; and the
 * header for connections that go out. The format itself is proto/proxy_header.h.
 *
 * On a listener that takes the protocol every connection must come from one of the peers that may speak it and must begin with a header.
 * Nothing is guessed: a header that anybody could send would make any client address a claim, and an endpoint behind us that believes us
 * would believe it.
 */
#ifndef CYG_GATEWAY_PROXY_ACCEPT_H
#define CYG_GATEWAY_PROXY_ACCEPT_H

#include "gateway/config.h"
#include "gateway/ending.h"

#include <cygnet/metrics.h>

/* Who a connection is for; both ends as cyg_conn_peer_addr and cyg_conn_local_addr tell them, or as the header says. */
struct cyg_gw_parties {
    cyg_addr client, local;
};

struct cyg_gw_proxy_counters {
    cyg_counter *accepted, *local, *untrusted, *invalid, *timeout, *ended;
};
void cyg_gw_proxy_counters_init(struct cyg_gw_proxy_counters *c, cyg_metrics *registry, const char *listener);

/* Checks the peer and reads the header of a connection that nothing has been read of; not a byte behind it is taken. What it says is
 * put into *parties, which holds the connection's own addresses before. Counts. Sets the read deadline, and takes it away again.
 * Blocks: parks, for up to the configured timeout. From: goroutine; nobody else reads. Returns: 0, CYG_EPROTO (not from this peer, no
 * header, or a wrong one), CYG_ETIMEDOUT, CYG_EOF (the peer ended it before), CYG_ENOMEM, CYG_ECANCELED, -errno; *ending is set then. */
int cyg_gw_proxy_accept(cyg_conn *c, const struct cyg_gw_proxy_accept *config, const struct cyg_gw_proxy_counters *counters,
                        struct cyg_gw_parties *parties, enum cyg_gw_ending *ending);

/* Writes the header that tells an endpoint of the parties: of version 2 for datagrams. Blocks: never. Returns: its length. */
#define CYG_GW_PROXY_HEADER 240
size_t cyg_gw_proxy_header(const struct cyg_gw_parties *parties, enum cyg_gw_proxy_version version, bool datagram,
                           char out[CYG_GW_PROXY_HEADER]);

#endif
