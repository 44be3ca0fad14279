/* copy_sendfile.c: sendfile reads the file, and where that is not in memory the thread sleeps until the disk has answered; there is no flag against
 * it. So the first and the last byte of the step are asked for with RWF_NOWAIT, about a microsecond for both: if both are there the rest
 * is, too, as a rule, and the call is made straight. Else it goes by cyg_blocking. */
#include "io/copy_sendfile.h"

#include <cygnet/runtime.h>
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/sigpipe.h"

struct sending {
    int to, from;
    int64_t *position;
    size_t n;
    ssize_t result;
};

static int sendfile_call(void *arg) {
    struct sending *s = arg;
    off_t at = s->position ? *s->position : 0;
    struct sigpipe_guard guard;
    sigpipe_block(&guard, sigpipe_kills());
    s->result = sendfile(s->to, s->from, s->position ? &at : NULL, s->n);
    if (s->result < 0) s->result = -errno;
    sigpipe_restore(&guard, s->result < 0 ? (int)-s->result : 0);
    return 0;
}

/* Behind the end is as good as there. */
static bool is_there(int fd, int64_t at) {
    char byte;
    struct iovec v = {&byte, 1};
    return preadv2(fd, &v, 1, at, RWF_NOWAIT) >= 0;
}

ssize_t copy_sendfile(int to, int from, int64_t *position, size_t n) {
    struct sending s = {.to = to, .from = from, .position = position, .n = n};
    int64_t at = position ? *position : lseek(from, 0, SEEK_CUR);
    if (at >= 0 && is_there(from, at) && is_there(from, at + (int64_t)n - 1))
        sendfile_call(&s);
    else
        cyg_blocking(sendfile_call, &s);
    if (s.result > 0 && position) *position += s.result;
    return s.result;
}
