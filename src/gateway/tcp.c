/* tcp.c: listeners of tcp: each connection is passed on to an endpoint of the cluster, byte by byte and both ways, until both sides
 * have ended. A goroutine for each connection runs from here to the end of relay(); the other direction's is the library's.
 *
 * How it ends: what both sides ended in order is closed in order. Everything else is reset on both sides, so that neither peer can take
 * what it got for complete, and nothing of it stays in TIME_WAIT.
 */
#include "gateway/dial.h"
#include "gateway/event.h"
#include "gateway/state.h"
#include "gateway/tcp_pair.h"

#include <cygnet/map.h>
#include <cygnet/runtime.h>
#include <errno.h>
#include <stdlib.h>

#define NO_MEMORY_PAUSE (10 * CYG_MILLISECOND)
#define CUT_WAIT CYG_SECOND /* how long those that were cut may take to notice */

/* A connection on its way, as the accept loop hands it over. */
struct arrival {
    struct cyg_gw_server *server;
    cyg_conn *conn;
    cyg_time started;
    cyg_addr client;
    struct cyg_gw_l4 *l4; /* the goroutine's copy: counted */
    bool by_address;      /* counted among those of its address */
};

static struct cyg_gw_tcp *own_of(const struct cyg_gw_server *s) { return s->own; }

static int tcp_open(struct cyg_gw_server *s, const char *network, const char *bind) {
    struct cyg_gw_tcp *t = calloc(1, sizeof *t);
    if (!t) return CYG_ENOMEM;
    int err = cyg_listen(network, bind, NULL, &t->listener);
    if (err < 0) {
        free(t);
        return err;
    }
    cyg_addr bound;
    cyg_listener_addr(t->listener, &bound);
    cyg_addr_format(&bound, s->text, sizeof s->text);
    t->addresses = cyg_map_new(NULL);
    t->relaying = cyg_ctx_with_cancel(cyg_ctx_background());
    s->own = t;
    return 0;
}

/* ---- how many from where ------------------------------------------------------------------------------------------ */

/* What one client is counted by: its IPv4 address, or the /64 that is the least an IPv6 client has. */
static cyg_str address_key(const cyg_addr *a) {
    return (cyg_str){(const char *)a->ip, a->family == CYG_AF_IPV4 ? 4 : 8};
}

/* Counts one more from this address, unless there are limit already. */
static bool address_enter(struct cyg_gw_tcp *t, const cyg_addr *a, size_t limit) {
    cyg_str key = address_key(a);
    cyg_mutex_lock(&t->addresses_lock);
    uintptr_t n = (uintptr_t)cyg_map_get(t->addresses, key);
    void *old;
    bool ok = n < limit && cyg_map_set(t->addresses, key, (void *)(n + 1), &old) == 0;
    cyg_mutex_unlock(&t->addresses_lock);
    return ok;
}

static void address_leave(struct cyg_gw_tcp *t, const cyg_addr *a) {
    cyg_str key = address_key(a);
    void *old;
    cyg_mutex_lock(&t->addresses_lock);
    uintptr_t n = (uintptr_t)cyg_map_get(t->addresses, key);
    if (n <= 1)
        (void)cyg_map_delete(t->addresses, key, &old);
    else
        (void)cyg_map_set(t->addresses, key, (void *)(n - 1), &old); /* it is there: no memory is needed */
    cyg_mutex_unlock(&t->addresses_lock);
}

/* ---- one connection ----------------------------------------------------------------------------------------------- */

/* Closes with a reset: not as if all had been well, and without a TIME_WAIT. */
static void reset(cyg_conn *c) {
    (void)cyg_conn_reset_on_close(c);
    (void)cyg_close(c);
}

/* Everything until bytes can flow: who it is for, and an endpoint that knows. Not inlined: its stack is not needed any more while
 * they do. Returns: 0; or negative, and *ending says why. */
