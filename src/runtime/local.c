/* local.c: goroutine-local values. A goroutine that has some has one small array of them, found by the address of the key; there
 * are seldom more than three. Only the goroutine itself touches it, but for the one that starts it, before it runs. */
#include "runtime/local.h"

#include <cygnet/local.h>
#include <stdlib.h>

#define ROUNDS 4 /* destructors may set values again: this often */
#define FIRST 4

struct value {
    const cyg_local_key *key; /* NULL: free */
    void *p;
};
struct cygrt_locals {
    uint32_t n, cap;
    struct value values[];
};

void *cyg_local_same(void *value) { return value; }

static struct value *find(const struct g *g, const cyg_local_key *key) {
    struct cygrt_locals *l = g->locals;
    for (uint32_t i = 0; l && i < l->n; i++)
        if (l->values[i].key == key) return &l->values[i];
    return NULL;
}

void *cyg_local_get(const cyg_local_key *key) {
    struct g *g = cygrt_g();
    struct value *v = g ? find(g, key) : NULL;
    return v ? v->p : NULL;
}

static bool add(struct g *g, const cyg_local_key *key, void *p) {
    struct cygrt_locals *l = g->locals;
    if (!l || l->n == l->cap) {
        uint32_t cap = l ? l->cap * 2 : FIRST;
        struct cygrt_locals *bigger = realloc(l, sizeof *l + cap * sizeof l->values[0]);
        if (!bigger) return false;
        if (!l) bigger->n = 0;
        bigger->cap = cap;
        g->locals = l = bigger;
    }
    l->values[l->n++] = (struct value){key, p};
    return true;
}

int cyg_local_set(const cyg_local_key *key, void *value) {
    struct g *g = cygrt_g();
    if (!g) return cygrt_fail(CYG_ESTATE, "cyg_local_set outside a goroutine");
    struct value *v = find(g, key);
    if (value) {
        if (v)
            v->p = value;
        else if (!add(g, key, value))
            return CYG_ENOMEM;
        return 0;
    }
    if (v) *v = g->locals->values[--g->locals->n];
    if (g->locals && g->locals->n == 0) {
        free(g->locals);
        g->locals = NULL;
    }
    return 0;
}

void cygrt_locals_inherit(struct g *child, const struct g *parent) {
    struct cygrt_locals *l = parent->locals;
    for (uint32_t i = 0; i < l->n; i++) {
        struct value v = l->values[i];
        void *p = v.key->inherit ? v.key->inherit(v.p) : NULL;
        /* Without memory the value is lost, as it is when inherit has none; not leaked. */
        if (p && !add(child, v.key, p) && v.key->destroy) v.key->destroy(p);
    }
}

void cygrt_locals_end(struct g *g) {
    for (int round = 0; g->locals && round < ROUNDS; round++) {
        struct cygrt_locals *l = g->locals;
        g->locals = NULL;
        for (uint32_t i = 0; i < l->n; i++)
            if (l->values[i].key->destroy) l->values[i].key->destroy(l->values[i].p);
        free(l);
    }
    free(g->locals);
    g->locals = NULL;
}
