/* stress_deadline.c: questions and answers over connections that are left with the poller in between, with deadlines of all
 * lengths set by the reader and by others at the same time. Each answer is the one to the question, each start record runs once,
 * and nobody waits for ever.
 */
#include "stress.h"

enum { PAIRS = 16 };

struct peer {
    struct net_pair p;
    cyg_mutex m;
    cyg_cond ready;
    int started, why;
    uint64_t seed;
};
static int running;
static cyg_time until;

static void on_ready(void *arg, int why) {
    struct peer *p = arg;
    cyg_mutex_lock(&p->m);
    p->started++;
    p->why = why;
    cyg_cond_signal(&p->ready);
    cyg_mutex_unlock(&p->m);
}

/* The server's side, told as a loop: idle until something comes, or taken back when the deadline is a short one. */
static int idle(struct peer *p, uint64_t *s) {
    p->started = 0;
    cyg_time deadline = rnd(s, 2) ? cyg_now() + rnd(s, 400) * CYG_MICROSECOND : 0;
    CHECK_EQ(cyg_conn_on_readable(p->p.b, on_ready, p, deadline), 0);
    if (rnd(s, 3) == 0) {
        if (rnd(s, 2)) cyg_yield();
        if (cyg_conn_cancel_readable(p->p.b)) return CYG_ETIMEDOUT;
    }
    cyg_mutex_lock(&p->m);
    while (!p->started) CHECK_EQ(cyg_cond_wait_until(&p->ready, &p->m, cyg_now() + RT_DEADLINE), 0);
    CHECK_EQ(p->started, 1);
    int why = p->why;
    cyg_mutex_unlock(&p->m);
    return why;
}
static void server(void *arg) {
    struct peer *p = arg;
    uint64_t s = p->seed ^ 1;
    uint32_t q;
    for (;;) {
        if (idle(p, &s) == CYG_ETIMEDOUT) continue;
        CHECK_EQ(cyg_set_read_deadline(p->p.b, cyg_now() + RT_DEADLINE), 0);
        ssize_t n = cyg_read_full(p->p.b, &q, sizeof q);
        if (n == CYG_EOF) break;
        CHECK_EQ(n, sizeof q);
        if (rnd(&s, 4) == 0) CHECK_EQ(cyg_sleep(rnd(&s, 200) * CYG_MICROSECOND), 0);
        q = ~q;
        CHECK_EQ(cyg_write(p->p.b, &q, sizeof q), sizeof q);
    }
    CHECK_EQ(cyg_close(p->p.b), 0);
    ADD(running, -1);
}

/* Moves the client's deadline from beside, but never to a time that could end a read for good. */
static void meddler(void *arg) {
    struct peer *p = arg;
    uint64_t s = p->seed ^ 2;
    while (cyg_now() < until) {
        int err = cyg_set_read_deadline(p->p.a, cyg_now() + rnd(&s, 500) * CYG_MICROSECOND);
        CHECK(err == 0 || err == CYG_ECLOSED);
        CHECK_EQ(cyg_sleep(rnd(&s, 300) * CYG_MICROSECOND), 0);
    }
    cyg_conn_release(p->p.a);
    ADD(running, -1);
}

static void client(void *arg) {
    struct peer *p = arg;
    uint64_t s = p->seed;
    while (cyg_now() < until) {
        uint32_t q = rnd(&s, UINT32_MAX), a = 0;
        size_t at = 0;
        CHECK_EQ(cyg_write(p->p.a, &q, sizeof q), sizeof q);
        cyg_time end = cyg_now() + RT_DEADLINE;
        while (at < sizeof a) {
            ssize_t n = cyg_read(p->p.a, (char *)&a + at, sizeof a - at);
            if (n > 0) at += (size_t)n;
            CHECK(n > 0 || n == CYG_ETIMEDOUT);
            CHECK(cyg_now() < end);
            if (n == CYG_ETIMEDOUT)
                CHECK_EQ(cyg_set_read_deadline(p->p.a, rnd(&s, 2) ? 0 : cyg_now() + CYG_MILLISECOND), 0);
        }
        CHECK_EQ(a, ~q);
    }
    CHECK_EQ(cyg_close(p->p.a), 0);
    ADD(running, -1);
}

static void body(void) {
    static struct peer peers[PAIRS];
    memset(peers, 0, sizeof peers);
    until = cyg_now() + stress_time;
    STORE(running, 3 * PAIRS);
    for (int i = 0; i < PAIRS; i++) {
        peers[i].seed = rnd_from((uint64_t)i);
        net_pair_of(i % 2, &peers[i].p);
        cyg_conn_acquire(peers[i].p.a); /* the meddler's */
        GO(server, &peers[i]);
        GO(client, &peers[i]);
        GO(meddler, &peers[i]);
    }
    while (LOAD(running)) { /* asleep, so that Ps go idle and are woken */
        CHECK(cyg_now() < until + RT_DEADLINE);
        CHECK_EQ(cyg_sleep(CYG_MILLISECOND), 0);
    }
}

int main(void) { return stress_main(body); }
