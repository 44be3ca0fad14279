/* client.c: one exchange after another on an upstream connection: request out, answers in. While it is in use a connection
 * borrows a pooled buffer (http_cx) that holds the request's head, the answer's head and what of its body has come.
 * Threads: one goroutine reads; the same or one other writes the request's body.
 */
#include "http/internal.h"

#include <stdlib.h>

/* ---- the buffer ------------------------------------------------------------------------------------------------- */

int http_client_reserve_slow(struct http_cx *cx, size_t need) {
    char *big = malloc(cx->out_n + need);
    if (!big) return CYG_ENOMEM;
    memcpy(big, cx->out_p, cx->out_n);
    free(cx->big_out);
    cx->out_p = cx->big_out = big;
    cx->out_cap = cx->out_n + need;
    return 0;
}

void http_client_set_deadline(cyg_http_client_conn *cc) {
    if (cc->deadline == cc->want && !cc->write_deadline) return;
    cc->write_deadline = false;
    cc->deadline = cc->want;
    (void)cyg_set_deadline(cc->c, cc->want);
}

/* Whether a read that timed out did so too early; then the deadline is right now. */
static bool too_early(cyg_http_client_conn *cc) {
    if (cc->deadline == cc->want || (cc->want && cyg_now() >= cc->want)) return false;
    cc->deadline = cc->want;
    (void)cyg_set_deadline(cc->c, cc->want);
    return !__atomic_load_n(&cc->give_up, __ATOMIC_SEQ_CST); /* looked at after: see the pump */
}

static ssize_t fill(cyg_http_client_conn *cc, size_t limit) {
    ssize_t n;
    do n = http_rd_fill(&cc->cx->rd, limit);
    while (CYG_UNLIKELY(n == CYG_ETIMEDOUT) && too_early(cc));
    return n;
}

/* ---- request out ------------------------------------------------------------------------------------------------ */

static bool library_field(const cyg_http_field *f) {
    uint32_t id = f->id ? f->id : cyg_http_field_id_of(f->name);
    return id == CYG_HTTP_CONTENT_LENGTH || id == CYG_HTTP_TRANSFER_ENCODING || id == CYG_HTTP_CONNECTION;
}

/* Methods for which an absent body is worth saying. Source: RFC 9110 section 8.6. */
static bool says_length(cyg_str m) {
    return cyg_str_eq(m, CYG_STR("POST")) || cyg_str_eq(m, CYG_STR("PUT")) || cyg_str_eq(m, CYG_STR("PATCH"));
}

static int put_head(struct http_cx *cx, const cyg_http_call *call) {
    size_t need = 128 + call->method.n + call->target.n;
    if (!cyg_h1_name_ok(call->method) || call->target.n == 0) return CYG_EINVAL;
    for (size_t i = 0; i < call->nfields; i++) {
        if (!cyg_h1_name_ok(call->fields[i].name) || !cyg_h1_value_ok(call->fields[i].value)) return CYG_EINVAL;
        need += call->fields[i].name.n + call->fields[i].value.n + 4;
    }
    for (size_t i = 0; i < call->target.n; i++)
        if ((unsigned char)call->target.p[i] <= ' ' || call->target.p[i] == 0x7f) return CYG_EINVAL;
    cx->out_n = 0;
    int err = http_client_reserve(cx, need);
    if (err < 0) return err;
    struct cyg_h1_out o = {.p = cx->out_p, .n = 0, .cap = cx->out_cap, .full = false};
    cyg_h1_put_request_line(&o, call->method, call->target);
    for (size_t i = 0; i < call->nfields; i++)
        if (!library_field(&call->fields[i])) cyg_h1_put_field(&o, call->fields[i].name, call->fields[i].value);
    if (call->content_length == CYG_HTTP_BODY_CHUNKED) {
        cyg_h1_put_lit(&o, "Transfer-Encoding: chunked\r\n");
    } else if (call->content_length > 0 || says_length(call->method)) {
        cyg_h1_put_uint_line(&o, CYG_STR("Content-Length: "), (uint64_t)call->content_length);
    }
    cyg_h1_put_lit(&o, "\r\n");
    cx->out_n = o.n;
    return 0;
}

