/* addrorder.h: in which order to try the addresses of a name. Source: RFC 6724, 6. */
#ifndef CYG_NET_ADDRORDER_H
#define CYG_NET_ADDRORDER_H

#include <cygnet/net.h>

struct addr_choice {
    cyg_addr to, from; /* from: the source that the kernel would take; family CYG_AF_NONE: there is no way to it */
    size_t order;      /* as they came */
};

/* Sorts by the rules; pure. */
void addr_order_choices(struct addr_choice *c, size_t n);

/* Asks the kernel for sources (by connecting UDP sockets, which sends nothing) and sorts. Addresses of IPv4 alone stay as the server
 * gave them. Blocks: never. */
void addr_order(cyg_addr *a, size_t n);

#endif
