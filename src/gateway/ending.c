/* ending.c: the table of endings; see ending.h. Flags are Envoy's, so that existing dashboards read them. */
#include "gateway/ending.h"

#include "gateway/config.h"

#define TCP (1u << CYG_GW_TCP)
#define UDP (1u << CYG_GW_UDP)
#define BOTH (TCP | UDP)

static const struct cyg_gw_ending_info infos[CYG_GW_ENDINGS] = {
    [CYG_GW_END_RELAYED] = {"relayed", "-", TCP},
    [CYG_GW_END_EXPIRED] = {"session_expired", "-", UDP},
    [CYG_GW_END_IDLE] = {"idle_timeout", "SI", TCP},
    [CYG_GW_END_HALF_CLOSED] = {"half_closed_timeout", "SI", TCP},
    [CYG_GW_END_CLIENT_RESET] = {"client_reset", "DC", TCP},
    [CYG_GW_END_UPSTREAM_RESET] = {"upstream_reset", "UC", BOTH},
    [CYG_GW_END_CLIENT_DISCONNECTED] = {"client_disconnected", "DC", TCP},
    [CYG_GW_END_NO_HEALTHY_UPSTREAM] = {"no_healthy_upstream", "UF,UH", BOTH},
    [CYG_GW_END_PORTS_EXHAUSTED] = {"ports_exhausted", "UF", BOTH},
    [CYG_GW_END_PROXY_UNTRUSTED] = {"proxy_untrusted", "DPE", TCP},
    [CYG_GW_END_PROXY_INVALID] = {"proxy_invalid", "DPE", TCP},
    [CYG_GW_END_PROXY_TIMEOUT] = {"proxy_timeout", "DPE", TCP},
    [CYG_GW_END_CONNECTION_LIMIT] = {"connection_limit", "OM", TCP},
    [CYG_GW_END_ADDRESS_LIMIT] = {"address_limit", "OM", TCP},
    [CYG_GW_END_HALF_CLOSED_LIMIT] = {"half_closed_limit", "OM", TCP},
    [CYG_GW_END_SESSION_LIMIT] = {"session_limit", "OM", UDP},
    [CYG_GW_END_NO_MEMORY] = {"no_memory", "OM", BOTH},
    [CYG_GW_END_DRAINED] = {"drained", "LR", BOTH},
};

const struct cyg_gw_ending_info *cyg_gw_ending_info(enum cyg_gw_ending e) { return &infos[e]; }
