/* test_locks.c: mutex, condition and waitgroup: exclusion, fairness, ends by time and by context, misuse.
 */
#include "../rt.h"
#include "base/spin.h"
#include "sync/waiter.h"

static cyg_mutex m;
static cyg_cond cond;
static int done, inside, total, err;

/* ---- mutex ------------------------------------------------------------------------------------------------------------ */

static int waiters_in(const cyg_waitq *q, uint32_t *lock) {
    cyg_spin_lock(lock);
    int n = 0;
    for (const struct cyg_waiter *w = q->head; w; w = w->next) n++;
    cyg_spin_unlock(lock);
    return n;
}

enum { WORKERS = 16, TURNS = 2000 / RT_LESS };

static void work(void *arg) {
    (void)arg;
    for (int i = 0; i < TURNS; i++) {
        cyg_mutex_lock(&m);
        CHECK_EQ(ADD(inside, 1), 1);
        total++; /* guarded by the lock alone */
        if (i % 50 == 0) cyg_yield();
        if (i % 400 == 0) CHECK_EQ(cyg_sleep(10 * CYG_MICROSECOND), 0);
        ADD(inside, -1);
        cyg_mutex_unlock(&m);
        if (i % 70 == 0) cyg_yield();
    }
    ADD(done, 1);
}

RT_TEST(test_one_holder_at_a_time) {
    STORE(done, 0);
    total = 0;
    for (int i = 0; i < WORKERS; i++) GO(work, NULL);
    WAIT_FOR(LOAD(done) == WORKERS);
    CHECK_EQ(total, WORKERS * TURNS);
    CHECK(cyg_mutex_trylock(&m)); /* and free */
    cyg_mutex_unlock(&m);
}

RT_TEST(test_trylock) {
    CHECK(cyg_mutex_trylock(&m));
    CHECK(!cyg_mutex_trylock(&m));
    cyg_mutex_unlock(&m);
    CHECK(cyg_mutex_trylock(&m));
    cyg_mutex_unlock(&m);
}

static int starved;
/* Never away from the lock for long: a waiter that only competes would lose most of the time, and on one P always. */
static void hog(void *arg) {
    (void)arg;
    cyg_time end = cyg_now() + RT_DEADLINE;
    while (!LOAD(starved)) {
        CHECK(cyg_now() < end); /* the waiter starves */
        cyg_mutex_lock(&m);
        cyg_time until = cyg_now() + 50 * CYG_MICROSECOND;
        cyg_yield(); /* the waiter is woken while the lock is held again */
        while (cyg_now() < until) continue;
        cyg_mutex_unlock(&m);
    }
    ADD(done, 1);
}
static void waiter(void *arg) {
    (void)arg;
    for (int i = 0; i < 10; i++) {
        cyg_mutex_lock(&m);
        cyg_mutex_unlock(&m);
    }
    STORE(starved, 1);
    ADD(done, 1);
}
RT_TEST(test_starved_waiter_gets_the_lock_handed_over) {
    STORE(done, 0);
    STORE(starved, 0);
    GO(hog, NULL);
    GO(waiter, NULL);
    cyg_time end = cyg_now() + RT_DEADLINE;
    while (LOAD(done) < 2) {
        CHECK(cyg_now() < end);
        CHECK_EQ(cyg_sleep(CYG_MILLISECOND), 0);
    }
}

/* A goroutine that locks again and again does not send all waiters off for nothing: one is on its way at a time. */
enum { QUEUED = 20 };
static void one_turn(void *arg) {
    (void)arg;
    cyg_mutex_lock(&m);
    cyg_mutex_unlock(&m);
    ADD(done, 1);
}
RT_TEST(test_one_waiter_is_woken_at_a_time) {
    STORE(done, 0);
    cyg_mutex_lock(&m);
    for (int i = 0; i < QUEUED; i++) GO(one_turn, NULL);
    WAIT_FOR(waiters_in(&m.queue, &m.qlock) == QUEUED);
    for (int i = 0; i < QUEUED; i++) {
        cyg_mutex_unlock(&m);
        cyg_mutex_lock(&m); /* handed over to a waiter it may take a while, and some have had their turn then */
        int away = QUEUED - LOAD(done) - waiters_in(&m.queue, &m.qlock);
        if (cyg_procs() == 1) CHECK(away == 0 || away == 1); /* on more Ps some may be on their way here */
    }
    cyg_mutex_unlock(&m);
    WAIT_FOR(LOAD(done) == QUEUED);
}

