/* request_id.c: see request_id.h. */
#include "gateway/request_id.h"

#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

struct cell {
    uint64_t count; /* atomic; two threads meet here only while a P changes hands */
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

/* The last `bytes` bytes of v as digits. Returns: behind them. */
static inline char *put_hex(char *w, uint64_t v, int bytes) {
#define ROW(d) d "0" d "1" d "2" d "3" d "4" d "5" d "6" d "7" d "8" d "9" d "a" d "b" d "c" d "d" d "e" d "f"
    static const char pairs[] = ROW("0") ROW("1") ROW("2") ROW("3") ROW("4") ROW("5") ROW("6") ROW("7") ROW("8")
        ROW("9") ROW("a") ROW("b") ROW("c") ROW("d") ROW("e") ROW("f");
#undef ROW
    for (int at = bytes - 1; at >= 0; at--, w += 2) memcpy(w, pairs + 2 * (v >> 8 * at & 0xff), 2);
    return w;
}

void cyg_gw_ids_next(struct cyg_gw_ids *ids, unsigned shard, char out[CYG_GW_REQUEST_ID_BYTES]) {
    if (shard >= ids->shards) shard %= ids->shards;
    uint64_t count = __atomic_fetch_add(&ids->cells[shard].count, 1, __ATOMIC_RELAXED);
    uint64_t c = (uint64_t)shard << 52 | (count & ((1ull << 52) - 1));
    uint64_t hi = mix(mix(c + ids->key[0]) ^ ids->key[1]);
    uint64_t lo = mix(mix(~c ^ ids->key[1]) + ids->key[0]);
    hi = (hi & ~0xf000ull) | 0x4000;
    lo = (lo & ~(3ull << 62)) | 2ull << 62;
    out = put_hex(out, hi >> 32, 4);
    *out++ = '-';
    out = put_hex(out, hi >> 16 & 0xffff, 2);
    *out++ = '-';
    out = put_hex(out, hi & 0xffff, 2);
    *out++ = '-';
    out = put_hex(out, lo >> 48, 2);
    *out++ = '-';
    put_hex(out, lo & 0xffffffffffffu, 6);
}

bool cyg_gw_request_id_ok(cyg_str id) {
    if (id.n == 0 || id.n > CYG_GW_REQUEST_ID_MAX) return false;
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] < 0x21 || id.p[i] > 0x7e) return false;
    return true;
}
