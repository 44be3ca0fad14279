/* proxy_internal.h: what the two versions of the PROXY protocol's header share. */
#ifndef CYG_PROTO_PROXY_INTERNAL_H
#define CYG_PROTO_PROXY_INTERNAL_H

#include "proto/proxy_header.h"

#define CYG_PROXY_V1_BEGIN "PROXY "
#define CYG_PROXY_V2_BEGIN "\r\n\r\n\0\r\nQUIT\n" /* and the byte of version and command */

static inline enum cyg_proxy_verdict cyg_proxy_bad(struct cyg_proxy_header *h, const char *error) {
    h->error = error;
    return CYG_PROXY_BAD;
}

/* The input begins with the version's mark; *h is zero. As cyg_proxy_parse. */
enum cyg_proxy_verdict cyg_proxy_parse_v1(const char *p, size_t n, struct cyg_proxy_header *h);
enum cyg_proxy_verdict cyg_proxy_parse_v2(const char *p, size_t n, struct cyg_proxy_header *h);

#endif
