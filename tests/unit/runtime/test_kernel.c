/* test_kernel.c: what the system may do to a process with a runtime: fork it, stop it as a whole, give it half a CPU, refuse it system
 * calls, keep its threads for long. What needs a right that is not given is skipped, and says why.
 */
#include "../net/net.h"

#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { GOOD = 7, SKIPPED = 77 };

static struct rt_result res;

/* A child's verdict is the test's. */
static void judge(const char *name, const char *env) {
    rt_spawn(name, "", env, &res);
    if (WIFEXITED(res.status) && WEXITSTATUS(res.status) == SKIPPED) {
        print_message("skipped: %s\n", res.err);
        skip();
    }
    CHECK_EXIT(&res, GOOD);
}

static int skipped(const char *what) {
    fprintf(stderr, "%s: %s", what, strerror(errno));
    return SKIPPED;
}

static int done, stop;

/* ---- fork ------------------------------------------------------------------------------------------------------------------- */

static void nothing(void *arg) { ADD(*(int *)arg, 1); }
static int forty(void *arg) { return *(int *)arg; }
static void ignore(void *arg) { (void)arg; }

RT_TEST(test_fork_in_a_goroutine_leaves_the_child_without_runtime_and_able_to_exec) {
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    (void)ctx;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        int n = 0, bad = cyg_procs() != 0 || cyg_goid() != 0;
        cyg_timer *t;
        cyg_runtime_stats st;
        cyg_stats(&st);
        bad |= (cyg_go(nothing, &n) != CYG_ESTATE) << 1;
        bad |= (cyg_call(forty, &n) != CYG_ESTATE) << 2;
        bad |= (cyg_after_func(0, ignore, NULL, &t) != CYG_ESTATE) << 3;
        bad |= (cyg_runtime_start(NULL) != CYG_ESTATE) << 4; /* what the parent left would be in its way */
        bad |= (cyg_runtime_stop() != CYG_ESTATE) << 5;
        bad |= (st.goroutines != 0) << 6;
        cyg_yield();
        if (bad) _exit(bad);
        execl("/bin/sh", "sh", "-c", "exit 9", (char *)NULL);
        _exit(127);
    }
    int status;
    WAIT_FOR(waitpid(pid, &status, WNOHANG) == pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 9);
    STORE(done, 0);
    for (int i = 0; i < 10; i++) GO(nothing, &done); /* the parent goes on */
    WAIT_FOR(LOAD(done) == 10);
}

/* ---- the whole process stopped ------------------------------------------------------------------------------------------------- */

static int fifo[2];

static void short_naps(void *arg) {
    (void)arg;
    while (!LOAD(stop)) {
        poll(NULL, 0, 1);
        cyg_yield();
    }
    ADD(done, 1);
}

/* Stops its parent again and again, each time for longer than a goroutine may keep its thread. */
static pid_t stopper(int rounds) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid) return pid;
    for (int i = 0; i < rounds; i++) {
        kill(getppid(), SIGSTOP);
        poll(NULL, 0, 40);
        kill(getppid(), SIGCONT);
        poll(NULL, 0, 5);
    }
    _exit(0);
}

/* Goroutines keep their threads for a millisecond at a time, and more of them wait: to whoever does not see that all were stopped
 * they look as if they kept them for 40. */
RT_TEST(test_a_stopped_process_takes_nobodys_p) {
    int n = 2 * (int)cyg_procs(), status;
    STORE(stop, 0);
    STORE(done, 0);
    for (int i = 0; i < n; i++) GO(short_naps, NULL);
    for (int i = 0; i < 10; i++) cyg_yield();
    cyg_runtime_stats before = rt_stats();
    pid_t pid = stopper(20);
    while (waitpid(pid, &status, WNOHANG) != pid) cyg_yield();
    cyg_runtime_stats after = rt_stats();
    STORE(stop, 1);
    WAIT_FOR(LOAD(done) == n);
    CHECK_EQ(status, 0);
    CHECK_EQ(after.retakes_blocked_total, before.retakes_blocked_total);
    CHECK_EQ(after.retakes_hog_total, before.retakes_hog_total);
}

/* ---- what others go on doing ----------------------------------------------------------------------------------------------------- */

