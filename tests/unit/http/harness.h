/* harness.h: a server and raw clients in one process, over loopback, on the real runtime. A test's body runs on a goroutine
 * and returns 0 or the line that failed: cmocka's own asserts jump between stacks and must stay on the main thread. */
#ifndef TEST_HTTP_HARNESS_H
#define TEST_HTTP_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cygnet/cygnet.h>

#define CHECK(cond)                                                              \
    do {                                                                         \
        if (!(cond)) {                                                           \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #cond); \
            return __LINE__;                                                     \
        }                                                                        \
    } while (0)

#define TEST(name)                                           \
    static int body_of_##name(void *unused);                 \
    static void name(void **state) {                         \
        (void)state;                                         \
        assert_int_equal(cyg_call(body_of_##name, NULL), 0); \
    }                                                        \
    static int body_of_##name(void *unused __attribute__((unused)))

int runtime_up(void **state);
int runtime_down(void **state);
#define RUN(tests) cmocka_run_group_tests(tests, runtime_up, runtime_down)

/* A server on a port of its own. */
struct server {
    cyg_http_server *s;
    cyg_listener *l;
    cyg_addr addr;
    cyg_waitgroup done;
    int serve_err;
};
int server_up(struct server *sv, cyg_http_handler *handler, void *arg, const cyg_http_server_opts *opts);
int server_down(struct server *sv); /* what the shutdown returned */

/* A listener whose every connection runs a script: the upstream that misbehaves. */
struct upstream {
    cyg_listener *l;
    cyg_addr addr;
    void (*script)(cyg_conn *c, int nth);
    int accepted; /* atomic */
    cyg_waitgroup done;
};
int upstream_up(struct upstream *u, void (*script)(cyg_conn *c, int nth));
void upstream_down(struct upstream *u);

/* What came back on a raw connection, NUL-terminated; closed says whether the peer ended (-ECONNRESET: by reset). */
struct text {
    char p[262144];
    size_t n;
    int end; /* the read's error, or 0 */
};
#define PATIENCE (5 * CYG_SECOND)
cyg_conn *dial(const cyg_addr *a);                             /* NULL on failure */
int put(cyg_conn *c, const char *s);                           /* writes a string; 0 or an error */
void get_all(cyg_conn *c, struct text *t);                     /* reads until the peer ends */
void get_until(cyg_conn *c, struct text *t, const char *mark); /* reads until mark is in the text, or the end */
struct text *ask(const cyg_addr *a, const char *request);      /* dials, writes, reads all, closes; static result */
bool has(const struct text *t, const char *s);
int count(const struct text *t, const char *s);

/* Waits for a condition, with a deadline. */
#define EVENTUALLY(cond)                                                          \
    ({                                                                            \
        cyg_time until_ = cyg_now() + PATIENCE;                                   \
        bool ok_;                                                                 \
        while (!(ok_ = (cond)) && cyg_now() < until_) cyg_sleep(CYG_MILLISECOND); \
        ok_;                                                                      \
    })

#endif
