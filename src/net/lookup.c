/* lookup.c: one name for one caller. What needs no question comes first: an address in text, the hosts file, the loopback's
 * names. Then the names of the search list are asked, one after the other, A and AAAA of each at once, until one has an
 * address. A lookup is stepped by its caller, so that a dialer can begin with the family that came first. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/addrorder.h"
#include "net/internal.h"
#include "net/resolver_internal.h"

/* ---- names ---------------------------------------------------------------------------------------------------------- */

static bool name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

int res_name(const char *text, char out[RES_NAME], size_t *len, bool *absolute) {
    size_t n = 0, label = 0;
    const char *expected = NULL;
    for (const char *p = text; *p && !expected; p++) {
        char c = *p >= 'A' && *p <= 'Z' ? (char)(*p + ('a' - 'A')) : *p;
        if (!name_byte(c))
            expected = "letters, digits, '-', '_' and '.'";
        else if (n == RES_NAME - 2)
            expected = "at most 253 bytes";
        else if (c == '.' && label == 0)
            expected = "something between dots";
        else if ((label = c == '.' ? 0 : label + 1) > 63)
            expected = "at most 63 bytes between dots";
        else
            out[n++] = c;
    }
    *absolute = n > 0 && out[n - 1] == '.';
    if (*absolute) n--;
    out[n] = 0;
    *len = n;
    if (!expected && n == 0) expected = "a name";
    if (!expected && n > HOSTS_NAME_MAX) expected = "at most 253 bytes";
    return expected ? cygrt_fail(CYG_EPARSE, "name \"%.100s\": expected %s", text, expected) : 0;
}

/* ---- without asking --------------------------------------------------------------------------------------------------- */

static bool wants(const struct lookup *l, enum res_type type) {
    return l->type[0] == type || (l->nwant > 1 && l->type[1] == type);
}

static void add_fixed(struct lookup *l, bool v6, const uint8_t *ip) {
    if (l->nfixed == RES_FIXED || !wants(l, v6 ? RES_AAAA : RES_A)) return;
    cyg_addr *a = &l->fixed[l->nfixed++];
    *a = (cyg_addr){.family = v6 ? CYG_AF_IPV6 : CYG_AF_IPV4};
    memcpy(a->ip, ip, v6 ? 16 : 4);
}

static void from_hosts(struct lookup *l) {
    size_t n;
    const struct hosts_line *line = hosts_find(&l->files->hosts, l->host, &n);
    for (size_t i = 0; i < n; i++) add_fixed(l, line[i].v6, line[i].ip);
}

/* Source: RFC 6761, 6.3. */
static void from_loopback(struct lookup *l) {
    static const char name[] = "localhost";
    size_t n = sizeof name - 1;
    if (l->host_len < n || strcmp(l->host + l->host_len - n, name) != 0) return;
    if (l->host_len > n && l->host[l->host_len - n - 1] != '.') return;
    static const uint8_t v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};
    add_fixed(l, false, v4);
    add_fixed(l, true, v6);
}

/* "127.0.0.1", "::1", "fe80::1%2". false: no such text. */
static bool literal(struct lookup *l, const char *host) {
    char text[INET6_ADDRSTRLEN];
    uint8_t ip[16];
    const char *zone = strchr(host, '%');
    size_t n = zone ? (size_t)(zone - host) : strlen(host);
    if (n >= sizeof text) return false;
    memcpy(text, host, n);
    text[n] = 0;
    if (!zone && inet_pton(AF_INET, text, ip) == 1) {
        add_fixed(l, false, ip);
    } else if (inet_pton(AF_INET6, text, ip) == 1) {
        add_fixed(l, true, ip);
        if (zone && l->nfixed) l->fixed[0].scope = (uint32_t)strtoul(zone + 1, NULL, 10);
    } else {
        return false;
    }
    if (!l->nfixed) l->err = CYG_ENONAME, l->why = "an address of the other family";
    return true;
}

/* ---- the search list -------------------------------------------------------------------------------------------------- */

