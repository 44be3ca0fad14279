/* dns.h: of a DNS message, what c-ares does not tell: how long its answer may be kept. */
#ifndef CYG_PROTO_DNS_H
#define CYG_PROTO_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cyg_dns_life {
    bool has_answer, has_soa;
    uint32_t answer; /* seconds: the smallest TTL in the answer section, CNAMEs included */
    uint32_t negative; /* seconds: of an SOA in the authority section the smaller of its TTL and its minimum. Source: RFC 2308, 5 */
};

/* Walks a message of n bytes. A TTL with its highest bit set counts as 0 (RFC 2181, 8).
 * Returns: 0, or CYG_EPROTO for a message that ends early or has a name that is none; *out is then untouched. */
int cyg_dns_life(const uint8_t *p, size_t n, struct cyg_dns_life *out);

#endif
