/* sysmon.c: the thread that has no P. While some P runs and another sleeps it ticks, and wakes a sleeper when work waits
 * behind a goroutine that does not come back to the scheduler; it writes dumps that a signal asked for; it gives back what
 * free stacks hold needlessly. When all sleep, so does it, without a tick. */
#include "base/spin.h"
#include "runtime/sched.h"

#define TICK (1 * CYG_MILLISECOND)
#define SLOW_TICK (10 * CYG_MILLISECOND)
#define QUIET_TICKS 4       /* all asleep for so many ticks: tick slowly */
#define VERY_QUIET_TICKS 14 /* and for so many: sleep until somebody wakes */

/* A P that has not dispatched since the last tick, though something waits for it. */
static bool neglects(struct p *p, cyg_time now) {
    uint32_t tick = atomic_load_explicit(&p->tick, memory_order_relaxed);
    bool same = tick == p->seen_tick;
    p->seen_tick = tick;
    if (!same) return false;
    if (cygrt_queue_len(p) || atomic_load_explicit(&p->next_slot, memory_order_relaxed)) return true;
    if (now >= atomic_load_explicit(&p->timer_min, memory_order_relaxed)) return true;
    return atomic_load_explicit(&p->npds, memory_order_relaxed) &&
           now - atomic_load_explicit(&p->last_poll, memory_order_relaxed) > TICK;
}

/* Returns how many Ps are awake. */
static unsigned look_around(void) {
    struct cygrt_sched *s = &cygrt_sched;
    cyg_time now = cyg_now();
    unsigned awake = 0, neglected = 0;
    for (unsigned i = 0; i < s->nprocs; i++) {
        struct p *p = &s->ps[i];
        if (atomic_load(&p->sleep) != P_AWAKE) continue;
        awake++;
        if (neglects(p, now) || cygrt_queue_len(p) > 1) neglected++;
    }
    bool waiting = neglected || atomic_load_explicit(&s->glen, memory_order_relaxed);
    if (waiting && atomic_load(&s->nspinning) == 0) cygrt_wake_one();
    return awake;
}

void cygrt_sysmon_poke(void) {
    struct cygrt_sched *s = &cygrt_sched;
    if (atomic_exchange(&s->sysmon_deep, 0)) cygrt_futex_wake(&s->sysmon_deep, 1);
}

void *cygrt_sysmon_main(void *arg) {
    (void)arg;
    struct cygrt_sched *s = &cygrt_sched;
    pthread_setname_np(pthread_self(), "cygnet-sysmon");
    unsigned quiet = 0;
    while (atomic_load(&s->state) == S_RUNNING) {
        if (atomic_exchange(&s->dump_wanted, 0)) cyg_dump(2);
        bool alone = s->nprocs == 1; /* no other P could help: nothing to tick for */
        unsigned awake = alone ? 0 : look_around();
        quiet = awake ? 0 : quiet + 1;
        if (!alone && quiet < VERY_QUIET_TICKS) {
            _Atomic uint32_t never = 0;
            cygrt_futex_wait(&never, 0, quiet < QUIET_TICKS ? TICK : SLOW_TICK);
            continue;
        }
        atomic_store(&s->sysmon_deep, 1);
        unsigned up = 0;
        for (unsigned i = 0; !alone && i < s->nprocs; i++) up += atomic_load(&s->ps[i].sleep) == P_AWAKE;
        bool go_on = up || atomic_load(&s->dump_wanted) || atomic_load(&s->state) != S_RUNNING;
        if (!go_on) cygrt_futex_wait(&s->sysmon_deep, 1, -1);
        atomic_store(&s->sysmon_deep, 0);
        quiet = 0;
    }
    return NULL;
}
