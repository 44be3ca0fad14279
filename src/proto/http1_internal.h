/* http1_internal.h: what the pieces of the head parser share. In the order in which a head passes them: http1_head.c (lines and
 * fields), http1_target.c (target and Host), http1_framing.c (what the fields together mean).
 */
#ifndef CYG_PROTO_HTTP1_INTERNAL_H
#define CYG_PROTO_HTTP1_INTERNAL_H

#include "proto/http1.h"
#include "proto/http1_chars.h"
#include "proto/http1_reason.h"

enum {
    CYG_H1_METHOD_MAX = 32,
    CYG_H1_STEP_FAILED = -1,
};

/* Refuses the head. Returns: CYG_H1_ERROR. */
CYG_COLD int cyg_h1_fail(struct cyg_h1_head *h, enum cyg_h1_reason why);

/* Whether the target is a path, as nearly all are, and the method not CONNECT, which may not have one. */
static inline bool cyg_h1_usual_target(const struct cyg_h1_head *h) {
    return h->target.p[0] == '/' && h->method.n != sizeof "CONNECT" - 1;
}

/* Looks at method and any target; of an absolute-form target, sets h->host. Returns: CYG_H1_DONE or CYG_H1_ERROR. */
int cyg_h1_check_target(struct cyg_h1_head *h);

/* Whether s is host[:port], as in Host. */
bool cyg_h1_authority_ok(cyg_str s, bool port_required);

/* All fields are there: sets host, framing, keep_alive and the rest. Returns: CYG_H1_DONE or CYG_H1_ERROR. */
int cyg_h1_finish_request(struct cyg_h1_head *h);
int cyg_h1_finish_response(struct cyg_h1_head *h, cyg_str request_method);

/* The next element of a comma-separated list, trimmed, cut off *list; empty ones too. Start with *more = true; false when the
 * list is at its end. */
static inline bool cyg_h1_next_element(cyg_str *list, cyg_str *element, bool *more) {
    if (!*more) return false;
    const char *comma = list->n ? memchr(list->p, ',', list->n) : NULL;
    size_t n = comma ? (size_t)(comma - list->p) : list->n;
    *element = cyg_h1_trim((cyg_str){list->p, n});
    *more = comma != NULL;
    if (comma) *list = (cyg_str){comma + 1, list->n - n - 1};
    return true;
}

/* Whether s is the literal, which is in lower case, in any case. */
#define cyg_h1_is_word(s, literal) cyg_str_eq_nocase((s), CYG_STR(literal))

#endif
