/* config_arena.h: memory that is handed out piece by piece and freed at once: for a configuration snapshot, and for the tree it
 * is made from. One thread at a time.
 */
#ifndef CYG_GATEWAY_CONFIG_ARENA_H
#define CYG_GATEWAY_CONFIG_ARENA_H

#include <cygnet/base.h>

struct cyg_gw_arena;

/* Returns: NULL when memory has run out. */
struct cyg_gw_arena *cyg_gw_arena_new(void);
void cyg_gw_arena_free(struct cyg_gw_arena *a); /* NULL is fine */

/* n zeroed bytes, aligned for anything, until the arena is freed. Returns: NULL when memory has run out. */
void *cyg_gw_arena_alloc(struct cyg_gw_arena *a, size_t n);

/* A copy of s with a NUL behind it. Returns: NULL when memory has run out. */
char *cyg_gw_arena_text(struct cyg_gw_arena *a, cyg_str s);

#endif
