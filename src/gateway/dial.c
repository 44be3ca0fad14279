/* dial.c: see dial.h. */
#include "gateway/dial.h"

#include <cygnet/context.h>
#include <cygnet/runtime.h>
#include <errno.h>

static int dial_one(const struct cyg_gw_upstream *u, bool udp, cyg_conn **out) {
    cyg_dial_opts opts = {.timeout = u->connect_timeout};
    return udp ? cyg_dial("udp", u->address, &opts, out) : cyg_dial_addr(&u->addr, &opts, out);
}

int cyg_gw_dial(struct cyg_gw_upstreams *registry, struct cyg_gw_members *m, bool udp, struct cyg_gw_dialled *out) {
    size_t n = m->config->nendpoints, first = cyg_gw_turns_next(&m->turns, cyg_proc_hint());
    struct cyg_gw_upstream *u = NULL;
    int err = CYG_ECANCELED;
    *out = (struct cyg_gw_dialled){0};
    for (size_t i = 0; i < n; i++) {
        u = m->endpoints[first + i < n ? first + i : first + i - n];
        out->attempts++;
        __atomic_add_fetch(&u->direct.dials, 1, __ATOMIC_RELAXED);
        err = dial_one(u, udp, &out->conn);
        if (err == 0) break;
        if (cyg_ctx_err(cyg_ctx_current()) < 0) break;
        __atomic_add_fetch(&u->direct.dial_errors, 1, __ATOMIC_RELAXED);
    }
    out->upstream = cyg_gw_upstream_acquire(registry, u);
    if (err == 0) __atomic_add_fetch(&u->direct.open, 1, __ATOMIC_RELAXED);
    return err;
}

enum cyg_gw_ending cyg_gw_dial_ending(int err) {
    if (err == CYG_ECANCELED) return CYG_GW_END_DRAINED;
    if (err == -EADDRNOTAVAIL) return CYG_GW_END_PORTS_EXHAUSTED;
    if (err == CYG_ENOMEM || err == -EMFILE || err == -ENFILE) return CYG_GW_END_NO_MEMORY;
    return CYG_GW_END_NO_HEALTHY_UPSTREAM;
}

void cyg_gw_hang_up(struct cyg_gw_upstreams *registry, struct cyg_gw_dialled *d) {
    if (d->conn) {
        (void)cyg_close(d->conn);
        __atomic_sub_fetch(&d->upstream->direct.open, 1, __ATOMIC_RELAXED);
    }
    if (d->upstream) cyg_gw_upstream_release(registry, d->upstream);
    *d = (struct cyg_gw_dialled){0};
}
