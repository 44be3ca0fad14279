/* dns_server.h: a DNS server on a thread of its own, for answers that no honest server can be made to give: none, half ones, wrong ones,
 * and ones held back until a test says so. (Ordinary answers come from dnsmasq, in test_resolver_peer.c.) The first label of a name
 * says what becomes of it:
 *
 *   ok        A 10.0.0.1, 10.0.0.2 and AAAA fd00::1, TTL 60        ttl0      the same with TTL 0
 *   nx        NXDOMAIN; SOA with minimum 30                          nosoa     NXDOMAIN without SOA
 *   nodata    no records; SOA                                        only4, only6   one family; no records of the other
 *   chain     CNAME b.chain.test, CNAME c.chain.test, A              loop      a CNAME that leads to itself
 *   big       30 A records: cut by UDP, whole by TCP                 silent    nothing
 *   garbage   a header and rubbish                                   wrongid   an answer to another question, then the right one
 *   servfail, refused                                                lo        A 127.0.0.1 and AAAA ::1
 *   _svc      SRV records                                            _none     SRV "."
 *
 * and the second, if it is "hold", "hold4" or "hold6", that the answer (to A, to AAAA) waits for dns_release.
 */
#ifndef TESTS_UNIT_DNS_SERVER_H
#define TESTS_UNIT_DNS_SERVER_H

#include "../rt.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum { DNS_A = 1, DNS_CNAME = 5, DNS_SOA = 6, DNS_AAAA = 28, DNS_SRV = 33 };
#define DNS_LOG 512
#define DNS_HELD 256

struct dns_packet {
    struct sockaddr_in from;
    size_t n;
    uint8_t p[512];
};

struct dns_server {
    pthread_t thread;
    int udp, tcp, wake[2];
    char address[32];
    int broken;            /* atomic: SERVFAIL to everything */
    int mute;              /* atomic: answers nothing */
    int queries;           /* atomic: that came */
    int tcp_queries;       /* atomic */
    int held;              /* atomic: wait for dns_release */
    char log[DNS_LOG][80]; /* "name type", in the order in which they came; read after queries */
    struct dns_packet waiting[DNS_HELD];
};

/* ---- writing --------------------------------------------------------------------------------------------------------- */

struct dns_out {
    uint8_t p[4096];
    size_t n;
    unsigned answers, authorities;
};

static inline void dns_u16(struct dns_out *o, unsigned v) {
    o->p[o->n++] = (uint8_t)(v >> 8);
    o->p[o->n++] = (uint8_t)v;
}
static inline void dns_u32(struct dns_out *o, unsigned v) {
    dns_u16(o, v >> 16);
    dns_u16(o, v & 0xffff);
}
static inline void dns_name(struct dns_out *o, const char *name) {
    while (*name) {
        size_t n = strcspn(name, ".");
        o->p[o->n++] = (uint8_t)n;
        memcpy(o->p + o->n, name, n);
        o->n += n;
        name += n + (name[n] == '.');
    }
    o->p[o->n++] = 0;
}
static inline void dns_head(struct dns_out *o, const char *name, int type, unsigned ttl, size_t len) {
    dns_name(o, name);
    dns_u16(o, (unsigned)type);
    dns_u16(o, 1);
    dns_u32(o, ttl);
    dns_u16(o, (unsigned)len);
}
static inline void dns_ip(struct dns_out *o, const char *name, int type, unsigned ttl, const char *ip) {
    size_t len = type == DNS_A ? 4 : 16;
    dns_head(o, name, type, ttl, len);
    CHECK_EQ(inet_pton(type == DNS_A ? AF_INET : AF_INET6, ip, o->p + o->n), 1);
    o->n += len;
    o->answers++;
}
static inline void dns_cname(struct dns_out *o, const char *name, const char *to) {
    dns_head(o, name, DNS_CNAME, 40, strlen(to) + 2);
    dns_name(o, to);
    o->answers++;
}
static inline void dns_srv(struct dns_out *o, const char *name, int priority, int weight, int port, const char *to) {
    dns_head(o, name, DNS_SRV, 60, 6 + (*to ? strlen(to) + 2 : 1));
    dns_u16(o, (unsigned)priority);
    dns_u16(o, (unsigned)weight);
    dns_u16(o, (unsigned)port);
    dns_name(o, to);
    o->answers++;
}
static inline void dns_soa(struct dns_out *o) {
    dns_head(o, "test", DNS_SOA, 300, 3 + 3 + 20);
    dns_name(o, "n");
    dns_name(o, "m");
    for (int i = 0; i < 4; i++) dns_u32(o, 1000);
    dns_u32(o, 30);
    o->authorities++;
}

/* ---- answers --------------------------------------------------------------------------------------------------------- */

static inline bool dns_is(const char *name, const char *label) {
    size_t n = strlen(label);
    return strncmp(name, label, n) == 0 && (name[n] == '.' || !name[n]);
}

