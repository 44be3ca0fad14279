/* test_netstat.c: this process's sockets by state, from the kernel's netlink and from /proc: what one side has ended, how long, whose
 * it is, and the ports that a destination takes. */
#include <cygnet/netstat.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "net.h"

static cyg_netstat st;
static char text[1 << 16];

static void look(void) { CHECK_EQ(cyg_netstat_look(NULL, &st), 0); }
static void report(void) {
    int fd = memfd_create("sockets", MFD_CLOEXEC);
    CHECK_EQ(cyg_netstat_report(fd), 0);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    CHECK(n > 0);
    text[n] = 0;
    close(fd);
}

/* ---- states ------------------------------------------------------------------------------------------------------------- */

static void states(int source) {
    struct net_pair p[2];
    char address[CYG_ADDR_STRLEN];
    cyg_listener *l;
    look();
    CHECK_EQ(st.source, source);
    for (int i = 1; i < CYG_TCP_STATES; i++) CHECK_EQ(st.open[i], 0);
    uint64_t others = st.other_open;
    net_listen("127.0.0.1:0", &l, address);
    net_tcp_pair(&p[0]);
    net_unix_pair(&p[1]);
    look();
    CHECK_EQ(st.open[CYG_TCP_LISTEN], 1);
    CHECK_EQ(st.open[CYG_TCP_ESTABLISHED], 2);
    CHECK_EQ(st.other_open, others + 2);
    CHECK(st.seen >= 3 && !st.partial && st.took > 0);
    CHECK(st.close_wait_longest == 0 && st.fin_wait2_longest == 0);
    CHECK_EQ(cyg_close_write(p[0].a), 0);
    WAIT_FOR((look(), st.open[CYG_TCP_FIN_WAIT2] == 1 && st.open[CYG_TCP_CLOSE_WAIT] == 1)); /* a look sees one after the other */
    CHECK_EQ(st.open[CYG_TCP_ESTABLISHED], 0);
    CHECK(st.close_wait_longest > 0 && st.fin_wait2_longest > 0);
    cyg_duration before = st.close_wait_longest;
    WAIT_FOR((look(), st.close_wait_longest > before + 20 * CYG_MILLISECOND)); /* ages go on */
    CHECK_EQ(cyg_netstat_look(&(cyg_netstat_opts){.max_sockets = 1}, &st), 0);
    CHECK(st.partial);
    CHECK_EQ(cyg_listener_close(l), 0);
    net_close_pair(&p[0]);
    net_close_pair(&p[1]);
    WAIT_FOR((look(), st.open[CYG_TCP_LISTEN] == 0 && st.unheld[CYG_TCP_TIME_WAIT] > 0));
}
static void states_by_netlink(void) { states(CYG_NETSTAT_NETLINK); }
static void states_by_proc(void) { states(CYG_NETSTAT_PROC); }

/* Elsewhere the whole test may be running without netlink (the fallbacks of `meson test`). */
static void test_sockets_are_counted_by_state(void **state) {
    (void)state;
    const char *given = getenv("CYGNET_DEBUG");
    char *kept = given ? strdup(given) : NULL;
    unsetenv("CYGNET_DEBUG");
    rt_each(NULL, states_by_netlink);
    setenv("CYGNET_DEBUG", "nosockdiag", 1);
    rt_each(NULL, states_by_proc);
    if (kept)
        setenv("CYGNET_DEBUG", kept, 1);
    else
        unsetenv("CYGNET_DEBUG");
    free(kept);
}

static int refused_child(int argc, char **argv) {
    (void)argc, (void)argv;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0)
        return 77;
    CHECK(socket(AF_NETLINK, SOCK_RAW, 4) < 0 && errno == EPERM);
    rt_each(NULL, states_by_proc);
    return 7;
}

static void test_netlink_that_is_refused_is_done_without(void **state) {
    (void)state;
    static struct rt_result r;
    rt_spawn("refused", NULL, NULL, &r);
    if (WIFEXITED(r.status) && WEXITSTATUS(r.status) == 77) skip();
    CHECK_EXIT(&r, 7);
}

