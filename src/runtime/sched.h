/* sched.h: the runtime's own structures. G is a goroutine, M an OS thread, P the right to run goroutines.
 *
 * Invariants:
 * - An M touches a P's unlocked fields only while m->p is that P. Every function that takes a struct p * relies on it.
 * - A G is in exactly one place: running on an M, in one run queue, parked (found through whoever will wake it), or free.
 * - Waking is a hint: a parked G may come back for no reason, so every wait looks at its own condition again. Memory of Gs
 *   and of poll descriptors is never unmapped while the runtime runs, so a late wake-up hits at worst another wait.
 * - User code runs between cygrt_exit and cygrt_enter; while it does, sysmon may take its M's P away (retake.c). What touches
 *   a P from user code enters first and lives with having none; the scheduler's own code, from park to resume, is inside.
 * Lock order: a queue's spin lock, a timer heap's lock, sched.lock. None is held across a switch.
 */
#ifndef CYG_RUNTIME_SCHED_H
#define CYG_RUNTIME_SCHED_H

#include <cygnet/context.h>
#include <cygnet/runtime.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/arm_clock.h"

#define CYGRT_CACHELINE 64
#define CYGRT_MAX_PROCS 256
#define CYGRT_QUEUE 256                          /* local run queue; a power of two */
#define CYGRT_SLICE (10 * CYG_MILLISECOND)       /* what a chain of goroutines that wake each other may use */
#define CYGRT_POLL_EVERY (200 * CYG_MICROSECOND) /* a busy P looks at its poller no later than this */
#define CYGRT_CLOCK_EVERY 32  /* dispatches between readings of the clock, sysmon's tick permitting */
#define CYGRT_GLOBAL_EVERY 61 /* dispatches between looks at the global queue */
#define CYGRT_COPY_MAX 128    /* bytes of argument that cyg_go_copy takes */
#define CYGRT_STACK_DEFAULT (256u << 10)
#define CYGRT_STACK_MIN (16u << 10)
#define CYGRT_STACK_MAX (64u << 20)
#define CYGRT_DELAYS 24
#define CYGRT_SAMPLE_EVERY 64 /* enqueueings between two whose wait is measured */
#define CYGRT_SWEEP_MIN 1024  /* insertions into a timer heap between looks for dead entries, at least */
#define CYGRT_EVENTS 128      /* events taken by one epoll_wait */

struct g;
struct m;
struct p;
struct cygrt_pd;
struct cygrt_chunk;

/* ---- what a run queue holds ------------------------------------------------------------------------------------- */

enum cygrt_task_kind {
    CYGRT_TASK_G = 1,
    CYGRT_TASK_PINNED, /* a G that only its M may run */
    /* These have not begun, and may begin on the stack of a goroutine that has ended. */
    CYGRT_TASK_NEW, /* a G */
    CYGRT_TASK_RECORD,
    CYGRT_TASK_TIMER /* a cyg_timer's body (after.c), which is like a record */
};
struct cygrt_task {
    struct cygrt_task *next; /* in a list of free Gs, or the global queue when memory is out */
    uint8_t kind;
    uint32_t own; /* for whoever owns the task */
};

/* A goroutine that does not exist yet: when it is dispatched, a G is taken and runs fn(arg, why). */
struct cygrt_record {
    struct cygrt_task task;
    int why;
    void (*fn)(void *arg, int why);
    void *arg;
};
/* What statistics count of records: left with a poller; started or taken back. */
enum cygrt_record_fate { CYGRT_LEFT, CYGRT_TAKEN };
void cygrt_timer_goroutine(void *arg, int why); /* after.c; arg: the task */

static inline bool cygrt_is_record(const struct cygrt_task *t) { return t->kind >= CYGRT_TASK_RECORD; }
static inline bool cygrt_begins(const struct cygrt_task *t) { return t->kind >= CYGRT_TASK_NEW; }
static inline struct cygrt_record cygrt_record_of(struct cygrt_task *t) {
    return t->kind == CYGRT_TASK_TIMER ? (struct cygrt_record){.fn = cygrt_timer_goroutine, .arg = t}
                                       : *(struct cygrt_record *)t;
}

