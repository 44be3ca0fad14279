/* http.h: HTTP/1.1, server and client. A handler is a function that runs on a goroutine, one per request; reading the body
 * and writing the answer look as if they blocked. An idle keep-alive connection holds neither stack nor buffer.
 *
 *     static void hello(cyg_http_req *req, cyg_http_res *res, void *arg) {
 *         cyg_http_printf(res, 200, "text/plain", "hello, " CYG_STR_FMT "\n", CYG_STR_ARG(cyg_http_param(req, "name")));
 *     }
 *     ...
 *     cyg_http_mux *mux = cyg_http_mux_new();
 *     cyg_http_handle(mux, "GET /hello/{name}", hello, NULL);
 *     return cyg_http_listen_and_serve("127.0.0.1:8080", cyg_http_mux_serve, mux, NULL);
 */
#ifndef CYGNET_HTTP_H
#define CYGNET_HTTP_H

#include <cygnet/base.h>
#include <cygnet/connpool.h>
#include <cygnet/err.h>
#include <cygnet/http_field.h>
#include <cygnet/net.h>
#include <cygnet/time.h>

CYG_BEGIN_DECLS

typedef struct cyg_http_req cyg_http_req; /* a request being served: lives as long as its handler runs */
typedef struct cyg_http_res cyg_http_res; /* its answer */
typedef struct cyg_http_server cyg_http_server;
typedef struct cyg_http_mux cyg_http_mux;

typedef void cyg_http_handler(cyg_http_req *req, cyg_http_res *res, void *arg);

#define CYG_HTTP_BODY_NONE ((int64_t)0)
#define CYG_HTTP_BODY_CHUNKED ((int64_t)-1) /* length not known when the head goes out */

/* ---- server ----------------------------------------------------------------------------------------------------- */

typedef struct cyg_http_server_opts {
    size_t max_head_bytes;   /* start line and fields; 0: 65536; 1024 to 1 MiB. Beyond: 431 */
    size_t max_target_bytes; /* request target; 0: 8192. Beyond: 414 */
    unsigned max_fields;     /* header fields; 0: 100; at most 256. Beyond: 431 */
    int64_t max_body_bytes;  /* 0: no limit. Beyond: 413 */
    size_t max_conns;        /* connections at once; 0: no limit. Beyond: accepting waits */
    cyg_duration head_timeout; /* from the first byte of a request to the end of its head; 0: 10 s. Beyond: 408 and close */
    cyg_duration idle_timeout;  /* between requests; 0: 75 s. Beyond: close */
    cyg_duration body_timeout;  /* without a byte of the request's body; 0: 30 s. Beyond: 408 and close */
    cyg_duration write_timeout; /* without the client taking a byte; 0: 30 s. Beyond: reset */
    cyg_duration linger;        /* how long to go on reading after an answer that ends the connection; 0: 2 s */
    bool no_date;               /* leave the Date field out */
    /* Answers what the library refuses by itself (400, 408, 413, 414, 417, 431, 501, 505): status and a reason word such
     * as "bad_content_length"; called once the answer is on its way, on the connection's goroutine; for logs and counters. */
    void (*on_refused)(void *arg, int status, const char *reason, const cyg_addr *peer, const cyg_http_req *req_or_null);
    void *on_refused_arg;
    /* Called once for a connection, on its goroutine, when its first bytes have come and before one is read: it may read what stands
     * before HTTP (the PROXY protocol), and change *peer, which then is the client's address for everything. It may park; on_refused is
     * not called for what it refuses. Those first bytes must come within head_timeout. Returns: 0, or negative: reset the connection. */
    int (*on_begin)(void *arg, cyg_conn *c, cyg_addr *peer);
    void *on_begin_arg;
    uint64_t reserve[2]; /* zero */
} cyg_http_server_opts;

/* Makes a server that answers with handler(req, res, arg). Owns: opts is read during the call (NULL: defaults); *out is the
 * caller's to release. Blocks: never. Returns: 0, CYG_EINVAL for an option out of bounds (named in the detail). */
CYG_API int cyg_http_server_new(cyg_http_handler *handler, void *arg, const cyg_http_server_opts *opts,
                                cyg_http_server **out);

