/* check_gateway.c: a running gateway, by its metrics: what fails, what is nearly used up, what only grows. */
#include "doctor/checks.h"
#include "doctor/gateway.h"

#include <stdlib.h>
#include <string.h>

#define SOURCE(name) "the gateway's " name

static double sum(const struct doc_machine *m, const char *name, const char *label, const char *value) {
    double v = 0;
    (void)doc_gateway_sum(m->gateway, name, label, value, &v);
    return v;
}
static double total(const struct doc_machine *m, const char *name) { return sum(m, name, NULL, NULL); }

/* ---- requests ------------------------------------------------------------------------------------------------------------- */

static void failures(struct doc_machine *m, struct doc_finding *f) {
    cyg_str rest = {m->gateway->metrics, m->gateway->nmetrics};
    struct doc_metric x;
    char reason[64], worst[64] = "", counter[96], a[32];
    double all = 0, rate = 0, most = 0;
    while (doc_metric_next(&rest, &x)) {
        if (!cyg_str_eq(x.name, CYG_STR("cygnet_http_failures_total")) ||
            !doc_metric_label(&x, "reason", reason, sizeof reason))
            continue;
        if (strcmp(reason, "client_disconnected") == 0) continue; /* not ours to mend */
        all += x.value;
    }
    static const char *const reasons[] = {"no_healthy_upstream", "upstream_overflow",       "upstream_reset",
                                          "upstream_timeout",    "upstream_protocol_error", "upstream_answer_cut",
                                          "route_not_found",     "client_body_error"};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        snprintf(counter, sizeof counter, "failures %s", reasons[i]);
        double r = doc_rate(m, counter, sum(m, "cygnet_http_failures_total", "reason", reasons[i]));
        rate += r;
        if (r <= most) continue;
        most = r;
        snprintf(worst, sizeof worst, "%s", reasons[i]);
    }
    double requests = doc_rate(m, "requests", total(m, "cygnet_http_requests_total"));
    doc_value(f, "%s since the start, now %.1f/s of %.1f requests/s", doc_commas(a, all), rate, requests);
    if (rate == 0) {
        if (m->seconds > 0) doc_cost(f, "No request has failed in the %.0f s of watching.", m->seconds);
        return;
    }
    double share = requests > 0 ? rate / requests : 1;
    doc_raise(f, share >= 0.01 ? DOC_BAD : DOC_NOTE);
    f->now = 100;
    doc_cost(f, "%.1f %% of the requests; most of them %s (%.1f/s).", share * 100, worst, most);
    doc_fix(f, "# docs/guide/gateway.md: what %s means; the access log's response_code_details tells which requests", worst);
}
const struct doc_check doc_gateway_failures = {"gateway_failures",
                                               "requests that the gateway could not serve",
                                               SOURCE("cygnet_http_failures_total"),
                                               "note if some fail now, bad from 1 % of the requests",
                                               failures,
                                               true};

/* ---- what may run out ----------------------------------------------------------------------------------------------------- */

static void descriptors(struct doc_machine *m, struct doc_finding *f) {
    char a[32], b[32];
    double open = total(m, "process_open_fds"), max = total(m, "process_max_fds");
    doc_value(f, "%s of %s open", doc_commas(a, open), doc_commas(b, max));
    doc_cost(f, "At the limit accepting waits, and clients with it.");
    doc_in_use(f, open, max, 0.75, 0.9);
    if (f->verdict != DOC_OK)
        doc_fix(f, "# LimitNOFILE=1048576 in the unit, then restart; %s/debug/sockets tells what they are",
                m->gateway->base);
}
const struct doc_check doc_gateway_descriptors = {"gateway_descriptors",
                                                  "the gateway's open descriptors",
                                                  SOURCE("process_open_fds, process_max_fds"),
                                                  "note from 75 % in use, bad from 90 %",
                                                  descriptors,
                                                  true};

static void pauses(struct doc_machine *m, struct doc_finding *f) {
    char a[32];
    double all = total(m, "cygnet_listener_accept_pauses_total");
    doc_value(f, "%s since the start", doc_commas(a, all));
    doc_cost(f, "Each is 10 ms to 1 s in which no client gets in.");
    doc_mishaps(m, f, "accept_pauses", all);
    if (f->verdict != DOC_OK) doc_fix(f, "# LimitNOFILE=1048576 in the unit, then restart");
}
const struct doc_check doc_gateway_accept_pauses = {"gateway_accept_pauses",
                                                    "times the gateway stopped accepting for want of descriptors",
                                                    SOURCE("cygnet_listener_accept_pauses_total"),
                                                    "note if there were any, bad if they rise while doctor watches",
                                                    pauses,
                                                    true};

