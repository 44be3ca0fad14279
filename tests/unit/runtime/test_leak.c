/* test_leak.c: what cyg_leaks finds: goroutines that are parked for long and what grew, connections and who waits on them.
 */
#include <cygnet/debug.h>
#include <sys/mman.h>

#include "../net/net.h"

static char text[1 << 18];
static cyg_leak_stats st;
static void look(cyg_duration min_age) {
    int fd = memfd_create("leaks", MFD_CLOEXEC);
    CHECK_EQ(cyg_leaks(fd, min_age, &st), 0);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    CHECK(n > 0);
    text[n] = 0;
    close(fd);
}

static cyg_mutex held;
static int parked, done, line_of_start;
static void lock_it(void *arg) {
    (void)arg;
    ADD(parked, 1);
    cyg_mutex_lock(&held);
    cyg_mutex_unlock(&held);
    ADD(done, 1);
}
static void start(int n) {
    for (int i = 0; i < n; i++) {
        line_of_start = __LINE__ + 1;
        GO(lock_it, NULL);
    }
}
static void sleeper(void *arg) {
    (void)arg;
    CHECK_EQ(cyg_sleep(CYG_HOUR), CYG_ECANCELED);
    ADD(done, 1);
}

RT_TEST(test_goroutines_parked_for_long_and_their_growth) {
    char want[100];
    parked = done = 0;
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    cyg_ctx_scope s = cyg_ctx_enter(ctx);
    GO(sleeper, NULL); /* will wake by itself: no suspect */
    cyg_ctx_leave(&s);
    WAIT_FOR(rt_stats().timers == 1);
    WAIT_FOR((look(0), st.goroutines == 0));
    cyg_mutex_lock(&held);
    start(7);
    WAIT_FOR((look(CYG_MILLISECOND), st.goroutines == 7)); /* each time compared with the time before */
    snprintf(want, sizeof want, "test_leak.c:%d", line_of_start);
    CHECK(strstr(text, want) && strstr(text, "[mutex, "));
    look(CYG_MILLISECOND);
    CHECK_EQ(st.grown, 0);
    CHECK(strstr(text, "7 (+0) goroutines "));
    start(5);
    WAIT_FOR(LOAD(parked) == 12);
    cyg_time begun = cyg_now();
    do CHECK_EQ(cyg_leaks(-1, CYG_MILLISECOND, &st), 0); /* only counts: no look to compare with */
    while (st.goroutines < 12 && cyg_now() < begun + RT_DEADLINE && (cyg_yield(), true));
    look(CYG_MILLISECOND);
    CHECK_EQ(st.goroutines, 12);
    CHECK_EQ(st.grown, 5);
    CHECK(strstr(text, "12 (+5) goroutines "));
    look(CYG_HOUR);
    CHECK_EQ(st.goroutines, 0);
    cyg_mutex_unlock(&held);
    cyg_ctx_cancel(ctx, 0);
    WAIT_FOR(LOAD(done) == 13);
}

static uint64_t started_at(const cyg_start_site *sites, size_t n, const char *where) {
    for (size_t i = 0; i < n; i++)
        if (strstr(sites[i].site, where)) return sites[i].goroutines;
    return 0;
}

RT_TEST(test_live_goroutines_are_counted_by_start_site) {
    cyg_start_site sites[8];
    char where[100];
    parked = done = 0;
    cyg_mutex_lock(&held);
    start(7);
    snprintf(where, sizeof where, "test_leak.c:%d", line_of_start);
    WAIT_FOR(LOAD(parked) == 7);
    ssize_t n = cyg_start_sites(sites, 8);
    CHECK(n >= 2 && n <= 8); /* that one, and the one of this goroutine */
    CHECK_EQ(started_at(sites, 1, where), 7);
    CHECK_EQ(cyg_start_sites(NULL, 0), n);
    cyg_mutex_unlock(&held);
    WAIT_FOR(LOAD(done) == 7);
    WAIT_FOR((n = cyg_start_sites(sites, 8), started_at(sites, (size_t)n, where) == 0)); /* they end after their last word */
}

static void reader(void *arg) {
    char b;
    CHECK_EQ(cyg_read(arg, &b, 1), CYG_ECLOSED);
    ADD(done, 1);
}
static void on_ready(void *arg, int why) { (void)arg, (void)why; }

RT_TEST(test_connections_and_who_waits_on_them) {
    struct net_pair p[3];
    char want[100];
    parked = done = 0;
    look(0);
    CHECK_EQ(st.conns, 0);
    for (int i = 0; i < 3; i++) net_tcp_pair(&p[i]);
    GO(reader, p[0].a);
    CHECK_EQ(cyg_conn_on_readable(p[1].a, on_ready, NULL, 0), 0);
    WAIT_FOR((look(0), st.conns == 6 && st.unattended == 4));
    CHECK_EQ(st.close_wait, 0);
    snprintf(want, sizeof want, ": fd %d\n", net_fd(p[0].a));
    CHECK(strstr(text, "1 connection held by ") && strstr(text, want));
    snprintf(want, sizeof want, "readiness: fd %d\n", net_fd(p[1].a));
    CHECK(strstr(text, "1 connection idle, would start ") && strstr(text, want));
    CHECK(strstr(text, "4 connections on which nobody waits: fd "));
    CHECK_EQ(cyg_close(p[2].b), 0); /* the peer goes, and nobody here notices */
    WAIT_FOR((look(0), st.close_wait == 1));
    snprintf(want, sizeof want, "1 connection, ended by the peer and not closed, on which nobody waits: fd %d\n",
             net_fd(p[2].a));
    CHECK(strstr(text, want));
    CHECK(cyg_conn_cancel_readable(p[1].a));
    CHECK_EQ(cyg_close(p[2].a), 0);
    net_close_pair(&p[1]);
    net_close_pair(&p[0]);
    WAIT_FOR(LOAD(done) == 1);
    look(0);
    CHECK_EQ(st.conns, 0);
}

