/* hello: an HTTP server in one function.  usage: hello 127.0.0.1:8000 */
#include <cygnet/cygnet.h>
#include <stdio.h>

static void hello(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)req, (void)arg;
    cyg_http_send(res, 200, "text/plain", "Hello, World!", 13);
}

static int serve(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s ADDRESS:PORT\n", argv[0]);
        return 2;
    }
    return cyg_fail("hello", cyg_http_listen_and_serve(argv[1], hello, NULL, NULL));
}

int main(int argc, char **argv) { return cyg_main(serve, argc, argv); }
