/* http1_scan.h: the loops that touch every byte of a head: how far does a field value go, how far a request target, how far a
 * field name. Each exists by table (the meaning), in plain C (eight bytes at a time, but for names), and sixteen at a time with
 * SSE2 or NEON; a test holds them equal. None reads at or past `end`. CYG_H1_PORTABLE_SCAN chooses the plain C ones everywhere.
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

#define CYG_H1_EACH(byte) (0x0101010101010101ULL * (byte))

/* The first byte in [p, end) that is not of the class, or end. */
static inline const char *cyg_h1_scan_table(const char *p, const char *end, unsigned classes) {
    while (p < end && cyg_h1_is(*p, classes)) p++;
    return p;
}

static inline uint64_t cyg_h1_load8(const char *p) {
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}

/* In each of these three a set top bit says that a byte of x is so. A borrow may set more of them, but only when one is
 * rightly set, so "none" is exact; where exactly is asked of the table. */
static inline uint64_t cyg_h1_below(uint64_t x, uint8_t limit) { return (x - CYG_H1_EACH(limit)) & ~x; }
static inline uint64_t cyg_h1_equal(uint64_t x, uint8_t byte) { return cyg_h1_below(x ^ CYG_H1_EACH(byte), 1); }

static inline const char *cyg_h1_scan_value_swar(const char *p, const char *end) {
    for (; end - p >= 8; p += 8) {
        uint64_t x = cyg_h1_load8(p);
        if (((cyg_h1_below(x, 0x20) | cyg_h1_equal(x, 0x7f)) & CYG_H1_EACH(0x80)) == 0) continue;
        const char *stop = cyg_h1_scan_table(p, p + 8, CYG_H1_VALUE);
        if (stop < p + 8) return stop; /* else it was a tab, which is allowed */
    }
    return cyg_h1_scan_table(p, end, CYG_H1_VALUE);
}

static inline const char *cyg_h1_scan_target_swar(const char *p, const char *end) {
    for (; end - p >= 8; p += 8) {
        uint64_t x = cyg_h1_load8(p);
        uint64_t odd = cyg_h1_below(x, 0x21) | cyg_h1_equal(x, 0x7f) | cyg_h1_equal(x, '#') | x;
        if ((odd & CYG_H1_EACH(0x80)) != 0) break;
    }
    return cyg_h1_scan_table(p, end, CYG_H1_TARGET);
}

static inline const char *cyg_h1_scan_name_swar(const char *p, const char *end) {
    return cyg_h1_scan_table(p, end, CYG_H1_TOKEN);
}

#ifdef CYG_H1_SIMD
#ifdef __SSE2__
/* For sixteen bytes, a number whose count of trailing zeros, divided by CYG_H1_LANE, is the place of the first odd byte; zero
 * when there is none. */
#define CYG_H1_LANE 1
static inline uint64_t cyg_h1_odd_value(const char *p) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);
    __m128i odd = _mm_andnot_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('\t')), low);
    return (uint64_t)_mm_movemask_epi8(_mm_or_si128(odd, _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f))));
}

static inline uint64_t cyg_h1_odd_target(const char *p) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i odd = _mm_cmplt_epi8(x, _mm_set1_epi8(0x21)); /* signed: bytes from 0x80 are below as well */
    odd = _mm_or_si128(odd, _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f)));
    odd = _mm_or_si128(odd, _mm_cmpeq_epi8(x, _mm_set1_epi8('#')));
    return (uint64_t)_mm_movemask_epi8(odd);
}

static inline __m128i cyg_h1_within(__m128i x, char first, char last) {
    __m128i up = _mm_sub_epi8(x, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(up, _mm_set1_epi8((char)(last - first))), up);
}

