/* udp.c: stub */
#include "gateway/state.h"
static int udp_open(struct cyg_gw_server *s, const char *network, const char *bind) {
    (void)s, (void)network, (void)bind;
    return CYG_ENOTSUP;
}
const struct cyg_gw_protocol_ops cyg_gw_udp_ops = {.word = "udp", .open = udp_open};
