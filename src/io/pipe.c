/* pipe.c: two ends and no buffer. A write lays its bytes out (`p`, `left`) and parks; reads copy from there under the
 * lock; the one that takes the last byte wakes the writer. One write is laid out at a time, the others queue for `turn`.
 *
 * A pipe has a place for each reference to an end and each call under way; the last to leave puts it back. Pipes are
 * type-stable: what is put back is used for the next pipe, so the magic word catches late use. */
#include <cygnet/runtime.h>
#include <cygnet/streams.h>
#include <cygnet/sync.h>
#include <sched.h>
#include <stdlib.h>

#include "base/fatal.h"
#include "base/spin.h"
#include "runtime/sched.h"

#define MAGIC 0x70697065u

enum { R, W };

struct pipe {
    struct end {
        cyg_stream stream;
        uint32_t magic; /* while there are references to it */
        uint32_t refs;
        bool closed;
        int why; /* closed: what the other end's calls return */
        cyg_time deadline;
    } ends[2]; /* guarded by lock, as is all below */
    cyg_mutex lock;
    cyg_cond readers; /* wait for bytes */
    cyg_cond turn;    /* writers that wait for theirs */
    cyg_cond taken;   /* the writer whose turn it is, waits for its bytes to be taken */
    const char *p;    /* what is laid out */
    size_t left;
    bool writing;           /* somebody has his turn */
    unsigned users;         /* references and calls under way */
    struct pipe *next_free; /* guarded by free_lock */
};

static uint32_t free_lock;
static struct pipe *free_pipes; /* guarded by free_lock */

static const cyg_stream_ops reader_ops, writer_ops; /* below */

/* Closes and deadlines come from foreign threads, too. What is done under the lock is short. */
static void lock_anywhere(struct pipe *p) {
    if (cyg_goid()) {
        cyg_mutex_lock(&p->lock);
        return;
    }
    while (!cyg_mutex_trylock(&p->lock)) sched_yield();
}

static int side_of(const cyg_stream *s) { return s->ops == &reader_ops ? R : W; }

/* The pipe of an end, locked. */
static struct pipe *enter(cyg_stream *s) {
    struct end *e = (struct end *)s;
    struct pipe *p = (struct pipe *)(void *)(e - side_of(s));
    lock_anywhere(p);
    if (e->magic != MAGIC) cyg_fatal("use of a pipe that has been freed, at %p", (void *)p);
    return p;
}

/* Unlocks; n users have left. */
static void leave(struct pipe *p, unsigned n) {
    p->users -= n;
    bool last = p->users == 0;
    cyg_mutex_unlock(&p->lock);
    if (!last) return;
    cyg_spin_lock(&free_lock);
    p->next_free = free_pipes;
    free_pipes = p;
    cyg_spin_unlock(&free_lock);
}

/* What keeps a call of this side from going on: its own end closed, its deadline. */
static int check(const struct end *e) {
    if (e->closed) return CYG_ECLOSED;
    return e->deadline && e->deadline <= cyg_now() ? (int)CYG_ETIMEDOUT : 0;
}

/* Parks in c. Returns: 0 to look again, also when the deadline passed, which may have been moved; or the context's error. */
static int wait_in(struct pipe *p, cyg_cond *c, const struct end *e) {
    if (cyg_cond_wait_until(c, &p->lock, e->deadline) == 0) return 0;
    return cygrt_ctx_err(cygrt_g());
}

static ssize_t op_read(cyg_stream *s, void *to, size_t n) {
    struct pipe *p = enter(s);
    struct end *e = &p->ends[R], *other = &p->ends[W];
    ssize_t r;
    p->users++;
    while ((r = check(e)) == 0 && n > 0 && p->left == 0) {
        if ((r = other->closed ? other->why : wait_in(p, &p->readers, e))) break;
    }
    if (r == 0 && n > 0) {
        r = (ssize_t)(n < p->left ? n : p->left);
        memcpy(to, p->p, (size_t)r);
        p->p += r;
        p->left -= (size_t)r;
        if (p->left == 0) cyg_cond_signal(&p->taken);
    }
    leave(p, 1);
    return r;
}

/* As check, for a writer: nobody will read any more. */
static int check_write(const struct pipe *p) {
    int err = check(&p->ends[W]);
    return !err && p->ends[R].closed ? p->ends[R].why : err;
}

/* It is this writer's turn. Returns: 0 when all has been taken. */
static int lay_out(struct pipe *p, const void *from, size_t n) {
    int err = 0;
    p->writing = true;
    p->p = from;
    p->left = n;
    cyg_cond_broadcast(&p->readers); /* all: the first may be about to leave for a reason of its own */
    while (p->left > 0 && !err)
        if (!(err = check_write(p))) err = wait_in(p, &p->taken, &p->ends[W]);
    if (p->left == 0) err = 0;
    p->left = 0;
    p->writing = false;
    return err;
}

