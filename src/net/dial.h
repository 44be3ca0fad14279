/* dial.h: the two halves of dialling: one address (dial.c), and the addresses of a name (dial_race.c). */
#ifndef CYG_NET_DIAL_H
#define CYG_NET_DIAL_H

#include "net/internal.h"

/* The earlier of both; 0 is never. */
static inline cyg_time dial_earlier(cyg_time a, cyg_time b) { return !a || (b && b < a) ? b : a; }

/* When a dial that begins now has to end; 0: never. */
cyg_time dial_deadline(const cyg_dial_opts *o);

/* The family that network and source address leave; CYG_AF_NONE: both. */
cyg_family dial_family(const struct network *nw, const cyg_dial_opts *o);

/* To the addresses of host, families in turn, until one is connected. address is for messages. */
int dial_name(const struct network *nw, const char *address, const char *host, uint16_t port, const cyg_dial_opts *o,
              cyg_conn **out);

#endif
