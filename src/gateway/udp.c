/* udp.c: listeners of udp. One goroutine reads what clients send, in batches, and passes each datagram on through its client's session;
 * the way back is the session's own (udp_session.c).
 *
 * Bounds: sessions by max_sessions. Beyond, datagrams of new clients are dropped and counted; sessions that exist are not ended for
 * them, because whoever forges source addresses could end those of others that way.
 */
#include "gateway/event.h"
#include "gateway/state.h"
#include "gateway/udp_session.h"

#include <cygnet/runtime.h>
#include <errno.h>
#include <stdlib.h>

#define READ_BATCH CYG_PACKET_BATCH
#define IDLE_BUFFERS 16
#define ERROR_PAUSE (10 * CYG_MILLISECOND)
#define QUIET CYG_SECOND /* in a drain: a session without a datagram for so long has nothing more to wait for */
#define SWEEP (100 * CYG_MILLISECOND)
#define CUT_WAIT CYG_SECOND

struct reader {
    struct cyg_gw_server *server;
    cyg_packet packets[READ_BATCH];
    char room[READ_BATCH][CYG_PACKET_MAX];
    char with_header[CYG_GW_PROXY_HEADER + CYG_PACKET_MAX];
};

static struct cyg_gw_udp *own_of(const struct cyg_gw_server *s) { return s->own; }

static int udp_open(struct cyg_gw_server *s, const char *network, const char *bind) {
    static const uint8_t any[16];
    struct cyg_gw_udp *own = calloc(1, sizeof *own);
    if (!own) return CYG_ENOMEM;
    own->any = memcmp(s->addr.ip, any, sizeof any) == 0;
    int err = cyg_listen_packet(network, bind, &(cyg_packet_opts){.packet_info = own->any, .gro = true}, &own->socket);
    if (err < 0) {
        free(own);
        return err;
    }
    cyg_addr bound;
    if (cyg_conn_local_addr(own->socket, &bound) == 0) cyg_addr_format(&bound, s->text, sizeof s->text);
    own->sessions =
        cyg_map_new(&(cyg_map_opts){.acquire = cyg_gw_udp_session_acquire, .release = cyg_gw_udp_session_release});
    own->buffers = cyg_objpool_new(sizeof(struct cyg_gw_udp_buffer), &(cyg_objpool_opts){.max_idle = IDLE_BUFFERS});
    s->own = own;
    return 0;
}

/* ---- the way there -------------------------------------------------------------------------------------------------- */

static struct cyg_gw_udp_key key_of(const cyg_packet *p) {
    struct cyg_gw_udp_key k = {.client = {.family = p->peer.family, .port = p->peer.port, .scope = p->peer.scope},
                               .local = {.family = p->local.family, .scope = p->local.scope}};
    memcpy(k.client.ip, p->peer.ip, sizeof k.client.ip);
    memcpy(k.local.ip, p->local.ip, sizeof k.local.ip);
    return k;
}

static uint64_t datagrams_in(const cyg_packet *v, unsigned n) {
    uint64_t datagrams = 0;
    for (unsigned i = 0; i < n; i++) datagrams += cyg_packet_segments(&v[i], v[i].n);
    return datagrams;
}

/* Each datagram alone, behind the PROXY header. Returns: datagrams sent, or the first error. */
static int send_with_header(struct reader *r, struct cyg_gw_udp_session *u, const cyg_packet *p) {
    size_t step = p->segment_bytes ? p->segment_bytes : p->n;
    int sent = 0;
    memcpy(r->with_header, u->header, u->header_n);
    for (size_t at = 0; sent == 0 || at < p->n; at += step) {
        size_t n = p->n - at < step ? p->n - at : step;
        memcpy(r->with_header + u->header_n, (const char *)p->data + at, n);
        ssize_t w = cyg_packet_send(u->dialled.conn, r->with_header, u->header_n + n, NULL);
        if (w < 0) return sent ? sent : (int)w;
        sent++;
        if (step == 0) break; /* an empty datagram */
    }
    return sent;
}

