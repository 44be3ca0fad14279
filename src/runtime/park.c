/* park.c: how goroutines wait and are woken. g->wait settles who enqueues g: WAITING means its stack is still in use, so a
 * waker only marks it WOKEN and whoever leaves the stack puts it back; PARKED means the waker enqueues it. */
#include "base/fatal.h"
#include "runtime/cohort.h"
#include "runtime/fuzz.h"
#include "runtime/probes.h"
#include "runtime/sched.h"

/* Not a look and then a compare-and-swap: who wakes has stored something that g looks at after it has set WAITING. A look could overtake
 * that store, find g not yet waiting, and leave it asleep. */
static bool unpark(struct g *g, bool next) {
    uint32_t s = W_PARKED;
    while (!atomic_compare_exchange_strong(&g->wait, &s, W_WOKEN))
        if (s != W_WAITING && s != W_PARKED) return false;
    if (s == W_PARKED) {
        CYGRT_PROBE1(ready, g->id);
        atomic_store_explicit(&g->status, G_RUNNABLE, memory_order_relaxed);
        cygrt_enqueue(&g->task, next);
    }
    return true;
}

void cygrt_park_on(struct m *m, struct g *g, enum cygrt_reason reason, const void *obj) {
    if (CYG_LIKELY(atomic_load_explicit(&g->wait, memory_order_acquire) != W_WOKEN)) {
        g->reason = (uint8_t)reason;
        g->wait_obj = obj;
        g->after = AFTER_PARK;
        CYGRT_PROBE3(park, g->id, reason, obj);
        struct p *p = cygrt_enter(m);
        g->wait_since = CYG_LIKELY(p != NULL) ? cygrt_p_now(p) : cyg_now();
        if (cygrt_fuzz(p, 16)) (void)unpark(g, false); /* for no reason */
        m = cygrt_leave(m, g);
        g->reason = CYGRT_R_NONE;
        cygrt_exit(m);
    }
    atomic_store_explicit(&g->wait, W_IDLE, memory_order_relaxed);
}

void cygrt_park(struct g *g, enum cygrt_reason reason, const void *obj) { cygrt_park_on(cygrt_m(), g, reason, obj); }

struct wake_timer {
    struct cygrt_timer t;
    struct g *g;
};

static cyg_time fire_wake(struct cygrt_timer *t, cyg_time now) {
    (void)now;
    cygrt_unpark_tail(((struct wake_timer *)t)->g); /* in the order in which they were due */
    return 0;
}

void cygrt_park_until(struct g *g, enum cygrt_reason reason, const void *obj, cyg_time deadline) {
    if (!deadline) {
        cygrt_park(g, reason, obj);
        return;
    }
    struct wake_timer w = {.t = {.fire = fire_wake}, .g = g};
    cygrt_timer_arm(&w.t, deadline);
    cygrt_park(g, reason, obj);
    cygrt_timer_stop(&w.t);
}

bool cygrt_unpark(struct g *g) { return unpark(g, true); }
bool cygrt_unpark_tail(struct g *g) { return unpark(g, false); }

int cyg_sleep(cyg_duration d) {
    struct g *g = cygrt_g();
    if (!g) cyg_fatal("cyg_sleep outside a goroutine");
    if (d <= 0) {
        cyg_yield();
        return cygrt_ctx_err(g);
    }
    cyg_time until = cygrt_from_now(d);
    for (int err; !(err = cygrt_ctx_err(g));) {
        cygrt_prepare(g);
        if ((err = cygrt_ctx_err(g))) {
            cygrt_cancel_prepare(g);
            return err;
        }
        cygrt_park_until(g, CYGRT_R_SLEEP, NULL, until);
        if (cyg_now_cached() >= until || cyg_now() >= until) return 0;
    }
    return cygrt_ctx_err(g);
}

/* The caller has entered the runtime. */
static inline __attribute__((always_inline)) void yield(struct m *m, struct g *g, uint8_t after) {
    atomic_store_explicit(&g->status, G_RUNNABLE, memory_order_relaxed);
    g->reason = CYGRT_R_YIELD;
    g->after = after;
    m = cygrt_leave(m, g);
    g->reason = CYGRT_R_NONE;
    cygrt_exit(m);
}

/* Whether the steps since the last poll were short; the first, which nobody had to wait for, is not counted. */
static inline bool short_steps(const struct p *p) {
    uint32_t steps = atomic_load_explicit(&p->tick, memory_order_relaxed) - p->polled_tick;
    return cyg_now() - p->polled_at <= (cyg_duration)steps * CYGRT_SHORT_STEP;
}

void cygrt_turn(struct m *m, bool if_short) {
    struct g *g = m->curg;
    if (!g || g->pins) return;
    struct p *p = cygrt_enter(m);
    if (!p || (if_short && !short_steps(p))) {
        cygrt_exit(m);
        return;
    }
    CYGRT_COUNT(p->n_turn);
    yield(m, g, AFTER_TURN);
}

void cyg_yield(void) {
    struct m *m = cygrt_m();
    struct g *g = m ? m->curg : NULL;
    if (!g) {
        sched_yield();
        return;
    }
    (void)cygrt_enter(m);
    yield(m, g, AFTER_YIELD);
}
