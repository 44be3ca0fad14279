/* io_metrics.h: what copies, buffered readers and writers, and files of the process have done, as metrics of a registry.
 *
 *     cyg_metrics *reg = cyg_metrics_new();
 *     cyg_io_export(reg);                     // cygnet_copy_bytes_total{path="splice"} and so on, up to date in every exposition
 */
#ifndef CYGNET_IO_METRICS_H
#define CYGNET_IO_METRICS_H

#include <cygnet/metrics.h>

CYG_BEGIN_DECLS

/* Adds these to every exposition of m, read from cyg_copy_get_stats, cyg_bufio_get_totals and cyg_file_get_stats:
 *
 * cygnet_copy_bytes_total{path}       moved by buffer, held, splice, sendfile, stream
 * cygnet_copy_fallbacks_total{reason} copies that went through a buffer, and why
 * cygnet_copy_pipes, _pipe_bytes      pipes that splice goes through, open now, and their room
 * cygnet_copy_pipes_shrunk_total, _refused_total  those that came out smaller than asked for, or not at all
 * cygnet_bufio_bytes_total{side}      through buffered readers (read) and writers (written)
 * cygnet_bufio_copied_bytes_total{side}, cygnet_bufio_calls_total{side}, cygnet_bufio_limits_total{side}
 * cygnet_bufio_buffer_bytes           memory of buffers in use now
 * cygnet_file_open                    files open now
 * cygnet_file_calls_total{how}        calls answered from memory (direct), and away from the P (blocking)
 * cygnet_file_bytes_total{side}
 *
 * Once for each registry. Blocks: a short lock. From: goroutine or any thread. Owns: the registry. */
CYG_API void cyg_io_export(cyg_metrics *m);

CYG_END_DECLS
#endif