/* The name to try as number i; false: there is none. */
static bool candidate(const struct lookup *l, int i, char out[RES_NAME]) {
    int n = l->absolute ? 0 : (int)l->files->nsearch;
    if (i > n) return false;
    bool first_as_it_is = l->absolute || l->dots >= (unsigned)l->files->ndots;
    int domain = first_as_it_is ? i - 1 : i;
    if (domain < 0 || domain == n) {
        memcpy(out, l->host, l->host_len + 1);
        return true;
    }
    const char *suffix = l->files->search[domain];
    size_t more = strlen(suffix);
    if (l->host_len + 1 + more > HOSTS_NAME_MAX) {
        out[0] = 0; /* too long: there is no such name */
        return true;
    }
    memcpy(out, l->host, l->host_len);
    out[l->host_len] = '.';
    memcpy(out + l->host_len + 1, suffix, more + 1);
    return true;
}

/* Asks for the next candidate. false: there is none. Without r->lock. */
static bool ask_next(struct lookup *l) {
    char name[RES_NAME];
    struct res_entry *start[2] = {NULL, NULL};
    do
        if (!candidate(l, l->candidate++, name)) return false;
    while (!name[0]);
    cyg_mutex_lock(&l->r->lock);
    for (unsigned i = 0; i < l->nwant; i++) {
        res_answer_release(l->want[i].answer);
        l->want[i].answer = NULL;
        start[i] = res_ask(l->r, &l->want[i], name, l->type[i]);
    }
    cyg_mutex_unlock(&l->r->lock);
    for (unsigned i = 0; i < l->nwant; i++) res_start(l->r, start[i]);
    return true;
}

static void came(struct res_want *w) {
    struct lookup *l = w->lookup;
    if (l->notify)
        l->notify(l->notify_arg);
    else
        cyg_cond_signal(&l->cond);
}

enum { WAITING, FOUND, NOTHING, SILENCE };

/* How the present candidate stands; notes why it has nothing. */
static int state_of(struct lookup *l) {
    bool waiting = false, found = false, silence = false;
    cyg_mutex_lock(&l->r->lock);
    for (unsigned i = 0; i < l->nwant; i++) {
        waiting |= l->want[i].entry != NULL;
        found |= l->want[i].answer && !l->want[i].answer->err;
    }
    for (unsigned i = 0; !waiting && !found && i < l->nwant; i++) {
        const struct res_answer *a = l->want[i].answer;
        if (!a) break; /* nothing has been asked yet */
        silence |= a->silence;
        if (l->err && (l->err != CYG_ENONAME || a->err == CYG_ENONAME))
            continue; /* a failure outweighs "no such name" */
        l->err = a->err;
        l->why = a->why;
    }
    cyg_mutex_unlock(&l->r->lock);
    return waiting ? WAITING : found ? FOUND : silence ? SILENCE : NOTHING;
}

bool lookup_step(struct lookup *l) {
    while (!l->done) {
        int state = state_of(l);
        if (state == WAITING) return false;
        if (state == FOUND) l->err = 0;
        l->done = state != NOTHING || !ask_next(l); /* who was silent once need not be asked for the other names */
    }
    return true;
}

/* ---- a lookup from begin to end ----------------------------------------------------------------------------------------- */

int lookup_begin(struct lookup *l, cyg_resolver *r, const char *host, cyg_family family, bool srv) {
    memset(l, 0, sizeof *l);
    if (srv || family != CYG_AF_NONE) {
        l->nwant = 1;
        l->type[0] = srv ? RES_SRV : family == CYG_AF_IPV4 ? RES_A : RES_AAAA;
    } else {
        l->nwant = 2;
        l->type[0] = RES_AAAA;
        l->type[1] = RES_A;
    }
    for (unsigned i = 0; i < l->nwant; i++) {
        l->want[i].lookup = l;
        l->want[i].notify = came;
    }
    snprintf(l->host, sizeof l->host, "%s", host);
    l->done = !srv && literal(l, host);
    int err = l->done ? 0 : res_name(host, l->host, &l->host_len, &l->absolute);
    if (!err) err = r ? 0 : cyg_resolver_default(&l->r);
    if (err < 0) return err;
    if (r) l->r = cyg_resolver_acquire(r);
    for (const char *p = l->host; *p; p++) l->dots += *p == '.';
    if (srv && l->r->o.system) {
        cyg_resolver_release(l->r);
        return cygrt_fail(CYG_ENOTSUP, "lookup %s: getaddrinfo has no services", host);
    }
    res_files_check(l->r);
    cyg_mutex_lock(&l->r->lock);
    l->files = res_files_acquire(l->r->files);
    if (!l->done && !srv) {
        from_hosts(l);
        if (!l->nfixed && !l->r->o.system) from_loopback(l);
        if (l->nfixed) l->r->stats.hosts_total++;
    }
    cyg_mutex_unlock(&l->r->lock);
    if (l->nfixed) l->done = true;
    return 0;
}

