/* stress.h: a seed that is printed, a bounded time, and one run at each number of Ps.
 */
#ifndef TESTS_STRESS_H
#define TESTS_STRESS_H

#include "../unit/net/net.h"

static uint64_t stress_seed;
static cyg_duration stress_time = 1500 * CYG_MILLISECOND; /* a run; there are three */

/* A generator of one goroutine (xorshift). */
static inline uint32_t rnd(uint64_t *s, uint32_t below) {
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return (uint32_t)(*s >> 32) % below;
}
static inline uint64_t rnd_from(uint64_t n) { return (stress_seed + n) * 0x9e3779b97f4a7c15ull | 1; }

static inline int stress_main(void (*body)(void)) {
    const char *seed = getenv("STRESS_SEED"), *secs = getenv("STRESS_SECONDS");
    stress_seed = seed ? strtoull(seed, NULL, 10) : (uint64_t)cyg_unix_nano();
    if (secs) stress_time = atol(secs) * CYG_SECOND;
    fprintf(stderr, "STRESS_SEED=%llu\n", (unsigned long long)stress_seed);
    signal(SIGPIPE, SIG_IGN);
    rt_each(NULL, body);
    return 0;
}

#endif
