/* event.c: see event.h. */
#include "gateway/event.h"

#include <cygnet/time.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

void cyg_gw_event(const char *level, const char *event, const char *fmt, ...) {
    char line[4096];
    int64_t ns = cyg_unix_nano();
    time_t seconds = (time_t)(ns / CYG_SECOND);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, 128, ".%03dZ %.20s %.60s ", (int)(ns % CYG_SECOND / CYG_MILLISECOND), level, event);
    va_list ap;
    va_start(ap, fmt);
    size_t room = sizeof line - n - 1; /* one byte for the newline */
    int more = vsnprintf(line + n, room, fmt, ap);
    va_end(ap);
    if (more > 0) n += (size_t)more < room ? (size_t)more : room - 1;
    if (line[n - 1] == ' ') n--;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) line[i] = '?';
    line[n++] = '\n';
    ssize_t unheard = write(STDERR_FILENO, line, n); /* there is nowhere else to complain */
    (void)unheard;
}
