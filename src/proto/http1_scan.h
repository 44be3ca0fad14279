/* http1_scan.h: the loop that touches every byte of a head: how far does a field name go, how far a value, how far a request target.
 * It exists by table (the meaning), in plain C (eight bytes at a time), and sixteen at a time with SSE2 or NEON; a test holds them
 * equal. None reads at or past `end`. CYG_H1_PORTABLE_SCAN chooses plain C everywhere.
 *
 * The three classes of bytes are scanned alike: what nearly all of a class's bytes are lies in one range. Those are passed over
 * many at a time; from the first other one on the table decides. So what is usual changes the speed, never the answer.
 */
#ifndef CYG_PROTO_HTTP1_SCAN_H
#define CYG_PROTO_HTTP1_SCAN_H

#include "proto/http1_chars.h"

#if !defined(CYG_H1_PORTABLE_SCAN) && defined(__SSE2__)
#define CYG_H1_SIMD "sse2"
#include <emmintrin.h>
#elif !defined(CYG_H1_PORTABLE_SCAN) && defined(__ARM_NEON) && defined(__aarch64__)
#define CYG_H1_SIMD "neon"
#include <arm_neon.h>
#endif

/* The first byte in [p, end) that is not of the class, or end. class: CYG_H1_TOKEN, CYG_H1_VALUE or CYG_H1_TARGET. */
const char *cyg_h1_scan(const char *p, const char *end, enum cyg_h1_char_class class);

/* The usual bytes of a class, sixteen times each number: a byte that with the bits of fold set is first or one of those after it,
 * `count` in all, or the byte itself is `also`. All of them are below 0x80. */
struct cyg_h1_usual {
    _Alignas(64) uint8_t fold[16];
    uint8_t first[16], count[16], also[16];
};
extern const struct cyg_h1_usual cyg_h1_usual[3]; /* by class / 2 */

static inline const char *cyg_h1_scan_table(const char *p, const char *end, unsigned class) {
    while (p < end && cyg_h1_is(*p, class)) p++;
    return p;
}

/* A set top bit says that a byte of x is unusual. A borrow or carry may set more of them, but only when one is rightly set, so
 * "none" is exact. */
static inline const char *cyg_h1_scan_plain(const char *p, const char *end, unsigned class) {
    const struct cyg_h1_usual *u = &cyg_h1_usual[class / 2];
    const uint64_t each = 0x0101010101010101, fold = each * u->fold[0], first = each * u->first[0],
                   above = each * (0x80U - u->first[0] - u->count[0]);
    for (; end - p >= 8; p += 8) {
        uint64_t x;
        memcpy(&x, p, 8);
        x |= fold;
        if ((((x - first) | (x + above) | x) & each * 0x80) != 0) break;
    }
    return cyg_h1_scan_table(p, end, class);
}

#ifdef CYG_H1_SIMD
#ifdef __SSE2__
/* For sixteen bytes, a number whose count of trailing zeros, divided by CYG_H1_LANE, is the place of the first unusual byte; zero
 * when there is none. */
#define CYG_H1_LANE 1
static inline __m128i cyg_h1_load(const void *p) { return _mm_loadu_si128(p); }
static inline uint64_t cyg_h1_unusual(const char *p, const struct cyg_h1_usual *u) {
    __m128i x = cyg_h1_load(p), up = _mm_sub_epi8(_mm_or_si128(x, cyg_h1_load(u->fold)), cyg_h1_load(u->first));
    __m128i beyond = _mm_cmpeq_epi8(_mm_max_epu8(up, cyg_h1_load(u->count)), up);
    return (unsigned)_mm_movemask_epi8(_mm_andnot_si128(_mm_cmpeq_epi8(x, cyg_h1_load(u->also)), beyond));
}
#else
#define CYG_H1_LANE 4 /* four bits a byte: NEON has no movemask */
static inline uint64_t cyg_h1_unusual(const char *p, const struct cyg_h1_usual *u) {
    uint8x16_t x = vld1q_u8((const uint8_t *)p), up = vsubq_u8(vorrq_u8(x, vld1q_u8(u->fold)), vld1q_u8(u->first));
    uint8x16_t unusual = vbicq_u8(vcgeq_u8(up, vld1q_u8(u->count)), vceqq_u8(x, vld1q_u8(u->also)));
    return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(unusual), 4)), 0);
}
#endif

static inline const char *cyg_h1_scan_simd(const char *p, const char *end, unsigned class) {
    const struct cyg_h1_usual *u = &cyg_h1_usual[class / 2];
    for (; end - p >= 16; p += 16) {
        uint64_t unusual = cyg_h1_unusual(p, u);
        if (unusual) {
            p += (unsigned)__builtin_ctzll(unusual) / CYG_H1_LANE;
            break;
        }
    }
    return cyg_h1_scan_table(p, end, class);
}
#endif

#endif
