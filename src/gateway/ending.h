/* ending.h: how a TCP connection or a UDP session ended, in one word that is the same in the access log (response_code_details) and in
 * the metrics (label reason). What HTTP has for a request is reason.h.
 */
#ifndef CYG_GATEWAY_ENDING_H
#define CYG_GATEWAY_ENDING_H

#include <cygnet/base.h>

enum cyg_gw_ending {
    CYG_GW_END_RELAYED,     /* tcp: both sides ended in order */
    CYG_GW_END_EXPIRED,     /* udp: nothing came for the idle time, which is how a session ends */
    CYG_GW_END_IDLE,        /* tcp: nothing came for the idle time */
    CYG_GW_END_HALF_CLOSED, /* tcp: one side had ended, nothing came from the other */
    CYG_GW_END_CLIENT_RESET,
    CYG_GW_END_UPSTREAM_RESET,
    CYG_GW_END_CLIENT_DISCONNECTED, /* before anything was passed on */
    CYG_GW_END_NO_HEALTHY_UPSTREAM,
    CYG_GW_END_PORTS_EXHAUSTED, /* no local port left towards the endpoints */
    CYG_GW_END_PROXY_UNTRUSTED, /* the peer is none of those that may speak for clients */
    CYG_GW_END_PROXY_INVALID,   /* it did not begin with a right header */
    CYG_GW_END_PROXY_TIMEOUT,   /* nor in time */
    CYG_GW_END_CONNECTION_LIMIT,
    CYG_GW_END_ADDRESS_LIMIT,
    CYG_GW_END_HALF_CLOSED_LIMIT,
    CYG_GW_END_SESSION_LIMIT, /* udp */
    CYG_GW_END_NO_MEMORY,     /* or descriptors */
    CYG_GW_END_DRAINED,       /* cut at the end of a drain */
    CYG_GW_ENDINGS
};

struct cyg_gw_ending_info {
    const char *word;
    unsigned protocols; /* bits (1 << enum cyg_gw_protocol) of those that can end so */
    cyg_str logged;     /* the access log's run of response_flags ("-": none) and response_code_details */
};
const struct cyg_gw_ending_info *cyg_gw_ending_info(enum cyg_gw_ending e);

#endif
