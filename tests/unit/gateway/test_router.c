/* test_router.c: which route a request takes, by a table, and by comparison with the definition of a match over random routes. */
#include "gateway/router.h"

#include "gateway/keyset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct cyg_gw_route route(const char *name, enum cyg_gw_host_kind hk, const char *host, enum cyg_gw_path_kind pk,
                                 const char *path) {
    return (struct cyg_gw_route){
        .name = cyg_str_of(name),
        .match = {.host_kind = hk, .path_kind = pk, .host = cyg_str_of(host), .path = cyg_str_of(path)}};
}

static const char *find(const struct cyg_gw_router *r, const char *host, const char *path) {
    const struct cyg_gw_route *found = cyg_gw_router_find(r, cyg_str_of(host), cyg_str_of(path));
    return found ? found->name.p : "none";
}

static void test_most_specific_match_wins(void **state) {
    (void)state;
    struct cyg_gw_route routes[] = {
        route("any", CYG_GW_HOST_ANY, "", CYG_GW_PATH_ANY, ""),
        route("any-a", CYG_GW_HOST_ANY, "", CYG_GW_PATH_PREFIX, "/a/"),
        route("shop", CYG_GW_HOST_EXACT, "shop.example.com", CYG_GW_PATH_PREFIX, "/orders/"),
        route("shop-one", CYG_GW_HOST_EXACT, "shop.example.com", CYG_GW_PATH_EXACT, "/orders/1"),
        route("shop-deep", CYG_GW_HOST_EXACT, "shop.example.com", CYG_GW_PATH_PREFIX, "/orders/old/"),
        route("suffix", CYG_GW_HOST_SUFFIX, ".example.com", CYG_GW_PATH_PREFIX, "/s/"),
        route("suffix-long", CYG_GW_HOST_SUFFIX, ".eu.example.com", CYG_GW_PATH_PREFIX, "/s/"),
        route("v6", CYG_GW_HOST_EXACT, "[::1]", CYG_GW_PATH_ANY, ""),
    };
    static const struct {
        const char *host, *path, *want;
    } cases[] = {
        {"shop.example.com", "/orders/1", "shop-one"},
        {"shop.example.com", "/orders/2", "shop"},
        {"shop.example.com", "/orders/", "shop"},
        {"shop.example.com", "/orders", "any"},
        {"shop.example.com", "/orders/old/7", "shop-deep"},
        {"shop.example.com", "/orders/older", "shop"},
        {"SHOP.Example.COM:8080", "/orders/2", "shop"},
        {"shop.example.com.", "/orders/2", "shop"},
        {"shop.example.com", "/s/1", "suffix"}, /* the exact host has no such path */
        {"a.example.com", "/s/1", "suffix"},
        {"a.eu.example.com", "/s/1", "suffix-long"},
        {"eu.example.com", "/s/1", "suffix"},
        {"example.com", "/s/1", "any"},
        {".example.com", "/s/1", "any"},
        {"xexample.com", "/s/1", "any"},
        {"other", "/a/b", "any-a"},
        {"other", "*", "any"},
        {"", "/", "any"},
        {"[::1]:80", "/a/b", "v6"},
        {"[::1]", "/", "v6"},
    };
    struct cyg_gw_router *r = cyg_gw_router_new(routes, sizeof routes / sizeof *routes);
    assert_non_null(r);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = find(r, cases[i].host, cases[i].path);
        if (strcmp(got, cases[i].want) != 0)
            fail_msg("%s %s: took %s, not %s", cases[i].host, cases[i].path, got, cases[i].want);
    }
    cyg_gw_router_free(r);
}

static void test_no_route_is_null(void **state) {
    (void)state;
    struct cyg_gw_route routes[] = {route("one", CYG_GW_HOST_EXACT, "a", CYG_GW_PATH_EXACT, "/x")};
    struct cyg_gw_router *r = cyg_gw_router_new(routes, 1);
    assert_string_equal(find(r, "a", "/x"), "one");
    assert_string_equal(find(r, "a", "/y"), "none");
    assert_string_equal(find(r, "b", "/x"), "none");
    assert_string_equal(find(r, "a", "/x/"), "none");
    cyg_gw_router_free(r);
}

/* ---- against the definition ------------------------------------------------------------------------------------- */

static uint32_t seed = 12345;
static unsigned pick(unsigned n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 16) % n;
}

#define ROUTES 40
static char texts[ROUTES][2][64];

static void random_labels(char *out, unsigned labels) {
    *out = 0;
    for (unsigned i = 0; i < labels; i++) sprintf(out + strlen(out), "%s%c", i ? "." : "", "ab"[pick(2)]);
}
static void random_path(char *out, unsigned segments) {
    strcpy(out, "/");
    for (unsigned i = 0; i < segments; i++)
        sprintf(out + strlen(out), "%c%s", "ab"[pick(2)], i + 1 < segments ? "/" : "");
}

