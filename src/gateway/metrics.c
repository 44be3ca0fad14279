/* metrics.c: see metrics.h. */
#include "gateway/metrics.h"

#include <cygnet/io_metrics.h>

#include <stdio.h>

#define REQUESTS "cygnet_http_requests_total"
#define REQUESTS_HELP "Requests ended, by the status the client got; code 0: it left before one."
#define REFUSED "cygnet_http_refused_total"
#define REFUSED_HELP "Requests refused before routing (malformed, too large, too slow)."

int cyg_gw_metrics_init(struct cyg_gw_metrics *m) {
    m->registry = cyg_metrics_new();
    if (!m->registry) return CYG_ENOMEM;
    cyg_io_export(m->registry);
    const char *name = "cygnet_config_reloads_total", *help = "Configuration reloads, by result.";
    m->reloads_ok = cyg_counter_new(m->registry, name, help, (cyg_label[]){{"result", "ok"}}, 1);
    m->reloads_failed = cyg_counter_new(m->registry, name, help, (cyg_label[]){{"result", "failed"}}, 1);
    return 0;
}

void cyg_gw_metrics_free(struct cyg_gw_metrics *m) {
    if (m->registry) cyg_metrics_free(m->registry);
    m->registry = NULL;
}

static cyg_counter *code_counter(const struct cyg_gw_traffic *t, int code) {
    char text[16];
    snprintf(text, sizeof text, "%d", code);
    cyg_label labels[] = {{"listener", t->listener}, {"route", t->route}, {"cluster", t->cluster}, {"code", text}};
    return cyg_counter_new(t->registry, REQUESTS, REQUESTS_HELP, labels, 4);
}

void cyg_gw_traffic_init(struct cyg_gw_traffic *t, cyg_metrics *registry, const char *listener, const char *route,
                         const char *cluster) {
    *t = (struct cyg_gw_traffic){.registry = registry, .listener = listener, .route = route, .cluster = cluster};
    bool routed = strcmp(route, CYG_GW_NO_NAME) != 0;
    t->seconds = cyg_histogram_new(registry, "cygnet_http_request_duration_seconds",
                                   "Time from a request's first byte to the last byte of its answer.",
                                   (cyg_label[]){{"listener", listener}, {"route", route}}, 2, NULL, 0);
    for (int r = 0; r < CYG_GW_REASONS; r++) {
        if (r == CYG_GW_VIA_UPSTREAM || (r == CYG_GW_ROUTE_NOT_FOUND) == routed) continue;
        t->failures[r] = cyg_counter_new(
            registry, "cygnet_http_failures_total", "Requests that the upstream did not answer, by reason.",
            (cyg_label[]){{"listener", listener}, {"route", route}, {"reason", cyg_gw_reason_info(r)->word}}, 3);
    }
    int common = routed ? 200 : 404;
    t->codes[common] = code_counter(t, common);
}

/* A code's first time; who comes second gets the same counter. */
static CYG_COLD cyg_counter *begin_code(struct cyg_gw_traffic *t, int code) {
    cyg_counter *c = code_counter(t, code);
    __atomic_store_n(&t->codes[code], c, __ATOMIC_RELEASE);
    return c;
}

void cyg_gw_traffic_count(struct cyg_gw_traffic *t, int code, int64_t ns, enum cyg_gw_reason reason) {
    if (CYG_UNLIKELY(code < 0 || code >= CYG_GW_CODES)) code = 0;
    cyg_counter *c = __atomic_load_n(&t->codes[code], __ATOMIC_ACQUIRE);
    if (CYG_UNLIKELY(!c)) c = begin_code(t, code);
    cyg_counter_add(c, 1);
    cyg_histogram_observe_ns(t->seconds, ns);
    if (CYG_UNLIKELY(t->failures[reason])) cyg_counter_add(t->failures[reason], 1);
}

void cyg_gw_refusals_init(struct cyg_gw_refusals *r, cyg_metrics *registry, const char *listener) {
    *r = (struct cyg_gw_refusals){.registry = registry, .listener = listener};
}

void cyg_gw_refusals_count(struct cyg_gw_refusals *r, const char *reason) {
    unsigned n = __atomic_load_n(&r->n, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < n && i < CYG_GW_REFUSAL_WORDS; i++) {
        if (__atomic_load_n(&r->words[i].reason, __ATOMIC_ACQUIRE) != reason) continue;
        cyg_counter_add(r->words[i].counter, 1);
        return;
    }
    cyg_label labels[] = {{"listener", r->listener}, {"reason", reason}};
    cyg_counter *c = cyg_counter_new(r->registry, REFUSED, REFUSED_HELP, labels, 2);
    cyg_counter_add(c, 1);
    unsigned i = n < CYG_GW_REFUSAL_WORDS ? __atomic_fetch_add(&r->n, 1, __ATOMIC_RELAXED) : CYG_GW_REFUSAL_WORDS;
    if (i >= CYG_GW_REFUSAL_WORDS) return;
    r->words[i].counter = c;
    __atomic_store_n(&r->words[i].reason, reason, __ATOMIC_RELEASE);
}
