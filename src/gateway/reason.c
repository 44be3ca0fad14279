/* reason.c: the table of reasons; see reason.h. Flags are Envoy's, so that existing dashboards read them. */
#include "gateway/reason.h"

#include "gateway/access_log.h"

#define ROW(word, status, flags, text) \
    { word, status, text, CYG_GW_ACCESS_OUTCOME(flags, word) }

const struct cyg_gw_reason_info cyg_gw_reasons[CYG_GW_REASONS] = {
    [CYG_GW_VIA_UPSTREAM] = ROW("via_upstream", 0, "-", ""),
    [CYG_GW_ROUTE_NOT_FOUND] = ROW("route_not_found", 404, "NR", "no route for this host and path"),
    [CYG_GW_NO_HEALTHY_UPSTREAM] = ROW("no_healthy_upstream", 503, "UF,UH", "no endpoint of the cluster takes connections"),
    [CYG_GW_UPSTREAM_OVERFLOW] = ROW("upstream_overflow", 503, "UO", "the upstream's connection limit is reached"),
    [CYG_GW_UPSTREAM_RESET] = ROW("upstream_reset", 502, "UC", "the upstream ended the connection before it answered"),
    [CYG_GW_UPSTREAM_PROTOCOL_ERROR] =
        ROW("upstream_protocol_error", 502, "UPE", "the upstream's answer was not valid HTTP"),
    [CYG_GW_UPSTREAM_TIMEOUT] = ROW("upstream_timeout", 504, "UT", "the upstream did not answer in time"),
    [CYG_GW_UPSTREAM_ANSWER_CUT] = ROW("upstream_answer_cut", 502, "UC", "the upstream ended its answer too soon"),
    [CYG_GW_CLIENT_DISCONNECTED] = ROW("client_disconnected", 0, "DC", ""),
    [CYG_GW_CLIENT_BODY_ERROR] = ROW("client_body_error", 400, "DPE", "the request's body could not be read"),
    [CYG_GW_NOT_ALLOWED] = ROW("upgrade_not_supported", 501, "-", "this gateway does not pass on upgrades or CONNECT"),
};

enum cyg_gw_reason cyg_gw_reason_of(cyg_http_forward_status s) {
    switch (s) {
    case CYG_FORWARD_OK: return CYG_GW_VIA_UPSTREAM;
    case CYG_FORWARD_CONNECT_FAILURE: return CYG_GW_NO_HEALTHY_UPSTREAM;
    case CYG_FORWARD_OVERFLOW: return CYG_GW_UPSTREAM_OVERFLOW;
    case CYG_FORWARD_RESET: return CYG_GW_UPSTREAM_RESET;
    case CYG_FORWARD_PROTOCOL_ERROR: return CYG_GW_UPSTREAM_PROTOCOL_ERROR;
    case CYG_FORWARD_TIMEOUT: return CYG_GW_UPSTREAM_TIMEOUT;
    case CYG_FORWARD_ANSWER_CUT: return CYG_GW_UPSTREAM_ANSWER_CUT;
    case CYG_FORWARD_CLIENT_GONE: return CYG_GW_CLIENT_DISCONNECTED;
    case CYG_FORWARD_CLIENT_BODY: return CYG_GW_CLIENT_BODY_ERROR;
    case CYG_FORWARD_NOT_ALLOWED: return CYG_GW_NOT_ALLOWED;
    case CYG_FORWARD_STATUSES: break;
    }
    return CYG_GW_UPSTREAM_PROTOCOL_ERROR;
}

int cyg_gw_reason_status(enum cyg_gw_reason r, int err) {
    if (r == CYG_GW_CLIENT_BODY_ERROR && err == CYG_ETIMEDOUT) return 408;
    if (r == CYG_GW_CLIENT_BODY_ERROR && err == CYG_ELIMIT) return 413;
    return cyg_gw_reasons[r].status;
}
