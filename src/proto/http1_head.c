/* http1_head.c: start line and fields, one pass, left to right. A step is a point where input may end: the step's number is in
 * h->state and the place in h->pos, and a slice begun is marked by its p, so that nothing is looked at twice however the
 * bytes arrive. What is refused is decided by the bytes up to the offending one only: the verdict does not depend on how
 * the input was cut.
 */
#include "proto/http1_internal.h"
#include "proto/http1_scan.h"

enum step {
    STEP_EMPTY, /* init's zero: where an empty line may come before a request */
    STEP_EMPTY_LF,
    STEP_METHOD,
    STEP_TARGET,
    STEP_VERSION,
    STEP_STATUS, /* version and status of a response */
    STEP_REASON,
    STEP_REASON_LF,
    STEP_FIELD, /* at a line's first byte */
    STEP_NAME,
    STEP_BEFORE_VALUE,
    STEP_VALUE,
    STEP_VALUE_LF,
    STEP_END_LF,
    STEP_DONE,
};

#define REASON_ROW(symbol, word, status, text) {word, status, text},
const struct cyg_h1_reason_row cyg_h1_reasons[CYG_H1_R_COUNT] = {CYG_H1_REASONS(REASON_ROW)};

int cyg_h1_fail(struct cyg_h1_head *h, enum cyg_h1_reason why) {
    h->error = cyg_h1_reasons[why].word;
    h->error_status = cyg_h1_reasons[why].status;
    h->state = CYG_H1_STEP_FAILED;
    return CYG_H1_ERROR;
}

/* Member by member: for a memset of this size gcc writes a `rep stos`, whose start costs as much as a field's parsing. */
void cyg_h1_head_init(struct cyg_h1_head *h, cyg_http_field *fields) {
    const cyg_str none = {NULL, 0};
    h->method = h->target = h->host = h->reason = none;
    h->fields = fields;
    h->nfields = 0;
    h->version = h->status = 0;
    h->framing = CYG_H1_NO_BODY;
    h->content_length = -1;
    h->keep_alive = h->expect_continue = h->has_connection_options = h->upgrade = false;
    h->seen = h->again = 0;
    h->head_bytes = 0;
    h->error_status = 0;
    h->error = NULL;
    h->pos = 0;
    h->state = STEP_EMPTY;
    h->base = NULL;
}

/* The functions for the parts of a head take the place p where to go on and return the one they came to: the end if bytes are
 * missing (the step in h->state says for what), NULL if the head is refused. */

static CYG_COLD const char *refuse(struct cyg_h1_head *h, enum cyg_h1_reason why) {
    (void)cyg_h1_fail(h, why);
    return NULL;
}

/* How many bytes of p[0..n) look like the shape, in which 0 stands for a digit and the rest for itself. */
static CYG_COLD size_t match_shape(const char *p, size_t n, const char *shape) {
    size_t i = 0;
    for (; i < n && shape[i]; i++)
        if (shape[i] == '0' ? !cyg_h1_is(p[i], CYG_H1_DIGIT) : p[i] != shape[i]) break;
    return i;
}

/* ---- the request line ------------------------------------------------------------------------------------------- */

static CYG_COLD const char *empty_line(struct cyg_h1_head *h, const char *p, const char *end) {
    if (h->state == STEP_EMPTY) p++;
    h->state = STEP_EMPTY_LF;
    if (p == end) return p;
    if (*p != '\n') return refuse(h, CYG_H1_R_BARE_CR);
    h->state = STEP_METHOD;
    return p + 1;
}

static CYG_COLD const char *bad_method(struct cyg_h1_head *h, char c) {
    if (c == ' ') return refuse(h, CYG_H1_R_BAD_REQUEST_LINE);
    if (cyg_h1_is(c, CYG_H1_TOKEN)) return refuse(h, CYG_H1_R_LONG_METHOD);
    return refuse(h, c == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_BAD_METHOD);
}

