/* time.h: durations are int64 nanoseconds, points in time are nanoseconds of the monotonic clock; a deadline is a point in
 * time, and 0 means none.
 *
 *     cyg_sleep(5 * CYG_MILLISECOND);
 *     cyg_set_deadline(conn, cyg_now() + 2 * CYG_SECOND);
 */
#ifndef CYGNET_TIME_H
#define CYGNET_TIME_H

#include <cygnet/base.h>

CYG_BEGIN_DECLS

typedef int64_t cyg_duration; /* nanoseconds */
typedef int64_t cyg_time;     /* nanoseconds of CLOCK_MONOTONIC; 0 means "no deadline" */

#define CYG_NANOSECOND ((cyg_duration)1)
#define CYG_MICROSECOND (1000 * CYG_NANOSECOND)
#define CYG_MILLISECOND (1000 * CYG_MICROSECOND)
#define CYG_SECOND (1000 * CYG_MILLISECOND)
#define CYG_MINUTE (60 * CYG_SECOND)
#define CYG_HOUR (60 * CYG_MINUTE)

/* The monotonic clock, read now. Blocks: never. From: anywhere, also a signal handler. Source: clock_gettime(2). */
CYG_API cyg_time cyg_now(void);

/* The monotonic clock as the scheduler last read it: free, and older than cyg_now() by what the goroutine has computed since it was
 * resumed. That reading is made when it comes back from waiting for a descriptor or was started by one; goroutines that resume
 * each other share a reading for up to 16 switches and some milliseconds. It never runs ahead of cyg_now() and never goes back
 * for a goroutine. On a foreign thread the same as cyg_now(). Blocks: never. From: anywhere. */
CYG_API cyg_time cyg_now_cached(void);

/* Nanoseconds since 1970-01-01T00:00:00Z. Blocks: never. From: anywhere, also a signal handler. */
CYG_API int64_t cyg_unix_nano(void);

/* Parks the goroutine for d; d <= 0 yields.
 * Blocks: parks. From: goroutine. Returns: 0, or CYG_ECANCELED / CYG_ETIMEDOUT when its context ended first. */
CYG_API int cyg_sleep(cyg_duration d);

/* A timer that starts a goroutine. */
typedef struct cyg_timer cyg_timer;

/* Runs fn(arg) on a new goroutine once, d from now (d <= 0: at once), never earlier; from a second up it may be counted from half a
 * millisecond later, which saves a reading of the clock.
 * Blocks: never. From: goroutine or any thread while the runtime runs. Owns: *out holds one reference that
 * cyg_timer_release drops; releasing does not stop the timer. Returns: 0, CYG_ENOMEM, or CYG_ESTATE without a runtime. */
CYG_API int cyg_after_func(cyg_duration d, void (*fn)(void *), void *arg, cyg_timer **out);

/* Stops a timer. Blocks: never. From: anywhere but a signal handler.
 * Returns: true if it had not fired and now never will; false if its goroutine was or is being started. */
CYG_API bool cyg_timer_stop(cyg_timer *t);

/* Lets the timer fire d from now, whether it was pending, stopped or fired. Blocks: never. From: as cyg_timer_stop.
 * Returns: true if it had been pending. */
CYG_API bool cyg_timer_reset(cyg_timer *t, cyg_duration d);

/* Drops the caller's reference; using the timer after that is fatal as soon as it has fired or been stopped, while its memory is not
 * another timer's. Blocks: never. From: as cyg_timer_stop, also after the runtime has stopped. */
CYG_API void cyg_timer_release(cyg_timer *t);

CYG_END_DECLS
#endif