/* ---- at the end of a program ------------------------------------------------------------------------------------------------ */

static void never(void *arg) {
    (void)arg;
    CHECK(!"was started");
}

RT_TEST(test_timers_that_nobody_waits_for_are_told) {
    cyg_timer *t[3];
    cyg_ctx *ctx = cyg_ctx_with_timeout(cyg_ctx_background(), CYG_HOUR);
    for (int i = 0; i < 3; i++) CHECK_EQ(cyg_after_func((i + 1) * CYG_HOUR, never, NULL, &t[i]), 0);
    look(CYG_HOUR);
    CHECK(strstr(text, "\n3 timers pending, would start "));
    CHECK(strstr(text, "\n1 timer pending, would start context_deadline in 3"));
    CHECK(cyg_timer_stop(t[0]));
    CHECK(cyg_timer_reset(t[1], 2 * CYG_MINUTE)); /* sooner: its first place among the others is dead */
    look(CYG_HOUR);
    const char *line = strstr(text, "\n2 timers pending, would start ");
    double first = 0, last = 0;
    CHECK(line && sscanf(line, "\n2 timers pending, would start %*s in %lf s to %lf s", &first, &last) == 2);
    CHECK(first <= 120 && first < last && last <= 3 * 3600);
    cyg_ctx_cancel(ctx, 0);
    cyg_auto_ctx cyg_ctx *late = cyg_ctx_with_timeout(ctx, CYG_HOUR); /* of a parent that has ended: no timer */
    CHECK_EQ(cyg_ctx_err(late), CYG_ECANCELED);
    cyg_ctx_release(ctx);
    for (int i = 1; i < 3; i++) CHECK(cyg_timer_stop(t[i]));
    look(CYG_HOUR);
    CHECK(!strstr(text, "pending"));
    for (int i = 0; i < 3; i++) cyg_timer_release(t[i]);
}

static void count_me(void *arg) { ADD(*(int *)arg, 1); }
static void look_on(void *over) {
    cyg_leak_stats seen; /* not st, which is another P's */
    while (LOAD(*(int *)over) == 0) {
        CHECK_EQ(cyg_leaks(-1, CYG_HOUR, &seen), 0);
        cyg_yield();
    }
    STORE(*(int *)over, 2);
}

/* For ThreadSanitizer: a look meets stacks that are being made. */
RT_TEST(test_looking_while_stacks_are_made) {
    int ran = 0, over = 0, started = 0;
    GO(look_on, &over);
    for (size_t size = 16384; size <= 1048576; size *= 2) /* new ones, of each class */
        for (int i = 0; i < 100; i++, started++)
            CHECK_EQ(cyg_go_with(&(cyg_go_opts){.stack_size = size}, count_me, &ran), 0);
    WAIT_FOR(LOAD(ran) == started);
    STORE(over, 1);
    WAIT_FOR(LOAD(over) == 2);
}

static int leaky_main(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_mutex_lock(&held);
    start(3);
    WAIT_FOR(LOAD(parked) == 3);
    do CHECK_EQ(cyg_leaks(-1, 0, &st), 0);
    while (st.goroutines < 3 && (cyg_yield(), true));
    return 7;
}
static int leaky_child(int argc, char **argv) { return cyg_main(leaky_main, argc, argv); }
static void test_leaks_are_told_at_exit_when_asked(void **state) {
    (void)state;
    static struct rt_result r;
    rt_spawn("leaky", NULL, "CYGNET_DEBUG=leaks", &r);
    CHECK_EXIT(&r, 7);
    CHECK_SAYS(&r, "3 goroutines [mutex, ");
    CHECK_SAYS(&r, "test_leak.c:");
    rt_spawn("leaky", NULL, NULL, &r);
    CHECK_EXIT(&r, 7);
    if (!rt_shaken()) CHECK_EQ(r.n, 0); /* silent otherwise; the seed would be told */
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"leaky", leaky_child}, {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goroutines_parked_for_long_and_their_growth),
        cmocka_unit_test(test_live_goroutines_are_counted_by_start_site),
        cmocka_unit_test(test_connections_and_who_waits_on_them),
        cmocka_unit_test(test_timers_that_nobody_waits_for_are_told),
        cmocka_unit_test(test_looking_while_stacks_are_made),
        cmocka_unit_test(test_leaks_are_told_at_exit_when_asked),
    };
    int code = rt_child_main(argc, argv, kids);
    return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
