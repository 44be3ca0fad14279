/* test_resolver.c: names to addresses against a server that does what a test wants (dns_server.h): sharing, keeping, forgetting, giving
 * up, limits, files. The clock of TTLs is moved, never waited for.
 */
#include "dns_server.h"

#include "net/resolver_internal.h"

static struct dns_server server;

static cyg_resolver_opts fast(void) {
    return (cyg_resolver_opts){.servers = server.address,
                               .search = "",
                               .hosts = "",
                               .resolv_conf = "/nonexistent",
                               .timeout = 10 * CYG_SECOND,
                               .attempts = 1};
}
static cyg_resolver *resolver(const cyg_resolver_opts *o) {
    cyg_resolver *r;
    cyg_resolver_opts f = fast();
    CHECK_EQ(cyg_resolver_new(o ? o : &f, &r), 0);
    return r;
}
static cyg_resolver_stats stats(cyg_resolver *r) {
    cyg_resolver_stats st;
    cyg_resolver_get_stats(r, &st);
    return st;
}
static void advance(cyg_resolver *r, cyg_duration d) { atomic_fetch_add(&r->ahead, d); }

static int look(cyg_resolver *r, const char *host) {
    cyg_addr a[4];
    return cyg_lookup(r, host, NULL, a, 4);
}
static int look4(cyg_resolver *r, const char *host) {
    cyg_addr a[40];
    return cyg_lookup(r, host, &(cyg_lookup_opts){.family = CYG_AF_IPV4}, a, 40);
}
#define CHECK_DETAIL(part)                                                                \
    do {                                                                                  \
        if (!strstr(cyg_err_detail(), (part)))                                            \
            rt_fail(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", cyg_err_detail(), (part)); \
    } while (0)

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

/* ---- sharing, giving up, limits -------------------------------------------------------------------------------------------- */

static int answered, wanted;
static cyg_resolver *shared;

static void ask_held(void *arg) {
    (void)arg;
    CHECK_EQ(look(shared, "ok.hold.test"), wanted);
    ADD(answered, 1);
}

RT_TEST(test_those_who_ask_for_one_name_share_one_question) {
    dns_open(&server);
    shared = resolver(NULL);
    STORE(answered, 0);
    wanted = 3;
    enum { N = 50 };
    for (int i = 0; i < N; i++) GO(ask_held, NULL);
    WAIT_FOR(stats(shared).misses_total == 2 * N && LOAD(server.held) == 2);
    CHECK_EQ(LOAD(answered), 0);
    CHECK_EQ(stats(shared).shared_total, 2 * N - 2);
    CHECK_EQ(stats(shared).in_flight, 2);
    dns_release(&server);
    WAIT_FOR(LOAD(answered) == N);
    CHECK_EQ(LOAD(server.queries), 2);
    cyg_resolver_release(shared);
    dns_close(&server);
}

RT_TEST(test_who_gives_up_leaves_the_question_to_itself) {
    dns_open(&server);
    cyg_resolver *r = resolver(NULL);
    cyg_addr a[4];
    CHECK_EQ(cyg_lookup(r, "ok.hold.test", &(cyg_lookup_opts){.timeout = CYG_MILLISECOND}, a, 4), CYG_ETIMEDOUT);
    CHECK_DETAIL("lookup ok.hold.test: deadline exceeded");
    cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    cyg_ctx_cancel(ctx, 0);
    cyg_ctx_scope scope = cyg_ctx_enter(ctx);
    CHECK_EQ(look(r, "ok.hold.test"), CYG_ECANCELED);
    cyg_ctx_leave(&scope);
    cyg_ctx_release(ctx);
    CHECK_EQ(stats(r).abandoned_total, 4);
    WAIT_FOR(LOAD(server.held) == 2);
    dns_release(&server);
    WAIT_FOR(stats(r).in_flight == 0);
    CHECK_EQ(look(r, "ok.hold.test"), 3); /* what came was kept */
    CHECK_EQ(LOAD(server.queries), 2);
    CHECK_EQ(stats(r).hits_total, 2);
    cyg_resolver_release(r);
    dns_close(&server);
}

RT_TEST(test_release_ends_what_is_in_flight) {
    dns_open(&server);
    cyg_resolver *r = resolver(NULL);
    cyg_addr a[4];
    CHECK_EQ(cyg_lookup(r, "silent.test", &(cyg_lookup_opts){.timeout = CYG_MILLISECOND}, a, 4), CYG_ETIMEDOUT);
    CHECK_EQ(stats(r).in_flight, 2);
    cyg_resolver_release(r); /* goroutine and descriptors: see rt.h */
    dns_close(&server);
}

static void ask_one(void *arg) {
    char name[40];
    snprintf(name, sizeof name, "ok.hold.n%d.test", (int)(intptr_t)arg);
    CHECK_EQ(look4(shared, name), wanted);
    ADD(answered, 1);
}

RT_TEST(test_questions_in_flight_are_bounded) {
    dns_open(&server);
    cyg_resolver_opts o = fast();
    o.max_queries = 4;
    shared = resolver(&o);
    STORE(answered, 0);
    wanted = 2;
    enum { N = 400 / RT_LESS };
    for (int i = 0; i < N; i++) GO(ask_one, (void *)(intptr_t)i);
    WAIT_FOR(stats(shared).misses_total == N);
    for (int asked = 4; asked <= N; asked += 4) {
        WAIT_FOR(LOAD(server.queries) == asked);
        rt_settle();
        CHECK_EQ(stats(shared).in_flight, 4);
        CHECK_EQ(LOAD(server.queries), asked);
        dns_release(&server);
    }
    WAIT_FOR(LOAD(answered) == N);
    CHECK_EQ(stats(shared).queued_total, N - 4);
    CHECK_EQ(stats(shared).queries_total, N);
    CHECK_EQ(LOAD(server.queries), N);
    cyg_resolver_release(shared);
    dns_close(&server);
}

RT_TEST(test_who_gives_up_in_the_queue_is_never_asked_for) {
    dns_open(&server);
    cyg_resolver_opts o = fast();
    o.max_queries = 1;
    shared = resolver(&o);
    STORE(answered, 0);
    wanted = 2;
    GO(ask_one, NULL);
    WAIT_FOR(LOAD(server.held) == 1);
    cyg_addr a;
    cyg_lookup_opts quick = {.timeout = CYG_MILLISECOND, .family = CYG_AF_IPV4};
    CHECK_EQ(cyg_lookup(shared, "ok.other.test", &quick, &a, 1), CYG_ETIMEDOUT);
    dns_release(&server);
    WAIT_FOR(LOAD(answered) == 1);
    WAIT_FOR(stats(shared).in_flight == 0);
    CHECK_EQ(LOAD(server.queries), 1);
    cyg_resolver_release(shared);
    dns_close(&server);
}

static void flood_one(void *arg) {
    char name[40];
    unsigned seed = (unsigned)(intptr_t)arg;
    snprintf(name, sizeof name, "%s.n%u.test", seed % 3 ? "ok" : "nx", seed % 500);
    int n = look(shared, name);
    CHECK(n == (seed % 3 ? 3 : (int)CYG_ENONAME));
    ADD(answered, 1);
}

RT_TEST(test_a_flood_of_lookups) {
    dns_open(&server);
    cyg_resolver_opts o = fast();
    o.max_queries = 32;
    o.timeout = CYG_SECOND;
    o.attempts = 5;
    shared = resolver(&o);
    STORE(answered, 0);
    enum { N = 5000 / RT_LESS };
    unsigned threads = rt_threads();
    for (int i = 0; i < N; i++) GO(flood_one, (void *)(intptr_t)i);
    WAIT_FOR(LOAD(answered) == N);
    CHECK(rt_threads() <= threads + 4); /* whoever was retaken from; none by a lookup */
    CHECK(stats(shared).queries_total <= 2 * 1500);
    CHECK_EQ(stats(shared).lookups_total, 2 * N);
    cyg_resolver_release(shared);
    dns_close(&server);
}

RT_TEST(test_answers_kept_are_bounded) {
    dns_open(&server);
    cyg_resolver_opts o = fast();
    o.max_entries = 16;
    cyg_resolver *r = resolver(&o);
    for (int i = 0; i < 40; i++) {
        char name[40];
        CHECK_EQ(look4(r, "ok.often.test"), 2);
        snprintf(name, sizeof name, "ok.n%d.test", i);
        CHECK_EQ(look4(r, name), 2);
        CHECK(stats(r).entries <= 16);
    }
    CHECK_EQ(stats(r).evictions_total, 41 - 16);
    CHECK_EQ(LOAD(server.queries), 41); /* what is asked for often stays */
    cyg_resolver_release(r);
    dns_close(&server);
}

static unsigned random_of(unsigned *state) { return *state = *state * 1103515245u + 12345u, *state >> 16; }

static void gives_up(void *arg) {
    unsigned seed = (unsigned)(intptr_t)arg * 2654435761u;
    static const char *const kinds[] = {"ok", "nx", "silent", "ok.hold", "servfail", "big", "ttl0", "garbage"};
    for (int i = 0; i < 20; i++) {
        char name[60];
        snprintf(name, sizeof name, "%s.n%u.test", kinds[random_of(&seed) % 8], random_of(&seed) % 10);
        cyg_ctx *ctx = cyg_ctx_with_timeout(NULL, (cyg_duration)(random_of(&seed) % 3000) * CYG_MICROSECOND);
        cyg_ctx_scope scope = cyg_ctx_enter(ctx);
        (void)look(shared, name);
        cyg_ctx_leave(&scope);
        cyg_ctx_release(ctx);
    }
    ADD(answered, 1);
}

RT_TEST(test_giving_up_at_any_moment_leaves_nothing) {
    dns_open(&server);
    cyg_resolver_opts o = fast();
    o.max_queries = 8;
    o.timeout = 20 * CYG_MILLISECOND;
    shared = resolver(&o);
    STORE(answered, 0);
    enum { N = 60 / (RT_LESS > 1 ? 3 : 1) };
    for (int i = 1; i <= N; i++) GO(gives_up, (void *)(intptr_t)i);
    WAIT_FOR(LOAD(answered) == N);
    WAIT_FOR(stats(shared).in_flight == 0);
    WAIT_FOR(rt_stats().goroutines == 1);
    cyg_resolver_stats st = stats(shared);
    CHECK_EQ(st.queries_total, st.answers_total + st.no_name_total + st.failures_total + st.timeouts_total);
    cyg_resolver_release(shared);
    dns_close(&server);
}

/* ---- search list, files -------------------------------------------------------------------------------------------------------- */

static void expect_log(int from, const char *const *want, int n) {
    CHECK_EQ(LOAD(server.queries), from + n);
    for (int i = 0; i < n; i++)
        if (strcmp(server.log[from + i], want[i]) != 0)
            rt_fail(__FILE__, __LINE__, "question %d was %s, not %s", i, server.log[from + i], want[i]);
}

RT_TEST(test_the_search_list) {
    dns_open(&server);
    cyg_resolver_opts o = fast();
    o.search = "one.test Two.test. ";
    o.ndots = 2;
    cyg_resolver *r = resolver(&o);
    CHECK_EQ(look4(r, "nx"), CYG_ENONAME);
    expect_log(0, (const char *const[]){"nx.one.test A", "nx.two.test A", "nx A"}, 3);
    CHECK_EQ(look4(r, "nx.a"), CYG_ENONAME);
    expect_log(3, (const char *const[]){"nx.a.one.test A", "nx.a.two.test A", "nx.a A"}, 3);
    CHECK_EQ(look4(r, "nx.a.b"), CYG_ENONAME);
    expect_log(6, (const char *const[]){"nx.a.b A", "nx.a.b.one.test A", "nx.a.b.two.test A"}, 3);
    CHECK_EQ(look4(r, "nx.b."), CYG_ENONAME);
    expect_log(9, (const char *const[]){"nx.b A"}, 1);
    CHECK_EQ(look4(r, "ok"), 2);
    expect_log(10, (const char *const[]){"ok.one.test A"}, 1);
    CHECK_EQ(look4(r, "ok"), 2);
    CHECK_EQ(look4(r, "nodata"), CYG_ENONAME); /* a name without an address is not the one that is meant */
    expect_log(11, (const char *const[]){"nodata.one.test A", "nodata.two.test A", "nodata A"}, 3);
    CHECK_EQ(look4(r, "servfail"), CYG_ELOOKUP); /* nor one whose server is broken; but then nobody can know */
    expect_log(14, (const char *const[]){"servfail.one.test A", "servfail.two.test A", "servfail A"}, 3);
    cyg_resolver_release(r);
    o.search = "a b/c";
    CHECK_EQ(cyg_resolver_new(&o, &r), CYG_EPARSE);
    dns_close(&server);
}

static void write_file(const char *path, const char *text) {
    char next[80];
    snprintf(next, sizeof next, "%s.new", path);
    FILE *f = fopen(next, "w");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
    CHECK_EQ(rename(next, path), 0);
}

RT_TEST(test_files_and_their_changes) {
    dns_open(&server);
    char hosts[60], conf[60];
    snprintf(hosts, sizeof hosts, "/tmp/cygnet-test-hosts-%d", getpid());
    snprintf(conf, sizeof conf, "/tmp/cygnet-test-conf-%d", getpid());
    write_file(hosts, "10.9.9.1 ok.test Printer\n10.9.9.2 printer\n");
    write_file(conf, "search one.test\noptions ndots:3\n");
    cyg_resolver_opts o = fast();
    o.hosts = hosts;
    o.resolv_conf = conf;
    o.search = NULL;
    cyg_resolver *r = resolver(&o);
    CHECK_EQ(look4(r, "ok.test"), 1);
    CHECK_EQ(look4(r, "PRINTER."), 2);
    CHECK_EQ(look(r, "printer"), 2);
    CHECK_EQ(stats(r).hosts_total, 3);
    CHECK_EQ(LOAD(server.queries), 0);
    CHECK_EQ(look4(r, "ok.a.b"), 2);
    expect_log(0, (const char *const[]){"ok.a.b.one.test A"}, 1);
    write_file(hosts, "10.9.9.3 printer\n");
    write_file(conf, "search two.test\n");
    CHECK_EQ(look4(r, "ok.test"), 1); /* not looked at yet */
    advance(r, RES_CHECK);
    CHECK_EQ(look4(r, "ok.test"), 2); /* by the server, ndots being 1 */
    CHECK_EQ(look4(r, "printer"), 1);
    CHECK_EQ(look4(r, "ok"), 2);
    expect_log(1, (const char *const[]){"ok.test A", "ok.two.test A"}, 2);
    CHECK_EQ(stats(r).reloads_total, 1);
    advance(r, RES_CHECK);
    CHECK_EQ(look4(r, "ok.test"), 2);
    CHECK_EQ(stats(r).reloads_total, 1);
    CHECK_EQ(unlink(hosts), 0);
    CHECK_EQ(unlink(conf), 0);
    advance(r, RES_CHECK);
    CHECK_EQ(look4(r, "printer."), CYG_ENONAME);
    CHECK_EQ(stats(r).reloads_total, 2);
    cyg_resolver_release(r);
    dns_close(&server);
}

RT_TEST(test_reload_asks_again_what_is_in_flight) {
    dns_open(&server);
    shared = resolver(NULL);
    STORE(answered, 0);
    wanted = 3;
    GO(ask_held, NULL);
    WAIT_FOR(LOAD(server.held) == 2);
    CHECK_EQ(cyg_resolver_reload(shared), 0);
    WAIT_FOR(LOAD(server.held) == 4);
    CHECK_EQ(LOAD(answered), 0);
    dns_release(&server);
    WAIT_FOR(LOAD(answered) == 1);
    CHECK_EQ(stats(shared).in_flight, 0);
    cyg_resolver_release(shared);
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
        cmocka_unit_test(test_those_who_ask_for_one_name_share_one_question),
        cmocka_unit_test(test_who_gives_up_leaves_the_question_to_itself),
        cmocka_unit_test(test_release_ends_what_is_in_flight),
        cmocka_unit_test(test_questions_in_flight_are_bounded),
        cmocka_unit_test(test_who_gives_up_in_the_queue_is_never_asked_for),
        cmocka_unit_test(test_a_flood_of_lookups),
        cmocka_unit_test(test_answers_kept_are_bounded),
        cmocka_unit_test(test_giving_up_at_any_moment_leaves_nothing),
        cmocka_unit_test(test_the_search_list),
        cmocka_unit_test(test_files_and_their_changes),
        cmocka_unit_test(test_reload_asks_again_what_is_in_flight),
        cmocka_unit_test(test_services_by_priority_and_weight),
        cmocka_unit_test(test_the_default_resolver),
        cmocka_unit_test(test_options_out_of_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
