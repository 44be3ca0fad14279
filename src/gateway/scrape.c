/* scrape.c: all metrics as Prometheus text 0.0.4: the registry's instruments, and behind them what others keep and is read
 * now: listeners, upstream pools, the log, the runtime, the process. Each family is one table row or one loop.
 */
#include "gateway/process.h"
#include "gateway/scrape_upstreams.h"
#include "gateway/state.h"
#include "gateway/text.h"

#include <cygnet/chan.h>
#include <cygnet/copy.h>
#include <cygnet/debug.h>
#include <cygnet/runtime.h>
#include <stdatomic.h>
#include <stdlib.h>

static void single(struct cyg_gw_text *t, const char *name, const char *type, const char *help, uint64_t value) {
    cyg_gw_text_family(t, name, type, help);
    cyg_gw_text_printf(t, "%s %llu\n", name, (unsigned long long)value);
}

/* ---- listeners -------------------------------------------------------------------------------------------------- */

struct front_numbers {
    const char *name;
    enum cyg_gw_protocol protocol;
    struct cyg_gw_server_numbers now;
};

/* For .only. */
#define HTTP (1u << CYG_GW_HTTP)
#define TCP (1u << CYG_GW_TCP)
#define UDP (1u << CYG_GW_UDP)

static const struct {
    const char *name, *type, *help;
    size_t at;
    unsigned only; /* protocols, bits */
} listener_rows[] = {
    {"cygnet_listener_connections", "gauge", "Connections open now.",
     offsetof(struct cyg_gw_server_numbers, connections), HTTP | TCP},
    {"cygnet_listener_connections_total", "counter", "Connections accepted.",
     offsetof(struct cyg_gw_server_numbers, sockets.accepted_total), HTTP | TCP},
    {"cygnet_listener_requests_in_flight", "gauge", "Requests being handled now.",
     offsetof(struct cyg_gw_server_numbers, requests), HTTP},
    {"cygnet_listener_half_closed", "gauge", "Connections of which one side has ended its direction, now.",
     offsetof(struct cyg_gw_server_numbers, half_closed), TCP},
    {"cygnet_listener_sessions", "gauge", "Clients that datagrams are passed on for, now.",
     offsetof(struct cyg_gw_server_numbers, connections), UDP},
    {"cygnet_listener_receive_drops_total", "counter",
     "Datagrams that the kernel dropped because they were not read fast enough.",
     offsetof(struct cyg_gw_server_numbers, drops), UDP},
    {"cygnet_listener_accept_calls_total", "counter", "accept4 system calls.",
     offsetof(struct cyg_gw_server_numbers, sockets.accept_calls_total), HTTP | TCP},
    {"cygnet_listener_accept_pauses_total", "counter", "Times accepting waited because descriptors ran out.",
     offsetof(struct cyg_gw_server_numbers, sockets.pauses_total), HTTP | TCP},
};

/* The servers of the snapshot's listeners; those being drained after a reload are not shown. */
static size_t read_fronts(struct cyg_gw *gw, const struct cyg_gw_snapshot *s, struct front_numbers *out) {
    size_t n = 0;
    cyg_mutex_lock(&gw->lock);
    for (size_t id = 0; id < s->nservers && id < gw->nservers; id++) {
        struct cyg_gw_server *server = gw->servers[id];
        if (!s->by_server[id]) continue;
        out[n].name = s->by_server[id]->config->name.p;
        out[n].protocol = s->by_server[id]->config->protocol;
        server->ops->stats(server, &out[n].now);
        n++;
    }
    cyg_mutex_unlock(&gw->lock);
    return n;
}

