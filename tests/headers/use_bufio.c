/* bufio.h in use: lines in, numbered lines out, words counted. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/bufio.h>
#include <cygnet/runtime.h>
#include <cygnet/streams.h>

static const char text[] = "a line\r\nanother one\n\nthe last";

static int number_lines(cyg_stream *in, cyg_stream *out) {
    cyg_bufreader r;
    cyg_bufwriter w;
    cyg_bufreader_init(&r, in, NULL);
    cyg_bufwriter_init(&w, out, NULL);
    cyg_str line;
    int err, n = 0;
    while ((err = cyg_bufreader_line(&r, &line)) == 0)
        cyg_bufwriter_printf(&w, "%d: " CYG_STR_FMT "\n", ++n, CYG_STR_ARG(line));
    if (err == CYG_EOF) err = cyg_bufwriter_flush(&w); /* tells the first error of all the writes */
    cyg_bufwriter_free(&w);
    cyg_bufreader_free(&r);
    return err < 0 ? err : n;
}

static int count_words(cyg_stream *in) {
    cyg_scanner s;
    cyg_buf_opts opts;
    memset(&opts, 0, sizeof opts);
    opts.max_bytes = 100; /* of one word */
    cyg_scanner_init(&s, in, cyg_split_words, NULL, &opts);
    cyg_str word;
    int err, n = 0;
    while ((err = cyg_scanner_next(&s, &word)) == 0) n++;
    cyg_scanner_free(&s);
    return err == CYG_EOF ? n : err;
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_membuf in, out;
    cyg_membuf_init_read(&in, text, sizeof text - 1);
    cyg_membuf_init(&out, 1000);
    if (number_lines(&in.stream, &out.stream) != 4) return 1;
    if (!cyg_str_eq(cyg_membuf_data(&out), CYG_STR("1: a line\n2: another one\n3: \n4: the last\n"))) return 2;
    if (count_words(&out.stream) != 10) return 3;
    cyg_membuf_free(&out);

    /* A message of known length behind a head of four bytes. */
    cyg_bufreader r;
    cyg_str head;
    cyg_membuf_init_read(&in, "\0\0\0\5hello, more", 15);
    cyg_bufreader_init(&r, &in.stream, NULL);
    if (cyg_bufreader_peek(&r, 4, &head) != 0 || head.p[3] != 5) return 4;
    char body[5];
    if (cyg_bufreader_discard(&r, 4) != 4 || cyg_read_full(&r.stream, body, 5) != 5) return 5;
    if (cyg_bufreader_byte(&r) != ',' || cyg_bufreader_unread(&r) != 0 || cyg_bufreader_data(&r).n != 6) return 6;
    cyg_bufreader_free(&r);
    cyg_bufio_totals totals;
    cyg_bufio_get_totals(&totals);
    return totals.buffers == 0 ? 0 : 7;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
