/* errno_probe.c: does a goroutine that came back on another thread read that thread's errno? Compilers keep the address of
 * errno across calls, since glibc declares it constant; the public header's errno asks anew. Built in several ways by
 * test_errno_probe.py; with CYG_KEEP_ERRNO it shows what goes wrong without the header.
 *
 * Prints "rounds migrations stale"; ends with 0 when there were migrations enough to tell (1 otherwise), and then with 2 if
 * an errno was stale and CYG_KEEP_ERRNO is not defined.
 */
#include "truth.h"
#include <cygnet/runtime.h>
#include <cygnet/sync.h>
#include <errno.h>
#include <stdio.h>

enum { GOROUTINES = 64, MIGRATIONS_WANTED = 2000 };

static unsigned long rounds, migrations, stale; /* atomic */
static cyg_waitgroup all;
static cyg_time give_up;

static unsigned long count(unsigned long *n) { return __atomic_add_fetch(n, 1, __ATOMIC_RELAXED); }

/* Uses errno on both sides of a park. Out of line and alike for both variants: all that differs is what errno means. */
__attribute__((noinline)) static void round_trip(int stamp, bool sleep) {
    errno = 1; /* what a compiler may keep the address of */
    long before = truth_thread();
    if (sleep)
        (void)cyg_sleep(20 * CYG_MICROSECOND);
    else
        cyg_yield();
    *truth_errno() = stamp; /* this thread's, whichever it is; nothing parks until errno is read */
    int seen = errno;
    if (seen != stamp) count(&stale);
    if (truth_thread() != before) count(&migrations);
    count(&rounds);
}

static void wander(void *arg) {
    int stamp = 1000 + *(int *)arg;
    while (__atomic_load_n(&migrations, __ATOMIC_RELAXED) < MIGRATIONS_WANTED && cyg_now() < give_up) {
        for (int i = 0; i < 16; i++) round_trip(stamp + i * GOROUTINES, i == 15);
        for (volatile int spin = 0; spin < 2000; spin++) {} /* work, so that the other Ps find something to steal */
    }
    cyg_waitgroup_done(&all);
}

static int probe(int argc, char **argv) {
    (void)argc, (void)argv;
    give_up = cyg_now() + 30 * CYG_SECOND;
    cyg_waitgroup_add(&all, GOROUTINES);
    for (int i = 0; i < GOROUTINES; i++) {
        int err = cyg_go_copy(wander, &i);
        if (err < 0) return cyg_fail("start a goroutine", err);
    }
    int err = cyg_waitgroup_wait(&all);
    if (err < 0) return cyg_fail("wait", err);
    printf("%lu %lu %lu\n", rounds, migrations, stale);
    if (migrations < MIGRATIONS_WANTED) return 1;
#ifndef CYG_KEEP_ERRNO
    if (stale > 0) return 2;
#endif
    return 0;
}

int main(int argc, char **argv) { return cyg_main(probe, argc, argv); }
