/* test_addr.c: addresses from text and back. One line a case.
 */
#include "../rt.h"

static const struct {
    const char *network, *text;
    int err;
    const char *formatted, *ip; /* NULL: as text */
} cases[] = {
    {"tcp", "127.0.0.1:80", 0, NULL, "127.0.0.1"},
    {"tcp4", "10.20.30.255:65535", 0, NULL, "10.20.30.255"},
    {"tcp", "0.0.0.0:0", 0, NULL, "0.0.0.0"},
    {"tcp", "[::1]:80", 0, NULL, "::1"},
    {"tcp6", "[2001:db8::ff]:443", 0, NULL, "2001:db8::ff"},
    {"tcp", "[fe80::1%2]:80", 0, NULL, "fe80::1"},
    {"tcp", ":8080", 0, "[::]:8080", "::"},
    {"tcp4", ":8080", 0, "0.0.0.0:8080", "0.0.0.0"},
    {"tcp6", ":8080", 0, "[::]:8080", "::"},
    {"tcp", "localhost:80", 0, "127.0.0.1:80", "127.0.0.1"},
    {"tcp4", "localhost:80", 0, "127.0.0.1:80", "127.0.0.1"},
    {"tcp6", "localhost:80", 0, "[::1]:80", "::1"},
    {"tcp", "[::ffff:1.2.3.4]:9", 0, "1.2.3.4:9", "1.2.3.4"},
    {"unix", "/run/x.sock", 0, NULL, "/run/x.sock"},
    {"unix", "@name", 0, NULL, "@name"},
    {"unix", "", CYG_EPARSE, NULL, NULL},
    {"tcp", "", CYG_EPARSE, NULL, NULL},
    {"tcp", "127.0.0.1", CYG_EPARSE, NULL, NULL},
    {"tcp", "127.0.0.1:", CYG_EPARSE, NULL, NULL},
    {"tcp", "127.0.0.1:65536", CYG_EPARSE, NULL, NULL},
    {"tcp", "127.0.0.1:000080", CYG_EPARSE, NULL, NULL},
    {"tcp", "127.0.0.1:+80", CYG_EPARSE, NULL, NULL},
    {"tcp", "127.0.0.1:80 ", CYG_EPARSE, NULL, NULL},
    {"tcp", "127.0.0.1:-1", CYG_EPARSE, NULL, NULL},
    {"tcp", " 127.0.0.1:80", CYG_EPARSE, NULL, NULL},
    {"tcp", "127.0.0.01:80", CYG_EPARSE, NULL, NULL},
    {"tcp", "256.0.0.1:80", CYG_EPARSE, NULL, NULL},
    {"tcp", "127.1:80", CYG_EPARSE, NULL, NULL},
    {"tcp", "::1:80", CYG_EPARSE, NULL, NULL},
    {"tcp", "[::1]", CYG_EPARSE, NULL, NULL},
    {"tcp", "[::1:80", CYG_EPARSE, NULL, NULL},
    {"tcp", "::1]:80", CYG_EPARSE, NULL, NULL},
    {"tcp", "[127.0.0.1]:80", CYG_EPARSE, NULL, NULL},
    {"tcp4", "[::1]:80", CYG_EPARSE, NULL, NULL},
    {"tcp6", "127.0.0.1:80", CYG_EPARSE, NULL, NULL},
    {"tcp", "example.com:80", CYG_EPARSE, NULL, NULL},
    {"sctp", "127.0.0.1:80", CYG_EPARSE, NULL, NULL},
    {"udp", "127.0.0.1:53", 0, NULL, "127.0.0.1"},
    {"udp6", "[::1]:53", 0, NULL, "::1"},
    {"udp4", "[::1]:53", CYG_EPARSE, NULL, NULL},
    {"unixgram", "@name", 0, NULL, "@name"},
    {"unixpacket", "/run/x.sock", 0, NULL, "/run/x.sock"},
};

static void test_addresses_parse_and_format(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cyg_addr a;
        memset(&a, 0xee, sizeof a);
        int err = cyg_addr_parse(cases[i].network, cases[i].text, &a);
        if (err != cases[i].err) fail_msg("%s %s: %d, not %d", cases[i].network, cases[i].text, err, cases[i].err);
        if (err) {
            assert_true(cyg_err_detail()[0] != 0);
            assert_true(a.family == 0xeeee); /* out parameters are written only on success */
            continue;
        }
        char text[CYG_ADDR_STRLEN], cut[6];
        const char *want = cases[i].formatted ? cases[i].formatted : cases[i].text;
        assert_int_equal(cyg_addr_format(&a, text, sizeof text), strlen(want));
        assert_string_equal(text, want);
        assert_int_equal(cyg_addr_format(&a, cut, sizeof cut), strlen(want)); /* its whole length, also when cut */
        assert_true(strlen(cut) == (strlen(want) < 5 ? strlen(want) : 5));
        assert_int_equal(cyg_addr_format_ip(&a, text, sizeof text), strlen(cases[i].ip));
        assert_string_equal(text, cases[i].ip);
        cyg_addr again;
        assert_int_equal(cyg_addr_parse(a.family == CYG_AF_UNIX ? "unix" : "tcp", want, &again), 0);
        bool mapped = a.family == CYG_AF_IPV6 && want[0] != '['; /* written as IPv4 */
        assert_int_equal(cyg_addr_eq(&a, &again), !mapped);
    }
}

static void test_longest_unix_path(void **state) {
    (void)state;
    char path[110];
    cyg_addr a;
    memset(path, 'x', sizeof path);
    path[108] = 0;
    assert_int_equal(cyg_addr_parse("unix", path, &a), CYG_EPARSE);
    path[107] = 0;
    assert_int_equal(cyg_addr_parse("unix", path, &a), 0);
    char text[CYG_ADDR_STRLEN];
    assert_int_equal(cyg_addr_format(&a, text, sizeof text), 107);
    assert_string_equal(text, path);
}

static void test_equality(void **state) {
    (void)state;
    cyg_addr a, b;
    static const struct {
        const char *network, *x, *y;
        bool eq;
    } pairs[] = {
        {"tcp", "1.2.3.4:5", "1.2.3.4:5", true},
        {"tcp", "1.2.3.4:5", "1.2.3.4:6", false},
        {"tcp", "1.2.3.4:5", "1.2.3.5:5", false},
        {"tcp", "[::1]:5", "[::1]:5", true},
        {"tcp", "[fe80::1%1]:5", "[fe80::1%2]:5", false},
        {"tcp", "[::]:5", "0.0.0.0:5", false},
        {"unix", "@a", "@a", true},
        {"unix", "@a", "a", false},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_int_equal(cyg_addr_parse(pairs[i].network, pairs[i].x, &a), 0);
        assert_int_equal(cyg_addr_parse(pairs[i].network, pairs[i].y, &b), 0);
        assert_int_equal(cyg_addr_eq(&a, &b), pairs[i].eq);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_parse_and_format),
        cmocka_unit_test(test_longest_unix_path),
        cmocka_unit_test(test_equality),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
