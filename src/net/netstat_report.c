/* netstat_report.c: cyg_netstat_report: a look at the sockets, for a person. */
#include "net/netstat.h"

#include <stdlib.h>

#include "net/internal.h"
#include "runtime/fiber.h"
#include "runtime/roster.h"

#define STUCK_SHOWN 64
#define PORTS_SHOWN 8

/* Who holds one of the shown sockets. */
struct holder {
    bool known; /* it is a connection of the library's */
    struct cygrt_attendant waits;
    struct conn_user last;
    const void *started; /* what the last start record started */
};

struct report {
    int fd, err;
    cyg_netstat st;
    struct stuck stuck[STUCK_MAX];
    struct holder holders[STUCK_SHOWN];
    unsigned nstuck, nshown;
};

CYGRT_RACY static bool see_conn(struct conn *c, void *arg) {
    struct report *r = arg;
    if (atomic_load_explicit(&c->pd.closing, memory_order_relaxed)) return true;
    for (unsigned i = 0; i < r->nshown; i++)
        if (r->stuck[i].fd == c->fd)
            r->holders[i] = (struct holder){true, cygrt_attendant_of(&c->pd), c->user, (const void *)c->pd.record.fn};
    return true;
}

/* ---- printing ---------------------------------------------------------------------------------------------------------- */

static void print_states(struct cygrt_out *o, const uint64_t *by_state) {
    const char *before = "";
    for (int i = 1; i < CYG_TCP_STATES; i++) {
        if (!by_state[i]) continue;
        cygrt_print(o, "%s%llu %s", before, (unsigned long long)by_state[i], cyg_tcp_state_name(i));
        before = ", ";
    }
    cygrt_print(o, "%s\n", before[0] ? "" : "none");
}

static const char *addr_text(const struct sockdiag_sock *s, bool local, char *buf, size_t n) {
    cyg_addr a = {.family = (uint16_t)s->family, .port = local ? s->local_port : s->peer_port};
    memcpy(a.ip, local ? s->local_ip : s->peer_ip, 16);
    cyg_addr_format(&a, buf, n);
    return buf;
}

static void print_holder(struct cygrt_out *o, struct cygrt_symbols *s, const struct holder *h) {
    char text[256];
    if (!h->known) {
        cygrt_print(o, "not a connection of the library\n");
        return;
    }
    if (h->waits.by == CYGRT_BY_GOROUTINE) {
        cygrt_print(o, "goroutine %llu waits on it, ", (unsigned long long)h->waits.id);
        cygrt_print(o, "started at %s\n", cygrt_start_text(s, &h->waits.start, text, sizeof text));
    } else if (h->waits.by == CYGRT_BY_RECORD) {
        cygrt_print(o, "idle, would start %s\n", cygrt_start_text(s, &h->waits.start, text, sizeof text));
    } else if (h->last.fn) {
        struct cygrt_start start = {h->last.file, (int)h->last.line, h->last.fn};
        cygrt_print(o, "nobody waits; last used by goroutine %u, ", h->last.id);
        cygrt_print(o, "started at %s\n", cygrt_start_text(s, &start, text, sizeof text));
    } else if (h->started) {
        struct cygrt_start start = {NULL, 0, h->started};
        cygrt_print(o, "nobody waits; it has started %s\n", cygrt_start_text(s, &start, text, sizeof text));
    } else {
        cygrt_print(o, "nobody waits, nobody has used it\n");
    }
}

static void print_stuck(struct cygrt_out *o, struct cygrt_symbols *s, const struct report *r) {
    char local[CYG_ADDR_STRLEN], peer[CYG_ADDR_STRLEN];
    if (r->nstuck) cygrt_print(o, "\nended by one side (close_wait: by the peer, fin_wait2: by us), oldest first:\n");
    for (unsigned i = 0; i < r->nshown && !o->err; i++) {
        const struct stuck *x = &r->stuck[i];
        cygrt_print(o, "  %-10s for %.3f s or longer, fd %d, %s to %s: ", cyg_tcp_state_name(x->sock.state),
                    (double)x->age / 1e9, x->fd, addr_text(&x->sock, true, local, sizeof local),
                    addr_text(&x->sock, false, peer, sizeof peer));
        print_holder(o, s, &r->holders[i]);
    }
    if (r->nstuck > r->nshown) cygrt_print(o, "  and %u more\n", r->nstuck - r->nshown);
}

static void print_ports(struct cygrt_out *o) {
    cyg_ports p[PORTS_SHOWN];
    char from[CYG_ADDR_STRLEN], to[CYG_ADDR_STRLEN];
    size_t n = cyg_ports_busiest(p, PORTS_SHOWN);
    if (n) cygrt_print(o, "\nephemeral ports, the destinations with the most in use:\n");
    for (size_t i = 0; i < n && !o->err; i++) {
        cyg_addr_format_ip(&p[i].from, from, sizeof from);
        cyg_addr_format(&p[i].to, to, sizeof to);
        cygrt_print(o, "  %s to %s: %llu of %llu left, %llu used, ", from, to, (unsigned long long)p[i].left,
                    (unsigned long long)p[i].range, (unsigned long long)p[i].used);
        cygrt_print(o, "%llu of these in time_wait", (unsigned long long)p[i].time_wait);
        if (p[i].used_per_second != 0) cygrt_print(o, ", %+.1f/s", p[i].used_per_second);
        if (p[i].exhausted_in)
            cygrt_print(o, ", none left in %.0f s if it goes on so", (double)p[i].exhausted_in / 1e9);
        cygrt_print(o, "\n");
    }
}

static void print(void *arg) {
    struct report *r = arg;
    struct cygrt_out o = {.fd = r->fd};
    struct cygrt_symbols *s = cygrt_symbols_open();
    const cyg_netstat *st = &r->st;
    cygrt_print(&o, "cygnet: %llu TCP sockets of this network namespace looked at in %.3f ms, by %s%s\n",
                (unsigned long long)st->seen, (double)st->took / 1e6,
                st->source == CYG_NETSTAT_NETLINK ? "netlink" : "/proc/net/tcp",
                st->partial ? "; there are more, the limit was reached" : "");
    cygrt_print(&o, "this process: ");
    print_states(&o, st->open);
    cygrt_print(&o, "held by no process: ");
    print_states(&o, st->unheld);
    if (st->time_wait_per_second != 0) cygrt_print(&o, "time_wait changes by %+.1f/s\n", st->time_wait_per_second);
    cygrt_print(&o, "other sockets of this process: %llu\n", (unsigned long long)st->other_open);
    print_stuck(&o, s, r);
    print_ports(&o);
    cygrt_flush(&o);
    cygrt_symbols_close(s);
    r->err = o.err;
}

int cyg_netstat_report(int fd) {
    struct report *r = calloc(1, sizeof *r);
    if (!r) return CYG_ENOMEM;
    r->fd = fd;
    int err = netstat_look_now(0, &r->st, r->stuck, &r->nstuck);
    r->nshown = r->nstuck < STUCK_SHOWN ? r->nstuck : STUCK_SHOWN;
    if (!err) {
        if (r->nshown) (void)conn_each(see_conn, r);
        cygrt_on_thread(print, r); /* names are looked up: more than a goroutine's stack bears */
        err = r->err;
    }
    free(r);
    return err;
}