static __attribute__((noinline)) int begin(struct arrival *a, struct cyg_gw_parties *parties, struct cyg_gw_dialled *d,
                                           enum cyg_gw_ending *ending) {
    struct cyg_gw_server *s = a->server;
    cyg_snapshot_hold hold;
    const struct cyg_gw_snapshot *snapshot;
    struct cyg_gw_front *front = cyg_gw_hold_front(s, &hold, &snapshot);
    *ending = CYG_GW_END_DRAINED;
    if (!front) return CYG_ECANCELED;
    const struct cyg_gw_proxy_accept *proxy = &front->config->proxy_protocol;
    int err = proxy->naccept_from ? cyg_gw_proxy_accept(a->conn, proxy, &front->proxy, parties, ending) : 0;
    if (err == 0) {
        err = cyg_gw_dial(&s->gw->context.upstreams, &snapshot->members[front->config->cluster->index], false, d);
        if (err < 0) *ending = cyg_gw_dial_ending(err);
    }
    cyg_snapshot_drop(&hold);
    if (err == 0 && a->l4->send != CYG_GW_PROXY_OFF) {
        char header[CYG_GW_PROXY_HEADER];
        ssize_t n = cyg_write(d->conn, header, cyg_gw_proxy_header(parties, a->l4->send, false, header));
        if (n < 0) *ending = n == CYG_ECANCELED ? CYG_GW_END_DRAINED : CYG_GW_END_UPSTREAM_RESET;
        if (n < 0) err = (int)n;
    }
    if (err == 0) cyg_histogram_observe_ns(a->l4->connect_seconds, cyg_now() - a->started);
    return err;
}

static void serve(struct arrival *a) {
    struct cyg_gw_parties parties = {.client = a->client};
    struct cyg_gw_dialled d = {0};
    struct cyg_gw_l4_record r = {.started = a->started, .client = &parties.client};
    (void)cyg_conn_local_addr(a->conn, &parties.local);
    int err = begin(a, &parties, &d, &r.ending);
    if (err == 0) r.ending = cyg_gw_tcp_relay(own_of(a->server), a->l4, a->conn, d.conn, &r.received, &r.sent);
    if (r.ending == CYG_GW_END_RELAYED) {
        (void)cyg_close(a->conn);
    } else {
        if (d.conn) (void)cyg_conn_reset_on_close(d.conn);
        reset(a->conn);
    }
    r.upstream = d.upstream ? d.upstream->address : NULL;
    r.attempts = d.attempts;
    cyg_gw_l4_finish(a->server, a->l4, &r);
    cyg_gw_hang_up(&a->server->gw->context.upstreams, &d);
}

static void connection(void *arg) {
    struct arrival *a = arg;
    struct cyg_gw_tcp *t = own_of(a->server);
    cyg_ctx_scope scope = cyg_ctx_enter(t->relaying); /* not the accept loop's, which a drain ends first */
    serve(a);
    cyg_ctx_leave(&scope);
    if (a->by_address) address_leave(t, &a->client);
    cyg_gw_l4_release(a->l4);
    free(a);
    __atomic_sub_fetch(&t->open, 1, __ATOMIC_RELAXED);
    cyg_waitgroup_done(&t->pairs);
}

/* ---- accepting ---------------------------------------------------------------------------------------------------- */

static void refuse(const struct arrival *a, enum cyg_gw_ending why) {
    reset(a->conn);
    cyg_gw_l4_finish(a->server, a->l4,
                     &(struct cyg_gw_l4_record){.ending = why, .started = a->started, .client = &a->client});
}

/* Starts the connection's goroutine with a copy of a. Returns: 0, CYG_ENOMEM, CYG_ELIMIT. */
static int start(const struct arrival *a) {
    struct arrival *own = malloc(sizeof *own);
    if (!own) return CYG_ENOMEM;
    *own = *a;
    cyg_gw_l4_acquire(own->l4);
    int err = cyg_go_with(&(cyg_go_opts){.name = "tcp"}, connection, own);
    if (err == 0) return 0;
    cyg_gw_l4_release(own->l4);
    free(own);
    return err;
}

/* Starts the connection's goroutine, if the limits allow it. */
static void admit(struct arrival *a) {
    struct cyg_gw_tcp *t = own_of(a->server);
    const struct cyg_gw_limits *limits = &a->l4->limits;
    bool by_address = limits->max_connections_per_address > 0 && a->client.family != CYG_AF_UNIX;
    if (__atomic_load_n(&t->open, __ATOMIC_RELAXED) >= limits->max_connections) {
        refuse(a, CYG_GW_END_CONNECTION_LIMIT);
        return;
    }
    if (by_address && !address_enter(t, &a->client, limits->max_connections_per_address)) {
        refuse(a, CYG_GW_END_ADDRESS_LIMIT);
        return;
    }
    a->by_address = by_address;
    __atomic_add_fetch(&t->open, 1, __ATOMIC_RELAXED);
    cyg_waitgroup_add(&t->pairs, 1);
    if (start(a) == 0) return;
    cyg_waitgroup_done(&t->pairs);
    __atomic_sub_fetch(&t->open, 1, __ATOMIC_RELAXED);
    if (by_address) address_leave(t, &a->client);
    refuse(a, CYG_GW_END_NO_MEMORY);
}

