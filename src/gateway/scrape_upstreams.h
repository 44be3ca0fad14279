/* scrape_upstreams.h: what the pools of a configuration's endpoints count, as Prometheus text. */
#ifndef CYG_GATEWAY_SCRAPE_UPSTREAMS_H
#define CYG_GATEWAY_SCRAPE_UPSTREAMS_H

#include "gateway/snapshot.h"
#include "gateway/text.h"

/* Blocks: never. From: goroutine that holds s. */
void cyg_gw_scrape_upstreams(const struct cyg_gw_snapshot *s, struct cyg_gw_text *t);

#endif
