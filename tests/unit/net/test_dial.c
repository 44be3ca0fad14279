/* test_dial.c: dialling names: which address first, beside which other, what is left of those that lose, and what errors say. Names come
 * from a hosts file, or from dns_server.h where the moment of an answer matters. A black hole is a listener whose queue is full: the
 * kernel drops what wants to connect.
 */
#include "dns_server.h"
#include "net.h"

#include <cygnet/netstat.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "net/resolver_internal.h"

#define CHECK_DETAIL(part)                                                                \
    do {                                                                                  \
        if (!strcasestr(cyg_err_detail(), (part)))                                        \
            rt_fail(__FILE__, __LINE__, "\"%s\" lacks \"%s\"", cyg_err_detail(), (part)); \
    } while (0)

static struct dns_server server;

static int ended;
static cyg_resolver *shared;

static char hosts_path[60];
static void write_hosts(const char *text) {
    snprintf(hosts_path, sizeof hosts_path, "/tmp/cygnet-test-dial-%d", getpid());
    FILE *f = fopen(hosts_path, "w");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* Names of this hosts file alone. */
static cyg_resolver *names(const char *text) {
    cyg_resolver *r;
    write_hosts(text);
    cyg_resolver_opts o = {.servers = "127.0.0.1:1",
                           .search = "",
                           .hosts = hosts_path,
                           .resolv_conf = "/nonexistent",
                           .timeout = 10 * CYG_MILLISECOND};
    CHECK_EQ(cyg_resolver_new(&o, &r), 0);
    return r;
}

/* ---- listeners ------------------------------------------------------------------------------------------------------------------- */

static const char *at(const char *host, unsigned port) {
    static char text[CYG_ADDR_STRLEN];
    snprintf(text, sizeof text, "%s:%u", host, port);
    return text;
}
static unsigned port_of(cyg_listener *l) {
    cyg_addr a;
    cyg_listener_addr(l, &a);
    return a.port;
}
static cyg_listener *listener(const char *host, unsigned port) {
    cyg_listener *l;
    CHECK_EQ(cyg_listen("tcp", at(host, port), NULL, &l), 0);
    return l;
}

struct hole {
    int fd, full[4];
};
/* A port of ip whose listener takes no more. */
static void hole_open(struct hole *h, const char *ip, unsigned port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    CHECK_EQ(inet_pton(AF_INET, ip, &a.sin_addr), 1);
    h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(setsockopt(h->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
    CHECK_EQ(bind(h->fd, (struct sockaddr *)&a, sizeof a), 0);
    CHECK_EQ(listen(h->fd, 0), 0);
    for (int i = 0; i < 4; i++) {
        h->full[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(h->full[i], (struct sockaddr *)&a, sizeof a);
    }
    struct pollfd p = {h->full[0], POLLOUT, 0}; /* the queue has taken one: it is full */
    CHECK_EQ(poll(&p, 1, 10000), 1);
}
static void hole_close(struct hole *h) {
    for (int i = 0; i < 4; i++) close(h->full[i]);
    close(h->fd);
}

static void expect_peer(cyg_conn *c, const char *ip) {
    cyg_addr a;
    char text[CYG_ADDR_STRLEN];
    CHECK_EQ(cyg_conn_peer_addr(c, &a), 0);
    cyg_addr_format_ip(&a, text, sizeof text);
    if (strcmp(text, ip) != 0) rt_fail(__FILE__, __LINE__, "connected to %s, not %s", text, ip);
}

static void say_hello(cyg_conn *c, cyg_listener *l) {
    cyg_conn *peer;
    char b[5];
    CHECK_EQ(cyg_accept(l, &peer), 0);
    CHECK_EQ(cyg_write(c, "hello", 5), 5);
    CHECK_EQ(cyg_read_full(peer, b, 5), 5);
    CHECK_EQ(cyg_close(peer), 0);
}

/* ---- names ------------------------------------------------------------------------------------------------------------------------- */

RT_TEST(test_dial_a_name) {
    cyg_resolver *r = names("127.0.0.1 here\n");
    cyg_listener *l = listener("127.0.0.1", 0);
    cyg_dial_opts o = {.resolver = r};
    cyg_conn *c;
    CHECK_EQ(cyg_dial("tcp", at("Here.", port_of(l)), &o, &c), 0);
    say_hello(c, l);
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_dial("tcp4", at("localhost", port_of(l)), &o, &c), 0);
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_dial("tcp6", at("here", port_of(l)), &o, &c), CYG_ELOOKUP); /* not in the file: a server would know */
    CHECK_EQ(cyg_dial("tcp", at("nowhere", 80), &o, &c), CYG_ELOOKUP);
    CHECK_DETAIL("dial tcp nowhere:80: lookup nowhere: name servers failed");
    static const char *const bad[] = {"here",   "here:",        "here:x",   "here:65536", ":x",
                                      "a b:80", "256.0.0.1:80", "127.1:80", "[here]:80",  "here:1:2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (cyg_dial("tcp", bad[i], &o, &c) != CYG_EPARSE)
            rt_fail(__FILE__, __LINE__, "%s: %s", bad[i], cyg_err_detail());
    CHECK_EQ(cyg_dial("sctp", "here:80", &o, &c), CYG_EPARSE);
    CHECK_EQ(cyg_listener_close(l), 0);
    cyg_resolver_release(r);
}

RT_TEST(test_dial_a_name_for_datagrams) {
    cyg_resolver *r = names("::1 both\n127.0.0.1 both\n");
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&a, n), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    cyg_dial_opts o = {.resolver = r};
    cyg_conn *c;
    char b[8];
    CHECK_EQ(cyg_dial("udp4", at("both", ntohs(a.sin_port)), &o, &c), 0);
    CHECK_EQ(cyg_write(c, "hello", 5), 5);
    CHECK_EQ(recv(fd, b, sizeof b, 0), 5);
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_dial("udp", at("nowhere", 80), &o, &c), CYG_ELOOKUP);
    close(fd);
    cyg_resolver_release(r);
}

RT_TEST(test_source_address) {
    cyg_resolver *r = names("::1 both\n127.0.0.1 both\n");
    cyg_listener *l = listener("127.0.0.1", 0);
    cyg_conn *c, *peer;
    cyg_dial_opts o = {.resolver = r, .local = "127.0.0.9:0"};
    CHECK_EQ(cyg_dial("tcp", at("both", port_of(l)), &o, &c), 0); /* of its family alone */
    CHECK_EQ(cyg_accept(l, &peer), 0);
    expect_peer(peer, "127.0.0.9");
    CHECK_EQ(cyg_close(peer), 0);
    CHECK_EQ(cyg_close(c), 0);
    o.local = "192.0.2.1:0";
    CHECK_EQ(cyg_dial("tcp", at("127.0.0.1", port_of(l)), &o, &c), -EADDRNOTAVAIL);
    CHECK_DETAIL(" from 192.0.2.1:0: ");
    CHECK_EQ(cyg_listener_close(l), 0);
    cyg_resolver_release(r);
}

/* ---- races ------------------------------------------------------------------------------------------------------------------------- */

RT_TEST(test_next_address_at_once_when_one_fails) {
    cyg_resolver *r = names("127.0.0.2 three\n127.0.0.3 three\n127.0.0.4 three\n");
    cyg_listener *l = listener("127.0.0.4", 0);
    cyg_conn *c;
    for (int i = 0; i < 2; i++) {
        cyg_dial_opts o = {.resolver = r,
                           .attempt_delay = i ? -1 : CYG_HOUR}; /* by time alone it would take longer than the test may */
        CHECK_EQ(cyg_dial("tcp", at("three", port_of(l)), &o, &c), 0);
        expect_peer(c, "127.0.0.4");
        CHECK_EQ(cyg_close(c), 0);
    }
    CHECK_EQ(cyg_listener_close(l), 0);
    cyg_resolver_release(r);
}

RT_TEST(test_a_black_hole_costs_the_delay_alone) {
    cyg_resolver *r = names("127.0.0.2 two\n127.0.0.3 two\n");
    cyg_listener *l = listener("127.0.0.3", 0);
    struct hole h;
    hole_open(&h, "127.0.0.2", port_of(l));
    cyg_conn *c;
    cyg_dial_opts o = {.resolver = r, .attempt_delay = 10 * CYG_MILLISECOND};
    unsigned fds = rt_fds();
    CHECK_EQ(cyg_dial("tcp", at("two", port_of(l)), &o, &c), 0);
    CHECK_EQ(rt_fds(), fds + 1); /* the loser has closed its descriptor already */
    expect_peer(c, "127.0.0.3");
    say_hello(c, l);
    CHECK_EQ(cyg_close(c), 0);
    o = (cyg_dial_opts){.resolver = r, .attempt_delay = -1, .attempt_timeout = 20 * CYG_MILLISECOND};
    int err; /* one after the other: by its own timeout, which a machine that stands still may need longer */
    while ((err = cyg_dial("tcp", at("two", port_of(l)), &o, &c)) == CYG_ETIMEDOUT && o.attempt_timeout < RT_DEADLINE)
        o.attempt_timeout *= 2;
    CHECK_EQ(err, 0);
    expect_peer(c, "127.0.0.3");
    CHECK_EQ(cyg_close(c), 0);
    hole_close(&h);
    CHECK_EQ(cyg_listener_close(l), 0);
    cyg_resolver_release(r);
}

RT_TEST(test_the_deadline_holds_for_all_attempts) {
    cyg_resolver *r = names("127.0.0.2 two\n127.0.0.3 two\n127.0.0.2 one\n");
    cyg_listener *l = listener("127.0.0.9", 0);
    struct hole h, k;
    hole_open(&h, "127.0.0.2", port_of(l));
    hole_open(&k, "127.0.0.3", port_of(l));
    cyg_conn *c;
    cyg_dial_opts o = {.resolver = r, .attempt_delay = 10 * CYG_MILLISECOND, .timeout = 60 * CYG_MILLISECOND};
    for (;; o.timeout *= 2) {
        CHECK_EQ(cyg_dial("tcp", at("two", port_of(l)), &o, &c), CYG_ETIMEDOUT);
        if (!strstr(cyg_err_detail(), "1 address: ")) break; /* else the machine stood still when the second was due */
        CHECK(o.timeout < RT_DEADLINE);
    }
    CHECK_DETAIL("deadline exceeded: 2 addresses: ");
    CHECK_EQ(cyg_dial("tcp", at("one", port_of(l)), &o, &c), CYG_ETIMEDOUT);
    o.timeout = 0;
    o.attempt_timeout = 10 * CYG_MILLISECOND;
    CHECK_EQ(cyg_dial("tcp", at("two", port_of(l)), &o, &c), CYG_ETIMEDOUT);
    CHECK_DETAIL("2 addresses: 127.0.0.2:");
    hole_close(&h);
    hole_close(&k);
    CHECK_EQ(cyg_listener_close(l), 0);
    cyg_resolver_release(r);
}

RT_TEST(test_all_fail_and_the_error_says_how) {
    cyg_resolver *r = names("127.0.0.2 two\n127.0.0.3 two\n127.0.0.2 one\n");
    cyg_listener *l = listener("127.0.0.9", 0);
    cyg_conn *c;
    char want[200];
    unsigned port = port_of(l);
    cyg_dial_opts o = {.resolver = r};
    CHECK_EQ(cyg_dial("tcp", at("two", port), &o, &c), -ECONNREFUSED);
    snprintf(want, sizeof want,
             "dial tcp two:%u: 2 addresses: 127.0.0.2:%u: connection refused; 127.0.0.3:%u: connection refused", port,
             port, port);
    if (strcasecmp(cyg_err_detail(), want) != 0) rt_fail(__FILE__, __LINE__, "%s, not %s", cyg_err_detail(), want);
    CHECK_EQ(cyg_dial("tcp", at("one", port), &o, &c), -ECONNREFUSED);
    CHECK_DETAIL("1 address: 127.0.0.2:");
    CHECK_EQ(cyg_listener_close(l), 0);
    cyg_resolver_release(r);
}

/* Is there IPv6 on the loopback? */
static bool have_v6(void) {
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool have = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    if (fd >= 0) close(fd);
    return have;
}

static cyg_resolver *asking(void) {
    cyg_resolver *r;
    cyg_resolver_opts o = {.servers = server.address,
                           .search = "",
                           .hosts = "",
                           .resolv_conf = "/nonexistent",
                           .timeout = 10 * CYG_SECOND,
                           .attempts = 1};
    CHECK_EQ(cyg_resolver_new(&o, &r), 0);
    return r;
}

RT_TEST(test_the_slower_family_is_not_waited_for) {
    if (!have_v6()) return;
    dns_open(&server);
    cyg_resolver *r = asking();
    cyg_listener *l = listener("", 0); /* both families */
    cyg_dial_opts o = {.resolver = r};
    cyg_conn *c;
    CHECK_EQ(cyg_dial("tcp", at("lo.hold6.test", port_of(l)), &o, &c), 0); /* nobody lets AAAA go */
    expect_peer(c, "127.0.0.1");
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_dial("tcp", at("lo.hold4.test", port_of(l)), &o, &c), 0);
    expect_peer(c, "::1");
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_dial("tcp", at("lo.test", port_of(l)), &o, &c), 0);
    expect_peer(c, "::1"); /* the preferred one, when both are known */
    CHECK_EQ(cyg_close(c), 0);
    CHECK_EQ(cyg_listener_close(l), 0);
    cyg_resolver_release(r);
    dns_close(&server);
}

