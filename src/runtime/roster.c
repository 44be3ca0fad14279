/* roster.c: see roster.h. */
#include "runtime/roster.h"
#include "base/spin.h"
#include "runtime/fiber.h"
#include "runtime/poller/poller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096
#define MAX_GROUPS 20000

struct taking {
    struct cygrt_roster *c;
    struct cygrt_group **buckets;
    unsigned flags;
    cyg_duration min_age;
    const struct g *caller;
    const struct cygrt_trace *caller_trace;
    cyg_time now;
};

/* ---- groups -------------------------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t v) { return (h ^ v) * 0x9e3779b97f4a7c15u ^ (h >> 29); }

static uint64_t hash_of(const struct cygrt_seen *x) {
    uint64_t h = mix((uint64_t)x->status << 8 | x->reason, (uintptr_t)x->start.file);
    h = mix(h, (uint64_t)x->start.line << 1 | (x->id != 0));
    h = mix(h, (uintptr_t)x->start.fn);
    h = mix(h, (uintptr_t)x->name);
    for (unsigned i = 0; i < x->trace.n; i++) h = mix(h, (uintptr_t)x->trace.pc[i]);
    return h ^ h >> 32;
}

static bool alike(const struct cygrt_seen *a, const struct cygrt_seen *b) {
    return a->status == b->status && a->reason == b->reason && a->start.file == b->start.file &&
           a->start.line == b->start.line && a->start.fn == b->start.fn && a->name == b->name && !a->id == !b->id &&
           a->trace.n == b->trace.n && memcmp(a->trace.pc, b->trace.pc, a->trace.n * sizeof *a->trace.pc) == 0;
}

static struct cygrt_group *group_of(struct taking *t, const struct cygrt_seen *x) {
    uint64_t h = hash_of(x);
    struct cygrt_group **at = &t->buckets[h % BUCKETS];
    for (struct cygrt_group *g = *at; g; g = g->chain)
        if (g->hash == h && alike(&g->one, x)) return g;
    struct cygrt_group *g = t->c->ngroups < MAX_GROUPS ? calloc(1, sizeof *g) : NULL;
    if (!g) return NULL;
    g->one = *x;
    g->hash = h;
    g->youngest = g->oldest = x->age;
    g->same_obj = true;
    g->chain = *at;
    *at = g;
    g->next = t->c->groups;
    t->c->groups = g;
    t->c->ngroups++;
    return g;
}

static void add(struct taking *t, const struct cygrt_seen *x) {
    *(x->id ? &t->c->goroutines : &t->c->records) += 1;
    struct cygrt_group *g = group_of(t, x);
    if (!g) {
        t->c->left_out++;
        return;
    }
    if (g->count < CYGRT_SHOWN) {
        g->ids[g->count] = x->id;
        g->fds[g->count] = x->fd;
    }
    g->count++;
    if (x->age < g->youngest) g->youngest = x->age;
    if (x->age > g->oldest) g->oldest = x->age;
    if (x->obj != g->one.obj) g->same_obj = false;
    if (x->obj_name != g->one.obj_name) g->one.obj_name = NULL;
}

/* ---- looking --------------------------------------------------------------------------------------------------------------- */

static const void *address_of(void (*fn)(void *), void (*ready_fn)(void *, int)) {
    return fn ? (const void *)fn : (const void *)ready_fn;
}

CYGRT_RACY static bool see_g(struct g *g, void *arg) {
    struct taking *t = arg;
    struct cygrt_seen x;
    x.status = atomic_load_explicit(&g->status, memory_order_relaxed);
    x.id = g->id;
    if (x.status == G_FREE || !x.id) return true;
    x.parent = g->parent;
    x.name = atomic_load_explicit(&g->name, memory_order_acquire);
    x.start = (struct cygrt_start){g->file, g->line, address_of(g->fn, g->ready_fn)};
    x.reason = g->reason;
    bool waits = x.status == G_PARKED || (x.status == G_RUNNING && x.reason == CYGRT_R_BLOCKING);
    if (!waits) x.reason = CYGRT_R_NONE;
    x.obj = waits ? g->wait_obj : NULL;
    bool named = x.status == G_PARKED && x.reason >= CYGRT_R_CHAN_SEND && x.reason <= CYGRT_R_CONNPOOL;
    x.obj_name = named ? g->wait_name : NULL;
    x.age = waits ? t->now - g->wait_since : 0;
    if (x.age < 0) x.age = 0; /* parked since the clock was read, or one P's cached clock is behind */
    x.fd = x.reason == CYGRT_R_READ || x.reason == CYGRT_R_WRITE ? atomic_load_explicit(&g->wait_fd, memory_order_relaxed)
                                                                 : -1;
    if (t->min_age > 0 && (!waits || x.age < t->min_age)) return true;
    x.trace.n = 0;
    if (t->flags & CYGRT_ROSTER_STACKS) {
        if (g == t->caller)
            x.trace = *t->caller_trace;
        else if (x.status != G_RUNNING || waits)
            cygrt_walk_of(g, &x.trace);
        else if (t->flags & CYGRT_ROSTER_RUNNING)
            (void)cygrt_walk_running(g, &x.trace);
    }
    add(t, &x);
    return true;
}

CYGRT_RACY static bool see_record(struct cygrt_pd *pd, void *arg) {
    if (!(atomic_load_explicit(&pd->slot[CYGRT_READ], memory_order_relaxed) & CYGRT_PD_RECORD)) return true;
    struct cygrt_seen x = {.status = G_PARKED, .reason = CYGRT_R_READ, .fd = pd->fd};
    x.start.fn = (const void *)pd->record.fn;
    add(arg, &x);
    return true;
}

