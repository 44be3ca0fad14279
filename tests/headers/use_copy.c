/* copy.h in use: a copy that tells how it went, and both directions between two streams. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/copy.h>
#include <cygnet/runtime.h>

/* A stream in memory that gives n bytes and counts what is written to it. */
struct memory {
    cyg_stream stream;
    size_t left, written;
};

static ssize_t memory_read(cyg_stream *s, void *p, size_t n) {
    struct memory *m = (struct memory *)s;
    if (m->left == 0) return CYG_EOF;
    if (n > m->left) n = m->left;
    memset(p, 'x', n);
    m->left -= n;
    return (ssize_t)n;
}

static ssize_t memory_write(cyg_stream *s, const void *p, size_t n) {
    (void)p;
    ((struct memory *)s)->written += n;
    return (ssize_t)n;
}

/* Lets at most `left` bytes of the stream beneath pass, and tells a copy what that is. */
struct at_most {
    cyg_stream stream;
    cyg_stream *under;
    int64_t left;
};

static int at_most_unwrap(cyg_stream *s, cyg_under *out) {
    struct at_most *a = (struct at_most *)s;
    if (a->left == 0) return CYG_EOF;
    out->stream = a->under;
    out->limit = a->left;
    return 0;
}

static int at_most_advance(cyg_stream *s, int64_t n, bool ended) {
    struct at_most *a = (struct at_most *)s;
    a->left -= n;
    return ended || a->left == 0 ? CYG_EOF : 0;
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_stream_ops ops, limiting;
    memset(&ops, 0, sizeof ops);
    ops.kind = "memory";
    ops.read = memory_read;
    ops.write = memory_write;
    memset(&limiting, 0, sizeof limiting);
    limiting.kind = "at most";
    limiting.unwrap = at_most_unwrap;
    limiting.advance = at_most_advance;

    struct memory a = {{&ops}, 100000, 0}, b = {{&ops}, 500, 0};
    struct at_most first = {{&limiting}, &a.stream, 30000};
    cyg_copy_result how;
    if (cyg_copy(&b.stream, &first.stream, &how) != 30000 || b.written != 30000) return 1;
    if (how.by[CYG_COPY_BUFFER] != 30000 || strcmp(cyg_copy_reason_name(how.reason), "source") != 0) return 2;
    if (cyg_copy_n(&b.stream, &a.stream, 20000, NULL) != 20000) return 3;

    cyg_relay_opts opts;
    memset(&opts, 0, sizeof opts);
    opts.idle_timeout = CYG_MINUTE;
    cyg_relay_result res;
    if (cyg_relay(&a.stream, &b.stream, &opts, &res) != 0 || res.end != CYG_RELAY_EOF) return 4;
    if (cyg_copy_progress(&res.a_to_b) != 50000 || res.b_to_a.bytes != 500) return 5;

    cyg_copy_stats stats;
    cyg_copy_get_stats(&stats);
    return stats.relays == 0 && stats.bytes_total[CYG_COPY_BUFFER] == 100500 ? 0 : 6;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