/* ---- timers ----------------------------------------------------------------------------------------------------- */

/* A tracked timer (timer_heap.h). Lives in the heap of one P while armed. fire runs under that heap's lock: it wakes or enqueues, nothing more; what it
 * returns is when to fire again (0: never). */
struct cygrt_timer {
    cyg_time when;            /* guarded by the heap's lock */
    _Atomic(struct p *) heap; /* NULL: not armed; set and cleared under that P's lock */
    uint32_t pos;             /* index in the heap; guarded by its lock */
    cyg_time (*fire)(struct cygrt_timer *t, cyg_time now);
};

/* ---- goroutine -------------------------------------------------------------------------------------------------- */

enum { W_IDLE = 0, W_WAITING = 1, W_PARKED = 2, W_WOKEN = 3 };
enum { G_FREE = 0, G_RUNNABLE, G_RUNNING, G_PARKED };

/* Why a goroutine is parked; the names are in dump.c. */
enum cygrt_reason {
    CYGRT_R_NONE,
    CYGRT_R_SLEEP,
    CYGRT_R_READ,
    CYGRT_R_WRITE,
    CYGRT_R_MUTEX,
    CYGRT_R_COND,
    CYGRT_R_WAITGROUP,
    CYGRT_R_BLOCKING,
    CYGRT_R_FDMUTEX,
    CYGRT_R_RWMUTEX,
    CYGRT_R_SEMAPHORE,
    CYGRT_R_YIELD,
    CYGRT_R_CHAN_SEND,
    CYGRT_R_CHAN_RECV,
    CYGRT_R_SELECT,
    CYGRT_R_CONNPOOL,
    CYGRT_REASONS
};

struct cygrt_ctx_core;

#define CYGRT_G_MAGIC 0x476f7267u
/* The first two cache lines are all that waking, switching to and ending a goroutine touch: of very many parked ones, none is in a
 * cache (queue.c fetches them). The first and the third are all that starting one touches, and beginning it on another's stack. */
struct g {
    struct cygrt_task task; /* first: a G is a task */
    uint32_t magic;
    _Atomic uint32_t wait;  /* W_*: the hand-shake between parking and waking */
    _Atomic uint8_t status; /* G_*: for dumps; written by whoever moves the G */
    uint8_t reason;         /* cygrt_reason while parked */
    uint8_t after;          /* what to do when its stack has been left: AFTER_* */
    uint8_t size_class;     /* log2 of the stack slot */
    bool guarded;
    bool pin_wanted;            /* cyg_go_opts.pinned */
    bool used;                  /* has run since cygrt_stack_trim looked at its stack */
    void *sp;                   /* saved while not running; NULL: has not begun */
    cyg_time wait_since;        /* cached clock when it parked */
    struct cygrt_ctx_core *ctx; /* its current context; NULL: background */
    uint16_t pins;              /* cyg_lock_thread calls that are open; the kind is PINNED while there are any */
    uint16_t waits_left;        /* until one is recorded: profile.h */
    _Atomic int wait_fd; /* the descriptor it last waited for: dumps must not follow wait_obj, which may be gone */

    struct cygrt_locals *locals; /* goroutine-local values (local.c); NULL: none */
    struct cygrt_detail *detail; /* cyg_err_detail's text, 256 bytes, allocated at the first failure that has one */
    const void *wait_obj;
    const char *wait_name; /* its name, for the reasons of channels and pools; NULL: none. Stays until the program ends */
    char *lo, *hi;         /* the stack: lo is above the guard, hi below this struct */
    struct g *ctx_next, *ctx_prev; /* guarded by ctx->lock */

    void (*fn)(void *);       /* entry; NULL when it came from a record, as what follows up to parent */
    const char *file;         /* start site; for records ready_fn tells */
    const char *_Atomic name; /* of the goroutine itself to set; reports read it while it runs */
    uint64_t parent;
    uint64_t id;
    void *arg;
    void (*ready_fn)(void *, int);
    int why;
    int line;
    struct m *pinned_m; /* while pins are open: where it runs */
    uint32_t rnd;       /* its own generator: the order of select */
    void *asan_fake;
    void *tsan_fiber;
};
#define CYGRT_G_HOT 128 /* bytes of it, see above */
_Static_assert(offsetof(struct g, locals) == CYGRT_CACHELINE && offsetof(struct g, fn) == CYGRT_G_HOT,
               "cache lines of struct g");
