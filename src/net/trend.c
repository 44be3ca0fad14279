/* trend.c: see trend.h. */
#include "net/trend.h"

#include <string.h>

static void forget_first(struct trend *t) {
    t->n--;
    memmove(t->at, t->at + 1, t->n * sizeof *t->at);
    memmove(t->value, t->value + 1, t->n * sizeof *t->value);
}

void trend_add(struct trend *t, cyg_time at, double value) {
    while (t->n > 0 && at - t->at[0] > TREND_MEMORY) forget_first(t);
    if (t->n > 1 && t->at[t->n - 1] - t->at[t->n - 2] < TREND_SPACING) t->n--;
    if (t->n == TREND_SAMPLES) forget_first(t);
    t->at[t->n] = at;
    t->value[t->n++] = value;
}

double trend_slope(const struct trend *t) {
    if (t->n < 3) return 0;
    double mean_x = 0, mean_y = 0, up = 0, down = 0;
    for (unsigned i = 0; i < t->n; i++) {
        mean_x += (double)(t->at[i] - t->at[0]) / 1e9 / t->n;
        mean_y += t->value[i] / t->n;
    }
    for (unsigned i = 0; i < t->n; i++) {
        double x = (double)(t->at[i] - t->at[0]) / 1e9 - mean_x;
        up += x * (t->value[i] - mean_y);
        down += x * x;
    }
    return down > 0 ? up / down : 0;
}
