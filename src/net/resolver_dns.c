/* resolver_dns.c: asking name servers with c-ares. Its sockets stand in an epoll set of the resolver's own; while something is
 * asked, one goroutine waits for that set and for c-ares' next timeout. Then it ends: an idle resolver has neither goroutine nor descriptor.
 *
 * A question that starts while the goroutine waits needs no signal: its socket is in the set, and the goroutine never waits longer than
 * the shortest timeout, which is that of a first try.
 */
#include <ares.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "net/internal.h"
#include "net/resolver_internal.h"
#include "proto/dns.h"

#define UDP_BYTES 1232 /* of an answer, so that no packet is cut on its way; longer ones come by TCP */
#define EVENTS 16

bool res_dns_exists(void) { return true; }

/* ---- channels ------------------------------------------------------------------------------------------------------- */

static void on_socket(void *arg, ares_socket_t fd, int readable, int writable) {
    struct res_dns *d = &((struct cyg_resolver *)arg)->dns;
    struct epoll_event ev = {.events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u), .data.fd = fd};
    if (!ev.events) {
        (void)epoll_ctl(d->epfd, EPOLL_CTL_DEL, fd, NULL);
        return;
    }
    if (epoll_ctl(d->epfd, EPOLL_CTL_MOD, fd, &ev) < 0 && errno == ENOENT)
        (void)epoll_ctl(d->epfd, EPOLL_CTL_ADD, fd, &ev); /* refused: it stays silent and times out */
}

/* For messages. */
static void name_servers(ares_channel ch, char *out, size_t room) {
    struct ares_addr_port_node *list = NULL;
    size_t at = 0;
    out[0] = 0;
    if (ares_get_servers_ports(ch, &list) != ARES_SUCCESS) return;
    for (struct ares_addr_port_node *s = list; s && at < room; s = s->next) {
        cyg_addr a = {.family = s->family == AF_INET ? CYG_AF_IPV4 : CYG_AF_IPV6,
                      .port = (uint16_t)(s->udp_port ? s->udp_port : NAMESERVER_PORT)};
        memcpy(a.ip, &s->addr, s->family == AF_INET ? 4 : 16);
        char text[CYG_ADDR_STRLEN];
        cyg_addr_format(&a, text, sizeof text);
        at += (size_t)snprintf(out + at, room - at, "%s%s", at ? ", " : "", text);
    }
    ares_free_data(list);
}

/* Search list and ndots, as c-ares has read them. */
static int take_config(struct cyg_resolver *r, struct res_files *f, ares_channel ch) {
    struct ares_options got;
    int mask = 0, err = 0;
    if (ares_save_options(ch, &got, &mask) != ARES_SUCCESS) return CYG_ENOMEM;
    if (mask & ARES_OPT_NDOTS) f->ndots = got.ndots;
    for (int i = 0; !r->o.search && i < got.ndomains && f->nsearch < RES_SEARCH && err != CYG_ENOMEM; i++)
        err = res_files_add_search(f, got.domains[i], strlen(got.domains[i])); /* one that is no name is left out */
    ares_destroy_options(&got);
    return err == CYG_ENOMEM ? err : 0;
}

static int library = ARES_ENOMEM;
static void open_library(void) { library = ares_library_init(ARES_LIB_INIT_ALL); }

int res_dns_open(struct cyg_resolver *r, struct res_files *f, void **channel) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char lookups[] = "b", *path = (char *)(uintptr_t)r->o.resolv_conf;
    struct ares_options o = {.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
                             .timeout = (int)(r->o.timeout / CYG_MILLISECOND),
                             .tries = r->o.attempts,
                             .lookups = lookups,
                             .sock_state_cb = on_socket,
                             .sock_state_cb_data = r,
                             .ednspsz = UDP_BYTES,
                             .resolvconf_path = path};
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB |
               ARES_OPT_EDNSPSZ | ARES_OPT_RESOLVCONF;
    pthread_once(&once, open_library);
    ares_channel ch;
    int e = library == ARES_SUCCESS ? ares_init_options(&ch, &o, mask) : library;
    if (e != ARES_SUCCESS) return cygrt_fail(CYG_ENOMEM, "c-ares: %s", ares_strerror(e));
    int err = 0;
    if (r->o.servers && ares_set_servers_ports_csv(ch, r->o.servers) != ARES_SUCCESS)
        err = cygrt_fail(CYG_EPARSE, "servers \"%.100s\": expected addresses, as 127.0.0.1:53,[::1]:53", r->o.servers);
    if (!err) err = take_config(r, f, ch);
    if (err < 0) {
        ares_destroy(ch);
        return err;
    }
    name_servers(ch, f->servers, sizeof f->servers);
    *channel = ch;
    return 0;
}

