/* test_tcp.c: a tcp listener whose drain comes while its accept loop is in the middle of a connection, in that order. The loop is
 * held where it counts a connection by its address: the test has the lock.
 */
#include "../rt.h"

#include "gateway/gateway.h"
#include "gateway/state.h"
#include "gateway/tcp_pair.h"

static const char document[] =
    "version: v1\n"
    "listeners:\n"
    "  - {name: db, address: \"127.0.0.1:0\", protocol: tcp, cluster: none, limits: {max_connections_per_address: 9}}\n"
    "clusters:\n"
    "  - {name: none, endpoints: [\"unix:/nowhere/at/all\"]}\n"
    "access_log: {path: off}\n";

static struct cyg_gw *start(void) {
    struct cyg_gw_config *config;
    struct cyg_gw_problems problems = {0};
    struct cyg_gw *gw;
    CHECK_EQ(cyg_gw_config_parse("document", document, sizeof document - 1, &config, &problems), 0);
    cyg_gw_problems_free(&problems);
    CHECK_EQ(cyg_gw_start(config, NULL, &gw), 0);
    return gw;
}

static int over;

static void shut_down(void *arg) {
    struct cyg_gw_server *s = arg;
    CHECK_EQ(s->ops->shutdown(s, cyg_now() + RT_DEADLINE), 0);
    STORE(over, 1);
}

RT_TEST(test_a_drain_takes_no_listener_from_under_its_accept_loop) {
    struct cyg_gw *gw = start();
    struct cyg_gw_server *s = gw->servers[0];
    struct cyg_gw_tcp *t = s->own;
    cyg_conn *c;
    char b;
    STORE(over, 0);
    cyg_mutex_lock(&t->addresses_lock);
    CHECK_EQ(cyg_dial("tcp", s->text, NULL, &c), 0);
    WAIT_FOR(LOAD(t->addresses_lock.state) & 1); /* the loop waits for the lock: it has the connection in hand */
    GO(shut_down, s);
    rt_settle();
    CHECK(!LOAD(over));
    CHECK(t->listener != NULL); /* which the loop will accept from again */
    cyg_mutex_unlock(&t->addresses_lock);
    WAIT_FOR(LOAD(over));
    CHECK(t->listener == NULL);
    CHECK(cyg_read(c, &b, 1) < 0); /* its endpoint was not there */
    CHECK_EQ(cyg_close(c), 0);
    cyg_gw_free(gw);
}

/* The descriptor for signals, which a gateway waits for, stays. */
static int open_signals(void *arg) {
    (void)arg;
    return cyg_signal_wait(CYG_SIGNAL(SIGTERM), cyg_now());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_drain_takes_no_listener_from_under_its_accept_loop),
    };
    CHECK_EQ(cyg_runtime_start(NULL), 0);
    (void)cyg_call(open_signals, NULL);
    CHECK_EQ(cyg_runtime_stop(), 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
