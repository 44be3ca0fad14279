/* demo_services.c: see demo_services.h. */
#include "cmd/demo_services.h"

#include <cygnet/packet.h>
#include <cygnet/runtime.h>
#include <cygnet/sync.h>
#include <stdlib.h>

#define MAX_SLOW_MS 60000
#define MAX_BIG_MIB 4096

/* The number behind "name=" in the query, or fallback; at most max. */
static long query_number(const cyg_http_req *req, const char *name, long fallback, long max) {
    cyg_str q = cyg_http_req_query(req);
    size_t n = strlen(name);
    for (size_t i = 0; i + n < q.n; i++) {
        if ((i > 0 && q.p[i - 1] != '&') || memcmp(q.p + i, name, n) != 0 || q.p[i + n] != '=') continue;
        long v = 0;
        for (size_t k = i + n + 1; k < q.n && q.p[k] >= '0' && q.p[k] <= '9' && v <= max; k++)
            v = v * 10 + (q.p[k] - '0');
        return v < max ? v : max;
    }
    return fallback;
}

static void hello(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)req;
    const struct demo_service *me = arg;
    (void)cyg_http_printf(res, 200, "text/plain", "hello from %s\n", me->address);
}

static void slow(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    long ms = query_number(req, "ms", 500, MAX_SLOW_MS);
    if (cyg_sleep(ms * CYG_MILLISECOND) < 0) return;
    (void)cyg_http_printf(res, 200, "text/plain", "answered after %ld ms\n", ms);
}

/* A 500; with ?how=drop, the connection ends without an answer. */
static void failing(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    if (!cyg_str_eq(cyg_http_req_query(req), CYG_STR("how=drop"))) {
        (void)cyg_http_send(res, 500, "text/plain", "this service fails on purpose\n", 30);
        return;
    }
    cyg_conn *c = cyg_conn_acquire(cyg_http_req_conn(req));
    (void)cyg_close(c);
}

static void echo(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    char line[256];
    size_t n;
    const cyg_http_field *f = cyg_http_req_fields(req, &n);
    cyg_http_field type = {CYG_STR("content-type"), CYG_STR("text/plain"), CYG_HTTP_CONTENT_TYPE};
    if (cyg_http_res_begin(res, 200, &type, 1, CYG_HTTP_BODY_CHUNKED) < 0) return;
    cyg_str method = cyg_http_req_method(req), target = cyg_http_req_target(req);
    (void)cyg_http_res_write(res, method.p, method.n);
    (void)cyg_http_res_write(res, " ", 1);
    (void)cyg_http_res_write(res, target.p, target.n);
    (void)cyg_http_res_write(res, "\n", 1);
    for (size_t i = 0; i < n; i++) {
        (void)cyg_http_res_write(res, f[i].name.p, f[i].name.n);
        (void)cyg_http_res_write(res, ": ", 2);
        (void)cyg_http_res_write(res, f[i].value.p, f[i].value.n);
        (void)cyg_http_res_write(res, "\n", 1);
    }
    (void)cyg_http_res_write(res, "\n", 1);
    ssize_t r;
    while ((r = cyg_http_req_read(req, line, sizeof line)) > 0)
        if (cyg_http_res_write(res, line, (size_t)r) < 0) return;
    if (r != CYG_EOF) cyg_http_res_abort(res);
}

static void big(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    long mib = query_number(req, "mib", 64, MAX_BIG_MIB);
    cyg_http_field type = {CYG_STR("content-type"), CYG_STR("application/octet-stream"), CYG_HTTP_CONTENT_TYPE};
    size_t n = 64 * 1024;
    char *piece = malloc(n);
    if (!piece || cyg_http_res_begin(res, 200, &type, 1, CYG_HTTP_BODY_CHUNKED) < 0) {
        free(piece);
        return;
    }
    for (size_t i = 0; i < n; i++) piece[i] = (char)('a' + i % 26);
    for (long i = 0; i < mib * 16 && cyg_http_res_write(res, piece, n) == 0; i++) continue;
    free(piece);
}

struct demo_service demo_services[] = {
    {.name = "hello", .handler = hello},     {.name = "hello", .handler = hello}, {.name = "slow", .handler = slow},
    {.name = "failing", .handler = failing}, {.name = "echo", .handler = echo},   {.name = "big", .handler = big},
};
const size_t demo_nservices = sizeof demo_services / sizeof *demo_services;

static cyg_waitgroup serving; /* goroutines that use a service's server and listener */

static void serve(void *arg) {
    struct demo_service *s = arg;
    (void)cyg_http_server_serve(s->server, s->listener);
    cyg_waitgroup_done(&serving);
}

char demo_shout_address[CYG_ADDR_STRLEN];
static cyg_conn *shout_socket;

static void shout(void *arg) {
    cyg_auto_conn cyg_conn *c = arg;
    char text[1500];
    cyg_addr from;
    for (ssize_t n; (n = cyg_packet_recv(c, text, sizeof text, &from)) >= 0 || n == -EMSGSIZE;) {
        for (ssize_t i = 0; i < n; i++)
            if (text[i] >= 'a' && text[i] <= 'z') text[i] = (char)(text[i] - 'a' + 'A');
        if (n >= 0) (void)cyg_packet_send(c, text, (size_t)n, &from);
    }
}

static int start_shouting(void) {
    cyg_addr a;
    int err = cyg_listen_packet("udp", "127.0.0.1:0", NULL, &shout_socket);
    if (err == 0) err = cyg_conn_local_addr(shout_socket, &a);
    if (err < 0) return err;
    cyg_addr_format(&a, demo_shout_address, sizeof demo_shout_address);
    err = cyg_go_with(&(cyg_go_opts){.name = "demo service"}, shout, cyg_conn_acquire(shout_socket));
    if (err < 0) cyg_conn_release(shout_socket);
    return err;
}

int demo_services_start(void) {
    for (size_t i = 0; i < demo_nservices; i++) {
        struct demo_service *s = &demo_services[i];
        int err = cyg_listen("tcp", "127.0.0.1:0", NULL, &s->listener);
        if (err == 0) err = cyg_http_server_new(s->handler, s, NULL, &s->server);
        if (err < 0) return err;
        cyg_addr a;
        cyg_listener_addr(s->listener, &a);
        cyg_addr_format(&a, s->address, sizeof s->address);
        cyg_waitgroup_add(&serving, 1);
        err = cyg_go_with(&(cyg_go_opts){.name = "demo service"}, serve, s);
        if (err < 0) return cyg_waitgroup_done(&serving), err;
    }
    return start_shouting();
}

void demo_services_stop(void) {
    for (size_t i = 0; i < demo_nservices; i++)
        if (demo_services[i].server) (void)cyg_http_server_shutdown(demo_services[i].server, cyg_now() + CYG_SECOND);
    (void)cyg_waitgroup_wait(&serving); /* one that has not begun yet, too, looks at its server first */
    for (size_t i = 0; i < demo_nservices; i++) {
        struct demo_service *s = &demo_services[i];
        if (!s->server) continue;
        cyg_http_server_release(s->server);
        (void)cyg_listener_close(s->listener);
        s->server = NULL;
    }
    if (shout_socket) (void)cyg_close(shout_socket);
    shout_socket = NULL;
}
