/* admin_config.c: the configuration in force as JSON, with what only the running gateway knows: when it was loaded, and the
 * addresses that were bound.
 */
#include "gateway/state.h"
#include "gateway/text.h"

#include <cygnet/runtime.h>
#include <time.h>

static void key(struct cyg_gw_text *t, const char *name) { cyg_gw_text_printf(t, "\"%s\":", name); }

static void text_member(struct cyg_gw_text *t, const char *name, cyg_str value) {
    key(t, name);
    cyg_gw_text_json(t, value);
    cyg_gw_text_puts(t, ",");
}

static void number(struct cyg_gw_text *t, const char *name, uint64_t value, const char *behind) {
    cyg_gw_text_printf(t, "\"%s\":%llu%s", name, (unsigned long long)value, behind);
}

/* Durations are seconds, as everywhere in JSON and metrics. */
static void seconds(struct cyg_gw_text *t, const char *name, cyg_duration d, const char *behind) {
    cyg_gw_text_printf(t, "\"%s_seconds\":%.9g%s", name, (double)d / 1e9, behind);
}

static void write_route(struct cyg_gw_text *t, const struct cyg_gw_route *r) {
    cyg_gw_text_puts(t, "{");
    text_member(t, "name", r->name);
    const struct cyg_gw_match *m = &r->match;
    cyg_gw_text_puts(t, "\"match\":{\"host\":");
    struct cyg_gw_text host = {0}, path = {0};
    if (m->host_kind != CYG_GW_HOST_EXACT) cyg_gw_text_puts(&host, "*");
    cyg_gw_text_put(&host, m->host.p, m->host.n);
    cyg_gw_text_put(&path, m->path.p, m->path.n);
    if (m->path_kind != CYG_GW_PATH_EXACT) cyg_gw_text_puts(&path, m->path_kind == CYG_GW_PATH_ANY ? "/*" : "*");
    cyg_gw_text_json(t, (cyg_str){host.p, host.n});
    cyg_gw_text_puts(t, ",\"path\":");
    cyg_gw_text_json(t, (cyg_str){path.p, path.n});
    cyg_gw_text_puts(t, "},");
    cyg_gw_text_free(&host);
    cyg_gw_text_free(&path);
    text_member(t, "cluster", r->cluster->name);
    seconds(t, "timeout", r->timeout, "}");
}

/* The keys of timeouts and limits that the protocol has. */
static void write_http_bounds(struct cyg_gw_text *t, const struct cyg_gw_listener *l) {
    cyg_gw_text_puts(t, "\"timeouts\":{");
    seconds(t, "head", l->timeouts.head, ",");
    seconds(t, "idle", l->timeouts.idle, ",");
    seconds(t, "body", l->timeouts.body, ",");
    seconds(t, "write", l->timeouts.write, "},\"limits\":{");
    number(t, "max_head_bytes", l->limits.max_head_bytes, ",");
    number(t, "max_fields", l->limits.max_fields, ",");
    number(t, "max_body_bytes", l->limits.max_body_bytes, ",");
    number(t, "max_connections", l->limits.max_connections, "},");
}

static void write_tcp_bounds(struct cyg_gw_text *t, const struct cyg_gw_listener *l) {
    cyg_gw_text_puts(t, "\"timeouts\":{");
    seconds(t, "idle", l->timeouts.idle, ",");
    seconds(t, "half_closed", l->timeouts.half_closed, "},\"limits\":{");
    number(t, "max_connections", l->limits.max_connections, ",");
    number(t, "max_connections_per_address", l->limits.max_connections_per_address, ",");
    number(t, "max_half_closed", l->limits.max_half_closed, "},");
}

static void write_udp_bounds(struct cyg_gw_text *t, const struct cyg_gw_listener *l) {
    cyg_gw_text_puts(t, "\"timeouts\":{");
    seconds(t, "idle", l->timeouts.idle, "},\"limits\":{");
    number(t, "max_sessions", l->limits.max_sessions, "},");
}

static void write_cidrs(struct cyg_gw_text *t, const char *name, const struct cyg_gw_cidr *blocks, size_t n) {
    cyg_gw_text_printf(t, "\"%s\":[", name);
    for (size_t i = 0; i < n; i++) {
        if (i) cyg_gw_text_puts(t, ",");
        cyg_gw_text_json(t, blocks[i].text);
    }
    cyg_gw_text_puts(t, "]");
}

static void write_proxy_accept(struct cyg_gw_text *t, const struct cyg_gw_proxy_accept *p) {
    if (p->naccept_from == 0) return;
    cyg_gw_text_puts(t, "\"proxy_protocol\":{");
    write_cidrs(t, "accept_from", p->accept_from, p->naccept_from);
    cyg_gw_text_puts(t, ",");
    seconds(t, "timeout", p->timeout, "},");
}

