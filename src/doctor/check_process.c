/* check_process.c: what one process may have: descriptors, mappings, threads, pipes. */
#include "doctor/checks.h"
#include "doctor/gateway.h"

#define MIB (1024.0 * 1024)
#define STACK_MAPPINGS 2     /* of a goroutine's stack that is guarded by mprotect */
#define STACKS_GUARDED 25000 /* at most so many are, then a pattern takes over */
#define PIPE_PAGES 262144    /* of 1,024 pipes of 1 MiB, which is as many as copies use at once */
#define RUNTIME_THREADS 512  /* that the runtime starts when nothing else is said */

static void nofile(struct doc_machine *m, struct doc_finding *f) {
    char a[32], b[32], c[32];
    double soft = (double)m->nofile_soft, hard = (double)m->nofile_hard;
    doc_value(f, "%s soft, %s hard", doc_commas(a, soft), doc_commas(b, hard));
    doc_cost(f, "A proxied request takes two descriptors: %s clients at once, then accepting waits.",
             doc_commas(c, soft / 2));
    if (soft >= 65536) return;
    doc_raise(f, soft < 4096 ? DOC_BAD : DOC_NOTE);
    if (hard > soft)
        doc_fix(f, "ulimit -n %.0f    # or in the service's unit: LimitNOFILE=1048576", hard < 1048576 ? hard : 1048576);
    else
        doc_fix(f, "# in the service's unit: LimitNOFILE=1048576 (or nofile in /etc/security/limits.conf)");
}
const struct doc_check doc_nofile = {
    "nofile",
    "how many descriptors a process may have (of doctor itself, as a program started here would)",
    "getrlimit RLIMIT_NOFILE",
    "note below 65,536, bad below 4,096",
    nofile,
    false};

static void file_max(struct doc_machine *m, struct doc_finding *f) {
    double v[3];
    char a[32], b[32];
    if (doc_numbers(m, "/proc/sys/fs/file-nr", v, 3) != 3) {
        doc_unknown(f, "/proc/sys/fs/file-nr");
        return;
    }
    doc_value(f, "%s of %s in use", doc_commas(a, v[0]), doc_commas(b, v[2]));
    doc_cost(f, "At the limit every open, socket and accept on the machine fails with ENFILE.");
    doc_in_use(f, v[0], v[2], 0.75, 0.9);
    if (f->verdict == DOC_OK) return;
    snprintf(a, sizeof a, "%.0f", v[2] * 2);
    doc_fix_sysctl(m, f, "fs.file-max", a);
}
const struct doc_check doc_file_max = {"file_max",
                                       "how many open files the whole machine may have",
                                       "/proc/sys/fs/file-nr",
                                       "note from 75 % in use, bad from 90 %",
                                       file_max,
                                       false};

static void map_count(struct doc_machine *m, struct doc_finding *f) {
    double v;
    char a[32], b[32];
    if (!doc_number(m, "/proc/sys/vm/max_map_count", &v)) {
        doc_unknown(f, "/proc/sys/vm/max_map_count");
        return;
    }
    doc_value(f, "%s", doc_commas(a, v));
    if (doc_kernel_at_least(m, 6, 13) && !doc_debug_word(m, "noguard")) {
        doc_cost(f, "Guards of goroutines' stacks take no mappings on this kernel.");
        return;
    }
    double guarded = v / STACK_MAPPINGS < STACKS_GUARDED ? v / STACK_MAPPINGS : STACKS_GUARDED;
    doc_cost(f, "Before Linux 6.13 a stack's guard page takes %d mappings: %s goroutines are guarded, further ones are checked for overflow when they park.",
             STACK_MAPPINGS, doc_commas(b, guarded));
    if (v >= 65530) return;
    doc_raise(f, DOC_NOTE);
    doc_fix_sysctl(m, f, "vm.max_map_count", "262144");
}
const struct doc_check doc_max_map_count = {"max_map_count",
                                            "how many mappings a process may have",
                                            "/proc/sys/vm/max_map_count, kernel version",
                                            "note below 65,530 before Linux 6.13",
                                            map_count,
                                            false};

