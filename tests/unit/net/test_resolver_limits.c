/* test_resolver_limits.c: many who ask, who give up, and who ask for more than there is room for; search list and files that change.
 */
#include "resolver_rig.h"

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

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
