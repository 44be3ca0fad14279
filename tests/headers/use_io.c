/* io.h in use: a stream of one's own, and a copy between two. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/io.h>
#include <cygnet/runtime.h>

/* A stream puts cyg_stream first. This one gives n bytes 'x' and counts what is written to it. */
struct source {
    cyg_stream stream;
    size_t left, written;
};

static ssize_t source_read(cyg_stream *s, void *p, size_t n) {
    struct source *x = (struct source *)s;
    if (x->left == 0) return CYG_EOF;
    if (n > x->left) n = x->left;
    memset(p, 'x', n);
    x->left -= n;
    return (ssize_t)n;
}

static ssize_t source_write(cyg_stream *s, const void *p, size_t n) {
    (void)p;
    ((struct source *)s)->written += n;
    return (ssize_t)n;
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_stream_ops ops;
    memset(&ops, 0, sizeof ops); /* an operation that is not there answers CYG_ENOTSUP */
    ops.kind = "source";
    ops.read = source_read;
    ops.write = source_write;
    struct source from = {{&ops}, 100000, 0}, to = {{&ops}, 0, 0};
    char head[10];
    if (cyg_read_full(&from.stream, head, sizeof head) != 10) return 1;
    cyg_copy_result how;
    if (cyg_copy(&to.stream, &from.stream, &how) != 99990 || how.bytes != 99990 || to.written != 99990) return 2;
    if (cyg_read(&from.stream, head, 1) != CYG_EOF || cyg_close_write(&to.stream) != CYG_ENOTSUP) return 3;
    return 0;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
