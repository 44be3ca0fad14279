/* dial_race.c: connecting to a name with several addresses. Attempts run beside each other, each on a goroutine of a group that is
 * cancelled and joined before the dial returns, so whatever happens no descriptor and no goroutine of a loser is left. The dialling
 * goroutine sleeps on one channel, which attempts and the lookup tap. Source: RFC 8305. */
#include <cygnet/chan.h>
#include <cygnet/group.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/addrorder.h"
#include "net/dial.h"
#include "net/internal.h"
#include "net/resolver_internal.h"

#define MOST 16                               /* addresses that are tried; more are left alone */
#define ATTEMPT_DELAY (250 * CYG_MILLISECOND) /* RFC 8305, 8 */
#define ATTEMPT_DELAY_LEAST (10 * CYG_MILLISECOND)
#define RESOLUTION_DELAY (50 * CYG_MILLISECOND)

struct attempt {
    struct race *race;
    cyg_addr to;
    cyg_conn *conn; /* written, as err and why, before done is */
    int err;
    char why[120];
    _Atomic bool done;
    bool seen;
};

struct race {
    const cyg_dial_opts *o;
    cyg_time deadline;
    struct lookup lookup;
    cyg_chan *wake;
    cyg_group *group;
    unsigned started, running;
    size_t known;                /* addresses that the lookup has told so far */
    cyg_addr all[2 * RES_ITEMS]; /* take_addresses' own; here because stacks may be small */
    cyg_addr left[MOST];         /* not tried yet, in order */
    size_t nleft;
    cyg_time next_at; /* when the next one may start beside those that run */
    cyg_time hold;    /* IPv4 addresses alone are known: until then IPv6 may still come; 0: not set */
    bool failed;      /* an attempt has, since the last start */
    struct attempt *winner;
    struct attempt attempt[MOST];
};

static void tap(void *arg) { (void)cyg_chan_try_send((cyg_chan *)arg, CYG_NOTHING); /* full: it is awake anyway */ }

/* ---- addresses ------------------------------------------------------------------------------------------------------ */

/* Families in turn, beginning with other than `last`. Within a family the order stays. */
static void interleave(cyg_addr *a, size_t n, uint16_t last) {
    for (size_t i = 0; i < n; i++) {
        size_t k = i;
        while (k < n && a[k].family == last) k++;
        if (k == n) return; /* one family is all that is left */
        cyg_addr next = a[k];
        memmove(&a[i + 1], &a[i], (k - i) * sizeof *a);
        a[i] = next;
        last = next.family;
    }
}

static bool was_started(const struct race *x, const cyg_addr *a) {
    for (unsigned i = 0; i < x->started; i++)
        if (cyg_addr_eq(&x->attempt[i].to, a)) return true;
    return false;
}

/* What the lookup has told; a family that comes late mixes with what is left of the other. */
static void take_addresses(struct race *x, uint16_t port) {
    size_t n = lookup_addrs(&x->lookup, port, x->all, 2 * RES_ITEMS), fresh = 0;
    if (n == x->known) return;
    x->known = n;
    for (size_t i = 0; i < n; i++)
        if (!was_started(x, &x->all[i])) x->all[fresh++] = x->all[i];
    addr_order(x->all, fresh);
    uint16_t last = x->started ? x->attempt[x->started - 1].to.family : CYG_AF_NONE;
    interleave(x->all, fresh, last);
    x->nleft = fresh < MOST - x->started ? fresh : MOST - x->started;
    memcpy(x->left, x->all, x->nleft * sizeof x->all[0]);
}

/* IPv6 is preferred, so it gets a moment when IPv4 was faster. */
static bool holds(struct race *x, bool resolved, cyg_time now) {
    if (resolved || x->started || !x->nleft || x->left[0].family != CYG_AF_IPV4) return false;
    if (!x->hold) x->hold = now + RESOLUTION_DELAY;
    return now < x->hold;
}

/* ---- attempts ------------------------------------------------------------------------------------------------------- */

static int try(void *arg) {
    struct attempt *a = arg;
    cyg_dial_opts o = *a->race->o;
    o.timeout = 0;
    o.deadline = a->race->deadline;
    a->err = cyg_dial_addr(&a->to, &o, &a->conn);
    if (a->err < 0) {
        const char *detail = cyg_err_detail(), *prefix = "dial tcp ";
        if (strncmp(detail, prefix, strlen(prefix)) == 0) detail += strlen(prefix);
        snprintf(a->why, sizeof a->why, "%s", detail);
    }
    atomic_store_explicit(&a->done, true, memory_order_release);
    tap(a->race->wake);
    return 0;
}

/* alone: there is no other address and never will be, so no goroutine is needed. */
static void start(struct race *x, cyg_time now, bool alone) {
    struct attempt *a = &x->attempt[x->started++];
    a->race = x;
    a->to = x->left[0];
    memmove(x->left, x->left + 1, --x->nleft * sizeof(x->left[0]));
    cyg_duration delay = x->o->attempt_delay ? x->o->attempt_delay : ATTEMPT_DELAY;
    x->next_at = delay < 0 ? INT64_MAX : now + (delay < ATTEMPT_DELAY_LEAST ? ATTEMPT_DELAY_LEAST : delay);
    x->failed = false;
    if (!alone && !x->group) x->group = cyg_group_new(NULL, &(cyg_group_opts){.keep_going = true, .name = "dial"});
    int err = alone ? try(a) : cyg_group_try_go(x->group, try, a);
    if (err < 0) {
        a->err = err;
        snprintf(a->why, sizeof a->why, "%s", cyg_strerror(err));
        a->done = a->seen = x->failed = true;
    } else {
        x->running++;
    }
}

