/* config_check.c: what no key shows by itself: names that are taken, routes without a cluster, matches and addresses that get
 * in each other's way. It walks tree and snapshot side by side: element i of a list in one is element i in the other, and an
 * element that could not be read is zero.
 */
#include "gateway/config_build.h"

#include <stdlib.h>

typedef const struct cyg_gw_node node;

/* Tells of a name that an earlier element of the list has too. */
static void check_names(struct cyg_gw_build *b, node *list) {
    char word[CYG_GW_QUOTED];
    size_t path_n = b->path_n, i = 0;
    for (node *n = list ? list->first : NULL; n; n = n->next, i++) {
        node *name = cyg_gw_node_get(n, "name");
        size_t j = 0;
        if (!name || name->broken || name->text.n == 0) continue;
        for (node *other = list->first; other != n; other = other->next, j++) {
            node *taken = cyg_gw_node_get(other, "name");
            if (!taken || !cyg_str_eq(taken->text, name->text)) continue;
            char list_path[sizeof b->path];
            memcpy(list_path, b->path, path_n + 1);
            cyg_gw_path_add(b, "[%zu].name", i);
            cyg_gw_tell(b, name, "found %s again, expected a name of its own; %s[%zu] has it in line %zu",
                        cyg_gw_quote(word, name->text), list_path, j, taken->line);
            cyg_gw_path_set(b, "%s", list_path);
            break;
        }
    }
}

/* ---- clusters --------------------------------------------------------------------------------------------------- */

static void check_endpoints(struct cyg_gw_build *b, const struct cyg_gw_cluster *c, node *list) {
    char word[CYG_GW_QUOTED];
    size_t i = 0;
    for (node *n = list->first; n && i < c->nendpoints; n = n->next, i++) {
        const struct cyg_gw_endpoint *e = &c->endpoints[i];
        if (e->addr.family == CYG_AF_NONE) continue;
        for (size_t j = 0; j < i; j++) {
            if (!cyg_addr_eq(&e->addr, &c->endpoints[j].addr)) continue;
            cyg_gw_path_set(b, "clusters[%zu].endpoints[%zu]", c->index, i);
            cyg_gw_tell(b, n, "found %s again, expected each address once; endpoints[%zu] is the same",
                        cyg_gw_quote(word, n->text), j);
            break;
        }
    }
}

static void check_pool(struct cyg_gw_build *b, struct cyg_gw_cluster *c, node *pool) {
    node *idle = cyg_gw_node_get(pool, "max_idle");
    if (c->pool.max_idle > c->pool.max_connections && idle && c->pool.max_connections) {
        cyg_gw_path_set(b, "clusters[%zu].pool.max_idle", c->index);
        cyg_gw_tell(b, idle, "found \"%zu\", expected at most max_connections, which is %zu", c->pool.max_idle,
                    c->pool.max_connections);
    }
    if (!idle) c->pool.max_idle = c->pool.max_connections;
    node *ready = cyg_gw_node_get(pool, "min_idle");
    if (c->pool.min_idle > c->pool.max_idle && ready && c->pool.max_idle) {
        cyg_gw_path_set(b, "clusters[%zu].pool.min_idle", c->index);
        cyg_gw_tell(b, ready, "found \"%zu\", expected at most max_idle, which is %zu", c->pool.min_idle, c->pool.max_idle);
    }
}

static void check_clusters(struct cyg_gw_build *b, node *list, struct cyg_gw_config *config) {
    struct cyg_gw_cluster *c = (struct cyg_gw_cluster *)(uintptr_t)config->clusters; /* ours until it is handed out */
    cyg_gw_path_set(b, "clusters");
    check_names(b, list);
    for (node *n = list->first; n && c < config->clusters + config->nclusters; n = n->next, c++) {
        node *endpoints = cyg_gw_node_get(n, "endpoints");
        c->index = (size_t)(c - config->clusters);
        config->nendpoints += c->nendpoints;
        if (endpoints) check_endpoints(b, c, endpoints);
        check_pool(b, c, cyg_gw_node_get(n, "pool"));
    }
}

