/* config_schema.c: every key of the gateway's configuration, one row each. A new key is a row here and a field in config.h;
 * a planned one that is named in the documentation has a row of type LATER, so that nobody believes it works.
 */
#include "gateway/config_schema.h"

#include <stdio.h>

#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)
#define TIB (INT64_C(1) << 40)

#define AT(type, field) .at = offsetof(struct cyg_gw_##type, field)
#define LIST_AT(type, field)                                               \
    AT(type, field), .count_at = offsetof(struct cyg_gw_##type, n##field), \
                     .item_bytes = sizeof *((struct cyg_gw_##type *)0)->field

/* For .only. */
#define HTTP (1u << CYG_GW_HTTP)
#define TCP (1u << CYG_GW_TCP)
#define UDP (1u << CYG_GW_UDP)

// clang-format off
const struct cyg_gw_row cyg_gw_rows[] = {
    {CYG_GW_S_TOP, "version", CYG_GW_T_VERSION, .required = true, .min = 1, .max = 128, AT(config, version),
     .doc = "The name of this document, new with every change. Logs, metrics and `cygnet check` show it, so that a change can be found later."},
    {CYG_GW_S_TOP, "listeners", CYG_GW_T_SECTIONS, .required = true, .child = CYG_GW_S_LISTENER, .min = 1, .max = 64, LIST_AT(config, listeners),
     .doc = "Where connections are taken."},
    {CYG_GW_S_TOP, "clusters", CYG_GW_T_SECTIONS, .required = true, .child = CYG_GW_S_CLUSTER, .min = 1, .max = 1024, LIST_AT(config, clusters),
     .doc = "The services behind the gateway."},
    {CYG_GW_S_TOP, "access_log", CYG_GW_T_SECTION, .child = CYG_GW_S_ACCESS_LOG,
     .doc = "One line for each request, connection or session."},
    {CYG_GW_S_TOP, "admin", CYG_GW_T_SECTION, .optional = true, .child = CYG_GW_S_ADMIN,
     .doc = "The operator's own door. Without this section there is none."},
    {CYG_GW_S_TOP, "drain", CYG_GW_T_SECTION, .child = CYG_GW_S_DRAIN,
     .doc = "How the gateway ends."},
    {CYG_GW_S_TOP, "telemetry", CYG_GW_T_LATER, .doc = "Traces to a collector."},

    {CYG_GW_S_LISTENER, "name", CYG_GW_T_NAME, .required = true, .min = 1, .max = 64, AT(listener, name),
     .doc = "Its name in logs and metrics; no other listener has the same."},
    {CYG_GW_S_LISTENER, "address", CYG_GW_T_LISTEN, .required = true,
     .doc = "Where it listens. Port 0 lets the kernel choose."},
    {CYG_GW_S_LISTENER, "protocol", CYG_GW_T_CHOICE, .fallback = "http", .choices = "http|tcp|udp", AT(listener, protocol),
     .doc = "What is spoken there. A `tcp` listener passes the bytes of each connection on and back, a `udp` listener datagrams. It decides which other keys there are."},
    {CYG_GW_S_LISTENER, "cluster", CYG_GW_T_REF, .required = true, .only = TCP | UDP, .min = 1, .max = 64,
     .doc = "Where everything goes: the name of a cluster."},
    {CYG_GW_S_LISTENER, "routes", CYG_GW_T_SECTIONS, .required = true, .only = HTTP, .child = CYG_GW_S_ROUTE, .min = 1, .max = 4096, LIST_AT(listener, routes),
     .doc = "Where requests go. The most specific match decides, not the order: an exact host before a suffix before any, then an exact path before a prefix before any; of two suffixes or prefixes, the longer. A request that no route matches is answered with 404."},
    {CYG_GW_S_LISTENER, "trusted", CYG_GW_T_CIDRS, .only = HTTP, .min = 0, .max = 256, LIST_AT(listener, trusted),
     .doc = "Peers that may say for whom they ask: their `X-Forwarded-For`, `-Proto` and `-Host` are kept and added to. Those of all others are replaced."},
    {CYG_GW_S_LISTENER, "timeouts", CYG_GW_T_SECTION, .child = CYG_GW_S_TIMEOUTS, AT(listener, timeouts),
     .doc = "How long clients may take."},
    {CYG_GW_S_LISTENER, "proxy_protocol", CYG_GW_T_SECTION, .optional = true, .only = HTTP | TCP, .child = CYG_GW_S_PROXY_ACCEPT, AT(listener, proxy_protocol),
     .doc = "The PROXY protocol from load balancers in front. Without this section none is taken."},
    {CYG_GW_S_LISTENER, "limits", CYG_GW_T_SECTION, .child = CYG_GW_S_LIMITS, AT(listener, limits),
     .doc = "How much clients may send."},
    {CYG_GW_S_LISTENER, "tls", CYG_GW_T_LATER, .doc = "TLS towards clients."},

    {CYG_GW_S_TIMEOUTS, "head", CYG_GW_T_DURATION, .only = HTTP, .min = CYG_MILLISECOND, .max = CYG_HOUR, .fallback = "10s", AT(timeouts, head),
     .doc = "From a request's first byte to the end of its head. Beyond: 408, and the connection closes."},
    {CYG_GW_S_TIMEOUTS, "idle", CYG_GW_T_DURATION, .only = HTTP, .min = CYG_MILLISECOND, .max = 24 * CYG_HOUR, .fallback = "75s", AT(timeouts, idle),
     .doc = "Between two requests of a connection. Beyond: it closes."},
    {CYG_GW_S_TIMEOUTS, "idle", CYG_GW_T_DURATION, .only = TCP, .min = CYG_MILLISECOND, .max = 24 * CYG_HOUR, .fallback = "1h", AT(timeouts, idle),
     .doc = "Without a byte in either direction. Beyond: both connections are reset."},
    {CYG_GW_S_TIMEOUTS, "idle", CYG_GW_T_DURATION, .only = UDP, .min = CYG_MILLISECOND, .max = 24 * CYG_HOUR, .fallback = "60s", AT(timeouts, idle),
     .doc = "Without a datagram in either direction. Beyond: the session ends."},
    {CYG_GW_S_TIMEOUTS, "body", CYG_GW_T_DURATION, .only = HTTP, .min = CYG_MILLISECOND, .max = CYG_HOUR, .fallback = "30s", AT(timeouts, body),
     .doc = "Without a byte of the request's body while it is read. Beyond: 408, and the connection closes."},
    {CYG_GW_S_TIMEOUTS, "write", CYG_GW_T_DURATION, .only = HTTP, .min = CYG_MILLISECOND, .max = CYG_HOUR, .fallback = "30s", AT(timeouts, write),
     .doc = "Without the client taking a byte of the answer. Beyond: the connection is reset."},
    {CYG_GW_S_TIMEOUTS, "half_closed", CYG_GW_T_DURATION, .only = TCP, .min = CYG_MILLISECOND, .max = 24 * CYG_HOUR, .fallback = "30s", AT(timeouts, half_closed),
     .doc = "Without a byte once one side has ended its direction. Beyond: both connections are reset."},

    {CYG_GW_S_LIMITS, "max_head_bytes", CYG_GW_T_SIZE, .only = HTTP, .min = KIB, .max = MIB, .fallback = "64KiB", AT(limits, max_head_bytes),
     .doc = "Request line and header fields. Beyond: 431."},
    {CYG_GW_S_LIMITS, "max_fields", CYG_GW_T_COUNT, .only = HTTP, .min = 1, .max = 256, .fallback = "100", AT(limits, max_fields),
     .doc = "Header fields. Beyond: 431."},
    {CYG_GW_S_LIMITS, "max_body_bytes", CYG_GW_T_SIZE, .only = HTTP, .min = 0, .max = TIB, .fallback = "0", .fallback_doc = "0 (no limit)", AT(limits, max_body_bytes),
     .doc = "A request's body. Beyond: 413."},
    {CYG_GW_S_LIMITS, "max_connections", CYG_GW_T_COUNT, .only = HTTP, .min = 1, .max = 10000000, .fallback = "65536", AT(limits, max_connections),
     .doc = "Open connections at once. Beyond: new ones wait in the kernel's queue."},
    {CYG_GW_S_LIMITS, "max_connections", CYG_GW_T_COUNT, .only = TCP, .min = 1, .max = 10000000, .fallback = "65536", AT(limits, max_connections),
     .doc = "Open connections at once. Beyond: new ones are reset."},
    {CYG_GW_S_LIMITS, "max_connections_per_address", CYG_GW_T_COUNT, .only = TCP, .min = 0, .max = 10000000, .fallback = "0", .fallback_doc = "0 (no limit)", AT(limits, max_connections_per_address),
     .doc = "Of these, from one client address; of IPv6 from one /64. Beyond: new ones are reset."},
    {CYG_GW_S_LIMITS, "max_half_closed", CYG_GW_T_COUNT, .only = TCP, .min = 0, .max = 10000000, .fallback = "8192", AT(limits, max_half_closed),
     .doc = "Of these, with one side ended and the other not. Beyond: the next one that would be is reset."},
    {CYG_GW_S_LIMITS, "max_sessions", CYG_GW_T_COUNT, .only = UDP, .min = 1, .max = 10000000, .fallback = "8192", AT(limits, max_sessions),
     .doc = "Clients at once, by address and port; each takes a descriptor. Beyond: datagrams of new ones are dropped."},

    {CYG_GW_S_PROXY_ACCEPT, "accept_from", CYG_GW_T_CIDRS, .required = true, .min = 1, .max = 256, LIST_AT(proxy_accept, accept_from),
     .doc = "The load balancers: their connections must begin with a PROXY header, version 1 or 2, whose address then counts as the client's. Connections from elsewhere are reset."},
    {CYG_GW_S_PROXY_ACCEPT, "timeout", CYG_GW_T_DURATION, .min = CYG_MILLISECOND, .max = CYG_HOUR, .fallback = "5s", AT(proxy_accept, timeout),
     .doc = "For the header. Beyond: the connection is reset."},

    {CYG_GW_S_ROUTE, "name", CYG_GW_T_NAME, .required = true, .min = 1, .max = 64, AT(route, name),
     .doc = "Its name in logs and metrics; no other route of the listener has the same."},
    {CYG_GW_S_ROUTE, "match", CYG_GW_T_SECTION, .child = CYG_GW_S_MATCH, AT(route, match),
     .doc = "The requests it takes. Without: all."},
    {CYG_GW_S_ROUTE, "cluster", CYG_GW_T_REF, .required = true, .min = 1, .max = 64,
     .doc = "Where they go: the name of a cluster."},
    {CYG_GW_S_ROUTE, "timeout", CYG_GW_T_DURATION, .min = CYG_MILLISECOND, .max = 24 * CYG_HOUR, .fallback = "15s", AT(route, timeout),
     .doc = "For the whole exchange, connecting included. Beyond: 504 if the answer has not begun, else the connection is reset."},
    {CYG_GW_S_ROUTE, "retries", CYG_GW_T_LATER, .doc = "Asking another endpoint when one fails."},

    {CYG_GW_S_MATCH, "host", CYG_GW_T_HOST, .min = 1, .max = 253, AT(match, host), .fallback_doc = "`*` (any)",
     .doc = "The request's host, its port left aside."},
    {CYG_GW_S_MATCH, "path", CYG_GW_T_PATH, .min = 1, .max = 4096, AT(match, path), .fallback_doc = "`/*` (any)",
     .doc = "The request's path, as it came, its query left aside."},

    {CYG_GW_S_CLUSTER, "name", CYG_GW_T_NAME, .required = true, .min = 1, .max = 64, AT(cluster, name),
     .doc = "Its name in routes, logs and metrics; no other cluster has the same."},
    {CYG_GW_S_CLUSTER, "endpoints", CYG_GW_T_ENDPOINTS, .required = true, .min = 1, .max = 1024, LIST_AT(cluster, endpoints),
     .doc = "The addresses that serve it, each listed once."},
    {CYG_GW_S_CLUSTER, "connect_timeout", CYG_GW_T_DURATION, .min = CYG_MILLISECOND, .max = 5 * CYG_MINUTE, .fallback = "5s", AT(cluster, connect_timeout),
     .doc = "For a connection to an endpoint."},
    {CYG_GW_S_CLUSTER, "balance", CYG_GW_T_CHOICE, .fallback = "round-robin", .choices = "round-robin", .later = "least-request", AT(cluster, balance),
     .doc = "How an endpoint is chosen for a request."},
    {CYG_GW_S_CLUSTER, "pool", CYG_GW_T_SECTION, .child = CYG_GW_S_POOL, AT(cluster, pool),
     .doc = "The connections kept to each of its endpoints, for HTTP."},
    {CYG_GW_S_CLUSTER, "proxy_protocol", CYG_GW_T_SECTION, .child = CYG_GW_S_PROXY_SEND, AT(cluster, proxy_protocol),
     .doc = "The PROXY protocol to its endpoints: who the client is."},
    {CYG_GW_S_CLUSTER, "health", CYG_GW_T_LATER, .doc = "Asking endpoints whether they are well."},
    {CYG_GW_S_CLUSTER, "tls", CYG_GW_T_LATER, .doc = "TLS towards endpoints."},

    {CYG_GW_S_POOL, "max_connections", CYG_GW_T_COUNT, .min = 1, .max = 1000000, .fallback = "1024", AT(pool, max_connections),
     .doc = "Open at once, idle ones included. At the limit requests wait."},
    {CYG_GW_S_POOL, "max_idle", CYG_GW_T_COUNT, .min = 1, .max = 1000000, .fallback_doc = "`max_connections`", AT(pool, max_idle),
     .doc = "Kept open without a request; at most `max_connections`."},
    {CYG_GW_S_POOL, "min_idle", CYG_GW_T_COUNT, .min = 0, .max = 1000000, .fallback = "0", AT(pool, min_idle),
     .doc = "Kept ready: with fewer idle, new ones are opened in the background; at most `max_idle`."},
    {CYG_GW_S_POOL, "max_waiters", CYG_GW_T_COUNT, .min = 1, .max = 1000000, .fallback = "1024", AT(pool, max_waiters),
     .doc = "Requests waiting for a connection. Beyond: 503 at once."},
    {CYG_GW_S_POOL, "wait_timeout", CYG_GW_T_DURATION, .min = CYG_MILLISECOND, .max = CYG_HOUR, .fallback_doc = "none (the route's `timeout`)", AT(pool, wait_timeout),
     .doc = "How long a request may wait for a connection. Beyond: 503."},
    {CYG_GW_S_POOL, "idle_timeout", CYG_GW_T_DURATION, .min = CYG_MILLISECOND, .max = 24 * CYG_HOUR, .fallback = "60s", AT(pool, idle_timeout),
     .doc = "How long an idle connection is kept. Choose less than the endpoints' own keep-alive time."},
    {CYG_GW_S_POOL, "max_life", CYG_GW_T_DURATION, .min = CYG_MILLISECOND, .max = 30 * 24 * CYG_HOUR, .fallback_doc = "none", AT(pool, max_life),
     .doc = "How old a connection may become; requests in flight finish. Both times are shortened by up to 10 % for each connection, so that those opened together do not end together."},

    {CYG_GW_S_PROXY_SEND, "send", CYG_GW_T_CHOICE, .fallback = "off", .choices = "off|v1|v2", AT(proxy_send, send),
     .doc = "The version of the header with which each connection begins, and with `udp` (v2 alone) each datagram. Not for a cluster that an http route names: its connections are shared by many clients."},

    {CYG_GW_S_ACCESS_LOG, "path", CYG_GW_T_LOG, .min = 1, .max = 4096, .fallback = "stdout",
     .doc = "Where the lines go."},
    {CYG_GW_S_ACCESS_LOG, "buffer_bytes", CYG_GW_T_SIZE, .min = 4 * KIB, .max = 64 * MIB, .fallback = "1MiB", AT(config, access_log.buffer_bytes),
     .doc = "Room for lines not yet written, for each processor. When it is full, lines are dropped and counted; requests never wait."},
    {CYG_GW_S_ACCESS_LOG, "flush_interval", CYG_GW_T_DURATION, .min = CYG_MILLISECOND, .max = CYG_MINUTE, .fallback = "100ms", AT(config, access_log.flush_interval),
     .doc = "A line is written no later than this."},

    {CYG_GW_S_ADMIN, "address", CYG_GW_T_ADMIN, .required = true,
     .doc = "Where it listens. It has no password: choose an address that only operators reach."},

    {CYG_GW_S_DRAIN, "timeout", CYG_GW_T_DURATION, .min = CYG_MILLISECOND, .max = CYG_HOUR, .fallback = "30s", AT(config, drain.timeout),
     .doc = "How long requests and connections in flight may take to finish when the gateway is told to end. What is left then is cut."},
};
const size_t cyg_gw_nrows = sizeof cyg_gw_rows / sizeof *cyg_gw_rows;

const struct cyg_gw_section_doc cyg_gw_section_docs[CYG_GW_SECTIONS] = {
    [CYG_GW_S_TOP] = {"", "The keys at the top of the document."},
    [CYG_GW_S_LISTENER] = {"listeners[]", "An address on which the gateway takes connections, and what it does with their requests."},
    [CYG_GW_S_TIMEOUTS] = {"listeners[].timeouts", "How long a client may take before it is given up."},
    [CYG_GW_S_LIMITS] = {"listeners[].limits", "How much a client may send, and how many clients there may be."},
    [CYG_GW_S_PROXY_ACCEPT] = {"listeners[].proxy_protocol", "Who may say, in a header before the first byte, for whom a connection was made."},
    [CYG_GW_S_ROUTE] = {"listeners[].routes[]", "Which requests go to which cluster."},
    [CYG_GW_S_MATCH] = {"listeners[].routes[].match", "The requests that a route takes: both host and path must fit. No two routes of a listener may have the same match."},
    [CYG_GW_S_CLUSTER] = {"clusters[]", "A service: the endpoints that do the same work, and how they are used."},
    [CYG_GW_S_POOL] = {"clusters[].pool", "The keep-alive connections to each endpoint of the cluster."},
    [CYG_GW_S_PROXY_SEND] = {"clusters[].proxy_protocol", "Whether the endpoints are told for whom a connection is made."},
    [CYG_GW_S_ACCESS_LOG] = {"access_log", "One JSON line for each request, TCP connection or UDP session."},
    [CYG_GW_S_ADMIN] = {"admin", "The address for the operator: health, metrics, the configuration in use."},
    [CYG_GW_S_DRAIN] = {"drain", "How the gateway ends when it is told to."},
};

const struct cyg_gw_type_doc cyg_gw_type_docs[CYG_GW_TYPES] = {
    [CYG_GW_T_LATER] = {"", "", NULL},
    [CYG_GW_T_SECTION] = {"map", "a map", NULL},
    [CYG_GW_T_SECTIONS] = {"list of maps", "a list", NULL},
    [CYG_GW_T_VERSION] = {"label", "a label of letters, digits and ._:+/@-, such as \"2026-11-23.1\"", "Letters, digits and `._:+/@-`."},
    [CYG_GW_T_NAME] = {"name", "a name of letters, digits and _.-, such as orders", "Letters, digits and `_.-`, beginning with a letter or digit."},
    [CYG_GW_T_REF] = {"cluster name", "the name of a cluster", NULL},
    [CYG_GW_T_CHOICE] = {"word", "one of its words", NULL},
    [CYG_GW_T_DURATION] = {"duration", "a duration such as 500ms, 2s or 1m30s", "Numbers with units, the largest first: `us`, `ms`, `s`, `m`, `h`, as in `500ms`, `1.5s`, `1m30s`."},
    [CYG_GW_T_SIZE] = {"size", "a size such as 8192, 64KiB or 1MB", "Bytes: a number alone, or with `B`, `KB`, `MB`, `GB` (powers of 1000) or `KiB`, `MiB`, `GiB` (powers of 1024)."},
    [CYG_GW_T_COUNT] = {"count", "a whole number", "A whole number."},
    [CYG_GW_T_LISTEN] = {"address", "an address such as \":8080\", \"127.0.0.1:8080\" or \"unix:/run/cygnet.sock\"", "`:8080` (every address of the machine), `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` (127.0.0.1), `unix:/run/cygnet.sock`, or `unix:@name` in Linux's abstract name space."},
    [CYG_GW_T_ADMIN] = {"address", "an address such as \"127.0.0.1:9901\" or \"unix:/run/cygnet-admin.sock\"", NULL},
    [CYG_GW_T_ENDPOINTS] = {"list of endpoints", "an address such as \"127.0.0.1:9001\", \"[::1]:9001\" or \"unix:/run/app.sock\" (with a port from 1 to 65535; names are not looked up)", "As an address, with the host and a port other than 0. Names are not looked up in this version."},
    [CYG_GW_T_CIDRS] = {"list of blocks", "an address or a block such as 10.0.0.0/8 or fd00::/8", "`10.0.0.0/8`, `fd00::/8`, or one address alone. Bits behind the prefix must be zero."},
    [CYG_GW_T_HOST] = {"host", "a host such as shop.example.com or \"*.example.com\", without a port", "`shop.example.com`; `\"*.example.com\"`, which takes every name that ends in `.example.com` but not `example.com` itself; or `\"*\"` for any. Upper and lower case are the same."},
    [CYG_GW_T_PATH] = {"path", "a path such as /orders or /orders/*", "`/orders` takes that path alone; `/orders/*` takes `/orders/` and everything below it, but not `/orders`; `/*` takes any. Written as it travels, with `%20` for a space."},
    [CYG_GW_T_LOG] = {"file", "stdout, stderr, off or the path of a file", "`stdout`, `stderr`, `off`, or the path of a file, to which lines are appended."},
};
// clang-format on

const struct cyg_gw_row *cyg_gw_row_find(enum cyg_gw_section section, cyg_str key, enum cyg_gw_protocol protocol) {
    for (size_t i = 0; i < cyg_gw_nrows; i++) {
        const struct cyg_gw_row *row = &cyg_gw_rows[i];
        if (row->section == section && cyg_gw_row_applies(row, protocol) && cyg_str_eq(cyg_str_of(row->key), key))
            return row;
    }
    return NULL;
}

const char *cyg_gw_protocol_words(unsigned protocols, char out[CYG_GW_PROTOCOL_WORDS]) {
    const char *list = cyg_gw_row_find(CYG_GW_S_LISTENER, CYG_STR("protocol"), CYG_GW_HTTP)->choices;
    cyg_str word;
    size_t n = 0;
    out[0] = '\0';
    for (unsigned p = 0; cyg_gw_next_word(&list, &word); p++)
        if (protocols >> p & 1)
            n += (size_t)snprintf(out + n, CYG_GW_PROTOCOL_WORDS - n, "%s" CYG_STR_FMT, n ? " or " : "", CYG_STR_ARG(word));
    return out;
}

bool cyg_gw_next_word(const char **list, cyg_str *word) {
    if (!*list || !**list) return false;
    size_t n = strcspn(*list, "|");
    *word = (cyg_str){*list, n};
    *list += n + ((*list)[n] == '|');
    return true;
}
