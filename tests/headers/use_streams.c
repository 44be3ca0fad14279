/* streams.h in use: wrappers, memory and a pipe. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/runtime.h>
#include <cygnet/streams.h>

static void produce(void *end) {
    cyg_stream *w = (cyg_stream *)end;
    cyg_write(w, "through a pipe", 14); /* parks until it has been read */
    cyg_pipe_close(w, -EIO);            /* the reader learns why there is no more */
}

static int pipe_between_goroutines(void) {
    cyg_stream *r, *w;
    char text[14];
    if (cyg_pipe_new(&r, &w) != 0 || cyg_go(produce, w) != 0) return 1;
    if (cyg_read_full(r, text, sizeof text) != 14 || cyg_read(r, text, 1) != -EIO) return 2;
    return cyg_close(r) == 0 ? 0 : 3;
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_membuf head, body, seen, out;
    cyg_membuf_init_read(&head, "head, ", 6);
    cyg_membuf_init_read(&body, "body and more", 13);
    cyg_membuf_init(&seen, 100);
    cyg_membuf_init(&out, 100);

    cyg_limit limit; /* "body" */
    cyg_limit_init(&limit, &body.stream, 4);
    cyg_stream *parts[] = {&head.stream, &limit.stream};
    cyg_multi_reader both;
    cyg_multi_reader_init(&both, parts, 2);
    cyg_tee tee;
    cyg_tee_init(&tee, &both.stream, &seen.stream);
    cyg_stream *sinks[] = {&out.stream, cyg_discard()};
    cyg_multi_writer all;
    cyg_multi_writer_init(&all, sinks, 2);

    if (cyg_copy(&all.stream, &tee.stream, NULL) != 10) return 1;
    if (!cyg_str_eq(cyg_membuf_data(&out), CYG_STR("head, body"))) return 2;
    if (!cyg_str_eq(cyg_membuf_data(&seen), CYG_STR("head, body"))) return 3;
    if (!cyg_str_eq(cyg_membuf_data(&body), CYG_STR(" and more"))) return 4;
    cyg_membuf_free(&seen);
    cyg_membuf_free(&out);
    return pipe_between_goroutines() == 0 ? 0 : 5;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
