/* internal.h: what the files of the HTTP layer share.
 *
 * Vocabulary: a conn is one accepted connection; while bytes are about, an exchange (http_x) on its goroutine's stack holds a
 * pooled buffer and serves requests one after another; an idle conn is the small struct http_conn alone. A client_conn is a
 * connection to an upstream; while it is in use it borrows a buffer, too (http_cx).
 * Invariant: whoever parks on a read has first sent what it held back for the peer.
 */
#ifndef CYG_HTTP_INTERNAL_H
#define CYG_HTTP_INTERNAL_H

#include <stdlib.h>

#include <cygnet/http.h>
#include <cygnet/runtime.h>
#include <cygnet/sync.h>

#include "proto/http1.h"
#include "runtime/sched.h"

#define HTTP_CACHE_LINE 64

static inline cyg_time http_min_deadline(cyg_time a, cyg_time b) { return a == 0 ? b : b == 0 ? a : a < b ? a : b; }

/* ---- buffers (bufpool.c) ---------------------------------------------------------------------------------------- */

#define HTTP_BUF_BYTES ((size_t)16384)  /* what a request in flight borrows */
#define HTTP_BULK_BYTES ((size_t)65536) /* for bodies that turn out long */

void *http_buf_get(void); /* NULL: no memory */
void http_buf_put(void *p);
void *http_bulk_get(void);
void http_bulk_put(void *p);

/* ---- bytes coming in (body.c) ----------------------------------------------------------------------------------- */

/* What one connection has sent and nobody has used yet: area[pos..end). Used by one goroutine at a time. */
struct http_rd {
    cyg_conn *c;
    char *area, *home; /* home: the pooled buffer's own area; where area is, unless there is a larger one */
    size_t cap, home_cap;
    size_t pos, end;
    size_t floor; /* bytes of the area that hold a head whose slices are in use: bodies are read behind them */
    char *big;    /* a longer area for a long head, allocated; or NULL */
    char *bulk;   /* a bulk buffer for a long body; or NULL */
    bool full;    /* the last read filled the area: more is waiting, read larger */
};

static inline void http_rd_init(struct http_rd *rd, cyg_conn *c, char *home, size_t cap) {
    rd->c = c;
    rd->area = rd->home = home;
    rd->cap = rd->home_cap = cap;
    rd->pos = rd->end = rd->floor = 0;
    rd->big = rd->bulk = NULL;
    rd->full = false;
}
static inline size_t http_rd_left(const struct http_rd *rd) { return rd->end - rd->pos; }

/* Makes room to read more of a head that starts at pos; grows up to max_head. 0, CYG_ENOMEM, CYG_ELIMIT. */
int http_rd_room_for_head_slow(struct http_rd *rd, size_t max_head);
static inline int http_rd_room_for_head(struct http_rd *rd, size_t max_head) {
    return CYG_LIKELY(rd->end < rd->cap) ? 0 : http_rd_room_for_head_slow(rd, max_head);
}
/* Makes room to read more of a body; keeps what lies below floor. 0 or CYG_ENOMEM. */
int http_rd_room_for_body(struct http_rd *rd);
/* One read behind end, of at most limit bytes. The count, CYG_EOF or the read's error. */
ssize_t http_rd_fill(struct http_rd *rd, size_t limit);
/* The message is over and its slices are dead: keeps the unread bytes, gives larger areas back. */
void http_rd_next_message(struct http_rd *rd);
/* Gives larger areas back, whatever they hold. */
void http_rd_free_slow(struct http_rd *rd);
static inline void http_rd_free(struct http_rd *rd) {
    if (CYG_UNLIKELY(rd->area != rd->home)) http_rd_free_slow(rd);
}

/* One message body being taken out of a http_rd. */
struct http_body {
    enum cyg_h1_framing framing;
    bool done;
    int64_t left; /* LENGTH: bytes to come */
    uint64_t got; /* body bytes handed out */
    struct cyg_h1_chunked chunked;
};

static inline void http_body_init(struct http_body *b, const struct cyg_h1_head *h) {
    b->framing = h->framing;
    b->left = h->content_length;
    b->done = h->content_length == 0;
    b->got = 0;
    if (CYG_UNLIKELY(h->framing == CYG_H1_CHUNKED)) cyg_h1_chunked_init(&b->chunked);
}
/* The next piece among the bytes read. > 0: its length; 0: read more; CYG_EOF: the body is over; CYG_EPROTO: bad chunk. */
ssize_t http_body_take(struct http_body *b, struct http_rd *rd, cyg_str *piece);
/* How many bytes to read at most, so that what follows the body still fits the home area. */
size_t http_body_want(const struct http_body *b, const struct http_rd *rd);
/* What end of stream means here: CYG_EOF for a body that lasts until close, else CYG_EPROTO. */
int http_body_at_eof(struct http_body *b);

