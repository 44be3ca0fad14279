/* symbol.h: names for addresses of code and data. With libdw (elfutils), which is loaded when first needed: static functions,
 * files and lines; without it what the dynamic linker knows. */
#ifndef CYG_RUNTIME_SYMBOL_H
#define CYG_RUNTIME_SYMBOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cygrt_symbol {
    const char *name;   /* NULL: not known */
    const char *module; /* file name of program or library, without its directories; NULL: no code of ours is there */
    const char *file;   /* of the source; NULL: not known */
    int line;
    uint64_t offset;                  /* from name, or from the start of the module */
    const struct cygrt_symbol *outer; /* this function was compiled into that one, there; NULL: it was not */
};

struct cygrt_symbols;

/* Opens what is mapped now. Never NULL unless memory is out. Reads files: not for a goroutine's stack (cygrt_on_thread). */
struct cygrt_symbols *cygrt_symbols_open(void);
void cygrt_symbols_close(struct cygrt_symbols *s);
/* The symbol that pc, a return address, came from; the texts live as long as s. Kept for the next time. */
const struct cygrt_symbol *cygrt_symbol_of_return(struct cygrt_symbols *s, const void *pc);
/* The same for the start of a function or an object. */
const struct cygrt_symbol *cygrt_symbol_of(struct cygrt_symbols *s, const void *addr);

/* Runs fn(arg) where there is room for other people's code: on a goroutine, by a thread that it waits for. */
void cygrt_on_thread(void (*fn)(void *), void *arg);

#endif
