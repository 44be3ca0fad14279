/* port_list.h: sets of ports as the kernel writes them: "8080,9000-9010". */
#ifndef CYG_PROTO_PORT_LIST_H
#define CYG_PROTO_PORT_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct port_set {
    uint8_t bits[65536 / 8];
};

static inline bool port_set_has(const struct port_set *s, unsigned port) { return s->bits[port / 8] >> (port % 8) & 1; }

/* Adds the ports of n bytes of text; white space around and an empty text are allowed. Returns false, with nothing added
 * beyond what stands before the mistake, for anything else. */
bool port_set_add(struct port_set *s, const char *text, size_t n);

/* How many of low to high, both included, are not in the set; 0 if low is above high. */
unsigned port_set_free_between(const struct port_set *s, unsigned low, unsigned high);

#endif
