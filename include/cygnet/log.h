/* log.h: lines that leave by a goroutine of their own. A producer copies its line into a buffer of the P it runs on and goes
 * on; it never waits: when the buffers are full the line is dropped and counted.
 *
 *     cyg_linelog *log;
 *     cyg_linelog_open("access.log", NULL, &log);          // "stdout" and "stderr" are known names
 *     cyg_linelog_write(log, line, n);
 */
#ifndef CYGNET_LOG_H
#define CYGNET_LOG_H

#include <cygnet/base.h>
#include <cygnet/err.h>
#include <cygnet/time.h>

CYG_BEGIN_DECLS

typedef struct cyg_linelog cyg_linelog;

typedef struct cyg_linelog_opts {
    size_t buffer_bytes;         /* per P, two of them, committed as they fill; 0: 1 MiB; 4 KiB to 64 MiB */
    cyg_duration flush_interval; /* a line leaves no later than this; 0: 100 ms */
    uint64_t reserve[4];         /* zero */
} cyg_linelog_opts;

/* Opens a file for appending, created with mode 0640 if need be; "stdout" and "stderr" mean those descriptors. Starts the
 * writer goroutine.
 * Blocks: the thread, in open(2). From: goroutine. Owns: *out is the caller's to close. Returns: 0, CYG_EINVAL, -errno. */
CYG_API int cyg_linelog_open(const char *path, const cyg_linelog_opts *opts, cyg_linelog **out);

/* Takes a whole line (its newline included), up to 64 KiB and to a buffer. Lines that a goroutine writes on different Ps may
 * change places within a flush interval. Blocks: never. From: goroutine or any thread while the runtime runs.
 * Returns: whether it was taken; false: dropped and counted. */
CYG_API bool cyg_linelog_write(cyg_linelog *l, const char *line, size_t n);

/* A line made in place: room for max bytes in the buffer, or NULL: not now (make it elsewhere and call cyg_linelog_write, which
 * decides and counts). What is written there becomes a line, n bytes and its newline included, by cyg_linelog_end, which must
 * follow soon: meanwhile others on this P go elsewhere, and nothing may park. n == 0 gives the room back.
 * Blocks: never. From: as cyg_linelog_write. Owns: *room is filled in, for the end alone. */
typedef struct cyg_linelog_room {
    void *shard_, *buffer_;
} cyg_linelog_room;
CYG_API char *cyg_linelog_begin(cyg_linelog *l, size_t max, cyg_linelog_room *room);
CYG_API void cyg_linelog_end(cyg_linelog *l, cyg_linelog_room *room, size_t n);

/* Opens the path anew, for log rotation; lines taken before go to the old file or the new one, none is lost. No effect on
 * stdout and stderr. If it cannot be opened, the old file stays. Blocks: the thread, in open(2). From: goroutine.
 * Returns: 0 or -errno. */
CYG_API int cyg_linelog_reopen(cyg_linelog *l);

/* Parks until everything taken so far has been written, or the deadline (0: none). Returns: 0 or CYG_ETIMEDOUT. */
CYG_API int cyg_linelog_flush(cyg_linelog *l, cyg_time deadline);

/* Flushes, ends the writer, closes the file. Nobody may write meanwhile. Blocks: parks. From: goroutine. */
CYG_API void cyg_linelog_close(cyg_linelog *l);

typedef struct cyg_linelog_stats {
    uint64_t lines_total, bytes_total; /* written */
    uint64_t dropped_total;            /* lines that found no room */
    uint64_t errors_total;             /* writes that failed; their lines are lost and count as dropped too */
    uint64_t writes_total;             /* write(2) calls */
    uint64_t reserve[4];
} cyg_linelog_stats;
CYG_API void cyg_linelog_get_stats(const cyg_linelog *l, cyg_linelog_stats *out);

CYG_END_DECLS
#endif