/* ---- server ----------------------------------------------------------------------------------------------------- */

/* One accepted connection. It belongs to whoever runs its start record; the list and the fields marked so, to the shard. */
struct http_conn {
    cyg_conn *c; /* one reference is ours */
    cyg_http_server *server;
    struct http_conn *next, *prev; /* guard: shard lock */
    cyg_time read_deadline;        /* as set on c last; owner only */
    cyg_time write_deadline;       /* the same for writes */
    uint64_t requests;             /* written by the owner, read by statistics: relaxed atomic */
    uint16_t shard;                /* index, constant */
    uint8_t handling;              /* a handler runs; written by the owner, relaxed atomic */
    bool cut;                      /* closed by a shutdown; guard: shard lock */
    bool lingering;                /* only waits for the peer's end; written by the owner, atomic */
    bool begun;                    /* on_begin need not be called any more; owner only */
    bool peer_known;               /* the fields below are filled in; owner only */
    uint8_t peer_text_n;           /* of peer_text, which is "ADDRESS:PORT"; 0 for a Unix socket */
    uint8_t peer_ip_at, peer_ip_n; /* the address within it, for X-Forwarded-For */
    uint32_t linger_bytes;         /* read and thrown away while lingering */
    uint16_t peer_family, peer_port;
    uint32_t peer_scope;
    uint8_t peer_ip[16];
    char peer_text[66];
};

struct http_shard {
    _Alignas(HTTP_CACHE_LINE) cyg_mutex lock;
    struct http_conn *conns;  /* guard: lock */
    uint64_t closed_requests; /* of conns that are gone; guard: lock */
    uint64_t accepted;        /* guard: lock */
};

struct http_listening { /* a listener being served, on its accept loop's stack */
    cyg_listener *l;
    struct http_listening *next; /* guard: server lock */
};

struct cyg_http_server {
    /* constant, but for draining: read by every request */
    cyg_http_handler *handler;
    void *arg;
    cyg_http_server_opts opts; /* defaults filled in */
    struct cyg_h1_limits limits;
    struct http_shard *shards;
    unsigned nshards;  /* a power of two */
    uint32_t draining; /* atomic */
    /* touched when connections come and go */
    _Alignas(HTTP_CACHE_LINE) uint64_t refs; /* atomic: caller, accept loops, conns */
    uint64_t nconns;                         /* atomic */
    uint64_t refused;                        /* atomic */
    uint32_t gone_wanted;                    /* atomic: somebody waits on gone */
    cyg_mutex lock;
    cyg_cond gone;                    /* a conn went, or draining began; guard: lock */
    struct http_listening *listening; /* guard: lock */
};

void http_server_unref(cyg_http_server *s);

/* conn.c: a connection's life from here on is its own. */
void http_conn_start(cyg_http_server *s, cyg_conn *c);
/* Ends a connection that is on no list any more. */
void http_conn_finish(struct http_conn *hc);
/* Fills in the peer fields. Returns: hc. */
struct http_conn *http_conn_ask_peer(struct http_conn *hc);
static inline struct http_conn *http_conn_peer(struct http_conn *hc) {
    return CYG_LIKELY(hc->peer_known) ? hc : http_conn_ask_peer(hc);
}
/* The address that they hold. */
static inline cyg_addr http_conn_peer_addr(const struct http_conn *hc) {
    cyg_addr a = {.family = hc->peer_family, .port = hc->peer_port, .scope = hc->peer_scope};
    memcpy(a.ip, hc->peer_ip, sizeof hc->peer_ip);
    return a;
}

/* ---- an exchange: a connection being served ---------------------------------------------------------------------- */

#define HTTP_STACK_FIELDS 100
#define HTTP_IN_BYTES ((size_t)7168)
#define HTTP_EXTRA_BYTES ((size_t)1024)
#define HTTP_OUT_BYTES (HTTP_BUF_BYTES - HTTP_IN_BYTES - HTTP_EXTRA_BYTES)
#define HTTP_EXTRA_MAX ((size_t)16384) /* all of cyg_http_res_add */

struct http_sbuf { /* the pooled buffer of a request */
    char in[HTTP_IN_BYTES];
    char extra[HTTP_EXTRA_BYTES]; /* lines of cyg_http_res_add */
    char out[HTTP_OUT_BYTES];
};
_Static_assert(sizeof(struct http_sbuf) <= HTTP_BUF_BYTES, "http_sbuf must fit a pooled buffer");

