/* conn.c: the life of one accepted connection: idle as a start record, then on a goroutine for as long as requests are in
 * the buffer, then idle again.
 *
 *     start -> on_readable -> conn_ready -> serve ... serve -> on_readable -> ...
 *                                             '-> linger or close
 * Owner: the start record while one is left with the poller, else the goroutine it started. Deadlines are set on the
 * connection only when they matter: the steady request finds its head in one read and its answer goes out in one write.
 */
#include "http/internal.h"

#include <stdlib.h>

#define DRAIN_BYTES ((size_t)256 * 1024) /* of a body that the handler left; beyond, closing is cheaper */
#define LINGER_BYTES ((size_t)1024 * 1024)

static void conn_ready(void *arg, int why);
static void linger_ready(void *arg, int why);

static __attribute__((noinline)) void set_read_deadline(struct http_conn *hc, cyg_time deadline) {
    hc->read_deadline = deadline;
    (void)cyg_set_read_deadline(hc->c, deadline);
}

/* Leaves the conn with the poller until bytes come. The deadline is the read deadline, too: readiness can be a false alarm,
 * and a read that finds nothing must not wait for ever. It lies up to an eighth later than asked, so that it is set anew only
 * every so many requests. */
static int go_idle(struct http_conn *hc, cyg_duration idle) {
    cyg_time due = cyg_now_cached() + idle;
    if (CYG_UNLIKELY((uint64_t)(hc->read_deadline - due) > (uint64_t)idle / 8)) set_read_deadline(hc, due + idle / 8);
    return cyg_conn_on_readable(hc->c, conn_ready, hc, hc->read_deadline);
}

/* ---- beginning and end ------------------------------------------------------------------------------------------ */

static void list_add(struct http_conn *hc) {
    struct http_shard *sh = &hc->server->shards[hc->shard];
    cyg_mutex_lock(&sh->lock);
    hc->next = sh->conns;
    if (hc->next) hc->next->prev = hc;
    sh->conns = hc;
    sh->accepted++;
    cyg_mutex_unlock(&sh->lock);
}

static void list_remove(struct http_conn *hc) {
    struct http_shard *sh = &hc->server->shards[hc->shard];
    cyg_mutex_lock(&sh->lock);
    if (hc->next) hc->next->prev = hc->prev;
    if (hc->prev)
        hc->prev->next = hc->next;
    else
        sh->conns = hc->next;
    sh->closed_requests += hc->requests;
    cyg_mutex_unlock(&sh->lock);
}

void http_conn_finish(struct http_conn *hc) {
    cyg_http_server *s = hc->server;
    (void)cyg_close(hc->c);
    free(hc);
    __atomic_sub_fetch(&s->nconns, 1, __ATOMIC_SEQ_CST);
    if (CYG_UNLIKELY(__atomic_load_n(&s->gone_wanted, __ATOMIC_SEQ_CST) > 0)) {
        cyg_mutex_lock(&s->lock);
        cyg_cond_broadcast(&s->gone);
        cyg_mutex_unlock(&s->lock);
    }
    http_server_unref(s);
}

static void conn_end(struct http_conn *hc) {
    list_remove(hc);
    http_conn_finish(hc);
}

void http_conn_start(cyg_http_server *s, cyg_conn *c) {
    struct http_conn *hc = calloc(1, sizeof *hc);
    if (!hc) {
        (void)cyg_close(c);
        return;
    }
    hc->c = c;
    hc->server = s;
    hc->begun = s->opts.on_begin == NULL;
    hc->shard = (uint16_t)(cygrt_proc_hint() & (s->nshards - 1));
    __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&s->nconns, 1, __ATOMIC_RELAXED);
    list_add(hc);
    if (go_idle(hc, hc->begun ? s->opts.idle_timeout : s->opts.head_timeout) < 0) conn_end(hc);
}

static void set_peer(struct http_conn *hc, const cyg_addr *a) {
    hc->peer_known = true;
    hc->peer_family = a->family;
    hc->peer_port = a->port;
    hc->peer_scope = a->scope;
    memcpy(hc->peer_ip, a->ip, sizeof hc->peer_ip);
    if (a->family == CYG_AF_UNIX || a->family == CYG_AF_NONE) return;
    size_t n = cyg_addr_format_ip(a, hc->peer_text, sizeof hc->peer_text);
    hc->peer_ip_n = (uint8_t)n;
    hc->peer_ip_at = memchr(hc->peer_text, ':', n) != NULL; /* behind its bracket */
    hc->peer_text_n = (uint8_t)cyg_addr_format(a, hc->peer_text, sizeof hc->peer_text);
}

struct http_conn *http_conn_ask_peer(struct http_conn *hc) {
    cyg_addr a = {0};
    (void)cyg_conn_peer_addr(hc->c, &a);
    set_peer(hc, &a);
    return hc;
}

/* ---- the end with the client still sending ----------------------------------------------------------------------- */

/* Ends our direction and goes on reading until the client has ended its own: a close with unread bytes would be a reset,
 * which can destroy the answer on its way. Without stack or buffer between reads. Source: RFC 9112 section 9.6. */
