/* harness.c: see harness.h. */
#include "harness.h"

int runtime_up(void **state) {
    (void)state;
    return cyg_runtime_start(&(cyg_runtime_opts){.maxprocs = 2, .stack_size = 4 << 20});
}

int runtime_down(void **state) {
    (void)state;
    return cyg_runtime_stop();
}

static void serve(void *arg) {
    struct server *sv = arg;
    sv->serve_err = cyg_http_server_serve(sv->s, sv->l);
    cyg_waitgroup_done(&sv->done);
}

int server_up(struct server *sv, cyg_http_handler *handler, void *arg, const cyg_http_server_opts *opts) {
    memset(sv, 0, sizeof *sv);
    int err = cyg_http_server_new(handler, arg, opts, &sv->s);
    if (err == 0) err = cyg_listen("tcp", "127.0.0.1:0", NULL, &sv->l);
    if (err < 0) return err;
    cyg_listener_addr(sv->l, &sv->addr);
    cyg_waitgroup_add(&sv->done, 1);
    return cyg_go(serve, sv);
}

int server_down(struct server *sv) {
    int err = cyg_http_server_shutdown(sv->s, cyg_now() + PATIENCE);
    cyg_waitgroup_wait(&sv->done);
    cyg_listener_close(sv->l);
    cyg_http_server_release(sv->s);
    return err;
}

struct visit {
    struct upstream *u;
    cyg_conn *c;
    int nth;
};

static void visit(void *arg) {
    struct visit *v = arg;
    cyg_set_deadline(v->c, cyg_now() + 2 * PATIENCE);
    v->u->script(v->c, v->nth);
    cyg_close(v->c);
    cyg_waitgroup_done(&v->u->done);
}

static void welcome(void *arg) {
    struct upstream *u = arg;
    for (cyg_conn *c; cyg_accept(u->l, &c) == 0;) {
        struct visit v = {u, c, __atomic_fetch_add(&u->accepted, 1, __ATOMIC_RELAXED)};
        cyg_waitgroup_add(&u->done, 1);
        cyg_go_copy(visit, &v);
    }
    cyg_waitgroup_done(&u->done);
}

int upstream_up(struct upstream *u, void (*script)(cyg_conn *c, int nth)) {
    memset(u, 0, sizeof *u);
    u->script = script;
    int err = cyg_listen("tcp", "127.0.0.1:0", NULL, &u->l);
    if (err < 0) return err;
    cyg_listener_addr(u->l, &u->addr);
    cyg_waitgroup_add(&u->done, 1);
    return cyg_go(welcome, u);
}

void upstream_down(struct upstream *u) {
    cyg_listener_close(cyg_listener_acquire(u->l));
    cyg_waitgroup_wait(&u->done);
    cyg_listener_release(u->l);
}

cyg_conn *dial(const cyg_addr *a) {
    cyg_conn *c = NULL;
    if (cyg_dial_addr(a, NULL, &c) < 0) return NULL;
    cyg_set_deadline(c, cyg_now() + PATIENCE);
    return c;
}

int put(cyg_conn *c, const char *s) {
    ssize_t n = cyg_write(c, s, strlen(s));
    return n < 0 ? (int)n : 0;
}

static bool more(cyg_conn *c, struct text *t) {
    ssize_t n = cyg_read(c, t->p + t->n, sizeof t->p - 1 - t->n);
    if (n < 0)
        t->end = (int)n;
    else
        t->n += (size_t)n;
    t->p[t->n] = 0;
    return n > 0;
}

void get_all(cyg_conn *c, struct text *t) {
    while (t->n < sizeof t->p - 1 && more(c, t)) {}
}

void get_until(cyg_conn *c, struct text *t, const char *mark) {
    while (!strstr(t->p, mark) && t->n < sizeof t->p - 1 && more(c, t)) {}
}

struct text *ask(const cyg_addr *a, const char *request) {
    static struct text t;
    t.n = 0;
    t.p[0] = 0;
    t.end = 0;
    cyg_conn *c = dial(a);
    if (!c) return &t;
    if (put(c, request) == 0) get_all(c, &t);
    cyg_close(c);
    return &t;
}

bool has(const struct text *t, const char *s) { return strstr(t->p, s) != NULL; }

int count(const struct text *t, const char *s) {
    int n = 0;
    for (const char *p = t->p; (p = strstr(p, s)) != NULL; p += strlen(s)) n++;
    return n;
}
