/* sched.c: which goroutine runs next, and how an M looks for work, spins, sleeps and is woken.
 *
 * A goroutine that parks looks at its own P first (cygrt_next_local) and switches straight to what it finds; only when there
 * is nothing, or the poller, the timers or the global queue are due, does it go through the scheduler's own stack.
 *
 * No lost wake-up: who submits work publishes it, then looks for sleepers; who goes to sleep shows itself asleep, then looks
 * at every queue once more. Both sides have a full fence between their two steps.
 *
 * When to wake another P: a wake-up across CPUs costs as much as two requests, so it happens when a poll brought more than WAKE_DEPTH
 * tasks, or so many have waited here for WAKE_AGE, or several are started where goroutines run for longer than that; what waits
 * behind a goroutine that computes for long is found by sysmon within its tick. */
#include "base/fatal.h"
#include "base/spin.h"
#include "runtime/cohort.h"
#include "runtime/fiber.h"
#include "runtime/poller/poller.h"
#include "runtime/fuzz.h"
#include "runtime/probes.h"
#include "runtime/queue.h"
#include "runtime/sched.h"

struct cygrt_sched cygrt_sched;

#define WAKE_DEPTH 4
#define WAKE_AGE (30 * CYG_MICROSECOND)
#define START_LOOK (500 * CYG_MICROSECOND)
#define TRIM_EVERY (10 * CYG_MILLISECOND)
#define TRIM_BATCH 8
#define STUCK_AFTER (50 * CYG_MICROSECOND)

bool cygrt_fuzz_strikes(struct p *p, uint32_t n) { return p && (cygrt_p_random(p) >> 8) % n == 0; }

/* ---- enqueueing and waking --------------------------------------------------------------------------------------- */

void cygrt_wake_p(struct p *p) {
    int asleep = P_ASLEEP;
    if (!atomic_compare_exchange_strong(&p->sleep, &asleep, P_NOTIFIED)) return;
    atomic_fetch_add_explicit(&cygrt_sched.n_wake, 1, memory_order_relaxed);
    cygrt_poller_notify(p);
}

bool cygrt_wake_one(void) {
    struct cygrt_sched *s = &cygrt_sched;
    for (unsigned w = 0; w <= (s->nprocs - 1) / 64; w++) {
        uint64_t mask = atomic_load(&s->idle_mask[w]);
        while (mask) {
            struct p *p = &s->ps[w * 64 + (unsigned)__builtin_ctzll(mask)];
            int asleep = P_ASLEEP;
            if (atomic_compare_exchange_strong(&p->sleep, &asleep, P_NOTIFIED)) {
                atomic_fetch_add_explicit(&s->n_wake, 1, memory_order_relaxed);
                cygrt_poller_notify(p);
                return true;
            }
            mask &= mask - 1;
        }
    }
    return false;
}

void cygrt_maybe_wake(struct p *p) {
    struct cygrt_sched *s = &cygrt_sched;
    if (atomic_load_explicit(&s->nidle, memory_order_relaxed) == 0) return;
    if (atomic_load_explicit(&s->nspinning, memory_order_relaxed) != 0) return;
    if (cygrt_queue_len(p) > WAKE_DEPTH) cygrt_wake_one();
}

static cyg_time read_clock(struct p *p) {
    cyg_time now = cyg_now();
    p->clock_left = CYGRT_CLOCK_EVERY;
    atomic_store_explicit(&p->now, now, memory_order_relaxed);
    return now;
}

/* Goroutines that are started together may compute for long; with a CPU idle they should not wait for sysmon's tick. Looked at
 * once in START_LOOK: if what ran here since the last look took WAKE_AGE on average, so may these. Short ones are left to
 * wake_for_old. The P's reading of the clock may be as old as the last few that ran here, which is what is asked; it is read anew,
 * unless many have run since the last look: then goroutines are short, most likely, and a later look will do. */
