/* http1_framing.c: what the fields of a complete head say together: where the body ends, whether the connection goes on, which
 * host is meant. Sources: RFC 9112 sections 3.2, 6 and 9, RFC 9110 sections 7.6.1, 7.8 and 10.1.1.
 */
#include "proto/http1_internal.h"

#define BIT(id) (1ULL << (id))

/* The next field with the id from f on; there is one. */
static const cyg_http_field *next_with(const cyg_http_field *f, uint32_t id) {
    while (f->id != id) f++;
    return f;
}

/* ---- what only some heads have ---------------------------------------------------------------------------------- */

static void read_connection(struct cyg_h1_head *h) {
    bool close = false, keep_alive = false, upgrade = false;
    for (unsigned i = 0; i < h->nfields; i++) {
        if (h->fields[i].id != CYG_HTTP_CONNECTION) continue;
        cyg_str list = h->fields[i].value, option;
        if (cyg_h1_is_word(list, "keep-alive")) { /* the usual one */
            keep_alive = true;
            continue;
        }
        for (bool more = true; cyg_h1_next_element(&list, &option, &more);) {
            if (option.n == 0) continue;
            if (cyg_h1_is_word(option, "keep-alive")) {
                keep_alive = true;
            } else if (cyg_h1_is_word(option, "close")) {
                close = true;
            } else {
                h->has_connection_options = true;
                if (cyg_h1_is_word(option, "upgrade")) upgrade = true;
            }
        }
    }
    h->keep_alive = !close && (h->version >= 11 || keep_alive);
    h->upgrade = upgrade && (h->seen & BIT(CYG_HTTP_UPGRADE)) && h->version >= 11; /* not for 1.0: RFC 9110, 7.8 */
}

static bool starts_with(cyg_str s, cyg_str prefix) {
    return s.n >= prefix.n && cyg_str_eq_nocase((cyg_str){s.p, prefix.n}, prefix);
}

/* Fields that Connection cannot take out of a message: they frame it, route it, authenticate it or say where it came from, and a
 * client could make a gateway drop what it has itself just written. Naming them is ignored. (Those that are hop-by-hop anyway
 * are dropped for their own sake.) */
static bool is_protected(cyg_str name) {
    static const uint64_t ids = BIT(CYG_HTTP_HOST) | BIT(CYG_HTTP_CONTENT_LENGTH) | BIT(CYG_HTTP_TRANSFER_ENCODING) |
                                BIT(CYG_HTTP_EXPECT) | BIT(CYG_HTTP_AUTHORIZATION) | BIT(CYG_HTTP_PROXY_AUTHENTICATE) |
                                BIT(CYG_HTTP_PROXY_AUTHORIZATION) | BIT(CYG_HTTP_COOKIE) | BIT(CYG_HTTP_VIA) |
                                BIT(CYG_HTTP_DATE) | BIT(CYG_HTTP_CONTENT_TYPE) | BIT(CYG_HTTP_FORWARDED) |
                                BIT(CYG_HTTP_X_REQUEST_ID) | BIT(CYG_HTTP_MAX_FORWARDS) | BIT(CYG_HTTP_TRACEPARENT) |
                                BIT(CYG_HTTP_TRACESTATE);
    if (ids & BIT(cyg_http_field_id_of(name))) return true;
    return starts_with(name, CYG_STR("x-forwarded-")) || starts_with(name, CYG_STR("content-")) ||
           cyg_h1_is_word(name, "x-real-ip") || cyg_h1_is_word(name, "set-cookie") ||
           cyg_h1_is_word(name, "cache-control");
}

bool cyg_h1_connection_names(const struct cyg_h1_head *h, cyg_str name) {
    if (is_protected(name)) return false;
    for (unsigned i = 0; i < h->nfields; i++) {
        if (h->fields[i].id != CYG_HTTP_CONNECTION) continue;
        cyg_str list = h->fields[i].value, option;
        for (bool more = true; cyg_h1_next_element(&list, &option, &more);)
            if (option.n > 0 && cyg_str_eq_nocase(option, name)) return true;
    }
    return false;
}

/* Only "chunked" alone is taken. A message with another coding before it could be framed, but Transfer-Encoding is hop-by-hop:
 * its body would be passed on without the name of the coding that it still has. */
