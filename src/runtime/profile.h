/* profile.h: what other layers tell the profiles. */
#ifndef CYG_RUNTIME_PROFILE_H
#define CYG_RUNTIME_PROFILE_H

#include "runtime/sched.h"

/* A goroutine has waited for an object that others held: for locks when they are had, for channels when the exchange is done.
 * Most calls return at once; the rate decides. From: the goroutine that waited, which may hold the lock by now; never parks.
 * since: when it began (cyg_now). */
void cygrt_contended(cyg_time since, enum cygrt_reason reason);

/* The same for waits that are the ordinary case, in channels: one in CYGRT_WAITS_EVERY of a goroutine's is looked at and stands for
 * them all, so that the others cost a decrement of the goroutine's own. */
#define CYGRT_WAITS_EVERY 251 /* a prime: not in step with loops */
void cygrt_waited_record(struct g *g, enum cygrt_reason reason);
static inline void cygrt_waited(struct g *g, enum cygrt_reason reason) {
    if (CYG_UNLIKELY(g->waits_left-- == 0)) cygrt_waited_record(g, reason);
}

/* By cyg_runtime_stop, before threads end. */
void cygrt_profile_stop(void);

/* contention.c, for profile.c. */
int cygrt_contention_write(int fd, int format);

#endif
