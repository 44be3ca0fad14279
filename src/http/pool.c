/* pool.c: a connection pool whose connections speak HTTP/1.1: what the client keeps with each is the pool's user memory. With
 * a connection a pooled buffer is lent. */
#include "http/internal.h"

#include <stdlib.h>

static int dial(void *arg, cyg_time deadline, cyg_conn **out) {
    cyg_http_pool *p = arg;
    return cyg_dial_addr(&p->to, &(cyg_dial_opts){.deadline = deadline}, out);
}

static int open_client(void *arg, cyg_pooled_conn *pc, cyg_time deadline) {
    cyg_http_pool *p = arg;
    cyg_http_client_conn *cc = pc->user;
    (void)deadline;
    cc->c = pc->conn;
    cc->pooled = pc;
    cc->limits = &p->limits;
    return 0;
}

/* What the client needs for itself may not be asked for. */
static bool opts_ours(const cyg_connpool_opts *o) {
    return !o->dial && !o->open && !o->close && !o->freed && !o->arg && o->user_bytes == 0;
}

int cyg_http_pool_new(const cyg_addr *to, const cyg_http_pool_opts *opts, cyg_http_pool **out) {
    cyg_http_pool_opts o = opts ? *opts : (cyg_http_pool_opts){0};
    if (o.max_head_bytes == 0) o.max_head_bytes = 65536;
    if (!to || !opts_ours(&o.conns) || o.max_head_bytes < 1024 || o.max_head_bytes > (1 << 20)) return CYG_EINVAL;
    cyg_http_pool *p = calloc(1, sizeof *p);
    if (!p) return CYG_ENOMEM;
    p->to = *to;
    p->limits = (struct cyg_h1_limits){o.max_head_bytes, 8192, HTTP_CLIENT_FIELDS};
    o.conns.reset_idle = !o.orderly_close;
    o.conns.user_bytes = sizeof(cyg_http_client_conn);
    o.conns.dial = dial;
    o.conns.open = open_client;
    o.conns.freed = free;
    o.conns.arg = p;
    char text[CYG_ADDR_STRLEN];
    (void)cyg_addr_format(to, text, sizeof text);
    int err = cyg_connpool_new(to->family == CYG_AF_UNIX ? "unix" : "tcp", text, &o.conns, &p->conns);
    if (err < 0)
        free(p);
    else
        *out = p;
    return err;
}

/* ---- lending ---------------------------------------------------------------------------------------------------- */

static bool borrow(cyg_http_client_conn *cc) {
    struct http_cx *cx = http_buf_get();
    if (CYG_UNLIKELY(!cx)) return false;
    http_rd_init(&cx->rd, cc->c, cx->in, HTTP_CLIENT_IN);
    cx->big_out = NULL;
    cx->out_p = cx->out;
    cx->out_n = 0;
    cx->out_cap = sizeof cx->out;
    cc->cx = cx;
    cc->send_left = 0;
    cc->sent = cc->head_done = cc->any_byte = cc->broken = false;
    cc->give_up = 0;
    return true;
}

void http_cx_free(struct http_cx *cx) {
    http_rd_free(&cx->rd);
    if (CYG_UNLIKELY(cx->big_out != NULL)) free(cx->big_out);
    http_buf_put(cx);
}

int http_pool_get(cyg_http_pool *p, cyg_connpool_ask *ask, cyg_http_client_conn **out) {
    cyg_pooled_conn *pc;
    int err = cyg_connpool_get_as(p->conns, ask, &pc);
    if (CYG_UNLIKELY(err < 0)) return err;
    if (CYG_UNLIKELY(!borrow(pc->user))) {
        cyg_connpool_put(pc); /* nothing is wrong with it */
        return CYG_ENOMEM;
    }
    *out = pc->user;
    return 0;
}

int cyg_http_pool_get(cyg_http_pool *pool, cyg_time deadline, cyg_http_client_conn **out, bool *reused) {
    cyg_connpool_ask ask = {.deadline = deadline};
    int err = http_pool_get(pool, &ask, out);
    if (err == 0 && reused) *reused = (*out)->pooled->uses > 1;
    return err;
}

/* Whether an exchange is over in good order. */
static inline bool is_over(const cyg_http_client_conn *cc) {
    const struct http_cx *cx = cc->cx;
    return cc->head_done && !cc->broken && cc->send_left == 0 && cx->body.done && http_rd_left(&cx->rd) == 0;
}

/* Gives back one that was not used, or is not to be used again. */
static __attribute__((noinline)) void put_other(cyg_http_client_conn *cc) {
    bool unused = !cc->sent && !cc->broken, over = is_over(cc);
    http_cx_free(cc->cx);
    cc->cx = NULL;
    if (unused)
        cyg_connpool_put(cc->pooled);
    else
        cyg_connpool_discard(cc->pooled, over ? CYG_CONNPOOL_FINISHED : CYG_CONNPOOL_BROKEN);
}

void cyg_http_pool_put(cyg_http_client_conn *cc) {
    if (CYG_UNLIKELY(!is_over(cc) || !cc->cx->h.keep_alive)) {
        put_other(cc);
        return;
    }
    http_cx_free(cc->cx);
    cc->cx = NULL;
    cyg_connpool_put(cc->pooled);
}

void cyg_http_pool_close(cyg_http_pool *p) { cyg_connpool_close(p->conns); }

cyg_connpool *cyg_http_pool_conns(cyg_http_pool *p) { return p->conns; }
