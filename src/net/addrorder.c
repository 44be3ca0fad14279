/* addrorder.c: see addrorder.h. Rules that need to know of an address what the kernel keeps to itself (deprecated, home, native
 * transport: 3, 4, 7) are left out, as in the C library without netlink. */
#include "net/addrorder.h"

#include <stdlib.h>
#include <unistd.h>

#include "net/internal.h"

#define MOST 64 /* more than that are not sorted */

/* The policy table of RFC 6724, 2.1, longest prefix first. */
static const struct policy {
    uint8_t prefix[16];
    uint8_t bits, precedence, label;
} policies[] = {
    {{[15] = 1}, 128, 50, 0},  {{[10] = 0xff, [11] = 0xff}, 96, 35, 4},
    {{0}, 96, 1, 3},           {{0x20, 0x01}, 32, 5, 5},
    {{0x20, 0x02}, 16, 30, 2}, {{0x3f, 0xfe}, 16, 1, 12},
    {{0xfe, 0xc0}, 10, 1, 11}, {{0xfc}, 7, 3, 13},
    {{0}, 0, 40, 1},
};

/* As IPv6; IPv4 as mapped addresses. */
static void as_v6(const cyg_addr *a, uint8_t out[16]) {
    memcpy(out, a->ip, 16);
    if (a->family != CYG_AF_IPV4) return;
    memset(out, 0, 10);
    out[10] = out[11] = 0xff;
    memcpy(out + 12, a->ip, 4);
}

static unsigned common_bits(const uint8_t *a, const uint8_t *b, unsigned most) {
    unsigned n = 0;
    while (n < most && !(((a[n / 8] ^ b[n / 8]) >> (7 - n % 8)) & 1)) n++;
    return n;
}

static const struct policy *policy_of(const cyg_addr *a) {
    uint8_t ip[16];
    as_v6(a, ip);
    const struct policy *p = policies;
    while (common_bits(ip, p->prefix, p->bits) < p->bits) p++;
    return p;
}

enum { LINK = 2, SITE = 5, GLOBAL = 14 };
static int scope_of(const cyg_addr *a) {
    const uint8_t *p = a->ip;
    if (a->family == CYG_AF_IPV4) return p[0] == 127 || (p[0] == 169 && p[1] == 254) ? LINK : GLOBAL;
    if (p[0] == 0xff) return p[1] & 15;
    if (p[0] == 0xfe && (p[1] & 0xc0) == 0x80) return LINK;
    if (p[0] == 0xfe && (p[1] & 0xc0) == 0xc0) return SITE;
    static const uint8_t loopback[16] = {[15] = 1};
    return memcmp(p, loopback, 16) == 0 ? LINK : GLOBAL;
}

/* Below 0: x is better. */
static int compare(const void *a, const void *b) {
    const struct addr_choice *x = a, *y = b;
    bool way_x = x->from.family != CYG_AF_NONE, way_y = y->from.family != CYG_AF_NONE;
    if (way_x != way_y) return way_y - way_x; /* 1: avoid what cannot be reached */
    const struct policy *px = policy_of(&x->to), *py = policy_of(&y->to);
    int sx = scope_of(&x->to), sy = scope_of(&y->to);
    if (way_x) {
        int fx = sx == scope_of(&x->from), fy = sy == scope_of(&y->from);
        if (fx != fy) return fy - fx; /* 2: matching scope */
        int lx = px->label == policy_of(&x->from)->label, ly = py->label == policy_of(&y->from)->label;
        if (lx != ly) return ly - lx; /* 5: matching label */
    }
    if (px->precedence != py->precedence) return py->precedence - px->precedence; /* 6 */
    if (sx != sy) return sx - sy;                                                 /* 8: smaller scope */
    if (way_x && x->to.family == CYG_AF_IPV6 && y->to.family == CYG_AF_IPV6) {    /* 9: longest common prefix */
        unsigned cx = common_bits(x->to.ip, x->from.ip, 64), cy = common_bits(y->to.ip, y->from.ip, 64);
        if (cx != cy) return cx > cy ? -1 : 1;
    }
    return (x->order > y->order) - (x->order < y->order); /* 10 */
}

void addr_order_choices(struct addr_choice *c, size_t n) {
    for (size_t i = 0; i < n; i++) c[i].order = i;
    qsort(c, n, sizeof *c, compare);
}

static void find_source(const cyg_addr *to, cyg_addr *from) {
    union sockaddr_any sa;
    cyg_addr with_port = *to;
    if (!with_port.port) with_port.port = 9; /* any will do */
    socklen_t n = addr_to_sockaddr(&with_port, &sa);
    *from = (cyg_addr){0};
    int fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    if (connect(fd, &sa.sa, n) == 0) {
        n = sizeof sa;
        if (getsockname(fd, &sa.sa, &n) == 0) addr_from_sockaddr(&sa, n, from);
    }
    close(fd);
}

void addr_order(cyg_addr *a, size_t n) {
    bool v6 = false;
    for (size_t i = 0; i < n; i++) v6 |= a[i].family == CYG_AF_IPV6;
    if (n < 2 || !v6 || n > MOST) return;
    struct addr_choice *c = calloc(n, sizeof *c);
    if (!c) return; /* the server's order will do */
    for (size_t i = 0; i < n; i++) {
        c[i].to = a[i];
        find_source(&a[i], &c[i].from);
    }
    addr_order_choices(c, n);
    for (size_t i = 0; i < n; i++) a[i] = c[i].to;
    free(c);
}
