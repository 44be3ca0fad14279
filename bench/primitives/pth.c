/* pth.c: the primitives in GNU Pth (libpth-dev), which has one thread and no channels: usage: pth MODE. The loops have the
 * shape of their namesakes in prim.go as far as the library has the thing: a new thread is waited for by joining it. */
#include <pth.h>

#include "sample.h"

static long share;

static void *yielder(void *arg) {
    for (long i = 0; i < share; i++) pth_yield(NULL);
    return arg;
}

static int64_t together(int count, void *(*fn)(void *)) {
    static int numbers[YIELDERS];
    pth_t made[YIELDERS];
    int64_t begin = now_ns();
    for (int i = 0; i < count; i++) {
        numbers[i] = i;
        if (!(made[i] = pth_spawn(PTH_ATTR_DEFAULT, fn, &numbers[i]))) exit(1);
    }
    for (int i = 0; i < count; i++) pth_join(made[i], NULL);
    return now_ns() - begin;
}

static int64_t yield(long n) {
    share = n / YIELDERS;
    return together(YIELDERS, yielder);
}

static void *nothing(void *arg) { return arg; }

static int64_t spawn(long n) {
    pth_t made[BATCH];
    int64_t begin = now_ns();
    for (long i = 0; i < n; i += BATCH) {
        for (int k = 0; k < BATCH; k++)
            if (!(made[k] = pth_spawn(PTH_ATTR_DEFAULT, nothing, NULL))) exit(1);
        for (int k = 0; k < BATCH; k++) pth_join(made[k], NULL);
    }
    return now_ns() - begin;
}

static pth_mutex_t mu = PTH_MUTEX_INIT;
static volatile long guarded;

static int64_t mutex(long n) {
    int64_t begin = now_ns();
    for (long i = 0; i < n; i++) {
        pth_mutex_acquire(&mu, FALSE, NULL);
        guarded++;
        pth_mutex_release(&mu);
    }
    return now_ns() - begin;
}

static pth_cond_t conds[2] = {PTH_COND_INIT, PTH_COND_INIT};
static int turn;

static void *take_turns(void *arg) {
    int me = *(int *)arg;
    pth_mutex_acquire(&mu, FALSE, NULL);
    for (long i = 0; i < share; i++) {
        while (turn != me) pth_cond_await(&conds[me], &mu, NULL);
        turn = 1 - me;
        pth_cond_notify(&conds[1 - me], FALSE);
    }
    pth_mutex_release(&mu);
    return NULL;
}

static int64_t condition(long n) {
    turn = 0;
    share = n / 2;
    return together(2, take_turns);
}

int main(int argc, char **argv) {
    static const struct sample_mode modes[] = {
        {"yield", yield}, {"spawn", spawn}, {"mutex", mutex}, {"condition", condition}, {NULL, NULL}};
    const struct sample_mode *mode = find_mode(modes, argc, argv);
    if (!mode) return fprintf(stderr, "usage: pth MODE\n"), 2;
    if (!pth_init()) return perror("pth_init"), 1;
    print_calibrated(mode->name, mode->fn);
    return 0;
}
