/* forward.c: one request through a gateway. The steady exchange is four system calls on one goroutine that parks once:
 * the request is in the buffer, its head goes up, the answer's first bytes come, head and body go down in one write.
 *
 * Errors before the answer has begun leave the client to the caller; errors behind that cut the client's connection, so that
 * it cannot take what it got for complete. Source: RFC 9110 section 7.6, RFC 9112 sections 6 to 9.
 */
#include "http/internal.h"

struct fwd {
    cyg_http_req *req;
    cyg_http_res *res;
    cyg_http_pool *pool;
    const cyg_http_forward_opts *opts;
    cyg_http_forward_result *r;
    cyg_http_client_conn *cc;
    struct http_pump pump;
};

const char *cyg_http_forward_reason(cyg_http_forward_status s) {
    static const char *const words[CYG_FORWARD_STATUSES] = {
        [CYG_FORWARD_OK] = "via_upstream",
        [CYG_FORWARD_CONNECT_FAILURE] = "upstream_connect_failure",
        [CYG_FORWARD_OVERFLOW] = "upstream_overflow",
        [CYG_FORWARD_RESET] = "upstream_reset",
        [CYG_FORWARD_PROTOCOL_ERROR] = "upstream_protocol_error",
        [CYG_FORWARD_TIMEOUT] = "upstream_timeout",
        [CYG_FORWARD_ANSWER_CUT] = "upstream_answer_cut",
        [CYG_FORWARD_CLIENT_GONE] = "client_disconnected",
        [CYG_FORWARD_CLIENT_BODY] = "client_body_error",
        [CYG_FORWARD_NOT_ALLOWED] = "upgrade_not_supported",
    };
    return (unsigned)s < CYG_FORWARD_STATUSES ? words[s] : "unknown";
}

static CYG_COLD int fail(struct fwd *f, cyg_http_forward_status status, int err) {
    f->r->status = status;
    f->r->err = err;
    return err;
}

/* ---- up --------------------------------------------------------------------------------------------------------- */

static int connect_up(struct fwd *f, bool fresh) {
    cyg_connpool_ask ask = {.deadline = f->opts->deadline, .fresh = fresh};
    int err = http_pool_get(f->pool, &ask, &f->cc);
    f->r->connected = err < 0 ? 0 : cygrt_now_cached();
    if (HTTP_LIKELY(err == 0)) {
        f->r->reused = f->cc->pooled->uses > 1;
        f->pump.cc = f->cc;
        return 0;
    }
    cyg_time d = f->opts->deadline;
    if (ask.queued) return fail(f, CYG_FORWARD_OVERFLOW, err);
    return fail(f, d && err == CYG_ETIMEDOUT && cyg_now() >= d ? CYG_FORWARD_TIMEOUT : CYG_FORWARD_CONNECT_FAILURE, err);
}

/* Writes what stands in cx->out, and leaves it there for a second try. */
static int write_up(struct fwd *f) {
    cyg_http_client_conn *cc = f->cc;
    http_client_deadline(cc, f->opts->deadline);
    cyg_h1_head_init(&cc->cx->h, cc->cx->fields);
    cc->sent = true;
    ssize_t n = cyg_write(cc->c, cc->cx->out_p, cc->cx->out_n);
    return HTTP_LIKELY(n >= 0) ? 0 : (int)n;
}

static cyg_str literal_method(cyg_str m) { return cyg_str_eq(m, CYG_STR("HEAD")) ? CYG_STR("HEAD") : CYG_STR("GET"); }

static int prepare(struct fwd *f) {
    cyg_http_req *req = f->req;
    cyg_http_client_conn *cc = f->cc;
    cc->method = literal_method(req->h.method);
    cc->send_left = req->h.framing == CYG_H1_CHUNKED ? CYG_HTTP_BODY_CHUNKED : req->h.content_length;
    int err = http_forward_request_head(req, cc->cx, f->opts);
    if (err < 0) return fail(f, CYG_FORWARD_RESET, err);
    if (HTTP_LIKELY(req->body.done)) {
        cc->send_left = 0;
        return 0;
    }
    if ((err = http_pump_prefill(&f->pump)) < 0) return fail(f, CYG_FORWARD_CLIENT_BODY, err);
    return 0;
}

