/* keyset.h: sorted strings in which the longest one that begins (or ends) a given text is found by one binary search. Under
 * the router, for paths and for hosts.
 *
 * Each key knows its parent, the longest other key that is a prefix of it. The keys that are prefixes of a text are all among
 * the ancestors of the greatest key not above the text, the longest first.
 */
#ifndef CYG_GATEWAY_KEYSET_H
#define CYG_GATEWAY_KEYSET_H

#include <cygnet/base.h>

enum cyg_gw_keyset_order {
    CYG_GW_FORWARD,      /* byte by byte from the start: paths */
    CYG_GW_BACKWARD_FOLD /* from the end, the text's case ignored (keys are lower case): hosts, where a prefix is a suffix */
};

struct cyg_gw_key {
    cyg_str s;      /* the caller's */
    void *value;    /* the caller's */
    int32_t parent; /* index, -1: none; set by cyg_gw_keyset_seal */
};

struct cyg_gw_keyset {
    enum cyg_gw_keyset_order order;
    struct cyg_gw_key *keys; /* room for cap; the caller's to free */
    size_t n;
};

/* Sorts the keys, all different, and links the parents. */
void cyg_gw_keyset_seal(struct cyg_gw_keyset *set);

/* The key that equals text, or NULL. */
const struct cyg_gw_key *cyg_gw_keyset_equal(const struct cyg_gw_keyset *set, cyg_str text);

/* The longest key that text begins with (in the set's order), or NULL; and the next shorter one after that. */
const struct cyg_gw_key *cyg_gw_keyset_longest(const struct cyg_gw_keyset *set, cyg_str text);
const struct cyg_gw_key *cyg_gw_keyset_shorter(const struct cyg_gw_keyset *set, const struct cyg_gw_key *key);

#endif
