/* addr.c: addresses as text and as the kernel wants them. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/internal.h"

static int bad(const char *text, const char *expected) {
    return cygrt_fail(CYG_EPARSE, "address \"%.100s\": expected %s", text, expected);
}

static int parse_unix(const char *text, cyg_addr *out) {
    size_t n = strlen(text);
    if (n == 0 || n >= sizeof out->path) return bad(text, "a path of 1 to 107 bytes");
    cyg_addr a = {.family = CYG_AF_UNIX};
    memcpy(a.path, text, n);
    *out = a;
    return 0;
}

static bool parse_port(const char *s, uint16_t *port) {
    unsigned v = 0;
    if (!*s || strlen(s) > 5) return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9') return false;
        v = v * 10 + (unsigned)(*s - '0');
    }
    *port = (uint16_t)v;
    return v <= 65535;
}

/* Host part of "host:port" to ip and family. */
static bool parse_host(const char *host, bool v4, bool v6, cyg_addr *a) {
    if (!*host) { /* every address: an IPv6 socket takes IPv4, too */
        a->family = v6 ? CYG_AF_IPV6 : CYG_AF_IPV4;
        return true;
    }
    if (strcmp(host, "localhost") == 0 && v4) host = "127.0.0.1";
    char name[64];
    const char *percent = strchr(host, '%');
    if (percent) {
        if ((size_t)(percent - host) >= sizeof name) return false;
        memcpy(name, host, (size_t)(percent - host));
        name[percent - host] = 0;
        a->scope = (uint32_t)strtoul(percent + 1, NULL, 10);
        host = name;
    }
    if (v4 && !percent && inet_pton(AF_INET, host, a->ip) == 1) {
        a->family = CYG_AF_IPV4;
        return true;
    }
    if (v6 && inet_pton(AF_INET6, host, a->ip) == 1) {
        a->family = CYG_AF_IPV6;
        return true;
    }
    return false;
}

static const struct network networks[] = {
    {"tcp", CONN_TCP, true, true},
    {"tcp4", CONN_TCP, true, false},
    {"tcp6", CONN_TCP, false, true},
    {"udp", CONN_UDP, true, true},
    {"udp4", CONN_UDP, true, false},
    {"udp6", CONN_UDP, false, true},
    {"unix", CONN_UNIX, false, false},
    {"unixpacket", CONN_UNIXPACKET, false, false},
    {"unixgram", CONN_UNIXGRAM, false, false},
};

const struct network *network_find(const char *name) {
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        if (strcmp(networks[i].name, name) == 0) return &networks[i];
    return NULL;
}

int cyg_addr_parse(const char *network, const char *text, cyg_addr *out) {
    const struct network *nw = network_find(network);
    if (!nw)
        return cygrt_fail(
            CYG_EPARSE, "network \"%.20s\": expected tcp, udp (or with 4 or 6), unix, unixpacket or unixgram", network);
    bool v4 = nw->v4, v6 = nw->v6;
    if (!v4 && !v6) return parse_unix(text, out);
    const char *colon = strrchr(text, ':');
    char host[64];
    if (!colon || (size_t)(colon - text) >= sizeof host) return bad(text, "ip:port, as 127.0.0.1:80 or [::1]:80");
    size_t n = (size_t)(colon - text);
    bool brackets = n >= 2 && text[0] == '[' && text[n - 1] == ']';
    if (brackets)
        memcpy(host, text + 1, n -= 2);
    else
        memcpy(host, text, n);
    host[n] = 0;
    if (!brackets && strchr(host, ':')) return bad(text, "an IPv6 address in brackets, as [::1]:80");
    cyg_addr a = {0};
    if (!parse_port(colon + 1, &a.port)) return bad(text, "a port from 0 to 65535 behind the colon");
    if (!v4 && !brackets && strcmp(host, "localhost") == 0) {
        strcpy(host, "::1");
        brackets = true;
    }
    if (!parse_host(host, v4 && !brackets, v6 && (brackets || !n), &a))
        return bad(text, "an IP address, localhost or nothing before the port");
    *out = a;
    return 0;
}

size_t cyg_addr_format_ip(const cyg_addr *a, char *out, size_t n) {
    char text[INET6_ADDRSTRLEN + 16] = "";
    if (a->family == CYG_AF_IPV4) { /* on the path of every request: no inet_ntop */
        char *p = text;
        for (int i = 0; i < 4; i++) {
            unsigned v = a->ip[i];
            if (v >= 100) *p++ = (char)('0' + v / 100);
            if (v >= 10) *p++ = (char)('0' + v / 10 % 10);
            *p++ = (char)('0' + v % 10);
            *p++ = i < 3 ? '.' : 0;
        }
    } else if (a->family == CYG_AF_IPV6) {
        static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
        if (memcmp(a->ip, mapped, 12) == 0)
            inet_ntop(AF_INET, a->ip + 12, text, sizeof text);
        else
            inet_ntop(AF_INET6, a->ip, text, sizeof text);
    } else if (a->family == CYG_AF_UNIX) {
        return (size_t)snprintf(out, n, "%s", a->path);
    }
    size_t len = strlen(text);
    if (n) {
        size_t k = len < n ? len : n - 1;
        memcpy(out, text, k);
        out[k] = 0;
    }
    return len;
}

