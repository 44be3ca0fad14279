/* test_resolver.c: names to addresses against a server that does what a test wants (dns_server.h): what names may be, answers and how
 * long they are kept, services, the default resolver. The clock of TTLs is moved, never waited for.
 */
#include "resolver_rig.h"

/* ---- what names may be -------------------------------------------------------------------------------------------------- */

RT_TEST(test_names_that_are_none) {
    dns_open(&server);
    cyg_resolver *r = resolver(NULL);
    static const char *const bad[] = {
        "",    ".",   "..",        "a..b", ".a",
        "a b", "a/b", "a\xc3\xa9", "a:1",  "1234567890123456789012345678901234567890123456789012345678901234.x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_EQ(look(r, bad[i]), CYG_EPARSE);
        CHECK(cyg_err_detail()[0]);
    }
    char longest[300];
    memset(longest, 'a', sizeof longest);
    for (int i = 0; i < 299; i += 60) longest[i + 59] = '.';
    longest[254] = 0;
    CHECK_EQ(look(r, longest), CYG_EPARSE);
    cyg_addr a;
    CHECK_EQ(cyg_lookup(r, "ok.test", NULL, &a, 0), CYG_EINVAL);
    CHECK_EQ(LOAD(server.queries), 0);
    cyg_resolver_release(r);
    dns_close(&server);
}

RT_TEST(test_addresses_need_no_question) {
    dns_open(&server);
    cyg_resolver *r = resolver(NULL);
    static const char *const text[] = {"10.1.2.3", "::1", "fe80::1%3", "localhost", "a.b.localhost", "LOCALHOST."};
    static const char *const want[] = {"10.1.2.3:7",  "[::1]:7",     "[fe80::1%3]:7",
                                       "127.0.0.1:7", "127.0.0.1:7", "127.0.0.1:7"};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        cyg_addr a[4];
        char s[CYG_ADDR_STRLEN];
        cyg_lookup_opts o = {.port = 7, .family = i < 3 ? CYG_AF_NONE : CYG_AF_IPV4};
        CHECK_EQ(cyg_lookup(r, text[i], &o, a, 4), 1);
        cyg_addr_format(&a[0], s, sizeof s);
        if (strcmp(s, want[i]) != 0) rt_fail(__FILE__, __LINE__, "%s is %s, not %s", text[i], s, want[i]);
    }
    cyg_addr a;
    CHECK_EQ(cyg_lookup(r, "10.1.2.3", &(cyg_lookup_opts){.family = CYG_AF_IPV6}, &a, 1), CYG_ENONAME);
    CHECK_EQ(LOAD(server.queries), 0);
    cyg_resolver_release(r);
    dns_close(&server);
}

/* ---- answers and their life ----------------------------------------------------------------------------------------------- */

RT_TEST(test_an_answer_is_kept_as_long_as_its_ttl) {
    dns_open(&server);
    cyg_resolver *r = resolver(NULL);
    cyg_lookup_info info;
    cyg_addr a[8];
    cyg_lookup_opts o = {.info = &info, .port = 80};
    CHECK_EQ(cyg_lookup(r, "OK.Test", &o, a, 8), 3);
    CHECK(!info.cached && !info.stale && info.ttl > 59 * CYG_SECOND && info.ttl <= 60 * CYG_SECOND);
    for (int i = 0; i < 3; i++) CHECK_EQ(a[i].port, 80);
    CHECK_EQ(LOAD(server.queries), 2); /* A and AAAA */
    advance(r, 59 * CYG_SECOND);
    CHECK_EQ(cyg_lookup(r, "ok.test.", &o, a, 1), 1); /* as many as there is room for */
    CHECK(info.cached && info.ttl < 2 * CYG_SECOND);
    CHECK_EQ(LOAD(server.queries), 2);
    advance(r, 2 * CYG_SECOND);
    CHECK_EQ(look(r, "ok.test"), 3);
    CHECK_EQ(LOAD(server.queries), 4);
    CHECK_EQ(look(r, "ttl0.test"), 3);
    CHECK_EQ(look(r, "ttl0.test"), 3);
    CHECK_EQ(LOAD(server.queries), 8);
    cyg_resolver_stats st = stats(r);
    CHECK_EQ(st.lookups_total, 10);
    CHECK_EQ(st.hits_total, 2);
    CHECK_EQ(st.misses_total, 8);
    CHECK_EQ(st.queries_total, 8);
    CHECK_EQ(st.answers_total, 8);
    CHECK_EQ(st.in_flight, 0);
    CHECK_EQ(st.entries, 4);
    uint64_t timed = 0;
    for (int i = 0; i < 16; i++) timed += st.query_time[i];
    CHECK_EQ(timed, 8);
    CHECK(st.query_ns_total > 0);
    cyg_resolver_release(r);
    dns_close(&server);
}

