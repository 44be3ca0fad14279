/* forward.c: one request through a gateway. The steady exchange is four system calls on one goroutine that parks once:
 * the request is in the buffer, its head goes up, the answer's first bytes come, head and body go down in one write.
 *
 * Errors before the answer has begun leave the client to the caller; errors behind that cut the client's connection, so that
 * it cannot take what it got for complete. Source: RFC 9110 section 7.6, RFC 9112 sections 6 to 9.
 */
#include "http/internal.h"
#include "runtime/cohort.h"

struct fwd {
    struct http_pump pump;
    cyg_http_req *req;
    cyg_http_res *res;
    cyg_http_pool *pool;
    const cyg_http_forward_opts *opts;
    cyg_http_forward_result *r;
    cyg_http_client_conn *cc;
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

static CYG_COLD int client_gone(struct fwd *f) { return fail(f, CYG_FORWARD_CLIENT_GONE, f->req->x->write_err); }

/* ---- up --------------------------------------------------------------------------------------------------------- */

static CYG_COLD int no_connection(struct fwd *f, const cyg_connpool_ask *ask, int err) {
    cyg_time d = f->opts->deadline;
    if (ask->queued) return fail(f, CYG_FORWARD_OVERFLOW, err);
    return fail(f, d && err == CYG_ETIMEDOUT && cyg_now() >= d ? CYG_FORWARD_TIMEOUT : CYG_FORWARD_CONNECT_FAILURE, err);
}

static inline int connect_up(struct fwd *f, bool fresh) {
    cyg_connpool_ask ask = {.deadline = f->opts->deadline, .fresh = fresh};
    int err = http_pool_get(f->pool, &ask, &f->cc);
    if (CYG_UNLIKELY(err < 0)) return no_connection(f, &ask, err);
    cyg_time now = cyg_now_cached();
    f->r->connected = now;
    f->r->reused = f->cc->pooled->uses > 1;
    return 0;
}

/* Writes what stands in cx->out, and leaves it there for a second try. */
static inline int write_up(struct fwd *f) {
    cyg_http_client_conn *cc = f->cc;
    http_client_deadline(cc, f->opts->deadline, f->r->connected);
    cyg_h1_head_init(&cc->cx->h, cc->cx->fields);
    cc->sent = true;
    cygrt_take_turn_if_short();
    ssize_t n = cyg_write(cc->c, cc->cx->out_p, cc->cx->out_n);
    return CYG_LIKELY(n >= 0) ? 0 : (int)n;
}

static inline bool has_body(const struct fwd *f) { return CYG_UNLIKELY(f->req->h.framing != CYG_H1_NO_BODY); }

static int prefill_body(struct fwd *f) {
    const struct cyg_h1_head *h = &f->req->h;
    f->cc->send_left = h->framing == CYG_H1_CHUNKED ? CYG_HTTP_BODY_CHUNKED : h->content_length;
    int err = http_pump_prefill(f->req, f->cc);
    return err < 0 ? fail(f, CYG_FORWARD_CLIENT_BODY, err) : 0;
}

static int pump_body(struct fwd *f) {
    if (f->req->body.done && f->cc->send_left == 0) return 0;
    f->cc->cx->out_n = 0;
    int err = http_pump_start(&f->pump, f->req, f->cc);
    return err < 0 ? fail(f, CYG_FORWARD_OVERFLOW, err) : 0;
}

static inline int prepare(struct fwd *f) {
    f->cc->method = f->req->h.method;
    int err = http_forward_request_head(f->req, f->cc->cx, f->opts);
    if (CYG_UNLIKELY(err < 0)) return fail(f, CYG_FORWARD_RESET, err);
    return has_body(f) ? prefill_body(f) : 0;
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
static int retry(struct fwd *f) {
    struct http_cx *cx = f->cc->cx;
    f->cc->cx = NULL;
    cyg_connpool_discard(f->cc->pooled, CYG_CONNPOOL_BROKEN);
    f->cc = NULL;
    f->r->retried = true;
    f->r->connected = 0;
    int err = connect_up(f, true);
    f->r->reused = false;
    if (err == 0 && (err = http_client_reserve(f->cc->cx, cx->out_n)) == 0) {
        memcpy(f->cc->cx->out_p, cx->out_p, cx->out_n);
        f->cc->cx->out_n = cx->out_n;
        f->cc->method = f->req->h.method;
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

/* Passes interim heads on until the final one has come. */
static int pass_interim(struct fwd *f) {
    struct cyg_h1_head *h = &f->cc->cx->h;
    while (h->status < 200) {
        if (h->status == 101) return CYG_EPROTO; /* we asked for no upgrade */
        if (http_forward_interim(f->res, h) < 0) return CYG_ECANCELED;
        cyg_h1_head_init(h, f->cc->cx->fields);
        int err = http_client_read_head(f->cc);
        if (err < 0) return err;
        f->r->upstream_status = h->status;
    }
    return 0;
}

static inline int read_answer(struct fwd *f) {
    int err = http_client_read_head(f->cc);
    if (CYG_UNLIKELY(err < 0)) return err;
    cyg_time now = cyg_now_cached();
    int status = f->cc->cx->h.status;
    f->r->first_byte = now;
    f->r->upstream_status = status;
    return CYG_LIKELY(status >= 200) ? 0 : pass_interim(f);
}

/* No more of the body is there (0), or it is bad. What has come leaves before we wait for more. */
static int more_answer(struct fwd *f, int err) {
    if (err == 0) {
        if (http_x_flush(f->req->x) < 0) return client_gone(f);
        err = http_client_fill(f->cc);
    }
    if (err == 0 || err == CYG_EOF) return 0;
    cyg_http_res_abort(f->res);
    return fail(f, CYG_FORWARD_ANSWER_CUT, err);
}

/* Passes head and body down. */
static inline int pass_answer(struct fwd *f) {
    struct http_cx *cx = f->cc->cx;
    f->r->answered = true;
    if (CYG_UNLIKELY(!http_pump_complete(&f->pump)))
        f->req->x->last = true; /* answered early: do not wait for the rest */
    if (CYG_UNLIKELY(http_forward_answer_head(f->res, &cx->h, f->opts) < 0)) return client_gone(f);
    cyg_str piece;
    for (ssize_t n; CYG_LIKELY((n = http_body_take(&cx->body, &cx->rd, &piece)) != CYG_EOF);) {
        if (CYG_LIKELY(n > 0)) {
            if (CYG_UNLIKELY(cyg_http_res_write(f->res, piece.p, piece.n) < 0)) return client_gone(f);
        } else {
            int err = more_answer(f, (int)n);
            if (err < 0) return err;
        }
    }
    return 0;
}

/* ---- the exchange ----------------------------------------------------------------------------------------------- */

/* No answer came: because nothing could be sent, or for another reason. 0: the request is on another connection now. */
static CYG_COLD int try_again(struct fwd *f, int sent, int err) {
    if (f->req->x->write_err < 0) return client_gone(f);
    if (!may_retry(f, err)) return no_answer(f, sent < 0 ? sent : err);
    return retry(f);
}

/* Sends the request and reads the answer's head, on a second connection if the first was dead. */
static inline int exchange(struct fwd *f) {
    for (;;) {
        int sent = write_up(f), err = sent;
        if (CYG_LIKELY(sent == 0) && has_body(f) && (err = pump_body(f)) < 0) return err;
        if (CYG_LIKELY(sent == 0) || has_body(f)) err = read_answer(f); /* refused unread, yet answered */
        if (CYG_LIKELY(err == 0)) return 0;
        if ((err = try_again(f, sent, err)) < 0) return err;
    }
}

/* OPTIONS and TRACE with Max-Forwards: 0 end here. Whether this was one. */
static bool answered_here(struct fwd *f) {
    cyg_str m = f->req->h.method;
    bool options = cyg_str_eq(m, CYG_STR("OPTIONS"));
    if (!options && !cyg_str_eq(m, CYG_STR("TRACE"))) return false;
    for (unsigned i = 0; i < f->req->h.nfields; i++) {
        const cyg_http_field *fl = &f->req->h.fields[i];
        if (fl->id != CYG_HTTP_MAX_FORWARDS || !cyg_str_eq(fl->value, CYG_STR("0"))) continue;
        (void)cyg_http_send(f->res, options ? 200 : 405, NULL, NULL, 0);
        f->r->answered = true;
        return true;
    }
    return false;
}

/* Whether anything is to be done before the request is passed on, or instead. */
static inline bool is_special(const struct fwd *f) {
    const struct cyg_h1_head *h = &f->req->h;
    return f->res->begun || h->method.n == strlen("CONNECT") || (h->seen >> CYG_HTTP_MAX_FORWARDS & 1) ||
           f->req->x->out_n > 0;
}

/* Returns whether it is to be passed on; otherwise the result is complete. */
static CYG_COLD bool do_special(struct fwd *f) {
    int err = 0;
    if (f->res->begun)
        err = fail(f, CYG_FORWARD_NOT_ALLOWED, CYG_ESTATE);
    else if (cyg_str_eq(f->req->h.method, CYG_STR("CONNECT")))
        err = fail(f, CYG_FORWARD_NOT_ALLOWED, CYG_ENOTSUP);
    else if (answered_here(f))
        return false;
    else if (http_x_flush(f->req->x) < 0)
        err = client_gone(f);
    return err == 0;
}

static CYG_COLD int give_up(struct fwd *f, int err) {
    http_pump_stop(&f->pump);
    if (f->cc) {
        f->cc->broken = true;
        cyg_http_pool_put(f->cc);
    }
    f->r->done = cyg_now_cached();
    return err;
}

int cyg_http_forward(cyg_http_req *req, cyg_http_res *res, cyg_http_pool *pool, const cyg_http_forward_opts *opts,
                     cyg_http_forward_result *r) {
    static const cyg_http_forward_opts none;
    struct fwd f;
    f.req = req;
    f.res = res;
    f.pool = pool;
    f.opts = opts ? opts : &none;
    f.r = r;
    f.pump.running = false;
    *r = (cyg_http_forward_result){.status = CYG_FORWARD_OK};
    if (CYG_UNLIKELY(is_special(&f)) && !do_special(&f)) return r->err;
    int err = connect_up(&f, false);
    if (CYG_UNLIKELY(err < 0)) return err;
    if ((err = prepare(&f)) < 0 || (err = exchange(&f)) < 0 || (err = pass_answer(&f)) < 0) return give_up(&f, err);
    http_pump_stop(&f.pump);
    cyg_http_pool_put(f.cc);
    if (CYG_UNLIKELY((err = cyg_http_res_end(res)) < 0)) (void)client_gone(&f);
    r->done = cyg_now_cached();
    return err;
}
