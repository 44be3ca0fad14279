/* access_log.h: one JSON object a line for each request, with the field names that Envoy and Istio write.
 *
 * The handler fills a plain struct and hands it over; the line is made in the log's buffer, and nothing here allocates or blocks.
 * The struct and all it points to are only borrowed during the call.
 *
 *     {"start_time":"2026-11-23T09:30:00.125Z","method":"GET","path":"/a?b","protocol":"HTTP/1.1","response_code":200,...}
 *
 * Text that a client or an upstream chose cannot break the line: quotes, backslashes and control bytes are escaped, bytes that
 * are no UTF-8 appear as \u00XX, and a value that is too long is cut and ends in "...[+N]", N being the bytes left out. An
 * empty value is null.
 *
 * Fields that many lines share are made ahead, as a run: the bytes as they stand in the line, from the comma before the first key
 * to the end of the last value. An endpoint, a listening socket and a route hold one each.
 */
#ifndef CYG_GATEWAY_ACCESS_LOG_H
#define CYG_GATEWAY_ACCESS_LOG_H

#include "gateway/log_file.h"

/* A line, newline included, is never longer. */
#define CYG_GW_ACCESS_LINE_MAX 4096

/* A run is never longer. */
#define CYG_GW_ACCESS_RUN_MAX 504

/* Who holds one makes it with the functions below, whatever the texts are. */
struct cyg_gw_access_run {
    size_t n;
    char text[CYG_GW_ACCESS_RUN_MAX];
};
static inline cyg_str cyg_gw_access_run_text(const struct cyg_gw_access_run *run) {
    return (cyg_str){run->text, run->n};
}

/* Of literals that need no escapes: a run that costs nothing. */
#define CYG_GW_ACCESS_PROTOCOL(word) CYG_STR(",\"protocol\":\"" word "\"")
#define CYG_GW_ACCESS_OUTCOME(flags, details) \
    CYG_STR(",\"response_flags\":\"" flags "\",\"response_code_details\":\"" details "\"")

/* Each fills a run in and returns its text. Blocks: never. From: anywhere. */
cyg_str cyg_gw_access_outcome(struct cyg_gw_access_run *run, cyg_str flags, cyg_str details);
cyg_str cyg_gw_access_upstream(struct cyg_gw_access_run *run, cyg_str host, cyg_str cluster); /* "10.0.0.1:80" */
cyg_str cyg_gw_access_local(struct cyg_gw_access_run *run, cyg_str address);
cyg_str cyg_gw_access_configured(struct cyg_gw_access_run *run, cyg_str route, cyg_str listener, cyg_str version);

/* One request, as its handler knows it at the end; {0} is legal. In the order of the line's fields. */
struct cyg_gw_access {
    cyg_time start;       /* start_time: when the request began, by the monotonic clock */
    cyg_str method, path; /* path: the request target as it came, query included */
    cyg_str protocol;     /* a run: CYG_GW_ACCESS_PROTOCOL("HTTP/1.1") */
    int response_code;    /* 0: no response was begun */
    cyg_str outcome;      /* a run: response_flags ("UF", "UH,DC"; "-": none), response_code_details ("via_upstream") */
    uint64_t bytes_received;     /* bytes of the request's body */
    uint64_t bytes_sent;         /* bytes of the response's body */
    int64_t duration_ns;         /* from the request's start to its last byte out; written in ms */
    int64_t upstream_service_ns; /* from upstream's request sent to its first answer byte, written in ms; < 0: none */
    cyg_str x_forwarded_for;     /* as passed on to the upstream */
    cyg_str user_agent;
    cyg_str request_id;
    cyg_str authority;
    cyg_str upstream; /* a run: upstream_host, upstream_cluster */
    cyg_str local;    /* a run: downstream_local_address */
    cyg_str downstream_remote_address;
    cyg_str configured;                      /* a run: route_name, listener, config_version */
    unsigned upstream_request_attempt_count; /* 0: no upstream was tried */
};

/* Writes the line, newline included, into out. second: the time that it is, for all lines. Blocks: never. From: anywhere.
 * Returns: its length. */
size_t cyg_gw_access_format(const struct cyg_gw_access *a, struct cyg_gw_second *second, char out[CYG_GW_ACCESS_LINE_MAX]);

/* Makes the line in the log; when that has no room it is dropped and counted there.
 * Blocks: never. From: goroutine or any thread while the runtime runs. Returns: whether the log took it. */
bool cyg_gw_access_write(struct cyg_gw_log_file *log, const struct cyg_gw_access *a);

#endif
