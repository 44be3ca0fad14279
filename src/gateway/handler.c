/* handler.c: the path of one request: route, cluster, endpoint, exchange; then one counter, one histogram and one log line.
 * Everything of a request stands in a struct exchange on its goroutine's stack; nothing here allocates.
 */
#include "gateway/access_log.h"
#include "gateway/state.h"

#include <cygnet/runtime.h>

struct exchange {
    struct cyg_gw_server *server;
    cyg_http_req *req;
    cyg_http_res *res;
    cyg_snapshot_hold hold;
    const struct cyg_gw_snapshot *snapshot;
    struct cyg_gw_front *front;
    const struct cyg_gw_route *route;
    const struct cyg_gw_upstream *upstream; /* the endpoint tried last */
    unsigned attempts;
    bool trusted;
    enum cyg_gw_reason reason;
    cyg_http_forward_result forward;
    cyg_str request_id;
    char own_id[CYG_GW_REQUEST_ID_BYTES];
};

static void choose_request_id(struct exchange *x) {
    x->request_id = (cyg_str){0};
    size_t n;
    const cyg_http_field *f = cyg_http_req_fields(x->req, &n);
    for (size_t i = 0; i < n; i++) {
        if (f[i].id != CYG_HTTP_X_REQUEST_ID) continue;
        x->request_id = f[i].value;
        break;
    }
    if (cyg_gw_request_id_ok(x->request_id)) return;
    cyg_gw_ids_next(x->server->gw->ids, cyg_proc_hint(), x->own_id);
    x->request_id = (cyg_str){x->own_id, sizeof x->own_id};
}

/* Tries the cluster's endpoints, beginning with the one whose turn it is, each at most once, until one takes a connection. */
static void forward(struct exchange *x) {
    struct cyg_gw_members *m = &x->snapshot->members[x->route->cluster->index];
    size_t n = m->config->nendpoints, first = cyg_gw_turns_next(&m->turns, cyg_proc_hint());
    cyg_http_forward_opts opts = {
        .deadline = cyg_now_cached() + x->route->timeout,
        .request_id = x->request_id,
        .keep_forwarded = x->trusted,
    };
    for (size_t i = 0; i < n; i++) {
        x->upstream = m->endpoints[first + i < n ? first + i : first + i - n];
        x->attempts++;
        (void)cyg_http_forward(x->req, x->res, x->upstream->pool, &opts, &x->forward);
        if (x->forward.status != CYG_FORWARD_CONNECT_FAILURE || x->forward.answered) break;
        if (cyg_now_cached() >= opts.deadline) {
            x->forward.status = CYG_FORWARD_TIMEOUT;
            break;
        }
    }
    x->reason = cyg_gw_reason_of(x->forward.status);
    if (x->reason == CYG_GW_VIA_UPSTREAM && cyg_http_res_failed(x->res)) x->reason = CYG_GW_CLIENT_DISCONNECTED;
}

/* The gateway's own answer: the reason's word in a field, its sentence in the body. */
static void answer(struct exchange *x) {
    const struct cyg_gw_reason_info *info = cyg_gw_reason_info(x->reason);
    int status = cyg_gw_reason_status(x->reason, x->forward.err);
    if (status == 0) {
        cyg_http_res_abort(x->res);
        cyg_http_res_close(x->res);
        return;
    }
    (void)cyg_http_res_add(x->res, CYG_STR("x-cygnet-reason"), cyg_str_of(info->word));
    (void)cyg_http_res_add(x->res, CYG_STR("x-request-id"), x->request_id);
    (void)cyg_http_printf(x->res, status, "text/plain", "%s: %s\n", info->word, info->text);
}

static cyg_str first_value(const cyg_http_req *req, uint32_t id) {
    size_t n;
    const cyg_http_field *f = cyg_http_req_fields(req, &n);
    for (size_t i = 0; i < n; i++)
        if (f[i].id == id) return f[i].value;
    return (cyg_str){0};
}