enum { AFTER_PARK = 0, AFTER_EXIT, AFTER_YIELD, AFTER_TURN, AFTER_GLOBAL };

/* ---- processor -------------------------------------------------------------------------------------------------- */

struct cygrt_heap_entry {
    cyg_time when;
    uintptr_t ref; /* a struct cygrt_timer or a cyg_timer: timer_heap.h */
};

struct cygrt_timer_block;
struct cygrt_timer_parcel;
struct cygrt_timer_stack {
    struct cygrt_timer_block *top;
};

/* What sysmon has seen of the M that runs a P: the same user code since when, and what CPU time its thread had then. */
struct cygrt_watch {
    struct m *m;
    uint32_t seq;
    cyg_time since, cpu;
};

struct p {
    /* local run queue: tail is the owner's, head is taken by compare-and-swap, also by thieves */
    _Alignas(CYGRT_CACHELINE) _Atomic uint32_t head;
    _Atomic uint32_t tail;
    _Atomic(struct cygrt_task *) next_slot; /* woken last: runs next, within the waker's slice */
    unsigned id;
    _Atomic uint32_t cohort; /* the owner's. When it is the tail, all that stands in the ring is of one cohort: cohort.h */

    /* the owner's; the first cache line is what each dispatch and enqueueing touches */
    _Alignas(CYGRT_CACHELINE) _Atomic int64_t now; /* clock at the last dispatch or poll; sysmon and helpers read it */
    cyg_time slice_start;
    cyg_time poll_due;
    cyg_time polled_at;         /* when its M last polled, whosever descriptors, */
    uint32_t polled_tick;       /* and the tick then */
    uint32_t clock_left;        /* dispatches until the clock is read */
    _Atomic uint32_t clock_old; /* sysmon: a tick has passed, read it at the next dispatch */
    _Atomic uint32_t tick;      /* dispatches; others read it to see progress */
    uint32_t sample_left;       /* enqueueings until the next whose wait is measured */
    struct cygrt_task *sampled; /* the task whose wait is being measured, since sampled_at */
    struct g *gfree;            /* free Gs with default stacks */
    unsigned ngfree;
    uint32_t rnd;
    unsigned ndirty; /* of the free Gs, how many have run since cygrt_stack_trim looked */
    cyg_time trim_due;
    cyg_time deep_since; /* when the queue last became deep: see wake_for_old */
    cyg_time start_look; /* cygrt_wake_for_start: its last look, and the tick then */
    uint32_t start_tick;
    cyg_time sampled_at;
    uint64_t next_goid, end_goid; /* block of goroutine numbers */
    struct cygrt_timer_parcel **tparcels; /* for each P whose timers were released here (after_pool.h); NULL until there are any */
    _Atomic(struct m *) m;                /* who runs it; NULL while it changes hands */
    struct p *orphan_next;                /* guarded by sched.lock */

    /* timers: guarded by tlock; timer_min, ntimers, pending and ntfree may be read without */
    _Alignas(CYGRT_CACHELINE) uint32_t tlock;
    uint32_t ntimers, cap_timers; /* entries of the heap */
    _Atomic int64_t timer_min;    /* INT64_MAX: none */
    struct cygrt_heap_entry *timers;
    int64_t pending; /* timers armed here less those that have fired; n_stopped is yet to be taken off */
    /* after_pool.h: timers that were stopped and released while this heap has entries of theirs, free ones, a run of fresh ones */
    struct cygrt_timer_stack tstopped, tfree;
    struct cygrt_timer_block *tspare;
    struct cyg_timer *tfresh, *tfresh_end;
    uint32_t ntfree;
    uint32_t sweep_wait; /* additions until the next look at how many entries are dead */
    bool sweep_useless;  /* the last look found many, but not here */
    struct cygrt_arm_clock arm_clock;
    _Alignas(CYGRT_CACHELINE) _Atomic(struct cygrt_timer_parcel *) tinbox; /* filled by other Ps, without the lock */

