/* fatal.c: see fatal.h. Uses write(2) and a stack buffer, so that it works with a broken heap. */
#include "base/fatal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void cyg_fatal(const char *fmt, ...) {
    char line[512];
    int n = snprintf(line, sizeof line, "cygnet: fatal: ");
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    n += m < (int)sizeof line - n - 1 ? m : (int)sizeof line - n - 2;
    line[n++] = '\n';
    (void)!write(2, line, (size_t)n);
    abort();
}

void *cyg_xmalloc(size_t n) {
    void *p = malloc(n ? n : 1);
    if (!p) cyg_fatal("out of memory: %zu bytes", n);
    return p;
}

void *cyg_xcalloc(size_t n, size_t size) {
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p) cyg_fatal("out of memory: %zu x %zu bytes", n, size);
    return p;
}