/* X-Forwarded-For as the upstream got it: the peer, behind what a trusted peer said. */
static cyg_str forwarded_for(const struct exchange *x, char *buf, size_t room) {
    size_t n = 0;
    cyg_str before = x->trusted ? first_value(x->req, CYG_HTTP_X_FORWARDED_FOR) : (cyg_str){0};
    if (before.n > 0 && before.n < room - CYG_ADDR_STRLEN) {
        memcpy(buf, before.p, before.n);
        memcpy(buf + before.n, ", ", 2);
        n = before.n + 2;
    }
    cyg_str peer = cyg_http_req_peer_ip_text(x->req);
    if (n == 0) return peer;
    if (peer.n == 0) return (cyg_str){buf, n - 2};
    memcpy(buf + n, peer.p, peer.n);
    return (cyg_str){buf, n + peer.n};
}

static cyg_str protocol_run(const cyg_http_req *req) {
    return cyg_http_req_version(req) == 10 ? CYG_GW_ACCESS_PROTOCOL("HTTP/1.0") : CYG_GW_ACCESS_PROTOCOL("HTTP/1.1");
}

/* Every field is in the initializer: a struct of this size that had to be cleared first would cost more than filling it. */
static void write_log(const struct exchange *x, int64_t duration_ns) {
    if (!x->snapshot->log) return;
    const cyg_http_forward_result *f = &x->forward;
    char forwarded[512];
    struct cyg_gw_access a = {
        .start = cyg_http_req_start(x->req),
        .method = cyg_http_req_method(x->req),
        .path = cyg_http_req_target(x->req),
        .protocol = protocol_run(x->req),
        .response_code = cyg_http_res_status(x->res),
        .outcome = cyg_gw_reason_info(x->reason)->logged,
        .bytes_received = cyg_http_req_body_bytes(x->req),
        .bytes_sent = cyg_http_res_body_bytes(x->res),
        .duration_ns = duration_ns,
        .upstream_service_ns = f->connected && f->first_byte ? f->first_byte - f->connected : -1,
        .x_forwarded_for = x->route ? forwarded_for(x, forwarded, sizeof forwarded) : (cyg_str){0},
        .user_agent = first_value(x->req, CYG_HTTP_USER_AGENT),
        .request_id = x->request_id,
        .authority = cyg_http_req_host(x->req),
        .upstream = x->route ? cyg_gw_access_run_text(&x->upstream->logged) : (cyg_str){0},
        .local = cyg_gw_access_run_text(&x->server->logged),
        .downstream_remote_address = cyg_http_req_peer_text(x->req),
        .configured = cyg_gw_access_run_text(&x->front->logged[cyg_gw_front_index(x->front, x->route)]),
        .upstream_request_attempt_count = x->attempts,
    };
    (void)cyg_gw_access_write(x->snapshot->log, &a);
}

static void finish(struct exchange *x) {
    struct cyg_gw *gw = x->server->gw;
    cyg_time now = cyg_now();
    int64_t duration_ns = now - cyg_http_req_start(x->req);
    cyg_gw_traffic_count(&x->front->traffic[cyg_gw_front_index(x->front, x->route)], cyg_http_res_status(x->res),
                         duration_ns, x->reason);
    write_log(x, duration_ns);
    if (CYG_UNLIKELY(__atomic_load_n(&gw->draining, __ATOMIC_ACQUIRE)) && now >= gw->cut_at && x->reason != CYG_GW_VIA_UPSTREAM)
        __atomic_fetch_add(&gw->cut, 1, __ATOMIC_RELAXED);
}

void cyg_gw_handle(cyg_http_req *req, cyg_http_res *res, void *server) {
    struct exchange x;
    x.server = server;
    x.req = req;
    x.res = res;
    x.front = cyg_gw_hold_front(server, &x.hold, &x.snapshot);
    if (!x.front) {
        cyg_http_res_close(res);
        (void)cyg_http_send(res, 503, "text/plain", "shutting down\n", 14);
        return;
    }
    x.upstream = NULL;
    x.attempts = 0;
    x.forward = (cyg_http_forward_result){0};
    const struct cyg_gw_listener *l = x.front->config;
    x.trusted = l->ntrusted > 0 && cyg_gw_cidrs_contain(l->trusted, l->ntrusted, cyg_http_req_peer(req));
    choose_request_id(&x);
    x.route = cyg_gw_router_find(x.front->router, cyg_http_req_host(req), cyg_http_req_path(req));
    if (x.route)
        forward(&x);
    else
        x.reason = CYG_GW_ROUTE_NOT_FOUND;
    if (x.reason != CYG_GW_VIA_UPSTREAM && !x.forward.answered) answer(&x);
    finish(&x);
    cyg_snapshot_drop(&x.hold);
}

