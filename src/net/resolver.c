/* resolver.c: a resolver's beginning and end, the default one, statistics. The parts: resolver_internal.h. */
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fatal.h"
#include "base/spin.h"
#include "net/internal.h"
#include "net/resolver_internal.h"

/* ---- options -------------------------------------------------------------------------------------------------------- */

static int bad(const char *what) { return cygrt_fail(CYG_EINVAL, "resolver: %s", what); }

/* Fills in defaults. */
static int complete(cyg_resolver_opts *o) {
    if (!o->resolv_conf) o->resolv_conf = "/etc/resolv.conf";
    if (o->ndots < 0 || o->ndots > 15) return bad("ndots is not from 0 to 15");
    if (!o->timeout) o->timeout = 3 * CYG_SECOND;
    if (o->timeout < 10 * CYG_MILLISECOND || o->timeout > CYG_HOUR) return bad("timeout is not from 10 ms to 1 h");
    if (!o->attempts) o->attempts = 2;
    if (o->attempts < 0 || o->attempts > 10) return bad("attempts is not from 1 to 10");
    if (!o->max_threads) o->max_threads = 8;
    if (!o->max_queries) o->max_queries = 256;
    if (!o->max_entries) o->max_entries = 4096;
    if (o->max_entries < 16) return bad("max_entries is below 16");
    if (!o->max_ttl) o->max_ttl = 24 * CYG_HOUR;
    if (!o->max_negative_ttl) o->max_negative_ttl = 5 * CYG_MINUTE;
    if (!o->failure_ttl) o->failure_ttl = CYG_SECOND;
    if (!o->system_ttl) o->system_ttl = 5 * CYG_SECOND;
    if (!o->stale) o->stale = CYG_HOUR;
    if (!res_dns_exists()) {
        if (o->servers) return cygrt_fail(CYG_ENOTSUP, "resolver: this library was built without c-ares");
        o->system = true;
    }
    if (!o->hosts) o->hosts = o->system ? "" : "/etc/hosts"; /* which the C library reads itself */
    if (o->system) { /* it has its own search list, and threads are what is bounded */
        o->max_queries = o->max_threads;
        o->search = "";
    }
    return 0;
}

static char *copy(const char *s) { return s ? strdup(s) : NULL; }

static int own_strings(cyg_resolver_opts *o, const cyg_resolver_opts *from) {
    o->servers = copy(from->servers);
    o->search = copy(from->search);
    o->resolv_conf = copy(from->resolv_conf);
    o->hosts = copy(from->hosts);
    bool all = (o->servers || !from->servers) && (o->search || !from->search) && o->resolv_conf && o->hosts;
    return all ? 0 : CYG_ENOMEM;
}

static void free_strings(cyg_resolver_opts *o) {
    free((char *)(uintptr_t)o->servers);
    free((char *)(uintptr_t)o->search);
    free((char *)(uintptr_t)o->resolv_conf);
    free((char *)(uintptr_t)o->hosts);
}

/* ---- life ----------------------------------------------------------------------------------------------------------- */

static void dispose(struct cyg_resolver *r) {
    res_dns_close(r->dns.channel); /* which may call entries back, if it is of a former run */
    if (r->dns.epfd >= 0) close(r->dns.epfd);
    for (size_t i = 0; r->buckets && i < r->nbuckets; i++)
        for (struct res_entry *e = r->buckets[i], *next; e; e = next) {
            next = e->hash_next;
            res_answer_release(e->answer);
            res_answer_release(e->came);
            free(e);
        }
    free(r->buckets);
    res_files_release(r->files);
    if (r->dns.ctx) cyg_ctx_release(r->dns.ctx);
    free_strings(&r->o);
    r->magic = 0;
    free(r);
}

void res_memory_release(struct cyg_resolver *r) {
    if (atomic_fetch_sub_explicit(&r->memory, 1, memory_order_acq_rel) == 1) dispose(r);
}

static int load(void *arg) {
    struct cyg_resolver *r = arg;
    return res_files_load(r, &r->files, &r->dns.channel);
}

