/* stats.c: sums over the Ps' counters, each of which has one writer. */
#include "runtime/sched.h"
#include "base/spin.h"

void cyg_stats(cyg_runtime_stats *out) {
    struct cygrt_sched *s = &cygrt_sched;
    *out = (cyg_runtime_stats){0};
    if (atomic_load(&s->state) == S_OFF) return;
    uint64_t ended = atomic_load_explicit(&s->n_ended, memory_order_acquire);
    uint64_t left = atomic_load_explicit(&s->n_records[CYGRT_LEFT], memory_order_relaxed);
    uint64_t taken = atomic_load_explicit(&s->n_records[CYGRT_TAKEN], memory_order_relaxed);
    uint64_t started = atomic_load_explicit(&s->n_started, memory_order_relaxed);
    for (unsigned i = 0; i < s->nprocs; i++) { /* ends before starts: the difference is never negative */
        ended += atomic_load_explicit(&s->ps[i].n_ended, memory_order_acquire);
        taken += atomic_load_explicit(&s->ps[i].n_records[CYGRT_TAKEN], memory_order_acquire);
    }
    for (unsigned i = 0; i < s->nprocs; i++) {
        struct p *p = &s->ps[i];
        started += atomic_load_explicit(&p->n_started, memory_order_relaxed);
        left += atomic_load_explicit(&p->n_records[CYGRT_LEFT], memory_order_relaxed);
        out->switches_total += atomic_load_explicit(&p->n_switch, memory_order_relaxed);
        out->steals_total += atomic_load_explicit(&p->n_steal, memory_order_relaxed);
        out->parks_total += atomic_load_explicit(&p->n_park, memory_order_relaxed);
        out->spins_total += atomic_load_explicit(&p->n_spin, memory_order_relaxed);
        out->polls_total += atomic_load_explicit(&p->n_poll, memory_order_relaxed);
        out->poll_events_total += atomic_load_explicit(&p->n_event, memory_order_relaxed);
        out->turns_total += atomic_load_explicit(&p->n_turn, memory_order_relaxed);
        for (unsigned k = 0; k < CYGRT_DELAYS; k++)
            out->queue_delay[k] += atomic_load_explicit(&p->delay[k], memory_order_relaxed);
        out->global_runs_total += atomic_load_explicit(&p->n_global, memory_order_relaxed);
    }
    out->goroutines_total = started;
    out->goroutines = started > ended ? started - ended : 0;
    out->start_records = left > taken ? left - taken : 0;
    out->timers = cygrt_timers_pending();
    out->wakes_total = atomic_load_explicit(&s->n_wake, memory_order_relaxed);
    out->blocking_total = atomic_load_explicit(&s->n_blocking, memory_order_relaxed);
    out->blocking_limit_total = atomic_load_explicit(&s->n_blocking_limit, memory_order_relaxed);
    out->retakes_blocked_total = atomic_load_explicit(&s->n_retake, memory_order_relaxed);
    out->retakes_hog_total = atomic_load_explicit(&s->n_retake_hog, memory_order_relaxed);
    out->retakes_left_total = atomic_load_explicit(&s->n_retake_left, memory_order_relaxed);
    out->retakes_limit_total = atomic_load_explicit(&s->n_retake_limit, memory_order_relaxed);
    out->threads_without_p = atomic_load_explicit(&s->nlost, memory_order_relaxed);
    cyg_spin_lock(&s->lock);
    out->threads = s->nms + 1; /* and sysmon */
    cyg_spin_unlock(&s->lock);
    cygrt_stack_stats(&out->stacks, &out->stacks_unguarded);
}
