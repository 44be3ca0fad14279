/* cpu.c: cyg_profile_cpu. A thread of its own looks at intervals which goroutine each M runs, and gives the CPU time that the M's
 * thread has used since it was last seen at work to that goroutine's start site. No signal is sent: a goroutine that computes is
 * not disturbed, and system calls are not interrupted.
 *
 * A look that finds an M asleep gives nothing to anybody and keeps what the M has used for the next look that finds it at work:
 * otherwise goroutines that run for a moment between two sleeps would be charged to the sleeps. So the chance to be seen, and with
 * it the time, is in proportion to the time at work, and the sum is what the kernel counted. */
#include "base/spin.h"
#include "runtime/fiber.h"
#include "runtime/pprof.h"
#include "runtime/profile.h"

#include <cygnet/debug.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HZ 500
#define ENTRIES 2048
#define THREADS 1024
#define PROBES 64
#define WATCH_MIN (1 * CYG_MILLISECOND)
#define WATCH_MAX (10 * CYG_MINUTE)

struct site {
    struct cygrt_start start;
    uint64_t ns, samples;
};

/* What an M is at. */
enum doing { ASLEEP, SCHEDULING, RUNNING };
struct thread {
    const struct m *m; /* only compared; NULL: no such thread */
    clockid_t clock;
    uint64_t used, owed; /* CPU time: in all, and not yet given to anybody */
    enum doing doing;
    struct cygrt_start start;
};

struct watch {
    struct site sites[ENTRIES]; /* open addressing; samples 0: free */
    struct site scheduler;      /* between goroutines: looking for work */
    struct site others;         /* no room in sites, or never seen at work */
    struct thread threads[THREADS];
    unsigned nthreads;
    _Atomic uint32_t stop; /* futex */
    pthread_t thread;
};

static _Atomic(struct watch *) current; /* whoever takes it out ends it */
static _Atomic bool busy;               /* one at a time, from before current is set until after it is written */

static void count(struct watch *w, const struct cygrt_start *s, uint64_t ns) {
    uint64_t h = ((uintptr_t)s->file ^ (uintptr_t)s->fn * 31 ^ (uint64_t)s->line << 20) * 0x9e3779b97f4a7c15u;
    struct site *e = &w->others;
    for (unsigned i = 0; i < PROBES; i++) {
        struct site *x = &w->sites[((h >> 40) + i) % ENTRIES];
        if (x->samples && (x->start.file != s->file || x->start.line != s->line || x->start.fn != s->fn)) continue;
        x->start = *s;
        e = x;
        break;
    }
    e->samples++;
    e->ns += ns;
}