void lookup_end(struct lookup *l) {
    cyg_mutex_lock(&l->r->lock);
    for (unsigned i = 0; i < l->nwant; i++) {
        res_leave(l->r, &l->want[i], false);
        res_answer_release(l->want[i].answer);
    }
    cyg_mutex_unlock(&l->r->lock);
    res_files_release(l->files);
    cyg_resolver_release(l->r);
}

void lookup_late(struct lookup *l, bool all) {
    cyg_time now = cyg_now();
    cyg_mutex_lock(&l->r->lock);
    for (unsigned i = 0; i < l->nwant; i++) {
        struct res_want *w = &l->want[i];
        if (!w->entry || !(all || (w->stale_at && now >= w->stale_at))) continue;
        res_leave(l->r, w, true);
        if (w->answer) continue;
        w->answer = res_answer_of_error(CYG_ETIMEDOUT, NULL, 0);
        if (w->answer->err == CYG_ETIMEDOUT) w->answer->silence = true; /* else it is shared: no memory */
    }
    cyg_mutex_unlock(&l->r->lock);
}

cyg_time lookup_stale_at(struct lookup *l) {
    cyg_time t = 0;
    cyg_mutex_lock(&l->r->lock);
    for (unsigned i = 0; i < l->nwant; i++) {
        cyg_time at = l->want[i].entry ? l->want[i].stale_at : 0;
        if (at && (!t || at < t)) t = at;
    }
    cyg_mutex_unlock(&l->r->lock);
    return t;
}

int lookup_fail(struct lookup *l, int err) {
    bool servers = err == CYG_ELOOKUP && l->files->servers[0];
    if (err == CYG_ENOMEM) return err;
    return cygrt_fail(err, "lookup %s: %s%s%s%s%s%s", l->host, cyg_strerror(err), l->why && l->err == err ? ": " : "",
                      l->why && l->err == err ? l->why : "", servers ? " (" : "", servers ? l->files->servers : "",
                      servers ? ")" : "");
}

static unsigned waiting(const struct lookup *l) {
    unsigned n = 0;
    for (unsigned i = 0; i < l->nwant; i++) n += l->want[i].entry != NULL;
    return n;
}

int lookup_wait(struct lookup *l, cyg_time deadline) {
    while (!lookup_step(l)) {
        cyg_time until = lookup_stale_at(l);
        if (!until || (deadline && deadline < until)) until = deadline;
        cyg_mutex_lock(&l->r->lock);
        int err = 0;
        for (unsigned before = waiting(l); !err && before && waiting(l) == before;)
            err = cyg_cond_wait_until(&l->cond, &l->r->lock, until);
        cyg_mutex_unlock(&l->r->lock);
        if (!err) continue;
        bool ours = err == CYG_ETIMEDOUT && until && cyg_now() >= until; /* else the context has ended */
        if (!ours) return lookup_fail(l, err);
        lookup_late(l, until == deadline);
    }
    return l->err ? lookup_fail(l, l->err) : 0;
}

size_t lookup_addrs(struct lookup *l, uint16_t port, cyg_addr *out, size_t max) {
    size_t n = 0;
    for (size_t i = 0; i < l->nfixed && n < max; i++) {
        out[n] = l->fixed[i];
        out[n++].port = port;
    }
    cyg_mutex_lock(&l->r->lock);
    for (unsigned w = 0; w < l->nwant; w++) {
        const struct res_answer *a = l->want[w].answer;
        bool v6 = l->type[w] == RES_AAAA;
        for (size_t i = 0; a && !a->err && i < a->n && n < max; i++) {
            out[n] = (cyg_addr){.family = v6 ? CYG_AF_IPV6 : CYG_AF_IPV4, .port = port};
            memcpy(out[n++].ip, a->items[i].ip, v6 ? 16 : 4);
        }
    }
    cyg_mutex_unlock(&l->r->lock);
    return n;
}

/* ---- the public calls --------------------------------------------------------------------------------------------------- */

static cyg_time deadline_of(const cyg_lookup_opts *o) {
    cyg_time t = o->timeout > 0 ? cyg_now() + o->timeout : 0;
    return o->deadline && (!t || o->deadline < t) ? o->deadline : t;
}