RT_TEST(test_a_bound_on_ttl) {
    dns_open(&server);
    cyg_resolver_opts o = fast();
    o.max_ttl = 10 * CYG_SECOND;
    o.max_negative_ttl = -1;
    o.failure_ttl = -1;
    cyg_resolver *r = resolver(&o);
    CHECK_EQ(look(r, "ok.test"), 3);
    advance(r, 11 * CYG_SECOND);
    CHECK_EQ(look(r, "ok.test"), 3);
    CHECK_EQ(LOAD(server.queries), 4);
    CHECK_EQ(look4(r, "nx.test"), CYG_ENONAME);
    CHECK_EQ(look4(r, "nx.test"), CYG_ENONAME);
    CHECK_EQ(look4(r, "nosoa.test"), CYG_ENONAME);
    CHECK_EQ(look4(r, "nosoa.test"), CYG_ENONAME);
    CHECK_EQ(LOAD(server.queries), 8);
    CHECK_EQ(look4(r, "servfail.test"), CYG_ELOOKUP);
    CHECK_EQ(look4(r, "servfail.test"), CYG_ELOOKUP);
    CHECK_EQ(LOAD(server.queries), 10);
    cyg_resolver_release(r);
    dns_close(&server);
}

RT_TEST(test_no_such_name_is_kept_as_the_soa_says) {
    dns_open(&server);
    cyg_resolver *r = resolver(NULL);
    CHECK_EQ(look(r, "nx.test"), CYG_ENONAME);
    CHECK_DETAIL("lookup nx.test: no such name");
    CHECK_EQ(look(r, "nodata.test"), CYG_ENONAME);
    CHECK_DETAIL("no record of that type");
    CHECK_EQ(LOAD(server.queries), 4);
    advance(r, 29 * CYG_SECOND);
    CHECK_EQ(look(r, "nx.test"), CYG_ENONAME);
    CHECK_EQ(look(r, "nodata.test"), CYG_ENONAME);
    CHECK_EQ(LOAD(server.queries), 4);
    CHECK_EQ(stats(r).negative_total, 4);
    advance(r, 2 * CYG_SECOND);
    CHECK_EQ(look(r, "nx.test"), CYG_ENONAME);
    CHECK_EQ(LOAD(server.queries), 6);
    CHECK_EQ(stats(r).no_name_total, 6);
    CHECK_EQ(look4(r, "nosoa.test"), CYG_ENONAME); /* a second, not longer */
    CHECK_EQ(look4(r, "nosoa.test"), CYG_ENONAME);
    CHECK_EQ(LOAD(server.queries), 7);
    advance(r, 2 * CYG_SECOND);
    CHECK_EQ(look4(r, "nosoa.test"), CYG_ENONAME);
    CHECK_EQ(LOAD(server.queries), 8);
    cyg_resolver_release(r);
    dns_close(&server);
}

RT_TEST(test_one_family_is_enough) {
    dns_open(&server);
    cyg_resolver *r = resolver(NULL);
    cyg_addr a[4];
    CHECK_EQ(look(r, "only4.test"), 2);
    CHECK_EQ(look(r, "only6.test"), 1);
    CHECK_EQ(look4(r, "only6.test"), CYG_ENONAME);
    CHECK_EQ(cyg_lookup(r, "only6.test", &(cyg_lookup_opts){.family = CYG_AF_IPV6}, a, 4), 1);
    CHECK_EQ(a[0].family, CYG_AF_IPV6);
    CHECK_EQ(LOAD(server.queries), 4);
    cyg_resolver_release(r);
    dns_close(&server);
}

RT_TEST(test_aliases_are_followed_and_their_ttl_counts) {
    dns_open(&server);
    cyg_resolver *r = resolver(NULL);
    cyg_addr a[4];
    cyg_lookup_info info;
    CHECK_EQ(cyg_lookup(r, "chain.test", &(cyg_lookup_opts){.family = CYG_AF_IPV4, .info = &info}, a, 4), 1);
    CHECK_EQ(a[0].ip[3], 9);
    CHECK(info.ttl <= 40 * CYG_SECOND && info.ttl > 39 * CYG_SECOND); /* of the aliases; the address has 60 */
    CHECK_EQ(look4(r, "loop.test"), CYG_ENONAME);
    cyg_resolver_release(r);
    dns_close(&server);
}

RT_TEST(test_an_answer_cut_short_comes_by_tcp) {
    dns_open(&server);
    cyg_resolver *r = resolver(NULL);
    CHECK_EQ(look4(r, "big.test"), 30);
    CHECK_EQ(LOAD(server.tcp_queries), 1);
    CHECK_EQ(LOAD(server.queries), 1);
    cyg_resolver_release(r);
    dns_close(&server);
}

