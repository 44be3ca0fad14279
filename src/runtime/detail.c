/* detail.c: what the last failed call had to add, kept per goroutine; foreign threads have a buffer of their own. */
#include "runtime/sched.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cygrt_detail {
    int err; /* the error that it is about */
    char text[252];
};

static __thread struct cygrt_detail foreign __attribute__((tls_model("initial-exec")));

/* It lives in the goroutine or the thread; between two parks its address is good. */
__attribute__((noinline)) static struct cygrt_detail *detail_of_caller(bool make) {
    __asm__ volatile("" ::: "memory");
    struct g *g = cygrt_g();
    if (!g) return &foreign;
    if (!g->detail && make) g->detail = calloc(1, sizeof *g->detail);
    return g->detail;
}

int cygrt_fail(int err, const char *fmt, ...) {
    struct cygrt_detail *d = detail_of_caller(true);
    if (!d) return err;
    d->err = err;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(d->text, sizeof d->text, fmt, ap);
    va_end(ap);
    return err;
}

const char *cyg_err_detail(void) {
    const struct cygrt_detail *d = detail_of_caller(false);
    return d ? d->text : "";
}

int cyg_fail(const char *what, int err) {
    const struct cygrt_detail *d = detail_of_caller(false);
    const char *sentence = cyg_strerror(err);
    if (!d || !d->text[0] || d->err != err) /* none, or what is left of another failure before this one */
        fprintf(stderr, "%s: %s\n", what, sentence);
    else if (strstr(d->text, sentence))
        fprintf(stderr, "%s: %s\n", what, d->text);
    else
        fprintf(stderr, "%s: %s (%s)\n", what, sentence, d->text);
    return err;
}
