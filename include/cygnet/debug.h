/* debug.h: looking into a running program: where its goroutines stand, where time goes, what is held for too long.
 * cyg_dump (runtime.h) is the first thing to ask; docs/guide/debugging.md goes through it all.
 *
 *     cyg_profile(fd, CYG_PROFILE_GOROUTINES, CYG_PROFILE_PPROF);       // then: go tool pprof -top FILE
 *     cyg_profile_cpu(fd, CYG_PROFILE_TEXT, 5 * CYG_SECOND);
 *
 * Profiles are by place: a stack, or the start site of a goroutine, written FUNCTION@file.c:line. Names of static functions,
 * files and lines need libdw (elfutils) and debug information; without them there are the names that the linker exports.
 * Stacks follow frame pointers: compile with -fno-omit-frame-pointer to see all of yours.
 */
#ifndef CYGNET_DEBUG_H
#define CYGNET_DEBUG_H

#include <cygnet/base.h>
#include <cygnet/err.h>
#include <cygnet/time.h>

CYG_BEGIN_DECLS

/* ---- profiles ---------------------------------------------------------------------------------------------------- */

#define CYG_PROFILE_TEXT 0  /* for a person, most first */
#define CYG_PROFILE_PPROF 1 /* for pprof: profile.proto, not compressed */

#define CYG_PROFILE_GOROUTINES 1 /* all goroutines: how many where, started where */
#define CYG_PROFILE_CONTENTION 2 /* waits for locks since the program began: how often and how long, by who waited */

/* Writes a profile to fd. Goroutines go on running meanwhile.
 * Blocks: the thread, for milliseconds (reading debug information) and in write(2). From: anywhere but a signal handler.
 * Returns: 0, CYG_EINVAL for an unknown kind or format, CYG_ENOMEM, or -errno of write.
 * Source: profile.proto of github.com/google/pprof. */
CYG_API int cyg_profile(int fd, int kind, int format);

/* Records one of every n waits for a lock, on average, weighted by n; 0: none. 100 at the start. A lock that is free costs
 * nothing either way; a wait that is recorded costs about a microsecond.
 * Blocks: never. From: any thread. Returns: the rate before. */
CYG_API unsigned cyg_profile_contention_rate(unsigned n);

/* Watches for d (1 ms to 10 min) which goroutines use the processors, then writes CPU time by start site to fd. A thread looks
 * 500 times a second at what each thread of the runtime runs, and adds the CPU time that thread has used since: the sum is
 * exact, which goroutine it is given to is a sample. Nothing is paid outside of d.
 * Blocks: parks for d, then the thread as cyg_profile does. From: goroutine or any thread.
 * Returns: 0, CYG_ESTATE while another one watches or without a runtime, CYG_ECANCELED (nothing is written then), or as
 * cyg_profile. */
CYG_API int cyg_profile_cpu(int fd, int format, cyg_duration d);

/* ---- what stays ----------------------------------------------------------------------------------------------------- */

typedef struct cyg_leak_stats {
    uint64_t goroutines; /* parked for at least min_age, sleepers not counted */
    uint64_t grown;      /* of these, how many more than at the last look with an fd, summed over the kinds that grew */
    uint64_t conns;      /* open connections of this process's streams */
    uint64_t close_wait; /* of these, ended by the peer and not closed by us */
    uint64_t unattended; /* of these, on which nobody waits and no start record is left */
    uint64_t reserve[4];
} cyg_leak_stats;

/* Looks for what may have been forgotten: goroutines that have been parked for min_age or longer, by start site and what they
 * wait for, with the change since the last look at that; connections, with who waits on them; and timers that nobody waits for (contexts'
 * deadlines, as context_deadline, and cyg_after_func), with what they would start and when. Whether something is
 * reachable cannot be known in C, so these are suspects: what grows from look to look is a leak, what stays the same is not.
 * fd < 0: only counts, which is no look that a later one is compared with. out may be NULL. With CYGNET_DEBUG=leaks cyg_main calls
 * this with fd 2 and min_age 0 when the main function returns.
 * Blocks: the thread, as cyg_profile. From: anywhere but a signal handler. Returns: 0, or -errno of write. */
CYG_API int cyg_leaks(int fd, cyg_duration min_age, cyg_leak_stats *out);

/* ---- how many from where ---------------------------------------------------------------------------------------------- */

typedef struct cyg_start_site {
    char site[128];      /* FUNCTION@file.c:line, cut to fit; files of one name are not told apart */
    uint64_t goroutines; /* started there and alive now */
    uint64_t reserve[2];
} cyg_start_site;

/* Counts the goroutines that are alive by where they were started, and writes the first n places, most first: a gauge that shows which
 * of them grows. Looks at every goroutine, so not for every second in a program with a million.
 * Blocks: the thread, as cyg_profile. From: anywhere but a signal handler. Returns: how many places there are, which can be more than n;
 * CYG_ENOMEM. */
CYG_API ssize_t cyg_start_sites(cyg_start_site *out, size_t n);

CYG_END_DECLS
#endif