static inline void dns_addresses(struct dns_out *o, const char *name, int type, unsigned ttl) {
    if (type == DNS_A) {
        dns_ip(o, name, type, ttl, "10.0.0.1");
        dns_ip(o, name, type, ttl, "10.0.0.2");
    } else if (type == DNS_AAAA) {
        dns_ip(o, name, type, ttl, "fd00::1");
    }
}

/* The records of a name; the response code. */
static inline unsigned dns_records(struct dns_out *o, const char *name, int type, bool tcp) {
    if (dns_is(name, "ok") || dns_is(name, "wrongid")) {
        dns_addresses(o, name, type, 60);
    } else if (dns_is(name, "ttl0")) {
        dns_addresses(o, name, type, 0);
    } else if (dns_is(name, "lo")) {
        if (type == DNS_A || type == DNS_AAAA) dns_ip(o, name, type, 60, type == DNS_A ? "127.0.0.1" : "::1");
    } else if ((dns_is(name, "only4") && type == DNS_A) || (dns_is(name, "only6") && type == DNS_AAAA)) {
        dns_addresses(o, name, type, 60);
    } else if (dns_is(name, "chain") && type == DNS_A) {
        dns_cname(o, name, "b.chain.test");
        dns_cname(o, "b.chain.test", "c.chain.test");
        dns_ip(o, "c.chain.test", type, 60, "10.0.0.9");
    } else if (dns_is(name, "loop")) {
        dns_cname(o, name, name);
    } else if (dns_is(name, "big") && type == DNS_A) {
        for (int i = 1; tcp && i <= 30; i++) {
            char ip[32];
            snprintf(ip, sizeof ip, "10.1.0.%d", i);
            dns_ip(o, name, type, 60, ip);
        }
    } else if (dns_is(name, "_svc") && type == DNS_SRV) {
        dns_srv(o, name, 20, 0, 4003, "c.test");
        dns_srv(o, name, 10, 0, 4001, "a.test");
        dns_srv(o, name, 10, 1000, 4002, "b.test");
    } else if (dns_is(name, "_none") && type == DNS_SRV) {
        dns_srv(o, name, 0, 0, 0, "");
    } else if (dns_is(name, "servfail")) {
        return 2;
    } else if (dns_is(name, "refused")) {
        return 5;
    } else if (dns_is(name, "nosoa")) {
        return 3;
    } else {
        dns_soa(o);
        return dns_is(name, "nodata") || dns_is(name, "only4") || dns_is(name, "only6") ? 0 : 3;
    }
    return 0;
}

/* Reads the question; 0 if it is none. */
static inline int dns_question(const uint8_t *p, size_t n, char *name, size_t *end) {
    size_t at = 12, out = 0;
    while (at < n && p[at] && at + 1 + p[at] < n && out + p[at] + 2 < 256) {
        memcpy(name + out, p + at + 1, p[at]);
        out += p[at];
        name[out++] = '.';
        at += 1u + p[at];
    }
    if (at + 5 > n || out == 0) return 0;
    name[out - 1] = 0;
    for (char *c = name; *c; c++)
        if (*c >= 'A' && *c <= 'Z') *c += 'a' - 'A';
    *end = at + 5;
    return p[at + 1] << 8 | p[at + 2];
}

static inline size_t dns_answer(struct dns_server *s, const uint8_t *p, size_t n, bool tcp, struct dns_out *o) {
    char name[256];
    size_t end = 0;
    int type = dns_question(p, n, name, &end);
    if (!type) return 0;
    o->answers = o->authorities = 0;
    memcpy(o->p, p, end);
    o->n = end;
    unsigned code = LOAD(s->broken) ? 2 : dns_records(o, name, type, tcp);
    if (code == 2) o->n = end, o->answers = o->authorities = 0;
    bool cut = dns_is(name, "big") && type == DNS_A && !tcp && !LOAD(s->broken);
    uint8_t head[10] = {(uint8_t)(0x84 | (cut ? 2 : 0) | (p[2] & 1)),
                        (uint8_t)(0x80 | code),
                        0,
                        1,
                        0,
                        (uint8_t)o->answers,
                        0,
                        (uint8_t)o->authorities,
                        0,
                        0};
    memcpy(o->p + 2, head, sizeof head);
    return o->n;
}

static inline void dns_send_udp(struct dns_server *s, const struct dns_packet *k) {
    struct dns_out o;
    char name[256];
    size_t end = 0, n = dns_answer(s, k->p, k->n, false, &o);
    if (!n) return;
    (void)dns_question(k->p, k->n, name, &end);
    if (dns_is(name, "garbage")) {
        memset(o.p + end, 0xc1, 40);
        o.p[7] = 3;
        n = end + 40;
    }
    if (dns_is(name, "wrongid")) {
        o.p[0] ^= 0xff;
        (void)sendto(s->udp, o.p, n, 0, (const struct sockaddr *)&k->from, sizeof k->from);
        o.p[0] ^= 0xff;
    }
    (void)sendto(s->udp, o.p, n, 0, (const struct sockaddr *)&k->from, sizeof k->from);
}

