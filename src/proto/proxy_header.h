/* proxy_header.h: the PROXY protocol, versions 1 (a line of text) and 2 (binary): who a connection was made for, told by a proxy
 * before the first byte of the connection itself. No I/O, no state: the caller collects bytes and asks again with all of them.
 *
 *     struct cyg_proxy_header h;
 *     switch (cyg_proxy_parse(buf, n, &h)) {
 *     case CYG_PROXY_DONE: // h.bytes of buf were the header; h.source is the client, unless h.local
 *     case CYG_PROXY_MORE: // nothing wrong so far: read on, at most CYG_PROXY_MAX bytes in all
 *     case CYG_PROXY_BAD:  // h.error says in a word why: close the connection
 *     }
 *
 * Whether a peer may send such a header is the caller's to know beforehand: what a connection begins with proves nothing.
 * Source: HAProxy's doc/proxy-protocol.txt, revision 2020/03/05.
 */
#ifndef CYG_PROTO_PROXY_HEADER_H
#define CYG_PROTO_PROXY_HEADER_H

#include <cygnet/base.h>

#define CYG_PROXY_MAX ((size_t)4096)   /* bytes of a header that is taken; version 2 could announce 65,551 */
#define CYG_PROXY_V1_MAX ((size_t)107) /* bytes of a version 1 line, CRLF included */
#define CYG_PROXY_V2_MAX ((size_t)240) /* bytes that cyg_proxy_write_v2 writes at most */
#define CYG_PROXY_PATH ((size_t)108)   /* bytes of a Unix path, padded with NUL */

enum cyg_proxy_verdict { CYG_PROXY_DONE, CYG_PROXY_MORE, CYG_PROXY_BAD };

enum cyg_proxy_family { CYG_PROXY_UNSPEC = 0, CYG_PROXY_IPV4 = 1, CYG_PROXY_IPV6 = 2, CYG_PROXY_UNIX = 3 };

struct cyg_proxy_end {
    uint16_t port;  /* IPv4 and IPv6, host byte order */
    uint8_t ip[16]; /* the first 4 of IPv4, the others 0 */
    cyg_str path; /* Unix: CYG_PROXY_PATH bytes or fewer; the first may be NUL (abstract name space); borrowed from the input */
};

struct cyg_proxy_header {
    unsigned version; /* 1 or 2 */
    /* The connection's own addresses count: version 2's LOCAL (the proxy speaks for itself, as in a health check), version 1's
     * UNKNOWN, version 2's unspecified family. Family, ends and TLVs are empty then. */
    bool local;
    enum cyg_proxy_family family;
    bool datagram; /* else a stream */
    struct cyg_proxy_end source, destination;
    cyg_str tlvs;      /* version 2: what follows the addresses, checked; borrowed from the input */
    size_t bytes;      /* of the header; DONE only */
    const char *error; /* BAD only: one word, static */
};

/* Reads a header at the beginning of n bytes. Refuses as soon as the bytes cannot become one, takes none longer than CYG_PROXY_MAX, and
 * verifies a CRC32c that is there. Blocks: never. From: anywhere. Owns: slices in *h point into p. Returns: the verdict; *h is whole
 * with DONE, has its error with BAD, and means nothing with MORE. */
enum cyg_proxy_verdict cyg_proxy_parse(const void *p, size_t n, struct cyg_proxy_header *h);

#define CYG_PROXY_TLV_ALPN 0x01
#define CYG_PROXY_TLV_AUTHORITY 0x02
#define CYG_PROXY_TLV_CRC32C 0x03
#define CYG_PROXY_TLV_NOOP 0x04
#define CYG_PROXY_TLV_UNIQUE_ID 0x05
#define CYG_PROXY_TLV_SSL 0x20
#define CYG_PROXY_TLV_NETNS 0x30

/* Takes the next TLV off *tlvs, which cyg_proxy_parse has checked. Blocks: never. Returns: false at the end. */
bool cyg_proxy_tlv_next(cyg_str *tlvs, unsigned *type, cyg_str *value);

/* Write a header: of version, local, family, datagram and the ends; no TLVs. Version 1 knows no Unix sockets and no datagrams, and
 * says UNKNOWN then. Blocks: never. From: anywhere. Returns: its length. */
size_t cyg_proxy_write_v1(const struct cyg_proxy_header *h, char out[CYG_PROXY_V1_MAX]);
size_t cyg_proxy_write_v2(const struct cyg_proxy_header *h, char out[CYG_PROXY_V2_MAX]);

#endif
