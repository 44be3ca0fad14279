/* mux.c: patterns to handlers. A tree of path segments: literal children before the "{name}" child, and at each node the
 * handlers that end there, exactly or ("/static/") for everything below. Matching walks the path once and backtracks only
 * where a literal and a "{name}" both fit. Built before serving, read without locks afterwards.
 */
#include "http/internal.h"

#include <stdlib.h>

struct entry {
    struct entry *next;
    char *method; /* NULL: every method */
    cyg_http_handler *handler;
    void *arg;
    bool below;    /* the pattern ends in a slash */
    char **params; /* names of the "{name}" segments, in order; nparams of them */
    unsigned nparams;
};

struct node {
    struct node *children, *next; /* literal children; sibling */
    struct node *param;           /* the "{name}" child */
    char *segment;                /* literal */
    struct entry *entries;
};

struct cyg_http_mux {
    struct node root;
};

struct match {
    cyg_str method;
    const struct entry *hit;  /* the best so far: exact, else the deepest "below" */
    const struct node *other; /* a node whose entries fit the path but not the method */
    cyg_str values[HTTP_MAX_PARAMS];
    cyg_str hit_values[HTTP_MAX_PARAMS];
};

static char *copy(const char *p, size_t n) {
    char *z = malloc(n + 1);
    if (!z) abort();
    memcpy(z, p, n);
    z[n] = 0;
    return z;
}

cyg_http_mux *cyg_http_mux_new(void) {
    cyg_http_mux *m = calloc(1, sizeof *m);
    if (!m) abort();
    return m;
}

static void entry_free(struct entry *e) {
    for (unsigned i = 0; i < e->nparams; i++) free(e->params[i]);
    free(e->params);
    free(e->method);
    free(e);
}

static void node_clear(struct node *n) {
    for (struct entry *e = n->entries, *next; e; e = next) {
        next = e->next;
        entry_free(e);
    }
    for (struct node *c = n->children, *next; c; c = next) {
        next = c->next;
        node_clear(c);
        free(c);
    }
    if (n->param) node_clear(n->param);
    free(n->param);
    free(n->segment);
}

void cyg_http_mux_free(cyg_http_mux *mux) {
    if (!mux) return;
    node_clear(&mux->root);
    free(mux);
}

/* ---- adding ----------------------------------------------------------------------------------------------------- */

static struct node *node_new(void) {
    struct node *n = calloc(1, sizeof *n);
    if (!n) abort();
    return n;
}

static struct node *child_literal(struct node *n, const char *p, size_t len) {
    for (struct node *c = n->children; c; c = c->next)
        if (strlen(c->segment) == len && memcmp(c->segment, p, len) == 0) return c;
    struct node *c = node_new();
    c->segment = copy(p, len);
    c->next = n->children;
    n->children = c;
    return c;
}

/* Walks and makes the nodes of a path; fills in e->params and e->below. NULL: the pattern is malformed. */
static struct node *make_path(struct node *n, const char *p, struct entry *e) {
    if (*p != '/') return NULL;
    while (*p == '/') {
        const char *seg = ++p;
        while (*p && *p != '/') p++;
        size_t len = (size_t)(p - seg);
        if (len == 0) {
            if (*p) return NULL; /* "//" */
            e->below = true;
            return n;
        }
        if (seg[0] != '{') {
            n = child_literal(n, seg, len);
            continue;
        }
        if (len < 3 || seg[len - 1] != '}' || e->nparams == HTTP_MAX_PARAMS) return NULL;
        e->params[e->nparams++] = copy(seg + 1, len - 2);
        if (!n->param) n->param = node_new();
        n = n->param;
    }
    return *p ? NULL : n;
}

static bool same_method(const struct entry *a, const struct entry *b) {
    return a->below == b->below &&
           (a->method == b->method || (a->method && b->method && strcmp(a->method, b->method) == 0));
}

