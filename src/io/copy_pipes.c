/* copy_pipes.c: pipes for bytes on their way from a socket. Whoever holds one has bytes in it or is about to; the others are
 * empty and closed but for some that are kept for the next. A pipe whose copy failed with bytes in it is closed: they would
 * come out in somebody else's stream.
 *
 * The kernel counts what a user's pipes could hold, not what they do (fs.pipe-user-pages-soft); beyond it a pipe is made with
 * two pages, and F_SETPIPE_SZ refuses more (EPERM). Then half as much is asked for, down to SMALLEST_PIPE. Once there was too
 * little, nobody asks again until one of ours has been closed or a second has passed. */
#include <cygnet/runtime.h> /* errno */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/spin.h"
#include "io/copy_internal.h"

static uint32_t lock;
/* Guarded by lock. */
static struct copy_pipe *idle;
static int nidle;
static uint64_t nopen, in_use, room_open;
static uint64_t opened, shrunk, refused, dropped;
static uint64_t full_at;    /* so many were open when there was no room for one more; 0: there was */
static cyg_time full_until; /* ... which is not believed after this */

/* As much room as is to be had; 0: too little. */
static size_t make_room(int fd, size_t wanted) {
    for (size_t n = wanted; n >= SMALLEST_PIPE; n /= 2) {
        int got = fcntl(fd, F_SETPIPE_SZ, (int)n);
        if (got >= 0) return (size_t)got;
    }
    int has = fcntl(fd, F_GETPIPE_SZ);
    return has >= (int)SMALLEST_PIPE ? (size_t)has : 0;
}

static struct copy_pipe *open_pipe(size_t wanted) {
    struct copy_pipe *p = malloc(sizeof *p);
    int fds[2];
    if (!p || pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        free(p);
        return NULL;
    }
    *p = (struct copy_pipe){.in = fds[1], .out = fds[0], .room = make_room(fds[1], wanted)};
    if (p->room) return p;
    close(p->in);
    close(p->out);
    free(p);
    return NULL;
}

static void close_pipe(struct copy_pipe *p) {
    close(p->in);
    close(p->out);
    free(p);
}

/* Takes one that is kept; the lock is held. */
static struct copy_pipe *take(void) {
    struct copy_pipe *p = idle;
    if (p) {
        idle = p->next;
        nidle--;
    }
    return p;
}

/* Opens one; in_use counts it already. */
static struct copy_pipe *open_counted(size_t wanted) {
    struct copy_pipe *p = open_pipe(wanted);
    cyg_spin_lock(&lock);
    if (p) {
        nopen++;
        opened++;
        room_open += p->room;
        if (p->room < wanted) shrunk++;
        full_at = 0;
    } else {
        in_use--;
        refused++;
        full_at = nopen + 1;
        full_until = cyg_now_cached() + CYG_SECOND;
    }
    cyg_spin_unlock(&lock);
    return p;
}

struct copy_pipe *copy_pipe_get(void) {
    cyg_copy_limits l = copy_limits();
    cyg_spin_lock(&lock);
    bool may = (int64_t)in_use < l.max_pipes;
    struct copy_pipe *p = may ? take() : NULL;
    if (!p && full_at && nopen + 1 >= full_at && cyg_now_cached() < full_until) may = false;
    if (may)
        in_use++;
    else
        refused++;
    cyg_spin_unlock(&lock);
    return p || !may ? p : open_counted(l.pipe_bytes);
}

/* A smaller one is kept only while there is no other: it goes when a full one comes. */
void copy_pipe_put(struct copy_pipe *p, bool empty) {
    cyg_copy_limits l = copy_limits();
    struct copy_pipe *gone[2] = {NULL, NULL};
    cyg_spin_lock(&lock);
    in_use--;
    if (!empty) dropped++;
    if (empty && idle && idle->room < p->room) gone[0] = take();
    if (empty && nidle < (p->room < l.pipe_bytes ? l.idle_pipes > 0 : l.idle_pipes)) {
        p->next = idle;
        idle = p;
        nidle++;
    } else {
        gone[1] = p;
    }
    for (int i = 0; i < 2; i++) {
        if (!gone[i]) continue;
        nopen--;
        room_open -= gone[i]->room;
    }
    cyg_spin_unlock(&lock);
    for (int i = 0; i < 2; i++)
        if (gone[i]) close_pipe(gone[i]);
}

void copy_pipes_trim(int keep) {
    for (;;) {
        cyg_spin_lock(&lock);
        struct copy_pipe *p = nidle > keep ? take() : NULL;
        if (p) {
            nopen--;
            room_open -= p->room;
        } else {
            full_at = 0;
        }
        cyg_spin_unlock(&lock);
        if (!p) return;
        close_pipe(p);
    }
}

void copy_pipes_stats(cyg_copy_stats *out) {
    cyg_spin_lock(&lock);
    out->pipes_open = nopen;
    out->pipes_in_use = in_use;
    out->pipe_bytes = room_open;
    out->pipes_opened_total = opened;
    out->pipes_shrunk_total = shrunk;
    out->pipes_refused_total = refused;
    out->pipes_dropped_total = dropped;
    cyg_spin_unlock(&lock);
}
