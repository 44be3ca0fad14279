/* resolver_rig.h: a resolver that asks dns_server.h, and how its tests ask it. */
#ifndef TESTS_UNIT_RESOLVER_RIG_H
#define TESTS_UNIT_RESOLVER_RIG_H

#include "dns_server.h"

#include "net/resolver_internal.h"

static struct dns_server server;

static inline cyg_resolver_opts fast(void) {
    return (cyg_resolver_opts){.servers = server.address,
                               .search = "",
                               .hosts = "",
                               .resolv_conf = "/nonexistent",
                               .timeout = 10 * CYG_SECOND,
                               .attempts = 1};
}
static inline cyg_resolver *resolver(const cyg_resolver_opts *o) {
    cyg_resolver *r;
    cyg_resolver_opts f = fast();
    CHECK_EQ(cyg_resolver_new(o ? o : &f, &r), 0);
    return r;
}
static inline cyg_resolver_stats stats(cyg_resolver *r) {
    cyg_resolver_stats st;
    cyg_resolver_get_stats(r, &st);
    return st;
}
static inline void advance(cyg_resolver *r, cyg_duration d) { atomic_fetch_add(&r->ahead, d); }

static inline int look(cyg_resolver *r, const char *host) {
    cyg_addr a[4];
    return cyg_lookup(r, host, NULL, a, 4);
}
static inline int look4(cyg_resolver *r, const char *host) {
    cyg_addr a[40];
    return cyg_lookup(r, host, &(cyg_lookup_opts){.family = CYG_AF_IPV4}, a, 40);
}
#define CHECK_DETAIL(part)                                                                \
    do {                                                                                  \
        if (!strstr(cyg_err_detail(), (part)))                                            \
            rt_fail(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", cyg_err_detail(), (part)); \
    } while (0)

#endif
