/* reason.h: how a request ended, in one word that is the same in the access log (response_code_details), in the metrics (label
 * reason) and in the answer (field x-cygnet-reason). The words of the forwarding library are kept, so that nobody has to
 * translate.
 */
#ifndef CYG_GATEWAY_REASON_H
#define CYG_GATEWAY_REASON_H

#include <cygnet/http.h>

enum cyg_gw_reason {
    CYG_GW_VIA_UPSTREAM, /* the upstream's own answer, whatever its status: not a failure */
    CYG_GW_ROUTE_NOT_FOUND,
    CYG_GW_NO_HEALTHY_UPSTREAM,
    CYG_GW_UPSTREAM_OVERFLOW,
    CYG_GW_UPSTREAM_RESET,
    CYG_GW_UPSTREAM_PROTOCOL_ERROR,
    CYG_GW_UPSTREAM_TIMEOUT,
    CYG_GW_UPSTREAM_ANSWER_CUT,
    CYG_GW_CLIENT_DISCONNECTED,
    CYG_GW_CLIENT_BODY_ERROR,
    CYG_GW_NOT_ALLOWED,
    CYG_GW_REASONS
};

struct cyg_gw_reason_info {
    const char *word;
    int status;       /* what the gateway answers; 0: nothing can be answered */
    const char *text; /* the answer's body, one sentence */
    cyg_str logged;   /* the access log's run of response_flags ("-": none) and response_code_details */
};
extern const struct cyg_gw_reason_info cyg_gw_reasons[CYG_GW_REASONS];
static inline const struct cyg_gw_reason_info *cyg_gw_reason_info(enum cyg_gw_reason r) { return &cyg_gw_reasons[r]; }

/* The reason for the end of a forward. */
enum cyg_gw_reason cyg_gw_reason_of(cyg_http_forward_status s);

/* The status for a reason, where err (the forward's) makes a difference: a request's body that was too slow is 408, too
 * long 413. */
int cyg_gw_reason_status(enum cyg_gw_reason r, int err);

#endif
