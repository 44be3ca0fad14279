/* after.c: cyg_after_func and what it returns: lazy timers. Stopping one is an exchange of its word of state; what stands in a heap
 * (timer_heap.h) stays there, dead, until its time or the next sweep. Programs arm a timeout for almost everything and stop almost
 * all of them, so stopping must not cost what taking out of a heap of a million costs.
 *
 * The state, one atomic word:
 *   POOL_FREE  in no use: it stands in a stack of free ones or of those that were released with entries (after_pool.h)
 *   ARMED      it will fire
 *   QUEUED     it has fired and its body stands in a run queue, until cygrt_timer_goroutine runs
 *   AGAIN      reset while QUEUED: cygrt_timer_goroutine arms it
 *   HELD       the caller's reference
 *   CURRENT    the heap has an entry at body->entry_when that counts; other entries of it are dead
 *   ENTRY      the heap has an entry
 *   MORE       the heap has several; body->task.own says how many
 *   P          whose heap has its entries; settled while there are entries or it is QUEUED
 * It is freed by whoever makes POOL_FREE, HELD, QUEUED and ENTRY all none.
 *
 * Who changes what: the lock of P's heap guards the body (but for the task while QUEUED) and the state, with two exceptions:
 * without any lock stop takes ARMED and AGAIN away, and release HELD, for POOL_FREE if it is sent to the P. So under the lock a timer
 * may die at any time but not come to life, and each change is a compare-and-swap: the one that takes ARMED, stop's or firing's, has
 * won. Under its P's lock a timer that is POOL_FREE is changed by nobody else.
 *
 * Reset to a later time only stores the time: the entry comes to the top early and moves. Reset to an earlier one adds an entry.
 * A timer that is released stopped keeps its entries, and one that is added on its P later is this one, reset.
 */
#include "base/fatal.h"
#include "base/spin.h"
#include "runtime/after_pool.h"
#include "runtime/timer_heap.h"

#include <stdlib.h>

#define ARMED (1u << 1)
#define QUEUED (1u << 2)
#define AGAIN (1u << 3)
#define HELD (1u << 4)
#define CURRENT (1u << 5)
#define ENTRY (1u << 6)
#define MORE (1u << 7)
#define P_SHIFT 8
#define P_MASK (0xffu << P_SHIFT)
_Static_assert(CYGRT_MAX_PROCS <= 256, "a P's number does not fit");

#define SWEEP_AHEAD 16
#define SWEEP_FEW 64

static uint32_t p_bits(const struct p *p) { return p->id << P_SHIFT; }
static struct p *p_of(uint32_t s) { return &cygrt_sched.ps[(s & P_MASK) >> P_SHIFT]; }

/* Acquire and release: who frees a timer comes after whoever has dropped the last but one of HELD, QUEUED and ENTRY. */
typedef uint16_t word;
static word get(struct cyg_timer *t) { return atomic_load_explicit(&t->state, memory_order_acquire); }
static bool change(struct cyg_timer *t, word *from, word to) {
    return atomic_compare_exchange_weak_explicit(&t->state, from, to, memory_order_acq_rel, memory_order_acquire);
}

static void need_live(uint32_t s) {
    if (CYG_UNLIKELY((s & POOL_FREE) != 0))
        cyg_fatal("a timer was used after it was released and had fired or been stopped");
}

/* ---- counting ---------------------------------------------------------------------------------------------------------- */

static void count_stopped(void) {
    struct cygrt_visit v = cygrt_visit_begin();
    if (v.p)
        atomic_store_explicit(&v.p->n_stopped, atomic_load_explicit(&v.p->n_stopped, memory_order_relaxed) + 1,
                              memory_order_release);
    else
        atomic_fetch_add_explicit(&cygrt_sched.n_stopped, 1, memory_order_release);
    cygrt_visit_end(v);
}

/* Stops before arms: the difference is never negative. */
uint64_t cygrt_timers_pending(void) {
    struct cygrt_sched *s = &cygrt_sched;
    int64_t n = -(int64_t)atomic_load_explicit(&s->n_stopped, memory_order_acquire);
    for (unsigned i = 0; i < s->nprocs; i++)
        n -= (int64_t)atomic_load_explicit(&s->ps[i].n_stopped, memory_order_acquire);
    for (unsigned i = 0; i < s->nprocs; i++) n += __atomic_load_n(&s->ps[i].pending, __ATOMIC_RELAXED);
    return n > 0 ? (uint64_t)n : 0;
}