struct http_x {
    struct http_conn *hc;
    cyg_http_server *s;
    struct http_sbuf *buf;
    struct http_rd rd;
    char *out; /* held back for the client: out[0..out_n) */
    size_t out_n, out_cap;
    char *big_out;    /* allocated in place of buf->out; or NULL */
    int write_err;    /* the first failed write; then nothing is written any more */
    bool last : 1;    /* the connection ends after this answer */
    bool linger : 1;  /* and the client may still be sending */
    bool reset : 1;   /* the connection is to be reset; after a failed write, too */
    uint32_t no_body; /* atomic: the body is to be read no more (a forwarder has its answer) */
};

/* response.c: sends what is held back and n more slices. 0 or the error, also of an earlier write. */
int http_x_send(struct http_x *x, const struct iovec *more, int n);
/* Sends what is held back. The same. */
int http_x_flush(struct http_x *x);
/* Room for need bytes behind out_n; flushes or grows. 0 or an error. */
int http_x_reserve_slow(struct http_x *x, size_t need);
static inline int http_x_reserve(struct http_x *x, size_t need) {
    return CYG_LIKELY(x->out_cap - x->out_n >= need) ? 0 : http_x_reserve_slow(x, need);
}
static inline void http_x_free(struct http_x *x) {
    http_rd_free(&x->rd);
    if (CYG_UNLIKELY(x->big_out != NULL)) free(x->big_out);
}

#define HTTP_MAX_PARAMS 8

struct cyg_http_req {
    struct http_x *x;
    struct cyg_h1_head h;
    struct http_body body;
    cyg_time start;
    cyg_str rest; /* of the last piece: what cyg_http_req_read had no room for */
    int body_err; /* the first failed body read */
    uint8_t nparams;
    bool continue_due; /* Expect: 100-continue not answered yet */
    bool pumped;       /* a pump reads the body: what is held back for the client is not its affair */
    bool peer_filled;
    struct {
        cyg_str name, value;
    } params[HTTP_MAX_PARAMS];
    cyg_addr peer;
};

struct cyg_http_res {
    struct http_x *x;
    cyg_http_req *req;
    char *extra; /* lines of cyg_http_res_add: buf->extra, or allocated */
    size_t extra_cap, extra_n;
    int status;
    bool begun : 1, ended : 1, aborted : 1;
    bool suppress : 1; /* no body goes out: HEAD, 204, 304 */
    bool chunked : 1;  /* else left counts down, or until close */
    bool by_length : 1;
    int64_t left;
    uint64_t body_bytes;
};

/* request.c */
ssize_t http_req_next(cyg_http_req *req, cyg_str *piece);
/* Reads and throws away the rest of the body, up to max bytes. Whether its end was reached. */
bool http_req_drain(cyg_http_req *req, size_t max);

/* response.c, response_head.c */
void http_res_free(cyg_http_res *res);
/* Answers by the library itself and ends the connection; tells on_refused. req may be NULL. */
void http_refuse(struct http_x *x, cyg_http_req *req, int status, const char *reason);
/* Marks the answer as begun with this status. 0 or CYG_ESTATE / CYG_EINVAL. */
int http_res_begun(cyg_http_res *res, int status);
/* How the body goes out: Content-Length, chunked or until close; then the Connection field and the lines added. Ends the
 * head. length as in cyg_http_res_begin; with no_length neither length nor coding is named. */
void http_res_put_framing(cyg_http_res *res, struct cyg_h1_out *o, int64_t length, bool no_length);
/* Bytes that http_res_put_framing, status line and date may need. */
#define HTTP_HEAD_ROOM ((size_t)320)
static inline struct cyg_h1_out http_x_out(struct http_x *x) {
    return (struct cyg_h1_out){.p = x->out, .n = x->out_n, .cap = x->out_cap, .full = false};
}

/* date.c: "Date: ...\r\n" of now, 37 bytes; asks for room for 40, as it is copied by words. */
#define HTTP_DATE_BYTES 37
void http_put_date(struct cyg_h1_out *o);

/* ---- client ----------------------------------------------------------------------------------------------------- */

#define HTTP_CLIENT_FIELDS 128
#define HTTP_CLIENT_OUT ((size_t)3072)

/* What a client_conn borrows while it is in use. */
struct http_cx {
    struct http_rd rd;
    struct http_body body;
    struct cyg_h1_head h;
    char *big_out; /* a request head too long for out, allocated; or NULL */
    char *out_p;   /* out or big_out: the request as it was sent first, kept for sending it again */
    size_t out_n, out_cap;
    cyg_http_field fields[HTTP_CLIENT_FIELDS];
    char out[HTTP_CLIENT_OUT];
    char in[];
};
#define HTTP_CLIENT_IN (HTTP_BUF_BYTES - sizeof(struct http_cx))

