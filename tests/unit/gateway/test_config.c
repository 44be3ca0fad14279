/* test_config.c: right documents: every key lands in its field, defaults fill the rest, routes come in the order in which they
 * are tried; and the pages made from the table are up to date.
 */
#include "gateway/config.h"
#include "gateway/config_reference.h"
#include "gateway/config_schema.h"

#include <libgen.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct cyg_gw_config *parse(const char *text) {
    struct cyg_gw_config *c = NULL;
    struct cyg_gw_problems p = {0};
    int err = cyg_gw_config_parse("t.yaml", text, strlen(text), &c, &p);
    for (size_t i = 0; i < p.n; i++) print_error("%s\n", p.items[i].text);
    assert_int_equal(err, 0);
    assert_int_equal(p.n + p.dropped, 0);
    cyg_gw_problems_free(&p);
    return c;
}

#define assert_str(s, z)                                  \
    do {                                                  \
        assert_int_equal((s).n, strlen(z));               \
        assert_string_equal((s).p, z); /* with its NUL */ \
    } while (0)

/* ---- every key -------------------------------------------------------------------------------------------------- */

static const char everything[] =
    "version: \"2026-11-23.1\"\n"
    "listeners:\n"
    "  - name: web\n"
    "    address: 127.0.0.1:8080\n"
    "    protocol: http\n"
    "    trusted: [10.0.0.0/8, 192.168.1.7, 'fd00::/8', '::ffff:172.16.0.0/108']\n"
    "    timeouts: { head: 1s, idle: 2m, body: 1.5s, write: 1h }\n"
    "    limits: { max_head_bytes: 8KiB, max_fields: 10, max_body_bytes: 1MB, max_connections: 7 }\n"
    "    routes:\n"
    "      - name: orders\n"
    "        match: { host: Shop.Example.com, path: /orders/* }\n"
    "        cluster: orders\n"
    "        timeout: 1m30s\n"
    "  - name: local\n"
    "    address: unix:/run/web.sock\n"
    "    routes: [{ name: all, cluster: shop }]\n"
    "  - name: database\n"
    "    address: ':3306'\n"
    "    protocol: tcp\n"
    "    cluster: mysql\n"
    "    proxy_protocol: { accept_from: [10.1.0.0/16, '::1'], timeout: 3s }\n"
    "    timeouts: { idle: 2h, half_closed: 10s }\n"
    "    limits: { max_connections: 9, max_connections_per_address: 3, max_half_closed: 4 }\n"
    "  - name: names\n"
    "    address: ':53'\n"
    "    protocol: udp\n"
    "    cluster: mysql\n"
    "    timeouts: { idle: 5s }\n"
    "    limits: { max_sessions: 6 }\n"
    "clusters:\n"
    "  - { name: mysql, endpoints: ['127.0.0.1:13306'], proxy_protocol: { send: v2 } }\n"
    "  - name: shop\n"
    "    endpoints: ['unix:@shop', '[::1]:9003']\n"
    "  - name: orders\n"
    "    endpoints: ['127.0.0.1:9001']\n"
    "    connect_timeout: 250ms\n"
    "    balance: round-robin\n"
    "    pool: { max_connections: 4, max_idle: 2, min_idle: 1, max_waiters: 3,"
    " wait_timeout: 100ms, idle_timeout: 5s, max_life: 1h }\n"
    "access_log: { path: access.log, buffer_bytes: 4096, flush_interval: 1s }\n"
    "admin: { address: 'localhost:9901' }\n"
    "drain: { timeout: 2s }\n";

static void test_every_key_lands_in_its_field(void **state) {
    (void)state;
    struct cyg_gw_config *c = parse(everything);
    assert_str(c->version, "2026-11-23.1");
    assert_str(c->source, "t.yaml");
    assert_int_equal(c->nlisteners, 4);
    assert_int_equal(c->nclusters, 3);
    assert_int_equal(c->nroutes, 2);
    assert_int_equal(c->nendpoints, 4);

    assert_false(c->access_log.off);
    assert_string_equal(c->access_log.path, "access.log");
    assert_int_equal(c->access_log.buffer_bytes, 4096);
    assert_int_equal(c->access_log.flush_interval, CYG_SECOND);
    assert_true(c->admin.on);
    assert_str(c->admin.address, "localhost:9901");
    assert_string_equal(c->admin.network, "tcp");
    assert_string_equal(c->admin.bind, "localhost:9901");
    assert_int_equal(c->admin.addr.port, 9901);
    assert_int_equal(c->drain.timeout, 2 * CYG_SECOND);
    cyg_gw_config_free(c);
}

