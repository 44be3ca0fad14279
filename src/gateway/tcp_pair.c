/* tcp_pair.c: see tcp_pair.h. The library relays; the two connections are wrapped, so that the moment when one side ends is seen: it
 * makes the pair half-closed, of which there is a limit. A wrapper changes no byte and lends its connection's descriptor, so the kernel
 * still moves the bytes.
 */
#include "gateway/tcp_pair.h"

struct side {
    cyg_stream stream; /* first */
    cyg_conn *conn;
    struct cyg_gw_tcp_pair *pair;
};

struct cyg_gw_tcp_pair {
    struct cyg_gw_tcp *tcp;
    const struct cyg_gw_l4 *l4;
    struct side client, upstream;
    uint32_t ended;  /* sides whose end has been passed on; atomic */
    bool over_limit; /* it may not be half-closed; atomic */

    cyg_relay_result result; /* its progress is read by scrapes */
    uint64_t received, sent; /* of it the metrics have so much; with the next guarded by tcp->passing_lock */
    struct cyg_gw_tcp_pair *next, **link;
};

static struct side *side_of(cyg_stream *s) { return (struct side *)s; }

static ssize_t side_read(cyg_stream *s, void *p, size_t n) { return cyg_read(side_of(s)->conn, p, n); }
static ssize_t side_write(cyg_stream *s, const void *p, size_t n) { return cyg_write(side_of(s)->conn, p, n); }
static int side_set_deadline(cyg_stream *s, int what, cyg_time deadline) {
    cyg_conn *c = side_of(s)->conn;
    return c->ops->set_deadline(c, what, deadline);
}
static int side_hold(cyg_stream *s, cyg_side side, cyg_fd *out) {
    cyg_conn *c = side_of(s)->conn;
    return c->ops->hold(c, side, out);
}
static int side_wait(cyg_stream *s, cyg_side side) {
    cyg_conn *c = side_of(s)->conn;
    return c->ops->wait(c, side);
}
static void side_unhold(cyg_stream *s, cyg_side side) {
    cyg_conn *c = side_of(s)->conn;
    c->ops->unhold(c, side);
}
static void side_unwatch(cyg_stream *s) {
    cyg_conn *c = side_of(s)->conn;
    if (c->ops->unwatch) c->ops->unwatch(c);
}
static int side_abort(cyg_stream *s) { return cyg_abort(side_of(s)->conn); }

/* The other side has ended, and this one is told. */
static int side_close_write(cyg_stream *s) {
    struct cyg_gw_tcp_pair *p = side_of(s)->pair;
    if (__atomic_fetch_add(&p->ended, 1, __ATOMIC_ACQ_REL) > 0) { /* now both have */
        __atomic_sub_fetch(&p->tcp->half_closed, 1, __ATOMIC_RELAXED);
    } else if (__atomic_add_fetch(&p->tcp->half_closed, 1, __ATOMIC_RELAXED) > p->l4->limits.max_half_closed) {
        __atomic_store_n(&p->over_limit, true, __ATOMIC_RELEASE);
        (void)cyg_abort(p->client.conn);
        (void)cyg_abort(p->upstream.conn);
        return CYG_ELIMIT;
    }
    return cyg_close_write(side_of(s)->conn);
}

static const cyg_stream_ops side_ops = {
    .kind = "tcp pair",
    .fd_kind = CYG_FD_SOCKET,
    .read = side_read,
    .write = side_write,
    .close_write = side_close_write,
    .set_deadline = side_set_deadline,
    .hold = side_hold,
    .wait = side_wait,
    .unhold = side_unhold,
    .abort = side_abort,
    .unwatch = side_unwatch,
};

/* ---- what has passed ------------------------------------------------------------------------------------------------ */

/* Adds to the counter what is new since *had; the lock is held, so that nothing is added twice. */
static void count(cyg_counter *c, const cyg_copy_result *way, uint64_t *had) {
    uint64_t now = (uint64_t)cyg_copy_progress(way);
    cyg_counter_add(c, now - *had);
    *had = now;
}

static void count_pair(struct cyg_gw_tcp_pair *p) {
    count(p->l4->received, &p->result.a_to_b, &p->received);
    count(p->l4->sent, &p->result.b_to_a, &p->sent);
}

void cyg_gw_tcp_count(struct cyg_gw_tcp *t) {
    cyg_mutex_lock(&t->passing_lock);
    for (struct cyg_gw_tcp_pair *p = t->passing; p; p = p->next) count_pair(p);
    cyg_mutex_unlock(&t->passing_lock);
}

static void enter(struct cyg_gw_tcp_pair *p) {
    struct cyg_gw_tcp *t = p->tcp;
    cyg_mutex_lock(&t->passing_lock);
    p->next = t->passing;
    p->link = &t->passing;
    if (p->next) p->next->link = &p->next;
    t->passing = p;
    cyg_mutex_unlock(&t->passing_lock);
}

static void leave(struct cyg_gw_tcp_pair *p) {
    cyg_mutex_lock(&p->tcp->passing_lock);
    *p->link = p->next;
    if (p->next) p->next->link = p->link;
    count_pair(p);
    cyg_mutex_unlock(&p->tcp->passing_lock);
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

static enum cyg_gw_ending ending_of(const struct cyg_gw_tcp_pair *p) {
    const cyg_relay_result *r = &p->result;
    if (__atomic_load_n(&p->over_limit, __ATOMIC_ACQUIRE)) return CYG_GW_END_HALF_CLOSED_LIMIT;
    switch (r->end) {
    case CYG_RELAY_EOF: return CYG_GW_END_RELAYED;
    case CYG_RELAY_IDLE: return CYG_GW_END_IDLE;
    case CYG_RELAY_HALF_CLOSED: return CYG_GW_END_HALF_CLOSED;
    case CYG_RELAY_CANCELED: return CYG_GW_END_DRAINED;
    default: break;
    }
    if (r->err == CYG_ENOMEM) return CYG_GW_END_NO_MEMORY;
    return r->first == 'b' ? CYG_GW_END_UPSTREAM_RESET : CYG_GW_END_CLIENT_RESET;
}

enum cyg_gw_ending cyg_gw_tcp_relay(struct cyg_gw_tcp *t, const struct cyg_gw_l4 *l4, cyg_conn *client,
                                    cyg_conn *upstream, uint64_t *received, uint64_t *sent) {
    struct cyg_gw_tcp_pair p = {.tcp = t, .l4 = l4};
    p.client = (struct side){{&side_ops}, client, &p};
    p.upstream = (struct side){{&side_ops}, upstream, &p};
    cyg_relay_opts opts = {.idle_timeout = l4->timeouts.idle, .half_closed_timeout = l4->timeouts.half_closed};
    enter(&p);
    int err = cyg_relay(&p.client.stream, &p.upstream.stream, &opts, &p.result);
    leave(&p);
    if (__atomic_load_n(&p.ended, __ATOMIC_ACQUIRE) == 1) __atomic_sub_fetch(&t->half_closed, 1, __ATOMIC_RELAXED);
    *received = p.received;
    *sent = p.sent;
    if (err == CYG_ENOMEM && p.received + p.sent == 0) return CYG_GW_END_NO_MEMORY;
    return ending_of(&p);
}
