/* ending.c: the table of endings; see ending.h. Flags are Envoy's, so that existing dashboards read them. */
#include "gateway/ending.h"

#include "gateway/access_log.h"
#include "gateway/config.h"

#define TCP (1u << CYG_GW_TCP)
#define UDP (1u << CYG_GW_UDP)
#define BOTH (TCP | UDP)
#define ROW(word, flags, protocols) \
    { word, protocols, CYG_GW_ACCESS_OUTCOME(flags, word) }

static const struct cyg_gw_ending_info infos[CYG_GW_ENDINGS] = {
    [CYG_GW_END_RELAYED] = ROW("relayed", "-", TCP),
    [CYG_GW_END_EXPIRED] = ROW("session_expired", "-", UDP),
    [CYG_GW_END_IDLE] = ROW("idle_timeout", "SI", TCP),
    [CYG_GW_END_HALF_CLOSED] = ROW("half_closed_timeout", "SI", TCP),
    [CYG_GW_END_CLIENT_RESET] = ROW("client_reset", "DC", TCP),
    [CYG_GW_END_UPSTREAM_RESET] = ROW("upstream_reset", "UC", BOTH),
    [CYG_GW_END_CLIENT_DISCONNECTED] = ROW("client_disconnected", "DC", TCP),
    [CYG_GW_END_NO_HEALTHY_UPSTREAM] = ROW("no_healthy_upstream", "UF,UH", BOTH),
    [CYG_GW_END_PORTS_EXHAUSTED] = ROW("ports_exhausted", "UF", BOTH),
    [CYG_GW_END_PROXY_UNTRUSTED] = ROW("proxy_untrusted", "DPE", TCP),
    [CYG_GW_END_PROXY_INVALID] = ROW("proxy_invalid", "DPE", TCP),
    [CYG_GW_END_PROXY_TIMEOUT] = ROW("proxy_timeout", "DPE", TCP),
    [CYG_GW_END_CONNECTION_LIMIT] = ROW("connection_limit", "OM", TCP),
    [CYG_GW_END_ADDRESS_LIMIT] = ROW("address_limit", "OM", TCP),
    [CYG_GW_END_HALF_CLOSED_LIMIT] = ROW("half_closed_limit", "OM", TCP),
    [CYG_GW_END_SESSION_LIMIT] = ROW("session_limit", "OM", UDP),
    [CYG_GW_END_NO_MEMORY] = ROW("no_memory", "OM", BOTH),
    [CYG_GW_END_DRAINED] = ROW("drained", "LR", BOTH),
};

const struct cyg_gw_ending_info *cyg_gw_ending_info(enum cyg_gw_ending e) { return &infos[e]; }
