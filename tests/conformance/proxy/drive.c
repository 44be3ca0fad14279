/* drive.c: see drive.h. */
#include "drive.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

static size_t put_end(char *out, size_t room, const char *label, const struct cyg_proxy_header *h,
                      const struct cyg_proxy_end *e) {
    char ip[INET6_ADDRSTRLEN];
    if (h->family == CYG_PROXY_UNIX) {
        size_t n = (size_t)snprintf(out, room, " %s=", label);
        for (size_t i = 0; i < e->path.n && n + 4 < room; i++) {
            unsigned char c = (unsigned char)e->path.p[i];
            n += (size_t)snprintf(out + n, room - n, c > ' ' && c < 0x7f ? "%c" : "%%%02X", c);
        }
        return n;
    }
    bool v6 = h->family == CYG_PROXY_IPV6;
    inet_ntop(v6 ? AF_INET6 : AF_INET, e->ip, ip, sizeof ip);
    return (size_t)snprintf(out, room, v6 ? " %s=[%s]:%u" : " %s=%s:%u", label, ip, e->port);
}

static void put_facts(struct proxy_result *r, const struct cyg_proxy_header *h) {
    char *out = r->text;
    size_t room = sizeof r->text,
           n = (size_t)snprintf(out, room, "v=%u%s%s", h->version, h->local ? " local" : "", h->datagram ? " dgram" : "");
    if (!h->local) {
        n += put_end(out + n, room - n, "src", h, &h->source);
        n += put_end(out + n, room - n, "dst", h, &h->destination);
    }
    cyg_str tlvs = h->tlvs, value;
    unsigned type;
    for (const char *before = " tlvs="; n + 64 < room && cyg_proxy_tlv_next(&tlvs, &type, &value); before = ",")
        n += (size_t)snprintf(out + n, room - n, "%s%02x:%zu", before, type, value.n);
    snprintf(out + n, room - n, " bytes=%zu", h->bytes);
}

static const char *promises(const struct cyg_proxy_header *h, const char *p, size_t n) {
    if (h->bytes == 0 || h->bytes > n || h->bytes > CYG_PROXY_MAX) return "length out of bounds";
    if (h->error) return "an error though it was taken";
    if (h->local && (h->family != CYG_PROXY_UNSPEC || h->tlvs.n)) return "local, but with addresses";
    if (!h->local && h->family == CYG_PROXY_UNSPEC) return "neither local nor of a family";
    if (h->tlvs.n && (h->tlvs.p < p || h->tlvs.p + h->tlvs.n != p + h->bytes)) return "TLVs not at the header's end";
    if (h->source.path.n > CYG_PROXY_PATH || h->destination.path.n > CYG_PROXY_PATH) return "path too long";
    return NULL;
}

void proxy_drive(struct proxy_result *r, const char *p, size_t n) {
    struct cyg_proxy_header h;
    char *exact = malloc(n ? n : 1);
    if (!exact) abort();
    memcpy(exact, p, n);
    *r = (struct proxy_result){.verdict = cyg_proxy_parse(exact, n, &h)};
    if (r->verdict == CYG_PROXY_DONE) {
        put_facts(r, &h);
        r->broken = promises(&h, exact, n);
    } else if (r->verdict == CYG_PROXY_BAD) {
        snprintf(r->text, sizeof r->text, "%s", h.error ? h.error : "");
        if (!h.error) r->broken = "refused without a word";
    } else if (n >= CYG_PROXY_MAX) {
        r->broken = "wants more than the longest header";
    }
    free(exact);
}

const char *proxy_drive_growing(const char *p, size_t n) {
    static struct proxy_result decided, now;
    decided.verdict = CYG_PROXY_MORE;
    for (size_t k = 0; k <= n; k++) {
        proxy_drive(&now, p, k);
        if (now.broken) return now.broken;
        if (decided.verdict != CYG_PROXY_MORE && (now.verdict != decided.verdict || strcmp(now.text, decided.text) != 0))
            return "what was decided changed with more bytes";
        decided = now;
    }
    return NULL;
}

const char *proxy_drive_written(const char *p, size_t n) {
    struct cyg_proxy_header h, again;
    char one[CYG_PROXY_V1_MAX], two[CYG_PROXY_V2_MAX];
    if (cyg_proxy_parse(p, n, &h) != CYG_PROXY_DONE) return NULL;
    size_t one_n = cyg_proxy_write_v1(&h, one), two_n = cyg_proxy_write_v2(&h, two);
    if (one_n > sizeof one || two_n > sizeof two) return "written too long";
    if (cyg_proxy_parse(one, one_n, &again) != CYG_PROXY_DONE || again.bytes != one_n || again.version != 1)
        return "version 1 as written is not taken";
    bool known = !h.local && !h.datagram && h.family != CYG_PROXY_UNIX;
    if (again.local == known) return "version 1 as written says something else";
    if (known && (again.source.port != h.source.port || memcmp(again.source.ip, h.source.ip, 16) != 0 ||
                  again.destination.port != h.destination.port || memcmp(again.destination.ip, h.destination.ip, 16) != 0))
        return "version 1 as written has other addresses";
    if (cyg_proxy_parse(two, two_n, &again) != CYG_PROXY_DONE || again.bytes != two_n || again.version != 2)
        return "version 2 as written is not taken";
    if (again.local != h.local || again.family != h.family || again.datagram != h.datagram ||
        again.source.port != h.source.port || memcmp(again.source.ip, h.source.ip, 16) != 0 ||
        !cyg_str_eq(again.destination.path, h.destination.path) || !cyg_str_eq(again.source.path, h.source.path))
        return "version 2 as written says something else";
    return NULL;
}
