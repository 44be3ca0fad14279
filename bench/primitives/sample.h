/* sample.h: how the C programs of this directory time an operation, and what their loops have in common with prim.go. */
#ifndef BENCH_PRIMITIVES_SAMPLE_H
#define BENCH_PRIMITIVES_SAMPLE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { YIELDERS = 8, BATCH = 100, BUFFERED = 100, CROWD = 1000, MILLION = 1000000, CHURN = 100000, CHURNS = 7 };
#define SAMPLE_NS 120000000.0

static inline int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Does an operation n times and says how many nanoseconds that took. */
typedef int64_t sample_fn(long n);

struct sample_mode {
    const char *name;
    sample_fn *fn;
};

/* Finds how often fn's operation must be done to take SAMPLE_NS, measures that and prints it. */
static inline void print_calibrated(const char *name, sample_fn *fn) {
    long n = 10000;
    double took = (double)fn(n);
    for (; took < SAMPLE_NS / 10; took = (double)fn(n)) n *= 4;
    n = (long)((double)n * SAMPLE_NS / took);
    printf("%s %.2f\n", name, (double)fn(n) / (double)n);
}

/* The mode named in argv, from a list that ends with an empty one; NULL: there is none. */
static inline const struct sample_mode *find_mode(const struct sample_mode *modes, int argc, char **argv) {
    for (; argc == 2 && modes->name; modes++)
        if (strcmp(modes->name, argv[1]) == 0) return modes;
    return NULL;
}

#endif
