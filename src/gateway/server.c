/* server.c: see server.h. */
#include "gateway/server.h"

#include "gateway/event.h"
#include "gateway/state.h"

#include <cygnet/runtime.h>
#include <stdlib.h>

int cyg_gw_server_open(struct cyg_gw *gw, const char *network, const char *bind, const cyg_addr *addr,
                       struct cyg_gw_server **out) {
    struct cyg_gw_server *s = calloc(1, sizeof *s);
    if (!s) return CYG_ENOMEM;
    s->gw = gw;
    s->addr = *addr;
    int err = cyg_listen(network, bind, NULL, &s->listener);
    if (err < 0) {
        free(s);
        return err;
    }
    cyg_addr bound;
    cyg_listener_addr(s->listener, &bound);
    cyg_addr_format(&bound, s->text, sizeof s->text);
    s->last = cyg_snapshot_new(NULL);
    *out = s;
    return 0;
}

int cyg_gw_server_prepare(struct cyg_gw_server *s, cyg_http_handler *handler, const cyg_http_server_opts *opts,
                          struct cyg_gw_http **out) {
    struct cyg_gw_http *h = calloc(1, sizeof *h);
    if (!h) return CYG_ENOMEM;
    cyg_http_server_opts o = *opts;
    o.on_refused_arg = s;
    int err = cyg_http_server_new(handler, s, &o, &h->http);
    if (err < 0)
        free(h);
    else
        *out = h;
    return err;
}

void cyg_gw_http_free(struct cyg_gw_http *h) {
    for (struct cyg_gw_http *older; h; h = older) {
        older = h->older;
        cyg_http_server_release(h->http);
        free(h);
    }
}

static void accept_loop(void *arg) {
    struct cyg_gw_server *s = arg;
    cyg_ctx_scope scope = cyg_ctx_enter(s->accepting);
    int err = cyg_http_server_serve(s->http->http, s->listener);
    cyg_ctx_leave(&scope);
    if (err != CYG_ECLOSED && err != CYG_ECANCELED)
        cyg_gw_event("error", "accept-failed", "address=%s error=\"%s\"", s->text, cyg_strerror(err));
    cyg_waitgroup_done(&s->accepts);
}

/* Stops the accept loop, if there is one; connections stay, and so does the socket. */
static void stop_accepting(struct cyg_gw_server *s) {
    if (!s->accepting) return;
    cyg_ctx_cancel(s->accepting, 0);
    (void)cyg_waitgroup_wait(&s->accepts);
    cyg_ctx_release(s->accepting);
    s->accepting = NULL;
}

/* Takes out the older ones that no connection uses any more; no new ones come to them. */
static void drop_unused(struct cyg_gw_http *h) {
    for (struct cyg_gw_http **link = &h->older, *older; (older = *link);) {
        cyg_http_server_stats stats;
        cyg_http_server_get_stats(older->http, &stats);
        if (stats.conns > 0) {
            link = &older->older;
            continue;
        }
        *link = older->older;
        older->older = NULL;
        cyg_gw_http_free(older);
    }
}

void cyg_gw_server_serve(struct cyg_gw_server *s, struct cyg_gw_http *http) {
    stop_accepting(s);
    cyg_mutex_lock(&s->gw->lock);
    http->older = s->http;
    drop_unused(http);
    s->http = http;
    cyg_mutex_unlock(&s->gw->lock);
    s->accepting = cyg_ctx_with_cancel(cyg_ctx_background());
    cyg_waitgroup_add(&s->accepts, 1);
    if (cyg_go_with(&(cyg_go_opts){.name = "accept"}, accept_loop, s) < 0) {
        cyg_gw_event("error", "accept-failed", "address=%s error=\"out of memory\"", s->text);
        cyg_waitgroup_done(&s->accepts);
    }
}

uint64_t cyg_gw_server_shutdown(struct cyg_gw_server *s, cyg_time deadline) {
    uint64_t left = 0;
    /* The one that accepts is the first, so that nothing new comes while the older ones drain. */
    for (struct cyg_gw_http *h = s->http; h; h = h->older) {
        if (cyg_http_server_shutdown(h->http, deadline) == 0) continue;
        cyg_http_server_stats stats;
        cyg_http_server_get_stats(h->http, &stats);
        left += stats.requests;
    }
    stop_accepting(s);
    cyg_mutex_lock(&s->gw->lock);
    cyg_gw_http_free(s->http);
    s->http = NULL;
    cyg_mutex_unlock(&s->gw->lock);
    if (s->listener) cyg_listener_close(s->listener);
    s->listener = NULL;
    return left;
}

void cyg_gw_server_stats(const struct cyg_gw_server *s, cyg_http_server_stats *out) {
    *out = (cyg_http_server_stats){0};
    for (const struct cyg_gw_http *h = s->http; h; h = h->older) {
        cyg_http_server_stats one;
        cyg_http_server_get_stats(h->http, &one);
        out->conns += one.conns;
        out->requests += one.requests;
    }
}

void cyg_gw_server_free(struct cyg_gw_server *s) {
    if (!s) return;
    stop_accepting(s);
    cyg_gw_http_free(s->http);
    if (s->listener) cyg_listener_close(s->listener);
    cyg_snapshot_free(s->last);
    free(s);
}

cyg_http_server_opts cyg_gw_server_opts(const struct cyg_gw_listener *l) {
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
    };
}

bool cyg_gw_server_opts_equal(const cyg_http_server_opts *a, const cyg_http_server_opts *b) {
    return a->max_head_bytes == b->max_head_bytes && a->max_fields == b->max_fields &&
           a->max_body_bytes == b->max_body_bytes && a->max_conns == b->max_conns &&
           a->head_timeout == b->head_timeout && a->idle_timeout == b->idle_timeout &&
           a->body_timeout == b->body_timeout && a->write_timeout == b->write_timeout;
}