void res_dns_close(void *channel) {
    if (channel) ares_destroy(channel);
}

/* ---- answers -------------------------------------------------------------------------------------------------------- */

static struct res_answer *copy_addresses(const struct ares_addrttl *v4, const struct ares_addr6ttl *v6, int n) {
    struct res_answer *a = res_answer_new((size_t)n);
    for (int i = 0; a && i < n; i++)
        if (v4)
            memcpy(a->items[i].ip, &v4[i].ipaddr, 4);
        else
            memcpy(a->items[i].ip, &v6[i].ip6addr, 16);
    return a;
}

static int parse_addresses(enum res_type type, const unsigned char *p, int n, struct res_answer **out) {
    struct ares_addrttl v4[RES_ITEMS];
    struct ares_addr6ttl v6[RES_ITEMS];
    int found = RES_ITEMS, e;
    if (type == RES_A)
        e = ares_parse_a_reply(p, n, NULL, v4, &found);
    else
        e = ares_parse_aaaa_reply(p, n, NULL, v6, &found);
    if (e != ARES_SUCCESS) return e;
    if (found == 0) return ARES_ENODATA;
    *out = copy_addresses(type == RES_A ? v4 : NULL, v6, found);
    return *out ? ARES_SUCCESS : ARES_ENOMEM;
}

static int parse_srv(const unsigned char *p, int n, struct res_answer **out) {
    struct ares_srv_reply *list = NULL;
    int e = ares_parse_srv_reply(p, n, &list);
    if (e != ARES_SUCCESS) return e;
    size_t found = 0;
    for (struct ares_srv_reply *s = list; s && found < RES_ITEMS; s = s->next) found++;
    struct res_answer *a = res_answer_new(found);
    if (a) a->n = 0;
    for (struct ares_srv_reply *s = list; a && s && a->n < found; s = s->next) {
        if (!s->host[0] || strlen(s->host) >= sizeof a->items[0].srv.target) continue; /* "." says that there is none */
        cyg_srv *to = &a->items[a->n++].srv;
        *to = (cyg_srv){.port = s->port, .priority = s->priority, .weight = s->weight};
        strcpy(to->target, s->host);
    }
    ares_free_data(list);
    if (a && a->n == 0) {
        res_answer_release(a);
        return ARES_ENODATA;
    }
    *out = a;
    return a ? ARES_SUCCESS : ARES_ENOMEM;
}

static cyg_duration bounded(uint32_t seconds, cyg_duration most) {
    cyg_duration d = (cyg_duration)seconds * CYG_SECOND;
    return d < most ? d : most > 0 ? most : 0;
}

static struct res_answer *negative(struct cyg_resolver *r, const struct cyg_dns_life *life, int status) {
    cyg_duration d = life->has_soa ? bounded(life->negative, r->o.max_negative_ttl) : 0;
    if (!life->has_soa && r->o.max_negative_ttl > 0) d = r->o.failure_ttl; /* RFC 2308 would keep it not at all */
    return res_answer_of_error(CYG_ENONAME, status == ARES_ENOTFOUND ? NULL : "no record of that type", d);
}

/* c-ares 1.18 goes to the next server when one fails or refuses, and says "connection refused" when all have. */
static const char *words(int status) {
    switch (status) {
    case ARES_ETIMEOUT: return "no answer";
    case ARES_ESERVFAIL: return "SERVFAIL";
    case ARES_EREFUSED: return "refused";
    case ARES_ENOTIMP: return "not implemented";
    case ARES_EFORMERR: return "format error";
    case ARES_ECONNREFUSED: return "all failed, refused, or could not be reached";
    default: return "answer not understood";
    }
}

