/* config_build.h: from a document's tree to a snapshot: what the table's rows say of each key by itself (config_build.c), then
 * what only shows when keys are seen together (config_check.c).
 */
#ifndef CYG_GATEWAY_CONFIG_BUILD_H
#define CYG_GATEWAY_CONFIG_BUILD_H

#include "gateway/config_problem.h"
#include "gateway/config_yaml.h"

struct cyg_gw_build {
    const char *name; /* the document's, for problems */
    struct cyg_gw_problems *problems;
    struct cyg_gw_arena *arena; /* the snapshot's; the tree has its own */
    bool out_of_memory;
    enum cyg_gw_protocol protocol; /* of the listener being looked at: which rows there are */
    char path[256];                /* of the value being looked at: "listeners[0].routes[1].timeout" */
    size_t path_n;
};

/* Fills *config from the tree. Every value that is there and right is set, every other its default or zero. */
void cyg_gw_build(struct cyg_gw_build *b, const struct cyg_gw_node *root, struct cyg_gw_config *config);

/* Checks the whole, finds the routes' clusters, and puts routes in the order in which they are tried. */
void cyg_gw_check(struct cyg_gw_build *b, const struct cyg_gw_node *root, struct cyg_gw_config *config);

/* Adds "file:line:column: path: …" for a node. */
void cyg_gw_tell(struct cyg_gw_build *b, const struct cyg_gw_node *at, const char *fmt, ...) CYG_PRINTF(3, 4);

/* Sets the path from its beginning, or adds to it. Cut if there is no room. */
void cyg_gw_path_set(struct cyg_gw_build *b, const char *fmt, ...) CYG_PRINTF(2, 3);
void cyg_gw_path_add(struct cyg_gw_build *b, const char *fmt, ...) CYG_PRINTF(2, 3);

#endif