/* Accepts and serves until the listener is closed or the server shut down; several listeners may be served at once.
 * Blocks: parks. From: goroutine. Owns: borrows l, which a shutdown closes for accepting. Returns: CYG_ECLOSED after
 * shutdown or close of l; CYG_ECANCELED; -errno. */
CYG_API int cyg_http_server_serve(cyg_http_server *s, cyg_listener *l);

/* Drains: stops accepting, closes idle connections, lets requests in flight finish (their answers say "Connection: close"),
 * and cuts what is left at the deadline (0: none).
 * Blocks: parks. From: goroutine. Returns: 0 when all ended by themselves, CYG_ETIMEDOUT when some were cut. */
CYG_API int cyg_http_server_shutdown(cyg_http_server *s, cyg_time deadline);

CYG_API void cyg_http_server_release(cyg_http_server *s);

typedef struct cyg_http_server_stats {
    uint64_t conns;          /* open now */
    uint64_t conns_total;    /* accepted */
    uint64_t requests;       /* being handled now */
    uint64_t requests_total; /* handlers run */
    uint64_t refused_total;  /* answered by the library itself */
    uint64_t reserve[4];
} cyg_http_server_stats;
CYG_API void cyg_http_server_get_stats(const cyg_http_server *s, cyg_http_server_stats *out);

/* cyg_listen + server + serve in one call, for small programs. As cyg_http_server_serve, or the error of cyg_listen. */
CYG_API int cyg_http_listen_and_serve(const char *address, cyg_http_handler *handler, void *arg,
                                      const cyg_http_server_opts *opts);

/* ---- the request: all slices live until the handler returns; every call here is the handler's goroutine's --------- */

CYG_API cyg_str cyg_http_req_method(const cyg_http_req *req);
CYG_API cyg_str cyg_http_req_target(const cyg_http_req *req); /* as it came: "/a%20b?x=1" */
CYG_API cyg_str cyg_http_req_path(const cyg_http_req *req); /* the target up to '?', not decoded; "*" or an authority too */
CYG_API cyg_str cyg_http_req_query(const cyg_http_req *req); /* behind '?', or empty */
CYG_API cyg_str cyg_http_req_host(const cyg_http_req *req); /* from the target or Host, with port if given; may be empty */
CYG_API int cyg_http_req_version(const cyg_http_req *req); /* 10 or 11 */
CYG_API const cyg_http_field *cyg_http_req_fields(const cyg_http_req *req, size_t *n);
CYG_API cyg_str cyg_http_req_field(const cyg_http_req *req, const char *name); /* first of that name, any case, or empty */
CYG_API int64_t cyg_http_req_content_length(const cyg_http_req *req); /* 0: no body; CYG_HTTP_BODY_CHUNKED: not known */
CYG_API const cyg_addr *cyg_http_req_peer(const cyg_http_req *req);
/* The same as text, made once a connection: "127.0.0.1:4711", and without the port "127.0.0.1"; empty for a Unix socket. */
CYG_API cyg_str cyg_http_req_peer_text(const cyg_http_req *req);
CYG_API cyg_str cyg_http_req_peer_ip_text(const cyg_http_req *req);
CYG_API cyg_conn *cyg_http_req_conn(const cyg_http_req *req);      /* borrowed */
CYG_API cyg_time cyg_http_req_start(const cyg_http_req *req);      /* when its first byte was seen */
CYG_API uint64_t cyg_http_req_body_bytes(const cyg_http_req *req); /* body bytes read so far, after chunk decoding */

/* What there is to know when the handler begins, each as by its function above, in one call: for handlers that want most of it. */
typedef struct cyg_http_req_info {
    cyg_str method, target, path, host;
    cyg_str peer_text, peer_ip_text;
    const cyg_http_field *fields;
    size_t nfields;
    cyg_time start;
    int version;
} cyg_http_req_info;
CYG_API void cyg_http_req_get_info(const cyg_http_req *req, cyg_http_req_info *out);

/* A "{name}" of the mux pattern that matched, or empty. */
CYG_API cyg_str cyg_http_param(const cyg_http_req *req, const char *name);

