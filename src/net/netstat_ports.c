/* netstat_ports.c: ephemeral ports by source address and destination. A port can serve one connection to each destination at a
 * time, and stays taken for a minute after that in TIME_WAIT; when all are taken, connect fails with EADDRNOTAVAIL. */
#include "net/netstat.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/trend.h"
#include "proto/port_list.h"

/* Looked at in one look; a program that scans has more, and no port problem. What servers that are gone have left in TIME_WAIT looks like
 * many destinations, so as many again are kept for ours; of those found late, what stood in TIME_WAIT before is not counted. */
#define DESTINATIONS 4096
#define SLOTS (DESTINATIONS * 4)
#define TRACKED 64

/* From where to where: all of its bytes are compared. */
struct pair {
    uint8_t from[16], to[16];
    uint16_t family, port;
};
struct destination {
    struct pair pair;
    uint64_t used, time_wait;
    bool ours; /* one of them is this process's, or one was at the last look */
};
struct ports_look {
    unsigned low, high, tw_reuse;
    uint64_t range;
    struct port_set reserved, listening;
    size_t n;
    struct destination slots[SLOTS]; /* open addressing; used > 0: taken */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static struct track {
    struct pair pair;
    struct trend trend;
    cyg_ports ports;
} tracks[TRACKED];
static size_t ntracks;

/* ---- the kernel's settings ---------------------------------------------------------------------------------------------- */

static ssize_t read_setting(const char *name, char *buf, size_t n) {
    char path[96];
    snprintf(path, sizeof path, "/proc/sys/net/ipv4/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t r = read(fd, buf, n - 1);
    close(fd);
    if (r >= 0) buf[r] = 0;
    return r;
}

static void read_settings(struct ports_look *l) {
    static const struct port_set none;
    char text[4096];
    unsigned timestamps = 1;
    l->low = 32768, l->high = 60999; /* the kernel's own defaults, if it does not tell */
    l->tw_reuse = 2;
    if (read_setting("ip_local_port_range", text, sizeof text) > 0) (void)sscanf(text, "%u %u", &l->low, &l->high);
    ssize_t n = read_setting("ip_local_reserved_ports", text, sizeof text);
    if (n > 0 && !port_set_add(&l->reserved, text, (size_t)n)) l->reserved = none; /* longer than our buffer */
    if (read_setting("tcp_timestamps", text, sizeof text) > 0) (void)sscanf(text, "%u", &timestamps);
    if (read_setting("tcp_tw_reuse", text, sizeof text) > 0) (void)sscanf(text, "%u", &l->tw_reuse);
    if (!timestamps) l->tw_reuse = 0;
    l->range = port_set_free_between(&l->reserved, l->low, l->high);
}

static bool is_loopback(const struct pair *p) {
    static const uint8_t one[16] = {[15] = 1};
    return p->family == CYG_AF_IPV4 ? p->to[0] == 127 : memcmp(p->to, one, 16) == 0;
}

/* ---- a look -------------------------------------------------------------------------------------------------------------- */

struct ports_look *ports_look_new(void) {
    struct ports_look *l = calloc(1, sizeof *l);
    if (!l) return NULL;
    read_settings(l);
    return l;
}

void ports_look_free(struct ports_look *l) { free(l); }

void ports_look_listener(struct ports_look *l, const struct sockdiag_sock *s) {
    l->listening.bits[s->local_port / 8] |= (uint8_t)(1u << (s->local_port % 8));
}

static struct destination *slot_of(struct ports_look *l, const struct pair *p) {
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < sizeof *p; i++) h = (h ^ ((const uint8_t *)p)[i]) * 0x100000001b3u;
    for (size_t i = h % SLOTS;; i = (i + 1) % SLOTS)
        if (!l->slots[i].used || memcmp(&l->slots[i].pair, p, sizeof *p) == 0) return &l->slots[i];
}

void ports_look_see(struct ports_look *l, const struct sockdiag_sock *s, bool ours) {
    if (s->local_port < l->low || s->local_port > l->high || port_set_has(&l->reserved, s->local_port)) return;
    if (!s->peer_port || port_set_has(&l->listening, s->local_port)) return;
    struct pair p = {.family = (uint16_t)s->family, .port = s->peer_port};
    memcpy(p.from, s->local_ip, 16);
    memcpy(p.to, s->peer_ip, 16);
    struct destination *d = slot_of(l, &p);
    if (!d->used && l->n >= (ours ? 2 * DESTINATIONS : DESTINATIONS)) return;
    l->n += !d->used;
    d->pair = p;
    d->used++;
    d->ours |= ours;
    d->time_wait += s->state == CYG_TCP_TIME_WAIT;
}

static void fill(const struct ports_look *l, const struct destination *d, cyg_ports *out) {
    *out = (cyg_ports){.range = l->range, .used = d->used, .time_wait = d->time_wait};
    out->from.family = out->to.family = d->pair.family;
    out->to.port = d->pair.port;
    memcpy(out->from.ip, d->pair.from, 16);
    memcpy(out->to.ip, d->pair.to, 16);
    bool again = l->tw_reuse == 1 || (l->tw_reuse == 2 && is_loopback(&d->pair));
    uint64_t taken = again ? d->used - d->time_wait : d->used;
    out->left = l->range > taken ? l->range - taken : 0;
}

/* ---- what is kept ---------------------------------------------------------------------------------------------------------- */

/* The TRACKED busiest of ours, most first: a list that each destination is sorted into. */
static size_t busiest(const struct ports_look *l, const struct destination **top) {
    size_t n = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        const struct destination *d = &l->slots[i];
        if (!d->ours || (n == TRACKED && top[n - 1]->used >= d->used)) continue;
        size_t at = n < TRACKED ? n++ : n - 1;
        for (; at > 0 && top[at - 1]->used < d->used; at--) top[at] = top[at - 1];
        top[at] = d;
    }
    return n;
}

