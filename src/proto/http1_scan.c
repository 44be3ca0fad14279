/* http1_scan.c: the scanning loop as everybody calls it, and what is usual in each class. */
#include "proto/http1_scan.h"

#define EACH(byte) \
    { byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte, byte }
#define USUAL(bits, from, to, one) \
    { .fold = EACH(bits), .first = EACH(from), .count = EACH((to) - (from) + 1), .also = EACH(one) }

const struct cyg_h1_usual cyg_h1_usual[3] = {
    [CYG_H1_TOKEN / 2] = USUAL(0x20, 'a', 'z', '-'), /* letters in both cases */
    [CYG_H1_VALUE / 2] = USUAL(0, ' ', '~', '\t'),
    [CYG_H1_TARGET / 2] = USUAL(0, '$', '~', '!'),
};

const char *cyg_h1_scan(const char *p, const char *end, enum cyg_h1_char_class class) {
#ifdef CYG_H1_SIMD
    return cyg_h1_scan_simd(p, end, class);
#else
    return cyg_h1_scan_plain(p, end, class);
#endif
}
