/* snapshot.c: see snapshot.h. */
#include "gateway/snapshot.h"

#include "gateway/state.h"

#include <cygnet/runtime.h>
#include <stdlib.h>

static int front_init_http(struct cyg_gw_front *f, const struct cyg_gw_snapshot *s, cyg_metrics *registry) {
    const struct cyg_gw_listener *config = f->config;
    size_t n = config->nroutes;
    f->router = cyg_gw_router_new(config->routes, n);
    f->routes = calloc(n + 1, sizeof f->routes[0]);
    if (!f->router || !f->routes) return CYG_ENOMEM;
    const char *name = config->name.p;
    for (size_t i = 0; i < n; i++) {
        const struct cyg_gw_route *r = &config->routes[i];
        f->routes[i].route = r;
        f->routes[i].members = &s->members[r->cluster->index];
        cyg_gw_traffic_init(&f->routes[i].traffic, registry, name, r->name.p, r->cluster->name.p);
        (void)cyg_gw_access_configured(&f->routes[i].logged, r->name, config->name, s->config->version);
    }
    cyg_gw_traffic_init(&f->routes[n].traffic, registry, name, CYG_GW_NO_NAME, CYG_GW_NO_NAME);
    (void)cyg_gw_access_configured(&f->routes[n].logged, (cyg_str){0}, config->name, s->config->version);
    cyg_gw_refusals_init(&f->refusals, registry, name);
    return 0;
}

static int front_init(struct cyg_gw_front *f, const struct cyg_gw_snapshot *s, const struct cyg_gw_listener *config,
                      cyg_metrics *registry) {
    f->config = config;
    if (config->proxy_protocol.naccept_from > 0) cyg_gw_proxy_counters_init(&f->proxy, registry, config->name.p);
    if (config->protocol == CYG_GW_HTTP) return front_init_http(f, s, registry);
    f->l4 = cyg_gw_l4_new(config, s->config->version, registry);
    return f->l4 ? 0 : CYG_ENOMEM;
}

int cyg_gw_snapshot_new(struct cyg_gw_context *context, struct cyg_gw_config *config, struct cyg_gw_log_file *log,
                        struct cyg_gw_snapshot **out) {
    struct cyg_gw_snapshot *s = calloc(1, sizeof *s);
    if (!s) {
        cyg_gw_config_free(config);
        return CYG_ENOMEM;
    }
    s->context = context;
    s->config = config;
    s->log = log ? cyg_gw_log_file_acquire(log) : NULL;
    s->loaded_ns = cyg_unix_nano();
    s->fronts = calloc(config->nlisteners, sizeof s->fronts[0]);
    s->members = calloc(config->nclusters, sizeof s->members[0]);
    int err = s->fronts && s->members ? 0 : CYG_ENOMEM;
    for (size_t i = 0; err == 0 && i < config->nlisteners; i++)
        err = front_init(&s->fronts[i], s, &config->listeners[i], context->metrics.registry);
    for (size_t i = 0; err == 0 && i < config->nclusters; i++)
        err = cyg_gw_members_init(&s->members[i], &config->clusters[i], &context->upstreams, context->shards);
    if (err < 0)
        cyg_gw_snapshot_free(s);
    else
        *out = s;
    return err;
}

void cyg_gw_snapshot_free(struct cyg_gw_snapshot *s) {
    if (!s) return;
    for (size_t i = 0; s->fronts && i < s->config->nlisteners; i++) {
        cyg_gw_router_free(s->fronts[i].router);
        cyg_gw_l4_release(s->fronts[i].l4);
        free(s->fronts[i].routes);
    }
    for (size_t i = 0; s->members && i < s->config->nclusters; i++)
        if (s->members[i].config) cyg_gw_members_free(&s->members[i], &s->context->upstreams);
    if (s->log) cyg_gw_log_file_release(s->log);
    free(s->fronts);
    free(s->members);
    free(s->by_server);
    cyg_gw_config_free(s->config);
    free(s);
}

static void free_main(void *snapshot) {
    struct cyg_gw_snapshot *s = snapshot;
    struct cyg_gw_context *context = s->context;
    cyg_gw_snapshot_free(s);
    cyg_waitgroup_done(&context->workers);
}

void cyg_gw_snapshot_free_later(void *snapshot) {
    struct cyg_gw_snapshot *s = snapshot;
    cyg_waitgroup_add(&s->context->workers, 1);
    if (cyg_go(free_main, s) < 0) free_main(s);
}

/* The server's front in a snapshot, which may be NULL; NULL: that does not have the server. */
static inline struct cyg_gw_front *front_of(const struct cyg_gw_snapshot *snapshot, const struct cyg_gw_server *s) {
    return snapshot && s->id < snapshot->nservers ? snapshot->by_server[s->id] : NULL;
}

/* The one in force, if any, which is held, does not have the server. */
static CYG_COLD struct cyg_gw_front *hold_last(struct cyg_gw_server *s, cyg_snapshot_hold *hold,
                                               const struct cyg_gw_snapshot **out) {
    cyg_snapshot_drop(hold);
    const struct cyg_gw_snapshot *snapshot = cyg_snapshot_get(s->last, hold);
    struct cyg_gw_front *front = front_of(snapshot, s);
    if (front)
        *out = snapshot;
    else
        cyg_snapshot_drop(hold);
    return front;
}

struct cyg_gw_front *cyg_gw_hold_front(struct cyg_gw_server *s, cyg_snapshot_hold *hold, const struct cyg_gw_snapshot **out) {
    const struct cyg_gw_snapshot *snapshot = cyg_snapshot_get(s->gw->current, hold);
    struct cyg_gw_front *front = front_of(snapshot, s);
    if (CYG_UNLIKELY(!front)) return hold_last(s, hold, out);
    *out = snapshot;
    return front;
}
