/* test_resolver_peer.c: the resolver against dnsmasq, a real server: ordinary records, aliases, negative answers, services, TCP; one
 * server that is gone beside one that is there; and getaddrinfo, on threads, with a server that stays silent.
 */
#include "../rt.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "net/resolver_internal.h"

/* ---- the server ----------------------------------------------------------------------------------------------------------------- */

static pid_t dnsmasq;
static char address[40];

/* Of UDP and TCP. */
static unsigned free_port(void) {
    for (;;) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof a;
        int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_EQ(bind(udp, (struct sockaddr *)&a, n), 0);
        CHECK_EQ(getsockname(udp, (struct sockaddr *)&a, &n), 0);
        bool both = bind(tcp, (struct sockaddr *)&a, n) == 0;
        close(udp);
        close(tcp);
        if (both) return ntohs(a.sin_port);
    }
}

static bool accepts(unsigned port) {
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return yes;
}

static int start_dnsmasq(void **state) {
    (void)state;
    for (int tries = 0; tries < 5; tries++) {
        unsigned port = free_port();
        char option[40];
        snprintf(option, sizeof option, "--port=%u", port);
        snprintf(address, sizeof address, "127.0.0.1:%u", port);
        if ((dnsmasq = fork()) == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
            execlp("dnsmasq", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", option,
                   "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts",
                   "--pid-file=", "--user=root", "--log-facility=/dev/null", "--local=/test/", "--local-ttl=300",
                   "--neg-ttl=60", "--host-record=www.test,10.5.0.1,fd05::1", "--host-record=four.test,10.5.0.4",
                   "--cname=alias.test,www.test", "--srv-host=_http._tcp.test,www.test,8080,5,1",
                   "--txt-record=text.test,hello", (char *)NULL);
            _exit(127);
        }
        for (int i = 0; i < 500; i++) {
            if (accepts(port)) return 0;
            int status;
            if (waitpid(dnsmasq, &status, WNOHANG) == dnsmasq)
                break; /* the port was taken meanwhile, or there is no dnsmasq */
            poll(NULL, 0, 10);
        }
    }
    fprintf(stderr, "dnsmasq did not start: is it installed? (tools/setup.sh test)\n");
    return -1;
}

static int stop_dnsmasq(void **state) {
    (void)state;
    kill(dnsmasq, SIGKILL);
    waitpid(dnsmasq, NULL, 0);
    return 0;
}

static cyg_resolver *resolver(const char *servers) {
    cyg_resolver *r;
    cyg_resolver_opts o = {.servers = servers, .search = "test", .hosts = "", .resolv_conf = "/nonexistent"};
    CHECK_EQ(cyg_resolver_new(&o, &r), 0);
    return r;
}

/* All addresses of host as text, in order, with a blank behind each. */
static const char *addresses(cyg_resolver *r, const char *host) {
    static char text[400];
    cyg_addr a[8];
    size_t at = 0;
    int n = cyg_lookup(r, host, NULL, a, 8);
    text[0] = 0;
    for (int i = 0; i < n; i++) {
        at += cyg_addr_format_ip(&a[i], text + at, sizeof text - at);
        text[at++] = ' ';
        text[at] = 0;
    }
    return n < 0 ? cyg_strerror(n) : text;
}
static void expect(cyg_resolver *r, const char *host, const char *want) {
    const char *got = addresses(r, host);
    if (strcmp(got, want) != 0)
        rt_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\" (%s)", host, got, want, cyg_err_detail());
}

RT_TEST(test_ordinary_answers) {
    cyg_resolver *r = resolver(address);
    for (int i = 0; i < 2; i++) { /* asked, kept */
        const char *www = addresses(r, "www.test");
        CHECK(strcmp(www, "10.5.0.1 fd05::1 ") == 0 || strcmp(www, "fd05::1 10.5.0.1 ") == 0); /* by what can be reached from here */
        expect(r, "four", "10.5.0.4 ");
        CHECK(strstr(addresses(r, "alias.test"), "10.5.0.1 "));
        expect(r, "nobody.test", "no such name");
        expect(r, "text.test", "no such name");
    }
    cyg_resolver_stats st;
    cyg_resolver_get_stats(r, &st);
    CHECK_EQ(st.queries_total, 14); /* with A and AAAA; nobody.test and text.test twice, for the search list */
    CHECK_EQ(st.hits_total, 14);
    cyg_lookup_info info;
    cyg_addr a;
    CHECK_EQ(cyg_lookup(r, "four.test", &(cyg_lookup_opts){.info = &info}, &a, 1), 1);
    CHECK(info.cached && info.ttl > 200 * CYG_SECOND && info.ttl <= 300 * CYG_SECOND);
    cyg_resolver_release(r);
}

