/* stack.h: how stacks lie in memory: arenas of equal slots, and a G near the top of each slot. For stack.c, which makes them,
 * and debug_table.c, which tells a debugger. */
#ifndef CYG_RUNTIME_STACK_H
#define CYG_RUNTIME_STACK_H

#include "runtime/sched.h"

/* The G of slot i stands CYGRT_G_AREA bytes below the slot's end, less its colour: (i * MUL % COLOURS) * STEP bytes. */
#define CYGRT_G_AREA ((sizeof(struct g) + CYGRT_COPY_MAX + 63) / 64 * 64)
#define CYGRT_COLOURS 16u
#define CYGRT_COLOUR_MUL 7u
#define CYGRT_COLOUR_STEP 64u
#define CYGRT_GUARD 4096u /* the guard page at the low end of each slot */

struct cygrt_arena {
    char *base;
    uint32_t slots;
    _Atomic uint32_t used; /* slots carved so far */
    uint32_t slot_bytes;   /* a page, the guard, and a power of two; see stack.c */
    uint32_t size_class;   /* log2 of the power */
};

/* cygrt_arenas[0..cygrt_narenas) may be read without a lock: an entry is complete before cygrt_narenas counts it. */
extern struct cygrt_arena *cygrt_arenas;
extern _Atomic uint32_t cygrt_narenas;

/* Where cygrt_entry is entered: behind its first instruction, a nop. Unwinders look one byte before a return address, and
 * must find the rules of cygrt_entry there too. */
#if defined(__x86_64__)
#define CYGRT_ENTRY_SKIP 1
#else
#define CYGRT_ENTRY_SKIP 4
#endif

struct cyg_debug_table;
extern const struct cyg_debug_table cyg_debug_table; /* debug_table.c */

#endif
