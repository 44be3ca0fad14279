/* config_value.h: reading single values as people write them. Texts are NUL-terminated behind their n bytes and hold no NUL.
 * Out parameters are written only on success.
 */
#ifndef CYG_GATEWAY_CONFIG_VALUE_H
#define CYG_GATEWAY_CONFIG_VALUE_H

#include "gateway/config.h"

bool cyg_gw_read_duration(cyg_str s, int64_t *out); /* "1m30s" in nanoseconds */
bool cyg_gw_read_size(cyg_str s, int64_t *out);     /* "64KiB" in bytes */
bool cyg_gw_read_count(cyg_str s, int64_t *out);    /* "100" */

bool cyg_gw_name_ok(cyg_str s);    /* letters, digits, _.- */
bool cyg_gw_version_ok(cyg_str s); /* letters, digits, ._:+/@- */

/* An address with what cyg_listen wants: network and bind point into s or are static. "unix:" begins a Unix path. */
bool cyg_gw_read_address(cyg_str s, const char **network, const char **bind, cyg_addr *out);

/* Whether connecting to an address can be meant: it names one host, and a port. */
bool cyg_gw_endpoint_ok(const cyg_addr *a);

/* A block, its bits behind the prefix as written; cyg_gw_cidr_mask clears them and says whether one was set. */
bool cyg_gw_read_cidr(cyg_str s, struct cyg_gw_cidr *out);
bool cyg_gw_cidr_mask(struct cyg_gw_cidr *c);

/* Hosts and paths of a match. *out is what config.h says match.host and match.path are, and points into s; the host is not yet
 * in lower case. */
bool cyg_gw_read_host(cyg_str s, enum cyg_gw_host_kind *kind, cyg_str *out);
bool cyg_gw_read_path(cyg_str s, enum cyg_gw_path_kind *kind, cyg_str *out);

#define CYG_GW_NUMBER 48 /* room for a formatted duration or size, NUL included */
const char *cyg_gw_format_duration(char out[CYG_GW_NUMBER], int64_t ns); /* "1m30s", as it is read */
const char *cyg_gw_format_size(char out[CYG_GW_NUMBER], int64_t bytes);  /* "64KiB", or "1000" when no unit fits */

#endif
