/* forward_head.c: heads that pass through: which fields go on, which stop here, which we set. One pass over the fields, a
 * switch on the field's number, straight into the output. Source: RFC 9110 section 7.6, RFC 9112 section 3.2.2.
 */
#include "http/internal.h"

#define OWN_ROOM ((size_t)512) /* what we add ourselves, besides names and lists counted apart */

#define BIT(id) (1ull << (id))
/* Fields that belong to one connection only. Framing is made anew, so its fields are among them. */
#define HOP_BY_HOP                                                                                          \
    (BIT(CYG_HTTP_CONTENT_LENGTH) | BIT(CYG_HTTP_TRANSFER_ENCODING) | BIT(CYG_HTTP_CONNECTION) |            \
     BIT(CYG_HTTP_KEEP_ALIVE) | BIT(CYG_HTTP_PROXY_CONNECTION) | BIT(CYG_HTTP_TE) | BIT(CYG_HTTP_TRAILER) | \
     BIT(CYG_HTTP_UPGRADE) | BIT(CYG_HTTP_PROXY_AUTHENTICATE) | BIT(CYG_HTTP_PROXY_AUTHORIZATION))
/* Of a request: what we write ourselves, and what only a trusted client may say. */
#define OURS (BIT(CYG_HTTP_HOST) | BIT(CYG_HTTP_EXPECT) | BIT(CYG_HTTP_X_FORWARDED_FOR) | BIT(CYG_HTTP_MAX_FORWARDS))
#define FORWARDED (BIT(CYG_HTTP_X_FORWARDED_PROTO) | BIT(CYG_HTTP_X_FORWARDED_HOST) | BIT(CYG_HTTP_FORWARDED))

static bool seen(const struct cyg_h1_head *h, uint32_t id) { return h->seen >> id & 1; }

/* A field as it came: the whole line at once where it is written as we would write it. */
static inline void put_as_is(struct cyg_h1_out *o, const cyg_http_field *f) {
    const char *end = f->value.p + f->value.n;
    if (CYG_LIKELY(f->value.p == f->name.p + f->name.n + 2 && f->value.p[-1] == ' ' && *end == '\r'))
        cyg_h1_put(o, f->name.p, (size_t)(end + 2 - f->name.p));
    else
        cyg_h1_put_field(o, f->name, f->value);
}

/* The fields but for those whose bit is in drop and those that Connection names. */
static void put_fields(struct cyg_h1_out *o, const struct cyg_h1_head *h, uint64_t drop) {
    for (const cyg_http_field *f = h->fields, *end = f + h->nfields; f < end; f++) {
        if (drop >> f->id & 1) continue;
        if (CYG_UNLIKELY(h->has_connection_options) && cyg_h1_connection_names(h, f->name)) continue;
        put_as_is(o, f);
    }
}

/* ---- to the upstream -------------------------------------------------------------------------------------------- */

/* Max-Forwards counts hops for these two alone; the caller has answered a 0. Source: RFC 9110 section 7.6.2. */
static CYG_COLD void put_max_forwards(struct cyg_h1_out *o, const struct cyg_h1_head *h) {
    bool counted = cyg_str_eq(h->method, CYG_STR("OPTIONS")) || cyg_str_eq(h->method, CYG_STR("TRACE"));
    for (const cyg_http_field *f = h->fields, *end = f + h->nfields; f < end; f++) {
        if (f->id != CYG_HTTP_MAX_FORWARDS) continue;
        bool counts = counted;
        uint64_t v = 0;
        for (size_t i = 0; counts && i < f->value.n; i++) {
            if (f->value.p[i] < '0' || f->value.p[i] > '9' || v > 100000)
                counts = false;
            else
                v = v * 10 + (uint64_t)(f->value.p[i] - '0');
        }
        if (counts && v > 0)
            cyg_h1_put_uint_line(o, CYG_STR("Max-Forwards: "), v - 1);
        else
            put_as_is(o, f);
    }
}

/* X-Forwarded-For as one list: what a trusted client brought, then the client's own address. */
static void put_forwarded_for(struct cyg_h1_out *o, const struct cyg_h1_head *h, cyg_str client) {
    size_t before = o->n;
    cyg_h1_put_lit(o, "X-Forwarded-For: ");
    size_t begin = o->n;
    for (unsigned i = 0; i < h->nfields; i++) {
        if (h->fields[i].id != CYG_HTTP_X_FORWARDED_FOR || h->fields[i].value.n == 0) continue;
        if (o->n > begin) cyg_h1_put_lit(o, ", ");
        cyg_h1_put_str(o, h->fields[i].value);
    }
    if (o->n > begin && client.n > 0) cyg_h1_put_lit(o, ", ");
    cyg_h1_put_str(o, client);
    if (o->n == begin)
        o->n = before; /* a Unix socket's client has no address */
    else
        cyg_h1_put_lit(o, "\r\n");
}

