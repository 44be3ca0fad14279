/* forward_body.c: the request's body on its way to the upstream. What lies in the client's buffer and is small leaves with
 * the head; the rest is pumped by a goroutine of its own, because the upstream may answer before it has read everything.
 *
 * While the pump runs it alone reads from the client and writes to the upstream; the forwarder reads from the upstream and
 * writes to the client. It is stopped by a mark and a deadline gone by: the pump sets its own deadlines before it looks at the mark, the
 * forwarder sets the mark before its deadline, so one of the two is always seen.
 */
#include "http/internal.h"

#define GONE_BY ((cyg_time)1)

static bool append(struct http_cx *cx, cyg_str s) {
    if (s.n > cx->out_cap - cx->out_n) return false;
    memcpy(cx->out_p + cx->out_n, s.p, s.n);
    cx->out_n += s.n;
    return true;
}

int http_pump_prefill(cyg_http_req *req, cyg_http_client_conn *cc) {
    struct http_cx *cx = cc->cx;
    struct http_body *b = &req->body;
    if (b->framing != CYG_H1_LENGTH || b->done) return 0;
    size_t n = http_rd_left(&req->x->rd), room = cx->out_cap - cx->out_n;
    if (n > (uint64_t)b->left) n = (size_t)b->left;
    if (n == 0 || (n > room && (uint64_t)b->left > n)) return 0;
    cyg_str piece;
    if (n > room && http_client_reserve(cx, n) < 0) return 0;
    ssize_t r = http_req_next(req, &piece);
    if (r < 0) return (int)r;
    if (!append(cx, piece)) return CYG_EPROTO;
    cc->send_left -= (int64_t)piece.n;
    return 0;
}

/* Until the client sends something: it may never, if it waits for a 100 that does not come. */
static int wait_first(struct http_pump *p) {
    struct http_x *x = p->req->x;
    x->hc->read_deadline = 0;
    (void)cyg_set_read_deadline(x->hc->c, 0);
    if (__atomic_load_n(&x->no_body, __ATOMIC_SEQ_CST)) return CYG_ECANCELED;
    return cyg_conn_wait_readable(x->hc->c);
}

/* The last bytes are on their way: an answer that comes from now on is no early one, even if it overtakes our return. */
static void mark_sent(struct http_pump *p) { __atomic_store_n(&p->ended, 1, __ATOMIC_RELEASE); }

static void pump_all(struct http_pump *p) {
    cyg_str piece;
    struct http_body *b = &p->req->body;
    int err = p->wait_first && http_rd_left(&p->req->x->rd) == 0 ? wait_first(p) : 0;
    while (err == 0) {
        ssize_t n = http_req_next(p->req, &piece);
        if (n == CYG_EOF || (n > 0 && b->done)) mark_sent(p);
        if (n == CYG_EOF) {
            if (p->cc->send_left != 0) p->upstream_err = http_client_write_body(p->cc, NULL, 0, true);
            return;
        }
        if (n < 0)
            err = (int)n;
        else if ((p->upstream_err = http_client_write_body(p->cc, piece.p, piece.n, false)) < 0)
            return;
    }
    p->client_err = err;
}

static void pump(void *arg) {
    struct http_pump *p = arg;
    pump_all(p);
    bool failed = p->client_err < 0 || p->upstream_err < 0;
    __atomic_store_n(&p->ended, failed ? 2 : 1, __ATOMIC_RELEASE);
    if (p->client_err < 0 && !__atomic_load_n(&p->req->x->no_body, __ATOMIC_SEQ_CST)) {
        /* the forwarder waits for an answer that cannot come */
        __atomic_store_n(&p->cc->give_up, 1, __ATOMIC_SEQ_CST);
        (void)cyg_set_read_deadline(p->cc->c, GONE_BY);
    }
    cyg_waitgroup_done(&p->done);
}

int http_pump_start(struct http_pump *p, cyg_http_req *req, cyg_http_client_conn *cc) {
    *p = (struct http_pump){.req = req, .cc = cc, .wait_first = req->h.expect_continue};
    req->continue_due = false; /* the upstream decides */
    req->pumped = true;        /* before it runs */
    cyg_waitgroup_add(&p->done, 1);
    int err = cyg_go_with(&(cyg_go_opts){.name = "http request body"}, pump, p);
    if (err < 0) {
        cyg_waitgroup_done(&p->done);
        req->pumped = false; /* else it is the pump's to read from now on */
    } else {
        p->running = true;
    }
    return err;
}

void http_pump_stop_running(struct http_pump *p) {
    struct http_x *x = p->req->x;
    p->running = false;
    if (__atomic_load_n(&p->ended, __ATOMIC_ACQUIRE) == 0) {
        __atomic_store_n(&x->no_body, 1, __ATOMIC_SEQ_CST);
        (void)cyg_set_read_deadline(x->hc->c, GONE_BY);
        (void)cyg_set_write_deadline(p->cc->c, GONE_BY);
    }
    while (cyg_waitgroup_wait(&p->done) < 0) cyg_yield(); /* it lives on our stack: nothing may keep us from waiting */
    p->cc->deadline = x->hc->read_deadline = GONE_BY;     /* whatever was set last, set it anew */
    p->req->pumped = false;
}
