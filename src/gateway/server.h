/* server.h: a listening socket and the HTTP server on it. The gateway has one for each listener of the configuration, known by
 * its address across reloads, and one for the admin address.
 */
#ifndef CYG_GATEWAY_SERVER_H
#define CYG_GATEWAY_SERVER_H

#include "gateway/config.h"

#include <cygnet/context.h>
#include <cygnet/http.h>
#include <cygnet/snapshot.h>
#include <cygnet/sync.h>

struct cyg_gw;

/* The HTTP servers of a socket: the first accepts; behind it stand those with older options, for as long as they have
 * connections, which keep the options that they began with. */
struct cyg_gw_http {
    cyg_http_server *http;
    struct cyg_gw_http *older;
};

struct cyg_gw_server {
    struct cyg_gw *gw;
    size_t id;                  /* index in gw->servers; for the admin server unused */
    cyg_addr addr;              /* as configured: what it is known by */
    char text[CYG_ADDR_STRLEN]; /* as bound: with the port that the kernel chose */
    cyg_listener *listener;     /* NULL once closed */
    cyg_http_server_opts opts;
    struct cyg_gw_http *http; /* guarded by gw->lock; NULL once drained */
    cyg_ctx *accepting; /* cancelled to stop the accept loop without closing the socket; of the reloading goroutine */
    cyg_waitgroup accepts;      /* 1 while the accept loop runs */
    bool removed;               /* drains, or has drained; of the reloading goroutine */
    struct cyg_gw_server *next; /* in gw->former_admins */
    cyg_snapshot *last;         /* the snapshot for requests that come in after a reload has removed this server */
};

/* Opens the socket; nothing is accepted yet. Blocks: never. From: goroutine. Returns: 0, CYG_ENOMEM, or an error of cyg_listen
 * with its detail. */
int cyg_gw_server_open(struct cyg_gw *gw, const char *network, const char *bind, const cyg_addr *addr,
                       struct cyg_gw_server **out);

/* Makes an HTTP server for it; opts->on_refused_arg becomes s. It does nothing yet. Returns: as cyg_http_server_new. */
int cyg_gw_server_prepare(struct cyg_gw_server *s, cyg_http_handler *handler, const cyg_http_server_opts *opts,
                          struct cyg_gw_http **out);
void cyg_gw_http_free(struct cyg_gw_http *h); /* with all older ones; NULL is fine */

/* Serves the socket with http from now on; connections of the one before stay with it. Blocks: parks until the accept loop has
 * changed hands. From: goroutine, one at a time. Owns: takes http. */
void cyg_gw_server_serve(struct cyg_gw_server *s, struct cyg_gw_http *http);

/* Stops accepting and drains: closes idle connections, lets requests finish, cuts what is left at the deadline.
 * Blocks: parks. From: goroutine. Returns: how many requests would not end even when cut: their goroutines still use s. */
uint64_t cyg_gw_server_shutdown(struct cyg_gw_server *s, cyg_time deadline);

/* Sums over all HTTP servers. From: goroutine that holds gw->lock. */
void cyg_gw_server_stats(const struct cyg_gw_server *s, cyg_http_server_stats *out);

/* Closes the socket and frees s; it must be drained or never have served. */
void cyg_gw_server_free(struct cyg_gw_server *s);

/* The options that a listener's configuration asks for. */
cyg_http_server_opts cyg_gw_server_opts(const struct cyg_gw_listener *l);

/* Whether two sets of options ask for the same. */
bool cyg_gw_server_opts_equal(const cyg_http_server_opts *a, const cyg_http_server_opts *b);

#endif