RT_TEST(test_answers_that_are_none) {
    dns_open(&server);
    cyg_resolver *r = resolver(NULL);
    CHECK_EQ(look4(r, "garbage.test"), CYG_ELOOKUP);
    CHECK_EQ(look4(r, "servfail.test"), CYG_ELOOKUP);
    CHECK_DETAIL("failed"); /* or SERVFAIL, by c-ares' version */
    CHECK_DETAIL(server.address);
    CHECK_EQ(look4(r, "refused.test"), CYG_ELOOKUP);
    CHECK_DETAIL("refused");
    CHECK_EQ(stats(r).failures_total, 3);
    CHECK_EQ(look4(r, "wrongid.test"), 2); /* the first one answers nothing of ours */
    cyg_resolver_release(r);
    cyg_resolver_opts o = fast();
    o.timeout = 20 * CYG_MILLISECOND;
    r = resolver(&o);
    CHECK_EQ(look4(r, "silent.test"), CYG_ELOOKUP);
    CHECK_DETAIL("no answer");
    CHECK_EQ(stats(r).timeouts_total, 1);
    cyg_resolver_release(r);
    dns_close(&server);
}

RT_TEST(test_a_failure_is_remembered_for_a_second) {
    dns_open(&server);
    cyg_resolver *r = resolver(NULL);
    STORE(server.broken, 1);
    CHECK_EQ(look4(r, "ok.test"), CYG_ELOOKUP);
    CHECK_EQ(look4(r, "ok.test"), CYG_ELOOKUP);
    CHECK_EQ(LOAD(server.queries), 1);
    STORE(server.broken, 0);
    advance(r, 2 * CYG_SECOND);
    CHECK_EQ(look4(r, "ok.test"), 2);
    CHECK_EQ(LOAD(server.queries), 2);
    cyg_resolver_release(r);
    dns_close(&server);
}

RT_TEST(test_old_answers_serve_while_servers_fail) {
    dns_open(&server);
    cyg_resolver *r = resolver(NULL);
    cyg_addr a[4];
    cyg_lookup_info info;
    cyg_lookup_opts o = {.family = CYG_AF_IPV4, .info = &info};
    CHECK_EQ(look4(r, "ok.test"), 2);
    STORE(server.broken, 1);
    advance(r, 61 * CYG_SECOND);
    CHECK_EQ(cyg_lookup(r, "ok.test", &o, a, 4), 2);
    CHECK(info.stale && info.ttl == 0);
    CHECK_EQ(LOAD(server.queries), 2);
    CHECK_EQ(cyg_lookup(r, "ok.test", &o, a, 4), 2); /* they are left alone for a while */
    CHECK_EQ(LOAD(server.queries), 2);
    CHECK_EQ(stats(r).stale_total, 2);
    STORE(server.broken, 0);
    advance(r, RES_STALE_RETRY);
    CHECK_EQ(cyg_lookup(r, "ok.test", &o, a, 4), 2);
    CHECK(!info.stale);
    CHECK_EQ(LOAD(server.queries), 3);
    STORE(server.broken, 1);
    advance(r, 61 * CYG_SECOND + CYG_HOUR);
    CHECK_EQ(cyg_lookup(r, "ok.test", &o, a, 4), CYG_ELOOKUP); /* too old */
    cyg_resolver_release(r);
    dns_close(&server);
}

RT_TEST(test_a_deadline_prefers_an_old_answer) {
    dns_open(&server);
    cyg_resolver *r = resolver(NULL);
    cyg_addr a[4];
    cyg_lookup_info info;
    CHECK_EQ(look4(r, "ok.test"), 2);
    STORE(server.mute, 1);
    advance(r, 61 * CYG_SECOND);
    cyg_lookup_opts o = {.family = CYG_AF_IPV4, .info = &info, .timeout = 10 * CYG_MILLISECOND};
    CHECK_EQ(cyg_lookup(r, "ok.test", &o, a, 4), 2);
    CHECK(info.stale);
    CHECK_EQ(cyg_lookup(r, "ok.never.test", &o, a, 4), CYG_ETIMEDOUT);
    cyg_resolver_release(r);
    dns_close(&server);
}

/* ---- services ------------------------------------------------------------------------------------------------------------------ */

