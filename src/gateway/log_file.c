/* log_file.c: see log_file.h. */
#include "gateway/log_file.h"

#include <stdlib.h>

/* What files closed so far had written and lost, so that the totals outlive a reload that changes the path; atomic. */
static uint64_t closed_lines, closed_dropped;

int cyg_gw_log_file_open(const char *path, const cyg_linelog_opts *opts, struct cyg_gw_log_file **out) {
    struct cyg_gw_log_file *f = calloc(1, sizeof *f);
    if (!f) return CYG_ENOMEM;
    f->refs = 1;
    f->opts = *opts;
    f->path = strdup(path);
    int err = f->path ? cyg_linelog_open(path, opts, &f->lines) : CYG_ENOMEM;
    if (err < 0) {
        free(f->path);
        free(f);
        return err;
    }
    *out = f;
    return 0;
}

struct cyg_gw_log_file *cyg_gw_log_file_acquire(struct cyg_gw_log_file *f) {
    __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
    return f;
}

void cyg_gw_log_file_release(struct cyg_gw_log_file *f) {
    if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) != 0) return;
    (void)cyg_linelog_flush(f->lines, cyg_now() + 5 * CYG_SECOND);
    cyg_linelog_stats s;
    cyg_linelog_get_stats(f->lines, &s);
    __atomic_fetch_add(&closed_lines, s.lines_total, __ATOMIC_RELAXED);
    __atomic_fetch_add(&closed_dropped, s.dropped_total, __ATOMIC_RELAXED);
    cyg_linelog_close(f->lines);
    free(f->path);
    free(f);
}

bool cyg_gw_log_file_is(const struct cyg_gw_log_file *f, const char *path, const cyg_linelog_opts *opts) {
    return strcmp(f->path, path) == 0 && f->opts.buffer_bytes == opts->buffer_bytes &&
           f->opts.flush_interval == opts->flush_interval;
}

void cyg_gw_log_file_totals(const struct cyg_gw_log_file *f, uint64_t *lines, uint64_t *dropped) {
    cyg_linelog_stats s = {0};
    if (f) cyg_linelog_get_stats(f->lines, &s);
    *lines = s.lines_total + __atomic_load_n(&closed_lines, __ATOMIC_RELAXED);
    *dropped = s.dropped_total + __atomic_load_n(&closed_dropped, __ATOMIC_RELAXED);
}
