/* drive.c: see drive.h. */
#include "drive.h"
#include <stdio.h>
#include <stdlib.h>

struct text {
    char *p;
    size_t n, cap;
};

static void add(struct text *t, const char *p, size_t n) {
    if (n >= t->cap - t->n) n = t->cap - t->n - 1;
    memcpy(t->p + t->n, p, n);
    t->n += n;
    t->p[t->n] = 0;
}

static void add_escaped(struct text *t, cyg_str s) {
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        char hex[4];
        if (c > ' ' && c < 0x7f && c != '%')
            add(t, s.p + i, 1);
        else
            add(t, hex, (size_t)snprintf(hex, sizeof hex, "%%%02X", c));
    }
}

static void add_word(struct text *t, const char *key, cyg_str value) {
    add(t, key, strlen(key));
    add(t, "=", 1);
    add_escaped(t, value);
    add(t, " ", 1);
}

static void add_number(struct text *t, const char *key, long long v) {
    char word[64];
    add(t, word, (size_t)snprintf(word, sizeof word, "%s=%lld ", key, v));
}

/* The input as the core sees it now; what it saw before is overwritten and freed. */
static char *fresh(char *old, size_t old_n, const char *bytes, size_t n) {
    char *p = malloc(n ? n : 1);
    if (!p) abort();
    memcpy(p, bytes, n);
    if (old) memset(old, '?', old_n);
    free(old);
    return p;
}

static bool inside(cyg_str s, const char *buf, size_t n) {
    return s.p == NULL ? s.n == 0 : s.p >= buf && s.p <= buf + n && s.n <= (size_t)(buf + n - s.p);
}

static const char *broken_head(const struct cyg_h1_head *h, int verdict, const char *buf, size_t n) {
    if (h->pos > n) return "pos beyond the input";
    if (verdict == CYG_H1_MORE && n - h->pos > 13) return "looked-at bytes left to be looked at again";
    if (verdict != CYG_H1_DONE) return NULL;
    if (h->head_bytes > n) return "head_bytes beyond the input";
    if (!inside(h->method, buf, h->head_bytes) || !inside(h->target, buf, h->head_bytes) ||
        !inside(h->host, buf, h->head_bytes) || !inside(h->reason, buf, h->head_bytes))
        return "a slice of the start line is not inside the head";
    for (unsigned i = 0; i < h->nfields; i++)
        if (!inside(h->fields[i].name, buf, h->head_bytes) || !inside(h->fields[i].value, buf, h->head_bytes) ||
            h->fields[i].id != cyg_http_field_id_of(h->fields[i].name) || !(h->seen >> h->fields[i].id & 1))
            return "a field is not inside the head, or has another's id";
    return NULL;
}

static void head_facts(struct text *t, const struct cyg_h1_head *h, enum drive_kind kind) {
    static const char *const framing[] = {"none", "length", "chunked", "close"};
    add_number(t, "version", h->version);
    if (kind == DRIVE_REQUEST) {
        add_word(t, "method", h->method);
        add_word(t, "target", h->target);
        add_word(t, "host", h->host);
    } else {
        add_number(t, "status", h->status);
        add_word(t, "reason", h->reason);
    }
    add_word(t, "body", cyg_str_of(framing[h->framing]));
    add_number(t, "length", h->content_length);
    add_number(t, "keep", h->keep_alive);
    add_number(t, "continue", h->expect_continue);
    add_number(t, "options", h->has_connection_options);
    add_number(t, "upgrade", h->upgrade);
    add_number(t, "head", (long long)h->head_bytes);
    add_number(t, "fields", h->nfields);
    for (unsigned i = 0; i < h->nfields; i++) {
        add_escaped(t, h->fields[i].name);
        add(t, ":", 1);
        add_escaped(t, h->fields[i].value);
        add(t, " ", 1);
        if (cyg_h1_connection_names(h, h->fields[i].name)) add_word(t, "named", h->fields[i].name);
    }
}