static int set_up(struct cyg_resolver *r, const cyg_resolver_opts *o) {
    uint64_t seed[3] = {(uint64_t)(uintptr_t)r, (uint64_t)cyg_now(), 1};
    (void)!getrandom(seed, sizeof seed, GRND_NONBLOCK);
    r->secret = (struct map_secret){seed[0], seed[1]};
    r->random = seed[2];
    r->o = *o;
    r->nbuckets = 16;
    while (r->nbuckets < o->max_entries && r->nbuckets < 1u << 20) r->nbuckets *= 2;
    r->buckets = calloc(r->nbuckets, sizeof(r->buckets[0]));
    if (own_strings(&r->o, o) < 0 || !r->buckets) return CYG_ENOMEM;
    r->dns.ctx = cyg_ctx_with_cancel(cyg_ctx_background());
    atomic_store(&r->checked, cyg_now());
    return cyg_blocking(load, r);
}

int cyg_resolver_new(const cyg_resolver_opts *opts, cyg_resolver **out) {
    cyg_resolver_opts o = opts ? *opts : (cyg_resolver_opts){0};
    cyg_need_goroutine("cyg_resolver_new");
    int err = complete(&o);
    if (err < 0) return err;
    struct cyg_resolver *r = calloc(1, sizeof *r);
    if (!r) return CYG_ENOMEM;
    r->magic = RES_MAGIC;
    r->dns.epfd = -1;
    r->users = r->memory = 1;
    if ((err = set_up(r, &o)) < 0)
        dispose(r);
    else
        *out = r;
    return err;
}

static void check(const cyg_resolver *r) {
    if (r->magic != RES_MAGIC) cyg_fatal("no resolver at %p (released already?)", (const void *)r);
}

cyg_resolver *cyg_resolver_acquire(cyg_resolver *r) {
    if (!r) return NULL;
    check(r);
    atomic_fetch_add_explicit(&r->users, 1, memory_order_relaxed);
    return r;
}

void cyg_resolver_release(cyg_resolver *r) {
    if (!r) return;
    check(r);
    if (atomic_fetch_sub_explicit(&r->users, 1, memory_order_acq_rel) != 1) return;
    res_dns_shut(r);
    res_memory_release(r);
}

void res_start(struct cyg_resolver *r, struct res_entry *e) {
    if (!e) return;
    if (r->o.system)
        res_system_start(r, e);
    else
        res_dns_start(r, e);
}

/* ---- the default one ------------------------------------------------------------------------------------------------ */

static struct {
    cyg_mutex lock;
    cyg_resolver *resolver; /* guarded by lock */
    uint32_t run;           /* of the runtime, in which it was made; guarded by lock */
} standard;

/* What was made under a runtime that has ended is nobody's: its goroutines are gone, and so may be the holder of any lock. */
static void forget_former_run(void) {
    uint32_t run = atomic_load_explicit(&cygrt_sched.runs, memory_order_relaxed);
    if (__atomic_load_n(&standard.run, __ATOMIC_ACQUIRE) == run) return;
    static uint32_t spin;
    cyg_spin_lock(&spin);
    if (standard.run != run) {
        if (standard.resolver) dispose(standard.resolver);
        standard.resolver = NULL;
        standard.lock = (cyg_mutex){0};
        __atomic_store_n(&standard.run, run, __ATOMIC_RELEASE);
    }
    cyg_spin_unlock(&spin);
}

int cyg_resolver_default(cyg_resolver **out) {
    int err = 0;
    cyg_need_goroutine("cyg_resolver_default");
    forget_former_run();
    cyg_mutex_lock(&standard.lock);
    if (!standard.resolver) err = cyg_resolver_new(NULL, &standard.resolver);
    if (!err) *out = cyg_resolver_acquire(standard.resolver);
    cyg_mutex_unlock(&standard.lock);
    return err;
}

void cyg_resolver_set_default(cyg_resolver *r) {
    cyg_need_goroutine("cyg_resolver_set_default");
    forget_former_run();
    cyg_mutex_lock(&standard.lock);
    cyg_resolver *old = standard.resolver;
    standard.resolver = cyg_resolver_acquire(r);
    cyg_mutex_unlock(&standard.lock);
    cyg_resolver_release(old);
}

/* ---- seeing in ------------------------------------------------------------------------------------------------------ */

void cyg_resolver_get_stats(cyg_resolver *r, cyg_resolver_stats *out) {
    cyg_auto_resolver cyg_resolver *mine = NULL;
    if (!r) {
        forget_former_run();
        cyg_mutex_lock(&standard.lock);
        r = mine = cyg_resolver_acquire(standard.resolver);
        cyg_mutex_unlock(&standard.lock);
        *out = (cyg_resolver_stats){0};
        if (!r) return;
    }
    check(r);
    cyg_mutex_lock(&r->lock);
    *out = r->stats;
    cyg_mutex_unlock(&r->lock);
}