void cygrt_wake_for_start(struct p *p) {
    struct cygrt_sched *s = &cygrt_sched;
    if (cygrt_queue_len(p) == 0 || atomic_load_explicit(&s->nidle, memory_order_relaxed) == 0) return;
    uint32_t tick = atomic_load_explicit(&p->tick, memory_order_relaxed), ran = tick - p->start_tick;
    cyg_time now = cygrt_p_now(p);
    if (now - p->start_look < START_LOOK && ran * WAKE_AGE < START_LOOK) now = read_clock(p);
    cyg_time since = now - p->start_look;
    if (since < START_LOOK || atomic_load_explicit(&s->nspinning, memory_order_relaxed) != 0) return;
    p->start_look = now;
    p->start_tick = tick;
    if (since > ran * WAKE_AGE) (void)cygrt_wake_one();
}

static CYG_COLD void enqueue_global(struct cygrt_task *t) {
    cygrt_global_put(&t, 1);
    atomic_thread_fence(memory_order_seq_cst);
    cygrt_wake_one();
}

/* Every so often the wait of what is enqueued is measured; if a thief takes it, that measurement is dropped. */
static CYG_COLD void sample(struct p *p, struct cygrt_task *t) {
    p->sample_left = CYGRT_SAMPLE_EVERY;
    p->sampled = t;
    p->sampled_at = cyg_now();
}

static CYG_COLD void sampled(struct p *p) {
    uint64_t ns = (uint64_t)(cyg_now() - p->sampled_at) >> 8;
    unsigned i = ns ? 64 - (unsigned)__builtin_clzll(ns) : 0;
    p->sampled = NULL;
    CYGRT_COUNT(p->delay[i < CYGRT_DELAYS ? i : CYGRT_DELAYS - 1]);
}

/* Wakes another P when work has waited here for WAKE_AGE: short tasks are done sooner than anybody woken would come. The clock is
 * read when the queue becomes deep, and at every 16th task more; what waits behind a long computation, sysmon finds. */
static void wake_for_old(struct p *p) {
    struct cygrt_sched *s = &cygrt_sched;
    unsigned n = cygrt_queue_len(p);
    if (n <= WAKE_DEPTH) return;
    if (n == WAKE_DEPTH + 1) p->deep_since = cyg_now();
    if (n % 16 || atomic_load_explicit(&s->nidle, memory_order_relaxed) == 0) return;
    if (cyg_now() - p->deep_since > WAKE_AGE) cygrt_maybe_wake(p);
}

void cygrt_enqueue_on(struct p *p, struct cygrt_task *t, bool next) {
    if (CYG_UNLIKELY(!p) || cygrt_fuzz(p, 8)) {
        enqueue_global(t);
        return;
    }
    if (CYG_UNLIKELY(--p->sample_left == 0)) sample(p, t);
    if (next && !cygrt_fuzz(p, 2))
        cygrt_queue_put_next(p, t);
    else
        cygrt_queue_put(p, t);
    wake_for_old(p);
}

void cygrt_enqueue(struct cygrt_task *t, bool next) {
    struct cygrt_visit v = cygrt_visit_begin();
    cygrt_enqueue_on(v.p, t, next);
    cygrt_visit_end(v);
}

/* ---- the next one of the P's own --------------------------------------------------------------------------------- */

static CYG_COLD cyg_time clock_due(struct p *p) {
    atomic_store_explicit(&p->clock_old, 0, memory_order_relaxed);
    cyg_time now = read_clock(p);
    if (cygrt_queue_len(p) > WAKE_DEPTH && now - p->deep_since > WAKE_AGE) cygrt_maybe_wake(p);
    return now;
}

/* The clock for a dispatch. Reading it takes longer than switching, so goroutines that hand over to each other share a reading:
 * for a few dispatches, and no longer than a tick of sysmon's. */
static inline cyg_time clock_of(struct p *p) {
    bool due = --p->clock_left == 0 || atomic_load_explicit(&p->clock_old, memory_order_relaxed);
    return CYG_UNLIKELY(due) ? clock_due(p) : cygrt_p_now(p);
}

/* Who comes back from the network, or starts with what came from there, wants to know when; and nobody's clock goes back, though
 * the P that resumes a goroutine may have read its own before the one that it parked on. */
static inline bool wants_clock(struct p *p, const struct cygrt_task *t) {
    const struct g *g = (const struct g *)t;
    return cygrt_is_record(t) || g->reason == CYGRT_R_READ || g->wait_since > cygrt_p_now(p);
}