/* Looks at attempts that have ended. */
static void collect(struct race *x) {
    for (unsigned i = 0; i < x->started; i++) {
        struct attempt *a = &x->attempt[i];
        if (a->seen || !atomic_load_explicit(&a->done, memory_order_acquire)) continue;
        a->seen = true;
        x->running--;
        if (a->err < 0)
            x->failed = true;
        else if (!x->winner)
            x->winner = a;
    }
}

/* ---- the race ------------------------------------------------------------------------------------------------------- */

/* Sleeps until something happens, or the next thing is due. */
static int sleep_until_news(struct race *x, bool resolved, bool held) {
    cyg_time until = x->deadline;
    if (held) until = dial_earlier(until, x->hold);
    if (x->nleft && !held && x->next_at != INT64_MAX) until = dial_earlier(until, x->next_at);
    cyg_time stale_at = resolved ? 0 : lookup_stale_at(&x->lookup);
    until = dial_earlier(until, stale_at);
    int err = cyg_chan_recv_until(x->wake, CYG_NOTHING, until);
    if (err != CYG_ETIMEDOUT || !until || cyg_now() < until) return err; /* news, or the context's error */
    if (x->deadline && cyg_now() >= x->deadline) {
        if (resolved || x->started) return CYG_ETIMEDOUT;
        lookup_late(&x->lookup, true); /* the servers are silent: an old answer is told with the lookup's error otherwise */
    } else if (stale_at && cyg_now() >= stale_at) {
        lookup_late(&x->lookup, false);
    }
    return 0;
}

/* 0: there is a winner. Otherwise why it ended: the lookup's error, the deadline or context, or that all have failed. */
static int run(struct race *x, uint16_t port) {
    for (;;) {
        bool resolved = lookup_step(&x->lookup);
        take_addresses(x, port);
        collect(x);
        if (x->winner) return 0;
        cyg_time now = cyg_now();
        bool held = holds(x, resolved, now);
        if (x->nleft && !held && (!x->running || x->failed || now >= x->next_at)) {
            if (x->deadline && now >= x->deadline) return CYG_ETIMEDOUT;
            start(x, now, resolved && !x->started && x->nleft == 1);
            continue;
        }
        if (resolved && !x->nleft && !x->running) return x->started ? x->attempt[0].err : x->lookup.err;
        int err = sleep_until_news(x, resolved, held);
        if (err) return err;
    }
}

/* "dial tcp example.com:80: 2 addresses: [::1]:80: Connection refused; 127.0.0.1:80: Connection refused" */
static int fail_all(struct race *x, int err, const char *network, const char *address) {
    char text[256];
    size_t at = 0;
    for (unsigned i = 0; i < x->started && at < sizeof text; i++) {
        struct attempt *a = &x->attempt[i];
        char to[CYG_ADDR_STRLEN];
        cyg_addr_format(&a->to, to, sizeof to);
        int n = a->seen ? snprintf(text + at, sizeof text - at, "%s%s", i ? "; " : "", a->why)
                        : snprintf(text + at, sizeof text - at, "%s%s: no answer yet", i ? "; " : "", to);
        at += (size_t)n;
    }
    bool ended = err == CYG_ETIMEDOUT || err == CYG_ECANCELED || err != x->attempt[0].err;
    return cygrt_fail(err, "dial %s %s: %s%s%u address%s: %s", network, address, ended ? cyg_strerror(err) : "",
                      ended ? ": " : "", x->started, x->started == 1 ? "" : "es", text);
}

static int fail_lookup(struct race *x, int err, const char *network, const char *address) {
    char why[256];
    (void)lookup_fail(&x->lookup, err);
    snprintf(why, sizeof why, "%s", cyg_err_detail());
    return cygrt_fail(err, "dial %s %s: %s", network, address, why);
}

/* Ends the losers: none runs when this returns. */
static void finish(struct race *x) {
    if (x->group) {
        cyg_ctx_cancel(cyg_group_ctx(x->group), 0);
        (void)cyg_group_wait(x->group);
    }
    for (unsigned i = 0; i < x->started; i++)
        if (x->attempt[i].conn && &x->attempt[i] != x->winner) (void)cyg_close(x->attempt[i].conn);
}

static int race(struct race *x, const struct network *nw, const char *address, const char *host, uint16_t port) {
    int err = lookup_begin(&x->lookup, x->o->resolver, host, dial_family(nw, x->o), false);
    if (err < 0) return err;
    x->lookup.notify = tap;
    x->lookup.notify_arg = x->wake;
    err = run(x, port);
    finish(x);
    if (err < 0 && x->started)
        fail_all(x, err, nw->name, address);
    else if (err < 0)
        fail_lookup(x, err, nw->name, address);
    lookup_end(&x->lookup);
    return err;
}

int dial_name(const struct network *nw, const char *address, const char *host, uint16_t port, const cyg_dial_opts *o,
              cyg_conn **out) {
    struct race *x = calloc(1, sizeof *x);
    int err = x && (x->wake = cyg_chan_new(0, 1)) ? 0 : CYG_ENOMEM;
    if (!err) {
        x->o = o;
        x->deadline = dial_deadline(o);
        if ((err = race(x, nw, address, host, port)) == 0) *out = x->winner->conn;
    }
    if (x) cyg_chan_release(x->wake);
    free(x);
    return err;
}
