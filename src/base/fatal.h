/* fatal.h: the end of a program that broke a rule or has no memory left: one line on standard error, then abort(). */
#ifndef CYG_BASE_FATAL_H
#define CYG_BASE_FATAL_H

#include <cygnet/base.h>
#include <stddef.h>

__attribute__((noreturn, cold, format(printf, 1, 2))) void cyg_fatal(const char *fmt, ...);

/* An invariant that stays checked in release builds. */
#define CYG_ASSERT(cond)                                                                                \
    do {                                                                                                \
        if (CYG_UNLIKELY(!(cond))) cyg_fatal("%s:%d: broken invariant: %s", __FILE__, __LINE__, #cond); \
    } while (0)

/* malloc and calloc for what is small and fixed: they abort instead of returning NULL. */
void *cyg_xmalloc(size_t n);
void *cyg_xcalloc(size_t n, size_t size);

#endif
