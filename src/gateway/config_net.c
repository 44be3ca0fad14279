/* config_net.c: addresses, address blocks, and the hosts and paths of a match: read, and compared with a request's. */
#include "gateway/config_value.h"

#include <arpa/inet.h>

static bool starts_with(cyg_str s, const char *z) { return s.n >= strlen(z) && memcmp(s.p, z, strlen(z)) == 0; }

bool cyg_gw_read_address(cyg_str s, const char **network, const char **bind, cyg_addr *out) {
    bool local = starts_with(s, "unix:");
    const char *rest = local ? s.p + 5 : s.p;
    /* A relative path would depend on where the gateway was started. */
    if (local && rest[0] != '/' && rest[0] != '@') return false;
    if (local && rest[1] == '\0') return false;
    cyg_addr a;
    if (cyg_addr_parse(local ? "unix" : "tcp", rest, &a) < 0) return false;
    *network = local ? "unix" : "tcp";
    *bind = rest;
    *out = a;
    return true;
}

bool cyg_gw_endpoint_ok(const cyg_addr *a) {
    static const uint8_t any[16];
    if (a->family == CYG_AF_UNIX) return true;
    return a->port != 0 && memcmp(a->ip, any, a->family == CYG_AF_IPV4 ? 4 : 16) != 0;
}

/* ---- blocks ----------------------------------------------------------------------------------------------------- */

static const uint8_t mapped_v4[12] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:0:0/96 */

bool cyg_gw_read_cidr(cyg_str s, struct cyg_gw_cidr *out) {
    struct cyg_gw_cidr c = {.text = s};
    const char *slash = memchr(s.p, '/', s.n);
    cyg_str address = {s.p, slash ? (size_t)(slash - s.p) : s.n};
    char z[INET6_ADDRSTRLEN];
    if (address.n >= sizeof z) return false;
    memcpy(z, address.p, address.n);
    z[address.n] = '\0';
    if (inet_pton(AF_INET, z, c.ip) == 1) {
        c.family = CYG_AF_IPV4;
    } else if (inet_pton(AF_INET6, z, c.ip) == 1) {
        c.family = CYG_AF_IPV6;
    } else {
        return false;
    }
    int64_t bits = c.family == CYG_AF_IPV4 ? 32 : 128, prefix = bits;
    if (slash && !cyg_gw_read_count((cyg_str){slash + 1, s.n - address.n - 1}, &prefix)) return false;
    if (prefix > bits) return false;
    c.prefix = (uint16_t)prefix;
    if (c.family == CYG_AF_IPV6 && prefix >= 96 && memcmp(c.ip, mapped_v4, 12) == 0) {
        c.family = CYG_AF_IPV4;
        c.prefix -= 96;
        memmove(c.ip, c.ip + 12, 4);
        memset(c.ip + 4, 0, 12);
    }
    *out = c;
    return true;
}

bool cyg_gw_cidr_mask(struct cyg_gw_cidr *c) {
    bool set = false;
    for (size_t bit = c->prefix; bit < (c->family == CYG_AF_IPV4 ? 32 : 128); bit++) {
        uint8_t mask = (uint8_t)(0x80 >> (bit % 8));
        if (c->ip[bit / 8] & mask) set = true;
        c->ip[bit / 8] &= (uint8_t)~mask;
    }
    return set;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, size_t bits) {
    if (memcmp(a, b, bits / 8) != 0) return false;
    return bits % 8 == 0 || (uint8_t)(a[bits / 8] ^ b[bits / 8]) >> (8 - bits % 8) == 0;
}

bool cyg_gw_cidrs_contain(const struct cyg_gw_cidr *blocks, size_t n, const cyg_addr *a) {
    const uint8_t *ip = a->ip;
    unsigned family = a->family;
    if (family == CYG_AF_IPV6 && memcmp(ip, mapped_v4, 12) == 0) {
        family = CYG_AF_IPV4;
        ip += 12;
    }
    for (size_t i = 0; i < n; i++)
        if (blocks[i].family == family && same_bits(blocks[i].ip, ip, blocks[i].prefix)) return true;
    return false;
}

/* ---- hosts ------------------------------------------------------------------------------------------------------ */

/* A name of labels with dots between, or an IPv4 address, which looks the same. */
static bool host_name_ok(cyg_str s) {
    size_t label = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '.') {
            if (label == 0) return false;
            label = 0;
            continue;
        }
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
        if (++label > 63) return false;
    }
    return label > 0 && s.n <= 253;
}

