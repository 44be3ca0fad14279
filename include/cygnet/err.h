/* err.h: errors are values. A function returns 0 or a count, or a negative cyg_err: the system's own are -errno
 * (-ECONNREFUSED), ours lie below -1000. errno is no part of this API: after a call that can park, a goroutine may be on
 * another thread.
 *
 *     int err = cyg_dial("tcp", "127.0.0.1:9", NULL, &c);
 *     if (err < 0) fprintf(stderr, "%s\n", cyg_err_detail());     // dial tcp 127.0.0.1:9: Connection refused
 */
#ifndef CYGNET_ERR_H
#define CYGNET_ERR_H

#include <cygnet/base.h>

CYG_BEGIN_DECLS

typedef enum cyg_err {
    CYG_OK = 0,
    CYG_EOF = -1001,       /* the peer has ended its stream in good order; never an error by itself */
    CYG_ETIMEDOUT = -1002, /* a deadline of ours passed (the kernel's own timeout is -ETIMEDOUT) */
    CYG_ECANCELED = -1003, /* the context was cancelled */
    CYG_ECLOSED = -1004,   /* the object was closed by somebody on this side */
    CYG_ENOTSUP = -1005,   /* this object does not have that operation */
    CYG_ENOMEM = -1006,    /* memory, or a kernel resource counted as memory, ran out */
    CYG_EINVAL = -1007,    /* an argument is out of the bounds its header gives */
    CYG_ELIMIT = -1008,    /* a configured limit is reached; which one is in the detail */
    CYG_EPROTO = -1009,    /* the peer broke the protocol; how is in the detail */
    CYG_ESTATE = -1010,    /* not possible in the object's present state */
    CYG_EPARSE = -1011,    /* text that could not be understood; where is in the detail */
    CYG_EAGAIN = -1012,    /* it would have to wait, and was asked not to */
    CYG_ENONAME = -1020,   /* there is no such name, or it has no address of the kind asked for */
    CYG_ELOOKUP = -1021    /* the name servers failed or did not answer: whether the name exists is not known */
} cyg_err;

/* The sentence for an error, as "Connection refused"; a fixed text for values nobody defined.
 * Blocks: never. From: anywhere, also a signal handler. Owns: the text is static. */
CYG_API const char *cyg_strerror(int err);

/* What the calling goroutine's (or foreign thread's) last failed call had to add, as "dial tcp 127.0.0.1:9: Connection
 * refused"; "" when it added nothing.
 * Blocks: never. From: goroutine or any thread. Owns: the text lives until the caller's next failing call. */
CYG_API const char *cyg_err_detail(void);

/* Prints "what: sentence" to standard error and returns err: `return cyg_fail("listen", err);`. With the detail, if the last one
 * is about an error of this value: "what: sentence (detail)", or "what: detail" where that has the sentence in it.
 * Blocks: may block the thread in write(2). From: goroutine or any thread. */
CYG_API int cyg_fail(const char *what, int err);

CYG_END_DECLS
#endif