/* What c-ares says of a question, as an answer of ours. */
static struct res_answer *understand(struct cyg_resolver *r, struct res_entry *e, int status, const unsigned char *p, int n) {
    struct cyg_dns_life life = {0};
    struct res_answer *a = NULL;
    bool verdict = status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;
    if (verdict && (!p || n <= 0 || cyg_dns_life(p, (size_t)n, &life) < 0)) status = ARES_EBADRESP;
    if (status == ARES_SUCCESS) status = e->type == RES_SRV ? parse_srv(p, n, &a) : parse_addresses(e->type, p, n, &a);
    switch (status) {
    case ARES_SUCCESS:
        a->life = bounded(life.answer, r->o.max_ttl);
        e->outcome = RES_GOT;
        return a;
    case ARES_ENODATA:
    case ARES_ENOTFOUND: e->outcome = RES_NO_NAME; return negative(r, &life, status);
    case ARES_EBADNAME: e->outcome = RES_NO_NAME; return res_answer_of_error(CYG_ENONAME, "not a name", 0);
    case ARES_ENOMEM:
    case ARES_ECANCELLED: e->outcome = RES_FAILED; return res_answer_of_error(CYG_ENOMEM, NULL, 0);
    case ARES_EDESTRUCTION:
        e->outcome = RES_FAILED;
        return res_answer_of_error(CYG_ECLOSED, "the resolver was released", 0);
    default:
        e->outcome = status == ARES_ETIMEOUT ? RES_TIMEOUT : RES_FAILED;
        a = res_answer_of_error(CYG_ELOOKUP, words(status), r->o.failure_ttl);
        if (a->err == CYG_ELOOKUP) a->silence = status == ARES_ETIMEOUT; /* else it is shared: no memory */
        return a;
    }
}

/* From inside c-ares, so it must not park. */
static void on_answer(void *arg, int status, int timeouts, unsigned char *p, int n) {
    struct res_entry *e = arg;
    struct res_dns *d = &e->resolver->dns;
    (void)timeouts;
    d->active--;
    struct res_entry **list = &d->done;
    if (status == ARES_EDESTRUCTION && d->swapping)
        list = &d->again;
    else
        e->came = understand(e->resolver, e, status, p, n);
    e->done_next = *list;
    *list = e;
}

/* ---- asking: dns.lock is held --------------------------------------------------------------------------------------- */

static void fail(struct res_entry *e, int err, const char *why) {
    struct res_dns *d = &e->resolver->dns;
    e->came = res_answer_of_error(err, why, 0);
    e->outcome = RES_FAILED;
    e->done_next = d->done;
    d->done = e;
}

static void submit(struct cyg_resolver *r, struct res_entry *e) {
    static const int types[] = {[RES_A] = ns_t_a, [RES_AAAA] = ns_t_aaaa, [RES_SRV] = ns_t_srv};
    struct res_dns *d = &r->dns;
    if (d->closing) {
        fail(e, CYG_ECLOSED, "the resolver was released");
        return;
    }
    if (d->epfd < 0 && (d->epfd = epoll_create1(EPOLL_CLOEXEC)) < 0) {
        fail(e, CYG_ELOOKUP, "no descriptor left");
        return;
    }
    d->active++;
    ares_query(d->channel, e->name, ns_c_in, types[e->type], on_answer, e);
}

/* Hands out what came and asks what may be asked now, until there is neither. */
static void settle_all(struct cyg_resolver *r) {
    struct res_dns *d = &r->dns;
    for (;;) {
        struct res_entry *done = d->done, *next;
        d->done = NULL;
        cyg_mutex_lock(&r->lock);
        for (; done; done = next) {
            next = done->done_next;
            struct res_answer *came = done->came;
            done->came = NULL;
            res_answered(r, done, came, done->outcome);
        }
        next = res_next_queued(r);
        cyg_mutex_unlock(&r->lock);
        if (next) submit(r, next);
        if (!next && !d->done) return;
    }
}

