/* linelog_file.h: the file end of a line log: whole lines into a descriptor, with everything that can go wrong counted.
 *
 * All calls are the writer goroutine's, but for open, reopen, has_next and get_stats.
 */
#ifndef CYG_OBSERVE_LINELOG_FILE_H
#define CYG_OBSERVE_LINELOG_FILE_H

#include <cygnet/log.h>

struct cyg_linefile {
    char *path; /* NULL: a descriptor that is not ours, standard output or error */
    int fd;
    int next_fd; /* what reopen has opened, until the writer adopts it; -1: nothing; atomic */
    char *cut;   /* the rest of a line whose beginning is in the file when a write failed; written before all else */
    size_t cut_n;
    cyg_linelog_stats stats; /* atomic, changed by the writer alone */
};

/* Opens the path for appending; "stdout" and "stderr" mean those. Blocks: the thread, not its P. Returns: 0, CYG_ENOMEM or
 * -errno, and then there is nothing to close. */
int cyg_linefile_open(struct cyg_linefile *f, const char *path);

/* Opens the path anew, to be adopted by the writer. From: any goroutine. Returns: 0 or -errno. */
int cyg_linefile_reopen(struct cyg_linefile *f);
bool cyg_linefile_has_next(const struct cyg_linefile *f);

/* Goes on in the file that reopen has opened, if it has; a write does so by itself. */
void cyg_linefile_adopt(struct cyg_linefile *f);

/* Writes whole lines (n > 0) and counts them; what an error leaves unwritten is counted as dropped. Blocks: the thread, not its P. */
void cyg_linefile_write(struct cyg_linefile *f, const char *p, size_t n, uint64_t lines);

void cyg_linefile_close(struct cyg_linefile *f);
void cyg_linefile_free(struct cyg_linefile *f); /* the memory, after close or a failed open */
void cyg_linefile_get_stats(const struct cyg_linefile *f, cyg_linelog_stats *out);

#endif