static void write_listeners(struct cyg_gw *gw, const struct cyg_gw_snapshot *s, struct cyg_gw_text *t) {
    struct front_numbers *all = calloc(s->config->nlisteners, sizeof *all);
    if (!all) {
        t->failed = true;
        return;
    }
    size_t n = read_fronts(gw, s, all);
    for (size_t r = 0; n > 0 && r < sizeof listener_rows / sizeof *listener_rows; r++) {
        bool begun = false;
        for (size_t i = 0; i < n; i++) {
            if (!(listener_rows[r].only >> all[i].protocol & 1)) continue;
            if (!begun) cyg_gw_text_family(t, listener_rows[r].name, listener_rows[r].type, listener_rows[r].help);
            begun = true;
            cyg_gw_text_printf(t, "%s{listener=", listener_rows[r].name);
            cyg_gw_text_label(t, all[i].name);
            uint64_t value = *(const uint64_t *)((const char *)&all[i].now + listener_rows[r].at);
            cyg_gw_text_printf(t, "} %llu\n", (unsigned long long)value);
        }
    }
    free(all);
}

/* ---- gateway, runtime, process ---------------------------------------------------------------------------------- */

static void write_gateway(struct cyg_gw *gw, const struct cyg_gw_snapshot *s, struct cyg_gw_text *t) {
    cyg_gw_text_family(t, "cygnet_config_info", "gauge", "The version of the configuration in force.");
    cyg_gw_text_puts(t, "cygnet_config_info{version=");
    cyg_gw_text_label(t, s->config->version.p);
    cyg_gw_text_puts(t, "} 1\n");
    single(t, "cygnet_config_snapshots", "gauge",
           "Configurations in memory: the one in force, and those that requests still use.",
           cyg_snapshot_live(gw->current));
    cyg_gw_text_family(t, "cygnet_build_info", "gauge", "The version of the program.");
    cyg_gw_text_printf(t, "cygnet_build_info{version=\"%s\"} 1\n", CYG_VERSION);
    single(t, "cygnet_draining", "gauge", "1 while the gateway drains.", __atomic_load_n(&gw->draining, __ATOMIC_RELAXED));
    uint64_t lines, dropped;
    cyg_mutex_lock(&gw->lock);
    cyg_gw_log_file_totals(gw->log, &lines, &dropped);
    cyg_mutex_unlock(&gw->lock);
    single(t, "cygnet_access_log_lines_total", "counter", "Access log lines written.", lines);
    single(t, "cygnet_access_log_dropped_total", "counter",
           "Access log lines lost because the log was not written fast enough.", dropped);
}

static void write_runtime(struct cyg_gw_text *t) {
    static const struct {
        const char *name, *type, *help;
        size_t at;
    } rows[] = {
        {"cygnet_runtime_goroutines", "gauge", "Goroutines alive now.", offsetof(cyg_runtime_stats, goroutines)},
        {"cygnet_runtime_goroutines_total", "counter", "Goroutines started.", offsetof(cyg_runtime_stats, goroutines_total)},
        {"cygnet_runtime_start_records", "gauge", "Idle connections, held without a stack.",
         offsetof(cyg_runtime_stats, start_records)},
        {"cygnet_runtime_threads", "gauge", "Threads of the runtime now.", offsetof(cyg_runtime_stats, threads)},
        {"cygnet_runtime_switches_total", "counter", "Times a goroutine was resumed.",
         offsetof(cyg_runtime_stats, switches_total)},
        {"cygnet_runtime_steals_total", "counter", "Goroutines taken from another processor's queue.",
         offsetof(cyg_runtime_stats, steals_total)},
        {"cygnet_runtime_parks_total", "counter", "Times a processor went to sleep.",
         offsetof(cyg_runtime_stats, parks_total)},
        {"cygnet_runtime_wakes_total", "counter", "Times a sleeping processor was woken by another.",
         offsetof(cyg_runtime_stats, wakes_total)},
        {"cygnet_runtime_polls_total", "counter", "Calls of the poller.", offsetof(cyg_runtime_stats, polls_total)},
        {"cygnet_runtime_poll_events_total", "counter", "Readiness events from the poller.",
         offsetof(cyg_runtime_stats, poll_events_total)},
        {"cygnet_runtime_turns_total", "counter", "Times a goroutine let others of the same poll do the same step first.",
         offsetof(cyg_runtime_stats, turns_total)},
        {"cygnet_runtime_timers", "gauge", "Timers pending now.", offsetof(cyg_runtime_stats, timers)},
        {"cygnet_runtime_stacks", "gauge", "Stacks in use or cached.", offsetof(cyg_runtime_stats, stacks)},
        {"cygnet_runtime_spins_total", "counter", "Times a processor without work looked around before it slept.",
         offsetof(cyg_runtime_stats, spins_total)},
        {"cygnet_runtime_retakes_blocked_total", "counter", "Processors taken from goroutines that blocked their thread.",
         offsetof(cyg_runtime_stats, retakes_blocked_total)},
        {"cygnet_runtime_retakes_hog_total", "counter", "Processors taken from goroutines that computed for long.",
         offsetof(cyg_runtime_stats, retakes_hog_total)},
        {"cygnet_runtime_retakes_limit_total", "counter", "Times a processor could not be taken: no more threads.",
         offsetof(cyg_runtime_stats, retakes_limit_total)},
        {"cygnet_runtime_threads_without_p", "gauge", "Threads whose processor was taken and that have not come back.",
         offsetof(cyg_runtime_stats, threads_without_p)},
        {"cygnet_runtime_blocking_total", "counter", "Calls that blocked a thread.",
         offsetof(cyg_runtime_stats, blocking_total)},
    };
    cyg_runtime_stats s;
    cyg_stats(&s);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        single(t, rows[i].name, rows[i].type, rows[i].help, *(const uint64_t *)((const char *)&s + rows[i].at));
    single(t, "cygnet_runtime_procs", "gauge", "Goroutines that can run at once.", cyg_procs());
}

