/* test_listen.c: listening, accepting and dialling: TCP and Unix, addresses in use, refusals, timeouts, and what happens when
 * descriptors run out.
 */
#include "net.h"

#include <sys/stat.h>
#include <sys/un.h>

static char dir[64];
static const char *in_dir(const char *name) {
    static char path[100];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* ---- echo ---------------------------------------------------------------------------------------------------------------- */

static void serve_one(void *arg) {
    cyg_auto_conn cyg_conn *c = arg;
    char b[100];
    for (ssize_t n; (n = cyg_read(c, b, sizeof b)) != CYG_EOF;) {
        CHECK(n > 0);
        CHECK_EQ(cyg_write(c, b, (size_t)n), n);
    }
}
static void serve(void *arg) {
    cyg_conn *c;
    while (cyg_accept(arg, &c) == 0) GO(serve_one, c);
    cyg_listener_release(arg);
}

static void echo_over(const char *network, const char *address) {
    cyg_listener *l;
    cyg_addr a;
    char text[CYG_ADDR_STRLEN], b[8];
    CHECK_EQ(cyg_listen(network, address, NULL, &l), 0);
    cyg_listener_addr(l, &a);
    cyg_addr_format(&a, text, sizeof text);
    GO(serve, cyg_listener_acquire(l));
    for (int i = 0; i < 20; i++) {
        cyg_conn *c;
        CHECK_EQ(cyg_dial(network, text, NULL, &c), 0);
        CHECK_EQ(cyg_write(c, "hello", 5), 5);
        CHECK_EQ(cyg_read_full(c, b, 5), 5);
        CHECK(memcmp(b, "hello", 5) == 0);
        CHECK_EQ(cyg_close(c), 0);
    }
    cyg_listener_stats st;
    cyg_listener_get_stats(l, &st);
    CHECK_EQ(st.accepted_total, 20);
    CHECK(st.accept_calls_total >= 20);
    CHECK_EQ(st.pauses_total, 0);
    CHECK_EQ(cyg_listener_close(l), 0);
}

RT_TEST(test_listen_dial_accept_echo) {
    echo_over("tcp", "127.0.0.1:0");
    echo_over("tcp4", ":0");
    echo_over("unix", in_dir("echo.sock"));
    echo_over("unix", net_name("echo"));
    CHECK(access(in_dir("echo.sock"), F_OK) != 0); /* close removes the path */
}

/* ---- addresses in use ------------------------------------------------------------------------------------------------------ */

RT_TEST(test_address_in_use_is_told) {
    cyg_listener *l, *again;
    char text[CYG_ADDR_STRLEN];
    net_listen("127.0.0.1:0", &l, text);
    CHECK_EQ(cyg_listen("tcp", text, NULL, &again), -EADDRINUSE);
    CHECK(strstr(cyg_err_detail(), text));
    CHECK_EQ(cyg_listener_close(l), 0);
    CHECK_EQ(cyg_listen("tcp", text, NULL, &l), 0); /* free again at once */
    CHECK_EQ(cyg_listener_close(l), 0);
    cyg_listen_opts share = {.reuse_port = true};
    CHECK_EQ(cyg_listen("tcp", text, &share, &l), 0);
    CHECK_EQ(cyg_listen("tcp", text, &share, &again), 0);
    CHECK_EQ(cyg_listener_close(l), 0);
    CHECK_EQ(cyg_listener_close(again), 0);
    CHECK_EQ(cyg_listen("tcp", "nonsense", NULL, &l), CYG_EPARSE);
    CHECK_EQ(cyg_listen("tcp", "192.0.2.1:1", NULL, &l), -EADDRNOTAVAIL);
}

/* Even when another P's poller is just looking at the socket, for which the kernel holds on to it. */
static void yields(void *stop) {
    while (!LOAD(*(int *)stop)) cyg_yield();
}
static void listen_again_and_again(const char *network, const char *address) {
    cyg_listener *l;
    cyg_conn *c;
    cyg_addr a;
    char text[CYG_ADDR_STRLEN];
    CHECK_EQ(cyg_listen(network, address, NULL, &l), 0);
    cyg_listener_addr(l, &a);
    cyg_addr_format(&a, text, sizeof text);
    for (int i = 0; i < 2000 / RT_LESS; i++) {
        CHECK_EQ(cyg_dial(network, text, NULL, &c), 0); /* every poller is told */
        CHECK_EQ(cyg_listener_close(l), 0);
        CHECK_EQ(cyg_listen(network, text, NULL, &l), 0);
        CHECK_EQ(cyg_close(c), 0);
    }
    CHECK_EQ(cyg_listener_close(l), 0);
}
static void bind_again_and_again(const char *network, const char *address) {
    cyg_conn *s, *c;
    cyg_addr a;
    char text[CYG_ADDR_STRLEN];
    CHECK_EQ(cyg_listen_packet(network, address, NULL, &s), 0);
    CHECK_EQ(cyg_conn_local_addr(s, &a), 0);
    cyg_addr_format(&a, text, sizeof text);
    for (int i = 0; i < 2000 / RT_LESS; i++) {
        CHECK_EQ(cyg_dial(network, text, NULL, &c), 0);
        CHECK_EQ(cyg_write(c, "x", 1), 1);
        CHECK_EQ(cyg_close(s), 0);
        CHECK_EQ(cyg_listen_packet(network, text, NULL, &s), 0);
        CHECK_EQ(cyg_close(c), 0);
    }
    CHECK_EQ(cyg_close(s), 0);
}
RT_TEST(test_an_address_is_free_as_soon_as_its_socket_is_closed) {
    static int stop;
    STORE(stop, 0);
    for (unsigned i = 0; i < 2 * cyg_procs(); i++) GO(yields, &stop);
    listen_again_and_again("tcp", "127.0.0.1:0");
    listen_again_and_again("unix", net_name("again"));
    listen_again_and_again("unixpacket", net_name("again"));
    bind_again_and_again("udp", "127.0.0.1:0");
    bind_again_and_again("unixgram", net_name("again"));
    STORE(stop, 1);
}

RT_TEST(test_stale_unix_path_is_replaced_and_one_in_use_is_not) {
    cyg_listener *l, *again;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof un.sun_path, "%s", in_dir("stale.sock"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    close(fd); /* nobody listens there any more */
    cyg_listen_opts mode = {.unix_mode = 0640};
    CHECK_EQ(cyg_listen("unix", un.sun_path, &mode, &l), 0);
    struct stat st;
    CHECK_EQ(stat(un.sun_path, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0640);
    CHECK_EQ(cyg_listen("unix", un.sun_path, NULL, &again), -EADDRINUSE);
    CHECK_EQ(cyg_listener_close(l), 0);
    int file = open(un.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(file); /* something else of that name is nobody's to remove */
    CHECK_EQ(cyg_listen("unix", un.sun_path, NULL, &l), -EADDRINUSE);
    unlink(un.sun_path);
}

/* ---- dials that fail --------------------------------------------------------------------------------------------------------- */

RT_TEST(test_dial_refused_and_told_where) {
    cyg_listener *l;
    cyg_conn *c;
    char text[CYG_ADDR_STRLEN];
    net_listen("127.0.0.1:0", &l, text);
    CHECK_EQ(cyg_listener_close(l), 0);
    CHECK_EQ(cyg_dial("tcp", text, NULL, &c), -ECONNREFUSED);
    CHECK(strstr(cyg_err_detail(), text));
    CHECK_EQ(cyg_dial("unix", in_dir("none.sock"), NULL, &c), -ENOENT);
    CHECK_EQ(cyg_dial("tcp", "x", NULL, &c), CYG_EPARSE);
    cyg_dial_opts local = {.local = "192.0.2.1:0"};
    CHECK_EQ(cyg_dial("tcp", text, &local, &c), -EADDRNOTAVAIL);
}

RT_TEST(test_dial_from_a_local_address) {
    cyg_listener *l;
    cyg_conn *c;
    cyg_addr a;
    char text[CYG_ADDR_STRLEN], ip[CYG_ADDR_STRLEN];
    net_listen("127.0.0.1:0", &l, text);
    cyg_dial_opts local = {.local = "127.0.0.5:0"};
    CHECK_EQ(cyg_dial("tcp", text, &local, &c), 0);
    CHECK_EQ(cyg_conn_local_addr(c, &a), 0);
    cyg_addr_format_ip(&a, ip, sizeof ip);
    CHECK(strcmp(ip, "127.0.0.5") == 0);
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_listener_close(l), 0);
}

/* A queue of one that nobody empties: further connects get no answer (TCP) or EAGAIN (Unix), until their time is up. */
static void dial_a_full_queue(const char *network, const char *address) {
    cyg_listener *l;
    cyg_addr a;
    cyg_listen_opts opts = {.backlog = 1};
    cyg_dial_opts quick = {.timeout = 30 * CYG_MILLISECOND};
    char text[CYG_ADDR_STRLEN];
    CHECK_EQ(cyg_listen(network, address, &opts, &l), 0);
    cyg_listener_addr(l, &a);
    cyg_addr_format(&a, text, sizeof text);
    cyg_conn *c[16];
    int n = 0, err, in_vain = 0;
    while (in_vain < 3) { /* one may have been late though there was room */
        if ((err = cyg_dial(network, text, &quick, &c[n])) == 0) CHECK(++n < 16);
        in_vain = err ? in_vain + 1 : 0;
        if (err) CHECK_EQ(err, CYG_ETIMEDOUT);
    }
    CHECK(strstr(cyg_err_detail(), text));
    quick.timeout = 0;
    quick.deadline = 1;
    CHECK_EQ(cyg_dial(network, text, &quick, &c[n]), CYG_ETIMEDOUT);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_timeout(NULL, CYG_MILLISECOND);
    cyg_ctx_scope s = cyg_ctx_enter(ctx);
    CHECK_EQ(cyg_dial(network, text, NULL, &c[n]), CYG_ETIMEDOUT);
    cyg_ctx_leave(&s);
    while (n > 0) CHECK_EQ(cyg_close(c[--n]), 0);
    CHECK_EQ(cyg_listener_close(l), 0);
}
RT_TEST(test_dial_times_out_at_a_full_queue) {
    dial_a_full_queue("tcp", "127.0.0.1:0");
    dial_a_full_queue("unix", net_name("full"));
}

/* ---- descriptors run out ------------------------------------------------------------------------------------------------------ */

static cyg_listener *starved;
static int accepted;
static void accept_one(void *arg) {
    cyg_conn **out = arg;
    CHECK_EQ(cyg_accept(starved, out), 0);
    STORE(accepted, 1);
}
static uint64_t pauses(void) {
    cyg_listener_stats st;
    cyg_listener_get_stats(starved, &st);
    return st.pauses_total;
}

static int run_out(void *arg) {
    (void)arg;
    char text[CYG_ADDR_STRLEN];
    int hog[256], n = 0;
    cyg_conn *c, *in;
    net_listen("127.0.0.1:0", &starved, text);
    cyg_addr to;
    CHECK_EQ(cyg_addr_parse("tcp", text, &to), 0);
    struct rlimit lim = {128, 128};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &lim), 0);
    CHECK_EQ(cyg_dial_addr(&to, NULL, &c), 0);
    while ((hog[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) n++;
    GO(accept_one, &in);
    WAIT_FOR(pauses() >= 3);
    CHECK(!LOAD(accepted));
    cyg_conn *none;
    CHECK_EQ(cyg_dial_addr(&to, NULL, &none), -EMFILE);
    cyg_listener_stats st;
    cyg_listener_get_stats(starved, &st);
    CHECK(st.accept_calls_total < 20); /* pauses, no spinning */
    while (n > 0) close(hog[--n]);
    WAIT_FOR(LOAD(accepted));
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_close(in), 0);
    CHECK_EQ(cyg_listener_close(starved), 0);
    return 0;
}
static int emfile_child(int argc, char **argv) {
    (void)argv;
    CHECK_EQ(cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = argc ? 2 : 1}), 0);
    return cyg_call(run_out, NULL);
}
static void test_accept_pauses_when_descriptors_run_out_and_goes_on(void **state) {
    (void)state;
    static struct rt_result r;
    rt_spawn("emfile", NULL, NULL, &r);
    CHECK_EXIT(&r, 0);
    rt_spawn("emfile", "two", NULL, &r);
    CHECK_EXIT(&r, 0);
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"emfile", emfile_child}, {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen_dial_accept_echo),
        cmocka_unit_test(test_address_in_use_is_told),
        cmocka_unit_test(test_an_address_is_free_as_soon_as_its_socket_is_closed),
        cmocka_unit_test(test_stale_unix_path_is_replaced_and_one_in_use_is_not),
        cmocka_unit_test(test_dial_refused_and_told_where),
        cmocka_unit_test(test_dial_from_a_local_address),
        cmocka_unit_test(test_dial_times_out_at_a_full_queue),
        cmocka_unit_test(test_accept_pauses_when_descriptors_run_out_and_goes_on),
    };
    int code = rt_child_main(argc, argv, kids);
    if (code >= 0) return code;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.40s/cygnet-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(dir);
    return failed;
}
