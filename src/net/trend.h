/* trend.h: how fast a number moves: a straight line (least squares) through its last samples. */
#ifndef CYG_NET_TREND_H
#define CYG_NET_TREND_H

#include <cygnet/time.h>

#define TREND_SAMPLES 16
#define TREND_SPACING CYG_SECOND /* the last sample gives way to the next while it is closer to the one before it */
#define TREND_MEMORY (10 * CYG_MINUTE) /* what is older says nothing about now */

struct trend {                  /* begin with {0} */
    cyg_time at[TREND_SAMPLES]; /* oldest first */
    double value[TREND_SAMPLES];
    unsigned n;
};

void trend_add(struct trend *t, cyg_time at, double value);

/* Change in one second; 0 with fewer than three samples. */
double trend_slope(const struct trend *t);

#endif
