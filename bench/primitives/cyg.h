/* cyg.h: what the files of the Cygnet program share. */
#ifndef BENCH_PRIMITIVES_CYG_H
#define BENCH_PRIMITIVES_CYG_H

#include <cygnet/cygnet.h>

#include "sample.h"

/* Runs fn(me, n) on `count` goroutines, me counted from 0; returns how long it took until the last had ended. */
int64_t together(int count, void (*fn)(int me, long n), long n);

/* Ends the program if a call that cannot fail here has failed. */
void must(int err);

/* cyg_chan.c */
sample_fn chan_unbuffered, chan_buffered, select_ready, select_blocking;
void wake_exit(void);
/* cyg_timer.c */
void timers(void);

#endif
