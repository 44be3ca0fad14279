/* snapshot.c: see snapshot.h. */
#include "gateway/snapshot.h"

#include "gateway/state.h"

#include <cygnet/runtime.h>
#include <stdlib.h>

static int front_init_http(struct cyg_gw_front *f, const struct cyg_gw_listener *config, cyg_str version,
                           cyg_metrics *registry) {
    size_t n = config->nroutes;
    f->router = cyg_gw_router_new(config->routes, n);
    f->traffic = calloc(n + 1, sizeof f->traffic[0]);
    f->logged = calloc(n + 1, sizeof f->logged[0]);
    if (!f->router || !f->traffic || !f->logged) return CYG_ENOMEM;
    const char *name = config->name.p;
    for (size_t i = 0; i < n; i++) {
        const struct cyg_gw_route *r = &config->routes[i];
        cyg_gw_traffic_init(&f->traffic[i], registry, name, r->name.p, r->cluster->name.p);
        (void)cyg_gw_access_configured(&f->logged[i], r->name, config->name, version);
    }
    cyg_gw_traffic_init(&f->traffic[n], registry, name, CYG_GW_NO_NAME, CYG_GW_NO_NAME);
    (void)cyg_gw_access_configured(&f->logged[n], (cyg_str){0}, config->name, version);
    cyg_gw_refusals_init(&f->refusals, registry, name);
    return 0;
}

static int front_init(struct cyg_gw_front *f, const struct cyg_gw_listener *config, cyg_str version, cyg_metrics *registry) {
    f->config = config;
    if (config->proxy_protocol.naccept_from > 0) cyg_gw_proxy_counters_init(&f->proxy, registry, config->name.p);
    if (config->protocol == CYG_GW_HTTP) return front_init_http(f, config, version, registry);
    f->l4 = cyg_gw_l4_new(config, version, registry);
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
        err = front_init(&s->fronts[i], &config->listeners[i], config->version, context->metrics.registry);
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
        free(s->fronts[i].traffic);
        free(s->fronts[i].logged);
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

struct cyg_gw_front *cyg_gw_hold_front(struct cyg_gw_server *s, cyg_snapshot_hold *hold, const struct cyg_gw_snapshot **out) {
    cyg_snapshot *const places[] = {s->gw->current, s->last};
    for (size_t i = 0; i < 2; i++) {
        struct cyg_gw_snapshot *snapshot = cyg_snapshot_get(places[i], hold);
        if (!snapshot) continue;
        struct cyg_gw_front *front = s->id < snapshot->nservers ? snapshot->by_server[s->id] : NULL;
        if (front) {
            *out = snapshot;
            return front;
        }
        cyg_snapshot_drop(hold);
    }
    return NULL;
}