static void threads(struct doc_machine *m, struct doc_finding *f) {
    double threads_max, pid_max;
    char a[32], b[32], c[32];
    if (!doc_number(m, "/proc/sys/kernel/threads-max", &threads_max) ||
        !doc_number(m, "/proc/sys/kernel/pid_max", &pid_max)) {
        doc_unknown(f, "/proc/sys/kernel/threads-max");
        return;
    }
    double least = threads_max < pid_max ? threads_max : pid_max, own = (double)m->procs_limit;
    if (own > 0 && own < least) least = own;
    doc_value(f, "%s of the machine, %s numbers, %s of this user", doc_commas(a, threads_max), doc_commas(b, pid_max),
              own > 0 ? doc_commas(c, own) : "any");
    doc_cost(f, "The runtime starts up to %d threads when goroutines block theirs; one that cannot be had is waited for.",
             RUNTIME_THREADS);
    if (least >= 4096) return;
    doc_raise(f, least < RUNTIME_THREADS * 2 ? DOC_BAD : DOC_NOTE);
    if (least == own)
        doc_fix(f, "ulimit -u 16384    # or in the service's unit: LimitNPROC=16384");
    else if (least == pid_max)
        doc_fix_sysctl(m, f, "kernel.pid_max", "32768");
    else
        doc_fix_sysctl(m, f, "kernel.threads-max", "32768");
}
const struct doc_check doc_threads_max = {"threads_max",
                                          "how many threads there may be",
                                          "/proc/sys/kernel/threads-max, pid_max, getrlimit RLIMIT_NPROC",
                                          "note below 4,096, bad below 1,024",
                                          threads,
                                          false};

/* What a gateway that is looked at has had of its pipes. It may be another user's, and its limit not the one that doctor sees. */
static void pipes_of_gateway(struct doc_machine *m, struct doc_finding *f, double pages) {
    double shrunk, refused;
    char a[32], b[32];
    if (!m->gateway || !doc_gateway_sum(m->gateway, "cygnet_copy_pipes_shrunk_total", NULL, NULL, &shrunk) ||
        !doc_gateway_sum(m->gateway, "cygnet_copy_pipes_refused_total", NULL, NULL, &refused))
        return;
    doc_cost(f, "Of the gateway's pipes since its start %s were smaller and %s not to be had.", doc_commas(a, shrunk),
             doc_commas(b, refused));
    doc_mishaps(m, f, "copy_pipes", shrunk + refused);
    if (shrunk + refused == 0) return;
    if (pages > 0 && pages < PIPE_PAGES)
        doc_fix_sysctl(m, f, "fs.pipe-user-pages-soft", "262144");
    else
        doc_fix(f, "# the limit is no less than 1,024 pipes: are descriptors short? cygnet doctor --admin %s --only gateway_descriptors",
                m->gateway->base);
}

static void pipes(struct doc_machine *m, struct doc_finding *f) {
    double pages, most = MIB;
    char a[32], b[32];
    if (!doc_number(m, "/proc/sys/fs/pipe-user-pages-soft", &pages)) {
        doc_unknown(f, "/proc/sys/fs/pipe-user-pages-soft");
        return;
    }
    (void)doc_number(m, "/proc/sys/fs/pipe-max-size", &most);
    if (pages == 0 || m->uid == 0) {
        doc_value(f, pages == 0 ? "no limit" : "%s pages, which do not bind root", doc_commas(a, pages));
        doc_cost(f, "A relay between sockets moves bytes through pipes of %s.", doc_bytes(b, most < MIB ? most : MIB));
    } else {
        doc_value(f, "%s pages", doc_commas(a, pages));
        doc_cost(f, "Pipes of 1 MiB for relays between sockets: %s for all programs of this user; further ones are smaller, and relays cost more CPU.",
                 doc_commas(b, pages * 4096 / MIB));
        if (pages < PIPE_PAGES) {
            doc_raise(f, DOC_NOTE);
            doc_fix_sysctl(m, f, "fs.pipe-user-pages-soft", "262144");
        }
    }
    pipes_of_gateway(m, f, pages);
    if (most >= MIB) return;
    doc_raise(f, DOC_NOTE);
    doc_cost(f, "fs.pipe-max-size allows no more than %s.", doc_bytes(a, most));
    doc_fix_sysctl(m, f, "fs.pipe-max-size", "1048576");
}
const struct doc_check doc_pipe_user_pages_soft = {
    "pipe_user_pages_soft",
    "how much of pipes an ordinary user may have",
    "/proc/sys/fs/pipe-user-pages-soft, pipe-max-size, a gateway's cygnet_copy_pipes_shrunk_total, "
    "cygnet_copy_pipes_refused_total",
    "note below 1,024 pipes of 1 MiB (root is not bound), if a pipe may not have 1 MiB, or if a gateway's were smaller "
    "or "
    "not to be had; bad if they are now",
    pipes,
    false};
