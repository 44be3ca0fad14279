/* buffers.c: buffers of readers and writers come from object pools, one for each power of two, so that one which is empty
 * can be given away and taken again for some nanoseconds. Beyond the largest pool it is malloc. The pools and the totals
 * are static: they belong to no reader in particular. */
#include "io/buffers.h"

#include <cygnet/objpool.h>
#include <cygnet/runtime.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SMALLEST 9 /* 512 bytes */
#define LARGEST 18 /* 256 KiB */
#define LINES 16   /* of the totals: Ps beyond share */

static _Atomic(cyg_objpool *) pools[LARGEST - SMALLEST + 1];
static uint64_t large, large_bytes; /* out, of malloc; atomic */

static struct line { _Alignas(64) cyg_buf_stats of[2]; /* by enum io_counted; each field atomic */ } lines[LINES];

static cyg_objpool *pool_of(unsigned power) {
    _Atomic(cyg_objpool *) *slot = &pools[power - SMALLEST];
    cyg_objpool *p = atomic_load_explicit(slot, memory_order_acquire), *none = NULL;
    if (CYG_LIKELY(p != NULL)) return p;
    p = cyg_objpool_new((size_t)1 << power, &(cyg_objpool_opts){.max_idle = CYG_BUF_IDLE_BYTES >> power});
    if (atomic_compare_exchange_strong(slot, &none, p)) return p;
    cyg_objpool_free(p); /* another thread was first */
    return none;
}

static unsigned power_of(size_t n) {
    unsigned power = SMALLEST;
    while (((size_t)1 << power) < n) power++;
    return power;
}

char *io_buffer_get(size_t n, size_t *size) {
    unsigned power = power_of(n);
    size_t bytes = (size_t)1 << power;
    char *p = power <= LARGEST ? cyg_objpool_get(pool_of(power)) : malloc(bytes);
    if (!p) return NULL;
    if (power > LARGEST) {
        __atomic_fetch_add(&large, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&large_bytes, bytes, __ATOMIC_RELAXED);
    }
    *size = bytes;
    return p;
}

void io_buffer_put(char *p, size_t size) {
    if (!p) return;
    unsigned power = power_of(size);
    if (power <= LARGEST) {
        cyg_objpool_put(pool_of(power), p);
        return;
    }
    free(p);
    __atomic_fetch_sub(&large, 1, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&large_bytes, (uint64_t)1 << power, __ATOMIC_RELAXED);
}

void io_buffer_bounds(const cyg_buf_opts *opts, size_t *min, size_t *max) {
    size_t hi = opts && opts->max_bytes ? opts->max_bytes : CYG_BUF_MAX_BYTES;
    size_t lo = opts && opts->min_bytes ? opts->min_bytes : CYG_BUF_MIN_BYTES;
    lo = (size_t)1 << power_of(lo < CYG_BUF_LIMIT_BYTES ? lo : CYG_BUF_LIMIT_BYTES);
    if (hi < 16) hi = 16;
    if (hi > CYG_BUF_LIMIT_BYTES) hi = CYG_BUF_LIMIT_BYTES;
    *max = hi;
    *min = lo < hi ? lo : hi;
}

static void move(uint64_t *total, uint64_t now, uint64_t *told) {
    if (now == *told) return;
    __atomic_fetch_add(total, now - *told, __ATOMIC_RELAXED);
    *told = now;
}

void io_tell(enum io_counted which, const cyg_buf_stats *s, cyg_buf_stats *told) {
    cyg_buf_stats *t = &lines[cyg_proc_hint() % LINES].of[which];
    move(&t->bytes_total, s->bytes_total, &told->bytes_total);
    move(&t->copied_bytes_total, s->copied_bytes_total, &told->copied_bytes_total);
    move(&t->calls_total, s->calls_total, &told->calls_total);
    move(&t->grows_total, s->grows_total, &told->grows_total);
    move(&t->shrinks_total, s->shrinks_total, &told->shrinks_total);
    move(&t->limits_total, s->limits_total, &told->limits_total);
}

static void sum(enum io_counted which, cyg_buf_stats *out) {
    for (int i = 0; i < LINES; i++) {
        const cyg_buf_stats *t = &lines[i].of[which];
        out->bytes_total += __atomic_load_n(&t->bytes_total, __ATOMIC_RELAXED);
        out->copied_bytes_total += __atomic_load_n(&t->copied_bytes_total, __ATOMIC_RELAXED);
        out->calls_total += __atomic_load_n(&t->calls_total, __ATOMIC_RELAXED);
        out->grows_total += __atomic_load_n(&t->grows_total, __ATOMIC_RELAXED);
        out->shrinks_total += __atomic_load_n(&t->shrinks_total, __ATOMIC_RELAXED);
        out->limits_total += __atomic_load_n(&t->limits_total, __ATOMIC_RELAXED);
    }
}

void cyg_bufio_get_totals(cyg_bufio_totals *out) {
    cyg_bufio_totals t = {.buffers = __atomic_load_n(&large, __ATOMIC_RELAXED),
                          .buffer_bytes = __atomic_load_n(&large_bytes, __ATOMIC_RELAXED)};
    sum(IO_READ, &t.read);
    sum(IO_WRITTEN, &t.written);
    for (unsigned power = SMALLEST; power <= LARGEST; power++) {
        cyg_objpool *p = atomic_load_explicit(&pools[power - SMALLEST], memory_order_acquire);
        if (!p) continue;
        cyg_objpool_stats s;
        cyg_objpool_get_stats(p, &s);
        t.buffers += s.used;
        t.buffer_bytes += s.used << power;
        t.idle_bytes += s.idle << power;
    }
    *out = t;
}
