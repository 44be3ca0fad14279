/* request.c: what a handler can ask about its request, and reading its body.
 * Relies on body.c for framing; decides here about deadlines, limits and the 100 that an expecting client waits for.
 */
#include "http/internal.h"

/* ---- accessors -------------------------------------------------------------------------------------------------- */

cyg_str cyg_http_req_method(const cyg_http_req *req) { return req->h.method; }
cyg_str cyg_http_req_target(const cyg_http_req *req) { return req->h.target; }
cyg_str cyg_http_req_host(const cyg_http_req *req) { return req->h.host; }
int cyg_http_req_version(const cyg_http_req *req) { return req->h.version; }
cyg_time cyg_http_req_start(const cyg_http_req *req) { return req->start; }
uint64_t cyg_http_req_body_bytes(const cyg_http_req *req) { return req->body.got - req->rest.n; }

const cyg_http_field *cyg_http_req_fields(const cyg_http_req *req, size_t *n) {
    *n = req->h.nfields;
    return req->h.fields;
}

/* The target without scheme and authority, if it is in absolute form. */
static cyg_str origin_form(cyg_str t) {
    if (t.n == 0 || t.p[0] == '*') return t;
    const char *end = t.p + t.n;
    for (const char *p = t.p; p + 2 < end; p++) {
        if (p[0] == '/' || p[0] == '?') break;
        if (p[0] != ':' || p[1] != '/' || p[2] != '/') continue;
        for (p += 3; p < end && *p != '/' && *p != '?'; p++) {}
        return p == end ? CYG_STR("/") : (cyg_str){p, (size_t)(end - p)};
    }
    return t;
}

/* Of a target that does not begin with its path. */
static CYG_COLD cyg_str path_of_other(cyg_str target) {
    cyg_str t = origin_form(target);
    const char *q = t.n ? memchr(t.p, '?', t.n) : NULL;
    if (!q) return t;
    return q > t.p ? (cyg_str){t.p, (size_t)(q - t.p)} : CYG_STR("/");
}

cyg_str cyg_http_req_path(const cyg_http_req *req) {
    cyg_str t = req->h.target;
    if (CYG_UNLIKELY(t.n == 0 || t.p[0] != '/')) return path_of_other(t);
    size_t n = 1;
    while (n < t.n && t.p[n] != '?') n++; /* at the end before a call of memchr would be: most paths are short */
    return (cyg_str){t.p, n};
}

cyg_str cyg_http_req_query(const cyg_http_req *req) {
    cyg_str t = req->h.target;
    const char *q = t.n ? memchr(t.p, '?', t.n) : NULL;
    return q ? (cyg_str){q + 1, t.n - (size_t)(q + 1 - t.p)} : (cyg_str){NULL, 0};
}

cyg_str cyg_http_req_field(const cyg_http_req *req, const char *name) {
    cyg_str want = cyg_str_of(name);
    for (unsigned i = 0; i < req->h.nfields; i++)
        if (cyg_str_eq_nocase(req->h.fields[i].name, want)) return req->h.fields[i].value;
    return (cyg_str){NULL, 0};
}

int64_t cyg_http_req_content_length(const cyg_http_req *req) {
    return req->h.framing == CYG_H1_NO_BODY   ? CYG_HTTP_BODY_NONE
           : req->h.framing == CYG_H1_CHUNKED ? CYG_HTTP_BODY_CHUNKED
                                              : req->h.content_length;
}

const cyg_addr *cyg_http_req_peer(const cyg_http_req *creq) {
    cyg_http_req *req = (cyg_http_req *)(uintptr_t)creq; /* filled in when first asked for */
    if (!req->peer_filled) {
        req->peer = http_conn_peer_addr(http_conn_peer(req->x->hc));
        req->peer_filled = true;
    }
    return &req->peer;
}

cyg_str cyg_http_req_peer_text(const cyg_http_req *req) {
    const struct http_conn *hc = http_conn_peer(req->x->hc);
    return (cyg_str){hc->peer_text, hc->peer_text_n};
}

