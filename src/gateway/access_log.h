/* access_log.h: one JSON object a line for each request, with the field names that Envoy and Istio write.
 *
 * The handler fills a plain struct and hands it over; the line is made on the stack and copied into the log's buffer, so that
 * nothing here allocates, blocks or keeps state. The struct and all it points to are only borrowed during the call.
 *
 *     {"start_time":"2026-11-23T09:30:00.125Z","method":"GET","path":"/a?b","protocol":"HTTP/1.1","response_code":200,...}
 *
 * Text that a client or an upstream chose cannot break the line: quotes, backslashes and control bytes are escaped, bytes that
 * are no UTF-8 appear as \u00XX, and a value that is too long is cut and ends in "...[+N]", N being the bytes left out. An
 * empty value is null.
 */
#ifndef CYG_GATEWAY_ACCESS_LOG_H
#define CYG_GATEWAY_ACCESS_LOG_H

#include <cygnet/base.h>
#include <cygnet/log.h>

/* A line, newline included, is never longer. */
#define CYG_GW_ACCESS_LINE_MAX 4096

/* One request, as its handler knows it at the end; {0} is legal. In the order of the line's fields. */
struct cyg_gw_access {
    int64_t start_unix_ns;         /* start_time: cyg_unix_nano() when the request began */
    cyg_str method, path;          /* path: the request target as it came, query included */
    cyg_str protocol;              /* "HTTP/1.1" */
    int response_code;             /* 0: no response was begun */
    cyg_str response_flags;        /* "UF", "UH,DC"; empty: "-" */
    cyg_str response_code_details; /* "via_upstream", "route_not_found", … */
    uint64_t bytes_received;       /* bytes of the request's body */
    uint64_t bytes_sent;           /* bytes of the response's body */
    int64_t duration_ns;           /* from the request's start to its last byte out; written in ms */
    int64_t upstream_service_ns;   /* from upstream's request sent to its first answer byte, written in ms; < 0: none */
    cyg_str x_forwarded_for;       /* as passed on to the upstream */
    cyg_str user_agent;
    cyg_str request_id;
    cyg_str authority;
    cyg_str upstream_host;    /* "10.0.0.1:80" */
    cyg_str upstream_cluster; /* cluster's name */
    cyg_str downstream_local_address, downstream_remote_address;
    cyg_str route_name;
    cyg_str listener;
    cyg_str config_version;
    unsigned upstream_request_attempt_count; /* 0: no upstream was tried */
};

/* Writes the line, newline included, into out. Blocks: never. From: anywhere. Returns: its length. */
size_t cyg_gw_access_format(const struct cyg_gw_access *a, char out[CYG_GW_ACCESS_LINE_MAX]);

/* Formats the line and gives it to the log; when the log has no room it is dropped and counted there.
 * Blocks: never. From: goroutine or any thread while the runtime runs. Returns: whether the log took it. */
bool cyg_gw_access_write(cyg_linelog *log, const struct cyg_gw_access *a);

#endif