/* Merge sort of a list, largest group first; of equal ones the lower number first. */
static bool before(const struct cygrt_group *a, const struct cygrt_group *b) {
    return a->count != b->count ? a->count > b->count : a->one.id < b->one.id;
}
static struct cygrt_group *sorted(struct cygrt_group *list, size_t n) {
    if (n < 2) {
        if (list) list->next = NULL;
        return list;
    }
    struct cygrt_group *b = list, *first = NULL, **end = &first;
    for (size_t i = 0; i < n / 2; i++) b = b->next;
    struct cygrt_group *y = sorted(b, n - n / 2), *x = sorted(list, n / 2);
    while (x || y) {
        struct cygrt_group **from = !y || (x && !before(y, x)) ? &x : &y;
        *end = *from;
        *from = (*from)->next;
        end = &(*end)->next;
    }
    *end = NULL;
    return first;
}

void cygrt_roster_take(struct cygrt_roster *c, unsigned flags, cyg_duration min_age, const struct g *caller,
                       const struct cygrt_trace *caller_trace) {
    *c = (struct cygrt_roster){0};
    struct taking t = {c,        calloc(BUCKETS, sizeof(struct cygrt_group *)), flags, min_age, caller, caller_trace,
                       cyg_now()};
    if (!t.buckets) return;
    if (atomic_load(&cygrt_sched.state) != S_OFF) {
        cygrt_each_g(see_g, &t);
        if (flags & CYGRT_ROSTER_RECORDS) cygrt_each_pd(see_record, &t);
    }
    free(t.buckets);
    c->groups = sorted(c->groups, c->ngroups);
}

void cygrt_roster_free(struct cygrt_roster *c) {
    for (struct cygrt_group *g = c->groups, *next; g; g = next) {
        next = g->next;
        free(g);
    }
    c->groups = NULL;
}

/* ---- printing ---------------------------------------------------------------------------------------------------------------- */

bool cygrt_symbol_is_plumbing(const struct cygrt_symbol *sym) {
    static const char *const names[] = {"cygrt_leave",   "cygrt_leave_to",   "cygrt_park",
                                        "cygrt_park_on", "cygrt_park_until", "cygrt_goroutine_main",
                                        "cygrt_entry",   "cyg_waitq_wait",   "cygrt_contended"};
    for (size_t i = 0; sym->name && i < sizeof names / sizeof *names; i++)
        if (strcmp(sym->name, names[i]) == 0) return true;
    return false;
}

/* As much of a path as tells files apart: the last two parts. */
static const char *short_path(const char *path) {
    const char *end = path + strlen(path), *p = end;
    for (int slashes = 0; p > path; p--)
        if (p[-1] == '/' && ++slashes == 3) break;
    return p;
}

static void print_frame(struct cygrt_out *o, const struct cygrt_symbol *sym) {
    if (sym->outer)
        cygrt_print(o, "%s", sym->name);
    else
        cygrt_print(o, "%s+0x%llx", sym->name ? sym->name : sym->module, (unsigned long long)sym->offset);
    if (sym->file)
        cygrt_print(o, "  %s:%d\n", short_path(sym->file), sym->line);
    else if (sym->name)
        cygrt_print(o, "  (%s)\n", sym->module);
    else
        cygrt_print(o, "\n");
}

void cygrt_print_trace(struct cygrt_out *o, struct cygrt_symbols *s, const struct cygrt_trace *t, const char *indent) {
    for (unsigned i = 0; i < t->n; i++) {
        const struct cygrt_symbol *sym = cygrt_symbol_of_return(s, t->pc[i]);
        if (!sym->module) continue; /* no code is there: the frame belongs to code without frame pointers */
        for (; sym; sym = sym->outer) {
            if (cygrt_symbol_is_plumbing(sym)) continue;
            cygrt_print(o, "%s", indent);
            print_frame(o, sym);
        }
    }
    if (t->n == CYGRT_FRAMES) cygrt_print(o, "%s...\n", indent);
}

const char *cygrt_start_text(struct cygrt_symbols *s, const struct cygrt_start *at, char *buf, size_t n) {
    const struct cygrt_symbol *sym = at->fn ? cygrt_symbol_of(s, at->fn) : NULL;
    const char *fn = sym && sym->name ? sym->name : "", *mark = *fn ? "@" : "";
    if (at->file && !at->line && !at->fn) { /* no goroutine: a part of the runtime */
        snprintf(buf, n, "(%s)", at->file);
        return buf;
    }
    if (!at->file) {
        snprintf(buf, n, "%s%sreadiness", fn, mark);
        return buf;
    }
    const char *slash = strrchr(at->file, '/');
    snprintf(buf, n, "%s%s%s:%d", fn, mark, slash ? slash + 1 : at->file, at->line);
    return buf;
}

/* ---- poll descriptors -------------------------------------------------------------------------------------------------------- */

static uint32_t sources_lock;
static struct cygrt_pd_source *_Atomic sources; /* grows only */

void cygrt_pd_source_add(struct cygrt_pd_source *src) {
    cyg_spin_lock(&sources_lock);
    struct cygrt_pd_source *s = atomic_load(&sources);
    while (s && s != src) s = s->next;
    if (!s) {
        src->next = atomic_load(&sources);
        atomic_store(&sources, src);
    }
    cyg_spin_unlock(&sources_lock);
}

void cygrt_each_pd(cygrt_pd_visit *fn, void *arg) {
    for (struct cygrt_pd_source *s = atomic_load(&sources); s; s = s->next)
        if (!s->each(fn, arg)) return;
}
