/* tcp_pair.c: see tcp_pair.h. The library relays; the two connections are wrapped, so that the moment when one side ends is seen: it
 * makes the pair half-closed, of which there is a limit. A wrapper changes no byte and lends its connection's descriptor, so the kernel
 * still moves the bytes.
 */
#include "gateway/tcp_pair.h"

struct pair;
struct side {
    cyg_stream stream; /* first */
    cyg_conn *conn;
    struct pair *pair;
};

struct pair {
    struct cyg_gw_tcp *tcp;
    struct side client, upstream;
    size_t max_half_closed;
    uint32_t ended;  /* sides whose end has been passed on; atomic */
    bool over_limit; /* it may not be half-closed; atomic */
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
    struct pair *p = side_of(s)->pair;
    if (__atomic_fetch_add(&p->ended, 1, __ATOMIC_ACQ_REL) > 0) { /* now both have */
        __atomic_sub_fetch(&p->tcp->half_closed, 1, __ATOMIC_RELAXED);
    } else if (__atomic_add_fetch(&p->tcp->half_closed, 1, __ATOMIC_RELAXED) > p->max_half_closed) {
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

static enum cyg_gw_ending ending_of(const struct pair *p, const cyg_relay_result *r) {
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
    struct pair p = {.tcp = t, .max_half_closed = l4->limits.max_half_closed};
    p.client = (struct side){{&side_ops}, client, &p};
    p.upstream = (struct side){{&side_ops}, upstream, &p};
    cyg_relay_opts opts = {.idle_timeout = l4->timeouts.idle, .half_closed_timeout = l4->timeouts.half_closed};
    cyg_relay_result r = {0};
    int err = cyg_relay(&p.client.stream, &p.upstream.stream, &opts, &r);
    if (__atomic_load_n(&p.ended, __ATOMIC_ACQUIRE) == 1) __atomic_sub_fetch(&t->half_closed, 1, __ATOMIC_RELAXED);
    *received = (uint64_t)r.a_to_b.bytes;
    *sent = (uint64_t)r.b_to_a.bytes;
    if (err == CYG_ENOMEM && r.a_to_b.bytes + r.b_to_a.bytes == 0) return CYG_GW_END_NO_MEMORY;
    return ending_of(&p, &r);
}