static CYG_COLD const char *bad_target(struct cyg_h1_head *h, char c) {
    if (cyg_h1_is(c, CYG_H1_TARGET)) return refuse(h, CYG_H1_R_LONG_TARGET);
    if (c == '#') return refuse(h, CYG_H1_R_FRAGMENT);
    return refuse(h, c == ' ' || c == '\r' || c == '\n' ? CYG_H1_R_BAD_REQUEST_LINE : CYG_H1_R_BAD_TARGET);
}

/* Looks again at up to ten bytes when they come one by one; that is bounded, so still linear. */
static CYG_COLD const char *other_version(struct cyg_h1_head *h, const char *p, const char *end) {
    size_t n = (size_t)(end - p), m = match_shape(p, n, "HTTP/0.0\r\n");
    h->state = STEP_VERSION;
    if (m >= 8 && p[5] != '1') return refuse(h, CYG_H1_R_VERSION);
    if (m == 10) {
        h->version = p[7] == '0' ? 10 : 11; /* a higher minor version is read as the highest we know: RFC 9110, 2.5 */
        h->state = STEP_FIELD;
        return p + 10;
    }
    if (m == n) return p;
    if (m < 5) return refuse(h, CYG_H1_R_BAD_REQUEST_LINE);
    if (m < 8) return refuse(h, CYG_H1_R_BAD_VERSION);
    if (m == 9) return refuse(h, CYG_H1_R_BARE_CR);
    return refuse(h, p[8] == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_BAD_REQUEST_LINE);
}

static const char *request_line(struct cyg_h1_head *h, const char *p, const char *end, size_t max_target) {
    if (h->state < STEP_METHOD) {
        if (p == end) return p;
        if (CYG_UNLIKELY(*p == '\r' || h->state == STEP_EMPTY_LF)) {
            p = empty_line(h, p, end);
            if (h->state != STEP_METHOD) return p;
        }
        h->method.p = p;
        h->state = STEP_METHOD;
    }
    if (h->state == STEP_METHOD) {
        bool longest = end - h->method.p > CYG_H1_METHOD_MAX;
        p = cyg_h1_scan(p, longest ? h->method.p + CYG_H1_METHOD_MAX : end, CYG_H1_TOKEN);
        if (p == end) return p;
        if (*p != ' ' || p == h->method.p) return bad_method(h, *p);
        h->method.n = (size_t)(p++ - h->method.p);
        h->target.p = p;
        h->state = STEP_TARGET;
    }
    if (h->state == STEP_TARGET) {
        bool longest = (size_t)(end - h->target.p) > max_target;
        p = cyg_h1_scan(p, longest ? h->target.p + max_target : end, CYG_H1_TARGET);
        if (p == end) return p;
        h->target.n = (size_t)(p - h->target.p);
        if (*p != ' ' || h->target.n == 0) return bad_target(h, *p);
        if (!cyg_h1_usual_target(h) && cyg_h1_check_target(h) < 0) return NULL;
        p++;
    }
    if (CYG_UNLIKELY(end - p < 10 || memcmp(p, "HTTP/1.1\r\n", 10) != 0)) return other_version(h, p, end);
    h->version = 11;
    h->state = STEP_FIELD;
    return p + 10;
}

/* ---- the status line -------------------------------------------------------------------------------------------- */

/* "HTTP/1.1 200 ". */
static inline bool is_usual_status(const char *p, const char *end) {
    return end - p >= 13 && memcmp(p, "HTTP/1.1 ", 9) == 0 && p[9] >= '1' && p[9] <= '9' &&
           cyg_h1_is(p[10], CYG_H1_DIGIT) && cyg_h1_is(p[11], CYG_H1_DIGIT) && p[12] == ' ';
}

