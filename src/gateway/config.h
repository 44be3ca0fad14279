/* config.h: the gateway's configuration as an immutable snapshot, made whole from one YAML document or not at all.
 *
 * A snapshot owns every byte it points to; nothing in it changes after it was made, so any thread reads it without a lock.
 * Whoever shares one counts its readers; the last one calls cyg_gw_config_free. Parsing is pure: no goroutine, no network,
 * no clock. What every key means, its bounds and its default stand in one table (config_schema.c), from which the checks and
 * docs/reference/config.md come.
 *
 * Vocabulary: a listener takes connections and has routes; a route matches requests and names a cluster; a cluster is a set of
 * endpoints; a problem is one thing wrong with a document, with its place.
 */
#ifndef CYG_GATEWAY_CONFIG_H
#define CYG_GATEWAY_CONFIG_H

#include <cygnet/base.h>
#include <cygnet/net.h>
#include <cygnet/time.h>

/* All strings in a snapshot are NUL-terminated at p[n]. */

/* An address block; IPv4 is family CYG_AF_IPV4 with 4 bytes. Bits behind the prefix are zero. */
struct cyg_gw_cidr {
    cyg_str text; /* as written: "10.0.0.0/8" */
    uint16_t family;
    uint16_t prefix; /* bits: 0 to 32, or 0 to 128 */
    uint8_t ip[16];
};

enum cyg_gw_host_kind {
    CYG_GW_HOST_ANY,
    CYG_GW_HOST_EXACT,  /* host is "shop.example.com" */
    CYG_GW_HOST_SUFFIX, /* "*.example.com": host is ".example.com", to be the end of a longer name */
};
enum cyg_gw_path_kind {
    CYG_GW_PATH_ANY,    /* no path given, or slash-star: everything, "OPTIONS *" too */
    CYG_GW_PATH_EXACT,  /* path is "/a" */
    CYG_GW_PATH_PREFIX, /* slash-a-slash-star: path is "/a/"; takes "/a/" and all below it, not "/a" */
};
struct cyg_gw_match {
    enum cyg_gw_host_kind host_kind;
    enum cyg_gw_path_kind path_kind;
    cyg_str host; /* lower case, no port; empty for ANY */
    cyg_str path; /* not decoded; empty for ANY */
};

struct cyg_gw_cluster;

struct cyg_gw_route {
    cyg_str name;    /* unique in its listener */
    size_t position; /* in the document's list, from 0 */
    struct cyg_gw_match match;
    const struct cyg_gw_cluster *cluster; /* never NULL; its index is cluster->index */
    cyg_duration timeout;                 /* for the whole exchange */
};

enum cyg_gw_protocol { CYG_GW_HTTP, CYG_GW_TCP, CYG_GW_UDP, CYG_GW_PROTOCOLS };

/* What a protocol does not have is 0. */
struct cyg_gw_timeouts {
    cyg_duration head, body, write; /* http, as in cyg_http_server_opts */
    cyg_duration idle;
    cyg_duration half_closed; /* tcp */
};
struct cyg_gw_limits {
    size_t max_head_bytes, max_fields;  /* http, as in cyg_http_server_opts */
    size_t max_body_bytes;              /* http; 0: no limit */
    size_t max_connections;             /* http, tcp */
    size_t max_connections_per_address; /* tcp; 0: no limit */
    size_t max_half_closed;             /* tcp */
    size_t max_sessions;                /* udp */
};

/* The PROXY protocol from proxies in front. */
struct cyg_gw_proxy_accept {
    const struct cyg_gw_cidr *accept_from; /* who must begin with its header; nobody else is served then */
    size_t naccept_from;                   /* 0: it is not spoken */
    cyg_duration timeout;                  /* for the header */
};

struct cyg_gw_listener {
    cyg_str name; /* unique */
    enum cyg_gw_protocol protocol;
    cyg_str address;     /* as written: ":8080", "unix:/run/cygnet.sock" */
    const char *network; /* "tcp", "udp" or "unix", and */
    const char *bind;    /* ":8080", "/run/cygnet.sock": what cyg_listen wants */
    cyg_addr addr;
    struct cyg_gw_timeouts timeouts;
    struct cyg_gw_limits limits;
    const struct cyg_gw_cidr *trusted; /* peers whose X-Forwarded-* are kept; may be empty */
    size_t ntrusted;
    struct cyg_gw_proxy_accept proxy_protocol;
    const struct cyg_gw_cluster *cluster; /* tcp, udp: where everything goes; http: NULL */
    /* Most specific first, so that the first match is the best one: exact host, suffix (longer first), any host; then exact
     * path, prefix (longer first), any path. No two are equal, and the order in the document means nothing. */
    const struct cyg_gw_route *routes;
    size_t nroutes; /* http: at least 1; others: 0 */
};