static void linger(struct http_conn *hc) {
    if (cyg_close_write(hc->c) < 0) {
        conn_end(hc);
        return;
    }
    __atomic_store_n(&hc->lingering, true, __ATOMIC_RELEASE); /* before the record can be seen */
    hc->linger_bytes = 0;
    set_read_deadline(hc, cyg_now() + hc->server->opts.linger);
    if (cyg_conn_on_readable(hc->c, linger_ready, hc, hc->read_deadline) < 0) conn_end(hc);
}

static void linger_ready(void *arg, int why) {
    struct http_conn *hc = arg;
    char *b = why == 0 ? http_buf_get() : NULL;
    ssize_t n = CYG_ECLOSED;
    while (b && (n = cyg_read(hc->c, b, HTTP_BUF_BYTES)) > 0) {
        hc->linger_bytes += (uint32_t)n;
        if ((size_t)n < HTTP_BUF_BYTES || hc->linger_bytes > LINGER_BYTES) break;
    }
    if (b) http_buf_put(b);
    if (n <= 0 || hc->linger_bytes > LINGER_BYTES || cyg_conn_on_readable(hc->c, linger_ready, hc, hc->read_deadline) < 0)
        conn_end(hc);
}

/* ---- one request ------------------------------------------------------------------------------------------------ */

/* The head is not there whole, or bad (verdict): reads on until it is. Whether it is; else the connection is to end, its client
 * answered if there is anything to say. */
static __attribute__((noinline)) bool read_head(struct http_x *x, cyg_http_req *req, int verdict) {
    struct http_rd *rd = &x->rd;
    for (; verdict == CYG_H1_MORE;
         verdict = cyg_h1_parse_request(&req->h, rd->area + rd->pos, http_rd_left(rd), &x->s->limits)) {
        if (http_x_flush(x) < 0) return false;
        cyg_time due = req->start + x->s->opts.head_timeout;
        if (x->hc->read_deadline != due) set_read_deadline(x->hc, due);
        int err = http_rd_room_for_head(rd, x->s->limits.max_head);
        if (err < 0) {
            http_refuse(x, NULL, err == CYG_ELIMIT ? 431 : 503, err == CYG_ELIMIT ? "head_too_large" : "no_memory");
            return false;
        }
        ssize_t n = http_rd_fill(rd, SIZE_MAX);
        if (n == CYG_ETIMEDOUT) http_refuse(x, NULL, 408, "head_timeout");
        if (n < 0) return false;
    }
    req->body.got = 0; /* who hears of the refusal may ask */
    if (verdict == CYG_H1_ERROR) http_refuse(x, req, req->h.error_status, req->h.error);
    return verdict == CYG_H1_DONE;
}

static void req_init(cyg_http_req *req, struct http_x *x, cyg_http_field *fields) {
    req->x = x;
    req->start = cyg_now_cached();
    req->body_err = 0;
    req->rest.n = 0;
    req->continue_due = req->pumped = req->peer_filled = false;
    req->nparams = 0;
    cyg_h1_head_init(&req->h, fields);
}

static void res_init(cyg_http_res *res, struct http_x *x, cyg_http_req *req) {
    *res = (cyg_http_res){.x = x, .req = req, .extra = x->buf->extra, .extra_cap = HTTP_EXTRA_BYTES};
}

static const char *bad_body(const cyg_http_req *req) {
    bool chunk = req->h.framing == CYG_H1_CHUNKED && req->body.chunked.error;
    return chunk ? req->body.chunked.error : "incomplete_body";
}

/* The status for a handler that gave up because the body failed under it. */
static void refuse_body(struct http_x *x, cyg_http_req *req) {
    if (req->body_err == CYG_ETIMEDOUT)
        http_refuse(x, req, 408, "body_timeout");
    else if (req->body_err == CYG_ELIMIT)
        http_refuse(x, req, 413, "body_too_large");
    else if (req->body_err == CYG_EPROTO)
        http_refuse(x, req, 400, bad_body(req));
    else
        x->reset = true; /* the connection itself failed */
}

/* Ends an answer that the handler has left open, or not begun. */
static __attribute__((noinline)) void end_answer(struct http_x *x, cyg_http_req *req, cyg_http_res *res) {
    if (res->begun)
        (void)cyg_http_res_end(res);
    else if (res->aborted)
        return;
    else if (req->body_err < 0)
        refuse_body(x, req);
    else
        (void)cyg_http_send(res, 200, NULL, NULL, 0);
}

/* The connection is to end, or body is left that the handler has not read. Whether it stays all the same. */
static __attribute__((noinline)) bool end_request(struct http_x *x, cyg_http_req *req) {
    if (x->reset) return false;
    if (!req->body.done) {
        bool skip = x->last || req->continue_due || req->body_err < 0 || x->no_body;
        if (skip || !http_req_drain(req, DRAIN_BYTES)) x->last = x->linger = true;
    }
    if (!x->last) return true;
    if (http_rd_left(&x->rd) > 0 || req->h.keep_alive) x->linger = true;
    return false;
}

