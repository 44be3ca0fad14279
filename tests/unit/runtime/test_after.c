/* test_after.c: many timers of cyg_after_func: stopped and reset by several Ps at once, moved at random against a model, dead among
 * live ones in a heap that is swept, and what they take of memory. Single timers are in test_time.c. */
#include "runtime/after_pool.h"
#include "base/spin.h"

#include "../rt.h"

/* What stands in all heaps, live or dead. */
static uint32_t entries(void) {
    uint32_t n = 0;
    for (unsigned i = 0; i < cyg_procs(); i++) n += __atomic_load_n(&cygrt_sched.ps[i].ntimers, __ATOMIC_RELAXED);
    return n;
}

static uint32_t rnd(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static int fired, expected, ended;
static void fire(void *arg) {
    (void)arg;
    ADD(fired, 1);
}

static cyg_timer *after(cyg_duration d, void (*fn)(void *), void *arg) {
    cyg_timer *t;
    CHECK_EQ(cyg_after_func(d, fn, arg, &t), 0);
    return t;
}

/* ---- storms ------------------------------------------------------------------------------------------------------------ */

enum { STORM_TIMERS = 64, STORMERS = 8 };
static cyg_timer *storm[STORM_TIMERS];

/* A firing is owed for each arming, less one for each stop that says it was in time. */
static void storm_all(void *arg) {
    uint32_t seed = (uint32_t)(intptr_t)arg * 7919 + 1;
    for (int i = 0; i < 20000 / RT_LESS; i++) {
        uint32_t r = rnd(&seed);
        cyg_timer *t = storm[r % STORM_TIMERS];
        cyg_duration d = r / 64 % 8 == 0 ? CYG_HOUR : (cyg_duration)(r / 512 % 100) * CYG_MICROSECOND;
        if (r / 64 % 3)
            ADD(expected, -(int)cyg_timer_stop(t));
        else
            ADD(expected, !cyg_timer_reset(t, d));
        if (i % 16 == 0) cyg_yield();
    }
    ADD(ended, 1);
}

RT_TEST(test_storm_of_stops_and_resets_from_all_ps) {
    STORE(fired, 0);
    STORE(expected, STORM_TIMERS);
    STORE(ended, 0);
    for (int i = 0; i < STORM_TIMERS; i++) storm[i] = after(i % 4 ? CYG_HOUR : 0, fire, NULL);
    for (intptr_t i = 0; i < STORMERS; i++) GO(storm_all, (void *)i);
    WAIT_FOR(LOAD(ended) == STORMERS);
    for (int i = 0; i < STORM_TIMERS; i++) {
        ADD(expected, -(int)cyg_timer_stop(storm[i]));
        CHECK(!cyg_timer_stop(storm[i]));
        cyg_timer_release(storm[i]);
    }
    WAIT_FOR(LOAD(fired) == LOAD(expected)); /* one that is about to fire cannot be stopped any more, but is counted until it has */
    CHECK_EQ(rt_stats().timers, 0);
    WAIT_FOR(rt_stats().goroutines == 1);
    CHECK_EQ(LOAD(fired), LOAD(expected));
}

/* Many hands at one timer at a time: one stop is told that it was the one, unless the timer has fired. */
static cyg_timer *shared;
static int said_yes, round_no;
static void stop_shared(void *arg) {
    (void)arg;
    for (int last = 0; last < 500 / RT_LESS; last++) {
        WAIT_FOR(LOAD(round_no) > last);
        ADD(said_yes, cyg_timer_stop(__atomic_load_n(&shared, __ATOMIC_ACQUIRE)));
        ADD(ended, 1);
    }
}

RT_TEST(test_one_of_many_stops_wins) {
    STORE(round_no, 0);
    STORE(fired, 0);
    STORE(said_yes, 0);
    for (int i = 0; i < 4; i++) GO(stop_shared, NULL);
    for (int i = 0; i < 500 / RT_LESS; i++) {
        STORE(ended, 0);
        STORE(said_yes, 0);
        STORE(fired, 0);
        cyg_timer *t = after(i % 2 ? CYG_HOUR : i % 7 * 10 * CYG_MICROSECOND, fire, NULL);
        __atomic_store_n(&shared, t, __ATOMIC_RELEASE);
        ADD(round_no, 1);
        WAIT_FOR(LOAD(ended) == 4);
        WAIT_FOR(LOAD(said_yes) + LOAD(fired) == 1);
        cyg_timer_release(t);
    }
    WAIT_FOR(rt_stats().goroutines == 1);
    CHECK_EQ(LOAD(said_yes) + LOAD(fired), 1);
}

/* Released by one while it fires on another, and its memory used again at once: ThreadSanitizer and the counts look. */
static void make_and_drop(void *arg) {
    uint32_t seed = (uint32_t)(intptr_t)arg + 1;
    for (int i = 0; i < 20000 / RT_LESS; i++) {
        cyg_timer *t = after(rnd(&seed) % 30 * CYG_MICROSECOND, fire, NULL);
        ADD(expected, 1);
        if (i % 2) cyg_yield();
        if (i % 3) ADD(expected, -(int)cyg_timer_stop(t));
        if (i % 5 == 0) ADD(expected, !cyg_timer_reset(t, rnd(&seed) % 30 * CYG_MICROSECOND));
        cyg_timer_release(t);
    }
    ADD(ended, 1);
}

RT_TEST(test_release_races_with_firing) {
    STORE(fired, 0);
    STORE(expected, 0);
    STORE(ended, 0);
    for (intptr_t i = 0; i < STORMERS; i++) GO(make_and_drop, (void *)i);
    WAIT_FOR(LOAD(ended) == STORMERS);
    WAIT_FOR(LOAD(fired) == LOAD(expected));
}

/* ---- against a model --------------------------------------------------------------------------------------------------- */

enum { MODEL = 200 };
static struct modelled {
    cyg_timer *t;
    cyg_time earliest, due; /* 0: stopped; due is what the last reset asked for, read after it */
    int fired;
} model[MODEL];
static int order[MODEL];

static void fire_modelled(void *arg) {
    struct modelled *m = arg;
    CHECK(cyg_now() >= LOAD(m->earliest));
    ADD(m->fired, 1);
    order[ADD(fired, 1) - 1] = (int)(m - model);
}

static void arm_modelled(struct modelled *m, cyg_duration d) {
    cyg_time before = cyg_now();
    bool pending = m->due != 0;
    STORE(m->earliest, before + d); /* it may fire at once */
    if (m->t)
        CHECK_EQ(cyg_timer_reset(m->t, d), pending);
    else
        m->t = after(d, fire_modelled, m);
    m->due = cyg_now() + d;
}

/* All times are far off while they are moved about, then each is pulled near in random order. */
RT_TEST(test_random_resets_agree_with_a_model) {
    uint32_t seed = 42;
    STORE(fired, 0);
    memset(model, 0, sizeof model);
    for (int i = 0; i < 20 * MODEL; i++) {
        struct modelled *m = &model[rnd(&seed) % MODEL];
        if (m->t && rnd(&seed) % 4 == 0) {
            CHECK_EQ(cyg_timer_stop(m->t), m->due != 0);
            m->due = 0;
        } else {
            arm_modelled(m, CYG_HOUR + rnd(&seed) % 1000 * CYG_SECOND);
        }
        if (i % 64 == 0) cyg_yield();
    }
    uint64_t pending = 0;
    for (int i = 0; i < MODEL; i++) pending += model[i].due != 0;
    CHECK_EQ(rt_stats().timers, pending);
    for (int i = 0; i < MODEL; i++)
        if (model[i].due) arm_modelled(&model[i], (cyg_duration)(1 + rnd(&seed) % 64) * CYG_MILLISECOND);
    WAIT_FOR(LOAD(fired) == (int)pending);
    WAIT_FOR(rt_stats().goroutines == 1);
    for (int i = 0; i < MODEL; i++) {
        CHECK_EQ(model[i].fired, model[i].due != 0);
        if (model[i].t) cyg_timer_release(model[i].t);
    }
    CHECK_EQ(rt_stats().timers, 0);
    /* On one P firings run in the order of their times, as far as those are apart by more than what reading them took. */
    bool in_order = cyg_procs() == 1 && !getenv("CYGNET_SCHED_FUZZ");
    for (int i = 1; in_order && i < (int)pending; i++) CHECK(model[order[i]].due > model[order[i - 1]].earliest - 1);
}

/* Later, earlier, to where it was: whichever entries that leaves in the heap, it fires once for the last. */
RT_TEST(test_moved_there_and_back_fires_once) {
    for (int i = 0; i < 200 / RT_LESS; i++) {
        STORE(fired, 0);
        cyg_timer *t = after(CYG_HOUR, fire, NULL);
        CHECK(cyg_timer_reset(t, 2 * CYG_HOUR));
        CHECK(cyg_timer_reset(t, 300 * CYG_MICROSECOND));
        bool in_time = cyg_timer_reset(t, CYG_HOUR);
        in_time &= cyg_timer_reset(t, 200 * CYG_MICROSECOND);
        in_time &= cyg_timer_reset(t, 400 * CYG_MICROSECOND);
        WAIT_FOR(LOAD(fired) >= 1 && rt_stats().timers == 0 && rt_stats().goroutines == 1);
        if (in_time) CHECK_EQ(LOAD(fired), 1);
        CHECK(!cyg_timer_stop(t));
        cyg_timer_release(t);
    }
}

RT_TEST(test_reset_to_later_never_fires_early) {
    STORE(fired, 0);
    memset(model, 0, sizeof model);
    int expect = 0;
    for (int i = 0; i < MODEL; i++) {
        struct modelled *m = &model[i];
        cyg_timer *t = after((1 + i % 8) * CYG_MILLISECOND, fire_modelled, m);
        cyg_time before = cyg_now();
        bool in_time = cyg_timer_reset(t, 20 * CYG_MILLISECOND);
        if (in_time) STORE(m->earliest, before + 20 * CYG_MILLISECOND);
        expect += 1 + !in_time;
        cyg_timer_release(t);
    }
    WAIT_FOR(LOAD(fired) == expect);
}

/* The entry of a timer that was stopped comes to the top and goes; the timer can be armed again all the same. */
RT_TEST(test_reset_after_the_dead_entry_has_gone) {
    STORE(fired, 0);
    cyg_timer *t = after(3 * CYG_MILLISECOND, fire, NULL);
    int expect = !cyg_timer_stop(t) + 1;
    WAIT_FOR(entries() == 0);
    CHECK(!cyg_timer_reset(t, 5 * CYG_MILLISECOND));
    WAIT_FOR(LOAD(fired) == expect);
    cyg_timer_release(t);
}

/* More moves to earlier than the state can count entries (18 bits), while others that live keep the share of dead ones small. If
 * the count began anew, the timer would be freed here, and the next one be taken for what its entries mean. */
RT_TEST(test_earlier_and_earlier_without_end) {
    enum { OTHERS = 300000 / RT_LESS, MOVES = (1 << 18) - 1 };
    static cyg_timer *others[OTHERS];
    for (int i = 0; i < OTHERS; i++) others[i] = after(2 * CYG_HOUR, fire, NULL);
    cyg_timer *t = after(100 * CYG_HOUR, fire, NULL);
    for (int i = 1; i <= MOVES; i++) CHECK(cyg_timer_reset(t, 100 * CYG_HOUR - i * CYG_SECOND));
    CHECK_EQ(rt_stats().timers, OTHERS + 1);
    CHECK(cyg_timer_stop(t));
    cyg_timer_release(t);
    t = after(CYG_HOUR, fire, NULL);
    for (int i = 0; i < OTHERS; i++) {
        CHECK(cyg_timer_stop(others[i]));
        cyg_timer_release(others[i]);
    }
    uint32_t few = 2 * CYGRT_SWEEP_MIN * cyg_procs();
    for (int i = 0; i < 2 * OTHERS && entries() > few; i++) {
        cyg_timer *x = after(CYG_HOUR, fire, NULL);
        CHECK(cyg_timer_stop(x));
        cyg_timer_release(x);
    }
    CHECK(entries() <= few);
    CHECK_EQ(rt_stats().timers, 1);
    CHECK(cyg_timer_stop(t));
    cyg_timer_release(t);
}

/* ---- released, and used again ------------------------------------------------------------------------------------------- */

struct use {
    cyg_timer *t;
    cyg_time due, at; /* at: when it fired */
    int fired;
    bool stopped;
};

static void note_use(void *arg) {
    struct use *u = arg;
    STORE(u->at, cyg_now());
    ADD(u->fired, 1);
}

/* Timers are added, stopped and released by everybody all the time, so most are ones whose entries stand at the times of others. */
static void use_again(void *arg) {
    enum { USES = 3000 / RT_LESS, AT_ONCE = 50 };
    struct use *uses = calloc(USES, sizeof *uses);
    uint32_t seed = (uint32_t)(intptr_t)arg;
    CHECK(uses);
    for (int i = 0; i < USES + AT_ONCE; i++) {
        if (i >= AT_ONCE) {
            struct use *u = &uses[i - AT_ONCE];
            if (rnd(&seed) % 8) u->stopped = cyg_timer_stop(u->t);
            cyg_timer_release(u->t);
        }
        if (i < USES) {
            cyg_duration d = rnd(&seed) % 5000 * CYG_MICROSECOND;
            uses[i].due = cyg_now() + d;
            uses[i].t = after(d, note_use, &uses[i]);
        }
        if (rnd(&seed) % 8 == 0) cyg_yield();
    }
    for (int i = 0; i < USES; i++) {
        WAIT_FOR(uses[i].stopped || LOAD(uses[i].fired));
        CHECK(uses[i].stopped || LOAD(uses[i].at) >= uses[i].due);
    }
    WAIT_FOR(rt_stats().timers == 0);
    CHECK_EQ(cyg_sleep(10 * CYG_MILLISECOND), 0); /* every time has passed: what was stopped has had its chance to fire */
    for (int i = 0; i < USES; i++) CHECK_EQ(LOAD(uses[i].fired), !uses[i].stopped);
    free(uses);
    ADD(ended, 1);
}

RT_TEST(test_timers_used_again_fire_for_their_last_user) {
    enum { USERS = 6 };
    STORE(ended, 0);
    for (int i = 1; i <= USERS; i++) GO(use_again, (void *)(intptr_t)i);
    WAIT_FOR(LOAD(ended) == USERS);
}

/* Fewer than what a sweep waits for, so each would be an entry more. */
RT_TEST(test_a_timer_added_after_one_was_released_takes_its_entry) {
    uint32_t before = entries();
    for (int i = 0; i < CYGRT_SWEEP_MIN / 2; i++) {
        cyg_timer *x = after(CYG_HOUR, fire, NULL);
        CHECK(cyg_timer_stop(x));
        cyg_timer_release(x);
    }
    CHECK(entries() < before + 16);
}

enum { LENT = CYGRT_SWEEP_MIN / 4 };

static void release_lent(void *arg) {
    cyg_timer **lent = arg;
    for (int i = 0; i < LENT; i++) {
        CHECK(cyg_timer_stop(lent[i]));
        cyg_timer_release(lent[i]);
    }
    STORE(ended, 1);
}

/* Adds, lets another P release what was added, and adds as many. False: one P did it all, or this goroutine has moved. */
static bool add_lend_add(uint32_t *grown) {
    cyg_timer *lent[LENT];
    const struct p *p = cygrt_m()->p;
    STORE(ended, 0);
    for (int i = 0; i < LENT; i++) lent[i] = after(CYG_HOUR, fire, NULL);
    uint32_t before = entries();
    GO(release_lent, lent);
    for (cyg_time end = cyg_now() + 5 * CYG_MILLISECOND; !LOAD(ended) && cyg_now() < end;) {} /* keeps its P busy */
    bool other = LOAD(ended);
    WAIT_FOR(LOAD(ended));
    for (int i = 0; i < LENT; i++) lent[i] = after(CYG_HOUR, fire, NULL);
    *grown = entries() - before;
    other = other && cygrt_m()->p == p;
    for (int i = 0; i < LENT; i++) {
        CHECK(cyg_timer_stop(lent[i]));
        cyg_timer_release(lent[i]);
    }
    return other;
}

RT_TEST(test_timers_released_on_another_p_are_used_again_where_their_entries_are) {
    uint32_t grown = 0;
    if (cyg_procs() == 1) return;
    for (cyg_time end = cyg_now() + RT_DEADLINE; !add_lend_add(&grown);) CHECK(cyg_now() < end);
    CHECK(grown < LENT / 2); /* all but those that wait for others to go with */
}

/* ---- sweeps ------------------------------------------------------------------------------------------------------------ */

static int fired_by_id[40000];
static void fire_id(void *arg) {
    ADD(fired_by_id[(intptr_t)arg], 1);
    ADD(fired, 1);
}

/* One in eight lives, some with a dead entry of their own; sleepers' timers stand between them. */
RT_TEST(test_sweep_keeps_the_live_among_the_dead) {
    enum { N = 40000 / RT_LESS };
    static cyg_timer *t[N];
    STORE(fired, 0);
    STORE(ended, 0);
    memset(fired_by_id, 0, sizeof fired_by_id);
    uint32_t seed = 7;
    for (int i = 0; i < N; i++) {
        t[i] = after(CYG_HOUR + rnd(&seed) % 100000 * CYG_MILLISECOND, fire_id, (void *)(intptr_t)i);
        if (i % 16 == 0) CHECK(cyg_timer_reset(t[i], CYG_MINUTE + rnd(&seed) % 1000 * CYG_MILLISECOND));
        if (i % 100 == 0) cyg_yield();
    }
    for (int i = 0; i < N; i++) {
        if (i % 8 == 0) continue;
        CHECK(cyg_timer_stop(t[i]));
        if (i % 2) cyg_timer_release(t[i]);
    }
    CHECK_EQ(rt_stats().timers, N / 8);
    /* Arming and stopping more makes it sweep. */
    for (int i = 0; i < N; i++) {
        cyg_timer *x = after(CYG_HOUR, fire_id, NULL);
        CHECK(cyg_timer_stop(x));
        cyg_timer_release(x);
    }
    CHECK_EQ(rt_stats().timers, N / 8);
    CHECK(entries() < N);
    for (int i = 0; i < N; i += 8) CHECK(cyg_timer_reset(t[i], rnd(&seed) % 2000 * CYG_MICROSECOND));
    WAIT_FOR(LOAD(fired) == N / 8);
    WAIT_FOR(rt_stats().goroutines == 1);
    for (int i = 0; i < N; i++) {
        CHECK_EQ(fired_by_id[i], i % 8 == 0);
        if (i % 2 == 0) cyg_timer_release(t[i]);
    }
}

/* A goroutine's sleep is a tracked timer: its place must be right after a sweep that moved it, be it that it wakes by itself or
 * that it is taken out. */
static void sleep_till_cancelled(void *arg) {
    cyg_ctx_scope s = cyg_ctx_enter(arg);
    CHECK_EQ(cyg_sleep(CYG_MINUTE), CYG_ECANCELED);
    cyg_ctx_leave(&s);
    ADD(ended, 1);
}

static void sleep_out(void *arg) {
    (void)arg;
    CHECK_EQ(cyg_sleep(60 * CYG_MILLISECOND), 0);
    ADD(ended, 1);
}

RT_TEST(test_sweep_among_sleepers) {
    enum { SLEEPERS = 600, ROUNDS = 30000 / RT_LESS };
    STORE(ended, 0);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    for (int i = 0; i < SLEEPERS; i++) {
        if (i % 2)
            GO(sleep_till_cancelled, ctx);
        else
            GO(sleep_out, NULL);
        if (i % 10 == 0) cyg_yield();
    }
    for (int i = 0; i < ROUNDS; i++) {
        cyg_timer *x = after(i % 100 * CYG_MINUTE + CYG_SECOND, fire, NULL);
        CHECK(cyg_timer_stop(x));
        cyg_timer_release(x);
        if (i % 100 == 0) cyg_yield();
    }
    cyg_ctx_cancel(ctx, 0);
    WAIT_FOR(LOAD(ended) == SLEEPERS);
    CHECK_EQ(rt_stats().timers, 0);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------ */

/* The pieces of memory that timers have come from. */
static struct {
    uint32_t lock;
    int n;
    uintptr_t at[4];
} chunks;

static void note_chunk(const cyg_timer *t) {
    uintptr_t at = (uintptr_t)t & ~(uintptr_t)(POOL_CHUNK - 1);
    cyg_spin_lock(&chunks.lock);
    int i = 0;
    while (i < chunks.n && chunks.at[i] != at) i++;
    CHECK(i < 4);
    if (i == chunks.n) chunks.at[chunks.n++] = at;
    cyg_spin_unlock(&chunks.lock);
}

static void churn(void *arg) {
    uint32_t *most = arg;
    for (int i = 0; i < 300000 / RT_LESS; i++) {
        cyg_timer *x = after(CYG_HOUR, fire, NULL);
        note_chunk(x);
        CHECK(cyg_timer_stop(x));
        cyg_timer_release(x);
        if (i % 256 == 0) {
            uint32_t now = entries();
            if (now > LOAD(*most)) STORE(*most, now);
            cyg_yield();
        }
    }
    ADD(ended, 1);
}

/* docs/internals/runtime.md: as many dead as live ones, an eighth more, and CYGRT_SWEEP_MIN insertions a P. */
RT_TEST(test_dead_timers_are_bounded) {
    enum { LIVE = 1000 };
    static cyg_timer *live[LIVE];
    static uint32_t most;
    STORE(most, 0);
    STORE(ended, 0);
    chunks.n = 0;
    for (int i = 0; i < LIVE; i++) live[i] = after(CYG_HOUR, fire, NULL);
    for (int i = 0; i < 4; i++) GO(churn, &most);
    WAIT_FOR(LOAD(ended) == 4);
    CHECK(LOAD(most) <= (2 * LIVE + cyg_procs() * CYGRT_SWEEP_MIN) * 9 / 8 + 64);
    CHECK(chunks.n <= 2); /* of the many that would hold them all */
    for (int i = 0; i < LIVE; i++) {
        CHECK(cyg_timer_stop(live[i]));
        cyg_timer_release(live[i]);
    }
}

/* Who wakes for one dead timer gets rid of all of them: here too few for insertions to lead to a sweep. */
RT_TEST(test_idle_p_drops_the_dead_at_once) {
    enum { DEAD = 500 };
    static cyg_timer *dead[DEAD];
    for (int i = 0; i < DEAD; i++) dead[i] = after(CYG_HOUR, fire, NULL);
    for (int i = 0; i < DEAD; i++) {
        CHECK(cyg_timer_stop(dead[i]));
        cyg_timer_release(dead[i]);
    }
    for (int i = 0; i < 200 && entries() > DEAD / 4; i++) {
        cyg_timer *t = after(100 * CYG_MICROSECOND, fire, NULL);
        (void)cyg_timer_stop(t); /* it may have fired if this thread was stopped: once more, then */
        cyg_timer_release(t);
        CHECK_EQ(cyg_sleep(200 * CYG_MICROSECOND), 0);
    }
    CHECK(entries() <= DEAD / 4);
}

/* ---- the runtime's end and misuse --------------------------------------------------------------------------------------- */

static void test_held_timers_outlive_a_runtime(void **state) {
    (void)state;
    cyg_timer *armed, *stopped, *again;
    STORE(fired, 0);
    CHECK_EQ(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 4}), 0);
    armed = after(CYG_HOUR, fire, NULL);
    stopped = after(CYG_HOUR, fire, NULL);
    again = after(CYG_HOUR, fire, NULL);
    CHECK(cyg_timer_stop(stopped));
    cyg_timer_release(after(CYG_HOUR, fire, NULL)); /* held by the heap alone */
    CHECK_EQ(cyg_runtime_stop(), 0);
    CHECK(!cyg_timer_stop(armed));
    CHECK(!cyg_timer_reset(armed, 0)); /* nothing would fire it */
    cyg_timer_release(armed);
    cyg_timer_release(stopped);
    CHECK_EQ(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 1}), 0);
    CHECK_EQ(rt_stats().timers, 0);
    CHECK(!cyg_timer_reset(again, CYG_MILLISECOND));
    WAIT_FOR(LOAD(fired) == 1);
    WAIT_FOR(rt_stats().goroutines == 0);
    cyg_timer_release(again);
    CHECK_EQ(cyg_runtime_stop(), 0);
}