/* Something else than the P's own queue is due, or everything goes through the scheduler. */
static inline bool look_around(struct p *p, cyg_time now, uint32_t tick) {
    struct cygrt_sched *s = &cygrt_sched;
    if (CYG_UNLIKELY(now >= p->poll_due)) return true;
    if (CYG_UNLIKELY(now >= atomic_load_explicit(&p->timer_min, memory_order_relaxed))) return true;
    if (CYG_UNLIKELY(tick % CYGRT_GLOBAL_EVERY == 0) && atomic_load_explicit(&s->glen, memory_order_relaxed))
        return true;
    return CYG_UNLIKELY(atomic_load_explicit(&s->state, memory_order_relaxed) != S_RUNNING) || cygrt_fuzz(p, 4);
}

/* A chain of wake-ups has used its slice up: the others' turn. */
static CYG_COLD void end_chain(struct p *p, struct cygrt_task *t) { cygrt_queue_put(p, t); }

struct cygrt_task *cygrt_next_local(struct p *p) {
    cyg_time now = clock_of(p);
    uint32_t tick = atomic_load_explicit(&p->tick, memory_order_relaxed) + 1;
    atomic_store_explicit(&p->tick, tick, memory_order_relaxed);
    if (CYG_UNLIKELY(look_around(p, now, tick))) return NULL;
    struct cygrt_task *t = cygrt_queue_get_next(p);
    if (!t || CYG_UNLIKELY(now - p->slice_start >= CYGRT_SLICE)) {
        if (CYG_UNLIKELY(t != NULL)) end_chain(p, t);
        p->slice_start = now;
        t = cygrt_queue_get(p);
        if (CYG_UNLIKELY(!t)) return NULL;
    }
    if (wants_clock(p, t)) (void)read_clock(p);
    if (CYG_UNLIKELY(t == p->sampled)) sampled(p);
    return t;
}

/* ---- leaving a goroutine's stack ---------------------------------------------------------------------------------- */

static CYG_COLD void end_pinned(struct m *m, struct g *g) {
    g->pins = 1;
    cygrt_unpin(m, g);
    m->doomed = true;
    cygrt_g_put(m->p, g);
}

/* What is to be done with the goroutine whose stack was left a moment ago. Every call in here is its last, so it needs no frame. */
void cygrt_finish_prev(struct m *m) {
    struct g *g = m->prev;
    if (!g) return;
    m->prev = NULL;
    struct p *p = atomic_load_explicit(&m->p, memory_order_relaxed);
    switch (g->after) {
    case AFTER_EXIT:
        if (CYG_UNLIKELY(g->pins != 0))
            end_pinned(m, g);
        else
            cygrt_g_put(p, g);
        return;
    case AFTER_YIELD:
        if (CYG_LIKELY(p != NULL))
            cygrt_queue_put(p, &g->task);
        else
            enqueue_global(&g->task);
        return;
    case AFTER_TURN: {
        if (CYG_UNLIKELY(!p)) {
            enqueue_global(&g->task);
            return;
        }
        bool only = cygrt_cohort_only(p); /* not when the end of a slice has put somebody there meanwhile */
        cygrt_queue_put(p, &g->task);
        if (only) cygrt_cohort_set(p);
        return;
    }
    case AFTER_GLOBAL: enqueue_global(&g->task); return;
    default: break;
    }
    atomic_store_explicit(&g->status, G_PARKED, memory_order_relaxed);
    uint32_t waiting = W_WAITING;
    if (CYG_LIKELY(atomic_compare_exchange_strong(&g->wait, &waiting, W_PARKED))) return;
    atomic_store_explicit(&g->status, G_RUNNABLE, memory_order_relaxed); /* woken before it had left */
    cygrt_enqueue(&g->task, true);
}

/* No memory for a stack now: the record waits its turn in the global queue. */
static CYG_COLD struct g *postpone(struct cygrt_task *t) {
    cygrt_global_put(&t, 1);
    return NULL;
}

