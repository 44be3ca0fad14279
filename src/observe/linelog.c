/* linelog.c: lines that leave by a goroutine of their own.
 *
 * Vocabulary: a shard is what the producers on one P share: two buffers. Producers append to the active one; the other is free
 * (empty) or full: it waits for the writer, or the writer is writing it. A full buffer only the writer touches, without the lock,
 * and it alone makes it free again. When the active one has no room and the other is free, they change places; when it is
 * not, the line is dropped: the file is slower than the lines come.
 *
 * The bell wakes the writer. `waiting` says what for; who changes it from a wait to RUNNING, and only he, rings the bell, a
 * waitgroup that the writer set to 1 before it began to wait. No wake-up is lost: the writer looks at every shard, under its
 * lock, after it has set `waiting`; so a producer either left its line before that look, or sees `waiting` when it has the lock.
 * While lines come the writer waits for the flush interval or for enough bytes; after an interval without lines it waits for
 * the next one, without a deadline: an idle process makes no system calls.
 *
 * Lock order: shard.lock is a leaf. flush_lock is held over no call that can block the thread.
 */
#include "base/spin.h"
#include "linelog_file.h"
#include "runtime/sched.h"
#include <cygnet/context.h>
#include <cygnet/log.h>
#include <cygnet/runtime.h>
#include <cygnet/sync.h>
#include <stdlib.h>

enum {
    LINE_MAX_BYTES = 64 * 1024,
    BUFFER_DEFAULT = 1024 * 1024,
    ENOUGH = 128 * 1024, /* worth a write: what is in use stays in the cache, the rest of a buffer is for bursts */
    BUFFER_LEAST = 4 * 1024,
    BUFFER_MOST = 64 * 1024 * 1024,
    CACHE_LINE = 64,
    ROUNDS = 32,      /* over all shards, before a line is dropped because all were locked */
    ROUNDS_SPIN = 16, /* of these, without giving the CPU away */
};

enum waiting {
    RUNNING,
    FOR_MUCH, /* until a buffer holds enough to be worth a write, or the deadline */
    FOR_LINE, /* until anything comes */
};

struct buffer {
    char *p;
    size_t n;       /* bytes of whole lines */
    uint64_t lines; /* how many */
};

struct shard {
    _Alignas(CACHE_LINE) uint32_t lock; /* spin lock of active, and of the buffers but for a full one */
    unsigned active;                    /* which buffer takes lines */
    struct buffer buffers[2];
    uint64_t dropped; /* atomic */
};

struct cyg_linelog {
    size_t buffer_bytes; /* of each buffer; this and the next three never change */
    size_t enough;       /* bytes in one that wake the writer */
    cyg_duration flush_interval;
    unsigned nshards;
    uint32_t waiting;      /* enum waiting; atomic */
    uint32_t closing;      /* atomic */
    cyg_waitgroup bell;    /* 1 while the writer waits */
    cyg_waitgroup writer;  /* 1 until the writer has ended */
    uint64_t flush_wanted; /* the last ticket given out; atomic */
    cyg_mutex flush_lock;
    uint64_t flush_done;      /* tickets up to this one are served; guarded by flush_lock */
    cyg_cond flushed;         /* flush_done has grown */
    struct cyg_linefile file; /* the writer's; what producers and readers of statistics may touch is atomic */
    struct shard shards[];
};

static inline struct buffer *active(struct shard *s) { return &s->buffers[s->active]; }
static inline struct buffer *other(struct shard *s) { return &s->buffers[s->active ^ 1]; }

/* ---- the bell ----------------------------------------------------------------------------------------------------- */

static void ring(cyg_linelog *l) {
    if (__atomic_load_n(&l->waiting, __ATOMIC_SEQ_CST) == RUNNING) return;
    if (__atomic_exchange_n(&l->waiting, RUNNING, __ATOMIC_SEQ_CST) != RUNNING) cyg_waitgroup_done(&l->bell);
}

/* Whether the writer must not begin to wait for that. What flush, reopen and close do before they ring is sequentially
 * consistent, as is this, after `waiting` was set: one of the two sees the other. */
