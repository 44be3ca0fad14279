/* access_log.c: nanoseconds to make one line of the access log, and to make it and hand it to the log: what a load generator
 * causes, what a browser causes, and what somebody sends who wants the line to be expensive. The log writes to /dev/null, so
 * that lines are dropped only when this machine cannot run the writer beside the producer.
 *
 *     cc -O2 -std=gnu17 -D_GNU_SOURCE -Iinclude -Isrc -o access_log bench/micro/access_log.c src/gateway/access_log.c \
 *        src/gateway/log_file.c src/gateway/second.c -lcygnet -lpthread && ./access_log
 */
#include "gateway/access_log.h"
#include <cygnet/runtime.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCHES = 21, ROUNDS = 20000 };

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *what, struct cyg_gw_access a, struct cyg_gw_log_file *log) {
    char line[CYG_GW_ACCESS_LINE_MAX];
    double ns[BATCHES];
    struct cyg_gw_second second = {0};
    a.start = cyg_now();
    size_t n = cyg_gw_access_format(&a, &second, line);
    for (int b = 0; b < BATCHES; b++) {
        if (log) (void)cyg_linelog_flush(log->lines, 0);
        cyg_time begin = a.start = cyg_now();
        for (int i = 0; i < ROUNDS; i++) {
            if (log)
                cyg_gw_access_write(log, &a);
            else
                cyg_gw_access_format(&a, &second, line);
            __asm__ volatile("" ::"r"(line) : "memory");
        }
        ns[b] = (double)(cyg_now() - begin) / ROUNDS;
    }
    qsort(ns, BATCHES, sizeof ns[0], by_value);
    printf("%-16s %4zu bytes, %s median %7.1f ns  least %7.1f ns\n", what, n,
           log ? "made and taken," : "made,          ", ns[BATCHES / 2], ns[0]);
}

static void measure_both(const char *what, const struct cyg_gw_access *a, struct cyg_gw_log_file *log) {
    measure(what, *a, NULL);
    measure(what, *a, log);
}

static int run(int argc, char **argv) {
    (void)argc, (void)argv;
    struct cyg_gw_log_file *log;
    int err = cyg_gw_log_file_open("/dev/null", &(cyg_linelog_opts){.buffer_bytes = 32 << 20}, &log);
    if (err < 0) return cyg_fail("/dev/null", err);
    struct cyg_gw_access_run upstream, local, configured;
    struct cyg_gw_access a = {
        .method = CYG_STR("GET"),
        .path = CYG_STR("/hello"),
        .protocol = CYG_GW_ACCESS_PROTOCOL("HTTP/1.1"),
        .response_code = 200,
        .outcome = CYG_GW_ACCESS_OUTCOME("-", "via_upstream"),
        .bytes_sent = 128,
        .duration_ns = 1834000,
        .upstream_service_ns = 1500000,
        .x_forwarded_for = CYG_STR("127.0.0.1"),
        .request_id = CYG_STR("3f2b8c1d-9e7a-4f60-8bcd-0123456789ab"),
        .authority = CYG_STR("127.0.0.1:8080"),
        .upstream = cyg_gw_access_upstream(&upstream, CYG_STR("127.0.0.1:9001"), CYG_STR("hello")),
        .local = cyg_gw_access_local(&local, CYG_STR("127.0.0.1:8080")),
        .downstream_remote_address = CYG_STR("127.0.0.1:40312"),
        .configured = cyg_gw_access_configured(&configured, CYG_STR("everything"), CYG_STR("web"), CYG_STR("2026-11-23.1")),
        .upstream_request_attempt_count = 1,
    };
    measure_both("load generator", &a, log);
    a.path = CYG_STR("/shop/articles/1234?colour=green&sort=price&page=7");
    a.user_agent = CYG_STR("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
                           "Safari/537.36");
    a.authority = CYG_STR("shop.example.com");
    a.x_forwarded_for = CYG_STR("203.0.113.9, 198.51.100.17");
    a.bytes_sent = 48213;
    measure_both("browser", &a, log);
    static char quotes[8192];
    memset(quotes, '"', sizeof quotes);
    a.path = a.user_agent = a.x_forwarded_for = (cyg_str){quotes, sizeof quotes};
    measure_both("hostile", &a, log);
    (void)cyg_linelog_flush(log->lines, 0);
    cyg_linelog_stats s;
    cyg_linelog_get_stats(log->lines, &s);
    printf("%llu lines written, %llu dropped\n", (unsigned long long)s.lines_total, (unsigned long long)s.dropped_total);
    cyg_gw_log_file_release(log);
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
