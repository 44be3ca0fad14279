/* internal.h: what connections and listeners share: a descriptor with its lock and its poll descriptor. Their memory is
 * type-stable (slabs that are never freed), so that a late event or a use after close hits a magic word, not foreign data. */
#ifndef CYG_NET_INTERNAL_H
#define CYG_NET_INTERNAL_H

#include <cygnet/net.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "runtime/poller/poller.h"
#include "sync/waiter.h"

/* ---- fdlock: who uses the descriptor -------------------------------------------------------------------------------- */

/* One word: closed bit, a lock each for reading and writing, users, and how many wait for each lock. The descriptor is
 * closed by the last user, so its number cannot be reused under anybody. */
struct fdlock {
    _Atomic uint64_t word;
    uint32_t qlock;     /* spin lock of what follows */
    uint32_t passes[2]; /* wake-ups not yet taken */
    cyg_waitq queue[2];
};

enum fd_side { FD_READ = 0, FD_WRITE = 1 };

/* The word: bit 0 closed, bit 1 + side locked, 20 bits of users, 20 bits of waiters per side. */
#define FDLOCK_CLOSED 1ull
#define FDLOCK_LOCKED(side) (2ull << (side))
#define FDLOCK_USER (1ull << 3)
#define FDLOCK_USERS (((1ull << 20) - 1) << 3)
#define FDLOCK_WAITER(side) (1ull << (23 + 20 * (side)))
#define FDLOCK_WAITERS(side) (((1ull << 20) - 1) << (23 + 20 * (side)))

int fdlock_acquire_slow(struct fdlock *l, enum fd_side side);
bool fdlock_release_slow(struct fdlock *l, enum fd_side side);

/* Returns 0, CYG_ECLOSED, or the context's error; parks while another has this side. Nearly always nobody has, and nobody waits for
 * either side: one compare-and-swap. */
static inline int fdlock_acquire(struct fdlock *l, enum fd_side side) {
    uint64_t old = atomic_load_explicit(&l->word, memory_order_relaxed);
    if (CYG_UNLIKELY(old & (FDLOCK_CLOSED | FDLOCK_LOCKED(side))) ||
        CYG_UNLIKELY(old >= FDLOCK_WAITER(FD_READ) - FDLOCK_USER) ||
        CYG_UNLIKELY(!atomic_compare_exchange_strong_explicit(&l->word, &old, old + FDLOCK_LOCKED(side) + FDLOCK_USER,
                                                              memory_order_acquire, memory_order_relaxed)))
        return fdlock_acquire_slow(l, side);
    return 0;
}

/* Returns true if it is closed, and this was the last user. */
static inline bool fdlock_release(struct fdlock *l, enum fd_side side) {
    uint64_t old = atomic_load_explicit(&l->word, memory_order_relaxed);
    if (CYG_UNLIKELY((old & (FDLOCK_CLOSED | FDLOCK_LOCKED(side))) != FDLOCK_LOCKED(side)) ||
        CYG_UNLIKELY(old >= FDLOCK_WAITER(FD_READ)) ||
        CYG_UNLIKELY(!atomic_compare_exchange_strong_explicit(&l->word, &old, old - FDLOCK_LOCKED(side) - FDLOCK_USER,
                                                              memory_order_acq_rel, memory_order_relaxed)))
        return fdlock_release_slow(l, side);
    return false;
}

int fdlock_use(struct fdlock *l);    /* a user without a side; 0 or CYG_ECLOSED */
bool fdlock_unuse(struct fdlock *l); /* as fdlock_release */
int fdlock_close(struct fdlock *l);  /* marks closed, wakes those that wait for a side; caller is a user then */

union sockaddr_any {
    struct sockaddr sa;
    struct sockaddr_un un;
    struct sockaddr_storage ss;
};

/* ---- connection ------------------------------------------------------------------------------------------------------ */

struct pipe_end {
    struct pipe *pipe;
    int side;    /* 0 or 1 */
    bool resets; /* cyg_conn_reset_on_close; guarded by the pipe's lock */
};

