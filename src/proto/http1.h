/* http1.h: HTTP/1.x without I/O. Bytes in; heads, body pieces and verdicts out. Nothing here allocates, blocks or reads a
 * clock; slices point into the caller's buffer. Strict as RFC 9112 reads for a proxy: what two parsers could read in two
 * ways is refused.
 *
 * Vocabulary: head = start line and header fields up to and with the empty line; framing = how the body's end is found.
 */
#ifndef CYG_PROTO_HTTP1_H
#define CYG_PROTO_HTTP1_H

#include <cygnet/base.h>
#include <cygnet/http_field.h>

enum cyg_h1_framing {
    CYG_H1_NO_BODY,
    CYG_H1_LENGTH,      /* content_length bytes */
    CYG_H1_CHUNKED,     /* chunked transfer coding */
    CYG_H1_UNTIL_CLOSE, /* responses only */
};

enum cyg_h1_result {
    CYG_H1_DONE = 1,   /* head complete */
    CYG_H1_MORE = 0,   /* more bytes needed, nothing wrong so far */
    CYG_H1_ERROR = -1, /* refused: error_status and error say how */
};

struct cyg_h1_limits {
    size_t max_head;     /* bytes of the whole head; 431 beyond (502 for a response) */
    size_t max_target;   /* bytes of the request target; 414 beyond */
    unsigned max_fields; /* 431 beyond */
};

/* A head, being parsed or done. Set by cyg_h1_head_init; fields points to max_fields elements of the caller's. */
struct cyg_h1_head {
    /* parser's own */
    const char *base; /* the buffer that the slices point into */
    uint64_t again;   /* bit i: more than one field with id i */
    size_t pos;       /* everything before is parsed: a drip-fed head costs linear time */
    uint64_t seen;    /* bit i: a field with id i is there; for all to read, once done */
    int state;
    /* filled when done (method, target as soon as the start line is in) */
    unsigned nfields;
    cyg_http_field *fields;
    cyg_str method, target; /* requests: one space apart in the buffer */
    cyg_str host;           /* requests: authority of an absolute-form target, else Host's value; empty if neither */
    cyg_str reason;         /* responses: reason phrase, may be empty */
    int version;            /* 10 or 11 */
    int status;             /* responses */
    enum cyg_h1_framing framing;
    bool keep_alive;             /* what version and Connection say about the connection after this message */
    bool expect_continue;        /* Expect: 100-continue */
    bool has_connection_options; /* Connection names fields beyond close, keep-alive */
    bool upgrade;                /* Connection: upgrade together with Upgrade */
    int64_t content_length;      /* LENGTH: its value; NO_BODY: 0; else -1 */
    size_t head_bytes;           /* DONE: bytes of the head in the buffer, leading empty line included */
    /* set on error */
    const char *error; /* reason word, static: "bad_content_length"; the same in log, metric and answer */
    int error_status;  /* status to answer with: 400, 414, 417, 431, 501, 505; 502 for responses */
};

void cyg_h1_head_init(struct cyg_h1_head *h, cyg_http_field *fields);

/* Parses a request head from buf[0..n), which holds everything since the message's first byte: call it again with the same
 * bytes and more after MORE. If the buffer has moved meanwhile, slices already made are moved along.
 * Returns: a cyg_h1_result. */
int cyg_h1_parse_request(struct cyg_h1_head *h, const char *buf, size_t n, const struct cyg_h1_limits *lim);

/* The same for a response to a request with the given method (HEAD and CONNECT change the framing). */
int cyg_h1_parse_response(struct cyg_h1_head *h, const char *buf, size_t n, const struct cyg_h1_limits *lim,
                          cyg_str request_method);

/* Whether Connection names this field (any case), so that it must not be passed on. Only when has_connection_options. */
bool cyg_h1_connection_names(const struct cyg_h1_head *h, cyg_str name);

/* ---- chunked bodies -------------------------------------------------------------------------------------------- */

