/* check_cgroup.c: what a container or a service's unit allows: memory, CPU, threads. Version 2 of cgroups, and version 1. */
#include "doctor/checks.h"

#include <string.h>

#define GIVEN_AS_NONE 1e15 /* version 1 writes a number like this for: no limit */

/* The directory of this process's group for a controller: version 2's "" (then "cgroup.controllers" is there), or version 1's "memory".
 * Inside a container the path of /proc/self/cgroup may not be visible; the mount's root is the group then. */
static bool group_of(const struct doc_machine *m, const char *controller, char *dir, size_t n) {
    char text[4096], *save, probe[700], number[64];
    if (doc_read(m, "/proc/self/cgroup", text, sizeof text) <= 0) return false;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        names++;
        bool v2 = names[0] == 0, fits = v2 ? controller[0] == 0 : strcmp(names, controller) == 0;
        if (!v2 && !fits && controller[0]) /* "cpu,cpuacct" */
            fits = strncmp(names, controller, strlen(controller)) == 0 && names[strlen(controller)] == ',';
        if (!fits) continue;
        const char *top = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/";
        snprintf(dir, n, "%s%s%s", top, v2 ? "" : names, strcmp(path, "/") == 0 ? "" : path);
        snprintf(probe, sizeof probe, "%s/cgroup.procs", dir);
        if (doc_read(m, probe, number, sizeof number) < 0) snprintf(dir, n, "%s%s", top, v2 ? "" : names);
        return true;
    }
    return false;
}

static bool number_in(const struct doc_machine *m, const char *dir, const char *file, double *out) {
    char path[800];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    return doc_number(m, path, out);
}
static bool word_in(const struct doc_machine *m, const char *dir, const char *file, const char *word, double *out) {
    char path[800];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    return doc_word(m, path, "", word, out);
}

/* ---- memory -------------------------------------------------------------------------------------------------------------- */

static void memory(struct doc_machine *m, struct doc_finding *f) {
    char dir[600], a[32], b[32];
    double max, now = 0, kills = 0, cache = 0;
    bool v2 = group_of(m, "", dir, sizeof dir) && number_in(m, dir, "memory.current", &now);
    if (v2) {
        if (!number_in(m, dir, "memory.max", &max)) max = GIVEN_AS_NONE; /* "max" */
        (void)word_in(m, dir, "memory.events", "oom_kill", &kills);
        (void)word_in(m, dir, "memory.stat", "inactive_file", &cache);
    } else if (group_of(m, "memory", dir, sizeof dir) && number_in(m, dir, "memory.limit_in_bytes", &max)) {
        (void)number_in(m, dir, "memory.usage_in_bytes", &now);
        (void)word_in(m, dir, "memory.oom_control", "oom_kill", &kills);
        (void)word_in(m, dir, "memory.stat", "total_inactive_file", &cache);
    } else {
        max = GIVEN_AS_NONE;
    }
    if (max >= GIVEN_AS_NONE) {
        doc_value(f, "no limit");
        doc_cost(f, "Only the machine's memory bounds this process.");
        return;
    }
    double used = now > cache ? now - cache : 0; /* cached files give way */
    doc_value(f, "%s of %s", doc_bytes(a, used), doc_bytes(b, max));
    doc_cost(f, "At the limit the kernel kills a process of the group; that has happened %.0f times.", kills);
    doc_in_use(f, used, max, 0.75, 0.9);
    doc_mishaps(m, f, "oom_kill", kills);
    if (f->verdict != DOC_OK)
        doc_fix(f, "# raise memory.max (MemoryMax= of the unit, the container's limit), or find what grows: cygnet's "
                   "/debug/leaks");
}
const struct doc_check doc_cgroup_memory = {
    "cgroup_memory",
    "the memory this process's group may use",
    "memory.max, memory.current, memory.events of the cgroup (or version 1's files)",
    "note from 75 % in use or if a process was killed, bad from 90 % or if one is killed now",
    memory,
    false};

