/* netstat.h: what the files behind <cygnet/netstat.h> share: one look at the sockets, and what is kept from look to look.
 *
 * Lock order: the look's lock (netstat.c), then that of the published ports (netstat_ports.c). Neither is held across a park. */
#ifndef CYG_NET_NETSTAT_H
#define CYG_NET_NETSTAT_H

#include <cygnet/netstat.h>

#include "net/sockdiag.h"

#define STUCK_MAX 1024 /* sockets in CLOSE_WAIT or FIN_WAIT2 that are remembered from look to look */

/* One of our sockets that one side has ended. */
struct stuck {
    struct sockdiag_sock sock;
    int fd;
    cyg_time first_seen;
    cyg_duration age; /* at least; negative: it has changed meanwhile */
};

/* Looks now. stuck: room for STUCK_MAX, or NULL; filled oldest first, *n of them. */
int netstat_look_now(uint64_t max_sockets, cyg_netstat *out, struct stuck *stuck, unsigned *n);

/* ---- netstat_ports.c: ephemeral ports by destination ------------------------------------------------------------------ */

struct ports_look;
struct ports_look *ports_look_new(void);                                       /* NULL: no memory */
void ports_look_listener(struct ports_look *l, const struct sockdiag_sock *s); /* all of these first */
void ports_look_see(struct ports_look *l, const struct sockdiag_sock *s, bool ours);
void ports_look_publish(struct ports_look *l, cyg_time now); /* for cyg_ports_busiest, with the trend since the looks before */
void ports_look_free(struct ports_look *l);

#endif
