/* metrics.c: the registry of instruments. Registering is rare and may be slow; an instrument that was registered before is
 * found again by its name and labels.
 *
 * Everything in the registry is guarded by its lock, a thread's, under which nobody parks or calls out. Instruments and
 * families are never removed before the registry is freed.
 */
#include "base/fatal.h"
#include "metrics_internal.h"
#include <pthread.h>
#include <stdlib.h>

#define MAGIC 0x6d657472u

struct collector {
    void (*fn)(void *arg);
    void *arg;
};

struct cyg_metrics {
    uint32_t magic;
    pthread_mutex_t lock;
    struct cyg_metric_family **families; /* sorted by name; this and what follows is guarded by lock */
    size_t nfamilies, families_cap;
    size_t nmetrics; /* of all families */
    struct collector *collectors;
    size_t ncollectors, collectors_cap;
};

/* ---- names ------------------------------------------------------------------------------------------------------- */

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

/* Source: Prometheus data model, metric names and labels. */
static bool name_ok(const char *z, bool colons) {
    if (!z || !*z) return false;
    for (size_t i = 0; z[i]; i++) {
        if (!is_letter(z[i]) && !(colons && z[i] == ':') && !(i > 0 && z[i] >= '0' && z[i] <= '9')) return false;
    }
    return true;
}

static bool ends_with(const char *z, const char *end) {
    size_t n = strlen(z), k = strlen(end);
    return n >= k && strcmp(z + n - k, end) == 0;
}

static void check_name(const char *name, enum cyg_metric_kind kind) {
    if (!name_ok(name, true)) cyg_fatal("metric \"%s\": not a legal name", name ? name : "");
    if (ends_with(name, "_total") != (kind == CYG_METRIC_COUNTER))
        cyg_fatal("metric \"%s\": a counter's name ends in _total, and no other's", name);
}

static void check_label(const char *name, enum cyg_metric_kind kind, const cyg_label *l) {
    if (!name_ok(l->name, false) || strncmp(l->name, "__", 2) == 0 ||
        (kind == CYG_METRIC_HISTOGRAM && strcmp(l->name, "le") == 0))
        cyg_fatal("metric \"%s\": \"%s\" is not a legal label", name, l->name ? l->name : "");
    if (!l->value) cyg_fatal("metric \"%s\": label %s has no value", name, l->name);
}

/* ---- sorted lists ------------------------------------------------------------------------------------------------- */

static char *copy(const char *z) {
    size_t n = strlen(z) + 1;
    return memcpy(cyg_xmalloc(n), z, n);
}

/* Makes room at place i of a list of n pointers. */
static void *make_room(void *list, size_t n, size_t *cap, size_t i) {
    void **p = list;
    if (n == *cap) {
        *cap = *cap ? 2 * *cap : 8;
        p = realloc(p, *cap * sizeof *p);
        if (!p) cyg_fatal("out of memory");
    }
    memmove(p + i + 1, p + i, (n - i) * sizeof *p);
    return p;
}

static int compare_labels(const struct cyg_metric *a, const cyg_label *labels, size_t n) {
    for (size_t i = 0; i < a->nlabels && i < n; i++) {
        int c = strcmp(a->labels[i].name, labels[i].name);
        if (c == 0) c = strcmp(a->labels[i].value, labels[i].value);
        if (c != 0) return c;
    }
    return (a->nlabels > n) - (a->nlabels < n);
}

