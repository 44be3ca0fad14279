/* http1_head.c: any bytes as a head. The first byte says what kind (q request; r, h, c response to GET, HEAD, CONNECT). However
 * it is cut, the verdict is the same; slices lie inside the head; nothing beyond the input is read.
 */
#include "drive.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void expect(bool ok, const char *what, const struct drive_result *whole, const struct drive_result *cut) {
    if (ok) return;
    fprintf(stderr, "%s\nwhole: %d %d %s %s\ncut:   %d %d %s %s\n", what, whole->verdict, whole->status, whole->reason,
            whole->facts, cut->verdict, cut->status, cut->reason, cut->facts);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const struct cyg_h1_limits lim = {.max_head = 2048, .max_target = 256, .max_fields = 16};
    static struct drive_result whole, cut;
    if (n == 0 || n > 4096) return 0;
    enum drive_kind kind = data[0] == 'r'   ? DRIVE_RESPONSE
                           : data[0] == 'h' ? DRIVE_RESPONSE_HEAD
                           : data[0] == 'c' ? DRIVE_RESPONSE_CONNECT
                                            : DRIVE_REQUEST;
    const char *bytes = (const char *)data + 1;
    n--;
    drive(&whole, kind, &lim, bytes, n, n, 1);
    expect(!whole.broken, whole.broken, &whole, &whole);
    drive(&cut, kind, &lim, bytes, n, 1, 1 + n / 512);
    expect(!cut.broken, cut.broken, &whole, &cut);
    expect(drive_same(&whole, &cut), "byte by byte is not as in one piece", &whole, &cut);
    drive(&cut, kind, &lim, bytes, n, n / 2, n);
    expect(!cut.broken && drive_same(&whole, &cut), "cut in the middle is not as in one piece", &whole, &cut);
    return 0;
}
