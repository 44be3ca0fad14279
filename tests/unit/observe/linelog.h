/* linelog.h: what the tests of line logs share: a directory for each test, a runtime for all, and ways to look into files.
 *
 * Bodies run on goroutines (in_goroutine); what they find is asserted by the test, on its own stack.
 */
#ifndef TEST_OBSERVE_LINELOG_H
#define TEST_OBSERVE_LINELOG_H

#include <cygnet/context.h>
#include <cygnet/log.h>
#include <cygnet/runtime.h>
#include <cygnet/sync.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE (30 * CYG_SECOND)

static char dir[64], path[96], other[96];

/* ---- helpers ------------------------------------------------------------------------------------------------------ */

#define TRY(cond)                                                              \
    do {                                                                       \
        if (!(cond)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond); \
            return -1;                                                         \
        }                                                                      \
    } while (0)

static inline void in_goroutine(int (*body)(void *), void *arg) { assert_int_equal(cyg_call(body, arg), 0); }

/* The whole file; the caller frees it. */
static inline char *contents(const char *name, size_t *n) {
    FILE *f = fopen(name, "r");
    *n = 0;
    if (!f) return NULL;
    char *p = NULL;
    size_t cap = 0;
    for (;;) {
        if (cap - *n < 65536) p = realloc(p, cap = 2 * cap + 65537);
        size_t k = fread(p + *n, 1, cap - *n - 1, f);
        if (k == 0) break;
        *n += k;
    }
    p[*n] = 0;
    fclose(f);
    return p;
}

static inline bool holds(const char *name, const char *expected) {
    size_t n;
    char *p = contents(name, &n);
    bool same = p && strcmp(p, expected) == 0;
    if (!same) fprintf(stderr, "%s holds \"%.200s\"\n", name, p ? p : "(nothing)");
    free(p);
    return same;
}

static inline bool holds_line(const char *name, const char *line) {
    size_t n;
    char *p = contents(name, &n);
    bool there = p && strstr(p, line);
    free(p);
    return there;
}

static inline size_t size_of(const char *name) {
    struct stat st;
    return stat(name, &st) == 0 ? (size_t)st.st_size : 0;
}

static inline bool put(cyg_linelog *l, const char *z) { return cyg_linelog_write(l, z, strlen(z)); }

static inline cyg_linelog_stats stats_of(const cyg_linelog *l) {
    cyg_linelog_stats s;
    cyg_linelog_get_stats(l, &s);
    return s;
}

/* ---- the run ------------------------------------------------------------------------------------------------------ */

static inline int start(void **state) {
    (void)state;
    return cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 4});
}

static inline int stop(void **state) {
    (void)state;
    return cyg_runtime_stop();
}

static inline int make_dir(void **state) {
    (void)state;
    strcpy(dir, "/tmp/linelog-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(path, sizeof path, "%s/log", dir);
    snprintf(other, sizeof other, "%s/log.1", dir);
    return 0;
}

static inline int remove_dir(void **state) {
    (void)state;
    unlink(path);
    unlink(other);
    return rmdir(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

#endif
