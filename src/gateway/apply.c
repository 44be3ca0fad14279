/* apply.c: makes a configuration the one in force, all of it or nothing. Everything that can fail (sockets, log, memory) is
 * done into a plan first; committing the plan cannot fail.
 *
 * Order of the commit: servers that are no longer wanted get the old snapshot as their last one; then the current snapshot
 * is exchanged; then new servers begin to accept, and what was taken away drains on goroutines of its own.
 */
#include "gateway/event.h"
#include "gateway/state.h"

#include <cygnet/runtime.h>
#include <stdlib.h>

struct planned {
    struct cyg_gw_server *server;
    bool opened;    /* by this plan: closed again if it fails */
    void *prepared; /* the protocol's, to serve with; NULL: goes on as it is */
};

struct plan {
    struct cyg_gw *gw;
    struct cyg_gw_config *config; /* until the snapshot has it */
    struct planned *listeners;    /* config->nlisteners of them */
    size_t nlisteners;
    struct planned admin;        /* server NULL: none */
    struct cyg_gw_log_file *log; /* one reference; NULL: off */
    struct cyg_gw_snapshot *snapshot;
};

/* ---- planning --------------------------------------------------------------------------------------------------- */

static int refuse(const char *what, const char *name, int err) {
    const char *detail = cyg_err_detail();
    cyg_gw_event("error", what, "name=%s error=\"%s\"", name, *detail ? detail : cyg_strerror(err));
    return err;
}

static bool planned_already(const struct plan *p, const struct cyg_gw_server *s) {
    for (size_t i = 0; i < p->nlisteners; i++)
        if (p->listeners[i].server == s) return true;
    return false;
}

/* The server that has the listener's address and protocol already, or NULL; of several on port 0 the next that is not taken. */
static struct cyg_gw_server *find_server(const struct plan *p, const struct cyg_gw_listener *l) {
    for (size_t i = 0; i < p->gw->nservers; i++) {
        struct cyg_gw_server *s = p->gw->servers[i];
        bool same = !s->removed && s->ops == cyg_gw_protocol_ops(l->protocol) && cyg_addr_eq(&s->addr, &l->addr);
        if (same && !planned_already(p, s)) return s;
    }
    return NULL;
}

/* A server of another protocol that keeps the listener's address from being opened, or NULL. UDP has ports of its own. */
static struct cyg_gw_server *find_other(const struct plan *p, const struct cyg_gw_listener *l) {
    for (size_t i = 0; i < p->gw->nservers; i++) {
        struct cyg_gw_server *s = p->gw->servers[i];
        if (s->removed || s->ops == cyg_gw_protocol_ops(l->protocol) || !cyg_addr_eq(&s->addr, &l->addr)) continue;
        bool any_port = l->addr.family != CYG_AF_UNIX && l->addr.port == 0;
        if (!any_port && (s->ops == &cyg_gw_udp_ops) == (l->protocol == CYG_GW_UDP)) return s;
    }
    return NULL;
}

/* Makes e ready to serve as l asks. l NULL: the admin address. */
static int plan_server(struct plan *p, struct planned *e, const struct cyg_gw_listener *l, struct cyg_gw_server *existing) {
    const struct cyg_gw_config *c = p->config;
    const char *name = l ? l->name.p : "admin";
    int err;
    e->server = existing;
    if (!existing) {
        err = l ? cyg_gw_server_open(p->gw, l->protocol, l->network, l->bind, &l->addr, &e->server)
                : cyg_gw_server_open(p->gw, CYG_GW_HTTP, c->admin.network, c->admin.bind, &c->admin.addr, &e->server);
        if (err < 0) return refuse("listen-failed", name, err);
        e->opened = true;
    }
    err = e->server->ops->prepare(e->server, l, &e->prepared);
    return err < 0 ? refuse("listen-failed", name, err) : 0;
}

/* The socket cannot be handed from one protocol to the other without refusing connections meanwhile. */
static int refuse_change(const struct cyg_gw_listener *l, const struct cyg_gw_server *existing) {
    cyg_gw_event("error", "listen-failed",
                 "name=%s error=\"address %s speaks %s: give the listener of %s another address, or restart\"",
                 l->name.p, existing->text, existing->ops->word, cyg_gw_protocol_ops(l->protocol)->word);
    return CYG_ESTATE;
}