/* Decimal digits of v at out; their count. */
static size_t put_decimal(char *out, unsigned v) {
    char digits[10];
    size_t n = 0;
    do digits[n++] = (char)('0' + v % 10);
    while (v /= 10);
    for (size_t i = 0; i < n; i++) out[i] = digits[n - 1 - i];
    return n;
}

/* On the path of every request that is logged: no printf. */
size_t cyg_addr_format(const cyg_addr *a, char *out, size_t n) {
    if (a->family == CYG_AF_UNIX) return (size_t)snprintf(out, n, "%s", a->path);
    char text[INET6_ADDRSTRLEN + 32];
    size_t len = cyg_addr_format_ip(a, text + 1, INET6_ADDRSTRLEN + 1), from = 1;
    if (memchr(text + 1, ':', len)) {
        text[from = 0] = '[';
        len++;
        if (a->scope) {
            text[len++] = '%';
            len += put_decimal(text + len, a->scope);
        }
        text[len++] = ']';
    }
    char *end = text + from + len;
    *end++ = ':';
    end += put_decimal(end, a->port);
    len = (size_t)(end - text) - from;
    if (n) {
        size_t k = len < n ? len : n - 1;
        memcpy(out, text + from, k);
        out[k] = 0;
    }
    return len;
}

bool cyg_addr_eq(const cyg_addr *a, const cyg_addr *b) {
    if (a->family != b->family || a->port != b->port) return false;
    if (a->family == CYG_AF_UNIX) return strcmp(a->path, b->path) == 0;
    return a->scope == b->scope && memcmp(a->ip, b->ip, a->family == CYG_AF_IPV4 ? 4 : 16) == 0;
}

socklen_t addr_to_sockaddr(const cyg_addr *a, union sockaddr_any *out) {
    memset(out, 0, sizeof *out);
    if (a->family == CYG_AF_IPV4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&in.sin_addr, a->ip, 4);
        memcpy(out, &in, sizeof in);
        return sizeof in;
    }
    if (a->family == CYG_AF_IPV6) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope};
        memcpy(&in6.sin6_addr, a->ip, 16);
        memcpy(out, &in6, sizeof in6);
        return sizeof in6;
    }
    out->un.sun_family = AF_UNIX;
    size_t n = strlen(a->path);
    memcpy(out->un.sun_path, a->path, n);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    if (a->path[0] == '@')
        out->un.sun_path[0] = 0;
    else
        len++;
    return len;
}

void addr_from_sockaddr(const union sockaddr_any *sa, socklen_t n, cyg_addr *out) {
    *out = (cyg_addr){0};
    if (sa->sa.sa_family == AF_INET && n >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        out->family = CYG_AF_IPV4;
        out->port = ntohs(in.sin_port);
        memcpy(out->ip, &in.sin_addr, 4);
    } else if (sa->sa.sa_family == AF_INET6 && n >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        out->family = CYG_AF_IPV6;
        out->port = ntohs(in6.sin6_port);
        out->scope = in6.sin6_scope_id;
        memcpy(out->ip, &in6.sin6_addr, 16);
    } else if (sa->sa.sa_family == AF_UNIX) {
        out->family = CYG_AF_UNIX;
        size_t len = n > offsetof(struct sockaddr_un, sun_path) ? n - offsetof(struct sockaddr_un, sun_path) : 0;
        if (len >= sizeof out->path) len = sizeof out->path - 1;
        memcpy(out->path, sa->un.sun_path, len);
        if (len && !out->path[0]) out->path[0] = '@';
    }
}

const char *addr_network(const cyg_addr *a) { return a->family == CYG_AF_UNIX ? "unix" : "tcp"; }

static int socket_type(enum conn_kind kind) {
    if (kind == CONN_UNIXPACKET) return SOCK_SEQPACKET;
    return kind == CONN_UDP || kind == CONN_UNIXGRAM ? SOCK_DGRAM : SOCK_STREAM;
}

int addr_socket(const cyg_addr *a) { return addr_socket_of(a, a->family == CYG_AF_UNIX ? CONN_UNIX : CONN_TCP); }

int addr_socket_of(const cyg_addr *a, enum conn_kind kind) {
    int family = a->family == CYG_AF_UNIX ? AF_UNIX : a->family == CYG_AF_IPV6 ? AF_INET6 : AF_INET;
    int fd = socket(family, socket_type(kind) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int on = 1, off = 0;
    if (kind == CONN_TCP) { /* accepted sockets inherit both */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    if (a->family == CYG_AF_IPV6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    return fd;
}

/* A socket file that nobody has open is left over; one that answers, or is of another type, is in use. */
void addr_remove_stale(const cyg_addr *a, enum conn_kind kind) {
    struct stat st;
    if (a->path[0] == '@' || lstat(a->path, &st) != 0 || !S_ISSOCK(st.st_mode)) return;
    int fd = socket(AF_UNIX, socket_type(kind) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    union sockaddr_any sa;
    socklen_t n = addr_to_sockaddr(a, &sa);
    if (fd >= 0 && connect(fd, &sa.sa, n) < 0 && errno == ECONNREFUSED) unlink(a->path);
    if (fd >= 0) close(fd);
}
