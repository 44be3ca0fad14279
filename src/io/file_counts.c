/* file_counts.c: what is counted of all files, on a line of its own for each P. */
#include "io/file_counts.h"

#include <cygnet/file.h>
#include <cygnet/runtime.h>

#define LINES 16 /* Ps beyond share */

static struct line { _Alignas(64) uint64_t n[FILE_COUNTS]; /* each atomic */ } lines[LINES];

void file_count(enum file_count what, uint64_t n) {
    __atomic_fetch_add(&lines[cyg_proc_hint() % LINES].n[what], n, __ATOMIC_RELAXED);
}

void cyg_file_get_stats(cyg_file_stats *out) {
    uint64_t n[FILE_COUNTS] = {0};
    for (int i = 0; i < LINES; i++)
        for (int k = 0; k < FILE_COUNTS; k++) n[k] += __atomic_load_n(&lines[i].n[k], __ATOMIC_RELAXED);
    *out = (cyg_file_stats){.opened_total = n[FILE_OPENED],
                            .open = n[FILE_OPENED] - n[FILE_CLOSED],
                            .direct_total = n[FILE_DIRECT],
                            .blocking_total = n[FILE_BLOCKING],
                            .read_bytes_total = n[FILE_READ_BYTES],
                            .written_bytes_total = n[FILE_WRITTEN_BYTES]};
}
