/* handler.c: the path of one request: route, cluster, endpoint, exchange; then one counter, one histogram and one log line.
 * Everything of a request stands on its goroutine's stack; nothing here allocates.
 */
#include "gateway/access_log.h"
#include "gateway/state.h"

#include <cygnet/runtime.h>

/* What is used most stands last: near the frame pointer, where instructions are shorter. */
struct exchange {
    char own_id[CYG_GW_REQUEST_ID_BYTES];
    cyg_http_req_info head;
    cyg_http_forward_result forward;
    cyg_str request_id, user_agent;
    struct cyg_gw_server *server;
    struct cyg_gw_route_state *state;
    const struct cyg_gw_upstream *upstream; /* the endpoint tried last; NULL: none */
    unsigned attempts;
    enum cyg_gw_reason reason;
};

static cyg_str first_value(const cyg_http_req_info *head, uint32_t id) {
    for (size_t i = 0; i < head->nfields; i++)
        if (head->fields[i].id == id) return head->fields[i].value;
    return (cyg_str){0};
}

/* The first of each; from the last to the first, so that both are found in one pass. */
static void read_fields(struct exchange *x) {
    x->request_id = x->user_agent = (cyg_str){0};
    for (size_t i = x->head.nfields; i-- > 0;) {
        const cyg_http_field *f = &x->head.fields[i];
        if (f->id == CYG_HTTP_X_REQUEST_ID) x->request_id = f->value;
        if (f->id == CYG_HTTP_USER_AGENT) x->user_agent = f->value;
    }
}

static void choose_request_id(struct exchange *x) {
    if (cyg_gw_request_id_ok(x->request_id)) return;
    cyg_gw_ids_next(x->server->gw->ids, cyg_proc_hint(), x->own_id);
    x->request_id = (cyg_str){x->own_id, sizeof x->own_id};
}

/* Tries the cluster's endpoints, beginning with the one whose turn it is, each at most once, until one takes a connection. */
static void forward(struct exchange *x, cyg_http_req *req, cyg_http_res *res, bool trusted) {
    struct cyg_gw_members *m = x->state->members;
    size_t n = m->turns.n, at = cyg_gw_turns_next(&m->turns, cyg_proc_hint());
    cyg_http_forward_opts opts; /* field by field: clearing it first would be dearer */
    opts.deadline = cyg_now_cached() + x->state->route->timeout;
    opts.request_id = x->request_id;
    opts.via = (cyg_str){0};
    opts.keep_forwarded = trusted;
    opts.add_response = NULL;
    opts.nadd_response = 0;
    memset(opts.reserve, 0, sizeof opts.reserve);
    for (;;) {
        x->upstream = m->endpoints[at];
        x->attempts++;
        (void)cyg_http_forward(req, res, x->upstream->pool, &opts, &x->forward);
        if (CYG_LIKELY(x->forward.status != CYG_FORWARD_CONNECT_FAILURE || x->forward.answered)) break;
        if (cyg_now_cached() >= opts.deadline) x->forward.status = CYG_FORWARD_TIMEOUT;
        if (x->forward.status == CYG_FORWARD_TIMEOUT || x->attempts == n) break;
        if (++at == n) at = 0;
    }
    x->reason = cyg_gw_reason_of(x->forward.status);
}

/* The gateway's own answer: the reason's word in a field, its sentence in the body. */
static CYG_COLD void answer(const struct exchange *x, cyg_http_res *res) {
    const struct cyg_gw_reason_info *info = cyg_gw_reason_info(x->reason);
    int status = cyg_gw_reason_status(x->reason, x->forward.err);
    if (status == 0) {
        cyg_http_res_abort(res);
        cyg_http_res_close(res);
        return;
    }
    (void)cyg_http_res_add(res, CYG_STR("x-cygnet-reason"), cyg_str_of(info->word));
    (void)cyg_http_res_add(res, CYG_STR("x-request-id"), x->request_id);
    (void)cyg_http_printf(res, status, "text/plain", "%s: %s\n", info->word, info->text);
}

static cyg_str protocol_run(int version) {
    return version == 10 ? CYG_GW_ACCESS_PROTOCOL("HTTP/1.0") : CYG_GW_ACCESS_PROTOCOL("HTTP/1.1");
}

/* Every field is in the initializer: a struct of this size that had to be cleared first would cost more than filling it. */
static void write_log(struct cyg_gw_log_file *log, const struct exchange *x, const cyg_http_res_info *end,
                      int64_t duration_ns, cyg_str forwarded_for) {
    const cyg_http_forward_result *f = &x->forward;
    struct cyg_gw_access a = {
        .start = x->head.start,
        .method = x->head.method,
        .path = x->head.target,
        .protocol = protocol_run(x->head.version),
        .response_code = end->status,
        .outcome = cyg_gw_reason_info(x->reason)->logged,
        .bytes_received = end->req_body_bytes,
        .bytes_sent = end->body_bytes,
        .duration_ns = duration_ns,
        .upstream_service_ns = f->connected && f->first_byte ? f->first_byte - f->connected : -1,
        .x_forwarded_for = forwarded_for,
        .user_agent = x->user_agent,
        .request_id = x->request_id,
        .authority = x->head.host,
        .upstream = x->upstream ? cyg_gw_access_run_text(&x->upstream->logged) : (cyg_str){0},
        .local = cyg_gw_access_run_text(&x->server->logged),
        .downstream_remote_address = x->head.peer_text,
        .configured = cyg_gw_access_run_text(&x->state->logged),
        .upstream_request_attempt_count = x->attempts,
    };
    (void)cyg_gw_access_write(log, &a);
}

