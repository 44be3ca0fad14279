/* state.h: the running gateway, as its own files see it.
 *
 * Who touches what: the goroutine that runs the gateway (reloads, drains) writes; handlers read `current`, `draining` and what
 * is constant; scrapes take `lock`, under which the list of servers and what they serve with change.
 */
#ifndef CYG_GATEWAY_STATE_H
#define CYG_GATEWAY_STATE_H

#include "gateway/gateway.h"
#include "gateway/request_id.h"
#include "gateway/server.h"
#include "gateway/snapshot.h"

struct cyg_gw {
    struct cyg_gw_context context;
    struct cyg_gw_ids *ids;
    cyg_snapshot *current; /* of struct cyg_gw_snapshot: the one in force */
    char *file;            /* constant; NULL: the document came from elsewhere, there is nothing to reload */
    int64_t started_ns;    /* since 1970 */

    cyg_mutex lock;                 /* guards servers, nservers, admin, log and each server's HTTP servers */
    struct cyg_gw_server **servers; /* by id; a removed one stays, so that late requests find it, until the gateway ends */
    size_t nservers;
    struct cyg_gw_server *admin;
    struct cyg_gw_server *former_admins; /* drained; kept for the same reason */
    struct cyg_gw_log_file *log;         /* one reference; NULL: off */

    uint32_t draining; /* atomic */
    cyg_time cut_at;   /* set before draining */
    bool abandoned;    /* ended in the middle of a drain; of the goroutine that runs the gateway */
    uint64_t cut;      /* requests that the end of the drain cut short and that have ended; atomic */
    uint64_t stuck; /* requests that had not ended even a while after they were cut, and still use all this; atomic */
};

/* snapshot.c: holds the snapshot for what came in on this server: the one in force, or, if that no longer has the server, the last
 * that had. Returns: the server's front in it; NULL only while the gateway ends, and nothing is held then. */
struct cyg_gw_front *cyg_gw_hold_front(struct cyg_gw_server *s, cyg_snapshot_hold *hold, const struct cyg_gw_snapshot **out);

/* handler.c: the listeners' cyg_http_handler, its argument a server; and what the HTTP library refused by itself. */
void cyg_gw_handle(cyg_http_req *req, cyg_http_res *res, void *server);
void cyg_gw_refused(void *server, int status, const char *reason, const cyg_addr *peer, const cyg_http_req *req_or_null);

/* handler.c: what precedes HTTP on a connection of a listener with proxy_protocol: a cyg_http_server_opts.on_begin. */
int cyg_gw_begin(void *server, cyg_conn *c, cyg_addr *peer);

/* admin.c: the admin address's, its argument a server, too. */
void cyg_gw_admin_handle(cyg_http_req *req, cyg_http_res *res, void *server);

/* admin_config.c: the document in force as JSON, and scrape.c: everything as Prometheus text. Both take what they need. */
struct cyg_gw_text;
void cyg_gw_admin_config(struct cyg_gw *gw, struct cyg_gw_text *out);
void cyg_gw_scrape(struct cyg_gw *gw, struct cyg_gw_text *out);
void cyg_gw_scrape_sockets(struct cyg_gw_text *out); /* scrape_sockets.c: a part of it */

/* apply.c: makes config the one in force, or changes nothing. Owns: takes config over. Returns: 0, or an error, already told
 * in the log. */
int cyg_gw_apply(struct cyg_gw *gw, struct cyg_gw_config *config);

/* apply.c: drains a server that was removed, on a goroutine of its own. */
void cyg_gw_drain_server(struct cyg_gw *gw, struct cyg_gw_server *s, cyg_duration timeout);

#endif
