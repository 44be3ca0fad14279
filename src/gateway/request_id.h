/* request_id.h: the identity of a request across services: the client's X-Request-Id if it is sane, else a random UUID.
 *
 * A source holds one counter a P, mixed with keys drawn once from the kernel: no system call and no shared cache line per
 * request. The ids are unique and look random; they are names, not secrets.
 */
#ifndef CYG_GATEWAY_REQUEST_ID_H
#define CYG_GATEWAY_REQUEST_ID_H

#include <cygnet/base.h>

#define CYG_GW_REQUEST_ID_BYTES 36 /* "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx" */
#define CYG_GW_REQUEST_ID_MAX 128  /* of a client's */

struct cyg_gw_ids;

/* A source for so many Ps. Returns: NULL without memory. */
struct cyg_gw_ids *cyg_gw_ids_new(unsigned shards);
void cyg_gw_ids_free(struct cyg_gw_ids *ids);

/* Writes a version 4 UUID, no NUL. shard: cyg_proc_hint(). Blocks: never. From: any thread. Source: RFC 9562 section 5.4. */
void cyg_gw_ids_next(struct cyg_gw_ids *ids, unsigned shard, char out[CYG_GW_REQUEST_ID_BYTES]);

/* Whether a client's id may be taken over: 1 to 128 visible ASCII characters. */
bool cyg_gw_request_id_ok(cyg_str id);

#endif
