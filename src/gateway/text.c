/* text.c: see text.h. */
#include "gateway/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void cyg_gw_text_free(struct cyg_gw_text *t) {
    free(t->p);
    *t = (struct cyg_gw_text){0};
}

/* Makes room for n more bytes and a NUL. */
static bool reserve(struct cyg_gw_text *t, size_t n) {
    if (t->failed) return false;
    if (n < t->cap - t->n) return true;
    size_t cap = t->cap ? t->cap : 512;
    while (cap - t->n <= n) {
        if (cap > SIZE_MAX / 2) goto fail;
        cap *= 2;
    }
    char *p = realloc(t->p, cap);
    if (!p) goto fail;
    t->p = p;
    t->cap = cap;
    return true;
fail:
    t->failed = true;
    return false;
}

void cyg_gw_text_put(struct cyg_gw_text *t, const char *p, size_t n) {
    if (!reserve(t, n)) return;
    if (n) memcpy(t->p + t->n, p, n);
    t->n += n;
    t->p[t->n] = 0;
}

void cyg_gw_text_puts(struct cyg_gw_text *t, const char *z) { cyg_gw_text_put(t, z, strlen(z)); }

void cyg_gw_text_printf(struct cyg_gw_text *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    char small[256];
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof small) {
        cyg_gw_text_put(t, small, (size_t)n);
    } else if (n >= 0 && reserve(t, (size_t)n)) {
        vsnprintf(t->p + t->n, (size_t)n + 1, fmt, again);
        t->n += (size_t)n;
    }
    va_end(again);
}

/* The length of the UTF-8 sequence at p, 0 if it is none. Overlong forms and surrogates are none. */
static size_t utf8_at(const unsigned char *p, size_t n) {
    unsigned c = p[0], min;
    size_t len;
    if (c < 0x80) return 1;
    if (c >= 0xc2 && c <= 0xdf)
        len = 2, min = 0x80, c &= 0x1f;
    else if (c >= 0xe0 && c <= 0xef)
        len = 3, min = 0x800, c &= 0x0f;
    else if (c >= 0xf0 && c <= 0xf4)
        len = 4, min = 0x10000, c &= 0x07;
    else
        return 0;
    if (len > n) return 0;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    return c < min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : len;
}

void cyg_gw_text_json(struct cyg_gw_text *t, cyg_str s) {
    const unsigned char *p = (const unsigned char *)s.p;
    cyg_gw_text_put(t, "\"", 1);
    for (size_t i = 0; i < s.n;) {
        size_t len = utf8_at(p + i, s.n - i);
        if (len == 0) {
            cyg_gw_text_puts(t, "\\ufffd");
            i++;
        } else if (p[i] == '"' || p[i] == '\\') {
            char two[2] = {'\\', (char)p[i++]};
            cyg_gw_text_put(t, two, 2);
        } else if (p[i] < 0x20 || p[i] == 0x7f) {
            cyg_gw_text_printf(t, "\\u%04x", p[i++]);
        } else {
            cyg_gw_text_put(t, s.p + i, len);
            i += len;
        }
    }
    cyg_gw_text_put(t, "\"", 1);
}

void cyg_gw_text_label(struct cyg_gw_text *t, const char *z) {
    cyg_gw_text_put(t, "\"", 1);
    for (; *z; z++) {
        if (*z == '\n')
            cyg_gw_text_puts(t, "\\n");
        else if (*z == '"' || *z == '\\')
            cyg_gw_text_put(t, (char[2]){'\\', *z}, 2);
        else
            cyg_gw_text_put(t, z, 1);
    }
    cyg_gw_text_put(t, "\"", 1);
}

void cyg_gw_text_family(struct cyg_gw_text *t, const char *name, const char *type, const char *help) {
    cyg_gw_text_printf(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}
