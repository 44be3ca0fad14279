/* sync.h in use: a mutex, a condition, a waitgroup, an rwmutex, a once, a semaphore. Compiles as C11 and C++17, ends with 0. */
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

static cyg_rwmutex table;
static cyg_once made;
static cyg_semaphore slots = CYG_SEMAPHORE(3);
static void make(void *arg) { ++*(int *)arg; }

static int others(void) {
    int times = 0;
    cyg_once_do(&made, make, &times);
    cyg_once_do(&made, make, &times);
    cyg_rwmutex_rlock(&table);
    bool writable = cyg_rwmutex_trylock(&table), readable = cyg_rwmutex_tryrlock(&table);
    if (readable) cyg_rwmutex_runlock(&table);
    cyg_rwmutex_runlock(&table);
    cyg_rwmutex_lock(&table);
    cyg_rwmutex_unlock(&table);
    int err = cyg_semaphore_acquire(&slots, 2);
    if (err < 0) return err;
    bool more = cyg_semaphore_tryacquire(&slots, 2);
    cyg_semaphore_release(&slots, 2);
    return times == 1 && !writable && readable && !more && cyg_semaphore_available(&slots) == 3 ? 0 : CYG_ESTATE;
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
    int err = cyg_waitgroup_wait(&all);
    return err < 0 ? err : others();
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