/* The literal of a method whose answers are framed in another way, so that nothing of the caller's is kept. */
static cyg_str keep_method(cyg_str m) {
    if (cyg_str_eq(m, CYG_STR("HEAD"))) return CYG_STR("HEAD");
    return cyg_str_eq(m, CYG_STR("CONNECT")) ? CYG_STR("CONNECT") : CYG_STR("GET");
}

int cyg_http_client_send(cyg_http_client_conn *cc, const cyg_http_call *call, cyg_time deadline) {
    struct http_cx *cx = cc->cx;
    if (cc->sent && !(cc->head_done && cx->body.done && cc->send_left == 0 && !cc->broken)) return CYG_ESTATE;
    if (call->content_length >= 0 && (uint64_t)call->content_length < call->body_bytes) return CYG_EINVAL;
    if (call->content_length < CYG_HTTP_BODY_CHUNKED) return CYG_EINVAL;
    int err = put_head(cx, call);
    if (err < 0) return err;
    if (cc->sent) http_rd_next_message(&cx->rd);
    cc->method = keep_method(call->method);
    cc->sent = true;
    cc->head_done = false;
    cc->send_left = call->content_length;
    cyg_h1_head_init(&cx->h, cx->fields);
    http_client_deadline(cc, deadline, cyg_now_cached());
    if (call->body_bytes > 0) {
        err = http_client_write_body(cc, call->body, call->body_bytes, false);
    } else {
        ssize_t n = cyg_write(cc->c, cx->out_p, cx->out_n);
        err = n < 0 ? (int)n : 0;
        cx->out_n = 0;
    }
    if (err < 0) cc->broken = true;
    return err;
}

/* Whatever stands in cx->out goes first, in the same writev. */
int http_client_write_body(cyg_http_client_conn *cc, const void *p, size_t n, bool end) {
    struct http_cx *cx = cc->cx;
    bool chunked = cc->send_left == CYG_HTTP_BODY_CHUNKED;
    struct iovec v[4];
    char line[18];
    int k = 0;
    if (cx->out_n > 0) v[k++] = (struct iovec){cx->out_p, cx->out_n};
    if (n > 0 && chunked) v[k++] = (struct iovec){line, cyg_h1_chunk_header(line, n)};
    if (n > 0) v[k++] = (struct iovec){(void *)(uintptr_t)p, n};
    const char *tail = !chunked ? "" : n > 0 ? (end ? "\r\n0\r\n\r\n" : "\r\n") : end ? "0\r\n\r\n" : "";
    if (*tail) v[k++] = (struct iovec){(void *)(uintptr_t)tail, strlen(tail)};
    ssize_t r = k > 0 ? cyg_writev(cc->c, v, k) : 0;
    cx->out_n = 0;
    if (r < 0) return (int)r;
    if (!chunked)
        cc->send_left -= (int64_t)n;
    else if (end)
        cc->send_left = 0;
    return 0;
}

int cyg_http_client_send_body(cyg_http_client_conn *cc, const void *p, size_t n, cyg_time deadline) {
    if (!cc->sent || cc->send_left == 0) return n == 0 ? 0 : CYG_ESTATE;
    if (cc->send_left > 0 && (uint64_t)cc->send_left < n) return CYG_EINVAL;
    cc->write_deadline = true;
    (void)cyg_set_write_deadline(cc->c, deadline);
    int err = http_client_write_body(cc, p, n, false);
    if (err < 0) cc->broken = true;
    return err;
}

int cyg_http_client_send_end(cyg_http_client_conn *cc, cyg_time deadline) {
    if (cc->send_left == 0) return 0;
    if (cc->send_left > 0) return CYG_ESTATE;
    cc->write_deadline = true;
    (void)cyg_set_write_deadline(cc->c, deadline);
    int err = http_client_write_body(cc, NULL, 0, true);
    if (err < 0) cc->broken = true;
    return err;
}

