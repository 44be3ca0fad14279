/* leak.c: cyg_leaks: goroutines that have been parked for long and connections that are open, with what changed since the last
 * look. In C nobody can know whether an object is still referred to; what can be known is who waits since when, what grows, and
 * which connections the peer has ended while we keep them (TCP's CLOSE_WAIT). */
#include "runtime/roster.h"
#include "runtime/fiber.h"
#include "runtime/poller/poller.h"

#include <cygnet/debug.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define KINDS 1024 /* of goroutines that are remembered from look to look */
#define ATTENDANTS 256

/* A kind of goroutine as the last look counted it. */
struct kind {
    struct cygrt_start start;
    uint8_t reason;
    uint64_t count;
};

/* Connections with the same kind of waiter. */
struct attendance {
    struct cygrt_attendant who;
    bool close_wait;
    uint64_t count;
    int fds[CYGRT_SHOWN];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all that follows; never held across a park */
static struct kind kinds[KINDS];
static unsigned nkinds;
static struct attendance attendances[ATTENDANTS];
static unsigned nattendances;
static cyg_time last_look; /* that was printed; 0: none */

static bool same_start(const struct cygrt_start *a, const struct cygrt_start *b) {
    return a->file == b->file && a->line == b->line && a->fn == b->fn;
}

/* ---- goroutines -------------------------------------------------------------------------------------------------------------- */

static uint64_t count_before(const struct cygrt_seen *x) {
    for (unsigned i = 0; i < nkinds; i++)
        if (kinds[i].reason == x->reason && same_start(&kinds[i].start, &x->start)) return kinds[i].count;
    return 0;
}

/* Goroutines that were named differently are one kind here. */
static bool merge(struct kind *k, unsigned n, const struct cygrt_group *g) {
    for (unsigned i = 0; i < n; i++) {
        if (k[i].reason != g->one.reason || !same_start(&k[i].start, &g->one.start)) continue;
        k[i].count += g->count;
        return true;
    }
    return false;
}

static bool suspect(const struct cygrt_seen *x) { return x->id && x->reason != CYGRT_R_SLEEP; }

static void count_goroutines(const struct cygrt_roster *c, struct kind *now, unsigned *n, cyg_leak_stats *st) {
    for (const struct cygrt_group *g = c->groups; g; g = g->next) {
        if (!suspect(&g->one)) continue;
        st->goroutines += g->count;
        if (merge(now, *n, g) || *n == KINDS) continue;
        now[(*n)++] = (struct kind){g->one.start, g->one.reason, g->count};
    }
    for (unsigned i = 0; last_look && i < *n; i++) {
        struct cygrt_seen x = {.start = now[i].start, .reason = now[i].reason};
        uint64_t before = count_before(&x);
        if (now[i].count > before) st->grown += now[i].count - before;
    }
}

static void print_goroutines(struct cygrt_out *o, struct cygrt_symbols *s, const struct cygrt_roster *c) {
    char text[256];
    for (const struct cygrt_group *g = c->groups; g && !o->err; g = g->next) {
        const struct cygrt_seen *x = &g->one;
        if (!suspect(x)) continue;
        cygrt_print(o, "%llu", (unsigned long long)g->count);
        if (last_look) cygrt_print(o, " (%+lld)", (long long)(g->count - count_before(x)));
        cygrt_print(o, " goroutine%s%s%s%s [%s, %.3f s", g->count == 1 ? "" : "s", x->name ? " \"" : "",
                    x->name ? x->name : "", x->name ? "\"" : "", cygrt_reason_text(x->reason), (double)g->youngest / 1e9);
        if (g->count > 1) cygrt_print(o, " to %.3f s", (double)g->oldest / 1e9);
        cygrt_print(o, "]  %s", cygrt_start_text(s, &x->start, text, sizeof text));
        if (x->fd >= 0) {
            cygrt_print(o, ", fd");
            for (unsigned i = 0; i < g->count && i < CYGRT_SHOWN; i++) cygrt_print(o, "%s %d", i ? "," : "", g->fds[i]);
            if (g->count > CYGRT_SHOWN) cygrt_print(o, ", ...");
        }
        cygrt_print(o, "\n");
    }
}

/* ---- connections --------------------------------------------------------------------------------------------------------------- */

static bool in_close_wait(int fd) {
    struct tcp_info info;
    socklen_t n = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 && info.tcpi_state == TCP_CLOSE_WAIT;
}

/* Who waits on a connection. Gs are type-stable: one that has gone on meanwhile is at worst named wrongly. */
CYGRT_RACY struct cygrt_attendant cygrt_attendant_of(struct cygrt_pd *pd) {
    for (int i = 0; i < 2; i++) {
        uintptr_t v = atomic_load_explicit(&pd->slot[i], memory_order_relaxed);
        if (v == CYGRT_PD_NIL || v == CYGRT_PD_READY) continue;
        if (v & CYGRT_PD_RECORD)
            return (struct cygrt_attendant){CYGRT_BY_RECORD, {NULL, 0, (const void *)pd->record.fn}, 0};
        const struct g *g = (const struct g *)v;
        const void *fn = g->fn ? (const void *)g->fn : (const void *)g->ready_fn;
        return (struct cygrt_attendant){CYGRT_BY_GOROUTINE, {g->file, g->line, fn}, g->id};
    }
    return (struct cygrt_attendant){.by = CYGRT_BY_NOBODY};
}

CYGRT_RACY static bool see_conn(struct cygrt_pd *pd, void *arg) {
    cyg_leak_stats *st = arg;
    if (atomic_load_explicit(&pd->closing, memory_order_relaxed)) return true;
    struct attendance a = {.who = cygrt_attendant_of(pd)};
    int fd = pd->fd;
    a.close_wait = in_close_wait(fd);
    st->conns++;
    st->close_wait += a.close_wait;
    st->unattended += a.who.by == CYGRT_BY_NOBODY;
    unsigned i = 0;
    while (i < nattendances && (attendances[i].who.by != a.who.by || attendances[i].close_wait != a.close_wait ||
                                !same_start(&attendances[i].who.start, &a.who.start)))
        i++;
    if (i == ATTENDANTS) return true;
    if (i == nattendances) attendances[nattendances++] = a;
    if (attendances[i].count < CYGRT_SHOWN) attendances[i].fds[attendances[i].count] = fd;
    attendances[i].count++;
    return true;
}

static void print_conns(struct cygrt_out *o, struct cygrt_symbols *s) {
    char text[256];
    for (unsigned i = 0; i < nattendances; i++) {
        const struct attendance *a = &attendances[i];
        cygrt_print(o, "%llu connection%s%s", (unsigned long long)a->count, a->count == 1 ? "" : "s",
                    a->close_wait ? ", ended by the peer and not closed," : "");
        if (a->who.by == CYGRT_BY_NOBODY)
            cygrt_print(o, " on which nobody waits");
        else
            cygrt_print(o, a->who.by == CYGRT_BY_RECORD ? " idle, would start %s" : " held by %s",
                        cygrt_start_text(s, &a->who.start, text, sizeof text));
        cygrt_print(o, ": fd");
        for (unsigned k = 0; k < a->count && k < CYGRT_SHOWN; k++) cygrt_print(o, "%s %d", k ? "," : "", a->fds[k]);
        cygrt_print(o, "%s\n", a->count > CYGRT_SHOWN ? ", ..." : "");
    }
}

/* ---- timers -------------------------------------------------------------------------------------------------------------------- */

static void print_timers(struct cygrt_out *o, struct cygrt_symbols *s) {
    static struct cygrt_timer_kinds k; /* guarded by lock */
    cygrt_timers_by_kind(&k);
    cyg_time now = cyg_now();
    for (unsigned i = 0; i < k.n; i++) {
        const struct cygrt_timer_kind *x = &k.kind[i];
        const struct cygrt_symbol *fn = cygrt_symbol_of(s, x->fn);
        cygrt_print(o, "%llu timer%s pending, would start %s in %.3f s", (unsigned long long)x->count,
                    x->count == 1 ? "" : "s", fn && fn->name ? fn->name : "a function without a name",
                    (double)(x->first - now) / 1e9);
        if (x->count > 1) cygrt_print(o, " to %.3f s", (double)(x->last - now) / 1e9);
        cygrt_print(o, "\n");
    }
}

/* ---- a look -------------------------------------------------------------------------------------------------------------------- */

struct look {
    int fd, err;
    cyg_duration min_age;
    cyg_leak_stats stats;
};

static void print(const struct look *l, const struct cygrt_roster *c, struct cygrt_out *o) {
    const cyg_leak_stats *st = &l->stats;
    struct cygrt_symbols *s = cygrt_symbols_open();
    cygrt_print(o, "cygnet: %llu goroutines parked for %.3f s or longer", (unsigned long long)st->goroutines,
                (double)l->min_age / 1e9);
    if (last_look)
        cygrt_print(o, " (%llu more than %.0f s ago)", (unsigned long long)st->grown, (double)(cyg_now() - last_look) / 1e9);
    cygrt_print(o, "; %llu connections, %llu ended by the peer and not closed, %llu on which nobody waits\n",
                (unsigned long long)st->conns, (unsigned long long)st->close_wait, (unsigned long long)st->unattended);
    print_goroutines(o, s, c);
    print_conns(o, s);
    if (atomic_load(&cygrt_sched.state) == S_RUNNING) print_timers(o, s);
    cygrt_flush(o);
    cygrt_symbols_close(s);
}

static void look(void *arg) {
    struct look *l = arg;
    struct cygrt_out o = {.fd = l->fd};
    struct cygrt_roster c;
    static struct kind now[KINDS]; /* guarded by lock */
    unsigned n = 0;
    pthread_mutex_lock(&lock);
    cygrt_roster_take(&c, 0, l->min_age > 0 ? l->min_age : 1, NULL, NULL);
    count_goroutines(&c, now, &n, &l->stats);
    nattendances = 0;
    if (atomic_load(&cygrt_sched.state) != S_OFF) cygrt_each_pd(see_conn, &l->stats);
    if (l->fd >= 0) {
        print(l, &c, &o);
        memcpy(kinds, now, n * sizeof *now);
        nkinds = n;
        last_look = cyg_now();
    } else {
        l->stats.grown = 0;
    }
    pthread_mutex_unlock(&lock);
    cygrt_roster_free(&c);
    l->err = o.err;
}

int cyg_leaks(int fd, cyg_duration min_age, cyg_leak_stats *out) {
    struct look l = {.fd = fd, .min_age = min_age};
    if (fd < 0)
        look(&l); /* no names are looked up: a goroutine's stack will do */
    else
        cygrt_on_thread(look, &l);
    if (out) *out = l.stats;
    return l.err;
}
