/* hosts.c: see hosts.h. */
#include "net/hosts.h"

#include <arpa/inet.h>
#include <cygnet/err.h>
#include <stdlib.h>
#include <string.h>

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }

/* The next word of a line, ended by a NUL in place; NULL at the end or a comment. */
static char *next_word(char **at) {
    char *p = *at;
    while (is_space(*p)) p++;
    if (!*p || *p == '#') return NULL;
    char *word = p;
    while (*p && *p != '#' && !is_space(*p)) p++;
    if (*p == '#')
        *p = 0; /* nothing of the line is read behind it */
    else if (*p)
        *p++ = 0;
    *at = p;
    return word;
}

static bool parse_ip(const char *word, struct hosts_line *line) {
    *line = (struct hosts_line){0};
    if (inet_pton(AF_INET, word, line->ip) == 1) return true;
    line->v6 = true;
    return inet_pton(AF_INET6, word, line->ip) == 1;
}

static bool fold_name(char *name) {
    size_t n = strlen(name);
    if (n && name[n - 1] == '.') name[--n] = 0;
    if (n == 0 || n > HOSTS_NAME_MAX) return false;
    for (char *p = name; *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p += 'a' - 'A';
    return true;
}

static int by_name(const void *a, const void *b) {
    const struct hosts_line *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    return c ? c : (x->order > y->order) - (x->order < y->order);
}

static int add(struct hosts *h, size_t *room, const struct hosts_line *line) {
    if (h->n == *room) {
        size_t more = *room ? *room * 2 : 16;
        struct hosts_line *p = reallocarray(h->lines, more, sizeof *p);
        if (!p) return CYG_ENOMEM;
        h->lines = p;
        *room = more;
    }
    h->lines[h->n++] = *line;
    return 0;
}

static int parse_line(struct hosts *h, size_t *room, char *at) {
    struct hosts_line line;
    char *word = next_word(&at);
    if (!word || !parse_ip(word, &line)) return 0;
    while ((word = next_word(&at))) {
        if (!fold_name(word)) continue;
        line.name = word;
        line.order = h->n;
        if (add(h, room, &line) < 0) return CYG_ENOMEM;
    }
    return 0;
}

int hosts_parse(const char *text, size_t n, struct hosts *out) {
    struct hosts h = {.text = malloc(n + 1)};
    size_t room = 0;
    int err = h.text ? 0 : CYG_ENOMEM;
    if (!err) {
        if (n) memcpy(h.text, text, n);
        h.text[n] = 0;
    }
    for (char *at = h.text, *end = h.text + n; !err && at < end;) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        *stop = 0;
        err = parse_line(&h, &room, at);
        at = stop + 1;
    }
    if (err) {
        hosts_free(&h);
        return err;
    }
    if (h.n) qsort(h.lines, h.n, sizeof *h.lines, by_name);
    *out = h;
    return 0;
}

void hosts_free(struct hosts *h) {
    free(h->lines);
    free(h->text);
    *h = (struct hosts){0};
}

const struct hosts_line *hosts_find(const struct hosts *h, const char *name, size_t *n) {
    size_t low = 0, high = h->n;
    while (low < high) { /* the first that is not before name */
        size_t mid = low + (high - low) / 2;
        if (strcmp(h->lines[mid].name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    size_t end = low;
    while (end < h->n && strcmp(h->lines[end].name, name) == 0) end++;
    *n = end - low;
    return end > low ? &h->lines[low] : NULL;
}
