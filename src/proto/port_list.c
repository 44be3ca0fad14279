/* port_list.c: see port_list.h. */
#include "proto/port_list.h"

/* Reads a port at *at; -1: there is none. */
static int port_at(const char *text, size_t n, size_t *at) {
    int v = 0;
    size_t i = *at;
    for (; i < n && text[i] >= '0' && text[i] <= '9'; i++) {
        v = v * 10 + (text[i] - '0');
        if (v > 65535) return -1;
    }
    if (i == *at) return -1;
    *at = i;
    return v;
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n'; }

bool port_set_add(struct port_set *s, const char *text, size_t n) {
    while (n > 0 && is_space(text[n - 1])) n--;
    size_t at = 0;
    while (at < n && is_space(text[at])) at++;
    while (at < n) {
        int low = port_at(text, n, &at), high = low;
        if (low >= 0 && at < n && text[at] == '-') {
            at++;
            high = port_at(text, n, &at);
        }
        if (low < 0 || high < low) return false;
        for (int p = low; p <= high; p++) s->bits[p / 8] |= (uint8_t)(1u << (p % 8));
        if (at == n) return true;
        if (text[at++] != ',' || at == n) return false;
    }
    return true;
}

unsigned port_set_free_between(const struct port_set *s, unsigned low, unsigned high) {
    unsigned n = 0;
    for (unsigned p = low; p <= high && p < 65536; p++) n += !port_set_has(s, p);
    return n;
}
