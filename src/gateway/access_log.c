/* access_log.c: makes the access log's line. Straight-line code that writes through one pointer: every value has a budget of
 * bytes, escapes included, and the budgets and keys together fit the line (asserted below), so nothing is checked on the way.
 */
#include "gateway/access_log.h"

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
    MARK = sizeof("\"...[+18446744073709551615]\""), /* that of a cut, and the quotes */
    ALL_KEYS = 512,                                  /* the literals of the line */
    ALL_NUMBERS = 128,                               /* and its numbers and time */
};
_Static_assert(ALL_TEXT + 16 * MARK + ALL_KEYS + ALL_NUMBERS <= CYG_GW_ACCESS_LINE_MAX, "the budgets exceed the line");
_Static_assert(3 * (MAX_NAME + MARK) + 64 <= CYG_GW_ACCESS_RUN_MAX, "three names with their keys exceed a run");

#define PUT(w, literal) (memcpy((w), "" literal, sizeof(literal) - 1), (w) + sizeof(literal) - 1)

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

static const char pairs[] =
    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
    "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

static inline char *put_2(char *w, unsigned v) { return memcpy(w, pairs + 2 * (size_t)v, 2), w + 2; }

static inline char *put_3(char *w, unsigned v) {
    *w = (char)('0' + v / 100);
    return put_2(w + 1, v % 100);
}

static char *put_thousands(char *w, uint64_t v);

/* Out of line, as put_ms: the code for a line's six numbers is then one piece, not six that are loaded one by one. */
static __attribute__((noinline)) char *put_uint(char *w, uint64_t v) {
    if (v < 10) return *w = (char)('0' + v), w + 1;
    if (v < 100) return put_2(w, (unsigned)v);
    if (v < 1000) return put_3(w, (unsigned)v);
    return put_thousands(w, v);
}

static __attribute__((noinline)) char *put_thousands(char *w, uint64_t v) {
    return put_3(put_uint(w, v / 1000), (unsigned)(v % 1000));
}