static bool asked_for(cyg_linelog *l, uint64_t served) {
    return __atomic_load_n(&l->closing, __ATOMIC_SEQ_CST) || cyg_linefile_has_next(&l->file) ||
           __atomic_load_n(&l->flush_wanted, __ATOMIC_SEQ_CST) != served;
}

static bool has_lines(cyg_linelog *l, enum waiting what) {
    size_t enough = what == FOR_LINE ? 1 : l->enough;
    for (unsigned i = 0; i < l->nshards; i++) {
        struct shard *s = &l->shards[i];
        cyg_spin_lock(&s->lock);
        bool yes = active(s)->n >= enough || other(s)->n > 0;
        cyg_spin_unlock(&s->lock);
        if (yes) return true;
    }
    return false;
}

static void wait_for(cyg_linelog *l, enum waiting what, uint64_t served) {
    cyg_time deadline = what == FOR_LINE ? 0 : cyg_now() + l->flush_interval;
    cyg_waitgroup_add(&l->bell, 1);
    __atomic_store_n(&l->waiting, what, __ATOMIC_SEQ_CST);
    if (!asked_for(l, served) && !has_lines(l, what)) (void)cyg_waitgroup_wait_until(&l->bell, deadline);
    if (__atomic_exchange_n(&l->waiting, RUNNING, __ATOMIC_SEQ_CST) != RUNNING)
        cyg_waitgroup_done(&l->bell); /* nobody rang, nobody will */
    else
        (void)cyg_waitgroup_wait(&l->bell); /* somebody has rung, or is about to */
}

/* ---- producers ---------------------------------------------------------------------------------------------------- */

static void count_dropped(cyg_linelog *l, unsigned shard) {
    __atomic_fetch_add(&l->shards[shard].dropped, 1, __ATOMIC_RELAXED);
}

/* Under the shard's lock, when the active buffer has no room: the other, if it is free. */
static CYG_COLD struct buffer *change_places(struct shard *s) {
    if (other(s)->n > 0) return NULL;
    s->active ^= 1;
    return active(s);
}

/* Under the shard's lock: the buffer with room for n bytes more; NULL: there is none. */
static inline struct buffer *room_for(cyg_linelog *l, struct shard *s, size_t n) {
    struct buffer *b = active(s);
    return CYG_LIKELY(n <= l->buffer_bytes - b->n) ? b : change_places(s);
}

/* Under the shard's lock: n bytes behind what b holds are a line. Returns what of the writer's waits has come true. */
static enum waiting commit(cyg_linelog *l, struct buffer *b, size_t n) {
    bool crossed = CYG_UNLIKELY(b->n + n >= l->enough) && b->n < l->enough;
    b->n += n;
    b->lines++;
    return crossed ? FOR_MUCH : FOR_LINE;
}

/* Takes the lock of any shard: the holder of the own one may have lost its CPU. Never waits for long; NULL when all stayed
 * locked. */
static CYG_COLD struct shard *lock_any(cyg_linelog *l, unsigned first) {
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < l->nshards; i++) {
            struct shard *s = &l->shards[(first + i) % l->nshards];
            if (cyg_spin_trylock(&s->lock)) return s;
        }
        if (round < ROUNDS_SPIN)
            cyg_cpu_relax();
        else
            sched_yield();
    }
    return NULL;
}

static inline struct shard *lock_one(cyg_linelog *l, unsigned own) {
    struct shard *s = &l->shards[own];
    return CYG_LIKELY(cyg_spin_trylock(&s->lock)) ? s : lock_any(l, own);
}

static unsigned own_shard(const cyg_linelog *l) {
    unsigned hint = cyg_proc_hint();
    return CYG_LIKELY(hint < l->nshards) ? hint : hint % l->nshards;
}

/* Lets the shard go; rings if the writer waits for what has come true. */
static void leave(cyg_linelog *l, struct shard *s, enum waiting reached) {
    uint32_t waiting = __atomic_load_n(&l->waiting, __ATOMIC_RELAXED);
    cyg_spin_unlock(&s->lock);
    if (CYG_UNLIKELY(waiting != RUNNING && (waiting == FOR_LINE || reached == FOR_MUCH))) ring(l);
}

