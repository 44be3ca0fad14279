/* context.h: a context from inside; shared by context.c (the tree and its ends) and context_after.c (functions at an end).
 *
 * Two counts. `core.refs` are the users: programs, goroutines under the context, children that end with it. When it falls to
 * zero the context is cancelled, which stops its timer and starts what waits for its end. `memory` are those that may still look
 * at the struct: one for all users together, one for each child (detached ones too: they read values and causes), one for
 * an armed timer, one for each function that waits, one for a cancel under way. Nobody comes back from zero.
 * Lock order: parent before child; nothing is woken, started or freed under a lock. */
#ifndef CYG_SYNC_CONTEXT_H
#define CYG_SYNC_CONTEXT_H

#include <cygnet/context.h>

#include "runtime/sched.h"

struct cyg_ctx {
    struct cygrt_ctx_core core; /* first; its lock guards children and afters */
    _Atomic uint32_t memory;
    bool attached;                          /* ends with its parent and holds a reference on it; fixed */
    bool linked;                            /* stands in parent's list; guarded by parent's lock, as are the siblings */
    struct cyg_ctx *parent;                 /* NULL: background; fixed */
    struct cyg_ctx *sibling, *sibling_prev; /* neighbours in that list */
    struct cyg_ctx *children;               /* attached, not ended */
    struct cyg_ctx *ended_next;             /* the worklist of the cancel that ended it */
    struct cyg_ctx_after *afters;           /* functions that wait for the end */
    cyg_time deadline;                      /* 0: none; fixed */
    cyg_timer *timer;                       /* guarded by core.lock */
    const char *cause;                      /* written before err is; an ancestor's text or its own; NULL: none */
    char *text;                             /* owned */
    const void *key;                        /* NULL: carries no value; fixed */
    void *value;
    void (*destroy_value)(void *value);
};

extern struct cyg_ctx cygrt_background;

void cygrt_ctx_keep(struct cyg_ctx *c); /* memory + 1 */
void cygrt_ctx_drop(struct cyg_ctx *c); /* memory - 1, and what follows */

/* Takes the functions out of an ended context, under its lock; starts them, without it. */
struct cyg_ctx_after *cygrt_ctx_take_afters(struct cyg_ctx *c);
void cygrt_ctx_start_afters(struct cyg_ctx_after *a);

#endif
