/* stress_schedule.c: a crowd of goroutines that yield, sleep, lock, wait, cancel each other, block their threads and start
 * others, with foreign threads that call in and arm timers. Everything that was begun ends, and sums are right.
 */
#include "stress.h"

enum { WORKERS = 40, THREADS = 3 };

static cyg_mutex m;
static cyg_cond c;
static cyg_waitgroup all;
static int64_t begun, ended, fired, armed, guarded, expected, gone;
static cyg_time until;

static void small(void *arg) {
    (void)arg;
    cyg_yield();
    ADD(ended, 1);
    cyg_waitgroup_done(&all);
}
static void fire(void *arg) {
    (void)arg;
    ADD(fired, 1);
}
static int nap(void *arg) {
    (void)arg;
    return poll(NULL, 0, 1);
}
static void under_context(uint64_t *s) {
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_timeout(NULL, rnd(s, 200) * CYG_MICROSECOND);
    cyg_ctx_scope scope = cyg_ctx_enter(ctx);
    if (rnd(s, 2)) {
        int err = cyg_mutex_lock_ctx(&m);
        CHECK(err == 0 || err == CYG_ETIMEDOUT);
        if (err == 0) {
            guarded++;
            ADD(expected, 1);
            cyg_mutex_unlock(&m);
        }
    } else {
        CHECK_EQ(cyg_sleep(CYG_HOUR), CYG_ETIMEDOUT);
    }
    cyg_ctx_leave(&scope);
}
static void timer_step(uint64_t *s) {
    cyg_timer *t;
    CHECK_EQ(cyg_after_func(rnd(s, 300) * CYG_MICROSECOND, fire, NULL, &t), 0);
    ADD(armed, 1);
    if (rnd(s, 2)) cyg_yield();
    if (rnd(s, 2) && cyg_timer_stop(t)) ADD(armed, -1);
    cyg_timer_release(t);
}

static void step(uint64_t *s) {
    switch (rnd(s, 9)) {
    case 0: cyg_yield(); break;
    case 1: CHECK_EQ(cyg_sleep(rnd(s, 200) * CYG_MICROSECOND), 0); break;
    case 2:
    case 3:
        cyg_mutex_lock(&m);
        guarded++;
        ADD(expected, 1);
        if (rnd(s, 4) == 0) cyg_yield();
        cyg_cond_signal(&c);
        cyg_mutex_unlock(&m);
        break;
    case 4: {
        cyg_mutex_lock(&m);
        int err = cyg_cond_wait_until(&c, &m, cyg_now() + rnd(s, 300) * CYG_MICROSECOND);
        CHECK(err == 0 || err == CYG_ETIMEDOUT);
        guarded++;
        ADD(expected, 1);
        cyg_mutex_unlock(&m);
        break;
    }
    case 5:
        ADD(begun, 1);
        cyg_waitgroup_add(&all, 1);
        GO(small, NULL);
        break;
    case 6: under_context(s); break;
    case 7: timer_step(s); break;
    default:
        if (rnd(s, 20) == 0) CHECK_EQ(cyg_blocking(nap, NULL), 0);
    }
}
static void worker(void *arg) {
    uint64_t s = rnd_from((uint64_t)(uintptr_t)arg);
    while (cyg_now() < until) step(&s);
    cyg_waitgroup_done(&all);
}

static int called(void *arg) {
    cyg_yield();
    return *(int *)arg + 1;
}
static void *foreign(void *arg) {
    uint64_t s = rnd_from(1000 + (uint64_t)(uintptr_t)arg);
    while (cyg_now() < until) {
        int v = (int)rnd(&s, 1000);
        if (rnd(&s, 2))
            CHECK_EQ(cyg_call(called, &v), v + 1);
        else
            timer_step(&s);
        if (rnd(&s, 5) == 0) poll(NULL, 0, 1);
    }
    ADD(gone, 1);
    return NULL;
}

static void body(void) {
    until = cyg_now() + stress_time;
    begun = ended = fired = armed = guarded = expected = gone = 0;
    pthread_t t[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) CHECK_EQ(pthread_create(&t[i], NULL, foreign, (void *)i), 0);
    cyg_waitgroup_add(&all, WORKERS);
    for (uintptr_t i = 1; i <= WORKERS; i++) GO(worker, (void *)i);
    CHECK_EQ(cyg_waitgroup_wait_until(&all, until + RT_DEADLINE), 0);
    WAIT_FOR(LOAD(gone) == THREADS); /* a join would hold a P, which their calls need */
    for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
    CHECK_EQ(LOAD(begun), LOAD(ended));
    CHECK_EQ(guarded, LOAD(expected));
    WAIT_FOR(LOAD(fired) == LOAD(armed));
}

int main(void) { return stress_main(body); }