/* Sends n packets of one client in order. Returns: how many went, or the error if none did. */
static int send_some(struct reader *r, struct cyg_gw_udp_session *u, cyg_packet *v, unsigned n) {
    if (u->header_n > 0) {
        int sent = send_with_header(r, u, v);
        return sent < 0 ? sent : 1;
    }
    for (unsigned i = 0; i < n; i++) {
        v[i].size = v[i].n;
        v[i].peer.family = v[i].local.family = CYG_AF_NONE;
        v[i].ifindex = 0;
    }
    return cyg_packet_send_batch(u->dialled.conn, v, n);
}

static void count_passed(struct cyg_gw_udp_session *u, const cyg_packet *v, unsigned n) {
    uint64_t bytes = 0;
    for (unsigned i = 0; i < n; i++) bytes += v[i].n;
    __atomic_store_n(&u->last, cyg_now_cached(), __ATOMIC_RELAXED);
    __atomic_add_fetch(&u->received, bytes, __ATOMIC_RELAXED);
    cyg_counter_add(u->l4->received, bytes);
    cyg_counter_add(u->l4->in_datagrams, datagrams_in(v, n));
}

/* Sends n packets through a session; what cannot be sent is dropped. Returns: how many were dealt with: all, or those before the
 * session turned out to have ended. */
static unsigned send_all(struct reader *r, struct cyg_gw_udp_session *u, cyg_packet *v, unsigned n) {
    unsigned i = 0;
    while (i < n) {
        if (cyg_gw_udp_session_ended(u)) return i;
        int sent = send_some(r, u, v + i, n - i);
        if (sent > 0) {
            count_passed(u, v + i, (unsigned)sent);
            i += (unsigned)sent;
        } else if (sent == -ECONNREFUSED) { /* an earlier one found nobody */
            cyg_gw_udp_session_end(u, CYG_GW_END_NO_HEALTHY_UPSTREAM);
        } else if (sent != CYG_ECLOSED) {
            cyg_counter_add(u->l4->dropped_datagrams, datagrams_in(v + i, 1));
            i++;
        }
    }
    return n;
}

/* Passes n packets of one client on: through its session, and when that one ends under way, through another, once. */
static void pass_on(struct reader *r, cyg_packet *v, unsigned n, const struct cyg_gw_udp_key *key) {
    struct cyg_gw_server *s = r->server;
    cyg_packet first = v[0]; /* before its addresses are changed for sending */
    for (int tries = 0; n > 0 && tries < 2; tries++) {
        struct cyg_gw_udp_session *u = cyg_map_get(own_of(s)->sessions, (cyg_str){(const char *)key, sizeof *key});
        if (!u && cyg_gw_udp_session_new(s, key, &first, datagrams_in(v, n), &u) < 0) return;
        unsigned done = send_all(r, u, v, n);
        v += done;
        n -= done;
        if (n > 0 && tries > 0) cyg_counter_add(u->l4->dropped_datagrams, datagrams_in(v, n));
        cyg_gw_udp_session_release(u);
    }
}

static void pass_batch_on(struct reader *r, unsigned n) {
    for (unsigned i = 0, end; i < n; i = end) {
        struct cyg_gw_udp_key key = key_of(&r->packets[i]), next;
        for (end = i + 1; end < n; end++) {
            next = key_of(&r->packets[end]);
            if (memcmp(&next, &key, sizeof key) != 0) break;
        }
        pass_on(r, &r->packets[i], end - i, &key);
    }
}

static void read_loop(void *arg) {
    struct reader *r = arg;
    struct cyg_gw_udp *own = own_of(r->server);
    cyg_ctx_scope scope = cyg_ctx_enter(own->reading);
    for (;;) {
        for (unsigned i = 0; i < READ_BATCH; i++)
            r->packets[i] = (cyg_packet){.data = r->room[i], .size = CYG_PACKET_MAX};
        int n = cyg_packet_recv_batch(own->socket, r->packets, READ_BATCH);
        if (n == CYG_ECLOSED || n == CYG_ECANCELED) break;
        if (n >= 0)
            pass_batch_on(r, (unsigned)n);
        else if (cyg_sleep(ERROR_PAUSE) < 0)
            break;
    }
    cyg_ctx_leave(&scope);
    free(r);
    cyg_waitgroup_done(&own->readers);
}

