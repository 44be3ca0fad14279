/* gateway_rig.c: see gateway_rig.h. */
#include "gateway_rig.h"

struct rig rig;

static void gateway(cyg_http_req *req, cyg_http_res *res, void *arg) {
    (void)arg;
    cyg_http_forward_opts o = rig.opts;
    cyg_http_forward_result r;
    if (rig.timeout) o.deadline = cyg_now_cached() + rig.timeout;
    int err = cyg_http_forward(req, res, rig.pool, &o, &r);
    if (!r.answered)
        cyg_http_printf(res, r.status == CYG_FORWARD_CLIENT_BODY ? 400 : 502, NULL, "%s", cyg_http_forward_reason(r.status));
    if (err != r.err) abort();
    rig.last = r;
    __atomic_add_fetch(&rig.ended, 1, __ATOMIC_ACQ_REL);
}

int rig_up(void (*script)(cyg_conn *c, int nth), const cyg_http_server_opts *opts) {
    memset(&rig, 0, sizeof rig);
    rig.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    int err = upstream_up(&rig.up, script);
    if (err == 0) err = cyg_http_pool_new(&rig.up.addr, &(cyg_http_pool_opts){.conns = {.max_open = 1}}, &rig.pool);
    return err < 0 ? err : server_up(&rig.gw, gateway, NULL, opts);
}

int rig_down(void) {
    int err = server_down(&rig.gw);
    cyg_http_pool_close(rig.pool);
    upstream_down(&rig.up);
    return err;
}

void answer_and_close(cyg_conn *c, int nth) {
    (void)nth;
    get_until(c, &rig.got, "\r\n\r\n");
    put(c, rig.answer);
}

void answer_whenever(cyg_conn *c, const char *mark) {
    struct text *t = calloc(1, sizeof *t);
    for (;;) {
        t->n = 0;
        t->p[0] = 0;
        get_until(c, t, mark);
        if (!has(t, mark)) break;
        memcpy(rig.got.p, t->p, t->n + 1); /* whole, and before the client can know */
        rig.got.n = t->n;
        if (put(c, rig.answer) < 0) break;
    }
    free(t);
}

void answer_always(cyg_conn *c, int nth) {
    (void)nth;
    answer_whenever(c, "\r\n\r\n");
}
