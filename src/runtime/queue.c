/* queue.c: where runnable work stands. Each P has a bounded ring and a next slot; what does not fit goes to the global queue.
 * The ring has one producer (the owner) and consumers that advance head by compare-and-swap (the owner and thieves). */
#include "base/fatal.h"
#include "base/spin.h"
#include "runtime/queue.h"

bool cygrt_queue_spill(struct p *p, struct cygrt_task *t, uint32_t head) {
    struct cygrt_task *batch[CYGRT_QUEUE / 2 + 1];
    unsigned n = CYGRT_QUEUE / 2;
    for (unsigned i = 0; i < n; i++)
        batch[i] = atomic_load_explicit(&p->ring[(head + i) & CYGRT_QUEUE_MASK], memory_order_relaxed);
    if (!atomic_compare_exchange_strong_explicit(&p->head, &head, head + n, memory_order_release, memory_order_relaxed))
        return false;
    batch[n++] = t;
    for (unsigned i = 0; i + 1 < n; i++) batch[i]->next = batch[i + 1];
    cygrt_global_put(batch[0], batch[n - 1], n);
    return true;
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

void cygrt_global_put(struct cygrt_task *first, struct cygrt_task *last, unsigned n) {
    struct cygrt_sched *s = &cygrt_sched;
    last->next = NULL;
    cyg_spin_lock(&s->lock);
    if (s->gtail)
        s->gtail->next = first;
    else
        s->ghead = first;
    s->gtail = last;
    atomic_fetch_add_explicit(&s->glen, n, memory_order_relaxed);
    cyg_spin_unlock(&s->lock);
}

struct cygrt_task *cygrt_global_get(struct p *p) {
    struct cygrt_sched *s = &cygrt_sched;
    if (atomic_load_explicit(&s->glen, memory_order_relaxed) == 0) return NULL;
    cyg_spin_lock(&s->lock);
    unsigned len = atomic_load_explicit(&s->glen, memory_order_relaxed), n = len / s->nprocs + 1;
    unsigned room = CYGRT_QUEUE / 2;
    if (n > len) n = len;
    if (n > room) n = room;
    struct cygrt_task *list = s->ghead, *last = NULL;
    for (unsigned i = 0; i < n; i++) {
        last = s->ghead;
        s->ghead = last->next;
    }
    if (!s->ghead) s->gtail = NULL;
    if (last) last->next = NULL;
    atomic_fetch_sub_explicit(&s->glen, n, memory_order_relaxed);
    cyg_spin_unlock(&s->lock);
    if (!n) return NULL;
    atomic_fetch_add_explicit(&p->n_global, n, memory_order_relaxed);
    atomic_store_explicit(&p->now, cyg_now(), memory_order_relaxed); /* no goroutine's clock goes back when it moves */
    for (struct cygrt_task *t = list->next, *next; t; t = next) {
        next = t->next; /* once in the ring it may run, and be queued elsewhere */
        cygrt_queue_put(p, t);
    }
    return list;
}