/* Who asked, how, and for whom; of a trusted client's fields, those that it sent stay. */
static void put_forwarded(struct cyg_h1_out *o, const cyg_http_req *req, bool trusted) {
    const struct cyg_h1_head *h = &req->h;
    const struct http_conn *hc = req->x->hc;
    cyg_str client = {hc->peer_text + hc->peer_ip_at, hc->peer_ip_n};
    if (CYG_UNLIKELY(trusted && seen(h, CYG_HTTP_X_FORWARDED_FOR)))
        put_forwarded_for(o, h, client);
    else if (CYG_LIKELY(client.n > 0))
        cyg_h1_put_line(o, CYG_STR("X-Forwarded-For: "), client);
    if (CYG_LIKELY(!(trusted && seen(h, CYG_HTTP_X_FORWARDED_PROTO)))) cyg_h1_put_lit(o, "X-Forwarded-Proto: http\r\n");
    if (CYG_LIKELY(h->host.n > 0 && !(trusted && seen(h, CYG_HTTP_X_FORWARDED_HOST))))
        cyg_h1_put_line(o, CYG_STR("X-Forwarded-Host: "), h->host);
}

static void put_via(struct cyg_h1_out *o, const struct cyg_h1_head *h, cyg_str name) {
    cyg_str received = h->version == 10 ? CYG_STR("Via: 1.0 ") : CYG_STR("Via: 1.1 ");
    cyg_h1_put_line(o, received, name.n > 0 ? name : CYG_STR("cygnet"));
}

static void put_request_framing(struct cyg_h1_out *o, const struct cyg_h1_head *h) {
    if (CYG_UNLIKELY(h->framing == CYG_H1_CHUNKED))
        cyg_h1_put_lit(o, "Transfer-Encoding: chunked\r\n");
    else if (h->framing == CYG_H1_LENGTH)
        cyg_h1_put_uint_line(o, CYG_STR("Content-Length: "), (uint64_t)h->content_length);
    if (CYG_UNLIKELY(h->expect_continue)) cyg_h1_put_lit(o, "Expect: 100-continue\r\n");
    cyg_h1_put_lit(o, "\r\n");
}

/* Method and target, the target in origin form, whatever form it came in. Source: RFC 9112 section 3.2. */
static void put_absolute_target(struct cyg_h1_out *o, const cyg_http_req *req) {
    cyg_str method = req->h.method, path = cyg_http_req_path(req), query = cyg_http_req_query(req);
    cyg_h1_put_str(o, method);
    cyg_h1_put_lit(o, " ");
    if (cyg_str_eq(method, CYG_STR("OPTIONS")) && path.n == 1 && query.n == 0) path = CYG_STR("*");
    cyg_h1_put_str(o, path);
    if (query.n > 0) {
        cyg_h1_put_lit(o, "?");
        cyg_h1_put_str(o, query);
    }
}

static inline void put_method_and_target(struct cyg_h1_out *o, const cyg_http_req *req) {
    const struct cyg_h1_head *h = &req->h;
    if (CYG_LIKELY(h->target.p[0] == '/' || h->target.p[0] == '*')) /* as they stand in the client's head */
        cyg_h1_put(o, h->method.p, (size_t)(h->target.p + h->target.n - h->method.p));
    else
        put_absolute_target(o, req);
}

int http_forward_request_head(cyg_http_req *req, struct http_cx *cx, const cyg_http_forward_opts *opts) {
    const struct cyg_h1_head *h = &req->h;
    (void)http_conn_peer(req->x->hc);
    cx->out_n = 0;
    int err = http_client_reserve(cx, h->head_bytes + 2 * h->host.n + opts->via.n + opts->request_id.n + OWN_ROOM);
    if (err < 0) return err;
    uint64_t drop = HOP_BY_HOP | OURS;
    if (!opts->keep_forwarded) drop |= FORWARDED;
    if (opts->request_id.n > 0) drop |= BIT(CYG_HTTP_X_REQUEST_ID);
    struct cyg_h1_out o = {.p = cx->out_p, .n = 0, .cap = cx->out_cap, .full = false};
    put_method_and_target(&o, req);
    cyg_h1_put_line(&o, CYG_STR(" HTTP/1.1\r\nHost: "), h->host);
    put_fields(&o, h, drop);
    if (CYG_UNLIKELY(seen(h, CYG_HTTP_MAX_FORWARDS))) put_max_forwards(&o, h);
    put_forwarded(&o, req, opts->keep_forwarded);
    put_via(&o, h, opts->via);
    if (CYG_LIKELY(opts->request_id.n > 0)) cyg_h1_put_line(&o, CYG_STR("X-Request-Id: "), opts->request_id);
    put_request_framing(&o, h);
    cx->out_n = o.n;
    return o.full ? CYG_ELIMIT : 0;
}

