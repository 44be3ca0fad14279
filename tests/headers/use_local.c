/* local.h in use: a value that goroutines inherit, one that is destroyed at their end. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/local.h>
#include <cygnet/runtime.h>
#include <cygnet/sync.h>

static int destroyed; /* atomic */
static void count(void *value) {
    (void)value;
    __atomic_fetch_add(&destroyed, 1, __ATOMIC_SEQ_CST);
}
static cyg_local_key user = {NULL, cyg_local_same};
static cyg_local_key scratch = {count, NULL};
static cyg_waitgroup all;

static void handle(void *arg) {
    int *seen = (int *)arg;
    const char *name = (const char *)cyg_local_get(&user);
    *seen = name && strcmp(name, "alice") == 0 && !cyg_local_get(&scratch);
    if (cyg_local_set(&scratch, arg) != 0) *seen = 0;
    cyg_waitgroup_done(&all);
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    char name[] = "alice";
    int seen = 0, mine = 0;
    if (cyg_local_set(&user, name) != 0 || cyg_local_set(&scratch, &mine) != 0) return 1;
    cyg_waitgroup_add(&all, 1);
    if (cyg_go(handle, &seen) != 0 || cyg_waitgroup_wait(&all) != 0 || !seen) return 2;
    while (__atomic_load_n(&destroyed, __ATOMIC_SEQ_CST) == 0) cyg_yield();
    return cyg_local_set(&scratch, NULL);
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