/* Reads body bytes into p. The first read answers "Expect: 100-continue". Blocks: parks.
 * Returns: the count, CYG_EOF at the end of the body, CYG_EPROTO (bad chunk; or the client ended too soon), CYG_ETIMEDOUT,
 * CYG_ELIMIT (max_body_bytes), -errno. After an error the connection closes when the handler returns. */
CYG_API ssize_t cyg_http_req_read(cyg_http_req *req, void *p, size_t n);

/* The next piece of the body where it lies in the connection's buffer: no copy. *piece lives until the next call.
 * As cyg_http_req_read. */
CYG_API ssize_t cyg_http_req_next(cyg_http_req *req, cyg_str *piece);

/* ---- the answer ------------------------------------------------------------------------------------------------- */

/* A whole answer in one write: head, and n bytes of body. HEAD requests get the head alone. Blocks: parks.
 * Returns: 0, CYG_ESTATE if an answer was begun already, or the write's error. */
CYG_API int cyg_http_send(cyg_http_res *res, int status, const char *content_type, const void *body, size_t n);

/* The same with a formatted body. */
CYG_API int cyg_http_printf(cyg_http_res *res, int status, const char *content_type, const char *fmt, ...) CYG_PRINTF(4, 5);

/* Adds a field to the answer's head, before it begins. name and value are copied; CR, LF and NUL are refused.
 * Returns: 0, CYG_EINVAL, CYG_ESTATE, CYG_ELIMIT. */
CYG_API int cyg_http_res_add(cyg_http_res *res, cyg_str name, cyg_str value);

/* Begins an answer whose body follows by cyg_http_res_write. length: bytes, or CYG_HTTP_BODY_CHUNKED (to an HTTP/1.0
 * client: until close). fields may hold anything but Content-Length, Transfer-Encoding and Connection, which are the
 * library's and left out. The head leaves with the first bytes of the body. Blocks: never. Returns: 0, CYG_ESTATE, CYG_EINVAL. */
CYG_API int cyg_http_res_begin(cyg_http_res *res, int status, const cyg_http_field *fields, size_t nfields, int64_t length);

/* Writes n body bytes; nothing for HEAD, 204 and 304. Blocks: parks while the client takes none.
 * Returns: 0, CYG_ESTATE, CYG_EINVAL (more than length), or the write's error. */
CYG_API int cyg_http_res_write(cyg_http_res *res, const void *p, size_t n);

/* Sends what is held back: the head, and small pieces of body. Blocks: parks. Returns: 0 or the write's error. */
CYG_API int cyg_http_res_flush(cyg_http_res *res);

/* Sends an interim answer (100 to 199, not 101) at once; nothing to HTTP/1.0 clients. Blocks: parks. */
CYG_API int cyg_http_res_inform(cyg_http_res *res, int status, const cyg_http_field *fields, size_t nfields);

/* Ends the answer. The server does it after the handler, too. Blocks: parks. Returns: 0, CYG_EPROTO if fewer bytes than
 * announced were written (the connection is cut), or the write's error. */
CYG_API int cyg_http_res_end(cyg_http_res *res);

/* Gives the answer up: if it has begun, the connection is reset, so that the client cannot take it for complete. */
CYG_API void cyg_http_res_abort(cyg_http_res *res);

/* Makes this the connection's last answer. */
CYG_API void cyg_http_res_close(cyg_http_res *res);

CYG_API int cyg_http_res_status(const cyg_http_res *res);          /* 0 until it begins */
CYG_API uint64_t cyg_http_res_body_bytes(const cyg_http_res *res); /* body bytes written so far */
CYG_API bool cyg_http_res_failed(const cyg_http_res *res);         /* a write failed: the client is gone */

/* How an answer and its request have gone so far, each as by its function, in one call: for logs and counters. */
typedef struct cyg_http_res_info {
    uint64_t body_bytes;     /* cyg_http_res_body_bytes */
    uint64_t req_body_bytes; /* cyg_http_req_body_bytes */
    int status;
    bool failed;
} cyg_http_res_info;
CYG_API void cyg_http_res_get_info(const cyg_http_res *res, cyg_http_res_info *out);

/* ---- mux -------------------------------------------------------------------------------------------------------- */

/* Patterns as "GET /users/{id}", "/static/" (ends in a slash: everything below it, too), "/exact"; without a method: every
 * method. A literal segment wins over a "{name}", the longer pattern over the shorter. No match: 404; a match for other methods only: 405 with Allow. Add all before serving. */
