/* debug_table.c: what a debugger must know to find goroutines in a process or a core file, without our debug information:
 * tools/gdb/cygnet.py reads it. Exported, so that a stripped library has it too; no header declares it to programs.
 *
 * The contract: a reader looks numbers up by name and ignores names it does not know. VERSION changes when a name that was
 * there gets another meaning, or the struct another layout; fields are added at its end. Everything is little-endian, as the
 * processors are that have a switch. docs/internals/debugging.md describes it for who writes another reader. */
#include "runtime/sched.h"
#include "runtime/stack.h"

#include <stddef.h>

#define VERSION 1

extern const char *const cygrt_reasons[CYGRT_REASONS]; /* dump.c */

struct number {
    char name[28];
    uint32_t value;
};

struct cyg_debug_table {
    char magic[8]; /* "cygnetdb" */
    uint32_t version;
    uint32_t bytes; /* of this struct */
    struct cygrt_arena *const *arenas;
    const _Atomic uint32_t *narenas;
    const struct cygrt_sched *sched;
    const char *const *reasons; /* CYGRT_REASONS names, by g.reason */
    void (*entry)(void);        /* the last frame of every goroutine */
    void (*main)(struct m *);   /* the one above it, and any function of the library */
    const char *frame; /* registers in the switch frame, from g.sp upwards, one word each; sp is behind the last */
    uint32_t nreasons;
    uint32_t nnumbers;
    struct number numbers[64];
};

#define OFFSET(of, type, field) \
    { of "." #field, offsetof(type, field) }
#define G(field) OFFSET("g", struct g, field)
#define P(field) OFFSET("p", struct p, field)
#define SCHED(field) OFFSET("sched", struct cygrt_sched, field)
#define ARENA(field) OFFSET("arena", struct cygrt_arena, field)
#define RECORDS(of, type)                                                         \
    {of ".n_left", offsetof(type, n_records) + CYGRT_LEFT * sizeof(uint64_t)}, {  \
        of ".n_taken", offsetof(type, n_records) + CYGRT_TAKEN * sizeof(uint64_t) \
    }
#define NUMBERS                                                                                                      \
    {"g.bytes", sizeof(struct g)}, {"p.bytes", sizeof(struct p)}, {"arena.bytes", sizeof(struct cygrt_arena)},       \
        {"g.magic_value", CYGRT_G_MAGIC}, {"status.free", G_FREE}, {"status.runnable", G_RUNNABLE},                  \
        {"status.running", G_RUNNING}, {"status.parked", G_PARKED}, {"reason.read", CYGRT_R_READ},                   \
        {"reason.write", CYGRT_R_WRITE}, {"reason.blocking", CYGRT_R_BLOCKING}, {"slot.g_area", CYGRT_G_AREA},       \
        {"slot.colours", CYGRT_COLOURS}, {"slot.colour_mul", CYGRT_COLOUR_MUL},                                      \
        {"slot.colour_step", CYGRT_COLOUR_STEP}, {"slot.guard", CYGRT_GUARD}, G(magic), G(status), G(reason), G(sp), \
        G(lo), G(hi), G(fn), G(ready_fn), G(line), G(file), G(name), G(id), G(parent), G(wait_obj), G(wait_fd),      \
        G(wait_since), ARENA(base), ARENA(slots), ARENA(used), ARENA(slot_bytes), P(now), RECORDS("p", struct p),    \
        SCHED(state), SCHED(nprocs), SCHED(ps), SCHED(nms), RECORDS("sched", struct cygrt_sched)

CYG_API const struct cyg_debug_table cyg_debug_table = {
    .magic = {'c', 'y', 'g', 'n', 'e', 't', 'd', 'b'},
    .version = VERSION,
    .bytes = sizeof cyg_debug_table,
    .arenas = &cygrt_arenas,
    .narenas = &cygrt_narenas,
    .sched = &cygrt_sched,
    .reasons = cygrt_reasons,
    .entry = cygrt_entry,
    .main = cygrt_goroutine_main,
#if defined(__x86_64__)
    .frame = "r15 r14 r13 r12 rbx rbp rip",
#else
    .frame = "v8 v9 v10 v11 v12 v13 v14 v15 x19 x20 x21 x22 x23 x24 x25 x26 x27 x28 x29 pc",
#endif
    .nreasons = CYGRT_REASONS,
    .nnumbers = sizeof((struct number[]){NUMBERS}) / sizeof(struct number),
    .numbers = {NUMBERS},
};