/* ---- answers in ------------------------------------------------------------------------------------------------- */

int http_client_read_head(cyg_http_client_conn *cc) {
    struct http_cx *cx = cc->cx;
    struct http_rd *rd = &cx->rd;
    for (bool more = http_rd_left(rd) == 0;; more = true) {
        if (CYG_LIKELY(more)) {
            int err = http_rd_room_for_head(rd, cc->limits->max_head);
            if (CYG_UNLIKELY(err < 0)) return err == CYG_ELIMIT ? CYG_EPROTO : err;
            ssize_t n = fill(cc, SIZE_MAX);
            if (CYG_UNLIKELY(n < 0)) return n == CYG_EOF && http_rd_left(rd) > 0 ? CYG_EPROTO : (int)n;
            cc->any_byte = true;
        }
        int r = cyg_h1_parse_response(&cx->h, rd->area + rd->pos, http_rd_left(rd), cc->limits, cc->method);
        if (CYG_LIKELY(r == CYG_H1_DONE)) break;
        if (r == CYG_H1_ERROR) return CYG_EPROTO;
    }
    rd->pos += cx->h.head_bytes;
    rd->floor = rd->pos;
    if (CYG_UNLIKELY(cx->h.status < 200)) return 0; /* the next head follows */
    cc->head_done = true;
    http_body_init(&cx->body, &cx->h);
    if (CYG_UNLIKELY(cx->h.seen & (1ull << CYG_HTTP_KEEP_ALIVE))) {
        cyg_duration t = http_keep_alive_timeout(&cx->h);
        cc->pooled->keep_until = t > 0 ? cyg_now_cached() + t : 0;
    }
    return 0;
}

int cyg_http_client_recv(cyg_http_client_conn *cc, cyg_http_answer *out, cyg_time deadline) {
    struct http_cx *cx = cc->cx;
    if (!cc->sent || cc->head_done) return CYG_ESTATE;
    http_client_deadline(cc, deadline, cyg_now_cached());
    cyg_h1_head_init(&cx->h, cx->fields);
    int err = http_client_read_head(cc);
    if (err < 0) {
        cc->broken = true;
        return err;
    }
    const struct cyg_h1_head *h = &cx->h;
    *out = (cyg_http_answer){.status = h->status, .version = h->version, .fields = h->fields, .nfields = h->nfields};
    if (!cc->head_done || h->framing == CYG_H1_NO_BODY)
        out->content_length = CYG_HTTP_BODY_NONE;
    else
        out->content_length = h->framing == CYG_H1_LENGTH ? h->content_length : CYG_HTTP_BODY_CHUNKED;
    return 0;
}

int http_client_fill(cyg_http_client_conn *cc) {
    struct http_cx *cx = cc->cx;
    int err = http_rd_room_for_body(&cx->rd);
    if (err < 0) return err;
    ssize_t n = fill(cc, http_body_want(&cx->body, &cx->rd));
    if (n == CYG_EOF) return http_body_at_eof(&cx->body);
    return n < 0 ? (int)n : 0;
}

ssize_t cyg_http_client_next(cyg_http_client_conn *cc, cyg_str *piece, cyg_time deadline) {
    if (!cc->head_done) return CYG_ESTATE;
    http_client_deadline(cc, deadline, cyg_now_cached());
    for (;;) {
        ssize_t n = http_body_take(&cc->cx->body, &cc->cx->rd, piece);
        if (n == 0)
            n = http_client_fill(cc);
        else if (n > 0 || n == CYG_EOF)
            return n;
        if (n < 0 && n != CYG_EOF) cc->broken = true;
        if (n < 0) return n;
    }
}

cyg_conn *cyg_http_client_conn_stream(cyg_http_client_conn *cc) { return cc->c; }
