/* net.h: addresses, listeners and connections over TCP, Unix sockets, UDP and memory. A connection is a cyg_stream (io.h):
 * cyg_read, cyg_write, cyg_close and the deadlines work on it. TCP connections have TCP_NODELAY and keep-alive probes on. On a
 * connection of messages (udp, unixgram, unixpacket) a read takes one message and a write sends one: an empty one reads as 0,
 * and one that was larger than the buffer as -EMSGSIZE, with its first bytes in the buffer and the rest gone. packet.h has more.
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
 * "tcp4", "tcp6", "udp", "udp4", "udp6", and a path or "@name" for "unix" (stream), "unixpacket" (messages in order: seqpacket) and
 * "unixgram" (datagrams). No name is looked up.
 * Blocks: never. From: anywhere. Returns: 0, or CYG_EPARSE with the place in the detail. */
CYG_API int cyg_addr_parse(const char *network, const char *text, cyg_addr *out);

/* Writes the text of an address, as cyg_addr_parse reads it, NUL-terminated, cut to n bytes. Blocks: never. From: anywhere.
 * Returns: its length without the NUL. */
CYG_API size_t cyg_addr_format(const cyg_addr *a, char *out, size_t n);

/* The same without the port, "127.0.0.1", "::1", for headers and logs. */
CYG_API size_t cyg_addr_format_ip(const cyg_addr *a, char *out, size_t n);

/* Whether two addresses are the same, port included. Blocks: never. */
CYG_API bool cyg_addr_eq(const cyg_addr *a, const cyg_addr *b);

/* ---- options of a connection --------------------------------------------------------------------------------------- */

typedef enum cyg_switch { CYG_UNSET = 0, CYG_ON = 1, CYG_OFF = 2 } cyg_switch;

/* 0, CYG_UNSET and NULL leave things as they are. All but the buffer sizes are TCP's. Source: tcp(7), socket(7). */
typedef struct cyg_conn_opts {
    cyg_switch no_delay;         /* ours: on. Off: Nagle's algorithm holds small writes back */
    cyg_switch keepalive;        /* ours: on */
    cyg_duration keepalive_idle; /* silence before the first probe: 1 s to 32,767 s, rounded up to seconds; Linux: 2 h */
    cyg_duration keepalive_interval; /* between probes: as above; Linux: 75 s */
    int keepalive_count;             /* probes without answer that end the connection: 1 to 127; Linux: 9 */
    cyg_duration user_timeout; /* how long sent bytes may stay unacknowledged: 1 ms to 24 days, rounded up to ms; it
                                        ends keep-alive probing as well. Linux: about 15 min of retransmissions */
    uint32_t notsent_lowat_bytes; /* not writable while more than this is unsent, up to 2^31 - 1; keeps late data out of the kernel's queue */
    size_t recv_buffer_bytes; /* 2,048 to 2^30 - 1; the kernel caps it at net.core.rmem_max, and no longer tunes it itself */
    size_t send_buffer_bytes; /* the same with net.core.wmem_max */
    const char *congestion;   /* "cubic", "bbr", …: net.ipv4.tcp_allowed_congestion_control; at most 15 bytes */
    uint64_t reserve[4];      /* zero */
} cyg_conn_opts;

/* Sets what opts names, or nothing at all if a value is out of bounds.
 * Blocks: never. From: any thread. Returns: 0, CYG_EINVAL with the option in the detail, CYG_ECLOSED, CYG_ENOTSUP (a pipe, or an option of
 * TCP elsewhere), -ENOENT (no such congestion control), -EPERM (not an allowed one), -errno, with the option in the detail. */
CYG_API int cyg_conn_set_opts(cyg_conn *c, const cyg_conn_opts *opts);

