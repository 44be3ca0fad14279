/* test_fdlock.c: the word that says who uses a descriptor: sides, users, close. Behind the public headers.
 */
#include "net.h"

#include "base/spin.h"
#include "net/internal.h"
#include "sync/waiter.h"

static struct fdlock word;
static int done, inside[2], ends, closed_seen, results[8];

static void fresh(void) {
    memset(&word, 0, sizeof word);
    done = inside[0] = inside[1] = ends = closed_seen = 0;
}

/* ---- close -------------------------------------------------------------------------------------------------------------- */

static void waits_for_side(void *arg) {
    int i = *(int *)arg;
    results[i] = fdlock_acquire(&word, i % 2 ? FD_WRITE : FD_READ);
    ADD(done, 1);
}

/* Whoever queues for either side comes back at once, before the holder has left; the holder is the last user and so ends it. */
RT_TEST(test_close_unblocks_all_who_queue) {
    fresh();
    CHECK_EQ(fdlock_acquire(&word, FD_READ), 0);
    CHECK_EQ(fdlock_acquire(&word, FD_WRITE), 0);
    for (int i = 0; i < 8; i++) CHECK_EQ(cyg_go_copy(waits_for_side, &i), 0);
    net_settle();
    CHECK_EQ(LOAD(done), 0);
    CHECK_EQ(fdlock_close(&word), 0);
    WAIT_FOR(LOAD(done) == 8);
    for (int i = 0; i < 8; i++) CHECK_EQ(results[i], CYG_ECLOSED);
    CHECK_EQ(fdlock_close(&word), CYG_ECLOSED);
    CHECK_EQ(fdlock_use(&word), CYG_ECLOSED);
    CHECK(!fdlock_unuse(&word)); /* the closer's own */
    CHECK(!fdlock_release(&word, FD_READ));
    CHECK(fdlock_release(&word, FD_WRITE));
}

static int readers_queued(void) {
    int n = 0;
    cyg_spin_lock(&word.qlock);
    for (struct cyg_waiter *w = word.queue[FD_READ].head; w; w = w->next) n++;
    cyg_spin_unlock(&word.qlock);
    return n;
}

/* ---- cancel ------------------------------------------------------------------------------------------------------------- */

/* One that queues leaves when its context ends; those before and behind it keep their turn. */
RT_TEST(test_cancel_takes_one_out_of_the_queue) {
    fresh();
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    CHECK_EQ(fdlock_acquire(&word, FD_READ), 0);
    for (int i = 0; i < 6; i += 2) {
        cyg_ctx_scope s = {0};
        if (i == 2) s = cyg_ctx_enter(ctx);
        CHECK_EQ(cyg_go_copy(waits_for_side, &i), 0);
        if (i == 2) cyg_ctx_leave(&s);
        WAIT_FOR(readers_queued() == i / 2 + 1); /* one behind the other */
    }
    cyg_ctx_cancel(ctx, -ESHUTDOWN);
    WAIT_FOR(LOAD(done) == 1);
    CHECK_EQ(results[2], -ESHUTDOWN);
    CHECK_EQ(atomic_load(&word.word) >> 23, 2); /* so many are to be woken yet */
    CHECK(!fdlock_release(&word, FD_READ));
    WAIT_FOR(LOAD(done) == 2);
    net_settle();
    CHECK_EQ(LOAD(done), 2); /* the third still waits for the one that was first in the queue */
    CHECK(!fdlock_release(&word, FD_READ));
    WAIT_FOR(LOAD(done) == 3);
    CHECK(results[0] == 0 && results[4] == 0);
    CHECK(!fdlock_release(&word, FD_READ));
    CHECK_EQ(atomic_load(&word.word), 0); /* nobody is counted any more */
}

/* ---- stress ------------------------------------------------------------------------------------------------------------- */

static void holds(enum fd_side side) {
    CHECK_EQ(ADD(inside[side], 1), 1); /* alone on its side */
    if (cyg_goid() % 3) cyg_yield();
    ADD(inside[side], -1);
    if (fdlock_release(&word, side)) ADD(ends, 1);
}

