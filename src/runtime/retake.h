/* retake.h: what is known of goroutines that kept their thread so long that their P was taken, by where they were started. */
#ifndef CYG_RUNTIME_RETAKE_H
#define CYG_RUNTIME_RETAKE_H

#include "runtime/sched.h"

struct cygrt_site {
    const char *file; /* NULL: started by a connection's readiness, which called fn */
    int line;
    void (*fn)(void *, int);
    const char *name;
    _Atomic uint64_t count, total_ns, longest_ns; /* retakes; time until the goroutine came back, for those that did */
    _Atomic uint64_t now;                         /* of these, how many have not come back */
};

/* The sites so far; the first n are complete. From: any thread. */
const struct cygrt_site *cygrt_sites(unsigned *n);
/* "name", started at file:line. */
void cygrt_site_text(const struct cygrt_site *site, char *out, size_t room);

#endif
