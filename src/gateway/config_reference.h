/* config_reference.h: docs/reference/config.md, written from the table of config_schema.c. */
#ifndef CYG_GATEWAY_CONFIG_REFERENCE_H
#define CYG_GATEWAY_CONFIG_REFERENCE_H

#include <stdio.h>

/* Writes the page, in Markdown. Blocks: the thread, as out does. */
void cyg_gw_config_reference(FILE *out);

#endif
