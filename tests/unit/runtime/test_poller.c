/* test_poller.c: what one P does in the poller of another. White box, without a running runtime: two Ps made by hand. */
#include "../rt.h"

#include "runtime/poller/poller.h"

static struct p *open_p(void) {
    struct p *p = aligned_alloc(CYGRT_CACHELINE, sizeof *p);
    assert_non_null(p);
    memset(p, 0, sizeof *p);
    assert_int_equal(cygrt_poller_open(p), 0);
    return p;
}

static void close_p(struct p *p) {
    cygrt_poller_close(p);
    free(p);
}

static bool has_event(struct p *p) {
    struct pollfd f = {.fd = p->epfd, .events = POLLIN};
    return poll(&f, 1, 0) == 1;
}

/* The sleeper has looked at all queues and is about to wait; somebody wakes it; a helper polls its descriptors. */
static void test_helper_leaves_the_sleeper_its_wakeup(void **state) {
    (void)state;
    struct p *helper = open_p(), *sleeper = open_p();
    cygrt_poller_notify(sleeper);
    assert_true(has_event(sleeper));
    cygrt_poll(helper, sleeper, 0);
    assert_true(has_event(sleeper));
    close_p(helper);
    close_p(sleeper);
}

static void test_own_wakeup_is_taken_once(void **state) {
    (void)state;
    struct p *p = open_p();
    cygrt_poller_notify(p);
    cygrt_poll(p, p, INT64_MAX);
    assert_false(has_event(p));
    close_p(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_helper_leaves_the_sleeper_its_wakeup),
        cmocka_unit_test(test_own_wakeup_is_taken_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
