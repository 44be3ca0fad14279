/* runtime.h: goroutines. A goroutine is a function that runs beside its caller on one of a few threads; calls that would
 * block a thread park the goroutine instead.
 *
 *     static void hello(void *who) { printf("hello, %s\n", (char *)who); }
 *     static int serve(int argc, char **argv) {
 *         cyg_go(hello, "world");
 *         return cyg_sleep(CYG_SECOND);
 *     }
 *     int main(int argc, char **argv) { return cyg_main(serve, argc, argv); }
 *
 * After any call that can park, the goroutine may be on another thread: keep no address of a thread-local variable across
 * it. errno is redefined here over a safe accessor (define CYG_KEEP_ERRNO before including to opt out). The floating-point
 * control words are the process's, not the goroutine's. Do not call pthread_sigmask or pthread_exit in a goroutine, and do
 * not park inside a C++ catch block.
 *
 * Memory: what a peer or a caller can make large (goroutines, connections, timers, buffers) fails with CYG_ENOMEM and leaves all as it
 * was. What is small and of fixed size (a context, a listener's record, the room for the timers' order) ends the program with
 * "cygnet: fatal: out of memory" on standard error and SIGABRT. A thread that the system refuses is tried again until it comes.
 *
 * Environment: CYGNET_MAXPROCS=N sets how many goroutines run at once (default: the CPUs this process may use, by affinity
 * and cgroup quota). CYGNET_DEBUG=word,... : noguard, nopwait2 and noexclusive force the fallbacks for older kernels,
 * nomprotect those of a process that has no memory mappings left for guard pages; nosymbols that of a machine without libdw;
 * nosplice that of a kernel that moves no bytes itself (copy.h); backlogs=N and nobacklogs are about channels (cyg_chan_set_name);
 * snapshots protects published values from being written (cyg_snapshot_publish); leaks prints what cyg_main's program leaves behind
 * (cyg_leaks).
 */
#ifndef CYGNET_RUNTIME_H
#define CYGNET_RUNTIME_H

#include <cygnet/base.h>
#include <cygnet/err.h>
#include <cygnet/time.h>

CYG_BEGIN_DECLS

/* ---- start and stop ------------------------------------------------------------------------------------------- */

/* Starts the runtime, runs fn(argc, argv) as the first goroutine, stops the runtime when it returns. Installs handlers for
 * SIGSEGV/SIGBUS (names the goroutine and its overflowed stack, or the address and the calls it stood in, then dies with a core),
 * SIGQUIT (writes the dump of all goroutines to standard error and goes on) and SIGURG (asks a running goroutine for its stack, when
 * a dump is written), and ignores SIGPIPE.
 * When all goroutines are asleep and nothing can wake one (no timer, descriptor, signal, blocking call, or thread that is not the
 * runtime's), it says so with a dump and ends the process with status 2.
 * Blocks: the calling thread, until fn returns. From: main thread, once. Returns: what fn returned if that is in 0..125;
 * 1 for a negative cyg_err. */
CYG_API int cyg_main(int (*fn)(int argc, char **argv), int argc, char **argv);

typedef struct cyg_runtime_opts {
    unsigned maxprocs; /* goroutines that run at once; 0: CYGNET_MAXPROCS, else CPUs allowed; at most 256 */
    size_t stack_size; /* default reserve of a goroutine's stack in bytes; 0: 256 KiB; rounded up to a power of two,
                              16 KiB to 64 MiB; memory is committed as it is touched */
    unsigned max_threads; /* threads in all, those in cyg_blocking included; 0: 512. At the limit cyg_blocking holds its P */
    size_t max_goroutines; /* 0: no limit but memory. At the limit cyg_go returns CYG_ELIMIT */
    size_t max_extra_threads; /* goroutines that compute without coming back lose their P after 10 ms if others wait for it, as
                                 long as no more than so many threads compute without one; 0: 8, or twice maxprocs if that is more */
    uint64_t reserve[3]; /* zero */
} cyg_runtime_opts;

/* Starts the runtime inside a program that has its own main: no signal handler is installed and nothing exits.
 * Blocks: never. From: any thread, one runtime per process. Owns: opts is read during the call, NULL means defaults.
 * Returns: 0, CYG_ESTATE if one runs already, CYG_ENOMEM when memory or a thread is refused, or the error of the system call that
 * failed; then nothing is left running.
 * A child forked while a runtime ran has none, its cyg_ calls say CYG_ESTATE, and it cannot start one (CYG_ESTATE): let it exec. */
CYG_API int cyg_runtime_start(const cyg_runtime_opts *opts);

