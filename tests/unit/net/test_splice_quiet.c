/* test_splice_quiet.c: a copy in the kernel whose receiver takes nothing is not woken by what the sender goes on sending; and
 * nothing is lost by that: the bytes, the end, a reset, and who reads the source afterwards.
 *
 * Sender and receiver are bare sockets that no poller knows, so that every event is the copy's.
 */
#include "../io/streams.h"
#include "net/internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

enum { PIECE = 4096, SEGMENTS = 100, SEGMENT = 100, WAITING = 64 * 1024, STEP_BYTES = 128 * 1024 };

struct stalled {
    int sender, receiver;
    cyg_conn *in, *out; /* copied from in to out */
    size_t sent, received;
    int64_t copied;
    cyg_copy_result how;
    int over;
};

/* A connection to the runtime, one end bare. */
static void half_bare(int *bare, cyg_conn **c) {
    char text[CYG_ADDR_STRLEN];
    cyg_auto_listener cyg_listener *l = NULL;
    net_listen("127.0.0.1:0", &l, text);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    sa.sin_port = htons((uint16_t)atoi(strchr(text, ':') + 1));
    int room = 64 * 1024;
    *bare = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(*bare >= 0);
    CHECK_EQ(setsockopt(*bare, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), 0);
    int on = 1; /* each send is a segment */
    CHECK_EQ(setsockopt(*bare, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    CHECK_EQ(connect(*bare, (struct sockaddr *)&sa, sizeof sa), 0);
    CHECK_EQ(cyg_accept(l, c), 0);
}

static bool send_some(struct stalled *s, size_t n) {
    char b[PIECE];
    fill_bytes(1, (int64_t)s->sent, b, n);
    ssize_t w = send(s->sender, b, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (w > 0) s->sent += (size_t)w;
    return w == (ssize_t)n;
}

static int waiting_input(const struct stalled *s) {
    int n = 0;
    CHECK_EQ(ioctl(net_fd(s->in), FIONREAD, &n), 0);
    return n;
}

static bool waits(cyg_conn *c, enum cygrt_mode mode) {
    return atomic_load(&((struct conn *)c)->pd.slot[mode]) > CYGRT_PD_READY;
}

static void run_copy(void *arg) {
    struct stalled *s = arg;
    s->copied = cyg_copy(s->out, s->in, &s->how);
    STORE(s->over, 1);
}

/* Takes what has arrived, which must be what was sent next. Returns false when nothing came for so long. */
static bool receive(struct stalled *s, cyg_duration patience) {
    static char b[65536];
    ssize_t r = recv(s->receiver, b, sizeof b, MSG_DONTWAIT);
    if (r < 0 && errno == EAGAIN) return cyg_fd_wait(s->receiver, CYG_READABLE, cyg_now() + patience) > 0;
    CHECK(r > 0);
    check_bytes(1, (int64_t)s->received, b, (size_t)r);
    s->received += (size_t)r;
    return true;
}

static void receive_all(struct stalled *s) {
    while (s->received < s->sent) CHECK(receive(s, 30 * CYG_SECOND));
}

/* Sends until the copy stands still: it waits to write, and what is sent stays where it is for 20 ms. No event tells that, and a timer
 * of TCP may end it; the tests bear that. */
static void fill_up(struct stalled *s) {
    for (int still = 0, before = 0; still < 20; cyg_sleep(CYG_MILLISECOND)) {
        while (waiting_input(s) < WAITING && send_some(s, PIECE)) continue;
        int now = waiting_input(s);
        still = now >= WAITING / 2 && now == before && waits(s->out, CYGRT_WRITE) ? still + 1 : 0;
        before = now;
    }
}

/* Lets the copy take a step, and then no more. */
static void stall_again(struct stalled *s) {
    for (size_t until = s->received + STEP_BYTES; s->received < until;) CHECK(receive(s, 30 * CYG_SECOND));
    fill_up(s);
}

/* A copy whose receiver takes nothing, and did not before either. */
static void stall(struct stalled *s) {
    *s = (struct stalled){0};
    half_bare(&s->sender, &s->in);
    half_bare(&s->receiver, &s->out);
    int little = 64 * 1024, much = 1024 * 1024; /* so that out is soon full, and in takes small segments even then */
    CHECK_EQ(setsockopt(net_fd(s->out), SOL_SOCKET, SO_SNDBUF, &little, sizeof little), 0);
    CHECK_EQ(setsockopt(net_fd(s->in), SOL_SOCKET, SO_RCVBUF, &much, sizeof much), 0);
    GO(run_copy, s);
    WAIT_FOR(waits(s->in, CYGRT_READ)); /* so that the poller knows it */
    fill_up(s);
    stall_again(s);
}

static void finish(struct stalled *s) {
    WAIT_FOR(LOAD(s->over));
    CHECK_EQ(cyg_close(s->in), 0);
    CHECK_EQ(cyg_close(s->out), 0);
    close(s->receiver);
}

static uint32_t input_events(const struct stalled *s) { return atomic_load(&((struct conn *)s->in)->pd.read_events); }

/* Sends small segments to a copy that stands still. Returns how often it was told of them. */
static uint32_t told_of_segments(struct stalled *s) {
    uint32_t before = input_events(s);
    for (int i = 0; i < SEGMENTS; i++) {
        CHECK(send_some(s, SEGMENT));
        cyg_sleep(200 * CYG_MICROSECOND); /* for the poller to look in between */
    }
    return input_events(s) - before;
}

/* Dozens each time, if it were. Once in a while the copy has caught up in between, and is told until it has been slow again. */
RT_TEST(test_a_copy_that_cannot_write_is_not_woken_by_input) {
    struct stalled s;
    stall(&s);
    bool quiet = no_splice();
    for (int i = 0; i < 20 && !quiet; i++) {
        quiet = told_of_segments(&s) < 5;
        if (!quiet) stall_again(&s);
    }
    CHECK(quiet);
    receive_all(&s); /* and all of them arrive */
    close(s.sender);
    finish(&s);
    CHECK_EQ(s.copied, (int64_t)s.sent);
}

RT_TEST(test_an_end_that_came_meanwhile_is_passed_on) {
    struct stalled s;
    stall(&s);
    CHECK_EQ(shutdown(s.sender, SHUT_WR), 0);
    receive_all(&s);
    finish(&s);
    CHECK_EQ(s.copied, (int64_t)s.sent);
    close(s.sender);
}

RT_TEST(test_a_reset_that_came_meanwhile_is_seen) {
    struct stalled s;
    stall(&s);
    struct linger at_once = {.l_onoff = 1};
    CHECK_EQ(setsockopt(s.sender, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(s.sender);
    while (!LOAD(s.over)) (void)receive(&s, CYG_MILLISECOND); /* what had arrived goes on */
    finish(&s);
    CHECK_EQ(s.copied, -ECONNRESET);
}

struct reader {
    cyg_conn *c;
    int err, done;
};
static void wait_for_more(void *arg) {
    struct reader *r = arg;
    r->err = cyg_conn_wait_readable(r->c);
    STORE(r->done, 1);
}

/* The copy fails, and nothing has waited for the source's input since. */
RT_TEST(test_who_reads_the_source_afterwards_is_not_misled) {
    struct stalled s;
    stall(&s);
    close(s.receiver); /* with bytes unread: a reset */
    WAIT_FOR(LOAD(s.over));
    CHECK(s.copied < 0);
    static char b[1024 * 1024];
    WAIT_FOR(waiting_input(&s) > 0);
    while (cyg_read(s.in, b, sizeof b) == sizeof b) continue;
    CHECK(send_some(&s, 1));
    WAIT_FOR(waiting_input(&s) == 1);
    net_settle();
    WAIT_FOR(conn_quiet(s.in) == 1); /* a short read before, and no event since, if the source was silent */
    CHECK_EQ(cyg_read(s.in, b, sizeof b), 1);
    struct reader r = {.c = s.in};
    GO(wait_for_more, &r);
    net_settle();
    CHECK(!LOAD(r.done));
    CHECK(send_some(&s, 1));
    WAIT_FOR(LOAD(r.done));
    CHECK_EQ(r.err, 0);
    close(s.sender);
    CHECK_EQ(cyg_close(s.in), 0);
    CHECK_EQ(cyg_close(s.out), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_a_copy_that_cannot_write_is_not_woken_by_input),
    cmocka_unit_test(test_an_end_that_came_meanwhile_is_passed_on),
    cmocka_unit_test(test_a_reset_that_came_meanwhile_is_seen),
    cmocka_unit_test(test_who_reads_the_source_afterwards_is_not_misled),
};
static const struct rt_child kids[] = {{0}};
RT_MAIN(tests, kids)
