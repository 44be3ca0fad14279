/* pool_peer.h: the other end of a pool's connections: a listener that keeps what it accepts, in order, and says nothing. */
#ifndef TESTS_UNIT_NET_POOL_PEER_H
#define TESTS_UNIT_NET_POOL_PEER_H

#include "net.h"

#define PEERS 4096

static struct {
    cyg_listener *l;
    char address[CYG_ADDR_STRLEN];
    cyg_conn *conns[PEERS]; /* atomic: NULL once the test has closed it */
    int n, ended;           /* atomic; ended: no more are accepted */
} peer;

static inline void peer_accept(void *arg) {
    cyg_conn *c;
    while (cyg_accept(arg, &c) == 0) {
        CHECK(peer.n < PEERS);
        STORE(peer.conns[peer.n], c);
        ADD(peer.n, 1);
    }
    cyg_listener_release(arg);
    STORE(peer.ended, 1);
}

static inline void peer_up(void) {
    net_listen("127.0.0.1:0", &peer.l, peer.address);
    STORE(peer.n, 0);
    STORE(peer.ended, 0);
    GO(peer_accept, cyg_listener_acquire(peer.l));
}

/* Closes the i-th connection that was accepted. */
static inline void peer_close(int i) {
    WAIT_FOR(LOAD(peer.n) > i);
    cyg_conn *c = __atomic_exchange_n(&peer.conns[i], NULL, __ATOMIC_SEQ_CST);
    if (c) CHECK_EQ(cyg_close(c), 0);
}

static inline void peer_say(int i, const char *text) {
    WAIT_FOR(LOAD(peer.n) > i);
    CHECK_EQ(cyg_write(peer.conns[i], text, strlen(text)), (ssize_t)strlen(text));
}

static inline void peer_down(void) {
    CHECK_EQ(cyg_listener_close(peer.l), 0);
    WAIT_FOR(LOAD(peer.ended));
    for (int i = 0; i < LOAD(peer.n); i++) peer_close(i);
}

static inline cyg_connpool *pool_of(const cyg_connpool_opts *opts) {
    cyg_connpool *p;
    CHECK_EQ(cyg_connpool_new("tcp", peer.address, opts, &p), 0);
    return p;
}

static inline cyg_pooled_conn *pool_get(cyg_connpool *p) {
    cyg_pooled_conn *pc;
    CHECK_EQ(cyg_connpool_get(p, cyg_now() + RT_DEADLINE, &pc), 0);
    return pc;
}

static inline cyg_connpool_stats pool_stats(cyg_connpool *p) {
    cyg_connpool_stats s;
    cyg_connpool_get_stats(p, &s);
    return s;
}

static inline uint64_t pool_closes(cyg_connpool *p) {
    cyg_connpool_stats s = pool_stats(p);
    uint64_t n = 0;
    for (int i = 0; i < CYG_CONNPOOL_WHYS; i++) n += s.closed_total[i];
    return n;
}

/* What must hold while nobody is in the middle of a call. */
static inline void pool_adds_up(cyg_connpool *p) {
    cyg_connpool_stats s = pool_stats(p);
    uint64_t waits = 0;
    for (int i = 0; i < CYG_CONNPOOL_WAIT_BUCKETS; i++) waits += s.wait_buckets[i];
    CHECK_EQ(s.opens_total, s.open_errors_total + pool_closes(p) + s.open);
    CHECK_EQ(s.open, s.idle + s.in_use);
    CHECK_EQ(s.opening, 0);
    CHECK_EQ(s.waiters, 0);
    CHECK_EQ(waits, s.waits_total);
    CHECK(s.wait_timeouts_total + s.wait_cancels_total <= s.waits_total);
    CHECK(s.reuses_total <= s.gets_total && s.gets_total - s.reuses_total <= s.opens_total);
}

#endif
