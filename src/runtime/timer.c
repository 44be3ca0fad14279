/* timer.c: one 4-ary heap per P, entries {when, timer} so that sifting touches no timer but to note its index. A timer's
 * `heap` is set and cleared under that P's tlock; fire runs under it, so that stop means "not running any more". */
#include "base/fatal.h"
#include "base/spin.h"
#include "runtime/sched.h"

#include <stdlib.h>

static void place(struct p *p, uint32_t i, struct cygrt_heap_entry e) {
    p->timers[i] = e;
    e.t->pos = i;
}

static void sift_up(struct p *p, uint32_t i) {
    struct cygrt_heap_entry e = p->timers[i];
    while (i > 0) {
        uint32_t up = (i - 1) / 4;
        if (p->timers[up].when <= e.when) break;
        place(p, i, p->timers[up]);
        i = up;
    }
    place(p, i, e);
}

static void sift_down(struct p *p, uint32_t i) {
    struct cygrt_heap_entry e = p->timers[i];
    for (;;) {
        uint32_t kid = i * 4 + 1, best = kid;
        if (kid >= p->ntimers) break;
        for (uint32_t k = kid + 1; k < kid + 4 && k < p->ntimers; k++)
            if (p->timers[k].when < p->timers[best].when) best = k;
        if (p->timers[best].when >= e.when) break;
        place(p, i, p->timers[best]);
        i = best;
    }
    place(p, i, e);
}

/* Statistics read the count without the lock. */
static void set_count(struct p *p, uint32_t n) { __atomic_store_n(&p->ntimers, n, __ATOMIC_RELAXED); }

static void set_min(struct p *p) { atomic_store(&p->timer_min, p->ntimers ? p->timers[0].when : INT64_MAX); }

static void insert(struct p *p, struct cygrt_timer *t, cyg_time when) {
    if (p->ntimers == p->cap_timers) {
        uint32_t cap = p->cap_timers ? p->cap_timers * 2 : 64;
        struct cygrt_heap_entry *bigger = realloc(p->timers, cap * sizeof *bigger);
        if (!bigger) cyg_fatal("out of memory for %u timers", cap);
        p->timers = bigger;
        p->cap_timers = cap;
    }
    t->when = when;
    p->timers[p->ntimers] = (struct cygrt_heap_entry){when, t};
    set_count(p, p->ntimers + 1);
    sift_up(p, p->ntimers - 1);
}

static void removed(struct p *p, uint32_t i) {
    set_count(p, p->ntimers - 1);
    struct cygrt_heap_entry last = p->timers[p->ntimers];
    if (i == p->ntimers) return;
    p->timers[i] = last;
    sift_down(p, i);
    sift_up(p, last.t->pos);
}

/* Locks the heap that t is in; NULL: in none. */
static struct p *lock_heap_of(struct cygrt_timer *t) {
    for (;;) {
        struct p *p = atomic_load_explicit(&t->heap, memory_order_acquire);
        if (!p) return NULL;
        cyg_spin_lock(&p->tlock);
        if (atomic_load_explicit(&t->heap, memory_order_relaxed) == p) return p;
        cyg_spin_unlock(&p->tlock);
    }
}

/* A P that sleeps must hear of a timer earlier than the one it sleeps for. */
static void tell_sleeper(struct p *p, cyg_time when) {
    if (atomic_load(&p->sleep) == P_ASLEEP && when < atomic_load(&p->sleep_until)) cygrt_wake_p(p);
}

void cygrt_timer_arm(struct cygrt_timer *t, cyg_time when) {
    if (when <= 0) when = 1;
    struct p *p = lock_heap_of(t);
    for (struct p *none = NULL; !p; none = NULL) {
        struct m *m = cygrt_m();
        struct p *mine = m && m->p ? m->p : &cygrt_sched.ps[0];
        cyg_spin_lock(&mine->tlock);
        if (atomic_compare_exchange_strong(&t->heap, &none, mine)) {
            insert(p = mine, t, when);
        } else { /* somebody else has armed it meanwhile, perhaps on another P: move it there */
            cyg_spin_unlock(&mine->tlock);
            p = lock_heap_of(t);
        }
    }
    t->when = p->timers[t->pos].when = when;
    sift_down(p, t->pos);
    sift_up(p, t->pos);
    set_min(p);
    cyg_spin_unlock(&p->tlock);
    tell_sleeper(p, when);
}

