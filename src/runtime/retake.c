/* retake.c: taking the P of an M that has been in the same user code for long while work waits for that P: a blocked system
 * call, a page fault, a computation. The P goes to another thread; the goroutine stays where it is, on its thread, and finds
 * out when it next enters the runtime.
 *
 * The hand-shake. An M's `seq` is odd inside the runtime; entering is a plain store of seq and a plain load of `bind`.
 *
 *     M enters                         sysmon, for all suspects together
 *       seq = seq + 1 (odd)              bind: OWNED -> RETAKING
 *       compiler barrier                 membarrier: a full barrier on every thread of ours
 *       bind != OWNED: slow path         seq as before and even, P and M still each other's:
 *                                          bind: RETAKING -> LOST, and the P is sysmon's; else RETAKING -> OWNED
 *
 * With the barrier between sysmon's store and its loads, either the M's load sees RETAKING and goes the slow way, or sysmon
 * sees the seq that the M has stored and lets go. On the slow way one compare-and-swap settles it: RETAKING -> OWNED by the M
 * keeps the P; LOST tells it that it has none. Only the M makes OWNED of LOST, so a marker cannot be mistaken for a later one
 * (it stands in the M, not in the P, which has a new M by then). Where there is no membarrier, entering has a fence of its own.
 * models/retake.pml is this, model-checked.
 *
 * An M without a P goes on like a foreign thread: it wakes and starts goroutines through the global queue. It needs a P only to
 * run the next goroutine, so it waits for one when its goroutine parks, never inside a call that is said not to block.
 *
 * Vocabulary: a site is where the goroutines that lost Ps were started. sysmon alone adds sites; their figures are atomic. */
#include "base/spin.h"
#include "runtime/fiber.h"
#include "runtime/poller/poller.h"
#include "runtime/retake.h"
#include "runtime/probes.h"
#include "runtime/queue.h"
#include "runtime/sched.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STUCK_AFTER (10 * CYG_MILLISECOND)
#define REPORT_EVERY (1 * CYG_SECOND)
#define HOG_SLICE (20 * CYG_MILLISECOND)  /* the others': 3 ms or so */
#define LOW_AFTER (200 * CYG_MILLISECOND) /* of CPU time without a P */
#define LOOK_EVERY (50 * CYG_MILLISECOND)
#define NICE_LOWEST 19
#define SITES 256

static struct cygrt_site sites[SITES];
static _Atomic unsigned nsites;
static cyg_time next_report; /* sysmon's, like the rest */
static cyg_time next_look;
static unsigned unreported; /* retakes since the last report */
static bool said_limit;

/* ---- what waits, and what the M does -------------------------------------------------------------------------------- */

/* Whether this P could do something that waits: its own, or what the others have too much of when none of them is idle. */
static bool work_waits(struct p *p, cyg_time now) {
    struct cygrt_sched *s = &cygrt_sched;
    if (cygrt_queue_len(p) || atomic_load(&p->next_slot) || now >= atomic_load(&p->timer_min)) return true;
    bool all_busy = atomic_load(&s->nidle) == 0;
    if (all_busy && atomic_load(&s->glen)) return true;
    for (unsigned i = 0; all_busy && i < s->nprocs; i++)
        if (cygrt_queue_len(&s->ps[i]) > 1) return true;
    return cygrt_poller_ready(p);
}

static cyg_time thread_cpu(struct m *m) {
    struct timespec t;
    if (clock_gettime(m->cpu_clock, &t) != 0) return 0;
    return (cyg_time)t.tv_sec * CYG_SECOND + t.tv_nsec;
}

/* The letter that stands for a thread's state in /proc; '?': not to be had. */
static char thread_state(int tid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return '?';
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return '?';
    text[n] = 0;
    char *end = strrchr(text, ')'); /* the name before it may contain anything */
    return end && end[1] && end[2] ? end[2] : '?';
}

enum verdict { LEAVE, BLOCKED, HOG };

/* A thread that the kernel has merely descheduled looks stuck, too: taking its P would add a thread to what is overloaded. But who
 * has had its 10 ms of CPU is a hog however long that took: beside other programs, and hogs that went before, it took long. */
static enum verdict judge(const struct cygrt_watch *w, cyg_time now) {
    cyg_time used = thread_cpu(w->m) - w->cpu, elapsed = now - w->since;
    if (used >= elapsed / 4 || used >= STUCK_AFTER) return HOG;
    char state = thread_state(w->m->tid);
    return state == 'R' ? LEAVE : BLOCKED;
}

