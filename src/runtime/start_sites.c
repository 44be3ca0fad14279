/* start_sites.c: cyg_start_sites: live goroutines counted by where they were started. A roster without stacks, its groups, which
 * differ by state and name too, put together. */
#include "runtime/roster.h"

#include <cygnet/debug.h>
#include <stdlib.h>
#include <string.h>

struct site {
    struct cygrt_start start;
    cyg_start_site shown;
};

struct job {
    cyg_start_site *out;
    size_t n;
    ssize_t found; /* sites there are, or CYG_ENOMEM */
};

static bool same(const struct cygrt_start *a, const struct cygrt_start *b) {
    return a->file == b->file && a->line == b->line && a->fn == b->fn;
}

/* As many sites as a program has places in its source: a search from the start is short. */
static size_t by_place(const struct cygrt_roster *c, struct site *sites) {
    size_t n = 0;
    for (const struct cygrt_group *g = c->groups; g; g = g->next) {
        size_t i = 0;
        while (i < n && !same(&sites[i].start, &g->one.start)) i++;
        if (i == n) sites[n++].start = g->one.start;
        sites[i].shown.goroutines += g->count;
    }
    return n;
}

/* A header's function is in many object files, and files of one name in many directories: what reads the same is one. */
static size_t by_text(struct site *sites, size_t n) {
    struct cygrt_symbols *s = cygrt_symbols_open();
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct site *x = &sites[i];
        (void)cygrt_start_text(s, &x->start, x->shown.site, sizeof x->shown.site);
        size_t k = 0;
        while (k < kept && strcmp(sites[k].shown.site, x->shown.site) != 0) k++;
        if (k < kept)
            sites[k].shown.goroutines += x->shown.goroutines;
        else
            sites[kept++] = *x;
    }
    cygrt_symbols_close(s);
    return kept;
}

static int more_first(const void *a, const void *b) {
    uint64_t x = ((const struct site *)a)->shown.goroutines, y = ((const struct site *)b)->shown.goroutines;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void count(void *arg) {
    struct job *j = arg;
    struct cygrt_roster c;
    cygrt_roster_take(&c, 0, 0, NULL, NULL);
    struct site *sites = calloc(c.ngroups + 1, sizeof *sites);
    j->found = CYG_ENOMEM;
    if (sites) {
        size_t n = by_text(sites, by_place(&c, sites));
        qsort(sites, n, sizeof *sites, more_first);
        for (size_t i = 0; i < n && i < j->n; i++) j->out[i] = sites[i].shown;
        j->found = (ssize_t)n;
    }
    free(sites);
    cygrt_roster_free(&c);
}

ssize_t cyg_start_sites(cyg_start_site *out, size_t n) {
    struct job j = {out, n, 0};
    cygrt_on_thread(count, &j);
    return j.found;
}
