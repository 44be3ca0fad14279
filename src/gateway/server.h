/* server.h: an open socket and what serves it. The gateway has one for each listener of the configuration, known by its address and
 * protocol across reloads, and one for the admin address.
 */
#ifndef CYG_GATEWAY_SERVER_H
#define CYG_GATEWAY_SERVER_H

#include "gateway/access_log.h"
#include "gateway/protocol.h"

#include <cygnet/context.h>
#include <cygnet/http.h>
#include <cygnet/snapshot.h>
#include <cygnet/sync.h>

struct cyg_gw;

struct cyg_gw_server {
    struct cyg_gw *gw;
    const struct cyg_gw_protocol_ops *ops;
    size_t id;                  /* index in gw->servers; for the admin server unused */
    cyg_addr addr;              /* as configured: what it is known by */
    char text[CYG_ADDR_STRLEN]; /* as bound: with the port that the kernel chose */
    struct cyg_gw_access_run logged;
    void *own;                  /* the protocol's */
    bool removed;               /* drains, or has drained; of the reloading goroutine */
    struct cyg_gw_server *next; /* in gw->former_admins */
    cyg_snapshot *last;         /* the snapshot for what comes in after a reload has removed this server */
};

/* Opens the socket; nothing is accepted yet. Blocks: never. From: goroutine. Returns: 0, CYG_ENOMEM, or an error of cyg_listen
 * with its detail. */
int cyg_gw_server_open(struct cyg_gw *gw, enum cyg_gw_protocol protocol, const char *network, const char *bind,
                       const cyg_addr *addr, struct cyg_gw_server **out);

/* Closes the socket and frees s; it must be drained or never have served. NULL is fine. */
void cyg_gw_server_free(struct cyg_gw_server *s);

#endif
