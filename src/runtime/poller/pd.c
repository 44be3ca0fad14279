/* pd.c: the slots of a descriptor: who waits, who wakes, deadlines and close. Sequentially consistent throughout: each side
 * publishes itself, then looks at what the other publishes. */
#include "runtime/poller/poller.h"

#include "base/fatal.h"

static CYG_COLD void count_without_p(enum cygrt_record_fate fate) {
    atomic_fetch_add_explicit(&cygrt_sched.n_records[fate], 1, memory_order_relaxed);
}

/* p: the caller's, who is inside; NULL: without one. */
static inline void count(struct p *p, enum cygrt_record_fate fate) {
    if (CYG_LIKELY(p != NULL))
        CYGRT_COUNT(p->n_records[fate]);
    else
        count_without_p(fate);
}

/* The same for user code. Not inline: a request leaves and takes three. */
static __attribute__((noinline)) void enter_and_count(enum cygrt_record_fate fate) {
    struct m *m = cygrt_m();
    if (CYG_UNLIKELY(!m)) {
        count_without_p(fate);
        return;
    }
    CYG_ASSERT(!cygrt_inside(m));
    count(cygrt_enter(m), fate);
    cygrt_exit(m);
}

/* Nobody starts the record any more; its owner has its deadline again. */
static void take_back(struct cygrt_pd *pd) {
    atomic_store_explicit(&pd->deadline[CYGRT_READ], pd->kept_deadline, memory_order_relaxed);
    enter_and_count(CYGRT_TAKEN);
}

static void start_record(struct cygrt_pd *pd, int why) {
    pd->record.why = why;
    atomic_store_explicit(&pd->deadline[CYGRT_READ], pd->kept_deadline, memory_order_relaxed);
    struct cygrt_visit v = cygrt_visit_begin();
    count(v.p, CYGRT_TAKEN);
    cygrt_enqueue_on(v.p, &pd->record.task, false);
    cygrt_visit_end(v);
}

/* Takes whoever waits in a slot and wakes it. An event that finds nobody stays as READY; a deadline or close does not. */
static __attribute__((noinline)) void wake_slot(struct cygrt_pd *pd, enum cygrt_mode mode, bool event, int why) {
    uintptr_t v = atomic_load(&pd->slot[mode]);
    for (;;) {
        if (v == CYGRT_PD_READY || (v == CYGRT_PD_NIL && !event)) return;
        uintptr_t to = v == CYGRT_PD_NIL ? CYGRT_PD_READY : CYGRT_PD_NIL;
        if (atomic_compare_exchange_weak(&pd->slot[mode], &v, to)) break;
    }
    if (v == CYGRT_PD_NIL) return;
    if (v & CYGRT_PD_RECORD)
        start_record(pd, why);
    else
        cygrt_unpark_tail((struct g *)v);
}

void cygrt_pd_ready(struct cygrt_pd *pd, bool in, bool out, bool end) {
    if (end) atomic_store(&pd->ended, 1);
    if (in || end) {
        atomic_fetch_add_explicit(&pd->read_events, 1, memory_order_release);
        wake_slot(pd, CYGRT_READ, true, 0);
    }
    /* Nearly every event says that there is room, which is seldom news. */
    if ((out || end) && atomic_load(&pd->slot[CYGRT_WRITE]) != CYGRT_PD_READY) wake_slot(pd, CYGRT_WRITE, true, 0);
}

/* A deadline's timer. It may be early, because deadlines that move later do not move it: then it goes to where they are.
 * `armed` says when it fires at the latest. Here it is taken back before the deadline is read; ensure_timer() reads it after
 * the deadline is stored: one of the two sees the other. */
static cyg_time fire(struct cygrt_timer *t, cyg_time now) {
    struct cygrt_pd_timer *pt = (struct cygrt_pd_timer *)t;
    _Atomic int64_t *armed = &pt->pd->armed[pt->mode];
    atomic_store(armed, INT64_MAX);
    cyg_time d = atomic_load(&pt->pd->deadline[pt->mode]);
    if (d == 0) return 0;
    if (now < d) {
        atomic_store(armed, d);
        return d;
    }
    wake_slot(pt->pd, pt->mode, false, CYG_ETIMEDOUT);
    return 0;
}