enum conn_kind { CONN_TCP = 0, CONN_UNIX = 1, CONN_UNIXPACKET, CONN_UDP, CONN_UNIXGRAM, CONN_PIPE, CONN_KINDS };

#define CONN_MAGIC 0x436f6e6eu

/* The goroutine that last waited on a connection, saw its end or ended our side: who to ask why it is still open. Kept in words
 * that reports read while others write: at worst two goroutines are mixed. */
struct conn_user {
    const char *file; /* of its start; NULL: nobody yet */
    const void *fn;
    uint32_t line, id; /* the lower half of its number */
};

/* What a request touches lies in three cache lines of six: the first, and the first two of the poll descriptor. */
struct conn {
    _Alignas(CYGRT_CACHELINE) cyg_stream stream; /* first: a conn is a stream */
    uint32_t magic;
    _Atomic uint32_t refs;
    int fd;                /* -1: a pipe */
    uint8_t kind;          /* conn_kind */
    bool drained;          /* the last read left the socket empty ... */
    uint16_t peer_family;  /* of an IP peer of a stream, kept from accept or dial */
    uint32_t drained_at;   /* ... when read_events had this value; both guarded by the read side */
    struct conn_user user; /* relaxed atomics */
    struct fdlock lock;    /* its word in the first line */
    struct conn *next_free;
    _Alignas(CYGRT_CACHELINE) struct cygrt_pd pd;
    union {
        struct {
            uint8_t peer_ip[16];
            uint32_t peer_scope;
            uint16_t peer_port;
        };
        struct packet_state *packet; /* CONN_UDP, CONN_UNIXGRAM */
        struct pipe_end pipe;        /* CONN_PIPE */
    };
};
_Static_assert(offsetof(struct conn, lock) + sizeof(uint64_t) == CYGRT_CACHELINE &&
                   sizeof(struct conn) == (size_t)6 * CYGRT_CACHELINE,
               "cache lines of struct conn");

/* Streams and messages differ in their operations; so do sockets and pipes. */
extern const cyg_stream_ops cyg_tcp_ops, cyg_unix_ops, cyg_unixpacket_ops, cyg_udp_ops, cyg_unixgram_ops, cyg_pipe_ops;
static inline bool conn_is_stream(const struct conn *c) { return c->kind == CONN_TCP || c->kind == CONN_UNIX; }

/* Makes a conn of a non-blocking socket; fd becomes ours. Returns 0, CYG_ENOMEM or -errno (fd is closed then). */
int conn_new(int fd, enum conn_kind kind, struct conn **out);
struct conn *conn_new_bare(enum conn_kind kind); /* without a descriptor, or NULL */
void conn_discard(struct conn *c);               /* takes that back: nobody has seen it */
void conn_set_peer(struct conn *c, const cyg_addr *a);
void conn_note_user(struct conn *c);
bool conn_is_socket(cyg_conn *s); /* a byte stream's, not that of messages, a pipe or a stream of somebody else */

/* Whether anything has come in on a socket that nobody reads: known after a short read, else by one look (MSG_PEEK).
 * Returns: 0 nothing; 1 bytes; CYG_EOF the peer's end; CYG_ECLOSED, -errno. */
int conn_quiet(cyg_conn *s);
/* As conn_quiet, and if it says 0 as cyg_conn_on_readable. */
int conn_watch(cyg_conn *s, cyg_conn_ready_fn *fn, void *arg, cyg_time deadline);
/* Visits those in use, without a lock: at worst out of date. fn returns false for: enough. */
bool conn_each(bool (*fn)(struct conn *c, void *arg), void *arg);
struct conn *conn_alloc(void); /* not cleared, and not in use before its magic is set; NULL: no memory */
void conn_free(struct conn *c);
struct conn *conn_own(cyg_stream *s);               /* aborts if it has been freed */
struct conn *conn_ours(cyg_stream *s);              /* NULL for a stream of somebody else */
void conn_unuse(struct conn *c);                    /* fdlock_unuse, and the end if that was the last user */
void conn_leave(struct conn *c, enum fd_side side); /* the same with fdlock_release */

