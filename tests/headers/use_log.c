/* log.h in use: lines that a goroutine of their own writes. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/log.h>
#include <cygnet/runtime.h>

static int work(int argc, char **argv) {
    cyg_linelog *log;
    int err = cyg_linelog_open(argc > 1 ? argv[1] : "stdout", NULL, &log);
    if (err < 0) return cyg_fail("open log", err);
    for (int i = 0; i < 100; i++)
        if (!cyg_linelog_write(log, "a line\n", 7)) return 1; /* dropped: the buffers are larger than this */
    err = cyg_linelog_flush(log, cyg_now() + 10 * CYG_SECOND);
    cyg_linelog_stats stats;
    cyg_linelog_get_stats(log, &stats);
    cyg_linelog_close(log);
    return err == 0 && stats.lines_total == 100 && stats.bytes_total == 700 ? 0 : 2;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