static bool idempotent(cyg_str m) {
    static const char *const names[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (cyg_str_eq(m, cyg_str_of(names[i]))) return true;
    return false;
}

/* The peer closed a kept connection while our request was on its way: nobody has seen it, if anybody did it does no harm to
 * see it twice, and all of it is still here. Source: RFC 9110 section 9.2.2, RFC 9112 section 9.3.1. */
static bool may_retry(const struct fwd *f, int err) {
    bool dead = err == CYG_EOF || err == -ECONNRESET || err == -EPIPE;
    return dead && f->r->reused && !f->r->retried && !f->cc->any_byte && !f->pump.running && f->cc->send_left == 0 &&
           idempotent(f->req->h.method);
}

/* Moves the request to a new connection. */
static CYG_COLD int retry(struct fwd *f) {
    cyg_http_client_conn *old = f->cc;
    cyg_str method = old->method;
    struct http_cx *cx = old->cx;
    old->cx = NULL;
    cyg_connpool_discard(old->pooled, CYG_CONNPOOL_BROKEN);
    f->cc = NULL;
    f->r->retried = true;
    int err = connect_up(f, true);
    f->r->reused = false;
    if (err == 0 && (err = http_client_reserve(f->cc->cx, cx->out_n)) == 0) {
        memcpy(f->cc->cx->out_p, cx->out_p, cx->out_n);
        f->cc->cx->out_n = cx->out_n;
        f->cc->method = method;
        f->cc->send_left = 0;
    }
    http_cx_free(cx);
    return err;
}

/* ---- down ------------------------------------------------------------------------------------------------------- */

/* Why no answer came. */
static CYG_COLD int no_answer(struct fwd *f, int err) {
    if (f->pump.running && __atomic_load_n(&f->pump.ended, __ATOMIC_ACQUIRE) == 2 && f->pump.client_err < 0) {
        bool gone = f->req->body_err != CYG_EPROTO && f->req->body_err != CYG_ETIMEDOUT && f->req->body_err != CYG_ELIMIT;
        return fail(f, gone ? CYG_FORWARD_CLIENT_GONE : CYG_FORWARD_CLIENT_BODY, f->pump.client_err);
    }
    if (err == CYG_ETIMEDOUT || err == -ETIMEDOUT) return fail(f, CYG_FORWARD_TIMEOUT, err);
    return fail(f, err == CYG_EPROTO ? CYG_FORWARD_PROTOCOL_ERROR : CYG_FORWARD_RESET, err);
}

/* Reads heads until the final one; passes interim ones on. */
static int read_answer(struct fwd *f) {
    struct cyg_h1_head *h = &f->cc->cx->h;
    for (;;) {
        int err = http_client_read_head(f->cc);
        if (HTTP_UNLIKELY(err < 0)) return err;
        if (f->r->first_byte == 0) f->r->first_byte = cygrt_now_cached();
        f->r->upstream_status = h->status;
        if (HTTP_LIKELY(h->status >= 200)) return 0;
        if (h->status == 101) return CYG_EPROTO; /* we asked for no upgrade */
        if (http_forward_interim(f->res, h) < 0) return CYG_ECANCELED;
        cyg_h1_head_init(h, f->cc->cx->fields);
    }
}

static CYG_COLD int client_gone(struct fwd *f) { return fail(f, CYG_FORWARD_CLIENT_GONE, f->req->x->write_err); }

/* Passes head and body down. What is in the upstream's buffer leaves before we wait for more of it. */
static int pass_answer(struct fwd *f) {
    struct http_cx *cx = f->cc->cx;
    f->r->answered = true;
    if (HTTP_UNLIKELY(!http_pump_complete(&f->pump)))
        f->req->x->last = true; /* answered early: do not wait for the rest */
    int err = http_forward_answer_head(f->res, &cx->h, f->opts);
    if (HTTP_UNLIKELY(err < 0)) return client_gone(f);
    for (;;) {
        cyg_str piece;
        ssize_t n = http_body_take(&cx->body, &cx->rd, &piece);
        if (n > 0) {
            if (HTTP_UNLIKELY(cyg_http_res_write(f->res, piece.p, piece.n) < 0)) return client_gone(f);
            continue;
        }
        if (HTTP_LIKELY(n == CYG_EOF)) return 0;
        if (n == 0) {
            if (http_x_flush(f->req->x) < 0) return client_gone(f);
            n = http_client_fill(f->cc);
            if (n == CYG_EOF) return 0;
        }
        if (n < 0) {
            cyg_http_res_abort(f->res);
            return fail(f, CYG_FORWARD_ANSWER_CUT, (int)n);
        }
    }
}

/* ---- the exchange ----------------------------------------------------------------------------------------------- */

/* Sends the request and reads the answer's head, on a second connection if the first was dead. */
static int exchange(struct fwd *f) {
    for (;;) {
        int err = write_up(f);
        bool rest = !f->req->body.done || f->cc->send_left != 0;
        if (HTTP_UNLIKELY(rest && err == 0)) {
            f->cc->cx->out_n = 0;
            f->pump.wait_first = f->req->h.expect_continue;
            if ((err = http_pump_start(&f->pump)) < 0) return fail(f, CYG_FORWARD_OVERFLOW, err);
        }
        int first = err;
        if (err == 0 || rest || f->req->h.framing != CYG_H1_NO_BODY)
            err = read_answer(f); /* refused unread, yet answered */
        if (HTTP_LIKELY(err == 0)) return 0;
        if (f->req->x->write_err < 0) return client_gone(f);
        if (!may_retry(f, err)) return no_answer(f, first < 0 ? first : err);
        if ((err = retry(f)) < 0) return err;
    }
}

/* OPTIONS and TRACE with Max-Forwards: 0 end here. Whether this was one. */
static bool answered_here(struct fwd *f) {
    cyg_str m = f->req->h.method;
    bool options = cyg_str_eq(m, CYG_STR("OPTIONS"));
    if (!(f->req->h.seen >> CYG_HTTP_MAX_FORWARDS & 1) || !(options || cyg_str_eq(m, CYG_STR("TRACE")))) return false;
    for (unsigned i = 0; i < f->req->h.nfields; i++) {
        const cyg_http_field *fl = &f->req->h.fields[i];
        if (fl->id != CYG_HTTP_MAX_FORWARDS || !cyg_str_eq(fl->value, CYG_STR("0"))) continue;
        (void)cyg_http_send(f->res, options ? 200 : 405, NULL, NULL, 0);
        f->r->answered = true;
        return true;
    }
    return false;
}

int cyg_http_forward(cyg_http_req *req, cyg_http_res *res, cyg_http_pool *pool, const cyg_http_forward_opts *opts,
                     cyg_http_forward_result *r) {
    static const cyg_http_forward_opts none;
    struct fwd f = {.req = req, .res = res, .pool = pool, .opts = opts ? opts : &none, .r = r, .pump = {.req = req}};
    *r = (cyg_http_forward_result){.status = CYG_FORWARD_OK};
    if (res->begun) return fail(&f, CYG_FORWARD_NOT_ALLOWED, CYG_ESTATE);
    if (cyg_str_eq(req->h.method, CYG_STR("CONNECT"))) return fail(&f, CYG_FORWARD_NOT_ALLOWED, CYG_ENOTSUP);
    if (HTTP_UNLIKELY(answered_here(&f))) return 0;
    if (req->x->out_n > 0 && http_x_flush(req->x) < 0) return client_gone(&f);
    int err = connect_up(&f, false);
    if (err < 0) return err;
    err = prepare(&f);
    if (err == 0) err = exchange(&f);
    if (err == 0) err = pass_answer(&f);
    http_pump_stop(&f.pump);
    if (f.cc) {
        if (err < 0) f.cc->broken = true;
        cyg_http_pool_put(f.cc);
    }
    if (err == 0 && (err = cyg_http_res_end(res)) < 0) (void)client_gone(&f);
    r->done = cygrt_now_cached();
    return err;
}
