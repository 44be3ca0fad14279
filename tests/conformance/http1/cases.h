/* cases.h: what a line of the table holds. The limits for all: heads of 512 bytes, targets of 128, 8 fields.
 *
 *     ACCEPT("name", REQUEST, "bytes", "facts that must be among those of drive.h")
 *     REFUSE("name", REQUEST, "bytes", status, "reason word")
 *     PARTIAL("name", REQUEST, "bytes")        nothing wrong so far, more wanted
 */
#ifndef CYG_TESTS_HTTP1_CASES_H
#define CYG_TESTS_HTTP1_CASES_H

#include "drive.h"

struct http1_case {
    const char *name;
    enum drive_kind kind;
    const char *bytes; /* may hold NUL */
    size_t n;
    int verdict;
    int status;
    const char *reason;
    const char *facts;
};

#define CASE_BYTES(b) "" b, sizeof(b) - 1
#define ACCEPT(name, kind, b, facts) {name, DRIVE_##kind, CASE_BYTES(b), 1, 0, "", facts},
#define REFUSE(name, kind, b, status, reason) {name, DRIVE_##kind, CASE_BYTES(b), -1, status, reason, ""},
#define PARTIAL(name, kind, b) {name, DRIVE_##kind, CASE_BYTES(b), 0, 0, "", ""},

#define A8 "aaaaaaaa"
#define A32 A8 A8 A8 A8
#define A128 A32 A32 A32 A32
#define A512 A128 A128 A128 A128

struct http1_cases {
    const struct http1_case *cases;
    size_t n;
};
extern const struct http1_cases http1_request_cases, http1_response_cases, http1_chunked_cases;

#endif