static __attribute__((noinline)) int check_codings(struct cyg_h1_head *h) {
    unsigned codings = 0, chunked = 0;
    bool last_chunked = false, bad_list = false;
    if (h->version == 10) return cyg_h1_fail(h, CYG_H1_R_CODING_HTTP10);
    if (h->seen & BIT(CYG_HTTP_CONTENT_LENGTH)) return cyg_h1_fail(h, CYG_H1_R_LENGTH_AND_CODING);
    for (unsigned i = 0; i < h->nfields; i++) {
        if (h->fields[i].id != CYG_HTTP_TRANSFER_ENCODING) continue;
        cyg_str list = h->fields[i].value, coding;
        for (bool more = true; cyg_h1_next_element(&list, &coding, &more); codings++) {
            if (coding.n == 0) bad_list = true;
            last_chunked = cyg_h1_is_word(coding, "chunked");
            chunked += last_chunked;
        }
    }
    if (bad_list || chunked > 1 || !last_chunked) return cyg_h1_fail(h, CYG_H1_R_BAD_CODING);
    if (codings > 1) return cyg_h1_fail(h, CYG_H1_R_CODING);
    h->framing = CYG_H1_CHUNKED;
    return CYG_H1_DONE;
}

static CYG_COLD int check_expect(struct cyg_h1_head *h) {
    for (unsigned i = 0; i < h->nfields; i++)
        if (h->fields[i].id == CYG_HTTP_EXPECT && !cyg_h1_is_word(h->fields[i].value, "100-continue"))
            return cyg_h1_fail(h, CYG_H1_R_EXPECT);
    h->expect_continue = h->version >= 11; /* an older client does not wait for it */
    return CYG_H1_DONE;
}

/* ---- what is asked of every head -------------------------------------------------------------------------------- */

static bool parse_length(cyg_str s, int64_t *out) {
    int64_t v = 0;
    if (s.n == 0) return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned)(s.p[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v)) return false;
    }
    *out = v;
    return true;
}

/* Sets the framing when a field names one. Two equal Content-Lengths are refused like two different ones: no client needs
 * them, and whoever is behind us may take the first, the last or the joined list. For that reason "5, 5" is no number too. */
static int read_framing(struct cyg_h1_head *h) {
    if (h->seen & BIT(CYG_HTTP_TRANSFER_ENCODING)) return check_codings(h);
    if (!(h->seen & BIT(CYG_HTTP_CONTENT_LENGTH))) return CYG_H1_DONE;
    if (h->again & BIT(CYG_HTTP_CONTENT_LENGTH)) return cyg_h1_fail(h, CYG_H1_R_TWO_LENGTHS);
    if (!parse_length(next_with(h->fields, CYG_HTTP_CONTENT_LENGTH)->value, &h->content_length))
        return cyg_h1_fail(h, CYG_H1_R_BAD_LENGTH);
    h->framing = CYG_H1_LENGTH;
    return CYG_H1_DONE;
}

static int check_host(struct cyg_h1_head *h) {
    if (CYG_UNLIKELY(!(h->seen & BIT(CYG_HTTP_HOST))))
        return h->version >= 11 ? cyg_h1_fail(h, CYG_H1_R_NO_HOST) : CYG_H1_DONE;
    if (h->again & BIT(CYG_HTTP_HOST)) return cyg_h1_fail(h, CYG_H1_R_TWO_HOSTS);
    cyg_str host = next_with(h->fields, CYG_HTTP_HOST)->value;
    if (!cyg_h1_authority_ok(host, false)) return cyg_h1_fail(h, CYG_H1_R_BAD_HOST);
    if (h->host.p == NULL) h->host = host; /* else that of the absolute-form target, which comes first */
    return CYG_H1_DONE;
}

static inline void read_persistence(struct cyg_h1_head *h) {
    h->keep_alive = h->version >= 11;
    if (h->seen & BIT(CYG_HTTP_CONNECTION)) read_connection(h);
}

int cyg_h1_finish_request(struct cyg_h1_head *h) {
    if (check_host(h) < 0 || read_framing(h) < 0) return CYG_H1_ERROR;
    if (CYG_UNLIKELY(h->seen & BIT(CYG_HTTP_EXPECT)) && check_expect(h) < 0) return CYG_H1_ERROR;
    if (h->framing == CYG_H1_NO_BODY) h->content_length = 0;
    read_persistence(h);
    return CYG_H1_DONE;
}

int cyg_h1_finish_response(struct cyg_h1_head *h, cyg_str request_method) {
    read_persistence(h);
    bool tunnel = CYG_UNLIKELY(cyg_str_eq(request_method, CYG_STR("CONNECT"))) && h->status / 100 == 2;
    bool never = h->status < 200 || h->status == 204 || tunnel; /* what they say about a body is not even read */
    if (CYG_LIKELY(!never) && read_framing(h) < 0) return CYG_H1_ERROR;
    if (CYG_UNLIKELY(never || h->status == 304 || cyg_str_eq(request_method, CYG_STR("HEAD")))) {
        h->framing = CYG_H1_NO_BODY;
        h->content_length = 0;
    } else if (CYG_UNLIKELY(h->framing == CYG_H1_NO_BODY)) {
        h->framing = CYG_H1_UNTIL_CLOSE;
        h->keep_alive = false;
    }
    return CYG_H1_DONE;
}
