/* environment.c: what the environment asks of the runtime. What cannot be understood is said on standard error and left out. */
#include "base/fatal.h"
#include "runtime/sched.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The words of CYGNET_DEBUG. */
static const struct word {
    const char *name;
    bool number; /* it does nothing without a number */
} words[] = {
    {"backlogs", false},    {"census", false},   {"leaks", false},     {"noarmclock", false}, {"nobacklogs", false},
    {"noexclusive", false}, {"nogro", false},    {"nogso", false},     {"noguard", false},    {"nomembarrier", false},
    {"nomprotect", false},  {"nopwait2", false}, {"noretakes", false}, {"nosockdiag", false}, {"nosplice", false},
    {"nosymbols", false},   {"retakes", false},  {"schedtrace", true}, {"snapshots", false},
};
#define WORDS (sizeof words / sizeof *words)

static const struct word *find(const char *name, size_t n) {
    for (size_t i = 0; i < WORDS; i++)
        if (strlen(words[i].name) == n && memcmp(words[i].name, name, n) == 0) return &words[i];
    return NULL;
}

/* What stands behind `word` in CYGNET_DEBUG: "" or "=..."; NULL: it does not stand there. */
static const char *behind(const char *word) {
    const char *s = getenv("CYGNET_DEBUG");
    size_t n = strlen(word);
    CYG_ASSERT(find(word, n)); /* or cygrt_env_check would refuse it */
    while (s && *s) {
        size_t len = strcspn(s, ",");
        if (len >= n && memcmp(s, word, n) == 0 && (len == n || s[n] == '=')) return s + n;
        s += len + (s[len] == ',');
    }
    return NULL;
}

bool cygrt_debug(const char *word) { return behind(word) != NULL; }

/* A number from 1 up that ends where a word does; 0: there is none. */
static long number(const char *s) {
    char *end;
    errno = 0;
    long v = strtol(s, &end, 10);
    return errno == 0 && end != s && (*end == 0 || *end == ',') && v > 0 ? v : 0;
}

long cygrt_debug_number(const char *word) {
    const char *s = behind(word);
    return s && *s == '=' ? number(s + 1) : 0;
}

unsigned cygrt_env_procs(unsigned asked) {
    const char *env = getenv("CYGNET_MAXPROCS");
    if (!asked && env && *env) {
        long v = number(env);
        asked = v > CYGRT_MAX_PROCS ? CYGRT_MAX_PROCS : (unsigned)v;
        if (v == 0 || v > CYGRT_MAX_PROCS)
            fprintf(stderr, "cygnet: CYGNET_MAXPROCS=%.40s: expected a number from 1 to %d; taken: %u\n", env,
                    CYGRT_MAX_PROCS, asked ? asked : cygrt_cpu_count());
    }
    if (!asked) asked = cygrt_cpu_count();
    return asked > CYGRT_MAX_PROCS ? CYGRT_MAX_PROCS : asked;
}

void cygrt_env_check(void) {
    const char *s = getenv("CYGNET_DEBUG");
    while (s && *s) {
        size_t len = strcspn(s, ","), n = strcspn(s, ",=");
        const struct word *w = find(s, n);
        if (!w && len) {
            fprintf(stderr, "cygnet: CYGNET_DEBUG has \"%.*s\"; expected one of", (int)(n < 40 ? n : 40), s);
            for (size_t i = 0; i < WORDS; i++)
                fprintf(stderr, "%s %s%s", i ? "," : "", words[i].name, words[i].number ? "=N" : "");
            fputc('\n', stderr);
        } else if (w && w->number && (s[n] != '=' || number(s + n + 1) == 0)) {
            fprintf(stderr, "cygnet: CYGNET_DEBUG has \"%.*s\"; expected %s=N, N a number from 1\n",
                    (int)(len < 60 ? len : 60), s, w->name);
        }
        s += len + (s[len] == ',');
    }
}
