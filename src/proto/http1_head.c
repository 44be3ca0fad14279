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

/* The input still to be looked at. */
struct in {
    const char *p, *end;
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
    h->seen = 0;
    h->head_bytes = 0;
    h->error_status = 0;
    h->error = NULL;
    h->pos = 0;
    h->state = STEP_EMPTY;
    h->base = NULL;
}

/* How many bytes of p[0..n) look like the shape, in which 0 stands for a digit and the rest for itself. */
static CYG_COLD size_t match_shape(const char *p, size_t n, const char *shape) {
    size_t i = 0;
    for (; i < n && shape[i]; i++)
        if (shape[i] == '0' ? !cyg_h1_is(p[i], CYG_H1_DIGIT) : p[i] != shape[i]) break;
    return i;
}

static int step_empty(struct cyg_h1_head *h, struct in *in) {
    if (h->state == STEP_EMPTY) {
        if (in->p == in->end) return CYG_H1_MORE;
        if (*in->p != '\r') return CYG_H1_DONE;
        in->p++;
        h->state = STEP_EMPTY_LF;
    }
    if (in->p == in->end) return CYG_H1_MORE;
    if (*in->p != '\n') return cyg_h1_fail(h, CYG_H1_R_BARE_CR);
    in->p++;
    return CYG_H1_DONE;
}

static inline int step_method(struct cyg_h1_head *h, struct in *in) {
    if (h->method.p == NULL) h->method.p = in->p;
    const char *p = in->p;
    bool longest = in->end - h->method.p > CYG_H1_METHOD_MAX;
    const char *end = longest ? h->method.p + CYG_H1_METHOD_MAX : in->end;
    while (p < end && cyg_h1_is(*p, CYG_H1_TOKEN)) p++;
    in->p = p;
    if (p == in->end) return CYG_H1_MORE;
    if (*p != ' ') {
        if (cyg_h1_is(*p, CYG_H1_TOKEN)) return cyg_h1_fail(h, CYG_H1_R_LONG_METHOD);
        return cyg_h1_fail(h, *p == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_BAD_METHOD);
    }
    h->method.n = (size_t)(p - h->method.p);
    if (h->method.n == 0) return cyg_h1_fail(h, CYG_H1_R_BAD_REQUEST_LINE);
    in->p = p + 1;
    return CYG_H1_DONE;
}

static inline int step_target(struct cyg_h1_head *h, struct in *in, size_t max_target) {
    if (h->target.p == NULL) h->target.p = in->p;
    size_t begun = (size_t)(in->p - h->target.p), here = (size_t)(in->end - in->p);
    const char *end = here > max_target - begun ? in->p + (max_target - begun) : in->end;
    const char *p = cyg_h1_scan_target(in->p, end);
    in->p = p;
    if (p == in->end) return CYG_H1_MORE;
    h->target.n = (size_t)(p - h->target.p);
    if (*p == ' ' && h->target.n > 0) {
        in->p = p + 1;
        return cyg_h1_check_target(h);
    }
    if (cyg_h1_is(*p, CYG_H1_TARGET)) return cyg_h1_fail(h, CYG_H1_R_LONG_TARGET);
    if (*p == '#') return cyg_h1_fail(h, CYG_H1_R_FRAGMENT);
    return cyg_h1_fail(h, *p == ' ' || *p == '\r' || *p == '\n' ? CYG_H1_R_BAD_REQUEST_LINE : CYG_H1_R_BAD_TARGET);
}

/* Looks again at up to ten bytes when they come one by one; that is bounded, so still linear. */
static int step_version(struct cyg_h1_head *h, struct in *in) {
    size_t n = (size_t)(in->end - in->p);
    size_t m = n >= 10 && memcmp(in->p, "HTTP/1.1\r\n", 10) == 0 ? 10 : match_shape(in->p, n, "HTTP/0.0\r\n");
    if (m >= 8 && in->p[5] != '1') return cyg_h1_fail(h, CYG_H1_R_VERSION);
    if (m < 10) {
        if (m == n) return CYG_H1_MORE;
        if (m < 5) return cyg_h1_fail(h, CYG_H1_R_BAD_REQUEST_LINE);
        if (m < 8) return cyg_h1_fail(h, CYG_H1_R_BAD_VERSION);
        if (m == 9) return cyg_h1_fail(h, CYG_H1_R_BARE_CR);
        return cyg_h1_fail(h, in->p[8] == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_BAD_REQUEST_LINE);
    }
    h->version = in->p[7] == '0' ? 10 : 11; /* a higher minor version is read as the highest we know: RFC 9110, 2.5 */
    in->p += 10;
    return CYG_H1_DONE;
}