static void drive_head(struct drive_result *r, enum drive_kind kind, const struct cyg_h1_limits *lim, const char *bytes,
                       size_t n, size_t first, size_t step) {
    static const char *const methods[] = {"", "GET", "HEAD", "CONNECT"};
    cyg_http_field fields[DRIVE_MAX_FIELDS];
    struct text t = {r->facts, 0, sizeof r->facts};
    struct cyg_h1_head h;
    char *buf = NULL;
    size_t have = first < n ? first : n, before = 0;

    memset(fields, 0xa5, sizeof fields); /* the core must not rely on what is there */
    cyg_h1_head_init(&h, fields);
    for (;;) {
        buf = fresh(buf, before, bytes, have);
        r->verdict = kind == DRIVE_REQUEST ? cyg_h1_parse_request(&h, buf, have, lim)
                                           : cyg_h1_parse_response(&h, buf, have, lim, cyg_str_of(methods[kind]));
        r->broken = broken_head(&h, r->verdict, buf, have);
        if (r->verdict != CYG_H1_MORE || r->broken || have == n) break;
        before = have;
        have = n - have > step ? have + step : n;
    }
    if (r->verdict == CYG_H1_ERROR) {
        r->status = h.error_status;
        r->reason = h.error;
    }
    if (r->verdict == CYG_H1_DONE && !r->broken) {
        buf = fresh(buf, have, bytes, have); /* a complete head moves along too */
        if (cyg_h1_parse_request(&h, buf, have, lim) != CYG_H1_DONE) r->broken = "not complete when asked again";
        head_facts(&t, &h, kind);
    }
    free(buf);
}

static void drive_chunked(struct drive_result *r, const char *bytes, size_t n, size_t first, size_t step) {
    struct cyg_h1_chunked c;
    struct text body = {malloc(n + 1), 0, n + 1}, t = {r->facts, 0, sizeof r->facts};
    if (!body.p) abort();
    size_t total = 0, have = first < n ? first : n;

    cyg_h1_chunked_init(&c);
    for (;;) {
        char *piece = fresh(NULL, 0, bytes + total, have - total);
        size_t here = have - total, at = 0, used = 0;
        do {
            cyg_str data = {NULL, 0};
            r->verdict = cyg_h1_chunked_next(&c, piece + at, here - at, &used, &data);
            if (used > here - at) r->broken = "used more than there was";
            if (r->verdict == CYG_H1_CHUNK_MORE && used != here - at) r->broken = "wants more, but did not use all";
            if (r->verdict == CYG_H1_CHUNK_DATA) {
                if (data.n == 0 || !inside(data, piece + at, used))
                    r->broken = "data not among the used bytes";
                else
                    add(&body, data.p, data.n);
            }
            at += used;
        } while (r->verdict == CYG_H1_CHUNK_DATA && !r->broken);
        memset(piece, '?', here);
        free(piece);
        total += at;
        if (r->verdict != CYG_H1_CHUNK_MORE || r->broken || have == n) break;
        have = n - have > step ? have + step : n;
    }
    if (r->verdict == CYG_H1_CHUNK_ERROR) r->reason = c.error;
    add_number(&t, "used", (long long)total);
    add_word(&t, "body", (cyg_str){body.p, body.n});
    free(body.p);
}

void drive(struct drive_result *r, enum drive_kind kind, const struct cyg_h1_limits *lim, const char *bytes, size_t n,
           size_t first, size_t step) {
    r->verdict = r->status = 0;
    r->reason = "";
    r->broken = NULL;
    r->facts[0] = 0;
    if (kind == DRIVE_CHUNKED)
        drive_chunked(r, bytes, n, first, step);
    else
        drive_head(r, kind, lim, bytes, n, first, step);
}

bool drive_same(const struct drive_result *a, const struct drive_result *b) {
    return a->verdict == b->verdict && a->status == b->status && strcmp(a->reason, b->reason) == 0 &&
           strcmp(a->facts, b->facts) == 0;
}
