/* server.c: see server.h; and the table of protocol.h. */
#include "gateway/server.h"

#include <stdlib.h>

const struct cyg_gw_protocol_ops *cyg_gw_protocol_ops(enum cyg_gw_protocol p) {
    static const struct cyg_gw_protocol_ops *const all[CYG_GW_PROTOCOLS] = {
        [CYG_GW_HTTP] = &cyg_gw_http_ops, [CYG_GW_TCP] = &cyg_gw_tcp_ops, [CYG_GW_UDP] = &cyg_gw_udp_ops};
    return all[p];
}

int cyg_gw_server_open(struct cyg_gw *gw, enum cyg_gw_protocol protocol, const char *network, const char *bind,
                       const cyg_addr *addr, struct cyg_gw_server **out) {
    struct cyg_gw_server *s = calloc(1, sizeof *s);
    if (!s) return CYG_ENOMEM;
    s->gw = gw;
    s->addr = *addr;
    s->ops = cyg_gw_protocol_ops(protocol);
    int err = s->ops->open(s, network, bind);
    if (err < 0) {
        free(s);
        return err;
    }
    (void)cyg_gw_access_local(&s->logged, cyg_str_of(s->text));
    s->last = cyg_snapshot_new(NULL);
    *out = s;
    return 0;
}

void cyg_gw_server_free(struct cyg_gw_server *s) {
    if (!s) return;
    s->ops->free(s);
    cyg_snapshot_free(s->last);
    free(s);
}
