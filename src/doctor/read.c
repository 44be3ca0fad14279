/* read.c: files of /proc and /sys, below the machine's root, and counters from one run to the next. */
#include "doctor/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FILE_MAX 65536 /* none of the files here is longer */

void doc_machine_init(struct doc_machine *m, const char *root) {
    *m = (struct doc_machine){.root = root, .live = !root[0], .uid = geteuid()};
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
        m->nofile_soft = l.rlim_cur;
        m->nofile_hard = l.rlim_max;
    }
    if (getrlimit(RLIMIT_NPROC, &l) == 0 && l.rlim_cur != RLIM_INFINITY) m->procs_limit = l.rlim_cur;
}

void doc_machine_again(struct doc_machine *m, double seconds) {
    memcpy(m->before, m->now, sizeof m->now);
    m->nbefore = m->nnow;
    m->nnow = 0;
    m->seconds = seconds;
}

ssize_t doc_read(const struct doc_machine *m, const char *path, char *buf, size_t n) {
    char full[1024];
    if ((size_t)snprintf(full, sizeof full, "%s%s", m->root, path) >= sizeof full) return -ENAMETOOLONG;
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    size_t at = 0;
    ssize_t r = 0;
    while (at < n - 1 && (r = read(fd, buf + at, n - 1 - at)) > 0) at += (size_t)r;
    int err = r < 0 ? -errno : 0;
    close(fd);
    buf[at] = 0;
    return err ? err : (ssize_t)at;
}

size_t doc_numbers(const struct doc_machine *m, const char *path, double *out, size_t n) {
    char text[512], *p = text, *end;
    if (doc_read(m, path, text, sizeof text) <= 0) return 0;
    size_t got = 0;
    for (; got < n; p = end, got++) {
        out[got] = strtod(p, &end);
        if (end == p) break;
    }
    return got;
}

bool doc_number(const struct doc_machine *m, const char *path, double *out) {
    return doc_numbers(m, path, out, 1) == 1;
}

/* ---- lines with names ---------------------------------------------------------------------------------------------------- */

static char *read_all(const struct doc_machine *m, const char *path) {
    char *text = malloc(FILE_MAX);
    if (text && doc_read(m, path, text, FILE_MAX) < 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* The line after *at that starts with prefix, its end marked; moves *at behind it. */
static char *next_line(char **at, const char *prefix) {
    size_t n = strlen(prefix);
    while (**at) {
        char *line = *at, *end = strchr(line, '\n');
        *at = end ? end + 1 : line + strlen(line);
        if (end) *end = 0;
        if (strncmp(line, prefix, n) == 0) return line;
    }
    return NULL;
}

/* The index of a word in a line; -1: it is not there. */
static int index_of(char *line, const char *word) {
    char *save, *w = strtok_r(line, " ", &save);
    for (int i = 0; w; i++, w = strtok_r(NULL, " ", &save))
        if (strcmp(w, word) == 0) return i;
    return -1;
}

bool doc_column(const struct doc_machine *m, const char *path, const char *prefix, const char *name, double *out) {
    char *text = read_all(m, path), *at = text, *names, *values, *save, *w = NULL;
    if (!text) return false;
    if ((names = next_line(&at, prefix)) && (values = next_line(&at, prefix))) {
        int i = index_of(names, name);
        if (i >= 0) w = strtok_r(values, " ", &save);
        for (; w && i > 0; i--) w = strtok_r(NULL, " ", &save);
    }
    if (w) *out = strtod(w, NULL);
    free(text);
    return w != NULL;
}

bool doc_word(const struct doc_machine *m, const char *path, const char *prefix, const char *name, double *out) {
    char *text = read_all(m, path), *at = text, *line;
    bool found = false;
    if (!text) return false;
    while (!found && (line = next_line(&at, prefix))) {
        char *save, *w = strtok_r(line, " =\t:", &save);
        if (prefix[0] == 0 && w && strcmp(w, name) != 0) continue;
        while (w && strcmp(w, name) != 0) w = strtok_r(NULL, " =\t:", &save);
        if (w && (w = strtok_r(NULL, " =\t:", &save))) {
            *out = strtod(w, NULL);
            found = true;
        }
    }
    free(text);
    return found;
}

/* ---- the rest ------------------------------------------------------------------------------------------------------------ */

double doc_rate(struct doc_machine *m, const char *counter, double value) {
    if (m->nnow < DOC_COUNTERS) {
        struct doc_counter *c = &m->now[m->nnow++];
        snprintf(c->name, sizeof c->name, "%s", counter);
        c->value = value;
    }
    for (size_t i = 0; i < m->nbefore && m->seconds > 0; i++)
        if (strcmp(m->before[i].name, counter) == 0)
            return value > m->before[i].value ? (value - m->before[i].value) / m->seconds : 0;
    return 0;
}

bool doc_kernel_at_least(const struct doc_machine *m, unsigned major, unsigned minor) {
    char text[128];
    unsigned a = 0, b = 0;
    if (doc_read(m, "/proc/sys/kernel/osrelease", text, sizeof text) <= 0 || sscanf(text, "%u.%u", &a, &b) != 2)
        return false;
    return a > major || (a == major && b >= minor);
}

bool doc_debug_word(const struct doc_machine *m, const char *word) {
    const char *s = m->live ? getenv("CYGNET_DEBUG") : NULL;
    size_t n = strlen(word);
    while (s && *s) {
        size_t len = strcspn(s, ",");
        if (len == n && memcmp(s, word, n) == 0) return true;
        s += len + (s[len] == ',');
    }
    return false;
}
