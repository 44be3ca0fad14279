/* http_field.c: names to ids, codes to texts. A name's length leaves four candidates at most, so an id costs about one comparison.
 * The table is in the order of the lengths; a test holds it equal to the enum.
 */
#include <cygnet/http_field.h>

enum { LONGEST = 19 };

struct known {
    char lower[LONGEST]; /* not terminated if it is that long */
    uint8_t id;
};

#define NAME(text, id) \
    { text, CYG_HTTP_##id }

static const struct known known[] = {
    NAME("te", TE),
    NAME("via", VIA),
    NAME("host", HOST),
    NAME("date", DATE),
    NAME("cookie", COOKIE),
    NAME("expect", EXPECT),
    NAME("server", SERVER),
    NAME("upgrade", UPGRADE),
    NAME("trailer", TRAILER),
    NAME("forwarded", FORWARDED),
    NAME("connection", CONNECTION),
    NAME("user-agent", USER_AGENT),
    NAME("keep-alive", KEEP_ALIVE),
    NAME("tracestate", TRACESTATE),
    NAME("traceparent", TRACEPARENT),
    NAME("content-type", CONTENT_TYPE),
    NAME("x-request-id", X_REQUEST_ID),
    NAME("max-forwards", MAX_FORWARDS),
    NAME("authorization", AUTHORIZATION),
    NAME("content-length", CONTENT_LENGTH),
    NAME("x-forwarded-for", X_FORWARDED_FOR),
    NAME("x-forwarded-host", X_FORWARDED_HOST),
    NAME("proxy-connection", PROXY_CONNECTION),
    NAME("x-forwarded-proto", X_FORWARDED_PROTO),
    NAME("transfer-encoding", TRANSFER_ENCODING),
    NAME("proxy-authenticate", PROXY_AUTHENTICATE),
    NAME("proxy-authorization", PROXY_AUTHORIZATION),
};

enum { KNOWN = sizeof known / sizeof known[0] };

/* Where the names of a length begin in the table; they end where those of the next begin. */
static const uint8_t first_of[LONGEST + 2] = {0,  0,  0,  1,  2,  4,  4,  7,  9,  9,    10,
                                              14, 15, 18, 19, 20, 21, 23, 25, 26, KNOWN};

/* Four bytes of a name against the same of a known one, which has only small letters and '-': a capital is its letter without
 * bit 0x20, and that bit is the one above it, 0x40, moved down; the '-' has none and is asked for exactly. */
static inline uint32_t differ4(const char *name, const char *lower) {
    uint32_t x, want;
    memcpy(&x, name, 4);
    memcpy(&want, lower, 4);
    return (x | (want >> 1 & 0x20202020)) ^ want;
}

/* Both hold n bytes, at least 2; the last load overlaps the one before it. */
static inline bool same(const char *name, const char *lower, size_t n) {
    if (CYG_UNLIKELY(n < 4)) return cyg_str_eq_nocase((cyg_str){name, n}, (cyg_str){lower, n});
    uint32_t differ = differ4(name + n - 4, lower + n - 4);
    for (size_t i = 0; i + 4 < n; i += 4) differ |= differ4(name + i, lower + i);
    return differ == 0;
}

uint32_t cyg_http_field_id_of(cyg_str name) {
    if (name.n > LONGEST || name.n < 2) return CYG_HTTP_OTHER;
    char c = (char)(name.p[0] | 0x20);
    for (const struct known *k = known + first_of[name.n], *end = known + first_of[name.n + 1]; k < end; k++)
        if (k->lower[0] == c && same(name.p, k->lower, name.n)) return k->id;
    return CYG_HTTP_OTHER;
}

/* The IANA registry; 306 and 418 are registered as unused. */
static const char *const status_texts[] = {
    [100] = "Continue",
    [101] = "Switching Protocols",
    [102] = "Processing",
    [103] = "Early Hints",
    [104] = "Upload Resumption Supported",
    [200] = "OK",
    [201] = "Created",
    [202] = "Accepted",
    [203] = "Non-Authoritative Information",
    [204] = "No Content",
    [205] = "Reset Content",
    [206] = "Partial Content",
    [207] = "Multi-Status",
    [208] = "Already Reported",
    [226] = "IM Used",
    [300] = "Multiple Choices",
    [301] = "Moved Permanently",
    [302] = "Found",
    [303] = "See Other",
    [304] = "Not Modified",
    [305] = "Use Proxy",
    [307] = "Temporary Redirect",
    [308] = "Permanent Redirect",
    [400] = "Bad Request",
    [401] = "Unauthorized",
    [402] = "Payment Required",
    [403] = "Forbidden",
    [404] = "Not Found",
    [405] = "Method Not Allowed",
    [406] = "Not Acceptable",
    [407] = "Proxy Authentication Required",
    [408] = "Request Timeout",
    [409] = "Conflict",
    [410] = "Gone",
    [411] = "Length Required",
    [412] = "Precondition Failed",
    [413] = "Content Too Large",
    [414] = "URI Too Long",
    [415] = "Unsupported Media Type",
    [416] = "Range Not Satisfiable",
    [417] = "Expectation Failed",
    [421] = "Misdirected Request",
    [422] = "Unprocessable Content",
    [423] = "Locked",
    [424] = "Failed Dependency",
    [425] = "Too Early",
    [426] = "Upgrade Required",
    [428] = "Precondition Required",
    [429] = "Too Many Requests",
    [431] = "Request Header Fields Too Large",
    [451] = "Unavailable For Legal Reasons",
    [500] = "Internal Server Error",
    [501] = "Not Implemented",
    [502] = "Bad Gateway",
    [503] = "Service Unavailable",
    [504] = "Gateway Timeout",
    [505] = "HTTP Version Not Supported",
    [506] = "Variant Also Negotiates",
    [507] = "Insufficient Storage",
    [508] = "Loop Detected",
    [510] = "Not Extended",
    [511] = "Network Authentication Required",
};

const char *cyg_http_status_text(int status) {
    if (status < 0 || (size_t)status >= sizeof status_texts / sizeof status_texts[0]) return "";
    return status_texts[status] ? status_texts[status] : "";
}
