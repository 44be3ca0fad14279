/* prometheus.c: the registry as Prometheus text 0.0.4. Families by name, in each the metrics by labels; numbers as Go writes
 * them, so that an `le` reads the same as from every other exporter.
 *
 * The text is made without the registry's lock, while others count: each number is exact, together they are not one instant;
 * but a histogram's count is made from its buckets, so that the two always agree.
 */
#include "observe/metrics_internal.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- text that grows ---------------------------------------------------------------------------------------------- */

struct text {
    char *p;
    size_t n, cap;
    bool failed; /* memory ended; the rest is not put */
};

static void put(struct text *t, const char *p, size_t n) {
    if (t->cap - t->n < n && !t->failed) {
        size_t cap = 2 * t->cap + n + 4096;
        char *grown = realloc(t->p, cap);
        if (grown) {
            t->p = grown;
            t->cap = cap;
        }
        t->failed = !grown;
    }
    if (t->failed) return;
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

static void put_z(struct text *t, const char *z) { put(t, z, strlen(z)); }

static void put_uint(struct text *t, uint64_t v) {
    char digits[20], *d = digits + sizeof digits;
    do {
        *--d = (char)('0' + v % 10);
    } while (v /= 10);
    put(t, d, (size_t)(digits + sizeof digits - d));
}

static void put_int(struct text *t, int64_t v) {
    if (v < 0) put(t, "-", 1);
    put_uint(t, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

/* ---- numbers ------------------------------------------------------------------------------------------------------ */

/* The fewest decimal digits that read back as v (finite, not 0), without sign or point; the value is 0.DIGITS * 10^point.
 * printf is asked for digits only: its point is the locale's. */
static size_t shortest_digits(double v, char digits[20], int *point) {
    char e[40];
    for (int precision = 0; precision <= 16; precision++) {
        snprintf(e, sizeof e, "%.*e", precision, v);
        if (strtod(e, NULL) == v) break;
    }
    size_t n = 0;
    const char *p = e;
    for (; *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9') digits[n++] = *p;
    }
    *point = atoi(p + 1) + 1;
    while (n > 1 && digits[n - 1] == '0') n--;
    return n;
}

/* As Go's strconv.FormatFloat(v, 'g', -1, 64): "0.005", "1", "2.5", "1e+06", "1e-05", "+Inf". */
static void put_double(struct text *t, double v) {
    if (v != v) return put_z(t, "NaN");
    if (v == 0) return put_z(t, "0");
    if (v - v != 0) return put_z(t, v > 0 ? "+Inf" : "-Inf");
    if (v < 0) put(t, "-", 1);
    char digits[20], exponent[16];
    int point;
    size_t n = shortest_digits(v < 0 ? -v : v, digits, &point);
    if (point < -3 || point > 6) {
        put(t, digits, 1);
        if (n > 1) {
            put(t, ".", 1);
            put(t, digits + 1, n - 1);
        }
        snprintf(exponent, sizeof exponent, "e%c%02d", point - 1 < 0 ? '-' : '+', abs(point - 1));
        return put_z(t, exponent);
    }
    if (point <= 0) {
        put(t, "0.000", (size_t)(2 - point));
        return put(t, digits, n);
    }
    size_t whole = (size_t)point;
    put(t, digits, n < whole ? n : whole);
    for (size_t i = n; i < whole; i++) put(t, "0", 1);
    if (n > whole) {
        put(t, ".", 1);
        put(t, digits + whole, n - whole);
    }
}

/* ---- lines -------------------------------------------------------------------------------------------------------- */

/* Source: Prometheus text format 0.0.4: backslash and newline in HELP, the quote too in a label's value. */
static void put_escaped(struct text *t, const char *z, bool quotes) {
    for (; *z; z++) {
        size_t plain = strcspn(z, quotes ? "\\\n\"" : "\\\n");
        put(t, z, plain);
        z += plain;
        if (!*z) return;
        put(t, *z == '\n' ? "\\n" : *z == '"' ? "\\\"" : "\\\\", 2);
    }
}

static void put_head(struct text *t, const struct cyg_metric_family *f) {
    static const char *const types[] = {
        [CYG_METRIC_COUNTER] = " counter\n", [CYG_METRIC_GAUGE] = " gauge\n", [CYG_METRIC_HISTOGRAM] = " histogram\n"};
    if (*f->help) {
        put_z(t, "# HELP ");
        put_z(t, f->name);
        put(t, " ", 1);
        put_escaped(t, f->help, false);
        put(t, "\n", 1);
    }
    put_z(t, "# TYPE ");
    put_z(t, f->name);
    put_z(t, types[f->kind]);
}

/* name{labels,le="bound"} and the space before the value; le NULL: without. */
static void put_series(struct text *t, const struct cyg_metric *m, const char *suffix, const double *le) {
    put_z(t, m->family->name);
    put_z(t, suffix);
    const char *between = "{";
    for (size_t i = 0; i < m->nlabels; i++, between = ",") {
        put(t, between, 1);
        put_z(t, m->labels[i].name);
        put(t, "=\"", 2);
        put_escaped(t, m->labels[i].value, true);
        put(t, "\"", 1);
    }
    if (le) {
        put(t, between, 1);
        put_z(t, "le=\"");
        put_double(t, *le);
        put(t, "\"", 1);
    }
    put(t, le || m->nlabels > 0 ? "} " : " ", le || m->nlabels > 0 ? 2 : 1);
}

static void put_histogram(struct text *t, const struct cyg_metric *m) {
    const cyg_histogram *h = (const cyg_histogram *)m;
    uint64_t buckets[CYG_METRICS_MAX_BOUNDS + 1], count = 0;
    double sum, infinite = __builtin_inf();
    cyg_histogram_read(h, buckets, &sum);
    for (size_t i = 0; i <= h->nbounds; i++) {
        count += buckets[i];
        put_series(t, m, "_bucket", i < h->nbounds ? &h->bounds[i] : &infinite);
        put_uint(t, count);
        put(t, "\n", 1);
    }
    put_series(t, m, "_sum", NULL);
    put_double(t, sum);
    put(t, "\n", 1);
    put_series(t, m, "_count", NULL);
    put_uint(t, count);
    put(t, "\n", 1);
}

static void put_metric(struct text *t, const struct cyg_metric *m) {
    if (m->family->kind == CYG_METRIC_HISTOGRAM) return put_histogram(t, m);
    put_series(t, m, "", NULL);
    if (m->family->kind == CYG_METRIC_COUNTER)
        put_uint(t, cyg_counter_get((const cyg_counter *)m));
    else
        put_int(t, cyg_gauge_get((const cyg_gauge *)m));
    put(t, "\n", 1);
}

ssize_t cyg_metrics_text(cyg_metrics *m, char **text) {
    struct cyg_metric **list;
    size_t n;
    int err = cyg_metrics_collect(m, &list, &n);
    if (err < 0) return err;
    struct text t = {0};
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || list[i]->family != list[i - 1]->family) put_head(&t, list[i]->family);
        put_metric(&t, list[i]);
    }
    put(&t, "", 1); /* ends a C string; not counted */
    free(list);
    if (t.failed) {
        free(t.p);
        return CYG_ENOMEM;
    }
    *text = t.p;
    return (ssize_t)t.n - 1;
}