/* Calls fn while holding one side, and parks while it says -EAGAIN. Returns what fn does, or why it did not get that far. For
 * reading, fn must have found nothing at all when it says -EAGAIN; naps: no event tells, so look again every millisecond. */
typedef ssize_t conn_try(struct conn *c, void *arg);
ssize_t conn_retry(struct conn *c, enum fd_side side, conn_try *fn, void *arg, bool naps);

/* The operations of all kinds. */
int conn_close(cyg_stream *s);
int conn_close_write(cyg_stream *s);
int conn_set_deadline(cyg_stream *s, int what, cyg_time t);
int conn_descriptor(cyg_stream *s);

/* ---- packets (packet.c) ------------------------------------------------------------------------------------------------ */

/* What a datagram socket has beyond a conn. */
struct packet_state {
    int domain;                     /* AF_INET, AF_INET6, AF_UNIX */
    _Atomic bool gso, gro, pktinfo; /* on, or to be had */
    char *path;                     /* to be removed at the end, or NULL */
    _Atomic uint64_t received, receive_calls, truncated, joined, sent, send_calls, by_gso, by_cut;
};
int packet_state_new(int fd, enum conn_kind kind, struct packet_state **out); /* 0, CYG_ENOMEM or -errno */
void packet_state_free(struct packet_state *st);
socklen_t packet_sockaddr(const struct conn *c, const cyg_addr *a, union sockaddr_any *out); /* 0: of another family */
struct conn *packet_conn(cyg_conn *s);                                    /* NULL: not one of packets */
ssize_t packet_received(struct packet_state *st, ssize_t r, size_t room); /* counts one; r or -EMSGSIZE */
ssize_t packet_joined(void);                                              /* refuses, with the reason */
static inline void packet_count(_Atomic uint64_t *n, uint64_t by) {
    atomic_fetch_add_explicit(n, by, memory_order_relaxed);
}

/* ---- pipes (conn_pipe.c) -------------------------------------------------------------------------------------------------- */

bool conn_pipe_empty(struct conn *c); /* nothing to be read, and no end */
void conn_pipe_finish(struct conn *c);
int conn_pipe_close_write(struct conn *c);
void conn_pipe_reset(struct conn *c);

/* ---- addresses -------------------------------------------------------------------------------------------------------- */

socklen_t addr_to_sockaddr(const cyg_addr *a, union sockaddr_any *out);
void addr_from_sockaddr(const union sockaddr_any *sa, socklen_t n, cyg_addr *out);
const char *addr_network(const cyg_addr *a); /* "tcp" or "unix" */
int addr_socket(const cyg_addr *a);          /* a non-blocking stream socket with our options set, or -errno */
int addr_socket_of(const cyg_addr *a, enum conn_kind kind);
void addr_remove_stale(const cyg_addr *a, enum conn_kind kind); /* a Unix path left over from a dead process */

struct network {
    const char *name;
    enum conn_kind kind;
    bool v4, v6;
};
const struct network *network_find(const char *name); /* NULL: unknown; no failure is noted */
static inline bool network_is_packet(const struct network *nw) {
    return nw->kind == CONN_UDP || nw->kind == CONN_UNIXGRAM;
}
int dial_messages(const struct network *nw, const cyg_addr *to, const cyg_dial_opts *opts, cyg_conn **out);

/* ---- options (conn_opts.c) ------------------------------------------------------------------------------------------- */

int conn_opts_check(const cyg_conn_opts *o, bool tcp);              /* 0, CYG_EINVAL or CYG_ENOTSUP with the detail */
int conn_opts_apply(int fd, const cyg_conn_opts *o);                /* 0 or -errno with the detail; o is checked */
int conn_set_buffers(int fd, size_t recv_bytes, size_t send_bytes); /* 0: leave; CYG_EINVAL, -errno */

#endif
