/* http1_target.c: the four forms of a request target, and what host[:port] may look like. Paths are not interpreted here.
 * Sources: RFC 9112 section 3.2, RFC 3986 section 3.2.
 */
#include "proto/http1_internal.h"

static bool port_ok(cyg_str port, bool required) {
    unsigned v = 0;
    if (port.n > 5) return false;
    for (size_t i = 0; i < port.n; i++) {
        unsigned digit = (unsigned)(port.p[i] - '0');
        if (digit > 9) return false;
        v = v * 10 + digit;
    }
    return v <= 65535 && (v > 0 || !required); /* none at all is 0 */
}

/* Length of "[...]" at the start of s, or 0. An address in all detail is for whoever connects to it; here nothing may pass
 * that another parser would cut elsewhere. */
static CYG_COLD size_t ip_literal(cyg_str s) {
    size_t i = 1, colons = 0;
    for (; i < s.n && (cyg_h1_is(s.p[i], CYG_H1_HEX) || s.p[i] == ':' || s.p[i] == '.'); i++) colons += s.p[i] == ':';
    return i < s.n && s.p[i] == ']' && colons >= 2 ? i + 1 : 0;
}

static CYG_COLD bool is_escape(cyg_str s, size_t i) {
    return s.n - i >= 3 && cyg_h1_is(s.p[i + 1], CYG_H1_HEX) && cyg_h1_is(s.p[i + 2], CYG_H1_HEX);
}

static size_t reg_name(cyg_str s) {
    size_t i = 0;
    for (;; i += 3) {
        while (i < s.n && cyg_h1_is(s.p[i], CYG_H1_REGNAME)) i++;
        if (CYG_LIKELY(i == s.n || s.p[i] != '%') || !is_escape(s, i)) return i;
    }
}

/* An empty host is refused: no http URI has one (RFC 9110, 4.2.1). So is userinfo, whose '@' is in no class. */
bool cyg_h1_authority_ok(cyg_str s, bool port_required) {
    if (s.n == 0) return false;
    size_t n = CYG_UNLIKELY(s.p[0] == '[') ? ip_literal(s) : reg_name(s);
    if (n == 0) return false;
    if (n == s.n) return !port_required;
    return s.p[n] == ':' && port_ok((cyg_str){s.p + n + 1, s.n - n - 1}, port_required);
}

static bool starts_with(cyg_str s, const char *lower, size_t n) {
    return s.n >= n && cyg_str_eq_nocase((cyg_str){s.p, n}, (cyg_str){lower, n});
}

/* http://authority[/path][?query]; other schemes are no business of an origin server or gateway. */
static int check_absolute(struct cyg_h1_head *h) {
    size_t scheme = starts_with(h->target, "http://", 7) ? 7 : starts_with(h->target, "https://", 8) ? 8 : 0;
    if (scheme == 0) return cyg_h1_fail(h, CYG_H1_R_BAD_TARGET);
    cyg_str rest = {h->target.p + scheme, h->target.n - scheme};
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?') n++;
    cyg_str authority = {rest.p, n};
    if (!cyg_h1_authority_ok(authority, false)) return cyg_h1_fail(h, CYG_H1_R_BAD_HOST);
    h->host = authority;
    return CYG_H1_DONE;
}

int cyg_h1_check_target(struct cyg_h1_head *h) {
    if (h->method.n == 7 && memcmp(h->method.p, "CONNECT", 7) == 0)
        return cyg_h1_authority_ok(h->target, true) ? CYG_H1_DONE : cyg_h1_fail(h, CYG_H1_R_AUTHORITY_FORM);
    if (h->target.p[0] == '/') return CYG_H1_DONE;
    if (h->target.n == 1 && h->target.p[0] == '*') {
        bool options = h->method.n == 7 && memcmp(h->method.p, "OPTIONS", 7) == 0;
        return options ? CYG_H1_DONE : cyg_h1_fail(h, CYG_H1_R_ASTERISK);
    }
    /* host:port with another method than CONNECT; "http://..." is none, its port would begin with a slash */
    if (cyg_h1_authority_ok(h->target, true)) return cyg_h1_fail(h, CYG_H1_R_AUTHORITY_FORM);
    return check_absolute(h);
}
