/* stack_census.h: in checked builds, how deep goroutines get into their stacks, by where they were started. */
#ifndef CYG_RUNTIME_STACK_CENSUS_H
#define CYG_RUNTIME_STACK_CENSUS_H

#include "runtime/sched.h"

#ifdef CYG_CHECKED
void cygrt_stack_census_init(void); /* asks CYGNET_DEBUG; before any stack is made */
bool cygrt_stack_census_on(void);
void cygrt_stack_census_paint(struct g *g); /* a stack nobody has used */
void cygrt_stack_census_note(struct g *g);  /* by g itself, when its function has returned */
void cygrt_stack_census_report(void);       /* the runtime stops */
#else
static inline void cygrt_stack_census_init(void) {}
static inline bool cygrt_stack_census_on(void) { return false; }
static inline void cygrt_stack_census_paint(struct g *g) { (void)g; }
static inline void cygrt_stack_census_note(struct g *g) { (void)g; }
static inline void cygrt_stack_census_report(void) {}
#endif

#endif
