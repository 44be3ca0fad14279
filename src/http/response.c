/* response.c: answers on their way to the client: what is held back, what is sent, and how an answer ends.
 *
 * Small things are copied behind the head and leave with it in one write; what does not fit goes out beside them in the same
 * writev, uncopied. The write deadline is a stall deadline: set anew only when less than write_timeout of it is left.
 */
#include "http/internal.h"
#include "runtime/cohort.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE ((size_t)256 * 1024) /* one write at most: the stall deadline holds for each */
#define SMALL ((size_t)4096)       /* body pieces up to this are copied */

/* ---- sending ---------------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) void set_write_deadline(struct http_conn *hc, cyg_time t) {
    hc->write_deadline = t;
    (void)cyg_set_write_deadline(hc->c, t);
}

static inline void guard_write(struct http_x *x) {
    cyg_time now = cyg_now_cached();
    cyg_duration t = x->s->opts.write_timeout;
    if (CYG_UNLIKELY(x->hc->write_deadline < now + t)) set_write_deadline(x->hc, now + t + t / 4);
}

static CYG_COLD int failed(struct http_x *x, ssize_t err) {
    x->out_n = 0;
    x->reset = x->last = true;
    return x->write_err = (int)err;
}

/* One slice, in pieces that each get the whole stall time. */
static int send_long(struct http_x *x, struct iovec v) {
    while (v.iov_len > 0) {
        size_t n = v.iov_len < PIECE ? v.iov_len : PIECE;
        guard_write(x);
        ssize_t r = cyg_write(x->hc->c, v.iov_base, n);
        if (r < 0) return failed(x, r);
        v.iov_base = (char *)v.iov_base + n;
        v.iov_len -= n;
    }
    return 0;
}

int http_x_flush(struct http_x *x) {
    size_t n = x->out_n;
    if (n == 0 || CYG_UNLIKELY(n > PIECE || x->write_err < 0)) return http_x_send(x, NULL, 0);
    cygrt_take_turn_if_short();
    guard_write(x);
    ssize_t r = cyg_write(x->hc->c, x->out, n);
    if (CYG_UNLIKELY(r < 0)) return failed(x, r);
    x->out_n = 0;
    return 0;
}

int http_x_send(struct http_x *x, const struct iovec *more, int n) {
    if (x->write_err < 0) return x->write_err;
    struct iovec v[4];
    int k = 0;
    size_t total = x->out_n;
    if (total > 0) v[k++] = (struct iovec){x->out, total};
    for (int i = 0; i < n; i++)
        if (more[i].iov_len > 0) {
            v[k++] = more[i];
            total += more[i].iov_len;
        }
    if (k == 0) return 0;
    if (total > PIECE) {
        for (int i = 0; i < k; i++)
            if (send_long(x, v[i]) < 0) return x->write_err;
        x->out_n = 0;
        return 0;
    }
    guard_write(x);
    ssize_t r = k == 1 ? cyg_write(x->hc->c, v[0].iov_base, v[0].iov_len) : cyg_writev(x->hc->c, v, k);
    if (r < 0) return failed(x, r);
    x->out_n = 0;
    return 0;
}

__attribute__((noinline)) int http_x_reserve_slow(struct http_x *x, size_t need) {
    int err = http_x_flush(x);
    if (err < 0) return err;
    if (x->out_cap >= need) return 0;
    char *big = malloc(need);
    if (!big) return CYG_ENOMEM;
    free(x->big_out);
    x->out = x->big_out = big;
    x->out_cap = need;
    return 0;
}

/* ---- whole answers ---------------------------------------------------------------------------------------------- */

int cyg_http_send(cyg_http_res *res, int status, const char *content_type, const void *body, size_t n) {
    struct http_x *x = res->x;
    int err = http_res_begun(res, status);
    if (CYG_UNLIKELY(err < 0)) return err;
    res->ended = true;
    cyg_str type = cyg_str_of(content_type);
    size_t room = HTTP_HEAD_ROOM + type.n + res->extra_n;
    bool copy = CYG_LIKELY(n <= SMALL && !res->suppress);
    if (CYG_UNLIKELY((err = http_x_reserve(x, room + (copy ? n : 0))) < 0)) return err;
    struct cyg_h1_out o = http_x_out(x);
    cyg_h1_put_status_line(&o, status);
    if (CYG_LIKELY(!x->s->opts.no_date)) http_put_date(&o);
    if (CYG_LIKELY(type.n > 0)) cyg_h1_put_line(&o, CYG_STR("Content-Type: "), type);
    http_res_put_framing(res, &o, (int64_t)n, status == 204 || (status == 304 && n == 0));
    if (CYG_LIKELY(copy)) cyg_h1_put(&o, body, n);
    x->out_n = o.n;
    if (CYG_UNLIKELY(res->suppress)) return 0;
    res->body_bytes = n;
    if (CYG_LIKELY(copy)) return 0; /* leaves when the handler has returned, or with the next answer */
    struct iovec v = {(void *)(uintptr_t)body, n};
    return http_x_send(x, &v, 1);
}

int cyg_http_printf(cyg_http_res *res, int status, const char *content_type, const char *fmt, ...) {
    char small[1024];
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof small, fmt, ap), err;
    va_end(ap);
    if (n < 0) {
        err = CYG_EINVAL;
    } else if ((size_t)n < sizeof small) {
        err = cyg_http_send(res, status, content_type, small, (size_t)n);
    } else {
        char *p = malloc((size_t)n + 1);
        if (p) vsnprintf(p, (size_t)n + 1, fmt, again);
        err = p ? cyg_http_send(res, status, content_type, p, (size_t)n) : CYG_ENOMEM;
        free(p);
    }
    va_end(again);
    return err;
}

