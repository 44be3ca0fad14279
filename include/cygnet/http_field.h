/* http_field.h: header fields as slices, and small numbers for the names a server or proxy must know, so that code compares
 * integers instead of strings.
 *
 *     for (size_t i = 0; i < n; i++)
 *         if (f[i].id == CYG_HTTP_HOST) host = f[i].value;
 */
#ifndef CYGNET_HTTP_FIELD_H
#define CYGNET_HTTP_FIELD_H

#include <cygnet/base.h>

CYG_BEGIN_DECLS

typedef enum cyg_http_field_id {
    CYG_HTTP_OTHER = 0, /* any name not listed here */
    CYG_HTTP_HOST,
    CYG_HTTP_CONTENT_LENGTH,
    CYG_HTTP_TRANSFER_ENCODING,
    CYG_HTTP_CONNECTION,
    CYG_HTTP_KEEP_ALIVE,
    CYG_HTTP_PROXY_CONNECTION,
    CYG_HTTP_TE,
    CYG_HTTP_TRAILER,
    CYG_HTTP_UPGRADE,
    CYG_HTTP_EXPECT,
    CYG_HTTP_PROXY_AUTHENTICATE,
    CYG_HTTP_PROXY_AUTHORIZATION,
    CYG_HTTP_AUTHORIZATION,
    CYG_HTTP_COOKIE,
    CYG_HTTP_VIA,
    CYG_HTTP_DATE,
    CYG_HTTP_SERVER,
    CYG_HTTP_USER_AGENT,
    CYG_HTTP_CONTENT_TYPE,
    CYG_HTTP_FORWARDED,
    CYG_HTTP_X_FORWARDED_FOR,
    CYG_HTTP_X_FORWARDED_PROTO,
    CYG_HTTP_X_FORWARDED_HOST,
    CYG_HTTP_X_REQUEST_ID,
    CYG_HTTP_MAX_FORWARDS,
    CYG_HTTP_TRACEPARENT,
    CYG_HTTP_TRACESTATE,
    CYG_HTTP_FIELD_IDS /* how many there are */
} cyg_http_field_id;

/* One header field: the name as it came (case kept), the value without the whitespace around it. */
typedef struct cyg_http_field {
    cyg_str name;
    cyg_str value;
    uint32_t id; /* cyg_http_field_id of the name, found without regard to case; fill it in for fields you send, or leave 0 */
} cyg_http_field;

/* The id of a field name, any case. Blocks: never. From: anywhere. */
CYG_API uint32_t cyg_http_field_id_of(cyg_str name);

/* "Not Found" for 404; "" for a code nobody registered. Owns: static. Source: RFC 9110 section 15, IANA registry. */
CYG_API const char *cyg_http_status_text(int status);

CYG_END_DECLS
#endif
