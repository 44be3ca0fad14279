/* fuzz.h: the schedule fuzzer. With CYGNET_SCHED_FUZZ=seed decisions that may go either way go the unusual one now and then: a
 * goroutine that was woken last does not run next, work takes the way through the global queue, a wait ends for no reason, a
 * dispatch goes through the scheduler. Each P has its own sequence, made from the seed and its number, so a seed repeats the
 * decisions, not the timing. Without a seed it costs a load and a branch. */
#ifndef CYG_RUNTIME_FUZZ_H
#define CYG_RUNTIME_FUZZ_H

#include "runtime/sched.h"

static inline uint32_t cygrt_p_random(struct p *p) {
    uint32_t x = p->rnd;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return p->rnd = x;
}

CYG_COLD bool cygrt_fuzz_strikes(struct p *p, uint32_t n);

/* One time in n, if schedules are to be shaken. */
static inline bool cygrt_fuzz(struct p *p, uint32_t n) {
    return CYG_UNLIKELY(cygrt_sched.fuzz != 0) && cygrt_fuzz_strikes(p, n);
}

#endif
