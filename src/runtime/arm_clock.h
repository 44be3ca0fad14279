/* arm_clock.h: what the clock shows at most when a timer is armed, for less than a reading costs. Two thirds of a reading are the wait for
 * all instructions before it. This asks the processor's counter without waiting, only whether it has gone on by less than FEW_CYCLES
 * since the last reading, and then takes that reading and AHEAD. Only for durations from CYGRT_ARM_LONG, of which AHEAD is a two
 * thousandth; for shorter ones, and where the kernel does not keep its own clock by that counter (arm_clock.c), the clock is read.
 *
 * Never early: AHEAD covers FEW_CYCLES three times over at the slowest counter that is accepted, with the kernel's clock running as
 * fast as adjtimex(2) can make it. The rest is for how much earlier than the code before it the counter may be read: out of order, which the
 * few hundred instructions in flight bound to some tens of microseconds (no manual does), even if each of their loads waits for
 * memory and for the one before; and on another CPU, whose counter the kernel has found to agree. */
#ifndef CYG_RUNTIME_ARM_CLOCK_H
#define CYG_RUNTIME_ARM_CLOCK_H

#include <cygnet/time.h>
#include <stdbool.h>
#include <stdint.h>

#define CYGRT_ARM_LONG CYG_SECOND
#define CYGRT_ARM_AHEAD (500 * CYG_MICROSECOND)

/* A P's, guarded by the lock of its heap. */
struct cygrt_arm_clock {
    cyg_time reading;
    uint64_t cycles; /* before it */
};

/* At start, before the first is used: finds out whether the counter can be used; `off`: it is not to be. */
void cygrt_arm_clock_init(bool off);
bool cygrt_arm_clock_used(void);

/* d from now, or up to CYGRT_ARM_AHEAD later if d is CYGRT_ARM_LONG or longer. Of two that are asked for one after the other, the second is
 * later, as far as the counter shows it. More than 0; now if d is negative; the end of time rather than an overflow. */
cyg_time cygrt_arm_at(struct cygrt_arm_clock *c, cyg_duration d);

#endif