/* Settles on a task and makes it m's current goroutine, p's. NULL: it is postponed. */
static inline struct g *become(struct m *m, struct p *p, struct cygrt_task *t) {
    struct g *g = (struct g *)t;
    if (cygrt_begins(t) && CYG_UNLIKELY(!(g = cygrt_g_begin(p, t)))) return postpone(t);
    CYG_ASSERT(g->magic == CYGRT_G_MAGIC);
    CYGRT_COUNT(p->n_switch);
    atomic_store_explicit(&g->status, G_RUNNING, memory_order_relaxed);
    __atomic_store_n(&m->curg, g, __ATOMIC_RELAXED); /* sysmon looks */
    return g;
}

/* Without a guard page the last words of a stack carry a pattern. */
static CYG_COLD void check_unguarded(const struct g *g) {
    if (*(const uint64_t *)(const void *)g->lo != CYGRT_G_MAGIC)
        cyg_fatal("goroutine %llu (%s:%d) overflowed its %zu KiB stack (no guard pages: see vm.max_map_count)",
                  (unsigned long long)g->id, g->file ? g->file : "?", g->line, (size_t)(g->hi - g->lo) >> 10);
}

/* A pinned goroutine leaves its thread, which waits for it, or the next one is another thread's. What this M may not switch to, the
 * scheduler sees to; a pinned M's P will belong to another one. */
static CYG_COLD void leave_pinned(struct m *m, struct cygrt_task *t) {
    if (m->pinned_g) atomic_store(&m->parked, 1);
    if (!t) return;
    if (m->pinned_g)
        cygrt_queue_put(m->p, t);
    else
        m->found = t;
}

struct m *cygrt_leave_to(struct m *m, struct g *g, struct cygrt_task *t) {
    if (CYG_UNLIKELY(!g->guarded)) check_unguarded(g);
#ifdef CYG_CHECKED
    if (m->nheld) cygrt_check_held(m, g);
#endif
    m->prev = g;
    __atomic_store_n(&m->curg, NULL, __ATOMIC_RELAXED);
    if (CYG_UNLIKELY(m->pinned_g || (t && t->kind == CYGRT_TASK_PINNED))) {
        leave_pinned(m, t);
        t = NULL;
    }
    struct g *to = t ? become(m, atomic_load_explicit(&m->p, memory_order_relaxed), t) : NULL;
    fiber_before(m, g, to, g->after == AFTER_EXIT);
    m = cygrt_switch(&g->sp, to ? to->sp : m->g0_sp, m);
    fiber_after(m, g);
    cygrt_finish_prev(m);
    return m;
}

struct m *cygrt_leave(struct m *m, struct g *g) {
    struct p *p = atomic_load_explicit(&m->p, memory_order_relaxed);
    return cygrt_leave_to(m, g, CYG_LIKELY(p != NULL) ? cygrt_next_local(p) : NULL);
}

/* ---- looking for work ---------------------------------------------------------------------------------------------- */

static struct cygrt_task *take_local(struct p *p) {
    struct cygrt_task *t = cygrt_queue_get_next(p);
    if (t && cygrt_p_now(p) - p->slice_start >= CYGRT_SLICE) {
        cygrt_queue_put(p, t);
        t = NULL;
    }
    if (!t) {
        p->slice_start = cygrt_p_now(p);
        t = cygrt_queue_get(p);
    }
    return t;
}

/* Looks at what a P that cannot do it now should have done: its timers, its poller. */
static void help(struct p *p, struct p *other) {
    cyg_time now = cygrt_p_now(p);
    if (now >= atomic_load_explicit(&other->timer_min, memory_order_relaxed)) cygrt_timers_run(other, now);
    if (now - atomic_load_explicit(&other->last_poll, memory_order_relaxed) > 100 * CYG_MICROSECOND &&
        atomic_load_explicit(&other->npds, memory_order_relaxed))
        cygrt_poll(p, other, 0);
}

/* Takes work from other Ps, in random order; in the last of the rounds also next slots, of Ps that have been busy with one
 * goroutine for so long that they will not get to it soon, and what else such a P leaves undone. */
