/* test_close.c: closing under users, and deadlines. Whoever uses a connection beside others holds a reference of its own.
 */
#include "net.h"

#include <netinet/in.h>
#include <sys/stat.h>

static int done;
static int results[8];

/* ---- close wakes ---------------------------------------------------------------------------------------------------------- */

struct user {
    cyg_conn *c;
    int i;
};
static void reads(void *arg) {
    const struct user *u = arg;
    char b;
    results[u->i] = (int)cyg_read(u->c, &b, 1);
    cyg_conn_release(u->c);
    ADD(done, 1);
}
static void writes(void *arg) {
    const struct user *u = arg;
    results[u->i] = (int)cyg_write(u->c, "x", 1);
    cyg_conn_release(u->c);
    ADD(done, 1);
}
static void use(void (*fn)(void *), cyg_conn *c, int i) {
    struct user u = {cyg_conn_acquire(c), i};
    CHECK_EQ(cyg_go_copy(fn, &u), 0);
}

RT_TEST(test_close_wakes_parked_and_queued_users) {
    for (int kind = 0; kind < 2; kind++) {
        struct net_pair p;
        net_pair_of(kind, &p);
        net_fill_for_good(p.a);
        STORE(done, 0);
        for (int i = 0; i < 6; i++) use(i % 2 ? writes : reads, p.a, i); /* the second and third of each queue */
        net_settle();
        CHECK_EQ(LOAD(done), 0);
        cyg_conn_acquire(p.a);
        CHECK_EQ(cyg_close(p.a), 0);
        WAIT_FOR(LOAD(done) == 6);
        for (int i = 0; i < 6; i++) CHECK_EQ(results[i], CYG_ECLOSED);
        char b;
        CHECK_EQ(cyg_read(p.a, &b, 1), CYG_ECLOSED);
        CHECK_EQ(cyg_write(p.a, "x", 1), CYG_ECLOSED);
        CHECK_EQ(cyg_close_write(p.a), CYG_ECLOSED);
        CHECK_EQ(cyg_set_deadline(p.a, 0), CYG_ECLOSED);
        cyg_conn_acquire(p.a);
        CHECK_EQ(cyg_close(p.a), CYG_ECLOSED);
        cyg_conn_release(p.a);
        CHECK_EQ(cyg_close(p.b), 0);
    }
}

RT_TEST(test_last_release_closes) {
    struct net_pair p;
    char b;
    net_unix_pair(&p);
    cyg_conn_acquire(p.a);
    cyg_conn_release(p.a);
    cyg_conn_release(p.a);
    CHECK_EQ(cyg_read(p.b, &b, 1), CYG_EOF);
    CHECK_EQ(cyg_close(p.b), 0);
}

static cyg_listener *listener;
static void accepts(void *arg) {
    (void)arg;
    cyg_conn *c;
    int r = cyg_accept(listener, &c);
    if (r == 0) CHECK_EQ(cyg_close(c), 0);
    if (r == CYG_ECLOSED) ADD(results[0], 1);
    cyg_listener_release(listener);
    ADD(done, 1);
}

RT_TEST(test_close_wakes_acceptors) {
    STORE(done, 0);
    STORE(results[0], 0);
    CHECK_EQ(cyg_listen("tcp", "127.0.0.1:0", NULL, &listener), 0);
    cyg_listener_acquire(listener);
    for (int i = 0; i < 3; i++) {
        cyg_listener_acquire(listener);
        GO(accepts, NULL);
    }
    net_settle();
    CHECK_EQ(cyg_listener_close(listener), 0);
    WAIT_FOR(LOAD(done) == 3);
    CHECK_EQ(LOAD(results[0]), 3);
    cyg_conn *c;
    CHECK_EQ(cyg_accept(listener, &c), CYG_ECLOSED);
    cyg_listener_release(listener);
}

/* Without a reference of its own: who is inside of accept may be there when another goroutine closes the listener, and may even
 * come back with a connection that arrived at the same moment. */