static void lock_ctx(void *arg) {
    cyg_ctx_scope s = cyg_ctx_enter(arg);
    err = cyg_mutex_lock_ctx(&m);
    if (err == 0) cyg_mutex_unlock(&m);
    cyg_ctx_leave(&s);
    ADD(done, 1);
}
RT_TEST(test_cancelled_lock_leaves_the_lock_usable) {
    for (int i = 0; i < 50; i++) {
        cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
        STORE(done, 0);
        cyg_mutex_lock(&m);
        GO(lock_ctx, ctx);
        if (i % 2) WAIT_FOR(LOAD(m.state) == (~3u | 1)); /* it waits */
        cyg_ctx_cancel(ctx, 0);
        WAIT_FOR(LOAD(done) == 1);
        CHECK_EQ(err, CYG_ECANCELED);
        cyg_mutex_unlock(&m);
        cyg_mutex_lock(&m);
        CHECK(!cyg_mutex_trylock(&m));
        cyg_mutex_unlock(&m);
        CHECK(cyg_mutex_trylock(&m));
        cyg_mutex_unlock(&m);
    }
    CHECK_EQ(cyg_mutex_lock_ctx(&m), 0);
    cyg_mutex_unlock(&m);
}

static int left;
static void unlock_and_say(void *arg) {
    cyg_mutex_unlock((cyg_mutex *)arg);
    STORE(left, 1);
}

/* Its next holder is its last and overwrites it: who freed it, and still found a waiter announced that has given up, must be gone. */
RT_TEST(test_a_mutex_may_go_with_its_last_holder) {
    for (int i = 0; i < 800 / RT_LESS; i++) {
        cyg_mutex own = {.state = ~3u | 1}; /* locked; WAITERS, but the queue is empty */
        STORE(left, 0);
        GO(unlock_and_say, &own);
        while (!cyg_mutex_trylock(&own))
            if (i % 8 == 0 || cyg_procs() == 1) cyg_yield();
        cyg_mutex_unlock(&own);
        memset(&own, 0xff, sizeof own);
        WAIT_FOR(LOAD(left) == 1);
        for (size_t k = 0; k < sizeof own; k++) CHECK_EQ(((unsigned char *)&own)[k], 0xff);
    }
}

/* Who finds it held leaves a mark in its state: the unlock must free it nevertheless, and marks must not add up. */
RT_TEST(test_attempts_that_fail_leave_nothing) {
    cyg_mutex own = {0};
    cyg_mutex_lock(&own);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    cyg_ctx_cancel(ctx, 0);
    cyg_ctx_scope scope = cyg_ctx_enter(ctx);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(cyg_mutex_lock_ctx(&own), CYG_ECANCELED);
        CHECK(!cyg_mutex_trylock(&own));
        CHECK_EQ(own.state, ~3u | 1); /* as for one who waits */
    }
    cyg_ctx_leave(&scope);
    cyg_mutex_unlock(&own);
    CHECK_EQ(own.state, 0);

    CHECK(cyg_mutex_trylock(&own));
    CHECK(!cyg_mutex_enter(&own)); /* two who have not come further yet */
    CHECK(!cyg_mutex_enter(&own));
    cyg_mutex_unlock(&own);
    CHECK_EQ(own.state, 0);
    CHECK(cyg_mutex_enter(&own));
    cyg_mutex_unlock(&own);
}

/* ---- condition ---------------------------------------------------------------------------------------------------------- */

static int tokens, order[8], norder;
static void take_token(void *arg) {
    cyg_mutex_lock(&m);
    while (tokens == 0) CHECK_EQ(cyg_cond_wait(&cond, &m), 0);
    tokens--;
    if (norder < 8) order[norder++] = (int)(intptr_t)arg;
    cyg_mutex_unlock(&m);
    ADD(done, 1);
}

