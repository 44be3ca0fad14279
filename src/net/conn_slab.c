/* conn_slab.c: where the records of connections lie: in slabs that stay, so that reports can look at them while they come and go. */
#include <stdlib.h>
#include <string.h>

#include "base/spin.h"
#include "net/internal.h"
#include "runtime/roster.h"

#define SLAB 64

static uint32_t slab_lock;
static struct conn *free_conns; /* guarded by slab_lock */
static struct slab {
    struct slab *next;
    struct conn conns[SLAB]; /* at cache lines of their own */
} * slabs;                   /* guarded by slab_lock; kept so that leak checkers see what is alive */

/* Slabs stay, so a look without the lock is at worst out of date. */
bool conn_each(bool (*fn)(struct conn *c, void *arg), void *arg) {
    for (struct slab *s = __atomic_load_n(&slabs, __ATOMIC_ACQUIRE); s; s = s->next)
        for (int i = 0; i < SLAB; i++)
            if (__atomic_load_n(&s->conns[i].magic, __ATOMIC_RELAXED) == CONN_MAGIC && !fn(&s->conns[i], arg))
                return false;
    return true;
}

/* For dumps: the poll descriptors of connections in use. */
struct pd_visit {
    cygrt_pd_visit *fn;
    void *arg;
};
static bool visit_pd(struct conn *c, void *arg) {
    const struct pd_visit *v = arg;
    return v->fn(&c->pd, v->arg);
}
static bool each_pd(cygrt_pd_visit *fn, void *arg) { return conn_each(visit_pd, &(struct pd_visit){fn, arg}); }
static struct cygrt_pd_source source = {.each = each_pd};

struct conn *conn_alloc(void) {
    cyg_spin_lock(&slab_lock);
    if (!free_conns) {
        struct slab *s = aligned_alloc(_Alignof(struct slab), sizeof *s);
        if (s) {
            memset(s, 0, sizeof *s);
            s->next = slabs;
            __atomic_store_n(&slabs, s, __ATOMIC_RELEASE);
            cygrt_pd_source_add(&source);
            for (int i = SLAB - 1; i >= 0; i--) {
                s->conns[i].next_free = free_conns;
                free_conns = &s->conns[i];
            }
        }
    }
    struct conn *c = free_conns;
    if (c) free_conns = c->next_free;
    cyg_spin_unlock(&slab_lock);
    return c;
}

void conn_free(struct conn *c) {
    __atomic_store_n(&c->magic, 0, __ATOMIC_RELAXED);
    cyg_spin_lock(&slab_lock);
    c->next_free = free_conns;
    free_conns = c;
    cyg_spin_unlock(&slab_lock);
}