struct late {
    cyg_addr to;
    uint64_t before;
};

/* Lets AAAA go once IPv4 is being tried. */
static void *release_late(void *arg) {
    const struct late *t = arg;
    cyg_ports p;
    do CHECK_EQ(cyg_ports_to(&t->to, &p), 0);
    while (p.used == t->before);
    dns_release(&server);
    return NULL;
}

static void dials_lo(void *arg) {
    cyg_conn *c;
    CHECK_EQ(cyg_dial("tcp4", arg, &(cyg_dial_opts){.resolver = shared}, &c), 0);
    CHECK_EQ(cyg_close(c), 0);
    ADD(ended, 1);
}

RT_TEST(test_a_small_stack_will_do) {
#if !defined(RT_ASAN) && !defined(RT_TSAN) /* whose frames are larger */
    dns_open(&server);
    shared = asking();
    STORE(ended, 0);
    cyg_listener *l = listener("127.0.0.1", 0);
    char to[40];
    snprintf(to, sizeof to, "lo.test:%u", port_of(l));
    CHECK_EQ(cyg_go_with(&(cyg_go_opts){.stack_size = 16384}, dials_lo, to), 0);
    WAIT_FOR(LOAD(ended) == 1);
    CHECK_EQ(cyg_listener_close(l), 0);
    cyg_resolver_release(shared);
    dns_close(&server);
#else
    (void)dials_lo;
#endif
}

