/* proxy_header.c: any bytes as a PROXY protocol header. However many have come, the verdict is the same once there is one; slices stay
 * within the input; what was read can be written and read again.
 */
#include "drive.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    if (n > CYG_PROXY_MAX + 16) return 0;
    const char *p = (const char *)data, *broken = proxy_drive_growing(p, n);
    if (!broken) broken = proxy_drive_written(p, n);
    if (broken) {
        fprintf(stderr, "%s\n", broken);
        abort();
    }
    return 0;
}