RT_TEST(test_signal_wakes_the_one_that_waited_longest) {
    STORE(done, 0);
    tokens = norder = 0;
    cyg_cond_signal(&cond); /* nobody waits: nothing is kept */
    for (int i = 0; i < 5; i++) {
        GO(take_token, (void *)(intptr_t)i);
        WAIT_FOR(LOAD(cond.nwait) == (uint32_t)i + 1);
    }
    for (int i = 0; i < 5; i++) {
        cyg_mutex_lock(&m);
        tokens++;
        cyg_cond_signal(&cond);
        cyg_mutex_unlock(&m);
        WAIT_FOR(LOAD(done) == i + 1);
        CHECK_EQ(LOAD(cond.nwait), 4 - i);
    }
    for (int i = 0; i < 5; i++) CHECK_EQ(order[i], i);
}

RT_TEST(test_broadcast_wakes_all) {
    STORE(done, 0);
    tokens = norder = 0;
    for (int i = 0; i < 40; i++) GO(take_token, NULL);
    WAIT_FOR(LOAD(cond.nwait) == 40);
    cyg_mutex_lock(&m);
    tokens = 40;
    cyg_cond_broadcast(&cond);
    cyg_mutex_unlock(&m);
    WAIT_FOR(LOAD(done) == 40);
    CHECK_EQ(tokens, 0);
}

static void *signal_from_thread(void *arg) {
    (void)arg;
    while (LOAD(done) < 100) {
        if (cyg_mutex_trylock(&m)) {
            tokens++;
            cyg_mutex_unlock(&m);
            cyg_cond_signal(&cond);
        }
        sched_yield();
    }
    return NULL;
}
RT_TEST(test_signals_from_a_foreign_thread) {
    STORE(done, 0);
    tokens = norder = 0;
    for (int i = 0; i < 100; i++) GO(take_token, NULL);
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, signal_from_thread, NULL), 0);
    WAIT_FOR(LOAD(done) == 100);
    pthread_join(t, NULL);
}

static void wait_cond(void *arg) {
    cyg_ctx_scope s = cyg_ctx_enter(arg);
    cyg_mutex_lock(&m);
    err = cyg_cond_wait(&cond, &m);
    CHECK(!cyg_mutex_trylock(&m)); /* held either way */
    cyg_mutex_unlock(&m);
    cyg_ctx_leave(&s);
    ADD(done, 1);
}
RT_TEST(test_cond_wait_ends_by_time_and_by_context) {
    cyg_mutex_lock(&m);
    cyg_time t = cyg_now() + 2 * CYG_MILLISECOND;
    CHECK_EQ(cyg_cond_wait_until(&cond, &m, t), CYG_ETIMEDOUT);
    CHECK(cyg_now() >= t);
    CHECK(!cyg_mutex_trylock(&m));
    CHECK_EQ(cyg_cond_wait_until(&cond, &m, 1), CYG_ETIMEDOUT);
    CHECK_EQ(LOAD(cond.nwait), 0);
    cyg_mutex_unlock(&m);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    STORE(done, 0);
    GO(wait_cond, ctx);
    WAIT_FOR(LOAD(cond.nwait) == 1);
    cyg_ctx_cancel(ctx, -EINTR);
    WAIT_FOR(LOAD(done) == 1);
    CHECK_EQ(err, -EINTR);
    CHECK_EQ(LOAD(cond.nwait), 0);
    CHECK(cyg_mutex_trylock(&m));
    cyg_mutex_unlock(&m);
}