RT_TEST(test_a_family_that_comes_late_is_still_tried) {
    if (!have_v6()) return;
    dns_open(&server);
    cyg_resolver *r = asking();
    cyg_listener *l = listener("[::1]", 0);
    struct hole h;
    hole_open(&h, "127.0.0.1", port_of(l));
    struct late late;
    cyg_ports p;
    CHECK_EQ(cyg_addr_parse("tcp", at("127.0.0.1", port_of(l)), &late.to), 0);
    CHECK_EQ(cyg_ports_to(&late.to, &p), 0);
    late.before = p.used;
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, release_late, &late), 0);
    cyg_dial_opts o = {.resolver = r, .timeout = RT_DEADLINE};
    cyg_conn *c;
    CHECK_EQ(cyg_dial("tcp", at("lo.hold6.test", port_of(l)), &o, &c), 0);
    expect_peer(c, "::1");
    CHECK_EQ(pthread_join(t, NULL), 0);
    CHECK_EQ(cyg_close(c), 0);
    hole_close(&h);
    CHECK_EQ(cyg_listener_close(l), 0);
    cyg_resolver_release(r);
    dns_close(&server);
}

/* ---- giving up ---------------------------------------------------------------------------------------------------------------------- */

static unsigned random_of(unsigned *state) { return *state = *state * 1103515245u + 12345u, *state >> 16; }
static unsigned hole_port;