void cyg_gw_refused(void *server, int status, const char *reason, const cyg_addr *peer, const cyg_http_req *req_or_null) {
    struct cyg_gw_server *s = server;
    cyg_snapshot_hold hold;
    const struct cyg_gw_snapshot *snapshot;
    struct cyg_gw_front *front = cyg_gw_hold_front(s, &hold, &snapshot);
    if (!front) return;
    cyg_gw_refusals_count(&front->refusals, reason);
    if (snapshot->log) {
        char remote[CYG_ADDR_STRLEN];
        struct cyg_gw_access_run outcome;
        cyg_time now = cyg_now(), start = req_or_null ? cyg_http_req_start(req_or_null) : now;
        struct cyg_gw_access a = {
            .start = start,
            .response_code = status,
            .outcome = cyg_gw_access_outcome(&outcome, CYG_STR("DPE"), cyg_str_of(reason)),
            .duration_ns = now - start,
            .upstream_service_ns = -1,
            .local = cyg_gw_access_run_text(&s->logged),
            .configured = cyg_gw_access_run_text(&front->logged[cyg_gw_front_index(front, NULL)]),
        };
        if (peer) a.downstream_remote_address = (cyg_str){remote, cyg_addr_format(peer, remote, sizeof remote)};
        if (req_or_null) {
            a.method = cyg_http_req_method(req_or_null);
            a.path = cyg_http_req_target(req_or_null);
            a.protocol = protocol_run(req_or_null);
            a.bytes_received = cyg_http_req_body_bytes(req_or_null);
            a.user_agent = first_value(req_or_null, CYG_HTTP_USER_AGENT);
            a.authority = cyg_http_req_host(req_or_null);
        }
        (void)cyg_gw_access_write(snapshot->log, &a);
    }
    cyg_snapshot_drop(&hold);
}

/* ---- before the first request ------------------------------------------------------------------------------------- */

static void log_begin(const struct cyg_gw_server *s, const struct cyg_gw_snapshot *snapshot,
                      const struct cyg_gw_front *front, const cyg_addr *peer, cyg_time start, enum cyg_gw_ending ending) {
    char remote[CYG_ADDR_STRLEN];
    struct cyg_gw_access a = {
        .start = start,
        .outcome = cyg_gw_ending_info(ending)->logged,
        .duration_ns = cyg_now() - start,
        .upstream_service_ns = -1,
        .local = cyg_gw_access_run_text(&s->logged),
        .downstream_remote_address = {remote, cyg_addr_format(peer, remote, sizeof remote)},
        .configured = cyg_gw_access_run_text(&front->logged[cyg_gw_front_index(front, NULL)]),
    };
    (void)cyg_gw_access_write(snapshot->log, &a);
}

int cyg_gw_begin(void *server, cyg_conn *c, cyg_addr *peer) {
    struct cyg_gw_server *s = server;
    cyg_snapshot_hold hold;
    const struct cyg_gw_snapshot *snapshot;
    struct cyg_gw_front *front = cyg_gw_hold_front(s, &hold, &snapshot);
    if (!front) return CYG_ECLOSED;
    struct cyg_gw_parties parties = {.client = *peer};
    enum cyg_gw_ending ending;
    cyg_time started = cyg_now();
    int err = 0;
    if (front->config->proxy_protocol.naccept_from > 0) /* a reload may have taken it away since */
        err = cyg_gw_proxy_accept(c, &front->config->proxy_protocol, &front->proxy, &parties, &ending);
    if (err < 0) {
        cyg_gw_refusals_count(&front->refusals, cyg_gw_ending_info(ending)->word);
        if (snapshot->log) log_begin(s, snapshot, front, peer, started, ending);
    } else {
        *peer = parties.client;
    }
    cyg_snapshot_drop(&hold);
    return err;
}
