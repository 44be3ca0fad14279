/* access_log.c: nanoseconds to make one line of the access log: what a load generator causes, what a browser causes, and what
 * somebody sends who wants the line to be expensive. Only the making; handing it to the log is one memcpy more.
 *
 *     cc -O2 -std=gnu17 -D_GNU_SOURCE -Iinclude -Isrc -o access_log bench/micro/access_log.c && ./access_log
 */
#include "gateway/access_log.c" /* in one unit, so that no library is needed */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCHES = 21, ROUNDS = 20000 };

bool cyg_linelog_write(cyg_linelog *l, const char *line, size_t n) {
    (void)l, (void)line, (void)n;
    return true;
}

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *what, struct cyg_gw_access a) {
    char line[CYG_GW_ACCESS_LINE_MAX];
    double ns[BATCHES];
    size_t n = 0;
    for (int b = 0; b < BATCHES; b++) {
        double begin = now_ns();
        for (int i = 0; i < ROUNDS; i++) {
            a.start_unix_ns += 1234567;
            n = cyg_gw_access_format(&a, line);
            __asm__ volatile("" ::"r"(line) : "memory");
        }
        ns[b] = (now_ns() - begin) / ROUNDS;
    }
    qsort(ns, BATCHES, sizeof ns[0], by_value);
    printf("%-16s %4zu bytes  median %6.1f ns  least %6.1f ns\n", what, n, ns[BATCHES / 2], ns[0]);
}

int main(void) {
    struct cyg_gw_access a = {
        .start_unix_ns = 1795426200125000000,
        .method = CYG_STR("GET"),
        .path = CYG_STR("/hello"),
        .protocol = CYG_STR("HTTP/1.1"),
        .response_code = 200,
        .response_code_details = CYG_STR("via_upstream"),
        .bytes_sent = 128,
        .duration_ns = 1834000,
        .upstream_service_ns = 1500000,
        .x_forwarded_for = CYG_STR("127.0.0.1"),
        .request_id = CYG_STR("3f2b8c1d-9e7a-4f60-8bcd-0123456789ab"),
        .authority = CYG_STR("127.0.0.1:8080"),
        .upstream_host = CYG_STR("127.0.0.1:9001"),
        .upstream_cluster = CYG_STR("hello"),
        .downstream_local_address = CYG_STR("127.0.0.1:8080"),
        .downstream_remote_address = CYG_STR("127.0.0.1:40312"),
        .route_name = CYG_STR("everything"),
        .listener = CYG_STR("web"),
        .config_version = CYG_STR("2026-11-23.1"),
        .upstream_request_attempt_count = 1,
    };
    measure("load generator", a);
    a.path = CYG_STR("/shop/articles/1234?colour=green&sort=price&page=7");
    a.user_agent = CYG_STR("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
                           "Safari/537.36");
    a.authority = CYG_STR("shop.example.com");
    a.x_forwarded_for = CYG_STR("203.0.113.9, 198.51.100.17");
    a.bytes_sent = 48213;
    measure("browser", a);
    static char quotes[8192];
    memset(quotes, '"', sizeof quotes);
    a.path = a.user_agent = a.x_forwarded_for = (cyg_str){quotes, sizeof quotes};
    measure("hostile", a);
    return 0;
}
