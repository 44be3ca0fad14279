/* packet.h: packet sockets for the tests of datagrams. */
#ifndef TESTS_UNIT_PACKET_H
#define TESTS_UNIT_PACKET_H

#include "net.h"

/* A socket that listens, and its address. address NULL: a Unix name of ours. */
static inline cyg_conn *server(const char *network, const char *address, const cyg_packet_opts *opts, char *text) {
    cyg_conn *c;
    cyg_addr a;
    CHECK_EQ(cyg_listen_packet(network, address ? address : net_name("packet"), opts, &c), 0);
    CHECK_EQ(cyg_conn_local_addr(c, &a), 0);
    cyg_addr_format(&a, text, CYG_ADDR_STRLEN);
    CHECK_EQ(cyg_set_deadline(c, cyg_now() + RT_DEADLINE), 0);
    return c;
}

static inline cyg_conn *client(const char *network, const char *text) {
    cyg_conn *c;
    CHECK_EQ(cyg_dial(network, text, NULL, &c), 0);
    CHECK_EQ(cyg_set_deadline(c, cyg_now() + RT_DEADLINE), 0);
    return c;
}

static inline cyg_packet_stats stats_of(cyg_conn *c) {
    cyg_packet_stats st;
    CHECK_EQ(cyg_packet_get_stats(c, &st), 0);
    return st;
}

#endif
