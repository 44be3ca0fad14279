/* test_chan_misuse.c: what a dump says of channels, and that misuse of them aborts with the site of the call.
 */
#include "../rt.h"

#include <sys/mman.h>

static cyg_chan *ch, *back;
static int done;

static cyg_chan_stats stats_of(cyg_chan *c) {
    cyg_chan_stats st;
    cyg_chan_get_stats(c, &st);
    return st;
}

static void wait_recv(void *arg) {
    CHECK_EQ(cyg_chan_recv((cyg_chan *)arg, CYG_NOTHING), CYG_EOF);
    ADD(done, 1);
}
static void wait_send(void *arg) {
    int v = 5;
    CHECK_EQ(cyg_chan_send((cyg_chan *)arg, &v), CYG_ECLOSED);
    ADD(done, 1);
}
static void wait_select(void *arg) {
    (void)arg;
    CHECK_EQ(cyg_select(NULL, CYG_RECV(ch, CYG_NOTHING)), 0);
    ADD(done, 1);
}

/* ---- seeing in ----------------------------------------------------------------------------------------------------------------- */

static size_t dump_text(char *buf, size_t n) {
    int fd = memfd_create("dump", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(cyg_dump(fd), 0);
    ssize_t got_ = pread(fd, buf, n - 1, 0);
    CHECK(got_ > 0);
    buf[got_] = 0;
    close(fd);
    return (size_t)got_;
}
RT_TEST(test_dump_names_the_channel) {
    STORE(done, 0);
    ch = cyg_chan_new(sizeof(int), 0);
    back = cyg_chan_new(sizeof(int), 0);
    cyg_chan_set_name(ch, "inbox");
    cyg_chan_set_name(back, "outbox");
    GO(wait_recv, ch);
    GO(wait_select, NULL);
    GO(wait_send, back);
    WAIT_FOR(stats_of(ch).receivers == 2 && stats_of(back).senders == 1);
    char text[16384];
    WAIT_FOR(dump_text(text, sizeof text) && strstr(text, "chan receive") && strstr(text, "\"inbox\"") &&
             strstr(text, "[select, ") && strstr(text, "chan send") && strstr(text, "\"outbox\""));
    cyg_chan_close(ch);
    cyg_chan_close(back);
    WAIT_FOR(LOAD(done) == 3);
    cyg_chan_release(ch);
    cyg_chan_release(back);
}

/* ---- misuse -------------------------------------------------------------------------------------------------------------------- */

static const char *misuse;
static void do_misuse(void) {
    short small = 1;
    struct {
        char large[CYG_CHAN_ELEM_MAX + 1];
    } large;
    cyg_chan *c = cyg_chan_new(sizeof(int), 1);
    if (strcmp(misuse, "large") == 0) (void)cyg_chan_new(sizeof large, 1);
    if (strcmp(misuse, "send-size") == 0) (void)cyg_chan_send(c, &small);
    if (strcmp(misuse, "recv-size") == 0) (void)cyg_chan_try_recv(c, &small);
    if (strcmp(misuse, "nothing") == 0) (void)cyg_chan_send(c, CYG_NOTHING);
    if (strcmp(misuse, "close-null") == 0) cyg_chan_close(NULL);
    if (strcmp(misuse, "release") == 0) {
        GO(wait_recv, c);
        WAIT_FOR(stats_of(c).receivers == 1);
        cyg_chan_release(c);
    }
    cyg_chan_close(c);
    if (strcmp(misuse, "close") == 0) cyg_chan_close(c);
}
static int child_misuse(int argc, char **argv) {
    misuse = argc > 0 ? argv[0] : "";
    rt_run(&(cyg_runtime_opts){.maxprocs = 1}, do_misuse);
    return 0;
}
static int child_foreign_wait(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_chan *c = cyg_chan_new(0, 1);
    (void)cyg_chan_send(c, CYG_NOTHING); /* need not wait */
    (void)cyg_chan_send(c, CYG_NOTHING);
    return 0;
}
static void test_misuse_aborts_with_its_site(void **state) {
    (void)state;
    static const char *const says[][2] = {
        {"large", "channel of elements of 1025 bytes"},
        {"send-size", "send of 2 bytes on channel \"\" of 4 bytes an element"},
        {"recv-size", "receive of 2 bytes on channel \"\" of 4 bytes an element"},
        {"nothing", "send of 0 bytes on channel \"\" of 4 bytes an element"},
        {"close-null", "close of a NULL channel"},
        {"close", "close of a closed channel"},
        {"release", "was released while a goroutine waits for it"},
    };
    struct rt_result r;
    for (size_t i = 0; i < sizeof says / sizeof *says; i++) {
        rt_spawn("misuse", says[i][0], NULL, &r);
        CHECK_SIGNAL(&r, SIGABRT);
        CHECK_SAYS(&r, says[i][1]);
        CHECK_SAYS(&r, "test_chan_misuse.c:");
        CHECK_SAYS(&r, "goroutine 1"); /* the dump */
    }
    rt_spawn("foreign_wait", NULL, NULL, &r);
    CHECK_SIGNAL(&r, SIGABRT);
    CHECK_SAYS(&r, "cyg_chan_send has to wait outside a goroutine");
}

#if !defined(RT_ASAN) && !defined(RT_TSAN) /* they say it themselves */
static int child_late_use(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_chan *c = cyg_chan_new(sizeof(int), 1);
    int v = 1;
    cyg_chan_release(c);
    return cyg_chan_try_send(c, &v) == 0;
}
static void test_use_after_the_last_release_aborts(void **state) {
    (void)state;
    struct rt_result r;
    rt_spawn("late_use", NULL, NULL, &r);
    CHECK_SIGNAL(&r, SIGABRT);
    CHECK_SAYS(&r, "send of a channel whose last reference was released");
}
#endif

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {
        {"misuse", child_misuse},
        {"foreign_wait", child_foreign_wait},
#if !defined(RT_ASAN) && !defined(RT_TSAN) /* they say it themselves */
        {"late_use", child_late_use},
#endif
        {NULL, NULL},
    };
    int code = rt_child_main(argc, argv, kids);
    if (code >= 0) return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dump_names_the_channel),
        cmocka_unit_test(test_misuse_aborts_with_its_site),
#if !defined(RT_ASAN) && !defined(RT_TSAN) /* they say it themselves */
        cmocka_unit_test(test_use_after_the_last_release_aborts),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