cyg_str cyg_http_req_peer_ip_text(const cyg_http_req *req) {
    const struct http_conn *hc = http_conn_peer(req->x->hc);
    return (cyg_str){hc->peer_text + hc->peer_ip_at, hc->peer_ip_n};
}

cyg_conn *cyg_http_req_conn(const cyg_http_req *req) { return req->x->hc->c; }

void cyg_http_req_get_info(const cyg_http_req *req, cyg_http_req_info *out) {
    struct http_conn *hc = req->x->hc;
    http_conn_peer(hc);
    out->path = cyg_http_req_path(req);
    out->method = req->h.method;
    out->target = req->h.target;
    out->host = req->h.host;
    out->peer_text = (cyg_str){hc->peer_text, hc->peer_text_n};
    out->peer_ip_text = (cyg_str){hc->peer_text + hc->peer_ip_at, hc->peer_ip_n};
    out->fields = req->h.fields;
    out->nfields = req->h.nfields;
    out->start = req->start;
    out->version = req->h.version;
}

cyg_str cyg_http_param(const cyg_http_req *req, const char *name) {
    cyg_str want = cyg_str_of(name);
    for (unsigned i = 0; i < req->nparams; i++)
        if (cyg_str_eq(req->params[i].name, want)) return req->params[i].value;
    return (cyg_str){NULL, 0};
}

/* ---- the body --------------------------------------------------------------------------------------------------- */

/* Reads once more from the client, having sent it what it may be waiting for. 0 or an error. */
static int fill(cyg_http_req *req) {
    struct http_x *x = req->x;
    if (req->continue_due) {
        static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
        req->continue_due = false;
        struct iovec v = {(void *)(uintptr_t)line, sizeof line - 1};
        int err = http_x_send(x, &v, 1);
        if (err < 0) return err;
    } else if (!req->pumped && http_x_flush(x) < 0) {
        return x->write_err;
    }
    int err = http_rd_room_for_body(&x->rd);
    if (err < 0) return err;
    (void)cyg_set_read_deadline(x->hc->c, x->hc->read_deadline = cygrt_now_cached() + x->s->opts.body_timeout);
    if (__atomic_load_n(&x->no_body, __ATOMIC_SEQ_CST))
        return CYG_ECANCELED; /* after the deadline: see http_pump_stop */
    ssize_t n = http_rd_fill(&x->rd, http_body_want(&req->body, &x->rd));
    if (n == CYG_EOF) return http_body_at_eof(&req->body);
    return n < 0 ? (int)n : 0;
}

ssize_t http_req_next(cyg_http_req *req, cyg_str *piece) {
    if (req->body_err < 0) return req->body_err;
    for (;;) {
        ssize_t n = http_body_take(&req->body, &req->x->rd, piece);
        if (n > 0) {
            if (req->body.got <= (uint64_t)req->x->s->opts.max_body_bytes) return n;
            n = CYG_ELIMIT;
        }
        if (n == CYG_EOF) return n;
        if (n == 0) n = fill(req);
        if (n < 0) return req->body_err = (int)n;
    }
}

ssize_t cyg_http_req_next(cyg_http_req *req, cyg_str *piece) {
    if (req->rest.n == 0) return http_req_next(req, piece);
    *piece = req->rest;
    req->rest.n = 0;
    return (ssize_t)piece->n;
}

ssize_t cyg_http_req_read(cyg_http_req *req, void *p, size_t n) {
    if (n == 0) return 0;
    if (req->rest.n == 0) {
        ssize_t r = http_req_next(req, &req->rest);
        if (r < 0) return r;
    }
    if (n > req->rest.n) n = req->rest.n;
    memcpy(p, req->rest.p, n);
    req->rest.p += n;
    req->rest.n -= n;
    return (ssize_t)n;
}

bool http_req_drain(cyg_http_req *req, size_t max) {
    cyg_str piece;
    ssize_t n;
    for (size_t sum = 0; sum <= max; sum += (size_t)n)
        if ((n = http_req_next(req, &piece)) < 0) return n == CYG_EOF;
    return false;
}