static CYG_COLD void move_timer(struct cygrt_pd *pd, enum cygrt_mode mode) {
    for (;;) {
        cyg_time d = atomic_load(&pd->deadline[mode]);
        if (d == 0 || atomic_load(&pd->armed[mode]) <= d) return;
        atomic_store(&pd->armed[mode], d);
        cygrt_timer_arm(&pd->timer[mode].t, d);
        if (atomic_load(&pd->deadline[mode]) == d)
            return; /* else somebody else has set it: the timer must not be later */
        atomic_store(&pd->armed[mode], INT64_MAX);
    }
}

static inline void ensure_timer(struct cygrt_pd *pd, enum cygrt_mode mode) {
    cyg_time d = atomic_load(&pd->deadline[mode]);
    if (d != 0 && CYG_UNLIKELY(atomic_load(&pd->armed[mode]) > d)) move_timer(pd, mode);
}

void cygrt_pd_set_deadline(struct cygrt_pd *pd, enum cygrt_mode mode, cyg_time t) {
    if (atomic_load_explicit(&pd->deadline[mode], memory_order_relaxed) == t) return;
    atomic_store(&pd->deadline[mode], t);
    uintptr_t v = atomic_load(&pd->slot[mode]);
    if (v != CYGRT_PD_NIL && v != CYGRT_PD_READY) ensure_timer(pd, mode); /* else the next wait arms it */
}

/* Whoever waits stands in the slot before it looks at `unwatched`; unwatch looks at the slot after it has told the kernel. So
 * the last word the kernel hears is rearm if anybody waits. */
static CYG_COLD void watch_again(struct cygrt_pd *pd) {
    if (atomic_exchange(&pd->unwatched, 0)) cygrt_poller_rearm(pd->home, pd);
}
static inline void watch(struct cygrt_pd *pd) {
    if (CYG_UNLIKELY(atomic_load(&pd->unwatched))) watch_again(pd);
}

void cygrt_pd_unwatch(struct cygrt_pd *pd) {
    if (!pd->home || atomic_exchange(&pd->unwatched, 1)) return;
    atomic_fetch_add(&pd->read_events, 1); /* what a read knew of an empty socket holds no longer */
    cygrt_poller_unwatch(pd->home, pd);
    uintptr_t v = atomic_load(&pd->slot[CYGRT_READ]);
    if ((v != CYGRT_PD_NIL && v != CYGRT_PD_READY) || !atomic_load(&pd->unwatched)) {
        atomic_store(&pd->unwatched, 0);
        cygrt_poller_rearm(pd->home, pd);
    }
}

static CYG_COLD int check_by_clock(cyg_time d) { return d && cyg_now() >= d ? CYG_ETIMEDOUT : 0; }

/* Time is by the P's clock, unless a tick has passed since it was read: a goroutine that always finds bytes never comes to a
 * dispatch. Not inline: a request asks six times. */
__attribute__((noinline)) int cygrt_pd_check(const struct cygrt_pd *pd, enum cygrt_mode mode) {
    if (CYG_UNLIKELY(atomic_load(&pd->closing))) return CYG_ECLOSED;
    struct m *m = cygrt_m();
    const struct g *g = CYG_LIKELY(m != NULL) ? m->curg : NULL;
    cyg_time d = atomic_load_explicit(&pd->deadline[mode], memory_order_relaxed);
    if (CYG_UNLIKELY(!g)) return check_by_clock(d);
    int err = cygrt_ctx_err(g);
    if (CYG_UNLIKELY(err)) return err;
    if (!d) return 0;
    struct p *p = atomic_load_explicit(&m->p, memory_order_relaxed);
    if (CYG_UNLIKELY(!p) || CYG_UNLIKELY(atomic_load_explicit(&p->clock_old, memory_order_relaxed)))
        return check_by_clock(d);
    return CYG_UNLIKELY(cygrt_p_now(p) >= d) ? CYG_ETIMEDOUT : 0;
}

