/* cyg.c: the primitives in Cygnet, one a run: usage: cyg MODE. Prints lines "NAME NANOSECONDS", an operation each. Each loop
 * has the same shape as its namesake in prim.go; CYGNET_MAXPROCS says how many Ps there are. */
#include "cyg.h"

void must(int err) {
    if (err >= 0) return;
    fprintf(stderr, "cyg: %s\n", cyg_strerror(err));
    exit(1);
}

struct member {
    void (*fn)(int me, long n);
    long n;
    int me;
    cyg_waitgroup *ended;
};

static void run_member(void *arg) {
    struct member *m = arg;
    m->fn(m->me, m->n);
    cyg_waitgroup_done(m->ended);
}

int64_t together(int count, void (*fn)(int me, long n), long n) {
    cyg_waitgroup ended = {0};
    int64_t begin = now_ns();
    for (int i = 0; i < count; i++) {
        struct member m = {fn, n, i, &ended};
        cyg_waitgroup_add(&ended, 1);
        must(cyg_go_copy(run_member, &m));
    }
    must(cyg_waitgroup_wait(&ended));
    return now_ns() - begin;
}

static void yielder(int me, long n) {
    (void)me;
    for (long i = 0; i < n; i++) cyg_yield();
}

static int64_t yield(long n) { return together(YIELDERS, yielder, n / YIELDERS); }
static int64_t yield_crowd(long n) { return together(CROWD, yielder, n / CROWD); }

static cyg_waitgroup spawned;

static void nothing(void *arg) {
    (void)arg;
    cyg_waitgroup_done(&spawned);
}

static int64_t spawn(long n) {
    int64_t begin = now_ns();
    for (long i = 0; i < n; i += BATCH) {
        cyg_waitgroup_add(&spawned, BATCH);
        for (int k = 0; k < BATCH; k++) must(cyg_go(nothing, NULL));
        must(cyg_waitgroup_wait(&spawned));
    }
    return now_ns() - begin;
}

static cyg_mutex mu;
static volatile long guarded;

static int64_t mutex(long n) {
    int64_t begin = now_ns();
    for (long i = 0; i < n; i++) {
        cyg_mutex_lock(&mu);
        guarded++;
        cyg_mutex_unlock(&mu);
    }
    return now_ns() - begin;
}

static void one_of_crowd(int me, long n) {
    (void)me;
    (void)mutex(n);
}

static int64_t mutex_crowd(long n) { return together(CROWD, one_of_crowd, n / CROWD); }

static cyg_cond conds[2];
static int turn;

static void take_turns(int me, long n) {
    cyg_mutex_lock(&mu);
    for (long i = 0; i < n; i++) {
        while (turn != me) must(cyg_cond_wait(&conds[me], &mu));
        turn = 1 - me;
        cyg_cond_signal(&conds[1 - me]);
    }
    cyg_mutex_unlock(&mu);
}

static int64_t condition(long n) {
    turn = 0;
    return together(2, take_turns, n / 2);
}

static int64_t waitgroup(long n) {
    cyg_waitgroup wg = {0};
    int64_t begin = now_ns();
    for (long i = 0; i < n; i++) {
        cyg_waitgroup_add(&wg, 1);
        cyg_waitgroup_done(&wg);
        must(cyg_waitgroup_wait(&wg));
    }
    return now_ns() - begin;
}

static int64_t context(long n) {
    cyg_ctx *parent = cyg_ctx_with_cancel(NULL);
    int64_t begin = now_ns();
    for (long i = 0; i < n; i++) {
        cyg_ctx *ctx = cyg_ctx_with_timeout(parent, CYG_MINUTE);
        if (!ctx) must(CYG_ENOMEM);
        cyg_ctx_cancel(ctx, 0);
        cyg_ctx_release(ctx);
    }
    int64_t took = now_ns() - begin;
    cyg_ctx_release(parent);
    return took;
}

static int run(int argc, char **argv) {
    static const struct sample_mode modes[] = {
        {"yield", yield},
        {"yield_crowd", yield_crowd},
        {"spawn", spawn},
        {"chan_unbuffered", chan_unbuffered},
        {"chan_buffered", chan_buffered},
        {"select_ready", select_ready},
        {"select_blocking", select_blocking},
        {"mutex", mutex},
        {"mutex_crowd", mutex_crowd},
        {"condition", condition},
        {"waitgroup", waitgroup},
        {"context", context},
        {NULL, NULL},
    };
    const struct sample_mode *mode = find_mode(modes, argc, argv);
    if (mode)
        print_calibrated(mode->name, mode->fn);
    else if (argc == 2 && strcmp(argv[1], "timers") == 0)
        timers();
    else if (argc == 2 && strcmp(argv[1], "wake_exit") == 0)
        wake_exit();
    else
        return fprintf(stderr, "usage: cyg MODE\n"), 2;
    return 0;
}

/* Not cyg_main: what the runtime's end costs is measured too. */
struct args {
    int argc;
    char **argv;
};

static int run_args(void *arg) {
    struct args *a = arg;
    return run(a->argc, a->argv);
}

int main(int argc, char **argv) {
    must(cyg_runtime_start(NULL));
    struct args a = {argc, argv};
    int status = cyg_call(run_args, &a);
    int64_t begin = now_ns();
    must(cyg_runtime_stop());
    if (argc == 2 && strcmp(argv[1], "wake_exit") == 0)
        printf("give_back %.2f\n", (double)(now_ns() - begin) / MILLION);
    return status;
}