static void accepts_once(void *arg) {
    cyg_conn *c;
    int r = cyg_accept(arg, &c);
    CHECK(r == 0 || r == CYG_ECLOSED);
    if (r == 0) CHECK_EQ(cyg_close(c), 0);
    ADD(done, 1);
}
RT_TEST(test_listener_closed_under_its_acceptor) {
    for (int i = 0; i < 200; i++) {
        char text[CYG_ADDR_STRLEN];
        cyg_listener *l;
        cyg_listener_stats st;
        STORE(done, 0);
        net_listen("127.0.0.1:0", &l, text);
        struct sockaddr_in to;
        socklen_t n = sizeof to;
        cyg_addr a;
        cyg_listener_addr(l, &a);
        to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(a.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        GO(accepts_once, l);
        do {
            cyg_yield();
            cyg_listener_get_stats(l, &st);
        } while (st.accept_calls_total == 0); /* it has tried, so it is inside */
        if (i % 4) CHECK_EQ(connect(fd, (struct sockaddr *)&to, n), 0);
        for (int k = 0; k < i % 5 * 20; k++) __asm__ volatile("" ::: "memory");
        CHECK_EQ(cyg_listener_close(l), 0);
        WAIT_FOR(LOAD(done) == 1);
        close(fd);
    }
}

/* ---- the number of a descriptor --------------------------------------------------------------------------------------------- */

/* The parked reader is a user, so after close the descriptor stays what it was until that reader has left: nobody else can get
 * its number meanwhile. With one P the readers cannot have left before this goroutine parks. */
static void number_is_pinned(void) {
    for (int round = 0; round < 50; round++) {
        struct net_pair p;
        struct stat before, after;
        net_unix_pair(&p);
        CHECK_EQ(fstat(net_fd(p.a), &before), 0);
        STORE(done, 0);
        use(reads, p.a, 0);
        use(reads, p.a, 1);
        net_settle();
        cyg_conn_acquire(p.a);
        int number = net_fd(p.a);
        CHECK_EQ(cyg_close(p.a), 0);
        int fresh = open("/dev/null", O_RDONLY | O_CLOEXEC);
        CHECK(fresh >= 0 && fresh != number);
        close(fresh);
        CHECK_EQ(fstat(number, &after), 0);
        CHECK_EQ(after.st_ino, before.st_ino);
        WAIT_FOR(LOAD(done) == 2);
        CHECK(fstat(number, &after) != 0); /* the last user has closed it */
        cyg_conn_release(p.a);
        CHECK_EQ(cyg_close(p.b), 0);
    }
}
static void test_descriptor_number_is_not_reused_under_a_user(void **state) {
    (void)state;
    rt_run(&(cyg_runtime_opts){.maxprocs = 1}, number_is_pinned);
}

/* ---- deadlines --------------------------------------------------------------------------------------------------------------- */

RT_TEST(test_deadlines_past_future_extended_cleared) {
    struct net_pair p;
    char b;
    net_unix_pair(&p);
    CHECK_EQ(cyg_set_read_deadline(p.a, 1), 0); /* long past */
    CHECK_EQ(cyg_read(p.a, &b, 1), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_read(p.a, &b, 1), CYG_ETIMEDOUT); /* holds for later calls */
    CHECK_EQ(cyg_set_read_deadline(p.a, -7), 0);
    CHECK_EQ(cyg_read(p.a, &b, 1), CYG_ETIMEDOUT);
    cyg_time t = cyg_now() + 2 * CYG_MILLISECOND;
    CHECK_EQ(cyg_set_read_deadline(p.a, t), 0);
    CHECK_EQ(cyg_read(p.a, &b, 1), CYG_ETIMEDOUT);
    CHECK(cyg_now() >= t);
    CHECK_EQ(cyg_write(p.a, "x", 1), 1); /* the other direction has none */
    CHECK_EQ(cyg_set_read_deadline(p.a, 0), 0);
    CHECK_EQ(cyg_write(p.b, "y", 1), 1);
    CHECK_EQ(cyg_read(p.a, &b, 1), 1);
    net_fill(p.a);
    CHECK_EQ(cyg_set_write_deadline(p.a, cyg_now() + CYG_MILLISECOND), 0);
    CHECK_EQ(cyg_write(p.a, "x", 1), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_set_deadline(p.a, cyg_now() + CYG_MILLISECOND), 0);
    struct iovec iov[2] = {{"ab", 2}, {"c", 1}};
    CHECK_EQ(cyg_writev(p.a, iov, 2), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_read(p.a, &b, 1), CYG_ETIMEDOUT);
    net_close_pair(&p);
}

static void read_result(void *arg) {
    char b;
    results[0] = (int)cyg_read(arg, &b, 1);
    ADD(done, 1);
}

/* Set by another goroutine while the reader is parked: sooner, later, gone. */
RT_TEST(test_deadline_moves_under_a_parked_reader) {
    struct net_pair p;
    net_unix_pair(&p);
    STORE(done, 0);
    GO(read_result, p.a); /* parks without one */
    net_settle();
    CHECK_EQ(cyg_set_read_deadline(p.a, cyg_now() + CYG_HOUR), 0);
    CHECK_EQ(cyg_set_read_deadline(p.a, cyg_now() + CYG_MILLISECOND), 0);
    WAIT_FOR(LOAD(done) == 1);
    CHECK_EQ(results[0], CYG_ETIMEDOUT);
    STORE(done, 0);
    CHECK_EQ(cyg_set_read_deadline(p.a, cyg_now() + 5 * CYG_MILLISECOND), 0);
    GO(read_result, p.a);
    net_settle();
    CHECK_EQ(cyg_set_read_deadline(p.a, cyg_now() + CYG_HOUR), 0); /* may come too late on a slow machine: told apart below */
    cyg_time set_at = cyg_now();
    CHECK_EQ(cyg_sleep(10 * CYG_MILLISECOND), 0);
    if (!LOAD(done)) {
        CHECK_EQ(cyg_set_read_deadline(p.a, 0), 0);
        CHECK_EQ(cyg_write(p.b, "x", 1), 1);
        WAIT_FOR(LOAD(done) == 1);
        CHECK_EQ(results[0], 1);
    }
    CHECK(set_at > 0);
    net_close_pair(&p);
}

static void answer(void *arg) {
    char b[4];
    for (ssize_t n; (n = cyg_read(arg, b, sizeof b)) > 0;) CHECK_EQ(cyg_write(arg, b, (size_t)n), n);
    ADD(done, 1);
}

/* A deadline that was due in one operation never ends the next, for which it has been moved or cleared. */
RT_TEST(test_stale_deadline_never_hits_the_next_operation) {
    struct net_pair p;
    net_unix_pair(&p);
    STORE(done, 0);
    GO(answer, p.b);
    char b[4];
    int late = 0;
    for (int i = 0; i < 3000 / RT_LESS; i++) {
        CHECK_EQ(cyg_set_read_deadline(p.a, cyg_now() + i % 200 * CYG_MICROSECOND), 0);
        bool asked = i % 4 != 0;
        if (asked) CHECK_EQ(cyg_write(p.a, "q", 1), 1);
        ssize_t n = cyg_read(p.a, b, 1);
        CHECK(n == 1 || n == CYG_ETIMEDOUT);
        late += n == CYG_ETIMEDOUT;
        CHECK_EQ(cyg_set_read_deadline(p.a, i % 2 ? 0 : cyg_now() + CYG_HOUR), 0);
        if (n == 1) CHECK_EQ(cyg_write(p.a, "q", 1), 1); /* one answer is on its way now, whatever happened */
        if (n != 1 && !asked) continue;
        CHECK_EQ(cyg_read(p.a, b, 1), 1);
    }
    CHECK(late > 0);
    CHECK_EQ(cyg_close(p.a), 0);
    WAIT_FOR(LOAD(done) == 1);
    CHECK_EQ(cyg_close(p.b), 0);
}

static void context_read(void *arg) {
    char b;
    results[0] = (int)cyg_read(arg, &b, 1);
    ADD(done, 1);
}
RT_TEST(test_context_ends_read_write_and_accept) {
    struct net_pair p;
    cyg_conn *c;
    cyg_auto_listener cyg_listener *l = NULL;
    net_unix_pair(&p);
    net_fill(p.a);
    CHECK_EQ(cyg_listen("tcp", "127.0.0.1:0", NULL, &l), 0);
    cyg_auto_ctx cyg_ctx *soon = cyg_ctx_with_timeout(NULL, CYG_MILLISECOND);
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_cancel(NULL);
    cyg_ctx_scope s = cyg_ctx_enter(soon);
    char b;
    CHECK_EQ(cyg_read(p.a, &b, 1), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_write(p.a, "x", 1), CYG_ETIMEDOUT);
    CHECK_EQ(cyg_accept(l, &c), CYG_ETIMEDOUT);
    cyg_ctx_leave(&s);
    STORE(done, 0);
    s = cyg_ctx_enter(ctx);
    GO(context_read, p.a); /* inherits it */
    cyg_ctx_leave(&s);
    net_settle();
    cyg_ctx_cancel(ctx, -ESHUTDOWN);
    WAIT_FOR(LOAD(done) == 1);
    CHECK_EQ(results[0], -ESHUTDOWN);
    net_close_pair(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close_wakes_parked_and_queued_users),
        cmocka_unit_test(test_last_release_closes),
        cmocka_unit_test(test_close_wakes_acceptors),
        cmocka_unit_test(test_listener_closed_under_its_acceptor),
        cmocka_unit_test(test_descriptor_number_is_not_reused_under_a_user),
        cmocka_unit_test(test_deadlines_past_future_extended_cleared),
        cmocka_unit_test(test_deadline_moves_under_a_parked_reader),
        cmocka_unit_test(test_stale_deadline_never_hits_the_next_operation),
        cmocka_unit_test(test_context_ends_read_write_and_accept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
