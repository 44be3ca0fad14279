/* fail_wrap.c: see fail_wrap.h. Each wrapper asks whether its turn has come. The names with 64 are what libc's headers make of the
 * others when file offsets have 64 bits. */
#include "fail_wrap.h"

#include "base/sys.h"

#include <cygnet/runtime.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <ucontext.h>

#define MADV_GUARD_INSTALL_ 102

static _Atomic int armed;
static _Atomic unsigned calls, turn;
static _Atomic int error, hit;

void fail_arm(enum fail_kind kind, unsigned n, int err) {
    atomic_store(&calls, 0);
    atomic_store(&hit, 0);
    atomic_store(&turn, n);
    atomic_store(&error, err);
    atomic_store(&armed, (int)kind);
}

void fail_disarm(void) { atomic_store(&armed, FAIL_NOTHING); }
bool fail_hit(void) { return atomic_load(&hit); }
unsigned fail_calls(void) { return atomic_load(&calls); }

/* The errno with which this call fails; 0: it does not. */
static int fails(enum fail_kind kind) {
    if (atomic_load(&armed) != (int)kind) return 0;
    if (atomic_fetch_add(&calls, 1) + 1 != atomic_load(&turn)) return 0;
    atomic_store(&hit, 1);
    return atomic_load(&error);
}

/* The same for calls that report through errno. */
static bool fail(enum fail_kind kind) {
    int e = fails(kind);
    if (e) errno = e;
    return e != 0;
}

#define WRAP(kind, result, failed, name, parameters, arguments) \
    result __real_##name parameters;                            \
    result __wrap_##name parameters;                            \
    result __wrap_##name parameters { return fail(kind) ? (failed) : __real_##name arguments; }

WRAP(FAIL_MALLOC, void *, NULL, malloc, (size_t n), (n))
WRAP(FAIL_CALLOC, void *, NULL, calloc, (size_t n, size_t size), (n, size))
WRAP(FAIL_REALLOC, void *, NULL, realloc, (void *p, size_t n), (p, n))
WRAP(FAIL_ALIGNED, void *, NULL, aligned_alloc, (size_t a, size_t n), (a, n))
WRAP(FAIL_MMAP, void *, MAP_FAILED, mmap, (void *p, size_t n, int prot, int flags, int fd, off_t at),
     (p, n, prot, flags, fd, at))
WRAP(FAIL_MMAP, void *, MAP_FAILED, mmap64, (void *p, size_t n, int prot, int flags, int fd, off_t at),
     (p, n, prot, flags, fd, at))
WRAP(FAIL_MUNMAP, int, -1, munmap, (void *p, size_t n), (p, n))
WRAP(FAIL_MPROTECT, int, -1, mprotect, (void *p, size_t n, int prot), (p, n, prot))
WRAP(advice == MADV_GUARD_INSTALL_ ? FAIL_GUARD : FAIL_MADVISE, int, -1, madvise, (void *p, size_t n, int advice),
     (p, n, advice))
WRAP(FAIL_MINCORE, int, -1, mincore, (void *p, size_t n, unsigned char *v), (p, n, v))
WRAP(FAIL_EPOLL_CREATE, int, -1, epoll_create1, (int flags), (flags))
/* Only adding allocates; what is registered can be changed and removed. */
WRAP(op == EPOLL_CTL_ADD ? FAIL_EPOLL_ADD : FAIL_NOTHING, int, -1, epoll_ctl,
     (int ep, int op, int fd, struct epoll_event *e), (ep, op, fd, e))
