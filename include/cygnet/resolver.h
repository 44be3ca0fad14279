/* resolver.h: names to addresses and services. A resolver asks the name servers of resolv.conf (or others) with c-ares under the
 * poller, keeps answers as long as their TTL says, and looks into the hosts file first. Goroutines that ask for the same name at the
 * same time share one question. cyg_dial uses the default resolver, so few programs call anything of this.
 *
 *     cyg_addr a[8];
 *     int n = cyg_lookup(NULL, "example.com", &(cyg_lookup_opts){.timeout = 2 * CYG_SECOND}, a, 8);
 *     if (n < 0) fprintf(stderr, "%s\n", cyg_err_detail());       // lookup example.com: no such name
 *
 * Names: letters, digits, '-', '_' and '.', at most 253 bytes; labels of 63 at most. One that ends in '.' is taken as it is, others
 * go through the search list. "localhost" and what ends in ".localhost" is the loopback, unless the hosts file says otherwise.
 */
#ifndef CYGNET_RESOLVER_H
#define CYGNET_RESOLVER_H

#include <cygnet/base.h>
#include <cygnet/err.h>
#include <cygnet/net.h>
#include <cygnet/time.h>

CYG_BEGIN_DECLS

/* ---- resolvers -------------------------------------------------------------------------------------------------- */

typedef struct cyg_resolver_opts {
    const char *servers; /* "127.0.0.1:5353,[::1]:53"; NULL: those of resolv.conf. A port of 53 may be left out */
    const char *search;  /* domains to try, separated by spaces, at most 16; "": none; NULL: those of resolv.conf */
    int ndots; /* names with so many dots are tried as they are first, 1 to 15; 0: as resolv.conf says, else 1 */
    const char *resolv_conf; /* file; NULL: /etc/resolv.conf. A change is noticed within 5 s */
    const char *hosts; /* file; NULL: /etc/hosts (with .system: the C library's affair); "": none. A change is noticed within 5 s */

    cyg_duration timeout; /* for the first try of a server; doubles with each round; 0: 3 s; at least 10 ms */
    int attempts;         /* rounds over all servers; 0: 2; at most 10 */

    bool system; /* ask the C library's getaddrinfo, on threads of its own, instead of name servers: for /etc/nsswitch.conf */
    unsigned max_threads; /* of these, at once; 0: 8. More questions wait */

    unsigned max_queries;          /* questions in flight; 0: 256. More wait until their own deadline */
    size_t max_entries;            /* answers kept; 0: 4096, at least 16. The one longest unused makes room */
    cyg_duration max_ttl;          /* an answer is kept no longer; 0: 1 day */
    cyg_duration max_negative_ttl; /* likewise "no such name"; 0: 5 min; < 0: not kept */
    cyg_duration failure_ttl;      /* how long a failure of the servers is remembered; 0: 1 s; < 0: not at all */
    cyg_duration system_ttl; /* how long an answer of getaddrinfo is kept, which tells no TTL; 0: 5 s; < 0: not at all */
    cyg_duration stale; /* how long after its TTL an answer still serves when the servers fail; 0: 1 hour; < 0: not at all */
    uint64_t reserve[6]; /* zero */
} cyg_resolver_opts;

/* Makes a resolver. opts NULL: defaults. It has no goroutine and no descriptor while it asks nothing.
 * Blocks: the thread, while it reads resolv.conf and hosts (which may be missing). From: goroutine.
 * Owns: opts is read during the call; *out is the caller's to release.
 * Returns: 0; CYG_EPARSE for servers or search; CYG_EINVAL for a number out of bounds; CYG_ENOMEM; CYG_ENOTSUP for servers in a library built without c-ares. */
CYG_API int cyg_resolver_new(const cyg_resolver_opts *opts, cyg_resolver **out);

/* The resolver that NULL stands for: made with defaults at the first use, unless cyg_resolver_set_default came before.
 * Blocks: as cyg_resolver_new, once. From: goroutine. Owns: the caller gets a reference. Returns: 0 or as cyg_resolver_new. */
CYG_API int cyg_resolver_default(cyg_resolver **out);

/* Makes r the resolver that NULL stands for; NULL: the next use makes a new one. Owns: takes a reference of its own.
 * Blocks: parks shortly. From: goroutine. */
CYG_API void cyg_resolver_set_default(cyg_resolver *r);

/* References. The last one to go ends the questions in flight; whoever looks something up holds one, or is called by one who does.
 * Blocks: never; release parks shortly. From: goroutine. NULL is fine. */
CYG_API cyg_resolver *cyg_resolver_acquire(cyg_resolver *r);
CYG_API void cyg_resolver_release(cyg_resolver *r);

/* Forgets all answers, reads resolv.conf and hosts again. What is in flight is asked anew.
 * Blocks: as cyg_resolver_new. From: goroutine. Returns: 0, CYG_ENOMEM: then all is as before but for the answers. */