bool cygrt_timer_stop(struct cygrt_timer *t) {
    struct p *p = lock_heap_of(t);
    if (!p) return false;
    removed(p, t->pos);
    atomic_store_explicit(&t->heap, NULL, memory_order_release);
    set_min(p);
    cyg_spin_unlock(&p->tlock);
    return true;
}

void cygrt_timers_run(struct p *p, cyg_time now) {
    for (;;) {
        cyg_spin_lock(&p->tlock);
        if (p->ntimers == 0 || p->timers[0].when > now) {
            cyg_spin_unlock(&p->tlock);
            return;
        }
        struct cygrt_timer *t = p->timers[0].t;
        cyg_time again = t->fire(t, now);
        if (again) {
            t->when = p->timers[0].when = again;
            sift_down(p, 0);
        } else {
            removed(p, 0);
            atomic_store_explicit(&t->heap, NULL, memory_order_release);
        }
        set_min(p);
        cyg_spin_unlock(&p->tlock);
    }
}

/* ---- cyg_after_func -------------------------------------------------------------------------------------------------- */

struct cyg_timer {
    struct cygrt_timer t;
    struct cygrt_record rec; /* queued when it fires */
    _Atomic uint32_t refs;   /* the caller's, and one while armed or queued */
    uint32_t lock;           /* serialises stop and reset against firing */
    bool queued;             /* rec stands in a queue; guarded by lock */
    bool again;              /* reset while queued: arm when it runs; guarded by lock */
    cyg_time again_at;
    void (*fn)(void *);
    void *arg;
};

static void timer_unref(struct cyg_timer *t) {
    if (atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1) free(t);
}

static void timer_goroutine(void *arg, int why) {
    (void)why;
    struct cyg_timer *t = arg;
    void (*fn)(void *) = t->fn;
    void *fn_arg = t->arg;
    (void)cygrt_timer_stop(&t->t); /* waits until whoever fired it has let it go: it may be freed below */
    cyg_spin_lock(&t->lock);
    t->queued = false;
    bool again = t->again;
    cyg_time at = t->again_at;
    t->again = false;
    if (again) cygrt_timer_arm(&t->t, at); /* the reference goes on to the next firing */
    cyg_spin_unlock(&t->lock);
    if (!again) timer_unref(t);
    fn(fn_arg);
}

/* Under the heap's lock: the record may only be queued once at a time, which `queued` ensures. */
static cyg_time fire_func(struct cygrt_timer *ct, cyg_time now) {
    (void)now;
    struct cyg_timer *t = (struct cyg_timer *)ct;
    t->queued = true;
    t->rec = (struct cygrt_record){.task = {.kind = CYGRT_TASK_RECORD}, .fn = timer_goroutine, .arg = t};
    cygrt_enqueue(&t->rec.task, false);
    return 0;
}

int cyg_after_func(cyg_duration d, void (*fn)(void *), void *arg, cyg_timer **out) {
    if (atomic_load_explicit(&cygrt_sched.state, memory_order_acquire) != S_RUNNING) return CYG_ESTATE;
    struct cyg_timer *t = calloc(1, sizeof *t);
    if (!t) return CYG_ENOMEM;
    t->t.fire = fire_func;
    t->fn = fn;
    t->arg = arg;
    atomic_store(&t->refs, 2);
    *out = t; /* before it can fire: fn may want to reset it */
    cygrt_timer_arm(&t->t, cygrt_from_now(d));
    return 0;
}

bool cyg_timer_stop(cyg_timer *t) {
    cyg_spin_lock(&t->lock);
    bool was = cygrt_timer_stop(&t->t);
    if (t->again) was = true;
    bool drop = was && !t->again;
    t->again = false;
    cyg_spin_unlock(&t->lock);
    if (drop) timer_unref(t);
    return was;
}

bool cyg_timer_reset(cyg_timer *t, cyg_duration d) {
    cyg_time at = cygrt_from_now(d);
    cyg_spin_lock(&t->lock);
    bool was = cygrt_timer_stop(&t->t) || t->again;
    if (t->queued) {
        t->again = true;
        t->again_at = at;
    } else {
        if (!was) atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
        cygrt_timer_arm(&t->t, at);
    }
    cyg_spin_unlock(&t->lock);
    return was;
}

void cyg_timer_release(cyg_timer *t) {
    if (t) timer_unref(t);
}