/* How a TCP connection fares, as the kernel counts. What an old kernel does not tell is 0. */
typedef struct cyg_tcp_info {
    uint8_t state;                           /* TCP_ESTABLISHED (1), TCP_CLOSE_WAIT (8), …: <netinet/tcp.h> */
    uint8_t retransmits;                     /* in a row, of the oldest segment that is not acknowledged */
    cyg_duration rtt, rtt_variance, min_rtt; /* smoothed round trip */
    cyg_duration rto;                        /* until a retransmission */
    cyg_duration last_sent, last_received;   /* since bytes went, came */
    uint32_t send_mss_bytes, receive_mss_bytes, path_mtu_bytes;
    uint32_t congestion_window_segments, slow_start_threshold_segments;
    uint32_t unacked_segments, lost_segments, retransmitted_segments; /* in flight now */
    uint32_t reordering_segments;
    uint32_t not_sent_bytes;      /* waiting in our queue */
    uint32_t peer_window_bytes;   /* what the peer is ready to take; Linux 5.4 */
    uint64_t delivery_rate_bytes; /* per second, the latest measured */
    uint64_t pacing_rate_bytes;   /* per second; UINT64_MAX: no limit */
    uint64_t sent_bytes_total, acked_bytes_total, received_bytes_total, retransmitted_bytes_total;
    uint32_t retransmitted_total, sent_segments_total, received_segments_total;
    cyg_duration busy, window_limited, buffer_limited; /* sending; of that, held up by the peer's window, by our send buffer */
    uint64_t reserve[4];
} cyg_tcp_info;

/* Blocks: never. From: any thread. Returns: 0, CYG_ENOTSUP (not TCP), CYG_ECLOSED, -errno. Source: TCP_INFO, tcp(7). */
CYG_API int cyg_conn_tcp_info(cyg_conn *c, cyg_tcp_info *out);

/* ---- listeners -------------------------------------------------------------------------------------------------- */

typedef struct cyg_listen_opts {
    int backlog;           /* connections the kernel may hold; 0: 4096; the kernel caps it at net.core.somaxconn */
    bool no_reuse_address; /* leave SO_REUSEADDR off */
    bool reuse_port;       /* set SO_REUSEPORT: several processes share the port */
    unsigned unix_mode;    /* permission bits of a Unix socket's file; 0: as the umask says */
    int fast_open; /* TCP: SYNs with data that may wait for their handshake; 0: off; the kernel caps it at net.core.somaxconn.
                                  Needs bit 2 of net.ipv4.tcp_fastopen, without which the kernel takes them as plain SYNs */
    cyg_duration defer_accept; /* TCP: accept a connection when its first bytes are there, or after this: 1 s to 1 h,
                                  rounded up by the kernel to its retransmission times; 0: at once */
    const cyg_conn_opts *conn; /* what accepted connections inherit; NULL: ours */
    uint64_t reserve[4];       /* zero */
} cyg_listen_opts;

/* Opens a listening socket: "tcp", "tcp4", "tcp6", "unix", "unixpacket". A Unix path left over from a dead process is replaced, one
 * in use is not.
 * Blocks: never. From: goroutine or any thread while the runtime runs. Owns: opts is read during the call (NULL: defaults);
 * *out is the caller's to close. Returns: 0, CYG_EPARSE, CYG_EINVAL (an option out of bounds, or of TCP elsewhere), or -errno
 * (-EADDRINUSE, -EACCES, …) with the address or the option in the detail. */
CYG_API int cyg_listen(const char *network, const char *address, const cyg_listen_opts *opts, cyg_listener **out);

/* Takes the next connection. When descriptors run out (EMFILE, ENFILE) it waits and tries again, 10 ms doubling to 1 s,
 * instead of spinning; the pauses are counted. Connections that died in the queue are skipped.
 * Blocks: parks. From: goroutine. Owns: *out is the caller's to close.
 * Returns: 0, CYG_ECLOSED, CYG_ECANCELED, CYG_ETIMEDOUT (the listener's deadline), -errno. */
CYG_API int cyg_accept(cyg_listener *l, cyg_conn **out);

/* When accepts, parked ones and later ones, end with CYG_ETIMEDOUT: as cyg_set_deadline. Blocks: never. From: any thread.
 * Returns: 0, CYG_ECLOSED. */
