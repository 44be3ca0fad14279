/* fetch.c: the admin pages of a running gateway, over HTTP. See gateway.h. */
#include "doctor/gateway.h"

#include <cygnet/http.h>
#include <cygnet/runtime.h>
#include <stdio.h>
#include <stdlib.h>

#define WITHIN (10 * CYG_SECOND)
#define PAGE_MAX ((size_t)16 << 20)

int doc_gateway_address(const char *url, cyg_addr *out) {
    char text[128];
    if (strncmp(url, "http://", 7) == 0) url += 7;
    size_t n = strcspn(url, "/");
    if (n == 0 || n >= sizeof text || (url[n] && url[n + 1])) return CYG_EPARSE;
    memcpy(text, url, n);
    text[n] = 0;
    return cyg_addr_parse("tcp", text, out);
}

static int read_body(cyg_http_client_conn *cc, cyg_time deadline, char **out, size_t *n) {
    cyg_str piece;
    ssize_t r;
    *out = NULL;
    *n = 0;
    while ((r = cyg_http_client_next(cc, &piece, deadline)) > 0) {
        char *more = *n + piece.n <= PAGE_MAX ? realloc(*out, *n + piece.n + 1) : NULL;
        if (!more) return CYG_ENOMEM;
        memcpy(more + *n, piece.p, piece.n);
        *out = more;
        *n += piece.n;
        more[*n] = 0;
    }
    return r == CYG_EOF ? 0 : (int)r;
}

static int get(cyg_http_pool *pool, const char *host, const char *path, char **out, size_t *n) {
    cyg_time deadline = cyg_now() + WITHIN;
    cyg_http_client_conn *cc;
    int err = cyg_http_pool_get(pool, deadline, &cc, NULL);
    if (err < 0) return err;
    cyg_http_field field = {CYG_STR("Host"), cyg_str_of(host), CYG_HTTP_HOST};
    cyg_http_call call = {.method = CYG_STR("GET"), .target = cyg_str_of(path), .fields = &field, .nfields = 1};
    cyg_http_answer answer = {0};
    err = cyg_http_client_send(cc, &call, deadline);
    if (err == 0) err = cyg_http_client_recv(cc, &answer, deadline);
    if (err == 0) err = read_body(cc, deadline, out, n);
    if (err == 0 && answer.status != 200) err = CYG_EPROTO;
    cyg_http_pool_put(cc);
    return err;
}

int doc_gateway_fetch(const cyg_addr *to, struct doc_gateway *out) {
    char host[CYG_ADDR_STRLEN];
    cyg_http_pool *pool;
    cyg_addr_format(to, host, sizeof host);
    *out = (struct doc_gateway){0};
    snprintf(out->base, sizeof out->base, "http://%s", host);
    int err = cyg_http_pool_new(to, NULL, &pool);
    if (err < 0) return err;
    err = get(pool, host, "/debug/sockets", &out->sockets, &out->nsockets);
    if (err == 0) err = get(pool, host, "/metrics", &out->metrics, &out->nmetrics);
    double ignored;
    if (err == 0 && !doc_gateway_sum(out, "cygnet_build_info", NULL, NULL, &ignored)) err = CYG_EPROTO;
    cyg_http_pool_close(pool);
    if (err < 0) doc_gateway_free(out);
    return err;
}

void doc_gateway_free(struct doc_gateway *g) {
    free(g->metrics);
    free(g->sockets);
    g->metrics = g->sockets = NULL;
}
