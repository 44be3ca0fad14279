/* protocol.h: what listeners of the different protocols do, as one table: http (server_http.c), tcp (tcp.c), udp (udp.c).
 *
 * Order of the calls on a server: open, then prepare and serve (again with every reload), shutdown once, free. All by the goroutine
 * that runs the gateway but for count and stats, which scrapes call.
 */
#ifndef CYG_GATEWAY_PROTOCOL_H
#define CYG_GATEWAY_PROTOCOL_H

#include "gateway/config.h"

#include <cygnet/net.h>

struct cyg_gw_server;

/* What a scrape asks of a server. */
struct cyg_gw_server_numbers {
    uint64_t connections; /* open now; udp: sessions */
    uint64_t requests;    /* http: being handled now */
    uint64_t half_closed; /* tcp: of the connections, with one side ended */
    uint64_t drops;       /* udp: datagrams that the kernel had no room for */
    cyg_listener_stats sockets;
};

struct cyg_gw_protocol_ops {
    const char *word; /* in the configuration */

    /* Opens the socket and sets s->text; nothing is accepted yet. Blocks: never. Returns: 0, CYG_ENOMEM, or an error of cyg_listen
     * with its detail. */
    int (*open)(struct cyg_gw_server *s, const char *network, const char *bind);

    /* Makes what is needed to serve as l asks (NULL: as the admin address is); *out stays NULL if s goes on as it is. It does nothing
     * yet. Blocks: never. Returns: 0, CYG_ENOMEM, CYG_EINVAL. */
    int (*prepare)(struct cyg_gw_server *s, const struct cyg_gw_listener *l, void **out);
    void (*discard)(void *prepared); /* NULL is fine */

    /* Begins to serve, or goes on with what was prepared. Blocks: parks for short. Owns: takes prepared. */
    void (*serve)(struct cyg_gw_server *s, void *prepared);

    /* Stops accepting, lets what is under way finish, cuts what is left at the deadline. Blocks: parks. Returns: how many would not end
     * even when cut: their goroutines still use s. */
    uint64_t (*shutdown)(struct cyg_gw_server *s, cyg_time deadline);

    /* Brings the counters of what is under way up to date; NULL: they are. Blocks: parks for a short lock. From: a goroutine that holds
     * gw->lock. */
    void (*count)(struct cyg_gw_server *s);

    /* Adds what there is now. From: a goroutine that holds gw->lock. */
    void (*stats)(const struct cyg_gw_server *s, struct cyg_gw_server_numbers *out);

    /* Frees what open and the others made; all is drained, or never served. */
    void (*free)(struct cyg_gw_server *s);
};

extern const struct cyg_gw_protocol_ops cyg_gw_http_ops, cyg_gw_tcp_ops, cyg_gw_udp_ops;

/* The protocol's row. */
const struct cyg_gw_protocol_ops *cyg_gw_protocol_ops(enum cyg_gw_protocol p);

#endif
