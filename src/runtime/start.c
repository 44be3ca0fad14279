/* start.c: the runtime's beginning and end: cyg_runtime_start, cyg_runtime_stop, cyg_call, cyg_main. */
#include "base/spin.h"
#include "runtime/stack_census.h"
#include "runtime/deadlock.h"
#include "runtime/poller/poller.h"
#include "runtime/profile.h"
#include "runtime/sched.h"

#include <cygnet/debug.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long cyg_main, whose program has ended, waits for goroutines that still run. */
#define LAST_WAIT (100 * CYG_MILLISECOND)

/* The seed is printed, so that what it found can be found again. */
static void read_fuzz_seed(struct cygrt_sched *s) {
    const char *env = getenv("CYGNET_SCHED_FUZZ");
    s->fuzz = env ? (uint32_t)strtoul(env, NULL, 0) : 0;
    if (!s->fuzz) return;
    char line[80];
    int n = snprintf(line, sizeof line, "cygnet: schedules are shaken, CYGNET_SCHED_FUZZ=%u\n", s->fuzz);
    (void)!write(2, line, (size_t)n);
}

static int open_ps(struct cygrt_sched *s) {
    s->ps = aligned_alloc(CYGRT_CACHELINE, sizeof *s->ps * s->nprocs);
    if (!s->ps) return CYG_ENOMEM;
    memset(s->ps, 0, sizeof *s->ps * s->nprocs);
    for (unsigned i = 0; i < s->nprocs; i++)
        s->ps[i].epfd = s->ps[i].evfd = -1; /* for close_ps, should one not be had */
    for (unsigned i = 0; i < s->nprocs; i++) {
        struct p *p = &s->ps[i];
        p->id = i;
        p->clock_left = 1;
        p->sample_left = CYGRT_SAMPLE_EVERY;
        p->rnd = 2654435761u * (i + 1) ^ s->fuzz * 40503u;
        if (!p->rnd) p->rnd = 1;
        atomic_store(&p->now, cyg_now());
        atomic_store(&p->timer_min, INT64_MAX);
        p->sweep_wait = CYGRT_SWEEP_MIN;
        int err = cygrt_poller_open(p);
        if (err < 0) return cygrt_fail(err, "epoll: %s", cyg_strerror(err));
    }
    return 0;
}

static void close_ps(struct cygrt_sched *s) {
    for (unsigned i = 0; s->ps && i < s->nprocs; i++) {
        cygrt_poller_close(&s->ps[i]);
        free(s->ps[i].timers);
    }
    if (s->ps) cygrt_after_close();
    free(s->ps);
    s->ps = NULL;
}

static int stop(cyg_duration patience);

/* sysmon, and an M for each P. If one cannot be had, those that run are ended again. */
static int start_threads(struct cygrt_sched *s) {
    if (pthread_create(&s->sysmon_thread, NULL, cygrt_sysmon_main, NULL) != 0) {
        close_ps(s);
        atomic_store(&s->state, S_OFF);
        return CYG_ENOMEM;
    }
    for (unsigned i = 0; i < s->nprocs; i++) {
        if (cygrt_m_start(&s->ps[i])) continue;
        (void)stop(-1);
        return CYG_ENOMEM;
    }
    return 0;
}

static bool forked; /* this process is the child of one whose runtime ran: what it left here is of no use */

static void after_fork(void) {
    if (atomic_load(&cygrt_sched.state) != S_OFF) forked = true;
    atomic_store(&cygrt_sched.state, S_OFF); /* only the forking thread is left: there is no runtime here */
    cygrt_set_m(NULL);
}

int cyg_runtime_start(const cyg_runtime_opts *opts) {
    struct cygrt_sched *s = &cygrt_sched;
    static _Atomic int starting;
    static bool fork_handler; /* guarded by starting */
    if (atomic_exchange(&starting, 1)) return CYG_ESTATE;
    int err = CYG_ESTATE;
    if (forked)
        err = cygrt_fail(err, "forked from a process whose runtime was running: only exec makes a new one possible");
    if (atomic_load(&s->state) != S_OFF || forked) goto out;
    s->opts = opts ? *opts : (cyg_runtime_opts){0};
    if (!s->opts.stack_size) s->opts.stack_size = CYGRT_STACK_DEFAULT;
    s->stack_class = cygrt_size_class(s->opts.stack_size);
    if (!s->opts.max_threads) s->opts.max_threads = 512;
    s->nprocs = cygrt_env_procs(s->opts.maxprocs);
    cygrt_env_check();
    if (!s->opts.max_extra_threads) s->opts.max_extra_threads = s->nprocs > 4 ? 2 * s->nprocs : 8;
    s->no_guard = cygrt_debug("noguard");
    s->no_mprotect = cygrt_debug("nomprotect");
    s->no_pwait2 = cygrt_debug("nopwait2");
    s->no_exclusive = cygrt_debug("noexclusive");
    s->no_membarrier = cygrt_debug("nomembarrier") || !cygrt_membarrier_register();
    cygrt_arm_clock_init(cygrt_debug("noarmclock"));
    s->report_retakes = cygrt_debug("retakes");
    s->report_backlogs = cygrt_debug("backlogs");
    s->trace = cygrt_debug_number("schedtrace") * CYG_MILLISECOND;
    read_fuzz_seed(s);
    cygrt_stacks_init();
    cygrt_stack_census_init();
    if ((err = open_ps(s)) < 0) {
        close_ps(s);
        goto out;
    }
    if (!fork_handler) fork_handler = pthread_atfork(NULL, NULL, after_fork) == 0;
    atomic_fetch_add(&s->runs, 1);
    atomic_store(&s->state, S_RUNNING);
    if ((err = start_threads(s)) < 0) cygrt_fail(err, "cannot start the runtime's threads");
out:
    atomic_store(&starting, 0);
    return err;
}