CYG_API cyg_http_mux *cyg_http_mux_new(void);
CYG_API int cyg_http_handle(cyg_http_mux *mux, const char *pattern, cyg_http_handler *handler, void *arg);
CYG_API void cyg_http_mux_serve(cyg_http_req *req, cyg_http_res *res, void *mux); /* a cyg_http_handler */
CYG_API void cyg_http_mux_free(cyg_http_mux *mux);

/* ---- client ----------------------------------------------------------------------------------------------------- */

/* A connection pool (connpool.h) to one address whose connections speak HTTP/1.1. */
typedef struct cyg_http_pool cyg_http_pool;
typedef struct cyg_http_client_conn cyg_http_client_conn; /* one of its connections, used by one goroutine at a time */

typedef struct cyg_http_pool_opts {
    cyg_connpool_opts conns; /* limits, times and name; its hooks, arg and user_bytes are the client's own: zero.
                              * reset_idle is taken as set, as HTTP has no goodbye: no TIME_WAIT, see orderly_close */
    bool orderly_close;      /* idle connections end with a FIN from this side, which then has the TIME_WAIT */
    size_t max_head_bytes;   /* answer's head; 0: 65536; 1024 to 1 MiB */
    uint64_t reserve[4];     /* zero */
} cyg_http_pool_opts;

/* Blocks: never. From: goroutine. Owns: opts is read during the call (NULL: defaults); *out is the caller's to close.
 * Returns: 0, CYG_EINVAL for an option out of bounds, CYG_ENOMEM. */
CYG_API int cyg_http_pool_new(const cyg_addr *to, const cyg_http_pool_opts *opts, cyg_http_pool **out);

/* A connection, as cyg_connpool_get lends it. *reused tells whether it has served before (may be NULL).
 * Blocks: parks while dialling or at max_open. From: goroutine. Owns: the caller gives it back with cyg_http_pool_put.
 * Returns: as cyg_connpool_get. */
CYG_API int cyg_http_pool_get(cyg_http_pool *pool, cyg_time deadline, cyg_http_client_conn **out, bool *reused);

/* Gives it back. It is kept if the exchange ended in good order and the peer keeps it, else closed. Blocks: never. */
CYG_API void cyg_http_pool_put(cyg_http_client_conn *cc);

/* Closes the idle connections; those in use close when they are given back; waiting and new callers get CYG_ECLOSED.
 * Drops the caller's reference. Blocks: never. */
CYG_API void cyg_http_pool_close(cyg_http_pool *pool);

/* The pool below, borrowed: for cyg_connpool_get_stats and cyg_connpool_drain. */
CYG_API cyg_connpool *cyg_http_pool_conns(cyg_http_pool *pool);

/* A request to send: fields may hold anything but Content-Length, Transfer-Encoding and Connection, which are the library's.
 * Host must be among them. */
typedef struct cyg_http_call {
    cyg_str method, target;
    const cyg_http_field *fields;
    size_t nfields;
    int64_t content_length; /* 0: none; CYG_HTTP_BODY_CHUNKED */
    const void *body;       /* the first body bytes, which leave with the head in one write; may be NULL */
    size_t body_bytes;
} cyg_http_call;

/* An answer's head; slices live until the connection is given back or the next answer is read. */
typedef struct cyg_http_answer {
    int status;  /* 100 to 999 */
    int version; /* 10 or 11 */
    const cyg_http_field *fields;
    size_t nfields;
    int64_t content_length; /* 0: none; CYG_HTTP_BODY_CHUNKED: chunked or until close */
} cyg_http_answer;

/* Sends the head (and the first body bytes). Blocks: parks. From: goroutine. Returns: 0 or the write's error. */
CYG_API int cyg_http_client_send(cyg_http_client_conn *cc, const cyg_http_call *call, cyg_time deadline);

/* Sends more body; cyg_http_client_send_end ends a chunked one. Another goroutine than the one that reads may do it. */
CYG_API int cyg_http_client_send_body(cyg_http_client_conn *cc, const void *p, size_t n, cyg_time deadline);
CYG_API int cyg_http_client_send_end(cyg_http_client_conn *cc, cyg_time deadline);