static int use_gone(void *arg) {
    (void)arg;
    cyg_timer *t = after(0, fire, NULL);
    WAIT_FOR(LOAD(fired) == 1 && rt_stats().goroutines == 1);
    cyg_timer_release(t);
    (void)cyg_timer_stop(t);
    return 0;
}

static int use_gone_child(int argc, char **argv) {
    (void)argc, (void)argv;
    CHECK_EQ(cyg_runtime_start(NULL), 0);
    return cyg_call(use_gone, NULL);
}

static void test_use_after_release_is_fatal(void **state) {
    (void)state;
    static struct rt_result r;
    rt_spawn("use-gone", "", NULL, &r);
    CHECK_SIGNAL(&r, SIGABRT);
    CHECK_SAYS(&r, "a timer was used after it was released");
}

static const struct rt_child kids[] = {{"use-gone", use_gone_child}, {NULL, NULL}};
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_storm_of_stops_and_resets_from_all_ps),
    cmocka_unit_test(test_one_of_many_stops_wins),
    cmocka_unit_test(test_release_races_with_firing),
    cmocka_unit_test(test_random_resets_agree_with_a_model),
    cmocka_unit_test(test_moved_there_and_back_fires_once),
    cmocka_unit_test(test_reset_to_later_never_fires_early),
    cmocka_unit_test(test_reset_after_the_dead_entry_has_gone),
    cmocka_unit_test(test_earlier_and_earlier_without_end),
    cmocka_unit_test(test_timers_used_again_fire_for_their_last_user),
    cmocka_unit_test(test_a_timer_added_after_one_was_released_takes_its_entry),
    cmocka_unit_test(test_timers_released_on_another_p_are_used_again_where_their_entries_are),
    cmocka_unit_test(test_sweep_keeps_the_live_among_the_dead),
    cmocka_unit_test(test_sweep_among_sleepers),
    cmocka_unit_test(test_dead_timers_are_bounded),
    cmocka_unit_test(test_idle_p_drops_the_dead_at_once),
    cmocka_unit_test(test_held_timers_outlive_a_runtime),
    cmocka_unit_test(test_use_after_release_is_fatal),
};
RT_MAIN(tests, kids)