bool cyg_linelog_write(cyg_linelog *l, const char *line, size_t n) {
    unsigned first = own_shard(l);
    struct shard *s = n > 0 && n <= LINE_MAX_BYTES && n <= l->buffer_bytes ? lock_one(l, first) : NULL;
    if (!s) return count_dropped(l, first), false;
    struct buffer *b = room_for(l, s, n);
    enum waiting reached = FOR_MUCH;
    if (b) {
        memcpy(b->p + b->n, line, n);
        reached = commit(l, b, n);
    }
    leave(l, s, reached);
    if (!b) count_dropped(l, first);
    return b != NULL;
}

static CYG_COLD void leave_full(cyg_linelog *l, struct shard *s) { leave(l, s, FOR_MUCH); }

char *cyg_linelog_begin(cyg_linelog *l, size_t max, cyg_linelog_room *room) {
    struct shard *s = max <= l->buffer_bytes ? lock_one(l, own_shard(l)) : NULL;
    if (!s) return NULL;
    struct buffer *b = room_for(l, s, max);
    if (CYG_UNLIKELY(!b)) return leave_full(l, s), NULL;
    room->shard_ = s;
    room->buffer_ = b;
    return b->p + b->n;
}

void cyg_linelog_end(cyg_linelog *l, cyg_linelog_room *room, size_t n) {
    struct shard *s = room->shard_;
    leave(l, s, CYG_LIKELY(n > 0) ? commit(l, room->buffer_, n) : FOR_LINE);
}

/* ---- the writer --------------------------------------------------------------------------------------------------- */

/* The next buffer of a shard to be written, full from now on; NULL: there is nothing. */
static struct buffer *take(struct shard *s) {
    cyg_spin_lock(&s->lock);
    struct buffer *b = other(s);
    if (b->n == 0 && active(s)->n > 0) {
        b = active(s);
        s->active ^= 1;
    }
    if (b->n == 0) b = NULL;
    cyg_spin_unlock(&s->lock);
    return b;
}

static void make_free(struct shard *s, struct buffer *b) {
    cyg_spin_lock(&s->lock);
    b->n = 0;
    b->lines = 0;
    cyg_spin_unlock(&s->lock);
}

/* Writes all that was taken before the call: of each shard the full buffer, if there is one, and the one that was active.
 * Returns: whether there was anything. */
static bool drain(cyg_linelog *l) {
    bool any = false;
    for (unsigned i = 0; i < l->nshards; i++) {
        struct buffer *b;
        for (int k = 0; k < 2 && (b = take(&l->shards[i])) != NULL; k++) {
            cyg_linefile_write(&l->file, b->p, b->n, b->lines);
            make_free(&l->shards[i], b);
            any = true;
        }
    }
    return any;
}

static void serve_flushes(cyg_linelog *l, uint64_t ticket) {
    cyg_mutex_lock(&l->flush_lock);
    l->flush_done = ticket;
    cyg_cond_broadcast(&l->flushed);
    cyg_mutex_unlock(&l->flush_lock);
}

/* A context of the opener's must not end the writer's waits. */
static void writer(void *arg) {
    cyg_linelog *l = arg;
    cyg_ctx_scope scope = cyg_ctx_enter(cyg_ctx_background());
    uint64_t served = 0;
    bool idle = true, closing;
    do {
        wait_for(l, idle ? FOR_LINE : FOR_MUCH, served);
        if (idle && !asked_for(l, served)) wait_for(l, FOR_MUCH, served); /* the first line: others may follow */
        closing = __atomic_load_n(&l->closing, __ATOMIC_SEQ_CST);
        uint64_t ticket = __atomic_load_n(&l->flush_wanted, __ATOMIC_SEQ_CST);
        cyg_linefile_adopt(&l->file);
        idle = !drain(l);
        if (ticket != served) serve_flushes(l, served = ticket);
    } while (!closing);
    cyg_linefile_close(&l->file);
    cyg_ctx_leave(&scope);
    cyg_waitgroup_done(&l->writer);
}

