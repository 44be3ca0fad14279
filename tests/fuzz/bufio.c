/* bufio.c: any bytes through a buffered reader, a scanner and a buffered writer, in any pieces, by any calls. What comes
 * out is what went in, in order, and each call says what its header promises; what that is, is worked out here from the
 * bytes alone.
 *
 * Input: bound of the buffer, size of a piece, number of calls, so many calls (kind and argument, a byte each), then the
 * text. */
#include <cygnet/bufio.h>
#include <cygnet/streams.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define EXPECT(condition)                                               \
    do {                                                                \
        if (condition) break;                                           \
        fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition); \
        abort();                                                        \
    } while (0)

/* A stream that gives a text in pieces. */
struct pieces {
    cyg_stream s;
    const char *p;
    size_t n, piece;
};
static ssize_t pieces_read(cyg_stream *s, void *to, size_t n) {
    struct pieces *x = (struct pieces *)s;
    if (x->n == 0) return CYG_EOF;
    if (n > x->piece) n = x->piece;
    if (n > x->n) n = x->n;
    memcpy(to, x->p, n);
    x->p += n;
    x->n -= n;
    return (ssize_t)n;
}
static const cyg_stream_ops pieces_ops = {.kind = "pieces", .read = pieces_read};

/* ---- reader
 * ---------------------------------------------------------------------------------------------------------------- */

struct state {
    cyg_bufreader r;
    const char *left; /* what has not been taken */
    size_t n, max;
};

static bool same(const char *a, const char *b, size_t n) { return n == 0 || memcmp(a, b, n) == 0; }

static void took(struct state *s, size_t n) {
    s->left += n;
    s->n -= n;
}

static void check_until(struct state *s, char end, bool line) {
    cyg_str got;
    const char *at = s->n ? memchr(s->left, end, s->n) : NULL;
    size_t want = at ? (size_t)(at - s->left) + 1 : s->n;
    int err = line ? cyg_bufreader_line(&s->r, &got) : cyg_bufreader_until(&s->r, end, &got);
    if (at && want <= s->max) {
        EXPECT(err == 0);
    } else if (s->n >= s->max) {
        EXPECT(err == CYG_ELIMIT);
        return;
    } else {
        EXPECT(line && s->n ? err == 0 : err == CYG_EOF);
        if (err) return;
    }
    size_t shown = want;
    if (line && at) shown--;
    if (line && shown && s->left[shown - 1] == '\r') shown--;
    EXPECT(got.n == shown && same(got.p, s->left, shown));
    took(s, want);
}

static void check_call(struct state *s, uint8_t kind, uint8_t arg) {
    char b[256];
    cyg_str got;
    ssize_t r;
    int err;
    switch (kind % 7) {
    case 0:
        r = cyg_bufreader_read(&s->r, b, arg);
        if (arg == 0 || s->n == 0) {
            EXPECT(r == (arg ? CYG_EOF : 0));
        } else {
            EXPECT(r > 0 && (size_t)r <= arg && (size_t)r <= s->n && same(b, s->left, (size_t)r));
            took(s, (size_t)r);
        }
        break;
    case 1:
        err = cyg_bufreader_peek(&s->r, arg, &got);
        EXPECT(err == (arg > s->max ? CYG_ELIMIT : arg > s->n ? CYG_EOF : 0));
        if (!err) EXPECT(got.n == arg && same(got.p, s->left, arg));
        break;
    case 2: check_until(s, (char)arg, false); break;
    case 3: check_until(s, '\n', true); break;
    case 4:
        err = cyg_bufreader_byte(&s->r);
        EXPECT(err == (s->n ? (unsigned char)s->left[0] : CYG_EOF));
        if (err >= 0 && arg % 2)
            EXPECT(cyg_bufreader_unread(&s->r) == 0);
        else if (err >= 0)
            took(s, 1);
        break;
    case 5:
        EXPECT(cyg_bufreader_discard(&s->r, arg) == (arg > s->n ? CYG_EOF : arg));
        took(s, arg > s->n ? s->n : arg);
        break;
    case 6:
        got = cyg_bufreader_data(&s->r);
        EXPECT(got.n <= s->n && same(got.p, s->left, got.n));
        break;
    }
}

