/* access_log.c: makes the access log's line. Straight-line code that writes through one pointer: every value has a budget of
 * bytes, escapes included, and the budgets and keys together fit the line (asserted below), so nothing is checked on the way.
 */
#include "access_log.h"

/* The most bytes a value may take between its quotes, the mark of a cut not counted. */
enum {
    MAX_METHOD = 32,
    MAX_PATH = 1024,
    MAX_PROTOCOL = 16,
    MAX_FLAGS = 32,
    MAX_XFF = 256,
    MAX_USER_AGENT = 320,
    MAX_REQUEST_ID = 128,
    MAX_AUTHORITY = 256,
    MAX_ADDRESS = 112, /* upstream_host and the downstream's two: a Unix socket's path fits */
    MAX_NAME = 96,     /* details, cluster, route, listener, version */
    ALL_TEXT = MAX_METHOD + MAX_PATH + MAX_PROTOCOL + MAX_FLAGS + MAX_XFF + MAX_USER_AGENT + MAX_REQUEST_ID +
               MAX_AUTHORITY + 3 * MAX_ADDRESS + 5 * MAX_NAME,
    ALL_MARKS = 16 * (int)sizeof("\"...[+18446744073709551615]\""),
    ALL_KEYS = 512,    /* the literals of the line */
    ALL_NUMBERS = 128, /* and its numbers and time */
};
_Static_assert(ALL_TEXT + ALL_MARKS + ALL_KEYS + ALL_NUMBERS <= CYG_GW_ACCESS_LINE_MAX, "the budgets exceed the line");

#define PUT(w, literal) (memcpy((w), "" literal, sizeof(literal) - 1), (w) + sizeof(literal) - 1)

/* ---- numbers and time ------------------------------------------------------------------------------------------- */

static const char pairs[] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
    "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

static inline char *put_2(char *w, unsigned v) { return memcpy(w, pairs + 2 * (size_t)v, 2), w + 2; }

static inline char *put_uint(char *w, uint64_t v) {
    char digits[20], *d = digits + sizeof digits;
    for (; v >= 100; v /= 100) put_2(d -= 2, (unsigned)(v % 100));
    if (v >= 10)
        put_2(d -= 2, (unsigned)v);
    else
        *--d = (char)('0' + v);
    size_t n = (size_t)(digits + sizeof digits - d);
    memcpy(w, d, n);
    return w + n;
}

static inline char *put_ms(char *w, int64_t ns) { return put_uint(w, ns > 0 ? (uint64_t)ns / 1000000 : 0); }

/* "2026-11-23T09:30:00.125Z". Making it anew costs less than a cache of the second that all threads share would. The
 * calendar is counted in 400-year eras of years that begin in March, so that the leap day comes last. */
