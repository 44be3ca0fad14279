/* netstat.h: the TCP sockets of this process by state, those that one side has ended and the other has not (with who holds
 * them), and how many ephemeral ports are left for each destination. docs/guide/sockets.md says how to read them.
 *
 *     cyg_netstat st;
 *     if (cyg_netstat_look(NULL, &st) == 0 && st.open[CYG_TCP_CLOSE_WAIT] > 100) (void)cyg_netstat_report(2);
 *
 * A look asks the kernel for every TCP socket of the network namespace and fstat for every descriptor of the process: about
 * 1.5 us a socket. It needs no privilege. Where NETLINK_SOCK_DIAG is refused, /proc/net/tcp is read instead, 5 us a socket. The
 * kernel's list changes while it is read: counts of what the process does not hold are near, not exact.
 */
#ifndef CYGNET_NETSTAT_H
#define CYGNET_NETSTAT_H

#include <cygnet/base.h>
#include <cygnet/err.h>
#include <cygnet/net.h>
#include <cygnet/time.h>

CYG_BEGIN_DECLS

/* States as the kernel numbers them. Source: RFC 9293 section 3.3.2, enum of linux/tcp_states.h. */
enum {
    CYG_TCP_ESTABLISHED = 1,
    CYG_TCP_SYN_SENT,
    CYG_TCP_SYN_RECV,
    CYG_TCP_FIN_WAIT1,
    CYG_TCP_FIN_WAIT2, /* we have ended, the peer has not */
    CYG_TCP_TIME_WAIT,
    CYG_TCP_CLOSE,
    CYG_TCP_CLOSE_WAIT, /* the peer has ended, we have not */
    CYG_TCP_LAST_ACK,
    CYG_TCP_LISTEN,
    CYG_TCP_CLOSING,
    CYG_TCP_STATES /* how large an array by state is; 0 is not used */
};

/* "close_wait", "time_wait", …; "unknown" for another number. Blocks: never. From: anywhere. Owns: the text is static. */
CYG_API const char *cyg_tcp_state_name(int state);

#define CYG_NETSTAT_NETLINK 1 /* NETLINK_SOCK_DIAG */
#define CYG_NETSTAT_PROC 2    /* /proc/net/tcp and tcp6 */

typedef struct cyg_netstat {
    uint64_t open[CYG_TCP_STATES]; /* TCP sockets that this process has open */
    uint64_t unheld[CYG_TCP_STATES]; /* TCP sockets of the network namespace that no process has open: in TIME_WAIT, being ended
                                         by the kernel, or (ESTABLISHED, CLOSE_WAIT) waiting in a listener's queue */
    uint64_t other_open;             /* sockets of this process that are not TCP: Unix, UDP, netlink */
    cyg_duration close_wait_longest; /* of this process's, how long the oldest has been so, at least; 0: there is none */
    cyg_duration fin_wait2_longest;
    double time_wait_per_second; /* how fast TIME_WAIT grows (below 0: shrinks) over the last looks; 0: not known yet */
    uint64_t seen;               /* sockets that were looked at */
    cyg_time taken_at;           /* when, and how long it took */
    cyg_duration took;
    int32_t source; /* CYG_NETSTAT_NETLINK or CYG_NETSTAT_PROC */
    bool partial;   /* it ended at max_sockets */
    uint64_t reserve[4];
} cyg_netstat;

typedef struct cyg_netstat_opts {
    cyg_duration max_age; /* the last look will do if it is no older; 0: look now. A look with a max_age waits besides until
                             100 times as long has passed as the last one took, so that looking uses 1 % of a CPU at most */
    uint64_t max_sockets; /* of the namespace, to look at; 0: 1,000,000. Reaching it is `partial` */
    uint64_t reserve[4];  /* zero */
} cyg_netstat_opts;

/* Looks, or takes the last look if that is recent enough. How long a socket has been in CLOSE_WAIT or FIN_WAIT2 is the longer
 * of two lower bounds: the time since the peer's last segment came (TCP_INFO; exact unless the peer has sent something since,
 * as an answer to a keep-alive probe), and the time since a look first saw it in that state (of 1,024 sockets).
 * Blocks: the thread, for milliseconds a thousand sockets. From: goroutine (through cyg_blocking) or any thread.
 * Owns: opts is read during the call (NULL: now). Returns: 0, CYG_ENOMEM, or -errno if neither netlink nor /proc can be read.
 * Source: sock_diag(7), tcp(7). */
CYG_API int cyg_netstat_look(const cyg_netstat_opts *opts, cyg_netstat *out);

/* Looks now and writes to fd, for a person: sockets by state; each one of ours in CLOSE_WAIT or FIN_WAIT2 with its age, its
 * addresses and the goroutine that waits on it or used it last (64 at most); ports left by destination.
 * Blocks: the thread, as cyg_netstat_look, and in write(2). From: as cyg_netstat_look. Returns: the same, or -errno of write. */
CYG_API int cyg_netstat_report(int fd);

/* ---- ephemeral ports ------------------------------------------------------------------------------------------------ */

/* The ports for connections from one of our addresses to one destination. Sockets of other processes count: they take from
 * the same ports. */
typedef struct cyg_ports {
    cyg_addr from, to;  /* from: its port is 0 */
    uint64_t range;     /* net.ipv4.ip_local_port_range, less ip_local_reserved_ports */
    uint64_t used;      /* of these, by connections from there to there, TIME_WAIT included */
    uint64_t time_wait; /* of the used ones */
    uint64_t left;      /* range - used; with the ones in TIME_WAIT if the kernel gives those out again after a second
                                  (net.ipv4.tcp_tw_reuse and TCP timestamps) */
    double used_per_second;    /* how fast left shrinks (below 0: grows) over the last looks; 0: not known */
    cyg_duration exhausted_in; /* left / used_per_second, if it goes on so; 0: no end in sight, or left is 0 already */
    uint64_t reserve[4];
} cyg_ports;

/* The ports in use to one destination, now: for an error message, or before a storm of dials. from is the source address
 * that has the most connections there. used_per_second and exhausted_in are 0.
 * Blocks: the thread, for about half a microsecond a socket of the network namespace: not for every failed dial of a storm. From: goroutine or any thread.
 * Returns: 0, CYG_EINVAL if to is not an IP address, or as cyg_netstat_look. */
CYG_API int cyg_ports_to(const cyg_addr *to, cyg_ports *out);

/* The destinations of this process with the most ports in use, from the last look (64 are kept), most first. Inbound connections are none:
 * their local port is a listener's. Blocks: never. From: any thread. Returns: how many were written, at most n. */
CYG_API size_t cyg_ports_busiest(cyg_ports *out, size_t n);

CYG_END_DECLS
#endif