struct cyg_gw_endpoint {
    cyg_str text;  /* as written: "127.0.0.1:9001", "unix:/run/app.sock" */
    cyg_addr addr; /* for cyg_http_pool_new and cyg_dial_addr */
};

enum cyg_gw_balance { CYG_GW_ROUND_ROBIN };

enum cyg_gw_proxy_version { CYG_GW_PROXY_OFF, CYG_GW_PROXY_V1, CYG_GW_PROXY_V2 };
struct cyg_gw_proxy_send {
    enum cyg_gw_proxy_version send; /* the PROXY protocol to its endpoints; OFF for a cluster that an http route names */
};

struct cyg_gw_pool { /* for each endpoint; as in cyg_connpool_opts */
    size_t max_connections;
    size_t max_idle;
    size_t min_idle; /* 0: none */
    size_t max_waiters;
    cyg_duration wait_timeout; /* 0: no limit of its own */
    cyg_duration idle_timeout;
    cyg_duration max_life; /* 0: no limit */
};

struct cyg_gw_cluster {
    cyg_str name; /* unique */
    size_t index; /* in config->clusters */
    const struct cyg_gw_endpoint *endpoints;
    size_t nendpoints; /* at least 1 */
    cyg_duration connect_timeout;
    enum cyg_gw_balance balance;
    struct cyg_gw_pool pool;
    struct cyg_gw_proxy_send proxy_protocol;
};

struct cyg_gw_config {
    cyg_str version; /* the operator's name for this document; never empty */
    cyg_str source;  /* file name, as given */
    const struct cyg_gw_listener *listeners;
    size_t nlisteners; /* at least 1 */
    const struct cyg_gw_cluster *clusters;
    size_t nclusters;           /* at least 1 */
    size_t nroutes, nendpoints; /* of all listeners, of all clusters */
    struct {
        bool off;
        const char *path; /* "stdout", "stderr" or a file: what cyg_linelog_open wants; NULL when off */
        size_t buffer_bytes;
        cyg_duration flush_interval;
    } access_log;
    struct {
        bool on;                    /* the document has an admin section */
        cyg_str address;            /* as written */
        const char *network, *bind; /* as in a listener */
        cyg_addr addr;
    } admin;
    struct {
        cyg_duration timeout;
    } drain;
    void *arena; /* config_arena.c's own: the memory of all this */
};

/* ---- problems --------------------------------------------------------------------------------------------------- */

#define CYG_GW_MAX_PROBLEMS 50

struct cyg_gw_problem {
    size_t line, column; /* from 1; 0: the whole file */
    char *text;          /* "gateway.yaml:7:14: listeners[0].address: found …, expected …": one line, no newline */
};

/* What is wrong with a document, in the order of its lines. Begin with {0}; cyg_gw_problems_free when done. */
struct cyg_gw_problems {
    struct cyg_gw_problem *items;
    size_t n;       /* kept: at most CYG_GW_MAX_PROBLEMS */
    size_t dropped; /* found beyond that */
};

/* Frees the items and begins anew. */
void cyg_gw_problems_free(struct cyg_gw_problems *p);

/* ---- making and freeing ----------------------------------------------------------------------------------------- */

/* Reads and checks the file at path ("-": standard input).
 * Blocks: the thread, in open(2) and read(2). From: anywhere. Owns: *out is the caller's to free; problems gets every
 * problem found and is the caller's to free. Returns: 0; CYG_EPARSE with at least one problem; CYG_ENOMEM. */
int cyg_gw_config_load(const char *path, struct cyg_gw_config **out, struct cyg_gw_problems *problems);

/* The same for a document in memory, under the name that problems shall show. Blocks: never. */
int cyg_gw_config_parse(const char *name, const char *text, size_t n, struct cyg_gw_config **out,
                        struct cyg_gw_problems *problems);

/* Frees a snapshot that nobody reads any more. NULL is fine. Blocks: never. */
void cyg_gw_config_free(struct cyg_gw_config *c);

/* Whether an address (its port aside) lies in one of the blocks. IPv4-mapped IPv6 counts as IPv4. Blocks: never. */
bool cyg_gw_cidrs_contain(const struct cyg_gw_cidr *blocks, size_t n, const cyg_addr *a);

/* Whether a request fits: host as it came in the request, perhaps with a port and upper case; path without its query.
 * Blocks: never. */
bool cyg_gw_match_fits(const struct cyg_gw_match *m, cyg_str host, cyg_str path);

#endif
