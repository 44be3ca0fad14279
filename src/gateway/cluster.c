/* cluster.c: see cluster.h. */
#include "gateway/cluster.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- turns ------------------------------------------------------------------------------------------------------ */

int cyg_gw_turns_init(struct cyg_gw_turns *t, size_t n, unsigned shards) {
    if (shards == 0) shards = 1;
    *t = (struct cyg_gw_turns){.n = n, .shards = shards};
    if (posix_memalign((void **)&t->turns, 64, shards * sizeof *t->turns) != 0) return CYG_ENOMEM;
    for (unsigned i = 0; i < shards; i++) t->turns[i].next = i;
    return 0;
}

void cyg_gw_turns_free(struct cyg_gw_turns *t) {
    free(t->turns);
    *t = (struct cyg_gw_turns){0};
}

size_t cyg_gw_turns_next(struct cyg_gw_turns *t, unsigned shard) {
    struct cyg_gw_turn *turn = &t->turns[shard % t->shards];
    uint32_t at = __atomic_load_n(&turn->next, __ATOMIC_RELAXED);
    size_t i = CYG_LIKELY(at < t->n) ? at : at % t->n;
    __atomic_store_n(&turn->next, i + 1 < t->n ? (uint32_t)i + 1 : 0, __ATOMIC_RELAXED);
    return i;
}

/* ---- endpoints -------------------------------------------------------------------------------------------------- */

static bool same_settings(const struct cyg_gw_pool *a, const struct cyg_gw_pool *b) {
    return a->max_connections == b->max_connections && a->max_idle == b->max_idle && a->min_idle == b->min_idle &&
           a->max_waiters == b->max_waiters && a->wait_timeout == b->wait_timeout &&
           a->idle_timeout == b->idle_timeout && a->max_life == b->max_life;
}

static struct cyg_gw_upstream *find(struct cyg_gw_upstreams *registry, const struct cyg_gw_cluster *c,
                                    const struct cyg_gw_endpoint *e) {
    for (struct cyg_gw_upstream *u = registry->all; u; u = u->next)
        if (cyg_addr_eq(&u->addr, &e->addr) && strcmp(u->cluster, c->name.p) == 0 && strcmp(u->address, e->text.p) == 0 &&
            same_settings(&u->settings, &c->pool) && u->connect_timeout == c->connect_timeout)
            return u;
    return NULL;
}

static void upstream_free(struct cyg_gw_upstream *u) {
    if (u->pool) cyg_http_pool_close(u->pool);
    free(u->cluster);
    free(u->address);
    free(u);
}

static int pool_new(const struct cyg_gw_cluster *c, const struct cyg_gw_endpoint *e, cyg_http_pool **out) {
    char name[192]; /* a cluster's name has up to 64 characters, a Unix path up to 108 */
    snprintf(name, sizeof name, "%s %s", c->name.p, e->text.p);
    cyg_http_pool_opts opts = {.conns = {
                                   .name = name,
                                   .max_open = c->pool.max_connections,
                                   .max_idle = c->pool.max_idle,
                                   .min_idle = c->pool.min_idle,
                                   .max_waiters = c->pool.max_waiters,
                                   .wait_timeout = c->pool.wait_timeout,
                                   .idle_timeout = c->pool.idle_timeout,
                                   .max_life = c->pool.max_life,
                                   .dial_timeout = c->connect_timeout,
                               }};
    return cyg_http_pool_new(&e->addr, &opts, out);
}

static int upstream_new(const struct cyg_gw_cluster *c, const struct cyg_gw_endpoint *e, struct cyg_gw_upstream **out) {
    struct cyg_gw_upstream *u = calloc(1, sizeof *u);
    if (!u) return CYG_ENOMEM;
    u->refs = 1;
    u->addr = e->addr;
    u->settings = c->pool;
    u->connect_timeout = c->connect_timeout;
    u->cluster = strdup(c->name.p);
    u->address = strdup(e->text.p);
    (void)cyg_gw_access_upstream(&u->logged, e->text, c->name);
    int err = u->cluster && u->address ? pool_new(c, e, &u->pool) : CYG_ENOMEM;
    if (err < 0)
        upstream_free(u);
    else
        *out = u;
    return err;
}

static int upstream_get(struct cyg_gw_upstreams *registry, const struct cyg_gw_cluster *c,
                        const struct cyg_gw_endpoint *e, struct cyg_gw_upstream **out) {
    cyg_mutex_lock(&registry->lock);
    int err = 0;
    struct cyg_gw_upstream *u = find(registry, c, e);
    if (u) {
        u->refs++;
    } else if ((err = upstream_new(c, e, &u)) == 0) {
        u->next = registry->all;
        registry->all = u;
    }
    cyg_mutex_unlock(&registry->lock);
    if (err == 0) *out = u;
    return err;
}

struct cyg_gw_upstream *cyg_gw_upstream_acquire(struct cyg_gw_upstreams *registry, struct cyg_gw_upstream *u) {
    cyg_mutex_lock(&registry->lock);
    u->refs++;
    cyg_mutex_unlock(&registry->lock);
    return u;
}

void cyg_gw_upstream_release(struct cyg_gw_upstreams *registry, struct cyg_gw_upstream *u) {
    cyg_mutex_lock(&registry->lock);
    bool last = --u->refs == 0;
    if (last) {
        struct cyg_gw_upstream **link = &registry->all;
        while (*link != u) link = &(*link)->next;
        *link = u->next;
    }
    cyg_mutex_unlock(&registry->lock);
    if (last) upstream_free(u);
}

/* ---- clusters --------------------------------------------------------------------------------------------------- */

int cyg_gw_members_init(struct cyg_gw_members *m, const struct cyg_gw_cluster *config,
                        struct cyg_gw_upstreams *registry, unsigned shards) {
    *m = (struct cyg_gw_members){.config = config};
    int err = cyg_gw_turns_init(&m->turns, config->nendpoints, shards);
    m->endpoints = calloc(config->nendpoints, sizeof(m->endpoints[0]));
    if (!m->endpoints) err = CYG_ENOMEM;
    for (size_t i = 0; err == 0 && i < config->nendpoints; i++)
        err = upstream_get(registry, config, &config->endpoints[i], &m->endpoints[i]);
    if (err < 0) cyg_gw_members_free(m, registry);
    return err;
}

void cyg_gw_members_free(struct cyg_gw_members *m, struct cyg_gw_upstreams *registry) {
    for (size_t i = 0; m->endpoints && i < m->config->nendpoints; i++)
        if (m->endpoints[i]) cyg_gw_upstream_release(registry, m->endpoints[i]);
    free(m->endpoints);
    cyg_gw_turns_free(&m->turns);
    *m = (struct cyg_gw_members){0};
}