/* The first line of the page of sockets about a state: the oldest, with who holds it. */
static void quote_socket(const struct doc_machine *m, struct doc_finding *f, const char *state) {
    const char *p = m->gateway->sockets;
    size_t n = strlen(state);
    for (; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
        if (strncmp(p, "  ", 2) != 0 || strncmp(p + 2, state, n) != 0) continue;
        int len = (int)strcspn(p + 2, "\n");
        doc_cost(f, "The oldest: %.*s.", len < 250 ? len : 250, p + 2);
        return;
    }
}

static void half_open(struct doc_machine *m, struct doc_finding *f, const char *state, const char *cost) {
    char a[32];
    double n = sum(m, "cygnet_sockets", "state", state), longest = sum(m, "cygnet_sockets_longest_seconds", "state", state);
    doc_value(f, "%s, the oldest for %.0f s or longer", doc_commas(a, n), longest);
    doc_cost(f, "%s", cost);
    double growth = doc_rate(m, state, n);
    if (longest >= 60 || n >= 100) doc_raise(f, longest >= 600 || n >= 1000 ? DOC_BAD : DOC_NOTE);
    if (f->verdict == DOC_OK) return;
    f->now = n >= 1000 ? 100 : n / 10;
    if (growth > 0) doc_cost(f, "Now: %+.1f/s.", growth);
    quote_socket(m, f, state);
    doc_fix(f, "curl -s %s/debug/sockets    # who holds them", m->gateway->base);
}
static void close_wait(struct doc_machine *m, struct doc_finding *f) {
    half_open(m, f, "close_wait", "The peer has ended and the gateway has not: each holds a descriptor until it does.");
}
static void fin_wait2(struct doc_machine *m, struct doc_finding *f) {
    half_open(m, f, "fin_wait2", "The gateway has ended its side and waits for the peer's end, with a descriptor each.");
}
const struct doc_check doc_gateway_close_wait = {
    "gateway_close_wait",
    "connections that the peer has ended and the gateway has not",
    SOURCE("cygnet_sockets, cygnet_sockets_longest_seconds, /debug/sockets"),
    "note from 100 of them or one of 60 s, bad from 1,000 or one of 600 s",
    close_wait,
    true};
const struct doc_check doc_gateway_fin_wait2 = {
    "gateway_fin_wait2",
    "connections that the gateway has ended and the peer has not",
    SOURCE("cygnet_sockets, cygnet_sockets_longest_seconds, /debug/sockets"),
    "note from 100 of them or one of 60 s, bad from 1,000 or one of 600 s",
    fin_wait2,
    true};

/* The destination with the smallest share of its ports left. */
static bool tightest(const struct doc_machine *m, char *where, size_t n, double *left, double *used) {
    cyg_str rest = {m->gateway->metrics, m->gateway->nmetrics};
    struct doc_metric x;
    char to[128];
    double least = 2;
    while (doc_metric_next(&rest, &x)) {
        if (!cyg_str_eq(x.name, CYG_STR("cygnet_ports_left")) || !doc_metric_label(&x, "destination", to, sizeof to))
            continue;
        double u = sum(m, "cygnet_ports_used", "destination", to), share = x.value / (x.value + u > 0 ? x.value + u : 1);
        if (share >= least) continue;
        least = share;
        *left = x.value, *used = u;
        snprintf(where, n, "%s", to);
    }
    return least <= 1;
}

static void port_use(struct doc_machine *m, struct doc_finding *f) {
    char to[128], a[32], b[32];
    double left = 0, used = 0;
    if (!tightest(m, to, sizeof to, &left, &used)) {
        doc_value(f, "no outgoing connections");
        doc_cost(f, "No destination takes a port.");
        return;
    }
    double end = sum(m, "cygnet_ports_exhausted_in_seconds", "destination", to);
    doc_value(f, "%s left for %s, %s in use", doc_commas(a, left), to, doc_commas(b, used));
    doc_cost(f, "Without one a request fails with no_healthy_upstream (EADDRNOTAVAIL).");
    doc_in_use(f, used, used + left, 0.5, 0.8);
    if (end > 0 && end < 3600) {
        doc_raise(f, end < 600 ? DOC_BAD : DOC_NOTE);
        doc_cost(f, "None will be left in %.0f s if it goes on as in the last minutes.", end);
    }
    if (f->verdict != DOC_OK)
        doc_fix(f, "cygnet doctor --only ip_local_port_range --only tcp_tw_reuse --apply    # and keep connections: "
                   "gateway_reuse");
}
const struct doc_check doc_gateway_ports = {
    "gateway_ports",
    "ephemeral ports left for the destination that uses most of its own",
    SOURCE("cygnet_ports_left, cygnet_ports_used, cygnet_ports_exhausted_in_seconds"),
    "note from half in use or if none will be left in an hour, bad from 80 % or in ten minutes",
    port_use,
    true};

