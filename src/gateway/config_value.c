/* config_value.c: durations, sizes, counts, names. Whatever could be read in two ways is refused. */
#include "gateway/config_value.h"

#include <stdio.h>

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* Digits from *i on. Returns: false if there are none, or too many for an int64_t. */
static bool read_digits(cyg_str s, size_t *i, int64_t *out) {
    size_t begin = *i;
    int64_t v = 0;
    for (; *i < s.n && is_digit(s.p[*i]); ++*i)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s.p[*i] - '0', &v)) return false;
    *out = v;
    return *i > begin;
}

static const struct unit {
    const char *name;
    int64_t ns;
} units[] = {{"h", CYG_HOUR}, {"m", CYG_MINUTE}, {"s", CYG_SECOND}, {"ms", CYG_MILLISECOND}, {"us", CYG_MICROSECOND}};
#define UNITS (sizeof units / sizeof *units)

/* The unit at *i, which must come after unit number *last. */
static const struct unit *read_unit(cyg_str s, size_t *i, size_t *last) {
    size_t begin = *i;
    while (*i < s.n && is_letter(s.p[*i])) ++*i;
    cyg_str word = {s.p + begin, *i - begin};
    for (size_t u = *last; u < UNITS; u++) {
        if (!cyg_str_eq(word, cyg_str_of(units[u].name))) continue;
        *last = u + 1;
        return &units[u];
    }
    return NULL;
}

/* "5" of "1.5s": what its digits are worth in a unit; digits finer than a nanosecond are refused. */
static bool read_fraction(cyg_str s, size_t *i, int64_t *numerator, int64_t *denominator) {
    size_t begin = *i;
    if (!read_digits(s, i, numerator) || *i - begin > 9) return false;
    *denominator = 1;
    for (size_t d = begin; d < *i; d++) *denominator *= 10;
    return true;
}

bool cyg_gw_read_duration(cyg_str s, int64_t *out) {
    int64_t total = 0;
    size_t last = 0;
    for (size_t i = 0; i < s.n || i == 0;) {
        int64_t whole = 0, numerator = 0, denominator = 1;
        if (!read_digits(s, &i, &whole)) return false;
        if (i < s.n && s.p[i] == '.' && (i++, !read_fraction(s, &i, &numerator, &denominator))) return false;
        const struct unit *u = read_unit(s, &i, &last);
        if (!u || __builtin_mul_overflow(whole, u->ns, &whole)) return false;
        __int128 part = (__int128)numerator * u->ns;
        if (part % denominator) return false;
        if (__builtin_add_overflow(total, whole, &total) ||
            __builtin_add_overflow(total, (int64_t)(part / denominator), &total))
            return false;
    }
    *out = total;
    return true;
}

bool cyg_gw_read_count(cyg_str s, int64_t *out) {
    int64_t v = 0;
    size_t i = 0;
    if (!read_digits(s, &i, &v) || i != s.n) return false;
    if (s.n > 1 && s.p[0] == '0') return false; /* 0100 is 64 to some readers of YAML */
    *out = v;
    return true;
}

bool cyg_gw_read_size(cyg_str s, int64_t *out) {
    static const struct {
        const char *name;
        int64_t bytes;
    } sizes[] = {{"B", 1},           {"KB", 1000},       {"MB", 1000000},   {"GB", 1000000000},
                 {"KiB", 1LL << 10}, {"MiB", 1LL << 20}, {"GiB", 1LL << 30}};
    size_t digits = 0;
    while (digits < s.n && is_digit(s.p[digits])) digits++;
    int64_t v = 0;
    if (!cyg_gw_read_count((cyg_str){s.p, digits}, &v)) return false;
    cyg_str unit = {s.p + digits, s.n - digits};
    for (size_t i = 0; unit.n && i < sizeof sizes / sizeof *sizes; i++) {
        if (!cyg_str_eq(unit, cyg_str_of(sizes[i].name))) continue;
        if (__builtin_mul_overflow(v, sizes[i].bytes, &v)) return false;
        unit.n = 0;
    }
    if (unit.n) return false;
    *out = v;
    return true;
}

const char *cyg_gw_format_duration(char out[CYG_GW_NUMBER], int64_t ns) {
    size_t n = 0;
    out[0] = '\0';
    for (size_t u = 0; u < UNITS; u++) {
        if (ns < units[u].ns) continue;
        n += (size_t)snprintf(out + n, CYG_GW_NUMBER - n, "%lld%s", (long long)(ns / units[u].ns), units[u].name);
        ns %= units[u].ns;
    }
    if (n == 0) snprintf(out, CYG_GW_NUMBER, "0s");
    return out;
}

const char *cyg_gw_format_size(char out[CYG_GW_NUMBER], int64_t bytes) {
    static const char *const names[] = {"", "KiB", "MiB", "GiB"};
    size_t u = 0;
    while (u < 3 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        u++;
    }
    snprintf(out, CYG_GW_NUMBER, "%lld%s", (long long)bytes, names[u]);
    return out;
}

/* Letters, digits and the given others, beginning with a letter or digit. */
static bool is_word(cyg_str s, const char *others) {
    for (size_t i = 0; i < s.n; i++) {
        bool ok = is_letter(s.p[i]) || is_digit(s.p[i]) || (i > 0 && s.p[i] && strchr(others, s.p[i]));
        if (!ok) return false;
    }
    return s.n > 0;
}
bool cyg_gw_name_ok(cyg_str s) { return is_word(s, "_.-"); }
bool cyg_gw_version_ok(cyg_str s) { return is_word(s, "._:+/@-"); }
