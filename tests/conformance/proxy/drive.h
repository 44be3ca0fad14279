/* drive.h: the parser driven as the table and the fuzz target do: from memory that ends where the input ends, so that a sanitizer
 * sees a read too far; the outcome as one line of text.
 */
#ifndef CYG_TESTS_PROXY_DRIVE_H
#define CYG_TESTS_PROXY_DRIVE_H

#include "proto/proxy_header.h"

struct proxy_result {
    enum cyg_proxy_verdict verdict;
    /* DONE: "v=1 src=192.0.2.1:56324 dst=192.0.2.2:443 bytes=48", with "local", "dgram", "unix" ends and "tlvs=02:3,04:0" (type and
     * length) where they are; BAD: the error. */
    char text[1024];
    const char *broken; /* a promise of the header that was not kept; or NULL */
};

void proxy_drive(struct proxy_result *r, const char *p, size_t n);

/* Parses every beginning of the input, from nothing to all. What is decided stays so; what was DONE with k bytes is MORE with
 * fewer. Returns: NULL, or what did not hold. */
const char *proxy_drive_growing(const char *p, size_t n);

/* Writes what was read and reads that: the same must come out. Returns: NULL, or what did not hold. */
const char *proxy_drive_written(const char *p, size_t n);

#endif