/* How many goroutines come from where, and what has been parked or left for long. Looking costs a step a goroutine and a system call a
 * connection: once a minute at most. */
#define LOOK_EVERY (1 * CYG_MINUTE)
#define PARKED_LONG (10 * CYG_MINUTE)
#define SITES 20 /* with the most goroutines; the rest is what cygnet_runtime_goroutines has beyond them */

struct look {
    cyg_leak_stats leaks;
    cyg_start_site sites[SITES];
    size_t nsites;
};

static int look_around(void *out) {
    struct look *l = out;
    (void)cyg_leaks(-1, PARKED_LONG, &l->leaks);
    ssize_t n = cyg_start_sites(l->sites, SITES);
    l->nsites = n < 0 ? 0 : n < SITES ? (size_t)n : SITES;
    return 0;
}

static void write_sites(struct cyg_gw_text *t, const struct look *l) {
    cyg_gw_text_family(t, "cygnet_runtime_goroutines_by_start", "gauge",
                       "Goroutines alive by where they were started, the 20 places with most of them.");
    for (size_t i = 0; i < l->nsites; i++) {
        cyg_gw_text_puts(t, "cygnet_runtime_goroutines_by_start{site=");
        cyg_gw_text_label(t, l->sites[i].site);
        cyg_gw_text_printf(t, "} %llu\n", (unsigned long long)l->sites[i].goroutines);
    }
}

static void write_look(struct cyg_gw_text *t) {
    static cyg_mutex lock; /* guards the rest */
    static cyg_time looked;
    static struct look last;
    cyg_mutex_lock(&lock);
    cyg_time now = cyg_now();
    if (!looked || now - looked >= LOOK_EVERY) {
        looked = now;
        (void)cyg_blocking(look_around, &last);
    }
    write_sites(t, &last);
    single(t, "cygnet_runtime_parked_long", "gauge",
           "Goroutines parked for 10 minutes or longer, sleepers not counted.", last.leaks.goroutines);
    single(t, "cygnet_runtime_close_wait", "gauge", "Connections that the peer has ended and that are still open here.",
           last.leaks.close_wait);
    cyg_mutex_unlock(&lock);
}

#define NAMES 100 /* of channels: the gateway has fewer */

static void write_channels(struct cyg_gw_text *t) {
    cyg_chan_name_stats *all = calloc(NAMES, sizeof *all);
    if (!all) {
        t->failed = true;
        return;
    }
    uint64_t growing = 0;
    for (size_t i = 0, n = cyg_chan_named(all, NAMES); i < n; i++) growing += all[i].growing > 0;
    free(all);
    single(t, "cygnet_runtime_channels_growing", "gauge",
           "Names of channels whose backlog has only grown for ten seconds or longer.", growing);
}