CYG_API int cyg_resolver_reload(cyg_resolver *r);

static inline void cyg_resolver_cleanup_(cyg_resolver **r) { cyg_resolver_release(*r); }
/* Releases the resolver when the variable leaves its scope. */
#define cyg_auto_resolver __attribute__((cleanup(cyg_resolver_cleanup_)))

/* ---- addresses of a name ---------------------------------------------------------------------------------------- */

/* What else is known of an answer. */
typedef struct cyg_lookup_info {
    cyg_duration ttl; /* how long it is good from now; 0 of a stale one, and of literals and the hosts file */
    bool stale;       /* its TTL has passed, and the servers could not be asked */
    bool cached;      /* nobody was asked for it now */
    uint64_t reserve[4];
} cyg_lookup_info;

typedef struct cyg_lookup_opts {
    cyg_family family;     /* CYG_AF_IPV4 or CYG_AF_IPV6: these alone; CYG_AF_NONE: both */
    uint16_t port;         /* goes into the addresses */
    cyg_duration timeout;  /* 0: what the resolver's own timeouts give */
    cyg_time deadline;     /* the same as a point in time; the earlier of both counts; 0: none */
    cyg_lookup_info *info; /* written on success, if not NULL */
    uint64_t reserve[4];   /* zero */
} cyg_lookup_opts;

/* The addresses of host, the best to connect to first (RFC 6724), at most n; host may be an IP address in text. r NULL: the
 * default resolver. A lookup that ends early, by deadline or context, leaves the question to itself: its answer is kept.
 * Blocks: parks. From: goroutine. Owns: opts is read during the call (NULL: defaults).
 * Returns: how many addresses were written, at least 1; CYG_ENONAME: the name does not exist or has no address of the family;
 * CYG_ELOOKUP: the servers failed or did not answer; CYG_EPARSE: not a name; CYG_ETIMEDOUT, CYG_ECANCELED; CYG_ENOMEM. */
CYG_API int cyg_lookup(cyg_resolver *r, const char *host, const cyg_lookup_opts *opts, cyg_addr *out, size_t n);

/* ---- services --------------------------------------------------------------------------------------------------- */

typedef struct cyg_srv {
    char target[254]; /* without a last dot */
    uint16_t port, priority, weight;
} cyg_srv;

/* The servers of a service, "_http._tcp.example.com", in the order in which to try them: by priority, and within one at random by
 * weight. At most n. opts: timeout, deadline and info count. "." as the only target is CYG_ENONAME.
 * Blocks, from, returns: as cyg_lookup; CYG_ENOTSUP of a resolver with .system. Source: RFC 2782. */
CYG_API int cyg_lookup_srv(cyg_resolver *r, const char *name, const cyg_lookup_opts *opts, cyg_srv *out, size_t n);

/* ---- seeing in -------------------------------------------------------------------------------------------------- */

typedef struct cyg_resolver_stats {
    uint64_t lookups_total; /* questions of callers, for one name and type each: dialling a name with both families makes two */
    uint64_t hits_total;      /* of these, answered by what was kept */
    uint64_t negative_total;  /* of the hits, with "no such name" or a remembered failure */
    uint64_t stale_total;     /* answered by what was kept beyond its TTL, since the servers failed */
    uint64_t misses_total;    /* that had to wait */
    uint64_t shared_total;    /* of the misses, for a question that was on its way already */
    uint64_t queued_total;    /* of the misses, that waited because max_queries were in flight */
    uint64_t abandoned_total; /* of the misses, that ended by deadline or context */
    uint64_t hosts_total;     /* lookups answered by the hosts file or the loopback rule; not among lookups_total */

    uint64_t queries_total;  /* questions asked of servers or getaddrinfo; retries are not counted */
    uint64_t answers_total;  /* that got records */
    uint64_t no_name_total;  /* that got "no such name" or no record of the type */
    uint64_t failures_total; /* that got SERVFAIL, REFUSED or nonsense from all servers */
    uint64_t timeouts_total; /* that got no answer */
    uint64_t query_ns_total; /* time they took, all together */
    uint64_t query_time[16]; /* of these, how many took less than 2^i ms (and not less than 2^(i-1)); the last one: longer */

    uint64_t in_flight;       /* questions, now */
    uint64_t entries;         /* answers kept, now */
    uint64_t evictions_total; /* that made room */
    uint64_t reloads_total;   /* resolv.conf or hosts had changed */
    uint64_t reserve[8];
} cyg_resolver_stats;

/* Fills *out. r NULL: the default resolver, all zero if there is none yet. Blocks: parks shortly. From: goroutine. */
CYG_API void cyg_resolver_get_stats(cyg_resolver *r, cyg_resolver_stats *out);

CYG_END_DECLS
#endif