static void arrive(struct cyg_gw_server *s, cyg_conn *c) {
    struct arrival a = {.server = s, .conn = c, .started = cyg_now()};
    (void)cyg_conn_peer_addr(c, &a.client);
    cyg_snapshot_hold hold;
    const struct cyg_gw_snapshot *snapshot;
    struct cyg_gw_front *front = cyg_gw_hold_front(s, &hold, &snapshot);
    if (!front) {
        reset(c);
        return;
    }
    a.l4 = front->l4;
    admit(&a);
    cyg_snapshot_drop(&hold);
}

static void accept_loop(void *arg) {
    struct cyg_gw_server *s = arg;
    struct cyg_gw_tcp *t = own_of(s);
    cyg_ctx_scope scope = cyg_ctx_enter(t->accepting);
    int err;
    for (;;) {
        cyg_conn *c;
        err = cyg_accept(t->listener, &c);
        if (err == CYG_ENOMEM && cyg_sleep(NO_MEMORY_PAUSE) == 0) continue; /* that one is lost; the next may not be */
        if (err < 0) break;
        arrive(s, c);
    }
    cyg_ctx_leave(&scope);
    if (err != CYG_ECLOSED && err != CYG_ECANCELED)
        cyg_gw_event("error", "accept-failed", "address=%s error=\"%s\"", s->text, cyg_strerror(err));
    cyg_waitgroup_done(&t->accepts);
}

/* ---- the protocol's row ------------------------------------------------------------------------------------------- */

/* Every connection looks up the snapshot in force: a reload has nothing to prepare. */
static int tcp_prepare(struct cyg_gw_server *s, const struct cyg_gw_listener *l, void **out) {
    (void)s, (void)l, (void)out;
    return 0;
}

static void tcp_discard(void *prepared) { (void)prepared; }

static void tcp_serve(struct cyg_gw_server *s, void *prepared) {
    struct cyg_gw_tcp *t = own_of(s);
    (void)prepared;
    t->accepting = cyg_ctx_with_cancel(cyg_ctx_background());
    cyg_waitgroup_add(&t->accepts, 1);
    if (cyg_go_with(&(cyg_go_opts){.name = "accept"}, accept_loop, s) < 0) {
        cyg_gw_event("error", "accept-failed", "address=%s error=\"out of memory\"", s->text);
        cyg_waitgroup_done(&t->accepts);
    }
}

static void stop_accepting(struct cyg_gw_server *s) {
    struct cyg_gw_tcp *t = own_of(s);
    if (t->accepting) {
        cyg_ctx_cancel(t->accepting, 0);
        (void)cyg_waitgroup_wait(&t->accepts);
        cyg_ctx_release(t->accepting);
        t->accepting = NULL;
    }
    cyg_mutex_lock(&s->gw->lock); /* scrapes look at the listener */
    cyg_listener *l = t->listener;
    t->listener = NULL;
    cyg_mutex_unlock(&s->gw->lock);
    if (l) cyg_listener_close(l);
}

static uint64_t tcp_shutdown(struct cyg_gw_server *s, cyg_time deadline) {
    struct cyg_gw_tcp *t = own_of(s);
    stop_accepting(s);
    if (cyg_waitgroup_wait_until(&t->pairs, deadline) == 0) return 0;
    cyg_ctx_cancel(t->relaying, 0);
    (void)cyg_waitgroup_wait_until(&t->pairs, cyg_now() + CUT_WAIT);
    return __atomic_load_n(&t->open, __ATOMIC_RELAXED);
}

static void tcp_count(struct cyg_gw_server *s) { cyg_gw_tcp_count(own_of(s)); }

static void tcp_stats(const struct cyg_gw_server *s, struct cyg_gw_server_numbers *out) {
    const struct cyg_gw_tcp *t = own_of(s);
    out->connections += __atomic_load_n(&t->open, __ATOMIC_RELAXED);
    out->half_closed += __atomic_load_n(&t->half_closed, __ATOMIC_RELAXED);
    if (t->listener) cyg_listener_get_stats(t->listener, &out->sockets);
}

static void tcp_free(struct cyg_gw_server *s) {
    struct cyg_gw_tcp *t = own_of(s);
    stop_accepting(s);
    cyg_ctx_release(t->relaying);
    cyg_map_free(t->addresses);
    free(t);
}

const struct cyg_gw_protocol_ops cyg_gw_tcp_ops = {
    .word = "tcp",
    .open = tcp_open,
    .prepare = tcp_prepare,
    .discard = tcp_discard,
    .serve = tcp_serve,
    .shutdown = tcp_shutdown,
    .count = tcp_count,
    .stats = tcp_stats,
    .free = tcp_free,
};
