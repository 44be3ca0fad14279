/* stack_census.c: stacks are painted; what has lost its paint has been used. When a goroutine ends it looks from the low end for the first
 * word that is not paint, notes the depth for its start site, and paints what it used again. */
#include "runtime/stack_census.h"

#include "base/spin.h"
#include "runtime/fiber.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef CYG_CHECKED

#define PAINT 0x5ca1ab1e5ca1ab1eu
#define SITES 1024
#define OWN_FRAMES 512 /* below the frame of whoever paints: not touched */

static struct site {
    const char *file; /* NULL: started by readiness or a timer, with fn */
    void (*fn)(void *, int);
    int line;
    uint64_t goroutines;
    size_t deepest, size;
} sites[SITES]; /* guarded by lock; the first nsites are used */
static uint32_t lock, nsites;
static bool on; /* set before any thread starts */

void cygrt_stack_census_init(void) { on = cygrt_debug("census"); }
bool cygrt_stack_census_on(void) { return on; }

/* The lowest word of an unguarded stack has a pattern of its own. */
static uint64_t *lowest(const struct g *g) { return (uint64_t *)(void *)g->lo + 1; }

CYGRT_RACY static void paint(uint64_t *from, uint64_t *to) {
    for (volatile uint64_t *p = from; p < to; p++) *p = PAINT;
}

void cygrt_stack_census_paint(struct g *g) {
    if (on) paint(lowest(g), (uint64_t *)((uintptr_t)g->hi & ~(uintptr_t)7));
}

CYGRT_RACY static uint64_t *first_used(const struct g *g) {
    uint64_t *p = lowest(g), *end = (uint64_t *)((uintptr_t)g->hi & ~(uintptr_t)7);
    while (p < end && *p == PAINT) p++;
    return p;
}

CYGRT_RACY static void note(const struct g *g, const uint64_t *used, bool ended) {
    size_t depth = (size_t)(g->hi - (const char *)used);
    cyg_spin_lock(&lock);
    struct site *s = sites, *end = sites + nsites;
    while (s < end && !(s->file == g->file && s->line == g->line && (g->file || s->fn == g->ready_fn))) s++;
    if (s == end && nsites < SITES) {
        *s = (struct site){.file = g->file, .line = g->line, .fn = g->file ? NULL : g->ready_fn};
        nsites++;
    }
    if (s < sites + nsites) {
        s->goroutines += ended;
        if (depth > s->deepest) {
            s->deepest = depth;
            s->size = (size_t)(g->hi - g->lo);
        }
    }
    cyg_spin_unlock(&lock);
}

__attribute__((noinline)) void cygrt_stack_census_note(struct g *g) {
    if (!on) return;
    uint64_t *used = first_used(g), *here = (uint64_t *)((uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)7);
    note(g, used, true);
    paint(used, here - OWN_FRAMES / 8);
}

/* Those that have not ended are measured where they are. */
CYGRT_RACY static bool note_living(struct g *g, void *arg) {
    (void)arg;
    if (atomic_load_explicit(&g->status, memory_order_relaxed) != G_FREE && g->id) note(g, first_used(g), false);
    return true;
}

static int print_site(int fd, const struct site *s) {
    char line[400];
    Dl_info info = {0};
    void *addr = NULL;
    memcpy(&addr, &s->fn, sizeof addr);
    if (addr) (void)dladdr(addr, &info);
    int n = snprintf(line, sizeof line, "stack census: %zu of %zu bytes used, %llu goroutines, started at %s:%d\n",
                     s->deepest, s->size, (unsigned long long)s->goroutines,
                     s->file          ? s->file
                     : info.dli_sname ? info.dli_sname
                                      : "(readiness or a timer)",
                     s->line);
    if (n >= (int)sizeof line) n = sizeof line - 1;
    return write(fd, line, (size_t)n) < 0 ? -errno : 0;
}

int cyg_stack_census(int fd) {
    if (!on) return cygrt_fail(CYG_ENOTSUP, "CYGNET_DEBUG has no census");
    cygrt_each_g(note_living, NULL);
    size_t below = SIZE_MAX;
    for (;;) { /* deepest first; a copy of one at a time, because others go on */
        cyg_spin_lock(&lock);
        size_t next = 0;
        for (uint32_t i = 0; i < nsites; i++)
            if (sites[i].deepest < below && sites[i].deepest > next) next = sites[i].deepest;
        cyg_spin_unlock(&lock);
        if (!next) return 0;
        for (uint32_t i = 0; i < SITES; i++) {
            cyg_spin_lock(&lock);
            struct site s = sites[i];
            cyg_spin_unlock(&lock);
            int err = s.deepest == next ? print_site(fd, &s) : 0;
            if (err < 0) return err;
        }
        below = next;
    }
}

void cygrt_stack_census_report(void) {
    if (on) (void)cyg_stack_census(2);
}

#else

int cyg_stack_census(int fd) {
    (void)fd;
    return cygrt_fail(CYG_ENOTSUP, "a stack census needs a checked build");
}

#endif
