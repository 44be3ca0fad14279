/* keyset.c: see keyset.h. */
#include "gateway/keyset.h"

#include <stdlib.h>

static unsigned char fold(unsigned char c) { return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c; }

/* How many leading bytes, in the set's order, key and text have in common; at most the shorter one's length. */
static size_t common(enum cyg_gw_keyset_order order, cyg_str key, cyg_str text) {
    size_t n = key.n < text.n ? key.n : text.n, i = 0;
    if (order == CYG_GW_FORWARD) {
        while (i < n && key.p[i] == text.p[i]) i++;
    } else {
        while (i < n && fold((unsigned char)key.p[key.n - 1 - i]) == fold((unsigned char)text.p[text.n - 1 - i])) i++;
    }
    return i;
}

/* < 0, 0, > 0 as key sorts before, at or behind text. */
static int compare(enum cyg_gw_keyset_order order, cyg_str key, cyg_str text) {
    size_t i = common(order, key, text);
    if (i == key.n || i == text.n) return key.n < text.n ? -1 : key.n > text.n;
    if (order == CYG_GW_FORWARD) return (unsigned char)key.p[i] < (unsigned char)text.p[i] ? -1 : 1;
    return fold((unsigned char)key.p[key.n - 1 - i]) < fold((unsigned char)text.p[text.n - 1 - i]) ? -1 : 1;
}

static int compare_forward(const void *a, const void *b) {
    return compare(CYG_GW_FORWARD, ((const struct cyg_gw_key *)a)->s, ((const struct cyg_gw_key *)b)->s);
}
static int compare_backward(const void *a, const void *b) {
    return compare(CYG_GW_BACKWARD_FOLD, ((const struct cyg_gw_key *)a)->s, ((const struct cyg_gw_key *)b)->s);
}

static bool begins(const struct cyg_gw_keyset *set, int32_t i, cyg_str text) {
    cyg_str key = set->keys[i].s;
    return key.n <= text.n && common(set->order, key, text) == key.n;
}

void cyg_gw_keyset_seal(struct cyg_gw_keyset *set) {
    if (set->n == 0) return;
    qsort(set->keys, set->n, sizeof *set->keys, set->order == CYG_GW_FORWARD ? compare_forward : compare_backward);
    for (size_t i = 0; i < set->n; i++) {
        int32_t p = (int32_t)i - 1;
        while (p >= 0 && !begins(set, p, set->keys[i].s)) p = set->keys[p].parent;
        set->keys[i].parent = p;
    }
}

/* The greatest key that is not above text; -1 if all are. */
static int32_t not_above(const struct cyg_gw_keyset *set, cyg_str text) {
    size_t lo = 0, hi = set->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare(set->order, set->keys[mid].s, text) <= 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return (int32_t)lo - 1;
}

const struct cyg_gw_key *cyg_gw_keyset_equal(const struct cyg_gw_keyset *set, cyg_str text) {
    int32_t i = not_above(set, text);
    return i >= 0 && set->keys[i].s.n == text.n && begins(set, i, text) ? &set->keys[i] : NULL;
}

const struct cyg_gw_key *cyg_gw_keyset_longest(const struct cyg_gw_keyset *set, cyg_str text) {
    int32_t i = not_above(set, text);
    while (i >= 0 && !begins(set, i, text)) i = set->keys[i].parent;
    return i >= 0 ? &set->keys[i] : NULL;
}

const struct cyg_gw_key *cyg_gw_keyset_shorter(const struct cyg_gw_keyset *set, const struct cyg_gw_key *key) {
    return key->parent >= 0 ? &set->keys[key->parent] : NULL;
}
