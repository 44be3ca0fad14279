/* test_cohort.c: of goroutines that one look at the network has woken all read before any of them goes on, as long as nobody else
 * waits for the P. One P: thieves would break the order.
 */
#include "net.h"
#include <sys/ioctl.h>

enum { MEMBERS = 8 };

static struct {
    struct net_pair pair[MEMBERS];
    cyg_waitgroup all;
    size_t bytes;        /* that each reads */
    bool foreign;        /* the first member starts goroutines before it reads */
    int nback;           /* members that have come back from their reads */
    int unread[MEMBERS]; /* how many had yet to read when the i-th came back */
} t;

static void nothing(void *arg) { (void)arg; }

static void member(void *arg, int why) {
    struct net_pair *p = arg;
    static char buf[8192];
    CHECK_EQ(why, 0);
    if (t.foreign && p == &t.pair[0]) {
        GO(nothing, NULL); /* into the next slot, */
        GO(nothing, NULL); /* and this one in its stead: behind the members now */
    }
    CHECK_EQ(cyg_read(p->a, buf, sizeof buf), t.bytes);
    int left = 0;
    for (int i = 0; i < MEMBERS; i++) {
        int n = -1;
        CHECK_EQ(ioctl(net_fd(t.pair[i].a), FIONREAD, &n), 0);
        left += n > 0;
    }
    t.unread[t.nback++] = left;
    cyg_waitgroup_done(&t.all);
}

/* All members become readable before anybody can look; returns how often a turn was given to others. */
static uint64_t one_poll(size_t bytes, bool foreign) {
    static char data[8192];
    cyg_waitgroup_add(&t.all, MEMBERS);
    t.bytes = bytes;
    t.foreign = foreign;
    t.nback = 0;
    for (int i = 0; i < MEMBERS; i++) {
        net_unix_pair(&t.pair[i]);
        CHECK_EQ(cyg_conn_on_readable(t.pair[i].a, member, &t.pair[i], 0), 0);
    }
    rt_settle();
    uint64_t before = rt_stats().turns_total;
    for (int i = 0; i < MEMBERS; i++) CHECK_EQ(send(net_fd(t.pair[i].b), data, bytes, 0), bytes);
    CHECK_EQ(cyg_waitgroup_wait(&t.all), 0);
    for (int i = 0; i < MEMBERS; i++) net_close_pair(&t.pair[i]);
    return rt_stats().turns_total - before;
}

static void all_read_first(void) {
    uint64_t turns = one_poll(1, false);
    if (rt_shaken()) return;
    CHECK_EQ(turns, MEMBERS);
    for (int i = 0; i < MEMBERS; i++) CHECK_EQ(t.unread[i], 0);
}

static void others_are_not_let_past(void) {
    uint64_t turns = one_poll(1, true);
    if (rt_shaken()) return;
    CHECK_EQ(t.unread[0], MEMBERS - 1); /* somebody who was not woken by the poller stands behind the members */
    CHECK_EQ(t.unread[1], MEMBERS - 2);
    CHECK(turns < MEMBERS);
}

static void long_messages_stay_in_the_cache(void) {
    CHECK_EQ(one_poll(8192, false), 0);
    if (rt_shaken()) return;
    for (int i = 0; i < MEMBERS; i++) CHECK_EQ(t.unread[i], MEMBERS - 1 - i);
}

static void on_one_p(void (*body)(void)) { rt_run(&(cyg_runtime_opts){.maxprocs = 1}, body); }

static void test_all_have_read_before_any_goes_on(void **state) { (void)state, on_one_p(all_read_first); }
static void test_no_turn_is_given_to_a_goroutine_from_elsewhere(void **state) {
    (void)state, on_one_p(others_are_not_let_past);
}
static void test_who_has_read_much_goes_on_at_once(void **state) {
    (void)state, on_one_p(long_messages_stay_in_the_cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_have_read_before_any_goes_on),
        cmocka_unit_test(test_no_turn_is_given_to_a_goroutine_from_elsewhere),
        cmocka_unit_test(test_who_has_read_much_goes_on_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