/* ---- routes ----------------------------------------------------------------------------------------------------- */

/* The cluster's name that is written most like a word; *distance says how much. */
static node *nearest_cluster(node *clusters, cyg_str word, size_t *distance) {
    node *best = NULL;
    *distance = SIZE_MAX;
    for (node *n = clusters->first; n; n = n->next) {
        node *name = cyg_gw_node_get(n, "name");
        size_t d = name && !name->broken ? cyg_gw_word_distance(word, name->text) : SIZE_MAX;
        if (d >= *distance) continue;
        *distance = d;
        best = name;
    }
    return best;
}

static void find_cluster(struct cyg_gw_build *b, const struct cyg_gw_cluster **out, node *ref, node *clusters,
                         const struct cyg_gw_config *config) {
    char word[CYG_GW_QUOTED], other[CYG_GW_QUOTED];
    const struct cyg_gw_cluster *c = config->clusters;
    if (ref->broken || ref->nothing || ref->kind != CYG_GW_SCALAR) return;
    for (node *n = clusters->first; n && c < config->clusters + config->nclusters; n = n->next, c++) {
        node *name = cyg_gw_node_get(n, "name");
        if (!name || name->broken || name->kind != CYG_GW_SCALAR) return; /* it may be the one: told enough */
        if (!cyg_str_eq(name->text, ref->text)) continue;
        *out = c;
        return;
    }
    size_t distance = SIZE_MAX;
    node *near = cyg_gw_problems_room(b->problems) ? nearest_cluster(clusters, ref->text, &distance) : NULL;
    cyg_gw_path_add(b, ".cluster");
    if (near && cyg_gw_is_near(ref->text, distance)) {
        cyg_gw_tell(b, ref, "found %s, expected the name of a cluster; did you mean %s?", cyg_gw_quote(word, ref->text),
                    cyg_gw_quote(other, near->text));
    } else {
        cyg_gw_tell(b, ref, "found %s, expected the name of a cluster; there is no such one", cyg_gw_quote(word, ref->text));
    }
}

static bool same_match(const struct cyg_gw_match *a, const struct cyg_gw_match *b) {
    return a->host_kind == b->host_kind && a->path_kind == b->path_kind && cyg_str_eq(a->host, b->host) &&
           cyg_str_eq(a->path, b->path);
}

/* Whether host and path of a route could be read, so that its match is what the document says. */
static bool match_read(node *route, const struct cyg_gw_match *m) {
    node *match = cyg_gw_node_get(route, "match");
    node *host = cyg_gw_node_get(match, "host"), *path = cyg_gw_node_get(match, "path");
    if (route->kind != CYG_GW_MAP || route->broken || (match && (match->broken || match->kind != CYG_GW_MAP)))
        return false;
    return (!host || m->host.p) && (!path || m->path.p);
}

/* Tells of a match that an earlier route of the listener has too. */
static void check_match(struct cyg_gw_build *b, const struct cyg_gw_route *r, const struct cyg_gw_route *first,
                        node *routes, node *n) {
    char word[CYG_GW_QUOTED];
    node *match = cyg_gw_node_get(n, "match");
    if (!match_read(n, &r->match)) return;
    for (node *other = routes->first; other != n; other = other->next, first++) {
        if (!same_match(&r->match, &first->match) || !match_read(other, &first->match)) continue;
        if (match) cyg_gw_path_add(b, ".match");
        cyg_gw_tell(b, match ? match : n, "found the match that routes[%zu] (%s, line %zu) has, expected one of its own",
                    first->position, cyg_gw_quote(word, first->name), other->line);
        return;
    }
}

