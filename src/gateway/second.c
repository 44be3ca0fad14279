/* second.c: see second.h. A sequence lock guards the text; who finds it being written, or of another second than his, makes his
 * own from both clocks.
 */
#include "gateway/second.h"

#include <string.h>

#define AT_FRACTION 19 /* where the dot stands */

static char *put_2(char *w, uint32_t v) {
    *w++ = (char)('0' + v / 10);
    *w++ = (char)('0' + v % 10);
    return w;
}

/* Up to the second, of seconds since 1970. The calendar is counted in 400-year eras of years that begin in March, so that the leap day comes last. */
static void put_calendar(char *w, uint64_t seconds) {
    uint32_t second = (uint32_t)(seconds % 86400), day = (uint32_t)(seconds / 86400) + 719468; /* since 0000-03-01 */
    uint32_t era = day / 146097, of_era = day % 146097;
    uint32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint32_t of_year = of_era - (365 * year + year / 4 - year / 100);
    uint32_t shifted = (5 * of_year + 2) / 153; /* month, March being 0 */
    uint32_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    year += 400 * era + (month <= 2);
    w = put_2(w, year / 100);
    w = put_2(w, year % 100);
    *w++ = '-';
    w = put_2(w, month);
    *w++ = '-';
    w = put_2(w, of_year - (153 * shifted + 2) / 5 + 1);
    *w++ = 'T';
    w = put_2(w, second / 3600);
    *w++ = ':';
    w = put_2(w, second / 60 % 60);
    *w++ = ':';
    put_2(w, second % 60);
}

/* The milliseconds, of a time into its second. Returns: behind the text. */
static inline char *put_fraction(char *w, uint32_t ns) {
    uint32_t ms = ns / 1000000;
    *w++ = '.';
    *w++ = (char)('0' + ms / 100);
    w = put_2(w, ms % 100);
    *w++ = 'Z';
    return w;
}

void cyg_gw_second_set(struct cyg_gw_second *s, cyg_time at, int64_t unix_ns) {
    char text[sizeof s->text] = {0};
    uint64_t words[3];
    if (unix_ns < 0) unix_ns = 0;
    put_calendar(text, (uint64_t)unix_ns / CYG_SECOND);
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
    if (__builtin_sub_overflow(now, t, &ago) || __builtin_sub_overflow(unix_ns, ago, &unix_ns) || unix_ns < 0) unix_ns = 0;
    put_calendar(w, (uint64_t)unix_ns / CYG_SECOND);
    return put_fraction(w + AT_FRACTION, (uint32_t)(unix_ns % CYG_SECOND));
}

char *cyg_gw_second_put(struct cyg_gw_second *s, cyg_time t, char *w) {
    uint32_t seq = __atomic_load_n(&s->seq, __ATOMIC_ACQUIRE);
    cyg_time end = __atomic_load_n(&s->end, __ATOMIC_RELAXED);
    uint64_t text[3];
    for (int i = 0; i < 3; i++) text[i] = __atomic_load_n(&s->text[i], __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    bool torn = (seq & 1) || seq != __atomic_load_n(&s->seq, __ATOMIC_RELAXED);
    uint64_t left = (uint64_t)end - (uint64_t)t; /* of the second; huge when it is over */
    if (__builtin_expect(torn || left - 1 >= CYG_SECOND, 0)) return put_by_clocks(s, t, w);
    memcpy(w, text, sizeof text);
    return put_fraction(w + AT_FRACTION, (uint32_t)(CYG_SECOND - left));
}
