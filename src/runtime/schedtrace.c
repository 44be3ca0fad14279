/* schedtrace.c: CYGNET_DEBUG=schedtrace=N: every N milliseconds sysmon writes a line about the scheduler to standard error, as Go's does:
 *     SCHED 2004ms: procs=2 idle=1 threads=4 spinning=0 lost=0 global=0 [0 3] goroutines=13 timers=5 switches=+81234 steals=+12 retakes=+0
 * In brackets the length of each P's run queue; with + what has happened since the line before. */
#include "runtime/queue.h"
#include "runtime/sched.h"

#include <stdio.h>
#include <unistd.h>

void cygrt_trace_line(cyg_duration since_start) {
    static cyg_runtime_stats last; /* sysmon's */
    struct cygrt_sched *s = &cygrt_sched;
    cyg_runtime_stats st;
    cyg_stats(&st);
    char line[2048];
    int n = snprintf(line, sizeof line, "SCHED %lldms: procs=%u idle=%u threads=%llu spinning=%u lost=%llu global=%u [",
                     (long long)(since_start / CYG_MILLISECOND), s->nprocs, atomic_load(&s->nidle),
                     (unsigned long long)st.threads, atomic_load(&s->nspinning),
                     (unsigned long long)st.threads_without_p, atomic_load(&s->glen));
    for (unsigned i = 0; i < s->nprocs && n < (int)sizeof line - 256; i++)
        n += snprintf(line + n, sizeof line - (size_t)n, "%s%u", i ? " " : "", cygrt_queue_len(&s->ps[i]));
    uint64_t retakes = st.retakes_blocked_total + st.retakes_hog_total;
    uint64_t before = last.retakes_blocked_total + last.retakes_hog_total;
    n += snprintf(line + n, sizeof line - (size_t)n,
                  "] goroutines=%llu timers=%llu switches=+%llu steals=+%llu retakes=+%llu\n",
                  (unsigned long long)st.goroutines, (unsigned long long)st.timers,
                  (unsigned long long)(st.switches_total - last.switches_total),
                  (unsigned long long)(st.steals_total - last.steals_total), (unsigned long long)(retakes - before));
    last = st;
    (void)!write(2, line, (size_t)n);
}
