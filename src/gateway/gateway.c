/* gateway.c: see gateway.h. Start, the loop over signals, reload, drain. */
#include "gateway/gateway.h"

#include "gateway/event.h"
#include "gateway/state.h"

#include <cygnet/runtime.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define END_SIGNALS (CYG_SIGNAL(SIGTERM) | CYG_SIGNAL(SIGINT))
#define SIGNALS (END_SIGNALS | CYG_SIGNAL(SIGHUP))
#define ADMIN_DRAIN CYG_SECOND /* a scrape under way may finish */
#define LAST_FLUSH (500 * CYG_MILLISECOND)

/* ---- start ------------------------------------------------------------------------------------------------------ */

static int init(struct cyg_gw *gw, const char *file) {
    gw->context.shards = cyg_procs();
    gw->started_ns = cyg_unix_nano();
    gw->ids = cyg_gw_ids_new(gw->context.shards);
    gw->current = cyg_snapshot_new(&(cyg_snapshot_opts){.destroy = cyg_gw_snapshot_free_later, .name = "configuration"});
    if (file) gw->file = strdup(file);
    if (!gw->ids || (file && !gw->file)) return CYG_ENOMEM;
    return cyg_gw_metrics_init(&gw->context.metrics);
}

int cyg_gw_start(struct cyg_gw_config *config, const char *file, struct cyg_gw **out) {
    /* Installs the handlers first: a signal that comes while we start must not kill us half-way. */
    (void)cyg_signal_wait(SIGNALS, cyg_now());
    struct cyg_gw *gw = calloc(1, sizeof *gw);
    int err = gw ? init(gw, file) : CYG_ENOMEM;
    if (err < 0)
        cyg_gw_config_free(config);
    else
        err = cyg_gw_apply(gw, config);
    if (err < 0) {
        if (err == CYG_ENOMEM) cyg_gw_event("error", "start-failed", "error=\"%s\"", cyg_strerror(err));
        cyg_gw_free(gw);
        return err;
    }
    cyg_gw_event("info", "started", "cygnet=%s pid=%d version=%s procs=%u", CYG_VERSION, (int)getpid(),
                 config->version.p, cyg_procs());
    *out = gw;
    return 0;
}

const char *cyg_gw_address(struct cyg_gw *gw, size_t i) { return i < gw->nservers ? gw->servers[i]->text : NULL; }
const char *cyg_gw_admin_address(struct cyg_gw *gw) { return gw->admin ? gw->admin->text : NULL; }

/* ---- reload ----------------------------------------------------------------------------------------------------- */

struct loading {
    const char *file;
    struct cyg_gw_config *config;
    struct cyg_gw_problems problems;
};

static int load(void *arg) {
    struct loading *l = arg;
    return cyg_gw_config_load(l->file, &l->config, &l->problems);
}

/* The version in force; of the goroutine that reloads, so that it cannot change meanwhile. */
static const struct cyg_gw_config *in_force(struct cyg_gw *gw, cyg_snapshot_hold *hold) {
    struct cyg_gw_snapshot *s = cyg_snapshot_get(gw->current, hold);
    return s->config;
}

static void reopen_log(struct cyg_gw *gw) {
    int err = gw->log ? cyg_linelog_reopen(gw->log->lines) : 0;
    if (err < 0)
        cyg_gw_event("error", "access-log-reopen-failed", "path=%s error=\"%s\"", gw->log->path, cyg_strerror(err));
}

static void reload(struct cyg_gw *gw) {
    reopen_log(gw); /* first: rotating logs must not depend on a good configuration */
    if (!gw->file) {
        cyg_gw_event("warning", "reload-ignored", "reason=\"no configuration file\"");
        return;
    }
    cyg_snapshot_hold hold;
    const struct cyg_gw_config *old = in_force(gw, &hold);
    struct loading l = {.file = gw->file};
    int err = cyg_blocking(load, &l);
    for (size_t i = 0; i < l.problems.n; i++) cyg_gw_event("error", "config-problem", "%s", l.problems.items[i].text);
    if (l.problems.dropped) cyg_gw_event("error", "config-problem", "and %zu more", l.problems.dropped);
    cyg_gw_problems_free(&l.problems);
    /* The text outlives the configuration only here: once applied it may be replaced and freed at any time. */
    char version[256] = "";
    if (err == 0) {
        snprintf(version, sizeof version, "%s", l.config->version.p);
        err = cyg_gw_apply(gw, l.config);
    }
    cyg_counter_add(err == 0 ? gw->context.metrics.reloads_ok : gw->context.metrics.reloads_failed, 1);
    if (err == 0)
        cyg_gw_event("info", "config-applied", "version=%s before=%s file=%s", version, old->version.p, gw->file);
    else
        cyg_gw_event("error", "config-rejected", "file=%s in_force=%s error=\"%s\"", gw->file, old->version.p,
                     cyg_strerror(err));
    cyg_snapshot_drop(&hold);
}