static void test_listeners_and_routes_land_in_their_fields(void **state) {
    (void)state;
    struct cyg_gw_config *c = parse(everything);
    const struct cyg_gw_listener *l = &c->listeners[0];
    assert_str(l->name, "web");
    assert_str(l->address, "127.0.0.1:8080");
    assert_string_equal(l->network, "tcp");
    assert_string_equal(l->bind, "127.0.0.1:8080");
    assert_int_equal(l->addr.family, CYG_AF_IPV4);
    assert_int_equal(l->addr.port, 8080);
    assert_int_equal(l->protocol, CYG_GW_HTTP);
    assert_int_equal(l->timeouts.head, CYG_SECOND);
    assert_int_equal(l->timeouts.idle, 2 * CYG_MINUTE);
    assert_int_equal(l->timeouts.body, 1500 * CYG_MILLISECOND);
    assert_int_equal(l->timeouts.write, CYG_HOUR);
    assert_int_equal(l->limits.max_head_bytes, 8192);
    assert_int_equal(l->limits.max_fields, 10);
    assert_int_equal(l->limits.max_body_bytes, 1000000);
    assert_int_equal(l->limits.max_connections, 7);
    assert_int_equal(l->ntrusted, 4);
    assert_str(l->trusted[1].text, "192.168.1.7");
    assert_int_equal(l->trusted[1].prefix, 32);
    assert_int_equal(l->nroutes, 1);
    const struct cyg_gw_route *r = &l->routes[0];
    assert_str(r->name, "orders");
    assert_int_equal(r->match.host_kind, CYG_GW_HOST_EXACT);
    assert_str(r->match.host, "shop.example.com");
    assert_int_equal(r->match.path_kind, CYG_GW_PATH_PREFIX);
    assert_str(r->match.path, "/orders/");
    assert_ptr_equal(r->cluster, &c->clusters[2]);
    assert_int_equal(r->timeout, 90 * CYG_SECOND);
    assert_string_equal(c->listeners[1].network, "unix");
    assert_string_equal(c->listeners[1].bind, "/run/web.sock");
    assert_int_equal(c->listeners[1].addr.family, CYG_AF_UNIX);
    cyg_gw_config_free(c);
}

static void test_clusters_land_in_their_fields(void **state) {
    (void)state;
    struct cyg_gw_config *c = parse(everything);
    const struct cyg_gw_cluster *shop = &c->clusters[1], *orders = &c->clusters[2];
    assert_str(orders->name, "orders");
    assert_int_equal(shop->index, 1);
    assert_int_equal(orders->index, 2);
    assert_int_equal(orders->connect_timeout, 250 * CYG_MILLISECOND);
    assert_int_equal(orders->balance, CYG_GW_ROUND_ROBIN);
    assert_int_equal(orders->pool.max_connections, 4);
    assert_int_equal(orders->pool.max_idle, 2);
    assert_int_equal(orders->pool.max_waiters, 3);
    assert_int_equal(orders->pool.idle_timeout, 5 * CYG_SECOND);
    assert_int_equal(orders->pool.min_idle, 1);
    assert_int_equal(orders->pool.wait_timeout, 100 * CYG_MILLISECOND);
    assert_int_equal(orders->pool.max_life, CYG_HOUR);
    assert_int_equal(orders->nendpoints, 1);
    assert_str(orders->endpoints[0].text, "127.0.0.1:9001");
    assert_int_equal(orders->endpoints[0].addr.port, 9001);
    assert_int_equal(shop->nendpoints, 2);
    assert_str(shop->endpoints[0].text, "unix:@shop");
    assert_string_equal(shop->endpoints[0].addr.path, "@shop");
    assert_int_equal(shop->endpoints[1].addr.family, CYG_AF_IPV6);
    assert_int_equal(shop->proxy_protocol.send, CYG_GW_PROXY_OFF);
    assert_int_equal(c->clusters[0].proxy_protocol.send, CYG_GW_PROXY_V2);
    cyg_gw_config_free(c);
}

