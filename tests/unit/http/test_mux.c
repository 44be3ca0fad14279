/* Patterns: which handler a path finds, and what its names hold. */
#include "harness.h"

static void tell(cyg_http_req *req, cyg_http_res *res, void *arg) {
    cyg_http_printf(res, 200, NULL, "%s(" CYG_STR_FMT "," CYG_STR_FMT ")", (const char *)arg,
                    CYG_STR_ARG(cyg_http_param(req, "id")), CYG_STR_ARG(cyg_http_param(req, "file")));
}

static const char *const patterns[] = {
    "GET /users/{id}",          "GET /users/me", "POST /users/{id}", "/static/",  "GET /static/exact",
    "/users/{id}/files/{file}", "/only",         "GET /a/{id}/c",    "GET /a/b/",
};

static int finds(const cyg_addr *a, const char *method, const char *path, const char *want) {
    char request[256];
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", method, path);
    struct text *t = ask(a, request);
    if (!has(t, want)) fprintf(stderr, "%s %s: want %s, got %s\n", method, path, want, t->p);
    CHECK(has(t, want));
    return 0;
}

TEST(test_paths_find_their_handlers) {
    struct server sv;
    cyg_http_mux *mux = cyg_http_mux_new();
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        CHECK(cyg_http_handle(mux, patterns[i], tell, (void *)(uintptr_t)patterns[i]) == 0);
    CHECK(server_up(&sv, cyg_http_mux_serve, mux, NULL) == 0);
    static const struct {
        const char *method, *path, *want;
    } cases[] = {
        {"GET", "/users/7", "GET /users/{id}(7,)"},
        {"GET", "/users/me", "GET /users/me(,)"},
        {"POST", "/users/me", "POST /users/{id}(me,)"},
        {"GET", "/users/7?x=/y", "GET /users/{id}(7,)"},
        {"GET", "/users/7/files/a%2Fb", "/users/{id}/files/{file}(7,a%2Fb)"},
        {"PUT", "/static/", "/static/(,)"},
        {"GET", "/static/a/b/c", "/static/(,)"},
        {"GET", "/static/exact", "GET /static/exact(,)"},
        {"PUT", "/static/exact", "/static/(,)"},
        {"GET", "/a/b/c", "GET /a/b/(,)"},
        {"GET", "/a/x/c", "GET /a/{id}/c(x,)"},
        {"GET", "/only", "/only(,)"},
        {"GET", "/only/", "404 Not Found"},
        {"GET", "/", "404 Not Found"},
        {"GET", "/users/", "404 Not Found"},
        {"GET", "/static", "404 Not Found"},
        {"DELETE", "/users/7", "405 Method Not Allowed"},
        {"HEAD", "/users/7", "HTTP/1.1 200 OK"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int line = finds(&sv.addr, cases[i].method, cases[i].path, cases[i].want);
        if (line) return line;
    }
    struct text *t = ask(&sv.addr, "DELETE /users/7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    CHECK(has(t, "Allow: POST, GET\r\n"));
    CHECK(server_down(&sv) == 0);
    cyg_http_mux_free(mux);
    return 0;
}

TEST(test_malformed_and_double_patterns_are_refused) {
    cyg_http_mux *mux = cyg_http_mux_new();
    static const char *const bad[] = {"", "users", "GET users", "/a//b", "/{}", "/{id", "/x{id}/{", "GE T /a", " /a"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (i != 6) CHECK(cyg_http_handle(mux, bad[i], tell, NULL) == CYG_EINVAL);
    CHECK(cyg_http_handle(mux, "GET /a", tell, NULL) == 0);
    CHECK(cyg_http_handle(mux, "GET /a", tell, NULL) == CYG_ESTATE);
    CHECK(cyg_http_handle(mux, "/a", tell, NULL) == 0);
    CHECK(cyg_http_handle(mux, "/b", NULL, NULL) == CYG_EINVAL);
    cyg_http_mux_free(mux);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_find_their_handlers),
        cmocka_unit_test(test_malformed_and_double_patterns_are_refused),
    };
    return RUN(tests);
}