/* Ends the runtime: goroutines are not waited for, they stop where they are parked or next park; threads are joined. Memory
 * of parked goroutines goes back; what they owned does not.
 * Blocks: the thread, until running goroutines have parked. From: a foreign thread, not a goroutine.
 * Returns: 0 or CYG_ESTATE. */
CYG_API int cyg_runtime_stop(void);

/* Runs fn(arg) on a new goroutine and waits for its result. Blocks: the thread. From: a foreign thread (on a goroutine it
 * simply calls fn). Returns: what fn returned, or CYG_ESTATE / CYG_ENOMEM / CYG_ELIMIT if it could not start. */
CYG_API int cyg_call(int (*fn)(void *), void *arg);

/* ---- goroutines ----------------------------------------------------------------------------------------------- */

typedef struct cyg_go_opts {
    const char *name;    /* for dumps; must outlive the goroutine (a literal); NULL: none */
    size_t stack_size;   /* bytes reserved; 0: the runtime's default; rounded up to a power of two, 16 KiB to 64 MiB */
    const char *file;    /* start site; the macros fill it in */
    int line;            /* start site; the macros fill it in */
    bool pinned;         /* runs as if it began with cyg_lock_thread */
    uint64_t reserve[2]; /* zero */
} cyg_go_opts;

/* Starts fn(arg) on a goroutine. It inherits the caller's current context; it runs soon, not at once.
 * Blocks: never. From: goroutine or any thread while the runtime runs. Owns: arg stays the caller's affair; do not pass the
 * address of a local (cyg_go_copy exists). Returns: 0, CYG_ENOMEM, CYG_ELIMIT, or CYG_ESTATE without a runtime. */
#define cyg_go(fn, arg) cyg_go_at((fn), (arg), __FILE__, __LINE__)
CYG_API int cyg_go_at(void (*fn)(void *), void *arg, const char *file, int line);

/* Starts fn on a goroutine with a pointer to its own copy of *(ptr), 128 bytes at most, which lives as long as it does.
 * As cyg_go; CYG_EINVAL when the object is larger. */
#define cyg_go_copy(fn, ptr) cyg_go_copy_at((fn), (ptr), sizeof *(ptr), __FILE__, __LINE__)
CYG_API int cyg_go_copy_at(void (*fn)(void *), const void *p, size_t n, const char *file, int line);

/* As cyg_go, with options: `cyg_go_with(&(cyg_go_opts){.name = "reaper"}, reap, pool)`. */
#define cyg_go_with(opts, fn, arg) cyg_go_with_at((opts), (fn), (arg), __FILE__, __LINE__)
CYG_API int cyg_go_with_at(const cyg_go_opts *opts, void (*fn)(void *), void *arg, const char *file, int line);

/* Lets others run; returns when its turn comes again. Blocks: parks. From: goroutine (on a foreign thread: sched_yield). */
CYG_API void cyg_yield(void);

/* The number of the calling goroutine, counted from 1; 0 on a foreign thread. Blocks: never. From: anywhere. */
CYG_API uint64_t cyg_goid(void);

/* Names the calling goroutine for dumps. Owns: name must outlive it. Blocks: never. From: goroutine. */
CYG_API void cyg_set_name(const char *name);

/* How many goroutines can run at once; 0 without a runtime. Blocks: never. From: anywhere. */
CYG_API unsigned cyg_procs(void);

/* A number below cyg_procs() for spreading state over cache lines: where the caller runs now. It can change at every call
 * that parks, so it is a hint, never a lock. 0 on a foreign thread. Blocks: never. From: anywhere. */
CYG_API unsigned cyg_proc_hint(void);

/* ---- calls that block a thread, descriptors of other libraries, signals --------------------------------------- */

/* Calls fn(arg) here, while the right to run goroutines passes to another thread: for file system calls, getaddrinfo and
 * libraries that block. fn must not call anything that parks.
 * Blocks: the thread, not the others. From: goroutine (on a foreign thread it simply calls fn). Returns: what fn returned. */
CYG_API int cyg_blocking(int (*fn)(void *), void *arg);

/* Keeps the calling goroutine on its thread, and other goroutines off it, until as many cyg_unlock_thread calls follow: for libraries
 * that keep state per thread. A switch to or from it is one between threads, so it is slow. If the goroutine ends without
 * unlocking, its thread ends too, with whatever state it has. Blocks: never. From: goroutine. */
CYG_API void cyg_lock_thread(void);

/* Takes one cyg_lock_thread back; aborts without one. Blocks: never. From: goroutine. */
CYG_API void cyg_unlock_thread(void);

#define CYG_READABLE 1
#define CYG_WRITABLE 4

