/* drive.h: feeds bytes to the HTTP/1 core in pieces, each time from a fresh allocation of exactly the right size (so that a
 * sanitizer sees a read beyond the input or into the old buffer), and writes down all that came out. The table and the fuzz
 * targets both drive the core with this.
 */
#ifndef CYG_TESTS_HTTP1_DRIVE_H
#define CYG_TESTS_HTTP1_DRIVE_H

#include "proto/http1.h"

enum drive_kind {
    DRIVE_REQUEST,
    DRIVE_RESPONSE,         /* to GET */
    DRIVE_RESPONSE_HEAD,    /* to HEAD */
    DRIVE_RESPONSE_CONNECT, /* to CONNECT */
    DRIVE_CHUNKED,
};

enum { DRIVE_MAX_FIELDS = 64, DRIVE_FACTS = 64 * 1024 };

struct drive_result {
    int verdict;        /* 1 complete, 0 more, -1 refused */
    int status;         /* error_status of a refused head */
    const char *reason; /* of what was refused, else "" */
    const char *broken; /* a rule of the core's own that it broke, or NULL */
    /* words, a space between: version=11 method=GET ...; bytes that are not visible, '%' too, as %XX. Of what is complete; for
     * chunked bodies always. */
    char facts[DRIVE_FACTS];
};

/* Calls with the first `first` bytes (of a head: prefixes; of a chunked body: pieces), then with `step` more a call. */
void drive(struct drive_result *r, enum drive_kind kind, const struct cyg_h1_limits *lim, const char *bytes, size_t n,
           size_t first, size_t step);

bool drive_same(const struct drive_result *a, const struct drive_result *b);

#endif
