/* A table of limits is a snapshot. Reader and writer take turns, so that each change falls between the reader's two looks at one
 * value.
 *
 * replace: a change is a new value, published whole.
 * in-place: the mistake of the Go form: the writer writes to the value that readers have.
 *
 * usage: cygnet replace|in-place ROUNDS */
#include <cygnet/cygnet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct limits {
    int rate, burst; /* always the same */
};

static cyg_snapshot *limits;
static cyg_chan *yours, *mine; /* whose turn it is */
static _Atomic int freed;

static void free_limits(void *value) {
    free(value);
    atomic_fetch_add(&freed, 1);
}

static int publish(int n) {
    struct limits *l = malloc(sizeof *l);
    if (!l) return CYG_ENOMEM;
    *l = (struct limits){n, n};
    return cyg_snapshot_publish(limits, l, sizeof *l);
}

static void replace(void *arg) {
    (void)arg;
    for (int i = 1; cyg_chan_recv(yours, CYG_NOTHING) == 0 && publish(i) == 0; i++)
        if (cyg_chan_send(mine, CYG_NOTHING) < 0) return;
}

static void change_in_place(void *arg) {
    (void)arg;
    for (int i = 1; cyg_chan_recv(yours, CYG_NOTHING) == 0; i++) {
        cyg_snapshot_hold hold;
        struct limits *l = cyg_snapshot_get(limits, &hold);
        l->rate = l->burst = i;
        cyg_snapshot_drop(&hold);
        if (cyg_chan_send(mine, CYG_NOTHING) < 0) return;
    }
}

static int read_limits(void) {
    cyg_snapshot_hold hold;
    const struct limits *l = cyg_snapshot_get(limits, &hold);
    int rate = l->rate;
    cyg_chan_send(yours, CYG_NOTHING);
    cyg_chan_recv(mine, CYG_NOTHING);
    bool torn = l->burst != rate;
    cyg_snapshot_drop(&hold);
    return torn;
}

static int run(int argc, char **argv) {
    if (argc != 3) return fprintf(stderr, "usage: %s replace|in-place ROUNDS\n", argv[0]), 2;
    int rounds = atoi(argv[2]), torn = 0;
    limits = cyg_snapshot_new(&(cyg_snapshot_opts){.destroy = free_limits, .name = "limits"});
    yours = cyg_chan_new(0, 0);
    mine = cyg_chan_new(0, 0);
    int err = publish(0);
    if (err == 0) err = strcmp(argv[1], "replace") == 0 ? cyg_go(replace, NULL) : cyg_go(change_in_place, NULL);
    if (err < 0) return cyg_fail("cannot begin", err);
    for (int i = 0; i < rounds; i++) torn += read_limits();
    printf("readings: %d\n", rounds);
    printf("half changed: %d\n", torn);
    printf("values in memory: %zu\n", cyg_snapshot_live(limits));
    printf("values freed: %d\n", atomic_load(&freed));
    return 0;
}

int main(int argc, char **argv) { return cyg_main(run, argc, argv); }
