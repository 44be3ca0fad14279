/* hosts.h: a hosts file as a sorted table. No I/O: who reads the file hands its text in. Source: hosts(5). */
#ifndef CYG_NET_HOSTS_H
#define CYG_NET_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOSTS_NAME_MAX 253

struct hosts_line {
    const char *name; /* lower case, in the table's text */
    size_t order;     /* as in the file */
    bool v6;
    uint8_t ip[16];
};

struct hosts {
    size_t n;
    struct hosts_line *lines; /* by name, then by order */
    char *text;
};

/* Lines that are not understood are skipped, as the C library does; so are names longer than HOSTS_NAME_MAX, and IPv6 addresses with a zone.
 * Returns: 0 or CYG_ENOMEM. hosts_free takes {0}, too. */
int hosts_parse(const char *text, size_t n, struct hosts *out);
void hosts_free(struct hosts *h);

/* The first line of name (lower case, no dot at its end); *n: how many follow with the same name. NULL: none. */
const struct hosts_line *hosts_find(const struct hosts *h, const char *name, size_t *n);

#endif
