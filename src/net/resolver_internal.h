/* resolver_internal.h: the parts of a resolver.
 *
 *   lookup           one name for one caller: literal, hosts file, then the names of the search list, one after the other
 *   entry            one name and type: its answer, who waits for it, and whether it is being asked (resolver_cache.c)
 *   answer           records, or why there are none; never changed, counted
 *   files            what resolv.conf and the hosts file say; never changed, counted, swapped whole (resolver_files.c)
 *   dns              the c-ares channel and the goroutine that drives it while something is asked (resolver_dns.c)
 *
 * Locks: dns.lock, then lock; neither is held across a park. c-ares keeps the address of errno over its calls, so nothing that it calls
 * back may park: callbacks only note what came (dns.done), and it is handed out when c-ares has returned.
 */
#ifndef CYG_NET_RESOLVER_INTERNAL_H
#define CYG_NET_RESOLVER_INTERNAL_H

#include <cygnet/context.h>
#include <cygnet/resolver.h>
#include <cygnet/sync.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "net/hosts.h"
#include "sync/map_hash.h"

#define RES_NAME 256                            /* room for a name, its last dot and NUL included */
#define RES_ITEMS 64                            /* records of one answer; more are left out */
#define RES_FIXED 16                            /* addresses of a name in the hosts file; more are left out */
#define RES_SEARCH 16                           /* domains of a search list */
#define RES_CHECK (5 * CYG_SECOND)              /* how often files are looked at */
#define RES_STALE_WAIT (1800 * CYG_MILLISECOND) /* how long one waits before an old answer will do (RFC 8767, 5) */
#define RES_STALE_RETRY \
    (30 * CYG_SECOND) /* servers that failed are not asked again earlier if there is an old answer */

enum res_type { RES_A, RES_AAAA, RES_SRV };
enum res_outcome { RES_GOT, RES_NO_NAME, RES_FAILED, RES_TIMEOUT };

/* ---- answers ------------------------------------------------------------------------------------------------------ */

struct res_answer {
    _Atomic uint32_t refs;
    int err;           /* 0; CYG_ENONAME, CYG_ELOOKUP, CYG_ENOMEM */
    const char *why;   /* a literal that says more; NULL: nothing to add */
    bool silence;      /* nobody answered: asking for another name would take as long */
    cyg_duration life; /* how long it may be kept */
    size_t n;          /* records */
    union res_item {
        uint8_t ip[16];
        cyg_srv srv;
    } items[];
};
struct res_answer *res_answer_new(size_t n);                                         /* NULL without memory */
struct res_answer *res_answer_of_error(int err, const char *why, cyg_duration life); /* never NULL */
struct res_answer *res_answer_acquire(struct res_answer *a);
void res_answer_release(struct res_answer *a); /* NULL is fine */

/* ---- entries ------------------------------------------------------------------------------------------------------ */

/* A caller's share in an entry. All guarded by the resolver's lock. */
struct res_want {
    struct res_want *next, *prev; /* in the entry's list, until it is settled */
    struct res_entry *entry;      /* while it waits */
    struct res_answer *answer;    /* once it is settled; the caller's to release */
    bool stale, cached;
    cyg_time expires;
    cyg_time stale_at;                  /* when an old answer will do; 0: there is none */
    void (*notify)(struct res_want *w); /* called when it is settled by an answer; must not park */
    struct lookup *lookup;              /* whose it is */
};

struct res_entry {
    struct res_entry *hash_next;
    struct res_entry *next, *prev; /* in lru when it rests, in queue while it waits to be asked */
    struct cyg_resolver *resolver;
    struct res_answer *answer; /* the last good or negative one, or failure; NULL: none yet */
    cyg_time expires;          /* of the answer */
    cyg_time stale_until;      /* likewise, of a good one; 0: not at all */
    cyg_time retry_at;         /* until then an old answer serves without asking */
    struct res_want *wants;
    bool asking, queued;     /* queued: asking, but nobody has been asked yet */
    cyg_time asked;          /* when */
    struct res_answer *came; /* from c-ares, to be handed out; guarded by dns.lock, as done_next is */
    enum res_outcome outcome;
    struct res_entry *done_next;
    uint64_t hash;
    enum res_type type;
    char name[];
};

struct res_list {
    struct res_entry *head, *tail;
};

/* ---- files -------------------------------------------------------------------------------------------------------- */

struct res_file_id { /* changes when the file does */
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
};

struct res_files {
    _Atomic uint32_t refs;
    struct hosts hosts;
    struct res_file_id hosts_id, conf_id;
    int ndots;
    size_t nsearch;
    char *search[RES_SEARCH]; /* lower case, no dot at the end */
    char servers[128];        /* for messages; cut */
};
struct res_files *res_files_acquire(struct res_files *f);
void res_files_release(struct res_files *f);
int res_files_add_search(struct res_files *f, const char *domain, size_t n); /* 0, CYG_EPARSE or CYG_ENOMEM */
/* Blocks the thread; for cyg_blocking. *channel: to go with it; NULL for a system resolver. */
int res_files_load(struct cyg_resolver *r, struct res_files **files, void **channel);
/* Reloads if RES_CHECK has passed since the last look and a file has changed. Parks. */
void res_files_check(struct cyg_resolver *r);

