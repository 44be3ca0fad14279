/* debug.h in use: profiles of three kinds to a descriptor, and a look for what may have leaked. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/debug.h>
#include <cygnet/runtime.h>
#include <fcntl.h>
#include <unistd.h>

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    int fd = open("/dev/null", O_WRONLY);
    if (fd < 0) return 1;
    if (cyg_profile(fd, CYG_PROFILE_GOROUTINES, CYG_PROFILE_TEXT) != 0) return 2;
    if (cyg_profile(fd, CYG_PROFILE_CONTENTION, CYG_PROFILE_PPROF) != 0) return 3;
    if (cyg_profile_cpu(fd, CYG_PROFILE_TEXT, 5 * CYG_MILLISECOND) != 0) return 4;
    if (cyg_profile(fd, 99, CYG_PROFILE_TEXT) != CYG_EINVAL) return 5;
    cyg_leak_stats st;
    if (cyg_leaks(fd, CYG_MINUTE, &st) != 0 || st.goroutines != 0) return 6;
    cyg_start_site most;
    if (cyg_start_sites(&most, 1) < 1 || most.goroutines != 1) return 8; /* this goroutine */
    close(fd);
    return cyg_profile_contention_rate(0) == 100 ? 0 : 7;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
