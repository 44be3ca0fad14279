/* config_problem.h: how problems are collected, and the words they are told in. Used by the parser alone; readers of problems
 * need config.h only.
 */
#ifndef CYG_GATEWAY_CONFIG_PROBLEM_H
#define CYG_GATEWAY_CONFIG_PROBLEM_H

#include "gateway/config.h"

/* Adds "file:line:column: …" (line 0: "file: …"); beyond CYG_GW_MAX_PROBLEMS it is counted only. */
void cyg_gw_problem_add(struct cyg_gw_problems *p, const char *file, size_t line, size_t column, const char *fmt, ...)
    CYG_PRINTF(5, 6);

/* Whether one more would be kept: what is dear to find out is not worth it otherwise. */
bool cyg_gw_problems_room(const struct cyg_gw_problems *p);

/* Brings them into the order of lines and columns; those of one place stay in the order in which they came. */
void cyg_gw_problems_sort(struct cyg_gw_problems *p);

#define CYG_GW_QUOTED 96 /* room for a quoted text, NUL included */

/* Writes s in double quotes, cut after 60 bytes or so, with nothing in it that could upset a terminal or a log.
 * Returns: out. */
const char *cyg_gw_quote(char out[CYG_GW_QUOTED], cyg_str s);

/* How far a word is from one that may have been meant: the letters that must be added, taken away, changed or swapped with
 * their neighbour; 1 for a shortened word, as "max_conns" for "max_connections". Words of more than 64 bytes are far from
 * everything. */
size_t cyg_gw_word_distance(cyg_str found, cyg_str meant);

/* Whether a word at that distance is likely to be what was meant. */
bool cyg_gw_is_near(cyg_str found, size_t distance);

#endif
