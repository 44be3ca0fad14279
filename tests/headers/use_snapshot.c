/* snapshot.h in use: a value that is replaced while it is read. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/runtime.h>
#include <cygnet/snapshot.h>
#include <stdlib.h>

struct config {
    int version;
};

static int publish(cyg_snapshot *current, int version) {
    struct config *c = (struct config *)malloc(sizeof *c);
    if (!c) return CYG_ENOMEM;
    c->version = version;
    int err = cyg_snapshot_publish(current, c, sizeof *c);
    if (err < 0) free(c);
    return err;
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_snapshot_opts opts;
    memset(&opts, 0, sizeof opts);
    opts.destroy = free;
    opts.name = "config";
    cyg_snapshot *current = cyg_snapshot_new(&opts);
    if (publish(current, 1) < 0) return 1;
    cyg_snapshot_hold old, now;
    const struct config *a = (const struct config *)cyg_snapshot_get(current, &old);
    if (publish(current, 2) < 0) return 1;
    const struct config *b = (const struct config *)cyg_snapshot_get(current, &now);
    int good = a->version == 1 && b->version == 2 && cyg_snapshot_live(current) == 2;
    cyg_snapshot_drop(&old); /* the last reader of version 1 */
    good = good && cyg_snapshot_live(current) == 1;
    cyg_snapshot_drop(&now);
    cyg_snapshot_free(current);
    return good ? 0 : 2;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
