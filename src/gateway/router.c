/* router.c: see router.h. Hosts are keys of two sets (exact names, suffixes); each host has its paths in another. */
#include "gateway/router.h"

#include "gateway/keyset.h"

#include <stdlib.h>

/* The routes of one path of one host; one of them may be missing. */
struct place {
    const struct cyg_gw_route *exact, *prefix;
};

/* The routes of one host pattern. */
struct host {
    struct cyg_gw_keyset paths; /* value: struct place */
    const struct cyg_gw_route *any;
};

struct cyg_gw_router {
    struct cyg_gw_keyset exact, suffix; /* value: struct host */
    struct host any;
    struct host *hosts;      /* of both sets */
    struct place *places;    /* of all hosts */
    struct cyg_gw_key *keys; /* of all sets */
};

static bool same_host(const struct cyg_gw_match *a, const struct cyg_gw_match *b) {
    return a->host_kind == b->host_kind && cyg_str_eq_nocase(a->host, b->host);
}

/* Whether an earlier route has the same host pattern. */
static bool seen_before(const struct cyg_gw_route *routes, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (same_host(&routes[k].match, &routes[i].match)) return true;
    return false;
}

/* What the sets are made of, as far as it is not used yet. */
struct stock {
    struct host *hosts;
    struct place *places;
    struct cyg_gw_key *keys;
};

static struct place *place_of(struct cyg_gw_keyset *paths, cyg_str path, struct stock *stock) {
    for (size_t i = 0; i < paths->n; i++)
        if (cyg_str_eq(paths->keys[i].s, path)) return paths->keys[i].value;
    paths->keys[paths->n++] = (struct cyg_gw_key){.s = path, .value = stock->places};
    return stock->places++;
}

/* Sorts the routes with like's host pattern into h. */
static void fill_host(struct host *h, const struct cyg_gw_route *routes, size_t n, const struct cyg_gw_match *like,
                      struct stock *stock) {
    h->paths = (struct cyg_gw_keyset){.order = CYG_GW_FORWARD, .keys = stock->keys};
    for (size_t i = 0; i < n; i++) {
        const struct cyg_gw_match *m = &routes[i].match;
        if (!same_host(m, like)) continue;
        if (m->path_kind == CYG_GW_PATH_ANY)
            h->any = &routes[i];
        else if (m->path_kind == CYG_GW_PATH_EXACT)
            place_of(&h->paths, m->path, stock)->exact = &routes[i];
        else
            place_of(&h->paths, m->path, stock)->prefix = &routes[i];
    }
    cyg_gw_keyset_seal(&h->paths);
    stock->keys += h->paths.n;
}

/* Puts the host patterns of one kind into set. */
static void fill_hosts(struct cyg_gw_keyset *set, enum cyg_gw_host_kind kind, const struct cyg_gw_route *routes,
                       size_t n, struct stock *stock) {
    *set = (struct cyg_gw_keyset){.order = CYG_GW_BACKWARD_FOLD, .keys = stock->keys};
    stock->keys += n;
    for (size_t i = 0; i < n; i++) {
        if (routes[i].match.host_kind != kind || seen_before(routes, i)) continue;
        fill_host(stock->hosts, routes, n, &routes[i].match, stock);
        set->keys[set->n++] = (struct cyg_gw_key){.s = routes[i].match.host, .value = stock->hosts++};
    }
    cyg_gw_keyset_seal(set);
}

struct cyg_gw_router *cyg_gw_router_new(const struct cyg_gw_route *routes, size_t n) {
    struct cyg_gw_router *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->hosts = calloc(n + 1, sizeof *r->hosts);
    r->places = calloc(n + 1, sizeof *r->places);
    r->keys = calloc(3 * n + 1, sizeof *r->keys); /* each route a path; each may be the first of an exact host or a suffix */
    if (!r->hosts || !r->places || !r->keys) {
        cyg_gw_router_free(r);
        return NULL;
    }
    struct stock stock = {r->hosts, r->places, r->keys};
    fill_hosts(&r->exact, CYG_GW_HOST_EXACT, routes, n, &stock);
    fill_hosts(&r->suffix, CYG_GW_HOST_SUFFIX, routes, n, &stock);
    fill_host(&r->any, routes, n, &(struct cyg_gw_match){.host_kind = CYG_GW_HOST_ANY}, &stock);
    return r;
}

void cyg_gw_router_free(struct cyg_gw_router *r) {
    if (!r) return;
    free(r->hosts);
    free(r->places);
    free(r->keys);
    free(r);
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

static __attribute__((noinline)) const struct cyg_gw_route *search_path(const struct host *h, cyg_str path) {
    const struct cyg_gw_key *k = cyg_gw_keyset_longest(&h->paths, path);
    for (; k; k = cyg_gw_keyset_shorter(&h->paths, k)) {
        const struct place *p = k->value;
        if (p->exact && k->s.n == path.n) return p->exact;
        if (p->prefix) return p->prefix;
    }
    return h->any;
}

static inline const struct cyg_gw_route *find_path(const struct host *h, cyg_str path) {
    return h->paths.n > 0 ? search_path(h, path) : h->any;
}

static __attribute__((noinline)) const struct cyg_gw_route *search_host(const struct cyg_gw_router *r, cyg_str host,
                                                                        cyg_str path) {
    host = bare_host(host);
    const struct cyg_gw_key *k = cyg_gw_keyset_equal(&r->exact, host);
    const struct cyg_gw_route *route = k ? find_path(k->value, path) : NULL;
    if (route) return route;
    for (k = cyg_gw_keyset_longest(&r->suffix, host); k; k = cyg_gw_keyset_shorter(&r->suffix, k)) {
        if (k->s.n == host.n) continue; /* "*.example.com" is not ".example.com" itself */
        route = find_path(k->value, path);
        if (route) return route;
    }
    return find_path(&r->any, path);
}

const struct cyg_gw_route *cyg_gw_router_find(const struct cyg_gw_router *r, cyg_str host, cyg_str path) {
    return r->exact.n + r->suffix.n > 0 ? search_host(r, host, path) : find_path(&r->any, path);
}
