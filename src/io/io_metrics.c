/* io_metrics.c: the layer's counters as metrics. They are kept where they are counted; each exposition looks them up and
 * sets what it shows. */
#include <cygnet/bufio.h>
#include <cygnet/copy.h>
#include <cygnet/file.h>
#include <cygnet/io_metrics.h>

static void counter(cyg_metrics *m, const char *name, const char *help, const char *label, const char *value, uint64_t n) {
    cyg_label l = {label, value};
    cyg_counter_set(cyg_counter_new(m, name, help, &l, label ? 1 : 0), n);
}

static void gauge(cyg_metrics *m, const char *name, const char *help, uint64_t n) {
    cyg_gauge_set(cyg_gauge_new(m, name, help, NULL, 0), (int64_t)n);
}

static void set_copies(cyg_metrics *m) {
    cyg_copy_stats s;
    cyg_copy_get_stats(&s);
    for (int i = 0; i < CYG_COPY_PATHS; i++)
        counter(m, "cygnet_copy_bytes_total", "Bytes moved by copies and relays, by the way they went.", "path",
                cyg_copy_path_name((cyg_copy_path)i), s.bytes_total[i]);
    for (int i = CYG_COPY_FAST + 1; i < CYG_COPY_REASONS; i++)
        counter(m, "cygnet_copy_fallbacks_total", "Copies that went through a buffer, by why.", "reason",
                cyg_copy_reason_name((cyg_copy_reason)i), s.fallbacks_total[i]);
    gauge(m, "cygnet_copy_pipes", "Pipes for splice, open now.", s.pipes_open);
    gauge(m, "cygnet_copy_pipe_bytes", "The room of these pipes.", s.pipe_bytes);
    counter(m, "cygnet_copy_pipes_shrunk_total", "Pipes opened with less room than asked for (pipe-user-pages-soft).",
            NULL, NULL, s.pipes_shrunk_total);
    counter(m, "cygnet_copy_pipes_refused_total", "Pipes that were not to be had.", NULL, NULL, s.pipes_refused_total);
}

static void set_side(cyg_metrics *m, const char *side, const cyg_buf_stats *s) {
    counter(m, "cygnet_bufio_bytes_total", "Bytes through buffered readers and writers.", "side", side, s->bytes_total);
    counter(m, "cygnet_bufio_copied_bytes_total", "Of these, copied by way of the buffer.", "side", side,
            s->copied_bytes_total);
    counter(m, "cygnet_bufio_calls_total", "Reads and writes of the streams below them.", "side", side, s->calls_total);
    counter(m, "cygnet_bufio_limits_total", "Lines, peeks and tokens over max_bytes.", "side", side, s->limits_total);
}

static void set_buffers(cyg_metrics *m) {
    cyg_bufio_totals t;
    cyg_bufio_get_totals(&t);
    set_side(m, "read", &t.read);
    set_side(m, "written", &t.written);
    gauge(m, "cygnet_bufio_buffer_bytes", "Memory of their buffers, now.", t.buffer_bytes);
}

static void set_files(cyg_metrics *m) {
    static const char calls[] = "Calls of files: answered from memory, or away from the P.";
    static const char bytes[] = "Bytes read from and written to files.";
    cyg_file_stats s;
    cyg_file_get_stats(&s);
    gauge(m, "cygnet_file_open", "Files open now.", s.open);
    counter(m, "cygnet_file_calls_total", calls, "how", "direct", s.direct_total);
    counter(m, "cygnet_file_calls_total", calls, "how", "blocking", s.blocking_total);
    counter(m, "cygnet_file_bytes_total", bytes, "side", "read", s.read_bytes_total);
    counter(m, "cygnet_file_bytes_total", bytes, "side", "written", s.written_bytes_total);
}

static void collect(void *arg) {
    set_copies(arg);
    set_buffers(arg);
    set_files(arg);
}

void cyg_io_export(cyg_metrics *m) { cyg_metrics_on_collect(m, collect, m); }
