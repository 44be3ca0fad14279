/* cyg_timer.c: adding and stopping timers while a million others are pending. */
#include "cyg.h"

/* `count` timers of which all but the last `idle` are pending; those are added, then as many others stopped. One a goroutine,
 * and a goroutine for each P; far enough apart that they share no cache lines, as in prim.go, where each is an allocation of its P. */
struct timer_set {
    _Alignas(128) cyg_timer **timers;
    long count, idle;
    uint64_t random;
};
static struct timer_set *sets;

static void never(void *arg) {
    (void)arg;
    fprintf(stderr, "cyg: a timer fired\n");
    exit(1);
}

static long below(struct timer_set *s, long n) {
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return (long)((s->random >> 33) % (uint64_t)n);
}

static void add(struct timer_set *s, long from) {
    for (long i = from; i < s->count; i++)
        must(cyg_after_func(CYG_MINUTE + below(s, 3600000) * CYG_MILLISECOND, never, NULL, &s->timers[i]));
}

static void set_up(int me, long n) {
    struct timer_set *s = &sets[me];
    *s = (struct timer_set){.count = (MILLION + CHURN) / n, .idle = CHURN / n, .random = (uint64_t)me + 1};
    if (!(s->timers = malloc((size_t)s->count * sizeof *s->timers))) must(CYG_ENOMEM);
    s->count -= s->idle;
    add(s, 0);
    s->count += s->idle;
}

static void add_idle(int me, long n) {
    (void)n;
    add(&sets[me], sets[me].count - sets[me].idle);
}

static void choose(int me, long n) {
    (void)n;
    struct timer_set *s = &sets[me];
    for (long i = 0; i < s->idle; i++) {
        long k = below(s, s->count - i), last = s->count - 1 - i;
        cyg_timer *t = s->timers[k];
        s->timers[k] = s->timers[last];
        s->timers[last] = t;
    }
}

static void stop_idle(int me, long n) {
    (void)n;
    struct timer_set *s = &sets[me];
    for (long i = s->count - s->idle; i < s->count; i++) {
        if (!cyg_timer_stop(s->timers[i])) must(CYG_ESTATE);
        cyg_timer_release(s->timers[i]);
    }
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Nanoseconds a timer. */
static double median(int64_t ns[CHURNS]) {
    qsort(ns, CHURNS, sizeof *ns, by_value);
    return (double)ns[CHURNS / 2] / CHURN;
}

void timers(void) {
    int procs = (int)cyg_procs();
    if (!(sets = aligned_alloc(_Alignof(struct timer_set), (size_t)procs * sizeof *sets))) must(CYG_ENOMEM);
    together(procs, set_up, procs);
    int64_t adding[CHURNS], stopping[CHURNS];
    for (int round = 0; round < CHURNS; round++) {
        adding[round] = together(procs, add_idle, 0);
        together(procs, choose, 0);
        stopping[round] = together(procs, stop_idle, 0);
    }
    printf("timer_first %.2f\n", (double)adding[0] / CHURN); /* in memory that nobody has touched */
    printf("timer_add %.2f\ntimer_stop %.2f\n", median(adding), median(stopping));
}