/* ---- what the kernel should know of hogs ------------------------------------------------------------------------------------
 *
 * A hog competes with the Ms that have Ps for CPUs, not for Ps. Left alone, a kernel lets it use its slice up before a thread that
 * wakes gets its turn, and counts both as equals: beside four hogs on a CPU an answer takes milliseconds. So its slice is made longer
 * than the others' (since Linux 6.12 who wakes with a shorter one goes first; older kernels ignore it), which costs it no CPU time;
 * and once it has computed for long, its priority is the lowest: it then gets what those with Ps leave. Coming back it gets both
 * back. Without the right to raise a priority again, its thread ends instead when its goroutine parks; only a pinned goroutine then
 * stays as it is. */

struct sched_attr_v0 { /* sched_setattr(2); the kernel's header cannot stand beside <sched.h> */
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static bool get_attr(int tid, struct sched_attr_v0 *a) {
    *a = (struct sched_attr_v0){0};
    return syscall(SYS_sched_getattr, tid, a, sizeof *a, 0) == 0 && a->policy == SCHED_OTHER;
}

static bool set_attr(int tid, struct sched_attr_v0 *a, int32_t nice, uint64_t slice) {
    a->size = sizeof *a;
    a->nice = nice;
    a->runtime = slice;
    return syscall(SYS_sched_setattr, tid, a, 0) == 0;
}

/* sysmon, of an M whose P it has just taken, or that it looks at again. The M may be coming back: it does so under hog_lock, too.
 * Who was blocked may compute by now: its CPU time tells, from the first look on. */
static void tell_kernel(struct m *m) {
    struct sched_attr_v0 a;
    cyg_spin_lock(&m->hog_lock);
    if (atomic_load(&m->bind) == BIND_LOST) {
        if (m->hog == HOG_NOT) {
            m->hog_cpu = thread_cpu(m);
            m->hog = HOG_SEEN;
        }
        cyg_time used = m->hog == HOG_LOW ? 0 : thread_cpu(m) - m->hog_cpu;
        if (m->hog == HOG_SEEN && (m->lost_as_hog || used >= STUCK_AFTER) && get_attr(m->tid, &a)) {
            m->own_nice = a.nice;
            m->own_slice = a.runtime;
            if (set_attr(m->tid, &a, a.nice, HOG_SLICE)) m->hog = HOG_WATCHED;
        } else if (m->hog == HOG_WATCHED && used >= LOW_AFTER && get_attr(m->tid, &a)) {
            if (set_attr(m->tid, &a, NICE_LOWEST, HOG_SLICE)) m->hog = HOG_LOW;
        }
    }
    cyg_spin_unlock(&m->hog_lock);
}

/* The M, when it comes back. bind is still LOST, and only this M will change that. */
static void untell_kernel(struct m *m) {
    struct sched_attr_v0 a;
    cyg_spin_lock(&m->hog_lock);
    if (m->hog >= HOG_WATCHED && (!get_attr(0, &a) || !set_attr(0, &a, m->own_nice, m->own_slice)) && !m->pinned_g)
        m->doomed = true;
    m->hog = HOG_NOT;
    m->lost_as_hog = false;
    cyg_spin_unlock(&m->hog_lock);
}

static void watch_hogs(cyg_time now) {
    struct cygrt_sched *s = &cygrt_sched;
    if (atomic_load(&s->nlost) == 0 || now < next_look) return;
    next_look = now + LOOK_EVERY;
    cyg_spin_lock(&s->lock);
    struct m *m = s->all_ms;
    cyg_spin_unlock(&s->lock);
    for (; m; m = m->all_next)
        tell_kernel(m); /* Ms are not freed, nor the list changed but in front, while sysmon runs */
}

/* ---- the M's side -------------------------------------------------------------------------------------------------- */

struct p *cygrt_enter_slow(struct m *m) {
    struct cygrt_sched *s = &cygrt_sched;
    uint32_t b = BIND_RETAKING;
    if (m->fence) { /* without membarrier: a fence between the store of seq and the look at bind */
        atomic_thread_fence(memory_order_seq_cst);
        if (atomic_load_explicit(&m->bind, memory_order_relaxed) == BIND_OWNED)
            return atomic_load_explicit(&m->p, memory_order_relaxed);
    }
    if (atomic_compare_exchange_strong(&m->bind, &b, BIND_OWNED) || b == BIND_OWNED)
        return atomic_load_explicit(&m->p, memory_order_relaxed);
    cyg_time gone = cyg_now() - m->lost_since;
    struct cygrt_site *site = m->lost_site;
    atomic_fetch_add_explicit(&site->total_ns, (uint64_t)gone, memory_order_relaxed);
    uint64_t longest = atomic_load_explicit(&site->longest_ns, memory_order_relaxed);
    while ((uint64_t)gone > longest && !atomic_compare_exchange_weak_explicit(&site->longest_ns, &longest, (uint64_t)gone,
                                                                              memory_order_relaxed, memory_order_relaxed)) {
    }
    atomic_fetch_sub_explicit(&site->now, 1, memory_order_relaxed);
    if (m->lost_as_hog) atomic_fetch_sub(&s->nhogs, 1);
    untell_kernel(m);
    atomic_fetch_sub(&s->nlost, 1);
    atomic_store(&m->p, NULL);
    atomic_store(&m->bind, BIND_OWNED);
    return NULL;
}

/* ---- sites and reports ---------------------------------------------------------------------------------------------- */

static struct cygrt_site *site_of(const struct g *g) {
    const char *file = g->file;
    int line = g->line;
    void (*fn)(void *, int) = file ? NULL : g->ready_fn;
    unsigned n = atomic_load_explicit(&nsites, memory_order_relaxed);
    for (unsigned i = 0; i < n; i++)
        if (sites[i].file == file && sites[i].line == line && sites[i].fn == fn) return &sites[i];
    if (n == SITES) return &sites[SITES - 1]; /* the last one stands for the rest */
    sites[n].file = file;
    sites[n].line = line;
    sites[n].fn = fn;
    sites[n].name = atomic_load_explicit(&g->name, memory_order_acquire);
    atomic_store_explicit(&nsites, n + 1, memory_order_release);
    return &sites[n];
}

void cygrt_site_text(const struct cygrt_site *site, char *out, size_t room) {
    const char *quote = site->name ? "\"" : "", *name = site->name ? site->name : "";
    if (site->file) {
        snprintf(out, room, "%s%s%s%sstarted at %s:%d", quote, name, quote, site->name ? ", " : "", site->file, site->line);
        return;
    }
    Dl_info info;
    void *addr;
    memcpy(&addr, &site->fn, sizeof addr);
    const char *fn = addr && dladdr(addr, &info) && info.dli_sname ? info.dli_sname : "a connection's readiness";
    snprintf(out, room, "%s%s%s%sstarted by %s", quote, name, quote, site->name ? ", " : "", fn);
}

const struct cygrt_site *cygrt_sites(unsigned *n) {
    *n = atomic_load_explicit(&nsites, memory_order_acquire);
    return sites;
}

static void report(uint64_t id, const struct cygrt_site *site, cyg_time stuck, enum verdict v, cyg_time now) {
    struct cygrt_sched *s = &cygrt_sched;
    unreported++;
    if (!s->report_retakes || now < next_report) return;
    next_report = now + REPORT_EVERY;
    char where[256], more[48] = "", line[512];
    cygrt_site_text(site, where, sizeof where);
    if (unreported > 1) snprintf(more, sizeof more, " (and %u more since the last report)", unreported - 1);
    unreported = 0;
    int n = snprintf(
        line, sizeof line, "cygnet: goroutine %llu (%s) has %s its thread for %lld ms; the others go on without it%s\n",
        (unsigned long long)id, where, v == HOG ? "kept" : "blocked", (long long)(stuck / CYG_MILLISECOND), more);
    (void)!write(2, line, (size_t)n);
}

static void say_limit(void) {
    atomic_fetch_add_explicit(&cygrt_sched.n_retake_limit, 1, memory_order_relaxed);
    if (said_limit) return;
    said_limit = true;
    char line[256];
    int n = snprintf(
        line, sizeof line,
        "cygnet: warning: %u threads (max_threads) are in use: goroutines that block theirs hold the others up "
        "from now on\n",
        cygrt_sched.opts.max_threads);
    (void)!write(2, line, (size_t)n);
}

/* ---- sysmon's side ---------------------------------------------------------------------------------------------------- */

bool cygrt_membarrier_register(void) {
#ifdef CYGRT_TSAN
    return false; /* it does not know membarrier */
#else
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
#endif
}

/* False: there was none (the kernel may want memory for it), so nobody may be taken this time. */
static bool barrier(void) {
    if (cygrt_sched.no_membarrier) {
        atomic_thread_fence(memory_order_seq_cst);
        return true;
    }
    return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

/* Whether p's M has been in one stretch of user code for long. Notes what it sees for the next round. */
static bool suspicious(struct p *p, cyg_time now) {
    struct cygrt_watch *w = &p->watch;
    struct m *m = atomic_load(&p->m);
    if (!m || atomic_load(&p->sleep) != P_AWAKE) {
        w->m = NULL;
        return false;
    }
    uint32_t seq = atomic_load_explicit(&m->seq, memory_order_acquire);
    if (w->m != m || w->seq != seq) {
        *w = (struct cygrt_watch){.m = m, .seq = seq, .since = now, .cpu = seq & 1 ? 0 : thread_cpu(m)};
        return false;
    }
    return !(seq & 1) && now - w->since >= STUCK_AFTER;
}

struct suspect {
    struct p *p;
    enum verdict verdict;
};

/* Pass 1: marks. Returns whether p is to be looked at again behind the barrier. */
static bool mark(struct p *p, cyg_time now, unsigned hogs_planned, struct suspect *out) {
    struct cygrt_sched *s = &cygrt_sched;
    if (!suspicious(p, now) || !work_waits(p, now)) return false;
    enum verdict v = judge(&p->watch, now);
    bool too_many = v == HOG && atomic_load(&s->nhogs) + hogs_planned >= s->opts.max_extra_threads;
    if (v == LEAVE || too_many) {
        atomic_fetch_add_explicit(&s->n_retake_left, 1, memory_order_relaxed);
        return false;
    }
    if (!cygrt_room_for_m()) return say_limit(), false;
    uint32_t owned = BIND_OWNED;
    if (!atomic_compare_exchange_strong(&p->watch.m->bind, &owned, BIND_RETAKING)) return false;
    *out = (struct suspect){p, v};
    return true;
}

/* Pass 2: takes, or lets go. */
static void settle(const struct suspect *x, bool may_take, cyg_time now) {
    struct cygrt_sched *s = &cygrt_sched;
    struct p *p = x->p;
    struct m *m = p->watch.m;
    bool same = may_take && atomic_load(&p->m) == m && atomic_load(&m->p) == p &&
                atomic_load_explicit(&m->seq, memory_order_acquire) == p->watch.seq;
    uint32_t retaking = BIND_RETAKING;
    if (!same) {
        (void)atomic_compare_exchange_strong(&m->bind, &retaking, BIND_OWNED);
        return;
    }
    /* If the M comes back now, the last exchange below fails, and what is read here, perhaps of another goroutine, is not used. */
    struct g *g = __atomic_load_n(&m->curg, __ATOMIC_RELAXED);
    if (!g) {
        (void)atomic_compare_exchange_strong(&m->bind, &retaking, BIND_OWNED);
        return;
    }
    struct cygrt_site *site = site_of(g);
    uint64_t id = g->id;
    m->lost_since = p->watch.since;
    m->lost_site = site;
    m->lost_as_hog = x->verdict == HOG;
    atomic_fetch_add_explicit(&site->now, 1, memory_order_relaxed);
    atomic_fetch_add(&s->nlost, 1);
    if (x->verdict == HOG) atomic_fetch_add(&s->nhogs, 1);
    if (!atomic_compare_exchange_strong(&m->bind, &retaking, BIND_LOST)) { /* it has come back in the last moment */
        atomic_fetch_sub_explicit(&site->now, 1, memory_order_relaxed);
        atomic_fetch_sub(&s->nlost, 1);
        if (x->verdict == HOG) atomic_fetch_sub(&s->nhogs, 1);
        return;
    }
    atomic_store(&p->m, NULL);
    p->watch.m = NULL;
    atomic_fetch_add_explicit(&site->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(x->verdict == HOG ? &s->n_retake_hog : &s->n_retake, 1, memory_order_relaxed);
    cyg_time stuck = now - m->lost_since;
    CYGRT_PROBE3(retake, p->id, id, stuck);
    cygrt_handoff(p);
    if (x->verdict == HOG) tell_kernel(m);
    report(id, site, stuck, x->verdict, now);
}

void cygrt_retake_round(cyg_time now) {
    struct cygrt_sched *s = &cygrt_sched;
    watch_hogs(now);
    struct suspect list[16]; /* more wait for the next round */
    unsigned n = 0, hogs = 0;
    for (unsigned i = 0; i < s->nprocs && n < sizeof list / sizeof *list; i++) {
        if (!mark(&s->ps[i], now, hogs, &list[n])) continue;
        hogs += list[n].verdict == HOG;
        n++;
    }
    if (n == 0) return;
    bool may_take = barrier();
    for (unsigned i = 0; i < n; i++) settle(&list[i], may_take, now);
}

void cygrt_retake_forget(void) {
    for (unsigned i = 0; i < cygrt_sched.nprocs; i++) cygrt_sched.ps[i].watch.m = NULL;
}

void cygrt_retake_reset(void) {
    struct cygrt_sched *s = &cygrt_sched;
    atomic_store(&s->n_retake, 0);
    atomic_store(&s->n_retake_hog, 0);
    atomic_store(&s->n_retake_left, 0);
    atomic_store(&s->n_retake_limit, 0);
    atomic_store(&s->nlost, 0);
    atomic_store(&s->nhogs, 0);
    memset(sites, 0, sizeof sites);
    atomic_store(&nsites, 0);
    unreported = 0;
    next_report = 0;
    next_look = 0;
    said_limit = false;
}
