/* linelog_file.c: opens, writes and replaces the file of a line log. Every system call that may wait is made inside
 * cyg_blocking, so that a slow disk or a reader that does not read holds a thread, never a P; for the same reason the flags of
 * a descriptor that others gave us are left as they are.
 *
 * A write that fails half-way through a line would leave half a line in the file for the next one to run into. The rest of that
 * line is kept and written first when the file takes bytes again; only whole lines are lost.
 */
#include "linelog_file.h"
#include <cygnet/runtime.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- inside cyg_blocking ------------------------------------------------------------------------------------------ */

static int open_path(void *arg) {
    int fd;
    do {
        fd = open(arg, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    } while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

static int close_fd(void *arg) {
    close(*(int *)arg);
    return 0;
}

struct job {
    int fd;
    const char *p;
    size_t n, done;
    uint64_t calls;
};

static int write_all(void *arg) {
    struct job *j = arg;
    while (j->done < j->n) {
        ssize_t k = write(j->fd, j->p + j->done, j->n - j->done);
        int err = k < 0 ? errno : k == 0 ? EIO : 0;
        j->calls++;
        if (err == EAGAIN) /* somebody who shares the descriptor has made it non-blocking */
            (void)poll(&(struct pollfd){.fd = j->fd, .events = POLLOUT}, 1, -1);
        else if (err != 0 && err != EINTR)
            return -err;
        j->done += k > 0 ? (size_t)k : 0;
    }
    return 0;
}

/* ---- the descriptor ----------------------------------------------------------------------------------------------- */

int cyg_linefile_open(struct cyg_linefile *f, const char *path) {
    bool out = strcmp(path, "stdout") == 0, err = strcmp(path, "stderr") == 0;
    f->next_fd = -1;
    f->fd = err ? STDERR_FILENO : STDOUT_FILENO;
    if (out || err) return 0;
    f->path = strdup(path);
    if (!f->path) return CYG_ENOMEM;
    f->fd = cyg_blocking(open_path, f->path);
    return f->fd < 0 ? f->fd : 0;
}

int cyg_linefile_reopen(struct cyg_linefile *f) {
    if (!f->path) return 0;
    int fd = cyg_blocking(open_path, f->path);
    if (fd < 0) return fd;
    int unused = __atomic_exchange_n(&f->next_fd, fd, __ATOMIC_SEQ_CST);
    if (unused >= 0) (void)cyg_blocking(close_fd, &unused); /* of a reopen just before */
    return 0;
}

bool cyg_linefile_has_next(const struct cyg_linefile *f) { return __atomic_load_n(&f->next_fd, __ATOMIC_SEQ_CST) >= 0; }

void cyg_linefile_free(struct cyg_linefile *f) {
    free(f->path);
    free(f->cut);
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static void count(uint64_t *n, uint64_t more) { __atomic_fetch_add(n, more, __ATOMIC_RELAXED); }

static uint64_t newlines(const char *p, size_t n) {
    uint64_t lines = 0;
    for (const char *end = p + n; p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++) lines++;
    return lines;
}

static void forget_cut(struct cyg_linefile *f) {
    free(f->cut);
    f->cut = NULL;
    f->cut_n = 0;
}

/* Writes the rest of a cut line. Returns: whether the file is at the beginning of a line now. */
static bool write_cut(struct cyg_linefile *f) {
    struct job j = {.fd = f->fd, .p = f->cut, .n = f->cut_n};
    int err = j.n > 0 ? cyg_blocking(write_all, &j) : 0;
    count(&f->stats.writes_total, j.calls);
    count(&f->stats.bytes_total, j.done);
    if (err < 0) {
        count(&f->stats.errors_total, 1);
        f->cut_n -= j.done;
        memmove(f->cut, f->cut + j.done, f->cut_n);
        return false;
    }
    forget_cut(f);
    return true;
}

/* Keeps what is left, at p, of a line that was begun; it counts as written. Without memory half a line stays in the file. */
static void keep_cut(struct cyg_linefile *f, const char *p, size_t n) {
    const char *end = memchr(p, '\n', n);
    size_t rest = end ? (size_t)(end - p) + 1 : n;
    f->cut = malloc(rest);
    if (!f->cut) return;
    f->cut_n = rest;
    memcpy(f->cut, p, rest);
}

/* A cut line ends in the file in which it began, if that still takes it. */
void cyg_linefile_adopt(struct cyg_linefile *f) {
    if (!cyg_linefile_has_next(f)) return;
    if (!write_cut(f)) forget_cut(f);
    int old = f->fd;
    f->fd = __atomic_exchange_n(&f->next_fd, -1, __ATOMIC_SEQ_CST);
    (void)cyg_blocking(close_fd, &old);
}

void cyg_linefile_close(struct cyg_linefile *f) {
    cyg_linefile_adopt(f);
    if (f->path) (void)cyg_blocking(close_fd, &f->fd);
    f->fd = -1;
}

void cyg_linefile_write(struct cyg_linefile *f, const char *p, size_t n, uint64_t lines) {
    uint64_t written = 0;
    cyg_linefile_adopt(f);
    if (write_cut(f)) {
        struct job j = {.fd = f->fd, .p = p, .n = n};
        int err = cyg_blocking(write_all, &j);
        written = lines;
        if (err < 0) {
            count(&f->stats.errors_total, 1);
            written = newlines(p, j.done);
            if (j.done > 0 && p[j.done - 1] != '\n') {
                keep_cut(f, p + j.done, n - j.done);
                written++;
            }
            if (written > lines) written = lines; /* a "line" that held several */
        }
        count(&f->stats.writes_total, j.calls);
        count(&f->stats.bytes_total, j.done);
    }
    count(&f->stats.lines_total, written);
    count(&f->stats.dropped_total, lines - written);
}

void cyg_linefile_get_stats(const struct cyg_linefile *f, cyg_linelog_stats *out) {
    *out = (cyg_linelog_stats){
        .lines_total = __atomic_load_n(&f->stats.lines_total, __ATOMIC_RELAXED),
        .bytes_total = __atomic_load_n(&f->stats.bytes_total, __ATOMIC_RELAXED),
        .dropped_total = __atomic_load_n(&f->stats.dropped_total, __ATOMIC_RELAXED),
        .errors_total = __atomic_load_n(&f->stats.errors_total, __ATOMIC_RELAXED),
        .writes_total = __atomic_load_n(&f->stats.writes_total, __ATOMIC_RELAXED),
    };
}