struct cyg_h1_chunked {
    int state;
    uint64_t left;      /* data bytes left in this chunk */
    uint32_t ext_bytes; /* chunk extensions so far in the whole body; bounded */
    uint32_t trailer_bytes;
    uint32_t line_bytes;
    const char *error; /* reason word */
};

enum cyg_h1_chunk { CYG_H1_CHUNK_DATA = 2, CYG_H1_CHUNK_END = 1, CYG_H1_CHUNK_MORE = 0, CYG_H1_CHUNK_ERROR = -1 };

void cyg_h1_chunked_init(struct cyg_h1_chunked *c);

/* Looks at in[0..n) and sets *used to the bytes it is done with. DATA: *data is a piece of body inside in (it is among the
 * used bytes); call again with the rest. END: body, trailers (checked, bounded and dropped) and the last CRLF are used; what
 * follows belongs to the next message. */
int cyg_h1_chunked_next(struct cyg_h1_chunked *c, const char *in, size_t n, size_t *used, cyg_str *data);

/* "1a2b\r\n" for a chunk of n bytes. out has room for 18 bytes. Returns: its length. */
size_t cyg_h1_chunk_header(char *out, uint64_t n);

/* ---- writing --------------------------------------------------------------------------------------------------- */

/* A head being written into the caller's memory; full is set, and stays set, when something did not fit. */
struct cyg_h1_out {
    char *p;
    size_t n, cap;
    bool full;
};

/* In place, so that literals are a few stores: calls were tried (docs/internals/performance.md). */
static inline void cyg_h1_put(struct cyg_h1_out *o, const char *p, size_t n) {
    if (CYG_UNLIKELY(n > o->cap - o->n)) {
        o->full = true;
        return;
    }
    if (n > 0) memcpy(o->p + o->n, p, n); /* an empty slice may be NULL, which memcpy must not see */
    o->n += n;
}
static inline void cyg_h1_put_str(struct cyg_h1_out *o, cyg_str s) { cyg_h1_put(o, s.p, s.n); }
#define cyg_h1_put_lit(o, lit) cyg_h1_put((o), "" lit, sizeof(lit) - 1)

/* before (not NULL), s and CRLF, all of it or nothing. */
static inline void cyg_h1_put_line(struct cyg_h1_out *o, cyg_str before, cyg_str s) {
    size_t n = before.n + s.n + 2;
    if (CYG_UNLIKELY(n > o->cap - o->n)) {
        o->full = true;
        return;
    }
    char *to = o->p + o->n;
    o->n += n;
    memcpy(to, before.p, before.n);
    to += before.n;
    if (s.n > 0) memcpy(to, s.p, s.n);
    memcpy(to + s.n, "\r\n", 2);
}

/* The same with a decimal number. */
void cyg_h1_put_uint_line(struct cyg_h1_out *o, cyg_str before, uint64_t v);
void cyg_h1_put_uint(struct cyg_h1_out *o, uint64_t v);                             /* decimal */
void cyg_h1_put_field(struct cyg_h1_out *o, cyg_str name, cyg_str value);           /* "name: value\r\n" */
void cyg_h1_put_request_line(struct cyg_h1_out *o, cyg_str method, cyg_str target); /* "GET /a HTTP/1.1\r\n" */
void cyg_h1_put_status_line(struct cyg_h1_out *o, int status);                      /* "HTTP/1.1 200 OK\r\n" */

/* "Sun, 06 Nov 1994 08:49:37 GMT", 29 bytes, no NUL. unix_seconds: 0 to year 9999. Source: RFC 9110 section 5.6.7. */
void cyg_h1_date(char out[29], int64_t unix_seconds);

/* Whether a name is a token, and a value holds no byte that may not stand in one: for fields that a program adds. */
bool cyg_h1_name_ok(cyg_str name);
bool cyg_h1_value_ok(cyg_str value);

#endif