/* Where a family of that name is or belongs. */
static size_t place_of_family(const cyg_metrics *m, const char *name, bool *found) {
    size_t low = 0, high = m->nfamilies;
    *found = false;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = strcmp(m->families[mid]->name, name);
        if (c == 0) return *found = true, mid;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static size_t place_of_metric(const struct cyg_metric_family *f, const cyg_label *labels, size_t n, bool *found) {
    size_t low = 0, high = f->n;
    *found = false;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = compare_labels(f->metrics[mid], labels, n);
        if (c == 0) return *found = true, mid;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* ---- registering -------------------------------------------------------------------------------------------------- */

static bool is_series_of(const char *name, const char *histogram) {
    size_t n = strlen(histogram);
    if (strncmp(name, histogram, n) != 0) return false;
    return strcmp(name + n, "_bucket") == 0 || strcmp(name + n, "_sum") == 0 || strcmp(name + n, "_count") == 0;
}

/* A histogram x is exposed as x_bucket, x_sum and x_count: none of these may be a family of its own. */
static void check_clashes(const cyg_metrics *m, const char *name, enum cyg_metric_kind kind) {
    for (size_t i = 0; i < m->nfamilies; i++) {
        const struct cyg_metric_family *f = m->families[i];
        if ((f->kind == CYG_METRIC_HISTOGRAM && is_series_of(name, f->name)) ||
            (kind == CYG_METRIC_HISTOGRAM && is_series_of(f->name, name)))
            cyg_fatal("metrics \"%s\" and \"%s\": one is a histogram with series of the other's name", name, f->name);
    }
}

static struct cyg_metric_family *family_of(cyg_metrics *m, const char *name, const char *help, enum cyg_metric_kind kind) {
    bool found;
    size_t i = place_of_family(m, name, &found);
    if (found) {
        if (m->families[i]->kind != kind) cyg_fatal("metric \"%s\": registered before as another kind", name);
        return m->families[i];
    }
    check_clashes(m, name, kind);
    struct cyg_metric_family *f = cyg_xcalloc(1, sizeof *f);
    *f = (struct cyg_metric_family){.name = copy(name), .help = copy(help ? help : ""), .kind = kind};
    m->families = make_room(m->families, m->nfamilies++, &m->families_cap, i);
    return m->families[i] = f;
}

void *cyg_metric_alloc(size_t bytes) {
    void *p;
    bytes = (bytes + CYG_METRICS_CACHE_LINE - 1) / CYG_METRICS_CACHE_LINE * CYG_METRICS_CACHE_LINE;
    if (posix_memalign(&p, CYG_METRICS_CACHE_LINE, bytes) != 0) cyg_fatal("out of memory");
    return memset(p, 0, bytes);
}

static struct cyg_metric *make(const char *name, enum cyg_metric_kind kind, const double *bounds, size_t nbounds) {
    unsigned ncells = cyg_procs() > 0 ? cyg_procs() : 1;
    struct cyg_metric *m;
    switch (kind) {
    case CYG_METRIC_COUNTER: m = cyg_metric_alloc(sizeof(cyg_counter) + ncells * sizeof(struct cyg_metric_cell)); break;
    case CYG_METRIC_GAUGE: m = cyg_metric_alloc(sizeof(cyg_gauge) + ncells * sizeof(struct cyg_metric_cell)); break;
    default: m = &cyg_histogram_make(ncells, name, bounds, nbounds)->m; break;
    }
    m->ncells = ncells;
    return m;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const cyg_label *)a)->name, ((const cyg_label *)b)->name);
}

/* The caller's labels, checked and sorted; the strings are still the caller's. */
static cyg_label *sorted(const char *name, enum cyg_metric_kind kind, const cyg_label *labels, size_t n) {
    cyg_label *copies = cyg_xcalloc(n + 1, sizeof *copies);
    for (size_t i = 0; i < n; i++) {
        check_label(name, kind, &labels[i]);
        copies[i] = labels[i];
    }
    qsort(copies, n, sizeof *copies, by_name);
    for (size_t i = 1; i < n; i++) {
        if (strcmp(copies[i - 1].name, copies[i].name) == 0)
            cyg_fatal("metric \"%s\": label %s is given twice", name, copies[i].name);
    }
    return copies;
}

static struct cyg_metric *obtain(cyg_metrics *m, const char *name, const char *help, enum cyg_metric_kind kind,
                                 const cyg_label *given, size_t n, const double *bounds, size_t nbounds) {
    CYG_ASSERT(m->magic == MAGIC);
    check_name(name, kind);
    cyg_label *labels = sorted(name, kind, given, n);
    pthread_mutex_lock(&m->lock);
    struct cyg_metric_family *f = family_of(m, name, help, kind);
    bool found;
    size_t i = place_of_metric(f, labels, n, &found);
    if (!found) {
        struct cyg_metric *metric = make(name, kind, bounds, nbounds);
        for (size_t k = 0; k < n; k++) labels[k] = (cyg_label){copy(labels[k].name), copy(labels[k].value)};
        metric->family = f;
        metric->labels = labels;
        metric->nlabels = n;
        f->metrics = make_room(f->metrics, f->n++, &f->cap, i);
        f->metrics[i] = metric;
        m->nmetrics++;
        labels = NULL;
    }
    struct cyg_metric *result = f->metrics[i];
    pthread_mutex_unlock(&m->lock);
    free(labels);
    return result;
}

