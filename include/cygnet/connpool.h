/* connpool.h: keep-alive connections to one destination, lent to one goroutine at a time. What bounds it: connections open and
 * idle, how long one lies idle and lives, how many callers wait and for how long. An idle connection holds neither stack nor
 * buffer: the poller watches it, and one that the peer has ended is closed, not lent. Taking one and putting it back cost no
 * lock, no allocation and no system call. For several destinations make several pools.
 *
 *     cyg_connpool *pool;
 *     int err = cyg_connpool_new("tcp", "10.0.0.7:6379", &(cyg_connpool_opts){.max_open = 50}, &pool);
 *     cyg_pooled_conn *pc;
 *     if ((err = cyg_connpool_get(pool, cyg_now() + CYG_SECOND, &pc)) == 0) {
 *         err = ask(pc->conn);
 *         if (err == 0)
 *             cyg_connpool_put(pc);
 *         else
 *             cyg_connpool_discard(pc, CYG_CONNPOOL_BROKEN);
 *     }
 */
#ifndef CYGNET_CONNPOOL_H
#define CYGNET_CONNPOOL_H

#include <cygnet/base.h>
#include <cygnet/err.h>
#include <cygnet/net.h>
#include <cygnet/time.h>

CYG_BEGIN_DECLS

typedef struct cyg_connpool cyg_connpool;

/* A connection on loan, from get until put or discard. Whoever has it is the only one to use it. */
typedef struct cyg_pooled_conn {
    cyg_conn *conn;   /* what to read and write. The open hook may put a wrapper (TLS) in its place */
    cyg_conn *socket; /* what dial gave: the poller watches it while the connection is idle; read only */
    void *user; /* opts.user_bytes of memory that live as long as the connection; NULL if there are none; read only */
    cyg_time born;       /* when it was opened, by the cached clock; read only */
    cyg_time keep_until; /* lie idle no longer than this: what the peer has said; 0: it said nothing. The borrower sets it */
    uint64_t uses;       /* how often it has been lent, this time included: 1 means that it is new; read only */
} cyg_pooled_conn;

/* Why a connection was closed; the words of cyg_connpool_reason stand in logs and metrics. */
typedef enum cyg_connpool_why {
    CYG_CONNPOOL_BROKEN = 0,    /* "broken": given back with an error, or with an exchange that was not finished */
    CYG_CONNPOOL_FINISHED,      /* "finished": in good order, but the peer does not keep it */
    CYG_CONNPOOL_PEER_CLOSED,   /* "peer_closed": the peer ended it while it was idle */
    CYG_CONNPOOL_UNASKED_BYTES, /* "unasked_bytes": the peer sent something that nobody had asked for */
    CYG_CONNPOOL_IDLE_TIMEOUT,  /* "idle_timeout" */
    CYG_CONNPOOL_MAX_LIFE,      /* "max_life" */
    CYG_CONNPOOL_PEER_LIMIT,    /* "peer_limit": keep_until came */
    CYG_CONNPOOL_MAX_IDLE,      /* "max_idle": enough were idle already */
    CYG_CONNPOOL_REPLACED,      /* "replaced": idle, it made room for a new one that had been asked for */
    CYG_CONNPOOL_POOL_CLOSED,   /* "pool_closed": the pool is closed or being drained */
    CYG_CONNPOOL_WHYS
} cyg_connpool_why;
CYG_API const char *cyg_connpool_reason(cyg_connpool_why why);

