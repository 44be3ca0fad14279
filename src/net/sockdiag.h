/* sockdiag.h: the kernel's list of TCP sockets of this network namespace. By NETLINK_SOCK_DIAG, which filters in the kernel;
 * where that is refused (a seccomp filter, a kernel without it, CYGNET_DEBUG=nosockdiag) from /proc/net/tcp and tcp6.
 * No privilege is needed. Source: sock_diag(7); proc(5). */
#ifndef CYG_NET_SOCKDIAG_H
#define CYG_NET_SOCKDIAG_H

#include <cygnet/net.h>
#include <cygnet/netstat.h>

struct sockdiag_sock {
    cyg_family family; /* an IPv4 address in an IPv6 socket is IPv4 here */
    uint8_t state;     /* CYG_TCP_… */
    uint16_t local_port, peer_port;
    uint8_t local_ip[16], peer_ip[16];
    uint64_t inode; /* 0: no process has it open */
};

struct sockdiag_query {
    uint32_t states;    /* 1 << CYG_TCP_… of each wanted */
    const cyg_addr *to; /* only those whose peer is this; NULL: all */
};

typedef bool sockdiag_fn(const struct sockdiag_sock *s, void *arg); /* false: enough */

/* Calls fn for every socket. Blocks: the thread. From: goroutine or any thread.
 * Returns: CYG_NETSTAT_NETLINK or CYG_NETSTAT_PROC, CYG_ENOMEM, -errno. */
int sockdiag_each(const struct sockdiag_query *q, sockdiag_fn *fn, void *arg);

/* sockdiag_proc.c: the same from the files alone, and one line of them. */
int sockdiag_each_in_proc(const struct sockdiag_query *q, sockdiag_fn *fn, void *arg);
bool sockdiag_parse_line(const char *line, bool ipv6, struct sockdiag_sock *out);

bool sockdiag_matches(const struct sockdiag_query *q, const struct sockdiag_sock *s);
void sockdiag_unmap(struct sockdiag_sock *s); /* ::ffff:1.2.3.4 on both sides becomes IPv4 */

#endif
