/* packet.h: datagrams over UDP and Unix sockets, one at a time or in batches. A packet conn is a cyg_conn (net.h): cyg_close, the
 * deadlines, cyg_conn_acquire and cyg_conn_on_readable work on it; cyg_read and cyg_write take one datagram each. A UDP socket that
 * cyg_dial made takes the calls of this page as well, with no address given.
 *
 *     cyg_auto_conn cyg_conn *c = NULL;
 *     int err = cyg_listen_packet("udp", "127.0.0.1:5353", NULL, &c);
 *     char query[512];
 *     cyg_addr from;
 *     for (ssize_t n; err == 0 && (n = cyg_packet_recv(c, query, sizeof query, &from)) >= 0; )
 *         cyg_packet_send(c, query, (size_t)n, &from);
 */
#ifndef CYGNET_PACKET_H
#define CYGNET_PACKET_H

#include <cygnet/base.h>
#include <cygnet/err.h>
#include <cygnet/net.h>

CYG_BEGIN_DECLS

#define CYG_PACKET_MAX 65535       /* room for any UDP datagram, and for what GRO joins */
#define CYG_PACKET_BATCH 32        /* what one system call takes or gives */
#define CYG_PACKET_SEGMENTS_MAX 64 /* datagrams that one cyg_packet may stand for */

typedef struct cyg_packet_opts {
    bool reuse_address; /* UDP: several sockets may have the address (multicast); the last one bound gets unicast */
    bool reuse_port;    /* UDP: several sockets share the port, the kernel spreads senders over them */
    bool packet_info;   /* UDP: tell where each datagram was sent to, cyg_packet.local */
    bool gro;           /* UDP: the kernel may join datagrams of one sender; see cyg_packet.segment_bytes. Linux 5.0 */
    bool broadcast;     /* UDP over IPv4: allow sending to broadcast addresses */
    unsigned unix_mode; /* permission bits of a Unix socket's file; 0: as the umask says */
    size_t recv_buffer_bytes; /* as cyg_conn_opts; 0: the system's */
    size_t send_buffer_bytes;
    uint64_t reserve[4]; /* zero */
} cyg_packet_opts;

/* Opens a socket that receives from anybody: "udp", "udp4", "udp6" or "unixgram". A Unix path left over from a dead process is
 * replaced, one in use is not; it is removed by cyg_close.
 * Blocks: never. From: goroutine or any thread while the runtime runs. Owns: opts is read during the call (NULL: defaults);
 * *out is the caller's to close. Returns: 0, CYG_EPARSE, CYG_EINVAL (an option out of bounds), CYG_ENOMEM, or -errno, with the
 * address in the detail. Source: udp(7), unix(7). */
CYG_API int cyg_listen_packet(const char *network, const char *address, const cyg_packet_opts *opts, cyg_conn **out);

/* Sets packet_info, gro, broadcast and the buffer sizes of a packet conn, dialled or listening; the rest of opts is not looked at.
 * Not beside calls that receive. Blocks: never. From: any thread. Returns: 0, CYG_ENOTSUP (not a packet conn), CYG_EINVAL, CYG_ECLOSED,
 * -errno. */
CYG_API int cyg_packet_set_opts(cyg_conn *c, const cyg_packet_opts *opts);

/* Receives one datagram; from (may be NULL) gets its sender: for an unnamed Unix socket the path is empty. An empty datagram gives 0.
 * Several goroutines may receive: they queue, each gets datagrams of its own.
 * Blocks: parks. From: goroutine. Returns: its size; -EMSGSIZE: it was larger than n, the first n bytes are in p and from is set,
 * the rest is gone; CYG_ETIMEDOUT, CYG_ECANCELED, CYG_ECLOSED, CYG_ENOTSUP, -ECONNREFUSED (dialled: the peer's port is closed), -errno. */
CYG_API ssize_t cyg_packet_recv(cyg_conn *c, void *p, size_t n, cyg_addr *from);

