/* hosts.c: any bytes as a hosts file: what the table holds is found again, in the file's order, and every name is one. */
#include <cygnet/err.h>
#include <stdlib.h>
#include <string.h>

#include "net/hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct hosts h;
    if (n > 20000 || hosts_parse((const char *)data, n, &h) != 0) return 0;
    for (size_t i = 0; i < h.n; i++) {
        size_t len = strlen(h.lines[i].name), same;
        if (len == 0 || len > HOSTS_NAME_MAX || strpbrk(h.lines[i].name, " \t\n#")) abort();
        const struct hosts_line *found = hosts_find(&h, h.lines[i].name, &same);
        if (!found || found > &h.lines[i] || found + same <= &h.lines[i]) abort();
        if (i > 0 && strcmp(h.lines[i - 1].name, h.lines[i].name) == 0 && h.lines[i - 1].order >= h.lines[i].order)
            abort();
    }
    hosts_free(&h);
    return 0;
}
