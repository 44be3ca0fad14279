/* test_context.c: contexts: ends, causes, deadlines, families, inheritance, and that they go back to the allocator (the leak
 * checker sees).
 */
#include "../net/net.h"

static int done, errs[16];

/* ---- ends ------------------------------------------------------------------------------------------------------------ */

RT_TEST(test_first_cause_counts) {
    cyg_auto_ctx cyg_ctx *a = cyg_ctx_with_cancel(NULL);
    CHECK_EQ(cyg_ctx_err(a), 0);
    CHECK_EQ(cyg_ctx_deadline(a), 0);
    cyg_ctx_cancel(a, -ENETDOWN);
    cyg_ctx_cancel(a, CYG_ETIMEDOUT);
    CHECK_EQ(cyg_ctx_err(a), -ENETDOWN);
    cyg_auto_ctx cyg_ctx *b = cyg_ctx_with_cancel(NULL);
    cyg_ctx_cancel(b, 0);
    CHECK_EQ(cyg_ctx_err(b), CYG_ECANCELED);
    cyg_ctx_cancel(cyg_ctx_background(), -EIO); /* never ends */
    CHECK_EQ(cyg_ctx_err(cyg_ctx_background()), 0);
    CHECK(cyg_ctx_acquire(cyg_ctx_background()) == cyg_ctx_background());
    cyg_ctx_release(cyg_ctx_background());
}

RT_TEST(test_deadlines) {
    cyg_time now = cyg_now();
    cyg_auto_ctx cyg_ctx *soon = cyg_ctx_with_timeout(NULL, 2 * CYG_MILLISECOND);
    CHECK(cyg_ctx_deadline(soon) >= now + 2 * CYG_MILLISECOND);
    cyg_auto_ctx cyg_ctx *kid = cyg_ctx_with_timeout(soon, CYG_HOUR); /* never later than its parent's */
    CHECK_EQ(cyg_ctx_deadline(kid), cyg_ctx_deadline(soon));
    cyg_auto_ctx cyg_ctx *plain = cyg_ctx_with_cancel(kid);
    CHECK_EQ(cyg_ctx_deadline(plain), cyg_ctx_deadline(soon));
    cyg_auto_ctx cyg_ctx *late = cyg_ctx_with_timeout(NULL, CYG_HOUR);
    cyg_auto_ctx cyg_ctx *sooner = cyg_ctx_with_timeout(late, CYG_MILLISECOND); /* earlier may be */
    cyg_auto_ctx cyg_ctx *never = cyg_ctx_with_timeout(NULL, INT64_MAX);
    WAIT_FOR(cyg_ctx_err(soon) && cyg_ctx_err(kid) && cyg_ctx_err(plain) && cyg_ctx_err(sooner));
    CHECK(cyg_now() >= cyg_ctx_deadline(soon));
    CHECK_EQ(cyg_ctx_err(kid), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_ctx_err(late), 0);
    CHECK_EQ(cyg_ctx_err(never), 0);
    cyg_auto_ctx cyg_ctx *past = cyg_ctx_with_deadline(NULL, 1);
    CHECK_EQ(cyg_ctx_err(past), CYG_ETIMEDOUT); /* at once */
    cyg_auto_ctx cyg_ctx *none = cyg_ctx_with_timeout(NULL, -5);
    CHECK_EQ(cyg_ctx_err(none), CYG_ETIMEDOUT);
}

RT_TEST(test_children_end_with_their_parent_and_not_the_other_way) {
    cyg_auto_ctx cyg_ctx *a = cyg_ctx_with_cancel(NULL), *b = cyg_ctx_with_cancel(a);
    cyg_auto_ctx cyg_ctx *c = cyg_ctx_with_timeout(b, CYG_HOUR), *sister = cyg_ctx_with_cancel(a);
    cyg_ctx_cancel(sister, 0);
    CHECK_EQ(cyg_ctx_err(a), 0);
    cyg_ctx_cancel(b, -EPIPE);
    CHECK_EQ(cyg_ctx_err(c), -EPIPE);
    CHECK_EQ(cyg_ctx_err(a), 0);
    cyg_auto_ctx cyg_ctx *born_dead = cyg_ctx_with_timeout(b, CYG_HOUR);
    CHECK_EQ(cyg_ctx_err(born_dead), -EPIPE);
    CHECK_EQ(rt_stats().timers, 0); /* none is left for what has ended */
}

