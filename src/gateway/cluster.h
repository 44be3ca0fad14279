/* cluster.h: a set of endpoints that do the same work, each with its pool of keep-alive connections.
 *
 * Pools live in a registry by (cluster, address, settings), counted: a reload that leaves those alone finds the same pool, and
 * its connections, again.
 */
#ifndef CYG_GATEWAY_CLUSTER_H
#define CYG_GATEWAY_CLUSTER_H

#include "gateway/access_log.h"
#include "gateway/config.h"

#include <cygnet/http.h>
#include <cygnet/sync.h>

/* ---- turns ------------------------------------------------------------------------------------------------------ */

struct cyg_gw_turn {
    uint32_t next; /* atomic, relaxed: a lost turn does no harm */
} __attribute__((aligned(64)));

/* Round robin over n things. Each P takes turns by itself, beginning at another place, so that no cache line is shared. */
struct cyg_gw_turns {
    size_t n;
    unsigned shards;
    struct cyg_gw_turn *turns;
};
/* Returns: 0 or CYG_ENOMEM. n: at least 1. */
int cyg_gw_turns_init(struct cyg_gw_turns *t, size_t n, unsigned shards);
void cyg_gw_turns_free(struct cyg_gw_turns *t);

/* Whose turn it is: 0 to n - 1. shard: cyg_proc_hint(). Blocks: never. */
size_t cyg_gw_turns_next(struct cyg_gw_turns *t, unsigned shard);

/* ---- endpoints -------------------------------------------------------------------------------------------------- */

struct cyg_gw_upstream {
    struct cyg_gw_upstream *next; /* guarded by the registry's lock, as refs */
    size_t refs;
    char *cluster, *address; /* names, NUL-terminated; its own */
    cyg_http_pool *pool;
    struct cyg_gw_access_run logged;
    cyg_addr addr;
    struct cyg_gw_pool settings;
    cyg_duration connect_timeout;
    struct { /* connections that are not the pool's: dial.c's; atomic */
        uint64_t dials, dial_errors, open;
    } direct;
};

struct cyg_gw_upstreams {
    cyg_mutex lock;
    struct cyg_gw_upstream *all;
};

/* A further reference for who uses an endpoint beyond its snapshot, and its end; the last one closes the pool.
 * Blocks: parks for the registry's lock. From: goroutine. Returns: u. */
struct cyg_gw_upstream *cyg_gw_upstream_acquire(struct cyg_gw_upstreams *registry, struct cyg_gw_upstream *u);
void cyg_gw_upstream_release(struct cyg_gw_upstreams *registry, struct cyg_gw_upstream *u);

/* ---- clusters --------------------------------------------------------------------------------------------------- */

struct cyg_gw_members {
    const struct cyg_gw_cluster *config;
    struct cyg_gw_upstream **endpoints; /* config->nendpoints of them */
    struct cyg_gw_turns turns;
};

/* Finds or makes the pools of a cluster. Blocks: parks for the registry's lock. From: goroutine. Owns: config must live as
 * long. Returns: 0, or an error of cyg_http_pool_new, with nothing taken. */
int cyg_gw_members_init(struct cyg_gw_members *m, const struct cyg_gw_cluster *config,
                        struct cyg_gw_upstreams *registry, unsigned shards);

/* Gives the pools back; those that no other snapshot uses close. {0} is fine. */
void cyg_gw_members_free(struct cyg_gw_members *m, struct cyg_gw_upstreams *registry);

#endif
