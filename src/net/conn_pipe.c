/* conn_pipe.c: a connection within the process. Each end is a conn whose poll descriptor has no poller: what one end does tells the
 * other by cygrt_pd_ready(), so waiting, deadlines, close and cancel are a socket's.
 * Everything in a struct pipe is guarded by its lock, under which the other end is told as well: an end that has gone (end[i] is
 * NULL) is some other connection by now. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/spin.h"
#include "net/internal.h"

#define ROOM CYG_CONN_PIPE_BYTES

struct way {      /* from one end to the other */
    size_t at, n; /* the bytes in it: n from `at` on, around the end of buf */
    bool ended;   /* no more will be written */
    bool deaf;    /* nobody will read */
    bool reset;   /* what is in it does not count */
    char buf[ROOM];
};

struct pipe {
    uint32_t lock;
    struct conn *end[2];
    struct way way[2]; /* to end[i] */
};

int cyg_conn_pipe(cyg_conn **a, cyg_conn **b) {
    struct pipe *p = calloc(1, sizeof *p);
    struct conn *x = p ? conn_new_bare(CONN_PIPE) : NULL;
    struct conn *y = x ? conn_new_bare(CONN_PIPE) : NULL;
    if (!y) {
        if (x) conn_discard(x);
        free(p);
        return CYG_ENOMEM;
    }
    x->pipe = (struct pipe_end){.pipe = p, .side = 0};
    y->pipe = (struct pipe_end){.pipe = p, .side = 1};
    p->end[0] = x;
    p->end[1] = y;
    *a = &x->stream;
    *b = &y->stream;
    return 0;
}

static void tell(struct conn *c, bool in, bool out, bool end) {
    if (c) cygrt_pd_ready(&c->pd, in, out, end);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------- */

struct span {
    char *p;
    size_t n;
    bool peek;
};

static void take(struct way *w, char *to, size_t n) {
    size_t first = ROOM - w->at < n ? ROOM - w->at : n;
    memcpy(to, w->buf + w->at, first);
    memcpy(to + first, w->buf, n - first);
}

static ssize_t try_read(struct conn *c, void *arg) {
    const struct span *s = arg;
    struct pipe *p = c->pipe.pipe;
    struct way *w = &p->way[c->pipe.side];
    cyg_spin_lock(&p->lock);
    ssize_t r = w->reset ? -ECONNRESET : w->n ? 0 : w->ended ? (ssize_t)CYG_EOF : -EAGAIN;
    if (r == 0) {
        size_t n = s->n < w->n ? s->n : w->n;
        bool full = w->n == ROOM;
        take(w, s->p, n);
        if (!s->peek) {
            w->at = (w->at + n) % ROOM;
            w->n -= n;
            if (full) tell(p->end[!c->pipe.side], false, true, false);
        }
        r = (ssize_t)n;
    }
    cyg_spin_unlock(&p->lock);
    return r;
}

static ssize_t pipe_read(cyg_stream *s, void *p, size_t n) {
    struct span x = {p, n, false};
    return n ? conn_retry(conn_own(s), FD_READ, try_read, &x, false) : 0;
}

static ssize_t pipe_peek(cyg_stream *s, void *p, size_t n) {
    struct span x = {p, n, true};
    return n ? conn_retry(conn_own(s), FD_READ, try_read, &x, false) : 0;
}

bool conn_pipe_empty(struct conn *c) {
    struct pipe *p = c->pipe.pipe;
    struct way *w = &p->way[c->pipe.side];
    cyg_spin_lock(&p->lock);
    bool empty = !w->n && !w->ended && !w->reset;
    cyg_spin_unlock(&p->lock);
    return empty;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------- */

struct gather {
    const struct iovec *iov;
    int n, at;
    size_t skip; /* bytes of iov[at] that have gone */
    size_t total;
};

static void give(struct way *w, const char *from, size_t n) {
    size_t at = (w->at + w->n) % ROOM, first = ROOM - at < n ? ROOM - at : n;
    memcpy(w->buf + at, from, first);
    memcpy(w->buf, from + first, n - first);
    w->n += n;
}

static ssize_t try_write(struct conn *c, void *arg) {
    struct gather *g = arg;
    struct pipe *p = c->pipe.pipe;
    struct way *w = &p->way[!c->pipe.side];
    cyg_spin_lock(&p->lock);
    size_t before = w->n;
    ssize_t r = w->reset ? -ECONNRESET : w->deaf || w->ended ? -EPIPE : 0;
    while (r == 0 && g->at < g->n) {
        size_t left = g->iov[g->at].iov_len - g->skip, room = ROOM - w->n, n = left < room ? left : room;
        give(w, (const char *)g->iov[g->at].iov_base + g->skip, n);
        g->skip += n;
        g->total += n;
        if (n < left) {
            r = -EAGAIN;
        } else {
            g->at++;
            g->skip = 0;
        }
    }
    if (w->n > before) tell(p->end[!c->pipe.side], true, false, false);
    cyg_spin_unlock(&p->lock);
    return r;
}

static ssize_t pipe_writev(cyg_stream *s, const struct iovec *iov, int n) {
    struct gather g = {.iov = iov, .n = n};
    ssize_t r = conn_retry(conn_own(s), FD_WRITE, try_write, &g, false);
    return r < 0 ? r : (ssize_t)g.total;
}

static ssize_t pipe_write(cyg_stream *s, const void *p, size_t n) {
    struct iovec iov = {(void *)p, n};
    return pipe_writev(s, &iov, 1);
}

/* ---- ending -------------------------------------------------------------------------------------------------------------- */

int conn_pipe_close_write(struct conn *c) {
    struct pipe *p = c->pipe.pipe;
    cyg_spin_lock(&p->lock);
    p->way[!c->pipe.side].ended = true;
    tell(p->end[!c->pipe.side], true, false, true);
    cyg_spin_unlock(&p->lock);
    return 0;
}

void conn_pipe_reset(struct conn *c) {
    struct pipe *p = c->pipe.pipe;
    cyg_spin_lock(&p->lock);
    c->pipe.resets = true;
    cyg_spin_unlock(&p->lock);
}

void conn_pipe_finish(struct conn *c) {
    struct pipe *p = c->pipe.pipe;
    int side = c->pipe.side;
    cyg_spin_lock(&p->lock);
    p->way[!side].ended = true;
    p->way[side].deaf = true;
    if (c->pipe.resets) p->way[0].reset = p->way[1].reset = true;
    p->end[side] = NULL;
    tell(p->end[!side], true, true, true);
    bool last = !p->end[!side];
    cyg_spin_unlock(&p->lock);
    if (last) free(p);
}

const cyg_stream_ops cyg_pipe_ops = {
    .kind = "pipe",
    .read = pipe_read,
    .write = pipe_write,
    .writev = pipe_writev,
    .close = conn_close,
    .close_write = conn_close_write,
    .set_deadline = conn_set_deadline,
    .peek = pipe_peek,
};
