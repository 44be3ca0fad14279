/* instruments.c: counters and gauges. Adding is one atomic addition in the cell of the P that the caller runs on; reading sums
 * the cells. Signal handlers may call all of it: no lock, no allocation.
 */
#include "metrics_internal.h"

static inline uint64_t load(const uint64_t *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }

static uint64_t sum_of(const struct cyg_metric_cell *cells, unsigned n) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < n; i++) sum += load(&cells[i].n);
    return sum;
}

/* ---- counters ----------------------------------------------------------------------------------------------------- */

void cyg_counter_add(cyg_counter *c, uint64_t n) {
    __atomic_fetch_add(&c->cells[cyg_metric_cell_now(&c->m)].n, n, __ATOMIC_RELAXED);
}

uint64_t cyg_counter_get(const cyg_counter *c) { return load(&c->base) + sum_of(c->cells, c->m.ncells); }

/* Two expositions may set it at once: who loses the exchange looks again and finds nothing left to add. */
void cyg_counter_set(cyg_counter *c, uint64_t v) {
    uint64_t counted = sum_of(c->cells, c->m.ncells), base = load(&c->base);
    while (base + counted < v) {
        if (__atomic_compare_exchange_n(&c->base, &base, v - counted, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return;
    }
}

/* ---- gauges ------------------------------------------------------------------------------------------------------- */

void cyg_gauge_add(cyg_gauge *g, int64_t v) {
    __atomic_fetch_add(&g->cells[cyg_metric_cell_now(&g->m)].n, (uint64_t)v, __ATOMIC_RELAXED);
}

/* What was added before is forgotten. Cells that are 0 already, as in a gauge that is only ever set, are left alone, so that
 * nobody reads a value between the old one and the new. */
void cyg_gauge_set(cyg_gauge *g, int64_t v) {
    for (unsigned i = 0; i < g->m.ncells; i++) {
        if (load(&g->cells[i].n) != 0) __atomic_store_n(&g->cells[i].n, 0, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&g->base, v, __ATOMIC_RELAXED);
}

int64_t cyg_gauge_get(const cyg_gauge *g) {
    uint64_t base = (uint64_t)__atomic_load_n(&g->base, __ATOMIC_RELAXED);
    return (int64_t)(base + sum_of(g->cells, g->m.ncells));
}