RT_TEST(test_a_service) {
    cyg_resolver *r = resolver(address);
    cyg_srv s[2];
    CHECK_EQ(cyg_lookup_srv(r, "_http._tcp.test", NULL, s, 2), 1);
    CHECK(strcmp(s[0].target, "www.test") == 0 && s[0].port == 8080 && s[0].priority == 5 && s[0].weight == 1);
    cyg_resolver_release(r);
}

RT_TEST(test_the_next_server_when_one_is_gone) {
    char both[100];
    snprintf(both, sizeof both, "127.0.0.1:%u,%s", free_port(), address);
    cyg_resolver *r = resolver(both);
    expect(r, "four.test", "10.5.0.4 ");
    cyg_resolver_release(r);
}

/* ---- getaddrinfo --------------------------------------------------------------------------------------------------------------------- */

RT_TEST(test_getaddrinfo_reads_the_systems_files) {
    cyg_resolver *r;
    CHECK_EQ(cyg_resolver_new(&(cyg_resolver_opts){.system = true}, &r), 0);
    CHECK(strstr(addresses(r, "localhost"), "127.0.0.1 "));
    CHECK(strstr(addresses(r, "localhost"), "127.0.0.1 "));
    cyg_resolver_stats st;
    cyg_resolver_get_stats(r, &st);
    CHECK_EQ(st.queries_total, 2);
    CHECK_EQ(st.hits_total, 2);
    cyg_srv s;
    CHECK_EQ(cyg_lookup_srv(r, "_http._tcp.test", NULL, &s, 1), CYG_ENOTSUP);
    cyg_resolver_release(r);
}

static cyg_resolver *shared;
static int ended;
static void asks_in_vain(void *arg) {
    char name[40];
    cyg_addr a;
    snprintf(name, sizeof name, "n%d.example", (int)(intptr_t)arg);
    CHECK_EQ(cyg_lookup(shared, name, &(cyg_lookup_opts){.family = CYG_AF_IPV4, .timeout = 20 * CYG_MILLISECOND}, &a, 1),
             CYG_ETIMEDOUT);
    ADD(ended, 1);
}

/* With a server that is silent: callers come back when their time is over, and threads are bounded. */
static int silent_system(void *arg) {
    (void)arg;
    enum { N = 100, THREADS = 3 };
    CHECK_EQ(cyg_resolver_new(&(cyg_resolver_opts){.system = true, .max_threads = THREADS}, &shared), 0);
    unsigned threads = rt_threads();
    for (int i = 0; i < N; i++) GO(asks_in_vain, (void *)(intptr_t)i);
    WAIT_FOR(LOAD(ended) == N);
    CHECK(rt_threads() <= threads + THREADS + 1); /* one that takes over the P */
    cyg_resolver_stats st;
    cyg_resolver_get_stats(shared, &st);
    CHECK_EQ(st.abandoned_total, N);
    CHECK_EQ(st.in_flight, THREADS);
    CHECK_EQ(st.queries_total, THREADS); /* whoever was still in the queue is not asked for */
    cyg_resolver_release(shared);
    return 0;
}

/* A child with name spaces of its own, in which the name server is a socket that nobody reads. */
static int silent_server(int argc, char **argv) {
    (void)argc, (void)argv;
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0) return 77;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(53)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), mute = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    char path[60];
    snprintf(path, sizeof path, "/tmp/cygnet-test-conf-%d", getpid());
    FILE *f = fopen(path, "w");
    if (!f || fputs("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", f) < 0 || fclose(f) != 0) return 77;
    int err = ioctl(fd, SIOCSIFFLAGS, &up) < 0 || bind(mute, (struct sockaddr *)&a, sizeof a) < 0 ||
              mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
              mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0;
    unlink(path);
    if (err) return 77;
    CHECK_EQ(cyg_runtime_start(NULL), 0);
    CHECK_EQ(cyg_call(silent_system, NULL), 0);
    WAIT_FOR(rt_stats().goroutines == 0); /* those in getaddrinfo come back when it gives up */
    CHECK_EQ(cyg_runtime_stop(), 0);
    return 0;
}

static void test_getaddrinfo_is_bounded_and_can_be_given_up(void **state) {
    (void)state;
    static struct rt_result r;
    rt_spawn("silent_server", NULL, NULL, &r);
    if (WIFEXITED(r.status) && WEXITSTATUS(r.status) == 77) skip(); /* no right to name spaces */
    CHECK_EXIT(&r, 0);
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"silent_server", silent_server}, {NULL, NULL}};
    int code = rt_child_main(argc, argv, kids);
    if (code >= 0) return code;
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ordinary_answers),
        cmocka_unit_test(test_a_service),
        cmocka_unit_test(test_the_next_server_when_one_is_gone),
        cmocka_unit_test(test_getaddrinfo_reads_the_systems_files),
        cmocka_unit_test(test_getaddrinfo_is_bounded_and_can_be_given_up),
    };
    return cmocka_run_group_tests(tests, start_dnsmasq, stop_dnsmasq);
}