static void echo(void *arg) {
    cyg_auto_conn cyg_conn *c = arg;
    char b[64];
    ssize_t n;
    while ((n = cyg_read(c, b, sizeof b)) > 0) CHECK_EQ(cyg_write(c, b, (size_t)n), n);
}

/* Some exchanges over a connection, and timers. */
static void others_go_on(int rounds) {
    struct net_pair p;
    char b[8];
    net_tcp_pair(&p);
    GO(echo, p.b);
    for (int i = 0; i < rounds; i++) {
        CHECK_EQ(cyg_write(p.a, "hello", 5), 5);
        CHECK_EQ(cyg_read_full(p.a, b, 5), 5);
        CHECK_EQ(cyg_sleep(CYG_MICROSECOND), 0);
    }
    CHECK_EQ(cyg_close(p.a), 0);
}

/* ---- half a CPU -------------------------------------------------------------------------------------------------------------------- */

static bool put(const char *dir, const char *file, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool good = write(fd, text, strlen(text)) > 0;
    close(fd);
    return good;
}

/* A group of version 2 or of version 1's cpu controller, with this process in it. Returns its directory; NULL: not permitted. */
static const char *enter_half_a_cpu(void) {
    static char dir[128];
    char pid[24];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    snprintf(dir, sizeof dir, "/sys/fs/cgroup/cygnet-test.%s", pid);
    if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 && mkdir(dir, 0755) == 0) {
        (void)put("/sys/fs/cgroup", "cgroup.subtree_control", "+cpu");
        if (put(dir, "cpu.max", "50000 100000") && put(dir, "cgroup.procs", pid)) return dir;
        rmdir(dir);
    }
    snprintf(dir, sizeof dir, "/sys/fs/cgroup/cpu/cygnet-test.%s", pid);
    if (mkdir(dir, 0755) != 0) return NULL;
    if (put(dir, "cpu.cfs_quota_us", "50000") && put(dir, "cgroup.procs", pid)) return dir;
    rmdir(dir);
    return NULL;
}

static void burn(void *arg) {
    (void)arg;
    while (!LOAD(stop)) cyg_yield();
    ADD(done, 1);
}

static int half(void *arg) {
    (void)arg;
    for (int i = 0; i < 3; i++) GO(burn, NULL);
    others_go_on(50); /* through several pauses of the quota */
    STORE(stop, 1);
    WAIT_FOR(LOAD(done) == 3);
    return (int)cyg_procs();
}

static int child_half(int argc, char **argv) {
    (void)argc, (void)argv;
    char root[128], pid[24];
    const char *dir = enter_half_a_cpu();
    if (!dir) return skipped("no cgroup can be made");
    CHECK_EQ(cyg_runtime_start(NULL), 0);
    int procs = cyg_call(half, NULL);
    CHECK_EQ(cyg_runtime_stop(), 0);
    snprintf(root, sizeof root, "%.*s", (int)(strrchr(dir, '/') - dir), dir);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    CHECK(put(root, "cgroup.procs", pid));
    CHECK_EQ(rmdir(dir), 0);
    return procs == 1 ? GOOD : procs + 100;
}

static void test_half_a_cpu_is_one_p_and_all_go_on(void **state) {
    (void)state;
    judge("half", "CYGNET_MAXPROCS=");
}

/* ---- system calls refused ------------------------------------------------------------------------------------------------------------ */

static bool refuse(unsigned nr, unsigned err) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

static void nap_long(void *arg) {
    (void)arg;
    char byte;
    CHECK_EQ(read(fifo[0], &byte, 1), 1);
    ADD(done, 1);
}

/* Every P is kept by a read that blocks; the rest must go on, which takes retakes. */
static void kept_by_reads(void) {
    int n = (int)cyg_procs();
    STORE(done, 0);
    CHECK_EQ(pipe2(fifo, O_CLOEXEC), 0);
    for (int i = 0; i < n; i++) GO(nap_long, NULL);
    others_go_on(20);
    WAIT_FOR(rt_stats().retakes_blocked_total > 0);
    CHECK_EQ(LOAD(done), 0);
    for (int i = 0; i < n; i++) CHECK_EQ(write(fifo[1], "x", 1), 1);
    WAIT_FOR(LOAD(done) == n);
    close(fifo[0]);
    close(fifo[1]);
}

