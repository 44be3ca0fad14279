/* response_head.c: the head of an answer: what the status and the request's version say about framing and the connection.
 * Relies on the caller for room (http_x_reserve); writes into what is held back for the client.
 */
#include "http/internal.h"

#include <stdlib.h>

/* Says whether the connection stays, where that is not what the version says anyway, and remembers it. */
static inline void put_connection(cyg_http_res *res, struct cyg_h1_out *o) {
    struct http_x *x = res->x;
    const struct cyg_h1_head *h = &res->req->h;
    if (!h->keep_alive || res->req->continue_due || __atomic_load_n(&x->s->draining, __ATOMIC_RELAXED)) x->last = true;
    if (CYG_UNLIKELY(x->last))
        cyg_h1_put_lit(o, "Connection: close\r\n");
    else if (CYG_UNLIKELY(h->version == 10))
        cyg_h1_put_lit(o, "Connection: keep-alive\r\n");
}

/* Names no length. */
static void put_open_framing(cyg_http_res *res, struct cyg_h1_out *o, bool no_length) {
    if (!no_length && res->req->h.version >= 11) {
        res->chunked = true;
        cyg_h1_put_lit(o, "Transfer-Encoding: chunked\r\n");
    } else if (!res->suppress) {
        res->x->last = true; /* the body lasts until close */
    }
}

void http_res_put_framing(cyg_http_res *res, struct cyg_h1_out *o, int64_t length, bool no_length) {
    if (CYG_LIKELY(!no_length && length >= 0)) {
        res->by_length = true;
        res->left = length;
        cyg_h1_put_uint_line(o, CYG_STR("Content-Length: "), (uint64_t)length);
    } else {
        put_open_framing(res, o, no_length);
    }
    put_connection(res, o);
    cyg_h1_put_line(o, (cyg_str){res->extra, res->extra_n}, CYG_STR("")); /* and the empty line */
}

int http_res_begun(cyg_http_res *res, int status) {
    if (res->begun || res->aborted) return CYG_ESTATE;
    if (status < 200 || status > 999) return CYG_EINVAL;
    res->begun = true;
    res->status = status;
    res->suppress = status == 204 || status == 304 || cyg_str_eq(res->req->h.method, CYG_STR("HEAD"));
    return 0;
}

static bool is_framing(uint32_t id) {
    return id == CYG_HTTP_CONTENT_LENGTH || id == CYG_HTTP_TRANSFER_ENCODING || id == CYG_HTTP_CONNECTION;
}

static uint32_t id_of(const cyg_http_field *f) { return f->id ? f->id : cyg_http_field_id_of(f->name); }

/* The fields but for those of the library. Whether a Date was among them, or -1 if one may not be sent. */
static int check_fields(const cyg_http_field *fields, size_t n, size_t *bytes) {
    int date = 0;
    for (size_t i = 0; i < n; i++) {
        if (!cyg_h1_name_ok(fields[i].name) || !cyg_h1_value_ok(fields[i].value)) return -1;
        date |= id_of(&fields[i]) == CYG_HTTP_DATE;
        *bytes += fields[i].name.n + fields[i].value.n + 4;
    }
    return date;
}

static void put_fields(struct cyg_h1_out *o, const cyg_http_field *fields, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!is_framing(id_of(&fields[i]))) cyg_h1_put_field(o, fields[i].name, fields[i].value);
}

int cyg_http_res_begin(cyg_http_res *res, int status, const cyg_http_field *fields, size_t nfields, int64_t length) {
    struct http_x *x = res->x;
    size_t bytes = HTTP_HEAD_ROOM + res->extra_n;
    int date = check_fields(fields, nfields, &bytes);
    if (date < 0 || length < CYG_HTTP_BODY_CHUNKED) return CYG_EINVAL;
    int err = http_res_begun(res, status);
    if (err < 0 || (err = http_x_reserve(x, bytes)) < 0) return err;
    struct cyg_h1_out o = http_x_out(x);
    cyg_h1_put_status_line(&o, status);
    if (!date && !x->s->opts.no_date) http_put_date(&o);
    put_fields(&o, fields, nfields);
    /* 204 has no length; 304 and HEAD name one only if it is known */
    http_res_put_framing(res, &o, length, status == 204 || (res->suppress && length <= 0));
    x->out_n = o.n;
    return 0;
}

int cyg_http_res_inform(cyg_http_res *res, int status, const cyg_http_field *fields, size_t nfields) {
    struct http_x *x = res->x;
    size_t bytes = HTTP_HEAD_ROOM;
    if (status < 100 || status > 199 || status == 101 || check_fields(fields, nfields, &bytes) < 0) return CYG_EINVAL;
    if (res->begun) return CYG_ESTATE;
    if (res->req->h.version < 11) return 0;
    if (status == 100) res->req->continue_due = false;
    int err = http_x_reserve(x, bytes);
    if (err < 0) return err;
    struct cyg_h1_out o = http_x_out(x);
    cyg_h1_put_status_line(&o, status);
    put_fields(&o, fields, nfields);
    cyg_h1_put_lit(&o, "\r\n");
    x->out_n = o.n;
    return http_x_flush(x);
}

int cyg_http_res_add(cyg_http_res *res, cyg_str name, cyg_str value) {
    if (res->begun) return CYG_ESTATE;
    if (!cyg_h1_name_ok(name) || !cyg_h1_value_ok(value) || is_framing(cyg_http_field_id_of(name))) return CYG_EINVAL;
    size_t need = name.n + value.n + 4;
    if (need > res->extra_cap - res->extra_n) {
        size_t cap = res->extra_cap * 2 + need;
        if (cap > HTTP_EXTRA_MAX) return CYG_ELIMIT;
        char *p = malloc(cap);
        if (!p) return CYG_ENOMEM;
        memcpy(p, res->extra, res->extra_n);
        http_res_free(res);
        res->extra = p;
        res->extra_cap = cap;
    }
    struct cyg_h1_out o = {.p = res->extra, .n = res->extra_n, .cap = res->extra_cap, .full = false};
    cyg_h1_put_field(&o, name, value);
    res->extra_n = o.n;
    return 0;
}

void http_res_free(cyg_http_res *res) {
    if (res->extra != res->x->buf->extra) free(res->extra);
}
