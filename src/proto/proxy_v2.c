/* proxy_v2.c: version 2, binary: 12 bytes of mark, version and command, family and transport, length; then an address block of the
 * family's size, then TLVs. And cyg_proxy_parse, which tells the versions apart.
 */
#include "proto/proxy_internal.h"

#define FIXED ((size_t)16) /* up to and with the length */
#define MARK (sizeof CYG_PROXY_V2_BEGIN - 1)
#define TLV_HEAD ((size_t)3)
#define UNIQUE_ID_MAX 128

enum { COMMAND_LOCAL = 0, COMMAND_PROXY = 1 };
enum { TRANSPORT_STREAM = 1, TRANSPORT_DATAGRAM = 2 };

static const size_t block_bytes[] = {[CYG_PROXY_IPV4] = 12, [CYG_PROXY_IPV6] = 36, [CYG_PROXY_UNIX] = 2 * CYG_PROXY_PATH};

static uint16_t get16(const char *p) { return (uint16_t)((uint8_t)p[0] << 8 | (uint8_t)p[1]); }

static void put16(char *p, size_t v) {
    p[0] = (char)(v >> 8);
    p[1] = (char)v;
}

/* ---- CRC32c ----------------------------------------------------------------------------------------------------- */

/* Castagnoli's polynomial, reflected, four bits a step: headers are short. Source: RFC 3720 appendix B.4. */
static uint32_t crc32c(uint32_t crc, const char *p, size_t n) {
    static const uint32_t steps[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
                                       0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    for (size_t i = 0; i < n; i++) {
        crc ^= (uint8_t)p[i];
        crc = crc >> 4 ^ steps[crc & 15];
        crc = crc >> 4 ^ steps[crc & 15];
    }
    return crc;
}

/* Whether the sum that stands at p[at] is that of the header with zeros in its place. */
static bool sum_right(const char *p, size_t n, size_t at) {
    static const char zeros[4];
    uint32_t sum = crc32c(UINT32_MAX, p, at);
    sum = crc32c(sum, zeros, sizeof zeros);
    sum = ~crc32c(sum, p + at + sizeof zeros, n - at - sizeof zeros);
    return sum == ((uint32_t)get16(p + at) << 16 | get16(p + at + 2));
}

/* ---- TLVs ------------------------------------------------------------------------------------------------------- */

bool cyg_proxy_tlv_next(cyg_str *tlvs, unsigned *type, cyg_str *value) {
    if (tlvs->n < TLV_HEAD) return false;
    *type = (uint8_t)tlvs->p[0];
    *value = (cyg_str){tlvs->p + TLV_HEAD, get16(tlvs->p + 1)};
    size_t used = TLV_HEAD + value->n;
    if (used > tlvs->n) return false;
    *tlvs = (cyg_str){tlvs->p + used, tlvs->n - used};
    return true;
}

static const char *check_tlvs(const char *p, size_t n, cyg_str tlvs) {
    unsigned type;
    cyg_str value;
    while (cyg_proxy_tlv_next(&tlvs, &type, &value)) {
        if (type == CYG_PROXY_TLV_UNIQUE_ID && value.n > UNIQUE_ID_MAX) return "bad_tlv";
        if (type != CYG_PROXY_TLV_CRC32C) continue;
        if (value.n != 4) return "bad_tlv";
        if (!sum_right(p, n, (size_t)(value.p - p))) return "bad_sum";
    }
    return tlvs.n > 0 ? "bad_tlv" : NULL;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static cyg_str path_of(const char *p) {
    const char *end = p[0] ? memchr(p, '\0', CYG_PROXY_PATH) : NULL;
    if (!p[0]) { /* abstract: padded with NUL, too, and its own first byte is one */
        size_t n = CYG_PROXY_PATH;
        while (n > 0 && p[n - 1] == '\0') n--;
        return (cyg_str){p, n};
    }
    return (cyg_str){p, end ? (size_t)(end - p) : CYG_PROXY_PATH};
}

static void read_block(const char *p, struct cyg_proxy_header *h) {
    if (h->family == CYG_PROXY_UNIX) {
        h->source.path = path_of(p);
        h->destination.path = path_of(p + CYG_PROXY_PATH);
        return;
    }
    size_t n = h->family == CYG_PROXY_IPV4 ? 4 : 16;
    memcpy(h->source.ip, p, n);
    memcpy(h->destination.ip, p + n, n);
    h->source.port = get16(p + 2 * n);
    h->destination.port = get16(p + 2 * n + 2);
}

/* What can be told from the 16 bytes; a word if they are wrong. */
static const char *read_fixed(const char *p, struct cyg_proxy_header *h) {
    unsigned command = (uint8_t)p[12] & 15, family = (uint8_t)p[13] >> 4, transport = (uint8_t)p[13] & 15;
    size_t length = get16(p + 14);
    if ((uint8_t)p[12] >> 4 != 2) return "bad_version";
    if (command > COMMAND_PROXY) return "bad_command";
    h->version = 2;
    h->bytes = FIXED + length;
    h->local = command == COMMAND_LOCAL || p[13] == 0;
    if (h->bytes > CYG_PROXY_MAX) return "too_long";
    if (h->local) return NULL; /* of LOCAL family and block are to be ignored, whatever they say */
    if (family < CYG_PROXY_IPV4 || family > CYG_PROXY_UNIX) return "bad_family";
    if (transport != TRANSPORT_STREAM && transport != TRANSPORT_DATAGRAM) return "bad_family";
    h->family = (enum cyg_proxy_family)family;
    h->datagram = transport == TRANSPORT_DATAGRAM;
    return length < block_bytes[family] ? "short_addresses" : NULL;
}

enum cyg_proxy_verdict cyg_proxy_parse_v2(const char *p, size_t n, struct cyg_proxy_header *h) {
    if (n < FIXED) return CYG_PROXY_MORE;
    const char *error = read_fixed(p, h);
    if (error) return cyg_proxy_bad(h, error);
    if (n < h->bytes) return CYG_PROXY_MORE;
    if (h->local) return CYG_PROXY_DONE;
    read_block(p + FIXED, h);
    size_t head = FIXED + block_bytes[h->family];
    h->tlvs = (cyg_str){p + head, h->bytes - head};
    error = check_tlvs(p, h->bytes, h->tlvs);
    return error ? cyg_proxy_bad(h, error) : CYG_PROXY_DONE;
}

/* How many of the first bytes agree with a mark. */
static size_t agreeing(const char *p, size_t n, const char *mark, size_t mark_n) {
    size_t i = 0;
    while (i < n && i < mark_n && p[i] == mark[i]) i++;
    return i;
}

enum cyg_proxy_verdict cyg_proxy_parse(const void *bytes, size_t n, struct cyg_proxy_header *h) {
    const char *p = bytes;
    *h = (struct cyg_proxy_header){0};
    size_t one = sizeof CYG_PROXY_V1_BEGIN - 1, v1 = agreeing(p, n, CYG_PROXY_V1_BEGIN, one);
    size_t v2 = agreeing(p, n, CYG_PROXY_V2_BEGIN, MARK);
    if (v1 == one) return cyg_proxy_parse_v1(p, n, h);
    if (v2 == MARK) return cyg_proxy_parse_v2(p, n, h);
    return v1 == n || v2 == n ? CYG_PROXY_MORE : cyg_proxy_bad(h, "no_proxy_header");
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static void put_path(char *out, cyg_str path) {
    memset(out, 0, CYG_PROXY_PATH);
    if (path.n) memcpy(out, path.p, path.n < CYG_PROXY_PATH ? path.n : CYG_PROXY_PATH);
}

static void put_block(const struct cyg_proxy_header *h, char *out) {
    if (h->family == CYG_PROXY_UNIX) {
        put_path(out, h->source.path);
        put_path(out + CYG_PROXY_PATH, h->destination.path);
        return;
    }
    size_t n = h->family == CYG_PROXY_IPV4 ? 4 : 16;
    memcpy(out, h->source.ip, n);
    memcpy(out + n, h->destination.ip, n);
    put16(out + 2 * n, h->source.port);
    put16(out + 2 * n + 2, h->destination.port);
}

size_t cyg_proxy_write_v2(const struct cyg_proxy_header *h, char out[CYG_PROXY_V2_MAX]) {
    bool local = h->local || h->family == CYG_PROXY_UNSPEC;
    size_t length = local ? 0 : block_bytes[h->family];
    memcpy(out, CYG_PROXY_V2_BEGIN, MARK);
    out[12] = (char)(2 << 4 | (local ? COMMAND_LOCAL : COMMAND_PROXY));
    out[13] = local ? 0 : (char)((unsigned)h->family << 4 | (h->datagram ? TRANSPORT_DATAGRAM : TRANSPORT_STREAM));
    put16(out + 14, length);
    if (!local) put_block(h, out + FIXED);
    return FIXED + length;
}