static int child_refused(int argc, char **argv) {
    (void)argc, (void)argv;
    if (!refuse(SYS_membarrier, EPERM) || !refuse(SYS_epoll_pwait2, ENOSYS))
        return skipped("no seccomp filter can be installed");
    CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) < 0 && errno == EPERM);
    rt_each(NULL, kept_by_reads);
    return GOOD;
}

static void test_refused_membarrier_and_epoll_pwait2_are_done_without(void **state) {
    (void)state;
    judge("refused", NULL);
}

/* ---- threads kept in the kernel -------------------------------------------------------------------------------------------------------- */

static void read_file(void *arg) {
    size_t n = (size_t)128 << 20;
    char *p = malloc(n);
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    CHECK(p && fd >= 0);
    for (int i = 0; i < 3; i++)
        for (size_t at = 0; at < n;) {
            ssize_t got = read(fd, p + at, n - at);
            CHECK(got > 0);
            at += (size_t)got;
        }
    close(fd);
    free(p);
    ADD(*(int *)arg, 1);
}

RT_TEST(test_long_reads_of_a_file_hold_up_nobody) {
    int n = (int)cyg_procs() > 4 ? 4 : (int)cyg_procs();
    STORE(done, 0);
    for (int i = 0; i < n; i++) GO(read_file, &done);
    cyg_yield();
    others_go_on(10);
    WAIT_FOR(LOAD(done) == n);
}

static bool loopback_up(void) {
    struct ifreq r = {.ifr_flags = IFF_UP};
    strcpy(r.ifr_name, "lo");
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &r) == 0;
    if (fd >= 0) close(fd);
    return up;
}

/* A network of our own, in which the only name server is a socket that never answers. */
static bool silent_resolver(void) {
    char conf[] = "/tmp/cygnet-resolv.XXXXXX";
    static const char text[] = "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n";
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (unshare(CLONE_NEWNS | CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) != 0)
        return false;
    int server = loopback_up() ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    if (server < 0 || bind(server, (struct sockaddr *)&sa, sizeof sa) != 0) return false;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return false;
    int fd = mkstemp(conf);
    if (fd < 0) return false;
    bool good = write(fd, text, sizeof text - 1) == sizeof text - 1 &&
                mount(conf, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0;
    close(fd);
    unlink(conf);
    return good;
}

static void look_up(void *arg) {
    (void)arg;
    struct addrinfo *found = NULL;
    ADD(done, 1);
    if (getaddrinfo("nobody.answers.test", "80", NULL, &found) == 0) freeaddrinfo(found);
    STORE(stop, 1);
}

static int eight_lookups(void *arg) {
    (void)arg;
    for (int i = 0; i < 8; i++) GO(look_up, NULL);
    WAIT_FOR(LOAD(done) == 8); /* all of them have begun, though each keeps a thread */
    others_go_on(50);
    CHECK_EQ(LOAD(stop), 0);
    CHECK(rt_stats().threads_without_p >= 4);
    return GOOD;
}

static int lookups_main(int argc, char **argv) {
    (void)argc, (void)argv;
    return eight_lookups(NULL);
}

static int child_lookups(int argc, char **argv) {
    if (!silent_resolver()) return skipped("no network of its own");
    return cyg_main(lookups_main, argc, argv);
}

static void test_a_resolver_that_never_answers_holds_up_nobody(void **state) {
    (void)state;
    static const char *const procs[] = {"CYGNET_MAXPROCS=1", "CYGNET_MAXPROCS=2", "CYGNET_MAXPROCS=4"};
    for (int i = 0; i < 3; i++) judge("lookups", procs[i]);
}

static const struct rt_child kids[] = {
    {"half", child_half}, {"refused", child_refused}, {"lookups", child_lookups}, {NULL, NULL}};
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_fork_in_a_goroutine_leaves_the_child_without_runtime_and_able_to_exec),
    cmocka_unit_test(test_a_stopped_process_takes_nobodys_p),
    cmocka_unit_test(test_half_a_cpu_is_one_p_and_all_go_on),
    cmocka_unit_test(test_refused_membarrier_and_epoll_pwait2_are_done_without),
    cmocka_unit_test(test_long_reads_of_a_file_hold_up_nobody),
    cmocka_unit_test(test_a_resolver_that_never_answers_holds_up_nobody),
};
RT_MAIN(tests, kids)