static void hammers(void *arg) {
    unsigned seed = *(unsigned *)arg;
    int err = 0;
    for (int i = 0; err != CYG_ECLOSED; i++) {
        seed = seed * 1664525 + 1013904223;
        unsigned what = seed >> 30;
        if (what < 2) {
            if ((err = fdlock_acquire(&word, (enum fd_side)what)) == 0) holds((enum fd_side)what);
            CHECK(err == 0 || err == CYG_ECLOSED || err == CYG_ETIMEDOUT);
        } else if ((err = fdlock_use(&word)) == 0) {
            if (what == 3) cyg_yield();
            if (fdlock_unuse(&word)) ADD(ends, 1);
        }
        if (i % 8 == 0) cyg_yield();
    }
    ADD(closed_seen, 1);
    ADD(done, 1);
}

static void hammers_for_a_while(void *arg) { /* its queueing is cut short now and then */
    unsigned seed = *(unsigned *)arg;
    int err;
    do {
        cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_timeout(NULL, (cyg_duration)(seed % 50) * CYG_MICROSECOND);
        cyg_ctx_scope s = cyg_ctx_enter(ctx);
        seed = seed * 1664525 + 1013904223;
        if ((err = fdlock_acquire(&word, FD_READ)) == 0) holds(FD_READ);
        cyg_ctx_leave(&s);
        cyg_yield();
    } while (err != CYG_ECLOSED);
    ADD(done, 1);
}

RT_TEST(test_stress_one_holder_a_side_and_one_end) {
    for (int round = 0; round < 60 / RT_LESS; round++) {
        fresh();
        for (unsigned i = 0; i < 8; i++) {
            unsigned seed = i * 77 + (unsigned)round;
            CHECK_EQ(cyg_go_copy(i < 6 ? hammers : hammers_for_a_while, &seed), 0);
        }
        for (int i = 0; i < 20 + round % 50; i++) cyg_yield();
        CHECK_EQ(fdlock_close(&word), 0);
        if (fdlock_unuse(&word)) ADD(ends, 1);
        WAIT_FOR(LOAD(done) == 8);
        CHECK_EQ(LOAD(closed_seen), 6);
        CHECK_EQ(LOAD(ends), 1); /* so the descriptor is closed once, by the last who used it */
        CHECK_EQ(atomic_load(&word.word), 1);
    }
}

/* ---- too many ------------------------------------------------------------------------------------------------------------ */

static int overflow(void *arg) {
    const char *what = arg;
    fresh();
    if (*what == 'u') {
        for (;;) CHECK_EQ(fdlock_use(&word), 0); /* a million */
    }
    CHECK_EQ(fdlock_acquire(&word, FD_READ), 0);
    atomic_fetch_or(&word.word, ((1ull << 20) - 1) << 23); /* as if a million queued */
    return fdlock_acquire(&word, FD_READ);
}
static int overflow_child(int argc, char **argv) {
    CHECK(argc == 1);
    CHECK_EQ(cyg_runtime_start(NULL), 0);
    return cyg_call(overflow, argv[0]);
}
static void test_too_many_users_or_waiters_abort(void **state) {
    (void)state;
    static struct rt_result r;
    static const char *const what[] = {"users", "waiters"};
    for (int i = 0; i < 2; i++) {
        rt_spawn("overflow", what[i], NULL, &r);
        CHECK_SIGNAL(&r, SIGABRT);
        CHECK_SAYS(&r, "more than a million goroutines use one connection");
    }
}

static const struct rt_child kids[] = {{"overflow", overflow_child}, {NULL, NULL}};
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_close_unblocks_all_who_queue),
    cmocka_unit_test(test_cancel_takes_one_out_of_the_queue),
    cmocka_unit_test(test_stress_one_holder_a_side_and_one_end),
    cmocka_unit_test(test_too_many_users_or_waiters_abort),
};
RT_MAIN(tests, kids)
