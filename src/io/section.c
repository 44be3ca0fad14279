/* section.c: a part of a file as a stream, with a place of its own. */
#include <cygnet/file.h>

static ssize_t op_read(cyg_stream *s, void *p, size_t n) {
    cyg_section *x = (cyg_section *)s;
    if (n == 0) return 0;
    if (x->at >= x->end) return CYG_EOF;
    if ((uint64_t)n > (uint64_t)(x->end - x->at)) n = (size_t)(x->end - x->at);
    ssize_t r = cyg_file_pread(x->file, p, n, x->at);
    if (r > 0) x->at += r;
    return r;
}

static int op_unwrap(cyg_stream *s, cyg_under *out) {
    cyg_section *x = (cyg_section *)s;
    if (x->at >= x->end) return CYG_EOF;
    out->stream = x->file;
    out->offset = x->at;
    out->limit = x->end - x->at;
    return 0;
}

static int op_advance(cyg_stream *s, int64_t n, bool ended) {
    cyg_section *x = (cyg_section *)s;
    x->at += n;
    return ended || x->at >= x->end ? CYG_EOF : 0;
}

static int op_close(cyg_stream *s) {
    (void)s;
    return 0;
}

static const cyg_stream_ops ops = {
    .kind = "section", .read = op_read, .unwrap = op_unwrap, .advance = op_advance, .close = op_close};

void cyg_section_init(cyg_section *s, cyg_file *f, int64_t from, int64_t n) {
    if (from < 0) from = 0;
    if (n < 0) n = 0;
    *s = (cyg_section){.stream = {&ops}, .file = f, .at = from, .end = n < INT64_MAX - from ? from + n : INT64_MAX};
}