static void check_routes(struct cyg_gw_build *b, struct cyg_gw_listener *l, size_t index, node *list, node *clusters,
                         const struct cyg_gw_config *config) {
    struct cyg_gw_route *r = (struct cyg_gw_route *)(uintptr_t)l->routes;
    cyg_gw_path_set(b, "listeners[%zu].routes", index);
    check_names(b, list);
    for (node *n = list->first; n && r < l->routes + l->nroutes; n = n->next, r++) {
        node *ref = cyg_gw_node_get(n, "cluster");
        r->position = (size_t)(r - l->routes);
        cyg_gw_path_set(b, "listeners[%zu].routes[%zu]", index, r->position);
        check_match(b, r, l->routes, list, n);
        cyg_gw_path_set(b, "listeners[%zu].routes[%zu]", index, r->position);
        if (ref && clusters && config->nclusters) find_cluster(b, &r->cluster, ref, clusters, config);
        if (r->cluster && r->cluster->proxy_protocol.send != CYG_GW_PROXY_OFF) {
            cyg_gw_path_set(b, "listeners[%zu].routes[%zu].cluster", index, r->position);
            cyg_gw_tell(
                b, ref,
                "found a cluster that sends the PROXY protocol, expected one that does not: connections for HTTP are "
                "shared by many clients");
        }
    }
}

static int by_length(cyg_str a, cyg_str b) { return a.n > b.n ? -1 : a.n < b.n; }

/* Most specific first, as config.h says; equals keep the document's order. */
static int by_specificity(const void *a, const void *b) {
    static const int host_rank[] = {[CYG_GW_HOST_EXACT] = 0, [CYG_GW_HOST_SUFFIX] = 1, [CYG_GW_HOST_ANY] = 2};
    static const int path_rank[] = {[CYG_GW_PATH_EXACT] = 0, [CYG_GW_PATH_PREFIX] = 1, [CYG_GW_PATH_ANY] = 2};
    const struct cyg_gw_route *x = a, *y = b;
    int d = host_rank[x->match.host_kind] - host_rank[y->match.host_kind];
    if (d == 0 && x->match.host.n) d = by_length(x->match.host, y->match.host);
    if (d == 0 && x->match.host.n) d = memcmp(x->match.host.p, y->match.host.p, x->match.host.n);
    if (d == 0) d = path_rank[x->match.path_kind] - path_rank[y->match.path_kind];
    if (d == 0) d = by_length(x->match.path, y->match.path);
    return d ? d : x->position < y->position ? -1 : 1;
}

/* ---- listeners -------------------------------------------------------------------------------------------------- */

static bool is_any(const cyg_addr *a) {
    static const uint8_t zero[16];
    return memcmp(a->ip, zero, a->family == CYG_AF_IPV4 ? 4 : 16) == 0;
}

/* Whether the kernel would refuse to listen on both, if both are of the same transport. Every IPv6 address takes IPv4 along. */
static bool collide(const cyg_addr *a, const cyg_addr *b) {
    if (a->family == CYG_AF_NONE || b->family == CYG_AF_NONE) return false;
    if (a->family == CYG_AF_UNIX || b->family == CYG_AF_UNIX) return cyg_addr_eq(a, b);
    if (a->port != b->port || a->port == 0) return false;
    if (a->family == b->family) return cyg_addr_eq(a, b) || is_any(a) || is_any(b);
    const cyg_addr *six = a->family == CYG_AF_IPV6 ? a : b;
    return is_any(six);
}

/* Tells when one of the first n listeners has the address already. */
static void check_address(struct cyg_gw_build *b, const struct cyg_gw_config *config, size_t n, const cyg_addr *addr,
                          bool udp, node *address) {
    char word[CYG_GW_QUOTED], name[CYG_GW_QUOTED], other[CYG_GW_QUOTED];
    for (size_t j = 0; j < n; j++) {
        const struct cyg_gw_listener *l = &config->listeners[j];
        if (!address || udp != (l->protocol == CYG_GW_UDP) || !collide(addr, &l->addr)) continue;
        cyg_gw_tell(b, address, "found %s, expected an address that is free; listeners[%zu] (%s) has %s",
                    cyg_gw_quote(word, address->text), j, cyg_gw_quote(name, l->name), cyg_gw_quote(other, l->address));
        return;
    }
}