/* Serves the request whose first bytes are in the buffer; what is to be sent stays held back. Whether the connection stays. */
static inline bool serve_one(struct http_x *x, cyg_http_field *fields) {
    cyg_http_req req;
    cyg_http_res res;
    req_init(&req, x, fields);
    struct http_rd *rd = &x->rd;
    int verdict = cyg_h1_parse_request(&req.h, rd->area + rd->pos, http_rd_left(rd), &x->s->limits);
    if (CYG_UNLIKELY(verdict != CYG_H1_DONE) && !read_head(x, &req, verdict)) return false;
    rd->pos += req.h.head_bytes;
    rd->floor = rd->pos;
    http_body_init(&req.body, &req.h);
    if (CYG_UNLIKELY(req.h.content_length > x->s->opts.max_body_bytes)) {
        http_refuse(x, &req, 413, "body_too_large");
        return false;
    }
    if (CYG_UNLIKELY(req.h.expect_continue)) req.continue_due = !req.body.done;
    res_init(&res, x, &req);
    struct http_conn *hc = x->hc;
    __atomic_store_n(&hc->requests, hc->requests + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&hc->handling, 1, __ATOMIC_RELAXED);
    x->s->handler(&req, &res, x->s->arg);
    if (CYG_UNLIKELY(!res.ended)) end_answer(x, &req, &res);
    if (CYG_UNLIKELY(res.extra_cap > HTTP_EXTRA_BYTES)) http_res_free(&res);
    bool stays = CYG_LIKELY(!x->last && !x->reset && req.body.done) || end_request(x, &req);
    __atomic_store_n(&hc->handling, 0, __ATOMIC_RELAXED);
    return stays;
}

/* ---- the goroutine ---------------------------------------------------------------------------------------------- */

/* Serves requests for as long as bytes of them are in the buffer. Whether the connection stays. */
static __attribute__((noinline)) bool serve(struct http_x *x) {
    cyg_http_field few[HTTP_STACK_FIELDS], *fields = few;
    if (CYG_UNLIKELY(x->s->opts.max_fields > HTTP_STACK_FIELDS))
        fields = malloc(x->s->opts.max_fields * sizeof *fields);
    bool stays = false;
    if (CYG_LIKELY(fields && http_rd_fill(&x->rd, SIZE_MAX) >= 0))
        while (CYG_LIKELY((stays = serve_one(x, fields)) != false) && CYG_UNLIKELY(http_rd_left(&x->rd) > 0))
            http_rd_next_message(&x->rd);
    if (CYG_UNLIKELY(fields != few)) free(fields);
    return stays;
}

/* Field by field: clearing the whole struct first would be the dearest thing in here. */
static inline void x_init(struct http_x *x, struct http_conn *hc, struct http_sbuf *buf) {
    x->hc = hc;
    x->s = hc->server;
    x->buf = buf;
    http_rd_init(&x->rd, hc->c, buf->in, HTTP_IN_BYTES);
    x->out = buf->out;
    x->out_n = 0;
    x->out_cap = HTTP_OUT_BYTES;
    x->big_out = NULL;
    x->write_err = 0;
    x->last = x->linger = x->reset = false;
    x->no_body = 0;
}

/* Lets the program look at a new connection, and tell whose it is; then waits for the first request, which may be there already. */
static __attribute__((noinline)) void begin(struct http_conn *hc) {
    const cyg_http_server_opts *o = &hc->server->opts;
    cyg_addr a = {0};
    (void)cyg_conn_peer_addr(hc->c, &a);
    hc->begun = true;
    if (o->on_begin(o->on_begin_arg, hc->c, &a) == 0) {
        set_peer(hc, &a);
        hc->read_deadline = 0; /* it may have been set to anything */
        if (go_idle(hc, o->idle_timeout) == 0) return;
    } else {
        (void)cyg_conn_reset_on_close(hc->c);
    }
    conn_end(hc);
}

/* One that is new or cannot be read, or has no buffer. */
static __attribute__((noinline)) void conn_special(struct http_conn *hc, int why) {
    if (why == 0 && !hc->begun)
        begin(hc);
    else
        conn_end(hc);
}

static __attribute__((noinline)) void end_served(struct http_conn *hc, const struct http_x *x) {
    if (x->linger && !x->reset) {
        linger(hc);
        return;
    }
    if (x->reset) (void)cyg_conn_reset_on_close(hc->c);
    conn_end(hc);
}

static void conn_ready(void *arg, int why) {
    struct http_conn *hc = arg;
    struct http_sbuf *buf = CYG_LIKELY(why == 0 && hc->begun) ? http_buf_get() : NULL;
    if (CYG_UNLIKELY(!buf)) {
        conn_special(hc, why);
        return;
    }
    struct http_x x;
    x_init(&x, hc, buf);
    bool keep = serve(&x);
    if (CYG_LIKELY(!x.reset)) keep = http_x_flush(&x) == 0 && keep;
    http_x_free(&x);
    http_buf_put(buf);
    keep = keep && !__atomic_load_n(&x.s->draining, __ATOMIC_RELAXED);
    if (CYG_UNLIKELY(!keep || go_idle(hc, x.s->opts.idle_timeout) < 0)) end_served(hc, &x);
}