int cyg_http_handle(cyg_http_mux *mux, const char *pattern, cyg_http_handler *handler, void *arg) {
    struct entry *e = calloc(1, sizeof *e);
    char **params = calloc(HTTP_MAX_PARAMS, sizeof *params);
    if (!e || !params) abort();
    *e = (struct entry){.handler = handler, .arg = arg, .params = params};
    const char *path = strchr(pattern, ' ');
    if (path) e->method = copy(pattern, (size_t)(path - pattern));
    path = path ? path + 1 : pattern;
    struct node *n =
        handler && !(e->method && !cyg_h1_name_ok(cyg_str_of(e->method))) ? make_path(&mux->root, path, e) : NULL;
    int err = n ? 0 : CYG_EINVAL;
    for (struct entry *o = n ? n->entries : NULL; o; o = o->next)
        if (same_method(o, e)) err = CYG_ESTATE; /* there already */
    if (err < 0) {
        entry_free(e);
        return err;
    }
    e->next = n->entries;
    n->entries = e;
    return 0;
}

/* ---- matching --------------------------------------------------------------------------------------------------- */

static bool method_fits(const struct entry *e, cyg_str method) {
    if (!e->method) return true;
    cyg_str m = cyg_str_of(e->method);
    return cyg_str_eq(m, method) || (cyg_str_eq(method, CYG_STR("HEAD")) && cyg_str_eq(m, CYG_STR("GET")));
}

/* The entry of a node for this method; one that names the method exactly wins. */
static const struct entry *pick(const struct node *n, struct match *m, bool below) {
    const struct entry *best = NULL;
    for (const struct entry *e = n->entries; e; e = e->next) {
        if (e->below != below) continue;
        if (!method_fits(e, m->method)) {
            if (!m->other) m->other = n;
            continue;
        }
        if (!best || !best->method || (e->method && cyg_str_eq(cyg_str_of(e->method), m->method))) best = e;
    }
    return best;
}

static void keep(struct match *m, const struct entry *e) {
    m->hit = e;
    memcpy(m->hit_values, m->values, e->nparams * sizeof *m->values);
}

/* path starts behind the slash that ends the segments matched so far; end: there was no slash. Whether it ended the search. */
static bool walk(const struct node *n, cyg_str path, bool end, unsigned nvalues, struct match *m) {
    if (end) {
        const struct entry *e = pick(n, m, false);
        if (e) keep(m, e);
        return e != NULL;
    }
    const char *slash = path.n ? memchr(path.p, '/', path.n) : NULL;
    cyg_str seg = {path.p, slash ? (size_t)(slash - path.p) : path.n};
    cyg_str rest = slash ? (cyg_str){slash + 1, path.n - seg.n - 1} : (cyg_str){NULL, 0};
    for (const struct node *c = n->children; c && seg.n > 0; c = c->next)
        if (cyg_str_eq(cyg_str_of(c->segment), seg)) {
            if (walk(c, rest, !slash, nvalues, m)) return true;
            break;
        }
    if (n->param && seg.n > 0) {
        m->values[nvalues] = seg;
        if (walk(n->param, rest, !slash, nvalues + 1, m)) return true;
    }
    const struct entry *e = pick(n, m, true);
    if (e) keep(m, e);
    return e != NULL;
}

static void not_allowed(cyg_http_res *res, const struct node *n) {
    char allow[256];
    size_t at = 0;
    for (const struct entry *e = n->entries; e; e = e->next) {
        size_t k = e->method ? strlen(e->method) : 0;
        if (k == 0 || at + k + 2 > sizeof allow) continue;
        if (at > 0) {
            memcpy(allow + at, ", ", 2);
            at += 2;
        }
        memcpy(allow + at, e->method, k);
        at += k;
    }
    (void)cyg_http_res_add(res, CYG_STR("Allow"), (cyg_str){allow, at});
    (void)cyg_http_send(res, 405, "text/plain", "method not allowed\n", 19);
}

void cyg_http_mux_serve(cyg_http_req *req, cyg_http_res *res, void *arg) {
    const cyg_http_mux *mux = arg;
    cyg_str path = cyg_http_req_path(req);
    struct match m;
    m.method = req->h.method;
    m.hit = NULL;
    m.other = NULL;
    if (path.n > 0 && path.p[0] == '/') (void)walk(&mux->root, (cyg_str){path.p + 1, path.n - 1}, false, 0, &m);
    if (m.hit) {
        req->nparams = (uint8_t)m.hit->nparams;
        for (unsigned i = 0; i < req->nparams; i++) {
            req->params[i].name = cyg_str_of(m.hit->params[i]);
            req->params[i].value = m.hit_values[i];
        }
        m.hit->handler(req, res, m.hit->arg);
    } else if (m.other) {
        not_allowed(res, m.other);
    } else {
        (void)cyg_http_send(res, 404, "text/plain", "not found\n", 10);
    }
}
