/* file.h: files as streams, whose calls do not keep other goroutines from running. Bytes that the kernel has in memory
 * are read at once; everything else happens while the P runs others.
 *
 *     cyg_file *f;
 *     int err = cyg_file_open("page.html", O_RDONLY, 0, &f);
 *     if (err < 0) return cyg_fail("open", err);
 *     cyg_copy(conn, f, NULL);                          // by sendfile
 *     cyg_close(f);
 *
 * cyg_read, cyg_write, cyg_writev, cyg_close (which parks while the kernel closes it), cyg_copy work on one. A file has
 * no deadlines (CYG_ENOTSUP), and a call in the kernel is not called off; a context that has ended is noticed before. Any
 * number of goroutines may use a file; reads and writes of its stream share one position, the kernel's. Calls for which
 * the descriptor is no file's at all (a pipe, a terminal) wait in a thread of their own.
 */
#ifndef CYGNET_FILE_H
#define CYGNET_FILE_H

#include <cygnet/base.h>
#include <cygnet/err.h>
#include <cygnet/io.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h> /* SEEK_SET */

CYG_BEGIN_DECLS

typedef struct cyg_stream cyg_file;

/* Opens a file as open(2) does, with O_CLOEXEC. Blocks: parks. From: goroutine. Owns: *out is the caller's to close.
 * Returns: 0, CYG_ECANCELED, CYG_ENOMEM, -errno (-ENOENT, -EACCES, -EMFILE, …) with the path in the detail. Source:
 * open(2). */
CYG_API int cyg_file_open(const char *path, int flags, mode_t mode, cyg_file **out);

/* Makes a file of a descriptor from elsewhere, which becomes ours, also when this fails. Blocks: never. From: goroutine
 * or any thread. Returns: 0, CYG_ENOMEM. */
CYG_API int cyg_file_from_fd(int fd, cyg_file **out);

/* Reads at most n bytes from byte `at` of the file, whatever its position. Blocks: parks, unless the kernel has them in
 * memory. From: goroutine. Returns: the count, less than n before the end and when less was in memory; CYG_EOF at or
 * behind the end; CYG_ECLOSED, CYG_ECANCELED, CYG_ENOTSUP if f is no file of ours, -errno (-ESPIPE, …). Source:
 * preadv2(2). */
CYG_API ssize_t cyg_file_pread(cyg_file *f, void *p, size_t n, int64_t at);

/* Writes all n bytes at byte `at`. Blocks: parks. From: goroutine. Returns: n, or as cyg_file_pread (-ENOSPC, -EDQUOT,
 * …); some bytes may have been written then. Source: pwrite(2). */
CYG_API ssize_t cyg_file_pwrite(cyg_file *f, const void *p, size_t n, int64_t at);

/* Moves the position of the stream, as lseek(2): SEEK_SET, SEEK_CUR, SEEK_END. Blocks: parks only where lseek does.
 * From: goroutine. Returns: the position from the start, or an error as cyg_file_pread. */
CYG_API int64_t cyg_file_seek(cyg_file *f, int64_t offset, int whence);

/* What fstat(2) knows. Blocks: parks. From: goroutine. Returns: 0, or an error as cyg_file_pread. */
CYG_API int cyg_file_stat(cyg_file *f, struct stat *out);

/* The size in bytes, by fstat(2). */
CYG_API int64_t cyg_file_size(cyg_file *f);

/* Waits until what was written is on the device, with all of the file's attributes. Blocks: parks. From: goroutine.
 * Returns: 0, or an error as cyg_file_pread. Source: fsync(2). */
CYG_API int cyg_file_sync(cyg_file *f);

/* Cuts or extends the file to n bytes. As cyg_file_sync. Source: ftruncate(2). */
CYG_API int cyg_file_truncate(cyg_file *f, int64_t n);

/* A reference more, and one less; the last closes the file, which parks while the kernel does so (on a foreign thread: blocks
 * it). From: anywhere but a signal handler. */
CYG_API cyg_file *cyg_file_acquire(cyg_file *f);
CYG_API void cyg_file_release(cyg_file *f);

/* ---- a part of a file --------------------------------------------------------------------------------------------- */

/* Bytes from..from+n of a file as a stream, with a position of its own: several can be read at once. Ends earlier if the
 * file does. Closing it does not close the file. The fields are the library's. */
typedef struct cyg_section {
    cyg_stream stream;
    cyg_file *file;
    int64_t at, end; /* of what has not been read */
    uint64_t reserve[2];
} cyg_section;

/* Blocks: never. From: anywhere. Owns: borrows f. Negative values count as 0. */
CYG_API void cyg_section_init(cyg_section *s, cyg_file *f, int64_t from, int64_t n);

/* ---- seeing in --------------------------------------------------------------------------------------------------- */

typedef struct cyg_file_stats {
    uint64_t opened_total;
    uint64_t open;           /* now */
    uint64_t direct_total;   /* calls that were answered at once, from memory */
    uint64_t blocking_total; /* calls that went on a thread of their own (cyg_blocking) */
    uint64_t read_bytes_total, written_bytes_total;
    uint64_t reserve[4];
} cyg_file_stats;

/* What all files of the process did together; counters read one by one. Blocks: never. From: any thread. */
CYG_API void cyg_file_get_stats(cyg_file_stats *out);

static inline void cyg_file_cleanup_(cyg_file **f) {
    if (*f) (void)cyg_close(*f);
}
/* Closes when the variable leaves its scope. */
#define cyg_auto_file __attribute__((cleanup(cyg_file_cleanup_)))

CYG_END_DECLS
#endif