/* "HTTP/1.1 200" and the byte behind it. The space before an absent reason is not insisted on: servers leave it out. */
static int step_status(struct cyg_h1_head *h, struct in *in) {
    const char *p = in->p;
    size_t n = (size_t)(in->end - p), m = 12;
    if (n < 12 || memcmp(p, "HTTP/1.1 ", 9) != 0 || !cyg_h1_is(p[9], CYG_H1_DIGIT) || !cyg_h1_is(p[10], CYG_H1_DIGIT) ||
        !cyg_h1_is(p[11], CYG_H1_DIGIT))
        m = match_shape(p, n, "HTTP/0.0 000"); /* the longest prefix that may still become one */
    if (m >= 8 && p[5] != '1') return cyg_h1_fail(h, CYG_H1_R_VERSION);
    if (m < 12) return m == n ? CYG_H1_MORE : cyg_h1_fail(h, CYG_H1_R_BAD_STATUS_LINE);
    if (p[9] == '0') return cyg_h1_fail(h, CYG_H1_R_BAD_STATUS_LINE);
    if (n == 12) return CYG_H1_MORE;
    if (p[12] != ' ' && p[12] != '\r')
        return cyg_h1_fail(h, p[12] == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_BAD_STATUS_LINE);
    h->version = p[7] == '0' ? 10 : 11;
    h->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    in->p = p + (p[12] == ' ' ? 13 : 12);
    h->reason.p = in->p;
    return CYG_H1_DONE;
}

static CYG_COLD int bad_value(struct cyg_h1_head *h, char c) {
    return cyg_h1_fail(h, c == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_BAD_VALUE);
}

static int step_reason(struct cyg_h1_head *h, struct in *in) {
    in->p = cyg_h1_scan_value(in->p, in->end);
    if (in->p == in->end) return CYG_H1_MORE;
    if (*in->p != '\r') return bad_value(h, *in->p);
    h->reason.n = (size_t)(in->p++ - h->reason.p);
    return CYG_H1_DONE;
}

static int step_lf(struct cyg_h1_head *h, struct in *in) {
    if (in->p == in->end) return CYG_H1_MORE;
    if (*in->p != '\n') return cyg_h1_fail(h, CYG_H1_R_BARE_CR);
    in->p++;
    return CYG_H1_DONE;
}

static CYG_COLD int bad_field_start(struct cyg_h1_head *h, char c) {
    if (c == '\n') return cyg_h1_fail(h, CYG_H1_R_BARE_LF);
    if (c == ' ' || c == '\t') return cyg_h1_fail(h, h->nfields ? CYG_H1_R_OBS_FOLD : CYG_H1_R_SPACE_FIRST);
    return cyg_h1_fail(h, CYG_H1_R_BAD_NAME);
}

static CYG_COLD int bad_name(struct cyg_h1_head *h, char c) {
    return cyg_h1_fail(h, c == ' ' || c == '\t' ? CYG_H1_R_SPACE_COLON : CYG_H1_R_BAD_NAME);
}

/* The fields and the empty line after them. The cases fall through: with all bytes there the switch is taken once a field. */
static int run_fields(struct cyg_h1_head *h, struct in *in, unsigned max_fields) {
    const char *p = in->p, *const end = in->end;
    int step = h->state, rc = CYG_H1_MORE;
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
            if (h->nfields == max_fields) return cyg_h1_fail(h, CYG_H1_R_FIELDS);
            f->name.p = p;
            step = STEP_NAME; /* fall through */
        case STEP_NAME:
            p = cyg_h1_scan_name(p, end);
            if (p == end) goto out;
            if (*p != ':') return bad_name(h, *p);
            f->name.n = (size_t)(p++ - f->name.p);
            step = STEP_BEFORE_VALUE; /* fall through */
        case STEP_BEFORE_VALUE:
            while (p < end && (*p == ' ' || *p == '\t')) p++;
            if (p == end) goto out;
            f->value.p = p;
            step = STEP_VALUE; /* fall through */
        case STEP_VALUE:
            p = cyg_h1_scan_value(p, end);
            if (p == end) goto out;
            if (*p != '\r') return bad_value(h, *p);
            f->value.n = (size_t)(p++ - f->value.p);
            step = STEP_VALUE_LF; /* fall through */
        case STEP_VALUE_LF:
            if (p == end) goto out;
            if (*p++ != '\n') return cyg_h1_fail(h, CYG_H1_R_BARE_CR);
            while (f->value.n > 0 && (f->value.p[f->value.n - 1] == ' ' || f->value.p[f->value.n - 1] == '\t'))
                f->value.n--;
            f->id = cyg_http_field_id_of(f->name);
            h->seen |= 1ULL << f->id;
            h->nfields++, f++;
            step = STEP_FIELD;
            continue;
        default: /* STEP_END_LF */
            in->p = p;
            if ((rc = step_lf(h, in)) == CYG_H1_ERROR) return rc;
            p = in->p;
            goto out;
        }
    }