static __attribute__((noinline)) char *put_ms(char *w, int64_t ns) {
    return put_uint(w, ns > 0 ? (uint64_t)ns / 1000000 : 0);
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

typedef int8_t bytes16 __attribute__((vector_size(16)));
typedef uint8_t unsigned16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

/* Which of 16 bytes may stand in a JSON string as they are: not quote, backslash, control bytes, DEL, and what is not ASCII, which is
 * looked at more closely. With 1 added, and as signed numbers, the last three are not above the space. */
static inline words2 plain(words2 v) {
    bytes16 moved = (bytes16)((unsigned16)v + 1);
    return (words2)(moved > ' ') & ~((words2)((bytes16)v == '"') | (words2)((bytes16)v == '\\'));
}

static inline bool all(words2 yes) { return (yes[0] & yes[1]) == UINT64_MAX; }

static inline words2 load16(const char *p) {
    words2 v;
    memcpy(&v, p, 16);
    return v;
}

/* Less than 16 bytes: the first and the last 8, 4 or 1 overlap, so that no byte is handled alone. */
static inline bool copy_few(char *w, const char *p, size_t n) {
    uint64_t a, b;
    if (n >= 8) {
        memcpy(&a, p, 8);
        memcpy(&b, p + n - 8, 8);
        memcpy(w, &a, 8);
        memcpy(w + n - 8, &b, 8);
        return all(plain((words2){a, b}));
    }
    if (n >= 4) {
        uint32_t first, last;
        memcpy(&first, p, 4);
        memcpy(&last, p + n - 4, 4);
        memcpy(w, &first, 4);
        memcpy(w + n - 4, &last, 4);
        a = (uint64_t)first << 32 | last;
    } else {
        unsigned char first = (unsigned char)p[0], middle = (unsigned char)p[n / 2], last = (unsigned char)p[n - 1];
        w[0] = (char)first;
        w[n / 2] = (char)middle;
        w[n - 1] = (char)last;
        a = 0x2020202020000000 | (uint64_t)first << 16 | (uint64_t)middle << 8 | last;
    }
    return all(plain((words2){a, a}));
}

/* Copies n bytes, at least one. Returns: whether all of them may stand in a JSON string as they are. */
static inline bool copy_plain(char *w, const char *p, size_t n) {
    if (n < 16) return copy_few(w, p, n);
    words2 v = load16(p + n - 16), yes = plain(v);
    memcpy(w + n - 16, &v, 16);
    for (size_t i = 0; i + 16 < n; i += 16) {
        v = load16(p + i);
        yes &= plain(v);
        memcpy(w + i, &v, 16);
    }
    return all(yes);
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

/* A text that is not plain or exceeds its budget, and its closing quote: what is plain at its beginning, then character by
 * character, then the mark. The character that no longer fits has been written too, where the mark goes. */
static __attribute__((noinline)) char *put_odd(char *w, const char *text, size_t n, size_t budget) {
    const unsigned char *p = (const unsigned char *)text;
    for (; n >= 16 && budget >= 16 && copy_plain(w, (const char *)p, 16); w += 16, p += 16) n -= 16, budget -= 16;
    while (n > 0) {
        size_t used, length = put_character(w, p, n, &used);
        if (length > budget) break;
        w += length;
        budget -= length;
        p += used;
        n -= used;
    }
    if (n > 0) {
        w = PUT(w, "...[+");
        w = put_uint(w, n);
        w = PUT(w, "]");
    }
    return PUT(w, "\"");
}

static char *put_text(char *w, cyg_str s, size_t budget) {
    if (s.n == 0) return PUT(w, "null");
    w = PUT(w, "\"");
    if (CYG_UNLIKELY(s.n > budget || !copy_plain(w, s.p, s.n))) return put_odd(w, s.p, s.n, budget);
    w[s.n] = '"';
    return w + s.n + 1;
}

/* ---- fields made ahead ------------------------------------------------------------------------------------------ */

static cyg_str seal(struct cyg_gw_access_run *run, const char *end) {
    run->n = (size_t)(end - run->text);
    return cyg_gw_access_run_text(run);
}

cyg_str cyg_gw_access_outcome(struct cyg_gw_access_run *run, cyg_str flags, cyg_str details) {
    char *w = PUT(run->text, ",\"response_flags\":");
    w = put_text(w, flags.n > 0 ? flags : CYG_STR("-"), MAX_FLAGS);
    w = PUT(w, ",\"response_code_details\":");
    return seal(run, put_text(w, details, MAX_NAME));
}

cyg_str cyg_gw_access_upstream(struct cyg_gw_access_run *run, cyg_str host, cyg_str cluster) {
    char *w = PUT(run->text, ",\"upstream_host\":");
    w = put_text(w, host, MAX_ADDRESS);
    w = PUT(w, ",\"upstream_cluster\":");
    return seal(run, put_text(w, cluster, MAX_NAME));
}

cyg_str cyg_gw_access_local(struct cyg_gw_access_run *run, cyg_str address) {
    char *w = PUT(run->text, ",\"downstream_local_address\":");
    return seal(run, put_text(w, address, MAX_ADDRESS));
}

cyg_str cyg_gw_access_configured(struct cyg_gw_access_run *run, cyg_str route, cyg_str listener, cyg_str version) {
    char *w = PUT(run->text, ",\"route_name\":");
    w = put_text(w, route, MAX_NAME);
    w = PUT(w, ",\"listener\":");
    w = put_text(w, listener, MAX_NAME);
    w = PUT(w, ",\"config_version\":");
    return seal(run, put_text(w, version, MAX_NAME));
}

/* ---- the line --------------------------------------------------------------------------------------------------- */

/* A run, or what stands there when there is none. */
static inline char *put_run(char *w, cyg_str run, cyg_str without) {
    if (CYG_UNLIKELY(run.n == 0)) run = without;
    memcpy(w, run.p, run.n);
    return w + run.n;
}

static inline char *put_request(char *w, const struct cyg_gw_access *a, struct cyg_gw_second *second) {
    w = PUT(w, "{\"start_time\":\"");
    w = cyg_gw_second_put(second, a->start, w);
    w = PUT(w, "\",\"method\":");
    w = put_text(w, a->method, MAX_METHOD);
    w = PUT(w, ",\"path\":");
    w = put_text(w, a->path, MAX_PATH);
    return put_run(w, a->protocol, CYG_STR(",\"protocol\":null"));
}

static inline char *put_outcome(char *w, const struct cyg_gw_access *a) {
    w = PUT(w, ",\"response_code\":");
    w = put_uint(w, a->response_code > 0 ? (uint64_t)a->response_code : 0);
    w = put_run(w, a->outcome, CYG_STR(",\"response_flags\":\"-\",\"response_code_details\":null"));
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
    w = put_run(w, a->upstream, CYG_STR(",\"upstream_host\":null,\"upstream_cluster\":null"));
    w = put_run(w, a->local, CYG_STR(",\"downstream_local_address\":null"));
    w = PUT(w, ",\"downstream_remote_address\":");
    w = put_text(w, a->downstream_remote_address, MAX_ADDRESS);
    w = put_run(w, a->configured, CYG_STR(",\"route_name\":null,\"listener\":null,\"config_version\":null"));
    w = PUT(w, ",\"upstream_request_attempt_count\":");
    w = put_uint(w, a->upstream_request_attempt_count);
    return PUT(w, "}\n");
}

size_t cyg_gw_access_format(const struct cyg_gw_access *a, struct cyg_gw_second *second, char out[CYG_GW_ACCESS_LINE_MAX]) {
    char *w = put_request(out, a, second);
    w = put_outcome(w, a);
    w = put_client(w, a);
    w = put_way(w, a);
    return (size_t)(w - out);
}

/* The log has no room for the longest line; there may be some for this one. */
static __attribute__((noinline)) bool write_copy(struct cyg_gw_log_file *log, const struct cyg_gw_access *a) {
    char line[CYG_GW_ACCESS_LINE_MAX];
    return cyg_linelog_write(log->lines, line, cyg_gw_access_format(a, &log->second, line));
}

bool cyg_gw_access_write(struct cyg_gw_log_file *log, const struct cyg_gw_access *a) {
    cyg_linelog_room room;
    char *place = cyg_linelog_begin(log->lines, CYG_GW_ACCESS_LINE_MAX, &room);
    if (CYG_LIKELY(place != NULL)) {
        cyg_linelog_end(log->lines, &room, cyg_gw_access_format(a, &log->second, place));
        return true;
    }
    return write_copy(log, a);
}
