/* gateway.h: the gateway as a whole: started from a configuration, it serves until it is told to end.
 *
 *     struct cyg_gw *gw;
 *     if (cyg_gw_start(config, "gateway.yaml", &gw) < 0) return 1;
 *     int status = cyg_gw_run(gw);
 *     cyg_gw_free(gw);
 *
 * What happens to it goes to standard error, one line an event.
 */
#ifndef CYG_GATEWAY_GATEWAY_H
#define CYG_GATEWAY_GATEWAY_H

#include "gateway/config.h"

struct cyg_gw;

/* Opens every listener and the log, or nothing, and begins to serve. file: what a reload reads; NULL: there is no reload.
 * Blocks: parks, and the thread in open(2). From: goroutine. Owns: takes config over. Returns: 0, or an error that has been
 * told on standard error. */
int cyg_gw_start(struct cyg_gw_config *config, const char *file, struct cyg_gw **out);

/* Serves until SIGTERM or SIGINT, then drains: requests in flight finish, within the configuration's drain timeout. SIGHUP
 * reads the file again and opens the access log anew. A second SIGTERM or SIGINT ends at once.
 * Blocks: parks. From: goroutine, once. Returns: the process's exit status: 0 after a drain, 1 if it was ended at once. */
int cyg_gw_run(struct cyg_gw *gw);

/* Ends what cyg_gw_run has not, and frees. Blocks: parks. From: goroutine. */
void cyg_gw_free(struct cyg_gw *gw);

/* The address that the i-th server (in the document's order) listens on, as text; NULL beyond the last. */
const char *cyg_gw_address(struct cyg_gw *gw, size_t i);
const char *cyg_gw_admin_address(struct cyg_gw *gw);

#endif