/* An error is told, the event that was taken stays. */
static CYG_COLD int give_back(struct cygrt_pd *pd, enum cygrt_mode mode, int err) {
    uintptr_t v = CYGRT_PD_NIL;
    (void)atomic_compare_exchange_strong(&pd->slot[mode], &v, CYGRT_PD_READY);
    return err;
}

/* An event was there already, or came in between. False: it is not for us, since another goroutine waits. */
static CYG_COLD bool take_event(struct cygrt_pd *pd, enum cygrt_mode mode) {
    uintptr_t v = CYGRT_PD_READY;
    if (atomic_compare_exchange_strong(&pd->slot[mode], &v, CYGRT_PD_NIL)) return true;
    if (v != CYGRT_PD_NIL) cyg_fatal("two goroutines wait for the same direction of descriptor %d", pd->fd);
    return false;
}

int cygrt_pd_wait(struct cygrt_pd *pd, enum cygrt_mode mode) {
    struct g *g = cygrt_g();
    if (CYG_UNLIKELY(!g)) cyg_fatal("a call that parks was made outside a goroutine");
    atomic_store_explicit(&g->wait_fd, pd->fd, memory_order_relaxed);
    int err;
    for (;;) {
        uintptr_t v = atomic_load(&pd->slot[mode]);
        if (CYG_UNLIKELY(v != CYGRT_PD_NIL)) {
            if (take_event(pd, mode)) break;
            continue;
        }
        cygrt_prepare(g);
        if (CYG_UNLIKELY(!atomic_compare_exchange_strong(&pd->slot[mode], &v, (uintptr_t)g))) {
            cygrt_cancel_prepare(g);
            continue; /* an event came in between */
        }
        if (CYG_LIKELY((err = cygrt_pd_check(pd, mode)) == 0)) {
            ensure_timer(pd, mode);
            if (mode == CYGRT_READ) watch(pd);
            cygrt_park_on(cygrt_m(), g, mode == CYGRT_READ ? CYGRT_R_READ : CYGRT_R_WRITE, pd);
        } else {
            cygrt_cancel_prepare(g);
        }
        v = (uintptr_t)g;
        if (CYG_LIKELY(atomic_load(&pd->slot[mode]) != v)) break; /* an event took us out, or a deadline or close */
        if (!atomic_compare_exchange_strong(&pd->slot[mode], &v, CYGRT_PD_NIL)) break;
        if (err) return err; /* else nobody took us: look again */
    }
    err = cygrt_pd_check(pd, mode);
    return CYG_LIKELY(err == 0) ? 0 : give_back(pd, mode, err);
}

/* The record cannot stay, because there is an event already, or a close. Returns what cygrt_pd_record does; 1: there is neither any
 * more, and it has been left. */
static CYG_COLD int record_at_once(struct cygrt_pd *pd, uintptr_t me) {
    for (;;) {
        if (atomic_load(&pd->closing)) {
            take_back(pd);
            return CYG_ECLOSED;
        }
        uintptr_t v = CYGRT_PD_READY;
        if (atomic_compare_exchange_strong(&pd->slot[CYGRT_READ], &v, CYGRT_PD_NIL)) {
            start_record(pd, 0);
            return 0;
        }
        CYG_ASSERT(v == CYGRT_PD_NIL);
        if (atomic_compare_exchange_strong(&pd->slot[CYGRT_READ], &v, me)) return 1;
    }
}

int cygrt_pd_record(struct cygrt_pd *pd, void (*fn)(void *, int), void *arg, cyg_time deadline) {
    pd->record.fn = fn;
    pd->record.arg = arg;
    pd->kept_deadline = atomic_load_explicit(&pd->deadline[CYGRT_READ], memory_order_relaxed);
    if (pd->kept_deadline != deadline) atomic_store(&pd->deadline[CYGRT_READ], deadline);
    enter_and_count(CYGRT_LEFT);
    uintptr_t v = CYGRT_PD_NIL, me = (uintptr_t)&pd->record | CYGRT_PD_RECORD;
    int done = 1;
    if (CYG_UNLIKELY(atomic_load(&pd->closing)) ||
        CYG_UNLIKELY(!atomic_compare_exchange_strong(&pd->slot[CYGRT_READ], &v, me)))
        done = record_at_once(pd, me);
    if (CYG_UNLIKELY(done <= 0)) return done;
    ensure_timer(pd, CYGRT_READ);
    watch(pd);
    if (CYG_UNLIKELY(atomic_load(&pd->closing))) wake_slot(pd, CYGRT_READ, false, CYG_ECLOSED);
    return 0;
}

