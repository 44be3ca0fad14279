/* http.h in use: a server with a mux, and a client from a pool. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/http.h>
#include <cygnet/runtime.h>

static void hello(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    cyg_http_printf(res, 200, "text/plain", "hello, " CYG_STR_FMT, CYG_STR_ARG(cyg_http_param(req, "name")));
}

struct serving {
    cyg_http_server *server;
    cyg_listener *listener;
};

static void serve(void *arg) {
    struct serving *s = (struct serving *)arg;
    (void)cyg_http_server_serve(s->server, s->listener);
}

static int get(const cyg_addr *to, cyg_time deadline) {
    cyg_http_pool *pool;
    cyg_http_client_conn *cc;
    int err = cyg_http_pool_new(to, NULL, &pool);
    if (err < 0) return err;
    if ((err = cyg_http_pool_get(pool, deadline, &cc, NULL)) < 0) return cyg_http_pool_close(pool), err;
    cyg_http_field host = {CYG_STR("Host"), CYG_STR("localhost"), CYG_HTTP_HOST};
    cyg_http_call call;
    memset(&call, 0, sizeof call);
    call.method = CYG_STR("GET"), call.target = CYG_STR("/hello/world");
    call.fields = &host, call.nfields = 1;
    cyg_http_answer answer;
    cyg_str piece = {NULL, 0};
    if ((err = cyg_http_client_send(cc, &call, deadline)) == 0) err = cyg_http_client_recv(cc, &answer, deadline);
    if (err == 0 && answer.status != 200) err = CYG_EPROTO;
    if (err == 0 && cyg_http_client_next(cc, &piece, deadline) < 0) err = CYG_EPROTO;
    if (err == 0 && !cyg_str_eq(piece, CYG_STR("hello, world"))) err = CYG_EPROTO;
    if (err == 0 && cyg_http_client_next(cc, &piece, deadline) != CYG_EOF) err = CYG_EPROTO;
    cyg_http_pool_put(cc);
    cyg_http_pool_close(pool);
    return err;
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_addr addr;
    struct serving s = {NULL, NULL};
    cyg_time deadline = cyg_now() + 10 * CYG_SECOND;
    cyg_http_mux *mux = cyg_http_mux_new();
    int err = cyg_http_handle(mux, "GET /hello/{name}", hello, NULL);
    if (err == 0) err = cyg_http_server_new(cyg_http_mux_serve, mux, NULL, &s.server);
    if (err == 0) err = cyg_listen("tcp", "127.0.0.1:0", NULL, &s.listener);
    if (err < 0) return cyg_fail("set up", err);
    cyg_listener_addr(s.listener, &addr);
    if ((err = cyg_go_copy(serve, &s)) < 0) return err;
    if ((err = get(&addr, deadline)) < 0) return cyg_fail("get", err);
    err = cyg_http_server_shutdown(s.server, deadline);
    cyg_http_server_release(s.server);
    cyg_http_mux_free(mux);
    return err;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
