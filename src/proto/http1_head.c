/* http1_head.c: start line and fields, one pass, left to right. A step is a point where input may end: the step's number is in
 * h->state and the place in h->pos, and a slice begun is marked by its p, so that nothing is looked at twice however the
 * bytes arrive. What is refused is decided by the bytes up to the offending one only: the verdict does not depend on how
 * the input was cut.
 */
#include "proto/http1_internal.h"
#include "proto/http1_scan.h"

enum step {
    STEP_EMPTY, /* init's zero: where an empty line may come before a request */
    STEP_METHOD,
    STEP_TARGET,
    STEP_VERSION,
    STEP_STATUS, /* version and status of a response */
    STEP_REASON,
    STEP_FIELD, /* at a line's first byte */
    STEP_NAME,
    STEP_VALUE,
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

/* In pieces: for a memset of the whole size gcc writes a `rep stos`, whose start costs as much as a field's parsing. */
void cyg_h1_head_init(struct cyg_h1_head *h, cyg_http_field *fields) {
    memset(h, 0, offsetof(struct cyg_h1_head, fields));
    h->fields = fields;
    memset(&h->method, 0, offsetof(struct cyg_h1_head, content_length) - offsetof(struct cyg_h1_head, method));
    h->content_length = -1;
    h->head_bytes = 0;
    h->error = NULL;
    h->error_status = 0;
}

/* The functions for the parts of a head take the place p where to go on and return the one they came to, or NULL if the head is
 * refused. If bytes are missing, that is the place to go on from with more, and h->state says with what. */

static inline const char *wait_in(struct cyg_h1_head *h, enum step step, const char *p) {
    h->state = step;
    return p;
}

static CYG_COLD const char *refuse(struct cyg_h1_head *h, enum cyg_h1_reason why) {
    (void)cyg_h1_fail(h, why);
    return NULL;
}

static inline bool is_crlf(const char *p, const char *end) { return end - p >= 2 && memcmp(p, "\r\n", 2) == 0; }

/* A value or reason phrase ends at p, but not with CRLF: not yet, or never. */
static CYG_COLD const char *no_crlf(struct cyg_h1_head *h, enum step step, const char *p, const char *end) {
    if (p == end) return wait_in(h, step, p);
    if (*p != '\r') return refuse(h, *p == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_BAD_VALUE);
    return p + 1 == end ? wait_in(h, step, p) : refuse(h, CYG_H1_R_BARE_CR);
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
    if (p + 1 == end) return wait_in(h, STEP_EMPTY, p);
    return p[1] == '\n' ? p + 2 : refuse(h, CYG_H1_R_BARE_CR);
}

static CYG_COLD const char *bad_method(struct cyg_h1_head *h, char c) {
    if (c == ' ') return refuse(h, CYG_H1_R_BAD_REQUEST_LINE);
    return refuse(h, c == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_BAD_METHOD);
}

static CYG_COLD const char *long_target(struct cyg_h1_head *h, size_t max_target) {
    h->target.n = max_target; /* what is shown of it */
    return refuse(h, CYG_H1_R_LONG_TARGET);
}

static CYG_COLD const char *bad_target(struct cyg_h1_head *h, char c) {
    if (c == '#') return refuse(h, CYG_H1_R_FRAGMENT);
    return refuse(h, c == ' ' || c == '\r' || c == '\n' ? CYG_H1_R_BAD_REQUEST_LINE : CYG_H1_R_BAD_TARGET);
}

/* Looks again at up to ten bytes when they come one by one; that is bounded, so still linear. */
static CYG_COLD const char *other_version(struct cyg_h1_head *h, const char *p, const char *end) {
    size_t n = (size_t)(end - p), m = match_shape(p, n, "HTTP/0.0\r\n");
    if (m >= 8 && p[5] != '1') return refuse(h, CYG_H1_R_VERSION);
    if (m == 10) {
        h->version = p[7] == '0' ? 10 : 11; /* a higher minor version is read as the highest we know: RFC 9110, 2.5 */
        return wait_in(h, STEP_FIELD, p + 10);
    }
    if (m == n) return wait_in(h, STEP_VERSION, p);
    if (m < 5) return refuse(h, CYG_H1_R_BAD_REQUEST_LINE);
    if (m < 8) return refuse(h, CYG_H1_R_BAD_VERSION);
    if (m == 9) return refuse(h, CYG_H1_R_BARE_CR);
    return refuse(h, p[8] == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_BAD_REQUEST_LINE);
}

static const char *request_line(struct cyg_h1_head *h, const char *p, const char *end, const struct cyg_h1_limits *lim) {
    int step = h->state;
    if (CYG_LIKELY(step == STEP_EMPTY)) {
        if (p == end) return p;
        if (CYG_UNLIKELY(*p == '\r')) {
            const char *behind = empty_line(h, p, end);
            if (!behind || behind == p) return behind;
            p = behind;
        }
        h->method.p = p;
        step = STEP_METHOD;
    }
    if (CYG_LIKELY(step == STEP_METHOD)) {
        p = cyg_h1_scan(p, end, CYG_H1_TOKEN);
        size_t n = (size_t)(p - h->method.p);
        if (n > CYG_H1_METHOD_MAX) return refuse(h, CYG_H1_R_LONG_METHOD);
        if (p == end) return wait_in(h, STEP_METHOD, p);
        if (*p != ' ' || n == 0) return bad_method(h, *p);
        h->method.n = n;
        h->target.p = ++p;
        step = STEP_TARGET;
    }
    if (CYG_LIKELY(step == STEP_TARGET)) {
        p = cyg_h1_scan(p, end, CYG_H1_TARGET);
        size_t n = (size_t)(p - h->target.p);
        if (n > lim->max_target) return long_target(h, lim->max_target);
        if (p == end) return wait_in(h, STEP_TARGET, p);
        h->target.n = n;
        if (*p != ' ' || n == 0) return bad_target(h, *p);
        if (CYG_UNLIKELY(!cyg_h1_usual_target(h)) && cyg_h1_check_target(h) < 0) return NULL;
        p++;
    }
    if (CYG_UNLIKELY(end - p < 10 || memcmp(p, "HTTP/1.1\r\n", 10) != 0)) return other_version(h, p, end);
    h->version = 11;
    return wait_in(h, STEP_FIELD, p + 10);
}

/* ---- the status line -------------------------------------------------------------------------------------------- */

static inline unsigned digit(char c) { return (unsigned char)(c - '0'); } /* more than 9: none */

/* Of "HTTP/1.1 200 ": 200; of anything else 0. */
static inline int usual_status(const char *p, const char *end) {
    if (end - p < 13 || memcmp(p, "HTTP/1.1 ", 9) != 0 || p[12] != ' ') return 0;
    unsigned a = digit(p[9]), b = digit(p[10]), c = digit(p[11]);
    return a - 1 < 9 && b < 10 && c < 10 ? (int)(a * 100 + b * 10 + c) : 0;
}

/* Any other, up to the reason phrase. The space before an absent reason is not insisted on: servers leave it out. */
static CYG_COLD const char *other_status(struct cyg_h1_head *h, const char *p, const char *end) {
    size_t n = (size_t)(end - p), m = match_shape(p, n, "HTTP/0.0 000"); /* the longest prefix that may still become one */
    if (m >= 8 && p[5] != '1') return refuse(h, CYG_H1_R_VERSION);
    if (m < 12) return m == n ? wait_in(h, STEP_STATUS, p) : refuse(h, CYG_H1_R_BAD_STATUS_LINE);
    if (p[9] == '0') return refuse(h, CYG_H1_R_BAD_STATUS_LINE);
    if (n == 12) return wait_in(h, STEP_STATUS, p);
    if (p[12] != ' ' && p[12] != '\r') return refuse(h, p[12] == '\n' ? CYG_H1_R_BARE_LF : CYG_H1_R_BAD_STATUS_LINE);
    h->version = p[7] == '0' ? 10 : 11;
    h->status = (int)(digit(p[9]) * 100 + digit(p[10]) * 10 + digit(p[11]));
    return p + (p[12] == ' ' ? 13 : 12);
}

static const char *status_line(struct cyg_h1_head *h, const char *p, const char *end) {
    if (CYG_LIKELY(h->state <= STEP_STATUS)) {
        int status = usual_status(p, end);
        if (CYG_LIKELY(status > 0)) {
            h->version = 11;
            h->status = status;
            p += 13;
        } else {
            const char *behind = other_status(h, p, end);
            if (!behind || behind == p) return behind;
            p = behind;
        }
        h->reason.p = p;
    }
    p = cyg_h1_scan(p, end, CYG_H1_VALUE);
    if (CYG_UNLIKELY(!is_crlf(p, end))) return no_crlf(h, STEP_REASON, p, end);
    h->reason.n = (size_t)(p - h->reason.p);
    return wait_in(h, STEP_FIELD, p + 2);
}

/* ---- fields ----------------------------------------------------------------------------------------------------- */

/* A line begins neither with a name nor with CRLF: not yet, or never. */
static CYG_COLD const char *no_field(struct cyg_h1_head *h, const char *p, const char *end) {
    if (p == end || (*p == '\r' && p + 1 == end)) return wait_in(h, STEP_FIELD, p);
    if (*p == '\r') return refuse(h, CYG_H1_R_BARE_CR);
    if (*p == '\n') return refuse(h, CYG_H1_R_BARE_LF);
    if (*p == ' ' || *p == '\t') return refuse(h, h->nfields ? CYG_H1_R_OBS_FOLD : CYG_H1_R_SPACE_FIRST);
    return refuse(h, CYG_H1_R_BAD_NAME);
}

static CYG_COLD const char *bad_name(struct cyg_h1_head *h, char c) {
    return refuse(h, c == ' ' || c == '\t' ? CYG_H1_R_SPACE_COLON : CYG_H1_R_BAD_NAME);
}

/* A field is complete. */
static inline void note_field(struct cyg_h1_head *h, cyg_http_field *f) {
    f->value = cyg_h1_trim(f->value);
    f->id = cyg_http_field_id_of(f->name);
    uint64_t bit = 1ULL << f->id;
    h->again |= h->seen & bit;
    h->seen |= bit;
    h->nfields++;
}

/* The fields and the empty line after them. The cases fall through: with all bytes there the switch is taken once a field.
 * Not inlined, as it needs registers of its own. */
static __attribute__((noinline)) const char *run_fields(struct cyg_h1_head *h, const char *p, const char *end,
                                                        unsigned max_fields) {
    int step = h->state;
    for (cyg_http_field *f = &h->fields[h->nfields];; f++) {
        switch (step) {
        case STEP_FIELD:
            if (is_crlf(p, end)) return wait_in(h, STEP_DONE, p + 2);
            if (p == end || !cyg_h1_is(*p, CYG_H1_TOKEN)) return no_field(h, p, end);
            if (h->nfields == max_fields) return refuse(h, CYG_H1_R_FIELDS);
            f->name.p = p; /* fall through */
        case STEP_NAME:
            p = cyg_h1_scan(p, end, CYG_H1_TOKEN);
            if (p == end) return wait_in(h, STEP_NAME, p);
            if (*p != ':') return bad_name(h, *p);
            f->name.n = (size_t)(p - f->name.p);
            f->value.p = ++p; /* fall through */
        default:              /* STEP_VALUE */
            p = cyg_h1_scan(p, end, CYG_H1_VALUE);
            if (CYG_UNLIKELY(!is_crlf(p, end))) return no_crlf(h, STEP_VALUE, p, end);
            f->value.n = (size_t)(p - f->value.p);
            p += 2;
            note_field(h, f);
            step = STEP_FIELD;
        }
    }
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
    unsigned n = h->nfields + (h->state == STEP_NAME || h->state == STEP_VALUE);
    for (unsigned i = 0; i < n; i++) {
        move_slice(&h->fields[i].name, by);
        if (i < h->nfields || h->state == STEP_VALUE) move_slice(&h->fields[i].value, by);
    }
}

/* Bytes are missing, or there were too many. */
static CYG_COLD int unfinished(struct cyg_h1_head *h, bool at_limit) {
    if (!at_limit) return CYG_H1_MORE;
    return cyg_h1_fail(h, h->state == STEP_TARGET ? CYG_H1_R_LONG_TARGET : CYG_H1_R_LONG_HEAD);
}

/* Input beyond the limit is hidden, so that what stands there changes no verdict. request_method: NULL for a request. */
static int parse(struct cyg_h1_head *h, const char *buf, size_t n, const struct cyg_h1_limits *lim,
                 const cyg_str *request_method) {
    if (CYG_UNLIKELY(h->base && h->base != buf)) move_slices(h, buf);
    h->base = buf;
    if (CYG_UNLIKELY(h->state >= STEP_DONE || h->state <= CYG_H1_STEP_FAILED))
        return h->state == STEP_DONE ? CYG_H1_DONE : CYG_H1_ERROR;
    const char *p = buf + h->pos, *end = buf + (n < lim->max_head ? n : lim->max_head);
    if (h->state < STEP_FIELD) p = request_method ? status_line(h, p, end) : request_line(h, p, end, lim);
    if (h->state >= STEP_FIELD) p = run_fields(h, p, end, lim->max_fields);
    if (CYG_UNLIKELY(!p)) return CYG_H1_ERROR;
    h->pos = (size_t)(p - h->base);
    if (CYG_UNLIKELY(h->state != STEP_DONE)) return unfinished(h, (size_t)(end - h->base) == lim->max_head);
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