static ssize_t op_write(cyg_stream *s, const void *from, size_t n) {
    struct pipe *p = enter(s);
    int err;
    p->users++;
    while (!(err = check_write(p)) && p->writing && n > 0)
        if ((err = wait_in(p, &p->turn, &p->ends[W]))) break;
    if (!err && n > 0) err = lay_out(p, from, n);
    cyg_cond_signal(&p->turn); /* the next one's, also if it was meant for us and we go without */
    leave(p, 1);
    return err ? err : (ssize_t)n;
}

static void wake_all(struct pipe *p) {
    cyg_cond_broadcast(&p->readers);
    cyg_cond_broadcast(&p->turn);
    cyg_cond_broadcast(&p->taken);
}

/* Under the lock. Returns: 0, or CYG_ECLOSED. */
static int end_it(struct pipe *p, struct end *e, int why) {
    if (e->closed) return CYG_ECLOSED;
    e->closed = true;
    e->why = why;
    wake_all(p);
    return 0;
}

static int usual(const struct pipe *p, const struct end *e) { return e == &p->ends[W] ? (int)CYG_EOF : -EPIPE; }

static void drop(struct pipe *p, struct end *e) {
    bool last = --e->refs == 0;
    if (last) e->magic = 0;
    leave(p, last ? 1 : 0);
}

static bool is_pipe(const cyg_stream *s) { return s->ops == &reader_ops || s->ops == &writer_ops; }

int cyg_pipe_close(cyg_stream *s, int err) {
    if (!is_pipe(s)) return CYG_ENOTSUP;
    if (err > 0) return CYG_EINVAL;
    struct pipe *p = enter(s);
    struct end *e = (struct end *)s;
    int r = end_it(p, e, err ? err : usual(p, e));
    drop(p, e);
    return r;
}

static int op_close(cyg_stream *s) { return cyg_pipe_close(s, 0); }

static int op_close_write(cyg_stream *s) {
    struct pipe *p = enter(s);
    int r = end_it(p, (struct end *)s, CYG_EOF);
    leave(p, 0);
    return r;
}

static int op_abort(cyg_stream *s) {
    struct pipe *p = enter(s);
    int r = end_it(p, (struct end *)s, -ECONNRESET);
    leave(p, 0);
    return r;
}

static int op_set_deadline(cyg_stream *s, int what, cyg_time deadline) {
    struct pipe *p = enter(s);
    struct end *e = (struct end *)s;
    bool mine = what & (side_of(s) == R ? CYG_DEADLINE_READ : CYG_DEADLINE_WRITE);
    int r = e->closed ? CYG_ECLOSED : 0;
    if (!r && mine) {
        e->deadline = deadline;
        wake_all(p);
    }
    leave(p, 0);
    return r;
}

static const cyg_stream_ops reader_ops = {
    .kind = "pipe", .read = op_read, .close = op_close, .set_deadline = op_set_deadline, .abort = op_abort};
static const cyg_stream_ops writer_ops = {.kind = "pipe",
                                          .write = op_write,
                                          .close = op_close,
                                          .close_write = op_close_write,
                                          .set_deadline = op_set_deadline,
                                          .abort = op_abort};

cyg_stream *cyg_pipe_acquire(cyg_stream *s) {
    if (!is_pipe(s)) return s;
    struct pipe *p = enter(s);
    ((struct end *)s)->refs++;
    leave(p, 0);
    return s;
}

void cyg_pipe_release(cyg_stream *s) {
    if (!is_pipe(s)) return;
    struct pipe *p = enter(s);
    struct end *e = (struct end *)s;
    if (e->refs == 1) (void)end_it(p, e, usual(p, e));
    drop(p, e);
}

int cyg_pipe_new(cyg_stream **reader, cyg_stream **writer) {
    cyg_spin_lock(&free_lock);
    struct pipe *p = free_pipes;
    if (p) free_pipes = p->next_free;
    cyg_spin_unlock(&free_lock);
    if (!p && !(p = calloc(1, sizeof *p))) return CYG_ENOMEM;
    lock_anywhere(p);
    p->ends[R] = (struct end){.stream = {&reader_ops}, .magic = MAGIC, .refs = 1};
    p->ends[W] = (struct end){.stream = {&writer_ops}, .magic = MAGIC, .refs = 1};
    p->users = 2;
    leave(p, 0);
    *reader = &p->ends[R].stream;
    *writer = &p->ends[W].stream;
    return 0;
}
