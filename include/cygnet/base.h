/* base.h: the few types and macros that every other header uses. Nothing here allocates, blocks or keeps state.
 *
 *     cyg_str host = CYG_STR("example.com");
 *     if (cyg_str_eq(host, name)) printf("host " CYG_STR_FMT "\n", CYG_STR_ARG(host));
 */
#ifndef CYGNET_BASE_H
#define CYGNET_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#define CYG_VERSION_MAJOR 0
#define CYG_VERSION_MINOR 1
#define CYG_VERSION_PATCH 0
#define CYG_VERSION "0.1.0"

#define CYG_API __attribute__((visibility("default")))
#define CYG_NODISCARD __attribute__((warn_unused_result))
#define CYG_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* The way a condition nearly always goes, and a function for what nearly never happens: the other way's code is kept apart. */
#define CYG_LIKELY(x) __builtin_expect(!!(x), 1)
#define CYG_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define CYG_COLD __attribute__((cold, noinline))

#ifdef __cplusplus
#define CYG_BEGIN_DECLS extern "C" {
#define CYG_END_DECLS }
#else
#define CYG_BEGIN_DECLS
#define CYG_END_DECLS
#endif

CYG_BEGIN_DECLS

/* A slice of bytes that somebody else owns; not NUL-terminated. Who hands one out says how long it lives. */
typedef struct cyg_str {
    const char *p;
    size_t n;
} cyg_str;

#ifdef __cplusplus
#define CYG_STR(literal) (cyg_str{"" literal, sizeof(literal) - 1})
#else
#define CYG_STR(literal) ((cyg_str){"" literal, sizeof(literal) - 1})
#endif
#define CYG_STR_FMT "%.*s"
#define CYG_STR_ARG(s) (int)(s).n, (s).p

/* The slice of a NUL-terminated string; of NULL, the empty slice. Blocks: never. From: anywhere. */
static inline cyg_str cyg_str_of(const char *z) {
    cyg_str s = {z, z ? strlen(z) : 0};
    return s;
}

/* Whether two slices hold the same bytes. Blocks: never. From: anywhere. */
static inline bool cyg_str_eq(cyg_str a, cyg_str b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }

/* Whether two slices are the same but for ASCII case. Blocks: never. From: anywhere. */
static inline bool cyg_str_eq_nocase(cyg_str a, cyg_str b) {
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++) {
        unsigned char x = (unsigned char)a.p[i], y = (unsigned char)b.p[i];
        if (x == y) continue;
        if ((x | 0x20) != (y | 0x20) || (x | 0x20) < 'a' || (x | 0x20) > 'z') return false;
    }
    return true;
}

CYG_END_DECLS
#endif
