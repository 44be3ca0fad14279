/* sys.h: the two system calls of every request, without what libc puts around them. There recv and send are cancellation points,
 * which costs two more calls each; and their error comes back through a thread-local. Here it is the result.
 * With sanitizers, which watch libc's calls, and on other processors these are libc's. */
#ifndef CYG_BASE_SYS_H
#define CYG_BASE_SYS_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CYG_SYS_LIBC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define CYG_SYS_LIBC 1
#endif
#endif

#if !defined(CYG_SYS_LIBC) && defined(__x86_64__)
static inline long cyg_syscall6(long n, long a, long b, long c, long d, long e, long f) {
    long r;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return r;
}
#elif !defined(CYG_SYS_LIBC) && defined(__aarch64__)
static inline long cyg_syscall6(long n, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
#else
#undef CYG_SYS_LIBC
#define CYG_SYS_LIBC 1
#endif

#ifdef CYG_SYS_LIBC
int *cyg_errno_location(void); /* runtime.h: errno of the thread this runs on, whatever the compiler has kept */
#endif

/* As recv(2) and send(2), but a negative result is -errno. */
static inline ssize_t cyg_sys_recv(int fd, void *p, size_t n, int flags) {
#ifdef CYG_SYS_LIBC
    ssize_t r = recv(fd, p, n, flags);
    return r < 0 ? -*cyg_errno_location() : r;
#else
    return cyg_syscall6(SYS_recvfrom, fd, (long)p, (long)n, flags, 0, 0);
#endif
}

static inline ssize_t cyg_sys_send(int fd, const void *p, size_t n, int flags) {
#ifdef CYG_SYS_LIBC
    ssize_t r = send(fd, p, n, flags);
    return r < 0 ? -*cyg_errno_location() : r;
#else
    return cyg_syscall6(SYS_sendto, fd, (long)p, (long)n, flags, 0, 0);
#endif
}

#endif
