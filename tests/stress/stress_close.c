/* stress_close.c: connections are closed at random moments while several goroutines read, write, set deadlines and leave them
 * with the poller. No call may see bytes of another connection: every connection's bytes carry its number, and descriptor
 * numbers are reused all the time.
 */
#include "stress.h"

enum { SLOTS = 8, USERS = 6 };

struct link {
    struct net_pair p;
    uint8_t number;
    int users; /* goroutines that have not ended */
    uint64_t seed;
};
static int links, rounds;
static cyg_time until;

static void check_bytes(const struct link *l, const uint8_t *b, ssize_t n, uint8_t mark) {
    for (ssize_t i = 0; i < n; i++) CHECK_EQ(b[i], (uint8_t)(l->number ^ mark));
}
static bool over(ssize_t n) { return n < 0 && n != CYG_ETIMEDOUT; }
static void known(ssize_t n) {
    CHECK(n >= 0 || n == CYG_ETIMEDOUT || n == CYG_ECLOSED || n == CYG_EOF || n == -EPIPE || n == -ECONNRESET);
}

static void user_loop(struct link *l, cyg_conn *c, uint8_t sends, uint8_t gets, uint64_t *s) {
    uint8_t b[3000];
    for (ssize_t n = 0; !over(n);) {
        switch (rnd(s, 5)) {
        case 0:
        case 1:
            memset(b, l->number ^ sends, sizeof b);
            n = cyg_write(c, b, rnd(s, sizeof b) + 1);
            break;
        case 2:
        case 3:
            n = cyg_read(c, b, rnd(s, sizeof b) + 1);
            check_bytes(l, b, n, gets);
            break;
        default: n = cyg_set_deadline(c, cyg_now() + rnd(s, 300) * CYG_MICROSECOND);
        }
        known(n);
    }
}
static void user(void *arg) {
    struct link *l = *(struct link **)arg;
    uint64_t s = rnd_from((uint64_t)ADD(rounds, 1));
    bool a = rnd(&s, 2);
    user_loop(l, a ? l->p.a : l->p.b, a ? 0 : 0x80, a ? 0x80 : 0, &s);
    ADD(l->users, -1);
}

static void one_link(void *arg) {
    struct link l = {.number = (uint8_t)((intptr_t)arg & 0x7f)};
    uint64_t s = rnd_from((uint64_t)(intptr_t)arg * 7919);
    while (cyg_now() < until) {
        l.number = (uint8_t)rnd(&s, 128);
        net_pair_of((int)rnd(&s, 2), &l.p);
        cyg_conn_acquire(l.p.a); /* one reference for all users, dropped when they have gone */
        cyg_conn_acquire(l.p.b);
        STORE(l.users, USERS);
        struct link *me = &l;
        for (int i = 0; i < USERS; i++) CHECK_EQ(cyg_go_copy(user, &me), 0);
        if (rnd(&s, 3)) CHECK_EQ(cyg_sleep(rnd(&s, 500) * CYG_MICROSECOND), 0);
        if (rnd(&s, 4) == 0) (void)cyg_conn_reset_on_close(l.p.a);
        cyg_conn *first = rnd(&s, 2) ? l.p.a : l.p.b;
        CHECK_EQ(cyg_close(first), 0);
        if (rnd(&s, 2)) cyg_yield();
        CHECK_EQ(cyg_close(first == l.p.a ? l.p.b : l.p.a), 0);
        WAIT_FOR(LOAD(l.users) == 0);
        cyg_conn_release(l.p.a);
        cyg_conn_release(l.p.b);
    }
    ADD(links, -1);
}

static void body(void) {
    until = cyg_now() + stress_time;
    STORE(links, SLOTS);
    for (intptr_t i = 0; i < SLOTS; i++) GO(one_link, (void *)i);
    WAIT_FOR(LOAD(links) == 0);
}

int main(void) { return stress_main(body); }
