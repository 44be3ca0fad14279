/* server_http.c: the listeners of HTTP, and the admin address: a socket, and on it one HTTP server or, after reloads that changed its
 * options, several.
 */
#include "gateway/event.h"
#include "gateway/state.h"

#include <cygnet/runtime.h>
#include <stdlib.h>

/* The HTTP servers of a socket: the first accepts; behind it stand those with older options, for as long as they have
 * connections, which keep the options that they began with. */
struct http {
    cyg_http_server *http;
    cyg_http_server_opts opts;
    struct http *older;
};

struct own {
    cyg_listener *listener; /* NULL once closed */
    struct http *http;      /* guarded by gw->lock; NULL once drained */
    cyg_ctx *accepting; /* cancelled to stop the accept loop without closing the socket; of the reloading goroutine */
    cyg_waitgroup accepts; /* 1 while the accept loop runs */
};

static struct own *own_of(const struct cyg_gw_server *s) { return s->own; }

static int http_open(struct cyg_gw_server *s, const char *network, const char *bind) {
    struct own *o = calloc(1, sizeof *o);
    if (!o) return CYG_ENOMEM;
    int err = cyg_listen(network, bind, NULL, &o->listener);
    if (err < 0) {
        free(o);
        return err;
    }
    cyg_addr bound;
    cyg_listener_addr(o->listener, &bound);
    cyg_addr_format(&bound, s->text, sizeof s->text);
    s->own = o;
    return 0;
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

/* The options that a listener's configuration asks for. */
static cyg_http_server_opts opts_of(const struct cyg_gw_listener *l) {
    return (cyg_http_server_opts){
        .max_head_bytes = l->limits.max_head_bytes,
        .max_fields = (unsigned)l->limits.max_fields,
        .max_body_bytes = (int64_t)l->limits.max_body_bytes,
        .max_conns = l->limits.max_connections,
        .head_timeout = l->timeouts.head,
        .idle_timeout = l->timeouts.idle,
        .body_timeout = l->timeouts.body,
        .write_timeout = l->timeouts.write,
        .on_refused = cyg_gw_refused,
        .on_begin = l->proxy_protocol.naccept_from > 0 ? cyg_gw_begin : NULL,
    };
}

static bool same_opts(const cyg_http_server_opts *a, const cyg_http_server_opts *b) {
    return a->max_head_bytes == b->max_head_bytes && a->max_fields == b->max_fields &&
           a->max_body_bytes == b->max_body_bytes && a->max_conns == b->max_conns &&
           a->head_timeout == b->head_timeout && a->idle_timeout == b->idle_timeout &&
           a->body_timeout == b->body_timeout && a->write_timeout == b->write_timeout && a->on_begin == b->on_begin;
}

static void http_discard(void *prepared) {
    for (struct http *h = prepared, *older; h; h = older) {
        older = h->older;
        cyg_http_server_release(h->http);
        free(h);
    }
}

static int http_prepare(struct cyg_gw_server *s, const struct cyg_gw_listener *l, void **out) {
    struct own *o = own_of(s);
    cyg_http_server_opts opts = l ? opts_of(l) : (cyg_http_server_opts){0};
    if (o->http && same_opts(&o->http->opts, &opts)) return 0;
    struct http *h = calloc(1, sizeof *h);
    if (!h) return CYG_ENOMEM;
    h->opts = opts;
    opts.on_refused_arg = opts.on_begin_arg = s;
    int err = cyg_http_server_new(l ? cyg_gw_handle : cyg_gw_admin_handle, s, &opts, &h->http);
    if (err < 0)
        free(h);
    else
        *out = h;
    return err;
}

/* ---- accepting -------------------------------------------------------------------------------------------------- */

static void accept_loop(void *arg) {
    struct cyg_gw_server *s = arg;
    struct own *o = own_of(s);
    cyg_ctx_scope scope = cyg_ctx_enter(o->accepting);
    int err = cyg_http_server_serve(o->http->http, o->listener);
    cyg_ctx_leave(&scope);
    if (err != CYG_ECLOSED && err != CYG_ECANCELED)
        cyg_gw_event("error", "accept-failed", "address=%s error=\"%s\"", s->text, cyg_strerror(err));
    cyg_waitgroup_done(&o->accepts);
}

/* Stops the accept loop, if there is one; connections stay, and so does the socket. */
static void stop_accepting(struct own *o) {
    if (!o->accepting) return;
    cyg_ctx_cancel(o->accepting, 0);
    (void)cyg_waitgroup_wait(&o->accepts);
    cyg_ctx_release(o->accepting);
    o->accepting = NULL;
}

/* Takes out the older ones that no connection uses any more; no new ones come to them. */
static void drop_unused(struct http *h) {
    for (struct http **link = &h->older, *older; (older = *link);) {
        cyg_http_server_stats stats;
        cyg_http_server_get_stats(older->http, &stats);
        if (stats.conns > 0) {
            link = &older->older;
            continue;
        }
        *link = older->older;
        older->older = NULL;
        http_discard(older);
    }
}

/* The connections of the HTTP server before stay with it. */
static void http_serve(struct cyg_gw_server *s, void *prepared) {
    struct own *o = own_of(s);
    struct http *h = prepared;
    stop_accepting(o);
    cyg_mutex_lock(&s->gw->lock);
    h->older = o->http;
    drop_unused(h);
    o->http = h;
    cyg_mutex_unlock(&s->gw->lock);
    o->accepting = cyg_ctx_with_cancel(cyg_ctx_background());
    cyg_waitgroup_add(&o->accepts, 1);
    if (cyg_go_with(&(cyg_go_opts){.name = "accept"}, accept_loop, s) < 0) {
        cyg_gw_event("error", "accept-failed", "address=%s error=\"out of memory\"", s->text);
        cyg_waitgroup_done(&o->accepts);
    }
}

/* Closes idle connections, lets requests finish. */
static uint64_t http_shutdown(struct cyg_gw_server *s, cyg_time deadline) {
    struct own *o = own_of(s);
    uint64_t left = 0;
    /* The one that accepts is the first, so that nothing new comes while the older ones drain. */
    for (struct http *h = o->http; h; h = h->older) {
        if (cyg_http_server_shutdown(h->http, deadline) == 0) continue;
        cyg_http_server_stats stats;
        cyg_http_server_get_stats(h->http, &stats);
        left += stats.requests;
    }
    stop_accepting(o);
    cyg_mutex_lock(&s->gw->lock);
    http_discard(o->http);
    o->http = NULL;
    cyg_mutex_unlock(&s->gw->lock);
    if (o->listener) cyg_listener_close(o->listener);
    o->listener = NULL;
    return left;
}

static void http_stats(const struct cyg_gw_server *s, struct cyg_gw_server_numbers *out) {
    const struct own *o = own_of(s);
    for (const struct http *h = o->http; h; h = h->older) {
        cyg_http_server_stats one;
        cyg_http_server_get_stats(h->http, &one);
        out->connections += one.conns;
        out->requests += one.requests;
    }
    if (o->http && o->listener) cyg_listener_get_stats(o->listener, &out->sockets);
}

static void http_free(struct cyg_gw_server *s) {
    struct own *o = own_of(s);
    stop_accepting(o);
    http_discard(o->http);
    if (o->listener) cyg_listener_close(o->listener);
    free(o);
}

const struct cyg_gw_protocol_ops cyg_gw_http_ops = {
    .word = "http",
    .open = http_open,
    .prepare = http_prepare,
    .discard = http_discard,
    .serve = http_serve,
    .shutdown = http_shutdown,
    .stats = http_stats,
    .free = http_free,
};
