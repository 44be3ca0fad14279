/* pprof.c: see pprof.h. Addresses are given names here, so the reader needs no binary. A start site becomes a function of its own
 * at the root of the stack, so that `pprof -top -cum` adds up by start site.
 *
 * Source: proto/profile.proto of github.com/google/pprof; the numbers of fields are from there. */
#include "runtime/pprof.h"

#include <cygnet/debug.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/protobuf.h"

#define BUCKETS 2048
#define DEPTH (CYGRT_FRAMES * 2 + 1)

/* A text, function or location that has been written, with its number. */
struct known {
    struct known *next;
    uint64_t hash, id;
    const void *a; /* what tells it from others of this kind */
    char *text;
    int line;
};
struct table {
    struct known *buckets[BUCKETS];
    uint64_t n;
};

struct writer {
    struct cyg_pb out;     /* the profile */
    struct cyg_pb strings; /* its string table, appended at the end */
    struct cygrt_symbols *symbols;
    struct table texts, functions, locations;
    bool failed;
};

static uint64_t hash_text(const char *s) {
    uint64_t h = 14695981039346656037u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
}

/* The entry for these three; *fresh: it is new. NULL: no memory. */
static struct known *know(struct table *t, const char *text, const void *a, int line, bool *fresh) {
    uint64_t h = hash_text(text) ^ (uintptr_t)a * 0x9e3779b97f4a7c15u ^ (uint64_t)line << 17;
    struct known **at = &t->buckets[(h ^ h >> 32) % BUCKETS];
    for (struct known *k = *at; k; k = k->next)
        if (k->hash == h && k->a == a && k->line == line && strcmp(k->text, text) == 0) return *fresh = false, k;
    struct known *k = calloc(1, sizeof *k);
    if (!k || !(k->text = strdup(text))) {
        free(k);
        return NULL;
    }
    k->hash = h;
    k->a = a;
    k->line = line;
    k->id = ++t->n;
    k->next = *at;
    *at = k;
    *fresh = true;
    return k;
}

static void forget(struct table *t) {
    for (unsigned i = 0; i < BUCKETS; i++)
        for (struct known *k = t->buckets[i], *next; k; k = next) {
            next = k->next;
            free(k->text);
            free(k);
        }
}

/* ---- the tables of a profile ---------------------------------------------------------------------------------------------- */

/* The number of a text; 0 is the empty one. */
static uint64_t text_id(struct writer *w, const char *s) {
    bool fresh;
    if (!s || !*s) return 0;
    struct known *k = know(&w->texts, s, NULL, 0, &fresh);
    if (!k) return w->failed = true, 0;
    if (fresh) cyg_pb_text(&w->strings, 6, s);
    return k->id;
}

static uint64_t function_id(struct writer *w, const char *name, const char *file) {
    bool fresh;
    struct known *k = know(&w->functions, name, file ? (const void *)(uintptr_t)text_id(w, file) : NULL, 0, &fresh);
    if (!k) return w->failed = true, 0;
    if (!fresh) return k->id;
    uint64_t id_of_name = text_id(w, name), id_of_file = text_id(w, file);
    size_t at = cyg_pb_begin(&w->out, 5);
    cyg_pb_uint(&w->out, 1, k->id);
    cyg_pb_uint(&w->out, 2, id_of_name);
    cyg_pb_uint(&w->out, 3, id_of_name);
    cyg_pb_uint(&w->out, 4, id_of_file);
    cyg_pb_end(&w->out, at);
    return k->id;
}