RT_TEST(test_last_release_cancels) {
    cyg_ctx *a = cyg_ctx_with_timeout(NULL, CYG_HOUR);
    cyg_ctx_acquire(a);
    cyg_ctx_release(a);
    CHECK_EQ(cyg_ctx_err(a), 0);
    cyg_ctx_release(a);
    CHECK_EQ(rt_stats().timers, 0); /* not kept until its hour is over */
    a = cyg_ctx_with_timeout(NULL, CYG_HOUR);
    cyg_ctx *b = cyg_ctx_with_cancel(a);
    cyg_ctx_release(a); /* the child holds its parent */
    CHECK_EQ(cyg_ctx_err(b), 0);
    cyg_ctx_release(b);
    CHECK_EQ(rt_stats().timers, 0);
}

RT_TEST(test_ten_thousand_children_are_freed) {
    enum { N = 10000 };
    cyg_ctx *a = cyg_ctx_with_cancel(NULL), **kids = malloc(N * sizeof *kids);
    for (int i = 0; i < N; i++) kids[i] = i % 2 ? cyg_ctx_with_timeout(a, CYG_HOUR) : cyg_ctx_with_cancel(a);
    for (int i = 0; i < N; i += 3) cyg_ctx_release(kids[i]);
    cyg_ctx_cancel(a, 0);
    for (int i = 0; i < N; i++) {
        if (i % 3 == 0) continue;
        CHECK_EQ(cyg_ctx_err(kids[i]), CYG_ECANCELED);
        cyg_ctx_release(kids[i]);
    }
    free(kids);
    cyg_ctx_release(a);
}

/* ---- scopes and inheritance --------------------------------------------------------------------------------------------- */

RT_TEST(test_scopes_nest) {
    cyg_auto_ctx cyg_ctx *a = cyg_ctx_with_cancel(NULL), *b = cyg_ctx_with_cancel(a);
    CHECK(cyg_ctx_current() == cyg_ctx_background());
    cyg_ctx_scope sa = cyg_ctx_enter(a);
    CHECK(cyg_ctx_current() == a);
    cyg_ctx_scope sb = cyg_ctx_enter(b);
    CHECK(cyg_ctx_current() == b);
    cyg_ctx_scope sc = cyg_ctx_enter(cyg_ctx_background());
    CHECK(cyg_ctx_current() == cyg_ctx_background());
    cyg_ctx_cancel(a, 0);
    CHECK_EQ(cyg_sleep(1), 0); /* not under it now */
    cyg_ctx_leave(&sc);
    CHECK(cyg_ctx_current() == b);
    CHECK_EQ(cyg_sleep(CYG_HOUR), CYG_ECANCELED);
    cyg_ctx_leave(&sb);
    CHECK(cyg_ctx_current() == a);
    cyg_ctx_leave(&sa);
    CHECK(cyg_ctx_current() == cyg_ctx_background());
}

static void inherits(void *arg) {
    CHECK(cyg_ctx_current() == arg);
    cyg_auto_ctx cyg_ctx *own = cyg_ctx_with_cancel(NULL); /* NULL: below the current one */
    CHECK_EQ(cyg_sleep(CYG_HOUR), -EINTR);
    WAIT_FOR(cyg_ctx_err(own) == -EINTR); /* children follow, one by one */
    ADD(done, 1);
}
RT_TEST(test_goroutines_inherit_the_current_context) {
    STORE(done, 0);
    cyg_ctx *a = cyg_ctx_with_cancel(NULL);
    cyg_ctx_scope s = cyg_ctx_enter(a);
    for (int i = 0; i < 10; i++) GO(inherits, a);
    cyg_ctx_leave(&s);
    for (int i = 0; i < 20; i++) cyg_yield();
    cyg_ctx_cancel(a, -EINTR);
    cyg_ctx_release(a); /* they hold it */
    WAIT_FOR(LOAD(done) == 10);
}

/* ---- cancel wakes whatever parks ------------------------------------------------------------------------------------------ */

static struct {
    struct net_pair p, quiet;
    cyg_listener *l;
    cyg_mutex free, held;
    cyg_cond c;
    cyg_waitgroup wg;
    int pipe[2];
} at;
enum { SLEEP, READ, WRITE, ACCEPT, COND, WAITGROUP, LOCK, FDWAIT, READABLE, KINDS };

