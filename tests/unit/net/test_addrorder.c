/* test_addrorder.c: the examples of RFC 6724, 10.1 and 10.2, and what they leave out; and hosts files as tables. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/addrorder.h"
#include "net/hosts.h"

static cyg_addr ip(const char *text) {
    cyg_addr a = {.family = strchr(text, ':') ? CYG_AF_IPV6 : CYG_AF_IPV4};
    if (!*text) return (cyg_addr){0};
    assert_int_equal(inet_pton(a.family == CYG_AF_IPV6 ? AF_INET6 : AF_INET, text, a.ip), 1);
    return a;
}

/* {destination, source}, as they come; the destinations in the order that is right. "" is no source. */
static const struct {
    const char *given[3][2];
    const char *want[3];
} cases[] = {
    /* scope of the source */
    {{{"2001:db8:1::1", "fe80::1"}, {"198.51.100.121", "198.51.100.117"}}, {"198.51.100.121", "2001:db8:1::1"}},
    {{{"198.51.100.121", "169.254.13.78"}, {"2001:db8:1::1", "2001:db8:1::2"}}, {"2001:db8:1::1", "198.51.100.121"}},
    /* precedence */
    {{{"10.1.2.3", "10.1.2.4"}, {"2001:db8:1::1", "2001:db8:1::2"}}, {"2001:db8:1::1", "10.1.2.3"}},
    /* smaller scope */
    {{{"2001:db8:1::1", "2001:db8:1::2"}, {"fe80::1", "fe80::2"}}, {"fe80::1", "2001:db8:1::1"}},
    /* label: 6to4 towards 6to4 */
    {{{"2001:db8:1::1", "2002:c633:6401::2"}, {"2002:c633:6401::1", "2002:c633:6401::2"}},
     {"2002:c633:6401::1", "2001:db8:1::1"}},
    {{{"2002:c633:6401::1", "2002:c633:6401::2"}, {"2001:db8:1::1", "2001:db8:1::2"}},
     {"2001:db8:1::1", "2002:c633:6401::1"}},
    /* what cannot be reached comes last, whatever it is */
    {{{"2001:db8:1::1", ""}, {"10.1.2.3", "10.1.2.4"}}, {"10.1.2.3", "2001:db8:1::1"}},
    {{{"::1", ""}, {"127.0.0.1", "127.0.0.1"}}, {"127.0.0.1", "::1"}},
    {{{"127.0.0.1", "127.0.0.1"}, {"::1", "::1"}}, {"::1", "127.0.0.1"}},
    /* the longer common prefix, IPv6 alone */
    {{{"2001:db8:2::1", "2001:db8:3::2"}, {"2001:db8:3::1", "2001:db8:3::2"}}, {"2001:db8:3::1", "2001:db8:2::1"}},
    {{{"10.9.9.9", "10.1.2.4"}, {"10.1.2.3", "10.1.2.4"}}, {"10.9.9.9", "10.1.2.3"}},
    /* Unique local addresses come behind IPv4 */
    {{{"fd00::1", "fd00::2"}, {"10.1.2.3", "10.1.2.4"}, {"2001:db8::1", "2001:db8::2"}},
     {"2001:db8::1", "10.1.2.3", "fd00::1"}},
    /* nothing tells them apart: as the server gave them */
    {{{"2001:db8::2", "2001:db8::9"}, {"2001:db8::1", "2001:db8::9"}, {"2001:db8::3", "2001:db8::9"}},
     {"2001:db8::2", "2001:db8::1", "2001:db8::3"}},
};

static void test_order_of_destinations(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct addr_choice c[3];
        size_t n = 0;
        for (; n < 3 && cases[i].given[n][0]; n++)
            c[n] = (struct addr_choice){.to = ip(cases[i].given[n][0]), .from = ip(cases[i].given[n][1])};
        addr_order_choices(c, n);
        for (size_t k = 0; k < n; k++) {
            char text[CYG_ADDR_STRLEN];
            cyg_addr_format_ip(&c[k].to, text, sizeof text);
            if (strcmp(text, cases[i].want[k]) != 0)
                fail_msg("case %zu: %s is number %zu, not %s", i, text, k, cases[i].want[k]);
        }
    }
}

static void test_the_kernel_is_asked_for_sources(void **state) {
    (void)state;
    cyg_addr a[3] = {ip("127.0.0.2"), ip("127.0.0.1"), ip("127.0.0.3")};
    addr_order(a, 3); /* IPv4 alone: as they came */
    assert_int_equal(a[0].ip[3], 2);
    cyg_addr b[2] = {ip("2001:db8:dead::1"), ip("127.0.0.1")};
    addr_order(b, 2); /* to the first there is no way here, or the loopback's scope and a global one: 127.0.0.1 has a source at any rate */
    assert_true(b[0].family == CYG_AF_IPV4 || b[1].family == CYG_AF_IPV4);
}

static size_t count(const struct hosts *h, const char *name) {
    size_t n;
    const struct hosts_line *line = hosts_find(h, name, &n);
    assert_true(!line == (n == 0));
    return n;
}

static void test_hosts_files(void **state) {
    (void)state;
    static const char text[] = "# a comment\n"
                               "10.0.0.1 One two\tTHREE. # and a comment\n"
                               "::1 one\r\n"
                               "10.0.0.2 one#two\n"
                               "\n   \n10.0.0.300 bad\nnonsense\n10.0.0.4\n"
                               "fe80::1%eth0 zone\n"
                               "10.0.0.5 .\n"
                               "10.0.0.6 last";
    struct hosts h;
    size_t n;
    assert_int_equal(hosts_parse(text, sizeof text - 1, &h), 0);
    const struct hosts_line *one = hosts_find(&h, "one", &n);
    assert_int_equal(n, 3);
    assert_true(!one[0].v6 && one[0].ip[3] == 1 && one[1].v6 && !one[2].v6 && one[2].ip[3] == 2); /* in the file's order */
    assert_int_equal(count(&h, "two"), 1);
    assert_int_equal(count(&h, "three"), 1);
    assert_int_equal(count(&h, "last"), 1);
    static const char *const none[] = {"bad", "zone", "nonsense", "", "a", "zzz", "comment", "One"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) assert_int_equal(count(&h, none[i]), 0);
    hosts_free(&h);
    assert_int_equal(hosts_parse("", 0, &h), 0);
    assert_int_equal(count(&h, "one"), 0);
    hosts_free(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_destinations),
        cmocka_unit_test(test_the_kernel_is_asked_for_sources),
        cmocka_unit_test(test_hosts_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