/* ---- CPU -------------------------------------------------------------------------------------------------------------------- */

static void cpu(struct doc_machine *m, struct doc_finding *f) {
    char dir[600], path[800];
    double quota[2] = {-1, 100000}, periods = 0, throttled = 0;
    bool v2 = group_of(m, "", dir, sizeof dir), limited = false;
    snprintf(path, sizeof path, "%s/cpu.max", dir);
    if (v2 && doc_numbers(m, path, quota, 2) == 2) {
        limited = true;
    } else if (group_of(m, "cpu", dir, sizeof dir) && number_in(m, dir, "cpu.cfs_quota_us", &quota[0]) && quota[0] > 0) {
        limited = number_in(m, dir, "cpu.cfs_period_us", &quota[1]);
    }
    if (!limited || quota[1] <= 0) {
        doc_value(f, "no quota");
        doc_cost(f, "This process may use every CPU it is allowed on.");
        return;
    }
    (void)word_in(m, dir, "cpu.stat", "nr_periods", &periods);
    (void)word_in(m, dir, "cpu.stat", "nr_throttled", &throttled);
    double p_now = doc_rate(m, "nr_periods", periods), t_now = doc_rate(m, "nr_throttled", throttled);
    double share = periods > 0 ? throttled / periods : 0, share_now = p_now > 0 ? t_now / p_now : 0;
    double judged = m->seconds > 0 ? share_now : share;
    doc_value(f, "%.2f CPUs, throttled in %.1f %% of the periods", quota[0] / quota[1], share * 100);
    doc_cost(f, "A throttled process stands still for up to %.0f ms: that is the p99 of everything it serves.",
             quota[1] / 1000);
    if (m->seconds > 0) doc_cost(f, "Now: %.0f %% of the periods.", share_now * 100);
    if (judged > 0.01) doc_raise(f, judged > 0.1 ? DOC_BAD : DOC_NOTE);
    f->now = share_now > 0.1 ? 100 : share_now * 500;
    if (f->verdict != DOC_OK)
        doc_fix(f, "# raise cpu.max (CPUQuota= of the unit, the container's limit), or start with CYGNET_MAXPROCS=%.0f",
                quota[0] / quota[1] < 1 ? 1 : quota[0] / quota[1]);
}
const struct doc_check doc_cgroup_cpu = {
    "cgroup_cpu",
    "the CPU time this process's group may use",
    "cpu.max, cpu.stat of the cgroup (or version 1's files)",
    "note from 1 % of periods throttled, bad from 10 % (while doctor watches, else since the start)",
    cpu,
    false};

/* ---- threads ---------------------------------------------------------------------------------------------------------------- */

static void pids(struct doc_machine *m, struct doc_finding *f) {
    char dir[600], a[32], b[32];
    double max, now = 0;
    bool limited = (group_of(m, "", dir, sizeof dir) && number_in(m, dir, "pids.max", &max)) ||
                   (group_of(m, "pids", dir, sizeof dir) && number_in(m, dir, "pids.max", &max));
    if (!limited) {
        doc_value(f, "no limit");
        doc_cost(f, "Only the machine's limits bound the threads of this process's group.");
        return;
    }
    (void)number_in(m, dir, "pids.current", &now);
    doc_value(f, "%s of %s", doc_commas(a, now), doc_commas(b, max));
    doc_cost(f,
             "The runtime starts up to 512 threads when goroutines block theirs; one that is refused is waited for.");
    doc_in_use(f, now, max, 0.75, 0.95);
    if (max - now < 512) doc_raise(f, DOC_NOTE);
    if (f->verdict != DOC_OK) doc_fix(f, "# raise pids.max (TasksMax= of the unit, --pids-limit of the container)");
}
const struct doc_check doc_cgroup_pids = {"cgroup_pids",
                                          "the threads this process's group may have",
                                          "pids.max, pids.current of the cgroup",
                                          "note from 75 % in use or with fewer than 512 left, bad from 95 %",
                                          pids,
                                          false};
