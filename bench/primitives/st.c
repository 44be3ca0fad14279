/* st.c: the primitives in State Threads (libst-dev), which has one thread and no channels: usage: st MODE. The loops have the
 * shape of their namesakes in prim.go as far as the library has the thing: a new thread is waited for by joining it, and a turn
 * is given by a condition alone, as nothing else runs meanwhile. */
#include <st.h>

#include "sample.h"

enum { STACK_BYTES = 32768 };

static void *nothing(void *arg) { return arg; }

static int64_t spawn(long n) {
    st_thread_t made[BATCH];
    int64_t begin = now_ns();
    for (long i = 0; i < n; i += BATCH) {
        for (int k = 0; k < BATCH; k++)
            if (!(made[k] = st_thread_create(nothing, NULL, 1, STACK_BYTES))) exit(1);
        for (int k = 0; k < BATCH; k++) st_thread_join(made[k], NULL);
    }
    return now_ns() - begin;
}

static volatile long guarded;

static int64_t mutex(long n) {
    st_mutex_t mu = st_mutex_new();
    int64_t begin = now_ns();
    for (long i = 0; i < n; i++) {
        st_mutex_lock(mu);
        guarded++;
        st_mutex_unlock(mu);
    }
    int64_t took = now_ns() - begin;
    st_mutex_destroy(mu);
    return took;
}

static st_cond_t conds[2];
static int turn;
static long turns;

static void *take_turns(void *arg) {
    int me = arg ? 1 : 0;
    for (long i = 0; i < turns; i++) {
        while (turn != me) st_cond_wait(conds[me]);
        turn = 1 - me;
        st_cond_signal(conds[1 - me]);
    }
    return NULL;
}

static int64_t condition(long n) {
    conds[0] = st_cond_new(), conds[1] = st_cond_new();
    turn = 0, turns = n / 2;
    int64_t begin = now_ns();
    st_thread_t one = st_thread_create(take_turns, NULL, 1, STACK_BYTES),
                two = st_thread_create(take_turns, &turn, 1, STACK_BYTES);
    st_thread_join(one, NULL);
    st_thread_join(two, NULL);
    int64_t took = now_ns() - begin;
    st_cond_destroy(conds[0]), st_cond_destroy(conds[1]);
    return took;
}

int main(int argc, char **argv) {
    static const struct sample_mode modes[] = {{"spawn", spawn}, {"mutex", mutex}, {"condition", condition}, {NULL, NULL}};
    const struct sample_mode *mode = find_mode(modes, argc, argv);
    if (!mode) return fprintf(stderr, "usage: st MODE\n"), 2;
    if (st_init() < 0) return perror("st_init"), 1;
    print_calibrated(mode->name, mode->fn);
    return 0;
}
