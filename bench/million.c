/* million.c: N goroutines are started, park, are woken and end: what each phase takes, and what memory a parked one costs, all told.
 *
 * usage: million [N]         CYGNET_MAXPROCS and CYGNET_DEBUG=noguard as for any program
 * Prints one JSON object: n, ps, guarded (stacks with a guard page), spawn_ns, park_ns, wake_ns, end_ns (per goroutine; a phase ends
 * when its last goroutine is through), rss_bytes (resident memory per parked goroutine: the process's growth over N),
 * page_table_bytes (what the kernel holds for it), mappings (lines of /proc/self/maps), mappings_before, max_map_count,
 * left_bytes (resident per goroutine when all have ended). */
#include <cygnet/cygnet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static cyg_mutex lock;
static cyg_cond go_on;
static bool released; /* guarded by lock */
static cyg_waitgroup parked, all;

static void must(int err) {
    if (err >= 0) return;
    fprintf(stderr, "million: %s\n", cyg_strerror(err));
    exit(1);
}

static void wait_once(void *arg) {
    (void)arg;
    cyg_mutex_lock(&lock);
    cyg_waitgroup_done(&parked);
    while (!released) must(cyg_cond_wait(&go_on, &lock));
    cyg_mutex_unlock(&lock);
    cyg_waitgroup_done(&all);
}

/* A number that stands behind `word` in a file of /proc; 0: it does not. */
static long long number(const char *path, const char *word) {
    char line[256];
    long long n = 0;
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, word, strlen(word)) != 0) continue;
        n = atoll(line + strlen(word));
        break;
    }
    if (f) fclose(f);
    return n;
}

static long long resident(void) { return number("/proc/self/status", "VmRSS:") * 1024; }

static long mappings(void) {
    long n = 0;
    FILE *f = fopen("/proc/self/maps", "re");
    for (int c; f && (c = getc(f)) != EOF;) n += c == '\n';
    if (f) fclose(f);
    return n;
}

static int serve(int argc, char **argv) {
    long n = argc > 1 ? atol(argv[1]) : 1000000;
    if (n < 1) return fprintf(stderr, "usage: million [N]\n"), 2;
    long long before = resident(), tables = number("/proc/self/status", "VmPTE:") * 1024;
    long maps = mappings();
    cyg_waitgroup_add(&parked, n);
    cyg_waitgroup_add(&all, n);
    cyg_time t[5] = {cyg_now()};
    for (long i = 0; i < n; i++) must(cyg_go(wait_once, NULL));
    t[1] = cyg_now();
    must(cyg_waitgroup_wait(&parked));
    cyg_mutex_lock(&lock); /* the last one has parked, or is about to */
    t[2] = cyg_now();
    long long held = resident() - before, held_tables = number("/proc/self/status", "VmPTE:") * 1024 - tables;
    long held_maps = mappings();
    cyg_runtime_stats st;
    cyg_stats(&st);
    t[3] = cyg_now(); /* from here, what the figures cost does not count */
    cyg_duration looked = t[3] - t[2];
    released = true;
    cyg_cond_broadcast(&go_on);
    t[3] = cyg_now();
    cyg_mutex_unlock(&lock);
    must(cyg_waitgroup_wait(&all));
    t[4] = cyg_now();
    printf("{\"n\": %ld, \"ps\": %u, \"guarded\": %llu, \"spawn_ns\": %.1f, \"park_ns\": %.1f, \"wake_ns\": %.1f, "
           "\"end_ns\": %.1f, "
           "\"rss_bytes\": %.1f, \"page_table_bytes\": %.1f, \"mappings\": %ld, \"mappings_before\": %ld, "
           "\"max_map_count\": %lld, "
           "\"left_bytes\": %.1f}\n",
           n, cyg_procs(), (unsigned long long)(st.stacks - st.stacks_unguarded), (double)(t[1] - t[0]) / n,
           (double)(t[2] - t[1]) / n, (double)(t[3] - t[2] - looked) / n, (double)(t[4] - t[3]) / n, (double)held / n,
           (double)held_tables / n, held_maps, maps, number("/proc/sys/vm/max_map_count", ""),
           (double)(resident() - before) / n);
    return 0;
}

int main(int argc, char **argv) { return cyg_main(serve, argc, argv); }