struct cyg_http_client_conn { /* the user's memory of a pooled connection */
    cyg_conn *c;
    cyg_pooled_conn *pooled;
    const struct cyg_h1_limits *limits; /* the pool's */
    struct http_cx *cx;                 /* while in use */
    cyg_time deadline;                  /* as set on c last; not later than want */
    cyg_time want;                      /* the deadline of the call under way */
    cyg_str method;                     /* of the call under way: borrowed, or literal */
    int64_t send_left;   /* body bytes still to send; CYG_HTTP_BODY_CHUNKED until the last chunk has gone */
    bool sent;           /* a request has been sent since it was taken */
    bool head_done;      /* the final answer's head is read */
    bool any_byte;       /* of an answer has come since it was taken */
    bool broken;         /* an error */
    uint32_t give_up;    /* atomic: no answer is to be waited for (the pump failed) */
    bool write_deadline; /* that for writes was set to something else */
};

/* pool.c */
struct cyg_http_pool {
    cyg_addr to;
    struct cyg_h1_limits limits;
    cyg_connpool *conns; /* frees this struct when its last connection is gone */
};

/* cyg_http_pool_get, asking and telling more. */
int http_pool_get(cyg_http_pool *pool, cyg_connpool_ask *ask, cyg_http_client_conn **out);
void http_cx_free(struct http_cx *cx);

/* client.c */
/* Sets the deadline of the calls to come. One that lies a little too early is left alone: it is put right when it strikes. So a
 * connection that serves one request after another sets it only every so often. */
void http_client_set_deadline(cyg_http_client_conn *cc); /* to want */
static inline void http_client_deadline(cyg_http_client_conn *cc, cyg_time deadline, cyg_time now) {
    cc->want = deadline;
    cyg_duration by = deadline - cc->deadline; /* 0 is never: then it is left alone only if it is the same */
    if (CYG_UNLIKELY(by < 0 || by >= (deadline - now) >> 3 || cc->write_deadline)) http_client_set_deadline(cc);
}
/* Room for a request head of need bytes in cx->out_p. 0 or CYG_ENOMEM. */
int http_client_reserve_slow(struct http_cx *cx, size_t need);
static inline int http_client_reserve(struct http_cx *cx, size_t need) {
    return CYG_LIKELY(cx->out_cap - cx->out_n >= need) ? 0 : http_client_reserve_slow(cx, need);
}
/* Reads the next answer's head into cx->h. As cyg_http_client_recv. */
int http_client_read_head(cyg_http_client_conn *cc);
/* Reads once more of the answer's body. 0, or as cyg_http_client_next. */
int http_client_fill(cyg_http_client_conn *cc);
/* A body piece on its way to the upstream, framed as the request said. */
int http_client_write_body(cyg_http_client_conn *cc, const void *p, size_t n, bool end);

/* ---- forwarding ------------------------------------------------------------------------------------------------- */

/* forward_head.c: the head for the upstream in cx->out_p; the head for the client in x->out. 0 or an error. */
int http_forward_request_head(cyg_http_req *req, struct http_cx *cx, const cyg_http_forward_opts *opts);
int http_forward_answer_head(cyg_http_res *res, const struct cyg_h1_head *h, const cyg_http_forward_opts *opts);
int http_forward_interim(cyg_http_res *res, const struct cyg_h1_head *h);
/* What the answer's Keep-Alive field lets us keep the connection for; 0: not said. */
cyg_duration http_keep_alive_timeout(const struct cyg_h1_head *h);

/* forward_body.c: the request's body on its way up, beside the answer on its way down. */
struct http_pump {
    bool running; /* the goroutine was started, and what follows is set; forwarder only */
    cyg_http_req *req;
    cyg_http_client_conn *cc;
    cyg_waitgroup done;
    bool wait_first;  /* the client waits for a 100: read only when it sends by itself */
    uint32_t ended;   /* atomic: 1 all sent or about to be, 2 failed */
    int client_err;   /* reading from the client failed; valid when ended */
    int upstream_err; /* writing to the upstream failed; valid when ended */
};
/* Appends to the request what of the body lies in the client's buffer and fits. 0, CYG_EPROTO. */
int http_pump_prefill(cyg_http_req *req, cyg_http_client_conn *cc);
int http_pump_start(struct http_pump *p, cyg_http_req *req, cyg_http_client_conn *cc);
/* Stops the goroutine wherever it is, and waits for it. */
void http_pump_stop_running(struct http_pump *p);
static inline void http_pump_stop(struct http_pump *p) {
    if (CYG_UNLIKELY(p->running)) http_pump_stop_running(p);
}
/* Whether all of the body has gone up. */
static inline bool http_pump_complete(const struct http_pump *p) {
    return CYG_LIKELY(!p->running) || __atomic_load_n(&p->ended, __ATOMIC_ACQUIRE) == 1;
}

#endif