/* Reads the next answer's head, interim ones (1xx) too: call again after those. Blocks: parks.
 * Returns: 0; CYG_EOF if the peer closed before the first byte; CYG_EPROTO; CYG_ETIMEDOUT; -errno. */
CYG_API int cyg_http_client_recv(cyg_http_client_conn *cc, cyg_http_answer *out, cyg_time deadline);

/* The next piece of the answer's body, in the connection's buffer. Blocks: parks.
 * Returns: its length, CYG_EOF at the end, CYG_EPROTO (cut short or bad chunk), CYG_ETIMEDOUT, -errno. */
CYG_API ssize_t cyg_http_client_next(cyg_http_client_conn *cc, cyg_str *piece, cyg_time deadline);

/* The connection below, borrowed. */
CYG_API cyg_conn *cyg_http_client_conn_stream(cyg_http_client_conn *cc);

/* ---- forwarding ------------------------------------------------------------------------------------------------- */

/* How a forwarded request ended; the words of cyg_http_forward_reason stand in logs, metrics and response headers. */
typedef enum cyg_http_forward_status {
    CYG_FORWARD_OK = 0,          /* "via_upstream": the upstream's answer went to the client */
    CYG_FORWARD_CONNECT_FAILURE, /* "upstream_connect_failure": nothing sent */
    CYG_FORWARD_OVERFLOW,        /* "upstream_overflow": the pool's limits */
    CYG_FORWARD_RESET,           /* "upstream_reset": the connection broke before the answer */
    CYG_FORWARD_PROTOCOL_ERROR,  /* "upstream_protocol_error": not HTTP, or bad framing, before the answer began */
    CYG_FORWARD_TIMEOUT,         /* "upstream_timeout": no answer within the deadline */
    CYG_FORWARD_ANSWER_CUT,      /* "upstream_answer_cut": broke after the answer had begun; the client was reset */
    CYG_FORWARD_CLIENT_GONE,     /* "client_disconnected" */
    CYG_FORWARD_CLIENT_BODY,     /* "client_body_error": bad chunk, timeout or limit in the request's body */
    CYG_FORWARD_NOT_ALLOWED,     /* "upgrade_not_supported", CONNECT and other things a gateway does not pass on */
    CYG_FORWARD_STATUSES
} cyg_http_forward_status;
CYG_API const char *cyg_http_forward_reason(cyg_http_forward_status s);

typedef struct cyg_http_forward_opts {
    cyg_time deadline;   /* for the whole exchange; 0: none */
    cyg_str request_id;  /* X-Request-Id to send; empty: pass the client's on */
    cyg_str via;         /* our name in Via; empty: "cygnet" */
    bool keep_forwarded; /* the client is trusted: append to its X-Forwarded-*, instead of replacing them */
    const cyg_http_field *add_response; /* fields for the client's answer */
    size_t nadd_response;
    uint64_t reserve[4];
} cyg_http_forward_opts;

typedef struct cyg_http_forward_result {
    cyg_http_forward_status status;
    int err;                              /* the cyg_err behind it; 0 if OK */
    int upstream_status;                  /* 0: no answer came */
    bool answered;                        /* the client's answer has begun: nothing else can be sent */
    bool reused;                          /* the upstream connection had served before */
    bool retried;                         /* a stale reused connection was replaced by a new one */
    cyg_time connected, first_byte, done; /* 0: not reached; cached clock */
} cyg_http_forward_result;

/* Passes the request on to the pool's address and its answer back: hop-by-hop fields dropped both ways, Via,
 * X-Forwarded-For/-Proto/-Host and request id set, bodies streamed both ways at once, every 1xx passed on, framing made anew.
 * A request that found its reused connection dead before any byte of an answer is sent again once, on a new one, if it is
 * idempotent and its body has not begun to be read. Unless the result says answered, the caller answers the client.
 * Blocks: parks. From: the handler's goroutine. Returns: 0 if OK, else r->err. Source: RFC 9110 section 7.6, RFC 9112. */
CYG_API int cyg_http_forward(cyg_http_req *req, cyg_http_res *res, cyg_http_pool *pool,
                             const cyg_http_forward_opts *opts, cyg_http_forward_result *r);

CYG_END_DECLS
#endif
