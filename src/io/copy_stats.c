/* copy_stats.c: limits of copying and what is counted. Counts are kept by P, on cache lines of their own, with relaxed atomic
 * additions: a goroutine that has moved meanwhile counts right all the same. */
#include <cygnet/runtime.h>

#include "base/spin.h"
#include "io/copy_internal.h"

#define CELLS 16 /* Ps beyond share them */

static struct cell { _Alignas(64) uint64_t n[COUNTS]; } cells[CELLS];

void copy_count(enum copy_count what, uint64_t n) {
    __atomic_fetch_add(&cells[cyg_proc_hint() % CELLS].n[what], n, __ATOMIC_RELAXED);
}

static uint64_t counted(unsigned what) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < CELLS; i++) sum += __atomic_load_n(&cells[i].n[what], __ATOMIC_RELAXED);
    return sum;
}

/* Others look at `bytes`: cyg_copy_progress. */
void copy_went(cyg_copy_result *res, cyg_copy_path path, int64_t n) {
    __atomic_store_n(&res->bytes, res->bytes + n, __ATOMIC_RELAXED);
    res->by[path] += n;
    res->path = path;
    copy_count(COUNT_BYTES + (unsigned)path, (uint64_t)n);
}

int64_t cyg_copy_progress(const cyg_copy_result *res) { return __atomic_load_n(&res->bytes, __ATOMIC_RELAXED); }

void cyg_copy_moved(cyg_copy_result *res, int64_t n) { copy_went(res, CYG_COPY_STREAM, n); }

const char *cyg_copy_path_name(cyg_copy_path path) {
    static const char *const names[CYG_COPY_PATHS] = {"buffer", "held", "splice", "sendfile", "stream"};
    return (unsigned)path < CYG_COPY_PATHS ? names[path] : "?";
}

const char *cyg_copy_reason_name(cyg_copy_reason reason) {
    static const char *const names[CYG_COPY_REASONS] = {"none", "source", "sink", "pair", "pipes", "refused", "off"};
    return (unsigned)reason < CYG_COPY_REASONS ? names[reason] : "?";
}

const char *cyg_relay_end_name(cyg_relay_end end) {
    static const char *const names[CYG_RELAY_ENDS] = {"eof", "error", "idle", "half-closed", "canceled"};
    return (unsigned)end < CYG_RELAY_ENDS ? names[end] : "?";
}

/* ---- limits ---------------------------------------------------------------------------------------------------------- */

static const cyg_copy_limits defaults = {
    .max_pipes = 1024,
    .idle_pipes = 16,
    .pipe_bytes = (size_t)1 << 20,
    .buffer_bytes = (size_t)256 << 10,
    .idle_buffers = 64,
};
static uint32_t lock;
static cyg_copy_limits limits; /* guarded by lock; 0: the default */

static cyg_copy_limits filled(cyg_copy_limits l) {
    if (!l.max_pipes) l.max_pipes = defaults.max_pipes;
    if (!l.idle_pipes) l.idle_pipes = defaults.idle_pipes;
    if (!l.pipe_bytes) l.pipe_bytes = defaults.pipe_bytes;
    if (!l.buffer_bytes) l.buffer_bytes = defaults.buffer_bytes;
    if (!l.idle_buffers) l.idle_buffers = defaults.idle_buffers;
    if (l.max_pipes < 0) l.max_pipes = -1;
    if (l.idle_pipes < 0) l.idle_pipes = -1;
    if (l.idle_buffers < 0) l.idle_buffers = -1;
    return l;
}

cyg_copy_limits copy_limits(void) {
    cyg_spin_lock(&lock);
    cyg_copy_limits l = limits;
    cyg_spin_unlock(&lock);
    return filled(l);
}

int cyg_copy_set_limits(const cyg_copy_limits *wanted) {
    cyg_copy_limits l = filled(*wanted);
    if (l.pipe_bytes < SMALLEST_PIPE || l.pipe_bytes > (size_t)1 << 30) return CYG_EINVAL;
    if (l.buffer_bytes < 4096 || l.buffer_bytes > (size_t)16 << 20) return CYG_EINVAL;
    cyg_spin_lock(&lock);
    limits = *wanted;
    cyg_spin_unlock(&lock);
    copy_pipes_trim(l.idle_pipes);
    copy_buffers_trim(l.idle_buffers);
    return 0;
}

void cyg_copy_get_limits(cyg_copy_limits *out) { *out = copy_limits(); }

void cyg_copy_trim(void) {
    copy_pipes_trim(0);
    copy_buffers_trim(0);
}

void cyg_copy_get_stats(cyg_copy_stats *out) {
    *out = (cyg_copy_stats){0};
    for (unsigned i = 0; i < CYG_COPY_PATHS; i++) out->bytes_total[i] = counted(COUNT_BYTES + i);
    for (unsigned i = 0; i < CYG_COPY_REASONS; i++) out->fallbacks_total[i] = counted(COUNT_FALLBACK + i);
    for (unsigned i = 0; i < CYG_RELAY_ENDS; i++) out->relays_total[i] = counted(COUNT_RELAY + i);
    out->relays = counted(COUNT_RELAYS);
    copy_pipes_stats(out);
    copy_buffers_stats(out);
}