/* ---- the protocol's row --------------------------------------------------------------------------------------------- */

/* Every new session looks up the snapshot in force: a reload has nothing to prepare. */
static int udp_prepare(struct cyg_gw_server *s, const struct cyg_gw_listener *l, void **out) {
    (void)s, (void)l, (void)out;
    return 0;
}

static void udp_discard(void *prepared) { (void)prepared; }

static void udp_serve(struct cyg_gw_server *s, void *prepared) {
    struct cyg_gw_udp *own = own_of(s);
    (void)prepared;
    struct reader *r = malloc(sizeof *r);
    own->reading = cyg_ctx_with_cancel(cyg_ctx_background());
    if (r) r->server = s;
    cyg_waitgroup_add(&own->readers, 1);
    if (r && cyg_go_with(&(cyg_go_opts){.name = "udp"}, read_loop, r) == 0) return;
    cyg_gw_event("error", "read-failed", "address=%s error=\"out of memory\"", s->text);
    free(r);
    cyg_waitgroup_done(&own->readers);
}

static void stop_reading(struct cyg_gw_udp *own) {
    if (!own->reading) return;
    cyg_ctx_cancel(own->reading, 0);
    (void)cyg_waitgroup_wait(&own->readers);
    cyg_ctx_release(own->reading);
    own->reading = NULL;
}

static bool end_if_quiet(const cyg_map_entry *e, void *now) {
    struct cyg_gw_udp_session *u = e->value;
    if (*(cyg_time *)now - __atomic_load_n(&u->last, __ATOMIC_RELAXED) >= QUIET)
        cyg_gw_udp_session_end(u, CYG_GW_END_EXPIRED);
    return true;
}

static bool end_now(const cyg_map_entry *e, void *arg) {
    (void)arg;
    cyg_gw_udp_session_end(e->value, CYG_GW_END_DRAINED);
    return true;
}

/* Sessions that an answer may still come for have until the deadline; a client's next datagram is for whoever listens then. */
static uint64_t udp_shutdown(struct cyg_gw_server *s, cyg_time deadline) {
    struct cyg_gw_udp *own = own_of(s);
    stop_reading(own);
    for (cyg_time now; (now = cyg_now()) < deadline;) {
        (void)cyg_map_range(own->sessions, end_if_quiet, &now);
        cyg_time next = now + SWEEP < deadline ? now + SWEEP : deadline;
        if (cyg_waitgroup_wait_until(&own->owners, next) == 0) break;
    }
    (void)cyg_map_range(own->sessions, end_now, NULL);
    (void)cyg_waitgroup_wait_until(&own->owners, cyg_now() + CUT_WAIT);
    if (own->socket) (void)cyg_close(cyg_conn_acquire(own->socket)); /* the port is free from here on */
    return __atomic_load_n(&own->open, __ATOMIC_RELAXED);
}

static void udp_stats(const struct cyg_gw_server *s, struct cyg_gw_server_numbers *out) {
    cyg_packet_stats stats;
    out->connections += __atomic_load_n(&own_of(s)->open, __ATOMIC_RELAXED);
    if (cyg_packet_get_stats(own_of(s)->socket, &stats) == 0) out->drops += stats.dropped_total;
}

static void udp_free(struct cyg_gw_server *s) {
    struct cyg_gw_udp *own = own_of(s);
    stop_reading(own);
    (void)cyg_close(own->socket);
    cyg_map_free(own->sessions);
    cyg_objpool_free(own->buffers);
    free(own);
}

const struct cyg_gw_protocol_ops cyg_gw_udp_ops = {
    .word = "udp",
    .open = udp_open,
    .prepare = udp_prepare,
    .discard = udp_discard,
    .serve = udp_serve,
    .shutdown = udp_shutdown,
    .stats = udp_stats,
    .free = udp_free,
};
