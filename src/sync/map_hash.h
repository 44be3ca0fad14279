/* map_hash.h: hashes for keys that peers may choose: with a secret, so that nobody can find keys that collide. */
#ifndef CYG_SYNC_MAP_HASH_H
#define CYG_SYNC_MAP_HASH_H

#include <stdint.h>
#include <string.h>

struct map_secret {
    uint64_t k0, k1;
};

static inline uint64_t map_rotl(uint64_t x, int b) { return x << b | x >> (64 - b); }

static inline void map_sip_round(uint64_t v[4]) {
    v[0] += v[1], v[1] = map_rotl(v[1], 13) ^ v[0], v[0] = map_rotl(v[0], 32);
    v[2] += v[3], v[3] = map_rotl(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = map_rotl(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = map_rotl(v[1], 17) ^ v[2], v[2] = map_rotl(v[2], 32);
}

/* SipHash-1-3. Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012). */
static inline uint64_t map_hash_bytes(const struct map_secret *s, const char *p, size_t n) {
    uint64_t v[4] = {s->k0 ^ 0x736f6d6570736575u, s->k1 ^ 0x646f72616e646f6du, s->k0 ^ 0x6c7967656e657261u,
                     s->k1 ^ 0x7465646279746573u};
    uint64_t w;
    for (size_t left = n; left >= 8; left -= 8, p += 8) {
        memcpy(&w, p, 8);
        v[3] ^= w;
        map_sip_round(v);
        v[0] ^= w;
    }
    w = (uint64_t)n << 56;
    for (size_t i = 0; i < n % 8; i++) w |= (uint64_t)(unsigned char)p[i] << (8 * i);
    v[3] ^= w;
    map_sip_round(v);
    v[0] ^= w;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) map_sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* A number: two multiplications between the halves of the secret. */
static inline uint64_t map_hash_number(const struct map_secret *s, uint64_t x) {
    x ^= s->k0;
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
    x = (x ^ x >> 32 ^ s->k1) * 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

#endif