static int plan_listeners(struct plan *p) {
    const struct cyg_gw_config *c = p->config;
    p->listeners = calloc(c->nlisteners, sizeof p->listeners[0]);
    if (!p->listeners) return CYG_ENOMEM;
    for (size_t i = 0; i < c->nlisteners; i++) {
        const struct cyg_gw_listener *l = &c->listeners[i];
        struct planned *e = &p->listeners[i];
        struct cyg_gw_server *existing = find_server(p, l), *other = existing ? NULL : find_other(p, l);
        if (other) return refuse_change(l, other);
        int err = plan_server(p, e, l, existing);
        p->nlisteners = i + 1;
        if (err < 0) return err;
    }
    return 0;
}

static int plan_admin(struct plan *p) {
    const struct cyg_gw_config *c = p->config;
    if (!c->admin.on) return 0;
    struct cyg_gw_server *now = p->gw->admin;
    if (now && !cyg_addr_eq(&now->addr, &c->admin.addr)) now = NULL;
    return plan_server(p, &p->admin, NULL, now);
}

static int plan_log(struct plan *p) {
    const struct cyg_gw_config *c = p->config;
    if (c->access_log.off) return 0;
    cyg_linelog_opts opts = {.buffer_bytes = c->access_log.buffer_bytes, .flush_interval = c->access_log.flush_interval};
    struct cyg_gw_log_file *now = p->gw->log;
    if (now && cyg_gw_log_file_is(now, c->access_log.path, &opts)) {
        p->log = cyg_gw_log_file_acquire(now);
        return 0;
    }
    int err = cyg_gw_log_file_open(c->access_log.path, &opts, &p->log);
    return err < 0 ? refuse("access-log-failed", c->access_log.path, err) : 0;
}

/* Gives the new servers their ids, so that the snapshot can name them. */
static int plan_ids(struct plan *p) {
    struct cyg_gw *gw = p->gw;
    size_t fresh = 0;
    for (size_t i = 0; i < p->nlisteners; i++) fresh += p->listeners[i].opened;
    struct cyg_gw_server **servers = calloc(gw->nservers + fresh + 1, sizeof servers[0]);
    if (!servers) return CYG_ENOMEM;
    if (gw->nservers) memcpy(servers, gw->servers, gw->nservers * sizeof servers[0]);
    size_t n = gw->nservers;
    for (size_t i = 0; i < p->nlisteners; i++) {
        if (!p->listeners[i].opened) continue;
        p->listeners[i].server->id = n;
        servers[n++] = p->listeners[i].server;
    }
    p->snapshot->by_server = calloc(n + 1, sizeof p->snapshot->by_server[0]);
    if (!p->snapshot->by_server) {
        free(servers);
        return CYG_ENOMEM;
    }
    p->snapshot->nservers = n;
    for (size_t i = 0; i < p->nlisteners; i++)
        p->snapshot->by_server[p->listeners[i].server->id] = &p->snapshot->fronts[i];
    cyg_mutex_lock(&gw->lock);
    struct cyg_gw_server **before = gw->servers;
    gw->servers = servers; /* the same ones, and behind nservers those to come */
    cyg_mutex_unlock(&gw->lock);
    free(before);
    return 0;
}

/* Memory for what commit_servers publishes. */
static int reserve(struct plan *p) {
    int err = cyg_snapshot_reserve(p->gw->current);
    for (size_t i = 0; err == 0 && i < p->gw->nservers; i++)
        if (!p->gw->servers[i]->removed && !p->snapshot->by_server[i])
            err = cyg_snapshot_reserve(p->gw->servers[i]->last);
    return err;
}

static void undo(struct plan *p) {
    for (size_t i = 0; i <= p->nlisteners; i++) {
        struct planned *e = i < p->nlisteners ? &p->listeners[i] : &p->admin;
        if (e->server) e->server->ops->discard(e->prepared);
        if (e->opened) cyg_gw_server_free(e->server);
    }
    if (p->log) cyg_gw_log_file_release(p->log);
    if (p->snapshot) cyg_gw_snapshot_free(p->snapshot);
    if (p->config) cyg_gw_config_free(p->config);
    free(p->listeners);
}

/* ---- committing ------------------------------------------------------------------------------------------------- */

static void serve(struct planned *e, const char *name) {
    if (!e->opened && !e->prepared) return;
    if (e->opened) cyg_gw_event("info", "listening", "name=%s address=%s", name, e->server->text);
    e->server->ops->serve(e->server, e->prepared);
}

