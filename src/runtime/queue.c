/* queue.c: where runnable work stands. Each P has a bounded ring and a next slot; what does not fit goes to the global queue.
 * The ring has one producer (the owner) and consumers that advance head by compare-and-swap (the owner and thieves).
 *
 * The global queue is a list of chunks of pointers, so that tasks can be moved without being touched: of a million that have just
 * been woken each is a page of its own that no cache knows. Who takes a batch asks for all its pages at once, and finds them there when
 * it comes to run them. Without memory for a chunk tasks are linked through themselves, behind the chunks, until there is some. */
#include "base/fatal.h"
#include "base/spin.h"
#include "runtime/queue.h"

#include <stdlib.h>

#define CHUNK 125
#define SPARE 8     /* empty chunks kept */
#define BATCH 64    /* tasks taken at once, at most */
#define FRAMES 1024 /* bytes of a parked goroutine's innermost frames that are fetched for it */

struct cygrt_chunk {
    struct cygrt_chunk *next;
    uint32_t at, end; /* tasks stand in [at, end) */
    struct cygrt_task *task[CHUNK];
};

/* False if thieves made room meanwhile. */
static bool spill(struct p *p, struct cygrt_task *t) {
    struct cygrt_task *batch[CYGRT_QUEUE / 2 + 1];
    unsigned n = CYGRT_QUEUE / 2;
    uint32_t head = atomic_load_explicit(&p->head, memory_order_acquire);
    uint32_t tail = atomic_load_explicit(&p->tail, memory_order_relaxed);
    if (tail - head < CYGRT_QUEUE) return false;
    for (unsigned i = 0; i < n; i++)
        batch[i] = atomic_load_explicit(&p->ring[(head + i) & CYGRT_QUEUE_MASK], memory_order_relaxed);
    if (!atomic_compare_exchange_strong_explicit(&p->head, &head, head + n, memory_order_release, memory_order_relaxed))
        return false;
    batch[n++] = t;
    cygrt_global_put(batch, n);
    return true;
}

void cygrt_queue_spill(struct p *p, struct cygrt_task *t) {
    while (!spill(p, t) && !cygrt_queue_put_if_room(p, t)) {}
}

/* Takes half of victim's ring: the first goes to *first, the rest into p's ring, which is empty. With next_too, its next slot
 * if the ring had nothing. Returns how many were taken. */
unsigned cygrt_queue_steal(struct p *p, struct p *victim, bool next_too, struct cygrt_task **first) {
    for (;;) {
        uint32_t h = atomic_load_explicit(&victim->head, memory_order_acquire);
        uint32_t t = atomic_load_explicit(&victim->tail, memory_order_acquire);
        uint32_t n = t - h;
        if (n == 0 || n > CYGRT_QUEUE) {
            if (n == 0 && next_too && (*first = cygrt_queue_get_next(victim))) return 1;
            if (n == 0) return 0;
            continue; /* head and tail were read apart */
        }
        n -= n / 2;
        uint32_t mine = atomic_load_explicit(&p->tail, memory_order_relaxed);
        struct cygrt_task *got = atomic_load_explicit(&victim->ring[h & CYGRT_QUEUE_MASK], memory_order_relaxed);
        for (uint32_t i = 1; i < n; i++) {
            struct cygrt_task *x = atomic_load_explicit(&victim->ring[(h + i) & CYGRT_QUEUE_MASK], memory_order_relaxed);
            atomic_store_explicit(&p->ring[(mine + i - 1) & CYGRT_QUEUE_MASK], x, memory_order_relaxed);
        }
        if (!atomic_compare_exchange_strong_explicit(&victim->head, &h, h + n, memory_order_acq_rel, memory_order_acquire))
            continue;
        atomic_store_explicit(&p->tail, mine + n - 1, memory_order_release);
        *first = got;
        return n;
    }
}

/* Puts as many of the n as the last chunk has room for; with a new one, or a spare, behind it if it has none. Under sched.lock. */
static unsigned put_some(struct cygrt_sched *s, struct cygrt_task *const *tasks, unsigned n, struct cygrt_chunk **fresh) {
    struct cygrt_chunk *c = s->glast;
    if (!c || c->end == CHUNK) {
        c = s->gspare;
        if (c) {
            s->gspare = c->next;
            s->ngspare--;
        } else if (!(c = *fresh)) {
            return 0;
        }
        if (c == *fresh) *fresh = NULL;
        c->next = NULL;
        c->at = c->end = 0;
        if (s->glast)
            s->glast->next = c;
        else
            s->gfirst = c;
        s->glast = c;
    }
    unsigned room = CHUNK - c->end;
    if (n > room) n = room;
    for (unsigned i = 0; i < n; i++) c->task[c->end + i] = tasks[i];
    c->end += n;
    return n;
}