cyg_counter *cyg_counter_new(cyg_metrics *m, const char *name, const char *help, const cyg_label *labels, size_t n) {
    return (cyg_counter *)obtain(m, name, help, CYG_METRIC_COUNTER, labels, n, NULL, 0);
}

cyg_gauge *cyg_gauge_new(cyg_metrics *m, const char *name, const char *help, const cyg_label *labels, size_t n) {
    return (cyg_gauge *)obtain(m, name, help, CYG_METRIC_GAUGE, labels, n, NULL, 0);
}

cyg_histogram *cyg_histogram_new(cyg_metrics *m, const char *name, const char *help, const cyg_label *labels, size_t n,
                                 const double *bounds, size_t nbounds) {
    return (cyg_histogram *)obtain(m, name, help, CYG_METRIC_HISTOGRAM, labels, n, bounds, nbounds);
}

/* ---- the registry ------------------------------------------------------------------------------------------------- */

cyg_metrics *cyg_metrics_new(void) {
    cyg_metrics *m = cyg_xcalloc(1, sizeof *m);
    m->magic = MAGIC;
    pthread_mutex_init(&m->lock, NULL);
    return m;
}

static void free_metric(struct cyg_metric *m) {
    for (size_t i = 0; i < m->nlabels; i++) {
        free((char *)m->labels[i].name);
        free((char *)m->labels[i].value);
    }
    free(m->labels);
    if (m->family->kind == CYG_METRIC_HISTOGRAM) free(((cyg_histogram *)m)->cells);
    free(m);
}

void cyg_metrics_free(cyg_metrics *m) {
    if (!m) return;
    CYG_ASSERT(m->magic == MAGIC);
    m->magic = 0;
    for (size_t i = 0; i < m->nfamilies; i++) {
        struct cyg_metric_family *f = m->families[i];
        for (size_t k = 0; k < f->n; k++) free_metric(f->metrics[k]);
        free(f->metrics);
        free(f->name);
        free(f->help);
        free(f);
    }
    free(m->families);
    free(m->collectors);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

void cyg_metrics_on_collect(cyg_metrics *m, void (*fn)(void *arg), void *arg) {
    CYG_ASSERT(m->magic == MAGIC);
    pthread_mutex_lock(&m->lock);
    if (m->ncollectors == m->collectors_cap) {
        m->collectors_cap = m->collectors_cap ? 2 * m->collectors_cap : 8;
        m->collectors = realloc(m->collectors, m->collectors_cap * sizeof *m->collectors);
        if (!m->collectors) cyg_fatal("out of memory");
    }
    m->collectors[m->ncollectors++] = (struct collector){fn, arg};
    pthread_mutex_unlock(&m->lock);
}

/* The collectors may register instruments and collectors: the lock is not held while one runs, and those that come
 * meanwhile are called too. */
static void call_collectors(cyg_metrics *m) {
    for (size_t i = 0;; i++) {
        struct collector c = {0};
        pthread_mutex_lock(&m->lock);
        if (i < m->ncollectors) c = m->collectors[i];
        pthread_mutex_unlock(&m->lock);
        if (!c.fn) return;
        c.fn(c.arg);
    }
}

int cyg_metrics_collect(cyg_metrics *m, struct cyg_metric ***list, size_t *n) {
    CYG_ASSERT(m->magic == MAGIC);
    call_collectors(m);
    pthread_mutex_lock(&m->lock);
    struct cyg_metric **all = malloc((m->nmetrics + 1) * sizeof *all);
    size_t filled = 0;
    for (size_t i = 0; all && i < m->nfamilies; i++) {
        const struct cyg_metric_family *f = m->families[i];
        memcpy(all + filled, f->metrics, f->n * sizeof *all);
        filled += f->n;
    }
    pthread_mutex_unlock(&m->lock);
    if (!all) return CYG_ENOMEM;
    *list = all;
    *n = filled;
    return 0;
}