/* Sends one datagram, whole or not at all; to is NULL for a dialled conn. What is sent need not arrive.
 * Blocks: parks while the socket's buffer, or the queue of the Unix peer, is full. From: goroutine. Returns: n, -EMSGSIZE (larger than
 * a datagram can be: UDP 65,507 bytes over IPv4), -EDESTADDRREQ (no address), CYG_EINVAL (an address of another family), and as above. */
CYG_API ssize_t cyg_packet_send(cyg_conn *c, const void *p, size_t n, const cyg_addr *to);

/* One datagram of a batch, or several of one size in a row. What was received can be sent back as it is, with size = n. */
typedef struct cyg_packet {
    void *data;           /* the caller's */
    size_t size;          /* receiving: room at data; sending: bytes at data */
    size_t n;             /* receiving: bytes that came, at most size */
    size_t segment_bytes; /* not 0: data is several datagrams of so many bytes each, the last one of what is left */
    bool truncated;       /* receiving: it was larger than size, the rest is gone */
    uint32_t ifindex; /* receiving, with packet_info: the interface it came in by; sending: by which (0: as routed) */
    cyg_addr peer;    /* receiving: the sender; sending: to whom, family CYG_AF_NONE on a dialled conn */
    cyg_addr local; /* with packet_info, the address it was sent to; sending: the source (CYG_AF_NONE: as routed); port unused */
    uint64_t reserve[2];
} cyg_packet;

/* Receives what is there, at least one and at most n (a system call gives up to CYG_PACKET_BATCH, and so does one call of this);
 * data and size of each are read, the rest is written. With gro, segment_bytes says how the datagrams are joined, and rooms
 * smaller than CYG_PACKET_MAX may cut them. Blocks: parks until there is one. From: goroutine; several queue.
 * Returns: how many, 0 only for n == 0; or an error as cyg_packet_recv, except that truncation is told per packet. */
CYG_API int cyg_packet_recv_batch(cyg_conn *c, cyg_packet *v, unsigned n);

/* Sends n packets in order. One with segment_bytes (at most CYG_PACKET_SEGMENTS_MAX datagrams, 65,507 bytes in all over IPv4) is cut by
 * the kernel where it can (UDP_SEGMENT, Linux 4.18), by us where it cannot; Unix: CYG_EINVAL.
 * Blocks: parks as cyg_packet_send. From: goroutine; several queue, their batches do not mix. Returns: how many packets went; fewer
 * than n if an error came behind them (sending the rest again tells which); the error if none went. After an error or a
 * deadline some datagrams of the packet with segment_bytes may have gone. */
CYG_API int cyg_packet_send_batch(cyg_conn *c, const cyg_packet *v, unsigned n);

/* How many datagrams p stands for, n bytes of it being used. */
static inline size_t cyg_packet_segments(const cyg_packet *p, size_t n) {
    return p->segment_bytes && n ? (n + p->segment_bytes - 1) / p->segment_bytes : 1;
}

typedef struct cyg_packet_stats {
    uint64_t received_total;      /* datagrams */
    uint64_t receive_calls_total; /* system calls that gave some */
    uint64_t truncated_total;
    uint64_t joined_total; /* datagrams that came joined by GRO */
    uint64_t sent_total;   /* datagrams */
    uint64_t send_calls_total;
    uint64_t gso_total;     /* datagrams the kernel cut from larger buffers */
    uint64_t gso_cut_total; /* datagrams we cut because the kernel could or would not */
    uint64_t dropped_total; /* datagrams the kernel dropped because the receive buffer was full */
    uint64_t reserve[4];
} cyg_packet_stats;

/* Blocks: never. From: any thread. Returns: 0, CYG_ENOTSUP, CYG_ECLOSED. */
CYG_API int cyg_packet_get_stats(cyg_conn *c, cyg_packet_stats *out);

CYG_END_DECLS
#endif