static void write_listener(struct cyg_gw_text *t, const struct cyg_gw_listener *l, const char *bound) {
    static void (*const bounds[CYG_GW_PROTOCOLS])(struct cyg_gw_text *, const struct cyg_gw_listener *) = {
        [CYG_GW_HTTP] = write_http_bounds, [CYG_GW_TCP] = write_tcp_bounds, [CYG_GW_UDP] = write_udp_bounds};
    cyg_gw_text_puts(t, "{");
    text_member(t, "name", l->name);
    text_member(t, "address", l->address);
    text_member(t, "bound", cyg_str_of(bound));
    text_member(t, "protocol", cyg_str_of(cyg_gw_protocol_ops(l->protocol)->word));
    bounds[l->protocol](t, l);
    write_proxy_accept(t, &l->proxy_protocol);
    if (l->protocol != CYG_GW_HTTP) {
        key(t, "cluster");
        cyg_gw_text_json(t, l->cluster->name);
        cyg_gw_text_puts(t, "}");
        return;
    }
    write_cidrs(t, "trusted", l->trusted, l->ntrusted);
    cyg_gw_text_puts(t, ",\"routes\":[");
    for (size_t i = 0; i < l->nroutes; i++) {
        if (i) cyg_gw_text_puts(t, ",");
        write_route(t, &l->routes[i]);
    }
    cyg_gw_text_puts(t, "]}");
}

static void write_cluster(struct cyg_gw_text *t, const struct cyg_gw_cluster *c) {
    static const char *const versions[] = {[CYG_GW_PROXY_OFF] = "off", [CYG_GW_PROXY_V1] = "v1", [CYG_GW_PROXY_V2] = "v2"};
    cyg_gw_text_puts(t, "{");
    text_member(t, "name", c->name);
    cyg_gw_text_puts(t, "\"endpoints\":[");
    for (size_t i = 0; i < c->nendpoints; i++) {
        if (i) cyg_gw_text_puts(t, ",");
        cyg_gw_text_json(t, c->endpoints[i].text);
    }
    cyg_gw_text_puts(t, "],");
    seconds(t, "connect_timeout", c->connect_timeout, ",\"balance\":\"round-robin\",\"pool\":{");
    number(t, "max_connections", c->pool.max_connections, ",");
    number(t, "max_idle", c->pool.max_idle, ",");
    number(t, "min_idle", c->pool.min_idle, ",");
    number(t, "max_waiters", c->pool.max_waiters, ",");
    seconds(t, "wait_timeout", c->pool.wait_timeout, ",");
    seconds(t, "idle_timeout", c->pool.idle_timeout, ",");
    seconds(t, "max_life", c->pool.max_life, "},\"proxy_protocol\":{\"send\":\"");
    cyg_gw_text_printf(t, "%s\"}}", versions[c->proxy_protocol.send]);
}

static void write_head(struct cyg_gw_text *t, const struct cyg_gw_snapshot *s) {
    time_t at = (time_t)(s->loaded_ns / CYG_SECOND);
    struct tm tm;
    char when[40];
    gmtime_r(&at, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    text_member(t, "version", s->config->version);
    text_member(t, "loaded_at", cyg_str_of(when));
    text_member(t, "file", s->config->source);
}

static const char *bound_address(struct cyg_gw *gw, const struct cyg_gw_snapshot *s, const struct cyg_gw_front *front) {
    for (size_t id = 0; id < s->nservers; id++)
        if (s->by_server[id] == front) return gw->servers[id]->text;
    return "";
}

void cyg_gw_admin_config(struct cyg_gw *gw, struct cyg_gw_text *t) {
    cyg_snapshot_hold hold;
    const struct cyg_gw_snapshot *s = cyg_snapshot_get(gw->current, &hold);
    if (!s) {
        cyg_gw_text_puts(t, "{}\n");
        return;
    }
    const struct cyg_gw_config *c = s->config;
    cyg_gw_text_puts(t, "{");
    write_head(t, s);
    cyg_gw_text_puts(t, "\"listeners\":[");
    cyg_mutex_lock(&gw->lock); /* for the list of servers */
    for (size_t i = 0; i < c->nlisteners; i++) {
        if (i) cyg_gw_text_puts(t, ",");
        write_listener(t, &c->listeners[i], bound_address(gw, s, &s->fronts[i]));
    }
    cyg_mutex_unlock(&gw->lock);
    cyg_gw_text_puts(t, "],\"clusters\":[");
    for (size_t i = 0; i < c->nclusters; i++) {
        if (i) cyg_gw_text_puts(t, ",");
        write_cluster(t, &c->clusters[i]);
    }
    cyg_gw_text_puts(t, "],\"access_log\":{\"path\":");
    cyg_gw_text_json(t, c->access_log.off ? CYG_STR("off") : cyg_str_of(c->access_log.path));
    cyg_gw_text_puts(t, "},\"admin\":{\"address\":");
    cyg_gw_text_json(t, c->admin.address);
    cyg_gw_text_puts(t, "},\"drain\":{");
    seconds(t, "timeout", c->drain.timeout, "}}\n");
    cyg_snapshot_drop(&hold);
}
