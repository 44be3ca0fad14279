/* deadlock.c: reports that all goroutines are asleep and nothing can wake them, and ends the process, as Go does.
 *
 * sysmon asks when it is about to sleep without a tick because every P sleeps. The answer is "deadlock" only if nothing is left
 * that could run a goroutine again:
 *   - no P is awake or notified, no run queue and not the global queue holds anything;
 *   - no goroutine runs (in a blocking call) or is runnable;
 *   - none is parked on a descriptor, and no start record is left: a peer, a signal or another process may make it ready;
 *   - no timer is armed: whoever waits with a deadline wakes by itself;
 *   - no thread exists but the runtime's own and the main thread, which sits in cyg_main: any other may call cyg_go, unlock a
 *     mutex or send on a channel. A program with threads of its own, or a library that keeps one, therefore gets no report.
 * While all this holds nothing of it can change, since a change needs somebody who runs; so the order of the looks does not
 * matter, except that Ps are looked at once more at the end, and that a P that slept and woke in between would have counted. */
#include "runtime/deadlock.h"
#include "base/spin.h"
#include "runtime/fiber.h"
#include "runtime/queue.h"
#include "runtime/sched.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static _Atomic bool watched;

void cygrt_deadlock_watch(bool on) {
    atomic_store(&watched, on);
    if (on) cygrt_sysmon_poke(); /* with one P it may already sleep for good */
}
bool cygrt_deadlock_watched(void) { return atomic_load_explicit(&watched, memory_order_relaxed); }

/* How often Ps went to sleep so far; false: one is awake, or has work. */
static bool all_asleep(uint64_t *sleeps) {
    struct cygrt_sched *s = &cygrt_sched;
    *sleeps = 0;
    if (atomic_load(&s->glen) || atomic_load(&s->nspinning)) return false;
    for (unsigned i = 0; i < s->nprocs; i++) {
        struct p *p = &s->ps[i];
        if (atomic_load(&p->sleep) != P_ASLEEP) return false;
        if (cygrt_queue_len(p) || atomic_load(&p->next_slot)) return false;
        if (atomic_load(&p->timer_min) != INT64_MAX) return false;
        *sleeps += atomic_load(&p->n_park);
    }
    return true;
}

/* Threads of the process that are not the runtime's: the directory of tasks has a link for each of its entries. */
static bool strange_threads(void) {
    struct cygrt_sched *s = &cygrt_sched;
    struct stat st;
    if (stat("/proc/self/task", &st) != 0) return true;
    cyg_spin_lock(&s->lock);
    unsigned ours = s->nms;
    cyg_spin_unlock(&s->lock);
    return st.st_nlink != 2 + ours + 2u; /* and sysmon, and the main thread */
}

struct look {
    uint64_t parked;
    struct g *awake; /* one that speaks against a deadlock */
};

CYGRT_RACY static bool can_wake(struct g *g) {
    int status = atomic_load_explicit(&g->status, memory_order_relaxed);
    if (status == G_FREE) return false;
    if (status != G_PARKED) return true;
    return g->reason == CYGRT_R_READ || g->reason == CYGRT_R_WRITE || g->reason == CYGRT_R_SLEEP;
}

CYGRT_RACY static bool look_at(struct g *g, void *arg) {
    struct look *l = arg;
    int status = atomic_load_explicit(&g->status, memory_order_relaxed);
    if (status == G_FREE) return true;
    l->parked++;
    if (!can_wake(g)) return true;
    l->awake = g;
    return false;
}

__attribute__((noreturn)) static void report(void) {
    static const char text[] = "fatal: all goroutines are asleep - deadlock!\n\n";
    if (ftrylockfile(stdout) == 0) fflush(stdout); /* a parked goroutine may hold its lock */
    (void)!write(2, text, sizeof text - 1);
    (void)cyg_dump(2);
    _exit(2);
}

void cygrt_deadlock_check(void) {
    static struct g *witness; /* sysmon's: who spoke against it last time probably does again */
    uint64_t before, after;
    if (!cygrt_deadlock_watched() || !all_asleep(&before)) return;
    struct look l = {0};
    if (witness) look_at(witness, &l);
    if (!l.awake) {
        l.parked = 0;
        cygrt_each_g(look_at, &l);
    }
    witness = l.awake;
    if (l.awake || !l.parked) return;
    cyg_runtime_stats st;
    cyg_stats(&st);
    if (st.start_records || st.timers || strange_threads()) return;
    if (!all_asleep(&after) || before != after || !cygrt_deadlock_watched()) return;
    report();
}
