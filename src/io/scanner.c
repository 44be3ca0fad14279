/* scanner.c: tokens out of a stream. The split function sees what is buffered; a slice of that is the token, so none is
 * copied. */
#include "io/buffers.h"
#include "io/bufreader.h"
#include "runtime/sched.h"

/* One call of split. Returns: 1: *token is one; 0: it needs more; or what ends the scan. */
static int split_once(cyg_scanner *s, cyg_str *token) {
    cyg_bufreader *r = &s->r;
    cyg_str data = cyg_bufreader_data(r), found = {NULL, 0};
    if (!data.p) data.p = "";
    size_t advance = 0;
    int k = s->split(s->arg, data, s->at_end, &advance, &found);
    if (k < 0) return k;
    if (advance > data.n) return cygrt_fail(CYG_EPROTO, "split function advanced %zu bytes of %zu", advance, data.n);
    io_bufreader_skip(r, advance);
    if (k == CYG_SPLIT_MORE) return 0;
    s->empty = advance ? 0 : s->empty + 1;
    if (k == CYG_SPLIT_LAST) s->err = CYG_EOF;
    if (s->empty >= CYG_BUF_NO_PROGRESS)
        return cygrt_fail(CYG_EPROTO, "split function gave %u tokens without advancing", s->empty);
    if (k == CYG_SPLIT_LAST && !found.p) return CYG_EOF;
    *token = found;
    return 1;
}

int cyg_scanner_next(cyg_scanner *s, cyg_str *token) {
    cyg_str found;
    while (!s->err) {
        size_t before = cyg_bufreader_data(&s->r).n;
        int k = before || s->at_end ? split_once(s, &found) : 0;
        if (k == 1) {
            *token = found;
            return 0;
        }
        if (k < 0) {
            s->err = k;
        } else if (cyg_bufreader_data(&s->r).n > 0 && cyg_bufreader_data(&s->r).n < before) {
            continue; /* it has skipped something and may find a token behind it */
        } else if (s->at_end) {
            s->err = CYG_EOF;
        } else {
            ssize_t n = io_bufreader_more(&s->r, "token");
            if (n == CYG_EOF)
                s->at_end = true;
            else if (n < 0)
                s->err = (int)n;
        }
    }
    return s->err;
}

static size_t without_cr(const char *p, size_t n) { return n > 0 && p[n - 1] == '\r' ? n - 1 : n; }

int cyg_split_lines(void *arg, cyg_str data, bool at_end, size_t *advance, cyg_str *token) {
    (void)arg;
    const char *nl = memchr(data.p, '\n', data.n);
    if (!nl && (!at_end || data.n == 0)) return CYG_SPLIT_MORE;
    size_t n = nl ? (size_t)(nl - data.p) : data.n;
    *token = (cyg_str){data.p, without_cr(data.p, n)};
    *advance = nl ? n + 1 : n;
    return CYG_SPLIT_TOKEN;
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

int cyg_split_words(void *arg, cyg_str data, bool at_end, size_t *advance, cyg_str *token) {
    (void)arg;
    size_t from = 0, to;
    while (from < data.n && is_space(data.p[from])) from++;
    for (to = from; to < data.n && !is_space(data.p[to]);) to++;
    *advance = from; /* white space is done with, whatever comes */
    if (from == data.n || (to == data.n && !at_end)) return CYG_SPLIT_MORE;
    *token = (cyg_str){data.p + from, to - from};
    *advance = to < data.n ? to + 1 : to;
    return CYG_SPLIT_TOKEN;
}

int cyg_split_bytes(void *arg, cyg_str data, bool at_end, size_t *advance, cyg_str *token) {
    (void)arg, (void)at_end;
    if (data.n == 0) return CYG_SPLIT_MORE;
    *token = (cyg_str){data.p, 1};
    *advance = 1;
    return CYG_SPLIT_TOKEN;
}

void cyg_scanner_init(cyg_scanner *s, cyg_stream *under, cyg_split_fn *split, void *arg, const cyg_buf_opts *opts) {
    memset(s, 0, sizeof *s);
    cyg_bufreader_init(&s->r, under, opts);
    s->split = split;
    s->arg = arg;
}

void cyg_scanner_free(cyg_scanner *s) { cyg_bufreader_free(&s->r); }
