/* rig.h: a machine for the tests of doctor: a directory with a copy of machine/, files that were read on a real one (Linux 6.18, two
 * CPUs), in which single files are changed. */
#ifndef TESTS_UNIT_DOCTOR_RIG_H
#define TESTS_UNIT_DOCTOR_RIG_H

#include <fcntl.h>
#include <libgen.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "doctor/checks.h"
#include "doctor/gateway.h"

#define NETSTAT "/proc/net/netstat"
#define IPV4 "/proc/sys/net/ipv4/"
#define CGROUP "/sys/fs/cgroup/system.slice/cygnet.service/"

static char machine_root[64];

static inline int run(const char *fmt, ...) {
    char command[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command, sizeof command, fmt, ap);
    va_end(ap);
    return system(command);
}

static inline void machine_make(void) {
    snprintf(machine_root, sizeof machine_root, "/tmp/doctor-XXXXXX");
    assert_non_null(mkdtemp(machine_root));
    assert_int_equal(run("cp -r '%s'/. %s", MACHINE, machine_root), 0);
}
static inline void machine_remove(void) { assert_int_equal(run("rm -rf %s", machine_root), 0); }

/* text NULL: the file is not there. */
static inline void machine_put(const char *path, const char *text) {
    char full[512], copy[512];
    snprintf(full, sizeof full, "%s%s", machine_root, path);
    if (!text) {
        assert_int_equal(unlink(full), 0);
        return;
    }
    snprintf(copy, sizeof copy, "%s", full);
    assert_int_equal(run("mkdir -p '%s'", dirname(copy)), 0);
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}
static inline const char *machine_get(const char *path) {
    static char text[4096];
    struct doc_machine m = {.root = machine_root};
    assert_true(doc_read(&m, path, text, sizeof text) >= 0);
    text[strcspn(text, "\n")] = 0;
    return text;
}

/* An ordinary user there, with sensible limits. */
static inline void machine_open(struct doc_machine *m) {
    doc_machine_init(m, machine_root);
    m->uid = 1000;
    m->nofile_soft = m->nofile_hard = 1048576;
    m->procs_limit = 96364;
}

static inline struct doc_finding ask(struct doc_machine *m, const char *name) {
    static struct doc_finding f[64];
    assert_true(doc_nchecks <= 64);
    size_t n = doc_run(m, &name, 1, f);
    if (n != 1) fail_msg("no check %s", name);
    return f[0];
}

static inline void check_says(const struct doc_finding *f, const char *what, const char *text, const char *part) {
    if (part && !strstr(text, part)) fail_msg("%s: its %s is \"%s\", without \"%s\"", f->check->name, what, text, part);
}
static inline void check_verdict(const struct doc_finding *f, enum doc_verdict v) {
    if (f->verdict != v)
        fail_msg("%s: %s, not %s: %s; %s", f->check->name, doc_verdict_name(f->verdict), doc_verdict_name(v), f->value,
                 f->cost);
}

#endif