static void drive(void *arg);

/* There is a goroutine while something is asked. */
static void keep_driving(struct cyg_resolver *r) {
    struct res_dns *d = &r->dns;
    if (d->driving || !d->active) {
        if (!d->driving && d->epfd >= 0) {
            close(d->epfd);
            d->epfd = -1;
        }
        return;
    }
    d->driving = true;
    atomic_fetch_add(&r->memory, 1);
    cyg_ctx_scope scope = cyg_ctx_enter(d->ctx); /* not the caller's, which may end */
    int err = cyg_go_with(&(cyg_go_opts){.name = "resolver"}, drive, r);
    cyg_ctx_leave(&scope);
    if (err == 0) return;
    d->driving = false;
    atomic_fetch_sub(&r->memory, 1);
    ares_cancel(d->channel); /* no goroutine can be had: no answer can be waited for */
    settle_all(r);
    keep_driving(r);
}

void res_dns_start(struct cyg_resolver *r, struct res_entry *e) {
    cyg_mutex_lock(&r->dns.lock);
    submit(r, e);
    settle_all(r);
    keep_driving(r);
    cyg_mutex_unlock(&r->dns.lock);
}

/* ---- the goroutine -------------------------------------------------------------------------------------------------- */

static void process(struct res_dns *d) {
    struct epoll_event ev[EVENTS];
    int n = epoll_wait(d->epfd, ev, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        bool in = ev[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP), out = ev[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP);
        ares_process_fd(d->channel, in ? ev[i].data.fd : ARES_SOCKET_BAD, out ? ev[i].data.fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* timeouts */
}

static cyg_time next_timeout(struct cyg_resolver *r) {
    struct timeval most = {r->o.timeout / CYG_SECOND, r->o.timeout % CYG_SECOND / CYG_MICROSECOND}, tv = most;
    struct timeval *t = ares_timeout(r->dns.channel, &most, &tv);
    return cyg_now() + t->tv_sec * CYG_SECOND + t->tv_usec * CYG_MICROSECOND + CYG_MILLISECOND;
}

static void drive(void *arg) {
    struct cyg_resolver *r = arg;
    struct res_dns *d = &r->dns;
    cyg_mutex_lock(&d->lock);
    while (d->active && !d->closing) {
        cyg_time until = next_timeout(r);
        int epfd = d->epfd;
        cyg_mutex_unlock(&d->lock);
        int got = cyg_fd_wait(epfd, CYG_READABLE, until);
        if (got < 0 && got != CYG_ETIMEDOUT && got != CYG_ECANCELED)
            (void)cyg_sleep(10 * CYG_MILLISECOND); /* try again */
        cyg_mutex_lock(&d->lock);
        if (d->closing) break;
        process(d);
        settle_all(r);
    }
    close(d->epfd);
    d->epfd = -1;
    d->driving = false;
    cyg_mutex_unlock(&d->lock);
    res_memory_release(r);
}

/* ---- changes and the end -------------------------------------------------------------------------------------------- */

void res_dns_swap(struct cyg_resolver *r, void *channel) {
    struct res_dns *d = &r->dns;
    cyg_mutex_lock(&d->lock);
    d->swapping = true;
    ares_destroy(d->channel);
    d->swapping = false;
    d->channel = channel;
    struct res_entry *again = d->again, *next;
    d->again = NULL;
    for (; again; again = next) {
        next = again->done_next;
        submit(r, again);
    }
    settle_all(r);
    keep_driving(r);
    cyg_mutex_unlock(&d->lock);
}

void res_dns_shut(struct cyg_resolver *r) {
    struct res_dns *d = &r->dns;
    cyg_mutex_lock(&d->lock);
    d->closing = true;
    if (d->channel) ares_destroy(d->channel);
    d->channel = NULL;
    settle_all(r);
    if (!d->driving && d->epfd >= 0) {
        close(d->epfd);
        d->epfd = -1;
    }
    cyg_mutex_unlock(&d->lock);
    cyg_ctx_cancel(d->ctx, 0);
}