static bool same(const struct cyg_gw_match *a, const struct cyg_gw_match *b) {
    return a->host_kind == b->host_kind && a->path_kind == b->path_kind && cyg_str_eq(a->host, b->host) &&
           cyg_str_eq(a->path, b->path);
}

static size_t random_routes(struct cyg_gw_route *out) {
    size_t n = 0;
    for (size_t i = 0; i < ROUTES; i++) {
        struct cyg_gw_match m = {.host_kind = pick(3), .path_kind = pick(3)};
        char *host = texts[i][0], *path = texts[i][1];
        *host = *path = 0;
        if (m.host_kind == CYG_GW_HOST_SUFFIX) *host++ = '.', random_labels(host--, 1 + pick(3));
        if (m.host_kind == CYG_GW_HOST_EXACT) random_labels(host, 1 + pick(4));
        if (m.path_kind == CYG_GW_PATH_EXACT) random_path(path, pick(5));
        if (m.path_kind == CYG_GW_PATH_PREFIX) random_path(path, 1 + pick(4)), strcat(path, "/");
        m.host = cyg_str_of(host);
        m.path = cyg_str_of(path);
        bool twice = false;
        for (size_t k = 0; k < n; k++) twice |= same(&out[k].match, &m);
        if (!twice) out[n++] = (struct cyg_gw_route){.match = m};
    }
    return n;
}

/* Whether a is more specific than b; both fit. */
static bool beats(const struct cyg_gw_match *a, const struct cyg_gw_match *b) {
    static const int host_rank[] = {[CYG_GW_HOST_ANY] = 0, [CYG_GW_HOST_SUFFIX] = 1, [CYG_GW_HOST_EXACT] = 2};
    static const int path_rank[] = {[CYG_GW_PATH_ANY] = 0, [CYG_GW_PATH_PREFIX] = 1, [CYG_GW_PATH_EXACT] = 2};
    if (a->host_kind != b->host_kind) return host_rank[a->host_kind] > host_rank[b->host_kind];
    if (a->host.n != b->host.n) return a->host.n > b->host.n;
    if (a->path_kind != b->path_kind) return path_rank[a->path_kind] > path_rank[b->path_kind];
    return a->path.n > b->path.n;
}

static void test_agrees_with_the_definition_of_a_match(void **state) {
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct cyg_gw_route routes[ROUTES];
        size_t n = random_routes(routes);
        struct cyg_gw_router *r = cyg_gw_router_new(routes, n);
        for (int i = 0; i < 100; i++) {
            char host[64], path[64];
            random_labels(host, 1 + pick(5));
            random_path(path, pick(6));
            if (pick(3) == 0) strcat(path, "/");
            if (pick(4) == 0) strcat(host, ":80");
            const struct cyg_gw_route *want = NULL;
            for (size_t k = 0; k < n; k++)
                if (cyg_gw_match_fits(&routes[k].match, cyg_str_of(host), cyg_str_of(path)) &&
                    (!want || beats(&routes[k].match, &want->match)))
                    want = &routes[k];
            if (cyg_gw_router_find(r, cyg_str_of(host), cyg_str_of(path)) != want) fail_msg("%s %s", host, path);
        }
        cyg_gw_router_free(r);
    }
}

static void test_keyset_walks_from_longest_to_shortest(void **state) {
    (void)state;
    struct cyg_gw_key keys[] = {
        {.s = CYG_STR("/a/b/")}, {.s = CYG_STR("/")}, {.s = CYG_STR("/a/")}, {.s = CYG_STR("/a/bc/")}};
    struct cyg_gw_keyset set = {.order = CYG_GW_FORWARD, .keys = keys, .n = 4};
    cyg_gw_keyset_seal(&set);
    const struct cyg_gw_key *k = cyg_gw_keyset_longest(&set, CYG_STR("/a/b/c"));
    assert_true(k && cyg_str_eq(k->s, CYG_STR("/a/b/")));
    k = cyg_gw_keyset_shorter(&set, k);
    assert_true(k && cyg_str_eq(k->s, CYG_STR("/a/")));
    k = cyg_gw_keyset_shorter(&set, k);
    assert_true(k && cyg_str_eq(k->s, CYG_STR("/")));
    assert_null(cyg_gw_keyset_shorter(&set, k));
    assert_null(cyg_gw_keyset_longest(&set, CYG_STR("")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_most_specific_match_wins),
        cmocka_unit_test(test_no_route_is_null),
        cmocka_unit_test(test_agrees_with_the_definition_of_a_match),
        cmocka_unit_test(test_keyset_walks_from_longest_to_shortest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