RT_TEST(test_a_recent_look_will_do) {
    struct net_pair p;
    look();
    cyg_time taken = st.taken_at;
    net_tcp_pair(&p);
    CHECK_EQ(cyg_netstat_look(&(cyg_netstat_opts){.max_age = CYG_HOUR}, &st), 0);
    CHECK_EQ(st.taken_at, taken);
    CHECK_EQ(st.open[CYG_TCP_ESTABLISHED], 0);
    cyg_duration paid = st.took * 100; /* before that nobody with a max_age gets a new one, however short */
    do CHECK_EQ(cyg_netstat_look(&(cyg_netstat_opts){.max_age = 1}, &st), 0);
    while (st.taken_at == taken);
    CHECK(st.taken_at - taken >= paid);
    CHECK_EQ(st.open[CYG_TCP_ESTABLISHED], 2);
    net_close_pair(&p);
}

/* ---- whose it is ------------------------------------------------------------------------------------------------------------ */

static int line_of_start, ended;
static void read_to_the_end(void *arg) {
    char b;
    CHECK_EQ(cyg_read(arg, &b, 1), CYG_EOF);
    ADD(ended, 1); /* and forgets to close */
}
static void read_on(void *arg) {
    char b;
    CHECK_EQ(cyg_read(arg, &b, 1), CYG_ECLOSED);
    ADD(ended, 1);
}
static void on_ready(void *arg, int why) { (void)arg, (void)why; }

RT_TEST(test_who_left_a_connection_open_is_told) {
    struct net_pair forgotten, waited, idle;
    char want[128];
    STORE(ended, 0);
    net_tcp_pair(&forgotten);
    line_of_start = __LINE__ + 1;
    GO(read_to_the_end, forgotten.a);
    CHECK_EQ(cyg_close_write(forgotten.b), 0);
    WAIT_FOR(LOAD(ended) == 1);
    net_tcp_pair(&waited);
    GO(read_on, waited.a);
    CHECK_EQ(cyg_close_write(waited.a), 0);
    net_tcp_pair(&idle);
    CHECK_EQ(cyg_close_write(idle.a), 0);
    CHECK_EQ(cyg_conn_on_readable(idle.a, on_ready, NULL, 0), 0);
    WAIT_FOR((look(), st.open[CYG_TCP_CLOSE_WAIT] == 3 && st.open[CYG_TCP_FIN_WAIT2] == 3));
    WAIT_FOR((report(), strstr(text, "waits on it")));
    snprintf(want, sizeof want, "fd %d, ", net_fd(forgotten.a));
    const char *line = strstr(text, want);
    CHECK(line);
    snprintf(want, sizeof want, "test_netstat.c:%d\n", line_of_start);
    const char *who = strstr(line, "nobody waits; last used by goroutine "), *end = strchr(line, '\n');
    CHECK(who && who < end && strstr(line, want) && strstr(line, want) < end);
    snprintf(want, sizeof want, "fd %d, ", net_fd(waited.a));
    CHECK((line = strstr(text, want)) && (end = strchr(line, '\n')));
    CHECK(strstr(line, "waits on it, started at ") && strstr(line, "waits on it, started at ") < end);
    snprintf(want, sizeof want, "fd %d, ", net_fd(idle.a));
    CHECK((line = strstr(text, want)) && (end = strchr(line, '\n')));
    CHECK(strstr(line, "idle, would start ") && strstr(line, "idle, would start ") < end);
    CHECK(strstr(text, "this process: 3 fin_wait2, 3 close_wait\n"));
    CHECK(cyg_conn_cancel_readable(idle.a));
    net_close_pair(&forgotten);
    net_close_pair(&waited);
    net_close_pair(&idle);
    WAIT_FOR(LOAD(ended) == 2);
}

/* A copy reads by itself, and may find the end without having waited for it. */
static void copy_to_the_end(void *arg) {
    struct net_pair *ends = arg;
    CHECK_EQ(cyg_copy(ends->b, ends->a, NULL), 0);
    ADD(ended, 1);
}

RT_TEST(test_a_copy_counts_as_use) {
    struct net_pair from, to;
    char want[128];
    STORE(ended, 0);
    net_tcp_pair(&from);
    net_tcp_pair(&to);
    CHECK_EQ(cyg_close_write(from.b), 0);
    WAIT_FOR((look(), st.open[CYG_TCP_CLOSE_WAIT] == 1));
    struct net_pair ends = {from.a, to.a};
    line_of_start = __LINE__ + 1;
    GO(copy_to_the_end, &ends);
    WAIT_FOR(LOAD(ended) == 1);
    report();
    snprintf(want, sizeof want, "test_netstat.c:%d\n", line_of_start);
    CHECK(strstr(text, "nobody waits; last used by goroutine ") && strstr(text, want));
    net_close_pair(&from);
    net_close_pair(&to);
}

/* ---- ports ------------------------------------------------------------------------------------------------------------------- */

