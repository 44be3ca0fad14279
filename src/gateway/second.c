/* second.c: see second.h. A sequence lock guards the text; who finds it being written, or of another second than his, makes his
 * own from both clocks.
 */
#include "gateway/second.h"

#include <string.h>
#include <time.h>

#define AT_FRACTION 19 /* where the dot stands */

/* Up to the second, of seconds since 1970. */
static void put_calendar(char w[AT_FRACTION], int64_t seconds) {
    char text[AT_FRACTION + 1];
    time_t at = (time_t)seconds;
    struct tm tm;
    gmtime_r(&at, &tm);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    memcpy(w, text, AT_FRACTION);
}

/* The milliseconds, of a time into its second. Returns: behind the text. */
static inline char *put_fraction(char *w, uint32_t ns) {
    uint32_t ms = ns / 1000000;
    *w++ = '.';
    *w++ = (char)('0' + ms / 100);
    *w++ = (char)('0' + ms / 10 % 10);
    *w++ = (char)('0' + ms % 10);
    *w++ = 'Z';
    return w;
}

void cyg_gw_second_set(struct cyg_gw_second *s, cyg_time at, int64_t unix_ns) {
    char text[sizeof s->text] = {0};
    uint64_t words[3];
    if (unix_ns < 0) unix_ns = 0;
    put_calendar(text, unix_ns / CYG_SECOND);
    memcpy(words, text, sizeof words);
    uint32_t seq = __atomic_load_n(&s->seq, __ATOMIC_RELAXED);
    if ((seq & 1) || !__atomic_compare_exchange_n(&s->seq, &seq, seq + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&s->end, at + CYG_SECOND - unix_ns % CYG_SECOND, __ATOMIC_RELAXED);
    for (int i = 0; i < 3; i++) __atomic_store_n(&s->text[i], words[i], __ATOMIC_RELAXED);
    __atomic_store_n(&s->seq, seq + 2, __ATOMIC_RELEASE);
}

static __attribute__((noinline)) char *put_by_clocks(struct cyg_gw_second *s, cyg_time t, char *w) {
    cyg_time now = cyg_now();
    int64_t unix_ns = cyg_unix_nano();
    if (now >= __atomic_load_n(&s->end, __ATOMIC_RELAXED)) cyg_gw_second_set(s, now, unix_ns);
    cyg_duration ago;
    if (__builtin_sub_overflow(now, t, &ago) || __builtin_sub_overflow(unix_ns, ago, &unix_ns) || unix_ns < 0)
        unix_ns = 0;
    put_calendar(w, unix_ns / CYG_SECOND);
    return put_fraction(w + AT_FRACTION, (uint32_t)(unix_ns % CYG_SECOND));
}

char *cyg_gw_second_put(struct cyg_gw_second *s, cyg_time t, char *w) {
    uint32_t seq = __atomic_load_n(&s->seq, __ATOMIC_ACQUIRE);
    cyg_time end = __atomic_load_n(&s->end, __ATOMIC_RELAXED);
    uint64_t text[3];
    for (int i = 0; i < 3; i++) text[i] = __atomic_load_n(&s->text[i], __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    bool torn = CYG_UNLIKELY(seq & 1) || CYG_UNLIKELY(seq != __atomic_load_n(&s->seq, __ATOMIC_RELAXED));
    uint64_t left = (uint64_t)end - (uint64_t)t; /* of the second; huge when it is over */
    if (CYG_UNLIKELY(torn || left - 1 >= CYG_SECOND)) return put_by_clocks(s, t, w);
    memcpy(w, text, sizeof text);
    return put_fraction(w + AT_FRACTION, (uint32_t)(CYG_SECOND - left));
}
