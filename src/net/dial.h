/* dial.h: the two halves of dialling: one address (dial.c), and the addresses of a name (dial_race.c). */
#ifndef CYG_NET_DIAL_H
#define CYG_NET_DIAL_H

#include <cygnet/net.h>

/* The earlier of both; 0 is never. */
static inline cyg_time dial_earlier(cyg_time a, cyg_time b) { return !a || (b && b < a) ? b : a; }

/* When a dial that begins now has to end; 0: never. */
cyg_time dial_deadline(const cyg_dial_opts *o);

/* To the addresses of host, families in turn, until one is connected. network and address are for messages. */
int dial_name(const char *network, const char *address, const char *host, uint16_t port, const cyg_dial_opts *o,
              cyg_conn **out);

#endif