/* ---- the thread ------------------------------------------------------------------------------------------------------ */

static inline void dns_note(struct dns_server *s, const char *name, int type) {
    int i = LOAD(s->queries);
    if (i < DNS_LOG)
        snprintf(s->log[i], sizeof s->log[i], "%.60s %s", name,
                 type == DNS_A      ? "A"
                 : type == DNS_AAAA ? "AAAA"
                                    : "SRV");
    ADD(s->queries, 1);
}

static inline bool dns_waits(const char *name, int type) {
    const char *second = strchr(name, '.');
    if (!second) return false;
    second++;
    return dns_is(second, "hold") || (dns_is(second, "hold4") && type == DNS_A) ||
           (dns_is(second, "hold6") && type == DNS_AAAA);
}

static inline void dns_on_udp(struct dns_server *s) {
    struct dns_packet k = {0};
    socklen_t len = sizeof k.from;
    ssize_t n = recvfrom(s->udp, k.p, sizeof k.p, MSG_DONTWAIT, (struct sockaddr *)&k.from, &len);
    char name[256];
    size_t end = 0;
    int type;
    if (n <= 0) return;
    k.n = (size_t)n;
    if (!(type = dns_question(k.p, k.n, name, &end))) return;
    bool waits = dns_waits(name, type) && LOAD(s->held) < DNS_HELD;
    if (waits) {
        s->waiting[LOAD(s->held)] = k;
        ADD(s->held, 1);
    }
    dns_note(s, name, type);
    if (!waits && !dns_is(name, "silent") && !LOAD(s->mute)) dns_send_udp(s, &k);
}

static inline void dns_on_tcp(struct dns_server *s) {
    int fd = accept4(s->tcp, NULL, NULL, SOCK_CLOEXEC);
    uint8_t p[600];
    struct dns_out o;
    if (fd < 0) return;
    ssize_t n = recv(fd, p, 2, MSG_WAITALL);
    size_t len = n == 2 ? (size_t)(p[0] << 8 | p[1]) : 0;
    if (len > 0 && len <= sizeof p && recv(fd, p, len, MSG_WAITALL) == (ssize_t)len && dns_answer(s, p, len, true, &o)) {
        uint8_t head[2] = {(uint8_t)(o.n >> 8), (uint8_t)o.n};
        ADD(s->tcp_queries, 1);
        struct iovec iov[2] = {{head, 2}, {o.p, o.n}};
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
        (void)sendmsg(fd, &msg, MSG_NOSIGNAL);
    }
    close(fd);
}

static inline void *dns_main(void *arg) {
    struct dns_server *s = arg;
    for (;;) {
        struct pollfd f[3] = {{s->udp, POLLIN, 0}, {s->tcp, POLLIN, 0}, {s->wake[0], POLLIN, 0}};
        (void)poll(f, 3, -1);
        if (f[0].revents) dns_on_udp(s);
        if (f[1].revents) dns_on_tcp(s);
        if (!f[2].revents) continue;
        char c;
        if (read(s->wake[0], &c, 1) != 1 || c == 'q') return NULL;
        int n = LOAD(s->held);
        for (int i = 0; i < n; i++) dns_send_udp(s, &s->waiting[i]);
        STORE(s->held, 0);
    }
}

static inline void dns_open(struct dns_server *s) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    memset(s, 0, sizeof *s);
    for (int tries = 0; tries < 50; tries++) { /* one number for both */
        s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(s->udp >= 0 && s->tcp >= 0);
        a.sin_port = 0;
        CHECK_EQ(bind(s->udp, (struct sockaddr *)&a, sizeof a), 0);
        CHECK_EQ(getsockname(s->udp, (struct sockaddr *)&a, &n), 0);
        if (bind(s->tcp, (struct sockaddr *)&a, sizeof a) == 0 && listen(s->tcp, 16) == 0) break;
        close(s->udp);
        close(s->tcp);
        s->tcp = -1;
    }
    CHECK(s->tcp >= 0);
    int room = 1 << 20; /* a flood must not be lost, or it comes again */
    (void)setsockopt(s->udp, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    snprintf(s->address, sizeof s->address, "127.0.0.1:%u", ntohs(a.sin_port));
    CHECK_EQ(pipe2(s->wake, O_CLOEXEC), 0);
    CHECK_EQ(pthread_create(&s->thread, NULL, dns_main, s), 0);
}

/* Lets what is held be answered. */
static inline void dns_release(struct dns_server *s) { CHECK_EQ(write(s->wake[1], "r", 1), 1); }

static inline void dns_close(struct dns_server *s) {
    CHECK_EQ(write(s->wake[1], "q", 1), 1);
    CHECK_EQ(pthread_join(s->thread, NULL), 0);
    close(s->udp);
    close(s->tcp);
    close(s->wake[0]);
    close(s->wake[1]);
}

#endif
