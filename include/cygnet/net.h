/* net.h: addresses, listeners and connections over TCP and Unix sockets. A connection is a cyg_stream (io.h): cyg_read,
 * cyg_write, cyg_close and the deadlines work on it. TCP connections have TCP_NODELAY and keep-alive probes on.
 *
 *     cyg_auto_listener cyg_listener *l = NULL;
 *     int err = cyg_listen("tcp", "127.0.0.1:7000", NULL, &l);
 *     for (cyg_conn *c; err == 0 && (err = cyg_accept(l, &c)) == 0; )
 *         cyg_go(echo, c);
 */
#ifndef CYGNET_NET_H
#define CYGNET_NET_H

#include <cygnet/base.h>
#include <cygnet/err.h>
#include <cygnet/io.h>
#include <cygnet/time.h>

CYG_BEGIN_DECLS

typedef struct cyg_stream cyg_conn;
typedef struct cyg_listener cyg_listener;
typedef struct cyg_resolver cyg_resolver; /* resolver.h, which this header includes */

/* ---- addresses -------------------------------------------------------------------------------------------------- */

typedef enum cyg_family { CYG_AF_NONE = 0, CYG_AF_IPV4 = 4, CYG_AF_IPV6 = 6, CYG_AF_UNIX = 1 } cyg_family;

/* A value: copy it as you like. */
typedef struct cyg_addr {
    uint16_t family; /* cyg_family */
    uint16_t port;   /* host byte order; 0 for Unix */
    uint32_t scope;  /* IPv6 interface index, or 0 */
    uint8_t ip[16];  /* 4 or 16 bytes, network order */
    char path[108];  /* Unix: NUL-terminated; a first byte '@' stands for the abstract name space */
} cyg_addr;

#define CYG_ADDR_STRLEN 128 /* room for any formatted address, NUL included */

/* Reads "127.0.0.1:80", "[::1]:80", ":80" (every address, IPv6 with IPv4), "localhost:80" (127.0.0.1) for networks "tcp",
 * "tcp4", "tcp6", and a path or "@name" for "unix". No name is looked up.
 * Blocks: never. From: anywhere. Returns: 0, or CYG_EPARSE with the place in the detail. */
CYG_API int cyg_addr_parse(const char *network, const char *text, cyg_addr *out);

/* Writes the text of an address, as cyg_addr_parse reads it, NUL-terminated, cut to n bytes. Blocks: never. From: anywhere.
 * Returns: its length without the NUL. */
CYG_API size_t cyg_addr_format(const cyg_addr *a, char *out, size_t n);

/* The same without the port, "127.0.0.1", "::1", for headers and logs. */
CYG_API size_t cyg_addr_format_ip(const cyg_addr *a, char *out, size_t n);

/* Whether two addresses are the same, port included. Blocks: never. */
CYG_API bool cyg_addr_eq(const cyg_addr *a, const cyg_addr *b);

/* ---- listeners -------------------------------------------------------------------------------------------------- */

typedef struct cyg_listen_opts {
    int backlog;           /* connections the kernel may hold; 0: 4096; the kernel caps it at net.core.somaxconn */
    bool no_reuse_address; /* leave SO_REUSEADDR off */
    bool reuse_port;       /* set SO_REUSEPORT: several processes share the port */
    unsigned unix_mode;    /* permission bits of a Unix socket's file; 0: as the umask says */
    uint64_t reserve[4];   /* zero */
} cyg_listen_opts;

/* Opens a listening socket. A Unix path left over from a dead process is replaced, one in use is not.
 * Blocks: never. From: goroutine or any thread while the runtime runs. Owns: opts is read during the call (NULL: defaults);
 * *out is the caller's to close. Returns: 0, CYG_EPARSE, or -errno (-EADDRINUSE, -EACCES, …) with the address in the detail. */
CYG_API int cyg_listen(const char *network, const char *address, const cyg_listen_opts *opts, cyg_listener **out);

/* Takes the next connection. When descriptors run out (EMFILE, ENFILE) it waits and tries again, 10 ms doubling to 1 s,
 * instead of spinning; the pauses are counted. Connections that died in the queue are skipped.
 * Blocks: parks. From: goroutine. Owns: *out is the caller's to close. Returns: 0, CYG_ECLOSED, CYG_ECANCELED, -errno. */
CYG_API int cyg_accept(cyg_listener *l, cyg_conn **out);

/* The address it listens on, with the port the kernel chose. Blocks: never. From: any thread. */
CYG_API void cyg_listener_addr(const cyg_listener *l, cyg_addr *out);

typedef struct cyg_listener_stats {
    uint64_t accepted_total;
    uint64_t accept_calls_total;  /* accept4 system calls */
    uint64_t accept_events_total; /* readiness events seen */
    uint64_t pauses_total;        /* waits because descriptors ran out */
    uint64_t reserve[4];
} cyg_listener_stats;
CYG_API void cyg_listener_get_stats(const cyg_listener *l, cyg_listener_stats *out);

/* Ends the listener: accepts come back with CYG_ECLOSED, the socket closes, a Unix path is removed. Drops the caller's
 * reference. Blocks: never. From: anywhere but a signal handler. Returns: 0, or CYG_ECLOSED if it was closed already. */