CYG_API int cyg_listener_set_deadline(cyg_listener *l, cyg_time deadline);

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
 * empty: this machine; the port is a number), "unix", and those of messages: "udp", "udp4", "udp6", "unixpacket", "unixgram". For "udp"
 * and "unixgram" a dial only fixes the peer: nothing is sent, and what others send is not received; of a name it is the first address to
 * which there is a way. TCP tries the addresses of a name in the order of cyg_lookup, families in turn, and the first connection wins;
 * the others are gone when this returns.
 * Blocks: parks. From: goroutine. Owns: opts is read during the call (NULL: defaults); *out is the caller's to close.
 * Returns: 0; CYG_EPARSE; CYG_ENONAME, CYG_ELOOKUP (cyg_lookup); CYG_ETIMEDOUT, CYG_ECANCELED; -ECONNREFUSED, …: of several addresses the
 * error of the first, with those of all in the detail; -EADDRNOTAVAIL when no ephemeral port is left for the destination: the
 * detail has the count of sockets to it and the range. Source: RFC 8305 (Happy Eyeballs). */
CYG_API int cyg_dial(const char *network, const char *address, const cyg_dial_opts *opts, cyg_conn **out);

/* The same to an address already parsed. */
CYG_API int cyg_dial_addr(const cyg_addr *to, const cyg_dial_opts *opts, cyg_conn **out);

/* Makes a connection of a connected socket from elsewhere (TCP, UDP, a Unix socket of any type); the descriptor becomes ours, also
 * when this fails. Blocks: never. From: goroutine or any thread. Returns: 0, CYG_ENOTSUP (another kind of socket), CYG_ENOMEM, -errno. */
CYG_API int cyg_conn_from_fd(int fd, cyg_conn **out);

#define CYG_CONN_PIPE_BYTES 4096

/* A connection within the process, without a socket: what one end writes the other reads. Each direction holds up to
 * CYG_CONN_PIPE_BYTES; a writer parks when they are full. Deadlines, close, close-write, peek, cancel and cyg_conn_on_readable are as on a
 * socket: closing an end ends the other's reads with CYG_EOF behind what was written, its writes with -EPIPE.
 * Blocks: never. From: goroutine or any thread while the runtime runs. Owns: both ends are the caller's to close.
 * Returns: 0, CYG_ENOMEM. */
CYG_API int cyg_conn_pipe(cyg_conn **a, cyg_conn **b);

/* A further reference, and its end; the last one closes. cyg_close drops the reference of whoever calls it and the memory goes with
 * the last one, so every goroutine that may use a connection while another closes it needs one of its own, taken before that
 * other can close: cyg_go_copy a pointer that was acquired, release it at the end. Who is the only closer and closes last needs none.
 * Blocks: never. From: anywhere but a signal handler. Returns: c. */
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

/* ---- descriptors over Unix sockets ----------------------------------------------------------------------------------- */

#define CYG_FDS_MAX 253 /* SCM_MAX_FD: what the kernel takes at once */

/* Sends n bytes (1 or more) and with the first of them copies of nfds descriptors, up to CYG_FDS_MAX. They stay the caller's.
 * Blocks: parks as cyg_write. From: goroutine. Returns: n, CYG_EINVAL, CYG_ENOTSUP (not a Unix socket), -ETOOMANYREFS (too many
 * descriptors under way), -EBADF, or as cyg_write. Source: SCM_RIGHTS, unix(7). */
CYG_API ssize_t cyg_conn_send_fds(cyg_conn *c, const void *p, size_t n, const int *fds, unsigned nfds);

/* Reads as cyg_read, and takes the descriptors that came with those bytes: up to max (0 to CYG_FDS_MAX) at fds, how many in *nfds. They
 * are close-on-exec and the caller's. If more came, or this process may have no more (RLIMIT_NOFILE), all that came are closed
 * and the bytes are gone: a message that is not whole is not handed out. cyg_read closes descriptors that it meets.
 * Blocks: parks. From: goroutine. Returns: the count of bytes; CYG_ELIMIT: more descriptors than max or than the process may have, which
 * one in the detail; CYG_EINVAL, CYG_ENOTSUP, or as cyg_read. On an error *nfds is not written. */
CYG_API ssize_t cyg_conn_recv_fds(cyg_conn *c, void *p, size_t n, int *fds, unsigned max, unsigned *nfds);

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

#include <cygnet/packet.h>
#include <cygnet/resolver.h>

#endif
