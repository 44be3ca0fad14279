/* config_problem.c: the list of problems, bounded, and the helpers that put what was found into words. */
#include "gateway/config_problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define QUOTED_BYTES 60 /* of the text itself */
#define WORD_BYTES 64   /* longest word worth guessing at */

bool cyg_gw_problems_room(const struct cyg_gw_problems *p) { return p->n < CYG_GW_MAX_PROBLEMS; }

/* "file:line:column: " and the sentence, in memory of its own. Returns: NULL when there is none. */
static char *make_text(const char *file, size_t line, size_t column, const char *fmt, va_list ap) {
    char *sentence = NULL, *text = NULL;
    if (vasprintf(&sentence, fmt, ap) < 0) return NULL;
    int n = line ? asprintf(&text, "%s:%zu:%zu: %s", file, line, column, sentence)
                 : asprintf(&text, "%s: %s", file, sentence);
    free(sentence);
    return n < 0 ? NULL : text;
}

void cyg_gw_problem_add(struct cyg_gw_problems *p, const char *file, size_t line, size_t column, const char *fmt, ...) {
    if (!p->items) p->items = calloc(CYG_GW_MAX_PROBLEMS, sizeof *p->items);
    char *text = NULL;
    if (p->items && cyg_gw_problems_room(p)) {
        va_list ap;
        va_start(ap, fmt);
        text = make_text(file, line, column, fmt, ap);
        va_end(ap);
    }
    if (!text) {
        p->dropped++;
        return;
    }
    p->items[p->n++] = (struct cyg_gw_problem){line, column, text};
}

void cyg_gw_problems_sort(struct cyg_gw_problems *p) {
    for (size_t i = 1; i < p->n; i++) { /* by insertion: few, nearly in order, and it keeps the order of equals */
        struct cyg_gw_problem x = p->items[i];
        size_t j = i;
        for (; j > 0; j--) {
            const struct cyg_gw_problem *y = &p->items[j - 1];
            if (y->line < x.line || (y->line == x.line && y->column <= x.column)) break;
            p->items[j] = *y;
        }
        p->items[j] = x;
    }
}

void cyg_gw_problems_free(struct cyg_gw_problems *p) {
    for (size_t i = 0; i < p->n; i++) free(p->items[i].text);
    free(p->items);
    *p = (struct cyg_gw_problems){0};
}

const char *cyg_gw_quote(char out[CYG_GW_QUOTED], cyg_str s) {
    size_t cut = s.n;
    if (cut > QUOTED_BYTES) {
        cut = QUOTED_BYTES;
        while (cut > 0 && ((unsigned char)s.p[cut] & 0xc0) == 0x80) cut--; /* not within a character */
    }
    size_t n = 0, i = 0;
    out[n++] = '"';
    for (; i < cut && n < CYG_GW_QUOTED - 12; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\') {
            out[n++] = '\\';
            out[n++] = (char)c;
        } else if (c == '\n') {
            out[n++] = '\\';
            out[n++] = 'n';
        } else if (c == '\t') {
            out[n++] = '\\';
            out[n++] = 't';
        } else if (c < 0x20 || c == 0x7f || (c == 0xc2 && i + 1 < cut && (unsigned char)s.p[i + 1] < 0xa0)) {
            n += (size_t)snprintf(out + n, CYG_GW_QUOTED - n, "\\x%02x", c == 0xc2 ? (unsigned char)s.p[++i] : c);
        } else {
            out[n++] = (char)c;
        }
    }
    if (i < s.n) n += (size_t)snprintf(out + n, CYG_GW_QUOTED - n, "...");
    out[n++] = '"';
    out[n] = '\0';
    return out;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Damerau and Levenshtein's, with swaps of neighbours that nothing else touches. Neither text is longer than WORD_BYTES. */
static size_t edit_distance(cyg_str a, cyg_str b) {
    /* rows[i % 3][j]: distance of the first i letters of a and the first j of b; a swap looks back two rows. */
    size_t rows[3][WORD_BYTES + 1];
    for (size_t j = 0; j <= b.n; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *before2 = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t best = before[j - 1] + (a.p[i - 1] != b.p[j - 1]);
            best = least(best, before[j] + 1);
            best = least(best, now[j - 1] + 1);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                best = least(best, before2[j - 2] + 1);
            now[j] = best;
        }
    }
    return rows[a.n % 3][b.n];
}

/* Whether leaving letters out of b makes a. */
static bool is_shortened(cyg_str a, cyg_str b) {
    size_t i = 0;
    for (size_t j = 0; j < b.n && i < a.n; j++)
        if (a.p[i] == b.p[j]) i++;
    return i == a.n && a.n >= 3;
}

size_t cyg_gw_word_distance(cyg_str found, cyg_str meant) {
    if (found.n > WORD_BYTES || meant.n > WORD_BYTES) return SIZE_MAX;
    size_t d = edit_distance(found, meant);
    return d > 1 && is_shortened(found, meant) ? 1 : d;
}

bool cyg_gw_is_near(cyg_str found, size_t distance) { return distance <= 1 + found.n / 4 && distance < found.n; }
