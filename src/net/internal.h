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

int fdlock_acquire(struct fdlock *l, enum fd_side side);  /* 0 or CYG_ECLOSED; parks while another holds this side */
bool fdlock_release(struct fdlock *l, enum fd_side side); /* true: closed, and this was the last user */
int fdlock_use(struct fdlock *l);                         /* a user without a side; 0 or CYG_ECLOSED */
bool fdlock_unuse(struct fdlock *l);                      /* as fdlock_release */
int fdlock_close(struct fdlock *l); /* marks closed, wakes those that wait for a side; caller is a user then */

/* ---- connection ------------------------------------------------------------------------------------------------------ */

#define CONN_MAGIC 0x436f6e6eu
struct conn {
    cyg_stream stream; /* first: a conn is a stream */
    uint32_t magic;
    _Atomic uint32_t refs;
    int fd;
    uint16_t peer_family, peer_port; /* of an IP peer, kept from accept or dial */
    uint8_t peer_ip[16];
    uint32_t peer_scope;
    bool drained;        /* the last read left the socket empty ... */
    uint32_t drained_at; /* ... when read_events had this value; both guarded by the read side */
    struct fdlock lock;
    struct cygrt_pd pd;
    struct conn *next_free;
};

extern const cyg_stream_ops cyg_tcp_ops, cyg_unix_ops;

/* Makes a conn of a non-blocking stream socket; fd becomes ours. Returns 0, CYG_ENOMEM or -errno (fd is closed then). */
int conn_new(int fd, bool is_unix, struct conn **out);
void conn_set_peer(struct conn *c, const cyg_addr *a);
bool conn_is_socket(cyg_conn *s); /* not a stream of somebody else */

/* Whether anything has come in on a connection that nobody reads: known after a short read, else by one look (MSG_PEEK).
 * Returns: 0 nothing; 1 bytes; CYG_EOF the peer's end; CYG_ECLOSED, -errno. */
int conn_quiet(cyg_conn *s);
/* As conn_quiet, and if it says 0 as cyg_conn_on_readable. */
int conn_watch(cyg_conn *s, cyg_conn_ready_fn *fn, void *arg, cyg_time deadline);

/* ---- addresses -------------------------------------------------------------------------------------------------------- */

union sockaddr_any {
    struct sockaddr sa;
    struct sockaddr_un un;
    struct sockaddr_storage ss;
};
socklen_t addr_to_sockaddr(const cyg_addr *a, union sockaddr_any *out);
void addr_from_sockaddr(const union sockaddr_any *sa, socklen_t n, cyg_addr *out);
const char *addr_network(const cyg_addr *a); /* "tcp" or "unix" */
int addr_socket(const cyg_addr *a);          /* a non-blocking stream socket with our options set, or -errno */

#endif
