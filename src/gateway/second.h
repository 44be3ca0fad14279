/* second.h: instants of the monotonic clock as calendar text, "2026-11-23T09:30:00.125Z". What it says down to the second is made
 * once a second and copied by all; a step of the wall clock shows within a second.
 */
#ifndef CYG_GATEWAY_SECOND_H
#define CYG_GATEWAY_SECOND_H

#include <cygnet/time.h>

#define CYG_GW_SECOND_TEXT 24 /* bytes of the text; no NUL */

/* {0}: not known yet. Any number of threads may use one. */
struct cyg_gw_second {
    uint32_t seq;     /* atomic: odd while the rest is written */
    cyg_time end;     /* the first instant behind this second; atomic, relaxed: guarded by seq */
    uint64_t text[3]; /* the same; what stands behind the seconds is of no meaning */
};

/* Writes the text of t, which may be any instant up to now; one in the second that it is costs no reading of a clock.
 * Blocks: never. From: anywhere. Returns: behind the text. */
char *cyg_gw_second_put(struct cyg_gw_second *s, cyg_time t, char *w);

/* Tells what the wall clock said at `at`: cyg_gw_second_put does so by itself. No effect while another thread does the same. */
void cyg_gw_second_set(struct cyg_gw_second *s, cyg_time at, int64_t unix_ns);

#endif
