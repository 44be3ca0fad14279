/* dns.c: see dns.h. Source: RFC 1035, 4.1. */
#include "proto/dns.h"

#include <cygnet/err.h>

struct reader {
    const uint8_t *p;
    size_t n, at;
    bool bad;
};

static uint32_t take(struct reader *r, unsigned bytes) {
    uint32_t v = 0;
    if (r->bad || r->n - r->at < bytes) {
        r->bad = true;
        return 0;
    }
    while (bytes--) v = v << 8 | r->p[r->at++];
    return v;
}

static void skip(struct reader *r, size_t bytes) {
    if (r->bad || r->n - r->at < bytes)
        r->bad = true;
    else
        r->at += bytes;
}

/* Over a name: labels up to an empty one or a pointer, which is not followed. */
static void skip_name(struct reader *r) {
    for (;;) {
        uint32_t len = take(r, 1);
        if (r->bad || len == 0) return;
        if (len >= 0xc0) return skip(r, 1);
        if (len >= 0x40) r->bad = true;
        skip(r, len);
    }
}

struct record {
    uint32_t type, ttl;
    size_t data, n;
};

static struct record take_record(struct reader *r) {
    struct record rec = {0};
    skip_name(r);
    rec.type = take(r, 2);
    skip(r, 2);
    rec.ttl = take(r, 4);
    if (rec.ttl >> 31) rec.ttl = 0;
    rec.n = take(r, 2);
    rec.data = r->at;
    skip(r, rec.n);
    return rec;
}

#define TYPE_SOA 6

/* The last of the five numbers behind an SOA's two names. */
static uint32_t soa_minimum(struct reader *r, const struct record *rec) {
    struct reader in = {r->p, rec->data + rec->n, rec->data, r->bad};
    if (in.bad) return 0;
    skip_name(&in);
    skip_name(&in);
    skip(&in, 16);
    uint32_t v = take(&in, 4);
    if (in.bad) r->bad = true;
    return v;
}

int cyg_dns_life(const uint8_t *p, size_t n, struct cyg_dns_life *out) {
    struct reader r = {p, n, 0, false};
    struct cyg_dns_life life = {.answer = UINT32_MAX};
    skip(&r, 4);
    uint32_t questions = take(&r, 2), answers = take(&r, 2), authorities = take(&r, 2);
    skip(&r, 2);
    for (; questions > 0 && !r.bad; questions--) {
        skip_name(&r);
        skip(&r, 4);
    }
    for (; answers > 0 && !r.bad; answers--) {
        struct record rec = take_record(&r);
        life.has_answer = true;
        if (rec.ttl < life.answer) life.answer = rec.ttl;
    }
    for (; authorities > 0 && !r.bad; authorities--) {
        struct record rec = take_record(&r);
        if (rec.type != TYPE_SOA) continue;
        uint32_t minimum = soa_minimum(&r, &rec);
        life.has_soa = true;
        life.negative = minimum < rec.ttl ? minimum : rec.ttl;
    }
    if (r.bad) return CYG_EPROTO;
    if (!life.has_answer) life.answer = 0;
    *out = life;
    return 0;
}
