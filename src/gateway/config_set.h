/* config_set.h: one value of a document into its field of the snapshot. */
#ifndef CYG_GATEWAY_CONFIG_SET_H
#define CYG_GATEWAY_CONFIG_SET_H

#include "gateway/config_build.h"
#include "gateway/config_schema.h"

/* Reads the scalar n as the row says, into field: what lies at row->at in the section's struct, or an element of its list.
 * Tells what is wrong, if something is. */
void cyg_gw_set(struct cyg_gw_build *b, const struct cyg_gw_row *row, const struct cyg_gw_node *n, char *field);

/* What a node is, in words: its text in quotes, "nothing", "a list", "a map". Returns: out. */
const char *cyg_gw_found(char out[CYG_GW_QUOTED], const struct cyg_gw_node *n);

#endif
