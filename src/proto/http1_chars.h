/* http1_chars.h: which bytes may stand where in an HTTP/1 head, as bits in one table. Sources: RFC 9110 section 5.6.2 (token)
 * and 5.5 (field value), RFC 3986 section 3.2.2 (reg-name).
 */
#ifndef CYG_PROTO_HTTP1_CHARS_H
#define CYG_PROTO_HTTP1_CHARS_H

#include <cygnet/base.h>

enum cyg_h1_char_class {
    CYG_H1_TOKEN = 1,  /* methods, field names, codings, options */
    CYG_H1_VALUE = 2,  /* HTAB, SP, visible, obs-text */
    CYG_H1_TARGET = 4, /* visible ASCII but '#': wider than RFC 3986, as browsers send | and {} bare; never above 0x7e */
    CYG_H1_REGNAME = 8, /* host names: unreserved and sub-delims; '%' needs its two digits checked */
    CYG_H1_HEX = 16,
    CYG_H1_DIGIT = 32,
};

extern const uint8_t cyg_h1_chars[256];

static inline bool cyg_h1_is(char c, unsigned classes) { return (cyg_h1_chars[(unsigned char)c] & classes) != 0; }

/* Whether all bytes are of the class; true for none. */
static inline bool cyg_h1_all(cyg_str s, unsigned classes) {
    for (size_t i = 0; i < s.n; i++)
        if (!cyg_h1_is(s.p[i], classes)) return false;
    return true;
}

static inline cyg_str cyg_h1_trim(cyg_str s) {
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) s.p++, s.n--;
    while (s.n > 0 && CYG_UNLIKELY(s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
    return s;
}

#endif