/* Hooks run on the goroutine that opens or closes, without a lock; they may park. */
typedef struct cyg_connpool_opts {
    const char *name; /* for dumps; copied; NULL: "tcp 10.0.0.7:6379" */
    size_t max_open; /* connections at once, idle ones and those being dialled included; 0: 1024; at most 1,000,000. At the
                        * limit callers wait, first come first served */
    size_t max_idle; /* idle at once; 0: max_open. More than that given back are closed */
    size_t min_idle; /* kept ready: below it new ones are opened in the background, as far as max_open goes; 0: none; at
                        * most max_idle. Failures are tried again after 100 ms, doubling up to 10 s */
    size_t max_waiters;        /* callers waiting at the limit; 0: 1024. Beyond: CYG_ELIMIT at once, and counted */
    cyg_duration wait_timeout; /* how long one may wait, whatever its deadline; 0: no limit. Beyond: CYG_ETIMEDOUT */
    cyg_duration idle_timeout; /* an idle connection is closed after this; 0: 60 s. Choose less than the peer's own */
    cyg_duration max_life;     /* no connection is lent, or lies idle, when it is older than this; 0: no limit */
    unsigned jitter; /* percent, up to 90: each connection's two times are shorter by a share of its own, so that
                                * those opened together do not end together; 0: 10 */
    bool no_jitter;  /* the times are exact */
    bool reset_idle; /* idle and finished connections end with a reset: no TIME_WAIT on either side. For protocols
                                * that have no goodbye: nothing is in flight then. Otherwise they end in order, and this side,
                                * being first, has the TIME_WAIT */
    cyg_duration dial_timeout; /* for a dial and its open hook; 0: 5 s */
    size_t user_bytes; /* memory for the caller with each connection, zeroed, aligned for any type; at most 1 MiB */

    /* Opens a connection, no later than deadline. NULL: cyg_dial of the pool's network and address. Owns: *out is the pool's;
     * it must be a TCP or Unix stream of net.h. Returns: 0 or an error, which the get returns. */
    int (*dial)(void *arg, cyg_time deadline, cyg_conn **out);
    /* Constructor: a handshake, pc->user's first values, a wrapper in pc->conn. NULL: nothing. Returns: 0, or an error, which
     * the get returns when the connection has been closed; the close hook is not called then. */
    int (*open)(void *arg, cyg_pooled_conn *pc, cyg_time deadline);
    /* Destructor: a goodbye, what pc->user holds. The pool then closes pc->conn and frees pc->user. NULL: nothing. */
    void (*close)(void *arg, cyg_pooled_conn *pc, cyg_connpool_why why);
    /* The pool is closed, everybody has released it and its last connection is gone: nothing calls a hook any more. NULL:
     * nothing. Must not park. */
    void (*freed)(void *arg);
    void *arg;
    uint64_t reserve[8]; /* zero */
} cyg_connpool_opts;

/* A pool of connections to address (as in cyg_dial; both are copied, and may be NULL with opts.dial and opts.name). No
 * connection is opened but min_idle in the background.
 * Blocks: never. From: goroutine. Owns: opts is read during the call (NULL: defaults); *out is the caller's to close.
 * Returns: 0; CYG_EINVAL for an option out of bounds (named in the detail); CYG_EPARSE for a bad address; CYG_ENOMEM. */
CYG_API int cyg_connpool_new(const char *network, const char *address, const cyg_connpool_opts *opts, cyg_connpool **out);

/* Lends a connection: an idle one that the poller knows to be quiet, else a new one. At max_open it waits for one that is
 * given back or for the place of one that is closed. A caller that gives up just as its turn comes gets its connection or, if
 * it was to dial, fails, and the turn is the next one's; no turn is lost.
 * The poller hears of a peer's close when it polls next, so one that is under way is not seen, as with any check: who sends
 * what cannot be repeated must know that the first use of an idle connection (uses > 1) may fail so.
 * Blocks: parks while dialling, in the open hook, or waiting its turn; ends with the goroutine's context. From: goroutine that
 * holds a reference. Owns: the caller gives *out back with put or discard. deadline 0: none.
 * Returns: 0, CYG_ELIMIT (too many wait), CYG_ETIMEDOUT (deadline, wait_timeout or dial_timeout), CYG_ECANCELED or the
 * context's cause, CYG_ECLOSED (pool closed or drained), CYG_ENOMEM, or the error of dial or open. */
CYG_API CYG_NODISCARD int cyg_connpool_get(cyg_connpool *pool, cyg_time deadline, cyg_pooled_conn **out);

/* The same with more to ask, and with what happened. */
typedef struct cyg_connpool_ask {
    cyg_time deadline; /* 0: none */
    bool fresh;  /* only a new connection; at max_open an idle one is closed for it. Without one it waits, and may then
                        * get one that has just been in use */
    bool queued; /* out: it failed while it waited its turn, or was refused to wait */
    uint64_t reserve[4];
} cyg_connpool_ask;
CYG_API CYG_NODISCARD int cyg_connpool_get_as(cyg_connpool *pool, cyg_connpool_ask *ask, cyg_pooled_conn **out);