/* Of all Ps: who stops a timer counts it on the P where it is, not where the entry is, which might be in use there. */
static bool mostly_dead(void) {
    uint64_t entries = 0;
    for (unsigned i = 0; i < cygrt_sched.nprocs; i++)
        entries += __atomic_load_n(&cygrt_sched.ps[i].ntimers, __ATOMIC_RELAXED);
    return entries > 2 * cygrt_timers_pending() + SWEEP_FEW;
}

/* ---- entries ----------------------------------------------------------------------------------------------------------- */

static bool is_current(uint32_t s, const struct after_body *b, cyg_time when) {
    return (s & CURRENT) && (!(s & MORE) || b->entry_when == when);
}

/* The state s with one entry more, which counts. */
static word with_entry(word s) { return s | CURRENT | ENTRY | (s & ENTRY ? MORE : 0); }

/* Notes in the body that with_entry(s) has become the state; the caller adds the entry. */
static void note_entry(struct after_body *b, word s, cyg_time when) {
    b->task.own = s & ENTRY ? b->task.own + 1 : 1;
    b->entry_when = when;
}

/* The bits to take away with one of a timer's entries; has_gone counts it. */
static word bits_of_entry(word s, const struct after_body *b) {
    if (!(s & MORE)) return ENTRY;
    return b->task.own == 2 ? MORE : 0;
}
static void has_gone(word s, struct after_body *b) {
    if (s & MORE) b->task.own--; /* else the body is not worth a cache miss */
}

/* One of t's entries, at `when`, has been taken out of p's heap without having fired. */
static void forget_entry(struct p *p, struct cyg_timer *t, cyg_time when) {
    struct after_body *b = after_body(t);
    word s = get(t), to, gone = bits_of_entry(s, b) | (is_current(s, b, when) ? CURRENT : 0);
    has_gone(s, b);
    do {
        to = s & ~gone;
        if (!(to & (POOL_FREE | ENTRY | HELD | QUEUED))) { /* nobody else knows it any more */
            after_free(p, t);
            return;
        }
    } while (!change(t, &s, to));
}

/* Takes the dead entries out in one pass, then makes a heap of what is left. Returns whether it was worth it. */
static bool sweep(struct p *p) {
    struct cygrt_heap_entry *e = p->timers;
    uint32_t n = p->ntimers, kept = 0;
    after_unpack(p);
    for (uint32_t i = 0; i < n; i++) {
        if (i + SWEEP_AHEAD < n) __builtin_prefetch((void *)(e[i + SWEEP_AHEAD].ref & ~HEAP_TRACKED), 1);
        if (!heap_tracked(e[i].ref)) {
            struct cyg_timer *t = (struct cyg_timer *)e[i].ref;
            word s = get(t);
            if (!(s & ARMED) || !is_current(s, after_body(t), e[i].when)) {
                forget_entry(p, t, e[i].when);
                continue;
            }
        }
        heap_place(p, kept++, e[i]);
    }
    heap_set_len(p, kept);
    after_swept(p);
    for (uint32_t i = (kept + 2) / 4; i-- > 0;) heap_down(p, i); /* all that have kids, from the last */
    return n - kept > n / 4;
}

/* Called seldom enough that looking pays (sweep_wait): a sweep of n entries comes at the earliest n/8 insertions after the last
 * look, or n/2 if that has found little. The dead ones may stand in other Ps' heaps. */
static void look_for_dead(struct p *p) {
    struct cygrt_sched *s = &cygrt_sched;
    uint64_t seen = p->ntimers;
    bool own = !mostly_dead() || sweep(p), useful = own;
    for (unsigned i = 0; i < s->nprocs && !useful; i++) {
        struct p *v = &s->ps[i];
        if (v == p) continue;
        if ((useful = !cyg_spin_trylock(&v->tlock))) break; /* try: its owner may be doing the same to us */
        seen += v->ntimers;
        useful = sweep(v);
        (void)heap_set_min(v);
        cyg_spin_unlock(&v->tlock);
    }
    uint32_t wait = own ? p->ntimers / 8 : (uint32_t)(seen / 2);
    p->sweep_wait = wait > CYGRT_SWEEP_MIN ? wait : CYGRT_SWEEP_MIN;
    p->sweep_useless = !useful;
}

static void count_added(struct p *p) {
    if (CYG_UNLIKELY(--p->sweep_wait == 0)) look_for_dead(p);
}

static void add_entry(struct p *p, struct cyg_timer *t, cyg_time when) {
    heap_push(p, (struct cygrt_heap_entry){when, (uintptr_t)t});
    count_added(p);
}

/* ---- firing ------------------------------------------------------------------------------------------------------------ */