WRAP(FAIL_EPOLL_WAIT, int, -1, epoll_wait, (int ep, struct epoll_event *e, int n, int ms), (ep, e, n, ms))
WRAP(FAIL_EVENTFD, int, -1, eventfd, (unsigned n, int flags), (n, flags))
WRAP(FAIL_PIPE2, int, -1, pipe2, (int *fds, int flags), (fds, flags))
WRAP(FAIL_SIGALTSTACK, int, -1, sigaltstack, (const stack_t *st, stack_t *old), (st, old))
WRAP(FAIL_SIGACTION, int, -1, sigaction, (int sig, const struct sigaction *sa, struct sigaction *old), (sig, sa, old))
WRAP(FAIL_AFFINITY, int, -1, sched_getaffinity, (pid_t pid, size_t n, cpu_set_t *set), (pid, n, set))
WRAP(FAIL_FOPEN, FILE *, NULL, fopen, (const char *path, const char *mode), (path, mode))
WRAP(FAIL_FOPEN, FILE *, NULL, fopen64, (const char *path, const char *mode), (path, mode))
WRAP(FAIL_READ, ssize_t, -1, read, (int fd, void *p, size_t n), (fd, p, n))
WRAP(FAIL_WRITE, ssize_t, -1, write, (int fd, const void *p, size_t n), (fd, p, n))
WRAP(FAIL_SOCKET, int, -1, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(FAIL_BIND, int, -1, bind, (int fd, const struct sockaddr *sa, socklen_t n), (fd, sa, n))
WRAP(FAIL_LISTEN, int, -1, listen, (int fd, int backlog), (fd, backlog))
WRAP(FAIL_ACCEPT, int, -1, accept4, (int fd, struct sockaddr *sa, socklen_t *n, int flags), (fd, sa, n, flags))
WRAP(FAIL_CONNECT, int, -1, connect, (int fd, const struct sockaddr *sa, socklen_t n), (fd, sa, n))
WRAP(FAIL_GETSOCKOPT, int, -1, getsockopt, (int fd, int level, int name, void *p, socklen_t *n), (fd, level, name, p, n))
WRAP(FAIL_SETSOCKOPT, int, -1, setsockopt, (int fd, int level, int name, const void *p, socklen_t n),
     (fd, level, name, p, n))
WRAP(FAIL_GETSOCKNAME, int, -1, getsockname, (int fd, struct sockaddr *sa, socklen_t *n), (fd, sa, n))
WRAP(FAIL_GETPEERNAME, int, -1, getpeername, (int fd, struct sockaddr *sa, socklen_t *n), (fd, sa, n))
WRAP(FAIL_SHUTDOWN, int, -1, shutdown, (int fd, int how), (fd, how))
WRAP(FAIL_RECVMSG, ssize_t, -1, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
WRAP(FAIL_SENDMSG, ssize_t, -1, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
WRAP(FAIL_RECVMMSG, int, -1, recvmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t),
     (fd, m, n, flags, t))
WRAP(FAIL_SENDMMSG, int, -1, sendmmsg, (int fd, struct mmsghdr *m, unsigned n, int flags), (fd, m, n, flags))
WRAP(FAIL_SPLICE, ssize_t, -1, splice, (int in, off_t *in_at, int out, off_t *out_at, size_t n, unsigned flags),
     (in, in_at, out, out_at, n, flags))
WRAP(FAIL_SENDFILE, ssize_t, -1, sendfile, (int out, int in, off_t *at, size_t n), (out, in, at, n))
WRAP(FAIL_SENDFILE, ssize_t, -1, sendfile64, (int out, int in, off_t *at, size_t n), (out, in, at, n))

/* What reports by its result. */
#define WRAP_RESULT(kind, name, parameters, arguments) \
    int __real_##name parameters;                      \
    int __wrap_##name parameters;                      \
    int __wrap_##name parameters {                     \
        int e = fails(kind);                           \
        return e ? e : __real_##name arguments;        \
    }

typedef void *thread_fn(void *);
typedef void fork_fn(void);
WRAP_RESULT(FAIL_THREAD, pthread_create, (pthread_t * t, const pthread_attr_t *a, thread_fn *fn, void *arg), (t, a, fn, arg))
WRAP_RESULT(FAIL_ATFORK, pthread_atfork, (fork_fn * prepare, fork_fn *parent, fork_fn *child), (prepare, parent, child))
WRAP_RESULT(FAIL_GETATTR, pthread_getattr_np, (pthread_t t, pthread_attr_t *a), (t, a))
WRAP_RESULT(FAIL_ALIGNED, posix_memalign, (void **out, size_t a, size_t n), (out, a, n))

/* Variable arguments: as many as the system call can have. */
#define WRAP_OPEN(name)                                                 \
    int __real_##name(const char *path, int flags, ...);                \
    int __wrap_##name(const char *path, int flags, ...);                \
    int __wrap_##name(const char *path, int flags, ...) {               \
        va_list ap;                                                     \
        va_start(ap, flags);                                            \
        unsigned mode = flags & O_CREAT ? va_arg(ap, unsigned) : 0;     \
        va_end(ap);                                                     \
        return fail(FAIL_OPEN) ? -1 : __real_##name(path, flags, mode); \
    }
WRAP_OPEN(open)
WRAP_OPEN(open64)

#define WRAP_FCNTL(name)                                            \
    int __real_##name(int fd, int cmd, ...);                        \
    int __wrap_##name(int fd, int cmd, ...);                        \
    int __wrap_##name(int fd, int cmd, ...) {                       \
        va_list ap;                                                 \
        va_start(ap, cmd);                                          \
        long arg = va_arg(ap, long);                                \
        va_end(ap);                                                 \
        return fail(FAIL_FCNTL) ? -1 : __real_##name(fd, cmd, arg); \
    }
WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)

long __real_syscall(long nr, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long nr, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long nr, long a, long b, long c, long d, long e, long f) {
    enum fail_kind kind = FAIL_NOTHING;
    if (nr == SYS_membarrier) kind = FAIL_MEMBARRIER;
    if (nr == SYS_epoll_pwait2) kind = FAIL_PWAIT2;
    if (nr == SYS_futex && (b & FUTEX_CMD_MASK) == FUTEX_WAIT) kind = FAIL_FUTEX;
    return fail(kind) ? -1 : __real_syscall(nr, a, b, c, d, e, f);
}

/* ---- the inline system calls ---------------------------------------------------------------------------------------------- */

#ifdef CYG_SYS_LIBC

WRAP(FAIL_RECV, ssize_t, -1, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))
WRAP(FAIL_SEND, ssize_t, -1, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
bool fail_filter_install(void) { return true; }

#elif defined(__x86_64__)

/* recvfrom and sendto raise SIGSYS; its handler makes them with a sixth argument that the kernel ignores (there is no address) and
 * by which the filter knows them. */
#define MARK 0x6661696c

static void on_sigsys(int sig, siginfo_t *info, void *context) {
    (void)sig;
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    int e = fails(info->si_syscall == SYS_recvfrom ? FAIL_RECV : FAIL_SEND);
    r[REG_RAX] = e ? -e : cyg_syscall6(info->si_syscall, r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], MARK);
}

bool fail_filter_install(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_recvfrom, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendto, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MARK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    struct sigaction sa = {.sa_flags = SA_SIGINFO | SA_ONSTACK, .sa_sigaction = on_sigsys};
    if (sigaction(SIGSYS, &sa, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

#else

bool fail_filter_install(void) { return false; }

#endif