static bool ipv6_literal_ok(cyg_str s) {
    char z[INET6_ADDRSTRLEN];
    struct in6_addr ip;
    if (s.n < 4 || s.n - 2 >= sizeof z || s.p[0] != '[' || s.p[s.n - 1] != ']') return false;
    memcpy(z, s.p + 1, s.n - 2);
    z[s.n - 2] = '\0';
    return inet_pton(AF_INET6, z, &ip) == 1;
}

bool cyg_gw_read_host(cyg_str s, enum cyg_gw_host_kind *kind, cyg_str *out) {
    if (cyg_str_eq(s, CYG_STR("*"))) {
        *kind = CYG_GW_HOST_ANY;
        *out = (cyg_str){s.p + 1, 0};
        return true;
    }
    bool suffix = starts_with(s, "*.");
    cyg_str rest = suffix ? (cyg_str){s.p + 2, s.n - 2} : s;
    if (!host_name_ok(rest) && (suffix || !ipv6_literal_ok(rest))) return false;
    *kind = suffix ? CYG_GW_HOST_SUFFIX : CYG_GW_HOST_EXACT;
    *out = suffix ? (cyg_str){s.p + 1, s.n - 1} : s;
    return true;
}

/* A request's host without its port and without the dot that a full name may end in. */
static cyg_str bare_host(cyg_str h) {
    for (size_t i = h.n; i > 0 && h.p[i - 1] != ']'; i--) {
        if (h.p[i - 1] != ':') continue;
        h.n = i - 1;
        break;
    }
    if (h.n > 1 && h.p[h.n - 1] == '.') h.n--;
    return h;
}

static bool host_fits(const struct cyg_gw_match *m, cyg_str host) {
    if (m->host_kind == CYG_GW_HOST_ANY) return true;
    host = bare_host(host);
    if (m->host_kind == CYG_GW_HOST_EXACT) return cyg_str_eq_nocase(m->host, host);
    return host.n > m->host.n && cyg_str_eq_nocase(m->host, (cyg_str){host.p + host.n - m->host.n, m->host.n});
}

/* ---- paths ------------------------------------------------------------------------------------------------------ */

static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/* Whether "." or ".." is a segment: upstreams take those out, and the route would not see the path they do. */
static bool has_dots(cyg_str s) {
    size_t begin = 1;
    for (size_t i = 1; i <= s.n; i++) {
        if (i < s.n && s.p[i] != '/') continue;
        cyg_str segment = {s.p + begin, i - begin};
        if (cyg_str_eq(segment, CYG_STR(".")) || cyg_str_eq(segment, CYG_STR(".."))) return true;
        begin = i + 1;
    }
    return false;
}

bool cyg_gw_read_path(cyg_str s, enum cyg_gw_path_kind *kind, cyg_str *out) {
    bool prefix = s.n >= 2 && s.p[s.n - 1] == '*' && s.p[s.n - 2] == '/';
    cyg_str path = {s.p, prefix ? s.n - 1 : s.n};
    if (path.n == 0 || path.p[0] != '/') return false;
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        if (c <= 0x20 || c >= 0x7f || strchr("?#*\"<>\\^`{|}", c)) return false;
        if (c == '%' && (i + 2 >= path.n || !is_hex(path.p[i + 1]) || !is_hex(path.p[i + 2]))) return false;
    }
    if (has_dots(path)) return false;
    bool any = prefix && path.n == 1;
    *kind = any ? CYG_GW_PATH_ANY : prefix ? CYG_GW_PATH_PREFIX : CYG_GW_PATH_EXACT;
    *out = any ? (cyg_str){s.p + s.n, 0} : path;
    return true;
}

static bool path_fits(const struct cyg_gw_match *m, cyg_str path) {
    if (m->path_kind == CYG_GW_PATH_ANY) return true;
    if (m->path_kind == CYG_GW_PATH_EXACT) return cyg_str_eq(m->path, path);
    return path.n >= m->path.n && memcmp(path.p, m->path.p, m->path.n) == 0;
}

bool cyg_gw_match_fits(const struct cyg_gw_match *m, cyg_str host, cyg_str path) {
    return path_fits(m, path) && host_fits(m, host);
}