static uint64_t location_id(struct writer *w, const void *pc, const char *name, const char *file, int line) {
    bool fresh;
    struct known *k = know(&w->locations, name, pc, line, &fresh);
    if (!k) return w->failed = true, 0;
    if (!fresh) return k->id;
    uint64_t function = function_id(w, name, file);
    size_t at = cyg_pb_begin(&w->out, 4), line_at;
    cyg_pb_uint(&w->out, 1, k->id);
    cyg_pb_uint(&w->out, 2, 1); /* the one mapping */
    cyg_pb_uint(&w->out, 3, (uintptr_t)pc);
    line_at = cyg_pb_begin(&w->out, 4);
    cyg_pb_uint(&w->out, 1, function);
    cyg_pb_uint(&w->out, 2, (uint64_t)line);
    cyg_pb_end(&w->out, line_at);
    cyg_pb_end(&w->out, at);
    return k->id;
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------- */

static size_t stack_ids(struct writer *w, const struct cygrt_profile_row *r, uint64_t ids[DEPTH]) {
    size_t n = 0;
    char text[256];
    for (unsigned i = 0; r->trace && i < r->trace->n; i++) {
        const void *pc = r->trace->pc[i];
        const struct cygrt_symbol *sym = cygrt_symbol_of_return(w->symbols, pc);
        if (!sym->module) continue;
        for (; sym && n < DEPTH - 1; sym = sym->outer) {
            if (cygrt_symbol_is_plumbing(sym)) continue;
            const char *name = sym->name;
            if (!name) {
                snprintf(text, sizeof text, "%s+0x%llx", sym->module, (unsigned long long)sym->offset);
                name = text;
            }
            ids[n++] = location_id(w, pc, name, sym->file ? sym->file : sym->module, sym->line);
        }
    }
    if (r->start) {
        cygrt_start_text(w->symbols, r->start, text, sizeof text);
        ids[n++] = location_id(w, NULL, text, r->start->file, r->start->line);
    }
    return n;
}

static void write_row(struct writer *w, const struct cygrt_profile_kind *k, const struct cygrt_profile_row *r) {
    uint64_t ids[DEPTH];
    size_t n = stack_ids(w, r, ids); /* before the message begins: this writes others */
    uint64_t key = r->label ? text_id(w, k->label) : 0, label = text_id(w, r->label);
    size_t at = cyg_pb_begin(&w->out, 2);
    cyg_pb_packed(&w->out, 1, ids, n);
    cyg_pb_packed(&w->out, 2, r->value, k->name[1] ? 2 : 1);
    if (key && label) {
        size_t label_at = cyg_pb_begin(&w->out, 3);
        cyg_pb_uint(&w->out, 1, key);
        cyg_pb_uint(&w->out, 2, label);
        cyg_pb_end(&w->out, label_at);
    }
    cyg_pb_end(&w->out, at);
}

static void write_type(struct writer *w, unsigned field, const char *name, const char *unit) {
    uint64_t a = text_id(w, name), b = text_id(w, unit);
    size_t at = cyg_pb_begin(&w->out, field);
    cyg_pb_uint(&w->out, 1, a);
    cyg_pb_uint(&w->out, 2, b);
    cyg_pb_end(&w->out, at);
}

/* One for all addresses: they carry their names, so nobody has to look into a file. */
static void write_mapping(struct writer *w) {
    uint64_t name = text_id(w, program_invocation_short_name);
    size_t at = cyg_pb_begin(&w->out, 3);
    cyg_pb_uint(&w->out, 1, 1);
    cyg_pb_uint(&w->out, 3, UINT64_MAX >> 1);
    cyg_pb_uint(&w->out, 5, name);
    for (unsigned has = 7; has <= 9; has++) cyg_pb_uint(&w->out, has, 1); /* functions, file names, lines */
    cyg_pb_end(&w->out, at);
}

static int write_pprof(int fd, const struct cygrt_profile_kind *k, const struct cygrt_profile_row *rows, size_t n,
                       cyg_duration duration, struct cygrt_symbols *symbols) {
    struct writer *w = calloc(1, sizeof *w);
    if (!w) return CYG_ENOMEM;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    w->symbols = symbols;
    cyg_pb_text(&w->strings, 6, ""); /* number 0 */
    for (int i = 0; i < 2 && k->name[i]; i++) write_type(w, 1, k->name[i], k->unit[i]);
    for (size_t i = 0; i < n; i++) write_row(w, k, &rows[i]);
    write_mapping(w);
    uint64_t shown_first = text_id(w, k->name[0]);
    cyg_pb_uint(&w->out, 14, shown_first);
    cyg_pb_uint(&w->out, 9, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
    if (duration) cyg_pb_uint(&w->out, 10, (uint64_t)duration);
    if (k->period) {
        write_type(w, 11, k->period_name, k->period_unit);
        cyg_pb_uint(&w->out, 12, k->period);
    }
    int err = w->failed || w->out.failed || w->strings.failed ? CYG_ENOMEM : cygrt_write_all(fd, w->out.p, w->out.n);
    if (!err) err = cygrt_write_all(fd, w->strings.p, w->strings.n);
    cyg_pb_free(&w->out);
    cyg_pb_free(&w->strings);
    forget(&w->texts);
    forget(&w->functions);
    forget(&w->locations);
    free(w);
    return err;
}

/* ---- text --------------------------------------------------------------------------------------------------------------------- */

static void print_value(struct cygrt_out *o, uint64_t v, const char *unit) {
    if (strcmp(unit, "nanoseconds") == 0)
        cygrt_print(o, "%.3f s", (double)v / 1e9);
    else
        cygrt_print(o, "%llu", (unsigned long long)v);
}

static int write_text(int fd, const struct cygrt_profile_kind *k, const struct cygrt_profile_row *rows, size_t n,
                      struct cygrt_symbols *symbols) {
    struct cygrt_out o = {.fd = fd};
    uint64_t total = 0;
    char text[256];
    for (size_t i = 0; i < n; i++) total += rows[i].value[0];
    cygrt_print(&o, "%s: ", k->title);
    print_value(&o, total, k->unit[0]);
    cygrt_print(&o, " in all\n\n");
    for (size_t i = 0; i < n && !o.err; i++) {
        const struct cygrt_profile_row *r = &rows[i];
        print_value(&o, r->value[0], k->unit[0]);
        if (k->name[1]) {
            cygrt_print(&o, "  (%s: ", k->name[1]);
            print_value(&o, r->value[1], k->unit[1]);
            cygrt_print(&o, ")");
        }
        if (r->start) cygrt_print(&o, "  %s", cygrt_start_text(symbols, r->start, text, sizeof text));
        if (r->label && *r->label) cygrt_print(&o, "  [%s]", r->label);
        cygrt_print(&o, "\n");
        if (r->trace) cygrt_print_trace(&o, symbols, r->trace, "    ");
    }
    cygrt_flush(&o);
    return o.err;
}

static int more_first(const void *a, const void *b) {
    uint64_t x = ((const struct cygrt_profile_row *)a)->value[0], y = ((const struct cygrt_profile_row *)b)->value[0];
    return x < y ? 1 : x > y ? -1 : 0;
}

int cygrt_profile_write(int fd, int format, const struct cygrt_profile_kind *k, struct cygrt_profile_row *rows,
                        size_t n, cyg_duration duration) {
    if (n) qsort(rows, n, sizeof *rows, more_first);
    struct cygrt_symbols *symbols = cygrt_symbols_open();
    int err = format == CYG_PROFILE_PPROF ? write_pprof(fd, k, rows, n, duration, symbols)
                                          : write_text(fd, k, rows, n, symbols);
    cygrt_symbols_close(symbols);
    return err;
}
