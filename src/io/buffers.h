/* buffers.h: the memory of buffered readers and writers, and what is counted of all of them. */
#ifndef CYG_IO_BUFFERS_H
#define CYG_IO_BUFFERS_H

#include <cygnet/bufio.h>

/* A buffer of n bytes or more; *size is how many. NULL: no memory. From: anywhere but a signal handler. */
char *io_buffer_get(size_t n, size_t *size);
/* size: as io_buffer_get gave it, or what it was asked for, or between. NULL is fine. */
void io_buffer_put(char *p, size_t size);

/* min and max of a reader or writer. */
void io_buffer_bounds(const cyg_buf_opts *opts, size_t *min, size_t *max);

enum io_counted { IO_READ, IO_WRITTEN };

/* Adds to the totals of the process what has changed in s since *told, which becomes as s. */
void io_tell(enum io_counted which, const cyg_buf_stats *s, cyg_buf_stats *told);

#endif