/* ---- upstreams -------------------------------------------------------------------------------------------------------------- */

static void overflow(struct doc_machine *m, struct doc_finding *f) {
    char a[32];
    double all = total(m, "cygnet_upstream_overflows_total"), waiting = total(m, "cygnet_upstream_waiters");
    doc_value(f, "%s refused since the start, %.0f waiting", doc_commas(a, all), waiting);
    doc_cost(f, "A request waits when a pool's max_connections are all in use, and is refused when too many wait.");
    doc_mishaps(m, f, "upstream_overflows", all);
    if (waiting > 0) doc_raise(f, DOC_NOTE);
    if (waiting > 0 && f->now < 50) f->now = 50;
    if (f->verdict != DOC_OK)
        doc_fix(f, "# raise pool.max_connections of the cluster, or make the service faster: its latency times the "
                   "rate is what it needs");
}
const struct doc_check doc_gateway_overflows = {"gateway_overflows",
                                                "requests that found no free connection to their service",
                                                SOURCE("cygnet_upstream_overflows_total, cygnet_upstream_waiters"),
                                                "note if some were refused or wait, bad if some are refused now",
                                                overflow,
                                                true};

static void dial_errors(struct doc_machine *m, struct doc_finding *f) {
    char a[32];
    double all = total(m, "cygnet_upstream_dial_errors_total");
    doc_value(f, "%s since the start", doc_commas(a, all));
    doc_cost(f, "An endpoint that does not take connections costs each request that tries it a round trip or the "
                "connect timeout.");
    doc_mishaps(m, f, "upstream_dial_errors", all);
    if (f->verdict != DOC_OK)
        doc_fix(f, "curl -s %s/metrics | grep ^cygnet_upstream_dial_errors_total    # which endpoint", m->gateway->base);
}
const struct doc_check doc_gateway_dial_errors = {"gateway_dial_errors",
                                                  "connections to services that could not be made",
                                                  SOURCE("cygnet_upstream_dial_errors_total"),
                                                  "note if there were any, bad if they rise while doctor watches",
                                                  dial_errors,
                                                  true};

static void reuse(struct doc_machine *m, struct doc_finding *f) {
    double dials = total(m, "cygnet_upstream_dials_total"), reuses = total(m, "cygnet_upstream_reuses_total");
    double d_now = doc_rate(m, "upstream_dials", dials), r_now = doc_rate(m, "upstream_reuses", reuses);
    bool busy = d_now + r_now >= 10;
    double share = busy ? r_now / (d_now + r_now) : dials + reuses > 0 ? reuses / (dials + reuses) : 1;
    doc_value(f, "%.1f %% of requests used a kept connection", share * 100);
    doc_cost(f, "Each other one pays a connection's round trip and a port for a minute (%.1f/s now).", d_now);
    if (!busy && dials < 1000) return;
    if (share < 0.95) doc_raise(f, share < 0.5 ? DOC_BAD : DOC_NOTE);
    if (busy) f->now = (1 - share) * 100;
    if (f->verdict != DOC_OK)
        doc_fix(f, "# does the service answer Connection: close, or close idle connections soon? "
                   "docs/pitfalls/04-keep-alive-misconfigured.md");
}
const struct doc_check doc_gateway_reuse = {
    "gateway_reuse",
    "how often a connection to a service is used again",
    SOURCE("cygnet_upstream_reuses_total, cygnet_upstream_dials_total"),
    "note below 95 %, bad below 50 % (with 10 requests/s now, or 1,000 connections so far)",
    reuse,
    true};

static void stale(struct doc_machine *m, struct doc_finding *f) {
    char a[32];
    double all = sum(m, "cygnet_upstream_closes_total", "reason", "peer_closed"),
           rate = doc_rate(m, "upstream_stale", all), reuses = total(m, "cygnet_upstream_reuses_total");
    doc_value(f, "%s since the start", doc_commas(a, all));
    doc_cost(f, "The service closed first; a request sent at that moment is lost or must be sent again.");
    if (rate > 0 || (all >= 100 && all > reuses * 0.05)) doc_raise(f, DOC_NOTE);
    if (rate > 0) f->now = 30;
    if (f->verdict != DOC_OK)
        doc_fix(f, "# set pool.idle_timeout of the cluster below the service's own keep-alive timeout");
}
const struct doc_check doc_gateway_stale = {"gateway_stale",
                                            "kept connections that the service had closed",
                                            SOURCE("cygnet_upstream_closes_total"),
                                            "note if some are found now, or if they are 5 % of the reused ones",
                                            stale,
                                            true};

