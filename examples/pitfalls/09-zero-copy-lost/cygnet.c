/* Sends a file over a loopback connection by cyg_copy: as it is, or from within wrappers, and tells what the copy says of
 * itself.
 *
 * usage: cygnet BYTES plain|multi|limit|buffered|wrapped|changed */
#include <cygnet/cygnet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct receiver {
    cyg_listener *listener;
    cyg_waitgroup done;
    int64_t bytes;
};

static void receive(void *arg) {
    struct receiver *r = arg;
    cyg_auto_conn cyg_conn *c = NULL;
    char *b = malloc(1 << 20);
    if (b && cyg_accept(r->listener, &c) == 0)
        for (ssize_t n; (n = cyg_read(c, b, 1 << 20)) > 0;) r->bytes += n;
    free(b);
    cyg_waitgroup_done(&r->done);
}

/* A wrapper that changes nothing, such as people write to show progress. unwrap and advance tell the copy what lies
 * beneath, and it tells back how much has gone; read is for everybody else. */
struct progress {
    cyg_stream stream;
    cyg_stream *under;
    int64_t bytes;
};
static ssize_t progress_read(cyg_stream *s, void *p, size_t n) {
    struct progress *x = (struct progress *)s;
    ssize_t r = cyg_read(x->under, p, n);
    if (r > 0) x->bytes += r;
    return r;
}
static int progress_unwrap(cyg_stream *s, cyg_under *out) {
    out->stream = ((struct progress *)s)->under;
    return 0;
}
static int progress_advance(cyg_stream *s, int64_t n, bool ended) {
    ((struct progress *)s)->bytes += n;
    return ended ? CYG_EOF : 0;
}
static const cyg_stream_ops progress_ops = {
    .kind = "progress", .read = progress_read, .unwrap = progress_unwrap, .advance = progress_advance};

/* A wrapper that changes bytes: these cannot go past the process. */
struct turned {
    cyg_stream stream;
    cyg_stream *under;
    int reads;
};
static ssize_t turned_read(cyg_stream *s, void *p, size_t n) {
    struct turned *t = (struct turned *)s;
    ssize_t r = cyg_read(t->under, p, n);
    for (ssize_t i = 0; i < r; i++) ((char *)p)[i] ^= 1;
    t->reads++;
    return r;
}
static const cyg_stream_ops turned_ops = {.kind = "turned", .read = turned_read};

/* The file in one of the forms. */
struct forms {
    cyg_limit limit;
    cyg_membuf head;
    cyg_stream *parts[2];
    cyg_multi_reader multi;
    cyg_bufreader buffered;
    struct progress wrapped;
    struct turned changed;
};
static cyg_stream *in_form(struct forms *x, const char *form, cyg_file *f, int64_t size) {
    cyg_str first;
    x->wrapped = (struct progress){.stream = {&progress_ops}, .under = f};
    x->changed = (struct turned){.stream = {&turned_ops}, .under = f};
    cyg_limit_init(&x->limit, f, size - 1);
    cyg_membuf_init_read(&x->head, "head", 4);
    x->parts[0] = &x->head.stream, x->parts[1] = f;
    cyg_multi_reader_init(&x->multi, x->parts, 2);
    cyg_bufreader_init(&x->buffered, f, NULL);
    if (strcmp(form, "plain") == 0) return f;
    if (strcmp(form, "multi") == 0) return &x->multi.stream;
    if (strcmp(form, "limit") == 0) return &x->limit.stream;
    if (strcmp(form, "wrapped") == 0) return &x->wrapped.stream;
    if (strcmp(form, "changed") == 0) return &x->changed.stream;
    /* Somebody looked at the first bytes. */
    return strcmp(form, "buffered") == 0 && cyg_bufreader_peek(&x->buffered, 1, &first) == 0 ? &x->buffered.stream : NULL;
}

static int copy_in_form(const char *form, cyg_conn *to, cyg_file *f, int64_t size) {
    struct forms x;
    cyg_copy_result how = {0};
    cyg_stream *src = in_form(&x, form, f, size);
    int64_t n = src ? cyg_copy(to, src, &how) : CYG_EINVAL;
    cyg_bufreader_free(&x.buffered);
    if (n < 0) return cyg_fail("copy", (int)n);
    printf("went by: %s\n", cyg_copy_path_name(how.path));
    printf("why not faster: %s\n", cyg_copy_reason_name(how.reason));
    printf("through a buffer: %lld\n", (long long)(how.by[CYG_COPY_BUFFER] + how.by[CYG_COPY_HELD]));
    if (src == &x.wrapped.stream) printf("bytes the wrapper counted: %lld\n", (long long)x.wrapped.bytes);
    if (src == &x.changed.stream) printf("reads of the wrapper: %d\n", x.changed.reads);
    return 0;
}

static int run(int argc, char **argv) {
    int64_t size = argc == 3 ? atoll(argv[1]) : 0;
    if (size < 1) return fprintf(stderr, "usage: %s BYTES plain|multi|limit|buffered|wrapped|changed\n", argv[0]), 2;
    struct receiver to = {0};
    cyg_conn *c;
    cyg_addr at;
    int err = cyg_listen("tcp", "127.0.0.1:0", NULL, &to.listener);
    if (err < 0) return cyg_fail("listen", err);
    cyg_listener_addr(to.listener, &at);
    cyg_waitgroup_add(&to.done, 1);
    if ((err = cyg_go(receive, &to)) < 0) return cyg_fail("cyg_go", err);
    if ((err = cyg_dial_addr(&at, NULL, &c)) < 0) return cyg_fail("dial", err);

    char name[] = "/tmp/zero-copy-XXXXXX";
    cyg_auto_file cyg_file *f = NULL;
    int fd = mkstemp(name);
    if (fd < 0 || unlink(name) < 0) return cyg_fail("mkstemp", -errno);
    if ((err = cyg_file_from_fd(fd, &f)) < 0 || (err = cyg_file_truncate(f, size)) < 0) return cyg_fail("file", err);
    if ((err = copy_in_form(argv[2], c, f, size)) != 0) return err;
    cyg_close(c);
    if ((err = cyg_waitgroup_wait(&to.done)) < 0) return cyg_fail("wait", err);
    printf("bytes received: %lld\n", (long long)to.bytes);
    cyg_listener_close(to.listener);
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