/* ---- opening, reopening, flushing, closing ------------------------------------------------------------------------ */

static void free_log(cyg_linelog *l) {
    for (unsigned i = 0; i < l->nshards; i++) {
        free(l->shards[i].buffers[0].p);
        free(l->shards[i].buffers[1].p);
    }
    cyg_linefile_free(&l->file);
    free(l);
}

static cyg_linelog *alloc_log(const cyg_linelog_opts *opts) {
    unsigned nshards = cyg_procs() > 0 ? cyg_procs() : 1;
    void *memory;
    size_t bytes = sizeof(cyg_linelog) + nshards * sizeof(struct shard);
    if (posix_memalign(&memory, CACHE_LINE, bytes) != 0) return NULL;
    cyg_linelog *l = memset(memory, 0, bytes);
    l->nshards = nshards;
    l->buffer_bytes = opts->buffer_bytes ? opts->buffer_bytes : BUFFER_DEFAULT;
    l->enough = l->buffer_bytes / 2 < ENOUGH ? l->buffer_bytes / 2 : ENOUGH;
    l->flush_interval = opts->flush_interval ? opts->flush_interval : 100 * CYG_MILLISECOND;
    for (unsigned i = 0; i < 2 * nshards; i++) {
        struct buffer *b = &l->shards[i / 2].buffers[i % 2];
        b->p = malloc(l->buffer_bytes); /* its pages are touched as lines come */
        if (!b->p) return free_log(l), NULL;
    }
    return l;
}

int cyg_linelog_open(const char *path, const cyg_linelog_opts *opts, cyg_linelog **out) {
    static const cyg_linelog_opts defaults;
    if (!opts) opts = &defaults;
    if (!path || !*path || opts->flush_interval < 0) return CYG_EINVAL;
    if (opts->buffer_bytes != 0 && (opts->buffer_bytes < BUFFER_LEAST || opts->buffer_bytes > BUFFER_MOST))
        return CYG_EINVAL;
    cyg_linelog *l = alloc_log(opts);
    if (!l) return CYG_ENOMEM;
    int err = cyg_linefile_open(&l->file, path);
    if (err < 0) return free_log(l), cygrt_fail(err, "open %s: %s", path, cyg_strerror(err));
    cyg_waitgroup_add(&l->writer, 1);
    err = cyg_go_with(&(cyg_go_opts){.name = "linelog"}, writer, l);
    if (err < 0) {
        cyg_linefile_close(&l->file);
        return free_log(l), err;
    }
    *out = l;
    return 0;
}

int cyg_linelog_reopen(cyg_linelog *l) {
    int err = cyg_linefile_reopen(&l->file);
    if (err == 0) ring(l); /* so that the old file is let go at once */
    return err;
}

int cyg_linelog_flush(cyg_linelog *l, cyg_time deadline) {
    uint64_t ticket = __atomic_add_fetch(&l->flush_wanted, 1, __ATOMIC_SEQ_CST);
    ring(l);
    int err = 0;
    cyg_mutex_lock(&l->flush_lock);
    while (err == 0 && l->flush_done < ticket) err = cyg_cond_wait_until(&l->flushed, &l->flush_lock, deadline);
    bool done = l->flush_done >= ticket;
    cyg_mutex_unlock(&l->flush_lock);
    return done ? 0 : err;
}

void cyg_linelog_close(cyg_linelog *l) {
    if (!l) return;
    __atomic_store_n(&l->closing, 1, __ATOMIC_SEQ_CST);
    ring(l);
    cyg_ctx_scope scope = cyg_ctx_enter(cyg_ctx_background()); /* the memory is in use until the writer has ended */
    (void)cyg_waitgroup_wait(&l->writer);
    cyg_ctx_leave(&scope);
    free_log(l);
}

void cyg_linelog_get_stats(const cyg_linelog *l, cyg_linelog_stats *out) {
    cyg_linefile_get_stats(&l->file, out);
    for (unsigned i = 0; i < l->nshards; i++)
        out->dropped_total += __atomic_load_n(&l->shards[i].dropped, __ATOMIC_RELAXED);
}
