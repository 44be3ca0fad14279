/* walk.h: the return addresses on goroutines' stacks, found by following frame pointers. */
#ifndef CYG_RUNTIME_WALK_H
#define CYG_RUNTIME_WALK_H

#include "runtime/sched.h"

#define CYGRT_FRAMES 24

struct cygrt_trace {
    unsigned n;
    const void *pc[CYGRT_FRAMES]; /* innermost first; return addresses, or one behind where it stood */
};

/* Of a goroutine that is not running, or stands in cyg_blocking (then from its call of that). It may be resumed meanwhile:
 * every step is checked against the stack's bounds, and the trace may be out of date or short. */
void cygrt_walk_of(struct g *g, struct cygrt_trace *t);
/* Of one that runs: a signal to its thread copies them there. Bounded wait; false: not to be had. */
bool cygrt_walk_running(struct g *g, struct cygrt_trace *t);
/* Of g, as a signal found it: context is the handler's third argument. Safe in a handler. t->n is 0 if it was not on g's stack; then
 * the instruction alone is there with g NULL. */
void cygrt_walk_context(struct g *g, const void *context, struct cygrt_trace *t);
/* Of the caller, from the return address of the function that calls this one. */
void cygrt_walk_here(struct cygrt_trace *t);
/* Installs the handler for that signal; without it cygrt_walk_running returns false. Process start, cyg_main only. */
void cygrt_walk_install(void);

#endif