/* ---- to the client ---------------------------------------------------------------------------------------------- */

/* An answer without a body may still say how long it would be: HEAD and 304. Source: RFC 9110 section 8.6. */
static void put_length_said(struct cyg_h1_out *o, const struct cyg_h1_head *h) {
    for (unsigned i = 0; i < h->nfields; i++)
        if (h->fields[i].id == CYG_HTTP_CONTENT_LENGTH) {
            cyg_h1_put_field(o, CYG_STR("Content-Length"), h->fields[i].value);
            return;
        }
}

static size_t added_bytes(const cyg_http_forward_opts *opts) {
    size_t n = 0;
    for (size_t i = 0; i < opts->nadd_response; i++)
        n += opts->add_response[i].name.n + opts->add_response[i].value.n + 4;
    return n;
}

static void put_added(struct cyg_h1_out *o, const cyg_http_forward_opts *opts) {
    for (size_t i = 0; i < opts->nadd_response; i++)
        cyg_h1_put_field(o, opts->add_response[i].name, opts->add_response[i].value);
}

int http_forward_answer_head(cyg_http_res *res, const struct cyg_h1_head *h, const cyg_http_forward_opts *opts) {
    struct http_x *x = res->x;
    size_t need = h->head_bytes + HTTP_HEAD_ROOM + res->extra_n;
    if (CYG_UNLIKELY(opts->nadd_response > 0)) need += added_bytes(opts);
    int err = http_x_reserve(x, need);
    if (err < 0 || (err = http_res_begun(res, h->status)) < 0) return err;
    struct cyg_h1_out o = http_x_out(x);
    cyg_h1_put_status_line(&o, h->status);
    put_fields(&o, h, HOP_BY_HOP);
    if (!seen(h, CYG_HTTP_DATE) && !x->s->opts.no_date) http_put_date(&o);
    if (CYG_UNLIKELY(opts->nadd_response > 0)) put_added(&o, opts);
    if (CYG_UNLIKELY(h->framing == CYG_H1_NO_BODY && h->status != 204)) put_length_said(&o, h);
    _Static_assert(CYG_HTTP_BODY_CHUNKED == -1, "the parser's word for an unknown length");
    http_res_put_framing(res, &o, h->content_length, h->framing == CYG_H1_NO_BODY);
    x->out_n = o.n;
    return 0;
}

int http_forward_interim(cyg_http_res *res, const struct cyg_h1_head *h) {
    struct http_x *x = res->x;
    if (res->req->h.version < 11) return 0;
    int err = http_x_reserve(x, h->head_bytes + HTTP_HEAD_ROOM);
    if (err < 0) return err;
    struct cyg_h1_out o = http_x_out(x);
    cyg_h1_put_status_line(&o, h->status);
    put_fields(&o, h, HOP_BY_HOP);
    cyg_h1_put_lit(&o, "\r\n");
    x->out_n = o.n;
    return http_x_flush(x);
}

cyg_duration http_keep_alive_timeout(const struct cyg_h1_head *h) {
    for (unsigned i = 0; i < h->nfields; i++) {
        if (h->fields[i].id != CYG_HTTP_KEEP_ALIVE) continue;
        cyg_str v = h->fields[i].value;
        for (size_t k = 0; k + 8 < v.n; k++) {
            if (!cyg_str_eq_nocase((cyg_str){v.p + k, 8}, CYG_STR("timeout="))) continue;
            int64_t s = 0;
            for (k += 8; k < v.n && v.p[k] >= '0' && v.p[k] <= '9' && s < 1000000; k++) s = s * 10 + (v.p[k] - '0');
            return s > 1 ? s * CYG_SECOND - CYG_SECOND / 2 : CYG_SECOND / 2; /* ours must end first */
        }
    }
    return 0;
}