bool cygrt_pd_cancel_record(struct cygrt_pd *pd) {
    uintptr_t me = (uintptr_t)&pd->record | CYGRT_PD_RECORD;
    if (!atomic_compare_exchange_strong(&pd->slot[CYGRT_READ], &me, CYGRT_PD_NIL)) return false;
    take_back(pd);
    return true;
}

void cygrt_pd_open(struct cygrt_pd *pd, int fd) {
    pd->fd = fd;
    pd->record.task.kind = CYGRT_TASK_RECORD;
    for (int i = 0; i < 2; i++) {
        atomic_store_explicit(&pd->slot[i], CYGRT_PD_NIL, memory_order_relaxed);
        atomic_store_explicit(&pd->deadline[i], 0, memory_order_relaxed);
        struct cygrt_pd_timer *pt = &pd->timer[i]; /* may still be armed by a late on_readable of its former life */
        cygrt_timer_stop(&pt->t);
        pt->t.fire = fire;
        pt->pd = pd;
        pt->mode = (enum cygrt_mode)i;
        atomic_store_explicit(&pd->armed[i], INT64_MAX, memory_order_relaxed);
    }
    atomic_store_explicit(&pd->ended, 0, memory_order_relaxed);
    atomic_store_explicit(&pd->closing, 0, memory_order_relaxed);
    atomic_store_explicit(&pd->unwatched, 0, memory_order_relaxed);
    pd->home = NULL;
    atomic_fetch_add(&pd->tag, 1); /* published before the kernel can tell of it */
}

int cygrt_pd_register(struct cygrt_pd *pd, int fd, bool exclusive) {
    struct cygrt_sched *s = &cygrt_sched;
    cygrt_pd_open(pd, fd);
    if (exclusive) {
        for (unsigned i = 0; i < s->nprocs; i++) {
            int err = cygrt_poller_add(&s->ps[i], pd, true);
            if (err < 0) return err;
        }
        return 0;
    }
    /* A new descriptor stays with the P that made it, unless others have far fewer: then one P would do all the work. */
    struct m *m = cygrt_m();
    struct p *p = m && m->p ? m->p : &s->ps[0];
    uint32_t mine = atomic_load_explicit(&p->npds, memory_order_relaxed);
    for (unsigned i = 0; i < s->nprocs && mine > 16; i++) {
        uint32_t n = atomic_load_explicit(&s->ps[i].npds, memory_order_relaxed);
        if (n + 8 + n / 8 < mine) {
            p = &s->ps[i];
            mine = n;
        }
    }
    pd->home = p;
    int err = cygrt_poller_add(p, pd, false);
    if (err == 0) atomic_fetch_add_explicit(&p->npds, 1, memory_order_relaxed);
    return err;
}

void cygrt_pd_evict(struct cygrt_pd *pd) {
    atomic_store(&pd->closing, 1);
    wake_slot(pd, CYGRT_READ, false, CYG_ECLOSED);
    wake_slot(pd, CYGRT_WRITE, false, CYG_ECLOSED);
}

void cygrt_pd_unregister(struct cygrt_pd *pd, bool forget) {
    struct cygrt_sched *s = &cygrt_sched;
    atomic_fetch_add(&pd->tag, 1);
    for (int i = 0; i < 2; i++) cygrt_timer_stop(&pd->timer[i].t);
    if (pd->home) {
        atomic_fetch_sub_explicit(&pd->home->npds, 1, memory_order_relaxed);
        if (forget) cygrt_poller_del(pd->home, pd->fd);
    } else if (forget) {
        for (unsigned i = 0; i < s->nprocs; i++) cygrt_poller_del(&s->ps[i], pd->fd);
    }
}