static void test_listeners_of_tcp_and_udp_land_in_their_fields(void **state) {
    (void)state;
    struct cyg_gw_config *c = parse(everything);
    const struct cyg_gw_listener *tcp = &c->listeners[2], *udp = &c->listeners[3];
    assert_int_equal(tcp->protocol, CYG_GW_TCP);
    assert_string_equal(tcp->network, "tcp");
    assert_ptr_equal(tcp->cluster, &c->clusters[0]);
    assert_int_equal(tcp->nroutes, 0);
    assert_int_equal(tcp->timeouts.idle, 2 * CYG_HOUR);
    assert_int_equal(tcp->timeouts.half_closed, 10 * CYG_SECOND);
    assert_int_equal(tcp->timeouts.head, 0);
    assert_int_equal(tcp->limits.max_connections, 9);
    assert_int_equal(tcp->limits.max_connections_per_address, 3);
    assert_int_equal(tcp->limits.max_half_closed, 4);
    assert_int_equal(tcp->proxy_protocol.naccept_from, 2);
    assert_str(tcp->proxy_protocol.accept_from[0].text, "10.1.0.0/16");
    assert_int_equal(tcp->proxy_protocol.timeout, 3 * CYG_SECOND);
    assert_int_equal(udp->protocol, CYG_GW_UDP);
    assert_string_equal(udp->network, "udp");
    assert_ptr_equal(udp->cluster, &c->clusters[0]);
    assert_int_equal(udp->timeouts.idle, 5 * CYG_SECOND);
    assert_int_equal(udp->limits.max_sessions, 6);
    assert_null(c->listeners[0].cluster);
    cyg_gw_config_free(c);
}

/* ---- defaults --------------------------------------------------------------------------------------------------- */

static const char least[] = "version: 7\n"
                            "listeners: [{ name: web, address: ':80', routes: [{ name: r, cluster: c }] }]\n"
                            "clusters: [{ name: c, endpoints: ['127.0.0.1:1'] }]\n";

static void test_defaults_fill_what_is_not_there(void **state) {
    (void)state;
    struct cyg_gw_config *c = parse(least);
    const struct cyg_gw_listener *l = &c->listeners[0];
    const struct cyg_gw_cluster *u = &c->clusters[0];
    assert_str(c->version, "7");
    assert_int_equal(l->timeouts.head, 10 * CYG_SECOND);
    assert_int_equal(l->timeouts.idle, 75 * CYG_SECOND);
    assert_int_equal(l->timeouts.body, 30 * CYG_SECOND);
    assert_int_equal(l->timeouts.write, 30 * CYG_SECOND);
    assert_int_equal(l->limits.max_head_bytes, 65536);
    assert_int_equal(l->limits.max_fields, 100);
    assert_int_equal(l->limits.max_body_bytes, 0);
    assert_int_equal(l->limits.max_connections, 65536);
    assert_int_equal(l->ntrusted, 0);
    assert_int_equal(l->routes[0].match.host_kind, CYG_GW_HOST_ANY);
    assert_int_equal(l->routes[0].match.path_kind, CYG_GW_PATH_ANY);
    assert_int_equal(l->routes[0].timeout, 15 * CYG_SECOND);
    assert_int_equal(u->connect_timeout, 5 * CYG_SECOND);
    assert_int_equal(u->balance, CYG_GW_ROUND_ROBIN);
    assert_int_equal(u->pool.max_connections, 1024);
    assert_int_equal(u->pool.max_idle, 1024);
    assert_int_equal(u->pool.max_waiters, 1024);
    assert_int_equal(u->pool.idle_timeout, 60 * CYG_SECOND);
    assert_int_equal(u->pool.min_idle, 0);
    assert_int_equal(u->pool.wait_timeout, 0);
    assert_int_equal(u->pool.max_life, 0);
    assert_string_equal(c->access_log.path, "stdout");
    assert_int_equal(c->access_log.buffer_bytes, 1024 * 1024);
    assert_int_equal(c->access_log.flush_interval, 100 * CYG_MILLISECOND);
    assert_false(c->admin.on);
    assert_int_equal(c->drain.timeout, 30 * CYG_SECOND);
    cyg_gw_config_free(c);
}

