/* sockdiag_proc.c: see sockdiag.h; here the half that reads /proc/net/tcp and tcp6: 150 bytes of text a socket. */
#include "net/sockdiag.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* 32-bit words in the machine's own byte order, eight digits each. */
static bool parse_ip(const char *hex, size_t words, uint8_t *out) {
    if (strspn(hex, "0123456789abcdefABCDEF") != words * 8) return false;
    for (size_t i = 0; i < words; i++) {
        uint32_t w;
        if (sscanf(hex + i * 8, "%8x", &w) != 1) return false;
        memcpy(out + i * 4, &w, 4);
    }
    return true;
}

/* "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000  0 12345 1 …" */
bool sockdiag_parse_line(const char *line, bool ipv6, struct sockdiag_sock *out) {
    char local[33], peer[33];
    unsigned local_port, peer_port, state;
    unsigned long long inode;
    if (sscanf(line, " %*u: %32[^:]:%4x %32[^:]:%4x %2x %*s %*s %*s %*u %*u %llu", local, &local_port, peer, &peer_port,
               &state, &inode) != 6)
        return false;
    struct sockdiag_sock s = {.family = ipv6 ? CYG_AF_IPV6 : CYG_AF_IPV4,
                              .state = (uint8_t)(state == 12 ? CYG_TCP_SYN_RECV : state),
                              .local_port = (uint16_t)local_port,
                              .peer_port = (uint16_t)peer_port,
                              .inode = inode};
    size_t words = ipv6 ? 4 : 1;
    if (!parse_ip(local, words, s.local_ip) || !parse_ip(peer, words, s.peer_ip)) return false;
    sockdiag_unmap(&s);
    *out = s;
    return true;
}

/* 0: read to the end; 1: fn has enough; or -errno. */
static int each_in_file(const char *path, bool ipv6, const struct sockdiag_query *q, sockdiag_fn *fn, void *arg) {
    char line[512];
    struct sockdiag_sock s;
    FILE *f = fopen(path, "re");
    if (!f) return -errno;
    int enough = 0;
    while (!enough && fgets(line, sizeof line, f))
        if (sockdiag_parse_line(line, ipv6, &s) && sockdiag_matches(q, &s)) enough = !fn(&s, arg);
    int err = ferror(f) ? -EIO : enough;
    fclose(f);
    return err;
}

int sockdiag_each_in_proc(const struct sockdiag_query *q, sockdiag_fn *fn, void *arg) {
    /* Of this thread: it may have a network namespace of its own, as a netlink socket would. */
    int err = each_in_file("/proc/thread-self/net/tcp", false, q, fn, arg);
    if (err == 0)
        err = each_in_file("/proc/thread-self/net/tcp6", true, q, fn, arg);
    else if (err < 0)
        return err;
    return err >= 0 || err == -ENOENT ? CYG_NETSTAT_PROC : err; /* no tcp6: a kernel without IPv6 */
}
