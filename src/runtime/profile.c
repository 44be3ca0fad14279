/* profile.c: cyg_profile: the goroutine profile, which is a roster printed by pprof.c, and the way to the others. */
#include "runtime/profile.h"
#include "runtime/pprof.h"

#include <cygnet/debug.h>
#include <stdlib.h>

struct job {
    int fd, kind, format, err;
    const struct g *caller;
    struct cygrt_trace trace;
};

static const char *state_text(const struct cygrt_seen *x) {
    if (x->reason != CYGRT_R_NONE) return cygrt_reason_text(x->reason);
    return x->status == G_RUNNING ? "running" : "runnable";
}

static int write_goroutines(struct job *j) {
    static const struct cygrt_profile_kind kind = {
        .title = "goroutines", .name = {"goroutines"}, .unit = {"count"}, .label = "state"};
    struct cygrt_roster c;
    size_t n = 0;
    cygrt_roster_take(&c, CYGRT_ROSTER_STACKS | CYGRT_ROSTER_RUNNING, 0, j->caller, &j->trace);
    struct cygrt_profile_row *rows = calloc(c.ngroups + 1, sizeof *rows);
    for (const struct cygrt_group *g = c.groups; rows && g; g = g->next)
        rows[n++] = (struct cygrt_profile_row){{g->count, 0}, &g->one.trace, &g->one.start, state_text(&g->one)};
    int err = rows ? cygrt_profile_write(j->fd, j->format, &kind, rows, n, 0) : CYG_ENOMEM;
    free(rows);
    cygrt_roster_free(&c);
    return err;
}

static void write_it(void *arg) {
    struct job *j = arg;
    j->err = j->kind == CYG_PROFILE_GOROUTINES ? write_goroutines(j) : cygrt_contention_write(j->fd, j->format);
}

int cyg_profile(int fd, int kind, int format) {
    if (kind != CYG_PROFILE_GOROUTINES && kind != CYG_PROFILE_CONTENTION)
        return cygrt_fail(CYG_EINVAL, "kind is %d", kind);
    if (format != CYG_PROFILE_TEXT && format != CYG_PROFILE_PPROF)
        return cygrt_fail(CYG_EINVAL, "format is %d", format);
    struct job j = {.fd = fd, .kind = kind, .format = format, .caller = cygrt_g()};
    if (j.caller) cygrt_walk_here(&j.trace);
    cygrt_on_thread(write_it, &j);
    return j.err;
}
