/* doctor_metrics.c: any bytes as a gateway's metrics: every sample that is read lies within them, and reading ends. */
#include "doctor/gateway.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define EXPECT(condition)                                               \
    do {                                                                \
        if (condition) break;                                           \
        fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition); \
        abort();                                                        \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    cyg_str rest = {(const char *)data, n};
    const char *end = rest.p + n;
    struct doc_metric m;
    char text[16];
    while (doc_metric_next(&rest, &m)) {
        EXPECT(m.name.n > 0 && m.name.p >= (const char *)data && m.name.p + m.name.n <= end);
        EXPECT(m.labels.p >= m.name.p && m.labels.p + m.labels.n <= end);
        EXPECT(rest.p + rest.n == end && !isnan(m.value));
        if (doc_metric_label(&m, "x", text, sizeof text)) EXPECT(memchr(text, 0, sizeof text));
    }
    EXPECT(rest.n == 0);
    struct doc_gateway g = {.metrics = (char *)(uintptr_t)data, .nmetrics = n};
    double sum;
    (void)doc_gateway_sum(&g, "a", "x", "1", &sum);
    return 0;
}