static uint64_t used_by(clockid_t clock) {
    struct timespec ts; /* a thread that has ended: an error */
    return clock_gettime(clock, &ts) == 0 ? (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec : 0;
}

/* The list of Ms grows at its head, so the next one's entry is usually the one before. */
static struct thread *thread_of(struct watch *w, const struct m *m, unsigned *hint) {
    for (unsigned i = 0; i < w->nthreads; i++) {
        unsigned at = (*hint + w->nthreads - i) % w->nthreads;
        if (w->threads[at].m != m) continue;
        *hint = at ? at - 1 : 0;
        return &w->threads[at];
    }
    if (w->nthreads == THREADS) return NULL;
    struct thread *t = &w->threads[w->nthreads];
    if (pthread_getcpuclockid(m->thread, &t->clock) != 0) return NULL;
    w->nthreads++;
    t->m = m;
    t->used = used_by(t->clock);
    return t;
}

/* Under the lock of the list, while which Ms and Ps stay. */
CYGRT_RACY static void look_at_threads(struct watch *w) {
    struct cygrt_sched *s = &cygrt_sched;
    unsigned hint = w->nthreads ? w->nthreads - 1 : 0;
    for (unsigned i = 0; i < w->nthreads; i++) w->threads[i].doing = ASLEEP;
    cyg_spin_lock(&s->lock);
    for (struct m *m = s->all_ms; m; m = m->all_next) {
        struct thread *t = thread_of(w, m, &hint);
        if (!t) continue;
        struct g *g = CYGRT_PEEK(m->curg);
        struct p *p = atomic_load_explicit(&m->p, memory_order_relaxed);
        if (g)
            t->start = (struct cygrt_start){g->file, g->line, g->fn ? (const void *)g->fn : (const void *)g->ready_fn};
        bool awake = p && atomic_load_explicit(&p->sleep, memory_order_relaxed) == P_AWAKE;
        t->doing = g ? RUNNING : awake ? SCHEDULING : ASLEEP;
    }
    cyg_spin_unlock(&s->lock);
}

static void look(struct watch *w) {
    look_at_threads(w);
    for (unsigned i = 0; i < w->nthreads; i++) {
        struct thread *t = &w->threads[i];
        uint64_t now = used_by(t->clock), ns = now > t->used ? now - t->used : 0;
        t->used += ns;
        t->owed += ns;
        if (t->doing == ASLEEP || !ns) continue; /* no time: it is blocked in a system call */
        if (t->doing == RUNNING) {
            count(w, &t->start, t->owed);
        } else {
            w->scheduler.samples++;
            w->scheduler.ns += t->owed;
        }
        t->owed = 0;
    }
}

static void *watch_main(void *arg) {
    struct watch *w = arg;
    pthread_setname_np(pthread_self(), "cygnet-profile");
    uint32_t rnd = 2463534242u;
    while (!atomic_load(&w->stop)) {
        look(w);
        rnd = rnd * 1664525u + 1013904223u; /* half to one and a half periods: not in step with anybody's ticker */
        cygrt_futex_wait(&w->stop, 0, CYG_SECOND / HZ / 2 + (cyg_duration)(rnd >> 8) % (CYG_SECOND / HZ));
    }
    look(w);
    for (unsigned i = 0; i < w->nthreads; i++) w->others.ns += w->threads[i].owed;
    return NULL;
}

/* Ends the thread; the watch is the caller's. NULL: somebody else has. */
static struct watch *end_watch(void) {
    struct watch *w = atomic_exchange(&current, NULL);
    if (!w) return NULL;
    atomic_store(&w->stop, 1);
    cygrt_futex_wake(&w->stop, 1);
    pthread_join(w->thread, NULL);
    return w;
}

void cygrt_profile_stop(void) {
    struct watch *w = end_watch();
    if (!w) return;
    free(w); /* the goroutine that waited for it will never run again */
    atomic_store(&busy, false);
}

struct writing {
    int fd, format, err;
    cyg_duration d;
    struct watch *w;
};

static void write_it(void *arg) {
    static const struct cygrt_profile_kind kind = {.title = "CPU time by start site",
                                                   .name = {"cpu", "samples"},
                                                   .unit = {"nanoseconds", "count"},
                                                   .label = "part",
                                                   .period_name = "cpu",
                                                   .period_unit = "nanoseconds",
                                                   .period = CYG_SECOND / HZ};
    struct writing *j = arg;
    struct watch *w = j->w;
    struct cygrt_profile_row *rows = calloc(ENTRIES + 2, sizeof *rows);
    static const struct cygrt_start scheduler = {.file = "scheduler"}, others = {.file = "others"};
    size_t n = 0;
    for (unsigned i = 0; rows && i < ENTRIES; i++) {
        struct site *e = &w->sites[i];
        if (e->samples) rows[n++] = (struct cygrt_profile_row){{e->ns, e->samples}, NULL, &e->start, NULL};
    }
    if (rows && w->scheduler.ns)
        rows[n++] = (struct cygrt_profile_row){{w->scheduler.ns, w->scheduler.samples}, NULL, &scheduler, NULL};
    if (rows && w->others.ns)
        rows[n++] = (struct cygrt_profile_row){{w->others.ns, w->others.samples}, NULL, &others, NULL};
    j->err = rows ? cygrt_profile_write(j->fd, j->format, &kind, rows, n, j->d) : CYG_ENOMEM;
    free(rows);
}

static int start_watch(void) {
    struct watch *w = calloc(1, sizeof *w);
    if (!w) return CYG_ENOMEM;
    if (pthread_create(&w->thread, NULL, watch_main, w) != 0) {
        free(w);
        return cygrt_fail(CYG_ENOMEM, "no thread to watch");
    }
    atomic_store(&current, w);
    return 0;
}

static int wait_for(cyg_duration d) {
    if (cygrt_g()) return cyg_sleep(d);
    struct timespec ts = {.tv_sec = d / CYG_SECOND, .tv_nsec = d % CYG_SECOND};
    while (nanosleep(&ts, &ts) != 0) continue;
    return 0;
}

int cyg_profile_cpu(int fd, int format, cyg_duration d) {
    if (format != CYG_PROFILE_TEXT && format != CYG_PROFILE_PPROF)
        return cygrt_fail(CYG_EINVAL, "format is %d", format);
    if (d < WATCH_MIN || d > WATCH_MAX) return cygrt_fail(CYG_EINVAL, "the time to watch is 1 ms to 10 minutes");
    if (atomic_load(&cygrt_sched.state) != S_RUNNING) return CYG_ESTATE;
    if (atomic_exchange(&busy, true)) return cygrt_fail(CYG_ESTATE, "another CPU profile is being taken");
    cyg_time began = cyg_now();
    int err = start_watch();
    if (err < 0) {
        atomic_store(&busy, false);
        return err;
    }
    err = wait_for(d);
    struct writing j = {.fd = fd, .format = format, .w = end_watch()};
    if (!j.w) return CYG_ESTATE; /* the runtime has stopped meanwhile */
    j.d = cyg_now() - began;
    if (!err) cygrt_on_thread(write_it, &j);
    free(j.w);
    atomic_store(&busy, false);
    return err ? err : j.err;
}