    /* poller */
    _Alignas(CYGRT_CACHELINE) uint32_t poll_lock; /* who polls epfd */
    int epfd, evfd;
    _Atomic int64_t last_poll;
    _Atomic uint32_t npds; /* descriptors registered here */
    _Atomic int sleep;     /* P_AWAKE, P_ASLEEP, P_NOTIFIED */
    _Atomic int64_t sleep_until;
    uint32_t seen_tick; /* sysmon's, like the rest of this group */
    struct cygrt_watch watch;

    /* statistics: written by the owner */
    _Alignas(CYGRT_CACHELINE) _Atomic uint64_t n_started;
    _Atomic uint64_t n_ended, n_switch, n_steal, n_park, n_spin, n_poll, n_event, n_global, n_turn;
    _Atomic uint64_t n_records[2]; /* by cygrt_record_fate */
    _Atomic uint64_t n_stopped;    /* lazy timers stopped here, in whosever heap */
    _Atomic uint64_t delay[CYGRT_DELAYS]; /* sampled waits in the run queue: [i] those below 2^(i+8) ns, the last one the rest */

    _Alignas(CYGRT_CACHELINE) _Atomic(struct cygrt_task *) ring[CYGRT_QUEUE]; /* the run queue's; last, as it is long */
};
enum { P_AWAKE = 0, P_ASLEEP, P_NOTIFIED };

/* ---- thread ----------------------------------------------------------------------------------------------------- */

/* Who owns the P of an M whose seq is even: see retake.c. */
enum { BIND_OWNED = 0, BIND_RETAKING, BIND_LOST };
/* What an M is to the kernel that computes without a P: see retake.c. */
enum { HOG_NOT = 0, HOG_SEEN, HOG_WATCHED, HOG_LOW };

struct m {
    _Atomic uint32_t seq;  /* odd inside the runtime; written by this M only */
    _Atomic uint32_t bind; /* BIND_*; LOST is set by sysmon and taken back by this M */
    bool fence;            /* entering needs a full fence: there is no membarrier */
    bool lost_as_hog;      /* what sysmon took its P for; valid while bind is LOST, like the next two */
    cyg_time lost_since;
    struct cygrt_site *lost_site;
    uint32_t hog_lock; /* spin lock of what follows: what the kernel was told about this thread (retake.c) */
    uint8_t hog;       /* HOG_* */
    int32_t own_nice;  /* what it had before */
    uint64_t own_slice;
    cyg_time hog_cpu; /* its CPU time when it was first seen without its P */
    int tid;
    clockid_t cpu_clock;
    _Atomic(struct p *) p; /* NULL while blocking or idle; changed only while seq is odd */
    struct g *curg;        /* NULL on the scheduler's own stack */
    struct g *prev;        /* left a moment ago; finish_prev settles it */
    void *g0_sp;           /* the scheduler's context while a goroutine runs */
    bool spinning;
    pthread_t thread;
    struct m *idle_next;      /* guarded by sched.lock */
    struct m *all_next;       /* guarded by sched.lock */
    _Atomic uint32_t parked;  /* futex: 1 while it waits for a P */
    struct p *next_p;         /* handed over with the wake-up */
    struct g *pinned_g;       /* the goroutine that this thread is kept for */
    struct cygrt_task *found; /* taken from a queue by who left a stack; the scheduler looks here first */
    bool doomed;              /* a pinned goroutine has ended: so does its thread */
    void *sigstack;
    void *asan_fake;
    const void *stack_lo;
    size_t stack_size;
    void *tsan_fiber;
#ifdef CYG_CHECKED
    unsigned nheld; /* pthread mutexes that curg holds (checked.c); the thread's own */
    struct cygrt_held {
        const void *mutex, *where;
    } held[8];
#endif
};

/* ---- the whole -------------------------------------------------------------------------------------------------- */

