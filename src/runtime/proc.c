/* proc.c: processors and threads: how many, starting one, handing a P to another, and the futexes they sleep on. */
#include "base/spin.h"
#include "runtime/fiber.h"
#include "runtime/sched.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Two numbers of a cgroup file: quota and period in microseconds. "max" or an unreadable file: no quota. */
static bool read_quota(const char *path, const char *period_path, double *cpus) {
    char text[64];
    FILE *f = fopen(path, "re");
    if (!f) return false;
    bool got = fgets(text, sizeof text, f) != NULL;
    fclose(f);
    long quota = 0, period = 0;
    if (!got) return false;
    if (!period_path) {
        if (sscanf(text, "%ld %ld", &quota, &period) != 2) return false;
    } else {
        quota = atol(text);
        if (!(f = fopen(period_path, "re"))) return false;
        if (fgets(text, sizeof text, f)) period = atol(text);
        fclose(f);
    }
    if (quota <= 0 || period <= 0) return false;
    *cpus = (double)quota / (double)period;
    return true;
}

/* The quota of a line like "4:cpu,cpuacct:/path" of /proc/self/cgroup. */
static bool version1_cpus(const char *line, double *cpus) {
    char quota[640], period[640];
    const char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
    if (!path || strncmp(names, ":cpu", 4) != 0 || (names[4] != ':' && names[4] != ',')) return false;
    snprintf(quota, sizeof quota, "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", path + 1);
    snprintf(period, sizeof period, "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", path + 1);
    return read_quota(quota, period, cpus);
}

/* The tightest CPU quota of this process's cgroup (version 2) and those above it, or of version 1's cpu controller. */
static double cgroup_cpus(void) {
    char line[512], path[640];
    double best = 0, cpus;
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (version1_cpus(line, &cpus) && (best == 0 || cpus < best)) best = cpus;
        if (strncmp(line, "0::", 3) != 0) continue;
        for (char *dir = line + 3; *dir;) {
            snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", strcmp(dir, "/") == 0 ? "" : dir);
            if (read_quota(path, NULL, &cpus) && (best == 0 || cpus < best)) best = cpus;
            char *slash = strrchr(dir, '/');
            if (!slash || slash == dir) break;
            *slash = 0;
        }
    }
    if (f) fclose(f);
    if (read_quota("/sys/fs/cgroup/cpu.max", NULL, &cpus) && (best == 0 || cpus < best)) best = cpus;
    if (read_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us", &cpus) &&
        (best == 0 || cpus < best))
        best = cpus;
    return best;
}

unsigned cygrt_cpu_count(void) {
    cpu_set_t set;
    unsigned n = sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    double quota = cgroup_cpus();
    if (quota > 0) {
        unsigned whole = (unsigned)quota + (quota > (double)(unsigned)quota); /* 1.5 CPUs keep two Ps busy part of the time */
        if (whole < n) n = whole;
    }
    return n ? n : 1;
}

void cygrt_futex_wait(_Atomic uint32_t *w, uint32_t val, cyg_duration timeout) {
    struct timespec ts = {.tv_sec = timeout / CYG_SECOND, .tv_nsec = timeout % CYG_SECOND};
    syscall(SYS_futex, w, FUTEX_WAIT_PRIVATE, val, timeout < 0 ? NULL : &ts, NULL, 0);
}