out:
    in->p = p;
    h->state = step;
    return rc;
}

static int run_request(struct cyg_h1_head *h, struct in *in, const struct cyg_h1_limits *lim) {
    int rc;
    switch (h->state) {
    case STEP_EMPTY:
    case STEP_EMPTY_LF:
        if ((rc = step_empty(h, in)) <= 0) return rc;
        h->state = STEP_METHOD; /* fall through */
    case STEP_METHOD:
        if ((rc = step_method(h, in)) <= 0) return rc;
        h->state = STEP_TARGET; /* fall through */
    case STEP_TARGET:
        if ((rc = step_target(h, in, lim->max_target)) <= 0) return rc;
        h->state = STEP_VERSION; /* fall through */
    case STEP_VERSION:
        if ((rc = step_version(h, in)) <= 0) return rc;
        h->state = STEP_FIELD; /* fall through */
    default:
        if ((rc = run_fields(h, in, lim->max_fields)) <= 0) return rc;
        return cyg_h1_finish_request(h);
    }
}

static int run_response(struct cyg_h1_head *h, struct in *in, const struct cyg_h1_limits *lim, cyg_str request_method) {
    int rc;
    switch (h->state) {
    case STEP_EMPTY: h->state = STEP_STATUS; /* fall through */
    case STEP_STATUS:
        if ((rc = step_status(h, in)) <= 0) return rc;
        h->state = STEP_REASON; /* fall through */
    case STEP_REASON:
        if ((rc = step_reason(h, in)) <= 0) return rc;
        h->state = STEP_REASON_LF; /* fall through */
    case STEP_REASON_LF:
        if ((rc = step_lf(h, in)) <= 0) return rc;
        h->state = STEP_FIELD; /* fall through */
    default:
        if ((rc = run_fields(h, in, lim->max_fields)) <= 0) return rc;
        return cyg_h1_finish_response(h, request_method);
    }
}

static void move_slice(cyg_str *s, uintptr_t by) {
    if (s->p) s->p = (const char *)((uintptr_t)s->p + by);
}

/* The bytes are elsewhere than at the last call. */
static void move_slices(struct cyg_h1_head *h, const char *buf) {
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

/* Before a run: where to go on. Input beyond the limit is hidden, so that what stands there changes no verdict. */
static struct in enter(struct cyg_h1_head *h, const char *buf, size_t n, const struct cyg_h1_limits *lim) {
    if (h->base != buf) {
        if (h->base) move_slices(h, buf);
        h->base = buf;
    }
    return (struct in){buf + h->pos, buf + (n < lim->max_head ? n : lim->max_head)};
}

/* After it: where it stopped. */
static int leave(struct cyg_h1_head *h, int rc, const struct in *in, const struct cyg_h1_limits *lim) {
    h->pos = (size_t)(in->p - h->base);
    if (rc == CYG_H1_DONE) {
        h->state = STEP_DONE;
        h->head_bytes = h->pos;
    } else if (rc == CYG_H1_MORE && (size_t)(in->end - h->base) == lim->max_head) {
        rc = cyg_h1_fail(h, h->state == STEP_TARGET ? CYG_H1_R_LONG_TARGET : CYG_H1_R_LONG_HEAD);
    }
    return rc;
}

int cyg_h1_parse_request(struct cyg_h1_head *h, const char *buf, size_t n, const struct cyg_h1_limits *lim) {
    struct in in = enter(h, buf, n, lim);
    if (h->state == STEP_DONE || h->state == CYG_H1_STEP_FAILED)
        return h->state == STEP_DONE ? CYG_H1_DONE : CYG_H1_ERROR;
    return leave(h, run_request(h, &in, lim), &in, lim);
}

int cyg_h1_parse_response(struct cyg_h1_head *h, const char *buf, size_t n, const struct cyg_h1_limits *lim,
                          cyg_str request_method) {
    struct in in = enter(h, buf, n, lim);
    if (h->state == STEP_DONE || h->state == CYG_H1_STEP_FAILED)
        return h->state == STEP_DONE ? CYG_H1_DONE : CYG_H1_ERROR;
    int rc = leave(h, run_response(h, &in, lim, request_method), &in, lim);
    if (rc == CYG_H1_ERROR) h->error_status = 502;
    return rc;
}