static inline uint64_t cyg_h1_odd_name(const char *p) { /* odd: no letter, digit, '-' or '.' */
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i usual = cyg_h1_within(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 'z');
    usual = _mm_or_si128(usual, _mm_or_si128(cyg_h1_within(x, '0', '9'), cyg_h1_within(x, '-', '.')));
    return (uint64_t)_mm_movemask_epi8(usual) ^ 0xffff;
}
#else
#define CYG_H1_LANE 4
static inline uint64_t cyg_h1_neon_mask(uint8x16_t odd) { /* four bits a byte: NEON has no movemask */
    return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(odd), 4)), 0);
}

static inline uint64_t cyg_h1_odd_value(const char *p) {
    uint8x16_t x = vld1q_u8((const uint8_t *)p);
    uint8x16_t odd = vbicq_u8(vcltq_u8(x, vdupq_n_u8(0x20)), vceqq_u8(x, vdupq_n_u8('\t')));
    return cyg_h1_neon_mask(vorrq_u8(odd, vceqq_u8(x, vdupq_n_u8(0x7f))));
}

static inline uint64_t cyg_h1_odd_target(const char *p) {
    uint8x16_t x = vld1q_u8((const uint8_t *)p);
    uint8x16_t odd = vorrq_u8(vcltq_u8(x, vdupq_n_u8(0x21)), vcgeq_u8(x, vdupq_n_u8(0x7f)));
    return cyg_h1_neon_mask(vorrq_u8(odd, vceqq_u8(x, vdupq_n_u8('#'))));
}

static inline uint8x16_t cyg_h1_within(uint8x16_t x, uint8_t first, uint8_t last) {
    return vcleq_u8(vsubq_u8(x, vdupq_n_u8(first)), vdupq_n_u8((uint8_t)(last - first)));
}

static inline uint64_t cyg_h1_odd_name(const char *p) { /* odd: no letter, digit, '-' or '.' */
    uint8x16_t x = vld1q_u8((const uint8_t *)p);
    uint8x16_t usual = cyg_h1_within(vorrq_u8(x, vdupq_n_u8(0x20)), 'a', 'z');
    usual = vorrq_u8(usual, vorrq_u8(cyg_h1_within(x, '0', '9'), cyg_h1_within(x, '-', '.')));
    return cyg_h1_neon_mask(vmvnq_u8(usual));
}
#endif

static inline const char *cyg_h1_scan_value_simd(const char *p, const char *end) {
    for (; end - p >= 16; p += 16) {
        uint64_t odd = cyg_h1_odd_value(p);
        if (odd) return p + __builtin_ctzll(odd) / CYG_H1_LANE;
    }
    return cyg_h1_scan_table(p, end, CYG_H1_VALUE);
}

static inline const char *cyg_h1_scan_target_simd(const char *p, const char *end) {
    for (; end - p >= 16; p += 16) {
        uint64_t odd = cyg_h1_odd_target(p);
        if (odd) return p + __builtin_ctzll(odd) / CYG_H1_LANE;
    }
    return cyg_h1_scan_table(p, end, CYG_H1_TARGET);
}

/* The usual bytes sixteen at a time; the rare ones, and whether it ends there, are the table's. */
static inline const char *cyg_h1_scan_name_simd(const char *p, const char *end) {
    for (; end - p >= 16; p += 16) {
        uint64_t odd = cyg_h1_odd_name(p);
        if (odd) {
            p += __builtin_ctzll(odd) / CYG_H1_LANE;
            break;
        }
    }
    return cyg_h1_scan_table(p, end, CYG_H1_TOKEN);
}
#define cyg_h1_scan_value cyg_h1_scan_value_simd
#define cyg_h1_scan_target cyg_h1_scan_target_simd
#define cyg_h1_scan_name cyg_h1_scan_name_simd
#else
#define cyg_h1_scan_value cyg_h1_scan_value_swar
#define cyg_h1_scan_target cyg_h1_scan_target_swar
#define cyg_h1_scan_name cyg_h1_scan_name_swar
#endif

#endif