/* ---- the resolver ------------------------------------------------------------------------------------------------- */

struct res_dns {
    cyg_mutex lock;
    void *channel; /* ares_channel */
    int epfd;      /* what c-ares watches; -1: nothing is asked */
    bool driving;  /* its goroutine runs */
    bool closing;
    bool swapping;           /* callbacks of the old channel put what they had into again */
    unsigned active;         /* questions that c-ares has */
    struct res_entry *done;  /* answered, to be handed out */
    struct res_entry *again; /* to be asked once more */
    cyg_ctx *ctx;            /* of the goroutine */
};

#define RES_MAGIC 0x52736c76u
struct cyg_resolver {
    uint32_t magic;
    _Atomic uint32_t users, memory; /* programs; all users together, and each goroutine of ours */
    cyg_resolver_opts o;            /* complete; strings are its own */
    _Atomic int64_t checked;        /* when the files were looked at */
    _Atomic int64_t ahead;          /* tests: how far the clock of TTLs is ahead */
    struct map_secret secret;
    cyg_mutex lock; /* guards all that follows but dns */
    struct res_files *files;
    struct res_entry **buckets;
    size_t nbuckets; /* a power of two */
    struct res_list lru, queue;
    uint64_t random;
    cyg_resolver_stats stats;
    struct res_dns dns;
};

static inline cyg_time res_now(struct cyg_resolver *r) {
    return cyg_now() + atomic_load_explicit(&r->ahead, memory_order_relaxed);
}
void res_memory_release(struct cyg_resolver *r);

/* ---- cache (resolver_cache.c): r->lock is held ---------------------------------------------------------------------- */

/* Settles w, or lets it wait. What is returned, if anything, is to be given to res_start without the lock. */
struct res_entry *res_ask(struct cyg_resolver *r, struct res_want *w, const char *name, enum res_type type);
/* Ends a wait: w is settled if an old answer will do and allow_stale, else it waits no longer. */
void res_leave(struct cyg_resolver *r, struct res_want *w, bool allow_stale);
/* An answer for an entry that was being asked; takes over a. */
void res_answered(struct cyg_resolver *r, struct res_entry *e, struct res_answer *a, enum res_outcome outcome);
/* The next of the queue that may be asked now; NULL: none. */
struct res_entry *res_next_queued(struct cyg_resolver *r);
void res_forget_all(struct cyg_resolver *r); /* what rests */

/* ---- asking: without r->lock ---------------------------------------------------------------------------------------- */

void res_start(struct cyg_resolver *r, struct res_entry *e);
void res_system_start(struct cyg_resolver *r, struct res_entry *e);
void res_dns_start(struct cyg_resolver *r, struct res_entry *e);
bool res_dns_exists(void);
int res_dns_open(struct cyg_resolver *r, struct res_files *f, void **channel); /* blocks the thread */
void res_dns_close(void *channel);
void res_dns_swap(struct cyg_resolver *r, void *channel);
void res_dns_shut(struct cyg_resolver *r); /* ends what is in flight */

/* ---- lookups (lookup.c) --------------------------------------------------------------------------------------------- */

struct lookup {
    struct res_want want[2];
    unsigned nwant;
    cyg_resolver *r;
    struct res_files *files;
    enum res_type type[2];
    char host[RES_NAME]; /* lower case, no dot at the end */
    size_t host_len;
    bool absolute, done;
    unsigned dots;
    int candidate; /* of the search list; -1: an answer without asking */
    int err;       /* of what has been tried so far */
    const char *why;
    size_t nfixed; /* from literal, hosts, loopback */
    cyg_addr fixed[RES_FIXED];
    void (*notify)(void *); /* an answer came; must not park */
    void *notify_arg;
    cyg_cond cond; /* notified likewise; with r->lock */
};

/* Begins one, up to the first question, which lookup_step asks; r NULL: the default resolver. lookup_end must follow if 0 is returned.
 * Parks. */
int lookup_begin(struct lookup *l, cyg_resolver *r, const char *host, cyg_family family, bool srv);
/* Goes on with what has come. Returns whether it is done: then l->err tells. */
bool lookup_step(struct lookup *l);
/* When to call lookup_step even though nothing came: an old answer will do then. 0: never. */
cyg_time lookup_stale_at(struct lookup *l);
/* The time has come: settles what waits and has an old answer, if that may serve now; all: settles everything that waits, with CYG_ETIMEDOUT
 * what has none. */
void lookup_late(struct lookup *l, bool all);
/* Those that are known so far, unsorted, with port. Also before it is done. *both: no family is still to come. */
size_t lookup_addrs(struct lookup *l, uint16_t port, cyg_addr *out, size_t max);
/* Waits until done; 0 or the error, with a detail. */
int lookup_wait(struct lookup *l, cyg_time deadline);
int lookup_fail(struct lookup *l, int err); /* the detail for err */
void lookup_end(struct lookup *l);

/* Writes a name in lower case without its last dot. 0, or CYG_EPARSE with the detail. */
int res_name(const char *text, char out[RES_NAME], size_t *n, bool *absolute);

#endif