static void dials_and_gives_up(void *arg) {
    unsigned seed = (unsigned)(intptr_t)arg * 2654435761u;
    static const char *const kinds[] = {"three", "two", "silent", "lo.hold"};
    for (int i = 0; i < 20; i++) {
        cyg_conn *c;
        cyg_ctx *ctx = cyg_ctx_with_timeout(NULL, (cyg_duration)(random_of(&seed) % 30000) * CYG_MICROSECOND);
        cyg_ctx_scope scope = cyg_ctx_enter(ctx);
        cyg_dial_opts o = {.resolver = shared,
                           .attempt_delay = 10 * CYG_MILLISECOND,
                           .attempt_timeout = (cyg_duration)(random_of(&seed) % 50) * CYG_MILLISECOND};
        char text[64];
        snprintf(text, sizeof text, "%s:%u", kinds[random_of(&seed) % 4], hole_port);
        int err = cyg_dial("tcp", text, &o, &c);
        cyg_ctx_leave(&scope);
        cyg_ctx_release(ctx);
        if (err == 0) CHECK_EQ(cyg_close(c), 0);
    }
    ADD(ended, 1);
}
static void swallow(void *arg) {
    cyg_conn *c;
    while (cyg_accept(arg, &c) == 0) CHECK_EQ(cyg_close(c), 0);
    cyg_listener_release(arg);
}