static void tell(struct lookup *l, cyg_lookup_info *info) {
    if (!info) return;
    cyg_time now = res_now(l->r);
    *info = (cyg_lookup_info){.cached = true};
    bool first = true;
    for (unsigned i = 0; i < l->nwant; i++) {
        const struct res_want *w = &l->want[i];
        if (!w->answer || w->answer->err)
            continue; /* what the other family has not does not shorten what this one has */
        cyg_duration left = w->expires > now ? w->expires - now : 0;
        if (first || left < info->ttl) info->ttl = left;
        first = false;
        info->stale |= w->stale;
        info->cached &= w->cached;
    }
}

int cyg_lookup(cyg_resolver *r, const char *host, const cyg_lookup_opts *opts, cyg_addr *out, size_t n) {
    cyg_lookup_opts o = opts ? *opts : (cyg_lookup_opts){0};
    struct lookup l;
    cyg_need_goroutine("cyg_lookup");
    if (n == 0 || (o.family != CYG_AF_NONE && o.family != CYG_AF_IPV4 && o.family != CYG_AF_IPV6))
        return cygrt_fail(CYG_EINVAL, "cyg_lookup: expected room for an address, and a family of IP");
    int err = lookup_begin(&l, r, host, o.family, false);
    if (err < 0) return err;
    cyg_addr *all = malloc(2 * RES_ITEMS * sizeof *all); /* too much for a small stack */
    err = all ? lookup_wait(&l, deadline_of(&o)) : CYG_ENOMEM;
    if (!err) {
        size_t found = lookup_addrs(&l, o.port, all, 2 * RES_ITEMS);
        addr_order(all, found);
        if (found > n) found = n;
        memcpy(out, all, found * sizeof *out);
        tell(&l, o.info);
        err = (int)found;
    }
    free(all);
    lookup_end(&l);
    return err;
}

/* ---- services ------------------------------------------------------------------------------------------------------------ */

static int by_priority(const void *a, const void *b) {
    const cyg_srv *x = a, *y = b;
    if (x->priority != y->priority) return x->priority < y->priority ? -1 : 1;
    return (x->weight > 0) - (y->weight > 0); /* those without weight first, as RFC 2782 wants it */
}

static uint64_t next_random(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* Within n servers of one priority: again and again one at random, by weight, among those that are left. */
static void shuffle(cyg_srv *s, size_t n, uint64_t *random) {
    for (size_t at = 0; at + 1 < n; at++) {
        uint64_t sum = 0, upto = 0;
        for (size_t i = at; i < n; i++) sum += s[i].weight;
        uint64_t pick = next_random(random) % (sum + 1);
        size_t i = at;
        while ((upto += s[i].weight) < pick) i++;
        cyg_srv chosen = s[i];
        memmove(&s[at + 1], &s[at], (i - at) * sizeof *s); /* keeps those without weight in front */
        s[at] = chosen;
    }
}

static size_t take_services(struct lookup *l, cyg_srv *out) {
    struct res_answer *a = l->want[0].answer;
    for (size_t i = 0; i < a->n; i++) out[i] = a->items[i].srv;
    qsort(out, a->n, sizeof *out, by_priority);
    cyg_mutex_lock(&l->r->lock);
    uint64_t random = next_random(&l->r->random);
    cyg_mutex_unlock(&l->r->lock);
    for (size_t from = 0, to = 0; from < a->n; from = to) {
        while (to < a->n && out[to].priority == out[from].priority) to++;
        shuffle(out + from, to - from, &random);
    }
    return a->n;
}

int cyg_lookup_srv(cyg_resolver *r, const char *name, const cyg_lookup_opts *opts, cyg_srv *out, size_t n) {
    cyg_lookup_opts o = opts ? *opts : (cyg_lookup_opts){0};
    struct lookup l;
    cyg_need_goroutine("cyg_lookup_srv");
    if (n == 0) return cygrt_fail(CYG_EINVAL, "cyg_lookup_srv: expected room for a service");
    int err = lookup_begin(&l, r, name, CYG_AF_NONE, true);
    if (err < 0) return err;
    if ((err = lookup_wait(&l, deadline_of(&o))) == 0) {
        cyg_srv *all = malloc(RES_ITEMS * sizeof *all);
        size_t found = all ? take_services(&l, all) : 0;
        if (found > n) found = n;
        if (found) memcpy(out, all, found * sizeof *out);
        free(all);
        tell(&l, o.info);
        err = all ? (int)found : CYG_ENOMEM;
    }
    lookup_end(&l);
    return err;
}