static const struct track *track_of(const struct pair *p) {
    for (size_t i = 0; i < ntracks; i++)
        if (memcmp(&tracks[i].pair, p, sizeof *p) == 0) return &tracks[i];
    return NULL;
}

void ports_look_publish(struct ports_look *l, cyg_time now) {
    const struct destination *top[TRACKED] = {0};
    static struct track next[TRACKED]; /* guarded by lock */
    pthread_mutex_lock(&lock);
    /* Where all of ours are in TIME_WAIT, none is this process's any more. */
    for (size_t i = 0; i < ntracks; i++) slot_of(l, &tracks[i].pair)->ours |= slot_of(l, &tracks[i].pair)->used > 0;
    size_t n = busiest(l, top);
    for (size_t i = 0; i < n; i++) {
        const struct track *before = track_of(&top[i]->pair);
        struct track *t = &next[i];
        t->pair = top[i]->pair;
        t->trend = before ? before->trend : (struct trend){0};
        fill(l, top[i], &t->ports);
        trend_add(&t->trend, now, (double)(l->range - t->ports.left));
        double slope = t->ports.used_per_second = trend_slope(&t->trend);
        double seconds = slope > 0 ? (double)t->ports.left / slope : 0;
        /* Beyond a day the line says nothing. */
        t->ports.exhausted_in = seconds > 0 && seconds < 86400 ? (cyg_duration)(seconds * 1e9) : 0;
    }
    memcpy(tracks, next, n * sizeof *tracks);
    ntracks = n;
    pthread_mutex_unlock(&lock);
}

size_t cyg_ports_busiest(cyg_ports *out, size_t n) {
    pthread_mutex_lock(&lock);
    if (n > ntracks) n = ntracks;
    for (size_t i = 0; i < n; i++) out[i] = tracks[i].ports;
    pthread_mutex_unlock(&lock);
    return n;
}

/* ---- one destination ------------------------------------------------------------------------------------------------------- */

static bool see_one(const struct sockdiag_sock *s, void *arg) {
    ports_look_see(arg, s, true);
    return true;
}

int cyg_ports_to(const cyg_addr *to, cyg_ports *out) {
    if (to->family != CYG_AF_IPV4 && to->family != CYG_AF_IPV6) return CYG_EINVAL;
    struct ports_look *l = ports_look_new();
    if (!l) return CYG_ENOMEM;
    uint32_t states = (((1u << CYG_TCP_STATES) - 1) & ~1u) & ~(1u << CYG_TCP_LISTEN);
    int err = sockdiag_each(&(struct sockdiag_query){.states = states, .to = to}, see_one, l);
    const struct destination *top[TRACKED] = {0};
    if (err >= 0) {
        struct destination none = {.pair = {.family = to->family, .port = to->port}};
        memcpy(none.pair.to, to->ip, to->family == CYG_AF_IPV4 ? 4 : 16);
        fill(l, busiest(l, top) ? top[0] : &none, out);
        err = 0;
    }
    ports_look_free(l);
    return err;
}