RT_TEST(test_giving_up_a_dial_at_any_moment_leaves_nothing) {
    dns_open(&server);
    write_hosts("127.0.0.2 two three\n127.0.0.5 two\n127.0.0.6 three\n127.0.0.3 three\n");
    cyg_resolver_opts ro = {.servers = server.address,
                            .search = "test",
                            .hosts = hosts_path,
                            .resolv_conf = "/nonexistent",
                            .timeout = 50 * CYG_MILLISECOND,
                            .attempts = 1};
    CHECK_EQ(cyg_resolver_new(&ro, &shared), 0);
    cyg_listener *l = listener("127.0.0.3", 0);
    struct hole h;
    hole_port = port_of(l);
    hole_open(&h, "127.0.0.2", hole_port);
    unsigned fds = rt_fds();
    GO(swallow, cyg_listener_acquire(l));
    STORE(ended, 0);
    enum { N = 40 / (RT_LESS > 1 ? 4 : 1) };
    for (int i = 1; i <= N; i++) GO(dials_and_gives_up, (void *)(intptr_t)i);
    WAIT_FOR(LOAD(ended) == N);
    WAIT_FOR(rt_stats().goroutines == 2);
    WAIT_FOR(rt_fds() == fds);
    hole_close(&h);
    CHECK_EQ(cyg_listener_close(l), 0);
    cyg_resolver_release(shared);
    dns_close(&server);
}

static void dials_live(void *arg) {
    unsigned seed = (unsigned)(intptr_t)arg * 2654435761u;
    char text[64];
    snprintf(text, sizeof text, "live:%u", hole_port);
    for (int i = 0; i < 200 / (RT_LESS > 1 ? 4 : 1); i++) {
        cyg_conn *c;
        cyg_ctx *ctx = cyg_ctx_with_timeout(NULL, (cyg_duration)(random_of(&seed) % 400) * CYG_MICROSECOND);
        cyg_ctx_scope scope = cyg_ctx_enter(ctx);
        int err = cyg_dial("tcp", text, &(cyg_dial_opts){.resolver = shared}, &c);
        cyg_ctx_leave(&scope);
        cyg_ctx_release(ctx);
        if (err == 0) CHECK_EQ(cyg_close(c), 0);
    }
    ADD(ended, 1);
}

/* The context ends about when the connection is there: whoever is too late closes it. */
RT_TEST(test_giving_up_when_it_connects_leaves_nothing) {
    shared = names("127.0.0.3 live\n127.0.0.4 live\n");
    cyg_listener *l = listener("", 0);
    hole_port = port_of(l);
    unsigned fds = rt_fds();
    GO(swallow, cyg_listener_acquire(l));
    STORE(ended, 0);
    for (int i = 1; i <= 10; i++) GO(dials_live, (void *)(intptr_t)i);
    WAIT_FOR(LOAD(ended) == 10);
    WAIT_FOR(rt_stats().goroutines == 2);
    WAIT_FOR(rt_fds() == fds);
    CHECK_EQ(cyg_listener_close(l), 0);
    cyg_resolver_release(shared);
}

