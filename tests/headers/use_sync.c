/* sync.h in use: a mutex, a condition, a waitgroup. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/runtime.h>
#include <cygnet/sync.h>

static cyg_mutex lock;
static cyg_cond changed;
static cyg_waitgroup all;
static int balance; /* guarded by lock */

static void deposit(void *arg) {
    cyg_mutex_lock(&lock);
    balance += *(int *)arg;
    cyg_cond_signal(&changed);
    cyg_mutex_unlock(&lock);
    cyg_waitgroup_done(&all);
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    int amount = 5;
    cyg_waitgroup_add(&all, 20);
    for (int i = 0; i < 20; i++) {
        int err = cyg_go(deposit, &amount); /* outlives them: waited for below */
        if (err < 0) return err;
    }
    cyg_mutex_lock(&lock);
    while (balance < 100) {
        int err = cyg_cond_wait_until(&changed, &lock, cyg_now() + 10 * CYG_SECOND);
        if (err < 0) return cyg_mutex_unlock(&lock), err;
    }
    cyg_mutex_unlock(&lock);
    return cyg_waitgroup_wait(&all);
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