struct cygrt_sched {
    _Atomic int state;     /* S_* */
    _Atomic uint32_t runs; /* how often the runtime was started */
    unsigned nprocs;
    struct p *ps;
    cyg_runtime_opts opts;
    unsigned stack_class; /* of opts.stack_size; constant while the runtime runs */
    bool no_guard, no_mprotect, no_exclusive, no_membarrier;
    _Atomic bool no_pwait2; /* set by whichever M learns it; relaxed: the others learn it themselves */
    uint32_t fuzz;          /* a seed: schedules are shaken (fuzz.h); 0: not */
    cyg_duration trace;     /* a line about the scheduler so often; 0: none */
    _Atomic bool report_retakes, report_backlogs; /* a line on standard error, now and then */

    _Alignas(CYGRT_CACHELINE) uint32_t lock; /* spin lock of what follows */
    struct cygrt_chunk *gfirst, *glast;      /* global queue (queue.c) */
    struct cygrt_chunk *gspare;
    unsigned ngspare;
    struct cygrt_task *ghead, *gtail; /* what no chunk could be had for */
    struct m *idle_ms;
    struct m *all_ms;
    struct p *orphans; /* Ps for which no thread could be had */
    struct g *gfree;   /* default stacks */
    unsigned nms;

    _Alignas(CYGRT_CACHELINE) _Atomic uint32_t glen; /* length of the global queue */
    _Atomic uint32_t nidle;                          /* Ps asleep */
    _Atomic uint32_t nspinning;
    _Atomic uint64_t idle_mask[CYGRT_MAX_PROCS / 64];
    _Atomic uint64_t goid_block;
    _Atomic uint64_t n_wake, n_blocking, n_blocking_limit;
    _Atomic uint64_t n_started, n_ended, n_records[2], n_stopped; /* by threads without a P */
    _Atomic uint64_t n_retake, n_retake_hog, n_retake_left, n_retake_limit;
    _Atomic uint32_t nlost, nhogs; /* Ms that run user code without a P, and those of them that compute */
    _Atomic uint32_t sysmon_deep;  /* futex: 1 while it sleeps without a tick */
    _Atomic uint32_t dump_wanted;
    pthread_t sysmon_thread;
};
enum { S_OFF = 0, S_RUNNING, S_STOPPING };
extern struct cygrt_sched cygrt_sched;

/* ---- who am I --------------------------------------------------------------------------------------------------- */

/* The calling thread's M, or NULL; ask again after anything that can park. A compiler may keep the address of a thread-local
 * across a switch, so none is formed: two volatile instructions read the value through the thread pointer, wherever the goroutine
 * then runs. Elsewhere than on x86-64 the read is out of line, in self.c. */
