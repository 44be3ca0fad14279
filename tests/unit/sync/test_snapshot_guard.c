/* test_snapshot_guard.c: with CYGNET_DEBUG=snapshots, published values are copies that cannot be written, and who tries is named.
 */
#include "../rt.h"

struct config {
    int version, limit;
};
static int destroyed;
static void destroy(void *p) {
    CHECK_EQ(((struct config *)p)->version, 1); /* the original comes back */
    ADD(destroyed, 1);
    free(p);
}
RT_TEST(test_readers_get_a_copy_and_destroy_the_original) {
    STORE(destroyed, 0);
    cyg_snapshot *s = cyg_snapshot_new(&(cyg_snapshot_opts){.destroy = destroy});
    struct config *c = malloc(sizeof *c);
    *c = (struct config){1, 2};
    CHECK_EQ(cyg_snapshot_publish(s, c, sizeof *c), 0);
    cyg_snapshot_hold h;
    struct config *seen = cyg_snapshot_get(s, &h);
    CHECK(seen != c && seen->limit == 2);
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    CHECK_EQ(write(fds[1], "xxxxxxxx", 8), 8);
    CHECK(read(fds[0], seen, sizeof *seen) < 0 && errno == EFAULT); /* it cannot be written */
    close(fds[0]);
    close(fds[1]);
    cyg_snapshot_drop(&h);
    cyg_snapshot_free(s);
    CHECK_EQ(LOAD(destroyed), 1);
}

static cyg_snapshot *current;
static void racing_writer(void *arg) {
    (void)arg;
    cyg_snapshot_hold h;
    struct config *c = cyg_snapshot_get(current, &h);
    c->limit = 3;
    cyg_snapshot_drop(&h);
}
static int write_to_it(int argc, char **argv) {
    (void)argc, (void)argv;
    static struct config c = {1, 2};
    current = cyg_snapshot_new(&(cyg_snapshot_opts){.name = "limits"});
    if (cyg_snapshot_publish(current, &c, sizeof c) != 0) return 98;
    GO(racing_writer, NULL);
    return cyg_sleep(CYG_MINUTE);
}
static int write_child(int argc, char **argv) { return cyg_main(write_to_it, argc, argv); }
static void test_a_racing_writer_is_named(void **state) {
    (void)state;
    static struct rt_result r;
    rt_spawn("write", "", NULL, &r);
    CHECK_SIGNAL(&r, SIGSEGV);
    CHECK_SAYS(&r, "started at ");
    CHECK_SAYS(&r, "test_snapshot_guard.c:");
    CHECK_SAYS(&r, "wrote to byte 4 of a published value of snapshot \"limits\" (published at ");
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"write", write_child}, {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_get_a_copy_and_destroy_the_original),
        cmocka_unit_test(test_a_racing_writer_is_named),
    };
    const char *debug = getenv("CYGNET_DEBUG"); /* fallbacks that are forced stay so */
    char with[256];
    snprintf(with, sizeof with, "%s,snapshots", debug ? debug : "");
    setenv("CYGNET_DEBUG", with, 1);
    int code = rt_child_main(argc, argv, kids);
    return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