/* The same key has another default with another protocol. */
static void test_defaults_depend_on_the_protocol(void **state) {
    (void)state;
    struct cyg_gw_config *c = parse("version: 7\n"
                                    "listeners: [{ name: a, address: ':80', protocol: tcp, cluster: c },\n"
                                    "            { name: b, address: ':80', protocol: udp, cluster: c }]\n" /* no collision */
                                    "clusters: [{ name: c, endpoints: ['127.0.0.1:1'] }]\n");
    const struct cyg_gw_listener *tcp = &c->listeners[0], *udp = &c->listeners[1];
    assert_int_equal(tcp->timeouts.idle, CYG_HOUR);
    assert_int_equal(tcp->timeouts.half_closed, 30 * CYG_SECOND);
    assert_int_equal(tcp->limits.max_connections, 65536);
    assert_int_equal(tcp->limits.max_connections_per_address, 0);
    assert_int_equal(tcp->limits.max_half_closed, 8192);
    assert_int_equal(tcp->proxy_protocol.naccept_from, 0);
    assert_int_equal(udp->timeouts.idle, 60 * CYG_SECOND);
    assert_int_equal(udp->limits.max_sessions, 8192);
    assert_int_equal(udp->limits.max_connections, 0);
    cyg_gw_config_free(c);
}

static void test_max_idle_follows_max_connections(void **state) {
    (void)state;
    struct cyg_gw_config *c =
        parse("version: 7\n"
              "listeners: [{ name: web, address: ':80', routes: [{ name: r, cluster: c }] }]\n"
              "clusters: [{ name: c, endpoints: ['127.0.0.1:1'], pool: { max_connections: 8 } }]\n");
    assert_int_equal(c->clusters[0].pool.max_idle, 8);
    cyg_gw_config_free(c);
}

static void test_access_log_can_be_off(void **state) {
    (void)state;
    char text[512];
    snprintf(text, sizeof text, "%saccess_log: { path: off }\n", least);
    struct cyg_gw_config *c = parse(text);
    assert_true(c->access_log.off);
    assert_null(c->access_log.path);
    cyg_gw_config_free(c);
}

static void test_port_0_and_different_addresses_do_not_collide(void **state) {
    (void)state;
    struct cyg_gw_config *c = parse("\xef\xbb\xbfversion: 7\r\n" /* with a byte order mark, as some editors write */
                                    "listeners:\n"
                                    "  - { name: a, address: '127.0.0.1:0', routes: [{ name: r, cluster: c }] }\n"
                                    "  - { name: b, address: '127.0.0.1:0', routes: [{ name: r, cluster: c }] }\n"
                                    "  - { name: c, address: '127.0.0.1:80', routes: [{ name: r, cluster: c }] }\n"
                                    "  - { name: d, address: '127.0.0.2:80', routes: [{ name: r, cluster: c }] }\n"
                                    "  - { name: e, address: '[::1]:80', routes: [{ name: r, cluster: c }] }\n"
                                    "clusters: [{ name: c, endpoints: ['127.0.0.1:1'] }]\n"
                                    "admin: { address: '127.0.0.1:0' }\n");
    assert_int_equal(c->nlisteners, 5);
    cyg_gw_config_free(c);
}

/* ---- routes ----------------------------------------------------------------------------------------------------- */

static void test_routes_come_most_specific_first(void **state) {
    (void)state;
    static const char *const want[] = {"exact-exact", "exact-long", "exact-short", "exact",    "sub-sub",
                                       "sub-path",    "sub",        "any-exact",   "any-long", "any"};
    struct cyg_gw_config *c =
        parse("version: 7\n"
              "listeners:\n"
              "  - name: web\n"
              "    address: ':80'\n"
              "    routes:\n"
              "      - { name: any, cluster: c }\n"
              "      - { name: any-long, cluster: c, match: { path: /a/* } }\n"
              "      - { name: any-exact, cluster: c, match: { path: /a } }\n"
              "      - { name: sub, cluster: c, match: { host: '*.example' } }\n"
              "      - { name: sub-path, cluster: c, match: { host: '*.example', path: /a } }\n"
              "      - { name: sub-sub, cluster: c, match: { host: '*.b.example' } }\n"
              "      - { name: exact, cluster: c, match: { host: b.example } }\n"
              "      - { name: exact-short, cluster: c, match: { host: b.example, path: /a/* } }\n"
              "      - { name: exact-long, cluster: c, match: { host: b.example, path: /a/b/* } }\n"
              "      - { name: exact-exact, cluster: c, match: { host: b.example, path: /a } }\n"
              "clusters: [{ name: c, endpoints: ['127.0.0.1:1'] }]\n");
    const struct cyg_gw_listener *l = &c->listeners[0];
    assert_int_equal(l->nroutes, 10);
    for (size_t i = 0; i < l->nroutes; i++) assert_string_equal(l->routes[i].name.p, want[i]);
    assert_int_equal(l->routes[0].position, 9);
    assert_int_equal(l->routes[9].position, 0);
    cyg_gw_config_free(c);
}