RT_TEST(test_services_by_priority_and_weight) {
    dns_open(&server);
    cyg_resolver *r = resolver(NULL);
    cyg_srv s[8];
    int b_first = 0;
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(cyg_lookup_srv(r, "_svc._tcp.test", NULL, s, 8), 3);
        CHECK(strcmp(s[2].target, "c.test") == 0 && s[2].port == 4003 && s[2].priority == 20);
        CHECK(s[0].port != s[1].port && s[0].priority == 10 && s[1].priority == 10);
        b_first += s[0].weight == 1000;
    }
    CHECK(b_first > 40); /* 1 in 1,001 has the one without weight first */
    CHECK_EQ(LOAD(server.queries), 1);
    CHECK_EQ(cyg_lookup_srv(r, "_svc._tcp.test", NULL, s, 2), 2);
    CHECK_EQ(cyg_lookup_srv(r, "_none._tcp.test", NULL, s, 8), CYG_ENONAME);
    CHECK_EQ(cyg_lookup_srv(r, "nx.test", NULL, s, 8), CYG_ENONAME);
    cyg_resolver_release(r);
    dns_close(&server);
}

/* ---- the default resolver, options ----------------------------------------------------------------------------------------------- */

RT_TEST(test_the_default_resolver) {
    dns_open(&server);
    cyg_resolver *r = resolver(NULL), *got;
    cyg_resolver_set_default(r);
    CHECK_EQ(cyg_resolver_default(&got), 0);
    CHECK(got == r);
    cyg_resolver_release(got);
    CHECK_EQ(look(NULL, "ok.test"), 3);
    CHECK_EQ(stats(NULL).queries_total, 2);
    cyg_resolver_set_default(NULL);
    CHECK_EQ(stats(NULL).queries_total, 0);
    CHECK(look(NULL, "localhost") >= 1); /* a new one; it stays, until the runtime is another */
    cyg_resolver_release(r);
    dns_close(&server);
}

static int leaves_it_in_flight(void *arg) {
    (void)arg;
    cyg_resolver *r = resolver(NULL);
    cyg_resolver_set_default(r);
    cyg_resolver_release(r);
    cyg_addr a;
    CHECK_EQ(cyg_lookup(NULL, "silent.test", &(cyg_lookup_opts){.timeout = CYG_MILLISECOND}, &a, 1), CYG_ETIMEDOUT);
    CHECK_EQ(stats(NULL).in_flight, 2);
    return 0;
}
static int finds_a_new_one(void *arg) {
    (void)arg;
    CHECK_EQ(stats(NULL).lookups_total, 0);
    cyg_resolver *r;
    CHECK_EQ(cyg_resolver_default(&r), 0);
    cyg_resolver_release(r);
    cyg_resolver_set_default(NULL);
    return 0;
}

/* The goroutine that waited for the answer stopped with its runtime; the next one has nothing to do with it. */
static void test_the_default_resolver_of_a_former_run_is_gone(void **state) {
    (void)state;
    unsigned fds = rt_fds();
    dns_open(&server);
    CHECK_EQ(cyg_runtime_start(NULL), 0);
    CHECK_EQ(cyg_call(leaves_it_in_flight, NULL), 0);
    CHECK_EQ(cyg_runtime_stop(), 0);
    CHECK_EQ(cyg_runtime_start(NULL), 0);
    CHECK_EQ(cyg_call(finds_a_new_one, NULL), 0);
    CHECK_EQ(cyg_runtime_stop(), 0);
    dns_close(&server);
    CHECK_EQ(rt_fds(), fds);
}

RT_TEST(test_options_out_of_bounds) {
    static const cyg_resolver_opts bad[] = {
        {.ndots = 16}, {.timeout = CYG_MILLISECOND}, {.attempts = 11}, {.max_entries = 3}, {.ndots = -1}};
    cyg_resolver *r;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK_EQ(cyg_resolver_new(&bad[i], &r), CYG_EINVAL);
    CHECK_EQ(cyg_resolver_new(&(cyg_resolver_opts){.servers = "nobody"}, &r), CYG_EPARSE);
    CHECK_DETAIL("nobody");
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_that_are_none),
        cmocka_unit_test(test_addresses_need_no_question),
        cmocka_unit_test(test_an_answer_is_kept_as_long_as_its_ttl),
        cmocka_unit_test(test_a_bound_on_ttl),
        cmocka_unit_test(test_no_such_name_is_kept_as_the_soa_says),
        cmocka_unit_test(test_one_family_is_enough),
        cmocka_unit_test(test_aliases_are_followed_and_their_ttl_counts),
        cmocka_unit_test(test_an_answer_cut_short_comes_by_tcp),
        cmocka_unit_test(test_answers_that_are_none),
        cmocka_unit_test(test_a_failure_is_remembered_for_a_second),
        cmocka_unit_test(test_old_answers_serve_while_servers_fail),
        cmocka_unit_test(test_a_deadline_prefers_an_old_answer),
        cmocka_unit_test(test_services_by_priority_and_weight),
        cmocka_unit_test(test_the_default_resolver),
        cmocka_unit_test(test_the_default_resolver_of_a_former_run_is_gone),
        cmocka_unit_test(test_options_out_of_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
