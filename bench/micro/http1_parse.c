/* http1_parse.c: nanoseconds to parse a typical head, all of it there at once. Three heads: what a load generator sends, what a
 * browser sends, what an upstream answers. The median of 21 batches, and the fastest.
 *
 *     cc -O2 -std=gnu17 -D_GNU_SOURCE -Iinclude -Isrc -o http1_parse bench/micro/http1_parse.c src/proto/http1_*.c \
 *        src/proto/http_field.c && ./http1_parse            # and with -DCYG_H1_PORTABLE_SCAN
 */
#include "proto/http1.h"
#include "proto/http1_scan.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCHES = 21, ROUNDS = 20000, MAX_FIELDS = 64 };

static const char load_generator[] =
    "GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n\r\n";

static const char browser[] =
    "GET /shop/articles/1234?colour=green&sort=price HTTP/1.1\r\nHost: shop.example.com\r\nConnection: keep-alive\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
    "Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\nCache-Control: max-age=0\r\n"
    "Upgrade-Insecure-Requests: 1\r\nReferer: https://shop.example.com/shop/articles?page=7\r\n"
    "Cookie: session=3f2b8c1d9e7a4f60; theme=dark; consent=yes; last=/shop/articles/1200\r\n\r\n";

static const char response[] =
    "HTTP/1.1 200 OK\r\nServer: upstream\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\n"
    "Content-Length: 1234\r\nConnection: keep-alive\r\n\r\n";

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *what, const char *bytes, size_t n, bool is_response) {
    static const struct cyg_h1_limits lim = {.max_head = 16384, .max_target = 8192, .max_fields = MAX_FIELDS};
    cyg_http_field fields[MAX_FIELDS];
    struct cyg_h1_head h;
    double ns[BATCHES];
    for (int b = 0; b < BATCHES; b++) {
        uint64_t begin = now_ns();
        for (int i = 0; i < ROUNDS; i++) {
            cyg_h1_head_init(&h, fields);
            int rc = is_response ? cyg_h1_parse_response(&h, bytes, n, &lim, CYG_STR("GET"))
                                 : cyg_h1_parse_request(&h, bytes, n, &lim);
            if (rc != CYG_H1_DONE) {
                fprintf(stderr, "%s: refused: %s\n", what, h.error);
                exit(1);
            }
            __asm__ volatile("" ::"r"(&h) : "memory");
        }
        ns[b] = (double)(now_ns() - begin) / ROUNDS;
    }
    qsort(ns, BATCHES, sizeof ns[0], by_value);
    printf("%-16s %4zu bytes %2u fields  median %6.1f ns  least %6.1f ns\n", what, n, h.nfields, ns[BATCHES / 2], ns[0]);
}

int main(void) {
#ifdef CYG_H1_SIMD
    printf("scan: %s\n", CYG_H1_SIMD);
#else
    printf("scan: portable\n");
#endif
    measure("load generator", load_generator, sizeof load_generator - 1, false);
    measure("browser", browser, sizeof browser - 1, false);
    measure("response", response, sizeof response - 1, true);
    return 0;
}