static inline char *put_time(char *w, int64_t unix_ns) {
    uint64_t ms = unix_ns > 0 ? (uint64_t)unix_ns / 1000000 : 0, seconds = ms / 1000;
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
    w = put_2(w, second % 60);
    *w++ = '.';
    uint32_t fraction = (uint32_t)(ms % 1000);
    *w++ = (char)('0' + fraction / 100);
    w = put_2(w, fraction % 100);
    *w++ = 'Z';
    return w;
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

typedef int8_t bytes16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

/* Whether one of 16 bytes may not stand in a JSON string as it is: control bytes, DEL, quote, backslash, and all that is not
 * ASCII, which is looked at more closely. As signed numbers the last are below the space too. */
static inline bool any_special(bytes16 v) {
    words2 hit = (words2)((v < 0x20) | (v == '"') | (v == '\\') | (v == 0x7f));
    return (hit[0] | hit[1]) != 0;
}

/* Copies bytes up to the first 16 (or fewer, at the end) among which one is special. Returns: how many. Each step stores only
 * what it has checked; the last step overlaps the one before, so that no byte is handled alone but in the shortest. */
static inline size_t put_plain(char *w, const char *p, size_t n) {
    bytes16 v;
    size_t i = 0;
    if (n >= 16) {
        for (; i + 16 <= n; i += 16) {
            memcpy(&v, p + i, 16);
            if (any_special(v)) return i;
            memcpy(w + i, &v, 16);
        }
        memcpy(&v, p + n - 16, 16);
        if (any_special(v)) return i;
        memcpy(w + n - 16, &v, 16);
        return n;
    }
    if (n >= 8) {
        uint64_t half[2];
        memcpy(&half[0], p, 8);
        memcpy(&half[1], p + n - 8, 8);
        memcpy(&v, half, 16);
        if (any_special(v)) return 0;
        memcpy(w, &half[0], 8);
        memcpy(w + n - 8, &half[1], 8);
        return n;
    }
    if (n >= 4) {
        uint32_t quarter[4];
        memcpy(&quarter[0], p, 4);
        memcpy(&quarter[1], p + n - 4, 4);
        quarter[2] = quarter[3] = quarter[0];
        memcpy(&v, quarter, 16);
        if (any_special(v)) return 0;
        memcpy(w, &quarter[0], 4);
        memcpy(w + n - 4, &quarter[1], 4);
        return n;
    }
    for (; i < n; i++) {
        if ((int8_t)p[i] < 0x20 || p[i] == '"' || p[i] == '\\' || p[i] == 0x7f) return i;
        w[i] = p[i];
    }
    return n;
}

/* How many bytes a well-formed character that is not ASCII takes at p; 0: it is none. Source: RFC 3629 section 4. */
static size_t utf8_length(const unsigned char *p, size_t n) {
    unsigned char low = 0x80, high = 0xbf; /* bounds of the second byte */
    size_t length;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        length = 2;
    else if (p[0] >= 0xe0 && p[0] <= 0xef)
        length = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        length = 4;
    else
        return 0;
    if (p[0] == 0xe0) low = 0xa0;
    if (p[0] == 0xed) high = 0x9f;
    if (p[0] == 0xf0) low = 0x90;
    if (p[0] == 0xf4) high = 0x8f;
    if (n < length || p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < length; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf) return 0;
    }
    return length;
}

/* Writes the character that text begins with as it stands in the line, at most 6 bytes. Returns: how many; *used is how many
 * bytes of the text it was. */
static inline size_t put_character(char *w, const unsigned char *p, size_t n, size_t *used) {
    static const char hex[] = "0123456789abcdef";
    unsigned char c = p[0];
    *used = 1;
    if (c >= 0x20 && c < 0x7f) {
        w[0] = '\\';
        bool escaped = c == '"' || c == '\\';
        w[escaped] = (char)c;
        return 1 + (size_t)escaped;
    }
    size_t length = c < 0x80 ? 0 : utf8_length(p, n);
    if (length == 2 && c == 0xc2 && p[1] < 0xa0) { /* a control character of two bytes, which a terminal may obey */
        c = p[1];
        *used = 2;
        length = 0;
    }
    if (length > 0) {
        memcpy(w, p, length);
        return *used = length;
    }
    memcpy(w, "\\u00", 4);
    w[4] = hex[c >> 4];
    w[5] = hex[c & 15];
    return 6;
}

/* The part of a text from the first byte that is special or over the budget: character by character, then the mark. The
 * character that no longer fits has been written too, where the mark goes. */
static __attribute__((noinline)) char *put_rest(char *w, const char *text, size_t n, size_t budget) {
    const unsigned char *p = (const unsigned char *)text;
    while (n > 0) {
        size_t used, length = put_character(w, p, n, &used);
        if (length > budget) break;
        w += length;
        budget -= length;
        p += used;
        n -= used;
    }
    if (n == 0) return w;
    w = PUT(w, "...[+");
    w = put_uint(w, n);
    *w++ = ']';
    return w;
}

static inline char *put_text(char *w, cyg_str s, size_t budget) {
    if (s.n == 0) return PUT(w, "null");
    *w++ = '"';
    size_t plain = put_plain(w, s.p, s.n <= budget ? s.n : budget);
    w += plain;
    if (__builtin_expect(plain < s.n, 0)) w = put_rest(w, s.p + plain, s.n - plain, budget - plain);
    *w++ = '"';
    return w;
}

/* ---- the line --------------------------------------------------------------------------------------------------- */

