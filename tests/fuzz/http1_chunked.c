/* http1_chunked.c: any bytes as a chunked body. However it is cut, verdict, body and the place of its end are the same; data is
 * among the used bytes; nothing beyond the input is read.
 */
#include "drive.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static struct drive_result whole, cut;
    if (n > 20000) return 0;
    drive(&whole, DRIVE_CHUNKED, NULL, (const char *)data, n, n, 1);
    drive(&cut, DRIVE_CHUNKED, NULL, (const char *)data, n, 1, 1);
    if (whole.broken || cut.broken || !drive_same(&whole, &cut)) {
        fprintf(stderr, "%s\nwhole: %d %s %s\ncut:   %d %s %s\n",
                whole.broken ? whole.broken
                : cut.broken ? cut.broken
                             : "",
                whole.verdict, whole.reason, whole.facts, cut.verdict, cut.reason, cut.facts);
        abort();
    }
    return 0;
}
