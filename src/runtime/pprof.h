/* pprof.h: profiles on their way out: rows of a stack, a start site and values, as text or as pprof's profile.proto. */
#ifndef CYG_RUNTIME_PPROF_H
#define CYG_RUNTIME_PPROF_H

#include "runtime/roster.h"

/* Two values a row; a profile that has one gives the other no name. */
struct cygrt_profile_kind {
    const char *title;   /* of the text */
    const char *name[2]; /* "goroutines", "cpu" */
    const char *unit[2]; /* "count", "nanoseconds"; values of this unit are printed as times */
    const char *label;   /* what row.label is: "state" */
    const char *period_name, *period_unit;
    uint64_t period;
};

struct cygrt_profile_row {
    uint64_t value[2];
    const struct cygrt_trace *trace; /* NULL: none */
    const struct cygrt_start *start; /* NULL: none */
    const char *label;               /* NULL: none */
};

/* Writes the rows, which are sorted here by the first value, most first. duration: how long it was watched, or 0.
 * Returns 0, CYG_EINVAL for an unknown format, CYG_ENOMEM or -errno. */
int cygrt_profile_write(int fd, int format, const struct cygrt_profile_kind *k, struct cygrt_profile_row *rows,
                        size_t n, cyg_duration duration);

#endif
