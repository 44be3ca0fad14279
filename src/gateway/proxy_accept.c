/* proxy_accept.c: see proxy_accept.h. */
#include "gateway/proxy_accept.h"

#include "proto/proxy_header.h"

#include <stdlib.h>

_Static_assert(CYG_GW_PROXY_HEADER >= CYG_PROXY_V1_MAX && CYG_GW_PROXY_HEADER >= CYG_PROXY_V2_MAX,
               "room for either version");

void cyg_gw_proxy_counters_init(struct cyg_gw_proxy_counters *c, cyg_metrics *registry, const char *listener) {
    struct {
        const char *word;
        cyg_counter **counter;
    } rows[] = {{"accepted", &c->accepted}, {"local", &c->local},     {"untrusted", &c->untrusted},
                {"invalid", &c->invalid},   {"timeout", &c->timeout}, {"ended", &c->ended}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        *rows[i].counter = cyg_counter_new(registry, "cygnet_proxy_protocol_total",
                                           "Connections by what came of their PROXY protocol header.",
                                           (cyg_label[]){{"listener", listener}, {"result", rows[i].word}}, 2);
}

/* ---- addresses -------------------------------------------------------------------------------------------------- */

static void to_addr(const struct cyg_proxy_header *h, const struct cyg_proxy_end *e, cyg_addr *out) {
    *out = (cyg_addr){.port = e->port};
    switch (h->family) {
    case CYG_PROXY_IPV4: out->family = CYG_AF_IPV4; break;
    case CYG_PROXY_IPV6: out->family = CYG_AF_IPV6; break;
    default: {
        size_t n = e->path.n < sizeof out->path ? e->path.n : sizeof out->path - 1;
        out->family = CYG_AF_UNIX;
        if (n) memcpy(out->path, e->path.p, n);
        if (n && !out->path[0]) out->path[0] = '@';
        return;
    }
    }
    memcpy(out->ip, e->ip, sizeof out->ip);
}

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:0:0/96: IPv4 on a socket of IPv6 */

static bool is_mapped(const cyg_addr *a) {
    return a->family == CYG_AF_IPV6 && memcmp(a->ip, mapped, sizeof mapped) == 0;
}

static void put_end(const cyg_addr *a, bool v4, struct cyg_proxy_end *out) {
    out->port = a->port;
    if (v4) {
        memcpy(out->ip, a->ip + (a->family == CYG_AF_IPV6 ? sizeof mapped : 0), 4);
    } else if (a->family == CYG_AF_IPV4) { /* the other end is of IPv6 */
        memcpy(out->ip, mapped, sizeof mapped);
        memcpy(out->ip + sizeof mapped, a->ip, 4);
    } else {
        memcpy(out->ip, a->ip, 16);
    }
}

size_t cyg_gw_proxy_header(const struct cyg_gw_parties *parties, enum cyg_gw_proxy_version version, bool datagram,
                           char out[CYG_GW_PROXY_HEADER]) {
    const cyg_addr *source = &parties->client, *destination = &parties->local;
    struct cyg_proxy_header h = {.datagram = datagram};
    bool v4 = (source->family == CYG_AF_IPV4 || is_mapped(source)) &&
              (destination->family == CYG_AF_IPV4 || is_mapped(destination));
    bool ip = (source->family == CYG_AF_IPV4 || source->family == CYG_AF_IPV6) &&
              (destination->family == CYG_AF_IPV4 || destination->family == CYG_AF_IPV6);
    h.local = !ip; /* a Unix socket's client has no address worth telling */
    if (ip) {
        h.family = v4 ? CYG_PROXY_IPV4 : CYG_PROXY_IPV6;
        put_end(source, v4, &h.source);
        put_end(destination, v4, &h.destination);
    }
    return version == CYG_GW_PROXY_V1 ? cyg_proxy_write_v1(&h, out) : cyg_proxy_write_v2(&h, out);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* Reads the header into buf (CYG_PROXY_MAX bytes), looking before it takes. Returns: 0, CYG_EPROTO, or the read's error. */
static int read_header(cyg_conn *c, char *buf, struct cyg_proxy_header *h) {
    for (size_t n = 0;;) {
        ssize_t more = cyg_peek(c, buf + n, CYG_PROXY_MAX - n);
        if (more < 0) return more == CYG_EOF && n > 0 ? CYG_EPROTO : (int)more;
        enum cyg_proxy_verdict v = cyg_proxy_parse(buf, n + (size_t)more, h);
        if (v == CYG_PROXY_BAD) return CYG_EPROTO;
        size_t take = v == CYG_PROXY_DONE ? h->bytes - n : (size_t)more;
        ssize_t r = cyg_read_full(c, buf + n, take);
        if (r < 0) return (int)r;
        n += take;
        if (v == CYG_PROXY_DONE) return 0;
    }
}

static int fail(cyg_counter *counter, enum cyg_gw_ending why, int err, enum cyg_gw_ending *ending) {
    if (counter) cyg_counter_add(counter, 1);
    *ending = why;
    return err;
}

int cyg_gw_proxy_accept(cyg_conn *c, const struct cyg_gw_proxy_accept *config, const struct cyg_gw_proxy_counters *counters,
                        struct cyg_gw_parties *parties, enum cyg_gw_ending *ending) {
    if (!cyg_gw_cidrs_contain(config->accept_from, config->naccept_from, &parties->client))
        return fail(counters->untrusted, CYG_GW_END_PROXY_UNTRUSTED, CYG_EPROTO, ending);
    char *buf = malloc(CYG_PROXY_MAX); /* not on the stack, which stays as deep as it was once */
    if (!buf) return fail(NULL, CYG_GW_END_NO_MEMORY, CYG_ENOMEM, ending);
    struct cyg_proxy_header h;
    (void)cyg_set_read_deadline(c, cyg_now() + config->timeout);
    int err = read_header(c, buf, &h);
    (void)cyg_set_read_deadline(c, 0);
    if (err == 0 && !h.local && h.datagram) err = CYG_EPROTO; /* of something else than this connection */
    if (err == 0 && !h.local) {
        to_addr(&h, &h.source, &parties->client);
        to_addr(&h, &h.destination, &parties->local);
    }
    free(buf);
    if (err == CYG_EPROTO) return fail(counters->invalid, CYG_GW_END_PROXY_INVALID, err, ending);
    if (err == CYG_ETIMEDOUT) return fail(counters->timeout, CYG_GW_END_PROXY_TIMEOUT, err, ending);
    if (err == CYG_ECANCELED) return fail(NULL, CYG_GW_END_DRAINED, err, ending);
    if (err < 0) return fail(counters->ended, CYG_GW_END_CLIENT_DISCONNECTED, err, ending);
    cyg_counter_add(h.local ? counters->local : counters->accepted, 1);
    return 0;
}
