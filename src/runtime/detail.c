/* detail.c: what the last failed call had to add, kept per goroutine; foreign threads have a buffer of their own. */
#include "runtime/sched.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DETAIL 256

static __thread char foreign[DETAIL] __attribute__((tls_model("initial-exec")));

/* The buffer lives in the goroutine or the thread; between two parks its address is good. */
__attribute__((noinline)) static char *detail_buffer(bool make) {
    __asm__ volatile("" ::: "memory");
    struct g *g = cygrt_g();
    if (!g) return foreign;
    if (!g->detail && make && (g->detail = malloc(DETAIL))) g->detail[0] = 0;
    return g->detail;
}

int cygrt_fail(int err, const char *fmt, ...) {
    char *d = detail_buffer(true);
    if (!d) return err;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(d, DETAIL, fmt, ap);
    va_end(ap);
    return err;
}

const char *cyg_err_detail(void) {
    const char *d = detail_buffer(false);
    return d ? d : "";
}

int cyg_fail(const char *what, int err) {
    const char *d = cyg_err_detail();
    if (d[0])
        fprintf(stderr, "%s: %s (%s)\n", what, cyg_strerror(err), d);
    else
        fprintf(stderr, "%s: %s\n", what, cyg_strerror(err));
    return err;
}