/* ---- oneself, ports --------------------------------------------------------------------------------------------------------------- */

RT_TEST(test_a_connection_to_oneself_is_none) {
    cyg_listener *l = listener("127.0.0.1", 0);
    char port[40];
    snprintf(port, sizeof port, "127.0.0.1:%u", port_of(l));
    CHECK_EQ(cyg_listener_close(l), 0); /* free now */
    cyg_conn *c;
    CHECK_EQ(cyg_dial("tcp", port, &(cyg_dial_opts){.local = port}, &c), -ECONNREFUSED);
}

/* In a network name space of its own: four ephemeral ports, and nothing that anybody else does. */
static int four_ports(void) {
    enum { PORTS = 4 };
    cyg_listener *l = listener("127.0.0.1", 7000);
    cyg_conn *c[PORTS + 1];
    for (int i = 0; i < PORTS; i++) CHECK_EQ(cyg_dial("tcp", "127.0.0.1:7000", NULL, &c[i]), 0);
    for (int i = 0; i < 2; i++) { /* the second count is the first one's */
        CHECK_EQ(cyg_dial("tcp", "127.0.0.1:7000", NULL, &c[PORTS]), -EADDRNOTAVAIL);
        CHECK_DETAIL(
            "dial tcp 127.0.0.1:7000: no ephemeral port left: 4 of 4 in use for this destination, 0 in TIME_WAIT");
    }
    cyg_listener *other = listener("127.0.0.1", 7001);
    cyg_dial_opts from = {.local = "127.0.0.1:0"}; /* the same ports serve another destination, also with a source address */
    CHECK_EQ(cyg_dial("tcp", "127.0.0.1:7001", &from, &c[PORTS]), 0);
    for (int i = 0; i <= PORTS; i++) CHECK_EQ(cyg_close(c[i]), 0);
    CHECK_EQ(cyg_listener_close(other), 0);
    CHECK_EQ(cyg_listener_close(l), 0);
    return 0;
}
static int four_ports_call(void *arg) {
    (void)arg;
    return four_ports();
}

static int no_ports_left(int argc, char **argv) {
    (void)argc, (void)argv;
    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) return 77;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "w");
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &up) < 0 || !f || fputs("40000 40003", f) < 0 || fclose(f) != 0) return 77;
    close(fd);
    CHECK_EQ(cyg_runtime_start(NULL), 0);
    CHECK_EQ(cyg_call(four_ports_call, NULL), 0);
    CHECK_EQ(cyg_runtime_stop(), 0);
    return 0;
}

static void test_ports_used_up_are_counted(void **state) {
    (void)state;
    static struct rt_result r;
    rt_spawn("no_ports_left", NULL, NULL, &r);
    if (WIFEXITED(r.status) && WEXITSTATUS(r.status) == 77) skip(); /* no right to a name space */
    CHECK_EXIT(&r, 0);
}

int main(int argc, char **argv) {
    static const struct rt_child kids[] = {{"no_ports_left", no_ports_left}, {NULL, NULL}};
    int code = rt_child_main(argc, argv, kids);
    if (code >= 0) return code;
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dial_a_name),
        cmocka_unit_test(test_dial_a_name_for_datagrams),
        cmocka_unit_test(test_source_address),
        cmocka_unit_test(test_next_address_at_once_when_one_fails),
        cmocka_unit_test(test_a_black_hole_costs_the_delay_alone),
        cmocka_unit_test(test_the_deadline_holds_for_all_attempts),
        cmocka_unit_test(test_all_fail_and_the_error_says_how),
        cmocka_unit_test(test_the_slower_family_is_not_waited_for),
        cmocka_unit_test(test_a_small_stack_will_do),
        cmocka_unit_test(test_a_family_that_comes_late_is_still_tried),
        cmocka_unit_test(test_giving_up_a_dial_at_any_moment_leaves_nothing),
        cmocka_unit_test(test_giving_up_when_it_connects_leaves_nothing),
        cmocka_unit_test(test_a_connection_to_oneself_is_none),
        cmocka_unit_test(test_ports_used_up_are_counted),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(hosts_path);
    return failed;
}