/* Parks until descriptor fd is ready for events (CYG_READABLE, CYG_WRITABLE or both), for libraries that bring a descriptor
 * of their own. fd must be pollable and stay open; one waiter per descriptor and direction.
 * Blocks: parks. From: goroutine. Returns: the ready events (> 0), CYG_ETIMEDOUT, CYG_ECANCELED, -EPERM for a descriptor
 * epoll cannot watch (a regular file), or another system error. Source: epoll_ctl(2). */
CYG_API int cyg_fd_wait(int fd, int events, cyg_time deadline);

/* Parks until one of the signals in mask (bit n-1 for signal n: CYG_SIGNAL(SIGTERM) | CYG_SIGNAL(SIGHUP)) has arrived, and
 * takes it. The first call with a signal installs a handler for it; signals that come while nobody waits are kept, one of a
 * kind. One goroutine at a time may wait for a signal.
 * Blocks: parks. From: goroutine. Returns: the signal's number, CYG_ECANCELED, CYG_ETIMEDOUT, CYG_EINVAL for an empty mask. */
#define CYG_SIGNAL(n) (1ull << ((n)-1))
CYG_API int cyg_signal_wait(uint64_t mask, cyg_time deadline);

/* ---- seeing in ------------------------------------------------------------------------------------------------- */

typedef struct cyg_runtime_stats {
    uint64_t goroutines;           /* alive now */
    uint64_t goroutines_total;     /* started since the runtime began; start records that ran count as one each */
    uint64_t start_records;        /* idle connections whose goroutine starts on readiness, now */
    uint64_t threads;              /* OS threads of the runtime, now */
    uint64_t switches_total;       /* times a goroutine was resumed */
    uint64_t steals_total;         /* goroutines taken from another P's queue */
    uint64_t parks_total;          /* times a P went to sleep in the kernel */
    uint64_t wakes_total;          /* times a sleeping P was woken by another */
    uint64_t polls_total;          /* epoll_wait calls */
    uint64_t poll_events_total;    /* readiness events they returned */
    uint64_t timers;               /* pending now */
    uint64_t stacks;               /* stacks carved so far, in use or cached */
    uint64_t stacks_unguarded;     /* of these, without a guard page (older kernels only) */
    uint64_t blocking_total;       /* cyg_blocking calls */
    uint64_t blocking_limit_total; /* of these, made while holding the P because max_threads was reached */
    uint64_t global_runs_total;    /* goroutines that went through the global queue */
    uint64_t retakes_blocked_total; /* Ps taken from goroutines that blocked their thread for 10 ms or more while work waited */
    uint64_t retakes_hog_total; /* Ps taken from goroutines that computed for so long */
    uint64_t retakes_left_total; /* times such a P was left: its thread was merely descheduled, or max_extra_threads reached */
    uint64_t retakes_limit_total; /* times one could not be taken because max_threads was reached */
    uint64_t queue_delay[24]; /* how long every 64th goroutine waited in a run queue: [i] counts those below 2^(i+8) ns that are
                                 not in [i-1], the last one the rest */
    uint64_t threads_without_p; /* threads whose P was taken and whose goroutine has not come back yet, now */
    uint64_t spins_total;       /* times a thread without work looked around for some before it slept */
    uint64_t turns_total;       /* times a goroutine let others that the same poll had woken do the same step first */
    uint64_t reserve[1];
} cyg_runtime_stats;

/* Fills *out with counters read one by one, each exact, together not one instant. Blocks: never. From: any thread. */
CYG_API void cyg_stats(cyg_runtime_stats *out);

/* Writes every goroutine to fd: state, on what and how long, stack, where it was started; the same ones are one paragraph with
 * their number. Idle connections stand with what they would start. Goroutines go on running meanwhile, so the list is not one
 * instant. Stacks of those that run are there with cyg_main, by a signal (SIGURG) to their threads. Names of static functions and
 * lines need libdw (elfutils) and debug information. docs/guide/debugging.md says how to read it.
 * Blocks: the thread, for milliseconds and in write(2). From: anywhere but a signal handler. Returns: 0 or -errno of write. */
CYG_API int cyg_dump(int fd);

/* Writes to fd, for each place where goroutines were started, how deep the deepest of them got into its stack: those that have ended,
 * and the others as they are now. In checked builds (-Dchecked=true) with "census" in CYGNET_DEBUG, which also writes it to
 * standard error when the runtime stops; stacks are then committed whole.
 * Blocks: may block the thread in write(2). From: anywhere but a signal handler. Returns: 0, CYG_ENOTSUP, -errno of write. */
CYG_API int cyg_stack_census(int fd);

/* Where errno of the calling thread is, asked anew each time. Blocks: never. From: anywhere. */
CYG_API int *cyg_errno_location(void);

CYG_END_DECLS

#ifndef CYG_KEEP_ERRNO
#include <errno.h>
#undef errno
#define errno (*cyg_errno_location())
#endif

#endif
