/* cases.h: what a line of the table holds.
 *
 *     ACCEPT("name", "bytes", "facts, as drive.h writes them")
 *     REFUSE("name", "bytes", "error word")
 *     PARTIAL("name", "bytes")          nothing wrong so far, more wanted
 */
#ifndef CYG_TESTS_PROXY_CASES_H
#define CYG_TESTS_PROXY_CASES_H

#include "drive.h"

struct proxy_case {
    const char *name;
    const char *bytes; /* may hold NUL */
    size_t n;
    enum cyg_proxy_verdict verdict;
    const char *text; /* the facts, or the error */
};

#define CASE_BYTES(b) "" b, sizeof(b) - 1
#define ACCEPT(name, b, facts) {name, CASE_BYTES(b), CYG_PROXY_DONE, facts},
#define REFUSE(name, b, error) {name, CASE_BYTES(b), CYG_PROXY_BAD, error},
#define PARTIAL(name, b) {name, CASE_BYTES(b), CYG_PROXY_MORE, ""},

struct proxy_cases {
    const struct proxy_case *cases;
    size_t n;
};
extern const struct proxy_cases proxy_v1_cases, proxy_v2_cases;

#endif