static inline char *put_request(char *w, const struct cyg_gw_access *a) {
    w = PUT(w, "{\"start_time\":\"");
    w = put_time(w, a->start_unix_ns);
    w = PUT(w, "\",\"method\":");
    w = put_text(w, a->method, MAX_METHOD);
    w = PUT(w, ",\"path\":");
    w = put_text(w, a->path, MAX_PATH);
    w = PUT(w, ",\"protocol\":");
    return put_text(w, a->protocol, MAX_PROTOCOL);
}

static inline char *put_outcome(char *w, const struct cyg_gw_access *a) {
    w = PUT(w, ",\"response_code\":");
    w = put_uint(w, a->response_code > 0 ? (uint64_t)a->response_code : 0);
    w = PUT(w, ",\"response_flags\":");
    w = put_text(w, a->response_flags.n > 0 ? a->response_flags : CYG_STR("-"), MAX_FLAGS);
    w = PUT(w, ",\"response_code_details\":");
    w = put_text(w, a->response_code_details, MAX_NAME);
    w = PUT(w, ",\"bytes_received\":");
    w = put_uint(w, a->bytes_received);
    w = PUT(w, ",\"bytes_sent\":");
    w = put_uint(w, a->bytes_sent);
    w = PUT(w, ",\"duration\":");
    w = put_ms(w, a->duration_ns);
    if (a->upstream_request_attempt_count == 0 || a->upstream_service_ns < 0)
        return PUT(w, ",\"upstream_service_time\":null");
    w = PUT(w, ",\"upstream_service_time\":\""); /* text, because in Envoy it is a field's value */
    w = put_ms(w, a->upstream_service_ns);
    return PUT(w, "\"");
}

static inline char *put_client(char *w, const struct cyg_gw_access *a) {
    w = PUT(w, ",\"x_forwarded_for\":");
    w = put_text(w, a->x_forwarded_for, MAX_XFF);
    w = PUT(w, ",\"user_agent\":");
    w = put_text(w, a->user_agent, MAX_USER_AGENT);
    w = PUT(w, ",\"request_id\":");
    w = put_text(w, a->request_id, MAX_REQUEST_ID);
    w = PUT(w, ",\"authority\":");
    return put_text(w, a->authority, MAX_AUTHORITY);
}

static inline char *put_way(char *w, const struct cyg_gw_access *a) {
    w = PUT(w, ",\"upstream_host\":");
    w = put_text(w, a->upstream_host, MAX_ADDRESS);
    w = PUT(w, ",\"upstream_cluster\":");
    w = put_text(w, a->upstream_cluster, MAX_NAME);
    w = PUT(w, ",\"downstream_local_address\":");
    w = put_text(w, a->downstream_local_address, MAX_ADDRESS);
    w = PUT(w, ",\"downstream_remote_address\":");
    w = put_text(w, a->downstream_remote_address, MAX_ADDRESS);
    w = PUT(w, ",\"route_name\":");
    w = put_text(w, a->route_name, MAX_NAME);
    w = PUT(w, ",\"listener\":");
    w = put_text(w, a->listener, MAX_NAME);
    w = PUT(w, ",\"config_version\":");
    w = put_text(w, a->config_version, MAX_NAME);
    w = PUT(w, ",\"upstream_request_attempt_count\":");
    w = put_uint(w, a->upstream_request_attempt_count);
    return PUT(w, "}\n");
}

size_t cyg_gw_access_format(const struct cyg_gw_access *a, char out[CYG_GW_ACCESS_LINE_MAX]) {
    char *w = put_request(out, a);
    w = put_outcome(w, a);
    w = put_client(w, a);
    w = put_way(w, a);
    return (size_t)(w - out);
}

/* The log has no room for the longest line; there may be some for this one. */
static __attribute__((noinline)) bool write_copy(cyg_linelog *log, const struct cyg_gw_access *a) {
    char line[CYG_GW_ACCESS_LINE_MAX];
    return cyg_linelog_write(log, line, cyg_gw_access_format(a, line));
}

bool cyg_gw_access_write(cyg_linelog *log, const struct cyg_gw_access *a) {
    cyg_linelog_room room;
    char *place = cyg_linelog_begin(log, CYG_GW_ACCESS_LINE_MAX, &room);
    if (__builtin_expect(place != NULL, 1)) {
        cyg_linelog_end(log, &room, cyg_gw_access_format(a, place));
        return true;
    }
    return write_copy(log, a);
}
