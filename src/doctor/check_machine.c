/* check_machine.c: the machine as a whole: the clock, memory, and who waits for what. */
#include "doctor/checks.h"

#include <string.h>

#define CLOCKS "/sys/devices/system/clocksource/clocksource0/"

static void clocksource(struct doc_machine *m, struct doc_finding *f) {
    static const char *const quick[] = {"tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"};
    char now[64], can[256];
    if (doc_read(m, CLOCKS "current_clocksource", now, sizeof now) <= 0) {
        doc_unknown(f, CLOCKS "current_clocksource");
        return;
    }
    now[strcspn(now, " \n")] = 0;
    if (doc_read(m, CLOCKS "available_clocksource", can, sizeof can) <= 0) can[0] = 0;
    can[strcspn(can, "\n")] = 0;
    doc_value(f, "%s", now);
    for (size_t i = 0; i < sizeof quick / sizeof *quick; i++) {
        if (strcmp(now, quick[i]) != 0) continue;
        doc_cost(f, "Read without a system call, in some 25 ns.");
        return;
    }
    doc_raise(f, DOC_BAD);
    doc_cost(f, "Every reading of the time is a system call and, with hpet or acpi_pm, a microsecond or more on the "
                "bus; a request reads it several times.");
    if (strstr(can, "tsc"))
        doc_fix(f, "echo tsc >%scurrent_clocksource    # the kernel may have had a reason: dmesg | grep -i clocksource",
                CLOCKS);
    else
        doc_fix(f, "dmesg | grep -i clocksource    # why the kernel does not trust tsc");
}
const struct doc_check doc_clocksource = {"clocksource",
                                          "where the time comes from",
                                          CLOCKS "current_clocksource",
                                          "bad if a reading needs a system call (hpet, acpi_pm, xen, …)",
                                          clocksource,
                                          false};

