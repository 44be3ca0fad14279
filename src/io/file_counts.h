/* file_counts.h: what is counted of all files. */
#ifndef CYG_IO_FILE_COUNTS_H
#define CYG_IO_FILE_COUNTS_H

#include <stdint.h>

enum file_count {
    FILE_OPENED,
    FILE_CLOSED,
    FILE_DIRECT,
    FILE_BLOCKING,
    FILE_READ_BYTES,
    FILE_WRITTEN_BYTES,
    FILE_COUNTS
};

void file_count(enum file_count what, uint64_t n);

#endif