static int read_process(void *out) {
    cyg_gw_process_read(out);
    return 0;
}

static void write_process(const struct cyg_gw *gw, struct cyg_gw_text *t) {
    struct cyg_gw_process p;
    (void)cyg_blocking(read_process, &p);
    cyg_gw_text_family(t, "process_cpu_seconds_total", "counter", "Time on a processor, user and system.");
    cyg_gw_text_printf(t, "process_cpu_seconds_total %.6f\n", p.cpu_seconds);
    single(t, "process_resident_memory_bytes", "gauge", "Resident memory.", p.resident_bytes);
    single(t, "process_virtual_memory_bytes", "gauge", "Virtual memory.", p.virtual_bytes);
    single(t, "process_open_fds", "gauge", "Open file descriptors.", p.open_fds);
    single(t, "process_max_fds", "gauge", "File descriptors allowed.", p.max_fds);
    cyg_gw_text_family(t, "process_start_time_seconds", "gauge", "When the process started, in seconds since 1970.");
    cyg_gw_text_printf(t, "process_start_time_seconds %.3f\n", (double)gw->started_ns / 1e9);
}

/* ---- copies ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *type, *help;
    size_t at;
} copy_rows[] = {
    {"cygnet_copy_pipes_in_use", "gauge", "Pipes with bytes in them.", offsetof(cyg_copy_stats, pipes_in_use)},
    {"cygnet_copy_pipes_opened_total", "counter", "Pipes opened.", offsetof(cyg_copy_stats, pipes_opened_total)},
    {"cygnet_copy_pipes_dropped_total", "counter", "Pipes closed with bytes in them, because their copy had failed.",
     offsetof(cyg_copy_stats, pipes_dropped_total)},
    {"cygnet_copy_buffers_in_use", "gauge", "Buffers of copies that go through the process.",
     offsetof(cyg_copy_stats, buffers_in_use)},
    {"cygnet_relays", "gauge", "Relays of two connections running now.", offsetof(cyg_copy_stats, relays)},
};

static void write_copies(struct cyg_gw_text *t) {
    cyg_copy_stats st;
    cyg_copy_get_stats(&st);
    for (size_t r = 0; r < sizeof copy_rows / sizeof *copy_rows; r++)
        single(t, copy_rows[r].name, copy_rows[r].type, copy_rows[r].help,
               *(const uint64_t *)((const char *)&st + copy_rows[r].at));
    cyg_gw_text_family(t, "cygnet_relays_total", "counter", "Relays that have ended, by how.");
    for (int i = 0; i < CYG_RELAY_ENDS; i++)
        cyg_gw_text_printf(t, "cygnet_relays_total{end=\"%s\"} %llu\n", cyg_relay_end_name((cyg_relay_end)i),
                           (unsigned long long)st.relays_total[i]);
}

/* What is under way, on servers that were removed and are being drained, too. */
static void count_under_way(struct cyg_gw *gw) {
    cyg_mutex_lock(&gw->lock);
    for (size_t id = 0; id < gw->nservers; id++)
        if (gw->servers[id]->ops->count) gw->servers[id]->ops->count(gw->servers[id]);
    cyg_mutex_unlock(&gw->lock);
}

void cyg_gw_scrape(struct cyg_gw *gw, struct cyg_gw_text *out) {
    char *text = NULL;
    count_under_way(gw);
    ssize_t n = cyg_metrics_text(gw->context.metrics.registry, &text);
    if (n < 0) {
        out->failed = true;
        return;
    }
    cyg_gw_text_put(out, text, (size_t)n);
    free(text);
    cyg_snapshot_hold hold;
    const struct cyg_gw_snapshot *s = cyg_snapshot_get(gw->current, &hold);
    if (s) {
        write_gateway(gw, s, out);
        write_listeners(gw, s, out);
        cyg_gw_scrape_upstreams(s, out);
        cyg_snapshot_drop(&hold);
    }
    write_copies(out);
    write_runtime(out);
    write_look(out);
    write_channels(out);
    cyg_gw_scrape_sockets(out);
    write_process(gw, out);
}
