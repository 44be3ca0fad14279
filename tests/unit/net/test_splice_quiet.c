/* test_splice_quiet.c: a copy in the kernel whose receiver takes nothing is not woken by what the sender goes on sending; and
 * nothing is lost by that: the bytes, the end, a reset, and who reads the source afterwards.
 *
 * Sender and receiver are bare sockets that no poller knows, so that every event is the copy's; Unix ones, since they have no timer that
 * could end a stall.
 */
#include "../io/streams.h"
#include "net/internal.h"

#include <errno.h>
#include <sys/ioctl.h>

enum { PIECE = 4096, SEGMENTS = 100, SEGMENT = 100, WAITING = 128 * 1024, ROOM = 16 * 1024 };

struct stalled {
    int sender, receiver;
    cyg_conn *in, *out; /* copied from in to out */
    size_t sent, received;
    int64_t copied;
    cyg_copy_result how;
    int over;
};

/* A connection of which one end is bare, and the other takes so much before its writes wait. */
static void half_bare(int *bare, cyg_conn **c, int room) {
    int fds[2], much = 1024 * 1024;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_EQ(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &much, sizeof much), 0);
    CHECK_EQ(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
    CHECK_EQ(cyg_conn_from_fd(fds[1], c), 0);
    *bare = fds[0];
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
    static char b[ROOM];
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

/* Sends until the copy waits to write, and enough waits for it. */
static void fill_up(struct stalled *s) {
    WAIT_FOR((waiting_input(s) >= WAITING || !send_some(s, PIECE)) && waits(s->out, CYGRT_WRITE));
}

static bool silent(const struct stalled *s) {
    return no_splice() || atomic_load(&((struct conn *)s->in)->pd.unwatched);
}

/* A copy whose receiver takes nothing, and that was slow in the step before, too: what waits for it is more than becomes free at once, so it
 * does not catch up. */
static void stall(struct stalled *s) {
    *s = (struct stalled){0};
    half_bare(&s->sender, &s->in, PIECE);
    half_bare(&s->receiver, &s->out, ROOM);
    GO(run_copy, s);
    WAIT_FOR(waits(s->in, CYGRT_READ)); /* so that the poller knows it */
    fill_up(s);
    for (int i = 0; i < 50 && !silent(s); i++) {
        CHECK(receive(s, 30 * CYG_SECOND));
        fill_up(s);
    }
    CHECK(silent(s));
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

RT_TEST(test_a_copy_that_cannot_write_is_not_woken_by_input) {
    struct stalled s;
    stall(&s);
    uint32_t told = told_of_segments(&s);
    if (!no_splice()) CHECK(told < 5); /* dozens, if it were */
    receive_all(&s);                   /* and all of them arrive */
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
    CHECK_EQ(send(net_fd(s.in), "x", 1, MSG_DONTWAIT), 1); /* who closes with bytes unread resets */
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
    close(s.receiver);
    WAIT_FOR(LOAD(s.over));
    CHECK(s.copied < 0);
    static char b[1024 * 1024];
    WAIT_FOR(waiting_input(&s) > 0);
    while (cyg_read(s.in, b, sizeof b) == sizeof b) continue;
    CHECK(send_some(&s, 1));
    WAIT_FOR(waiting_input(&s) == 1);
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
