/* test_cohort.c: requests that one look at the network has brought are worked on before the first answer leaves, if that is soon;
 * an answer does not wait for others' work that takes long. One P: thieves would break the order.
 */
#include "harness.h"
#include "runtime/cohort.h"
#include <sys/ioctl.h>

enum { CLIENTS = 3 };
#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define SHORT (CLIENTS * CYGRT_SHORT_STEP) /* reads and handlers are twice as many steps */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOW 1
#endif
#endif

static struct {
    cyg_conn *client[CLIENTS];
    cyg_waitgroup all;     /* handlers that have yet to end: until then nobody reads answers */
    cyg_duration work;     /* of the first handler, */
    bool elsewhere;        /* or of a goroutine that it starts */
    int n;                 /* handlers so far */
    int answered[CLIENTS]; /* clients that had their answer when the i-th began, -1: not known */
    cyg_time began, sent, end[CLIENTS];
} t;

static int descriptor(cyg_conn *c) { return c->ops->descriptor(c); }

static int answered(void) {
    int some = 0;
    for (int i = 0; i < CLIENTS; i++) {
        int n = 0;
        if (ioctl(descriptor(t.client[i]), FIONREAD, &n) != 0) return -1;
        some += n > 0;
    }
    return some;
}

static void compute(void) {
    while (cyg_now() - t.began < t.work) {}
}

static void work(void *arg) {
    (void)arg;
    compute();
    cyg_waitgroup_done(&t.all);
}

static void handler(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)req, (void)arg;
    int i = t.n++;
    t.answered[i] = answered();
    if (i == 0 && t.elsewhere) {
        cyg_waitgroup_add(&t.all, 1);
        if (cyg_go(work, NULL) < 0) abort();
    } else if (i == 0) {
        compute();
    }
    t.end[i] = cyg_now();
    cyg_http_printf(res, 200, "text/plain", "ok\n");
    cyg_waitgroup_done(&t.all);
}

static bool all_idle(void) {
    cyg_runtime_stats s;
    cyg_stats(&s);
    return s.start_records == CLIENTS;
}

/* Requests on all connections at once. */
static int one_poll(cyg_duration work, bool elsewhere) {
    CHECK(EVENTUALLY(all_idle()));
    t.n = 0;
    t.work = work;
    t.elsewhere = elsewhere;
    cyg_waitgroup_add(&t.all, CLIENTS);
    t.began = cyg_now();
    for (int i = 0; i < CLIENTS; i++) CHECK(put(t.client[i], GET) == 0);
    t.sent = cyg_now();
    CHECK(cyg_waitgroup_wait(&t.all) == 0);
    for (int i = 0; i < CLIENTS; i++) {
        struct text got = {.n = 0};
        get_until(t.client[i], &got, "ok\n");
        CHECK(has(&got, " 200 "));
    }
    CHECK(t.n == CLIENTS);
    return 0;
}

/* Whether nothing is to be said about the order: shaken schedules, and sanitizers, with which no step is short. */
static bool no_order(void) {
#ifdef SLOW
    return true;
#endif
    const char *seed = getenv("CYGNET_SCHED_FUZZ");
    return seed && strtoul(seed, NULL, 0);
}

static int with_server(int (*body)(void)) {
    struct server sv;
    CHECK(server_up(&sv, handler, NULL, NULL) == 0);
    for (int i = 0; i < CLIENTS; i++) CHECK((t.client[i] = dial(&sv.addr)) != NULL);
    int failed = body();
    for (int i = 0; i < CLIENTS; i++) cyg_close(t.client[i]);
    CHECK(server_down(&sv) == 0);
    return failed;
}

/* A round in which the machine was late proves nothing; there is one in which it was not. */
static int short_work(void) {
    cyg_time until = cyg_now() + PATIENCE;
    do {
        CHECK(one_poll(0, false) == 0);
        if (no_order()) return 0;
    } while (t.end[CLIENTS - 1] - t.sent > SHORT && cyg_now() < until);
    for (int i = 0; i < CLIENTS; i++) CHECK(t.answered[i] == 0);
    return 0;
}

static int long_work(void) {
    CHECK(one_poll(5 * CYG_MILLISECOND, false) == 0);
    if (no_order()) return 0;
    CHECK(t.answered[0] == 0 && t.answered[1] == 1 && t.answered[2] == 2);
    return 0;
}

/* The first answer leaves before what its handler has started. */
static int started_work(void) {
    CHECK(one_poll(5 * CYG_MILLISECOND, true) == 0);
    if (no_order()) return 0;
    CHECK(t.answered[0] == 0 && t.answered[1] >= 1);
    return 0;
}

TEST(test_answers_leave_together) { return with_server(short_work); }
TEST(test_an_answer_does_not_wait_for_long_work) { return with_server(long_work); }

TEST(test_an_answer_does_not_wait_for_what_its_handler_has_started) { return with_server(started_work); }

static int one_p(void **state) {
    (void)state;
    return cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 1, .stack_size = 4 << 20});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_leave_together),
        cmocka_unit_test(test_an_answer_does_not_wait_for_long_work),
        cmocka_unit_test(test_an_answer_does_not_wait_for_what_its_handler_has_started),
    };
    return cmocka_run_group_tests(tests, one_p, runtime_down);
}