static void put_linked(struct cygrt_sched *s, struct cygrt_task *t) {
    t->next = NULL;
    if (s->gtail)
        s->gtail->next = t;
    else
        s->ghead = t;
    s->gtail = t;
}

void cygrt_global_put(struct cygrt_task *const *tasks, unsigned n) {
    struct cygrt_sched *s = &cygrt_sched;
    struct cygrt_chunk *fresh = NULL;
    unsigned done = 0;
    bool tried = false;
    cyg_spin_lock(&s->lock);
    while (done < n) {
        unsigned k = s->ghead ? 0 : put_some(s, tasks + done, n - done, &fresh);
        done += k;
        if (k) continue;
        if (tried || s->ghead) { /* behind those that are linked already: nobody is overtaken for ever */
            while (done < n) put_linked(s, tasks[done++]);
            break;
        }
        cyg_spin_unlock(&s->lock); /* what was put already is counted below: glen may be short for a moment, never long */
        tried = true;
        fresh = malloc(sizeof *fresh);
        cyg_spin_lock(&s->lock);
        if (fresh) tried = false;
    }
    atomic_fetch_add_explicit(&s->glen, n, memory_order_relaxed);
    cyg_spin_unlock(&s->lock);
    free(fresh);
}

/* Takes n tasks, which there are. Returns a chunk that has become superfluous. Under sched.lock. */
static struct cygrt_chunk *take(struct cygrt_sched *s, struct cygrt_task **out, unsigned n) {
    struct cygrt_chunk *drop = NULL;
    for (unsigned done = 0; done < n;) {
        struct cygrt_chunk *c = s->gfirst;
        if (!c) {
            out[done] = s->ghead;
            s->ghead = s->ghead->next;
            if (!s->ghead) s->gtail = NULL;
            done++;
            continue;
        }
        while (done < n && c->at < c->end) out[done++] = c->task[c->at++];
        if (c->at < c->end) break;
        s->gfirst = c->next;
        if (!s->gfirst) s->glast = NULL;
        if (s->ngspare < SPARE) {
            c->next = s->gspare;
            s->gspare = c;
            s->ngspare++;
        } else {
            c->next = drop;
            drop = c;
        }
    }
    return drop;
}

/* Brings into the cache what a batch will touch when it runs: the Gs, then their frames. One after the other they would be a miss
 * each, or several; like this they are under way together. */
static void fetch(struct cygrt_task *const *tasks, unsigned n) {
    __asm__ volatile(""); /* else gcc 12 takes a function that only prefetches for one without effect, and leaves its call out */
    for (unsigned i = 0; i < n; i++) {
        const char *g = (const char *)tasks[i];
        for (unsigned k = 0; k < CYGRT_G_HOT; k += CYGRT_CACHELINE) __builtin_prefetch(g + k, 1);
    }
    for (unsigned i = 0; i < n; i++) {
        if (tasks[i]->kind != CYGRT_TASK_G && tasks[i]->kind != CYGRT_TASK_PINNED) continue;
        const char *sp = ((struct g *)tasks[i])->sp, *end = sp + FRAMES;
        if (end > (const char *)tasks[i]) end = (const char *)tasks[i];
        for (; sp < end; sp += CYGRT_CACHELINE) __builtin_prefetch(sp, 1);
    }
}

static void free_chunks(struct cygrt_chunk *c) {
    for (struct cygrt_chunk *next; c; c = next) {
        next = c->next;
        free(c);
    }
}

struct cygrt_task *cygrt_global_get(struct p *p) {
    struct cygrt_sched *s = &cygrt_sched;
    struct cygrt_task *batch[BATCH];
    if (atomic_load_explicit(&s->glen, memory_order_relaxed) == 0) return NULL;
    cyg_spin_lock(&s->lock);
    unsigned len = atomic_load_explicit(&s->glen, memory_order_relaxed), n = len / s->nprocs + 1;
    if (n > len) n = len;
    if (n > BATCH) n = BATCH;
    struct cygrt_chunk *drop = take(s, batch, n);
    atomic_fetch_sub_explicit(&s->glen, n, memory_order_relaxed);
    cyg_spin_unlock(&s->lock);
    free_chunks(drop);
    if (!n) return NULL;
    fetch(batch, n);
    atomic_fetch_add_explicit(&p->n_global, n, memory_order_relaxed);
    atomic_store_explicit(&p->now, cyg_now(), memory_order_relaxed); /* no goroutine's clock goes back when it moves */
    for (unsigned i = 1; i < n; i++) cygrt_queue_put(p, batch[i]);
    return batch[0];
}

void cygrt_global_drop(void) {
    struct cygrt_sched *s = &cygrt_sched;
    free_chunks(s->gfirst);
    free_chunks(s->gspare);
    s->gfirst = s->glast = s->gspare = NULL;
    s->ngspare = 0;
    s->ghead = s->gtail = NULL;
    atomic_store(&s->glen, 0);
}