/* Any other, up to the reason phrase. The space before an absent reason is not insisted on: servers leave it out. */
static CYG_COLD const char *other_status(struct cyg_h1_head *h, const char *p, const char *end) {
    size_t n = (size_t)(end - p), m = match_shape(p, n, "HTTP/0.0 000"); /* the longest prefix that may still become one */
    h->state = STEP_STATUS;
    if (m >= 8 && p[5] != '1') return refuse(h, CYG_H1_R_VERSION);
    if (m < 12) return m == n ? p : refuse(h, CYG_H1_R_BAD_STATUS_LINE);
    if (p[9] == '0') return refuse(h, CYG_H1_R_BAD_STATUS_LINE);
    if (n == 12) return p;
    if (p[12] != ' ' && p[12] != '\r') return refuse(h, p[12] == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_BAD_STATUS_LINE);
    return p + (p[12] == ' ' ? 13 : 12);
}

static CYG_COLD const char *bad_value(struct cyg_h1_head *h, char c) {
    return refuse(h, c == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_BAD_VALUE);
}

static const char *status_line(struct cyg_h1_head *h, const char *p, const char *end) {
    if (h->state <= STEP_STATUS) {
        const char *behind = CYG_LIKELY(is_usual_status(p, end)) ? p + 13 : other_status(h, p, end);
        if (CYG_UNLIKELY(!behind || behind == p)) return behind;
        h->version = p[7] == '0' ? 10 : 11;
        h->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
        h->reason.p = p = behind;
        h->state = STEP_REASON;
    }
    if (h->state == STEP_REASON) {
        p = cyg_h1_scan(p, end, CYG_H1_VALUE);
        if (p == end) return p;
        if (*p != '\r') return bad_value(h, *p);
        h->reason.n = (size_t)(p++ - h->reason.p);
        h->state = STEP_REASON_LF;
    }
    if (p == end) return p;
    if (*p != '\n') return refuse(h, CYG_H1_R_BARE_CR);
    h->state = STEP_FIELD;
    return p + 1;
}

/* ---- fields ----------------------------------------------------------------------------------------------------- */

static CYG_COLD const char *bad_field_start(struct cyg_h1_head *h, char c) {
    if (c == '\n') return refuse(h, CYG_H1_R_BARE_LF);
    if (c == ' ' || c == '\t') return refuse(h, h->nfields ? CYG_H1_R_OBS_FOLD : CYG_H1_R_SPACE_FIRST);
    return refuse(h, CYG_H1_R_BAD_NAME);
}

static CYG_COLD const char *bad_name(struct cyg_h1_head *h, char c) {
    return refuse(h, c == ' ' || c == '\t' ? CYG_H1_R_SPACE_COLON : CYG_H1_R_BAD_NAME);
}

static inline bool is_space(char c) { return c == ' ' || c == '\t'; }

/* A field is complete: what it is. */
static inline void note_field(struct cyg_h1_head *h, cyg_http_field *f) {
    while (f->value.n > 0 && is_space(f->value.p[f->value.n - 1])) f->value.n--;
    f->id = cyg_http_field_id_of(f->name);
    uint64_t bit = 1ULL << f->id;
    h->again |= h->seen & bit;
    h->seen |= bit;
    h->nfields++;
}