static int timed_out;
static void wait_a_little(void *arg) {
    cyg_mutex_lock(&m);
    int r = cyg_cond_wait_until(&cond, &m, cyg_now() + (intptr_t)arg);
    cyg_mutex_unlock(&m);
    CHECK(r == 0 || r == CYG_ETIMEDOUT);
    if (r) ADD(timed_out, 1);
    ADD(done, 1);
}
/* A signal and a deadline at the same time: a waiter that tells of a timeout has not swallowed the signal. */
RT_TEST(test_signal_races_with_timeout) {
    for (int i = 0; i < 500; i++) {
        STORE(done, 0);
        STORE(timed_out, 0);
        tokens = norder = 0;
        GO(wait_a_little, (void *)(intptr_t)(i % 40 * CYG_MICROSECOND + 1));
        for (int k = 0; k < i % 3; k++) cyg_yield();
        GO(take_token, NULL);
        for (int k = 0; k < i % 5; k++) cyg_yield();
        cyg_mutex_lock(&m);
        tokens = 1;
        cyg_mutex_unlock(&m);
        cyg_cond_signal(&cond); /* to either of them, or nobody who would wait in vain */
        WAIT_FOR(LOAD(done) >= 1);
        if (!LOAD(timed_out)) cyg_cond_signal(&cond); /* the other one took it, and may not need it */
        WAIT_FOR(LOAD(done) == 2);
    }
}

static int early;
static void wait_for_early(void *arg) {
    cyg_mutex_lock(&m);
    while (!LOAD(early)) CHECK_EQ(cyg_cond_wait(&cond, &m), 0);
    cyg_mutex_unlock(&m);
    ADD(done, (int)(intptr_t)arg);
}
static void wait_late(void *arg) {
    cyg_mutex_lock(&m);
    CHECK_EQ(cyg_cond_wait(&cond, &m), 0); /* a signal of its own */
    cyg_mutex_unlock(&m);
    ADD(done, (int)(intptr_t)arg);
}
/* A signal is for those that waited when it was sent: who comes to wait before the woken one has run does not get it. */
RT_TEST(test_a_later_waiter_does_not_steal_the_signal) {
    for (int i = 0; i < 1000 / RT_LESS; i++) {
        STORE(done, 0);
        STORE(early, 0);
        GO(wait_for_early, (void *)1);
        WAIT_FOR(LOAD(cond.nwait) == 1);
        cyg_mutex_lock(&m);
        STORE(early, 1);
        cyg_cond_signal(&cond);
        cyg_mutex_unlock(&m);
        GO(wait_late, (void *)10);
        WAIT_FOR(LOAD(done) == 1);
        WAIT_FOR(LOAD(cond.nwait) == 1);
        cyg_cond_signal(&cond);
        WAIT_FOR(LOAD(done) == 11);
    }
}

/* Broadcast is for those that wait now; a generation that waits again is not woken with it. */
static int generation;
static void wait_generations(void *arg) {
    (void)arg;
    cyg_mutex_lock(&m);
    for (int i = 1; i <= 20; i++) {
        CHECK_EQ(cyg_cond_wait(&cond, &m), 0);
        CHECK_EQ(LOAD(generation), i);
        ADD(done, 1);
    }
    cyg_mutex_unlock(&m);
}
RT_TEST(test_broadcast_is_for_one_generation) {
    STORE(done, 0);
    STORE(generation, 0);
    for (int i = 0; i < 40; i++) GO(wait_generations, NULL);
    for (int i = 1; i <= 20; i++) {
        WAIT_FOR(LOAD(cond.nwait) == 40);
        cyg_mutex_lock(&m);
        STORE(generation, i);
        cyg_cond_broadcast(&cond);
        cyg_mutex_unlock(&m);
        WAIT_FOR(LOAD(done) == 40 * i);
    }
}

/* ---- waitgroup ----------------------------------------------------------------------------------------------------------- */

static void wait_all(void *arg) {
    CHECK_EQ(cyg_waitgroup_wait(arg), 0);
    CHECK_EQ(LOAD(total), 20);
    ADD(done, 1);
}
static void finish(void *arg) {
    cyg_yield();
    ADD(total, 1);
    cyg_waitgroup_done(arg);
}
RT_TEST(test_waitgroup_wakes_all_at_zero) {
    cyg_waitgroup wg = {0};
    CHECK_EQ(cyg_waitgroup_wait(&wg), 0); /* nothing to wait for */
    for (int round = 0; round < 20; round++) {
        STORE(done, 0);
        STORE(total, 0);
        cyg_waitgroup_add(&wg, 20);
        for (int i = 0; i < 5; i++) GO(wait_all, &wg);
        for (int i = 0; i < 20; i++) GO(finish, &wg);
        CHECK_EQ(cyg_waitgroup_wait(&wg), 0);
        CHECK_EQ(LOAD(total), 20);
        WAIT_FOR(LOAD(done) == 5);
    }
}

