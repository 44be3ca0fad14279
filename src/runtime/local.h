/* local.h: what the runtime does with goroutine-local values: gives them to goroutines that are started, ends them. */
#ifndef CYG_RUNTIME_LOCAL_H
#define CYG_RUNTIME_LOCAL_H

#include "runtime/sched.h"

void cygrt_locals_inherit(struct g *child, const struct g *parent); /* by the parent, which has some */
void cygrt_locals_end(struct g *g);                                 /* by g itself, which has some; may park */

#endif
