/* arm_clock.c: is there a counter that arm_clock.h can go by, and the function itself.
 *
 * It must count always and at one rate (CPUID's invariant TSC), be what the kernel keeps CLOCK_MONOTONIC by ("tsc", not "kvm-clock",
 * which a host may move), and count at least MIN_PER_US. Elsewhere than on x86-64 a reading is cheap: nothing waits in it. */
#include "runtime/arm_clock.h"

#ifdef __x86_64__
#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#define FEW_CYCLES 65536 /* 25 us at 2.6 GHz */
#define EIGHTHS (FEW_CYCLES / 8)
#define MIN_PER_US 500
#define FASTEST_PERCENT 125 /* of the clock's nominal speed; adjtimex(2) allows 110.05 */
_Static_assert(FEW_CYCLES *CYG_MICROSECOND / MIN_PER_US * FASTEST_PERCENT / 100 < (CYGRT_ARM_AHEAD - EIGHTHS) / 3,
               "AHEAD is too short");

static bool used; /* written before the runtime's threads start */

static uint64_t ordered_cycles(void) {
    __builtin_ia32_lfence();
    uint64_t c = __builtin_ia32_rdtsc();
    __builtin_ia32_lfence();
    return c;
}

static bool is_invariant(void) {
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 1u << 8);
}

static bool is_kernels_clock(void) {
    FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    if (!f) return false;
    char name[16] = "";
    bool is = fgets(name, sizeof name, f) && strcmp(name, "tsc\n") == 0;
    fclose(f);
    return is;
}

/* The counter is read inside of the time measured: being interrupted makes it look slower, never faster. */
static bool is_fast_enough(void) {
    for (int i = 0; i < 3; i++) {
        cyg_time begin = cyg_now(), now = begin;
        uint64_t first = ordered_cycles(), last = first;
        while (now - begin < 20 * CYG_MICROSECOND) {
            last = ordered_cycles();
            now = cyg_now();
        }
        if (last - first >= (uint64_t)(now - begin) * MIN_PER_US / CYG_MICROSECOND) return true;
    }
    return false;
}

void cygrt_arm_clock_init(bool off) { used = !off && is_invariant() && is_kernels_clock() && is_fast_enough(); }
bool cygrt_arm_clock_used(void) { return used; }

static cyg_time now_at_most(struct cygrt_arm_clock *c) {
    uint64_t gone = __builtin_ia32_rdtsc() - c->cycles; /* also huge: the counter was set back */
    if (CYG_UNLIKELY(gone >= FEW_CYCLES)) {
        c->cycles = ordered_cycles();
        c->reading = cyg_now();
        gone = 0;
    }
    /* An eighth of a nanosecond a cycle keeps the order, and is behind the clock below 8 GHz. */
    return c->reading + CYGRT_ARM_AHEAD - EIGHTHS + (cyg_time)(gone / 8);
}
#else
static const bool used = false;
void cygrt_arm_clock_init(bool off) { (void)off; }
bool cygrt_arm_clock_used(void) { return false; }
static cyg_time now_at_most(struct cygrt_arm_clock *c) { return c->reading = cyg_now(); }
#endif

cyg_time cygrt_arm_at(struct cygrt_arm_clock *c, cyg_duration d) {
    cyg_time t = used && d >= CYGRT_ARM_LONG ? now_at_most(c) : cyg_now();
    if (d > 0 && __builtin_add_overflow(t, d, &t)) t = INT64_MAX;
    return t > 0 ? t : 1;
}