/* ---- scanner
 * ----------------------------------------------------------------------------------------------------------------- */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static void check_words(const char *p, size_t n, size_t max, size_t piece) {
    struct pieces src = {.s = {&pieces_ops}, .p = p, .n = n, .piece = piece};
    cyg_scanner s;
    cyg_str word;
    cyg_scanner_init(&s, &src.s, cyg_split_words, NULL, &(cyg_buf_opts){.max_bytes = max});
    for (size_t at = 0;;) {
        while (at < n && is_space(p[at])) at++;
        size_t end = at;
        while (end < n && !is_space(p[end])) end++;
        int err = cyg_scanner_next(&s, &word);
        if (err) {
            EXPECT(err == (end - at >= max ? CYG_ELIMIT : CYG_EOF) && (err == CYG_ELIMIT || at == n));
            break;
        }
        EXPECT(word.n == end - at && word.n > 0 && same(word.p, p + at, word.n));
        at = end;
    }
    cyg_scanner_free(&s);
}

/* ---- writer
 * ------------------------------------------------------------------------------------------------------------------ */

static void check_writer(const uint8_t *calls, size_t ncalls, const char *p, size_t n, size_t max) {
    cyg_membuf out;
    cyg_bufwriter w;
    size_t at = 0;
    cyg_membuf_init(&out, n + 1);
    cyg_bufwriter_init(&w, &out.stream, &(cyg_buf_opts){.max_bytes = max});
    for (size_t i = 0; i < ncalls; i++) {
        size_t k = calls[2 * i + 1] < n - at ? calls[2 * i + 1] : n - at;
        char *room;
        ssize_t r;
        switch (calls[2 * i] % 4) {
        case 0: EXPECT(cyg_bufwriter_write(&w, p + at, k) == (ssize_t)k); break;
        case 1:
            EXPECT(cyg_writev(&w.stream, (struct iovec[]){{(char *)p + at, k / 2}, {(char *)p + at + k / 2, k - k / 2}},
                              2) == (ssize_t)k);
            break;
        case 2:
            r = cyg_bufwriter_reserve(&w, k, &room);
            EXPECT(k > w.max ? r == CYG_ELIMIT : r >= (ssize_t)k);
            if (r < 0) continue;
            memcpy(room, p + at, k);
            cyg_bufwriter_commit(&w, k);
            break;
        case 3:
            EXPECT(cyg_bufwriter_flush(&w) == 0);
            EXPECT(cyg_membuf_data(&out).n == at);
            continue;
        }
        at += k;
    }
    EXPECT(cyg_bufwriter_flush(&w) == 0);
    cyg_str got = cyg_membuf_data(&out);
    EXPECT(got.n == at && same(got.p, p, at) && w.stats.bytes_total == at);
    cyg_bufwriter_free(&w);
    cyg_membuf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n < 3 || n < 3 + 2 * (size_t)data[2]) return 0;
    size_t max = data[0] < 16 ? 16 : data[0], piece = data[1] ? data[1] : SIZE_MAX, ncalls = data[2];
    const uint8_t *calls = data + 3;
    const char *text = (const char *)calls + 2 * ncalls;
    size_t ntext = n - 3 - 2 * ncalls;
    struct pieces src = {.s = {&pieces_ops}, .p = text, .n = ntext, .piece = piece};
    struct state s = {.left = text, .n = ntext, .max = max};
    cyg_bufreader_init(&s.r, &src.s, &(cyg_buf_opts){.max_bytes = max});
    for (size_t i = 0; i < ncalls; i++) check_call(&s, calls[2 * i], calls[2 * i + 1]);
    EXPECT(s.r.stats.bytes_total == ntext - s.n);
    cyg_bufreader_free(&s.r);
    check_words(text, ntext, max, piece);
    check_writer(calls, ncalls, text, ntext, max);
    return 0;
}