static void add_one_more(void *arg) {
    ADD(total, 1);
    cyg_waitgroup_add((cyg_waitgroup *)arg, 1); /* while its own is counted: not from zero */
    GO(finish, arg);
    cyg_waitgroup_done((cyg_waitgroup *)arg);
}
RT_TEST(test_waitgroup_counts_what_is_added_while_waited_for) {
    cyg_waitgroup wg = {0};
    for (int i = 0; i < 1000 / RT_LESS; i++) {
        STORE(total, 0);
        cyg_waitgroup_add(&wg, 2);
        GO(add_one_more, &wg);
        GO(add_one_more, &wg);
        CHECK_EQ(cyg_waitgroup_wait(&wg), 0);
        CHECK_EQ(LOAD(total), 4);
    }
}

static void just_done(void *arg) { cyg_waitgroup_done(arg); }
/* On the waiter's stack, which is overwritten as soon as it returns: who ended it must have left. */
static void short_lived(int i) {
    cyg_waitgroup wg = {0};
    cyg_waitgroup_add(&wg, 2);
    GO(just_done, &wg);
    GO(just_done, &wg);
    while (cyg_waitgroup_wait_until(&wg, i % 2 ? cyg_now() + i % 7 * CYG_MICROSECOND : 0) != 0) cyg_yield();
    memset(&wg, 0xff, sizeof wg);
    __asm__ volatile("" : : "r"(&wg) : "memory");
}
RT_TEST(test_waitgroup_may_go_when_wait_returns) {
    for (int i = 0; i < 1000; i++) short_lived(i);
}

/* What was done before the last change is there for who waits, at whichever moment that comes (TSan sees what x86 hides). */
static struct {
    cyg_waitgroup wg;
    long plain, turn;
} seen;
static void spin(long n) {
    for (long i = 0; i < n; i++) __asm__ volatile("" ::: "memory");
}
static void do_in_turn(void *arg) {
    (void)arg;
    for (long i = 1; i <= 40000 / RT_LESS; i++) {
        while (LOAD(seen.turn) != i)
            if (cyg_procs() == 1) cyg_yield();
        seen.plain = i;
        spin(i % 61);
        cyg_waitgroup_done(&seen.wg);
    }
}
RT_TEST(test_who_waits_sees_what_was_done) {
    memset(&seen, 0, sizeof seen);
    GO(do_in_turn, NULL);
    for (long i = 1; i <= 40000 / RT_LESS; i++) {
        cyg_waitgroup_add(&seen.wg, 1);
        STORE(seen.turn, i);
        spin(i % 67);
        CHECK_EQ(cyg_waitgroup_wait(&seen.wg), 0);
        CHECK_EQ(seen.plain, i);
    }
}

static void wait_wg(void *arg) {
    err = cyg_waitgroup_wait(arg);
    ADD(done, 1);
}
RT_TEST(test_waitgroup_ends_by_time_and_by_context) {
    cyg_waitgroup wg = {0};
    cyg_waitgroup_add(&wg, 1);
    CHECK_EQ(cyg_waitgroup_wait_until(&wg, cyg_now() + CYG_MILLISECOND), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_waitgroup_wait_until(&wg, 1), CYG_ETIMEDOUT);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    cyg_ctx_scope s = cyg_ctx_enter(ctx);
    STORE(done, 0);
    GO(wait_wg, &wg);
    cyg_ctx_leave(&s);
    for (int i = 0; i < 20; i++) cyg_yield();
    cyg_ctx_cancel(ctx, 0);
    WAIT_FOR(LOAD(done) == 1);
    CHECK_EQ(err, CYG_ECANCELED);
    cyg_waitgroup_done(&wg);
    CHECK_EQ(cyg_waitgroup_wait(&wg), 0);
}