#ifdef __x86_64__
extern __thread struct m *cygrt_tls_m __attribute__((tls_model("initial-exec")));
static inline struct m *cygrt_m(void) {
    struct m *m;
    __asm__ volatile("movq cygrt_tls_m@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(m) : : "memory");
    return m;
}
#else
struct m *cygrt_m(void);
#endif
void cygrt_set_m(struct m *m);
__attribute__((always_inline)) static inline struct g *cygrt_g(void) { /* also in handlers: see CYGRT_IN_HANDLER */
    struct m *m = cygrt_m();
    return m ? m->curg : NULL;
}
static inline cyg_time cygrt_p_now(struct p *p) { return atomic_load_explicit(&p->now, memory_order_relaxed); }

/* cyg_proc_hint and cyg_now_cached, in place: a request asks some twenty times. */
static inline unsigned cygrt_proc_hint(void) {
    struct m *m = cygrt_m();
    struct p *p = CYG_LIKELY(m != NULL) ? atomic_load_explicit(&m->p, memory_order_relaxed) : NULL;
    return CYG_LIKELY(p != NULL) ? p->id : 0;
}
static inline cyg_time cygrt_now_cached(void) {
    struct m *m = cygrt_m();
    struct p *p = CYG_LIKELY(m != NULL) ? atomic_load_explicit(&m->p, memory_order_relaxed) : NULL;
    return CYG_LIKELY(p != NULL) ? cygrt_p_now(p) : cyg_now();
}

/* d from now: now if d is negative, the end of time rather than an overflow. */
static inline cyg_time cygrt_from_now(cyg_duration d) {
    cyg_time t = cyg_now();
    if (d > 0 && __builtin_add_overflow(t, d, &t)) t = INT64_MAX;
    return t;
}

/* A statistic with one writer: no locked instruction. */
#define CYGRT_COUNT(c) \
    atomic_store_explicit(&(c), atomic_load_explicit(&(c), memory_order_relaxed) + 1, memory_order_relaxed)

/* ---- entering and leaving the runtime (the slow part in retake.c) ------------------------------------------------ */

CYG_COLD struct p *cygrt_enter_slow(struct m *m);

/* From user code into code that touches the P. Returns: the P, or NULL if this M has none (any more): then what is to be done
 * for the P is done as by a foreign thread. The plain store and load are ordered by sysmon's membarrier. */
static inline struct p *cygrt_enter(struct m *m) {
    uint32_t seq = atomic_load_explicit(&m->seq, memory_order_relaxed);
    atomic_store_explicit(&m->seq, seq + 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    bool plain = !m->fence && atomic_load_explicit(&m->bind, memory_order_relaxed) == BIND_OWNED;
    if (CYG_UNLIKELY(!plain)) return cygrt_enter_slow(m);
    return atomic_load_explicit(&m->p, memory_order_relaxed);
}

/* Back to user code. Release: what was written to the P is seen by whoever takes it. */
static inline void cygrt_exit(struct m *m) {
    uint32_t seq = atomic_load_explicit(&m->seq, memory_order_relaxed);
    atomic_store_explicit(&m->seq, seq + 1, memory_order_release);
}

static inline bool cygrt_inside(struct m *m) { return atomic_load_explicit(&m->seq, memory_order_relaxed) & 1; }

/* For what may be called from user code, the scheduler or a foreign thread. */
struct cygrt_visit {
    struct m *m; /* NULL: a foreign thread */
    struct p *p;
    bool outer;
};
static inline struct cygrt_visit cygrt_visit_begin(void) {
    struct cygrt_visit v = {.m = cygrt_m()};
    if (CYG_UNLIKELY(!v.m)) return v;
    v.outer = !cygrt_inside(v.m);
    v.p = v.outer ? cygrt_enter(v.m) : atomic_load_explicit(&v.m->p, memory_order_relaxed);
    return v;
}
static inline void cygrt_visit_end(struct cygrt_visit v) {
    if (v.outer) cygrt_exit(v.m);
}

/* ---- park and wake (park.c) --------------------------------------------------------------------------------------- */

/* To wait: prepare, make g known to whoever will wake it, look at the condition once more, then park or cancel. */
static inline void cygrt_prepare(struct g *g) { atomic_store_explicit(&g->wait, W_WAITING, memory_order_seq_cst); }
static inline void cygrt_cancel_prepare(struct g *g) { atomic_store_explicit(&g->wait, W_IDLE, memory_order_release); }
void cygrt_park(struct g *g, enum cygrt_reason reason, const void *obj);
void cygrt_park_on(struct m *m, struct g *g, enum cygrt_reason reason, const void *obj); /* the same; m runs g */
/* The same, but woken at the deadline (0: none) at the latest. */
void cygrt_park_until(struct g *g, enum cygrt_reason reason, const void *obj, cyg_time deadline);
/* Wakes g if it waits. From anywhere but a signal handler. Returns whether it did. */
bool cygrt_unpark(struct g *g);
/* The same for one of a batch, such as readiness events: behind those before it, not next. */
bool cygrt_unpark_tail(struct g *g);

/* ---- run queues and dispatch (queue.c, sched.c) ---------------------------------------------------------------------- */

void cygrt_enqueue_on(struct p *p, struct cygrt_task *t, bool next); /* the caller is inside and holds p, or p is NULL */
void cygrt_enqueue(struct cygrt_task *t, bool next); /* on the caller's P, or the global queue without one */
unsigned cygrt_queue_steal(struct p *p, struct p *victim, bool next_too, struct cygrt_task **first);
void cygrt_global_put(struct cygrt_task *const *tasks, unsigned n);
void cygrt_global_drop(void);                     /* the runtime has stopped */
struct cygrt_task *cygrt_global_get(struct p *p); /* one to run; a fair share more goes to p's queue */
/* What p's queue has next; NULL: the scheduler must look around. */
struct cygrt_task *cygrt_next_local(struct p *p);
/* Leaves g's stack for the next goroutine or the scheduler; returns when g runs again. */
struct m *cygrt_leave(struct m *m, struct g *g);
struct m *cygrt_leave_to(struct m *m, struct g *g, struct cygrt_task *t); /* t: what to run next; NULL: the scheduler */
void cygrt_finish_prev(struct m *m);
void cygrt_m_loop(struct m *m);
/* Threads kept for pinned goroutines (pin.c). */
CYG_COLD void cygrt_pin(struct m *m, struct g *g);
void cygrt_unpin(struct m *m, struct g *g);
void cygrt_pinned_run(struct m *m, struct g *g); /* m, with its P, found another M's goroutine: the P goes there */
bool cygrt_pinned_wait(struct m *m); /* lets others have the P until this M's goroutine runs; false: the end */
bool cygrt_wake_one(void);           /* wakes a sleeping P, if there is one */
void cygrt_wake_p(struct p *p);
void cygrt_maybe_wake(struct p *p);     /* wakes one if p's queue is worth a wake-up */
void cygrt_wake_for_start(struct p *p); /* a goroutine has been started on p, the caller's */

/* ---- goroutines, stacks (go.c, stack.c) -------------------------------------------------------------------------------- */

void cygrt_g_put(struct p *p, struct g *g);                 /* its stack must not be in use; p may be NULL */
struct g *cygrt_g_begin(struct p *p, struct cygrt_task *t); /* a G with a stack for what begins; NULL: no memory */
int cygrt_go_copy(const cyg_go_opts *opts, void (*fn)(void *), const void *p, size_t n); /* cyg_go_copy with options */
void cygrt_goroutine_main(struct m *m);
void cygrt_check_held(struct m *m, struct g *g); /* checked builds: aborts if g leaves its stack with a pthread mutex held */
struct g *cygrt_stack_new(unsigned size_class, int *err);
void cygrt_stack_free(struct g *g);  /* to the global list of its class */
void cygrt_stack_reset(struct g *g); /* prepares sp so that a switch enters cygrt_entry */
void cygrt_stack_trim(struct g *g);  /* gives back what a deep run left committed; g is free */
void cygrt_stacks_init(void);        /* finds out how guards are placed; before any thread */
void cygrt_stacks_drop(void);        /* unmaps all; the runtime has stopped */
/* Calls fn for every G ever carved, until it returns false. */
void cygrt_each_g(bool (*fn)(struct g *g, void *arg), void *arg);
struct g *cygrt_stack_owner(const void *addr, bool *in_guard); /* async-signal-safe */
void cygrt_stack_stats(uint64_t *carved, uint64_t *unguarded);
unsigned cygrt_size_class(size_t bytes); /* log2 of the slot */

extern struct m *cygrt_switch(void **save_sp, void *to_sp, struct m *m);
extern void cygrt_entry(void);

/* ---- timers (timer.c, after.c) ------------------------------------------------------------------------------------- */

void cygrt_timer_arm(struct cygrt_timer *t, cyg_time when); /* arms or moves it, from any thread */
bool cygrt_timer_stop(struct cygrt_timer *t);               /* after it returns, fire is not running; true: was armed */
void cygrt_timers_run(struct p *owner, cyg_time now);       /* fires what is due in owner's heap, on the caller's P */
uint64_t cygrt_timers_pending(void);

/* Pending timers by what they start, for reports. */
#define CYGRT_TIMER_KINDS 64 /* more are left out */
struct cygrt_timer_kind {
    const void *fn;
    uint64_t count;
    cyg_time first, last; /* when they are due */
};
struct cygrt_timer_kinds {
    struct cygrt_timer_kind kind[CYGRT_TIMER_KINDS];
    unsigned n;
    uint64_t waits; /* those that end a wait: of a goroutine, or of an idle connection */
};
void cygrt_timers_by_kind(struct cygrt_timer_kinds *out); /* while the runtime runs */

void cygrt_after_close(void); /* the Ps run no more: lets go of the cyg_timers that nobody holds */

/* ---- processors, threads, sysmon, blocking (proc.c, sysmon.c, blocking.c) --------------------------------------------- */

unsigned cygrt_cpu_count(void);
struct m *cygrt_m_start(struct p *p); /* a new thread that runs p; NULL if none can be had */
void cygrt_handoff(struct p *p);      /* lets another thread run p; an orphan if none can be had now */
void cygrt_adopt(void);               /* sysmon: tries again for an orphan */
struct p *cygrt_take_orphan(void);    /* sched.lock is held */
void *cygrt_sysmon_main(void *arg);
void cygrt_trace_line(cyg_duration since_start); /* sysmon */
void cygrt_m_end(struct m *m);                   /* the M's thread is about to end: its P goes on elsewhere */
bool cygrt_room_for_m(void);                     /* a handoff would find or could make a thread */
bool cygrt_membarrier_register(void);            /* before any thread is started */
void cygrt_retake_round(cyg_time now);           /* sysmon: takes the Ps of Ms that do not come back while work waits */
void cygrt_retake_reset(void);                   /* the runtime has stopped */
void cygrt_retake_forget(void);                  /* sysmon has overslept: what it saw means nothing */
struct sigaction;
/* sigaction for asynchronous signals; the handler and what it calls are CYGRT_IN_HANDLER. */
int cygrt_sigaction(int sig, const struct sigaction *sa);
void cygrt_sysmon_poke(void);                                                   /* async-signal-safe */
void cygrt_futex_wait(_Atomic uint32_t *w, uint32_t val, cyg_duration timeout); /* timeout < 0: none */
void cygrt_futex_wake(_Atomic uint32_t *w, int n);
bool cygrt_debug(const char *word);        /* CYGNET_DEBUG has it */
long cygrt_debug_number(const char *word); /* it has word=number; else 0 */
unsigned cygrt_env_procs(unsigned asked);  /* how many Ps; asked 0: what CYGNET_MAXPROCS says, else CPUs */
void cygrt_env_check(void);                /* says what CYGNET_DEBUG has that nobody knows */
void cygrt_sigstack_init(struct m *m);
void cygrt_sigstack_free(struct m *m);
void cygrt_install_signals(void);
/* Asked about an address that must not be accessed: writes what it knows (and a newline) into line and returns its length, 0 if it
 * knows nothing. In a signal handler. NULL: nobody knows. */
extern int (*_Atomic cygrt_fault_says)(const void *addr, char *line, size_t n);
/* Called at each tick of sysmon, on its thread; it must be quick. NULL: nothing. */
extern void (*_Atomic cygrt_sysmon_also)(cyg_time now);
const char *cygrt_reason_text(enum cygrt_reason r);

/* Sets the caller's error detail and returns err. */
int cygrt_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- contexts, as far as the runtime must know them (ctxlink.c) ---------------------------------------------------------- */

/* First member of every cyg_ctx. */
struct cygrt_ctx_core {
    _Atomic int err; /* 0 while it lasts */
    _Atomic uint32_t refs;
    uint32_t lock;                                  /* spin lock of gs and of the tree above it */
    struct g *gs;                                   /* goroutines whose current context this is */
    struct g *waking;                               /* of these, the ones that cygrt_ctx_wake has not come to yet */
    void (*unreferenced)(struct cygrt_ctx_core *c); /* refs has become 0 */
};
void cygrt_ctx_join(struct g *g, struct cygrt_ctx_core *c); /* takes a reference; c may be NULL */
void cygrt_ctx_leave(struct g *g);                          /* drops it */
void cygrt_ctx_pass(struct g *from, struct g *to);          /* to, which has none, joins in from's place */
void cygrt_ctx_unref(struct cygrt_ctx_core *c);
void cygrt_ctx_wake(struct cygrt_ctx_core *c); /* wakes its goroutines; by whoever has set err */
static inline int cygrt_ctx_err(const struct g *g) {
    return g->ctx ? atomic_load_explicit(&g->ctx->err, memory_order_seq_cst) : 0;
}

#endif
