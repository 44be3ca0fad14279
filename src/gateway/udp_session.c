/* udp_session.c: see udp_session.h. Its life, and the way back: from the endpoint to the client. */
#include "gateway/udp_session.h"

#include "gateway/state.h"

#include <cygnet/runtime.h>
#include <errno.h>
#include <stdlib.h>

#define BATCHES_AT_ONCE 8 /* then others have their turn */

static void ready(void *arg, int why);

static struct cyg_gw_udp *own_of(const struct cyg_gw_udp_session *u) { return u->server->own; }

/* ---- beginning and end --------------------------------------------------------------------------------------------- */

void cyg_gw_udp_session_acquire(void *session) {
    struct cyg_gw_udp_session *u = session;
    __atomic_add_fetch(&u->refs, 1, __ATOMIC_RELAXED);
}

void cyg_gw_udp_session_release(void *session) {
    struct cyg_gw_udp_session *u = session;
    if (__atomic_sub_fetch(&u->refs, 1, __ATOMIC_ACQ_REL) > 0) return;
    cyg_gw_hang_up(&u->server->gw->context.upstreams, &u->dialled);
    cyg_gw_l4_release(u->l4);
    free(u);
}

void cyg_gw_udp_session_end(struct cyg_gw_udp_session *u, enum cyg_gw_ending why) {
    uint32_t none = 0;
    if (!__atomic_compare_exchange_n(&u->ended, &none, 1 + (uint32_t)why, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return;
    (void)cyg_map_delete(own_of(u)->sessions, (cyg_str){(const char *)&u->key, sizeof u->key}, NULL);
    (void)cyg_close(cyg_conn_acquire(u->dialled.conn)); /* for everybody; the session's own reference stays */
}

/* The owner's last step. */
static void finish(struct cyg_gw_udp_session *u) {
    struct cyg_gw_udp *own = own_of(u);
    struct cyg_gw_l4_record r = {
        .ending = (enum cyg_gw_ending)(__atomic_load_n(&u->ended, __ATOMIC_ACQUIRE) - 1),
        .started = u->started,
        .received = __atomic_load_n(&u->received, __ATOMIC_RELAXED),
        .sent = u->sent,
        .client = &u->client,
        .upstream = u->dialled.upstream->address,
        .attempts = u->dialled.attempts,
    };
    cyg_gw_l4_finish(u->server, u->l4, &r);
    cyg_gw_udp_session_release(u);
    __atomic_sub_fetch(&own->open, 1, __ATOMIC_RELAXED);
    cyg_waitgroup_done(&own->owners);
}

/* Leaves the socket with the poller until something comes or the idle time has passed. That is the read deadline, too, since readiness
 * can be a false alarm; set anew only every so often. */
static void wait_for_replies(struct cyg_gw_udp_session *u) {
    cyg_duration idle = u->l4->timeouts.idle;
    cyg_time until = __atomic_load_n(&u->last, __ATOMIC_RELAXED) + idle;
    if (u->deadline < until || u->deadline > until + idle / 8) {
        u->deadline = until + idle / 8;
        (void)cyg_set_read_deadline(u->dialled.conn, u->deadline);
    }
    if (cyg_conn_on_readable(u->dialled.conn, ready, u, until) == 0) return;
    cyg_gw_udp_session_end(u, CYG_GW_END_DRAINED); /* it was closed: by an end, which counts, not by this one */
    finish(u);
}

static struct cyg_gw_udp_session *make(struct cyg_gw_server *s, const struct cyg_gw_udp_key *key, struct cyg_gw_l4 *l4,
                                       const cyg_packet *first) {
    struct cyg_gw_udp_session *u = calloc(1, sizeof *u + (l4->send != CYG_GW_PROXY_OFF ? CYG_GW_PROXY_HEADER : 0));
    if (!u) return NULL;
    u->refs = 3; /* the table's, the owner's, the caller's */
    u->server = s;
    u->l4 = cyg_gw_l4_acquire(l4);
    u->key = *key;
    u->client = first->peer;
    u->local = first->local;
    u->started = u->last = cyg_now();
    if (l4->send == CYG_GW_PROXY_OFF) return u;
    struct cyg_gw_parties parties = {.client = first->peer, .local = first->local};
    if (parties.local.family == CYG_AF_NONE) parties.local = s->addr;
    cyg_addr bound;
    if (cyg_conn_local_addr(((struct cyg_gw_udp *)s->own)->socket, &bound) == 0) parties.local.port = bound.port;
    u->header_n = cyg_gw_proxy_header(&parties, l4->send, true, u->header);
    return u;
}

int cyg_gw_udp_session_new(struct cyg_gw_server *s, const struct cyg_gw_udp_key *key, const cyg_packet *first,
                           uint64_t n, struct cyg_gw_udp_session **out) {
    struct cyg_gw_udp *own = s->own;
    cyg_snapshot_hold hold;
    const struct cyg_gw_snapshot *snapshot;
    struct cyg_gw_front *front = cyg_gw_hold_front(s, &hold, &snapshot);
    if (!front) return CYG_ECLOSED;
    enum cyg_gw_ending ending = CYG_GW_END_SESSION_LIMIT;
    int err = __atomic_load_n(&own->open, __ATOMIC_RELAXED) >= front->l4->limits.max_sessions ? CYG_ELIMIT : 0;
    struct cyg_gw_udp_session *u = err == 0 ? make(s, key, front->l4, first) : NULL;
    if (err == 0 && !u) {
        err = CYG_ENOMEM;
        ending = CYG_GW_END_NO_MEMORY;
    }
    if (err == 0) {
        err = cyg_gw_dial(&s->gw->context.upstreams, &snapshot->members[front->config->cluster->index], true, &u->dialled);
        ending = cyg_gw_dial_ending(err);
    }
    if (err == 0 && (err = cyg_map_set(own->sessions, (cyg_str){(const char *)key, sizeof *key}, u, NULL)) < 0)
        ending = CYG_GW_END_NO_MEMORY;
    if (err < 0) { /* no session, so no line in the log: one for each datagram would be too many */
        cyg_counter_add(front->l4->ends[ending], n);
        if (u) {
            u->refs = 1;
            cyg_gw_udp_session_release(u);
        }
    } else {
        __atomic_add_fetch(&own->open, 1, __ATOMIC_RELAXED);
        cyg_waitgroup_add(&own->owners, 1);
        *out = u;
        wait_for_replies(u);
    }
    cyg_snapshot_drop(&hold);
    return err;
}

/* ---- replies -------------------------------------------------------------------------------------------------------- */

/* Sends a batch to the client; one that cannot be sent is left out. */
static void answer(struct cyg_gw_udp_session *u, cyg_packet *v, unsigned n) {
    cyg_conn *socket = own_of(u)->socket;
    uint64_t bytes = 0, datagrams = 0, dropped = 0;
    for (unsigned i = 0; i < n; i++) {
        v[i].size = v[i].n;
        v[i].peer = u->client;
        v[i].local = u->local;
        v[i].ifindex = 0;
    }
    for (unsigned i = 0; i < n;) {
        int r = cyg_packet_send_batch(socket, v + i, n - i);
        unsigned went = r > 0 ? (unsigned)r : 0, end = i + went;
        for (; i < end; i++) {
            bytes += v[i].size;
            datagrams += cyg_packet_segments(&v[i], v[i].size);
        }
        if (r == CYG_ECLOSED || r == CYG_ECANCELED) break;
        if (r < 0) dropped += cyg_packet_segments(&v[i], v[i].size), i++;
    }
    __atomic_store_n(&u->sent, u->sent + bytes, __ATOMIC_RELAXED);
    cyg_counter_add(u->l4->sent, bytes);
    cyg_counter_add(u->l4->out_datagrams, datagrams);
    if (dropped) cyg_counter_add(u->l4->dropped_datagrams, dropped);
}

/* Takes what has come from the endpoint; an error ends the session. */
static void take_replies(struct cyg_gw_udp_session *u, struct cyg_gw_udp_buffer *b) {
    for (int k = 0; k < BATCHES_AT_ONCE; k++) {
        for (unsigned i = 0; i < CYG_GW_UDP_BATCH; i++)
            b->packets[i] = (cyg_packet){.data = b->room[i], .size = CYG_PACKET_MAX};
        int n = cyg_packet_recv_batch(u->dialled.conn, b->packets, CYG_GW_UDP_BATCH);
        if (n == CYG_ETIMEDOUT) return; /* a false alarm */
        if (n < 0) { /* the endpoint's machine says that nobody is there; or the socket was closed by an end, which counts then */
            cyg_gw_udp_session_end(u, CYG_GW_END_NO_HEALTHY_UPSTREAM);
            return;
        }
        __atomic_store_n(&u->last, cyg_now_cached(), __ATOMIC_RELAXED);
        answer(u, b->packets, (unsigned)n);
        if (n < CYG_GW_UDP_BATCH) return;
    }
}

/* Runs as the owner. */
static void ready(void *arg, int why) {
    struct cyg_gw_udp_session *u = arg;
    if (why == CYG_ETIMEDOUT && cyg_now() - __atomic_load_n(&u->last, __ATOMIC_RELAXED) >= u->l4->timeouts.idle)
        cyg_gw_udp_session_end(u, CYG_GW_END_EXPIRED);
    if (why == 0) {
        struct cyg_gw_udp_buffer *b = cyg_objpool_get(own_of(u)->buffers);
        if (!b)
            cyg_gw_udp_session_end(u, CYG_GW_END_NO_MEMORY);
        else
            take_replies(u, b);
        if (b) cyg_objpool_put(own_of(u)->buffers, b);
    }
    if (why == CYG_ECLOSED || cyg_gw_udp_session_ended(u))
        finish(u);
    else
        wait_for_replies(u);
}
