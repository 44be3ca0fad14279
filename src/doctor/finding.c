/* finding.c: filling in what a check says, running the table, and putting the findings in order. */
#include "doctor/doctor.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers --------------------------------------------------------------------------------------------------------------- */

const char *doc_commas(char *buf, double v) {
    char plain[32];
    int n = snprintf(plain, sizeof plain, "%.0f", floor(v < 1e15 ? v : 1e15)), at = 0;
    for (int i = 0; i < n; i++) {
        buf[at++] = plain[i];
        if (i < n - 1 && (n - 1 - i) % 3 == 0 && plain[i] != '-') buf[at++] = ',';
    }
    buf[at] = 0;
    return buf;
}

const char *doc_bytes(char *buf, double v) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t i = 0;
    for (; v >= 1024 && i < 4; i++) v /= 1024;
    snprintf(buf, 32, v < 10 && v != floor(v) ? "%.1f %s" : "%.0f %s", v, units[i]);
    return buf;
}

/* ---- filling in ------------------------------------------------------------------------------------------------------------ */

void doc_value(struct doc_finding *f, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f->value, sizeof f->value, fmt, ap);
    va_end(ap);
}

void doc_cost(struct doc_finding *f, const char *fmt, ...) {
    size_t at = strlen(f->cost);
    if (at > 0 && at < sizeof f->cost - 1) f->cost[at++] = ' ';
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f->cost + at, sizeof f->cost - at, fmt, ap);
    va_end(ap);
}

void doc_fix(struct doc_finding *f, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f->fix, sizeof f->fix, fmt, ap);
    va_end(ap);
}

/* "net.ipv4.tcp_tw_reuse" is /proc/sys/net/ipv4/tcp_tw_reuse. Blanks of several kinds become one. */
static bool read_sysctl(const struct doc_machine *m, const char *name, char *out, size_t n) {
    char path[128], text[96];
    snprintf(path, sizeof path, "/proc/sys/%s", name);
    for (char *p = path; *p; p++)
        if (*p == '.') *p = '/';
    if (doc_read(m, path, text, sizeof text) <= 0) return false;
    char *save, *w = strtok_r(text, " \t\n", &save);
    size_t at = 0;
    for (out[0] = 0; w && at < n; w = strtok_r(NULL, " \t\n", &save))
        at += (size_t)snprintf(out + at, n - at, "%s%s", at ? " " : "", w);
    return at > 0 && at < n;
}

void doc_fix_sysctl(const struct doc_machine *m, struct doc_finding *f, const char *name, const char *to) {
    doc_fix(f, strchr(to, ' ') ? "sysctl -w %s=\"%s\"" : "sysctl -w %s=%s", name, to);
    if (!read_sysctl(m, name, f->from, sizeof f->from)) return;
    snprintf(f->sysctl, sizeof f->sysctl, "%s", name);
    snprintf(f->to, sizeof f->to, "%s", to);
}

void doc_unknown(struct doc_finding *f, const char *path) {
    doc_raise(f, DOC_UNKNOWN);
    doc_value(f, "cannot be read");
    doc_cost(f, "%s is not there or may not be read.", path);
}

void doc_raise(struct doc_finding *f, enum doc_verdict v) {
    if (v > f->verdict) f->verdict = v;
}

void doc_in_use(struct doc_finding *f, double used, double limit, double note_at, double bad_at) {
    double share = limit > 0 ? used / limit : 0;
    if (share >= note_at) doc_raise(f, share >= bad_at ? DOC_BAD : DOC_NOTE);
    if (share * 100 > f->now) f->now = share < 1 ? share * 100 : 100;
}

void doc_mishaps(struct doc_machine *m, struct doc_finding *f, const char *counter, double total) {
    double rate = doc_rate(m, counter, total);
    if (rate > 0) {
        doc_raise(f, DOC_BAD);
        f->now = 100;
        doc_cost(f, "Now: %.1f/s.", rate);
    } else if (total > 0) {
        doc_raise(f, DOC_NOTE);
        if (m->seconds > 0) doc_cost(f, "None in the %.0f s of watching.", m->seconds);
    }
}

/* ---- running ---------------------------------------------------------------------------------------------------------------- */

static bool wanted(const struct doc_check *c, const char *const *only, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(only[i], c->name) == 0) return true;
    return n == 0;
}

size_t doc_run(struct doc_machine *m, const char *const *only, size_t nonly, struct doc_finding *out) {
    size_t n = 0;
    for (size_t i = 0; i < doc_nchecks; i++) {
        const struct doc_check *c = doc_checks[i];
        if (!wanted(c, only, nonly) || (c->of_gateway && !m->gateway)) continue;
        out[n] = (struct doc_finding){.check = c};
        c->run(m, &out[n++]);
    }
    return n;
}

static size_t place(const struct doc_check *c) {
    size_t i = 0;
    while (doc_checks[i] != c) i++;
    return i;
}

static int before(const void *x, const void *y) {
    const struct doc_finding *a = x, *b = y;
    if (a->verdict != b->verdict) return a->verdict > b->verdict ? -1 : 1;
    if (a->now != b->now) return a->now > b->now ? -1 : 1;
    return place(a->check) < place(b->check) ? -1 : 1;
}

void doc_rank(struct doc_finding *f, size_t n) {
    if (n) qsort(f, n, sizeof *f, before);
}

enum doc_verdict doc_worst(const struct doc_finding *f, size_t n) {
    enum doc_verdict worst = DOC_OK;
    for (size_t i = 0; i < n; i++)
        if (f[i].verdict > worst) worst = f[i].verdict;
    return worst;
}

const char *doc_verdict_name(enum doc_verdict v) {
    static const char *const names[] = {"ok", "unknown", "note", "bad"};
    return names[v];
}