static int park_in(int kind) {
    char b;
    cyg_conn *c;
    int r;
    switch (kind) {
    case SLEEP: return cyg_sleep(CYG_HOUR);
    case READ: return (int)cyg_read(at.p.a, &b, 1);
    case WRITE: return (int)cyg_write(at.p.a, "x", 1);
    case ACCEPT: return cyg_accept(at.l, &c);
    case COND:
        cyg_mutex_lock(&at.free);
        r = cyg_cond_wait(&at.c, &at.free);
        cyg_mutex_unlock(&at.free);
        return r;
    case WAITGROUP: return cyg_waitgroup_wait(&at.wg);
    case LOCK: return cyg_mutex_lock_ctx(&at.held);
    case FDWAIT: return cyg_fd_wait(at.pipe[0], CYG_READABLE, 0);
    default: return cyg_conn_wait_readable(at.quiet.b);
    }
}
static void park_as(void *arg) {
    int kind = (int)(intptr_t)arg;
    errs[kind] = park_in(kind);
    ADD(done, 1);
}

RT_TEST(test_cancel_wakes_every_kind_of_wait) {
    memset(&at, 0, sizeof at);
    CHECK_EQ(pipe2(at.pipe, O_CLOEXEC), 0);
    net_tcp_pair(&at.p);
    net_unix_pair(&at.quiet);
    net_fill_for_good(at.p.a);
    CHECK_EQ(cyg_set_deadline(at.p.a, cyg_now() + CYG_HOUR), 0);
    CHECK_EQ(cyg_listen("tcp", "127.0.0.1:0", NULL, &at.l), 0);
    cyg_mutex_lock(&at.held);
    cyg_waitgroup_add(&at.wg, 1);
    for (int early = 0; early < 2; early++) { /* cancelled while parked, and before */
        cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
        STORE(done, 0);
        if (early) cyg_ctx_cancel(ctx, -ESTALE);
        cyg_ctx_scope s = cyg_ctx_enter(ctx);
        for (intptr_t i = 0; i < KINDS; i++) GO(park_as, (void *)i);
        cyg_ctx_leave(&s);
        net_settle();
        cyg_ctx_cancel(ctx, -ESTALE);
        WAIT_FOR(LOAD(done) == KINDS);
        for (int i = 0; i < KINDS; i++)
            if (errs[i] != -ESTALE) rt_fail(__FILE__, __LINE__, "kind %d: %d", i, errs[i]);
    }
    cyg_mutex_unlock(&at.held);
    cyg_waitgroup_done(&at.wg);
    close(at.pipe[0]);
    close(at.pipe[1]);
    CHECK_EQ(cyg_listener_close(at.l), 0);
    net_close_pair(&at.p);
    net_close_pair(&at.quiet);
}

static int cancel_from_thread_ready;
static void *cancel_all(void *arg) {
    cyg_ctx **ctx = arg;
    for (int i = 0; i < 200; i++) {
        while (LOAD(cancel_from_thread_ready) <= i) sched_yield();
        cyg_ctx_cancel(ctx[i], 0);
        cyg_ctx_release(ctx[i]);
    }
    return NULL;
}
static void sleep_under(void *arg) {
    cyg_ctx_scope s = cyg_ctx_enter(arg);
    cyg_ctx_release(arg);
    CHECK_EQ(cyg_sleep(CYG_HOUR), CYG_ECANCELED);
    cyg_ctx_leave(&s);
    ADD(done, 1);
}
/* From a foreign thread, at whatever moment of going to sleep. */
RT_TEST(test_cancel_races_with_parking) {
    cyg_ctx *ctx[200];
    STORE(done, 0);
    STORE(cancel_from_thread_ready, 0);
    for (int i = 0; i < 200; i++) ctx[i] = cyg_ctx_with_timeout(NULL, CYG_HOUR);
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, cancel_all, ctx), 0);
    for (int i = 0; i < 200; i++) {
        GO(sleep_under, cyg_ctx_acquire(ctx[i]));
        STORE(cancel_from_thread_ready, i + 1);
        cyg_yield();
    }
    WAIT_FOR(LOAD(done) == 200);
    pthread_join(t, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_cause_counts),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_children_end_with_their_parent_and_not_the_other_way),
        cmocka_unit_test(test_last_release_cancels),
        cmocka_unit_test(test_ten_thousand_children_are_freed),
        cmocka_unit_test(test_scopes_nest),
        cmocka_unit_test(test_goroutines_inherit_the_current_context),
        cmocka_unit_test(test_cancel_wakes_every_kind_of_wait),
        cmocka_unit_test(test_cancel_races_with_parking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