enum { DIALS = 10 };
RT_TEST(test_ports_to_a_destination) {
    struct net_pair p[DIALS];
    char address[CYG_ADDR_STRLEN];
    cyg_listener *l;
    cyg_addr to;
    cyg_ports ports;
    /* An address of its own: a port that is free to listen at may be in TIME_WAIT at those who dialled its last owner. */
    snprintf(address, sizeof address, "127.0.0.%u:0", 10 + cyg_procs());
    net_listen(address, &l, address);
    cyg_listener_addr(l, &to);
    CHECK_EQ(cyg_ports_to(&to, &ports), 0);
    CHECK(ports.used == 0 && ports.range > 0 && ports.left == ports.range);
    CHECK_EQ(ports.to.port, to.port);
    for (int i = 0; i < DIALS; i++) {
        CHECK_EQ(cyg_dial("tcp", address, NULL, &p[i].a), 0);
        CHECK_EQ(cyg_accept(l, &p[i].b), 0);
    }
    CHECK_EQ(cyg_ports_to(&to, &ports), 0);
    CHECK_EQ(ports.used, DIALS);
    CHECK_EQ(ports.time_wait, 0);
    CHECK_EQ(ports.left, ports.range - DIALS);
    CHECK(cyg_addr_eq(&ports.to, &to));
    for (int i = 0; i < DIALS; i++) { /* we end first, so TIME_WAIT is ours */
        CHECK_EQ(cyg_close_write(p[i].a), 0);
        char b;
        CHECK_EQ(cyg_read(p[i].b, &b, 1), CYG_EOF);
        net_close_pair(&p[i]);
    }
    WAIT_FOR(cyg_ports_to(&to, &ports) == 0 && ports.time_wait == DIALS);
    CHECK_EQ(ports.used, DIALS);
    CHECK(ports.left == ports.range || ports.left == ports.range - DIALS); /* as tcp_tw_reuse has it */
    to.ip[1] = 77;                                                         /* the same port elsewhere */
    CHECK_EQ(cyg_ports_to(&to, &ports), 0);
    CHECK_EQ(ports.used, 0);
    CHECK_EQ(cyg_ports_to(&(cyg_addr){.family = CYG_AF_UNIX}, &ports), CYG_EINVAL);
    CHECK_EQ(cyg_listener_close(l), 0);
}

static void look_on(void *over) {
    while (LOAD(*(int *)over) == 0) {
        look();
        cyg_yield();
    }
    STORE(*(int *)over, 2);
}

/* For ThreadSanitizer: a look tries descriptors that are being closed. */
RT_TEST(test_looking_while_sockets_are_closed) {
    int over = 0;
    GO(look_on, &over);
    for (int i = 0; i < 200; i++) {
        struct net_pair p;
        net_unix_pair(&p);
        cyg_yield();
        net_close_pair(&p);
    }
    STORE(over, 1);
    WAIT_FOR(LOAD(over) == 2);
}

static void test_names_of_states(void **state) {
    (void)state;
    assert_string_equal(cyg_tcp_state_name(CYG_TCP_CLOSE_WAIT), "close_wait");
    assert_string_equal(cyg_tcp_state_name(CYG_TCP_CLOSING), "closing");
    assert_string_equal(cyg_tcp_state_name(0), "unknown");
    assert_string_equal(cyg_tcp_state_name(CYG_TCP_STATES), "unknown");
}

/* Other programs' sockets would make looks slow, and may stand in TIME_WAIT on a port that we are given. Where no network namespace may
 * be made, that has to be borne. */
static void be_alone(void) {
    struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = unshare(CLONE_NEWNET) == 0 ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0) return;
    CHECK_EQ(ioctl(fd, SIOCSIFFLAGS, &r), 0);
    close(fd);
}

int main(int argc, char **argv) {
    be_alone();
    static const struct rt_child kids[] = {{"refused", refused_child}, {NULL, NULL}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockets_are_counted_by_state),
        cmocka_unit_test(test_netlink_that_is_refused_is_done_without),
        cmocka_unit_test(test_a_recent_look_will_do),
        cmocka_unit_test(test_who_left_a_connection_open_is_told),
        cmocka_unit_test(test_a_copy_counts_as_use),
        cmocka_unit_test(test_ports_to_a_destination),
        cmocka_unit_test(test_looking_while_sockets_are_closed),
        cmocka_unit_test(test_names_of_states),
    };
    int code = rt_child_main(argc, argv, kids);
    return code >= 0 ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
