/* misuse.c: see misuse.h. Like cyg_fatal it uses write(2) and a stack buffer. */
#include "runtime/misuse.h"

#include "base/fatal.h"
#include "runtime/sched.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void cygrt_misuse(const char *file, int line, const char *fmt, ...) {
    static _Atomic int dying;
    char what[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    if (atomic_exchange(&dying, 1)) cyg_fatal("%s:%d: %s", file, line, what); /* somebody else writes the dump */
    char text[512], who[64] = "a foreign thread";
    struct g *g = cygrt_g();
    if (g) snprintf(who, sizeof who, "goroutine %llu", (unsigned long long)g->id);
    int n = snprintf(text, sizeof text, "cygnet: fatal: %s:%d: %s (%s)\n\n", file, line, what, who);
    (void)!write(2, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    if (cyg_procs()) (void)cyg_dump(2);
    abort();
}
