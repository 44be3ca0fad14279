/* date.c: the Date field, made once a second for all. The line is valid until a point of the monotonic clock, so a request
 * compares the cached clock and copies 37 bytes. A sequence lock guards it; who finds it being rewritten makes its own.
 */
#include "http/internal.h"

#define WORDS 5 /* 40 bytes hold the line */

static struct {
    _Alignas(HTTP_CACHE_LINE) uint32_t seq; /* atomic: odd while the rest is written */
    cyg_time until;                         /* atomic, relaxed: guarded by seq */
    uint64_t line[WORDS];                   /* the same */
} cache;

static void format(char out[WORDS * 8], int64_t unix_ns) {
    memcpy(out, "Date: ", 6);
    cyg_h1_date(out + 6, unix_ns / 1000000000);
    memcpy(out + 35, "\r\n\0\0\0", 5);
}

static CYG_COLD void refresh(cyg_time now, char out[WORDS * 8]) {
    int64_t unix_ns = cyg_unix_nano();
    uint64_t line[WORDS];
    format(out, unix_ns);
    memcpy(line, out, sizeof line);
    uint32_t seq = __atomic_load_n(&cache.seq, __ATOMIC_RELAXED);
    if ((seq & 1) || !__atomic_compare_exchange_n(&cache.seq, &seq, seq + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return; /* somebody else is at it */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&cache.until, now + (1000000000 - unix_ns % 1000000000), __ATOMIC_RELAXED);
    for (int i = 0; i < WORDS; i++) __atomic_store_n(&cache.line[i], line[i], __ATOMIC_RELAXED);
    __atomic_store_n(&cache.seq, seq + 2, __ATOMIC_RELEASE);
}

void http_put_date(struct cyg_h1_out *o) {
    char *to = o->p + o->n;
    if (CYG_UNLIKELY(o->cap - o->n < WORDS * 8)) {
        o->full = true;
        return;
    }
    o->n += HTTP_DATE_BYTES;
    cyg_time now = cygrt_now_cached();
    uint32_t seq = __atomic_load_n(&cache.seq, __ATOMIC_ACQUIRE);
    cyg_time until = __atomic_load_n(&cache.until, __ATOMIC_RELAXED);
    for (int i = 0; i < WORDS; i++) {
        uint64_t word = __atomic_load_n(&cache.line[i], __ATOMIC_RELAXED);
        memcpy(to + i * 8, &word, 8);
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    bool torn = (seq & 1) || seq != __atomic_load_n(&cache.seq, __ATOMIC_RELAXED);
    if (CYG_UNLIKELY(torn || now >= until)) refresh(now, to);
}
