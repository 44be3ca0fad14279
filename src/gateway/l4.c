/* l4.c: see l4.h. */
#include "gateway/l4.h"

#include "gateway/state.h"

#include <stdlib.h>

/* ---- what is counted -------------------------------------------------------------------------------------------- */

static void count_tcp(struct cyg_gw_l4 *l4, cyg_metrics *registry, cyg_label listener) {
    for (int e = 0; e < CYG_GW_ENDINGS; e++) {
        const struct cyg_gw_ending_info *info = cyg_gw_ending_info((enum cyg_gw_ending)e);
        if (!(info->protocols >> CYG_GW_TCP & 1)) continue;
        l4->ends[e] = cyg_counter_new(registry, "cygnet_tcp_connections_total", "TCP connections ended, by how.",
                                      (cyg_label[]){listener, {"reason", info->word}}, 2);
    }
    const char *bytes = "cygnet_tcp_bytes_total",
               *help = "Bytes of TCP connections passed on from (in) and to (out) clients.";
    l4->received = cyg_counter_new(registry, bytes, help, (cyg_label[]){listener, {"direction", "in"}}, 2);
    l4->sent = cyg_counter_new(registry, bytes, help, (cyg_label[]){listener, {"direction", "out"}}, 2);
    l4->seconds = cyg_histogram_new(registry, "cygnet_tcp_connection_duration_seconds",
                                    "How long TCP connections lasted.", &listener, 1, NULL, 0);
    l4->connect_seconds =
        cyg_histogram_new(registry, "cygnet_tcp_connect_duration_seconds",
                          "From a connection's begin until an endpoint had taken it.", &listener, 1, NULL, 0);
}

static void count_udp(struct cyg_gw_l4 *l4, cyg_metrics *registry, cyg_label listener) {
    for (int e = 0; e < CYG_GW_ENDINGS; e++) {
        const struct cyg_gw_ending_info *info = cyg_gw_ending_info((enum cyg_gw_ending)e);
        if (!(info->protocols >> CYG_GW_UDP & 1)) continue;
        l4->ends[e] = cyg_counter_new(registry, "cygnet_udp_sessions_total",
                                      "UDP sessions ended, by how; of those refused, each datagram.",
                                      (cyg_label[]){listener, {"reason", info->word}}, 2);
    }
    const char *bytes = "cygnet_udp_bytes_total",
               *help = "Bytes in datagrams passed on from (in) and to (out) clients.";
    l4->received = cyg_counter_new(registry, bytes, help, (cyg_label[]){listener, {"direction", "in"}}, 2);
    l4->sent = cyg_counter_new(registry, bytes, help, (cyg_label[]){listener, {"direction", "out"}}, 2);
    const char *datagrams = "cygnet_udp_datagrams_total";
    help = "Datagrams passed on from (in) and to (out) clients.";
    l4->in_datagrams = cyg_counter_new(registry, datagrams, help, (cyg_label[]){listener, {"direction", "in"}}, 2);
    l4->out_datagrams = cyg_counter_new(registry, datagrams, help, (cyg_label[]){listener, {"direction", "out"}}, 2);
    l4->dropped_datagrams = cyg_counter_new(
        registry, "cygnet_udp_dropped_total",
        "Datagrams of sessions that could not be passed on: larger than one can be, or no room.", &listener, 1);
}

/* ---- lifetime --------------------------------------------------------------------------------------------------- */

static const char *put(char **at, cyg_str s) {
    char *begin = memcpy(*at, s.p, s.n);
    begin[s.n] = '\0';
    *at += s.n + 1;
    return begin;
}

struct cyg_gw_l4 *cyg_gw_l4_new(const struct cyg_gw_listener *l, cyg_str version, cyg_metrics *registry) {
    size_t texts = l->name.n + l->cluster->name.n + 2;
    struct cyg_gw_l4 *l4 = calloc(1, sizeof *l4 + texts);
    if (!l4) return NULL;
    char *at = (char *)(l4 + 1);
    l4->refs = 1;
    l4->protocol = l->protocol;
    l4->listener = put(&at, l->name);
    l4->cluster = put(&at, l->cluster->name);
    (void)cyg_gw_access_configured(&l4->logged, (cyg_str){0}, l->name, version);
    l4->timeouts = l->timeouts;
    l4->limits = l->limits;
    l4->send = l->cluster->proxy_protocol.send;
    cyg_label listener = {"listener", l4->listener};
    if (l->protocol == CYG_GW_TCP)
        count_tcp(l4, registry, listener);
    else
        count_udp(l4, registry, listener);
    return l4;
}

struct cyg_gw_l4 *cyg_gw_l4_acquire(struct cyg_gw_l4 *l4) {
    __atomic_add_fetch(&l4->refs, 1, __ATOMIC_RELAXED);
    return l4;
}

void cyg_gw_l4_release(struct cyg_gw_l4 *l4) {
    if (l4 && __atomic_sub_fetch(&l4->refs, 1, __ATOMIC_ACQ_REL) == 0) free(l4);
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

static void write_log(const struct cyg_gw_server *s, const struct cyg_gw_l4 *l4, const struct cyg_gw_l4_record *r,
                      struct cyg_gw_log_file *log, int64_t duration_ns) {
    struct cyg_gw_access_run upstream;
    char remote[CYG_ADDR_STRLEN];
    struct cyg_gw_access a = {
        .start = r->started,
        .protocol = l4->protocol == CYG_GW_TCP ? CYG_GW_ACCESS_PROTOCOL("TCP") : CYG_GW_ACCESS_PROTOCOL("UDP"),
        .outcome = cyg_gw_ending_info(r->ending)->logged,
        .bytes_received = r->received,
        .bytes_sent = r->sent,
        .duration_ns = duration_ns,
        .upstream_service_ns = -1,
        .upstream = cyg_gw_access_upstream(&upstream, cyg_str_of(r->upstream), cyg_str_of(r->attempts ? l4->cluster : NULL)),
        .local = cyg_gw_access_run_text(&s->logged),
        .downstream_remote_address = {remote, cyg_addr_format(r->client, remote, sizeof remote)},
        .configured = cyg_gw_access_run_text(&l4->logged),
        .upstream_request_attempt_count = r->attempts,
    };
    if (r->client->family == CYG_AF_NONE) a.downstream_remote_address.n = 0;
    (void)cyg_gw_access_write(log, &a);
}

void cyg_gw_l4_finish(struct cyg_gw_server *s, const struct cyg_gw_l4 *l4, const struct cyg_gw_l4_record *r) {
    int64_t duration_ns = cyg_now() - r->started;
    cyg_counter_add(l4->ends[r->ending], 1);
    if (l4->protocol == CYG_GW_TCP) cyg_histogram_observe_ns(l4->seconds, duration_ns);
    if (r->ending == CYG_GW_END_DRAINED && __atomic_load_n(&s->gw->draining, __ATOMIC_ACQUIRE))
        __atomic_fetch_add(&s->gw->cut, 1, __ATOMIC_RELAXED);
    cyg_snapshot_hold hold;
    const struct cyg_gw_snapshot *now = cyg_snapshot_get(s->gw->current, &hold);
    if (!now) return;
    if (now->log) write_log(s, l4, r, now->log, duration_ns);
    cyg_snapshot_drop(&hold);
}
