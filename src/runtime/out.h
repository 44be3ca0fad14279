/* out.h: text to a descriptor, through a buffer. The first error of write stays in err, and nothing more is written. */
#ifndef CYG_RUNTIME_OUT_H
#define CYG_RUNTIME_OUT_H

#include <stddef.h>

struct cygrt_out {
    int fd, err;
    size_t n;
    char buf[4096];
};

/* One call prints 511 bytes at most. */
void cygrt_print(struct cygrt_out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cygrt_flush(struct cygrt_out *o);
/* Writes all of p, or returns -errno. */
int cygrt_write_all(int fd, const void *p, size_t n);

#endif