static void hugepages(struct doc_machine *m, struct doc_finding *f) {
    char text[64];
    if (doc_read(m, "/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text) <= 0) {
        doc_value(f, "not in this kernel");
        doc_cost(f, "Memory comes in small pages.");
        return;
    }
    bool always = strstr(text, "[always]") != NULL;
    doc_value(f, "%s", always ? "always" : strstr(text, "[never]") ? "never" : "madvise");
    if (!always) {
        doc_cost(f, "Nobody gets 2 MiB where 4 KiB were touched; the runtime asks for huge pages where they pay.");
        return;
    }
    doc_raise(f, DOC_NOTE);
    doc_cost(f, "Memory that malloc hands out here and there is backed 2 MiB at a time: idle connections may take "
                "several times as much. Stacks are exempt.");
    doc_fix(f, "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled");
}
const struct doc_check doc_transparent_hugepage = {"transparent_hugepage",
                                                   "whether memory is backed by huge pages unasked",
                                                   "/sys/kernel/mm/transparent_hugepage/enabled",
                                                   "note if always",
                                                   hugepages,
                                                   false};

static void overcommit(struct doc_machine *m, struct doc_finding *f) {
    double mode, limit = 0;
    char a[32], b[32];
    if (!doc_number(m, "/proc/sys/vm/overcommit_memory", &mode)) {
        doc_unknown(f, "/proc/sys/vm/overcommit_memory");
        return;
    }
    (void)doc_word(m, "/proc/meminfo", "", "CommitLimit", &limit);
    doc_value(f, "%.0f (%s)", mode, mode == 0 ? "by judgement" : mode == 1 ? "always" : "never");
    if (mode != 2) {
        doc_cost(f, "A goroutine's stack reserves 256 KiB of addresses and takes what it touches.");
        return;
    }
    doc_raise(f, DOC_NOTE);
    doc_cost(f, "Each goroutine's stack counts whole, 256 KiB of %s: %s goroutines at most, then CYG_ENOMEM.",
             doc_bytes(a, limit * 1024), doc_commas(b, limit / 256));
    doc_fix_sysctl(m, f, "vm.overcommit_memory", "0");
}
const struct doc_check doc_overcommit_memory = {"overcommit_memory",
                                                "whether memory may be reserved beyond what there is",
                                                "/proc/sys/vm/overcommit_memory, /proc/meminfo",
                                                "note if 2",
                                                overcommit,
                                                false};

static void swap(struct doc_machine *m, struct doc_finding *f) {
    double total, left = 0, in = 0;
    char a[32], b[32];
    if (!doc_word(m, "/proc/meminfo", "", "SwapTotal", &total)) {
        doc_unknown(f, "/proc/meminfo");
        return;
    }
    (void)doc_word(m, "/proc/meminfo", "", "SwapFree", &left);
    if (total == 0) {
        doc_value(f, "none");
        doc_cost(f, "Memory that is short kills a process instead of slowing all.");
        return;
    }
    (void)doc_word(m, "/proc/vmstat", "", "pswpin", &in);
    double rate = doc_rate(m, "pswpin", in);
    doc_value(f, "%s of %s in use", doc_bytes(a, (total - left) * 1024), doc_bytes(b, total * 1024));
    doc_cost(f, "A page that comes back from disk holds up a thread, and the goroutines in its queue, for a "
                "millisecond or more.");
    doc_in_use(f, total - left, total, 0.1, 2);
    if (rate > 0) {
        doc_raise(f, rate > 100 ? DOC_BAD : DOC_NOTE);
        f->now = rate > 100 ? 100 : rate;
        doc_cost(f, "Now: %.0f pages/s.", rate);
    }
    if (f->verdict != DOC_OK) doc_fix(f, "ps axo rss,comm --sort=-rss | head    # who takes the memory");
}
const struct doc_check doc_swap = {"swap",
                                   "memory that was moved to disk",
                                   "/proc/meminfo SwapTotal, SwapFree, /proc/vmstat pswpin",
                                   "note from 10 % in use or if pages come back now, bad above 100 pages/s",
                                   swap,
                                   false};

/* ---- pressure: the share of the last ten seconds in which somebody waited ------------------------------------------------ */

static void pressure(struct doc_machine *m, struct doc_finding *f, const char *path, double note, double bad,
                     const char *cost, const char *fix) {
    double some;
    if (!doc_word(m, path, "some", "avg10", &some)) {
        doc_value(f, "not measured");
        doc_cost(f, "%s is not there: the kernel has no pressure stall information, or it is off (psi=1).", path);
        return;
    }
    doc_value(f, "%.1f %% of the last 10 s", some);
    doc_cost(f, "%s", cost);
    f->now = some;
    if (some < note) return;
    doc_raise(f, some >= bad ? DOC_BAD : DOC_NOTE);
    doc_fix(f, "%s", fix);
}
static void pressure_cpu(struct doc_machine *m, struct doc_finding *f) {
    pressure(m, f, "/proc/pressure/cpu", 40, 80, "So long something was ready to run and had no CPU.",
             "top -H    # who else runs; then fewer of them, or more CPUs");
}
static void pressure_memory(struct doc_machine *m, struct doc_finding *f) {
    pressure(m, f, "/proc/pressure/memory", 1, 10, "So long something waited for memory to be freed or read back.",
             "ps axo rss,comm --sort=-rss | head    # who takes the memory");
}
static void pressure_io(struct doc_machine *m, struct doc_finding *f) {
    pressure(m, f, "/proc/pressure/io", 20, 60,
             "So long something waited for a disk. Sockets are not in it; access logs and cached files are.",
             "pidstat -d 1 5    # who reads and writes");
}
const struct doc_check doc_pressure_cpu = {"pressure_cpu",       "how long tasks waited for a CPU",
                                           "/proc/pressure/cpu", "note from 40 %, bad from 80 %",
                                           pressure_cpu,         false};
const struct doc_check doc_pressure_memory = {"pressure_memory",       "how long tasks waited for memory",
                                              "/proc/pressure/memory", "note from 1 %, bad from 10 %",
                                              pressure_memory,         false};
const struct doc_check doc_pressure_io = {"pressure_io",       "how long tasks waited for disks",
                                          "/proc/pressure/io", "note from 20 %, bad from 60 %",
                                          pressure_io,         false};