CYG_API int cyg_listener_close(cyg_listener *l);
CYG_API cyg_listener *cyg_listener_acquire(cyg_listener *l);
CYG_API void cyg_listener_release(cyg_listener *l);

/* ---- connections ------------------------------------------------------------------------------------------------ */

typedef struct cyg_dial_opts {
    cyg_duration timeout; /* for the whole dial, the lookup of a name included; 0: what the kernel gives (about 2 min) */
    cyg_time deadline;    /* the same as a point in time; the earlier of both counts; 0: none */
    const char *local; /* source address "ip:port" (port 0: any); NULL: any. Only addresses of its family are dialled */
    cyg_duration attempt_timeout; /* for the connection to one address; 0: none but the above */
    cyg_duration attempt_delay; /* a name with several addresses: head start of each before the next is tried beside it; it
                                     follows at once when one fails. 0: 250 ms; at least 10 ms; < 0: one after the other */
    cyg_resolver *resolver;     /* asks for names; NULL: the default one */
    uint64_t reserve[4];        /* zero */
} cyg_dial_opts;

/* Connects. Networks are "tcp", "tcp4", "tcp6" (addresses "host:port"; the host is an IP address, [in brackets] for IPv6, or a name;
 * empty: this machine; the port is a number) and "unix". The addresses of a name are tried in the order of cyg_lookup, families in turn, and the
 * first connection wins; the others are gone when this returns.
 * Blocks: parks. From: goroutine. Owns: opts is read during the call (NULL: defaults); *out is the caller's to close.
 * Returns: 0; CYG_EPARSE; CYG_ENONAME, CYG_ELOOKUP (cyg_lookup); CYG_ETIMEDOUT, CYG_ECANCELED; -ECONNREFUSED, …: of several addresses the
 * error of the first, with those of all in the detail; -EADDRNOTAVAIL when no ephemeral port is left for the destination: the
 * detail has the count of sockets to it and the range. Source: RFC 8305 (Happy Eyeballs). */
CYG_API int cyg_dial(const char *network, const char *address, const cyg_dial_opts *opts, cyg_conn **out);

/* The same to an address already parsed. */
CYG_API int cyg_dial_addr(const cyg_addr *to, const cyg_dial_opts *opts, cyg_conn **out);

/* Makes a connection of a connected stream socket from elsewhere; the descriptor becomes ours, also when this fails.
 * Blocks: never. From: goroutine or any thread. Returns: 0, CYG_ENOMEM, -errno. */
CYG_API int cyg_conn_from_fd(int fd, cyg_conn **out);

CYG_API cyg_conn *cyg_conn_acquire(cyg_conn *c);
CYG_API void cyg_conn_release(cyg_conn *c);

/* Local and peer address. Blocks: never. From: any thread. Returns: 0, CYG_ENOTSUP if c is not one of ours, -errno. */
CYG_API int cyg_conn_local_addr(cyg_conn *c, cyg_addr *out);
CYG_API int cyg_conn_peer_addr(cyg_conn *c, cyg_addr *out);

/* Parks until something can be read (bytes, end of stream or an error), using no buffer meanwhile.
 * Blocks: parks. From: goroutine. Returns: 0, CYG_ETIMEDOUT (the read deadline), CYG_ECANCELED, CYG_ECLOSED. */
CYG_API int cyg_conn_wait_readable(cyg_conn *c);

/* Leaves the connection with the poller: the call returns at once, and when something can be read, or the deadline (0: none)
 * passes, or c is closed, fn(arg, why) runs on a new goroutine: once. why is 0, CYG_ETIMEDOUT or CYG_ECLOSED. An idle
 * connection kept this way holds neither stack nor buffer. Nobody may read or set the read deadline meanwhile; the one set
 * before holds again afterwards. What is readable already starts fn soon.
 * Blocks: never. From: goroutine. Owns: the poller keeps a pointer to c, so the caller's reference must live until fn runs.
 * Returns: 0, CYG_ECLOSED (fn will not run), CYG_ENOTSUP. */
typedef void cyg_conn_ready_fn(void *arg, int why);
CYG_API int cyg_conn_on_readable(cyg_conn *c, cyg_conn_ready_fn *fn, void *arg, cyg_time deadline);

/* Takes back what cyg_conn_on_readable left. Blocks: never; no system call. From: goroutine.
 * Returns: true if fn has not been and will not be started: nothing, not even the peer's close, has come in on the
 * connection; false if it runs or soon will. */
CYG_API bool cyg_conn_cancel_readable(cyg_conn *c);

/* Makes close send a reset instead of an orderly end, so that the peer cannot take what it got for complete.
 * Blocks: never. From: any thread. Returns: 0, CYG_ENOTSUP, -errno. Source: SO_LINGER with zero time, socket(7). */
CYG_API int cyg_conn_reset_on_close(cyg_conn *c);

static inline void cyg_conn_cleanup_(cyg_conn **c) {
    if (*c) (void)cyg_close(*c);
}
static inline void cyg_listener_cleanup_(cyg_listener **l) {
    if (*l) (void)cyg_listener_close(*l);
}
/* Close when the variable leaves its scope. */
#define cyg_auto_conn __attribute__((cleanup(cyg_conn_cleanup_)))
#define cyg_auto_listener __attribute__((cleanup(cyg_listener_cleanup_)))

CYG_END_DECLS

#include <cygnet/resolver.h>

#endif
