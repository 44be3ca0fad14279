/* copy_sendfile.h: sendfile(2) for those who hold a P. */
#ifndef CYG_IO_COPY_SENDFILE_H
#define CYG_IO_COPY_SENDFILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* As sendfile(2), but what is not in memory is waited for without the P. position NULL: the file's own. Returns: the count, or -errno.
 * From: goroutine, which may be on another thread afterwards. */
ssize_t copy_sendfile(int to, int from, int64_t *position, size_t n);

#endif
