/* scrape_upstreams.c: each family is a table row, or a loop: closes by reason, waits by length. */
#include "gateway/scrape_upstreams.h"

#include <stdlib.h>

static const struct {
    const char *name, *type, *help, *label; /* type NULL: another sample of the family above */
    size_t at;
} rows[] = {
    {"cygnet_upstream_connections", "gauge", "Connections to the endpoint now, by state.", "state=\"idle\"",
     offsetof(cyg_connpool_stats, idle)},
    {"cygnet_upstream_connections", NULL, NULL, "state=\"active\"", offsetof(cyg_connpool_stats, in_use)},
    {"cygnet_upstream_connections", NULL, NULL, "state=\"opening\"", offsetof(cyg_connpool_stats, opening)},
    {"cygnet_upstream_waiters", "gauge", "Requests waiting for a connection now.", NULL,
     offsetof(cyg_connpool_stats, waiters)},
    {"cygnet_upstream_dials_total", "counter", "Connections begun.", NULL, offsetof(cyg_connpool_stats, opens_total)},
    {"cygnet_upstream_dial_errors_total", "counter", "Connections that failed to open.", NULL,
     offsetof(cyg_connpool_stats, open_errors_total)},
    {"cygnet_upstream_loans_total", "counter", "Requests that got a connection, new or idle.", NULL,
     offsetof(cyg_connpool_stats, gets_total)},
    {"cygnet_upstream_reuses_total", "counter", "Requests that got one that had served before.", NULL,
     offsetof(cyg_connpool_stats, reuses_total)},
    {"cygnet_upstream_waits_total", "counter", "Requests that waited for a connection.", NULL,
     offsetof(cyg_connpool_stats, waits_total)},
    {"cygnet_upstream_wait_failures_total", "counter", "Requests that waited in vain, by why.", "reason=\"timeout\"",
     offsetof(cyg_connpool_stats, wait_timeouts_total)},
    {"cygnet_upstream_wait_failures_total", NULL, NULL, "reason=\"cancelled\"",
     offsetof(cyg_connpool_stats, wait_cancels_total)},
    {"cygnet_upstream_overflows_total", "counter", "Requests refused because too many waited.", NULL,
     offsetof(cyg_connpool_stats, wait_refused_total)},
};

struct upstream {
    const char *cluster, *endpoint;
    cyg_connpool_stats stats;
};

struct upstreams {
    struct cyg_gw_text *t;
    struct upstream *all;
    size_t n;
};

/* name{cluster="…",endpoint="…" */
static void sample(const struct upstreams *u, size_t i, const char *name) {
    cyg_gw_text_printf(u->t, "%s{cluster=", name);
    cyg_gw_text_label(u->t, u->all[i].cluster);
    cyg_gw_text_puts(u->t, ",endpoint=");
    cyg_gw_text_label(u->t, u->all[i].endpoint);
}

static void write_row(const struct upstreams *u, size_t r) {
    if (rows[r].type) cyg_gw_text_family(u->t, rows[r].name, rows[r].type, rows[r].help);
    for (size_t i = 0; i < u->n; i++) {
        uint64_t value = *(const uint64_t *)((const char *)&u->all[i].stats + rows[r].at);
        sample(u, i, rows[r].name);
        if (rows[r].label) cyg_gw_text_printf(u->t, ",%s", rows[r].label);
        cyg_gw_text_printf(u->t, "} %llu\n", (unsigned long long)value);
    }
}

static void write_closes(const struct upstreams *u) {
    static const char name[] = "cygnet_upstream_closes_total";
    cyg_gw_text_family(u->t, name, "counter", "Connections closed, by why.");
    for (size_t i = 0; i < u->n; i++)
        for (int why = 0; why < CYG_CONNPOOL_WHYS; why++) {
            sample(u, i, name);
            cyg_gw_text_printf(u->t, ",reason=\"%s\"} %llu\n", cyg_connpool_reason((cyg_connpool_why)why),
                               (unsigned long long)u->all[i].stats.closed_total[why]);
        }
}

static void write_waits(const struct upstreams *u) {
    static const char name[] = "cygnet_upstream_wait_seconds";
    cyg_gw_text_family(u->t, name, "histogram",
                       "How long requests waited for a connection; those that did not wait are not in it.");
    for (size_t i = 0; i < u->n; i++) {
        const cyg_connpool_stats *s = &u->all[i].stats;
        uint64_t below = 0;
        for (int b = 0; b < CYG_CONNPOOL_WAIT_BUCKETS; b++) {
            below += s->wait_buckets[b];
            sample(u, i, "cygnet_upstream_wait_seconds_bucket");
            if (b < CYG_CONNPOOL_WAIT_BUCKETS - 1)
                cyg_gw_text_printf(u->t, ",le=\"%.6f\"} %llu\n", (double)(1ull << b) / 1e6, (unsigned long long)below);
            else
                cyg_gw_text_printf(u->t, ",le=\"+Inf\"} %llu\n", (unsigned long long)below);
        }
        sample(u, i, "cygnet_upstream_wait_seconds_sum");
        cyg_gw_text_printf(u->t, "} %.9f\n", (double)s->wait_ns_total / 1e9);
        sample(u, i, "cygnet_upstream_wait_seconds_count");
        cyg_gw_text_printf(u->t, "} %llu\n", (unsigned long long)below);
    }
}

/* Of the pool, and of the connections beside it, each of which serves one client alone. */
static void read_stats(const struct cyg_gw_upstream *e, cyg_connpool_stats *out) {
    cyg_connpool_get_stats(cyg_http_pool_conns(e->pool), out);
    out->in_use += __atomic_load_n(&e->direct.open, __ATOMIC_RELAXED);
    out->opens_total += __atomic_load_n(&e->direct.dials, __ATOMIC_RELAXED);
    out->open_errors_total += __atomic_load_n(&e->direct.dial_errors, __ATOMIC_RELAXED);
}

void cyg_gw_scrape_upstreams(const struct cyg_gw_snapshot *s, struct cyg_gw_text *t) {
    struct upstreams u = {.t = t, .all = calloc(s->config->nendpoints, sizeof *u.all)};
    if (!u.all) {
        t->failed = true;
        return;
    }
    for (size_t c = 0; c < s->config->nclusters; c++) {
        const struct cyg_gw_members *m = &s->members[c];
        for (size_t e = 0; e < m->config->nendpoints; e++) {
            struct upstream *one = &u.all[u.n++];
            one->cluster = m->config->name.p;
            one->endpoint = m->endpoints[e]->address;
            read_stats(m->endpoints[e], &one->stats);
        }
    }
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) write_row(&u, r);
    write_closes(&u);
    write_waits(&u);
    free(u.all);
}