static struct cygrt_task *steal(struct p *p) {
    struct cygrt_sched *s = &cygrt_sched;
    for (int round = 0; round < 4; round++) {
        unsigned at = cygrt_p_random(p) % s->nprocs;
        for (unsigned i = 0; i < s->nprocs; i++, at = at + 1 == s->nprocs ? 0 : at + 1) {
            struct p *v = &s->ps[at];
            if (v == p) continue;
            struct cygrt_task *t;
            bool stuck = cygrt_p_now(p) - cygrt_p_now(v) > STUCK_AFTER;
            unsigned n = cygrt_queue_steal(p, v, round == 3 && stuck, &t);
            if (n) {
                CYGRT_PROBE3(steal, p->id, v->id, n);
                atomic_fetch_add_explicit(&p->n_steal, n, memory_order_relaxed);
                atomic_store_explicit(&p->now, cyg_now(), memory_order_relaxed); /* as cygrt_global_get does */
                return t;
            }
            if (round < 3) continue;
            help(p, v);
            if ((t = take_local(p))) return t;
        }
    }
    return NULL;
}

static bool any_work(struct p *p) {
    struct cygrt_sched *s = &cygrt_sched;
    if (atomic_load(&s->glen)) return true;
    for (unsigned i = 0; i < s->nprocs; i++) {
        struct p *v = &s->ps[i];
        if (cygrt_queue_len(v) || (v == p && atomic_load(&v->next_slot))) return true;
    }
    return false;
}

static void stop_spinning(struct m *m) {
    if (!m->spinning) return;
    m->spinning = false;
    atomic_fetch_sub(&cygrt_sched.nspinning, 1);
}

static void start_spinning(struct m *m) {
    struct cygrt_sched *s = &cygrt_sched;
    if (m->spinning) return;
    unsigned busy = s->nprocs - atomic_load_explicit(&s->nidle, memory_order_relaxed);
    if (2 * atomic_load_explicit(&s->nspinning, memory_order_relaxed) >= busy) return;
    m->spinning = true;
    CYGRT_COUNT(m->p->n_spin);
    atomic_fetch_add(&s->nspinning, 1);
}

static void set_idle(struct p *p, bool idle) {
    struct cygrt_sched *s = &cygrt_sched;
    uint64_t bit = 1ull << (p->id % 64);
    if (idle) {
        atomic_fetch_add(&s->nidle, 1);
        atomic_fetch_or(&s->idle_mask[p->id / 64], bit);
    } else {
        atomic_fetch_and(&s->idle_mask[p->id / 64], ~bit);
        atomic_fetch_sub(&s->nidle, 1);
    }
}

/* About to sleep: free stacks that ran deep give back what they hold; a few at a time, and not often. */
static void trim_some(struct p *p) {
    cyg_time now = cygrt_p_now(p);
    if (p->ndirty == 0 || now < p->trim_due) return;
    p->trim_due = now + TRIM_EVERY;
    int n = 0;
    for (struct g *g = p->gfree; g && p->ndirty && n < TRIM_BATCH; g = (struct g *)g->task.next) {
        if (!g->used) continue;
        g->used = false;
        p->ndirty--;
        cygrt_stack_trim(g);
        n++;
    }
}

/* Sleeps in the poller until an event, a timer of p or a wake-up; no longer than stacks wait to be trimmed. */
static void sleep_in_poller(struct m *m, struct p *p) {
    struct cygrt_sched *s = &cygrt_sched;
    trim_some(p);
    cyg_time timer = atomic_load_explicit(&p->timer_min, memory_order_relaxed);
    cyg_time until = p->ndirty && p->trim_due < timer ? p->trim_due : timer;
    bool alone = s->nprocs == 1; /* nobody to miss, but foreign threads: they look at p->sleep */
    atomic_store(&p->sleep_until, until);
    atomic_store(&p->sleep, P_ASLEEP);
    if (alone) {
        atomic_fetch_or(&s->idle_mask[0], 1);
    } else {
        set_idle(p, true);
        stop_spinning(m);
    }
    atomic_thread_fence(memory_order_seq_cst);
    bool work = alone ? atomic_load(&s->glen) != 0 : any_work(p);
    if (work || atomic_load(&p->timer_min) != timer || atomic_load(&s->state) != S_RUNNING) until = 0;
    CYGRT_COUNT(p->n_park);
    cygrt_poll(p, p, until);
    if (alone) {
        atomic_store_explicit(&s->idle_mask[0], 0, memory_order_relaxed);
        atomic_store(&p->sleep, P_AWAKE); /* before the look at sysmon_deep; sysmon stores that, then looks at this */
    } else {
        int was = atomic_exchange(&p->sleep, P_AWAKE);
        set_idle(p, false);
        if (was == P_NOTIFIED) start_spinning(m); /* somebody has more than it can do */
    }
    if (atomic_load_explicit(&s->sysmon_deep, memory_order_relaxed)) cygrt_sysmon_poke();
}