/* ---- bodies that follow ----------------------------------------------------------------------------------------- */

static __attribute__((noinline)) int write_chunk(struct http_x *x, const void *p, size_t n) {
    char line[18];
    size_t line_n = cyg_h1_chunk_header(line, n);
    if (n <= SMALL) {
        int err = http_x_reserve(x, line_n + n + 2);
        if (err < 0) return err;
        struct cyg_h1_out o = http_x_out(x);
        cyg_h1_put(&o, line, line_n);
        cyg_h1_put(&o, p, n);
        cyg_h1_put_lit(&o, "\r\n");
        x->out_n = o.n;
        return 0;
    }
    int err = http_x_reserve(x, line_n);
    if (err < 0) return err;
    struct cyg_h1_out o = http_x_out(x);
    cyg_h1_put(&o, line, line_n);
    x->out_n = o.n;
    struct iovec v[2] = {{(void *)(uintptr_t)p, n}, {(void *)(uintptr_t) "\r\n", 2}};
    return http_x_send(x, v, 2);
}

/* A piece for which there is no room. */
static __attribute__((noinline)) int write_long(struct http_x *x, const void *p, size_t n) {
    struct iovec v = {(void *)(uintptr_t)p, n};
    if (n > SMALL) return http_x_send(x, &v, 1);
    int err = http_x_reserve_slow(x, n);
    if (err < 0) return err;
    memcpy(x->out + x->out_n, p, n);
    x->out_n += n;
    return 0;
}

int cyg_http_res_write(cyg_http_res *res, const void *p, size_t n) {
    struct http_x *x = res->x;
    if (CYG_UNLIKELY(!res->begun || res->ended || res->aborted)) return CYG_ESTATE;
    if (CYG_UNLIKELY(res->suppress || n == 0)) return x->write_err;
    if (CYG_UNLIKELY(n > (uint64_t)res->left && res->by_length)) return CYG_EINVAL;
    res->left -= (int64_t)n;
    res->body_bytes += n;
    if (CYG_UNLIKELY(res->chunked)) return write_chunk(x, p, n);
    if (CYG_UNLIKELY(n > x->out_cap - x->out_n)) return write_long(x, p, n);
    memcpy(x->out + x->out_n, p, n);
    x->out_n += n;
    return 0;
}

int cyg_http_res_flush(cyg_http_res *res) { return http_x_flush(res->x); }

static __attribute__((noinline)) int end_body(cyg_http_res *res) {
    struct http_x *x = res->x;
    if (res->by_length) {
        x->reset = true; /* it is not whole */
        return CYG_EPROTO;
    }
    if (!res->chunked) return x->write_err;
    int err = http_x_reserve(x, 5);
    if (err < 0) return err;
    memcpy(x->out + x->out_n, "0\r\n\r\n", 5);
    x->out_n += 5;
    return 0;
}

int cyg_http_res_end(cyg_http_res *res) {
    struct http_x *x = res->x;
    if (CYG_UNLIKELY(!res->begun || res->aborted)) return CYG_ESTATE;
    bool whole = res->ended || res->suppress || (!res->chunked && res->left == 0);
    res->ended = true;
    return CYG_LIKELY(whole) ? x->write_err : end_body(res);
}

void cyg_http_res_abort(cyg_http_res *res) {
    res->aborted = true;
    res->x->reset = true;
}

void cyg_http_res_close(cyg_http_res *res) { res->x->last = true; }

int cyg_http_res_status(const cyg_http_res *res) { return res->status; }
uint64_t cyg_http_res_body_bytes(const cyg_http_res *res) { return res->body_bytes; }
bool cyg_http_res_failed(const cyg_http_res *res) { return res->x->write_err < 0; }

void cyg_http_res_get_info(const cyg_http_res *res, cyg_http_res_info *out) {
    out->body_bytes = res->body_bytes;
    out->req_body_bytes = cyg_http_req_body_bytes(res->req);
    out->status = res->status;
    out->failed = cyg_http_res_failed(res);
}

/* ---- answers of our own ----------------------------------------------------------------------------------------- */

void http_refuse(struct http_x *x, cyg_http_req *req, int status, const char *reason) {
    size_t n = strlen(reason);
    bool head = req && cyg_str_eq(req->h.method, CYG_STR("HEAD"));
    x->last = x->linger = true;
    __atomic_add_fetch(&x->s->refused, 1, __ATOMIC_RELAXED);
    if (http_x_reserve(x, HTTP_HEAD_ROOM + 2 * n) < 0) return;
    struct cyg_h1_out o = http_x_out(x);
    cyg_h1_put_status_line(&o, status);
    if (!x->s->opts.no_date) http_put_date(&o);
    cyg_h1_put_lit(&o, "Content-Type: text/plain\r\nContent-Length: ");
    cyg_h1_put_uint(&o, n + 1);
    cyg_h1_put_lit(&o, "\r\nX-Cygnet-Reason: ");
    cyg_h1_put(&o, reason, n);
    cyg_h1_put_lit(&o, "\r\nConnection: close\r\n\r\n");
    if (!head) {
        cyg_h1_put(&o, reason, n);
        cyg_h1_put_lit(&o, "\n");
    }
    x->out_n = o.n;
    (void)http_x_flush(x);
    if (!x->s->opts.on_refused) return;
    cyg_addr peer = http_conn_peer_addr(http_conn_peer(x->hc));
    x->s->opts.on_refused(x->s->opts.on_refused_arg, status, reason, &peer, req);
}
