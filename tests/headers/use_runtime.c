/* runtime.h in use: goroutines, a copied argument, a blocking call. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/runtime.h>
#include <poll.h>

struct job {
    int *sum;
    int value;
};

static void add(void *arg) {
    struct job *job = (struct job *)arg; /* this goroutine's own copy */
    cyg_yield();
    __atomic_fetch_add(job->sum, job->value, __ATOMIC_RELEASE);
}

static int slow(void *arg) {
    (void)poll(NULL, 0, 1); /* holds this thread, not the goroutines */
    return *(int *)arg + 1;
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    int sum = 0, one = 1;
    for (int i = 1; i <= 10; i++) {
        struct job job = {&sum, i};
        int err = cyg_go_copy(add, &job);
        if (err < 0) return err;
    }
    cyg_time deadline = cyg_now() + 10 * CYG_SECOND;
    while (__atomic_load_n(&sum, __ATOMIC_ACQUIRE) != 55 && cyg_now() < deadline) cyg_yield();
    if (cyg_blocking(slow, &one) != 2) return 1;
    cyg_runtime_stats stats;
    cyg_stats(&stats);
    return sum == 55 && stats.goroutines_total >= 11 && cyg_procs() > 0 && cyg_goid() > 0 ? 0 : 2;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
