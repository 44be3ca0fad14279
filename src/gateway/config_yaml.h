/* config_yaml.h: a YAML document as a tree whose nodes know their place. Plain YAML only: anchors, aliases and tags are
 * refused, since what a reader sees in the file shall be what is meant.
 */
#ifndef CYG_GATEWAY_CONFIG_YAML_H
#define CYG_GATEWAY_CONFIG_YAML_H

#include "gateway/config.h"
#include "gateway/config_arena.h"

#define CYG_GW_MAX_DOCUMENT ((size_t)1 << 20) /* bytes */
#define CYG_GW_MAX_DEPTH 16                   /* lists and maps within each other */
#define CYG_GW_MAX_KEYS 64                    /* of one map */
#define CYG_GW_MAX_NODES 100000               /* of the whole document */

enum cyg_gw_node_kind { CYG_GW_SCALAR, CYG_GW_LIST, CYG_GW_MAP };

struct cyg_gw_node {
    enum cyg_gw_node_kind kind;
    bool broken;                      /* a problem has been told already: say nothing more about it */
    bool nothing;                     /* a scalar that YAML reads as null: empty or ~ or null, not quoted */
    size_t line, column;              /* from 1, columns in characters */
    cyg_str text;                     /* a scalar's; NUL-terminated */
    struct cyg_gw_node *first, *last; /* what is in a list or map */
    size_t n;                         /* how many */
    struct cyg_gw_node *next;         /* in the same list or map */
    cyg_str key;                      /* in a map: its key, and where that stands */
    size_t key_line, key_column;
};

/* Reads a document into *root, in the arena's memory. Returns: 0, though there may be problems; CYG_EPARSE, with a problem,
 * when there is no tree to look at; CYG_ENOMEM. */
int cyg_gw_yaml_read(struct cyg_gw_arena *arena, const char *name, cyg_str text, struct cyg_gw_problems *problems,
                     struct cyg_gw_node **root);

/* What stands under a key of a map, or NULL; also for NULL and for what is no map. */
struct cyg_gw_node *cyg_gw_node_get(const struct cyg_gw_node *map, const char *key);

#endif
