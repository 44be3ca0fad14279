/* config.c: any bytes as the gateway's configuration. It is taken whole, and then keeps every promise of gateway/config.h; or it
 * is refused with problems that have a place in the document and can be printed on any terminal.
 */
#include "gateway/config.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define EXPECT(condition)                                               \
    do {                                                                \
        if (condition) break;                                           \
        fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition); \
        abort();                                                        \
    } while (0)

static void check_text(cyg_str s) { EXPECT(s.n > 0 && s.p && s.p[s.n] == '\0' && strlen(s.p) == s.n); }

static void check_match(const struct cyg_gw_match *m) {
    EXPECT((m->host.n == 0) == (m->host_kind == CYG_GW_HOST_ANY));
    EXPECT((m->path.n == 0) == (m->path_kind == CYG_GW_PATH_ANY));
    if (m->host.n) check_text(m->host);
    if (m->path.n) check_text(m->path);
    for (size_t i = 0; i < m->host.n; i++) EXPECT(m->host.p[i] < 'A' || m->host.p[i] > 'Z');
    /* what a route takes at least: its own path on its own host, or one below */
    char host[512];
    snprintf(host, sizeof host, "%s%s:80", m->host_kind == CYG_GW_HOST_SUFFIX ? "X" : "", m->host.n ? m->host.p : "x");
    EXPECT(cyg_gw_match_fits(m, cyg_str_of(host), m->path.n ? m->path : CYG_STR("/")));
}

static void check_listener(const struct cyg_gw_config *c, const struct cyg_gw_listener *l) {
    check_text(l->name);
    check_text(l->address);
    EXPECT(l->network && l->bind && l->addr.family != CYG_AF_NONE && l->timeouts.idle > 0);
    EXPECT((l->nroutes > 0) == (l->protocol == CYG_GW_HTTP) && (l->cluster != NULL) == (l->nroutes == 0));
    if (l->protocol == CYG_GW_HTTP) {
        EXPECT(l->timeouts.head > 0 && l->timeouts.body > 0 && l->timeouts.write > 0);
        EXPECT(l->limits.max_head_bytes > 0 && l->limits.max_fields > 0);
    } else {
        EXPECT(l->cluster >= c->clusters && l->cluster < c->clusters + c->nclusters);
    }
    EXPECT((l->timeouts.half_closed > 0) == (l->protocol == CYG_GW_TCP));
    EXPECT((l->limits.max_sessions > 0) == (l->protocol == CYG_GW_UDP));
    EXPECT((l->limits.max_connections > 0) == (l->protocol != CYG_GW_UDP));
    EXPECT((l->proxy_protocol.naccept_from > 0) == (l->proxy_protocol.timeout > 0));
    for (size_t i = 0; i < l->nroutes; i++) {
        const struct cyg_gw_route *r = &l->routes[i];
        check_text(r->name);
        check_match(&r->match);
        EXPECT(r->timeout > 0 && r->position < l->nroutes);
        EXPECT(r->cluster >= c->clusters && r->cluster < c->clusters + c->nclusters);
        EXPECT(r->cluster->proxy_protocol.send == CYG_GW_PROXY_OFF);
    }
    for (size_t i = 0; i < l->ntrusted; i++)
        EXPECT(l->trusted[i].prefix <= (l->trusted[i].family == CYG_AF_IPV4 ? 32 : 128));
}

static void check_config(const struct cyg_gw_config *c) {
    size_t routes = 0, endpoints = 0;
    check_text(c->version);
    EXPECT(c->nlisteners > 0 && c->nclusters > 0);
    for (size_t i = 0; i < c->nlisteners; i++) {
        check_listener(c, &c->listeners[i]);
        routes += c->listeners[i].nroutes;
    }
    for (size_t i = 0; i < c->nclusters; i++) {
        const struct cyg_gw_cluster *u = &c->clusters[i];
        check_text(u->name);
        EXPECT(u->index == i && u->nendpoints > 0 && u->connect_timeout > 0);
        EXPECT(u->pool.max_idle > 0 && u->pool.max_idle <= u->pool.max_connections &&
               u->pool.min_idle <= u->pool.max_idle && u->pool.idle_timeout > 0);
        for (size_t k = 0; k < u->nendpoints; k++) EXPECT(u->endpoints[k].addr.family != CYG_AF_NONE);
        endpoints += u->nendpoints;
    }
    EXPECT(routes == c->nroutes && endpoints == c->nendpoints);
    EXPECT(c->access_log.off == (c->access_log.path == NULL) && c->drain.timeout > 0);
    EXPECT(c->admin.on == (c->admin.addr.family != CYG_AF_NONE));
}

static void check_problems(const struct cyg_gw_problems *p, const uint8_t *data, size_t n) {
    size_t lines = 2; /* the place behind the last line is one, too */
    for (size_t i = 0; i < n; i++)
        lines += data[i] == '\n' || data[i] == '\r' || data[i] == 0x85 || data[i] == 0xa8 || data[i] == 0xa9;
    EXPECT(p->n > 0 && p->n <= CYG_GW_MAX_PROBLEMS);
    for (size_t i = 0; i < p->n; i++) {
        const struct cyg_gw_problem *x = &p->items[i];
        EXPECT(x->line <= lines && x->column <= n + 2);
        EXPECT(i == 0 || x[-1].line < x->line || (x[-1].line == x->line && x[-1].column <= x->column));
        EXPECT(strncmp(x->text, "t.yaml:", 7) == 0);
        for (const char *s = x->text; *s; s++) EXPECT((unsigned char)*s >= 0x20 && *s != 0x7f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct cyg_gw_config *c = NULL;
    struct cyg_gw_problems p = {0};
    int err = cyg_gw_config_parse("t.yaml", (const char *)data, n, &c, &p);
    EXPECT(err == 0 || err == CYG_EPARSE);
    EXPECT((err == 0) == (c != NULL));
    if (c) {
        EXPECT(p.n + p.dropped == 0);
        check_config(c);
    } else {
        check_problems(&p, data, n);
    }
    cyg_gw_problems_free(&p);
    cyg_gw_config_free(c);
    return 0;
}
