/* config_utf8.c: whether a document is text at all, before YAML looks at it, so that what is not can be told with its place.
 * What counts as text is what YAML 1.1 section 4.1.1 calls printable.
 */
#include "gateway/config_utf8.h"

/* Bytes of the UTF-8 sequence at p, or 0 if there is no valid one; *rune is its character. */
static size_t decode(const unsigned char *p, size_t n, uint32_t *rune) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80             ? 1
                 : (p[0] & 0xe0) == 0xc0 ? 2
                 : (p[0] & 0xf0) == 0xe0 ? 3
                 : (p[0] & 0xf8) == 0xf0 ? 4
                                         : 0;
    if (len == 0 || len > n) return 0;
    if (len == 1) {
        *rune = p[0];
        return 1;
    }
    uint32_t r = p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        r = r << 6 | (p[i] & 0x3fu);
    }
    if (r < smallest[len] || r > 0x10ffff || (r >= 0xd800 && r <= 0xdfff)) return 0;
    *rune = r;
    return len;
}

static bool printable(uint32_t r) {
    if (r < 0x20) return r == '\t' || r == '\n' || r == '\r';
    if (r < 0xa0) return r < 0x7f || r == 0x85;
    return r != 0xfeff && r != 0xfffe && r != 0xffff;
}

bool cyg_gw_text_ok(cyg_str text, struct cyg_gw_bad_text *bad) {
    const unsigned char *p = (const unsigned char *)text.p;
    size_t line = 1, column = 1;
    for (size_t i = 0; i < text.n;) {
        uint32_t r = 0;
        size_t len = decode(p + i, text.n - i, &r);
        if (len == 0 || !printable(r)) {
            *bad = (struct cyg_gw_bad_text){line, column, len == 0, len ? r : p[i]};
            return false;
        }
        i += len;
        if (r == '\n' || (r == '\r' && (i == text.n || p[i] != '\n'))) {
            line++;
            column = 1;
        } else {
            column++;
        }
    }
    return true;
}