/* Gives a connection back after an exchange in good order: nothing is in flight either way, nobody uses it, its deadlines may be
 * as they are. It is lent to the first who waits, or lies idle, or is closed if a limit says so. One system call is made only
 * if its last read filled the reader's buffer, to see whether more has come.
 * Blocks: never, but for the close hook. From: goroutine. Aborts if it is not on loan. */
#define cyg_connpool_put(pc) cyg_connpool_put_at((pc), __FILE__, __LINE__)
CYG_API void cyg_connpool_put_at(cyg_pooled_conn *pc, const char *file, int line);

/* Gives back one that is not to be used again: CYG_CONNPOOL_BROKEN, or CYG_CONNPOOL_FINISHED when nothing is in flight.
 * It is closed, and the first who waits may dial. As cyg_connpool_put. */
#define cyg_connpool_discard(pc, why) cyg_connpool_discard_at((pc), (why), __FILE__, __LINE__)
CYG_API void cyg_connpool_discard_at(cyg_pooled_conn *pc, cyg_connpool_why why, const char *file, int line);

/* Ends lending: new and waiting callers get CYG_ECLOSED, idle connections are closed; then waits until those on loan have come
 * back, and are closed, or the deadline (0: none). Drops no reference.
 * Blocks: parks. From: goroutine. Returns: 0, CYG_ETIMEDOUT, or the context's error; those still out close when given back. */
CYG_API int cyg_connpool_drain(cyg_connpool *pool, cyg_time deadline);

/* The same without waiting, and drops the caller's reference. Blocks: never, but for the close hook. From: goroutine. */
CYG_API void cyg_connpool_close(cyg_connpool *pool);

/* References. The last release of a pool that has not been closed closes it. Blocks: as close. */
CYG_API cyg_connpool *cyg_connpool_acquire(cyg_connpool *pool);
CYG_API void cyg_connpool_release(cyg_connpool *pool);

/* What opts.name said, or network and address. Blocks: never. From: any thread. Owns: lives as long as the program. */
CYG_API const char *cyg_connpool_name(const cyg_connpool *pool);

/* Waits by length: bucket i counts those of at most 1 µs << i that no lower one counts; the last one all that are longer. */
#define CYG_CONNPOOL_WAIT_BUCKETS 24

typedef struct cyg_connpool_stats {
    uint64_t open;                /* now: idle, in use and opening together */
    uint64_t idle;                /* now */
    uint64_t in_use;              /* now: on loan */
    uint64_t opening;             /* now: dial or open hook under way */
    uint64_t waiters;             /* now: callers waiting their turn */
    uint64_t gets_total;          /* connections lent: reuses and new ones */
    uint64_t reuses_total;        /* of these, used before */
    uint64_t opens_total;         /* dials begun: opens_total = open_errors_total + closed ones + open */
    uint64_t open_errors_total;   /* dials, or open hooks, that failed */
    uint64_t closed_total[16];    /* by cyg_connpool_why */
    uint64_t waits_total;         /* callers that waited their turn */
    uint64_t wait_timeouts_total; /* of these, until their deadline or wait_timeout */
    uint64_t wait_cancels_total;  /* of these, until their context ended or the pool closed */
    uint64_t wait_refused_total;  /* callers refused because max_waiters waited; not among waits_total */
    uint64_t wait_ns_total;       /* what all waits took together, however they ended */
    uint64_t wait_buckets[CYG_CONNPOOL_WAIT_BUCKETS]; /* the waits by length */
    uint64_t reserve[8];
} cyg_connpool_stats;

/* Fills *out with counters read one by one; together they are not one instant. Blocks: never. From: any thread. */
CYG_API void cyg_connpool_get_stats(const cyg_connpool *pool, cyg_connpool_stats *out);

/* The share of loans that were reuses, 0 to 1; 0 before the first. Blocks: never. From: anywhere. */
static inline double cyg_connpool_reuse_ratio(const cyg_connpool_stats *s) {
    return s->gets_total ? (double)s->reuses_total / (double)s->gets_total : 0;
}

/* The wait that the share q (0 to 1) of all waits did not exceed, rounded up to its bucket's bound; INT64_MAX if it is longer
 * than the last bound; 0 without waits. Blocks: never. From: anywhere. */
CYG_API cyg_duration cyg_connpool_wait_quantile(const cyg_connpool_stats *s, double q);

CYG_END_DECLS
#endif
