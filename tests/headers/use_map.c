/* map.h in use: a bounded map of strings, one of numbers. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/map.h>
#include <cygnet/runtime.h>

static bool add_up(const cyg_map_entry *e, void *arg) {
    *(int *)arg += *(int *)e->value;
    return true;
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    int one = 1, two = 2, sum = 0;
    cyg_map_opts opts;
    memset(&opts, 0, sizeof opts);
    opts.max_entries = 2;
    cyg_map *m = cyg_map_new(&opts);
    if (cyg_map_set(m, CYG_STR("one"), &one, NULL) != 0 || cyg_map_set(m, CYG_STR("two"), &two, NULL) != 0) return 1;
    if (cyg_map_set(m, CYG_STR("three"), &one, NULL) != CYG_ELIMIT) return 2;
    if (cyg_map_get(m, CYG_STR("two")) != &two || cyg_map_get(m, CYG_STR("three"))) return 3;
    if (cyg_map_range(m, add_up, &sum) != 0 || sum != 3) return 4;
    cyg_map_free(m);

    memset(&opts, 0, sizeof opts);
    opts.numbers = true;
    m = cyg_map_new(&opts);
    void *now = NULL, *old = NULL;
    if (cyg_map_get_or_set_u64(m, 7, &one, &now) != 0 || now != &one) return 5;
    if (cyg_map_get_or_set_u64(m, 7, &two, &now) != 1 || now != &one) return 6;
    if (!cyg_map_delete_u64(m, 7, &old) || old != &one) return 7;
    cyg_map_free(m);
    return 0;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
