/* over.h: what the wrappers of one stream share: they begin with a stream and what lies below it, and pass on what they
 * do not change. */
#ifndef CYG_IO_OVER_H
#define CYG_IO_OVER_H

#include <cygnet/io.h>

/* The start of cyg_limit, cyg_tee, cyg_bufreader and cyg_bufwriter. */
struct io_over {
    cyg_stream stream;
    cyg_stream *under;
};

ssize_t io_over_read(cyg_stream *s, void *p, size_t n);
ssize_t io_over_write(cyg_stream *s, const void *p, size_t n);
ssize_t io_over_writev(cyg_stream *s, const struct iovec *iov, int n);
ssize_t io_over_peek(cyg_stream *s, void *p, size_t n);
int io_over_close(cyg_stream *s);
int io_over_close_write(cyg_stream *s);
int io_over_set_deadline(cyg_stream *s, int what, cyg_time deadline);
int io_over_descriptor(cyg_stream *s);
int io_over_abort(cyg_stream *s);
/* To the stream below as it does it best. */
int io_over_read_from(cyg_stream *s, cyg_stream *src, int64_t max, cyg_copy_result *res);

/* What a wrapper that reads in its own way passes on. */
#define IO_OVER_ALL_BUT_READING                                                                                 \
    .write = io_over_write, .writev = io_over_writev, .read_from = io_over_read_from, .close = io_over_close,   \
    .close_write = io_over_close_write, .set_deadline = io_over_set_deadline, .descriptor = io_over_descriptor, \
    .abort = io_over_abort

/* CYG_EPROTO with the words: a stream that wrote less than it was given and called it success. */
int io_short_write(const cyg_stream *s, ssize_t wrote, size_t of);

/* CYG_EPROTO with the words: one that read nothing, again and again. */
int io_no_progress(const cyg_stream *s);

/* cyg_read, but a stream that reads nothing, or more than there is room for, fails. *calls counts reads. */
ssize_t io_read_some(cyg_stream *s, void *p, size_t n, uint64_t *calls);

#endif
