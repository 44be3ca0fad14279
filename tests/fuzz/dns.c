/* dns.c: any bytes as a DNS message: the walk ends, reads nothing beyond them, and says the same of a copy that has nothing behind it. */
#include <stdlib.h>
#include <string.h>

#include "proto/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct cyg_dns_life a = {0}, b = {0};
    uint8_t *copy = malloc(n ? n : 1); /* what is read beyond it, AddressSanitizer tells */
    if (!copy) return 0;
    if (n) memcpy(copy, data, n);
    int x = cyg_dns_life(data, n, &a), y = cyg_dns_life(copy, n, &b);
    if (x != y || memcmp(&a, &b, sizeof a) != 0) abort();
    if (x == 0 && n < 12) abort(); /* no header */
    free(copy);
    return 0;
}
