/* test_chan_watch.c: named channels whose backlog only grows are found and named, others are not. Looks are made by hand, a second apart;
 * sysmon's own are put off by CYGNET_DEBUG=backlogs. */
#include "../rt.h"

#include "sync/chan_watch.h"

static cyg_time at; /* of the last look */

static void look(void) { chan_watch_look(at += CYG_SECOND); }

static cyg_chan_name_stats named(const char *name) {
    cyg_chan_name_stats all[8];
    size_t n = cyg_chan_named(all, 8);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].name, name) == 0) return all[i];
    return (cyg_chan_name_stats){0};
}

static cyg_chan *make(const char *name, size_t capacity) {
    cyg_chan *ch = cyg_chan_new(0, capacity);
    cyg_chan_set_name(ch, name);
    look();
    return ch;
}

RT_TEST(test_growth_at_ten_looks_in_a_row_is_told) {
    cyg_auto_chan cyg_chan *ch = make("jobs", 100);
    for (int i = 1; i <= 9; i++) {
        CHECK_EQ(cyg_chan_send(ch, CYG_NOTHING), 0);
        look();
        CHECK_EQ(named("jobs").growing, 0);
    }
    CHECK_EQ(cyg_chan_send(ch, CYG_NOTHING), 0);
    look();
    CHECK_EQ(named("jobs").growing, 10 * CYG_SECOND);
    CHECK_EQ(named("jobs").depth, 10);
    CHECK_EQ(named("jobs").capacity, 100);
    CHECK(strstr(named("jobs").file, "test_chan_watch.c"));
    look(); /* as large as before */
    CHECK_EQ(named("jobs").growing, 0);
}

RT_TEST(test_a_busy_channel_is_not_told) {
    cyg_auto_chan cyg_chan *ch = make("busy", 100);
    for (int i = 1; i <= 50; i++) { /* longer on the whole, but not always */
        for (int k = 0; k < (i % 8 ? 1 : -1); k++) CHECK_EQ(cyg_chan_send(ch, CYG_NOTHING), 0);
        if (i % 8 == 0) CHECK_EQ(cyg_chan_recv(ch, CYG_NOTHING), 0);
        look();
        CHECK_EQ(named("busy").growing, 0);
    }
}

static void send_one(void *ch) { (void)cyg_chan_send(ch, CYG_NOTHING); }

RT_TEST(test_waiting_senders_and_refused_values_are_backlog) {
    cyg_auto_chan cyg_chan *ch = make("full", 0);
    for (size_t i = 1; i <= 5; i++) {
        GO(send_one, ch);
        WAIT_FOR(named("full").senders == i);
        look();
    }
    for (int i = 1; i <= 5; i++) {
        CHECK_EQ(cyg_chan_try_send(ch, CYG_NOTHING), CYG_EAGAIN);
        CHECK_EQ(named("full").growing, 0);
        look();
    }
    CHECK_EQ(named("full").growing, 10 * CYG_SECOND);
    CHECK_EQ(named("full").drops_total, 5);
    cyg_chan_close(ch);
    WAIT_FOR(named("full").senders == 0);
}

RT_TEST(test_names_are_put_together_and_go_with_their_channels) {
    cyg_chan *a = make("twin", 3), *b = make("twin", 4);
    CHECK_EQ(cyg_chan_send(a, CYG_NOTHING), 0);
    CHECK_EQ(cyg_chan_send(b, CYG_NOTHING), 0);
    CHECK_EQ(named("twin").channels, 2);
    CHECK_EQ(named("twin").depth, 2);
    CHECK_EQ(named("twin").capacity, 7);
    cyg_chan_set_name(a, "twin"); /* again: counted once */
    CHECK_EQ(named("twin").channels, 2);
    cyg_chan_set_name(a, NULL);
    CHECK_EQ(named("twin").channels, 1);
    cyg_chan_release(a);
    cyg_chan_release(b);
    CHECK_EQ(named("twin").channels, 0);
    CHECK_EQ(cyg_chan_named(NULL, 0), 0);
}

/* A program of its own, with sysmon's looks. */
static int grow(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_auto_chan cyg_chan *ch = cyg_chan_new(0, 1 << 30); /* elements of 0 bytes need no room */
    cyg_chan_set_name(ch, "for ever");
    while (!named("for ever").growing) {
        if (cyg_chan_send(ch, CYG_NOTHING) != 0) return 99;
        cyg_yield();
    }
    return 7;
}
static int grow_child(int argc, char **argv) { return cyg_main(grow, argc, argv); }
static void test_a_program_of_cyg_main_says_so(void **state) {
    (void)state;
    static struct rt_result r;
    rt_spawn("grow", NULL, "CYGNET_DEBUG=backlogs=2", &r);
    CHECK_EXIT(&r, 7);
    CHECK_SAYS(&r, "cygnet: the backlog of channel \"for ever\" (made at ");
    CHECK_SAYS(&r, "test_chan_watch.c:");
    CHECK_SAYS(&r, " of 1073741824 values, 0 senders wait, 0 found no room");
    rt_spawn("grow", NULL, "CYGNET_DEBUG=backlogs=2,nobacklogs", &r);
    CHECK_EXIT(&r, 7);
    CHECK(!strstr(r.err, "backlog of"));
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"grow", grow_child}, {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth_at_ten_looks_in_a_row_is_told),
        cmocka_unit_test(test_a_busy_channel_is_not_told),
        cmocka_unit_test(test_waiting_senders_and_refused_values_are_backlog),
        cmocka_unit_test(test_names_are_put_together_and_go_with_their_channels),
        cmocka_unit_test(test_a_program_of_cyg_main_says_so),
    };
    int code = rt_child_main(argc, argv, kids);
    if (code >= 0) return code;
    const char *debug = getenv("CYGNET_DEBUG"); /* fallbacks that are forced stay so */
    char with[256];
    snprintf(with, sizeof with, "%s,backlogs=1000000000", debug ? debug : "");
    setenv("CYGNET_DEBUG", with, 1);
    at = cyg_now();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
