/* request_id.c: see request_id.h. */
#include "gateway/request_id.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

struct cell {
    uint64_t count; /* begins at the shard's number, in the upper 12 bits; atomic; two threads meet here only while a P changes hands */
} __attribute__((aligned(64)));

struct cyg_gw_ids {
    uint64_t key[2];
    unsigned shards;
    struct cell cells[];
};

struct cyg_gw_ids *cyg_gw_ids_new(unsigned shards) {
    if (shards == 0) shards = 1;
    struct cyg_gw_ids *ids;
    size_t size = sizeof *ids + shards * sizeof ids->cells[0];
    if (posix_memalign((void **)&ids, 64, size) != 0) return NULL;
    memset(ids, 0, size);
    ids->shards = shards;
    for (unsigned i = 0; i < shards; i++) ids->cells[i].count = (uint64_t)i << 52;
    if (getrandom(ids->key, sizeof ids->key, 0) != sizeof ids->key) {
        /* Only a kernel without entropy gets here; times still keep two processes apart. */
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        ids->key[0] = (uint64_t)ts.tv_sec * 1000000007u + (uint64_t)ts.tv_nsec;
        ids->key[1] = (uint64_t)(uintptr_t)ids;
    }
    return ids;
}

void cyg_gw_ids_free(struct cyg_gw_ids *ids) { free(ids); }

/* A bijection of 64 bits that looks random (the finalizer of MurmurHash3). */
static uint64_t mix(uint64_t x) {
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdu;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

/* Out of line: an id takes two of them. */
static __attribute__((noinline)) uint64_t mix_twice(uint64_t x, uint64_t first, uint64_t second) {
    return mix(mix(x + first) ^ second);
}

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef int8_t signed16 __attribute__((vector_size(16)));

static inline bytes16 digits(bytes16 v) { return v + '0' + ((bytes16)((signed16)v > 9) & ('a' - '0' - 10)); }

/* The bytes of a and b as digits, all at once. */
static inline void put_hex(char out[32], uint64_t a, uint64_t b) {
    typedef uint64_t words2 __attribute__((vector_size(16)));
    bytes16 bytes = (bytes16)(words2){a, b}, high = bytes >> 4, low = bytes & 15;
    bytes16 first = digits(__builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    bytes16 last =
        digits(__builtin_shufflevector(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
    memcpy(out, &first, 16);
    memcpy(out + 16, &last, 16);
}

void cyg_gw_ids_next(struct cyg_gw_ids *ids, unsigned shard, char out[CYG_GW_REQUEST_ID_BYTES]) {
    if (CYG_UNLIKELY(shard >= ids->shards)) shard %= ids->shards;
    uint64_t count = __atomic_fetch_add(&ids->cells[shard].count, 1, __ATOMIC_RELAXED);
    uint64_t a = mix_twice(count, ids->key[0], ids->key[1]), b = mix_twice(~count, ids->key[1], ids->key[0]);
    char hex[32];
    put_hex(hex, a, b);
    memcpy(out, hex, 8);
    memcpy(out + 9, hex + 8, 4);
    memcpy(out + 14, hex + 12, 4);
    memcpy(out + 19, hex + 16, 4);
    memcpy(out + 24, hex + 20, 12);
    out[8] = out[13] = out[18] = out[23] = '-';
    out[14] = '4';                /* version */
    out[19] = "89ab"[b >> 6 & 3]; /* variant */
}

bool cyg_gw_request_id_ok(cyg_str id) {
    if (id.n == 0 || id.n > CYG_GW_REQUEST_ID_MAX) return false;
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] < 0x21 || id.p[i] > 0x7e) return false;
    return true;
}
