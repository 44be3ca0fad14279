/* log_file.h: the access log's file, counted: the snapshots that write to it hold it, the last one to go closes it. */
#ifndef CYG_GATEWAY_LOG_FILE_H
#define CYG_GATEWAY_LOG_FILE_H

#include "gateway/second.h"

#include <cygnet/log.h>

struct cyg_gw_log_file {
    size_t refs; /* atomic */
    char *path;
    cyg_linelog_opts opts;
    cyg_linelog *lines;
    struct cyg_gw_second second; /* when its lines' requests began, mostly */
};

/* Opens path with one reference. Blocks: the thread, in open(2). From: goroutine. Returns: 0, CYG_ENOMEM, -errno. */
int cyg_gw_log_file_open(const char *path, const cyg_linelog_opts *opts, struct cyg_gw_log_file **out);
struct cyg_gw_log_file *cyg_gw_log_file_acquire(struct cyg_gw_log_file *f);

/* Drops a reference; the last one writes out what is there and closes. Blocks: parks then. From: goroutine. */
void cyg_gw_log_file_release(struct cyg_gw_log_file *f);

/* Whether f is what these settings ask for. */
bool cyg_gw_log_file_is(const struct cyg_gw_log_file *f, const char *path, const cyg_linelog_opts *opts);

/* Lines written and lost by all log files of the process so far; never falls. f: the one open now, may be NULL. */
void cyg_gw_log_file_totals(const struct cyg_gw_log_file *f, uint64_t *lines, uint64_t *dropped);

#endif