/* ---- the process ------------------------------------------------------------------------------------------------------------ */

static void blocking(struct doc_machine *m, struct doc_finding *f) {
    char a[32], b[32];
    double blocked = total(m, "cygnet_runtime_retakes_blocked_total"),
           hog = total(m, "cygnet_runtime_retakes_hog_total");
    doc_value(f, "%s blocked, %s computed for 10 ms or more", doc_commas(a, blocked), doc_commas(b, hog));
    doc_cost(f, "Their work went on elsewhere after 10 ms; until then what was queued behind them waited.");
    double rate = doc_rate(m, "retakes", blocked + hog);
    if (rate >= 1) doc_raise(f, DOC_NOTE);
    f->now = rate < 50 ? rate : 50;
    if (f->verdict != DOC_OK)
        doc_fix(f, "curl -s '%s/debug/pprof/cpu?debug=1'    # who computes; the log names who blocks", m->gateway->base);
}
const struct doc_check doc_gateway_blocking = {
    "gateway_blocking",
    "goroutines that kept their thread",
    SOURCE("cygnet_runtime_retakes_blocked_total, cygnet_runtime_retakes_hog_total"),
    "note from one a second now",
    blocking,
    true};

static void thread_limit(struct doc_machine *m, struct doc_finding *f) {
    char a[32];
    double all = total(m, "cygnet_runtime_retakes_limit_total");
    doc_value(f, "%s times", doc_commas(a, all));
    doc_cost(f, "%.0f threads now; while none can be started, a goroutine that blocks holds up all that is queued behind it.",
             total(m, "cygnet_runtime_threads"));
    doc_mishaps(m, f, "retakes_limit", all);
    if (f->verdict != DOC_OK) doc_fix(f, "cygnet doctor --only threads_max --only cgroup_pids");
}
const struct doc_check doc_gateway_threads = {"gateway_threads",
                                              "times the gateway could start no further thread",
                                              SOURCE("cygnet_runtime_retakes_limit_total, cygnet_runtime_threads"),
                                              "note if it happened, bad if it happens now",
                                              thread_limit,
                                              true};

static void parked(struct doc_machine *m, struct doc_finding *f) {
    char a[32], b[32];
    double n = total(m, "cygnet_runtime_parked_long"), all = total(m, "cygnet_runtime_goroutines");
    doc_value(f, "%s of %s goroutines", doc_commas(a, n), doc_commas(b, all));
    doc_cost(f, "What waits for so long may have been forgotten, with its stack and its connections.");
    if (n >= 100) doc_raise(f, n >= 10000 ? DOC_BAD : DOC_NOTE);
    if (f->verdict != DOC_OK)
        doc_fix(f, "curl -s %s/debug/leaks    # twice, a minute apart: what grows is a leak", m->gateway->base);
}
const struct doc_check doc_gateway_parked_long = {"gateway_parked_long",
                                                  "goroutines parked for 10 minutes or longer",
                                                  SOURCE("cygnet_runtime_parked_long"),
                                                  "note from 100, bad from 10,000",
                                                  parked,
                                                  true};

static void log_dropped(struct doc_machine *m, struct doc_finding *f) {
    char a[32];
    double all = total(m, "cygnet_access_log_dropped_total");
    doc_value(f, "%s since the start", doc_commas(a, all));
    doc_cost(f, "Requests that no log will show.");
    doc_mishaps(m, f, "access_log_dropped", all);
    if (f->verdict != DOC_OK)
        doc_fix(
            f,
            "# the disk or the pipe behind access_log.path takes lines too slowly: cygnet doctor --only pressure_io");
}
const struct doc_check doc_gateway_log_dropped = {"gateway_log_dropped",
                                                  "access log lines lost because the log was not written fast enough",
                                                  SOURCE("cygnet_access_log_dropped_total"),
                                                  "note if there were any, bad if they rise while doctor watches",
                                                  log_dropped,
                                                  true};

static void reloads(struct doc_machine *m, struct doc_finding *f) {
    char a[32];
    double failed = sum(m, "cygnet_config_reloads_total", "result", "failed");
    doc_value(f, "%s failed", doc_commas(a, failed));
    doc_cost(f, "A file with a mistake changes nothing: the gateway runs with the configuration before it.");
    if (doc_rate(m, "reloads_failed", failed) > 0 || failed > 0) doc_raise(f, DOC_NOTE);
    if (f->verdict != DOC_OK)
        doc_fix(f, "cygnet check -c FILE    # what is wrong with it; the gateway's log has it too");
}
const struct doc_check doc_gateway_reloads = {"gateway_reloads",
                                              "reloads of the configuration that failed",
                                              SOURCE("cygnet_config_reloads_total"),
                                              "note if there were any",
                                              reloads,
                                              true};