/* X-Forwarded-For as the upstream got it from a trusted peer: what that said, and the peer behind it. */
static __attribute__((noinline)) void write_log_trusted(struct cyg_gw_log_file *log, const struct exchange *x,
                                                        const cyg_http_res_info *end, int64_t duration_ns) {
    char all[512];
    cyg_str before = first_value(&x->head, CYG_HTTP_X_FORWARDED_FOR), peer = x->head.peer_ip_text;
    if (before.n > 0 && before.n < sizeof all - CYG_ADDR_STRLEN) {
        memcpy(all, before.p, before.n);
        memcpy(all + before.n, ", ", 2);
        if (peer.n > 0) memcpy(all + before.n + 2, peer.p, peer.n);
        peer = (cyg_str){all, before.n + (peer.n > 0 ? 2 + peer.n : 0)};
    }
    write_log(log, x, end, duration_ns, peer);
}

static void finish(struct exchange *x, cyg_http_res *res, struct cyg_gw_log_file *log_or_null, bool trusted) {
    struct cyg_gw *gw = x->server->gw;
    cyg_time now = cyg_now();
    int64_t duration_ns = now - x->head.start;
    cyg_http_res_info end;
    cyg_http_res_get_info(res, &end);
    if (CYG_UNLIKELY(end.failed) && x->reason == CYG_GW_VIA_UPSTREAM) x->reason = CYG_GW_CLIENT_DISCONNECTED;
    cyg_gw_traffic_count(&x->state->traffic, end.status, duration_ns, x->reason);
    if (log_or_null) {
        bool forwarded = x->attempts > 0;
        if (CYG_UNLIKELY(trusted && forwarded))
            write_log_trusted(log_or_null, x, &end, duration_ns);
        else
            write_log(log_or_null, x, &end, duration_ns, CYG_LIKELY(forwarded) ? x->head.peer_ip_text : (cyg_str){0});
    }
    if (CYG_UNLIKELY(__atomic_load_n(&gw->draining, __ATOMIC_ACQUIRE)) && now >= gw->cut_at && x->reason != CYG_GW_VIA_UPSTREAM)
        __atomic_fetch_add(&gw->cut, 1, __ATOMIC_RELAXED);
}

static CYG_COLD void refuse_late(cyg_http_res *res) {
    cyg_http_res_close(res);
    (void)cyg_http_send(res, 503, "text/plain", "shutting down\n", 14);
}

void cyg_gw_handle(cyg_http_req *req, cyg_http_res *res, void *server) {
    cyg_snapshot_hold hold;
    const struct cyg_gw_snapshot *snapshot;
    const struct cyg_gw_front *front = cyg_gw_hold_front(server, &hold, &snapshot);
    if (CYG_UNLIKELY(!front)) {
        refuse_late(res);
        return;
    }
    struct exchange x;
    x.server = server;
    x.upstream = NULL;
    x.attempts = 0;
    cyg_http_req_get_info(req, &x.head);
    const struct cyg_gw_listener *l = front->config;
    bool trusted = l->ntrusted > 0 && cyg_gw_cidrs_contain(l->trusted, l->ntrusted, cyg_http_req_peer(req));
    read_fields(&x);
    choose_request_id(&x);
    x.state = cyg_gw_front_route(front, cyg_gw_router_find(front->router, x.head.host, x.head.path));
    if (CYG_LIKELY(x.state->route)) {
        forward(&x, req, res, trusted);
    } else {
        x.forward = (cyg_http_forward_result){0};
        x.reason = CYG_GW_ROUTE_NOT_FOUND;
    }
    if (CYG_UNLIKELY(x.reason != CYG_GW_VIA_UPSTREAM && !x.forward.answered)) answer(&x, res);
    finish(&x, res, snapshot->log, trusted);
    cyg_snapshot_drop(&hold);
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
            .configured = cyg_gw_access_run_text(&cyg_gw_front_route(front, NULL)->logged),
        };
        if (peer) a.downstream_remote_address = (cyg_str){remote, cyg_addr_format(peer, remote, sizeof remote)};
        if (req_or_null) {
            cyg_http_req_info head;
            cyg_http_req_get_info(req_or_null, &head);
            a.method = head.method;
            a.path = head.target;
            a.protocol = protocol_run(head.version);
            a.bytes_received = cyg_http_req_body_bytes(req_or_null);
            a.user_agent = first_value(&head, CYG_HTTP_USER_AGENT);
            a.authority = head.host;
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
        .configured = cyg_gw_access_run_text(&cyg_gw_front_route(front, NULL)->logged),
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