/* The fields and the empty line after them. The cases fall through: with all bytes there the switch is taken once a field. */
static __attribute__((noinline)) const char *run_fields(struct cyg_h1_head *h, const char *p, const char *end,
                                                        unsigned max_fields) {
    int step = h->state;
    for (cyg_http_field *f = &h->fields[h->nfields];;) {
        switch (step) {
        case STEP_FIELD:
            if (p == end) goto out;
            if (!cyg_h1_is(*p, CYG_H1_TOKEN)) {
                if (*p != '\r') return bad_field_start(h, *p);
                p++;
                step = STEP_END_LF;
                continue;
            }
            if (h->nfields == max_fields) return refuse(h, CYG_H1_R_FIELDS);
            f->name.p = p;
            step = STEP_NAME; /* fall through */
        case STEP_NAME:
            p = cyg_h1_scan(p, end, CYG_H1_TOKEN);
            if (p == end) goto out;
            if (*p != ':') return bad_name(h, *p);
            f->name.n = (size_t)(p++ - f->name.p);
            step = STEP_BEFORE_VALUE; /* fall through */
        case STEP_BEFORE_VALUE:
            while (p < end && is_space(*p)) p++;
            if (p == end) goto out;
            f->value.p = p;
            step = STEP_VALUE; /* fall through */
        case STEP_VALUE:
            p = cyg_h1_scan(p, end, CYG_H1_VALUE);
            if (p == end) goto out;
            if (*p != '\r') return bad_value(h, *p);
            f->value.n = (size_t)(p++ - f->value.p);
            step = STEP_VALUE_LF; /* fall through */
        case STEP_VALUE_LF:
            if (p == end) goto out;
            if (*p++ != '\n') return refuse(h, CYG_H1_R_BARE_CR);
            note_field(h, f++);
            step = STEP_FIELD;
            continue;
        default: /* STEP_END_LF */
            if (p == end) goto out;
            if (*p++ != '\n') return refuse(h, CYG_H1_R_BARE_CR);
            step = STEP_DONE;
            goto out;
        }
    }
out:
    h->state = step;
    return p;
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

static void move_slice(cyg_str *s, uintptr_t by) {
    if (s->p) s->p = (const char *)((uintptr_t)s->p + by);
}

/* The bytes are elsewhere than at the last call. */
static CYG_COLD void move_slices(struct cyg_h1_head *h, const char *buf) {
    uintptr_t by = (uintptr_t)buf - (uintptr_t)h->base;
    move_slice(&h->method, by);
    move_slice(&h->target, by);
    move_slice(&h->host, by);
    move_slice(&h->reason, by);
    unsigned n = h->nfields + (h->state >= STEP_NAME && h->state <= STEP_VALUE_LF);
    for (unsigned i = 0; i < n; i++) {
        move_slice(&h->fields[i].name, by);
        if (i < h->nfields || h->state >= STEP_VALUE) move_slice(&h->fields[i].value, by);
    }
}

/* Input beyond the limit is hidden, so that what stands there changes no verdict. request_method: NULL for a request. */
static int parse(struct cyg_h1_head *h, const char *buf, size_t n, const struct cyg_h1_limits *lim,
                 const cyg_str *request_method) {
    if (CYG_UNLIKELY(h->base && h->base != buf)) move_slices(h, buf);
    h->base = buf;
    if (CYG_UNLIKELY(h->state == STEP_DONE || h->state == CYG_H1_STEP_FAILED))
        return h->state == STEP_DONE ? CYG_H1_DONE : CYG_H1_ERROR;
    const char *p = buf + h->pos, *end = buf + (n < lim->max_head ? n : lim->max_head);
    if (h->state < STEP_FIELD) p = request_method ? status_line(h, p, end) : request_line(h, p, end, lim->max_target);
    if (h->state >= STEP_FIELD) p = run_fields(h, p, end, lim->max_fields);
    if (CYG_UNLIKELY(!p)) return CYG_H1_ERROR;
    h->pos = (size_t)(p - buf);
    if (CYG_UNLIKELY(h->state != STEP_DONE)) {
        if (n < lim->max_head) return CYG_H1_MORE;
        return cyg_h1_fail(h, h->state == STEP_TARGET ? CYG_H1_R_LONG_TARGET : CYG_H1_R_LONG_HEAD);
    }
    int rc = request_method ? cyg_h1_finish_response(h, *request_method) : cyg_h1_finish_request(h);
    if (CYG_LIKELY(rc == CYG_H1_DONE)) h->head_bytes = h->pos;
    return rc;
}

int cyg_h1_parse_request(struct cyg_h1_head *h, const char *buf, size_t n, const struct cyg_h1_limits *lim) {
    return parse(h, buf, n, lim, NULL);
}

int cyg_h1_parse_response(struct cyg_h1_head *h, const char *buf, size_t n, const struct cyg_h1_limits *lim,
                          cyg_str request_method) {
    int rc = parse(h, buf, n, lim, &request_method);
    if (CYG_UNLIKELY(rc == CYG_H1_ERROR)) h->error_status = 502;
    return rc;
}
