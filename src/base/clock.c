/* clock.c: the clocks. Both are answered by the vDSO, without a system call. */
#include <cygnet/time.h>
#include <time.h>

cyg_time cyg_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (cyg_time)t.tv_sec * CYG_SECOND + t.tv_nsec;
}

int64_t cyg_unix_nano(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * CYG_SECOND + t.tv_nsec;
}
