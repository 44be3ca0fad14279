/* proxy_v1.c: version 1, a line: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n". One space between fields, no leading zeros. */
#include "proto/proxy_internal.h"

#include <arpa/inet.h>
#include <stdio.h>

/* Takes the field up to the next space, or to the end, off *line. Returns: false if there is none or it is empty. */
static bool take(cyg_str *line, cyg_str *field) {
    const char *space = memchr(line->p, ' ', line->n);
    *field = (cyg_str){line->p, space ? (size_t)(space - line->p) : line->n};
    size_t used = field->n + (space != NULL);
    *line = (cyg_str){line->p + used, line->n - used};
    return field->n > 0 && (!space || line->n > 0); /* a space at the end begins a field that is empty */
}

static bool read_address(cyg_str s, int family, uint8_t ip[16]) {
    char text[INET6_ADDRSTRLEN];
    if (s.n >= sizeof text) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return memchr(text, '\0', s.n) == NULL && inet_pton(family, text, ip) == 1;
}

static bool read_port(cyg_str s, uint16_t *out) {
    unsigned v = 0;
    if (s.n == 0 || s.n > 5 || (s.n > 1 && s.p[0] == '0')) return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        v = v * 10 + (unsigned)(s.p[i] - '0');
    }
    *out = (uint16_t)v;
    return v <= 65535;
}

static enum cyg_proxy_verdict read_line(cyg_str line, struct cyg_proxy_header *h) {
    cyg_str protocol, source, destination, source_port, destination_port;
    if (!take(&line, &protocol)) return cyg_proxy_bad(h, "bad_line");
    if (cyg_str_eq(protocol, CYG_STR("UNKNOWN"))) { /* whatever follows is to be ignored */
        h->local = true;
        return CYG_PROXY_DONE;
    }
    bool v4 = cyg_str_eq(protocol, CYG_STR("TCP4"));
    if (!v4 && !cyg_str_eq(protocol, CYG_STR("TCP6"))) return cyg_proxy_bad(h, "bad_family");
    if (!take(&line, &source) || !take(&line, &destination) || !take(&line, &source_port) ||
        !take(&line, &destination_port) || line.n > 0)
        return cyg_proxy_bad(h, "bad_line");
    int family = v4 ? AF_INET : AF_INET6;
    if (!read_address(source, family, h->source.ip) || !read_address(destination, family, h->destination.ip))
        return cyg_proxy_bad(h, "bad_address");
    if (!read_port(source_port, &h->source.port) || !read_port(destination_port, &h->destination.port))
        return cyg_proxy_bad(h, "bad_port");
    h->family = v4 ? CYG_PROXY_IPV4 : CYG_PROXY_IPV6;
    return CYG_PROXY_DONE;
}

enum cyg_proxy_verdict cyg_proxy_parse_v1(const char *p, size_t n, struct cyg_proxy_header *h) {
    size_t limit = n < CYG_PROXY_V1_MAX - 1 ? n : CYG_PROXY_V1_MAX - 1, end = sizeof CYG_PROXY_V1_BEGIN - 1;
    for (; end < limit; end++) {
        if (p[end] == '\n') return cyg_proxy_bad(h, "bad_line_end");
        if (p[end] == '\r') break;
    }
    if (end + 1 >= CYG_PROXY_V1_MAX) return cyg_proxy_bad(h, "too_long");
    if (end + 1 >= n) return CYG_PROXY_MORE;
    if (p[end + 1] != '\n') return cyg_proxy_bad(h, "bad_line_end");
    h->version = 1;
    h->bytes = end + 2;
    return read_line((cyg_str){p + sizeof CYG_PROXY_V1_BEGIN - 1, end - (sizeof CYG_PROXY_V1_BEGIN - 1)}, h);
}

size_t cyg_proxy_write_v1(const struct cyg_proxy_header *h, char out[CYG_PROXY_V1_MAX]) {
    bool v4 = h->family == CYG_PROXY_IPV4, v6 = h->family == CYG_PROXY_IPV6;
    char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN], line[CYG_PROXY_V1_MAX + 1];
    int family = v4 ? AF_INET : AF_INET6, n;
    if (h->local || h->datagram || (!v4 && !v6)) {
        n = snprintf(line, sizeof line, "PROXY UNKNOWN\r\n");
    } else {
        inet_ntop(family, h->source.ip, source, sizeof source);
        inet_ntop(family, h->destination.ip, destination, sizeof destination);
        n = snprintf(line, sizeof line, "PROXY TCP%d %s %s %u %u\r\n", v4 ? 4 : 6, source, destination, h->source.port,
                     h->destination.port);
    }
    memcpy(out, line, (size_t)n);
    return (size_t)n;
}