/* The next task for p, which m holds; sleeps until there is one. NULL: the runtime stops. */
static struct cygrt_task *find_runnable(struct m *m, struct p *p) {
    struct cygrt_sched *s = &cygrt_sched;
    for (;;) {
        if (atomic_load_explicit(&s->state, memory_order_acquire) != S_RUNNING) return NULL;
        cyg_time now = read_clock(p);
        struct cygrt_task *t = m->found;
        m->found = NULL;
        if (t) return t;
        if (now >= atomic_load_explicit(&p->timer_min, memory_order_relaxed)) cygrt_timers_run(p, now);
        if (atomic_load_explicit(&p->tick, memory_order_relaxed) % CYGRT_GLOBAL_EVERY == 0 && (t = cygrt_global_get(p)))
            return t;
        /* With nothing to run it is polled below; a pair that hands over to each other only ever fills the next slot. */
        bool busy = cygrt_queue_len(p) || atomic_load_explicit(&p->next_slot, memory_order_relaxed);
        if (now >= p->poll_due && busy) cygrt_poll(p, p, 0);
        if ((t = take_local(p)) || (t = cygrt_global_get(p))) return t;
        if (s->nprocs > 1) {
            cygrt_poll(p, p, 0);
            if ((t = take_local(p))) return t;
            start_spinning(m);
            if (m->spinning && ((t = steal(p)) || (t = take_local(p)))) return t;
        }
        sleep_in_poller(m, p);
    }
}

/* Waits, without a P, until somebody hands one over. False: the runtime stops. */
static bool wait_for_p(struct m *m) {
    struct cygrt_sched *s = &cygrt_sched;
    cyg_spin_lock(&s->lock);
    bool running = atomic_load(&s->state) == S_RUNNING;
    struct p *orphan = running ? cygrt_take_orphan() : NULL;
    if (running && !orphan) {
        atomic_store(&m->parked, 1);
        m->idle_next = s->idle_ms;
        s->idle_ms = m;
    }
    cyg_spin_unlock(&s->lock);
    if (!running) return false;
    if (orphan) {
        atomic_store(&m->p, orphan);
        return true;
    }
    while (atomic_load_explicit(&m->parked, memory_order_acquire)) cygrt_futex_wait(&m->parked, 1, -1);
    m->p = m->next_p;
    m->next_p = NULL;
    return m->p != NULL;
}

void cygrt_m_loop(struct m *m) {
    for (;;) {
        struct cygrt_task *t = (struct cygrt_task *)m->pinned_g;
        if (t ? !cygrt_pinned_wait(m) : !m->p && !wait_for_p(m)) break;
        struct p *p = m->p;
        if (atomic_load_explicit(&p->m, memory_order_relaxed) != m) atomic_store(&p->m, m);
        if (!t && !(t = find_runnable(m, p))) break;
        if (m->spinning) { /* the last spinner to find work sends the next one */
            stop_spinning(m);
            cygrt_maybe_wake(p);
        }
        if (t->kind == CYGRT_TASK_PINNED && ((struct g *)t)->pinned_m != m) {
            cygrt_pinned_run(m, (struct g *)t);
            continue;
        }
        if (CYG_UNLIKELY(t == p->sampled)) sampled(p);
        struct g *g = become(m, p, t);
        if (!g) continue;
        fiber_before(m, NULL, g, false);
        struct m *same = cygrt_switch(&m->g0_sp, g->sp, m);
        fiber_after(m, NULL);
        CYG_ASSERT(same == m); /* the scheduler's stack never leaves its thread */
        cygrt_finish_prev(m);
        if (m->doomed) {
            cygrt_m_end(m);
            return;
        }
    }
    stop_spinning(m);
}
