/* group.h in use: goroutines of a scope, the first error. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/group.h>
#include <cygnet/runtime.h>

static int visited; /* atomic */

static int visit(void *arg) {
    (void)arg;
    __atomic_fetch_add(&visited, 1, __ATOMIC_RELAXED);
    return 0;
}
static int fail(void *arg) { return *(int *)arg; }
static int sleep_long(void *arg) {
    (void)arg;
    return cyg_sleep(CYG_HOUR);
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_group_opts opts;
    memset(&opts, 0, sizeof opts);
    opts.limit = 4;
    cyg_group *g = cyg_group_new(NULL, &opts);
    for (int i = 0; i < 20; i++) {
        int err = cyg_group_go(g, visit, NULL);
        if (err < 0) break; /* cyg_group_wait tells */
    }
    int err = cyg_group_wait(g);
    if (err < 0 || visited != 20) return 1;

    int code = CYG_EPROTO;
    g = cyg_group_new(NULL, NULL);
    cyg_group_go(g, sleep_long, NULL); /* cancelled by the other's error */
    cyg_group_go(g, fail, &code);
    return cyg_group_wait(g) == CYG_EPROTO ? 0 : 2;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