static void wait_claimed(void *arg) {
    CHECK_EQ(cyg_waitgroup_wait(arg), 0); /* granted, though its context has ended */
    ADD(done, 1);
}
/* Who has been claimed stays until he is let go, or the chain that he stands in would point to nothing. */
RT_TEST(test_a_claimed_waiter_stays_when_its_context_ends) {
    cyg_waitgroup wg = {0};
    cyg_waitgroup_add(&wg, 1);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    cyg_ctx_scope s = cyg_ctx_enter(ctx);
    STORE(done, 0);
    for (int i = 0; i < 20; i++) GO(wait_claimed, &wg);
    cyg_ctx_leave(&s);
    WAIT_FOR(waiters_in(&wg.queue, &wg.qlock) == 20);
    struct cyg_claimed all = {NULL, NULL};
    cyg_spin_lock(&wg.qlock);
    while (wg.queue.head) waitq_claim(&wg.queue, &all);
    cyg_spin_unlock(&wg.qlock);
    cyg_ctx_cancel(ctx, 0);
    for (int i = 0; i < 50; i++) cyg_yield();
    CHECK_EQ(LOAD(done), 0);
    cyg_claimed_wake(&all);
    WAIT_FOR(LOAD(done) == 20);
    cyg_waitgroup_done(&wg);
}

/* ---- misuse ---------------------------------------------------------------------------------------------------------------- */

static int misuse(void *arg) {
    cyg_mutex mutex = {0};
    cyg_waitgroup wg = {0};
    switch (*(const char *)arg) {
    case 'u': cyg_mutex_unlock(&mutex); break;
    case 'n': cyg_waitgroup_done(&wg); break;
    }
    return 0;
}
static int misuse_child(int argc, char **argv) {
    if (argc != 1 || cyg_runtime_start(NULL) != 0) return 99;
    if (argv[0][0] == 'f') { /* a lock taken by a foreign thread must be free */
        cyg_mutex_lock(&m);
        cyg_mutex_lock(&m);
    }
    return cyg_call(misuse, argv[0]);
}
static void test_misuse_aborts_and_says_why(void **state) {
    (void)state;
    static struct rt_result r;
    static const char *const cases[][2] = {
        {"unlock", "unlock of an unlocked mutex"}, {"negative", "negative count"}, {"foreign", "outside a goroutine"}};
    for (size_t i = 0; i < 3; i++) {
        rt_spawn("misuse", cases[i][0], NULL, &r);
        CHECK_SIGNAL(&r, SIGABRT);
        CHECK_SAYS(&r, cases[i][1]);
        if (cases[i][0][0] == 'f') continue;
        CHECK_SAYS(&r, "test_locks.c:");                      /* where */
        CHECK_SAYS(&r, "goroutine 1 \"cyg_call\" [running]"); /* and everybody */
    }
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"misuse", misuse_child}, {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_holder_at_a_time),
        cmocka_unit_test(test_trylock),
        cmocka_unit_test(test_starved_waiter_gets_the_lock_handed_over),
        cmocka_unit_test(test_one_waiter_is_woken_at_a_time),
        cmocka_unit_test(test_cancelled_lock_leaves_the_lock_usable),
        cmocka_unit_test(test_a_mutex_may_go_with_its_last_holder),
        cmocka_unit_test(test_attempts_that_fail_leave_nothing),
        cmocka_unit_test(test_who_waits_sees_what_was_done),
        cmocka_unit_test(test_signal_wakes_the_one_that_waited_longest),
        cmocka_unit_test(test_broadcast_wakes_all),
        cmocka_unit_test(test_signals_from_a_foreign_thread),
        cmocka_unit_test(test_cond_wait_ends_by_time_and_by_context),
        cmocka_unit_test(test_signal_races_with_timeout),
        cmocka_unit_test(test_a_later_waiter_does_not_steal_the_signal),
        cmocka_unit_test(test_broadcast_is_for_one_generation),
        cmocka_unit_test(test_waitgroup_counts_what_is_added_while_waited_for),
        cmocka_unit_test(test_waitgroup_wakes_all_at_zero),
        cmocka_unit_test(test_waitgroup_may_go_when_wait_returns),
        cmocka_unit_test(test_waitgroup_ends_by_time_and_by_context),
        cmocka_unit_test(test_a_claimed_waiter_stays_when_its_context_ends),
        cmocka_unit_test(test_misuse_aborts_and_says_why),
    };
    int code = rt_child_main(argc, argv, kids);
    return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