void after_due(struct p *p, cyg_time now) {
    struct cygrt_heap_entry e = p->timers[0];
    struct cyg_timer *t = (struct cyg_timer *)e.ref;
    struct after_body *b = after_body(t);
    word s = get(t);
    do {
        if (!(s & ARMED) || !is_current(s, b, e.when)) {
            heap_remove(p, 0);
            forget_entry(p, t, e.when);
            /* An idle P is not to wake for each of many dead ones. */
            if (!p->sweep_useless && mostly_dead()) look_for_dead(p);
            return;
        }
        if (b->when > now) { /* was reset to later */
            p->timers[0].when = b->entry_when = b->when;
            heap_down(p, 0);
            return;
        }
    } while (!change(t, &s, (s & ~(ARMED | CURRENT | bits_of_entry(s, b))) | QUEUED));
    has_gone(s, b);
    heap_remove(p, 0);
    heap_pending(p, -1);
    b->task.kind = CYGRT_TASK_TIMER;
    cygrt_enqueue(&b->task, false);
}

void cygrt_timer_goroutine(void *arg, int why) {
    (void)why;
    struct after_body *b = arg;
    struct cyg_timer *t = after_timer(b);
    void (*fn)(void *) = b->fn;
    void *fn_arg = b->arg;
    word s = get(t), to;
    struct p *p = p_of(s);
    cyg_time when = 0;
    bool first = false;
    cyg_spin_lock(&p->tlock);
    do {
        to = s & ~(QUEUED | AGAIN);
        if (s & AGAIN) to = with_entry(to | ARMED);
    } while ((to & (HELD | ENTRY)) && !change(t, &s, to));
    if (s & AGAIN) { /* it has been reset meanwhile */
        when = b->when;
        note_entry(b, s, when);
        heap_pending(p, 1);
        add_entry(p, t, when);
        first = heap_set_min(p);
    } else if (!(to & (HELD | ENTRY))) {
        after_free(p, t);
    }
    cyg_spin_unlock(&p->tlock);
    if (first) heap_tell_sleeper(p, when);
    fn(fn_arg);
}

/* ---- the public side ------------------------------------------------------------------------------------------------- */

int cyg_after_func(cyg_duration d, void (*fn)(void *), void *arg, cyg_timer **out) {
    if (atomic_load_explicit(&cygrt_sched.state, memory_order_acquire) != S_RUNNING) return CYG_ESTATE;
    struct p *p = heap_near();
    cyg_spin_lock(&p->tlock);
    struct cyg_timer *t = after_alloc(p);
    if (!t) {
        cyg_spin_unlock(&p->tlock);
        return CYG_ENOMEM;
    }
    cyg_time when = cygrt_arm_at(&p->arm_clock, d);
    struct after_body *b = after_body(t);
    word s = get(t), to = (s & (CURRENT | ENTRY | MORE)) | ARMED | HELD | p_bits(p);
    bool there = (s & CURRENT) && b->entry_when <= when; /* stopped and released lately: its entry will do */
    b->fn = fn;
    b->arg = arg;
    b->when = when;
    if (!there) {
        note_entry(b, s, when);
        to = with_entry(to);
    }
    atomic_store_explicit(&t->state, to, memory_order_release);
    *out = t; /* before it can fire: fn may want to reset it */
    heap_pending(p, 1);
    if (there)
        count_added(p);
    else
        add_entry(p, t, when);
    bool first = heap_set_min(p);
    cyg_spin_unlock(&p->tlock);
    if (first) heap_tell_sleeper(p, when);
    return 0;
}

/* Nearly always it is armed. Then nothing is read first: a word that another CPU had last would have to come once to be read and
 * once more to be written. */
bool cyg_timer_stop(cyg_timer *t) {
    if (CYG_LIKELY(atomic_fetch_and_explicit(&t->state, (word)~ARMED, memory_order_acq_rel) & ARMED)) {
        count_stopped();
        return true;
    }
    word s = get(t);
    do {
        need_live(s);
        if (!(s & (ARMED | AGAIN))) return false;
    } while (!change(t, &s, s & ~(ARMED | AGAIN)));
    if (s & ARMED) count_stopped();
    return true;
}

/* Under p's lock. False: its entries stand in another heap; else *was is the state before. */
static bool reset_locked(struct p *p, struct cyg_timer *t, cyg_time when, word *was) {
    struct after_body *b = after_body(t);
    word s = get(t), to;
    bool moved = false;
    do {
        need_live(s);
        if ((s & (ENTRY | QUEUED)) && (s & P_MASK) != p_bits(p)) return false;
        moved = (s & QUEUED) || ((s & CURRENT) && b->entry_when <= when);
        if (moved)
            to = s | (s & QUEUED ? AGAIN : ARMED);
        else
            to = with_entry((s & ~P_MASK) | p_bits(p) | ARMED);
    } while (!change(t, &s, to));
    b->when = when;
    if (!(s & (QUEUED | ARMED))) heap_pending(p, 1);
    if (!moved) {
        note_entry(b, s, when);
        add_entry(p, t, when);
    }
    *was = s;
    return true;
}

