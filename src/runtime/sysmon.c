/* sysmon.c: the thread that has no P. While some P runs it ticks: it wakes a sleeping P when work waits behind a goroutine that
 * does not come back to the scheduler, and when there is none to wake, takes the P from such a goroutine (retake.c). It writes
 * dumps that a signal asked for. When all Ps sleep, so does it, without a tick, having asked whether that is a deadlock. */
#include "base/spin.h"
#include "runtime/deadlock.h"
#include "runtime/fiber.h"
#include "runtime/poller/poller.h"
#include "runtime/queue.h"
#include "runtime/sched.h"

#define TICK (1 * CYG_MILLISECOND)
#define ALONE_TICK \
    (5 * CYG_MILLISECOND) /* with one P there is nobody to wake: only the retake, which waits for 10 ms, ticks */
#define SLOW_TICK (10 * CYG_MILLISECOND)
#define LATE (5 * CYG_MILLISECOND)
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
    return now - atomic_load_explicit(&p->last_poll, memory_order_relaxed) > TICK && cygrt_poller_ready(p);
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
        atomic_store_explicit(&p->clock_old, 1, memory_order_relaxed);
        if (neglects(p, now) || cygrt_queue_len(p) > 1) neglected++;
    }
    bool waiting = neglected || atomic_load_explicit(&s->glen, memory_order_relaxed);
    if (waiting && atomic_load(&s->nspinning) == 0) cygrt_wake_one();
    cygrt_adopt();
    cygrt_retake_round(now);
    return awake;
}

static bool any_awake(void) {
    struct cygrt_sched *s = &cygrt_sched;
    for (unsigned i = 0; i < s->nprocs; i++)
        if (atomic_load(&s->ps[i].sleep) == P_AWAKE) return true;
    return false;
}

/* Sleeps for d. Who wakes much later has been stopped, like everybody else perhaps (a signal, a debugger, a busy machine): what
 * was seen before says nothing about the Ms. */
static void tick(cyg_duration d) {
    _Atomic uint32_t never = 0;
    cyg_time before = cyg_now();
    cygrt_futex_wait(&never, 0, d);
    if (cyg_now() - before > 3 * d + LATE) cygrt_retake_forget();
}

void (*_Atomic cygrt_sysmon_also)(cyg_time now);

static void do_also(void) {
    void (*also)(cyg_time) = atomic_load_explicit(&cygrt_sysmon_also, memory_order_acquire);
    if (also) also(cyg_now());
}

CYGRT_IN_HANDLER void cygrt_sysmon_poke(void) {
    struct cygrt_sched *s = &cygrt_sched;
    if (atomic_exchange(&s->sysmon_deep, 0)) cygrt_futex_wake(&s->sysmon_deep, 1);
}

void *cygrt_sysmon_main(void *arg) {
    (void)arg;
    struct cygrt_sched *s = &cygrt_sched;
    pthread_setname_np(pthread_self(), "cygnet-sysmon");
    bool alone = s->nprocs == 1;
    cyg_duration busy_tick = alone ? ALONE_TICK : TICK;
    cyg_time began = cyg_now(), next_trace = began + s->trace;
    unsigned quiet = 0, deep_after = alone ? 2 : VERY_QUIET_TICKS;
    while (atomic_load(&s->state) == S_RUNNING) {
        if (atomic_exchange(&s->dump_wanted, 0)) cyg_dump(2);
        quiet = look_around() ? 0 : quiet + 1;
        do_also();
        if (s->trace && cyg_now() >= next_trace) {
            cygrt_trace_line(cyg_now() - began);
            next_trace += s->trace;
        }
        if (quiet < deep_after) {
            tick(quiet < QUIET_TICKS ? busy_tick : SLOW_TICK);
            continue;
        }
        atomic_store(&s->sysmon_deep, 1);
        bool go_on = any_awake() || atomic_load(&s->dump_wanted) || atomic_load(&s->state) != S_RUNNING;
        if (!go_on) cygrt_deadlock_check();
        if (!go_on) cygrt_futex_wait(&s->sysmon_deep, 1, s->trace ? s->trace : -1);
        atomic_store(&s->sysmon_deep, 0);
        cygrt_retake_forget();
        quiet = 0;
    }
    return NULL;
}