/* ---- the table and what is made from it --------------------------------------------------------------------------- */

/* A default that could not be read would be a problem in every document that leaves it out; the table's other columns. */
static void test_every_row_is_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < cyg_gw_nrows; i++) {
        const struct cyg_gw_row *r = &cyg_gw_rows[i];
        assert_non_null(r->doc);
        for (int p = 0; p < CYG_GW_PROTOCOLS; p++) /* no key twice */
            if (cyg_gw_row_applies(r, (enum cyg_gw_protocol)p))
                assert_ptr_equal(cyg_gw_row_find(r->section, cyg_str_of(r->key), (enum cyg_gw_protocol)p), r);
        assert_false(r->required && r->fallback);
        assert_true(r->min <= r->max);
        bool number = r->type == CYG_GW_T_DURATION || r->type == CYG_GW_T_SIZE || r->type == CYG_GW_T_COUNT;
        if (number) assert_true(r->max > 0 && (r->required || r->fallback || r->fallback_doc));
        if (r->type == CYG_GW_T_CHOICE) assert_non_null(r->choices);
    }
}

static char *read_file(const char *path) {
    char *out = NULL, piece[4096];
    size_t n = 0, got;
    FILE *in = fopen(path, "r"), *f = open_memstream(&out, &n);
    assert_non_null(in);
    while ((got = fread(piece, 1, sizeof piece, in)) > 0) fwrite(piece, 1, got, f);
    fclose(f);
    fclose(in);
    return out;
}

/* A file of the source tree; ninja compiles and meson tests in the build directory, from which __FILE__ leads here. */
static const char *in_tree(const char *name, char out[4096]) {
    char here[4096] = __FILE__;
    snprintf(out, 4096, "%s/../../../%s", dirname(here), name);
    return out;
}

static void test_the_reference_page_is_up_to_date(void **state) {
    (void)state;
    char path[4096], *want = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&want, &n);
    cyg_gw_config_reference(f);
    fclose(f);
    char *got = read_file(in_tree("docs/reference/config.md", path));
    assert_string_equal(got, want); /* else: build/cygnet check --reference >docs/reference/config.md */
    free(got);
    free(want);
}

static void test_the_example_is_right(void **state) {
    (void)state;
    char path[4096];
    struct cyg_gw_config *c = NULL;
    struct cyg_gw_problems p = {0};
    int err = cyg_gw_config_load(in_tree("examples/gateway.yaml", path), &c, &p);
    for (size_t i = 0; i < p.n; i++) print_error("%s\n", p.items[i].text);
    assert_int_equal(err, 0);
    assert_string_equal(c->source.p, path);
    cyg_gw_config_free(c);
    cyg_gw_problems_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key_lands_in_its_field),
        cmocka_unit_test(test_listeners_and_routes_land_in_their_fields),
        cmocka_unit_test(test_clusters_land_in_their_fields),
        cmocka_unit_test(test_listeners_of_tcp_and_udp_land_in_their_fields),
        cmocka_unit_test(test_defaults_fill_what_is_not_there),
        cmocka_unit_test(test_defaults_depend_on_the_protocol),
        cmocka_unit_test(test_max_idle_follows_max_connections),
        cmocka_unit_test(test_access_log_can_be_off),
        cmocka_unit_test(test_port_0_and_different_addresses_do_not_collide),
        cmocka_unit_test(test_routes_come_most_specific_first),
        cmocka_unit_test(test_every_row_is_whole),
        cmocka_unit_test(test_the_reference_page_is_up_to_date),
        cmocka_unit_test(test_the_example_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