/* What goes with a listener of tcp or udp, and with its cluster. */
static void check_forwarding(struct cyg_gw_build *b, struct cyg_gw_listener *l, size_t index, node *n, node *clusters,
                             const struct cyg_gw_config *config) {
    node *ref = cyg_gw_node_get(n, "cluster");
    cyg_gw_path_set(b, "listeners[%zu]", index);
    if (ref && clusters && config->nclusters) find_cluster(b, &l->cluster, ref, clusters, config);
    if (l->protocol != CYG_GW_UDP) return;
    l->network = "udp";
    cyg_gw_path_set(b, "listeners[%zu].address", index);
    if (l->addr.family == CYG_AF_UNIX)
        cyg_gw_tell(b, cyg_gw_node_get(n, "address"), "found a Unix socket, expected an IP address for protocol udp");
    if (!l->cluster) return;
    cyg_gw_path_set(b, "listeners[%zu].cluster", index);
    if (l->cluster->proxy_protocol.send == CYG_GW_PROXY_V1)
        cyg_gw_tell(b, ref,
                    "found a cluster that sends version 1 of the PROXY protocol, expected v2 or off for protocol udp");
    for (size_t i = 0; i < l->cluster->nendpoints; i++) {
        if (l->cluster->endpoints[i].addr.family != CYG_AF_UNIX) continue;
        cyg_gw_tell(b, ref,
                    "found a cluster with a Unix socket (endpoints[%zu]), expected IP addresses for protocol udp", i);
        return;
    }
}

static void check_proxy_accept(struct cyg_gw_build *b, const struct cyg_gw_listener *l, size_t index, node *n) {
    if (l->proxy_protocol.naccept_from == 0 || l->addr.family != CYG_AF_UNIX) return;
    cyg_gw_path_set(b, "listeners[%zu].proxy_protocol", index);
    cyg_gw_tell(
        b, cyg_gw_node_get(n, "proxy_protocol"), "found it on a Unix socket, expected an IP address to listen on: peers of a Unix socket have none that could be trusted");
}

void cyg_gw_check(struct cyg_gw_build *b, node *root, struct cyg_gw_config *config) {
    node *listeners = cyg_gw_node_get(root, "listeners"), *clusters = cyg_gw_node_get(root, "clusters");
    if (clusters && config->nclusters) check_clusters(b, clusters, config);
    cyg_gw_path_set(b, "listeners");
    if (listeners && config->nlisteners) check_names(b, listeners);
    size_t i = 0;
    for (node *n = listeners ? listeners->first : NULL; n && i < config->nlisteners; n = n->next, i++) {
        struct cyg_gw_listener *l = (struct cyg_gw_listener *)(uintptr_t)&config->listeners[i];
        node *routes = cyg_gw_node_get(n, "routes");
        config->nroutes += l->nroutes;
        if (routes && l->nroutes) check_routes(b, l, i, routes, clusters, config);
        if (l->protocol != CYG_GW_HTTP) check_forwarding(b, l, i, n, clusters, config);
        check_proxy_accept(b, l, i, n);
        cyg_gw_path_set(b, "listeners[%zu].address", i);
        check_address(b, config, i, &l->addr, l->protocol == CYG_GW_UDP, cyg_gw_node_get(n, "address"));
        if (l->nroutes) qsort((void *)(uintptr_t)l->routes, l->nroutes, sizeof *l->routes, by_specificity);
    }
    cyg_gw_path_set(b, "admin.address");
    check_address(b, config, config->nlisteners, &config->admin.addr, false,
                  cyg_gw_node_get(cyg_gw_node_get(root, "admin"), "address"));
}
