/* switching.c: goroutines that change places as often as they can, for who steps through the switch or samples it: four that
 * yield, and one that starts others, which end at once. Argument: how many rounds. */
#include <cygnet/cygnet.h>
#include <stdlib.h>

#define KEEP __attribute__((noinline, noclone))
#define NO_TAIL() __asm__ volatile("" ::: "memory")

static cyg_waitgroup all;
static long rounds;

KEEP static void yield_inner(void) {
    cyg_yield();
    NO_TAIL();
}

KEEP static void yielder(void *arg) {
    (void)arg;
    for (long i = 0; i < rounds; i++) yield_inner();
    cyg_waitgroup_done(&all);
    NO_TAIL();
}

KEEP static void brief(void *arg) {
    (void)arg;
    NO_TAIL();
}

KEEP static void starter(void *arg) {
    (void)arg;
    for (long i = 0; i < rounds; i++) {
        if (cyg_go(brief, NULL) < 0) abort();
        yield_inner();
    }
    cyg_waitgroup_done(&all);
    NO_TAIL();
}

static int work(int argc, char **argv) {
    rounds = argc > 1 ? atol(argv[1]) : 100;
    cyg_waitgroup_add(&all, 5);
    for (int i = 0; i < 4; i++)
        if (cyg_go(yielder, NULL) < 0) return 1;
    if (cyg_go(starter, NULL) < 0) return 1;
    return cyg_waitgroup_wait(&all);
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
