/* fail_wrap.h: one call of one kind, the n-th since arming, fails with a given errno; everything else goes through. The library's
 * calls of libc are replaced at link time (--wrap, see meson.build), its two inline system calls by a seccomp filter. */
#ifndef TESTS_STRESS_FAIL_WRAP_H
#define TESTS_STRESS_FAIL_WRAP_H

#include <stdbool.h>

enum fail_kind {
    FAIL_NOTHING,
    FAIL_MALLOC,
    FAIL_CALLOC,
    FAIL_REALLOC,
    FAIL_ALIGNED, /* aligned_alloc and posix_memalign */
    FAIL_MMAP,
    FAIL_MUNMAP,
    FAIL_MPROTECT,
    FAIL_GUARD, /* madvise that installs a guard */
    FAIL_MADVISE,
    FAIL_MINCORE,
    FAIL_EPOLL_CREATE,
    FAIL_EPOLL_ADD,
    FAIL_EPOLL_WAIT,
    FAIL_PWAIT2,
    FAIL_EVENTFD,
    FAIL_PIPE2,
    FAIL_THREAD,
    FAIL_ATFORK,
    FAIL_GETATTR,
    FAIL_SIGALTSTACK,
    FAIL_SIGACTION,
    FAIL_AFFINITY,
    FAIL_FOPEN,
    FAIL_OPEN,
    FAIL_READ,
    FAIL_WRITE,
    FAIL_MEMBARRIER,
    FAIL_FUTEX,
    FAIL_SOCKET,
    FAIL_BIND,
    FAIL_LISTEN,
    FAIL_ACCEPT,
    FAIL_CONNECT,
    FAIL_GETSOCKOPT,
    FAIL_SETSOCKOPT,
    FAIL_GETSOCKNAME,
    FAIL_GETPEERNAME,
    FAIL_FCNTL,
    FAIL_SHUTDOWN,
    FAIL_RECV,
    FAIL_SEND,
    FAIL_RECVMSG,
    FAIL_SENDMSG,
    FAIL_RECVMMSG,
    FAIL_SENDMMSG,
    FAIL_SPLICE,
    FAIL_SENDFILE,
};

/* From now on calls of this kind are counted, and the n-th fails. err: a positive errno. */
void fail_arm(enum fail_kind kind, unsigned n, int err);
void fail_disarm(void);
bool fail_hit(void);       /* it has failed */
unsigned fail_calls(void); /* calls of that kind since fail_arm */

/* Lets recv and send be counted, too, for this process and what it starts. False: the system does not allow that. */
bool fail_filter_install(void);

#endif