CYGRT_IN_HANDLER void cygrt_futex_wake(_Atomic uint32_t *w, int n) {
    syscall(SYS_futex, w, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

/* Where the thread's own stack is, for AddressSanitizer. */
static void find_stack(struct m *m) {
    pthread_attr_t attr;
    if (pthread_getattr_np(pthread_self(), &attr) != 0) return;
    void *lo = NULL;
    pthread_attr_getstack(&attr, &lo, &m->stack_size);
    m->stack_lo = lo;
    pthread_attr_destroy(&attr);
}

static void *m_main(void *arg) {
    struct m *m = arg;
    cygrt_set_m(m);
    find_stack(m);
    fiber_thread(m);
    cygrt_sigstack_init(m);
    pthread_setname_np(pthread_self(), "cygnet-m");
    m->tid = gettid();
    if (pthread_getcpuclockid(pthread_self(), &m->cpu_clock) != 0) m->cpu_clock = CLOCK_THREAD_CPUTIME_ID;
    cygrt_m_loop(m);
    cygrt_set_m(NULL);
    cygrt_sigstack_free(m);
    return NULL;
}

struct m *cygrt_m_start(struct p *p) {
    struct cygrt_sched *s = &cygrt_sched;
    struct m *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    atomic_store(&m->p, p);
    atomic_store(&m->seq, 1);
    m->fence = s->no_membarrier;
    cyg_spin_lock(&s->lock);
    s->nms++;
    cyg_spin_unlock(&s->lock);
    if (pthread_create(&m->thread, NULL, m_main, m) != 0) {
        cyg_spin_lock(&s->lock);
        s->nms--;
        cyg_spin_unlock(&s->lock);
        free(m);
        return NULL;
    }
    cyg_spin_lock(&s->lock);
    m->all_next = s->all_ms;
    s->all_ms = m;
    cyg_spin_unlock(&s->lock);
    return m;
}

void cygrt_m_end(struct m *m) {
    struct cygrt_sched *s = &cygrt_sched;
    struct p *p = m->p;
    atomic_store(&m->p, NULL);
    cyg_spin_lock(&s->lock);
    s->nms--; /* its struct stays until it is joined */
    cyg_spin_unlock(&s->lock);
    if (!p) return;
    atomic_store(&p->m, NULL);
    cygrt_handoff(p);
}

bool cygrt_room_for_m(void) {
    struct cygrt_sched *s = &cygrt_sched;
    cyg_spin_lock(&s->lock);
    bool room = s->idle_ms || s->nms < s->opts.max_threads;
    cyg_spin_unlock(&s->lock);
    return room;
}

static void warn_no_thread(void) {
    static const char text[] =
        "cygnet: warning: the system refuses another thread (ulimit -u, the cgroup's pids.max, memory): "
        "goroutines wait until one is free\n";
    static _Atomic bool said;
    if (!atomic_exchange(&said, true)) (void)!write(2, text, sizeof text - 1);
}

/* Gives p to an M that has none. With `leave`, if there is no such M, p becomes an orphan. */
static bool give_away(struct p *p, bool leave) {
    struct cygrt_sched *s = &cygrt_sched;
    cyg_spin_lock(&s->lock);
    struct m *m = s->idle_ms;
    if (m) {
        s->idle_ms = m->idle_next;
    } else if (leave) {
        p->orphan_next = s->orphans;
        __atomic_store_n(&s->orphans, p, __ATOMIC_RELAXED);
    }
    cyg_spin_unlock(&s->lock);
    if (!m) return false;
    m->next_p = p;
    atomic_store_explicit(&m->parked, 0, memory_order_release);
    cygrt_futex_wake(&m->parked, 1);
    return true;
}

/* When no thread can be had, a P with its work must not be lost: an M that comes back takes it (wait_for_p in sched.c), or sysmon,
 * which ticks as long as a P is awake, tries again. */
void cygrt_handoff(struct p *p) {
    if (give_away(p, false) || cygrt_m_start(p)) return;
    if (!give_away(p, true)) warn_no_thread();
}

struct p *cygrt_take_orphan(void) {
    struct cygrt_sched *s = &cygrt_sched;
    struct p *p = s->orphans;
    if (p) __atomic_store_n(&s->orphans, p->orphan_next, __ATOMIC_RELAXED);
    return p;
}

void cygrt_adopt(void) {
    struct cygrt_sched *s = &cygrt_sched;
    if (!__atomic_load_n(&s->orphans, __ATOMIC_RELAXED)) return;
    cyg_spin_lock(&s->lock);
    struct p *p = cygrt_take_orphan();
    cyg_spin_unlock(&s->lock);
    if (p) cygrt_handoff(p);
}