/* ---- drain ------------------------------------------------------------------------------------------------------ */

struct ending {
    struct cyg_gw *gw;
    cyg_ctx *done; /* cancelled when all is drained */
};

/* Everything at once but the admin server, which tells of the drain until it is over. */
static void drain_all(void *arg) {
    struct ending *e = arg;
    struct cyg_gw *gw = e->gw;
    for (size_t i = 0; i < gw->nservers; i++) {
        struct cyg_gw_server *s = gw->servers[i];
        if (s->removed) continue;
        s->removed = true;
        cyg_gw_drain_server(gw, s, gw->cut_at - cyg_now());
    }
    (void)cyg_waitgroup_wait(&gw->context.workers);
    if (gw->admin) (void)gw->admin->ops->shutdown(gw->admin, cyg_now() + ADMIN_DRAIN);
    cyg_ctx_cancel(e->done, 0);
}

/* Drains. Returns: the exit status. */
static int drain(struct cyg_gw *gw, int signal_number) {
    cyg_snapshot_hold hold;
    cyg_duration timeout = in_force(gw, &hold)->drain.timeout;
    cyg_snapshot_drop(&hold);
    gw->cut_at = cyg_now() + timeout;
    __atomic_store_n(&gw->draining, 1, __ATOMIC_RELEASE);
    cyg_gw_event("info", "draining", "signal=%s timeout_ms=%lld", signal_number == SIGTERM ? "SIGTERM" : "SIGINT",
                 (long long)(timeout / CYG_MILLISECOND));
    cyg_auto_ctx cyg_ctx *done = cyg_ctx_with_cancel(cyg_ctx_background());
    struct ending e = {gw, done};
    if (cyg_go_copy(drain_all, &e) < 0) drain_all(&e);
    cyg_ctx_scope scope = cyg_ctx_enter(done);
    int r;
    while ((r = cyg_signal_wait(SIGNALS, 0)) == SIGHUP) cyg_gw_event("warning", "reload-ignored", "reason=draining");
    cyg_ctx_leave(&scope);
    if (r > 0) {
        cyg_gw_event("warning", "ended", "reason=\"second signal\"");
        gw->abandoned = true;
        return 1;
    }
    uint64_t stuck = __atomic_load_n(&gw->stuck, __ATOMIC_RELAXED);
    uint64_t cut = __atomic_load_n(&gw->cut, __ATOMIC_RELAXED) + stuck;
    gw->abandoned = stuck > 0;
    cyg_gw_event(cut ? "warning" : "info", "drained", "cut=%llu", (unsigned long long)cut);
    return 0;
}

int cyg_gw_run(struct cyg_gw *gw) {
    for (;;) {
        int r = cyg_signal_wait(SIGNALS, 0);
        if (r == SIGHUP) {
            reload(gw);
        } else if (r > 0) {
            return drain(gw, r);
        } else {
            cyg_gw_event("error", "signal-wait-failed", "error=\"%s\"", cyg_strerror(r));
            return 1;
        }
    }
}

/* ---- end -------------------------------------------------------------------------------------------------------- */

void cyg_gw_free(struct cyg_gw *gw) {
    if (!gw) return;
    if (gw->abandoned) { /* the process ends now; only what was logged must not be lost with it */
        if (gw->log) (void)cyg_linelog_flush(gw->log->lines, cyg_now() + LAST_FLUSH);
        return;
    }
    for (size_t i = 0; i < gw->nservers; i++) (void)gw->servers[i]->ops->shutdown(gw->servers[i], cyg_now());
    if (gw->admin) (void)gw->admin->ops->shutdown(gw->admin, cyg_now());
    cyg_snapshot_free(gw->current);
    (void)cyg_waitgroup_wait(&gw->context.workers);
    for (size_t i = 0; i < gw->nservers; i++) cyg_gw_server_free(gw->servers[i]);
    cyg_gw_server_free(gw->admin);
    for (struct cyg_gw_server *s = gw->former_admins, *next; s; s = next) {
        next = s->next;
        cyg_gw_server_free(s);
    }
    (void)cyg_waitgroup_wait(&gw->context.workers); /* a server that had no memory to let go of its last snapshot has now */
    free(gw->servers);
    if (gw->log) cyg_gw_log_file_release(gw->log);
    cyg_gw_ids_free(gw->ids);
    cyg_gw_metrics_free(&gw->context.metrics);
    free(gw->file);
    free(gw);
}
