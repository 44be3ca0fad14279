/* metrics_text.c: reading Prometheus' text format: NAME{LABEL="VALUE",…} NUMBER [TIME]. See gateway.h. */
#include "doctor/gateway.h"

#include <math.h>
#include <stdlib.h>

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ':';
}

/* Where the braces that open at i close; n: nowhere. Quoted values may hold braces. */
static size_t closing(const char *p, size_t n, size_t i) {
    bool quoted = false;
    for (i++; i < n; i++) {
        if (quoted && p[i] == '\\')
            i++;
        else if (p[i] == '"')
            quoted = !quoted;
        else if (p[i] == '}' && !quoted)
            return i;
    }
    return n;
}

static bool read_number(const char *p, size_t n, double *out) {
    char text[64], *end;
    if (n == 0 || n >= sizeof text) return false;
    memcpy(text, p, n);
    text[n] = 0;
    *out = strtod(text, &end);
    return end != text && (*end == 0 || *end == ' ') && !isnan(*out);
}

static bool read_line(const char *p, size_t n, struct doc_metric *out) {
    size_t i = 0;
    while (i < n && is_name(p[i])) i++;
    out->name = (cyg_str){p, i};
    out->labels = (cyg_str){p + i, 0};
    if (i == 0 || i == n) return false;
    if (p[i] == '{') {
        size_t end = closing(p, n, i);
        if (end == n) return false;
        out->labels = (cyg_str){p + i + 1, end - i - 1};
        i = end + 1;
    }
    if (i == n || p[i] != ' ') return false;
    while (i < n && p[i] == ' ') i++;
    return read_number(p + i, n - i, &out->value);
}

bool doc_metric_next(cyg_str *rest, struct doc_metric *out) {
    while (rest->n > 0) {
        const char *line = rest->p, *end = memchr(line, '\n', rest->n);
        size_t n = end ? (size_t)(end - line) : rest->n, step = end ? n + 1 : n;
        rest->p += step;
        rest->n -= step;
        if (read_line(line, n, out)) return true;
    }
    return false;
}

/* The next label at *at of the text between the braces: its name and raw value. */
static bool next_label(cyg_str s, size_t *at, cyg_str *name, cyg_str *value) {
    size_t i = *at;
    while (i < s.n && (s.p[i] == ',' || s.p[i] == ' ')) i++;
    size_t begin = i;
    while (i < s.n && is_name(s.p[i])) i++;
    *name = (cyg_str){s.p + begin, i - begin};
    if (name->n == 0 || i + 1 >= s.n || s.p[i] != '=' || s.p[i + 1] != '"') return false;
    begin = i += 2;
    for (; i < s.n && s.p[i] != '"'; i++)
        if (s.p[i] == '\\' && i + 1 < s.n) i++;
    if (i >= s.n) return false;
    *value = (cyg_str){s.p + begin, i - begin};
    *at = i + 1;
    return true;
}

bool doc_metric_label(const struct doc_metric *m, const char *name, char *out, size_t n) {
    cyg_str key, value;
    for (size_t at = 0; next_label(m->labels, &at, &key, &value);) {
        if (!cyg_str_eq(key, cyg_str_of(name))) continue;
        size_t k = 0;
        for (size_t i = 0; i < value.n && k + 1 < n; i++) {
            if (value.p[i] == '\\' && i + 1 < value.n) i++;
            out[k++] = value.p[i];
        }
        out[k] = 0;
        return true;
    }
    return false;
}

bool doc_gateway_sum(const struct doc_gateway *g, const char *name, const char *label, const char *value, double *out) {
    cyg_str rest = {g->metrics, g->nmetrics};
    struct doc_metric m;
    char text[160];
    bool found = false;
    double sum = 0;
    while (doc_metric_next(&rest, &m)) {
        if (!cyg_str_eq(m.name, cyg_str_of(name))) continue;
        if (label && (!doc_metric_label(&m, label, text, sizeof text) || strcmp(text, value) != 0)) continue;
        sum += m.value;
        found = true;
    }
    if (found) *out = sum;
    return found;
}
