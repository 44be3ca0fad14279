/* bufreader.h: what the scanner needs of the buffered reader beside its public calls. */
#ifndef CYG_IO_BUFREADER_H
#define CYG_IO_BUFREADER_H

#include <cygnet/bufio.h>

/* Reads once behind what is held, in a larger buffer if it is full. what: for the detail of CYG_ELIMIT, which there is at
 * max_bytes. Returns: > 0, or the error. */
ssize_t io_bufreader_more(cyg_bufreader *r, const char *what);

/* Takes n of the bytes that are held; they stay where they are until the next call. */
void io_bufreader_skip(cyg_bufreader *r, size_t n);

#endif
