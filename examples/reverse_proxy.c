/* reverse_proxy: passes every request on to one upstream.  usage: reverse_proxy 127.0.0.1:8080 127.0.0.1:9000
 * The pool keeps connections to the upstream; cyg_http_forward knows which header fields go on and streams bodies both ways. */
#include <cygnet/cygnet.h>
#include <stdio.h>

static int status_for(cyg_http_forward_status s) {
    switch (s) {
    case CYG_FORWARD_OVERFLOW: return 503;
    case CYG_FORWARD_TIMEOUT: return 504;
    case CYG_FORWARD_CLIENT_BODY: return 400;
    case CYG_FORWARD_NOT_ALLOWED: return 501;
    default: return 502;
    }
}

static void proxy(cyg_http_req *req, cyg_http_res *res, void *pool) {
    cyg_http_forward_opts opts = {.deadline = cyg_now_cached() + 30 * CYG_SECOND};
    cyg_http_forward_result r;
    cyg_http_forward(req, res, pool, &opts, &r);
    if (!r.answered)
        cyg_http_printf(res, status_for(r.status), "text/plain", "%s\n", cyg_http_forward_reason(r.status));
}

static int serve(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s ADDRESS:PORT UPSTREAM:PORT\n", argv[0]);
        return 2;
    }
    cyg_addr upstream;
    cyg_http_pool *pool;
    int err = cyg_addr_parse("tcp", argv[2], &upstream);
    if (err < 0) return cyg_fail(argv[2], err);
    if ((err = cyg_http_pool_new(&upstream, NULL, &pool)) < 0) return cyg_fail("pool", err);
    err = cyg_http_listen_and_serve(argv[1], proxy, pool, NULL);
    cyg_http_pool_close(pool);
    return cyg_fail("reverse_proxy", err);
}

int main(int argc, char **argv) { return cyg_main(serve, argc, argv); }
