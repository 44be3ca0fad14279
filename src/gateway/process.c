/* process.c: see process.h. */
#include "gateway/process.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t count_fds(void) {
    DIR *d = opendir("/proc/self/fd");
    if (!d) return 0;
    uint64_t n = 0;
    while (readdir(d)) n++;
    closedir(d);
    return n > 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
}

void cyg_gw_process_read(struct cyg_gw_process *out) {
    *out = (struct cyg_gw_process){0};
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) == 0)
        out->cpu_seconds =
            (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0) out->max_fds = l.rlim_cur;
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long long pages, resident;
    if (f && fscanf(f, "%llu %llu", &pages, &resident) == 2) {
        uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        out->virtual_bytes = pages * page;
        out->resident_bytes = resident * page;
    }
    if (f) fclose(f);
    out->open_fds = count_fds();
}
