/* truth.c: where errno of the calling thread really is. In a file of its own, so that no compiler can know that the answer
 * is always the same for a thread. */
#include "truth.h"
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

int *truth_errno(void) { return &errno; }

long truth_thread(void) { return syscall(SYS_gettid); }