/* Nothing of it can fail: reserve() has set aside the memory. */
static void commit_servers(struct plan *p, cyg_duration drain) {
    struct cyg_gw *gw = p->gw;
    size_t before = gw->nservers;
    cyg_mutex_lock(&gw->lock);
    gw->nservers = p->snapshot->nservers;
    cyg_mutex_unlock(&gw->lock);
    cyg_snapshot_hold old;
    (void)cyg_snapshot_get(gw->current, &old);
    for (size_t i = 0; i < before; i++) {
        struct cyg_gw_server *s = gw->servers[i];
        if (s->removed || p->snapshot->by_server[i]) continue;
        (void)cyg_snapshot_publish_held(s->last, &old);
    }
    (void)cyg_snapshot_publish(gw->current, p->snapshot, 0);
    cyg_snapshot_drop(&old);
    for (size_t i = 0; i < p->nlisteners; i++) serve(&p->listeners[i], p->snapshot->fronts[i].config->name.p);
    for (size_t i = 0; i < before; i++) {
        struct cyg_gw_server *s = gw->servers[i];
        if (s->removed || p->snapshot->by_server[i]) continue;
        s->removed = true;
        cyg_gw_drain_server(gw, s, drain);
    }
}

static void commit_admin(struct plan *p, cyg_duration drain) {
    struct cyg_gw *gw = p->gw;
    struct cyg_gw_server *before = gw->admin;
    if (p->admin.server == before) return;
    cyg_mutex_lock(&gw->lock);
    gw->admin = p->admin.server;
    cyg_mutex_unlock(&gw->lock);
    if (p->admin.server) serve(&p->admin, "admin");
    if (!before) return;
    before->next = gw->former_admins;
    gw->former_admins = before;
    cyg_gw_drain_server(gw, before, drain);
}

static void commit(struct plan *p) {
    struct cyg_gw *gw = p->gw;
    cyg_duration drain = p->snapshot->config->drain.timeout;
    cyg_mutex_lock(&gw->lock);
    struct cyg_gw_log_file *log = gw->log;
    gw->log = p->log;
    cyg_mutex_unlock(&gw->lock);
    commit_servers(p, drain);
    commit_admin(p, drain);
    if (log) cyg_gw_log_file_release(log);
    free(p->listeners);
}

int cyg_gw_apply(struct cyg_gw *gw, struct cyg_gw_config *config) {
    struct plan p = {.gw = gw, .config = config};
    int err = plan_listeners(&p);
    if (err == 0) err = plan_admin(&p);
    if (err == 0) err = plan_log(&p);
    if (err == 0) {
        p.config = NULL; /* the snapshot's, whatever comes */
        err = cyg_gw_snapshot_new(&gw->context, config, p.log, &p.snapshot);
        if (err == 0) err = plan_ids(&p);
        if (err == 0) err = reserve(&p);
        if (err < 0) cyg_gw_event("error", "config-failed", "error=\"%s\"", cyg_strerror(err));
    }
    if (err < 0)
        undo(&p);
    else
        commit(&p);
    return err;
}

/* ---- draining what was taken away ------------------------------------------------------------------------------- */

struct drain {
    struct cyg_gw_server *server;
    cyg_time deadline;
};

static void drain_main(void *arg) {
    struct drain *d = arg;
    struct cyg_gw_server *s = d->server;
    struct cyg_gw *gw = s->gw;
    uint64_t left = s->ops->shutdown(s, d->deadline);
    if (left) {
        __atomic_fetch_add(&gw->stuck, left, __ATOMIC_RELAXED);
        cyg_gw_event("warning", "listener-closed", "address=%s unfinished=%llu", s->text, (unsigned long long)left);
    } else {
        cyg_gw_event("info", "listener-closed", "address=%s", s->text);
    }
    (void)cyg_snapshot_publish(s->last, NULL, 0); /* without memory it stays until the gateway ends */
    cyg_waitgroup_done(&gw->context.workers);
}

void cyg_gw_drain_server(struct cyg_gw *gw, struct cyg_gw_server *s, cyg_duration timeout) {
    struct drain d = {s, cyg_now() + timeout};
    cyg_waitgroup_add(&gw->context.workers, 1);
    if (cyg_go_copy(drain_main, &d) < 0) drain_main(&d); /* no memory for a goroutine: then here, however long */
}