bool cyg_timer_reset(cyg_timer *t, cyg_duration d) {
    if (atomic_load_explicit(&cygrt_sched.state, memory_order_acquire) == S_OFF) return false;
    for (;;) {
        word s = get(t);
        struct p *p = s & (ENTRY | QUEUED) ? p_of(s) : heap_near();
        cyg_spin_lock(&p->tlock);
        cyg_time when = cygrt_arm_at(&p->arm_clock, d);
        bool done = reset_locked(p, t, when, &s), first = heap_set_min(p);
        cyg_spin_unlock(&p->tlock);
        if (first) heap_tell_sleeper(p, when);
        if (done) return s & (ARMED | AGAIN);
    }
}

enum {
    ALL_LIFE = ARMED | QUEUED | AGAIN | HELD | ENTRY,
    STOPPED_WITH_ENTRY = HELD | ENTRY,
    OF_ENTRIES = CURRENT | ENTRY | MORE | P_MASK
};

/* Without the lock of the heap that has t's entries: a sweep there may take them out meanwhile. */
static bool send(struct p *p, struct cyg_timer *t, word s) {
    struct p *to = p_of(s);
    if (!after_may_send(p, to)) return false;
    do {
        if ((s & ALL_LIFE) != STOPPED_WITH_ENTRY) return false;
    } while (!change(t, &s, POOL_FREE | (s & OF_ENTRIES)));
    after_send(p, to, t);
    return true;
}

/* Most timers are released stopped, with an entry: the next that is added on the P where they were will do with it. Without waiting: a
 * sweep holds the lock for long. */
static bool keep(struct cyg_timer *t, word s) {
    if ((s & ALL_LIFE) != STOPPED_WITH_ENTRY) return false;
    struct m *m = cygrt_m();
    struct p *p = m ? atomic_load_explicit(&m->p, memory_order_relaxed) : NULL;
    if (!p) return false;
    bool kept;
    if (p_of(s) != p) {
        struct cygrt_visit v = cygrt_visit_begin(); /* the parcels are the owner's */
        kept = v.p && v.p != p_of(s) && send(v.p, t, s);
        cygrt_visit_end(v);
    } else {
        if (!cyg_spin_trylock(&p->tlock)) return false;
        s = get(t);
        kept = (s & ALL_LIFE) == STOPPED_WITH_ENTRY && after_keep(p, t, s & OF_ENTRIES);
        cyg_spin_unlock(&p->tlock);
    }
    return kept;
}

void cyg_timer_release(cyg_timer *t) {
    if (!t) return;
    word s = get(t), to;
    need_live(s);
    if (keep(t, s)) return;
    do {
        need_live(s);
        to = s & ~HELD;
        if (!(to & (ENTRY | QUEUED))) {
            after_free_unlocked(t);
            return;
        }
    } while (!change(t, &s, to));
}

/* ---- for reports ------------------------------------------------------------------------------------------------------- */

static bool armed_entry(const struct cygrt_heap_entry *e, struct cyg_timer *t) {
    word s = get(t);
    return (s & ARMED) && is_current(s, after_body(t), e->when);
}

static void count_kind(struct cygrt_timer_kinds *k, const struct after_body *b) {
    unsigned i = 0;
    while (i < k->n && k->kind[i].fn != (const void *)b->fn) i++;
    if (i == CYGRT_TIMER_KINDS) return;
    if (i == k->n) k->kind[k->n++] = (struct cygrt_timer_kind){(const void *)b->fn, 0, b->when, b->when};
    struct cygrt_timer_kind *x = &k->kind[i];
    x->count++;
    if (b->when < x->first) x->first = b->when;
    if (b->when > x->last) x->last = b->when;
}

void cygrt_timers_by_kind(struct cygrt_timer_kinds *k) {
    *k = (struct cygrt_timer_kinds){0};
    for (unsigned i = 0; i < cygrt_sched.nprocs; i++) {
        struct p *p = &cygrt_sched.ps[i];
        cyg_spin_lock(&p->tlock);
        for (uint32_t e = 0; e < p->ntimers; e++) {
            const struct cygrt_heap_entry *entry = &p->timers[e];
            struct cyg_timer *t = (struct cyg_timer *)entry->ref;
            if (heap_tracked(entry->ref))
                k->waits++;
            else if (armed_entry(entry, t))
                count_kind(k, after_body(t));
        }
        cyg_spin_unlock(&p->tlock);
    }
}

void cygrt_after_close(void) { after_drop_all(HELD); }