/* An M that waits for a P, of anybody or of whoever finds its pinned goroutine. */
static void wake_for_the_end(struct m *m) {
    atomic_store(&m->parked, 0);
    cygrt_futex_wake(&m->parked, 1);
}

/* Joins a thread; with end >= 0 (Unix time in ns) waits no longer than until then. */
static bool join(pthread_t thread, int64_t end) {
    if (end < 0) return pthread_join(thread, NULL) == 0;
    struct timespec ts = {.tv_sec = end / CYG_SECOND, .tv_nsec = end % CYG_SECOND};
    return pthread_timedjoin_np(thread, NULL, &ts) == 0;
}

/* With patience >= 0, when a goroutine does not let its thread go for so long, that thread is left to itself, the others are joined,
 * and the rest of the runtime stays as it is: CYG_ETIMEDOUT.
 */
static int stop(cyg_duration patience) {
    struct cygrt_sched *s = &cygrt_sched;
    if (cygrt_g()) return cygrt_fail(CYG_ESTATE, "cyg_runtime_stop was called by a goroutine");
    int running = S_RUNNING;
    if (!atomic_compare_exchange_strong(&s->state, &running, S_STOPPING)) return CYG_ESTATE;
    for (unsigned i = 0; i < s->nprocs; i++) cygrt_poller_notify(&s->ps[i]);
    atomic_store(&s->sysmon_deep, 0);
    cygrt_futex_wake(&s->sysmon_deep, 1);
    pthread_join(s->sysmon_thread, NULL);
    int64_t end = patience < 0 ? -1 : cyg_unix_nano() + patience;
    bool left = false;
    for (;;) { /* threads may still appear while others hand their P over */
        cyg_spin_lock(&s->lock);
        struct m *m = s->all_ms;
        if (m) s->all_ms = m->all_next;
        for (struct m *i = s->idle_ms; i; i = i->idle_next) wake_for_the_end(i);
        for (struct m *i = s->all_ms; i; i = i->all_next) wake_for_the_end(i);
        if (m) wake_for_the_end(m);
        s->idle_ms = NULL;
        cyg_spin_unlock(&s->lock);
        if (!m) break;
        if (join(m->thread, end)) {
            free(m);
        } else {
            pthread_detach(m->thread);
            left = true;
        }
    }
    if (left) return CYG_ETIMEDOUT;
    s->nms = 0;
    cygrt_profile_stop();
    s->orphans = NULL;
    close_ps(s);
    cygrt_global_drop();
    atomic_store(&s->nidle, 0);
    atomic_store(&s->nspinning, 0);
    for (unsigned i = 0; i < CYGRT_MAX_PROCS / 64; i++) atomic_store(&s->idle_mask[i], 0);
    atomic_store(&s->n_records[CYGRT_TAKEN], 0);
    atomic_store(&s->n_records[CYGRT_LEFT], 0);
    atomic_store(&s->n_started, 0);
    atomic_store(&s->n_ended, 0);
    atomic_store(&s->n_stopped, 0);
    atomic_store(&s->n_wake, 0);
    atomic_store(&s->n_blocking, 0);
    atomic_store(&s->n_blocking_limit, 0);
    cygrt_retake_reset();
    cygrt_stack_census_report();
    cygrt_stacks_drop();
    atomic_store(&s->state, S_OFF);
    return 0;
}

int cyg_runtime_stop(void) { return stop(-1); }

struct call {
    int (*fn)(void *);
    void *arg;
    int result;
    _Atomic uint32_t running; /* futex */
};

static void run_call(void *arg) {
    struct call *c = arg;
    c->result = c->fn(c->arg);
    atomic_store_explicit(&c->running, 0, memory_order_release);
    cygrt_futex_wake(&c->running, 1); /* the waiter's frame may be gone: a wake on a stale address wakes nobody */
}

int cyg_call(int (*fn)(void *), void *arg) {
    if (cygrt_g()) return fn(arg);
    struct call c = {.fn = fn, .arg = arg, .running = 1};
    int err = cyg_go_with(&(cyg_go_opts){.name = "cyg_call"}, run_call, &c);
    if (err < 0) return err;
    while (atomic_load_explicit(&c.running, memory_order_acquire)) cygrt_futex_wait(&c.running, 1, -1);
    return c.result;
}

struct main_call {
    int (*fn)(int, char **);
    int argc;
    char **argv;
};

static int run_main(void *arg) {
    struct main_call *c = arg;
    cyg_set_name("main");
    cygrt_deadlock_watch(true);
    int r = c->fn(c->argc, c->argv);
    if (cygrt_debug("leaks")) (void)cyg_leaks(2, 0, NULL);
    cygrt_deadlock_watch(false); /* here, where a P is still awake: from now on the main thread will end it */
    return r;
}

int cyg_main(int (*fn)(int argc, char **argv), int argc, char **argv) {
    cygrt_install_signals();
    int err = cyg_runtime_start(NULL);
    if (err < 0) return cyg_fail("cygnet: cannot start the runtime", err), 1;
    cygrt_sched.report_retakes = !cygrt_debug("noretakes");
    cygrt_sched.report_backlogs = !cygrt_debug("nobacklogs");
    struct main_call c = {fn, argc, argv};
    int r = cyg_call(run_main, &c);
    fflush(stdout);
    (void)stop(LAST_WAIT);
    return r < 0 ? 1 : r > 125 ? 125 : r;
}
